//! The law of data, on a database with rows.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use migrate_core::ledger::Direction;
use migrate_core::runner::WrittenTables;
use migrate_core::source::Migration;
use migrate_core::{Error, ErrorKind};
use migrate_review::effect::changes_rows;
use migrate_schema::{Schema, SchemaChange};

use super::cause::one_cause;
use super::filled::FilledDatabase;
use super::how::{self, RowKind};
use super::refused::{RefusingMigration, is_of_data};
use super::retry::Retry;
use super::stage::ChainDatabase;
use super::{Law, MigrationProof, ProofBasis, ProofError, Prover, Story, Verdict, again, traces};
use crate::generate::AddedConstraints;
use crate::rows::{DatabaseRows, RowLoss, TableName};

/// The schemas of a cycle: before the migration, after its rollback (which may differ), and after the
/// migration.
#[derive(Clone, Copy)]
pub(super) struct CycleSchemas<'a> {
    pub(super) before: &'a Schema,
    pub(super) rolled: &'a Schema,
    pub(super) after: &'a Schema,
    /// The changes that its up script makes.
    pub(super) up: &'a SchemaChange,
}

/// A database with rows.
pub(super) struct DataLawDatabase {
    pub(super) filled: FilledDatabase,
    /// The rows before the last up script.
    pub(super) start: DatabaseRows,
    /// Whether an earlier migration that may have written rows did not see the current rows.
    pub(super) blind: bool,
    /// The migrations for which all rows were drawn again: how they change rows is not known.
    pub(super) unsure: Vec<RefusingMigration>,
    /// The columns that migrations filled, where the current rows may not have passed through these migrations.
    pub(super) known: again::FilledColumns,
    /// What the last cycle observed.
    pub(super) seen: CycleResult,
}

/// What a cycle observed about the rows.
#[derive(Debug, Default)]
pub(super) struct CycleResult {
    /// How many rows there were at the beginning.
    pub(super) rows: usize,
    /// What differs after the rollback, or after applying again.
    pub(super) losses: Vec<RowLoss>,
    /// Rows that only triggers wrote, and no script.
    traces: Vec<RowLoss>,
    /// What the up script alone changed.
    pub(super) changed: Vec<RowLoss>,
    /// The tables that were used but have only a few rows.
    missed: BTreeSet<TableName>,
    /// Which tables had rows.
    rests: ProofBasis,
    /// The statements that changed no rows in any run of their script.
    idle: Vec<(Direction, String)>,
    /// The directions in which scripts ran.
    ran: HashSet<Direction>,
}

/// How far the cycle goes: if a law of the schema is broken, the law of data does not report it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CycleExtent {
    Up,
    UpDown,
    UpDownUp,
}

impl CycleExtent {
    fn of(proven: &MigrationProof) -> Self {
        match proven.laws.get(&Law::Reapply) {
            Some(Verdict::Skipped(_)) => Self::Up,
            Some(Verdict::Broken(_)) => Self::UpDown,
            _ => Self::UpDownUp,
        }
    }
}

impl DataLawDatabase {
    pub(super) async fn at(prover: &Prover<'_>, at: usize) -> Result<Self, ProofError> {
        let filled = FilledDatabase::at(&prover.chain[..at], prover.code, prover.proof.seed).await?;
        let blind = prover.chain[..at].iter().any(|migration| is_of_data(migration));
        let (start, known, seen) = (DatabaseRows::default(), again::FilledColumns::default(), CycleResult::default());
        Ok(Self { filled, start, blind, unsure: Vec::new(), known, seen })
    }

    /// Applies a migration that is not checked. If it fails because of the rows, continues with other rows.
    pub(super) async fn climb(
        &mut self,
        prover: &Prover<'_>,
        at: usize,
        sight: CycleSchemas<'_>,
    ) -> Result<(), ProofError> {
        self.start = self.filled.rows.clone();
        self.blind |= is_of_data(&prover.chain[at]);
        match self.filled.ground.run(&prover.chain[at], Direction::Up).await? {
            Ok(touched) if self.look(sight.after, &touched).await?.is_ok() => {}
            _ => self.go_on(prover, at, sight, false, None).await?,
        }
        let changed = self.start.losses(&self.filled.rows);
        self.wear(sight, &changed);
        self.filled.follow(sight.up);
        Ok(())
    }

