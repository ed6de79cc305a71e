//! Rows for a table that has none.

use super::context::{FillContext, RowTurn};
use super::draw::{ConstantPlacement, GeneratedRow};
use super::refusal::{RowRefusal, owned};
use super::spec::TableSpec;
use super::typical::{TURNS, ValueReach};
use super::{BATCH, REPLICA, ROWS};
use crate::rows::WithoutRows;

/// Fills one table. Rows that violate a check are tried again with other values only in the columns of that
/// check.
pub(super) async fn fill(
    place: &mut FillContext<'_>,
    table: &TableSpec,
    rounds: u32,
) -> migrate_core::Result<Option<WithoutRows>> {
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
