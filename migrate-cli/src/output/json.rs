//! JSON documents for programs. The format is stable: see docs/FORMATS.md.

use migrate_base::finding::Finding;
use migrate_core::RunReport;
use serde::Serialize;

use crate::exit::Failure;
use crate::invocation::spoken_finding;

/// The version of the format of all documents; it changes when a field is removed or changes its meaning.
pub(super) const FORMAT: u32 = 1;

/// The fields of every document, around those of the command.
#[derive(Debug, Serialize)]
pub(crate) struct Document<'a, T> {
    format: u32,
    command: &'a str,
    environment: &'a str,
    #[serde(flatten)]
    body: T,
}

impl<'a, T: Serialize> Document<'a, T> {
    pub(crate) fn new(command: &'a str, environment: &'a str, body: T) -> Self {
        Self { format: FORMAT, command, environment, body }
    }
}

/// A finding as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct FindingJson {
    code: &'static str,
    severity: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    notes: Vec<String>,
    help: Vec<String>,
}

impl FindingJson {
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// `file:line`, if the finding has a place.
    pub(crate) fn place(&self) -> Option<String> {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        self.file.as_ref().map(|file| format!("{file}{line}"))
    }

    /// The place, the message, the notes and the help in one line.
    pub(crate) fn sentence(&self) -> String {
        let place = self.place().map(|place| format!("{place}: ")).unwrap_or_default();
        let more: String = self.notes.iter().chain(&self.help).map(|text| format!("; {text}")).collect();
        format!("{place}{} [{}]{more}", self.message, self.code)
    }
}

impl From<&Finding> for FindingJson {
    fn from(finding: &Finding) -> Self {
        let finding = spoken_finding(finding);
        let position = finding.place.as_ref().and_then(migrate_base::finding::Place::line_column);
        Self {
            code: finding.code.as_str(),
            severity: finding.severity.as_str(),
            message: finding.message,
            file: finding.place.as_ref().map(|place| place.path().display().to_string()),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            notes: finding.notes,
            help: finding.help,
        }
    }
}

#[derive(Serialize)]
struct FailureJson {
    format: u32,
    error: ErrorJson,
    done: Vec<String>,
}

/// Why a command failed, as JSON.
#[derive(Serialize)]
pub(crate) struct ErrorJson {
    kind: &'static str,
    exit_code: u8,
    sqlstate: Option<String>,
    findings: Vec<FindingJson>,
}

impl From<&Failure> for ErrorJson {
    fn from(failure: &Failure) -> Self {
        let sqlstate = match failure {
            Failure::Core(error) => error.sqlstate().map(str::to_owned),
            _ => None,
        };
        Self {
            kind: failure.kind(),
            exit_code: failure.exit() as u8,
            sqlstate,
            findings: failure.findings().iter().map(FindingJson::from).collect(),
        }
    }
}

/// The document of a command that failed.
pub(super) fn failure(failure: &Failure) -> String {
    let done = match failure {
        Failure::Core(error) => {
            RunReport::of(error).map(|report| report.done.iter().map(|done| done.version.clone()).collect())
        }
        _ => None,
    };
    let document = FailureJson { format: FORMAT, error: failure.into(), done: done.unwrap_or_default() };
    serde_json::to_string_pretty(&document).unwrap_or_default()
}