    /// Fills the tables, then up, down, up. Afterwards the migration is applied.
    pub(super) async fn cycle(
        &mut self,
        prover: &Prover<'_>,
        at: usize,
        sight: CycleSchemas<'_>,
        proven: &mut MigrationProof,
    ) -> Result<(), ProofError> {
        let migration = prover.chain[at].clone();
        let ways = CycleExtent::of(proven);
        let mut how = RowKind::default();
        // Rows that are drawn for such tables did not pass through the earlier migrations.
        self.blind = self.blind || self.filled.is_poor() && prover.chain[..at].iter().any(|one| is_of_data(one));
        let mut outcome = self.attempt(prover, at, sight, ways, &how).await?;
        let origin = self.start.clone();
        let mut first = None;
        let mut fragile = None;
        let mut refused = None;
        let mut tried: Vec<Retry> = Vec::new();
        while let Err(story) = &outcome
            && let Some(retry) = self.after(story, &how, &migration, sight, &tried)
        {
            first.get_or_insert_with(|| story.findings.first().map(ToString::to_string).unwrap_or_default());
            if story.fails == Some(Direction::Down) {
                fragile.get_or_insert_with(|| Box::new(story.clone()));
            }
            if let Retry::Other(other) = &retry {
                if other.matched && !how.matched {
                    refused = Some(story.clone());
                }
                how = other.clone();
            }
            self.prepare(prover, at, sight, &origin, &retry).await?;
            tried.push(retry);
            outcome = self.attempt(prover, at, sight, ways, &how).await?;
        }
        // Without any rows, nothing can be refused.
        if let Some(story) = refused.filter(|_| outcome.is_ok() && self.lacks_matched(&migration, sight.before)) {
            outcome = Err(story);
        }
        proven.rests = std::mem::take(&mut self.seen.rests);
        proven.rests.idle = std::mem::take(&mut self.seen.idle).into_iter().map(|(_, told)| told).collect();
        proven.notes.extend(proven.rests.idle.iter().cloned());
        proven.notes.extend(self.seen.traces.iter().map(|one| {
            let (rows, are) = if one.rows == 1 { ("row", "is") } else { ("rows", "are") };
            format!("{}: {} {rows} written only by a trigger {are} still there after the rollback", one.table, one.rows)
        }));
        proven.fragile = fragile.filter(|_| outcome.is_ok());
        proven.notes.extend(proven.rests.without.iter().map(ToString::to_string));
        proven.notes.extend(self.beside_seeds());
        if let (Ok(()), Some(last), Some(why)) = (&outcome, tried.last(), first) {
            proven.notes.push(last.note(&why, &migration));
        }
        let is_refused = matches!(&outcome, Err(story) if story.fails == Some(Direction::Up));
        let verdict = match outcome {
            Ok(()) if ways == CycleExtent::Up => Verdict::Skipped("it cannot be rolled back".to_owned()),
            Ok(()) => self.verdict(&migration, &proven.rests),
            Err(story) => story.broken(),
        };
        let broken = verdict.is_broken();
        proven.set(Law::Data, verdict);
        one_cause(proven, sight);
        // Rows that were lost must not be missing for the next migration, and this migration has to be applied.
        if broken || ways == CycleExtent::UpDown {
            self.go_on(prover, at, sight, !is_refused, Some(proven)).await?;
        }
        let changed = std::mem::take(&mut self.seen.changed);
        self.wear(sight, &changed);
        self.seen.changed = changed;
        self.filled.follow(sight.up);
        Ok(())
    }

    /// Whether a table that the up script updates from other tables had no row with a match there.
    fn lacks_matched(&self, migration: &Migration, schema: &Schema) -> bool {
        let tables = how::read_for_up(migration).matched(schema);
        tables.iter().any(|table| self.start.table(table).is_none_or(|rows| rows.rows.is_empty()))
    }

    /// The lost rows that may not be among those that the chain itself inserts into their tables.
    fn beside_seeds(&self) -> Vec<String> {
        let seeded = self.filled.seeded.iter().map(|(schema, name)| format!("{schema}.{name}"));
        let lost: BTreeSet<&str> = self.seen.losses.iter().map(|loss| loss.table.as_str()).collect();
        let lost = seeded.filter(|table| lost.contains(table.as_str()));
        lost.map(|table| format!("{table} had rows in addition to those that the chain inserts")).collect()
    }

    /// Draws new rows for the tables that a migration changed, so that the next migration sees the same rows as
    /// if it were checked alone.
    fn wear(&mut self, sight: CycleSchemas<'_>, changed: &[RowLoss]) {
        let freed = again::freed(sight.up, sight.after);
        let changed: BTreeSet<&str> =
            changed.iter().filter(|loss| !loss.came).map(|loss| loss.table.as_str()).collect();
        let is_changed = |(schema, name): &TableName| changed.contains(format!("{schema}.{name}").as_str());
        self.filled.impoverish(|table| freed.contains(table) || is_changed(table));
    }

