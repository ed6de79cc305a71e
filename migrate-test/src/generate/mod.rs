//! Rows for any schema: drawn by proptest from the types, steered by what constraints say, and
//! accepted or refused by the server itself.
//!
//! A table is filled after those that its foreign keys need. A row that the server refuses is
//! drawn again, with plainer values each time; what cannot be filled at all is said.

mod fitting;
mod hints;
mod names;
mod spec;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use migrate_core::ident::{QualifiedName, ident, literal};
use migrate_core::runner::{Rehearsal, Touched};
use migrate_core::schema::{Kind, Object, Schema};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::proof::WithoutRows;
use crate::rows::{Rows, TableName, holders};
pub(crate) use fitting::Required;
use spec::{Column, ForeignKey, Table};
use values::Taste;

/// How many rows each table gets.
const ROWS: u32 = 4;
/// How many rows are tried at once, and how often, before a table is given up.
const BATCH: u32 = 8;
const ROUNDS: u32 = 6;

/// A function that runs a command and tells what the server has against it; constraints that
/// are checked late are checked at once.
pub(crate) const TRY: &str = "CREATE OR REPLACE FUNCTION pg_temp.roundtrip_try(command text) RETURNS text LANGUAGE plpgsql AS $try$ \
    BEGIN SET CONSTRAINTS ALL DEFERRED; EXECUTE command; SET CONSTRAINTS ALL IMMEDIATE; RETURN ''; \
    EXCEPTION WHEN OTHERS THEN RETURN SQLERRM; END $try$;";

/// Puts rows into every table that has none, `awkward` ones among them; `rows` is what is there,
/// and is brought up to date.
pub(crate) async fn fill(
    rehearsal: &mut Rehearsal,
    schema: &Schema,
    rows: &mut Rows,
    runner: &mut TestRunner,
    awkward: bool,
) -> migrate_core::Result<Vec<WithoutRows>> {
    let name = |table: &Object| (table.id.schema.to_string(), table.id.name.to_string());
    let empty = |table: &&Object| rows.table(&name(table)).is_none_or(|rows| rows.rows.is_empty());
    let tables: Vec<Table> = holders(schema).filter(empty).map(|table| Table::of(schema, table)).collect();
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let open: Vec<&Table> = tables.iter().collect();
    rehearsal.query(TRY).await?;
    let mut unfilled = Vec::new();
    for group in ordered(&open) {
        let outcome = match group.as_slice() {
            [table] => one(rehearsal, schema, rows, runner, table, awkward).await?.into_iter().collect(),
            group => together(rehearsal, schema, rows, runner, group, awkward).await?,
        };
        unfilled.extend(outcome);
        let touched = group.iter().map(|table| QualifiedName::new(&*table.id.schema, &*table.id.name)).collect();
        rows.refresh(rehearsal, schema, &Touched::Tables(touched)).await?;
    }
    // A trigger may have written to tables that were read before.
    if tables.iter().any(|table| schema.children(&table.id, Kind::Trigger).next().is_some()) {
        rows.refresh(rehearsal, schema, &Touched::Unknown).await?;
    }
    rehearsal.query("DROP FUNCTION pg_temp.roundtrip_try(text)").await?;
    Ok(unfilled)
}

/// Tables in an order in which each comes after those that it needs; those that need one
/// another stand together.
fn ordered<'a>(tables: &[&'a Table]) -> Vec<Vec<&'a Table>> {
    let names: BTreeSet<TableName> = tables.iter().map(|table| table.name()).collect();
    let mut left: Vec<&Table> = tables.to_vec();
    let mut done: BTreeSet<TableName> = BTreeSet::new();
    let mut groups = Vec::new();
    while !left.is_empty() {
        let ready = |table: &&Table| table.needs().iter().all(|need| done.contains(need) || !names.contains(need));
        let (now, later): (Vec<&Table>, Vec<&Table>) = left.iter().partition(|table| ready(table));
        left = later;
        if now.is_empty() {
            // Only cycles, and what stands behind them, are left.
            let cycle = cycle(&left);
            left.retain(|table| !cycle.contains(&table.name()));
            let group = tables.iter().filter(|table| cycle.contains(&table.name())).copied().collect();
            done.extend(cycle);
            groups.push(group);
        }
        done.extend(now.iter().map(|table| table.name()));
        groups.extend(now.into_iter().map(|table| vec![table]));
    }
    groups
}

