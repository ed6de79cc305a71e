//! The error type of this library: a kind, and the findings that describe what went wrong.
//!
//! The kind is for programs, which use it to decide what to do (retry, exit code); the findings are for people. One
//! failure can have many findings: a folder reports all its problems at once.

use crate::codes::Code;
use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::process::ExitCode;

use crate::finding::Finding;

/// The result of every function of this library that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// The kind of failure, on which a program can base a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A migration file or the migrations folder is not valid; nothing was run.
    Files,
    /// `migrate.toml`, an option or an environment variable is wrong.
    Configuration,
    /// The database cannot be reached or refuses the connection.
    Connection,
    /// The files and the ledger do not match; nothing was run.
    Plan,
    /// The ledger changed between planning and running; nothing was run.
    Stale,
    /// Another session holds the migration lock, or the lock was lost.
    Lock,
    /// The server refused a statement of a migration.
    Statement,
    /// A migration written in Rust returned an error.
    Code,
    /// The ledger cannot be read or written.
    Ledger,
    /// The run was cancelled on request.
    Cancelled,
    /// The database is older than the requested version.
    Behind,
}

/// How a command ended. The numbers are documented in `--help` and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command succeeded.
    Done = 0,
    /// The command failed; the message says what was kept.
    Failed = 1,
    /// Wrong usage or configuration; nothing was run.
    Usage = 2,
    /// The command found something: problems, or pending migrations with `--exit-code`.
    Found = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl ErrorKind {
    /// The name of the kind, as in JSON: `statement`.
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

    /// How a program that fails with it ends.
    pub fn exit(self) -> Exit {
        match self {
            Self::Configuration => Exit::Usage,
            Self::Files | Self::Plan | Self::Behind => Exit::Found,
            Self::Connection
            | Self::Stale
            | Self::Lock
            | Self::Statement
            | Self::Code
            | Self::Ledger
            | Self::Cancelled => Exit::Failed,
        }
    }
}

/// A failure: its kind, the findings that explain it, and what was done before it happened.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    findings: Vec<Finding>,
    sqlstate: Option<String>,
    carried: Option<Box<dyn Any + Send + Sync>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates a failure with one finding.
    pub fn new(kind: ErrorKind, finding: Finding) -> Self {
        Self::of(kind, vec![finding])
    }

    /// Creates a failure with several findings.
    pub fn of(kind: ErrorKind, findings: Vec<Finding>) -> Self {
        Self(Box::new(Inner { kind, findings, sqlstate: None, carried: None, source: None }))
    }

    /// Attaches the error that caused this one.
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Attaches the server's SQLSTATE.
    pub fn with_sqlstate(mut self, code: impl Into<String>) -> Self {
        self.0.sqlstate = Some(code.into());
        self
    }

    /// Carries a value for whoever handles the error, such as the report of a run; an earlier one is replaced.
    pub fn carrying(mut self, value: impl Any + Send + Sync) -> Self {
        self.0.carried = Some(Box::new(value));
        self
    }

    /// Sets the place of the first finding.
    pub fn at(mut self, place: crate::finding::Place) -> Self {
        if let Some(first) = self.0.findings.first_mut() {
            first.place = Some(place);
        }
        self
    }

    /// Replaces the code, message and help of the first finding; its place and notes stay.
    pub fn rewritten(mut self, code: Code, message: String, help: Vec<String>) -> Self {
        if let Some(first) = self.0.findings.first_mut() {
            (first.code, first.message, first.help) = (code, message, help);
        }
        self
    }

    /// Replaces the help of the first finding with this next step.
    pub fn help_instead(mut self, help: impl Into<String>) -> Self {
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

    /// Adds a note to the first finding.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        if let Some(first) = self.0.findings.first_mut() {
            first.notes.push(note.into());
        }
        self
    }

    /// The kind of failure, on which a program can base a decision.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The findings, most important first; never empty.
    pub fn findings(&self) -> &[Finding] {
        &self.0.findings
    }

    /// The server's SQLSTATE, if the server refused something.
    ///
    /// See <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    pub fn sqlstate(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }

    /// The value of this type that it carries, if any.
    pub fn carried<T: Any>(&self) -> Option<&T> {
        self.0.carried.as_deref()?.downcast_ref()
    }
}

/// Writes one finding per line.
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
