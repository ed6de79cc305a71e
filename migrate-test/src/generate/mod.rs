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
mod context;
mod dice;
mod draw;
mod empty;
mod expr;
mod fitting;
mod formats;
mod fulfil;
mod group;
mod joined;
mod json;
mod more;
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
mod together;
mod tree;
mod typical;
mod uses;
mod values;
mod vary;
mod wish;

use std::collections::BTreeSet;

use context::FillContext;
use dice::Decks;
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
pub(crate) use refusal::{TRY, attempt};
use spec::{ForeignKey, TableSpec};
pub(crate) use typical::ValueReach;
pub(crate) use uses::ColumnUses;

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
        [table] if wanted.have_some(&table.name()) => more::fill(place, table, wanted).await?.into_iter().collect(),
        [table] => {
            let is_given_up = wanted.given_up.contains(&format!("{}.{}", table.id.schema, table.id.name));
            empty::fill(place, table, if is_given_up { 2 } else { ROUNDS }).await?.into_iter().collect()
        }
        group if group.iter().all(|table| wanted.have_some(&table.name())) => Vec::new(),
        group => together::fill(place, group).await?,
    };
    unfilled.extend(outcome);
    let touched = group.iter().map(|table| QualifiedName::new(&*table.id.schema, &*table.id.name)).collect();
    place.rows.refresh(place.rehearsal, place.schema, &WrittenTables::Tables(touched)).await
}
