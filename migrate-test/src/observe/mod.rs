//! What a migration does to a database in use, observed on a shadow database with rows: which locks each of its
//! statements takes and how long it holds them, and what it rewrites, reads, or leaves invalid.
//!
//! Nothing here is derived from the text of statements; the server is queried. A statement that can run in a
//! transaction is inspected before its transaction ends, when it still holds all its locks. A statement that
//! cannot is blocked on every table, so that it has to reveal which locks it wants. The conclusions for a
//! migration are drawn elsewhere.

mod bar;
mod barrier;
mod look;
mod one;
mod probe;
mod tally;
mod walk;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use migrate_base::ident::QualifiedName;
use migrate_base::lock_mode::LockMode;
use migrate_core::{CodeMigrations, Direction, Error, Migration, MigrationSet, Version};

use crate::ephemeral::watched;
use crate::error::ProofError;

/// What was observed for one migration in one direction.
#[derive(Debug)]
#[non_exhaustive]
pub struct Observation {
    /// Its version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// The direction.
    pub direction: Direction,
    /// Its statements in order, up to the one that failed. A migration written in Rust counts as one statement.
    pub statements: Vec<StatementObservation>,
    /// Why it failed, with the location; `None` if it did not.
    pub failed: Option<Error>,
    /// Notes about the rows: tables that got none, migrations that fail because of some rows.
    pub notes: Vec<String>,
    /// How long it took, from its first statement to the end of its transaction.
    pub elapsed: Duration,
}

/// What was observed for one statement.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct StatementObservation {
    /// The byte range in the script; empty for a migration written in Rust.
    pub span: Range<usize>,
    /// The locks that it took or strengthened, the strongest first.
    pub locks: Vec<Lock>,
    /// The tables that were rewritten.
    pub rewritten: Vec<TableRewrite>,
    /// The tables whose rows were read; partitions are listed individually.
    pub scanned: Vec<TableScan>,
    /// The indexes that it left invalid, and that no later statement made valid or dropped.
    pub invalid: Vec<QualifiedName>,
    /// Why some of its locks may be missing above; `None` if all were seen.
    pub unseen: Option<String>,
    /// How long it took, as seen by the client: without the time that it was blocked, and without the end of
    /// the transaction.
    pub elapsed: Duration,
}

/// A lock on a relation that existed before the migration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lock {
    /// The table or view, under its name before the migration. A lock on an index, or on the sequence of a
    /// column, is reported for its table.
    pub relation: QualifiedName,
    /// The lock mode.
    pub mode: LockMode,
    /// How long it was held: from the beginning of the statement to the end of the transaction, or to the
    /// statement that released it (`ROLLBACK TO`). The statement may have taken the lock later, never earlier.
    pub held: Duration,
    /// During how many later statements of the script it was held.
    pub statements: usize,
}

/// A table, or a materialized view, whose rows were all rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableRewrite {
    /// The table, under its name before the migration.
    pub table: QualifiedName,
    /// How many rows were written; 0 if it was empty here, which it may not be elsewhere.
    pub rows: u64,
}

/// A table, or a materialized view, whose rows were read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableScan {
    /// The table, under its name before the migration.
    pub table: QualifiedName,
    /// How many rows, or entries of its indexes, were read. Those that were read twice count twice.
    pub rows: u64,
}

impl Observation {
    fn new(migration: &Migration, direction: Direction) -> Self {
        Self {
            version: migration.version().clone(),
            name: migration.name().to_owned(),
            direction,
            statements: Vec::new(),
            failed: None,
            notes: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// All locks, in the order in which they were taken.
    pub fn locks(&self) -> impl Iterator<Item = &Lock> {
        self.statements.iter().flat_map(|statement| &statement.locks)
    }

    /// All tables that were rewritten, in the order of the statements.
    pub fn rewritten(&self) -> impl Iterator<Item = &TableRewrite> {
        self.statements.iter().flat_map(|statement| &statement.rewritten)
    }

    /// The strongest lock; if there are several, the one that was held longest.
    pub fn strongest(&self) -> Option<&Lock> {
        self.locks().max_by_key(|lock| (lock.mode, lock.held))
    }
}

/// Observes migrations of a chain: each up and then, if possible, down.
///
/// One database goes up the chain. A second one is created if something fails. If a migration fails because of
/// the rows, it is tried on plainer ones, as in the proof. A migration that fails is observed up to the
/// failure, and ends the list if the rest of the chain cannot be applied without it. The same seed draws the
/// same rows.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration that is not observed does not apply.
pub async fn observe(
    set: &MigrationSet,
    code: &CodeMigrations,
    versions: &BTreeSet<Version>,
    seed: u64,
) -> Result<Vec<Observation>, ProofError> {
    let chain: Vec<Arc<Migration>> = set.up_to(None);
    let chosen: Vec<usize> = (0..chain.len()).filter(|at| versions.contains(chain[*at].version())).collect();
    watched(&chain, async || Box::pin(walk::along(&chain, code, &chosen, seed)).await).await
}
