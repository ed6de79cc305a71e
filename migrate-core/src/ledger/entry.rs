//! The rows of the ledger.

use std::fmt;
use std::str::FromStr;

use crate::source::{Checksum, Version};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LedgerEvent {
    /// The up script ran and was committed.
    Applied,
    /// The down script ran and was committed.
    RolledBack,
    /// The migration was recorded as applied without being run.
    Baselined,
    /// A migration without a transaction started.
    Started,
    /// One statement of it is done.
    Progress,
    /// One statement of it failed.
    Failed,
    /// Somebody decided whether an unfinished migration counts as applied or rolled back.
    Resolved,
    /// A repeatable migration ran and was committed.
    Repeated,
    /// The schema was read; the row contains only its fingerprint.
    Observed,
}

/// The direction of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the previous version to its own.
    Up,
    /// From its own version to the previous one.
    Down,
}

/// A word in the ledger that is unknown to this version of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord(pub String);

const EVENTS: [(LedgerEvent, &str); 9] = [
    (LedgerEvent::Applied, "applied"),
    (LedgerEvent::RolledBack, "rolled_back"),
    (LedgerEvent::Baselined, "baselined"),
    (LedgerEvent::Started, "started"),
    (LedgerEvent::Progress, "progress"),
    (LedgerEvent::Failed, "failed"),
    (LedgerEvent::Resolved, "resolved"),
    (LedgerEvent::Repeated, "repeated"),
    (LedgerEvent::Observed, "observed"),
];

impl LedgerEvent {
    /// The word in the ledger.
    pub fn as_str(self) -> &'static str {
        EVENTS.iter().find(|(event, _)| *event == self).map_or("", |(_, word)| word)
    }
}

impl FromStr for LedgerEvent {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let known = EVENTS.iter().find(|(_, name)| *name == word);
        known.map(|(event, _)| *event).ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

impl Direction {
    /// The word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// The opposite direction.
    pub fn reverse(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A row of the ledger, reduced to what the present state depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerEntry {
    /// Position, from 1, without gaps.
    pub id: i64,
    /// What happened.
    pub event: LedgerEvent,
    /// The direction of the script.
    pub direction: Direction,
    /// The version of the migration.
    pub version: Version,
    /// The name of the migration.
    pub name: String,
    /// The statement that is done or failed, from 1.
    pub statement: Option<usize>,
    /// The checksum of the up script.
    pub up_checksum: Option<Checksum>,
    /// The checksum of the down script.
    pub down_checksum: Option<Checksum>,
    /// When, in UTC, as RFC 3339.
    pub at: String,
    /// Who: the person, or else the role that logged in.
    pub by: String,
    /// For a failure: the reason.
    pub note: Option<String>,
}

/// A row of the ledger with all its columns.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// Position, from 1, without gaps.
    pub id: i64,
    /// What happened, as the word in the ledger.
    pub event: String,
    /// The direction of the script.
    pub direction: Option<String>,
    /// The version of the migration; `None` for an observation.
    pub version: Option<String>,
    /// The name of the migration.
    pub name: Option<String>,
    /// The statement that is done or failed, from 1.
    pub statement: Option<usize>,
    /// The position of the first row of the same run.
    pub batch: i64,
    /// When, in UTC, as RFC 3339.
    pub at: String,
    /// How long it took, in milliseconds.
    pub milliseconds: Option<f64>,
    /// The role that logged in.
    pub role: String,
    /// The person or the CI user.
    pub actor: Option<String>,
    /// The machine.
    pub host: Option<String>,
    /// The program.
    pub application: Option<String>,
    /// The commit of the checkout.
    pub commit: Option<String>,
    /// Name and version of the runner.
    pub tool: String,
    /// The checksum of the up script.
    pub up_checksum: Option<String>,
    /// The checksum of the down script.
    pub down_checksum: Option<String>,
    /// The fingerprint of the schema after the event.
    pub fingerprint: Option<String>,
    /// The reason, or the failure.
    pub note: Option<String>,
}
