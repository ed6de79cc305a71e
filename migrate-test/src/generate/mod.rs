//! Rows for any schema: drawn by proptest from the types, guided by the constraints, and accepted or refused by
//! the server itself.
//!
//! A table is filled after those that its foreign keys need. A row that the server refuses is drawn again, with
//! plainer values each time. Tables that cannot be filled at all are reported.

mod aims;
mod aside;
mod changes;
mod claims;
mod class;
mod constants;
mod dice;
mod draw;
mod expr;
mod fitting;
mod formats;
mod fulfil;
mod group;
mod joined;
mod json;
mod names;
mod narrow;
mod order;
mod pattern;
mod queries;
mod reading;
mod refusal;
mod regex;
mod spec;
mod taken;
#[cfg(test)]
mod tests;
mod tree;
mod typical;
mod uses;
mod values;
mod vary;
mod wish;

use std::collections::{BTreeMap, BTreeSet};

use dice::Decks;
use draw::{ConstantPlacement, GeneratedRow, RowDraft, draw};
use expr::Expr;
use migrate_base::ident::QualifiedName;
use migrate_core::runner::{Rehearsal, WrittenTables};
use migrate_schema::{Kind, Object, Schema};
use proptest::test_runner::TestRunner;

use crate::rows::WithoutRows;
use crate::rows::{DatabaseRows, TableName, holders, table_name};
pub(crate) use fitting::AddedConstraints;
pub(crate) use names::of_type;
pub(crate) use narrow::{NarrowedColumns, ValueNarrowing};
use order::ordered;
pub(crate) use reading::TextReading;
use refusal::{RowRefusal, owned};
pub(crate) use refusal::{TRY, attempt};
use spec::{ForeignKey, TableSpec, insert};
use typical::TURNS;
pub(crate) use typical::ValueReach;
pub(crate) use uses::ColumnUses;
use values::ValueOptions;

/// How many rows each table gets at least, if possible.
const ROWS: u32 = 4;
/// How many rows are tried at once, and how many times, before a table is given up.
const BATCH: u32 = 8;
const ROUNDS: u32 = 8;
/// How many times rows are tried in a table that already has some.
const MORE_ROUNDS: u32 = 3;

/// Triggers, rules and foreign keys ignore rows that are written in this mode.
const REPLICA: &str = "SET LOCAL session_replication_role TO replica;";

/// Which rows are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowRequest<'a> {
    /// Columns with less extreme values, or without values that ignore the requirements.
    pub(crate) narrow: Option<ValueNarrowing<'a>>,
    /// How the columns are used; their values must be suitable for that.
    pub(crate) uses: &'a ColumnUses,
    /// The tables that could not be filled before: they get fewer attempts.
    pub(crate) given_up: &'a BTreeSet<String>,
    /// Tables that get rows although they have some, because they have new columns, or because their values
    /// were restricted.
    pub(crate) grown: &'a BTreeSet<TableName>,
    /// Tables into which the chain itself inserts rows. If no other rows fit, one of those gets other values.
    pub(crate) seeded: &'a BTreeSet<TableName>,
    /// Tables that get rows with the constants that their columns are compared with.
    pub(crate) compared: &'a BTreeSet<TableName>,
    /// Tables that get rows which the statements of scripts select and change.
    pub(crate) aimed: &'a BTreeSet<TableName>,
    /// Tables that get only such rows.
    pub(crate) matched: &'a BTreeSet<TableName>,
    /// Tables that get a few plain rows, because they are otherwise irrelevant.
    pub(crate) aside: &'a BTreeSet<TableName>,
}

impl RowRequest<'_> {
    /// Whether a table that has rows gets more.
    fn have_some(&self, table: &TableName) -> bool {
        self.grown.contains(table) || self.compared.contains(table)
    }
}

/// The tables that a table references.
pub(crate) fn referred(schema: &Schema, table: &Object) -> BTreeSet<TableName> {
    ForeignKey::of(schema, table).map(|key| key.table).collect()
}

