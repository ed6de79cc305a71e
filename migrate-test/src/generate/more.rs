//! More rows for a table that has some.

use super::context::{FillContext, RowTurn};
use super::draw::{ConstantPlacement, GeneratedRow};
use super::spec::TableSpec;
use super::typical::TURNS;
use super::{MORE_ROUNDS, RowRequest, vary};
use crate::rows::WithoutRows;

/// Inserts rows into a table that has some. If they are refused, the table stays as it is, and the reason is
/// returned.
pub(super) async fn fill(
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
