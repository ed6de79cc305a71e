//! A shadow database on which a chain moves up and down, and the means to observe it.

use std::sync::Arc;

use migrate_base::sql::PositionedSequences;
use migrate_core::runner::{Rehearsal, WrittenTables};
use migrate_core::{CodeMigrations, Database, Direction, Error, Migration};
use migrate_schema::{Object, Positions, Schema, SchemaChange, Surroundings, Watcher};

use super::ProofError;
use super::again::{self, SequenceCounters};
use super::scope::RelevantTables;
use crate::ephemeral::{StatementLog, TestDatabase, migrated, refused, rehearsal};
use crate::rows::DatabaseRows;

/// A database at some position of the chain, and a session on it.
pub(crate) struct ChainDatabase {
    database: TestDatabase,
    pub(crate) rehearsal: Rehearsal,
}

/// The same with a watcher for its schema.
pub(crate) struct WatchedDatabase {
    pub(crate) ground: ChainDatabase,
    watcher: Watcher,
    pub(super) around: Surroundings,
    /// What has been used since the last query.
    pub(super) scope: RelevantTables,
}

impl ChainDatabase {
    /// A database with the first migrations applied.
    pub(crate) async fn at(
        prefix: &[Arc<Migration>],
        code: &CodeMigrations,
        remember: bool,
    ) -> Result<Self, ProofError> {
        let database = migrated(prefix, code, remember).await?;
        let mut rehearsal = rehearsal(Database::from(database.options()), code).await?;
        if !database.is_apart() {
            rehearsal.spare_server();
        }
        Ok(Self { database, rehearsal })
    }

    /// Runs one migration.
    ///
    /// # Errors
    ///
    /// [`ServerError::ChangesServer`](crate::ServerError) if the migration needs a server of its own: that says
    /// nothing about the migration.
    pub(crate) async fn run(
        &mut self,
        migration: &Arc<Migration>,
        direction: Direction,
    ) -> Result<Result<WrittenTables, Error>, ProofError> {
        match self.rehearsal.run(migration, direction).await {
            Err(error) if Rehearsal::is_of_server(&error) => Err(refused(error)),
            outcome => Ok(outcome),
        }
    }

    /// From now on, what is sent to it is logged.
    pub(crate) async fn log_statements(&self) -> Result<StatementLog, ProofError> {
        Ok(self.database.log_statements().await?)
    }

    /// Its address, for another session.
    pub(crate) fn address(&self) -> Database {
        Database::from(self.database.options())
    }

    /// Closes the session and drops the database.
    pub(crate) async fn end(self) -> Result<(), ProofError> {
        self.leave().await.let_go().await?;
        Ok(())
    }

    /// Closes the session and leaves the database for inspection.
    pub(crate) async fn leave(self) -> TestDatabase {
        self.rehearsal.close().await;
        self.database
    }
}

/// The sequences whose position a migration sets, in either direction.
pub(super) fn positioned(migration: &Migration) -> PositionedSequences {
    let scripts = [migration.up_script(), migration.down_script()];
    PositionedSequences::by(scripts.into_iter().flatten().map(|script| &**script.text()))
}

impl WatchedDatabase {
    /// A database with the first migrations applied.
    pub(crate) async fn at(
        prefix: &[Arc<Migration>],
        code: &CodeMigrations,
        remember: bool,
    ) -> Result<Self, ProofError> {
        Self::on(ChainDatabase::at(prefix, code, remember).await?, code).await
    }

    /// The same with the log of everything that is sent to it from now on.
    pub(crate) async fn recorded(
        prefix: &[Arc<Migration>],
        code: &CodeMigrations,
    ) -> Result<(Self, StatementLog), ProofError> {
        let ground = ChainDatabase::at(prefix, code, false).await?;
        // The settings for that are there before anybody looks at the database.
        let log = ground.log_statements().await?;
        Ok((Self::on(ground, code).await?, log))
    }

    async fn on(ground: ChainDatabase, code: &CodeMigrations) -> Result<Self, ProofError> {
        let address = ground.address();
        // What another tool keeps for itself is not what its migrations make.
        let engine = code.engine().cloned();
        let own = move |object: &Object| engine.as_ref().is_some_and(|engine| engine.owns(object));
        let watcher = Watcher::open_without(&address, own);
        let (watcher, around) = tokio::try_join!(watcher, Surroundings::open(&address, ground.database.is_apart()))?;
        Ok(Self { ground, watcher, around, scope: RelevantTables::default() })
    }

    /// The schema as it was last read.
    pub(crate) fn schema(&self) -> &Schema {
        self.watcher.schema()
    }

    /// Runs one migration, and returns what it changed. If it fails, its transaction is rolled back.
    pub(crate) async fn go(
        &mut self,
        migration: &Arc<Migration>,
        direction: Direction,
    ) -> Result<Result<SchemaChange, Error>, ProofError> {
        let given = positioned(migration);
        let before = match given.is_empty() {
            true => None,
            false => Some(self.positions(&given).await?),
        };
        let outcome = self.ground.run(migration, direction).await?;
        let (change, around) = tokio::try_join!(self.watcher.look(), self.around.look())?;
        self.scope.take(self.ground.rehearsal.used(), &change);
        let mut change = change.then(&around);
        if let Some(before) = before {
            change = change.then(&before.until(&self.positions(&given).await?));
        }
        Ok(outcome.map(|_| change))
    }

    async fn positions(&mut self, given: &PositionedSequences) -> Result<Positions, ProofError> {
        Ok(self.around.positions(|one| given.may_give(one.name, one.of)).await?)
    }

    /// The current rows of all tables, and the positions of the sequences.
    pub(super) async fn rows(&mut self) -> Result<(DatabaseRows, SequenceCounters), ProofError> {
        Ok((self.all_rows().await?, SequenceCounters::read(&mut self.ground.rehearsal).await?))
    }

    /// The current rows of all tables.
    pub(crate) async fn all_rows(&mut self) -> Result<DatabaseRows, ProofError> {
        let mut rows = DatabaseRows::default();
        rows.refresh(&mut self.ground.rehearsal, self.watcher.schema(), &WrittenTables::Unknown).await?;
        Ok(rows)
    }

    /// Makes these the rows of all tables.
    pub(super) async fn put(&mut self, (rows, counters): &(DatabaseRows, SequenceCounters)) -> Result<(), ProofError> {
        Ok(again::exactly(&mut self.ground.rehearsal, self.watcher.schema(), rows, counters).await?)
    }

    /// Stops watching the schema.
    pub(crate) async fn leave(self) -> ChainDatabase {
        self.watcher.close().await;
        self.around.close().await;
        self.ground
    }

    /// Closes the session and drops the database.
    pub(crate) async fn end(self) -> Result<(), ProofError> {
        self.leave().await.end().await
    }
}