/// The smallest set of tables that need nothing outside of it.
fn cycle(tables: &[&Table]) -> BTreeSet<TableName> {
    let needs: BTreeMap<TableName, BTreeSet<TableName>> = tables.iter().map(|t| (t.name(), t.needs())).collect();
    let reach = |from: &TableName| {
        let mut seen = BTreeSet::from([from.clone()]);
        let mut queue = vec![from.clone()];
        while let Some(name) = queue.pop() {
            for next in needs.get(&name).into_iter().flatten().filter(|next| needs.contains_key(*next)) {
                if seen.insert(next.clone()) {
                    queue.push(next.clone());
                }
            }
        }
        seen
    };
    needs.keys().map(reach).min_by_key(BTreeSet::len).unwrap_or_default()
}

/// Fills one table.
async fn one(
    rehearsal: &mut Rehearsal,
    schema: &Schema,
    rows: &Rows,
    runner: &mut TestRunner,
    table: &Table,
    awkward: bool,
) -> migrate_core::Result<Option<WithoutRows>> {
    let mut filled = 0;
    let mut serial = 0;
    let mut why = String::new();
    for round in 0..ROUNDS {
        let mut commands = String::new();
        for _ in 0..BATCH {
            let row = draw(
                &Draw { schema, rows, table, taste: Taste { serial, awkward }, round, whole: false },
                runner,
                &BTreeMap::new(),
            );
            commands += &attempt(&insert(table, &row));
            serial += 1;
        }
        for (_, answer) in rehearsal.query_all(&commands).await? {
            match answer.into_iter().flatten().next().flatten() {
                Some(error) if !error.is_empty() => why = error,
                _ => filled += 1,
            }
        }
        if filled >= ROWS {
            break;
        }
    }
    let name = format!("{}.{}", table.id.schema, table.id.name);
    Ok((filled == 0).then_some(WithoutRows { table: name, why }))
}

/// Fills tables that need one another: a row of each at once, whose keys are chosen beforehand.
async fn together(
    rehearsal: &mut Rehearsal,
    schema: &Schema,
    rows: &Rows,
    runner: &mut TestRunner,
    tables: &[&Table],
    awkward: bool,
) -> migrate_core::Result<Vec<WithoutRows>> {
    let mut why = String::new();
    for serial in 0..BATCH * ROUNDS {
        let mut drawn: BTreeMap<TableName, BTreeMap<String, String>> = BTreeMap::new();
        for table in tables {
            let draft =
                Draw { schema, rows, table, taste: Taste { serial, awkward }, round: serial / BATCH, whole: true };
            drawn.insert(table.name(), draw(&draft, runner, &BTreeMap::new()));
        }
        // The keys are right by construction; only their order would be in the way.
        let mut command = "SET LOCAL session_replication_role TO replica;".to_owned();
        for table in tables {
            let draft =
                Draw { schema, rows, table, taste: Taste { serial, awkward }, round: serial / BATCH, whole: true };
            command += &insert(table, &draw(&draft, runner, &drawn));
            command += ";";
        }
        let answer = rehearsal.query(&attempt(&command)).await?.1;
        match answer.into_iter().flatten().next().flatten() {
            Some(error) if !error.is_empty() => why = error,
            _ => return Ok(Vec::new()),
        }
    }
    let name = |table: &&Table| format!("{}.{}", table.id.schema, table.id.name);
    Ok(tables.iter().map(|table| WithoutRows { table: name(table), why: why.clone() }).collect())
}

/// The row that is to be drawn.
struct Draw<'a> {
    schema: &'a Schema,
    rows: &'a Rows,
    table: &'a Table,
    taste: Taste,
    /// How often rows of this table were refused already.
    round: u32,
    /// Whether no column may be left to the server.
    whole: bool,
}