    /// Fills the tables, then goes as far as the laws of the schema hold. Repeats that with more rows in tables
    /// that were used unexpectedly.
    async fn attempt(
        &mut self,
        prover: &Prover<'_>,
        at: usize,
        sight: CycleSchemas<'_>,
        ways: CycleExtent,
        how: &RowKind,
    ) -> Result<Result<(), Story>, ProofError> {
        loop {
            let known = self.known.clone();
            let outcome = self.fill_and_go(&prover.chain[at], sight, ways, how).await?;
            let missed = std::mem::take(&mut self.seen.missed);
            // A loss that was found on few rows is a result.
            if missed.is_empty() || outcome.is_err() || !self.seen.losses.is_empty() {
                return Ok(outcome);
            }
            // What the up script did to those rows says nothing about the new ones, and rows that were drawn to
            // fit it no longer do.
            self.known = known;
            self.prepare(prover, at, sight, &DatabaseRows::default(), &Retry::Other(RowKind::redrawn())).await?;
            self.blind |= prover.chain[..at].iter().any(|one| is_of_data(one));
            self.filled.widen(&missed);
        }
    }

    async fn fill_and_go(
        &mut self,
        migration: &Arc<Migration>,
        sight: CycleSchemas<'_>,
        ways: CycleExtent,
        how: &RowKind,
    ) -> Result<Result<(), Story>, ProofError> {
        self.seen = CycleResult::default();
        let before = self.known.of(sight.before);
        match self.filled.fill(migration, &before, sight.after, how).await? {
            Ok(rests) => self.seen.rests = rests,
            Err(error) => return Ok(Err(Story::error("its fixture fails", &error))),
        }
        let before = self.filled.rows.clone();
        self.start = before.clone();
        self.seen.rows = before.count();
        self.around(migration, &before, sight, ways).await
    }

    /// Up, down, up, with a comparison of the rows after each step.
    async fn around(
        &mut self,
        migration: &Arc<Migration>,
        before: &DatabaseRows,
        sight: CycleSchemas<'_>,
        ways: CycleExtent,
    ) -> Result<Result<(), Story>, ProofError> {
        match self.pass(migration, Direction::Up, sight.after).await? {
            Ok(None) => {}
            Ok(Some(story)) => return Ok(Err(story)),
            Err(error) => {
                let story = Story::error("it applies to empty tables, but not if they have rows", &error);
                return Ok(Err(story.of_script(Direction::Up)));
            }
        }
        self.seen.changed = before.losses(&self.filled.rows);
        self.known.learn(sight.after, before, &self.filled.rows);
        if ways == CycleExtent::Up {
            return Ok(Ok(()));
        }
        let kept = before.kept(&self.filled.rows, &self.seen.changed);
        match self.pass(migration, Direction::Down, sight.rolled).await? {
            Ok(None) => {}
            Ok(Some(story)) => return Ok(Err(story)),
            Err(error) => {
                let story = Story::error("it rolls back on empty tables, but not if they have rows", &error);
                return Ok(Err(story.of_script(Direction::Down)));
            }
        }
        self.seen.losses = before.losses(&self.filled.rows);
        self.seen.traces = traces::split(&mut self.seen.losses, migration, sight.before);
        if ways == CycleExtent::UpDown {
            return Ok(Ok(()));
        }
        match self.pass(migration, Direction::Up, sight.after).await? {
            Ok(None) => {}
            Ok(Some(story)) => return Ok(Err(story)),
            // The rows that the rollback left behind are the reason, and they are reported separately.
            Err(_) if migration.lossy().is_none() && self.seen.losses.iter().any(|loss| loss.came) => {
                return Ok(Ok(()));
            }
            Err(error) => {
                return Ok(Err(Story::error("with rows, it cannot be applied again after a rollback", &error)));
            }
        }
        let again = kept.losses(&self.filled.rows).into_iter().filter(|loss| !loss.came);
        let new: Vec<RowLoss> = again.filter(|loss| !self.seen.losses.iter().any(|old| old.same_place(loss))).collect();
        self.seen.losses.extend(new);
        Ok(Ok(()))
    }

