//! The law of data, on a database with rows.

use std::sync::Arc;

use migrate_core::ledger::Direction;
use migrate_core::runner::Touched;
use migrate_core::schema::Schema;
use migrate_core::source::Migration;

use super::stage::Ground;
use super::{Law, ProofError, Proven, Prover, Story, Verdict};
use proptest::test_runner::TestRunner;

use crate::generate;
use crate::rows::{Loss, Rows};

/// The schema before a migration, after its rollback, which may leave another one, and after it.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) before: &'a Schema,
    pub(super) rolled: &'a Schema,
    pub(super) after: &'a Schema,
}

/// A database with rows.
pub(super) struct Full {
    /// Where the rows come from.
    runner: TestRunner,
    ground: Ground,
    rows: Rows,
    /// What the last cycle saw.
    pub(super) seen: Seen,
}

/// What a cycle saw of the rows.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How many rows there were before.
    pub(super) rows: usize,
    /// What is not what it was after the rollback, or after applying again.
    pub(super) losses: Vec<Loss>,
    /// What the up alone changed.
    pub(super) changed: Vec<Loss>,
}

/// How far the cycle goes: a law of the schema that is broken is not told again by that of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ways {
    Up,
    UpDown,
    UpDownUp,
}

impl Ways {
    fn of(proven: &Proven) -> Self {
        match proven.laws.get(&Law::Reapply) {
            Some(Verdict::Skipped(_)) => Self::Up,
            Some(Verdict::Broken(_)) => Self::UpDown,
            _ => Self::UpDownUp,
        }
    }
}

impl Full {
    pub(super) async fn at(prover: &Prover<'_>, at: usize) -> Result<Self, ProofError> {
        let ground = Ground::at(&prover.chain[..at], prover.code, true).await?;
        let runner = super::runner(prover.proof.seed);
        Ok(Self { runner, ground, rows: Rows::default(), seen: Seen::default() })
    }

    /// Applies a migration that is not looked at; where rows are in its way, goes on without them.
    pub(super) async fn climb(&mut self, prover: &Prover<'_>, at: usize, after: &Schema) -> Result<(), ProofError> {
        match self.ground.rehearsal.run(&prover.chain[at], Direction::Up).await {
            Ok(touched) => self.read(after, &touched).await,
            Err(_) => self.anew(prover, at, None).await,
        }
    }

    /// Fills, then up, down, up; afterwards the migration is applied.
    pub(super) async fn cycle(
        &mut self,
        prover: &Prover<'_>,
        at: usize,
        sight: Sight<'_>,
        proven: &mut Proven,
    ) -> Result<(), ProofError> {
        let migration = prover.chain[at].clone();
        let ways = Ways::of(proven);
        let mut outcome = self.attempt(&migration, sight, ways, true, proven).await?;
        if let Err(story) = &outcome
            && story.sqlstate.as_ref().is_some_and(|code| code.starts_with("22"))
        {
            // A value that no calculation can take says little about the migration: does it
            // also fail on ordinary ones?
            let why = story.findings.first().map(ToString::to_string).unwrap_or_default();
            let fresh = Ground::at(&prover.chain[..at], prover.code, true).await?;
            self.rows = Rows::default();
            std::mem::replace(&mut self.ground, fresh).end().await?;
            outcome = self.attempt(&migration, sight, ways, false, proven).await?;
            if outcome.is_ok() {
                proven.notes.push(format!("it fails on extreme values, and not on ordinary ones: {why}"));
            }
        }
        let verdict = match outcome {
            Ok(()) if ways == Ways::Up => Verdict::Skipped("it cannot be rolled back".to_owned()),
            Ok(()) => self.verdict(&migration),
            Err(story) => story.broken(),
        };
        let broken = verdict.is_broken();
        proven.set(Law::Data, verdict);
        // What was lost must not be missing for the next migration, and it has to be applied.
        if broken || ways == Ways::UpDown { self.anew(prover, at, Some(proven)).await } else { Ok(()) }
    }

    /// Fills, then goes as far as the laws of the schema hold.
    async fn attempt(
        &mut self,
        migration: &Arc<Migration>,
        sight: Sight<'_>,
        ways: Ways,
        awkward: bool,
        proven: &mut Proven,
    ) -> Result<Result<(), Story>, ProofError> {
        self.seen = Seen::default();
        if let Err(story) = self.fill(migration, sight.before, awkward, proven).await? {
            return Ok(Err(story));
        }
        let before = self.rows.clone();
        self.seen.rows = before.count();
        self.around(migration, &before, sight, ways).await
    }

