//! A report for the terminal, in the style of the other commands. Colours are removed on output if they are not wanted.

use super::{CheckOutcome, CiReport, MigrationResult, ResultMark, StrongestLock};
use crate::output::style::{self, BAD, BOLD, DIM, GOOD, MarkedStyle, PLAIN, WARN, paint};
use crate::output::{self, TextTable};

/// A line for each check, the findings, the results for the new migrations, and the summary.
pub(crate) fn render(report: &CiReport) -> String {
    let mut lines = checks(report);
    for finding in report.findings() {
        lines.extend([String::new(), output::render(finding)]);
    }
    if !report.migrations.is_empty() {
        lines.push(String::new());
        lines.extend(migrations(&report.migrations));
    }
    lines.extend([String::new(), closing(report)]);
    lines.join("\n")
}

fn checks(report: &CiReport) -> Vec<String> {
    let mut table = TextTable::default();
    for check in &report.checks {
        let (style, told) = match check.outcome() {
            CheckOutcome::Passed => (GOOD, PLAIN),
            CheckOutcome::Warned => (WARN, PLAIN),
            CheckOutcome::Failed => (BAD, PLAIN),
            CheckOutcome::Skipped => (DIM, DIM),
        };
        let mut row = vec![
            (style, check.outcome().as_str().to_owned()),
            (BOLD, check.name.to_owned()),
            // A reason may be a message of several lines, which would break the columns.
            (told, check.told().split_whitespace().collect::<Vec<_>>().join(" ")),
        ];
        if check.outcome() != CheckOutcome::Skipped {
            row.push((DIM, style::time(check.elapsed)));
        }
        table.row(row);
    }
    indented(&table)
}

fn migrations(migrations: &[MigrationResult]) -> Vec<String> {
    let mut table = TextTable::default();
    let head = ["", "", "applied", "rolled back", "reapplied", "data", "lock up", "lock down", "rewrites", "time"];
    table.row(head.map(|word| (DIM, word.to_owned())));
    for judged in migrations {
        let marks = [judged.applied, judged.rolled_back, judged.reapplied, judged.data].map(mark);
        let mut row = vec![(BOLD, judged.version.to_string()), (PLAIN, judged.name.clone())];
        row.extend(marks);
        if let Some((_, data)) = row.last_mut() {
            data.push_str(&judged.rested());
        }
        row.extend([lock(judged.lock.as_ref()), lock(judged.lock_down.as_ref()), rewrites(&judged.rewritten)]);
        row.push((DIM, style::time(judged.elapsed)));
        table.row(row);
    }
    indented(&table)
}

fn mark(mark: ResultMark) -> (MarkedStyle, String) {
    match mark {
        ResultMark::Yes => (GOOD, "yes".to_owned()),
        ResultMark::No => (BAD, "NO".to_owned()),
        ResultMark::Declared => (WARN, "declared".to_owned()),
        ResultMark::Unknown => (DIM, "-".to_owned()),
    }
}

fn lock(held: Option<&StrongestLock>) -> (MarkedStyle, String) {
    match held {
        Some(held) => (PLAIN, format!("{} on {}", held.mode, held.table)),
        None => (DIM, "none".to_owned()),
    }
}

fn rewrites(tables: &[String]) -> (MarkedStyle, String) {
    if tables.is_empty() { (DIM, "none".to_owned()) } else { (WARN, tables.join(", ")) }
}

fn indented(table: &TextTable) -> Vec<String> {
    table.lines().into_iter().map(|line| format!("  {line}")).collect()
}

/// `7 checks passed, 3 new migrations against origin/main at 1a2b3c4, in 1.2 s`.
fn closing(report: &CiReport) -> String {
    let against = report.base.as_ref().map(|base| format!(" against {base}")).unwrap_or_default();
    let counts = paint(if report.failed() { BAD } else { BOLD }, report.counts());
    format!("{counts}{against}, in {}", style::time(report.elapsed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{ReportScope, sample};

    #[test]
    fn the_sample() {
        let text = render(&sample::report());
        sample::check("terminal.txt", anstream::adapter::strip_str(&text).to_string());
    }

    #[test]
    fn what_is_good_is_short() {
        let scope = ReportScope::New(0);
        let text = render(&CiReport { scope, base: Some("main at 1a2b3c4".to_owned()), ..CiReport::default() });
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "\n0 checks passed, 0 new migrations against main at 1a2b3c4, in 0.0 ms");
    }
}
