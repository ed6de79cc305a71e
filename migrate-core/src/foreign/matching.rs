//! Matches the rows of another tool's ledger with the migrations of a folder.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use migrate_base::regular;
use sha2::Sha256;

use super::checksum::hex;
use super::tools::KeyForm;
use super::{ForeignLedger, ForeignRow, ForeignState};
use crate::source::{Migration, MigrationSet, Version, diesel_version, has_own_name};

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
        let names = if self.tool.key == KeyForm::File { FileNames::of(set) } else { FileNames::default() };
        let digests = if self.tool.key == KeyForm::Digest { digests(set) } else { HashMap::new() };
        let captured = self.captured(set);
        let mut matched = ForeignMatch::default();
        if self.tool.only_newest && !captured.is_empty() {
            return self.with_ancestors(set, &captured);
        }
        for row in self.applied() {
            let migration = captured.get(&*row.key).map(|one| (*one).clone());
            let migration = migration.or_else(|| self.migration(row, set, &names, &digests));
            // A baseline, and the newest version of a tool that records no other, stand for everything older.
            let covers = row.state == ForeignState::Baseline || (self.tool.only_newest && migration.is_some());
            let upto = row.key.parse::<Version>().ok().filter(|_| covers);
            if let Some(upto) = upto {
                let older = set.iter().filter(|migration| before(migration) <= &upto);
                matched.applied.extend(older.map(|migration| (migration.clone(), row)));
            } else if let Some(migration) = migration {
                matched.applied.push((migration, row));
            } else {
                matched.unknown.push(row);
            }
        }
        matched.applied.sort_by(|(a, _), (b, _)| a.version().cmp(b.version()));
        let mut twice = Vec::new();
        matched.applied.dedup_by(|(later, row), (earlier, kept)| {
            let is_same = later.version() == earlier.version();
            // A row of its own says more than a baseline; two of them cannot be about one file.
            if is_same && kept.state == ForeignState::Baseline {
                *kept = *row;
            } else if is_same && row.state != ForeignState::Baseline && row.key != kept.key {
                twice.push(*row);
            }
            is_same
        });
        matched.unknown.extend(twice);
        matched
    }

    /// Each row of a tool that records only its newest migrations stands for everything that they come after.
    fn with_ancestors(&self, set: &MigrationSet, captured: &HashMap<&str, &Arc<Migration>>) -> ForeignMatch<'_> {
        let mut matched = ForeignMatch::default();
        let mut before: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut last = None;
        for from in set.iter().filter_map(|one| one.captured()) {
            let after = from.after.as_ref().map(|keys| keys.iter().map(String::as_str).collect());
            before.insert(&from.key, after.unwrap_or_else(|| last.into_iter().collect()));
            last = Some(from.key.as_str());
        }
        let mut seen = HashSet::new();
        for row in self.applied() {
            if !captured.contains_key(&*row.key) {
                matched.unknown.push(row);
                continue;
            }
            let mut open = vec![row.key.as_str()];
            while let Some(key) = open.pop() {
                let Some((key, migration)) = captured.get_key_value(key) else { continue };
                if seen.insert(*key) {
                    matched.applied.push(((*migration).clone(), row));
                    open.extend(before.get(key).into_iter().flatten());
                }
            }
        }
        matched.applied.sort_by(|(a, _), (b, _)| a.version().cmp(b.version()));
        matched
    }

    /// The migrations that were captured from this tool, by their keys.
    fn captured<'s>(&self, set: &'s MigrationSet) -> HashMap<&'s str, &'s Arc<Migration>> {
        let of_tool = |one: &'s Arc<Migration>| one.captured().filter(|from| from.tool == self.tool.name);
        set.iter().filter_map(|one| Some((of_tool(one)?.key.as_str(), one))).collect()
    }

    /// The migration that a row is about.
    fn migration(
        &self,
        row: &ForeignRow,
        set: &MigrationSet,
        names: &FileNames<'_>,
        digests: &HashMap<String, Arc<Migration>>,
    ) -> Option<Arc<Migration>> {
        let by_version = |version: Option<Version>| {
            let version = version?;
            let was = || set.converted().find(|(_, was)| was.version == version);
            set.get(&version).or_else(|| set.get(was()?.0.version())).cloned()
        };
        match self.tool.key {
            KeyForm::Version => by_version(Version::recorded(&row.key).ok()),
            KeyForm::Diesel => by_version(diesel_version(&row.key)),
            KeyForm::File => names.get(&row.key).or_else(|| {
                // A file that was rewritten in our form keeps its version.
                by_version(leading_version(&row.key)).filter(|migration| has_own_name(migration.path()))
            }),
            KeyForm::Digest => row.checksum.as_deref().and_then(|digest| digests.get(digest)).cloned(),
            KeyForm::Name => None,
        }
    }
}

/// The migrations by the digests of their files; a file that cannot be read has none.
fn digests(set: &MigrationSet) -> HashMap<String, Arc<Migration>> {
    let one = |migration: &Arc<Migration>| {
        let bytes = regular::read(migration.path()).ok()?;
        Some((hex::<Sha256>(&bytes), migration.clone()))
    };
    set.iter().filter_map(one).collect()
}

/// The version under which a ledger may know a migration.
fn before(migration: &Migration) -> &Version {
    migration.was().map_or(migration.version(), |was| &was.version)
}

/// The migrations by the names of their files and of the folders that these are in, with and without ending.
#[derive(Default)]
struct FileNames<'s>(HashMap<&'s str, &'s Arc<Migration>>);

impl<'s> FileNames<'s> {
    fn of(set: &'s MigrationSet) -> Self {
        let mut names = HashMap::new();
        for migration in set {
            let mut parts = migration.path().iter().rev().filter_map(|part| part.to_str());
            let file = parts.next().unwrap_or_default();
            let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
            // yoyo leaves out only the last ending.
            let without_last = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
            for name in [file, stem, without_last].into_iter().chain(parts.next()) {
                names.entry(name).or_insert(migration);
            }
        }
        Self(names)
    }

    fn get(&self, key: &str) -> Option<Arc<Migration>> {
        let key = key.rsplit('/').next().unwrap_or(key);
        self.0.get(key).map(|migration| (*migration).clone())
    }
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
    use crate::source::{Layout, MigrationFolder};

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
        let is = |path: &str, key: &str| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "SELECT 1;").unwrap();
            let layout = if path.contains("migration.sql") { Layout::Prisma } else { Layout::Sqlx };
            let set = MigrationFolder::new(folder.path(), layout).load().unwrap();
            FileNames::of(&set).get(key).is_some()
        };
        assert!(is("001_a.sql", "001_a.sql") && is("001_a.sql", "001_a") && is("001_a.up.sql", "001_a"));
        assert!(is("20240101_a/migration.sql", "20240101_a") && is("001_a.sql", "db/001_a.sql"));
        assert!(!is("001_ab.sql", "001_a") && !is("001_a.up.sql", "001_a.sql"));
    }
}
