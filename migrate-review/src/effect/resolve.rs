//! Resolves the names in a text in a schema: which tables and columns lose their contents.

use std::collections::{BTreeMap, BTreeSet};

use migrate_base::ident::QualifiedName;
use migrate_schema::{Id, Kind, Schema};

use super::ScriptRemoval;
use crate::tree::ObjectName;

/// What a table loses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableLoss {
    /// The table.
    pub table: QualifiedName,
    /// The columns whose values are lost; empty means all rows.
    pub columns: Vec<String>,
    /// Whether only some of the rows or values may be lost, as a `WHERE` decides.
    pub partial: bool,
    /// The command: `DROP TABLE`, `DROP COLUMN`, `DELETE`.
    pub by: &'static str,
}

/// Finds what is removed in a schema. Objects that are not in the schema are left out. A table that is lost as a whole
/// is reported once.
pub fn resolve<'a>(taken: impl IntoIterator<Item = &'a ScriptRemoval>, schema: &Schema) -> Vec<TableLoss> {
    let mut whole: BTreeMap<QualifiedName, (&'static str, bool)> = BTreeMap::new();
    let mut columns: BTreeMap<(QualifiedName, &'static str), BTreeSet<String>> = BTreeMap::new();
    for one in taken {
        match one {
            ScriptRemoval::Table(name) => {
                for table in with_children(schema, find(schema, name)) {
                    whole.insert(table, ("DROP TABLE", false));
                }
            }
            ScriptRemoval::Schema(name) => {
                let of_it = all(schema).filter(|id| *id.schema == *name.name);
                whole.extend(of_it.map(|id| (qualified(id), ("DROP SCHEMA", false))));
            }
            ScriptRemoval::Rows(name, by) => {
                for table in find(schema, name) {
                    whole.entry(table).or_insert((by, *by != "TRUNCATE"));
                }
            }
            ScriptRemoval::Column(name, column) => {
                for table in find(schema, name).into_iter().filter(|table| has(schema, table, column)) {
                    columns.entry((table, "DROP COLUMN")).or_default().insert(column.clone());
                }
            }
            ScriptRemoval::Values(name, named) => {
                for table in find(schema, name) {
                    let there: Vec<String> =
                        named.iter().filter(|column| has(schema, &table, column)).cloned().collect();
                    columns.entry((table, "new values")).or_default().extend(there);
                }
            }
        }
    }
    let gone: BTreeSet<QualifiedName> =
        whole.iter().filter(|(_, (_, partial))| !partial).map(|(table, _)| table.clone()).collect();
    let whole = whole.into_iter().map(|(table, (by, partial))| TableLoss { table, columns: Vec::new(), partial, by });
    let of_columns = columns.into_iter().filter(|((table, _), names)| !gone.contains(table) && !names.is_empty());
    let of_columns = of_columns.map(|((table, by), names)| TableLoss {
        table,
        columns: names.into_iter().collect(),
        partial: by == "new values",
        by,
    });
    whole.chain(of_columns).collect()
}

fn all(schema: &Schema) -> impl Iterator<Item = &Id> {
    schema.of_kind(Kind::Table).map(|one| &*one.id)
}

fn qualified(id: &Id) -> QualifiedName {
    QualifiedName::new(&*id.schema, &*id.name)
}

/// The tables of a schema that a name in a script can mean; for a name without a schema, `public` comes first.
pub fn find(schema: &Schema, name: &ObjectName) -> Vec<QualifiedName> {
    let mut found: Vec<&Id> = all(schema)
        .filter(|id| *id.name == *name.name && name.schema.as_ref().is_none_or(|s| **s == *id.schema))
        .collect();
    if name.schema.is_none() && found.iter().any(|id| &*id.schema == "public") {
        found.retain(|id| &*id.schema == "public");
    }
    found.into_iter().map(qualified).collect()
}

/// The tables with their partitions and children, which share their fate.
fn with_children(schema: &Schema, mut tables: Vec<QualifiedName>) -> Vec<QualifiedName> {
    let mut at = 0;
    while let Some(parent) = tables.get(at).cloned() {
        let is_child = |id: &&Id| schema.get(id).is_some_and(|table| table.parents().contains(&parent));
        let children: Vec<QualifiedName> = all(schema).filter(is_child).map(qualified).collect();
        tables.extend(children);
        at += 1;
    }
    tables
}

fn has(schema: &Schema, table: &QualifiedName, column: &str) -> bool {
    let id = Id {
        kind: Kind::Column,
        schema: table.schema().into(),
        parent: table.name().into(),
        name: column.into(),
        signature: "".into(),
    };
    schema.get(&id).is_some_and(|one| one.fact("generated").is_none())
}
