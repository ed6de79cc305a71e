//! Why no server is available, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why a server could not be provided, reached or stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No server can be found or started. Every possibility was tried.
    #[error("there is no PostgreSQL server, and none can be started here: {}", .tried.join("; "))]
    NoProvider {
        /// What was tried, and why it was not used.
        tried: Vec<String>,
    },
    /// A server that was named explicitly is not available. No other server is used instead.
    #[error("{who} names a server that is not available: {why}")]
    NotHad {
        /// What names it: a variable or a configuration key.
        who: String,
        /// Why it is not available.
        why: String,
    },
    /// A file or a folder cannot be used.
    #[error("{} cannot be {action}: {source}", .path.display())]
    Io {
        /// The file or the folder.
        path: PathBuf,
        /// The action that failed, as a participle: "written".
        action: &'static str,
        /// The underlying error.
        source: std::io::Error,
    },
    /// A program could not be run, or failed.
    #[error("{program} failed: {why}")]
    Program {
        /// What was run.
        program: String,
        /// Its last lines, or why it did not start.
        why: String,
    },
    /// What a tool sends cannot be read, because the server has no log here.
    #[error(
        "what another tool sends is read from the log of the server, and only PostgreSQL binaries on this machine \
         write one"
    )]
    NoLog,
    /// The server exited while it was starting.
    #[error("the PostgreSQL server did not start: {why}")]
    Died {
        /// The last lines of its log.
        why: String,
        /// The file with the whole log.
        log: PathBuf,
    },
    /// The server did not accept a connection in time.
    #[error("the PostgreSQL server did not accept connections within {} s: {why}", .waited.as_secs())]
    NotReady {
        /// How long the caller waited.
        waited: Duration,
        /// The error of the last attempt.
        why: String,
    },
    /// The data belongs to a major version whose binaries are not installed.
    #[error("the data in {} belongs to PostgreSQL {major}, whose binaries are not on this machine", .data.display())]
    OtherVersion {
        /// The data folder.
        data: PathBuf,
        /// The major version that made it.
        major: u32,
    },
    /// PostgreSQL refuses to run as root, and there is no other account to run it.
    #[error("PostgreSQL refuses to run as root, and this machine has neither a `postgres` nor a `nobody` account")]
    NoAccount,
    /// The server at the given address cannot be reached, or the address cannot be parsed.
    #[error(transparent)]
    Given(migrate_core::Error),
    /// A script that `[shadow]` names cannot be read, or fails.
    #[error(transparent)]
    Setup(migrate_core::Error),
    /// A chain changes objects that exist once per server, and the server is shared with others.
    #[error("these migrations change objects of a whole server, such as roles, but this server is shared: {server}")]
    NeedsOwn {
        /// Where the server comes from.
        server: String,
    },
    /// A chain tried to change objects that exist once per server on a shared server, and its SQL text did not
    /// reveal that in advance.
    #[error(transparent)]
    ChangesServer(migrate_core::Error),
    /// A statement on the server failed.
    #[error("the server refused to {doing}: {why}")]
    Refused {
        /// What was attempted, as an infinitive: "create database shop".
        doing: String,
        /// The server's message.
        why: String,
    },
}

impl ServerError {
    /// Builds an [`ServerError::Io`] error, for `map_err`.
    pub(crate) fn io(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, action, source }
    }

    /// The server's own message, without the driver's wording around it.
    pub(crate) fn refused(doing: impl Into<String>, error: &sqlx::Error) -> Self {
        let why = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
        Self::Refused { doing: doing.into(), why }
    }

    /// What to do next, one sentence per entry.
    pub fn help(&self) -> Vec<String> {
        let one = |text: &str| vec![text.to_owned()];
        match self {
            Self::NoProvider { .. } => vec![
                "install PostgreSQL 15 or newer (the server, not only the client)".to_owned(),
                "or install Docker and start it".to_owned(),
                "or name a server that runs elsewhere: --database postgres://user@host/database".to_owned(),
            ],
            Self::NotHad { who, .. } => {
                vec![format!("correct {who}, or remove it: Roundtrip then uses the first available server")]
            }
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => one("free some disk space"),
            Self::Io { .. } => one("check its owner and permissions, or set ROUNDTRIP_HOME to another folder"),
            Self::Program { why, .. } | Self::Died { why, .. } if why.contains("No space left") => {
                one("free some disk space")
            }
            Self::Program { .. } => one("`cargo xtask doctor` checks the whole set-up"),
            Self::Died { log, .. } => vec![format!("read the whole log: {}", log.display())],
            Self::NotReady { .. } => one("recovery after a crash can take a long time; run the command again"),
            Self::OtherVersion { major, .. } => vec![
                format!("install PostgreSQL {major} again"),
                "or start with fresh data: `cargo xtask db down --destroy`".to_owned(),
            ],
            Self::NoAccount => one("run it as a user other than root, or add an account: useradd --system postgres"),
            Self::NeedsOwn { .. } => vec![
                "remove the address: PostgreSQL binaries on this machine or Docker then give each database its own \
                 server"
                    .to_owned(),
                "or name a source that can do that: ROUNDTRIP_TEST_SERVER=local, or docker:postgres:17".to_owned(),
            ],
            Self::Given(error) | Self::Setup(error) | Self::ChangesServer(error) => {
                error.findings().iter().flat_map(|finding| finding.help.clone()).collect()
            }
            Self::NoLog => {
                one("install PostgreSQL, or name the folder of its binaries in ROUNDTRIP_TEST_BINDIR; without either, \
                 `cargo xtask verify` proves the migrations in a container")
            }
            Self::Refused { .. } => one("`cargo xtask db status` shows which server it is"),
        }
    }
}

/// Why nothing could be proven.
#[derive(Debug, Error)]
pub enum ProofError {
    /// There is no server, or it refuses.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The chain before the first checked migration cannot be applied, or the server is gone.
    #[error(transparent)]
    Core(#[from] migrate_core::Error),
}
