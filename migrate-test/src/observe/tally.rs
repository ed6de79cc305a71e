//! From one look to the next: which locks were taken and released, and what was rewritten, read, or left
//! invalid. A plain value; other modules query the server.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use migrate_base::ident::QualifiedName;
use migrate_base::lock_mode::LockMode;

use super::look::{PriorRelations, RelationOid, RelationSnapshot, RelationStorage};
use super::{Lock, StatementObservation, TableRewrite, TableScan};

/// The statements of one script, as far as they have been observed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    world: PriorRelations,
    statements: Vec<StatementObservation>,
    /// The locks that are held, each with its position in `statements`.
    held: Vec<TallyLock>,
    /// The indexes that were left invalid, and by which statement.
    invalid: BTreeMap<RelationOid, (usize, QualifiedName)>,
    ended: Duration,
}

/// A lock that is held.
#[derive(Debug, Clone, Copy)]
struct TallyLock {
    oid: RelationOid,
    mode: LockMode,
    statement: usize,
    lock: usize,
}

/// A table that has another file than before: it was rewritten, or emptied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableFileChange {
    pub(super) oid: RelationOid,
    /// Its current name, as SQL.
    pub(super) name: String,
    /// Whether it had rows before.
    pub(super) was_filled: bool,
    /// Whether it is empty now.
    pub(super) is_empty: bool,
}

impl Tally {
    pub(super) fn of(world: PriorRelations) -> Self {
        Self { world, ..Self::default() }
    }

    pub(super) fn world(&self) -> &PriorRelations {
        &self.world
    }

    /// Begins a statement: the locks that are held continue to be held during it.
    pub(super) fn statement(&mut self, span: Range<usize>, elapsed: Duration) {
        for held in &self.held {
            let lock = &mut self.statements[held.statement].locks[held.lock];
            lock.held += elapsed;
            lock.statements += 1;
        }
        self.statements.push(StatementObservation { span, elapsed, ..StatementObservation::default() });
    }

    /// Records the locks that are held now: new ones were taken by the last statement. For statements that were
    /// blocked, these are the locks that they requested.
    pub(super) fn locks(&mut self, locks: &BTreeMap<RelationOid, LockMode>) {
        let Some(statement) = self.statements.len().checked_sub(1) else { return };
        let mut now: BTreeMap<RelationOid, LockMode> = BTreeMap::new();
        for (oid, mode) in locks {
            if let Some(oid) = self.world.told(*oid) {
                let strongest = now.entry(oid).or_insert(*mode);
                *strongest = (*strongest).max(*mode);
            }
        }
        // Locks that a rollback to a savepoint released are no longer held.
        self.held.retain(|held| now.get(&held.oid).is_some_and(|mode| *mode >= held.mode));
        let is_held =
            |oid: RelationOid, mode: LockMode| self.held.iter().any(|held| held.oid == oid && held.mode >= mode);
        let mut new: Vec<(RelationOid, LockMode)> =
            now.into_iter().filter(|(oid, mode)| !is_held(*oid, *mode)).collect();
        let name = |oid: RelationOid| self.world.relations.get(&oid).map(|relation| relation.name.clone());
        new.sort_by_key(|(oid, mode)| (Reverse(*mode), name(*oid).map(|name| name.to_string())));
        let held = self.statements[statement].elapsed;
        for (oid, mode) in new {
            let Some(relation) = name(oid) else { continue };
            let locks = &mut self.statements[statement].locks;
            self.held.push(TallyLock { oid, mode, statement, lock: locks.len() });
            locks.push(Lock { relation, mode, held, statements: 0 });
        }
    }

    /// Records what the last statement read and left invalid. Returns the tables that have another file than
    /// before.
    pub(super) fn look(&mut self, look: &RelationSnapshot) -> Vec<TableFileChange> {
        let Some(at) = self.statements.len().checked_sub(1) else { return Vec::new() };
        let (mut moved, mut read) = (Vec::new(), BTreeMap::<RelationOid, u64>::new());
        for (oid, now) in &look.stored {
            let Some(before) = self.world.look.stored.insert(*oid, now.clone()) else { continue };
            let kind = self.world.relations.get(oid).map_or(' ', |relation| relation.kind);
            // Reading only an index counts as reading its table.
            if let ('r' | 'm' | 'i', Some(table)) = (kind, self.world.told(*oid)) {
                *read.entry(table).or_default() += now.reads.saturating_sub(before.reads);
            }
            if matches!(kind, 'r' | 'm') && now.file.is_some() && now.file != before.file {
                let (was_filled, is_empty) = (before.size > 0, now.size == 0);
                moved.push(TableFileChange { oid: *oid, name: now.name.clone(), was_filled, is_empty });
            }
        }
        for (oid, rows) in read.into_iter().filter(|(_, rows)| *rows > 0) {
            let relation = self.world.relations.get(&oid);
            self.statements[at].scanned.extend(relation.map(|one| TableScan { table: one.name.clone(), rows }));
        }
        self.statements[at].scanned.sort_by_key(|scanned| scanned.table.to_string());
        self.invalid(&look.invalid);
        moved
    }

    /// The indexes that are invalid now.
    pub(super) fn invalid(&mut self, now: &BTreeMap<RelationOid, QualifiedName>) {
        self.invalid.retain(|oid, _| now.contains_key(oid));
        let statement = self.statements.len().saturating_sub(1);
        for (oid, name) in now.iter().filter(|(oid, _)| !self.world.look.invalid.contains_key(oid)) {
            self.invalid.entry(*oid).or_insert_with(|| (statement, name.clone()));
        }
    }

    /// Records the current number of rows of a table that has another file.
    ///
    /// If it is empty now, and was not before, it was emptied: TRUNCATE gives a table a new file too.
    pub(super) fn moved(&mut self, moved: &TableFileChange, rows: u64) {
        if let (Some(last), Some(relation)) = (self.statements.last_mut(), self.world.relations.get(&moved.oid))
            && (rows > 0 || !moved.was_filled)
        {
            last.rewritten.push(TableRewrite { table: relation.name.clone(), rows });
        }
    }

    /// Continues from here after rows were counted, because counting also reads.
    pub(super) fn counted(&mut self, stored: BTreeMap<RelationOid, RelationStorage>) {
        self.world.look.stored.extend(stored);
    }

    /// Records why some locks of the last statement may be missing.
    pub(super) fn unseen(&mut self, why: Option<String>) {
        if let Some(last) = self.statements.last_mut() {
            last.unseen = why;
        }
    }

    /// The transaction is over; its end took this long.
    pub(super) fn commit(&mut self, elapsed: Duration) {
        for held in std::mem::take(&mut self.held) {
            self.statements[held.statement].locks[held.lock].held += elapsed;
        }
        self.ended += elapsed;
    }

    /// All statements, and how long they took together.
    pub(super) fn finish(mut self) -> (Vec<StatementObservation>, Duration) {
        for (statement, name) in self.invalid.into_values() {
            if let Some(observed) = self.statements.get_mut(statement) {
                observed.invalid.push(name);
            }
        }
        let elapsed = self.statements.iter().map(|statement| statement.elapsed).sum::<Duration>() + self.ended;
        (self.statements, elapsed)
    }

    /// The names of relations.
    pub(super) fn names(&self, oids: &BTreeSet<RelationOid>) -> String {
        let names = oids.iter().filter_map(|oid| self.world.relations.get(oid));
        names
            .map(|relation| format!("{}.{}", relation.name.schema(), relation.name.name()))
            .collect::<Vec<_>>()
            .join(", ")
    }
}
