//! How the command line speaks: text for people, JSON for programs, one place for both.
//!
//! Results go to standard output; progress, remarks and errors go to standard error, except
//! that an error is a JSON document on standard output when JSON is asked for.

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

use migrate_core::Database;
use serde::Serialize;

use crate::cli::{Color, Format, Global};
use crate::exit::Failure;

use event::Event;
pub(crate) use finding::render;
pub(crate) use json::{Document, ErrorJson, FindingJson};
pub(crate) use phases::Phases;
use progress::Voice;
pub(crate) use progress::{Bar, Display};
pub(crate) use table::Table;

/// How to speak in this invocation.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    pub(crate) verbose: bool,
}

impl Output {
    /// Decides by the options; the colour choice holds for the whole process.
    pub(crate) fn new(global: &Global) -> Self {
        match global.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        Self { format: global.format, quiet: global.quiet, verbose: global.verbose > 0 }
    }

    /// One for programs, where the options could not be read.
    pub(crate) fn for_programs() -> Self {
        Self { format: Format::Json, quiet: false, verbose: false }
    }

    /// Whether only what is wrong is wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether programs are listening.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A line of a result, for people; JSON has its document instead.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.is_json() {
            printer::out(text.as_ref());
        }
    }

    /// Lines of a result, for people, all at once: there may be thousands.
    pub(crate) fn lines(&self, lines: &[String]) {
        if !lines.is_empty() {
            self.line(lines.join("\n"));
        }
    }

    /// Something that is wrong, for people: quiet does not drop it.
    pub(crate) fn wrong(&self, text: impl AsRef<str>) {
        if !self.is_json() {
            printer::out(text.as_ref());
        }
    }

    /// A line of a list. A line break in a name would make it look like two, and is shown.
    pub(crate) fn item(&self, text: impl AsRef<str>) {
        self.line(text.as_ref().replace('\n', "\\n"));
    }

    /// SQL or another text of the user's as a part of a result, in which no command is one of ours.
    pub(crate) fn quoted(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.is_json() {
            printer::quoted(text.as_ref());
        }
    }

    /// A line of a result that is the answer itself, such as a URL: quiet does not drop it.
    pub(crate) fn answer(&self, text: impl AsRef<str>) {
        printer::quoted(text.as_ref());
    }

    /// A document that is the answer itself, whatever the format is.
    pub(crate) fn written(&self, document: &str) {
        printer::json(document);
    }

    /// Lines for the runner of a system for CI, which reads commands in them.
    pub(crate) fn commands(&self, text: &str) {
        printer::commands(text);
    }

    /// A text that is the answer itself and goes into a file, so that nothing of it may be changed, not even a control character.
    pub(crate) fn verbatim(&self, text: &str) {
        printer::verbatim(text);
    }

    /// A remark beside the result.
    pub(crate) fn remark(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.is_json() {
            printer::err(text.as_ref());
        }
    }

    /// The next step, at the end.
    pub(crate) fn next(&self, text: impl AsRef<str>) {
        self.line(format!("\n{}next{:#} {}", style::GOOD, style::GOOD, text.as_ref()));
    }

    /// The result for programs.
    pub(crate) fn document<T: Serialize>(&self, document: &Document<'_, T>) {
        if self.is_json() {
            match serde_json::to_string_pretty(document) {
                Ok(text) => printer::json(&text),
                Err(error) => printer::err(&format!("error: the result cannot be written as JSON: {error}")),
            }
        }
    }

    /// A part of the result for programs, as soon as it is known: a line on standard error.
    pub(crate) fn event<T: Serialize>(&self, progress: &'static str, body: T) {
        #[derive(Serialize)]
        struct Line<T> {
            format: u32,
            progress: &'static str,
            #[serde(flatten)]
            body: T,
        }
        if self.is_json()
            && !self.quiet
            && let Ok(line) = serde_json::to_string(&Line { format: json::FORMAT, progress, body })
        {
            printer::event(&line);
        }
    }

    /// Findings that stop nothing, such as warnings of a plan.
    pub(crate) fn findings(&self, findings: &[migrate_core::finding::Finding]) {
        if !self.is_json() {
            for finding in findings {
                printer::err(&render(finding));
            }
        }
    }

    /// Why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.is_json() {
            return printer::json(&json::failure(failure));
        }
        let findings = failure.findings();
        for finding in &findings {
            printer::err(&format!("{}\n", render(finding)));
        }
        if findings.len() > 1 {
            printer::err(&format!("{} problems", findings.len()));
        }
        if let Failure::Core(error) = failure
            && let Some(report) = error.report()
            && !report.done.is_empty()
        {
            let count = style::count(report.done.len(), "migration");
            printer::err(&format!("{count} committed before it; `cargo xtask status` shows where the chain stands"));
        }
    }

    /// What hears the progress of a run.
    pub(crate) fn display(&self) -> Arc<Display> {
        Arc::new(Display::new(self.voice()))
    }

    fn voice(&self) -> Voice {
        match (self.quiet, self.format) {
            (true, _) => Voice::Silent,
            (false, Format::Json) => Voice::Json,
            (false, Format::Text) => Voice::Text,
        }
    }

    /// A server is not there yet, and is waited for.
    pub(crate) fn unreachable(&self, database: &Database, why: &str, left: Duration) {
        if self.quiet {
            return;
        }
        if self.is_json() {
            return Event::waits(database, why, left).print();
        }
        self.remark(format!(
            "{} for {database}: {why} ({} left)",
            style::paint(style::WARN, "waiting"),
            style::time(left)
        ));
    }

    /// A bar for so many steps, on a terminal; nothing elsewhere.
    pub(crate) fn bar(&self, steps: usize) -> Bar {
        Bar::new(self.quiet || self.is_json(), steps)
    }

    /// The phases of work whose result is shown at its end.
    pub(crate) fn phases(&self) -> Phases {
        Phases::new(self.voice())
    }

    /// What a managed server is doing.
    pub(crate) fn server(&self, progress: &migrate_test::Progress) {
        self.remark(format!("{}{progress}{:#}", style::DIM, style::DIM));
    }
}
