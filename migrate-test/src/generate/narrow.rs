//! Which columns get plainer values because a migration refused others. Other columns keep their full range of
//! values.

use std::collections::{BTreeMap, BTreeSet};

use migrate_schema::{Id, Kind, Object, Schema};

use super::typical::ValueReach;
use crate::rows::{TableName, holders, table_name};

/// Plainer values, and the columns that get them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ValueNarrowing<'a> {
    /// How extreme values may be.
    pub(crate) reach: ValueReach,
    /// Whether texts and documents must have a form that can be parsed.
    pub(crate) strict: bool,
    pub(crate) columns: &'a NarrowedColumns,
}

/// The columns with plainer values, by table.
#[derive(Debug, Default)]
pub(crate) struct NarrowedColumns(BTreeMap<TableName, BTreeSet<String>>);

impl NarrowedColumns {
    /// The columns of the named tables that are named as well, or all of their columns; every column if no
    /// table is named.
    pub(crate) fn of(schema: &Schema, names: Option<&BTreeSet<String>>) -> Self {
        let columns = |table: &Object| -> BTreeSet<String> {
            schema.children(&table.id, Kind::Column).map(|column| column.id.name.to_string()).collect()
        };
        let of_named = |names: &BTreeSet<String>| {
            let tables = holders(schema).filter(|table| is_named(schema, table, names));
            let narrowed = tables.map(|table| {
                let all = columns(table);
                let named: BTreeSet<String> = all.intersection(names).cloned().collect();
                (table_name(table), if named.is_empty() { all } else { named })
            });
            Self(narrowed.collect())
        };
        let named = names.map(of_named).filter(|named| !named.0.is_empty());
        named.unwrap_or_else(|| Self(holders(schema).map(|table| (table_name(table), columns(table))).collect()))
    }

    pub(crate) fn has_table(&self, table: &TableName) -> bool {
        self.0.contains_key(table)
    }

    pub(super) fn has(&self, table: &TableName, column: &str) -> bool {
        self.0.get(table).is_some_and(|columns| columns.contains(column))
    }

    /// The names of the columns of these tables: `public.users.name`; the name of the table if all its columns
    /// are included.
    pub(crate) fn told(&self, schema: &Schema, tables: &BTreeSet<TableName>) -> Vec<String> {
        let of = |(table, columns): (&TableName, &BTreeSet<String>)| {
            let shown = format!("{}.{}", table.0, table.1);
            let count = schema.children(&Id::named(Kind::Table, &table.0, &table.1), Kind::Column).count();
            match columns.len() < count {
                true => columns.iter().map(|column| format!("{shown}.{column}")).collect(),
                false => vec![shown],
            }
        };
        self.0.iter().filter(|(table, _)| tables.contains(*table)).flat_map(of).collect()
    }
}

/// Whether a table, or one that it is a partition of, is named.
fn is_named(schema: &Schema, table: &Object, names: &BTreeSet<String>) -> bool {
    names.contains(&*table.id.name)
        || table.parents().iter().any(|parent| {
            let above = schema.get(&Id::named(Kind::Table, parent.schema(), parent.name()));
            above.is_some_and(|above| is_named(schema, above, names))
        })
}
