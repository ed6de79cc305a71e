//! Other values in an existing row, for a table that accepts no more rows.

use migrate_base::ident::{QualifiedName, ident};

use super::MORE_ROUNDS;
use super::context::{FillContext, RowTurn};
use super::draw::GeneratedRow;
use super::spec::TableSpec;

/// Gives the first row of a table other values, each column separately, except those of keys; returns whether
/// any value was accepted.
pub(super) async fn one(place: &mut FillContext<'_>, table: &TableSpec, serial: u32) -> migrate_core::Result<bool> {
    let name = QualifiedName::new(&*table.id.schema, &*table.id.name);
    let is_key = |column: &str| {
        let is_own = table.unique.values().any(|key| key.contains(column));
        is_own || table.keys.iter().any(|key| key.columns.iter().any(|one| one == column))
    };
    let mut left: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    left.retain(|column| !is_key(column));
    let all = left.len();
    for round in 0..MORE_ROUNDS {
        let at = RowTurn { round, serial: serial + round, whole: true, ..RowTurn::default() };
        let row = place.draw(table, at, GeneratedRow::new());
        // The loss of a NULL would go unnoticed.
        let has_value = |column: &&str| row.get(*column).is_some_and(|value| value != "NULL");
        let tried: Vec<&str> = left.iter().copied().filter(has_value).collect();
        let set = |column: &&str| {
            let (column, value) = (ident(column), &row[*column]);
            format!("UPDATE ONLY {name} SET {column} = {value} WHERE ctid = (SELECT ctid FROM ONLY {name} LIMIT 1)")
        };
        let answers = place.attempt_all(tried.iter().map(set).collect()).await?;
        let taken: Vec<&str> =
            tried.iter().zip(answers).filter(|(_, refusal)| refusal.is_none()).map(|(column, _)| *column).collect();
        left.retain(|column| !taken.contains(column));
        if left.is_empty() {
            break;
        }
    }
    Ok(left.len() < all)
}
