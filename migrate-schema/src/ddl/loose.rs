//! Tables that temporarily leave their parents or their type.
//!
//! The server changes the type of a column that a table inherits from several parents only while the table has one
//! parent with that column, so the table leaves the others in the meantime. And a typed table is detached from its type
//! while the type changes.

use std::sync::Arc;

use migrate_base::ident::QualifiedName;

use super::fate::{PartFate, PartFates};
use super::host::PartHosts;
use super::inherit::parents;
use super::name::{named, qualified};
use super::order::{GraphNode, PartAction};
use super::{DdlContext, DdlStatement};
use crate::Schema;
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};

/// The parents that a table leaves, all except the first.
fn others(table: &Object) -> Vec<String> {
    parents(table).into_iter().skip(1).collect()
}

/// The type of a table, by name.
fn of_type(table: &Object) -> Option<Id> {
    let name = QualifiedName::parse(table.fact("of type")?)?;
    Some(named(Kind::Type, name.schema(), name.name()))
}

/// Whether a table has to leave parents or a type that it has before and after.
pub(super) fn is_loose(before: &Schema, after: &Schema, fates: &PartFates, old: &Object) -> bool {
    let is_kept = matches!(fates.get(&SchemaPart::object(&old.id)), PartFate::Kept | PartFate::Altered);
    let same = |new: &Object| parents(old) == parents(new) && old.fact("of type") == new.fact("of type");
    is_kept && after.get(&old.id).is_some_and(|new| same(new)) && !changes(before, after, fates, old).is_empty()
}

/// The changes that a table cannot stay attached for.
fn changes(before: &Schema, after: &Schema, fates: &PartFates, table: &Object) -> Vec<SchemaPart> {
    match of_type(table) {
        Some(of) => of_attributes(before, after, fates, &of),
        None if others(table).is_empty() => Vec::new(),
        None => of_columns(before, after, fates, table),
    }
}

/// The parts whose statements change the attributes of a type.
fn of_attributes(before: &Schema, after: &Schema, fates: &PartFates, of: &Id) -> Vec<SchemaPart> {
    let mut all = Vec::new();
    for one in [before, after].into_iter().flat_map(|schema| schema.children(of, Kind::Attribute)) {
        let part = SchemaPart::object(&one.id);
        let name = one.fact("type").and_then(|of| QualifiedName::parse(of.trim_end_matches("[]")));
        let kinds = [Kind::Type, Kind::Domain].into_iter();
        let kinds = kinds.filter_map(|kind| Some(named(kind, name.as_ref()?.schema(), name.as_ref()?.name())));
        all.extend(
            kinds
                .map(|id| SchemaPart::object(&Arc::new(id)))
                .filter(|of| fates.is_swapped(of))
                .map(|of| fates.maker(&of).clone()),
        );
        all.extend((fates.get(&part) != PartFate::Kept).then_some(part));
    }
    all
}

/// The parts whose statements change the types of columns that a table inherits from several parents.
fn of_columns(before: &Schema, after: &Schema, fates: &PartFates, table: &Object) -> Vec<SchemaPart> {
    let mut all = Vec::new();
    let columns = before.children(&table.id, Kind::Column).filter(|column| column.fact("inherited").is_some());
    for column in columns {
        let parents = parents(table).into_iter().filter_map(|parent| QualifiedName::parse(&parent));
        let id =
            |of: QualifiedName| Id { parent: of.name().into(), ..named(Kind::Column, of.schema(), &column.id.name) };
        let theirs: Vec<&Arc<Object>> = parents.filter_map(|of| before.get(&id(of))).collect();
        if theirs.len() > 1 {
            all.extend(theirs.into_iter().filter_map(|theirs| change(after, fates, theirs)));
        }
    }
    all
}

/// The part whose statements change the type of a column.
fn change(after: &Schema, fates: &PartFates, column: &Object) -> Option<SchemaPart> {
    let part = SchemaPart::object(&column.id);
    let new = after.get(&column.id)?;
    let is_retyped = ["type", "collation"].iter().any(|fact| column.fact(fact) != new.fact(fact));
    fates.carried(&part).map(|of| fates.maker(of).clone()).or_else(|| is_retyped.then_some(part))
}

/// The statements with which a table is detached.
pub(super) fn left(table: &Object) -> Vec<DdlStatement> {
    said(table, "NO INHERIT", |_| "NOT OF".to_owned())
}

