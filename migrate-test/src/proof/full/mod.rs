//! The law of data, on a database with rows.

mod around;
mod go_on;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use migrate_core::runner::MigrationEngine;
use migrate_core::{Direction, Migration};
use migrate_schema::{Schema, SchemaChange};

use super::cause::one_cause;
use super::filled::FilledDatabase;
use super::how::{self, RowKind};
use super::refused::{RefusingMigration, is_of_data};
use super::retry::Retry;
use super::{Law, MigrationProof, ProofBasis, ProofError, Prover, Story, Verdict, again};
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
    /// The tool that runs the chain, if it is not Roundtrip.
    engine: Option<Arc<dyn MigrationEngine>>,
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
        let engine = prover.code.engine().cloned();
        Ok(Self { filled, start, blind, unsure: Vec::new(), known, seen, engine })
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

    pub(super) async fn end(self) -> Result<(), ProofError> {
        self.filled.ground.end().await
    }
}
