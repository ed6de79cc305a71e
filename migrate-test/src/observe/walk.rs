//! Up the chain, with a stop at each migration that is observed: rows, up, down, up again. The observation of
//! one migration defines what happens at a stop.

use std::sync::Arc;

use migrate_core::source::MigrationBody;
use migrate_core::{CodeMigrations, Direction, Error, Migration};
use migrate_schema::{Schema, Watcher};

use super::Observation;
use super::one::{BlockingPolicy, observe};
use crate::proof::{ChainDatabase, FilledDatabase, ProofError, RelevantTables, RowKind, WatchedDatabase};
use crate::rows::DatabaseRows;

/// A database on its way up the chain.
struct ObservationWalk<'a> {
    chain: &'a [Arc<Migration>],
    code: &'a CodeMigrations,
    filled: FilledDatabase,
    watcher: Watcher,
}

/// What is tried at a stop.
#[derive(Debug, Clone)]
struct Attempt {
    how: RowKind,
    nerve: BlockingPolicy,
}

/// Observes the chosen migrations, which are in the order of the chain.
pub(super) async fn along(
    chain: &[Arc<Migration>],
    code: &CodeMigrations,
    chosen: &[usize],
    seed: u64,
) -> Result<Vec<Observation>, ProofError> {
    let (Some(first), Some(last)) = (chosen.first().copied(), chosen.last().copied()) else { return Ok(Vec::new()) };
    let mut filled = FilledDatabase::at(&chain[..first], code, seed).await?;
    // The locks are the same with only a few rows.
    filled.scope = RelevantTables::nothing();
    let watcher = Watcher::open(&filled.ground.address()).await?;
    let mut walk = ObservationWalk { chain, code, filled, watcher };
    let mut seen = Vec::new();
    for at in first..=last {
        let goes_on = match chosen.contains(&at) {
            true => walk.stop(at, at == last, &mut seen).await?,
            false => walk.climb(at).await.map(|()| true)?,
        };
        if !goes_on {
            break;
        }
    }
    walk.watcher.close().await;
    walk.filled.ground.end().await?;
    Ok(seen)
}

