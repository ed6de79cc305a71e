//! Where rows are inserted: draws a row with choices of its own, and asks the server whether it accepts it.

use std::collections::BTreeMap;

use migrate_core::runner::Rehearsal;
use migrate_schema::Schema;
use proptest::test_runner::TestRunner;

use super::dice::Decks;
use super::draw::{ConstantPlacement, GeneratedRow, RowDraft, draw};
use super::expr::Expr;
use super::narrow::ValueNarrowing;
use super::refusal::{RowRefusal, attempt};
use super::spec::{TableSpec, insert};
use super::typical::ValueReach;
use super::uses::ColumnUses;
use super::values::{self, ValueOptions};
use crate::rows::{DatabaseRows, TableName};

/// Which row of a table is drawn.
#[derive(Clone, Copy, Default)]
pub(super) struct RowTurn<'a> {
    /// How often rows of this table have been refused.
    pub(super) round: u32,
    pub(super) serial: u32,
    /// Whether every column needs a value.
    pub(super) whole: bool,
    pub(super) constants: ConstantPlacement,
    /// Additional conditions on the row.
    pub(super) aim: &'a [Expr],
}

/// Where rows are inserted.
pub(super) struct FillContext<'a> {
    pub(super) rehearsal: &'a mut Rehearsal,
    pub(super) schema: &'a Schema,
    pub(super) rows: &'a mut DatabaseRows,
    pub(super) runner: &'a mut TestRunner,
    pub(super) uses: &'a ColumnUses,
    pub(super) narrow: Option<ValueNarrowing<'a>>,
    pub(super) dice: u64,
    pub(super) decks: Decks,
}

impl FillContext<'_> {
    pub(super) fn is_empty(&self, table: &TableName) -> bool {
        self.rows.table(table).is_none_or(|rows| rows.rows.is_empty())
    }

    /// Makes new choices between the sides of each OR, for rows that are drawn from now on.
    pub(super) fn reseed(&mut self) {
        self.dice = u64::from(pick(self.runner, u32::MAX));
        self.decks.next();
    }

    /// Draws a row with its own choices, around the values that it already has.
    pub(super) fn draw(&mut self, table: &TableSpec, at: RowTurn<'_>, kept: GeneratedRow) -> GeneratedRow {
        self.reseed();
        self.draw_beside(table, at, &BTreeMap::new(), kept)
    }

    /// Draws a row with the choices of the last one; `fixed` contains the rows that are created at the same
    /// time.
    pub(super) fn draw_beside(
        &mut self,
        table: &TableSpec,
        at: RowTurn<'_>,
        fixed: &BTreeMap<TableName, GeneratedRow>,
        kept: GeneratedRow,
    ) -> GeneratedRow {
        let RowTurn { round, serial, whole, constants, aim } = at;
        let formats = values::FORMATS + self.uses.patterns();
        let format = (round > 1 && !whole && serial.is_multiple_of(2)).then_some(serial as usize / 2 % formats);
        let reach = if round < 4 && !whole && format.is_none() { ValueReach::Extreme } else { ValueReach::Plain };
        let awkward = reach == ValueReach::Extreme;
        let obedient = format.is_some() || !aim.is_empty() || serial % 4 != 3;
        let taste = ValueOptions { serial, awkward, reach, obedient, format, dice: self.dice };
        let Self { schema, rows, uses, narrow, .. } = self;
        let (narrow, strict) = (*narrow, false);
        let draft = RowDraft { schema, rows, table, uses, taste, round, whole, strict, narrow, constants, aim };
        draw(&draft, self.runner, &mut self.decks, fixed, kept)
    }

    /// Tries to insert rows, and returns the server's objection to each.
    pub(super) async fn put(
        &mut self,
        table: &TableSpec,
        rows: &[GeneratedRow],
        before: &str,
    ) -> migrate_core::Result<Vec<Option<RowRefusal>>> {
        self.attempt_all(rows.iter().map(|row| format!("{before}{}", insert(table, row))).collect()).await
    }

    /// Tries statements, and returns the server's objection to each.
    pub(super) async fn attempt_all(&mut self, tried: Vec<String>) -> migrate_core::Result<Vec<Option<RowRefusal>>> {
        let commands: String = tried.iter().map(|command| attempt(command)).collect();
        let answers = self.rehearsal.query_all(&commands).await?;
        let read = |answer: Vec<Vec<Option<String>>>| RowRefusal::read(&answer.into_iter().flatten().next().flatten()?);
        Ok(answers.into_iter().map(|(_, answer)| read(answer)).collect())
    }
}

/// A number below `n`.
pub(super) fn pick(runner: &mut TestRunner, n: u32) -> u32 {
    use proptest::prelude::Rng;
    runner.rng().next_u32() % n
}
