//! The parts that are created or dropped along with another part.

use std::collections::HashMap;

use migrate_base::ident::QualifiedName;

use super::fate::Fate;
use super::name::{holder, named};
use super::order::{Act, Node};
use super::{Sides, sequence, types};
use crate::Schema;
use crate::depend::{Part, is_holder};
use crate::object::{Id, Kind, Object};

/// The part with which each of them is created or dropped; a part that is not listed is handled by itself.
pub(super) struct Hosts {
    made: HashMap<Part, Part>,
    dropped: HashMap<Part, Part>,
}

impl Hosts {
    pub(super) fn of(sides: &Sides<'_>) -> Self {
        let mut hosts = Self { made: HashMap::new(), dropped: HashMap::new() };
        for (part, fate) in sides.fates.iter() {
            if matches!(fate, Fate::Made | Fate::Remade)
                && let Some(host) = host(&sides.after.schema, part, Act::Make, &|host| {
                    matches!(sides.fates.get(host), Fate::Made | Fate::Remade)
                })
            {
                hosts.made.insert(part.clone(), host);
            }
            if matches!(fate, Fate::Dropped | Fate::Remade)
                && let Some(host) = host(&sides.before.schema, part, Act::Drop, &|host| {
                    matches!(sides.fates.get(host), Fate::Dropped | Fate::Remade)
                })
            {
                hosts.dropped.insert(part.clone(), host);
            }
        }
        hosts.functions_of_types(sides);
        hosts
    }

    /// The functions that a type is made of depend on it, and are dropped with it.
    fn functions_of_types(&mut self, sides: &Sides<'_>) {
        let types = sides.before.schema.objects().filter(|object| types::has_shell(object));
        for kind in types.map(|object| Part::object(&object.id)) {
            if matches!(sides.fates.get(&kind), Fate::Dropped | Fate::Remade) {
                let functions = sides.before.dependencies.mutual(&kind);
                self.dropped.extend(functions.map(|function| (function.clone(), kind.clone())));
            }
        }
    }

    pub(super) fn made(&self, part: &Part) -> Node {
        (Act::Make, end(&self.made, part))
    }

    pub(super) fn dropped(&self, part: &Part) -> Node {
        (Act::Drop, end(&self.dropped, part))
    }
}

fn end(hosts: &HashMap<Part, Part>, part: &Part) -> Part {
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
fn host(schema: &Schema, part: &Part, act: Act, happens: &dyn Fn(&Part) -> bool) -> Option<Part> {
    let column = Part::object(&part.id);
    if part.default {
        return Some(column).filter(|column| happens(column));
    }
    let object = schema.get(&part.id)?;
    // A server is not dropped while there is a user mapping for it.
    let goes_along = act == Act::Drop && part.id.kind != Kind::UserMapping;
    let folded = goes_along || matches!(part.id.kind, Kind::Column | Kind::Attribute);
    if let (Act::Drop, Some(extension)) = (act, object.fact("extension")) {
        let extension = schema.get(&named(Kind::Extension, "", extension)).map(|one| Part::object(&one.id));
        return extension.filter(|extension| happens(extension));
    }
    let holder = folded.then(|| holder_of(schema, object)).flatten().filter(|holder| happens(holder));
    let owner =
        (act == Act::Drop || sequence::is_identity(object)).then(|| owner_of(schema, object, happens)).flatten();
    let parent_index = || {
        let parent = QualifiedName::parse(object.fact("attached to")?)?;
        let index = schema.objects().find(|one| {
            matches!(one.id.kind, Kind::Index | Kind::Constraint)
                && *one.id.schema == *parent.schema()
                && *one.id.name == *parent.name()
        });
        index.map(|index| Part::object(&index.id)).filter(|index| happens(index))
    };
    holder.or(owner).or_else(|| if act == Act::Drop { parent_index() } else { None })
}

/// The table, view, type or server that an object belongs to.
pub(super) fn holder_of(schema: &Schema, object: &Object) -> Option<Part> {
    if object.id.parent.is_empty() {
        return None;
    }
    use Kind::{Domain, ForeignTable, MaterializedView, Server, Table, Type, View};
    let kinds = [Table, View, MaterializedView, ForeignTable, Type, Domain];
    let found = kinds.into_iter().find_map(|kind| schema.get(&holder(&object.id, kind)));
    let found = found.or_else(|| schema.get(&named(Server, "", &object.id.parent)));
    found.map(|holder| Part::object(&holder.id)).filter(|part| is_holder(part.id.kind))
}

/// The column that owns a sequence, or its table.
pub(super) fn owner_of(schema: &Schema, object: &Object, happens: &dyn Fn(&Part) -> bool) -> Option<Part> {
    let (of, column) = sequence::owner(object)?;
    let table = schema.get(&named(Kind::Table, of.schema(), of.name()))?;
    let id = Id { parent: of.name().into(), ..named(Kind::Column, of.schema(), &column) };
    let column = schema.get(&id).map(|column| Part::object(&column.id));
    let table = Part::object(&table.id);
    if happens(&table) { Some(table) } else { column.filter(|column| happens(column)) }
}
