//! The append-only ledger: what was done to this database, by whom, from what, and when.
//!
//! This module reads rows and writes the SQL that adds a row; the runner decides when a row is
//! added, and in which transaction. [`crate::runner::LedgerState`] derives the present state from the rows.

mod entry;
mod read;
mod record;
pub(crate) mod rights;

pub use entry::{Direction, HistoryEntry, LedgerEntry, LedgerEvent};
pub(crate) use read::{down_scripts, entries, history, newest, newest_applied};
pub(crate) use record::{EventStart, LedgerRow, LedgerWriter};

use std::env;

/// Columns that only a ledger has together, and the trigger that protects it.
pub(crate) const MARKS: [&str; 8] =
    ["id", "event", "direction", "version", "up_checksum", "down_sql", "fingerprint", "batch"];
pub(crate) const GUARD: &str = "append_only";

/// Environment variables with the user: those of CI systems before the login name.
pub(crate) const USERS: [&str; 7] =
    ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR", "SUDO_USER", "USER", "LOGNAME", "USERNAME"];

/// The system account of this process; for containers, which set no variable.
#[cfg(target_os = "linux")]
fn account() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = accounts.lines().find(|line| line.split(':').nth(2) == Some(&uid))?;
    line.split(':').next().map(str::to_owned)
}

#[cfg(not(target_os = "linux"))]
fn account() -> Option<String> {
    None
}

/// Who runs migrations, and from where: this is recorded in every row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Actor {
    /// The person, or the user of the CI system.
    pub user: Option<String>,
    /// The machine.
    pub host: Option<String>,
    /// The program.
    pub application: String,
    /// The commit of the checkout that the files came from.
    pub commit: Option<String>,
    /// Name and version of the runner.
    pub tool: String,
}

impl Actor {
    /// A program without user and host; the environment is not read. A [`Migrator`](crate::Migrator) reads it when it
    /// is opened.
    pub fn named(application: &str) -> Self {
        let tool = concat!("roundtrip ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { user: None, host: None, application: application.to_owned(), commit: None, tool }
    }

    /// Reads the environment: the CI system's user before the login name, the host name, and the commit if a CI system
    /// sets one.
    pub fn from_environment(application: &str) -> Self {
        let first = |names: &[&str]| names.iter().find_map(|name| env::var(name).ok().filter(|v| !v.is_empty()));
        let host = || std::fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned());
        Self {
            user: first(&USERS).or_else(account),
            host: first(&["HOSTNAME", "COMPUTERNAME"]).or_else(host).filter(|name| !name.is_empty()),
            commit: first(&["GITHUB_SHA", "CI_COMMIT_SHA", "BUILDKITE_COMMIT", "GIT_COMMIT"]),
            ..Self::named(application)
        }
    }

    /// Adds the values of the environment, if neither user, host nor commit is set.
    pub(crate) fn known(self) -> Self {
        match self {
            Self { user: None, host: None, commit: None, application, tool } => {
                Self { tool, ..Self::from_environment(&application) }
            }
            said => said,
        }
    }
}
