//! Which columns get plainer values because a migration refused others. No other column is to be the poorer for it.

use std::collections::{BTreeMap, BTreeSet};

use migrate_core::schema::{Id, Kind, Object, Schema};

use super::typical::Reach;
use crate::rows::{TableName, holders, table_name};

/// Plainer values, and where they are drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Narrow<'a> {
    /// How far values go.
    pub(crate) reach: Reach,
    /// Whether texts and documents have to be as they are read.
    pub(crate) strict: bool,
    pub(crate) columns: &'a Narrowed,
}

/// The columns with plainer values, by table.
#[derive(Debug, Default)]
pub(crate) struct Narrowed(BTreeMap<TableName, BTreeSet<String>>);

impl Narrowed {
    /// The columns of the named tables that are named as well, or all of them; every column where no table is named.
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

    /// The names of the columns of these tables: `public.users.name`; of all columns of a table, that of the table.
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

/// Whether a table is named, or one that it is a part of.
fn is_named(schema: &Schema, table: &Object, names: &BTreeSet<String>) -> bool {
    names.contains(&*table.id.name)
        || table.parents().iter().any(|parent| {
            let above = schema.get(&Id::named(Kind::Table, parent.schema(), parent.name()));
            above.is_some_and(|above| is_named(schema, above, names))
        })
}
