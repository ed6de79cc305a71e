//! A report as Markdown, for a job summary or a comment: the verdict comes first, the diagram last.
//!
//! GitHub refuses a summary of more than 1 MiB. A longer one is cut at the beginning of a part, and says so.

use migrate_base::finding::Finding;

use super::escape::{code, fence, prose};
use super::{CheckOutcome, CheckResult, CiReport, MigrationResult, ResultMark, StrongestLock, mermaid, place};
use crate::invocation::spoken_finding;
use crate::output::style;

/// The limit of GitHub, minus some room for what another step has already written to the summary.
const LIMIT: usize = 1024 * 1024 - 64 * 1024;

/// From this length on, Mermaid shows only an error.
const DIAGRAM: usize = 50_000;

/// The whole report.
pub(crate) fn render(report: &CiReport) -> String {
    within(report, LIMIT)
}

fn within(report: &CiReport, limit: usize) -> String {
    let mut page = MarkdownPage { text: String::new(), limit: limit.saturating_sub(200), left_out: 0 };
    verdict(&mut page, report);
    migrations(&mut page, report);
    checks(&mut page, report);
    for check in report.checks.iter().filter(|check| !check.findings.is_empty()) {
        findings(&mut page, check);
    }
    difference(&mut page, report);
    diagram(&mut page, report);
    page.end()
}

/// A text that grows up to a limit.
struct MarkdownPage {
    text: String,
    limit: usize,
    left_out: usize,
}

impl MarkdownPage {
    /// Adds a part, unless it or an earlier part does not fit: half a table is better than rows without a
    /// head.
    fn add(&mut self, part: impl AsRef<str>) {
        let part = part.as_ref();
        if self.left_out > 0 || self.text.len() + part.len() > self.limit {
            self.left_out += 1;
        } else {
            self.text.push_str(part);
        }
    }

    fn row(&mut self, cells: &[String]) {
        self.add(format!("| {} |\n", cells.join(" | ")));
    }

    /// The head of a table, with the line under it.
    fn head(&mut self, title: &str, names: &[&str]) {
        let line = "|---".repeat(names.len());
        self.add(format!("\n### {title}\n\n| {} |\n{line}|\n", names.join(" | ")));
    }

    fn end(mut self) -> String {
        if self.left_out > 0 {
            let parts = style::count(self.left_out, "more part");
            self.text.push_str(&format!("\n**Shortened: {parts} did not fit into this summary.** "));
            self.text.push_str("The job log has the complete report.\n");
        }
        self.text
    }
}

fn verdict(page: &mut MarkdownPage, report: &CiReport) {
    let word = if report.failed() { "failed" } else { "passed" };
    let against = report.base.as_ref().map(|base| format!(" against {}", prose(base))).unwrap_or_default();
    let time = style::time(report.elapsed);
    page.add(format!("## Migration check {word}\n\n{}{against}, in {time}.\n", report.counts()));
}

fn migrations(page: &mut MarkdownPage, report: &CiReport) {
    if report.migrations.is_empty() {
        return;
    }
    let names = [
        "Migration",
        "Applied",
        "Rolled back",
        "Reapplied",
        "Data kept",
        "Strongest lock up",
        "Strongest lock down",
        "Rewrites",
        "Time",
    ];
    page.head("New migrations", &names);
    for judged in &report.migrations {
        page.row(&cells(judged));
    }
}

fn cells(judged: &MigrationResult) -> [String; 9] {
    let held = |held: Option<&StrongestLock>| match held {
        Some(StrongestLock { mode, table }) => format!("{mode} on {}", code(table)),
        None => "none".to_owned(),
    };
    let rewritten: Vec<String> = judged.rewritten.iter().map(|table| code(table)).collect();
    [
        code(&judged.title()),
        mark(judged.applied),
        mark(judged.rolled_back),
        mark(judged.reapplied),
        mark(judged.data) + &judged.rested(),
        held(judged.lock.as_ref()),
        held(judged.lock_down.as_ref()),
        if rewritten.is_empty() { "none".to_owned() } else { rewritten.join(", ") },
        style::time(judged.elapsed),
    ]
}

