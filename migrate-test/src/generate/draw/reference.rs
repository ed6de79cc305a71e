//! The columns of a foreign key: those of a row that exists or is created at the same time, or NULL.

use std::collections::BTreeMap;

use migrate_base::ident::literal;

use super::requirements::DraftRequirements;
use super::value::is_turn;
use super::{GeneratedRow, RowDraft};
use crate::generate::spec::ForeignKey;
use crate::generate::values::ValueOptions;
use crate::rows::TableName;

/// Sets the columns of a foreign key to those of an existing row, or of one that is created at the same time.
pub(super) fn reference(
    draft: &RowDraft<'_>,
    key: &ForeignKey,
    fixed: &BTreeMap<TableName, GeneratedRow>,
    asked: &DraftRequirements,
    row: &mut GeneratedRow,
) {
    let RowDraft { rows, table, taste: ValueOptions { serial, .. }, .. } = *draft;
    let pairs = || key.columns.iter().zip(&key.referenced);
    let free = |column: &str| table.columns.iter().any(|known| known.name == column && known.nullable);
    let is_turn = |column: &String| asked.null(column).is_none() && free(column) && is_turn(draft, column);
    let is_null = |column: &&String| asked.null(column) == Some(true) || is_turn(column);
    if let Some(column) = key.columns.iter().find(is_null) {
        row.insert(column.clone(), "NULL".to_owned());
        return;
    }
    if !draft.aim.is_empty() && key.table == table.name() && key.columns.iter().all(|column| row.contains_key(column)) {
        return;
    }
    if let Some(other) = fixed.get(&key.table) {
        for (column, referenced) in pairs() {
            if let Some(value) = other.get(referenced) {
                row.insert(column.clone(), value.clone());
            }
        }
        return;
    }
    if let Some(parent) = rows.table(&key.table).filter(|parent| !parent.rows.is_empty()) {
        let cell = |source: &[Option<String>], referenced: &String| {
            let at = parent.columns.iter().position(|name| name == referenced);
            at.and_then(|at| source.get(at).cloned().flatten()).map_or("NULL".to_owned(), |text| literal(&text))
        };
        // A row that is referenced should also match what another key has set, and the other requirements.
        let score = |source: &[Option<String>]| {
            let fits = |(column, referenced): (&String, &String)| {
                let value = cell(source, referenced);
                let is_set = row.get(column).is_none_or(|set| *set == value || *set == "NULL");
                let is_asked = asked.wishes.get(column).is_none_or(|wish| wish.admits(&value));
                usize::from(is_set) + usize::from(is_asked)
            };
            pairs().map(fits).sum::<usize>()
        };
        let best = parent.rows.iter().map(|source| score(source)).max().unwrap_or_default();
        let fitting: Vec<_> = parent.rows.iter().filter(|source| score(source) == best).collect();
        let source = fitting[serial as usize % fitting.len()];
        let is_full = best == 2 * key.columns.len();
        if !is_full && let Some(column) = key.columns.iter().find(|column| free(column) && !row.contains_key(*column)) {
            row.insert(column.clone(), "NULL".to_owned());
            return;
        }
        for (column, referenced) in pairs() {
            row.insert(column.clone(), cell(source, referenced));
        }
    } else if key.table == table.name() && !table.optional(key) {
        // In an empty table, a row that must reference one of its own table references itself.
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