/// Inserts rows into every table that has none, and into those that are to have more; `rows` contains the
/// existing rows, and is updated.
pub(crate) async fn fill(
    rehearsal: &mut Rehearsal,
    schema: &Schema,
    rows: &mut DatabaseRows,
    runner: &mut TestRunner,
    wanted: RowRequest<'_>,
) -> migrate_core::Result<Vec<WithoutRows>> {
    let empty = |table: &&Object| rows.table(&table_name(table)).is_none_or(|rows| rows.rows.is_empty());
    let lacks = |table: &&Object| {
        let name = table_name(table);
        (empty(table) || wanted.have_some(&name)) && !wanted.matched.contains(&name)
    };
    let tables: Vec<TableSpec> = holders(schema).filter(lacks).map(|table| TableSpec::of(schema, table)).collect();
    let is_aimed = |table: &&Object| wanted.aimed.contains(&table_name(table));
    let aimed: Vec<&Object> = holders(schema).filter(is_aimed).collect();
    if tables.is_empty() && aimed.is_empty() {
        return Ok(Vec::new());
    }
    let open: Vec<&TableSpec> = tables.iter().collect();
    rehearsal.query(TRY).await?;
    let mut unfilled = Vec::new();
    let RowRequest { narrow, uses, .. } = wanted;
    let decks = Decks::default();
    let mut place = FillContext { rehearsal, schema, rows, runner, uses, narrow, dice: 1, decks };
    let mut waiting: Vec<&TableSpec> = Vec::new();
    for group in ordered(&open) {
        if let [table] = group.as_slice()
            && wanted.aside.contains(&table.name())
        {
            waiting.push(table);
            continue;
        }
        if group.iter().any(|table| waiting.iter().any(|one| table.needs().contains(&one.name()))) {
            aside(&mut place, std::mem::take(&mut waiting), wanted, &mut unfilled).await?;
        }
        whole(&mut place, &group, wanted, &mut unfilled).await?;
    }
    aside(&mut place, waiting, wanted, &mut unfilled).await?;
    // Statements may delete these rows, so no other row that is drawn now references them.
    for table in &aimed {
        taken::put(&mut place, table, &|name| wanted.aimed.contains(name)).await?;
    }
    // A trigger may have written to tables that were read before.
    let mut filled = tables.iter().map(|table| &table.id).chain(aimed.iter().map(|table| &table.id));
    if filled.any(|id| schema.children(id, Kind::Trigger).next().is_some()) {
        rows.refresh(rehearsal, schema, &WrittenTables::Unknown).await?;
    }
    rehearsal.query("DROP FUNCTION pg_temp.roundtrip_try(text)").await?;
    Ok(unfilled)
}

/// Inserts a few rows into each of these tables. If none is accepted, the table is filled like the others.
async fn aside(
    place: &mut FillContext<'_>,
    tables: Vec<&TableSpec>,
    wanted: RowRequest<'_>,
    unfilled: &mut Vec<WithoutRows>,
) -> migrate_core::Result<()> {
    for table in aside::few(place, tables).await? {
        whole(place, &[table], wanted, unfilled).await?;
    }
    Ok(())
}

/// Fills a table, or several that need one another.
async fn whole(
    place: &mut FillContext<'_>,
    group: &[&TableSpec],
    wanted: RowRequest<'_>,
    unfilled: &mut Vec<WithoutRows>,
) -> migrate_core::Result<()> {
    let outcome = match group {
        [table] if wanted.have_some(&table.name()) => more(place, table, wanted).await?.into_iter().collect(),
        [table] => {
            let is_given_up = wanted.given_up.contains(&format!("{}.{}", table.id.schema, table.id.name));
            one(place, table, if is_given_up { 2 } else { ROUNDS }).await?.into_iter().collect()
        }
        group if group.iter().all(|table| wanted.have_some(&table.name())) => Vec::new(),
        group => together(place, group).await?,
    };
    unfilled.extend(outcome);
    let touched = group.iter().map(|table| QualifiedName::new(&*table.id.schema, &*table.id.name)).collect();
    place.rows.refresh(place.rehearsal, place.schema, &WrittenTables::Tables(touched)).await
}

