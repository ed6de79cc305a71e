//! The page of a rule: a title, an explanation, and samples that tests run.
//!
//! A page is Markdown. Its first line is the title. Fenced blocks of SQL are samples; the second word after the fence
//! says which kind: `sql before` is the schema that the samples need, `sql bad` breaks the rule, and each `sql good`
//! keeps the rule and is a migration of its own. A sample marked `text` is not run, because a shadow database cannot
//! run it.

/// The page of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulePage<'a> {
    /// What the rule says, in one line.
    pub title: &'a str,
    /// The whole text after the title, including the samples.
    pub text: &'a str,
    /// The samples, in order.
    pub samples: Vec<RuleSample<'a>>,
}

/// A sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleSample<'a> {
    /// What it shows.
    pub kind: SampleKind,
    /// Whether the sample can be run.
    pub runs: bool,
    /// The SQL.
    pub sql: &'a str,
}

/// What a sample shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleKind {
    /// The schema on which the others run.
    Before,
    /// SQL that breaks the rule.
    Bad,
    /// SQL that keeps the rule.
    Good,
}

impl<'a> RulePage<'a> {
    /// Reads a page; blocks of other kinds are part of the text.
    pub fn parse(page: &'a str) -> Self {
        let (title, text) = page.split_once('\n').unwrap_or((page, ""));
        let (mut samples, mut rest) = (Vec::new(), text);
        while let Some((_, after)) = rest.split_once("```sql ") {
            let (kind, body) = after.split_once('\n').unwrap_or((after, ""));
            let (body, after) = body.split_once("```").unwrap_or((body, ""));
            let (kind, how) = kind.trim().split_once(' ').unwrap_or((kind.trim(), ""));
            let kind = match kind {
                "before" => Some(SampleKind::Before),
                "bad" => Some(SampleKind::Bad),
                "good" => Some(SampleKind::Good),
                _ => None,
            };
            samples.extend(kind.map(|kind| RuleSample { kind, runs: how != "text", sql: body }));
            rest = after;
        }
        Self { title: title.trim_start_matches('#').trim(), text: text.trim(), samples }
    }

    /// The samples of one kind.
    pub fn of(&self, kind: SampleKind) -> impl Iterator<Item = RuleSample<'a>> {
        self.samples.iter().filter(move |block| block.kind == kind).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_title_a_text_and_samples() {
        let page = RulePage::parse(
            "# A title\n\nWhy.\n\n```sql bad text\na;\n```\n\nThen:\n\n```sql good\nb;\n```\n```sql good\nc;\n```\n",
        );
        assert_eq!(page.title, "A title");
        assert!(page.text.starts_with("Why."));
        assert_eq!(page.of(SampleKind::Bad).map(|one| (one.sql, one.runs)).collect::<Vec<_>>(), [("a;\n", false)]);
        assert_eq!(
            page.of(SampleKind::Good).map(|one| (one.sql, one.runs)).collect::<Vec<_>>(),
            [("b;\n", true), ("c;\n", true)]
        );
    }
}
