//! The state of a database at a moment, as the run record has it.

use std::collections::BTreeMap;

use migrate_review::evidence::{Evidence, RowCount};
use migrate_schema::Schema;
use serde::Serialize;

use super::RowsChange;
use crate::brief::{count, shown};

/// The state of a database. The complete schema is in a separate file.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DatabaseState {
    pub(crate) at: String,
    pub(crate) fingerprint: String,
    pub(crate) bytes: u64,
    pub(crate) tables: BTreeMap<String, TableState>,
    #[serde(skip)]
    pub(crate) schema: Schema,
}

/// The rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct TableState {
    #[serde(serialize_with = "count")]
    pub(crate) rows: RowCount,
    pub(crate) bytes: u64,
}

impl From<Evidence> for DatabaseState {
    fn from(evidence: Evidence) -> Self {
        let table = |one: migrate_review::evidence::RelationSize| {
            (shown(&one.table), TableState { rows: one.rows, bytes: one.bytes })
        };
        Self {
            at: evidence.at,
            fingerprint: evidence.schema.fingerprint(),
            bytes: evidence.bytes,
            tables: evidence.tables.into_iter().map(table).collect(),
            schema: evidence.schema,
        }
    }
}

/// The tables whose number of rows changed, and those that exist on only one side. A changed estimate does not count.
pub(super) fn changes(before: &DatabaseState, after: &DatabaseState) -> Vec<RowsChange> {
    let names = before.tables.keys().chain(after.tables.keys().filter(|name| !before.tables.contains_key(*name)));
    let change = |name: &String| {
        let (was, is) = (before.tables.get(name).copied(), after.tables.get(name).copied());
        let is_same = match (was, is) {
            (Some(was), Some(is)) => was.rows == is.rows || !was.rows.is_exact() || !is.rows.is_exact(),
            _ => false,
        };
        (!is_same).then(|| RowsChange { table: name.clone(), before: was, after: is })
    };
    names.filter_map(change).collect()
}