/// Fills one table. Rows that violate a check are tried again with other values only in the columns of that
/// check.
async fn one(place: &mut FillContext<'_>, table: &TableSpec, rounds: u32) -> migrate_core::Result<Option<WithoutRows>> {
    let name = format!("{}.{}", table.id.schema, table.id.name);
    if let Some(parent) = table.needs().iter().find(|need| place.is_empty(need)) {
        let why = format!("it refers to {}.{}, which has no rows", parent.0, parent.1);
        return Ok(Some(WithoutRows { table: name, why }));
    }
    let (mut serial, mut why) = (0, String::new());
    let (first, mut accepted) = (table.rows(place.uses), Vec::new());
    let typical = if table.has_constants(place.uses) { TURNS as u32 } else { 0 };
    let mut refused: Vec<(GeneratedRow, RowRefusal)> = Vec::new();
    for round in 0..rounds {
        let count = match round {
            0 => first + typical,
            1 => (2 * refused.len() as u32).clamp(BATCH, 3 * BATCH),
            _ => 3 * BATCH,
        };
        let repairs: Vec<GeneratedRow> = refused.iter().filter_map(|(row, refusal)| refusal.kept(table, row)).collect();
        let tried: Vec<GeneratedRow> = (0..count)
            .map(|n| {
                let kept = repairs.get(n as usize / 2).filter(|_| n % 2 == 1).cloned().unwrap_or_default();
                serial += 1;
                let is_typical = round == 0 && n >= first;
                let constants = if is_typical { ConstantPlacement::Nowhere } else { ConstantPlacement::InTurn };
                place.draw(table, RowTurn { round, serial: serial - 1, constants, whole: false, aim: &[] }, kept)
            })
            .collect();
        let answers = place.put(table, &tried, "").await?;
        refused.clear();
        for (row, refusal) in tried.into_iter().zip(answers) {
            match refusal {
                Some(refusal) => {
                    why = refusal.message.clone();
                    refused.push((row, refusal));
                }
                None => accepted.push(row),
            }
        }
        // Every typical value is used in the first rows, so the refused ones are tried again.
        if refused.is_empty() || round > 0 && accepted.len() as u32 >= ROWS {
            break;
        }
    }
    let mut filled = accepted.len();
    twins(place, table, &accepted, serial).await?;
    // The existing rows may have been written before these triggers and rules existed.
    if filled == 0 && table.is_watched {
        let tried: Vec<GeneratedRow> = (0..BATCH)
            .map(|n| {
                place.draw(
                    table,
                    RowTurn { round: 4, serial: serial + n, whole: true, ..RowTurn::default() },
                    GeneratedRow::new(),
                )
            })
            .collect();
        filled += place.put(table, &tried, REPLICA).await?.iter().filter(|refusal| refusal.is_none()).count();
    }
    Ok((filled == 0).then_some(WithoutRows { table: name, why }))
}

/// Inserts rows that equal others, as far as the keys of the table allow it; plain rows are meant to differ.
async fn twins(
    place: &mut FillContext<'_>,
    table: &TableSpec,
    accepted: &[GeneratedRow],
    serial: u32,
) -> migrate_core::Result<()> {
    let is_plain =
        place.narrow.is_some_and(|narrow| narrow.reach == ValueReach::Plain && narrow.columns.has_table(&table.name()));
    let models = if is_plain { [None, None] } else { [accepted.first(), accepted.last()] };
    let mut tried = Vec::new();
    for (n, row) in models.into_iter().flatten().enumerate() {
        let kept: GeneratedRow =
            row.iter().filter(|(name, _)| !table.unique.values().any(|key| key.contains(*name))).map(owned).collect();
        let at = RowTurn { round: 1, serial: serial + n as u32, ..RowTurn::default() };
        let is_whole = kept.len() == row.len();
        tried.push(if is_whole { kept } else { place.draw(table, at, kept) });
    }
    place.put(table, &tried, "").await.map(drop)
}

/// Inserts rows into a table that has some. If they are refused, the table stays as it is, and the reason is
/// returned.
async fn more(
    place: &mut FillContext<'_>,
    table: &TableSpec,
    wanted: RowRequest<'_>,
) -> migrate_core::Result<Option<WithoutRows>> {
    let there = place.rows.table(&table.name()).map_or(0, |rows| rows.rows.len() as u32);
    let seeded = wanted.seeded;
    let constants = if wanted.compared.contains(&table.name()) { table.constants(place.uses) } else { 0 };
    let (in_turn, nowhere) = match wanted.grown.contains(&table.name()) {
        true => (if table.has_constants(place.uses) { TURNS / 2 } else { 0 }, TURNS),
        false => (0, 0),
    };
    let kinds = [
        (ConstantPlacement::Everywhere, constants as usize),
        (ConstantPlacement::InTurn, in_turn),
        (ConstantPlacement::Nowhere, nowhere),
    ];
    let rows = kinds.into_iter().flat_map(|(constants, count)| vec![(constants, GeneratedRow::new()); count]);
    let mut wanted: Vec<(ConstantPlacement, GeneratedRow)> = rows.collect();
    let (mut serial, mut accepted, mut why) = (there, 0, String::new());
    for round in 0..MORE_ROUNDS {
        let draw = |(constants, kept): &(ConstantPlacement, GeneratedRow)| {
            serial += 1;
            let at = RowTurn { round, serial: serial - 1, constants: *constants, ..RowTurn::default() };
            place.draw(table, at, kept.clone())
        };
        let tried: Vec<GeneratedRow> = wanted.iter().map(draw).collect();
        let answers = place.put(table, &tried, "").await?;
        let mut refused = Vec::new();
        for ((row, answer), (constants, _)) in tried.into_iter().zip(answers).zip(wanted) {
            let Some(refusal) = answer else {
                accepted += 1;
                continue;
            };
            // Typical values of the other columns must not be missing because a key was taken.
            refused.push((constants, refusal.kept(table, &row).unwrap_or_default()));
            why = refusal.message;
        }
        wanted = refused;
        if wanted.is_empty() {
            break;
        }
    }
    if accepted == 0 && seeded.contains(&table.name()) && vary::one(place, table, there).await? {
        return Ok(None);
    }
    let table = format!("{}.{}", table.id.schema, table.id.name);
    Ok((accepted == 0).then_some(WithoutRows { table, why }))
}

