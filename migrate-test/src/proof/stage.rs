//! A throw-away database on which a chain is moved up and down, and the eyes on it.

use std::sync::Arc;

use migrate_core::ledger::Direction;
use migrate_core::runner::{Rehearsal, Touched};
use migrate_core::schema::{Change, Schema, Surroundings, Watcher};
use migrate_core::source::Migration;
use migrate_core::sql::Positioned;
use migrate_core::{CodeMigrations, Database, Error};

use super::ProofError;
use super::again::{self, Counters};
use crate::ephemeral::{TestDatabase, migrated, rehearsal};
use crate::error::ServerError;
use crate::rows::Rows;

/// A database somewhere in the chain, and a session on it.
pub(crate) struct Ground {
    database: TestDatabase,
    pub(crate) rehearsal: Rehearsal,
}

/// The same with an eye on its schema.
pub(crate) struct Stage {
    ground: Ground,
    watcher: Watcher,
    around: Surroundings,
}

impl Ground {
    /// A database at which the first migrations are applied.
    pub(crate) async fn at(
        prefix: &[Arc<Migration>],
        code: &CodeMigrations,
        remember: bool,
    ) -> Result<Self, ProofError> {
        let database = migrated(prefix, code, remember).await?;
        let rehearsal = rehearsal(Database::from(database.options()), code).await?;
        Ok(Self { database, rehearsal })
    }

    /// Where it is, for another session on it.
    pub(crate) fn address(&self) -> Database {
        Database::from(self.database.options())
    }

    /// Ends, and drops the database.
    pub(crate) async fn end(self) -> Result<(), ProofError> {
        self.leave().await.drop_now().await?;
        Ok(())
    }

    /// Ends, and leaves the database to be looked at.
    pub(crate) async fn leave(self) -> TestDatabase {
        self.rehearsal.close().await;
        self.database
    }
}

impl Stage {
    /// A database at which the first migrations are applied.
    pub(crate) async fn at(
        prefix: &[Arc<Migration>],
        code: &CodeMigrations,
        remember: bool,
    ) -> Result<Self, ProofError> {
        let ground = Ground::at(prefix, code, remember).await?;
        let address = ground.address();
        let (watcher, around) =
            tokio::try_join!(Watcher::open(&address), Surroundings::open(&address, ground.database.is_apart()))?;
        Ok(Self { ground, watcher, around })
    }

    /// The schema as it was at the last look.
    pub(crate) fn schema(&self) -> &Schema {
        self.watcher.schema()
    }

    /// Runs one migration, and tells what it did. Where it fails, what its transaction did is undone.
    pub(crate) async fn go(
        &mut self,
        migration: &Arc<Migration>,
        direction: Direction,
    ) -> Result<Result<Change, Error>, ProofError> {
        let given = migration.up_script().map(|up| Positioned::by(up.text())).unwrap_or_default();
        let positions = match given.is_empty() {
            true => None,
            false => Some(self.around.positions().await?),
        };
        let outcome = self.ground.rehearsal.run(migration, direction).await;
        let (change, around) = tokio::try_join!(self.watcher.look(), self.around.look())?;
        if self.ground.database.could_be_apart() {
            let undo = self.around.left_on_server().await?;
            if !undo.is_empty() {
                return Err(ServerError::ChangesServer { undo }.into());
            }
        }
        let mut change = change.then(&around);
        if let Some(positions) = positions {
            change = change.then(&positions.until(&self.around.positions().await?, &given));
        }
        Ok(outcome.map(|_| change))
    }

    /// The rows of all tables as they are now, and where the sequences stand.
    pub(super) async fn rows(&mut self) -> Result<(Rows, Counters), ProofError> {
        let mut rows = Rows::default();
        rows.refresh(&mut self.ground.rehearsal, self.watcher.schema(), &Touched::Unknown).await?;
        Ok((rows, Counters::read(&mut self.ground.rehearsal).await?))
    }

    /// Makes these the rows of all tables.
    pub(super) async fn put(&mut self, (rows, counters): &(Rows, Counters)) -> Result<(), ProofError> {
        Ok(again::exactly(&mut self.ground.rehearsal, self.watcher.schema(), rows, counters).await?)
    }

    /// Ends the watch.
    pub(crate) async fn leave(self) -> Ground {
        self.watcher.close().await;
        self.around.close().await;
        self.ground
    }

    /// Ends, and drops the database.
    pub(crate) async fn end(self) -> Result<(), ProofError> {
        self.leave().await.end().await
    }
}
