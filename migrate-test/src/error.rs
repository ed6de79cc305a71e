//! Why no server can be had, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why a server could not be provided, reached or stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No way to a server is open; each was tried.
    #[error("there is no PostgreSQL server, and none can be started here: {}", .tried.join("; "))]
    NoProvider {
        /// What was tried, and why it was not taken.
        tried: Vec<String>,
    },
    /// A server that somebody named cannot be had, and no other one takes its place.
    #[error("{who} names a server that is not available: {why}")]
    NotHad {
        /// Who names it: a variable, a key.
        who: String,
        /// Why not.
        why: String,
    },
    /// A file or a folder cannot be used.
    #[error("{} cannot be {action}: {source}", .path.display())]
    Io {
        /// The file or the folder.
        path: PathBuf,
        /// What was to be done with it: "written".
        action: &'static str,
        /// Why not.
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
    /// The server ended while it was starting.
    #[error("the PostgreSQL server did not start: {why}")]
    Died {
        /// The last lines of its log.
        why: String,
        /// The whole log.
        log: PathBuf,
    },
    /// The server did not accept a connection in time.
    #[error("the PostgreSQL server did not accept connections within {} s: {why}", .waited.as_secs())]
    NotReady {
        /// How long it was waited for.
        waited: Duration,
        /// What the last attempt said.
        why: String,
    },
    /// The data was made by a major version of which the binaries are gone.
    #[error("the data in {} belongs to PostgreSQL {major}, whose binaries are not on this machine", .data.display())]
    OtherVersion {
        /// The data folder.
        data: PathBuf,
        /// The major version that made it.
        major: u32,
    },
    /// PostgreSQL refuses to run as root, and there is no account to run it as.
    #[error("PostgreSQL refuses to run as root, and this machine has neither a `postgres` nor a `nobody` account")]
    NoAccount,
    /// The server whose address is given cannot be reached, or the address cannot be read.
    #[error(transparent)]
    Given(migrate_core::Error),
    /// What `[shadow]` names cannot be read, or does not run.
    #[error(transparent)]
    Setup(migrate_core::Error),
    /// A chain changes what exists once for a server, and the server is one that others use as well.
    #[error(
        "these migrations change roles or other objects that belong to a whole server, and this server is shared: {server}"
    )]
    NeedsOwn {
        /// Where the server comes from.
        server: String,
    },
    /// A chain tried to change what exists once for a server on one that others use as well, and its texts do not show that.
    #[error(transparent)]
    ChangesServer(migrate_core::Error),
    /// A statement on the server failed.
    #[error("the server refused to {doing}: {why}")]
    Refused {
        /// What was to be done: "create database shop".
        doing: String,
        /// What the server said.
        why: String,
    },
}

impl ServerError {
    /// A file or folder error, for `map_err`.
    pub(crate) fn io(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, action, source }
    }

    /// What the server said, in its own sentence and not the driver's.
    pub(crate) fn refused(doing: impl Into<String>, error: &sqlx::Error) -> Self {
        let why = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
        Self::Refused { doing: doing.into(), why }
    }

    /// What to do next, a sentence each.
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
            Self::NotReady { .. } => one("a server that recovers from a crash can take a long time to start; run the command again"),
            Self::OtherVersion { major, .. } => vec![
                format!("install PostgreSQL {major} again"),
                "or start with fresh data: `cargo xtask db down --destroy`".to_owned(),
            ],
            Self::NoAccount => one("run the command as a user other than root, or add an account: useradd --system postgres"),
            Self::NeedsOwn { .. } => vec![
                "remove the address: PostgreSQL binaries on this machine, or Docker, then give each database its own server"
                    .to_owned(),
                "or name a source that can do that: ROUNDTRIP_TEST_SERVER=local, or docker:postgres:17".to_owned(),
            ],
            Self::Given(error) | Self::Setup(error) | Self::ChangesServer(error) => error.findings().iter().flat_map(|finding| finding.help.clone()).collect(),
            Self::Refused { .. } => one("`cargo xtask db status` shows which server it is"),
        }
    }
}
