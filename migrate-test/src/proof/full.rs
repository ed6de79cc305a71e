//! The law of data, on a database with rows.

use std::sync::Arc;

use migrate_core::ledger::Direction;
use migrate_core::runner::Touched;
use migrate_core::schema::{self, Schema};
use migrate_core::source::Migration;

use super::cause::one_cause;
use super::filled::{self, Filled, How};
use super::stage::Ground;
use super::{Law, ProofError, Proven, Prover, Rests, Story, Verdict, again};
use crate::generate::{Required, Uses};
use crate::rows::{Loss, Rows, TableName};

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
    /// The rows as they were before the last up.
    start: Rows,
    /// Whether a migration that may have written rows had none of those to write that are there now.
    blind: bool,
    /// The migrations on whose account all rows were drawn again: what they do to rows is not known.
    unsure: Vec<again::Refused>,
    /// Which columns were filled by migrations that the rows of now may not have passed.
    known: again::Known,
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

/// What is tried after a failure that may say more about the rows than about the migration.
enum Retry {
    /// Rows of another kind.
    Other(How),
    /// Rows that pass all that was done to rows before.
    Below,
    /// Rows that have no NULL where the migration allows none.
    Filled(String),
}

impl Retry {
    fn note(&self, why: &str, migration: &Migration) -> String {
        match self {
            Self::Other(how) => how.note(why, migration),
            Self::Below => {
                format!("it fails on rows that earlier migrations did not see, and not on those that they did: {why}")
            }
            Self::Filled(broken) => {
                format!(
                    "it fails where a column is NULL, and not on other rows; {broken}, which may have filled it, is broken: {why}"
                )
            }
        }
    }
}

/// How far below a migration rows are put in to be passed through what is done to rows.
const REACH: usize = 200;

impl Full {
    pub(super) async fn at(prover: &Prover<'_>, at: usize) -> Result<Self, ProofError> {
        let filled = Filled::at(&prover.chain[..at], prover.code, prover.proof.seed).await?;
        let blind = prover.chain[..at].iter().any(|migration| again::is_of_data(migration));
        let (start, known, seen) = (Rows::default(), again::Known::default(), Seen::default());
        Ok(Self { filled, start, blind, unsure: Vec::new(), known, seen })
    }

