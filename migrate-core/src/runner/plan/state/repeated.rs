//! Which repeatable migrations ran, and which have to run.

use super::{AppliedMigration, LedgerState};
use crate::source::{Migration, MigrationSet};

impl LedgerState {
    /// The last run of a repeatable migration.
    pub fn repeated(&self, repeatable: &Migration) -> Option<&AppliedMigration> {
        self.repeated.get(repeatable.version())
    }

    /// Whether the present text of a repeatable migration is the last one that ran; `None` if it never ran.
    pub fn ran_as_it_is(&self, repeatable: &Migration) -> Option<bool> {
        let last = self.repeated.get(repeatable.version())?;
        Some(last.up_checksum.as_ref() == Some(repeatable.up_checksum()))
    }

    /// The last runs of repeatable migrations that have no file any more, unless a newer migration may have removed
    /// what they made.
    pub(in crate::runner) fn repeated_without_file(
        &self,
        set: &MigrationSet,
    ) -> impl Iterator<Item = &AppliedMigration> {
        let newest = self.applied.values().map(|one| one.id).max();
        let is_left = move |last: &&AppliedMigration| newest.is_none_or(|newest| newest < last.id);
        self.repeated.values().filter(|last| set.get(&last.version).is_none()).filter(is_left)
    }

    /// Whether a repeatable migration has to run: it never ran, it was changed since, or a rollback after it may have
    /// removed what it made.
    pub(in crate::runner) fn is_due(&self, repeatable: &Migration) -> bool {
        let Some(last) = self.repeated.get(repeatable.version()) else { return true };
        last.up_checksum.as_ref() != Some(repeatable.up_checksum()) || self.rolled_back.values().any(|id| *id > last.id)
    }
}
