//! The law of data, on a database with rows.

use std::sync::Arc;

use migrate_core::ledger::Direction;
use migrate_core::runner::Touched;
use migrate_core::schema::Schema;
use migrate_core::source::Migration;

use super::filled::{Filled, How};
use super::stage::Ground;
use super::{Law, ProofError, Proven, Prover, Rests, Story, Verdict};
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
    filled: Filled,
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
    /// Which tables had rows.
    rests: Rests,
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
        let filled = Filled::at(&prover.chain[..at], prover.code, prover.proof.seed).await?;
        Ok(Self { filled, seen: Seen::default() })
    }

    /// Applies a migration that is not looked at; where rows are in its way, goes on without them.
    pub(super) async fn climb(&mut self, prover: &Prover<'_>, at: usize, after: &Schema) -> Result<(), ProofError> {
        match self.filled.ground.rehearsal.run(&prover.chain[at], Direction::Up).await {
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
        let mut how = How::default();
        let mut outcome = self.attempt(&migration, sight, ways, how).await?;
        let mut first = None;
        while let Err(story) = &outcome
            && let Some(plainer) = how.after(story.sqlstate.as_deref().unwrap_or_default(), &migration)
        {
            first.get_or_insert_with(|| story.findings.first().map(ToString::to_string).unwrap_or_default());
            how = plainer;
            let fresh = Ground::at(&prover.chain[..at], prover.code, true).await?;
            self.filled.replace(fresh).end().await?;
            outcome = self.attempt(&migration, sight, ways, how).await?;
        }
        proven.rests = std::mem::take(&mut self.seen.rests);
        proven.notes.extend(proven.rests.without.iter().map(ToString::to_string));
        if let (Some(why), Ok(())) = (first, &outcome) {
            proven.notes.push(how.note(&why, &migration));
        }
        let verdict = match outcome {
            Ok(()) if ways == Ways::Up => Verdict::Skipped("it cannot be rolled back".to_owned()),
            Ok(()) => self.verdict(&migration, &proven.rests),
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
        how: How,
    ) -> Result<Result<(), Story>, ProofError> {
        self.seen = Seen::default();
        match self.filled.fill(migration, sight.before, sight.after, how).await? {
            Ok(rests) => self.seen.rests = rests,
            Err(error) => return Ok(Err(Story::error("its fixture does not run", &error))),
        }
        let before = self.filled.rows.clone();
        self.seen.rows = before.count();
        self.around(migration, &before, sight, ways).await
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
        match self.filled.ground.rehearsal.run(migration, Direction::Up).await {
            Ok(touched) => self.read(sight.after, &touched).await?,
            Err(error) => {
                let story = Story::error("it applies to empty tables, but not where there are rows", &error);
                return Ok(Err(Story { of_up: true, ..story }));
            }
        }
        if let Some(story) = self.check(migration).await? {
            return Ok(Err(story));
        }
        self.seen.changed = before.losses(&self.filled.rows);
        if ways == Ways::Up {
            return Ok(Ok(()));
        }
        let kept = before.kept(&self.filled.rows, &self.seen.changed);
        match self.filled.ground.rehearsal.run(migration, Direction::Down).await {
            Ok(touched) => self.read(sight.rolled, &touched).await?,
            Err(error) => return failed("it rolls back on empty tables, but not where there are rows", &error),
        }
        self.seen.losses = before.losses(&self.filled.rows);
        if ways == Ways::UpDown {
            return Ok(Ok(()));
        }
        match self.filled.ground.rehearsal.run(migration, Direction::Up).await {
            Ok(touched) => self.read(sight.after, &touched).await?,
            Err(error) => return failed("with rows, it cannot be applied again after a rollback", &error),
        }
        if let Some(story) = self.check(migration).await? {
            return Ok(Err(story));
        }
        let again = kept.losses(&self.filled.rows).into_iter().filter(|loss| !loss.came);
        let new: Vec<Loss> = again.filter(|loss| !self.seen.losses.iter().any(|old| old.same_place(loss))).collect();
        self.seen.losses.extend(new);
        Ok(Ok(()))
    }

    fn verdict(&self, migration: &Migration, rests: &Rests) -> Verdict {
        let losses = self.seen.losses.clone();
        if losses.is_empty() {
            return match (self.seen.rows, rests.without.first()) {
                (0, None) => Verdict::Skipped("there is no table that could hold a row".to_owned()),
                (0, Some(first)) => Verdict::Skipped(format!("no table had rows: {first}")),
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
        match self.filled.ground.rehearsal.check(script).await {
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
        self.filled.read(schema, touched).await
    }

    /// Goes on with a fresh database behind this migration.
    async fn anew(&mut self, prover: &Prover<'_>, at: usize, proven: Option<&mut Proven>) -> Result<(), ProofError> {
        let fresh = Ground::at(&prover.chain[..=at], prover.code, false).await?;
        let old = self.filled.replace(fresh);
        match proven {
            Some(proven) => prover.abandon(old, proven).await,
            None => old.end().await,
        }
    }

    pub(super) async fn end(self) -> Result<(), ProofError> {
        self.filled.ground.end().await
    }
}
