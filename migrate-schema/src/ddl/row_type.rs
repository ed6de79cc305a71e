//! Materialized views that store rows of a table. The server refuses to rewrite a table whose row type is stored
//! elsewhere, so they are dropped before and created again.

use migrate_base::ident::QualifiedName;

use super::DdlContext;
use super::fate::{PartFate, PartFates};
use super::host::PartHosts;
use super::name::{holder, named};
use super::order::GraphNode;
use crate::depend::SchemaPart;
use crate::object::{Kind, Object};
use crate::{Schema, SchemaDescription};

/// The materialized views that have to be dropped because of changes of the tables whose rows they store.
pub(super) fn going(before: &SchemaDescription, after: &SchemaDescription, fates: &PartFates) -> Vec<SchemaPart> {
    let keepers = keepers(before).into_iter();
    let going = keepers.filter(|(_, table)| !rewritten_for(&before.schema, &after.schema, fates, table).is_empty());
    going.map(|(view, _)| view).collect()
}

/// The order constraints around that.
pub(super) fn edges(sides: &DdlContext<'_>, hosts: &PartHosts) -> Vec<(GraphNode, GraphNode)> {
    let columns = |table: &SchemaPart| {
        let columns = rewritten_for(&sides.before.schema, &sides.after.schema, sides.fates, table);
        columns.into_iter().map(|column| hosts.made(&column)).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for (view, table) in keepers(sides.before) {
        all.extend(columns(&table).into_iter().map(|column| (hosts.dropped(&view), column)));
    }
    for (view, table) in keepers(sides.after) {
        all.extend(columns(&table).into_iter().map(|column| (column, hosts.made(&view))));
    }
    all
}

/// The materialized views with a column of the row type of a table, each with that table.
fn keepers(described: &SchemaDescription) -> Vec<(SchemaPart, SchemaPart)> {
    let pairs = described.dependencies.pairs();
    let rows = pairs.filter(|(user, on)| user.id.kind == Kind::Column && !user.default && on.id.kind == Kind::Table);
    let keeper = |(user, table): (&SchemaPart, &SchemaPart)| {
        let view = described.schema.get(&holder(&user.id, Kind::MaterializedView))?;
        Some((SchemaPart::object(&view.id), table.clone()))
    };
    rows.filter_map(keeper).collect()
}

/// The columns that cause a rewrite of a table that stays, or the table itself.
fn rewritten_for(before: &Schema, after: &Schema, fates: &PartFates, table: &SchemaPart) -> Vec<SchemaPart> {
    if !matches!(fates.get(table), PartFate::Kept | PartFate::Altered) {
        return Vec::new();
    }
    let is_written = |new: &Object| {
        let part = SchemaPart::object(&new.id);
        match before.get(&new.id) {
            Some(_) if fates.carried(&part).is_some() => true,
            Some(old) if fates.get(&part) == PartFate::Altered => old.fact("type") != new.fact("type"),
            _ => matches!(fates.get(&part), PartFate::Made | PartFate::Remade) && has_values(after, new),
        }
    };
    let columns = after.children(&table.id, Kind::Column).filter(|new| is_written(new));
    let is_other = |fact: &str| {
        before.get(&table.id).zip(after.get(&table.id)).is_some_and(|(old, new)| old.fact(fact) != new.fact(fact))
    };
    let itself = ["persistence", "access method"].into_iter().any(is_other).then(|| table.clone());
    columns.map(|column| SchemaPart::object(&column.id)).chain(itself).collect()
}

/// Whether a new column may get values that are computed for each row.
fn has_values(after: &Schema, column: &Object) -> bool {
    let of = column.fact("type").and_then(QualifiedName::parse);
    let is_domain = of.is_some_and(|of| after.get(&named(Kind::Domain, of.schema(), of.name())).is_some());
    is_domain || ["default", "generated", "identity"].iter().any(|fact| column.fact(fact).is_some())
}
