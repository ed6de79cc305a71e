//! The error of this library: what kind it is, and the findings that tell the story.
//!
//! A kind is for programs, which decide by it (retry, exit code); the findings are for people.
//! One failure can have many findings: a folder reports all its problems at once.

use std::error::Error as StdError;
use std::fmt;

use crate::finding::Finding;
use crate::runner::RunReport;

/// What every function of this library that can fail returns.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for a program to decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A migration file, or the folder, is not as it has to be; nothing was run.
    Files,
    /// `migrate.toml`, an option or an environment variable is wrong.
    Configuration,
    /// The database cannot be reached, or does not let us in.
    Connection,
    /// The files and the ledger do not fit together; nothing was run.
    Plan,
    /// The ledger changed between planning and running; nothing was run.
    Stale,
    /// Somebody else holds the migration lock, or it was lost.
    Lock,
    /// The server refused a statement of a migration.
    Statement,
    /// A migration written in Rust returned an error.
    Code,
    /// The ledger cannot be read or written.
    Ledger,
    /// The run was interrupted on request.
    Cancelled,
    /// The database is older than what was asked for.
    Behind,
}

impl ErrorKind {
    /// The word for it, as it stands in JSON: `statement`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Configuration => "configuration",
            Self::Connection => "connection",
            Self::Plan => "plan",
            Self::Stale => "stale",
            Self::Lock => "lock",
            Self::Statement => "statement",
            Self::Code => "code",
            Self::Ledger => "ledger",
            Self::Cancelled => "cancelled",
            Self::Behind => "behind",
        }
    }

    /// The exit code of a program that ends with it: 1 where it failed, 2 for wrong usage or configuration, 3 where it found
    /// problems and ran nothing.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Configuration => 2,
            Self::Files | Self::Plan | Self::Behind => 3,
            Self::Connection
            | Self::Stale
            | Self::Lock
            | Self::Statement
            | Self::Code
            | Self::Ledger
            | Self::Cancelled => 1,
        }
    }
}

/// A failure: its kind, the findings that explain it, and what was done before it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    findings: Vec<Finding>,
    sqlstate: Option<String>,
    report: Option<RunReport>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure with one finding.
    pub fn new(kind: ErrorKind, finding: Finding) -> Self {
        Self::of(kind, vec![finding])
    }

    /// A failure with several findings.
    pub fn of(kind: ErrorKind, findings: Vec<Finding>) -> Self {
        Self(Box::new(Inner { kind, findings, sqlstate: None, report: None, source: None }))
    }

    /// Keeps the error that caused this one.
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Keeps the server's SQLSTATE.
    pub(crate) fn with_sqlstate(mut self, code: impl Into<String>) -> Self {
        self.0.sqlstate = Some(code.into());
        self
    }

    /// Keeps what was done before the failure.
    pub(crate) fn with_report(mut self, report: RunReport) -> Self {
        self.0.report = Some(report);
        self
    }

    /// Says where the first finding is.
    pub(crate) fn at(mut self, place: crate::finding::Place) -> Self {
        if let Some(first) = self.0.findings.first_mut() {
            first.place = Some(place);
        }
        self
    }

    /// The same failure under another code, in other words, with another way out; place and facts stay.
    pub(crate) fn rewritten(mut self, code: &'static str, message: String, help: Vec<String>) -> Self {
        if let Some(first) = self.0.findings.first_mut() {
            (first.code, first.message, first.help) = (code, message, help);
        }
        self
    }

    /// Gives the first finding this next step in place of general ones.
    pub(crate) fn help_instead(mut self, help: impl Into<String>) -> Self {
        if let Some(first) = self.0.findings.first_mut() {
            first.help = vec![help.into()];
        }
        self
    }

    /// Adds a next step to the first finding.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        if let Some(first) = self.0.findings.first_mut() {
            first.help.push(help.into());
        }
        self
    }

    /// Adds a fact to the first finding.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        if let Some(first) = self.0.findings.first_mut() {
            first.notes.push(note.into());
        }
        self
    }

    /// What went wrong, for a program to decide by.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The findings, the most important first; never empty.
    pub fn findings(&self) -> &[Finding] {
        &self.0.findings
    }

    /// The server's SQLSTATE, where the server refused something.
    ///
    /// See <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    pub fn sqlstate(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }

    /// What was applied or rolled back, and committed, before a run failed.
    pub fn report(&self) -> Option<&RunReport> {
        self.0.report.as_ref()
    }
}

/// Writes the findings, a line each.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.0.findings.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
