//! Exit codes, and the failures that a command can end with.

use migrate_base::codes::{self, Code};
pub use migrate_base::error::Exit;
use migrate_base::finding::{Finding, Severity};
use migrate_core::Error;
use migrate_test::ServerError;
use migrate_test::proof::ProofError;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the library.
    Core(Error),
    /// No server was available.
    Server(ServerError),
    /// An error of this command line.
    Here(Exit, Box<Finding>),
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// Wrong usage, with a message that says what is wrong.
    pub(crate) fn usage(code: Code, message: impl Into<String>) -> Self {
        Self::Here(Exit::Usage, Box::new(Finding::new(code, message).with_severity(Severity::Error)))
    }

    /// A failure of this command line.
    pub(crate) fn failed(code: Code, message: impl Into<String>) -> Self {
        Self::Here(Exit::Failed, Box::new(Finding::new(code, message).with_severity(Severity::Error)))
    }

    /// Adds a next step.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        match self {
            Self::Here(exit, finding) => Self::Here(exit, Box::new(finding.help(help))),
            Self::Core(error) => Self::Core(error.help(help)),
            server @ Self::Server(_) => server,
        }
    }

    /// Adds a note.
    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        match self {
            Self::Here(exit, finding) => Self::Here(exit, Box::new(finding.note(note))),
            Self::Core(error) => Self::Core(error.note(note)),
            server @ Self::Server(_) => server,
        }
    }

    /// The exit code for it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Here(exit, _) => *exit,
            Self::Server(_) => Exit::Failed,
            Self::Core(error) => error.kind().exit(),
        }
    }

    /// What it is, as a word for programs.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Core(error) => error.kind().as_str(),
            Self::Server(_) => "server",
            Self::Here(Exit::Usage, _) => "usage",
            Self::Here(..) => "failed",
        }
    }

    /// The findings that describe the failure.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Core(error) => error.findings().to_vec(),
            Self::Here(_, finding) => vec![(**finding).clone()],
            Self::Server(error) => {
                let finding = Finding::new(codes::SERVER, error.to_string());
                vec![error.help().into_iter().fold(finding, Finding::help)]
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<ProofError> for Failure {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Server(error) => error.into(),
            ProofError::Core(error) => Self::Core(error),
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Given(error) | ServerError::Setup(error) | ServerError::ChangesServer(error) => {
                Self::Core(error)
            }
            error => Self::Server(error),
        }
    }
}
