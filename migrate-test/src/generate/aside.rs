//! A few plain rows for tables that are irrelevant for a migration: many tables in one message.

use std::collections::BTreeSet;

use migrate_base::ident::QualifiedName;
use migrate_core::runner::WrittenTables;

use super::context::{FillContext, RowTurn};
use super::draw::GeneratedRow;
use super::refusal::RowRefusal;
use super::spec::{TableSpec, insert};
use crate::rows::TableName;

/// How many rows each of these tables gets.
const FEW: u32 = 2;
/// The turn in which plain values are drawn.
const PLAIN: u32 = 4;

/// Inserts a few rows into tables; each table comes after those that it needs. Returns the tables in which all
/// rows were refused.
pub(super) async fn few<'t>(
    place: &mut FillContext<'_>,
    tables: Vec<&'t TableSpec>,
) -> migrate_core::Result<Vec<&'t TableSpec>> {
    let mut refused = Vec::new();
    let mut left = tables;
    while !left.is_empty() {
        let (now, later) = independent(left);
        refused.extend(at_once(place, now).await?);
        left = later;
    }
    Ok(refused)
}

/// The tables at the beginning that do not need one another, and the rest.
fn independent(tables: Vec<&TableSpec>) -> (Vec<&TableSpec>, Vec<&TableSpec>) {
    let mut taken: BTreeSet<TableName> = BTreeSet::new();
    let is_next = |table: &&TableSpec| {
        let is_free = table.needs().is_disjoint(&taken);
        taken.insert(table.name());
        is_free
    };
    tables.into_iter().partition(is_next)
}

async fn at_once<'t>(
    place: &mut FillContext<'_>,
    tables: Vec<&'t TableSpec>,
) -> migrate_core::Result<Vec<&'t TableSpec>> {
    let draw = |table: &&TableSpec| -> Vec<String> {
        let turn = |serial| RowTurn { round: PLAIN, serial, ..RowTurn::default() };
        (0..FEW).map(|serial| insert(table, &place.draw(table, turn(serial), GeneratedRow::new()))).collect()
    };
    let tried: Vec<Vec<String>> = tables.iter().map(draw).collect();
    let answers = place.attempt_all(tried.into_iter().flatten().collect()).await?;
    let touched = tables.iter().map(|table| QualifiedName::new(&*table.id.schema, &*table.id.name)).collect();
    place.rows.refresh(place.rehearsal, place.schema, &WrittenTables::Tables(touched)).await?;
    let is_refused = |answers: &[Option<RowRefusal>]| answers.iter().all(Option::is_some);
    let refused = tables.into_iter().zip(answers.chunks(FEW as usize)).filter(|(_, answers)| is_refused(answers));
    Ok(refused.map(|(table, _)| table).collect())
}