    /// Runs one direction and compares the rows afterwards. Returns what is wrong with the rows, or why the
    /// script failed.
    async fn pass(
        &mut self,
        migration: &Arc<Migration>,
        direction: Direction,
        schema: &Schema,
    ) -> Result<Result<Option<Story>, Error>, ProofError> {
        let touched = match self.filled.ground.run(migration, direction).await? {
            Ok(touched) => touched,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(story) = self.look(schema, &touched).await? {
            return Ok(Ok(Some(story)));
        }
        self.note(migration, direction);
        Ok(Ok(if direction == Direction::Up { self.check(migration).await? } else { None }))
    }

    /// Records which statements of the last script changed no rows (a statement that changed rows once does not
    /// count), and which of the used tables have only a few rows.
    fn note(&mut self, migration: &Migration, direction: Direction) {
        self.seen.missed.extend(self.filled.missed());
        let script = if direction == Direction::Up { migration.up_script() } else { migration.down_script() };
        let rehearsal = &self.filled.ground.rehearsal;
        let told = |statement: &str| {
            let line: String = statement.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(80).collect();
            (
                direction,
                format!(
                    "a statement of its {direction} script changed no rows, so its effect on rows is not proven: {line}"
                ),
            )
        };
        let idle = script.into_iter().flat_map(|script| rehearsal.idle(script));
        let now: Vec<_> = idle.filter(|statement| changes_rows(statement)).map(told).collect();
        match self.seen.ran.insert(direction) {
            true => self.seen.idle.extend(now),
            false => self.seen.idle.retain(|one| one.0 != direction || now.contains(one)),
        }
    }

    fn verdict(&self, migration: &Migration, rests: &ProofBasis) -> Verdict {
        let losses = self.seen.losses.clone();
        if losses.is_empty() {
            return match (self.seen.rows, rests.without.first()) {
                (0, None) => Verdict::Skipped("no table can hold rows".to_owned()),
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

    /// Runs the check of the migration, and reports the rows that it returned.
    async fn check(&mut self, migration: &Migration) -> Result<Option<Story>, ProofError> {
        let Some(script) = migration.verify() else { return Ok(None) };
        match self.filled.ground.rehearsal.check(script).await {
            Ok((_, rows)) if rows.is_empty() => Ok(None),
            Ok((columns, rows)) => {
                let text = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
                let shown = rows.into_iter().take(10).map(|row| row.into_iter().map(text).collect());
                let rows = std::iter::once(columns).chain(shown).collect();
                let summary = format!("{} returned rows; each row is an error", script.path().display());
                Ok(Some(Story { rows, ..Story::of(summary) }))
            }
            Err(error) => Ok(Some(Story::error("its check ends with an error", &error))),
        }
    }

    /// Reads the rows that may have changed; or returns why they cannot be read, for example because a script
    /// removed the enum label that they use.
    async fn look(&mut self, schema: &Schema, touched: &WrittenTables) -> Result<Result<(), Story>, ProofError> {
        match self.filled.read(schema, touched).await {
            Err(ProofError::Core(error)) if error.kind() == ErrorKind::Statement => {
                Ok(Err(Story::error("the existing rows can no longer be read", &error)))
            }
            outcome => outcome.map(Ok),
        }
    }

    /// Continues with a fresh database on which this migration is applied to the rows that were there before
    /// it. If it refuses them, it is applied to those rows that fit, or finally to none.
    async fn go_on(
        &mut self,
        prover: &Prover<'_>,
        at: usize,
        sight: CycleSchemas<'_>,
        passes: bool,
        proven: Option<&mut MigrationProof>,
    ) -> Result<(), ProofError> {
        let (chain, start) = (&prover.chain, std::mem::take(&mut self.start));
        let counters = again::SequenceCounters::read(&mut self.filled.ground.rehearsal).await?;
        let fresh = ChainDatabase::at(&chain[..at], prover.code, false).await?;
        let old = self.filled.replace(fresh);
        match proven {
            Some(proven) => prover.abandon(old, &mut proven.kept).await?,
            None => old.end().await?,
        }
        let rehearsal = &mut self.filled.ground.rehearsal;
        let put = match passes {
            true => again::exactly(rehearsal, sight.before, &start, &counters).await.map(|()| BTreeSet::new()),
            false => {
                let required = AddedConstraints::put(rehearsal, sight.before, sight.after).await?;
                let put = again::that_fit(rehearsal, sight.before, &start, &|_| true).await;
                required.remove(rehearsal).await?;
                again::without_nulls(rehearsal, sight.before, sight.after).await?;
                let emptied = again::required(sight.before, sight.after).into_iter().map(|(table, _)| table);
                put.map(|refused| refused.into_iter().chain(emptied).collect())
            }
        };
        let applied = match put {
            Ok(refused) => {
                self.filled.impoverish(|table| refused.contains(table));
                self.filled.ground.run(&chain[at], Direction::Up).await?.is_ok()
            }
            Err(error) if error.kind() == ErrorKind::Statement => false,
            Err(error) => return Err(error.into()),
        };
        if applied && self.look(sight.after, &WrittenTables::Unknown).await?.is_ok() {
            return Ok(());
        }
        let fresh = ChainDatabase::at(&chain[..=at], prover.code, false).await?;
        self.filled.replace(fresh).end().await?;
        self.filled.impoverish(|_| true);
        self.unsure.extend(RefusingMigration::of(&chain[at]));
        Ok(())
    }

    pub(super) async fn end(self) -> Result<(), ProofError> {
        self.filled.ground.end().await
    }
}
