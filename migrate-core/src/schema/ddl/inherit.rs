//! Tables that get other parents: they leave the old ones first, and join the new ones when they have all that those ask.

use super::fate::{Fate, is_foreign_key};
use super::host::Hosts;
use super::name::{holder, named, qualified};
use super::order::{Act, Node};
use super::{Sides, table};
use crate::ident::QualifiedName;
use crate::schema::Schema;
use crate::schema::depend::Part;
use crate::schema::object::{Id, Kind, Object};

/// From so many tables can a part of a table come.
const DEEPEST: usize = 1000;

fn parents(table: &Object) -> Vec<String> {
    table.fact("parents").map(table::pairs).unwrap_or_default()
}

fn bound(table: &Object) -> Option<&str> {
    table.fact("partition bound")
}

/// The parents that one has and the other one does not; all of them where a bound is another one.
fn only_in(one: &Object, other: &Object) -> Vec<String> {
    let (ours, theirs) = (parents(one), parents(other));
    ours.into_iter().filter(|parent| bound(one) != bound(other) || !theirs.contains(parent)).collect()
}

/// The statements with which a table leaves its parents, or its type.
pub(super) fn left(old: &Object, new: &Object) -> Vec<String> {
    let name = qualified(&old.id);
    let leaves = |parent: String| match bound(old) {
        Some(_) => format!("ALTER TABLE {parent} DETACH PARTITION {name}"),
        None => format!("ALTER TABLE {name} NO INHERIT {parent}"),
    };
    let untyped = (old.fact("of type").is_some() && old.fact("of type") != new.fact("of type"))
        .then(|| format!("ALTER TABLE {name} NOT OF"));
    only_in(old, new).into_iter().map(leaves).chain(untyped).collect()
}

/// The statements with which a table joins its parents, or becomes one of a type.
pub(super) fn joined(old: &Object, new: &Object) -> Vec<String> {
    let name = qualified(&new.id);
    let joins = |parent: String| match bound(new) {
        Some(bound) => format!("ALTER TABLE {parent} ATTACH PARTITION {name} {bound}"),
        None => format!("ALTER TABLE {name} INHERIT {parent}"),
    };
    let typed = new.fact("of type").filter(|of| old.fact("of type") != Some(of));
    let typed = typed.map(|of| format!("ALTER TABLE {name} OF {of}"));
    only_in(new, old).into_iter().map(joins).chain(typed).collect()
}

/// A table that stays, before and after.
fn stays<'a>(sides: &'a Sides<'_>, id: &Id) -> Option<(&'a Object, &'a Object)> {
    let (old, new) = (sides.before.schema.get(id)?, sides.after.schema.get(id)?);
    (sides.fates.get(&Part::object(&old.id)) == Fate::Altered).then_some((&**old, &**new))
}

fn tables(id: &Id) -> [Id; 2] {
    [Kind::Table, Kind::ForeignTable].map(|kind| holder(id, kind))
}

/// Whether the table of a part stays and leaves a parent or a type: what it had from that is then its own.
pub(super) fn is_left(sides: &Sides<'_>, part: &Id) -> bool {
    tables(part).iter().any(|table| stays(sides, table).is_some_and(|(old, new)| !left(old, new).is_empty()))
}

/// Whether the table of a part stays and joins a parent or a type: it must have what that asks before.
pub(super) fn is_joined(sides: &Sides<'_>, part: &Id) -> bool {
    tables(part).iter().any(|table| joins(sides, table))
}

/// Whether this table stays and joins a parent or a type.
pub(super) fn joins(sides: &Sides<'_>, table: &Id) -> bool {
    stays(sides, table).is_some_and(|(old, new)| !joined(old, new).is_empty())
}

/// What comes before what where tables have parents.
pub(super) fn edges(sides: &Sides<'_>, hosts: &Hosts) -> Vec<(Node, Node)> {
    let mut all = Vec::new();
    for (part, fate) in sides.fates.iter().filter(|(part, _)| !part.default) {
        if !matches!(part.id.kind, Kind::Column | Kind::Constraint) {
            continue;
        }
        let of_parents = |schema| of_parents(schema, &part.id).into_iter();
        let (made, dropped) = (hosts.made(part), hosts.dropped(part));
        if matches!(fate, Fate::Made | Fate::Remade) && made.1 == *part {
            // The parent's is merged with that of the child, not the other way round.
            all.extend(of_parents(&sides.after.schema).map(|theirs| (made.clone(), hosts.made(&theirs))));
        }
        if matches!(fate, Fate::Dropped | Fate::Remade) && dropped.1 == *part {
            all.extend(of_parents(&sides.before.schema).map(|theirs| (hosts.dropped(&theirs), dropped.clone())));
        }
        let table = tables(&part.id).into_iter().find(|table| joins(sides, table));
        let table = table.and_then(|table| sides.after.schema.get(&table)).map(|table| Part::object(&table.id));
        if let Some(table) = table.filter(|_| comes_before(sides, part)) {
            all.push((hosts.made(part), (Act::Give, table)));
        }
    }
    all
}

/// Whether a part of a table has to be there when the table joins another one.
fn comes_before(sides: &Sides<'_>, part: &Part) -> bool {
    let new = sides.after.schema.get(&part.id);
    new.is_some_and(|new| !is_foreign_key(new))
}

/// The same part of the tables from which that of a table comes that is also its own.
fn of_parents(schema: &Schema, id: &Id) -> Vec<Part> {
    let mut found = Vec::new();
    let mut queue: Vec<Id> = match schema.get(id).and_then(|one| one.fact("inherited")) {
        Some("and local") => vec![id.clone()],
        _ => Vec::new(),
    };
    while let Some(id) = queue.pop().filter(|_| found.len() < DEEPEST) {
        let table = tables(&id).into_iter().find_map(|table| schema.get(&table));
        let parents = table.into_iter().flat_map(|table| parents(table)).filter_map(|one| QualifiedName::parse(&one));
        for of in parents {
            let theirs = Id { parent: of.name().into(), ..named(id.kind, of.schema(), &id.name) };
            let Some(theirs) = schema.get(&theirs) else { continue };
            found.push(Part::object(&theirs.id));
            if theirs.fact("inherited") == Some("only") {
                queue.push((*theirs.id).clone());
            }
        }
    }
    found
}