    /// Puts in the rows of the fixture, and rows into every table that has none.
    async fn fill(
        &mut self,
        migration: &Migration,
        schema: &Schema,
        awkward: bool,
        proven: &mut Proven,
    ) -> Result<Result<(), Story>, ProofError> {
        self.read(schema, &Touched::Tables(Vec::new())).await?;
        if let Some(script) = migration.fixture() {
            match self.ground.rehearsal.fixture(migration, script).await {
                Ok(touched) => self.read(schema, &touched).await?,
                Err(error) => return Ok(Err(Story::error("its fixture does not run", &error))),
            }
        }
        let rehearsal = &mut self.ground.rehearsal;
        let unfilled = generate::fill(rehearsal, schema, &mut self.rows, &mut self.runner, awkward).await?;
        proven.notes.extend(unfilled.into_iter().map(|one| format!("{} got no rows: {}", one.table, one.why)));
        Ok(Ok(()))
    }

    /// Up, down, up, with a look at the rows after each.
    async fn around(
        &mut self,
        migration: &Arc<Migration>,
        before: &Rows,
        sight: Sight<'_>,
        ways: Ways,
    ) -> Result<Result<(), Story>, ProofError> {
        let failed = |what: &str, error: &migrate_core::Error| Ok(Err(Story::error(what, error)));
        match self.ground.rehearsal.run(migration, Direction::Up).await {
            Ok(touched) => self.read(sight.after, &touched).await?,
            Err(error) => return failed("it applies to empty tables, but not where there are rows", &error),
        }
        if let Some(story) = self.check(migration).await? {
            return Ok(Err(story));
        }
        self.seen.changed = before.losses(&self.rows);
        if ways == Ways::Up {
            return Ok(Ok(()));
        }
        let kept = before.kept(&self.rows, &self.seen.changed);
        match self.ground.rehearsal.run(migration, Direction::Down).await {
            Ok(touched) => self.read(sight.rolled, &touched).await?,
            Err(error) => return failed("it rolls back on empty tables, but not where there are rows", &error),
        }
        self.seen.losses = before.losses(&self.rows);
        if ways == Ways::UpDown {
            return Ok(Ok(()));
        }
        match self.ground.rehearsal.run(migration, Direction::Up).await {
            Ok(touched) => self.read(sight.after, &touched).await?,
            Err(error) => return failed("with rows, it cannot be applied again after a rollback", &error),
        }
        if let Some(story) = self.check(migration).await? {
            return Ok(Err(story));
        }
        let again = kept.losses(&self.rows).into_iter().filter(|loss| !loss.came);
        let new: Vec<Loss> = again.filter(|loss| !self.seen.losses.iter().any(|old| old.same_place(loss))).collect();
        self.seen.losses.extend(new);
        Ok(Ok(()))
    }

    fn verdict(&self, migration: &Migration) -> Verdict {
        let losses = self.seen.losses.clone();
        if losses.is_empty() {
            return match self.seen.rows {
                0 => Verdict::Skipped("there is no table that could hold a row".to_owned()),
                _ => Verdict::Holds,
            };
        }
        let story = Story { losses, ..Story::of("rolling back loses data") };
        match migration.lossy() {
            Some(reason) => Verdict::Declared(reason.to_owned(), Box::new(story)),
            None => story.broken(),
        }
    }

    /// Runs the check of the migration, and tells what it returned.
    async fn check(&mut self, migration: &Migration) -> Result<Option<Story>, ProofError> {
        let Some(script) = migration.verify() else { return Ok(None) };
        match self.ground.rehearsal.check(script).await {
            Ok((_, rows)) if rows.is_empty() => Ok(None),
            Ok((columns, rows)) => {
                let text = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
                let shown = rows.into_iter().take(10).map(|row| row.into_iter().map(text).collect());
                let rows = std::iter::once(columns).chain(shown).collect();
                let summary = format!("{} returned rows; each of them is wrong", script.path().display());
                Ok(Some(Story { rows, ..Story::of(summary) }))
            }
            Err(error) => Ok(Some(Story::error("its check does not run", &error))),
        }
    }

    async fn read(&mut self, schema: &Schema, touched: &Touched) -> Result<(), ProofError> {
        self.rows.refresh(&mut self.ground.rehearsal, schema, touched).await?;
        Ok(())
    }

    /// Goes on with a fresh database behind this migration.
    async fn anew(&mut self, prover: &Prover<'_>, at: usize, proven: Option<&mut Proven>) -> Result<(), ProofError> {
        let fresh = Ground::at(&prover.chain[..=at], prover.code, false).await?;
        self.rows = Rows::default();
        let old = std::mem::replace(&mut self.ground, fresh);
        match proven {
            Some(proven) => prover.abandon(old, proven).await,
            None => old.end().await,
        }
    }

    pub(super) async fn end(self) -> Result<(), ProofError> {
        self.ground.end().await
    }
}
