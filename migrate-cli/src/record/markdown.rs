//! A run record as a Markdown page.

use std::fmt::Write as _;
use std::time::Duration;

use migrate_base::visible;
use migrate_core::source::title;

use super::{RowsChange, RunRecord, TableState};
use crate::invocation::spoken;
use crate::output::style;
use crate::report::escape::{fence, prose};

impl RunRecord {
    /// The page.
    pub(crate) fn markdown(&self) -> String {
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = self.page(&mut page);
        page
    }

    fn page(&self, page: &mut String) -> std::fmt::Result {
        writeln!(page, "# {} of {}: {}\n", self.command, prose(&visible::line(&self.environment)), self.outcome)?;
        if self.outcome == "running" {
            let told = "The run had not ended when this was written. If no run is in progress any more, its process \
                        was killed: `cargo xtask status` shows what is applied, and you can run the command again.";
            writeln!(page, "> {}\n", spoken(told))?;
        }
        self.facts(page)?;
        self.steps(page)?;
        list(page, "Data removed", self.plan.losses.iter().map(|loss| loss.sentence()))?;
        list(page, "Schema changes", self.difference.iter().cloned())?;
        self.rows_table(page)?;
        if let Some(error) = &self.error {
            let findings = error.iter().map(|finding| finding.sentence());
            list(page, "Error", findings)?;
        }
        let events = self.ledger.iter().map(|event| {
            let what = event.version.as_deref().or(event.fingerprint.as_deref()).unwrap_or_default();
            format!("{}: {} {what} at {}", event.id, event.event, event.at)
        });
        list(page, "Ledger rows", events)?;
        list(page, "Remarks", self.remarks.iter().cloned())?;
        self.sql(page)
    }

    fn facts(&self, page: &mut String) -> std::fmt::Result {
        let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "empty".to_owned());
        let who = self.actor.user.as_deref().unwrap_or("unknown");
        let host = self.actor.host.as_deref().unwrap_or("an unknown host");
        let time = self.milliseconds.map(|ms| style::time(Duration::from_secs_f64((ms / 1000.0).max(0.0))));
        let facts = [
            ("Database", visible::line(&self.database).into_owned()),
            ("Version", format!("{} → {}", version(&self.version_before), version(&self.version_after))),
            ("Who", format!("{who} on {host}, as role {}", self.actor.role)),
            ("Reason", self.reason.clone().unwrap_or_else(|| "not given".to_owned())),
            ("Commit", self.actor.commit.clone().unwrap_or_else(|| "unknown".to_owned())),
            ("Started", self.started.clone()),
            ("Ended", self.ended.clone().unwrap_or_else(|| "not yet".to_owned())),
            ("Duration", time.unwrap_or_else(|| "not known yet".to_owned())),
            ("Data", (if self.keeps_data { "kept before it was removed" } else { "not kept" }).to_owned()),
        ];
        writeln!(page, "| | |\n|---|---|")?;
        for (name, value) in facts {
            writeln!(page, "| {name} | {} |", prose(&value))?;
        }
        if let Some(advice) = &self.plan.advice {
            writeln!(page, "| Advice | {}: {} |", advice.verdict, prose(&advice.reason))?;
        }
        writeln!(page)
    }

    fn steps(&self, page: &mut String) -> std::fmt::Result {
        writeln!(page, "## Migrations\n\n| migration | direction | kind | locks | state |\n|---|---|---|---|---|")?;
        for step in &self.plan.steps {
            let state = if self.done.contains(&step.version) { "done" } else { "not done" };
            let locks: Vec<String> = step.locks.iter().map(|lock| format!("{} on {}", lock.mode, lock.table)).collect();
            writeln!(
                page,
                "| {} | {} | {} | {} | {state} |",
                prose(&title(&step.version, &step.name)),
                step.direction,
                step.kind,
                prose(&locks.join(", "))
            )?;
        }
        writeln!(page)
    }

    fn rows_table(&self, page: &mut String) -> std::fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let shown = |rows: Option<TableState>| rows.map_or("none".to_owned(), |rows| rows.rows.to_string());
        writeln!(page, "## Rows\n\n| table | before | after |\n|---|---|---|")?;
        for RowsChange { table, before, after } in &self.rows {
            writeln!(page, "| {} | {} | {} |", prose(table), shown(*before), shown(*after))?;
        }
        writeln!(page)
    }

    fn sql(&self, page: &mut String) -> std::fmt::Result {
        writeln!(page, "## SQL")?;
        for step in &self.plan.steps {
            let sql = step.sql.as_deref().unwrap_or("-- written in Rust");
            let lines: Vec<String> = sql.trim().lines().map(str::to_owned).collect();
            let title = prose(&format!("{}, {}", title(&step.version, &step.name), step.direction));
            write!(page, "\n{title}:\n\n{}", fence("sql", &lines))?;
        }
        Ok(())
    }
}

fn list(page: &mut String, title: &str, lines: impl Iterator<Item = String>) -> std::fmt::Result {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return Ok(());
    }
    writeln!(page, "## {title}\n")?;
    for line in lines {
        writeln!(page, "- {}", prose(&line))?;
    }
    writeln!(page)
}
