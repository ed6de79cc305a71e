//! Derives the present state from the rows of a ledger: applied, pending, unfinished.

mod converted;
mod repeated;

use std::collections::BTreeMap;

use migrate_base::db::LockHolder;
use migrate_base::ident::QualifiedName;

use crate::foreign::{self, AdoptionNote, ForeignLedger, ForeignTool};
use crate::ledger::{Direction, LedgerEntry, LedgerEvent};
use crate::source::{Checksum, Migration, Version};

/// The present state of a database, derived from its ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerState {
    applied: BTreeMap<Version, AppliedMigration>,
    unfinished: Option<UnfinishedMigration>,
    newest: i64,
    has_ledger: bool,
    /// The last rollback of each version.
    rolled_back: BTreeMap<Version, i64>,
    /// The last run of each repeatable migration.
    repeated: BTreeMap<Version, AppliedMigration>,
    adopted: Option<AdoptedLedger>,
    others: Vec<ForeignLedger>,
}

/// The ledger of another tool from which this one took migrations over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdoptedLedger {
    /// The tool.
    pub tool: &'static ForeignTool,
    /// Its table.
    pub table: QualifiedName,
    /// Every version that was taken over and that the tool has not rolled back, with what the tool identifies it by.
    pub versions: BTreeMap<Version, String>,
}

/// An applied migration, according to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedMigration {
    /// The number of the row that records it.
    pub id: i64,
    /// The version, as it was written at that time.
    pub version: Version,
    /// Its name at that time.
    pub name: String,
    /// The checksum of its up script at that time.
    pub up_checksum: Option<Checksum>,
    /// The checksum of its down script at that time.
    pub down_checksum: Option<Checksum>,
    /// When, in UTC, as RFC 3339.
    pub at: String,
    /// Who: the person, or else the role that logged in.
    pub by: String,
    /// The event of the row: applied, resolved, or only recorded.
    pub event: LedgerEvent,
}

impl AppliedMigration {
    /// Whether it was only recorded as applied and never run here, because its objects already existed.
    pub fn was_never_run(&self) -> bool {
        self.event == LedgerEvent::Baselined
    }
}

/// A migration without a transaction that started but did not finish.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnfinishedMigration {
    /// The number of the row that records its start.
    pub id: i64,
    /// The version of the migration.
    pub version: Version,
    /// The name of the migration.
    pub name: String,
    /// Which script was running.
    pub direction: Direction,
    /// How many of its statements are recorded as done.
    pub done: usize,
    /// The failed statement, from 1, and the reason; `None` if the run was interrupted.
    pub failed: Option<(usize, String)>,
    /// The checksum of its up script at that time.
    pub up_checksum: Option<Checksum>,
    /// The checksum of its down script at that time.
    pub down_checksum: Option<Checksum>,
    /// When it started, in UTC, as RFC 3339.
    pub at: String,
    /// Who: the person, or else the role that logged in.
    pub by: String,
    /// If it undoes an unfinished migration: how many statements of that one are done.
    pub undoes: Option<usize>,
    /// The session that is running it now, if any.
    pub running: Option<LockHolder>,
}

impl LedgerState {
    /// Derives the state from all rows, oldest first, and the number of the newest row; `None` means a database without
    /// a ledger.
    pub(in crate::runner) fn derive(ledger: Option<(Vec<LedgerEntry>, i64)>) -> Self {
        let Some((entries, newest)) = ledger else { return Self::default() };
        let mut state = Self { newest, has_ledger: true, ..Self::default() };
        for entry in entries {
            state.take(entry);
        }
        state
    }

    fn take(&mut self, entry: LedgerEntry) {
        self.take_over(&entry);
        if entry.version.is_repeatable() {
            // It ran, or it was there before.
            self.repeated.insert(entry.version.clone(), entry.into());
            return;
        }
        match (entry.event, entry.direction) {
            (LedgerEvent::Applied | LedgerEvent::Baselined | LedgerEvent::Resolved, Direction::Up) => {
                self.finish(&entry.version);
                self.applied.insert(entry.version.clone(), entry.into());
            }
            (LedgerEvent::RolledBack | LedgerEvent::Resolved, Direction::Down) => {
                self.finish(&entry.version);
                self.rolled_back.insert(entry.version.clone(), entry.id);
                if entry.note.as_deref() == Some(foreign::GIVEN_BACK)
                    && let Some(adopted) = &mut self.adopted
                {
                    adopted.versions.remove(&entry.version);
                    self.rolled_back.remove(&entry.version);
                }
                self.applied.remove(&entry.version);
            }
            (LedgerEvent::Started, _) => self.start(entry),
            (LedgerEvent::Progress, _) => self.note_progress(&entry, None),
            (LedgerEvent::Failed, _) => self.note_progress(&entry, entry.note.clone()),
            // Other combinations are never written; an observation is not about a version.
            (LedgerEvent::Applied | LedgerEvent::Baselined, Direction::Down)
            | (LedgerEvent::RolledBack, Direction::Up)
            | (LedgerEvent::Observed | LedgerEvent::Repeated, _) => {}
        }
    }

