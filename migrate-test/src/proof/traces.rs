//! Rows that only triggers wrote, such as those of an audit: a rollback is not expected to remove them.

use std::collections::BTreeSet;

use migrate_base::sql::tokens;
use migrate_core::Migration;
use migrate_review::effect::{ScriptWrites, names};
use migrate_schema::{Id, Kind, Object, Schema};

use super::refused::definition;
use crate::rows::{RowLoss, holders};

/// Removes from the losses the rows that were added to tables which the scripts cannot have written to
/// themselves.
pub(super) fn split(losses: &mut Vec<RowLoss>, migration: &Migration, before: &Schema) -> Vec<RowLoss> {
    if !losses.iter().any(|loss| loss.came) || !before.objects().any(|one| one.id.kind == Kind::Trigger) {
        return Vec::new();
    }
    let Some(named) = named(migration, before) else { return Vec::new() };
    // If a row was changed or deleted there, that is a loss, whatever caused it.
    let changed: BTreeSet<String> = losses.iter().filter(|one| !one.came).map(|one| one.table.clone()).collect();
    let is_trace = |loss: &mut RowLoss| {
        let table = holders(before).find(|table| format!("{}.{}", table.id.schema, table.id.name) == loss.table);
        let is_unnamed = table.is_some_and(|table| !is_named(before, table, &named));
        loss.came && is_unnamed && !changed.contains(&loss.table)
    };
    losses.extract_if(.., is_trace).collect()
}

/// Whether a table, or one that it is a partition of, is named.
fn is_named(schema: &Schema, table: &Object, named: &BTreeSet<String>) -> bool {
    named.contains(&*table.id.name)
        || table.parents().iter().any(|parent| {
            let above = schema.get(&Id::named(Kind::Table, parent.schema(), parent.name()));
            above.is_none_or(|above| is_named(schema, above, named))
        })
}

/// The names in the scripts, and in the routines, views and rules that these name; `None` if code runs whose
/// text is not available.
fn named(migration: &Migration, schema: &Schema) -> Option<BTreeSet<String>> {
    let mut named = BTreeSet::new();
    let mut open = Vec::new();
    for script in [migration.up_script()?, migration.down_script()?] {
        let mut writes = ScriptWrites::of(script.text());
        writes.resolve(&|name| definition(schema, name));
        if writes.is_unread() {
            return None;
        }
        open.extend(names(script.text()));
    }
    while let Some(name) = open.pop() {
        if named.insert(name.clone()) {
            let behind = schema.objects().filter(|one| is_behind(schema, one, &name));
            open.extend(behind.filter_map(|one| one.fact("definition")).flat_map(all_names));
        }
    }
    Some(named)
}

/// The names in a definition, including the body, which is a string literal in it.
fn all_names(definition: &str) -> BTreeSet<String> {
    let mut all = names(definition);
    // The body is dollar-quoted; its arguments and their defaults may contain dollar quotes too.
    let tokens = tokens(definition);
    let bodies = tokens.iter().filter(|token| token.len() > 2 && token.starts_with('$') && token.ends_with('$'));
    let bodies = bodies.filter_map(|quoted| {
        let quote = quoted[1..].find('$').map(|end| end + 2)?;
        Some((quoted.get(quote..quoted.len().checked_sub(quote)?)?, quoted))
    });
    for (body, quoted) in bodies {
        all.extend(names(body).into_iter().chain(names(&format!("DO {quoted};"))));
    }
    all
}

/// Whether a statement runs, or writes through, an object of this name.
fn is_behind(schema: &Schema, object: &Object, name: &str) -> bool {
    let id = &object.id;
    let is_view = || schema.get(&Id::named(Kind::View, &id.schema, &id.parent)).is_some();
    match id.kind {
        Kind::Function | Kind::Procedure | Kind::View => *id.name == *name,
        Kind::Rule => *id.parent == *name,
        Kind::Trigger => *id.parent == *name && is_view(),
        _ => false,
    }
}
