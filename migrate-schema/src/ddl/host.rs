//! The parts that are created or dropped along with another part.

use std::collections::HashMap;

use migrate_base::ident::QualifiedName;

use super::fate::PartFate;
use super::name::{holder, named};
use super::order::{GraphNode, PartAction};
use super::{DdlContext, sequence, types};
use crate::Schema;
use crate::depend::{SchemaPart, is_holder};
use crate::object::{Id, Kind, Object};

/// The part with which each of them is created or dropped; a part that is not listed is handled by itself.
pub(super) struct PartHosts {
    made: HashMap<SchemaPart, SchemaPart>,
    dropped: HashMap<SchemaPart, SchemaPart>,
}

impl PartHosts {
    pub(super) fn of(sides: &DdlContext<'_>) -> Self {
        let mut hosts = Self { made: HashMap::new(), dropped: HashMap::new() };
        for (part, fate) in sides.fates.iter() {
            if matches!(fate, PartFate::Made | PartFate::Remade)
                && let Some(host) = host(&sides.after.schema, part, PartAction::Make, &|host| {
                    matches!(sides.fates.get(host), PartFate::Made | PartFate::Remade)
                })
            {
                hosts.made.insert(part.clone(), host);
            }
            if matches!(fate, PartFate::Dropped | PartFate::Remade)
                && let Some(host) = host(&sides.before.schema, part, PartAction::Drop, &|host| {
                    matches!(sides.fates.get(host), PartFate::Dropped | PartFate::Remade)
                })
            {
                hosts.dropped.insert(part.clone(), host);
            }
        }
        hosts.functions_of_types(sides);
        hosts
    }

    /// The functions that a type is made of depend on it, and are dropped with it.
    fn functions_of_types(&mut self, sides: &DdlContext<'_>) {
        let types = sides.before.schema.objects().filter(|object| types::has_shell(object));
        for kind in types.map(|object| SchemaPart::object(&object.id)) {
            if matches!(sides.fates.get(&kind), PartFate::Dropped | PartFate::Remade) {
                let functions = sides.before.dependencies.mutual(&kind);
                self.dropped.extend(functions.map(|function| (function.clone(), kind.clone())));
            }
        }
    }

    pub(super) fn made(&self, part: &SchemaPart) -> GraphNode {
        (PartAction::Make, end(&self.made, part))
    }

    pub(super) fn dropped(&self, part: &SchemaPart) -> GraphNode {
        (PartAction::Drop, end(&self.dropped, part))
    }
}

fn end(hosts: &HashMap<SchemaPart, SchemaPart>, part: &SchemaPart) -> SchemaPart {
    let mut at = part;
    // A default belongs to its column, and the column to its table.
    for _ in 0..4 {
        match hosts.get(at) {
            Some(host) => at = host,
            None => break,
        }
    }
    at.clone()
}

/// The part with which a part is created or dropped, if that happens.
fn host(
    schema: &Schema,
    part: &SchemaPart,
    act: PartAction,
    happens: &dyn Fn(&SchemaPart) -> bool,
) -> Option<SchemaPart> {
    let column = SchemaPart::object(&part.id);
    if part.default {
        return Some(column).filter(|column| happens(column));
    }
    let object = schema.get(&part.id)?;
    // A server is not dropped while there is a user mapping for it.
    let goes_along = act == PartAction::Drop && part.id.kind != Kind::UserMapping;
    let folded = goes_along || matches!(part.id.kind, Kind::Column | Kind::Attribute);
    if let (PartAction::Drop, Some(extension)) = (act, object.fact("extension")) {
        let extension = schema.get(&named(Kind::Extension, "", extension)).map(|one| SchemaPart::object(&one.id));
        return extension.filter(|extension| happens(extension));
    }
    let holder = folded.then(|| holder_of(schema, object)).flatten().filter(|holder| happens(holder));
    let owner =
        (act == PartAction::Drop || sequence::is_identity(object)).then(|| owner_of(schema, object, happens)).flatten();
    let parent_index = || {
        let parent = QualifiedName::parse(object.fact("attached to")?)?;
        let index = schema.objects().find(|one| {
            matches!(one.id.kind, Kind::Index | Kind::Constraint)
                && *one.id.schema == *parent.schema()
                && *one.id.name == *parent.name()
        });
        index.map(|index| SchemaPart::object(&index.id)).filter(|index| happens(index))
    };
    holder.or(owner).or_else(|| if act == PartAction::Drop { parent_index() } else { None })
}

/// The table, view, type or server that an object belongs to.
pub(super) fn holder_of(schema: &Schema, object: &Object) -> Option<SchemaPart> {
    if object.id.parent.is_empty() {
        return None;
    }
    use Kind::{Domain, ForeignTable, MaterializedView, Server, Table, Type, View};
    let kinds = [Table, View, MaterializedView, ForeignTable, Type, Domain];
    let found = kinds.into_iter().find_map(|kind| schema.get(&holder(&object.id, kind)));
    let found = found.or_else(|| schema.get(&named(Server, "", &object.id.parent)));
    found.map(|holder| SchemaPart::object(&holder.id)).filter(|part| is_holder(part.id.kind))
}

/// The column that owns a sequence, or its table.
pub(super) fn owner_of(schema: &Schema, object: &Object, happens: &dyn Fn(&SchemaPart) -> bool) -> Option<SchemaPart> {
    let (of, column) = sequence::owner(object)?;
    let table = schema.get(&named(Kind::Table, of.schema(), of.name()))?;
    let id = Id { parent: of.name().into(), ..named(Kind::Column, of.schema(), &column) };
    let column = schema.get(&id).map(|column| SchemaPart::object(&column.id));
    let table = SchemaPart::object(&table.id);
    if happens(&table) { Some(table) } else { column.filter(|column| happens(column)) }
}
