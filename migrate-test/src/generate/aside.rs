//! A few plain rows for tables that are irrelevant for a migration: many tables in one message.

use std::collections::BTreeSet;

use migrate_base::ident::QualifiedName;
use migrate_core::runner::Touched;

use super::draw::Row;
use super::refusal::Refusal;
use super::spec::{Table, insert};
use super::{Place, Turn};
use crate::rows::TableName;

/// How many rows each of these tables gets.
const FEW: u32 = 2;
/// The turn in which plain values are drawn.
const PLAIN: u32 = 4;

/// Inserts a few rows into tables; each table comes after those that it needs. Returns the tables in which all
/// rows were refused.
pub(super) async fn few<'t>(place: &mut Place<'_>, tables: Vec<&'t Table>) -> migrate_core::Result<Vec<&'t Table>> {
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
fn independent(tables: Vec<&Table>) -> (Vec<&Table>, Vec<&Table>) {
    let mut taken: BTreeSet<TableName> = BTreeSet::new();
    let is_next = |table: &&Table| {
        let is_free = table.needs().is_disjoint(&taken);
        taken.insert(table.name());
        is_free
    };
    tables.into_iter().partition(is_next)
}

async fn at_once<'t>(place: &mut Place<'_>, tables: Vec<&'t Table>) -> migrate_core::Result<Vec<&'t Table>> {
    let draw = |table: &&Table| -> Vec<String> {
        let turn = |serial| Turn { round: PLAIN, serial, ..Turn::default() };
        (0..FEW).map(|serial| insert(table, &place.draw(table, turn(serial), Row::new()))).collect()
    };
    let tried: Vec<Vec<String>> = tables.iter().map(draw).collect();
    let answers = place.attempt_all(tried.into_iter().flatten().collect()).await?;
    let touched = tables.iter().map(|table| QualifiedName::new(&*table.id.schema, &*table.id.name)).collect();
    place.rows.refresh(place.rehearsal, place.schema, &Touched::Tables(touched)).await?;
    let is_refused = |answers: &[Option<Refusal>]| answers.iter().all(Option::is_some);
    let refused = tables.into_iter().zip(answers.chunks(FEW as usize)).filter(|(_, answers)| is_refused(answers));
    Ok(refused.map(|(table, _)| table).collect())
}