/// Draws the values of a row, as SQL; columns that are left to the server are not in it.
///
/// `fixed` has the rows that are made at the same time, whose keys this one may have to name.
fn draw(
    draft: &Draw<'_>,
    runner: &mut TestRunner,
    fixed: &BTreeMap<TableName, BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let table = draft.table;
    let mut row = fixed.get(&table.name()).cloned().unwrap_or_default();
    for column in &table.columns {
        let is_key = table.keys.iter().any(|key| key.columns.contains(&column.name));
        if !is_key
            && !row.contains_key(&column.name)
            && let Some(value) = value(draft, runner, column)
        {
            row.insert(column.name.clone(), value);
        }
    }
    for key in &table.keys {
        reference(draft, key, fixed, &mut row);
    }
    row
}

/// A value for a column; `None` leaves it to the server.
fn value(draft: &Draw<'_>, runner: &mut TestRunner, column: &Column) -> Option<String> {
    let Draw { schema, taste, round, whole, .. } = *draft;
    let chance = pick(runner, 10);
    if column.counted && column.hints.is_empty() {
        // A small number would be in the way of the next row that is counted.
        return (whole || chance < 3).then(|| column.beyond(taste.serial).to_string());
    }
    if column.has_default && !whole && (round % 2 == 1 || chance < 4) {
        return None;
    }
    // Every round has rows with NULL, and the later ones try it wherever it is allowed.
    if column.nullable && (chance < 2 || (round > 2 && column.hints.is_empty() && chance < 7)) {
        return Some("NULL".to_owned());
    }
    let strategy = values::strategy(schema, &column.type_name, &column.hints, taste);
    let text = strategy.new_tree(runner).ok()?.current();
    Some(literal(&text))
}

/// Sets the columns of a foreign key to those of a row that is there, or is made at the same time.
fn reference(
    draft: &Draw<'_>,
    key: &ForeignKey,
    fixed: &BTreeMap<TableName, BTreeMap<String, String>>,
    row: &mut BTreeMap<String, String>,
) {
    let Draw { rows, table, taste: Taste { serial, .. }, .. } = *draft;
    let pairs = || key.columns.iter().zip(&key.referenced);
    if let Some(other) = fixed.get(&key.table) {
        for (column, referenced) in pairs() {
            if let Some(value) = other.get(referenced) {
                row.insert(column.clone(), value.clone());
            }
        }
        return;
    }
    let parent = rows.table(&key.table).filter(|parent| !parent.rows.is_empty());
    if let Some(parent) = parent {
        let source = &parent.rows[serial as usize % parent.rows.len()];
        for (column, referenced) in pairs() {
            let at = parent.columns.iter().position(|name| name == referenced);
            let value = at.and_then(|at| source.get(at).cloned().flatten());
            row.insert(column.clone(), value.map_or("NULL".to_owned(), |text| literal(&text)));
        }
    } else if key.table == table.name() && !table.optional(key) {
        // A row that has to point somewhere, in an empty table, points to itself.
        for (column, referenced) in pairs() {
            let counted = table.columns.iter().find(|column| column.name == *referenced && column.counted);
            let number = counted.map_or(u64::from(serial) + 1, |column| column.beyond(serial));
            let own = row.entry(referenced.clone()).or_insert_with(|| literal(&number.to_string())).clone();
            row.insert(column.clone(), own);
        }
    } else {
        for column in &key.columns {
            row.entry(column.clone()).or_insert_with(|| "NULL".to_owned());
        }
    }
}

fn insert(table: &Table, row: &BTreeMap<String, String>) -> String {
    let name = QualifiedName::new(&*table.id.schema, &*table.id.name);
    if row.is_empty() {
        return format!("INSERT INTO {name} DEFAULT VALUES");
    }
    let columns: Vec<String> = row.keys().map(|column| ident(column)).collect();
    let values: Vec<&str> = row.values().map(String::as_str).collect();
    format!("INSERT INTO {name} ({}) OVERRIDING SYSTEM VALUE VALUES ({})", columns.join(", "), values.join(", "))
}

pub(crate) fn attempt(command: &str) -> String {
    format!("SELECT pg_temp.roundtrip_try({});", literal(command))
}

/// A number below `n`.
fn pick(runner: &mut TestRunner, n: u32) -> u32 {
    use proptest::prelude::Rng;
    runner.rng().next_u32() % n
}
