//! What a row of the ledger says.

use std::fmt;
use std::str::FromStr;

use crate::source::{Checksum, Version};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The up ran and was committed.
    Applied,
    /// The down ran and was committed.
    RolledBack,
    /// It was recorded as applied without being run.
    Baselined,
    /// A migration without a transaction began.
    Started,
    /// One statement of it is done.
    Progress,
    /// One statement of it failed.
    Failed,
    /// Somebody said what an unfinished migration is to count as.
    Resolved,
    /// The schema was looked at; only the fingerprint is told.
    Observed,
}

/// Which way a migration goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the version before it to its own.
    Up,
    /// From its own version to the one before.
    Down,
}

/// A word in the ledger that this version of the library does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord(pub String);

const EVENTS: [(Event, &str); 8] = [
    (Event::Applied, "applied"),
    (Event::RolledBack, "rolled_back"),
    (Event::Baselined, "baselined"),
    (Event::Started, "started"),
    (Event::Progress, "progress"),
    (Event::Failed, "failed"),
    (Event::Resolved, "resolved"),
    (Event::Observed, "observed"),
];

impl Event {
    /// The word in the ledger.
    pub fn as_str(self) -> &'static str {
        EVENTS.iter().find(|(event, _)| *event == self).map_or("", |(_, word)| word)
    }
}

impl FromStr for Event {
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

    /// The other way.
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

/// A row of the ledger, as far as the present state depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Position, from 1, without gaps.
    pub id: i64,
    /// What happened.
    pub event: Event,
    /// Which script it was about.
    pub direction: Direction,
    /// The version of the migration.
    pub version: Version,
    /// The name of the migration.
    pub name: String,
    /// The statement that is done or failed, from 1.
    pub statement: Option<usize>,
    /// The checksum of the up.
    pub up_checksum: Option<Checksum>,
    /// The checksum of the down.
    pub down_checksum: Option<Checksum>,
    /// When, in UTC, as RFC 3339.
    pub at: String,
    /// Who: the person, or else the role that logged in.
    pub by: String,
    /// For one that failed: why.
    pub note: Option<String>,
}

/// A row of the ledger with everything that is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// Position, from 1, without gaps.
    pub id: i64,
    /// What happened, as the ledger's own word.
    pub event: String,
    /// Which script it was about.
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
    /// The checksum of the up.
    pub up_checksum: Option<String>,
    /// The checksum of the down.
    pub down_checksum: Option<String>,
    /// The fingerprint of the schema after it.
    pub fingerprint: Option<String>,
    /// Why, or what failed.
    pub note: Option<String>,
}
