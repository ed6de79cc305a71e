//! What the server reports in one look, as plain values: relations, locks, indexes. The tally compares two
//! looks.

use std::collections::BTreeMap;

use migrate_base::ident::QualifiedName;
use migrate_base::lock_mode::LockMode;
use migrate_core::runner::{Rehearsal, TextRows};

/// The oid of an object in the catalogs.
pub(super) type RelationOid = u32;

/// Queries, in the migration's own transaction, what it has locked.
pub(super) const LOCKED: &str = concat!(include_str!("locked.sql"), ";\n", include_str!("invalid.sql"));
/// Queries the same about all relations, when no lock is held any more.
pub(super) const RELATIONS: &str = concat!(include_str!("relations.sql"), ";\n", include_str!("invalid.sql"));

/// The relations that exist before a migration.
#[derive(Debug, Default)]
pub(super) struct PriorRelations {
    pub(super) relations: BTreeMap<RelationOid, Relation>,
    pub(super) look: RelationSnapshot,
}

/// A relation that exists before a migration, under the name that it has then.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) name: QualifiedName,
    /// As in `pg_class.relkind`.
    pub(super) kind: char,
    /// The table that an index, or the sequence of a column, belongs to.
    pub(super) of: Option<RelationOid>,
}

/// The result of one look.
#[derive(Debug, Clone, Default)]
pub(super) struct RelationSnapshot {
    /// The strongest lock on each relation.
    pub(super) locks: BTreeMap<RelationOid, LockMode>,
    pub(super) stored: BTreeMap<RelationOid, RelationStorage>,
    /// The invalid indexes.
    pub(super) invalid: BTreeMap<RelationOid, QualifiedName>,
}

/// What reveals that the rows of a relation were rewritten or read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RelationStorage {
    /// Its current name, as SQL.
    pub(super) name: String,
    /// The number of its file, which changes with a rewrite. `None` if it has no file.
    pub(super) file: Option<String>,
    /// Its size in bytes.
    pub(super) size: u64,
    /// How many rows, or index entries, were read since the server began to count.
    pub(super) reads: u64,
}

impl PriorRelations {
    /// Reads the relations that exist.
    pub(super) async fn read(rehearsal: &mut Rehearsal) -> migrate_core::Result<Self> {
        let answers = rehearsal.look(RELATIONS).await?;
        let relations = answers.first().into_iter().flat_map(|(_, rows)| rows).filter_map(|row| relation(row));
        Ok(Self { relations: relations.collect(), look: RelationSnapshot::of_relations(&answers) })
    }

    /// The relation that a lock is reported for: for an index or a sequence, its table.
    pub(super) fn told(&self, oid: RelationOid) -> Option<RelationOid> {
        let relation = self.relations.get(&oid)?;
        match relation.of {
            Some(table) => self.relations.contains_key(&table).then_some(table),
            // An index of an unknown table is one of the server's own.
            None => (!matches!(relation.kind, 'i' | 'I')).then_some(oid),
        }
    }

    /// The tables and materialized views, including partitioned tables.
    pub(super) fn tables(&self) -> impl Iterator<Item = RelationOid> {
        self.relations.iter().filter(|(_, one)| matches!(one.kind, 'r' | 'p' | 'm')).map(|(oid, _)| *oid)
    }
}

impl RelationSnapshot {
    /// Parses the answers to [`LOCKED`].
    pub(super) fn of_locked(answers: &[TextRows]) -> Self {
        let locks = rows(answers, 0).filter_map(|row| {
            let modes = row.get(1)?.as_deref()?.split(',').filter_map(|mode| mode.parse().ok());
            Some((oid(row, 0)?, modes.max()?))
        });
        Self { locks: locks.collect(), stored: stored(answers, 2), invalid: invalid(answers) }
    }

    /// Parses the answers to [`RELATIONS`].
    pub(super) fn of_relations(answers: &[TextRows]) -> Self {
        Self { locks: BTreeMap::new(), stored: stored(answers, 5), invalid: invalid(answers) }
    }
}

fn rows(answers: &[TextRows], at: usize) -> impl Iterator<Item = &Vec<Option<String>>> {
    answers.get(at).into_iter().flat_map(|(_, rows)| rows)
}

fn oid(row: &[Option<String>], at: usize) -> Option<RelationOid> {
    row.get(at)?.as_deref()?.parse().ok()
}

fn relation(row: &[Option<String>]) -> Option<(RelationOid, Relation)> {
    let text = |at: usize| row.get(at).cloned().flatten();
    let name = QualifiedName::new(text(2)?, text(3)?);
    Some((oid(row, 0)?, Relation { name, kind: text(1)?.chars().next()?, of: oid(row, 4) }))
}

/// The four columns from `from` on.
fn stored(answers: &[TextRows], from: usize) -> BTreeMap<RelationOid, RelationStorage> {
    let one = |row: &Vec<Option<String>>| {
        let text = |at: usize| row.get(from + at).cloned().flatten();
        let number = |at: usize| text(at).and_then(|number| number.parse().ok()).unwrap_or_default();
        Some((oid(row, 0)?, RelationStorage { name: text(0)?, file: text(1), size: number(2), reads: number(3) }))
    };
    rows(answers, 0).filter_map(one).collect()
}

fn invalid(answers: &[TextRows]) -> BTreeMap<RelationOid, QualifiedName> {
    let one = |row: &Vec<Option<String>>| {
        let text = |at: usize| row.get(at).cloned().flatten();
        Some((oid(row, 0)?, QualifiedName::new(text(1)?, text(2)?)))
    };
    rows(answers, 1).filter_map(one).collect()
}
