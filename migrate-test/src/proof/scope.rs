//! Which tables are relevant for a migration. These get rows of every kind. For all other tables a few rows are
//! enough to see that they stay unchanged. If a script used one of the others, the migration is tried again
//! with more rows in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migrate_base::ident::QualifiedName;
use migrate_core::Migration;
use migrate_review::effect;
use migrate_schema::{Kind, Object, Schema, SchemaChange};

use super::refused::changes_rows;
use crate::generate;
use crate::rows::{TableName, holder_name, holders, table_name};

/// The tables that were used when there were no rows; `None` if that is not known.
#[derive(Debug, Clone, Default)]
pub(crate) struct RelevantTables(Option<BTreeSet<TableName>>);

impl RelevantTables {
    /// A scope without any used table.
    pub(crate) fn nothing() -> Self {
        Self(Some(BTreeSet::new()))
    }

    /// Adds what a script used that ran, and what it changed: a dropped object is not among the used ones.
    pub(crate) fn take(&mut self, used: Option<&[QualifiedName]>, change: &SchemaChange) {
        let Some((tables, used)) = self.0.as_mut().zip(used) else {
            self.0 = None;
            return;
        };
        tables.extend(used.iter().map(|table| (table.schema().to_owned(), table.name().to_owned())));
        tables.extend(change.objects().map(|(id, ..)| holder_name(id)));
    }

    /// The tables with columns whose types were changed: a script that changes a type does not lock them.
    pub(crate) fn of_types(&self, schema: &Schema) -> BTreeSet<TableName> {
        self.0.as_ref().map_or_else(BTreeSet::new, |used| of_types(used, &BTreeSet::new(), schema))
    }

    /// Adds tables.
    pub(crate) fn widen(&mut self, more: &BTreeSet<TableName>) {
        if let Some(tables) = &mut self.0 {
            tables.extend(more.iter().cloned());
        }
    }

    /// The relevant tables that hold rows: those that were used or are named, their partitions and children,
    /// all tables that they reference and, if rows are changed, all tables that reference them. `None` if that
    /// may be all tables.
    pub(crate) fn tables(&self, migration: &Migration, schema: &Schema) -> Option<BTreeSet<TableName>> {
        let used = self.0.as_ref()?;
        let scripts = [migration.up_script(), migration.down_script(), migration.fixture(), migration.verify()];
        let named: BTreeSet<String> =
            scripts.into_iter().flatten().flat_map(|script| effect::names(script.text())).collect();
        let of_types = of_types(used, &named, schema);
        let is_meant = |table: &&Object| {
            let name = table_name(table);
            used.contains(&name) || named.contains(&*table.id.name) || of_types.contains(&name)
        };
        let all = || schema.of_kind(Kind::Table).map(|table| &**table);
        let mut open: Vec<&Object> = all().filter(is_meant).collect();
        let mut reached: BTreeSet<TableName> = BTreeSet::new();
        let referred: BTreeMap<TableName, BTreeSet<TableName>> =
            all().map(|table| (table_name(table), generate::referred(schema, table))).collect();
        // Deleting a row, or changing its key, affects the rows that reference it.
        let changes_rows = changes_rows(migration);
        while let Some(table) = open.pop() {
            let name = table_name(table);
            if !reached.insert(name.clone()) {
                continue;
            }
            let own = QualifiedName::new(&*table.id.schema, &*table.id.name);
            let is_near = |one: &&Object| {
                let other = table_name(one);
                let refers = |from: &TableName, to: &TableName| referred.get(from).is_some_and(|all| all.contains(to));
                refers(&name, &other) || changes_rows && refers(&other, &name) || one.parents().contains(&own)
            };
            open.extend(all().filter(is_near));
        }
        Some(holders(schema).map(table_name).filter(|table| reached.contains(table)).collect())
    }
}

/// The tables with a column of a type or domain that was changed or is named, or of one that is built on such a
/// type.
fn of_types(used: &BTreeSet<TableName>, named: &BTreeSet<String>, schema: &Schema) -> BTreeSet<TableName> {
    let is_meant = |one: &&Arc<Object>| used.contains(&table_name(one)) || named.contains(&*one.id.name);
    let types = schema.of_kind(Kind::Type).chain(schema.of_kind(Kind::Domain)).filter(is_meant);
    let mut meant: BTreeSet<String> = types.map(|one| one.id.name.to_string()).collect();
    if meant.is_empty() {
        return BTreeSet::new();
    }
    let is_of = |one: &Object, meant: &BTreeSet<String>| {
        one.fact("type").and_then(generate::of_type).is_some_and(|name| meant.contains(&name))
    };
    loop {
        let domains = schema.of_kind(Kind::Domain).filter(|one| is_of(one, &meant)).map(|one| &one.id.name);
        let made = schema.of_kind(Kind::Attribute).filter(|one| is_of(one, &meant)).map(|one| &one.id.parent);
        let more: Vec<String> =
            domains.chain(made).filter(|name| !meant.contains(&***name)).map(ToString::to_string).collect();
        if more.is_empty() {
            break;
        }
        meant.extend(more);
    }
    schema.of_kind(Kind::Column).filter(|one| is_of(one, &meant)).map(|column| holder_name(&column.id)).collect()
}