impl ObservationWalk<'_> {
    /// Applies a migration that is not observed. If it fails because of the rows, continues without them.
    async fn climb(&mut self, at: usize) -> Result<(), ProofError> {
        match self.filled.ground.run(&self.chain[at], Direction::Up).await? {
            Ok(_) => Ok(()),
            Err(_) => self.restart(at + 1, false).await,
        }
    }

    /// Observes a migration up and down, and applies it for the next one. Returns `false` if it cannot be
    /// applied.
    async fn stop(&mut self, at: usize, is_last: bool, seen: &mut Vec<Observation>) -> Result<bool, ProofError> {
        let migration = &self.chain[at];
        let up = self.up(at).await?;
        let applies = up.failed.is_none();
        seen.push(up);
        if !applies {
            // The next migrations are observed if it can be applied at least without rows.
            return Ok(!is_last && self.restart(at + 1, false).await.is_ok());
        }
        if matches!(migration.body(), MigrationBody::Sql { down: None, .. }) {
            return Ok(true);
        }
        let down = self.down(at).await?;
        let goes_back = down.failed.is_none();
        seen.push(down);
        match goes_back {
            _ if is_last => {}
            true => self.climb(at).await?,
            false => self.restart(at + 1, false).await?,
        }
        Ok(true)
    }

    /// Observes a migration on its way up, with plainer rows if it fails because of the first ones.
    async fn up(&mut self, at: usize) -> Result<Observation, ProofError> {
        let migration = &self.chain[at];
        let mut attempt = Attempt { how: RowKind::chains_own(), nerve: BlockingPolicy::HoldUp };
        let (mut required, mut first) = (None, None::<String>);
        loop {
            let mut seen = match self.fill(at, &attempt.how, required.as_ref()).await? {
                Ok(notes) => {
                    let seen = observe(&mut self.filled.ground, migration, Direction::Up, attempt.nerve).await?;
                    Observation { notes, ..seen }
                }
                Err(error) => Observation { failed: Some(error), ..Observation::new(migration, Direction::Up) },
            };
            let Some(error) = &seen.failed else {
                seen.notes.extend(first.map(|why| attempt.how.note(&why, migration)));
                return Ok(seen);
            };
            let why = error.findings().first().map(ToString::to_string);
            let Some(next) = attempt.after(&seen, migration) else { return Ok(seen) };
            if next.how.fitting && required.is_none() {
                required = self.after(at).await?;
                // Without it, there is no way to know which rows would fit.
                if required.is_none() {
                    return Ok(seen);
                }
            }
            if next.nerve == attempt.nerve {
                first = first.or(why);
            }
            attempt = next;
            self.restart(at, true).await?;
        }
    }

    /// Observes its rollback, with the existing rows.
    async fn down(&mut self, at: usize) -> Result<Observation, ProofError> {
        let migration = &self.chain[at];
        let attempt = Attempt { how: RowKind::chains_own(), nerve: BlockingPolicy::HoldUp };
        let seen = observe(&mut self.filled.ground, migration, Direction::Down, attempt.nerve).await?;
        match attempt.after(&seen, migration) {
            Some(next) if next.nerve == BlockingPolicy::LetAlone => {
                self.restart(at, true).await?;
                let is_filled = self.fill(at, &next.how, None).await?.is_ok();
                if !is_filled || self.filled.ground.run(migration, Direction::Up).await?.is_err() {
                    return Ok(seen);
                }
                observe(&mut self.filled.ground, migration, Direction::Down, next.nerve).await
            }
            _ => Ok(seen),
        }
    }

    /// Inserts rows into the tables, which fit the schema after the migration if that is given. Returns notes,
    /// or why its fixture fails.
    async fn fill(
        &mut self,
        at: usize,
        how: &RowKind,
        required: Option<&Schema>,
    ) -> Result<Result<Vec<String>, Error>, ProofError> {
        self.filled.follow(&self.watcher.look().await?);
        let before = self.watcher.schema();
        // The effect of the previous migrations on the rows was not tracked.
        self.filled.rows = DatabaseRows::default();
        let filled = self.filled.fill(&self.chain[at], before, required.unwrap_or(before), how).await?;
        Ok(filled.map(|rests| rests.without.iter().map(ToString::to_string).collect()))
    }

    /// The schema that a migration creates on a database without rows.
    async fn after(&self, at: usize) -> Result<Option<Schema>, ProofError> {
        let mut stage = WatchedDatabase::at(&self.chain[..at], self.code, true).await?;
        let outcome = stage.go(&self.chain[at], Direction::Up).await?;
        let schema = outcome.is_ok().then(|| stage.schema().clone());
        stage.end().await?;
        Ok(schema)
    }

    /// Continues with a fresh database with this many migrations applied.
    async fn restart(&mut self, count: usize, remember: bool) -> Result<(), ProofError> {
        let fresh = ChainDatabase::at(&self.chain[..count], self.code, remember).await?;
        let watcher = Watcher::open(&fresh.address()).await?;
        std::mem::replace(&mut self.watcher, watcher).close().await;
        self.filled.replace(fresh).end().await
    }
}

impl Attempt {
    /// What to try after a failure that may be caused by the attempt rather than by the migration.
    fn after(&self, seen: &Observation, migration: &Migration) -> Option<Self> {
        let code = seen.failed.as_ref()?.sqlstate().unwrap_or_default();
        let script = match seen.direction {
            Direction::Up => migration.up_script(),
            Direction::Down => migration.down_script(),
        };
        let was_held_up =
            self.nerve == BlockingPolicy::HoldUp && script.is_some_and(|script| script.directives().no_transaction);
        match code {
            // A lock, or the statement, took longer than its own timeout allows; or a deadlock was detected.
            "55P03" | "57014" | "40P01" if was_held_up => {
                Some(Self { nerve: BlockingPolicy::LetAlone, ..self.clone() })
            }
            _ => self.how.after(code, None, migration).map(|how| Self { how, nerve: self.nerve }),
        }
    }
}
