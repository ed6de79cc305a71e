//! Table locks, from the weakest to the strongest.

use std::fmt;
use std::str::FromStr;

/// A lock on a table. See <https://www.postgresql.org/docs/current/explicit-locking.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own words")]
pub enum LockMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

/// A text that is not the name of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotALock;

impl LockMode {
    /// All lock modes, weakest first.
    pub const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// PostgreSQL's name for it: `access exclusive`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessShare => "access share",
            Self::RowShare => "row share",
            Self::RowExclusive => "row exclusive",
            Self::ShareUpdateExclusive => "share update exclusive",
            Self::Share => "share",
            Self::ShareRowExclusive => "share row exclusive",
            Self::Exclusive => "exclusive",
            Self::AccessExclusive => "access exclusive",
        }
    }

    /// What an application cannot do with the table while the lock is held.
    pub fn blocks(self) -> &'static str {
        match self {
            Self::AccessShare | Self::RowShare | Self::RowExclusive => "nothing that an application does",
            Self::ShareUpdateExclusive => "other schema changes and VACUUM, not reads or writes",
            Self::Share | Self::ShareRowExclusive => "writes",
            Self::Exclusive => "writes and row locks",
            Self::AccessExclusive => "reads and writes",
        }
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads the SQL name of a lock, in any case, or its name in `pg_locks`: `AccessExclusiveLock`.
impl FromStr for LockMode {
    type Err = NotALock;

    fn from_str(text: &str) -> Result<Self, NotALock> {
        let plain = |text: &str| text.to_ascii_lowercase().replace([' ', '_', '-'], "");
        let wanted = plain(text);
        let wanted = wanted.strip_suffix("lock").unwrap_or(&wanted);
        Self::ALL.into_iter().find(|mode| plain(mode.as_str()) == wanted).ok_or(NotALock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        for mode in LockMode::ALL {
            let server = mode.as_str().split(' ').map(|word| word[..1].to_uppercase() + &word[1..]).collect::<String>();
            assert_eq!((mode.as_str().parse(), format!("{server}Lock").parse()), (Ok(mode), Ok(mode)));
        }
        assert_eq!("no lock".parse::<LockMode>(), Err(NotALock));
    }
}
