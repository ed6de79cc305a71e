//! A chain that another tool runs: its migrations are known by their keys, and their files are never read as SQL.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Checksum, Migration, MigrationBody, MigrationSet, Version, normalise};

/// A migration of another tool.
#[derive(Debug, Clone)]
pub struct DrivenMigration {
    /// Its place in the chain.
    pub version: Version,
    /// Its key in the ledger of the tool, or whatever else names it for people.
    pub name: String,
    /// Its file; the folder of the chain if it has none of its own there.
    pub path: PathBuf,
    /// Other files of it: what rolls it back.
    pub beside: Vec<PathBuf>,
    /// What its result depends on.
    pub text: String,
}

/// What a file in another language declares in a comment: `# migrate: lossy REASON`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeclaredLimits {
    /// Why rolling it back loses data.
    pub lossy: Option<Box<str>>,
    /// Why it cannot be rolled back.
    pub irreversible: Option<Box<str>>,
}

impl DeclaredLimits {
    /// Reads the comments of a file.
    fn of(text: &str) -> Self {
        let mut declared = Self::default();
        for line in text.lines() {
            let comment = line.trim().trim_start_matches(['#', '/', '-', '*', ';', '%']).trim_start();
            let Some(said) = comment.strip_prefix("migrate:").filter(|_| comment.len() < line.trim().len()) else {
                continue;
            };
            match said.trim().split_once(' ') {
                Some(("lossy", reason)) => declared.lossy = Some(reason.trim().into()),
                Some(("irreversible", reason)) => declared.irreversible = Some(reason.trim().into()),
                _ => {}
            }
        }
        declared
    }
}

impl MigrationSet {
    /// The chain of another tool, in the order in which the tool applies it.
    pub fn driven(migrations: impl IntoIterator<Item = DrivenMigration>, folder: &Path) -> Self {
        let one = |driven: DrivenMigration| {
            let DrivenMigration { version, name, path, beside, text } = driven;
            let (checksum, declared) = (Checksum::of(&normalise(&text)), DeclaredLimits::of(&text));
            let body = MigrationBody::Code { path, beside, checksum, declared };
            Arc::new(Migration { version, name: name.into(), body, is_up_only: false, fixture: None, verify: None })
        };
        Self::new(migrations.into_iter().map(one).collect(), folder, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_of_any_language_declares_a_limit() {
        for text in
            ["# migrate: lossy old names", "  // migrate: lossy  old names", "-- migrate: lossy old names\nx = 1"]
        {
            assert_eq!(DeclaredLimits::of(text).lossy.as_deref(), Some("old names"), "{text}");
        }
        let both = DeclaredLimits::of("# migrate: irreversible it merges accounts\n# migrate: lossy names");
        assert_eq!(both.irreversible.as_deref(), Some("it merges accounts"));
        for text in ["migrate: lossy this is no comment", "# migrate: lossy", "# migrated: lossy x", "x = 1 # lossy x"]
        {
            assert_eq!(DeclaredLimits::of(text), DeclaredLimits::default(), "{text}");
        }
    }
}