    /// Applies a migration that is not looked at; where rows are in its way, goes on with others.
    pub(super) async fn climb(&mut self, prover: &Prover<'_>, at: usize, sight: Sight<'_>) -> Result<(), ProofError> {
        self.start = self.filled.rows.clone();
        self.blind |= again::is_of_data(&prover.chain[at]);
        match self.filled.ground.rehearsal.run(&prover.chain[at], Direction::Up).await {
            Ok(touched) => self.read(sight.after, &touched).await,
            Err(_) => self.go_on(prover, at, sight, false, None).await,
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
        let origin = self.start.clone();
        let mut first = None;
        let mut tried: Vec<Retry> = Vec::new();
        while let Err(story) = &outcome
            && let Some(retry) = self.after(story, how, &migration, sight, &tried)
        {
            first.get_or_insert_with(|| story.findings.first().map(ToString::to_string).unwrap_or_default());
            if let Retry::Other(other) = retry {
                how = other;
            }
            self.prepare(prover, at, sight, &origin, &retry).await?;
            tried.push(retry);
            outcome = self.attempt(&migration, sight, ways, how).await?;
        }
        proven.rests = std::mem::take(&mut self.seen.rests);
        proven.notes.extend(proven.rests.without.iter().map(ToString::to_string));
        if let (Ok(()), Some(last), Some(why)) = (&outcome, tried.last(), first) {
            proven.notes.push(last.note(&why, &migration));
        }
        let refused = matches!(&outcome, Err(story) if story.fails == Some(Direction::Up));
        let verdict = match outcome {
            Ok(()) if ways == Ways::Up => Verdict::Skipped("it cannot be rolled back".to_owned()),
            Ok(()) => self.verdict(&migration, &proven.rests),
            Err(story) => story.broken(),
        };
        let broken = verdict.is_broken();
        proven.set(Law::Data, verdict);
        one_cause(proven, sight);
        // What was lost must not be missing for the next migration, and it has to be applied.
        match broken || ways == Ways::UpDown {
            true => self.go_on(prover, at, sight, !refused, Some(proven)).await,
            false => Ok(()),
        }
    }

    /// What to try after this.
    fn after(
        &self,
        story: &Story,
        how: How,
        migration: &Migration,
        sight: Sight<'_>,
        tried: &[Retry],
    ) -> Option<Retry> {
        let sqlstate = story.sqlstate.as_deref().unwrap_or_default();
        if let Some(other) = how.after(sqlstate, migration) {
            return Some(Retry::Other(other));
        }
        let is_filled = tried.iter().any(|one| matches!(one, Retry::Filled(_)));
        if story.fails != Some(Direction::Up) {
            return None;
        }
        if self.blind {
            return Some(Retry::Below);
        }
        let filler = self.unsure.iter().find(|one| one.may_fill(sight.before, sight.after));
        let filler = filler.filter(|_| sqlstate == "23502" && !is_filled);
        filler.map(|one| Retry::Filled(one.title.clone()))
    }

    /// Makes a fresh database for another attempt, with as many of the rows of the first one as serve.
    async fn prepare(
        &mut self,
        prover: &Prover<'_>,
        at: usize,
        sight: Sight<'_>,
        origin: &Rows,
        retry: &Retry,
    ) -> Result<(), ProofError> {
        if let Retry::Below = retry {
            return self.below(prover, at).await;
        }
        let fresh = Ground::at(&prover.chain[..at], prover.code, true).await?;
        self.filled.replace(fresh).end().await?;
        if let Retry::Filled(_) = retry {
            self.known.require(sight.before, sight.after);
        }
        // A fixture puts in its rows itself.
        if prover.chain[at].fixture().is_some() {
            return Ok(());
        }
        let rehearsal = &mut self.filled.ground.rehearsal;
        match retry {
            Retry::Other(how) if how.fitting => {
                let required = Required::put(rehearsal, sight.before, sight.after).await?;
                again::that_fit(rehearsal, sight.before, origin, &|_| true).await?;
                required.remove(rehearsal).await?;
            }
            _ => {
                let changed = again::changed(sight.before, sight.after);
                // Texts that cannot be read are to be drawn again, wherever they are.
                let is_strict = matches!(retry, Retry::Other(how) if how.readable);
                let read = if is_strict { filled::read(&prover.chain[at]) } else { Uses::default() };
                let is_apart = |table: &TableName| {
                    !changed.is_empty() && !changed.contains(table) && !read.is_about(sight.before, table)
                };
                again::that_fit(rehearsal, sight.before, origin, &is_apart).await?;
            }
        }
        Ok(())
    }

    /// Puts rows in before the first migration that may have written some, and passes them through all that follow.
    async fn below(&mut self, prover: &Prover<'_>, at: usize) -> Result<(), ProofError> {
        self.blind = false;
        let chain = &prover.chain;
        let low = at.saturating_sub(REACH);
        let start = (low..at).find(|one| again::is_of_data(&chain[*one])).unwrap_or(at);
        let fresh = Ground::at(&chain[..start], prover.code, true).await?;
        self.filled.replace(fresh).end().await?;
        for one in start..at {
            if again::is_of_data(&chain[one]) {
                let schema = schema::read(&self.filled.ground.address()).await?;
                self.filled.rows = Rows::default();
                // A fixture that does not run is reported where its own migration is looked at.
                let _ = self.filled.fill(&chain[one], &schema, &schema, How::default()).await?;
            }
            if self.filled.ground.rehearsal.run(&chain[one], Direction::Up).await.is_err() {
                let fresh = Ground::at(&chain[..=one], prover.code, false).await?;
                self.filled.replace(fresh).end().await?;
                self.unsure.extend(again::Refused::of(&chain[one]));
            }
        }
        self.filled.rows = Rows::default();
        Ok(())
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
        let before = self.known.of(sight.before);
        match self.filled.fill(migration, &before, sight.after, how).await? {
            Ok(rests) => self.seen.rests = rests,
            Err(error) => return Ok(Err(Story::error("its fixture does not run", &error))),
        }
        let before = self.filled.rows.clone();
        self.start = before.clone();
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
        match self.filled.ground.rehearsal.run(migration, Direction::Up).await {
            Ok(touched) => self.read(sight.after, &touched).await?,
            Err(error) => {
                let story = Story::error("it applies to empty tables, but not where there are rows", &error);
                return Ok(Err(story.of_script(Direction::Up)));
            }
        }
        if let Some(story) = self.check(migration).await? {
            return Ok(Err(story));
        }
        self.seen.changed = before.losses(&self.filled.rows);
        self.known.learn(sight.after, before, &self.filled.rows);
        if ways == Ways::Up {
            return Ok(Ok(()));
        }
        let kept = before.kept(&self.filled.rows, &self.seen.changed);
        match self.filled.ground.rehearsal.run(migration, Direction::Down).await {
            Ok(touched) => self.read(sight.rolled, &touched).await?,
            Err(error) => {
                let story = Story::error("it rolls back on empty tables, but not where there are rows", &error);
                return Ok(Err(story.of_script(Direction::Down)));
            }
        }
        self.seen.losses = before.losses(&self.filled.rows);
        if ways == Ways::UpDown {
            return Ok(Ok(()));
        }
        match self.filled.ground.rehearsal.run(migration, Direction::Up).await {
            Ok(touched) => self.read(sight.after, &touched).await?,
            Err(error) => {
                return Ok(Err(Story::error("with rows, it cannot be applied again after a rollback", &error)));
            }
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

    /// Goes on with a fresh database on which this migration is applied, to the rows that were there before it. Where it
    /// refuses them, it is applied to those of them that fit it, or at last to none.
    async fn go_on(
        &mut self,
        prover: &Prover<'_>,
        at: usize,
        sight: Sight<'_>,
        passes: bool,
        proven: Option<&mut Proven>,
    ) -> Result<(), ProofError> {
        let (chain, start) = (&prover.chain, std::mem::take(&mut self.start));
        let counters = again::Counters::read(&mut self.filled.ground.rehearsal).await?;
        let fresh = Ground::at(&chain[..at], prover.code, false).await?;
        let old = self.filled.replace(fresh);
        match proven {
            Some(proven) => prover.abandon(old, &mut proven.kept).await?,
            None => old.end().await?,
        }
        let rehearsal = &mut self.filled.ground.rehearsal;
        let put = match passes {
            true => again::exactly(rehearsal, sight.before, &start, &counters).await,
            false => {
                let required = Required::put(rehearsal, sight.before, sight.after).await?;
                let put = again::that_fit(rehearsal, sight.before, &start, &|_| true).await;
                required.remove(rehearsal).await?;
                again::without_nulls(rehearsal, sight.before, sight.after).await?;
                put
            }
        };
        let applied = match put {
            Ok(()) => rehearsal.run(&chain[at], Direction::Up).await.is_ok(),
            Err(error) if error.kind() == migrate_core::ErrorKind::Statement => false,
            Err(error) => return Err(error.into()),
        };
        if applied {
            return self.read(sight.after, &Touched::Unknown).await;
        }
        let fresh = Ground::at(&chain[..=at], prover.code, false).await?;
        self.filled.replace(fresh).end().await?;
        self.unsure.extend(again::Refused::of(&chain[at]));
        Ok(())
    }

    pub(super) async fn end(self) -> Result<(), ProofError> {
        self.filled.ground.end().await
    }
}