    fn take_over(&mut self, entry: &LedgerEntry) {
        let note = entry.note.as_deref().filter(|_| entry.event == LedgerEvent::Baselined);
        let Some(AdoptionNote { tool, table, key }) = note.and_then(foreign::adopted_from) else { return };
        let adopted = self.adopted.get_or_insert_with(|| AdoptedLedger { tool, table, versions: BTreeMap::new() });
        adopted.versions.insert(entry.version.clone(), key);
    }

    fn start(&mut self, entry: LedgerEntry) {
        // A start while the other direction is unfinished undoes that one, or restores it if undoing was impossible.
        let before =
            self.unfinished.take().filter(|one| one.version == entry.version && one.direction != entry.direction);
        let undoes = before.filter(|before| before.undoes.is_none()).map(|before| before.done);
        self.unfinished = Some(UnfinishedMigration { undoes, ..entry.into() });
    }

    /// Sets the session that is running the unfinished migration.
    pub(in crate::runner) fn set_running(&mut self, holder: LockHolder) {
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.running = Some(holder);
        }
    }

    fn finish(&mut self, version: &Version) {
        if self.unfinished.as_ref().is_some_and(|unfinished| unfinished.version == *version) {
            self.unfinished = None;
        }
    }

    fn note_progress(&mut self, entry: &LedgerEntry, why: Option<String>) {
        let Some(unfinished) = self.unfinished.as_mut().filter(|u| u.version == entry.version) else { return };
        let statement = entry.statement.unwrap_or(0);
        if entry.event == LedgerEvent::Failed {
            unfinished.failed = Some((statement, why.unwrap_or_default()));
        } else {
            unfinished.done = statement;
            unfinished.failed = None;
        }
    }

    /// The applied migrations, oldest version first.
    pub fn applied(&self) -> impl DoubleEndedIterator<Item = &AppliedMigration> {
        self.applied.values()
    }

    /// The entry of an applied version.
    pub fn get(&self, version: &Version) -> Option<&AppliedMigration> {
        self.applied.get(version)
    }

    /// Whether a version was rolled back here, and not by the tool that it was taken over from.
    pub(in crate::runner) fn was_rolled_back(&self, version: &Version) -> bool {
        self.rolled_back.contains_key(version)
    }

    /// The newest applied version that is older than this one.
    pub(in crate::runner) fn before(&self, version: &Version) -> Option<&Version> {
        self.applied.range(..version).next_back().map(|(version, _)| version)
    }

    /// Whether the ledger records that a migration was applied with exactly these files.
    pub(in crate::runner) fn knows(&self, migration: &Migration) -> bool {
        let is = |recorded: &Option<Checksum>, now: Option<&Checksum>| now.is_none() || recorded.as_ref() == now;
        let down = migration.down_script().map(|script| script.checksum());
        self.get(migration.version()).is_some_and(|applied| {
            is(&applied.up_checksum, Some(migration.up_checksum())) && is(&applied.down_checksum, down)
        })
    }

    /// The newest applied version.
    pub fn version(&self) -> Option<&Version> {
        self.applied.keys().next_back()
    }

    /// The migration that started but did not finish, if there is one.
    pub fn unfinished(&self) -> Option<&UnfinishedMigration> {
        self.unfinished.as_ref()
    }

    /// Whether this database has a ledger.
    pub fn has_ledger(&self) -> bool {
        self.has_ledger
    }

    /// The ledger of another tool from which this one took migrations over, if there is one.
    pub fn adopted(&self) -> Option<&AdoptedLedger> {
        self.adopted.as_ref()
    }

    /// The ledgers of other tools: the one that was adopted, or those in a database where nothing was recorded yet.
    pub fn others(&self) -> &[ForeignLedger] {
        &self.others
    }

    /// Sets the ledgers of other tools that were found.
    pub(in crate::runner) fn set_others(&mut self, others: Vec<ForeignLedger>) {
        self.others = others;
    }

    /// The number of the newest row of the ledger; equal numbers mean equal states.
    pub fn newest(&self) -> i64 {
        self.newest
    }
}

