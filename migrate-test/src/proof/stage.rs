//! A throw-away database on which a chain is moved up and down, and the eyes on it.

use std::sync::Arc;

use migrate_core::ledger::Direction;
use migrate_core::runner::{Rehearsal, Touched};
use migrate_core::schema::{Change, Schema, Watcher};
use migrate_core::source::Migration;
use migrate_core::{CodeMigrations, Database, Error};

use super::ProofError;
use crate::ephemeral::TestDatabase;

/// A database somewhere in the chain.
pub(super) struct Stage {
    pub(super) database: TestDatabase,
    pub(super) rehearsal: Rehearsal,
    watcher: Watcher,
}

/// One step of the chain, and what it did to the schema.
pub(super) struct Move {
    pub(super) change: Change,
    pub(super) touched: Touched,
}

impl Stage {
    /// A database at which the first migrations are applied.
    pub(super) async fn at(prefix: &[Arc<Migration>], code: &CodeMigrations) -> Result<Self, ProofError> {
        let database = TestDatabase::create().await?;
        let address = Database::from(database.options());
        let mut rehearsal = Rehearsal::open(address.clone(), code.clone()).await?;
        rehearsal.climb(prefix).await?;
        let watcher = Watcher::open(&address).await?;
        Ok(Self { database, rehearsal, watcher })
    }

    /// The session, and the schema as it was at the last look.
    pub(super) fn parts(&mut self) -> (&mut Rehearsal, &Schema) {
        (&mut self.rehearsal, self.watcher.schema())
    }

    /// Runs one migration. Where it fails, what its transaction did is undone; what a migration
    /// without a transaction did stays, and the next look tells.
    pub(super) async fn go(
        &mut self,
        migration: &Arc<Migration>,
        direction: Direction,
    ) -> Result<Result<Move, Error>, ProofError> {
        let outcome = self.rehearsal.run(migration, direction).await;
        let change = self.watcher.look().await?;
        Ok(outcome.map(|touched| Move { change, touched }))
    }

    /// Sees what happened since the last look.
    pub(super) async fn look(&mut self) -> Result<Change, ProofError> {
        Ok(self.watcher.look().await?)
    }

    /// Ends, and drops the database.
    pub(super) async fn end(self) -> Result<(), ProofError> {
        self.leave().await.drop_now().await?;
        Ok(())
    }

    /// Ends, and leaves the database to be looked at.
    pub(super) async fn leave(self) -> TestDatabase {
        self.rehearsal.close().await;
        self.watcher.close().await;
        self.database
    }
}
