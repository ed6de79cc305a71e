//! Recognises what is recorded of another tool's migrations after their folder was converted into ours.

use super::{AppliedMigration, LedgerState};
use crate::source::{Checksum, Migration, MigrationSet, Version};

impl LedgerState {
    /// Takes a converted migration for what it was: what is recorded of the old version with the old checksum is about
    /// the new one, until the new one has rows of its own.
    pub(in crate::runner) fn recognise(&mut self, set: &MigrationSet) {
        let mut found = Vec::new();
        for (migration, was) in set.converted().filter(|(_, was)| !was.version.is_repeatable()) {
            let is_same = |checksum: &Option<Checksum>| checksum.as_ref() == Some(&was.up_checksum);
            let recorded = self.applied.get(&was.version).cloned();
            found.extend(recorded.filter(|one| is_same(&one.up_checksum)).map(|one| (migration, was, one)));
            let unfinished = self.unfinished.as_mut().filter(|one| one.version == was.version);
            if let Some(unfinished) = unfinished.filter(|one| is_same(&one.up_checksum)) {
                unfinished.version = migration.version().clone();
                migration.name().clone_into(&mut unfinished.name);
            }
            if let Some(adopted) = &mut self.adopted
                && let Some(key) = adopted.versions.remove(&was.version)
            {
                adopted.versions.insert(migration.version().clone(), key);
            }
        }
        found.iter().for_each(|(_, was, _)| drop(self.applied.remove(&was.version)));
        for (migration, _, applied) in found {
            let version = migration.version().clone();
            let has_own = self.rolled_back.get(&version).is_some_and(|id| *id > applied.id);
            if !has_own && !self.applied.contains_key(&version) {
                self.rename(migration, applied);
            }
        }
        self.recognise_repeatables(set);
    }

    /// The same for former repeatable migrations. They may run again: that is done where something older is pending, or
    /// a rollback may have removed what they made.
    fn recognise_repeatables(&mut self, set: &MigrationSet) {
        for (migration, was) in set.converted().filter(|(_, was)| was.version.is_repeatable()) {
            let Some(last) = self.repeated.remove(&was.version) else { continue };
            let is_whole =
                set.iter().take_while(|one| one.version() < migration.version()).all(|one| self.has(one.version()));
            let is_same = last.up_checksum.as_ref() == Some(&was.up_checksum);
            let is_undone = self.rolled_back.values().any(|id| *id > last.id);
            if is_whole && is_same && !is_undone && !self.has(migration.version()) {
                self.rename(migration, last);
            }
        }
    }

    fn has(&self, version: &Version) -> bool {
        self.applied.contains_key(version)
    }

    /// Records a migration as applied under the version and the name that it has now.
    fn rename(&mut self, migration: &Migration, applied: AppliedMigration) {
        let up_checksum = Some(migration.up_checksum().clone());
        let down_checksum = migration.down_script().map(|script| script.checksum().clone());
        let (version, name) = (migration.version().clone(), migration.name().to_owned());
        let now = AppliedMigration { version: version.clone(), name, up_checksum, down_checksum, ..applied };
        self.applied.insert(version, now);
    }
}
