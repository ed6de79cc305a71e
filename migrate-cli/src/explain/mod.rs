//! The explanation of every code: what was found, why it matters, and how to fix it.
//!
//! The pages of the rules for SQL are in migrate-review. The texts of all other codes are here, by theme, in Markdown:
//! a heading with the code, a line with the title, and the text. The terminal, JSON and docs/CODES.md use the same
//! texts.

use migrate_base::codes::{self, Code};
use migrate_base::finding::Severity;
use migrate_base::suggest;
use migrate_review::lint::{self, RuleClass};

/// The explanation of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodeExplanation {
    /// The code of the finding.
    pub(crate) code: Code,
    /// The theme that it belongs to.
    pub(crate) theme: &'static str,
    /// Its severity; `None` for a rule that is off.
    pub(crate) weight: Option<Severity>,
    /// The title, in one line.
    pub(crate) title: &'static str,
    /// The text, in Markdown.
    pub(crate) text: &'static str,
}

/// The themes, in the order of the document, each with its texts.
const THEMES: [(&str, &str); 14] = [
    ("Files and directives", include_str!("files.md")),
    ("Released and edited", include_str!("released.md")),
    ("The ledgers of other tools", include_str!("other_ledgers.md")),
    ("Another tool that runs the chain", include_str!("engine.md")),
    ("The proof", include_str!("proof.md")),
    ("Locks on a shadow database", include_str!("locks.md")),
    ("Runs and the ledger", include_str!("runs.md")),
    ("Production", include_str!("production.md")),
    ("Drift, and the audit of DDL", include_str!("drift.md")),
    ("Runbooks", include_str!("runbook.md")),
    ("Consumers", include_str!("consumers.md")),
    ("What breaks a consumer", include_str!("consumer_checks.md")),
    ("Connections and servers", include_str!("servers.md")),
    ("Commands and configuration", include_str!("commands.md")),
];

/// Every code by theme, the rules for SQL first.
pub(crate) fn all() -> impl Iterator<Item = CodeExplanation> {
    let rules = lint::rules().map(|rule| {
        let page = rule.page();
        CodeExplanation {
            code: rule.code,
            theme: class(rule.class),
            weight: rule.weight,
            title: page.title,
            text: page.text,
        }
    });
    let mut rules: Vec<CodeExplanation> = rules.collect();
    rules.sort_by_key(|entry| CLASSES.iter().position(|(_, theme)| *theme == entry.theme));
    rules.into_iter().chain(THEMES.iter().flat_map(|(theme, texts)| entries(theme, texts)))
}

const CLASSES: [(RuleClass, &str); 4] = [
    (RuleClass::Locks, "SQL rules: locks"),
    (RuleClass::Breaks, "SQL rules: breaking changes"),
    (RuleClass::Design, "SQL rules: design"),
    (RuleClass::Security, "SQL rules: security"),
];

fn class(class: RuleClass) -> &'static str {
    CLASSES.iter().find(|(known, _)| *known == class).map_or("", |(_, theme)| theme)
}

fn entries(theme: &'static str, texts: &'static str) -> impl Iterator<Item = CodeExplanation> {
    headed(texts).filter_map(move |(head, body)| {
        let code = codes::find(head)?;
        let (title, text) = body.trim_start().split_once('\n').unwrap_or((body.trim(), ""));
        Some(CodeExplanation { code, theme, weight: Some(code.severity()), title: title.trim(), text: text.trim() })
    })
}

/// The heading and the text of each section.
fn headed(texts: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let sections = texts.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
    sections.map(|(head, body)| (head.trim(), body))
}

/// The entry of a code, or the most similar code.
pub(crate) fn find(code: &str) -> Result<CodeExplanation, Option<&'static str>> {
    all().find(|entry| entry.code == code).ok_or_else(|| {
        let codes: Vec<&'static str> = all().map(|entry| entry.code.as_str()).collect();
        suggest::nearest(code, codes.iter().copied())
    })
}

/// All entries as one document.
pub(crate) fn document() -> String {
    let mut text = String::from(
        "# Codes\n\nEvery finding has a code that never changes. `cargo xtask explain CODE` shows the section of a \
         code. This page is written by `cargo xtask explain --markdown`.\n\nTo change the severity of a rule for SQL, \
         write `ban-drop-column = \"warning\"` under `[lint]` in `migrate.toml`. If a migration breaks a rule for a \
         good reason, say so at the top of the file: `-- migrate: allow RULE REASON`.\n",
    );
    let mut theme = "";
    for entry in all() {
        if entry.theme != theme {
            theme = entry.theme;
            text += &format!("\n## {theme}\n");
        }
        let weight = entry.weight.map_or("off", Severity::as_str);
        text += &format!("\n### {}\n\n**{}.** ({weight})\n\n{}\n", entry.code, entry.title, entry.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The table of codes and the pages agree: nothing is reported that `explain` does not know, and nothing is
    /// explained that is never reported.
    #[test]
    fn each_code_has_one_page_and_each_page_a_code() {
        let pages: Vec<&str> = THEMES.iter().flat_map(|(_, texts)| headed(texts)).map(|(head, _)| head).collect();
        let unique: BTreeSet<&str> = pages.iter().copied().collect();
        assert_eq!(unique.len(), pages.len(), "a code has two pages");
        let codes: BTreeSet<&str> = codes::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(unique, codes);
        assert!(
            lint::rules().all(|rule| codes::find(rule.code.as_str()).is_none()),
            "a rule has the code of something else"
        );
    }
}
