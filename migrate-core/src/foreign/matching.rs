//! Matches the rows of another tool's ledger with the migrations of a folder.

use std::path::Path;
use std::sync::Arc;

use super::tools::KeyForm;
use super::{ForeignLedger, ForeignRow};
use crate::source::{Migration, MigrationSet, Version, diesel_version};

/// What the ledger of another tool says about a folder.
#[derive(Debug, Default)]
pub struct ForeignMatch<'l> {
    /// The applied migrations with their rows, in the order of the folder.
    pub applied: Vec<(Arc<Migration>, &'l ForeignRow)>,
    /// The applied rows that match no file.
    pub unknown: Vec<&'l ForeignRow>,
}

impl ForeignMatch<'_> {
    /// Whether a version is applied.
    pub fn has(&self, version: &Version) -> bool {
        self.applied.binary_search_by(|(migration, _)| migration.version().cmp(version)).is_ok()
    }
}

impl ForeignLedger {
    /// Matches the applied rows with the migrations of a folder.
    pub fn matched(&self, set: &MigrationSet) -> ForeignMatch<'_> {
        let mut matched = ForeignMatch::default();
        for row in self.applied() {
            match self.migration(row, set) {
                Some(migration) => matched.applied.push((migration, row)),
                None => matched.unknown.push(row),
            }
        }
        if self.tool.only_newest
            && let [(newest, row)] = matched.applied.as_slice()
        {
            let (newest, row) = (newest.version().clone(), *row);
            let older = set.iter().filter(|migration| *migration.version() <= newest);
            matched.applied = older.map(|migration| (migration.clone(), row)).collect();
        }
        matched.applied.sort_by(|(a, _), (b, _)| a.version().cmp(b.version()));
        matched.applied.dedup_by(|(a, _), (b, _)| a.version() == b.version());
        matched
    }

    /// The migration that a row is about.
    fn migration(&self, row: &ForeignRow, set: &MigrationSet) -> Option<Arc<Migration>> {
        let by_version = |version: Option<Version>| set.get(&version?).cloned();
        match self.tool.key {
            KeyForm::Version => by_version(row.key.parse().ok()),
            KeyForm::Diesel => by_version(diesel_version(&row.key)),
            KeyForm::File => {
                let named = |migration: &&Arc<Migration>| is_of_file(migration.path(), &row.key);
                // A file that was rewritten for another tool keeps its version.
                set.iter().find(named).cloned().or_else(|| by_version(leading_version(&row.key)))
            }
            KeyForm::Name => None,
        }
    }
}

/// Whether a path is the file, or the folder, that a tool calls by this name: with or without extension.
fn is_of_file(path: &Path, key: &str) -> bool {
    let key = key.rsplit('/').next().unwrap_or(key);
    let parts = path.iter().rev().take(2).filter_map(|part| part.to_str());
    let stem = |name: &str| name.split_once('.').map_or(name.to_owned(), |(stem, _)| stem.to_owned());
    let mut parts = parts.enumerate();
    parts.any(|(at, name)| name == key || (at == 0 && !key.contains('.') && stem(name) == key))
}

/// How many digits a date with a time has.
const TIME: usize = 14;

/// The version at the start of a name: `20240101000000_add_users.js`, `m20240101_000000_add_users`,
/// `2024_01_01_000000_add_users`, `0001.add-users`.
fn leading_version(key: &str) -> Option<Version> {
    let name = key.rsplit('/').next().unwrap_or(key);
    let name = name.strip_prefix('m').unwrap_or(name);
    let end = name.find(|c: char| !(c.is_ascii_digit() || c == '_' || c == '-')).unwrap_or(name.len());
    let all: String = name[..end].chars().filter(char::is_ascii_digit).collect();
    let first = &name[..name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len())];
    if all.len() == TIME && first.len() < TIME { all.parse().ok() } else { first.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_begins_with_a_version() {
        let version = |key: &str| leading_version(key).map(|version| version.to_string());
        for key in ["20240101000000_a.js", "m20240101_000000_a", "2024_01_01_000000_a", "2024-01-01-000000-a.sql"] {
            assert_eq!(version(key).as_deref(), Some("20240101000000"), "{key}");
        }
        assert_eq!(version("db/0001.a-2.sql").as_deref(), Some("0001"));
        assert_eq!(version("1704067200000-a").as_deref(), Some("1704067200000"));
        assert_eq!((version("add_users"), version("")), (None, None));
    }

    #[test]
    fn a_file_or_its_folder_is_known_by_its_name() {
        let is = |path: &str, key: &str| is_of_file(Path::new(path), key);
        assert!(is("m/001_a.sql", "001_a.sql") && is("m/001_a.sql", "001_a") && is("m/001_a.up.sql", "001_a"));
        assert!(is("m/20240101_a/migration.sql", "20240101_a") && is("m/001_a.sql", "db/001_a.sql"));
        assert!(!is("m/001_ab.sql", "001_a") && !is("001_a/b/c.sql", "001_a") && !is("m/001_a.up.sql", "001_a.sql"));
    }
}