fn mark(mark: ResultMark) -> String {
    match mark {
        ResultMark::No => "**NO**".to_owned(),
        ResultMark::Unknown => "not checked".to_owned(),
        mark => mark.as_str().to_owned(),
    }
}

fn checks(page: &mut MarkdownPage, report: &CiReport) {
    page.head("Checks", &["Check", "Result", "Summary", "Time"]);
    for check in &report.checks {
        let (word, time) = match check.outcome() {
            CheckOutcome::Failed => ("**failed**".to_owned(), style::time(check.elapsed)),
            CheckOutcome::Skipped => ("skipped".to_owned(), String::new()),
            outcome => (outcome.as_str().to_owned(), style::time(check.elapsed)),
        };
        page.row(&[check.name.to_owned(), word, prose(check.told()), time]);
    }
}

fn findings(page: &mut MarkdownPage, check: &CheckResult) {
    page.add(format!("\n### Findings of {}\n\n", check.name));
    for finding in &check.findings {
        page.add(item(finding));
    }
}

/// A list item, with notes and help below.
fn item(finding: &Finding) -> String {
    let finding = spoken_finding(finding);
    let place = finding.place.as_ref().map(|place| format!(" at {}", code(&place::file_line(place))));
    let place = place.unwrap_or_default();
    let mut item = format!(
        "- **{}** {}{place}: {}\n",
        finding.severity.as_str(),
        code(finding.code.as_str()),
        prose(&finding.message)
    );
    for note in &finding.notes {
        item.push_str(&format!("  - note: {}\n", prose(note)));
    }
    for help in &finding.help {
        item.push_str(&format!("  - next: {}\n", prose(help)));
    }
    item
}

fn difference(page: &mut MarkdownPage, report: &CiReport) {
    if !report.difference.is_empty() {
        page.add(format!("\n### Schema changes\n\n{}", fence("diff", &report.difference)));
    }
}

fn diagram(page: &mut MarkdownPage, report: &CiReport) {
    if report.tables.is_empty() {
        return;
    }
    let diagram = mermaid::render(&report.tables);
    if diagram.len() < DIAGRAM {
        let lines: Vec<String> = diagram.lines().map(str::to_owned).collect();
        page.add(format!("\n### Changed tables\n\n{}", fence("mermaid", &lines)));
    } else {
        let tables = style::count(report.tables.len(), "table");
        page.add(format!("\n### Changed tables\n\n{tables} change: too many for a diagram.\n"));
    }
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

    use super::*;
    use crate::report::sample;

    #[test]
    fn the_sample() {
        sample::check("summary.md", render(&sample::report()));
    }

    /// The number of cells in each row of each table.
    fn widths(markdown: &str) -> Vec<usize> {
        let (mut widths, mut cells) = (Vec::new(), 0);
        for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::TableCell) => cells += 1,
                Event::End(TagEnd::TableHead | TagEnd::TableRow) => widths.push(std::mem::take(&mut cells)),
                _ => {}
            }
        }
        widths
    }

    #[test]
    fn rows_are_as_wide_as_their_heads() {
        assert_eq!(widths(&render(&sample::report())), [9, 9, 9, 4, 4, 4, 4, 4, 4, 4]);
    }

    #[test]
    fn a_long_report_is_cut_and_says_so() {
        let mut report = sample::report();
        let one = report.checks[2].findings.clone();
        report.checks[2].findings = one.iter().cycle().take(20_000).cloned().collect();
        let text = render(&report);
        assert!(text.len() <= LIMIT && text.len() > LIMIT - 2000, "{}", text.len());
        assert!(text.ends_with("The job log has the complete report.\n"));
        for limit in (0..5000).step_by(97) {
            assert!(within(&sample::report(), limit).len() <= limit.max(200));
        }
    }

    #[test]
    fn a_diagram_of_everything_is_left_out() {
        let mut report = sample::report();
        report.tables = report.tables.iter().cycle().take(1000).cloned().collect();
        assert!(render(&report).contains("1000 tables change: too many for a diagram."));
    }
}
