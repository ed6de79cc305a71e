//! Rows for the statements of scripts: each finds some that it takes and changes.

use std::collections::BTreeSet;

use migrate_core::ident::QualifiedName;
use migrate_core::runner::Touched;
use migrate_core::schema::Object;

use super::aims::Aim;
use super::draw::Row;
use super::spec::{Table, lineage};
use super::{Place, Turn};

/// How often rows that statements take are tried, and how far apart their numbers are from those of the rows that are there.
const ATTEMPTS: u32 = 4;
const APART: u32 = 500;
/// A table gets no more of them for one migration: a script can have thousands of statements.
const MOST: usize = 80;

/// Puts rows into a table that the statements of scripts take and change, some for each; those that are refused are tried
/// again, plainer in all else, and are nothing that others depend on.
pub(super) async fn put(place: &mut Place<'_>, object: &Object) -> migrate_core::Result<()> {
    let (table, uses) = (Table::of(place.schema, object), place.uses);
    let there = place.rows.table(&table.name()).map_or(0, |rows| rows.rows.len() as u32);
    let names = lineage(place.schema, object);
    let is_about =
        |aim: &&Aim| aim.wanted.iter().any(|one| table.columns.iter().any(|column| one.mentions(&column.name)));
    let aims = uses.aims(&names).filter(is_about);
    let mut known = BTreeSet::new();
    let aims = aims.filter(|aim| known.insert(aim.wanted.iter().map(|one| one.text().to_owned()).collect::<Vec<_>>()));
    let mut open: Vec<&Aim> = aims.flat_map(|aim| std::iter::repeat_n(aim, aim.rows())).take(MOST).collect();
    for attempt in 1..=ATTEMPTS {
        let first = there + attempt * APART;
        let draw = |(n, aim): (usize, &&Aim)| {
            let at = Turn { serial: first + n as u32, whole: attempt > 2, aim: Some(aim), ..Turn::default() };
            place.draw(&table, at, Row::new())
        };
        let tried: Vec<Row> = open.iter().enumerate().map(draw).collect();
        let answers = place.put(&table, &tried, "").await?;
        open = open.into_iter().zip(answers).filter_map(|(aim, refusal)| refusal.map(|_| aim)).collect();
        if open.is_empty() {
            break;
        }
    }
    let touched = Touched::Tables([QualifiedName::new(&*table.id.schema, &*table.id.name)].into());
    place.rows.refresh(place.rehearsal, place.schema, &touched).await.map(drop)
}
