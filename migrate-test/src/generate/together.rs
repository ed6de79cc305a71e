//! Rows for tables that need one another.

use std::collections::BTreeMap;

use super::context::{FillContext, RowTurn};
use super::draw::GeneratedRow;
use super::refusal::{RowRefusal, attempt};
use super::spec::{TableSpec, insert};
use super::{BATCH, REPLICA, ROUNDS};
use crate::rows::{TableName, WithoutRows};

/// Fills tables that need one another: one row of each at once, with keys that are chosen in advance.
pub(super) async fn fill(place: &mut FillContext<'_>, tables: &[&TableSpec]) -> migrate_core::Result<Vec<WithoutRows>> {
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
