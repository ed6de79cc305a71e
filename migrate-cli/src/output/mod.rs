//! The output of the command line: text for people, JSON for programs.
//!
//! Results go to standard output; progress, remarks and errors go to standard error. With `--format json`, an error is
//! a JSON document on standard output.

pub(crate) mod clean;
mod event;
mod finding;
mod json;
mod phases;
pub(crate) mod printer;
mod progress;
pub(crate) mod style;
mod table;

use std::sync::Arc;
use std::time::Duration;

use event::ProgressEvent;
use migrate_core::{Database, RunReport};
use serde::Serialize;

use crate::cli::{Color, Format, GlobalArgs};
use crate::exit::Failure;
pub(crate) use finding::render;
pub(crate) use json::{DocumentJson, ErrorJson, FindingJson};
pub(crate) use phases::Phases;
use progress::ProgressMode;
pub(crate) use progress::{RunDisplay, StepBar};
pub(crate) use table::TextTable;

/// The output of this invocation.
#[derive(Debug, Clone)]
pub(crate) struct CliOutput {
    format: Format,
    quiet: bool,
    pub(crate) verbose: bool,
}

impl CliOutput {
    /// Creates it from the options; the colour choice applies to the whole process.
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        match global.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        Self { format: global.format, quiet: global.quiet, verbose: global.verbose > 0 }
    }

    /// JSON output, for options that could not be parsed.
    pub(crate) fn for_programs() -> Self {
        Self { format: Format::Json, quiet: false, verbose: false }
    }

    /// Whether only problems are printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether the output is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints a line of a text result; JSON has a document instead.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.is_json() {
            printer::out(text.as_ref());
        }
    }

    /// Prints lines of a table all at once, because there may be thousands. Its cells are what others wrote, so
    /// commands in them are not rewritten.
    pub(crate) fn lines(&self, lines: &[String]) {
        if !lines.is_empty() {
            self.quoted(lines.join("\n"));
        }
    }

    /// Prints a problem in a text result, with commands that are already rewritten; `--quiet` does not suppress it.
    pub(crate) fn wrong(&self, text: impl AsRef<str>) {
        if !self.is_json() {
            printer::quoted(text.as_ref());
        }
    }

    /// Prints a line of a list of names. A line break in a name is escaped, because it would look like two lines.
    pub(crate) fn item(&self, text: impl AsRef<str>) {
        self.quoted(text.as_ref().replace('\n', "\\n"));
    }

    /// Prints SQL or other text of the user as part of a result; commands in it are not rewritten.
    pub(crate) fn quoted(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.is_json() {
            printer::quoted(text.as_ref());
        }
    }

    /// Prints a line that is the requested result itself, such as a URL; `--quiet` does not suppress it.
    pub(crate) fn answer(&self, text: impl AsRef<str>) {
        printer::quoted(text.as_ref());
    }

    /// Prints a document that is the requested result itself, whatever the format is.
    pub(crate) fn written(&self, document: &str) {
        printer::json(document);
    }

    /// Prints lines that the runner of a CI system reads as commands.
    pub(crate) fn commands(&self, text: &str) {
        printer::commands(text);
    }

    /// Prints a text that is the requested result and goes to a file, so nothing in it may change, not even a control
    /// character.
    pub(crate) fn verbatim(&self, text: &str) {
        printer::verbatim(text);
    }

    /// Prints a remark on standard error.
    pub(crate) fn remark(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.is_json() {
            printer::err(text.as_ref());
        }
    }

    /// Prints a remark that repeats SQL or other text of the user; commands in it are not rewritten.
    pub(crate) fn quoted_remark(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.is_json() {
            printer::quoted_err(text.as_ref());
        }
    }

    /// Prints the next step, at the end.
    pub(crate) fn next(&self, text: impl AsRef<str>) {
        self.line(format!("\n{}next{:#} {}", style::GOOD, style::GOOD, text.as_ref()));
    }

    /// Prints the JSON document of the result.
    pub(crate) fn document<T: Serialize>(&self, document: &DocumentJson<'_, T>) {
        if self.is_json() {
            match serde_json::to_string_pretty(document) {
                Ok(text) => printer::json(&text),
                Err(error) => printer::err(&format!("error: the result cannot be written as JSON: {error}")),
            }
        }
    }

    /// Prints a part of the result for programs as soon as it is known: a line on standard error.
    pub(crate) fn event<T: Serialize>(&self, progress: &'static str, body: T) {
        #[derive(Serialize)]
        struct EventLineJson<T> {
            format: u32,
            progress: &'static str,
            #[serde(flatten)]
            body: T,
        }
        if self.is_json()
            && !self.quiet
            && let Ok(line) = serde_json::to_string(&EventLineJson { format: json::FORMAT, progress, body })
        {
            printer::event(&line);
        }
    }

    /// Prints findings that belong to no document, such as the old name of an option: for programs as events.
    pub(crate) fn notices(&self, findings: &[migrate_base::finding::Finding]) {
        #[derive(Serialize)]
        struct NoticeJson {
            finding: FindingJson,
        }
        self.findings(findings);
        findings.iter().for_each(|finding| self.event("notice", NoticeJson { finding: finding.into() }));
    }

    /// Reports that Ctrl-C was heard, and what happens now.
    pub(crate) fn interrupting(&self) {
        let what = "cancelling the running statement; press Ctrl-C again to exit immediately";
        match self.format {
            Format::Json if self.quiet => {}
            Format::Json => ProgressEvent::of("interrupting", None, Some(what.to_owned())).print(),
            Format::Text => printer::err(&format!("interrupting: {what}")),
        }
    }

    /// Prints findings that do not fail the command, such as warnings of a plan.
    pub(crate) fn findings(&self, findings: &[migrate_base::finding::Finding]) {
        if !self.is_json() {
            for finding in findings {
                printer::quoted_err(&render(finding));
            }
        }
    }

    /// Prints why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.is_json() {
            return printer::json(&json::failure(failure));
        }
        let findings = failure.findings();
        for finding in &findings {
            printer::quoted_err(&format!("{}\n", render(finding)));
        }
        if findings.len() > 1 {
            printer::err(&format!("{} problems", findings.len()));
        }
        if let Failure::Core(error) = failure
            && let Some(report) = RunReport::of(error)
            && !report.done.is_empty()
        {
            let count = style::count(report.done.len(), "migration");
            printer::err(&format!("{count} committed before the failure; `cargo xtask status` shows what is applied"));
        }
    }

    /// An observer that shows the progress of a run.
    pub(crate) fn display(&self) -> Arc<RunDisplay> {
        Arc::new(RunDisplay::new(self.voice()))
    }

    fn voice(&self) -> ProgressMode {
        match (self.quiet, self.format) {
            (true, _) => ProgressMode::Silent,
            (false, Format::Json) => ProgressMode::Json,
            (false, Format::Text) => ProgressMode::Text,
        }
    }

    /// Reports that a server is not reachable yet, and that the command waits for it.
    pub(crate) fn unreachable(&self, database: &Database, why: &str, left: Duration) {
        if self.quiet {
            return;
        }
        if self.is_json() {
            return ProgressEvent::waits(database, why, left).print();
        }
        self.remark(format!(
            "{} for {database}: {why} ({} left)",
            style::paint(style::WARN, "waiting"),
            style::time(left)
        ));
    }

    /// A progress bar for this number of steps on a terminal; elsewhere, nothing.
    pub(crate) fn bar(&self, steps: usize) -> StepBar {
        StepBar::new(self.quiet || self.is_json(), steps)
    }

    /// Shows the phases of work whose result is shown at the end.
    pub(crate) fn phases(&self) -> Phases {
        Phases::new(self.voice())
    }

    /// Reports what a managed server is doing.
    pub(crate) fn server(&self, progress: &migrate_test::ServerProgress) {
        self.remark(format!("{}{progress}{:#}", style::DIM, style::DIM));
    }
}