/// Fills tables that need one another: one row of each at once, with keys that are chosen in advance.
async fn together(place: &mut FillContext<'_>, tables: &[&TableSpec]) -> migrate_core::Result<Vec<WithoutRows>> {
    let mut why = String::new();
    for serial in 0..BATCH * ROUNDS {
        let at = RowTurn { round: serial / BATCH, serial, whole: true, ..RowTurn::default() };
        place.reseed();
        let mut drawn: BTreeMap<TableName, GeneratedRow> = BTreeMap::new();
        for table in tables {
            let row = place.draw_beside(table, at, &BTreeMap::new(), GeneratedRow::new());
            drawn.insert(table.name(), row);
        }
        // The keys are correct by construction; only the order of the rows would violate them.
        let mut command = REPLICA.to_owned();
        for table in tables {
            command += &insert(table, &place.draw_beside(table, at, &drawn, GeneratedRow::new()));
            command += ";";
        }
        let answer = place.rehearsal.query(&attempt(&command)).await?.1;
        match answer.into_iter().flatten().next().flatten().and_then(|text| RowRefusal::read(&text)) {
            Some(refusal) => why = refusal.message,
            None => return Ok(Vec::new()),
        }
    }
    let name = |table: &&TableSpec| format!("{}.{}", table.id.schema, table.id.name);
    Ok(tables.iter().map(|table| WithoutRows { table: name(table), why: why.clone() }).collect())
}

/// Which row of a table is drawn.
#[derive(Clone, Copy, Default)]
struct RowTurn<'a> {
    /// How often rows of this table have been refused.
    round: u32,
    serial: u32,
    /// Whether every column needs a value.
    whole: bool,
    constants: ConstantPlacement,
    /// Additional conditions on the row.
    aim: &'a [Expr],
}

/// Where rows are inserted.
struct FillContext<'a> {
    rehearsal: &'a mut Rehearsal,
    schema: &'a Schema,
    rows: &'a mut DatabaseRows,
    runner: &'a mut TestRunner,
    uses: &'a ColumnUses,
    narrow: Option<ValueNarrowing<'a>>,
    dice: u64,
    decks: Decks,
}

impl FillContext<'_> {
    fn is_empty(&self, table: &TableName) -> bool {
        self.rows.table(table).is_none_or(|rows| rows.rows.is_empty())
    }

    /// Makes new choices between the sides of each OR, for rows that are drawn from now on.
    fn reseed(&mut self) {
        self.dice = u64::from(pick(self.runner, u32::MAX));
        self.decks.next();
    }

    /// Draws a row with its own choices, around the values that it already has.
    fn draw(&mut self, table: &TableSpec, at: RowTurn<'_>, kept: GeneratedRow) -> GeneratedRow {
        self.reseed();
        self.draw_beside(table, at, &BTreeMap::new(), kept)
    }

    /// Draws a row with the choices of the last one; `fixed` contains the rows that are created at the same
    /// time.
    fn draw_beside(
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
    async fn put(
        &mut self,
        table: &TableSpec,
        rows: &[GeneratedRow],
        before: &str,
    ) -> migrate_core::Result<Vec<Option<RowRefusal>>> {
        self.attempt_all(rows.iter().map(|row| format!("{before}{}", insert(table, row))).collect()).await
    }

    /// Tries statements, and returns the server's objection to each.
    async fn attempt_all(&mut self, tried: Vec<String>) -> migrate_core::Result<Vec<Option<RowRefusal>>> {
        let commands: String = tried.iter().map(|command| attempt(command)).collect();
        let answers = self.rehearsal.query_all(&commands).await?;
        let read = |answer: Vec<Vec<Option<String>>>| RowRefusal::read(&answer.into_iter().flatten().next().flatten()?);
        Ok(answers.into_iter().map(|(_, answer)| read(answer)).collect())
    }
}

/// A number below `n`.
fn pick(runner: &mut TestRunner, n: u32) -> u32 {
    use proptest::prelude::Rng;
    runner.rng().next_u32() % n
}