/// The statements with which a table is attached again.
pub(super) fn joined(sides: &DdlContext<'_>, table: &Object) -> Vec<DdlStatement> {
    match sides.fates.is_loose(&SchemaPart::object(&table.id)) {
        true => said(table, "INHERIT", |of| format!("OF {of}")),
        false => Vec::new(),
    }
}

fn said(table: &Object, parent_word: &str, of_type: impl Fn(&str) -> String) -> Vec<DdlStatement> {
    let whats = others(table).into_iter().map(|parent| format!("{parent_word} {parent}"));
    let whats = whats.chain(table.fact("of type").map(of_type));
    whats.map(|what| DdlStatement::new(format!("ALTER TABLE {} {what}", qualified(&table.id)))).collect()
}

/// The order constraints.
pub(super) fn edges(sides: &DdlContext<'_>, hosts: &PartHosts) -> Vec<(GraphNode, GraphNode)> {
    let (before, after) = (&sides.before.schema, &sides.after.schema);
    let mut all = Vec::new();
    for table in before.objects().filter(|table| sides.fates.is_loose(&SchemaPart::object(&table.id))) {
        let (leaves, joins) =
            ((PartAction::Make, SchemaPart::object(&table.id)), (PartAction::Give, SchemaPart::object(&table.id)));
        all.push((leaves.clone(), joins.clone()));
        let mut between = changes(before, after, sides.fates, table);
        if table.fact("of type").is_some() {
            let columns = [before, after].into_iter().flat_map(|schema| schema.children(&table.id, Kind::Column));
            between.extend(columns.map(|column| SchemaPart::object(&column.id)));
        }
        for node in between.iter().flat_map(|part| [hosts.made(part), hosts.dropped(part)]) {
            all.extend([(leaves.clone(), node.clone()), (node, joins.clone())]);
        }
        // In the meantime nothing else happens to the parts that the table inherits from the others.
        for of in others(table).iter().filter_map(|parent| QualifiedName::parse(parent)) {
            let of = named(Kind::Table, of.schema(), of.name());
            let parts = |schema: &Schema| -> Vec<SchemaPart> {
                let all = [Kind::Column, Kind::Constraint].into_iter().flat_map(|kind| schema.children(&of, kind));
                all.map(|one| SchemaPart::object(&one.id)).collect()
            };
            all.extend(parts(before).iter().map(|part| (hosts.dropped(part), leaves.clone())));
            let later = parts(after).into_iter().filter(|part| !between.contains(part));
            let later = later.filter(|part| sides.fates.carried(part).is_none());
            all.extend(later.map(|part| (joins.clone(), hosts.made(&part))));
        }
    }
    all
}

/// A type changes after its typed tables have been detached, and before others are attached.
pub(super) fn of_types(sides: &DdlContext<'_>, hosts: &PartHosts) -> Vec<(GraphNode, GraphNode)> {
    let (before, after) = (&sides.before.schema, &sides.after.schema);
    let mut all = Vec::new();
    for (schema, other, is_old) in [(before, after, true), (after, before, false)] {
        for (table, of) in schema.objects().filter_map(|table| Some((table, of_type(table)?))) {
            let part = SchemaPart::object(&table.id);
            let fate = sides.fates.get(&part);
            let is_kept = other.get(&table.id).is_some_and(|other| of_type(other).as_ref() == Some(&of));
            let node = match fate {
                PartFate::Dropped | PartFate::Remade if is_old => hosts.dropped(&part),
                PartFate::Made | PartFate::Remade => hosts.made(&part),
                _ if is_kept => continue,
                _ if is_old => (PartAction::Make, part),
                _ => (PartAction::Give, part),
            };
            let changes = of_attributes(before, after, sides.fates, &of);
            for change in changes.iter().flat_map(|change| [hosts.made(change), hosts.dropped(change)]) {
                all.push(if is_old { (node.clone(), change) } else { (change, node.clone()) });
            }
        }
    }
    all
}

/// The tables of a schema that are not partitions.
pub(super) fn tables(schema: &Schema) -> impl Iterator<Item = &Arc<Object>> {
    let tables = schema.objects().filter(|one| matches!(one.id.kind, Kind::Table | Kind::ForeignTable));
    tables.filter(|one| one.fact("partition bound").is_none())
}
