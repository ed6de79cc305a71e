//! What a migration does to a database in use, observed on a throw-away one with rows: which locks each
//! of its statements takes and how long it keeps them, what it rewrites, reads, leaves invalid.
//!
//! Nothing here is known of statements; the server is asked. A statement that may run in a transaction
//! is looked at before its transaction ends, when all locks are still there. One that may not is held up
//! on every table, so that it has to say what it wants. What follows for a migration is left to others.

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

use migrate_core::ident::QualifiedName;
use migrate_core::ledger::Direction;
use migrate_core::lock_mode::LockMode;
use migrate_core::source::{Migration, Version};
use migrate_core::{CodeMigrations, Error, MigrationSet};

use crate::ephemeral::watched;
use crate::proof::ProofError;

/// What was observed of one migration on its way up, or down.
#[derive(Debug)]
pub struct Observation {
    /// Its version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// Which way it went.
    pub direction: Direction,
    /// Its statements in their order, up to the one that failed; one for a migration written in Rust.
    pub statements: Vec<Observed>,
    /// Why it failed, with the place; `None` where it did not.
    pub failed: Option<Error>,
    /// What is worth knowing about the rows: tables that got none, migrations that some are in the way of.
    pub notes: Vec<String>,
    /// How long it took, from its first statement to the end of its transaction.
    pub elapsed: Duration,
}

/// What was observed of one statement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The bytes of the script; empty for a migration written in Rust.
    pub span: Range<usize>,
    /// The locks that were not held so strongly before it, the strongest first.
    pub locks: Vec<Lock>,
    /// The tables that were rewritten.
    pub rewritten: Vec<Rewritten>,
    /// The tables of which rows were read, partitions each for itself.
    pub scanned: Vec<Scanned>,
    /// The indexes that it left invalid, and that no later statement made valid or removed.
    pub invalid: Vec<QualifiedName>,
    /// Why locks of it may be missing above; `None` where all were seen.
    pub unseen: Option<String>,
    /// How long it took, as seen from the client: without being held up, and without the end of the transaction.
    pub elapsed: Duration,
}

/// A lock on a relation that was there before the migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The table or view, under the name that it had before. A lock on an index, or on the sequence of a
    /// column, is told of its table.
    pub relation: QualifiedName,
    /// The lock.
    pub mode: LockMode,
    /// How long it was held: from the beginning of the statement to the end of the transaction, or to the
    /// statement that gave it back (`ROLLBACK TO`). The statement may have taken it later, never earlier.
    pub held: Duration,
    /// Over how many later statements of the script it was held.
    pub statements: usize,
}

/// A table, or a materialized view, whose rows were all rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The table, under the name that it had before.
    pub table: QualifiedName,
    /// How many rows were written; 0 where it was empty, which it may not be elsewhere.
    pub rows: u64,
}

/// A table, or a materialized view, of which rows were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The table, under the name that it had before.
    pub table: QualifiedName,
    /// How many rows, or entries of its indexes, were read; those that were read twice are counted twice.
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
    pub fn rewritten(&self) -> impl Iterator<Item = &Rewritten> {
        self.statements.iter().flat_map(|statement| &statement.rewritten)
    }

    /// The strongest lock, of equal ones the one that was held longest.
    pub fn strongest(&self) -> Option<&Lock> {
        self.locks().max_by_key(|lock| (lock.mode, lock.held))
    }
}

/// Observes migrations of a chain, each up and then, where there is a way, down.
///
/// One database goes up the chain; a second one is made where something fails. Where rows are in the way
/// of a migration it is tried on plainer ones, as the proof does. A migration that fails is observed as
/// far as it got, and ends the list when the rest of the chain cannot do without it. The same seed draws
/// the same rows.
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
    let chain: Vec<Arc<Migration>> = set.iter().cloned().collect();
    let chosen: Vec<usize> = (0..chain.len()).filter(|at| versions.contains(chain[*at].version())).collect();
    watched(&chain, async || Box::pin(walk::along(&chain, code, &chosen, seed)).await).await
}
