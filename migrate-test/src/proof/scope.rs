//! Which tables a migration has to do with. Those get rows of every kind; of all others a few rows are enough to see that
//! they stay, and where a script used one of those after all, it is tried again with more.

use std::collections::{BTreeMap, BTreeSet};

use migrate_core::effect;
use migrate_core::ident::QualifiedName;
use migrate_core::schema::{Change, Kind, Object, Schema};
use migrate_core::source::Migration;

use super::refused::changes_rows;
use crate::generate;
use crate::rows::{TableName, holders, table_name};

/// The tables that were used when there were no rows; `None` where nobody knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope(Option<BTreeSet<TableName>>);

impl Scope {
    /// What is used by nothing so far.
    pub(crate) fn nothing() -> Self {
        Self(Some(BTreeSet::new()))
    }

    /// Adds what a script used that ran, and what it changed, for what is gone is used by nobody.
    pub(crate) fn take(&mut self, used: Option<&[QualifiedName]>, change: &Change) {
        let Some((tables, used)) = self.0.as_mut().zip(used) else {
            self.0 = None;
            return;
        };
        tables.extend(used.iter().map(|table| (table.schema().to_owned(), table.name().to_owned())));
        tables.extend(change.objects().map(|(id, ..)| {
            let name = if id.parent.is_empty() { &id.name } else { &id.parent };
            (id.schema.to_string(), name.to_string())
        }));
    }

    /// Adds tables.
    pub(crate) fn widen(&mut self, more: &BTreeSet<TableName>) {
        if let Some(tables) = &mut self.0 {
            tables.extend(more.iter().cloned());
        }
    }

    /// The tables with rows of their own that matter: those that were used or are named, the partitions and children of
    /// those, all to which they refer and, where rows are changed, all that refer to them. `None` where that may be all.
    pub(crate) fn tables(&self, migration: &Migration, schema: &Schema) -> Option<BTreeSet<TableName>> {
        let used = self.0.as_ref()?;
        let scripts = [migration.up_script(), migration.down_script(), migration.fixture(), migration.verify()];
        let named: BTreeSet<String> =
            scripts.into_iter().flatten().flat_map(|script| effect::names(script.text())).collect();
        let is_meant = |table: &&Object| used.contains(&table_name(table)) || named.contains(&*table.id.name);
        let all = || schema.objects().filter(|object| object.id.kind == Kind::Table).map(|object| &**object);
        let mut open: Vec<&Object> = all().filter(is_meant).collect();
        let mut reached: BTreeSet<TableName> = BTreeSet::new();
        let referred: BTreeMap<TableName, BTreeSet<TableName>> =
            all().map(|table| (table_name(table), generate::referred(schema, table))).collect();
        // Whoever deletes a row, or changes its key, has to do with the rows that refer to it.
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