impl From<LedgerEntry> for AppliedMigration {
    fn from(entry: LedgerEntry) -> Self {
        Self {
            id: entry.id,
            version: entry.version,
            name: entry.name,
            up_checksum: entry.up_checksum,
            down_checksum: entry.down_checksum,
            at: entry.at,
            by: entry.by,
            event: entry.event,
        }
    }
}

impl From<LedgerEntry> for UnfinishedMigration {
    fn from(entry: LedgerEntry) -> Self {
        Self {
            id: entry.id,
            version: entry.version,
            name: entry.name,
            direction: entry.direction,
            done: 0,
            failed: None,
            up_checksum: entry.up_checksum,
            down_checksum: entry.down_checksum,
            at: entry.at,
            by: entry.by,
            undoes: None,
            running: None,
        }
    }
}

#[cfg(test)]
pub(in crate::runner) mod tests {
    use super::*;

    /// A row of a ledger in shorthand: `applied 1`, `progress 2 up 1`, `failed 2 down 1`; the number at the end is the
    /// statement.
    pub(in crate::runner) fn entry(row: &str, id: i64) -> LedgerEntry {
        let mut words = row.split(' ');
        let event: LedgerEvent = words.next().unwrap().parse().unwrap();
        let version: Version = words.next().unwrap().parse().unwrap();
        let is_down = words.next() == Some("down") || event == LedgerEvent::RolledBack;
        LedgerEntry {
            id,
            event,
            direction: if is_down { Direction::Down } else { Direction::Up },
            name: format!("m{version}"),
            version,
            statement: words.next().map(|n| n.parse().unwrap()),
            up_checksum: None,
            down_checksum: None,
            at: String::new(),
            by: String::new(),
            note: None,
        }
    }

    fn state(rows: &[&str]) -> LedgerState {
        let entries = rows.iter().zip(1..).map(|(row, id)| entry(row, id)).collect();
        LedgerState::derive(Some((entries, rows.len() as i64)))
    }

    fn versions(state: &LedgerState) -> Vec<&str> {
        state.applied().map(|a| a.version.as_str()).collect()
    }

    #[test]
    fn the_last_event_of_a_version_decides() {
        let state = state(&["baselined 1 up", "applied 2 up", "applied 3 up", "rolled_back 2 down"]);
        assert_eq!(versions(&state), ["1", "3"]);
        assert_eq!(state.unfinished(), None);
    }

    #[test]
    fn progress_and_failure_belong_to_the_unfinished_one() {
        let begun = state(&["started 1 up", "progress 1 up 2", "failed 1 up 3"]);
        let unfinished = begun.unfinished().unwrap();
        assert_eq!((unfinished.done, unfinished.failed.as_ref().map(|f| f.0)), (2, Some(3)));
        assert_eq!(versions(&begun), Vec::<&str>::new());
        let resolved = state(&["started 1 up", "failed 1 up 1", "resolved 1 up"]);
        assert_eq!((versions(&resolved), resolved.unfinished()), (vec!["1"], None));
        let undone = state(&["applied 1 up", "started 1 down", "resolved 1 down"]);
        assert_eq!(undone.unfinished(), None);
        assert_eq!(versions(&undone), Vec::<&str>::new());
    }

    #[test]
    fn a_way_back_that_could_not_begin_gives_back_what_it_was_to_undo() {
        let rows = ["started 1 up", "progress 1 up 1", "progress 1 up 2", "failed 1 up 3", "started 1 down"];
        let begun = state(&rows);
        let undo = begun.unfinished().unwrap();
        assert_eq!((undo.direction, undo.done, undo.undoes), (Direction::Down, 0, Some(2)));
        let back = [&rows[..], &["failed 1 down 1", "started 1 up", "progress 1 up 2", "failed 1 up 3"]].concat();
        let back = state(&back);
        let up = back.unfinished().unwrap();
        assert_eq!((up.direction, up.done, up.undoes), (Direction::Up, 2, None));
        assert_eq!(up.failed.as_ref().map(|failed| failed.0), Some(3));
        let undoes = |rows: &[&str]| state(rows).unfinished().unwrap().undoes;
        assert_eq!(undoes(&["started 1 up", "progress 1 up 1", "started 2 down"]), None);
        assert_eq!(undoes(&["started 1 up", "progress 1 up 1", "started 1 up"]), None);
        let done = state(&[&rows[..], &["progress 1 down 1", "rolled_back 1 down"]].concat());
        assert_eq!((done.unfinished(), versions(&done)), (None, Vec::new()));
    }
}
