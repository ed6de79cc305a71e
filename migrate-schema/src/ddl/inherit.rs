//! Tables that get other parents: they leave the old parents first, and join the new ones once they have everything
//! that these require.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use migrate_base::ident::{QualifiedName, plain};

use super::fate::{PartFate, is_foreign_key};
use super::host::PartHosts;
use super::name::{self, holder, named, qualified};
use super::order::{GraphNode, PartAction};
use super::{DdlContext, partition, table};
use crate::Schema;
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};

/// The maximum number of tables that a part of a table can come from.
const DEEPEST: usize = 1000;

pub(super) fn parents(table: &Object) -> Vec<String> {
    table.parents().iter().map(|one| qualified(&named(Kind::Table, one.schema(), one.name()))).collect()
}

fn bound(table: &Object) -> Option<&str> {
    table.fact("partition bound")
}

/// The parents that one table has and the other does not; all parents if the bound differs.
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

/// The statements with which a table joins its parents, or gets a type.
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

/// Whether a column comes from a parent that its table has before and after: changes of the parent's column then apply
/// to it too.
pub(super) fn follows(before: &Schema, after: &Schema, column: &Id) -> bool {
    !followed(before, after, column).is_empty()
}

/// The columns, each before and after, from which a column is inherited, in parents that its table has before and
/// after.
pub(super) fn followed(before: &Schema, after: &Schema, column: &Id) -> Vec<(Arc<Object>, Arc<Object>)> {
    let is_inherited = |schema: &Schema| schema.get(column).is_some_and(|one| one.fact("inherited").is_some());
    let table = tables(column).into_iter().find_map(|table| before.get(&table).zip(after.get(&table)));
    let Some((old, new)) = table.filter(|_| is_inherited(before) && is_inherited(after)) else { return Vec::new() };
    let left = only_in(old, new);
    let kept = parents(old).into_iter().filter(|parent| !left.contains(parent));
    let theirs = kept.filter_map(|parent| QualifiedName::parse(&parent));
    let theirs = theirs.map(|of| Id { parent: of.name().into(), ..named(Kind::Column, of.schema(), &column.name) });
    theirs.filter_map(|id| Some((before.get(&id)?.clone(), after.get(&id)?.clone()))).collect()
}

/// The statements that make an inherited column local. That happens when no parent has it any more: the table leaves
/// all parents, and in the meantime another table replaces each parent for the other columns.
pub(super) fn made_own(before: &Schema, after: &Schema, old: &Object, new: &Object) -> Vec<String> {
    let table = tables(&old.id).into_iter().find_map(|table| before.get(&table));
    let becomes = [old, new].map(|column| column.fact("inherited")) == [Some("only"), Some("and local")];
    let Some(table) = table.filter(|table| becomes && bound(table).is_none()) else { return Vec::new() };
    let (name, column) = (qualified(&table.id), plain(&old.id.name));
    let parents = parents(table);
    let free = name::free(before, after, &table.id, "__parent").take(parents.len());
    let places: Vec<String> = free.map(|place| format!("{}.{}", plain(&table.id.schema), plain(&place))).collect();
    let mut all = Vec::new();
    for (parent, place) in parents.iter().zip(&places) {
        all.push(format!("CREATE TABLE {place} (LIKE {parent} INCLUDING CONSTRAINTS INCLUDING GENERATED)"));
        all.push(format!("ALTER TABLE {place} DROP COLUMN IF EXISTS {column} CASCADE"));
        all.push(format!("ALTER TABLE {name} INHERIT {place}"));
    }
    all.extend(parents.iter().map(|parent| format!("ALTER TABLE {name} NO INHERIT {parent}")));
    all.extend(parents.iter().map(|parent| format!("ALTER TABLE {name} INHERIT {parent}")));
    all.extend(places.iter().map(|place| format!("ALTER TABLE {name} NO INHERIT {place}")));
    all.extend(places.iter().map(|place| format!("DROP TABLE {place}")));
    all
}

/// Whether a fact of a column is the same in all tables that inherit the column: they then get it with the column.
pub(super) fn goes_down(schema: &Schema, column: &Id, fact: &str) -> bool {
    let wanted = |id: &Id| schema.get(id).and_then(|one| one.fact(fact).map(str::to_owned));
    let (value, mut queue, mut seen) = (wanted(column), vec![column.clone()], BTreeSet::new());
    while let Some(id) = queue.pop().filter(|_| seen.len() < DEEPEST) {
        let name = QualifiedName::new(&*id.schema, &*id.parent);
        let tables = schema.objects().filter(|one| is_table(one.id.kind));
        let children =
            tables.filter(|one| parents(one).iter().any(|of| QualifiedName::parse(of).as_ref() == Some(&name)));
        for child in children.filter(|child| seen.insert(child.id.clone())) {
            let own = Id { schema: child.id.schema.clone(), parent: child.id.name.clone(), ..column.clone() };
            if wanted(&own) != value {
                return false;
            }
            queue.push(own);
        }
    }
    true
}

/// The word `ONLY` for a statement about one table alone, if other tables inherit the column but with a different value
/// of the fact.
pub(super) fn only(schema: &Schema, column: &Id, fact: &str) -> &'static str {
    if goes_down(schema, column, fact) { "" } else { "ONLY " }
}

/// A table that stays, before and after.
fn stays<'a>(sides: &'a DdlContext<'_>, id: &Id) -> Option<(&'a Object, &'a Object)> {
    let (old, new) = (sides.before.schema.get(id)?, sides.after.schema.get(id)?);
    (sides.fates.get(&SchemaPart::object(&old.id)) == PartFate::Altered).then_some((&**old, &**new))
}

fn tables(id: &Id) -> [Id; 2] {
    [Kind::Table, Kind::ForeignTable].map(|kind| holder(id, kind))
}

/// Whether the table of a part stays and leaves a parent or a type: inherited parts are then its own.
pub(super) fn is_left(sides: &DdlContext<'_>, part: &Id) -> bool {
    let leaves = |(old, new): (&Object, &Object)| {
        let lets_go = old.fact("of type").is_some() && sides.fates.is_loose(&SchemaPart::object(&old.id));
        lets_go || !left(old, new).is_empty()
    };
    tables(part).iter().any(|table| stays(sides, table).is_some_and(leaves))
}

/// Whether the table of a part stays and joins a parent or a type: it must have the required parts before.
pub(super) fn is_joined(sides: &DdlContext<'_>, part: &Id) -> bool {
    tables(part).iter().any(|table| joins(sides, table))
}

/// Whether this table stays and joins a parent or a type.
pub(super) fn joins(sides: &DdlContext<'_>, table: &Id) -> bool {
    stays(sides, table).is_some_and(|(old, new)| !joined(old, new).is_empty())
}

/// The order constraints for tables with parents.
pub(super) fn edges(sides: &DdlContext<'_>, hosts: &PartHosts) -> Vec<(GraphNode, GraphNode)> {
    let mut all = Vec::new();
    for (part, fate) in sides.fates.iter().filter(|(part, _)| matches!(part.id.kind, Kind::Column | Kind::Constraint)) {
        if matches!(fate, PartFate::Made | PartFate::Remade | PartFate::Altered) && part.id.kind == Kind::Column {
            let node = hosts.made(part);
            let theirs = bringing(sides, &part.id).into_iter().filter(|_| node.1 == *part);
            all.extend(theirs.map(|theirs| (hosts.made(&theirs), node.clone())));
        }
        if part.default {
            continue;
        }
        let of_parents = |schema| of_parents(schema, &part.id).into_iter();
        let (made, dropped) = (hosts.made(part), hosts.dropped(part));
        if matches!(fate, PartFate::Made | PartFate::Remade) && made.1 == *part {
            // The parent's is merged with the child's, not the other way round.
            all.extend(of_parents(&sides.after.schema).map(|theirs| (made.clone(), hosts.made(&theirs))));
        }
        if matches!(fate, PartFate::Dropped | PartFate::Remade) && dropped.1 == *part {
            all.extend(of_parents(&sides.before.schema).map(|theirs| (hosts.dropped(&theirs), dropped.clone())));
        }
        let table = tables(&part.id).into_iter().find(|table| joins(sides, table));
        let table = table.and_then(|table| sides.after.schema.get(&table)).map(|table| SchemaPart::object(&table.id));
        if let Some(table) = table.filter(|_| comes_before(sides, part)) {
            all.push((hosts.made(part), (PartAction::Give, table)));
        }
    }
    all.extend(leaving(sides, hosts));
    all.extend(joining(sides, hosts));
    all
}

/// The columns above an inherited column, in parents that its table keeps, as far up as the columns in between do not
/// change.
fn bringing(sides: &DdlContext<'_>, id: &Id) -> Vec<SchemaPart> {
    let schema = &sides.after.schema;
    let (mut found, mut queue) = (Vec::new(), vec![id.clone()]);
    while let Some(id) = queue.pop().filter(|_| found.len() < DEEPEST) {
        let is_brought = schema.get(&id).is_some_and(|one| one.fact("inherited") == Some("only"));
        let table = tables(&id).into_iter().find_map(|table| both(sides, &table)).filter(|_| is_brought);
        let Some((old, new)) = table else { continue };
        let joined = only_in(new, old);
        let kept = parents(new).into_iter().filter(|parent| !joined.contains(parent));
        for of in kept.filter_map(|parent| QualifiedName::parse(&parent)) {
            let theirs = Id { parent: of.name().into(), ..named(Kind::Column, of.schema(), &id.name) };
            let Some(theirs) = schema.get(&theirs).map(|one| SchemaPart::object(&one.id)) else { continue };
            match sides.fates.get(&theirs) {
                PartFate::Kept => queue.push((*theirs.id).clone()),
                _ => found.push(theirs),
            }
        }
    }
    found
}

/// A table that is not created again, before and after.
fn both<'a>(sides: &'a DdlContext<'_>, id: &Id) -> Option<(&'a Object, &'a Object)> {
    let (old, new) = (sides.before.schema.get(id)?, sides.after.schema.get(id)?);
    matches!(sides.fates.get(&SchemaPart::object(&old.id)), PartFate::Kept | PartFate::Altered)
        .then_some((&**old, &**new))
}

/// A table joins another one once the parts to be inherited exist, and the unwanted ones do not.
fn joining(sides: &DdlContext<'_>, hosts: &PartHosts) -> Vec<(GraphNode, GraphNode)> {
    let mut all = Vec::new();
    let tables = sides.fates.iter().filter_map(|(part, _)| Some((part, stays(sides, &part.id)?)));
    for (table, (old, new)) in tables.filter(|(part, _)| !part.default && is_table(part.id.kind)) {
        let then = || (PartAction::Give, table.clone());
        for of in lineage(&sides.after.schema, only_in(new, old)) {
            let parts = sides
                .after
                .schema
                .children(&of, Kind::Column)
                .chain(sides.after.schema.children(&of, Kind::Constraint));
            let parts = parts.filter(|one| one.id.kind == Kind::Column || is_valid_check(one));
            all.extend(parts.map(|one| (hosts.made(&SchemaPart::object(&one.id)), then())));
            let keys = partition::keys_of_parent(&sides.after.schema, &new.id);
            all.extend(keys.map(|one| (hosts.made(&SchemaPart::object(&one.id)), then())));
            let gone = sides.before.schema.children(&of, Kind::Column).map(|one| SchemaPart::object(&one.id));
            all.extend(gone.map(|part| (hosts.dropped(&part), then())));
        }
    }
    all
}

/// Whether this is a check that the server enforces for all rows.
pub(super) fn is_valid_check(object: &Object) -> bool {
    object.fact("definition").is_some_and(|text| text.starts_with("CHECK") && !text.ends_with(" NOT VALID"))
}

/// These tables and all their ancestors.
fn lineage(schema: &Schema, names: Vec<String>) -> Vec<Arc<Id>> {
    let (mut found, mut seen, mut queue) = (Vec::new(), BTreeSet::new(), names);
    while let Some(name) = queue.pop().filter(|_| seen.len() < DEEPEST) {
        let Some(of) = QualifiedName::parse(&name).filter(|_| seen.insert(name.clone())) else { continue };
        let of = [Kind::Table, Kind::ForeignTable].map(|kind| named(kind, of.schema(), of.name()));
        let Some(of) = of.iter().find_map(|id| schema.get(id)) else { continue };
        queue.extend(parents(of));
        found.push(of.id.clone());
    }
    found
}

/// The table that a part belongs to.
pub(super) fn table_of<'a>(schema: &'a Schema, part: &Id) -> Option<&'a Arc<Object>> {
    tables(part).into_iter().find_map(|table| schema.get(&table))
}

/// The columns of the tables below that inherit from this column.
pub(super) fn below<'a>(schema: &'a Schema, column: &Id) -> Vec<&'a Arc<Object>> {
    let theirs = QualifiedName::new(&*column.schema, &*column.parent);
    let of_kind = |kind| {
        let all = schema.objects.range::<Id, _>(named(kind, "", "")..).map(|(_, one)| one);
        all.take_while(move |one| one.id.kind == kind)
    };
    let tables = of_kind(Kind::Table).chain(of_kind(Kind::ForeignTable)).filter(|one| one.parents().contains(&theirs));
    let own = tables.filter_map(|one| {
        schema.get(&Id { schema: one.id.schema.clone(), parent: one.id.name.clone(), ..column.clone() })
    });
    own.filter(|own| own.fact("inherited").is_some()).collect()
}

/// The parts of the same name in the tables above.
pub(super) fn above(schema: &Schema, part: &Id) -> Vec<Arc<Object>> {
    let parents = table_of(schema, part).map(|table| parents(table)).unwrap_or_default();
    let tables = lineage(schema, parents).into_iter();
    let theirs = tables.map(|of| Id { schema: of.schema.clone(), parent: of.name.clone(), ..part.clone() });
    theirs.filter_map(|id| schema.get(&id).cloned()).collect()
}

/// The nodes that detach the children of tables, by parent.
pub(super) fn gone(sides: &DdlContext<'_>, hosts: &PartHosts) -> HashMap<QualifiedName, Vec<GraphNode>> {
    let mut gone: HashMap<QualifiedName, Vec<GraphNode>> = HashMap::new();
    for (part, fate) in sides.fates.iter().filter(|(part, _)| !part.default && is_table(part.id.kind)) {
        let Some(old) = sides.before.schema.get(&part.id) else { continue };
        let (left, node) = match (fate, sides.after.schema.get(&part.id)) {
            (PartFate::Dropped | PartFate::Remade, _) => (parents(old), hosts.dropped(part)),
            (PartFate::Altered, Some(new)) => (only_in(old, new), hosts.made(part)),
            _ => continue,
        };
        for parent in left.iter().filter_map(|parent| QualifiedName::parse(parent)) {
            gone.entry(parent).or_default().push(node.clone());
        }
    }
    gone
}

/// Inherited parts become the table's own when it leaves the parent, before anything else happens to them.
fn leaving(sides: &DdlContext<'_>, hosts: &PartHosts) -> Vec<(GraphNode, GraphNode)> {
    let mut all = Vec::new();
    let before = &sides.before.schema;
    let tables = sides.fates.iter().filter_map(|(part, _)| Some((part, stays(sides, &part.id)?)));
    for (table, (old, new)) in tables.filter(|(part, _)| !part.default && is_table(part.id.kind)) {
        for of in lineage(before, only_in(old, new)) {
            // A key of a partition is dropped with that of its parent.
            let parts = before.children(&of, Kind::Column).chain(before.children(&of, Kind::Constraint));
            for theirs in parts.filter(|one| !table::has_index(one)).map(|one| SchemaPart::object(&one.id)) {
                let then = match sides.fates.get(&theirs) {
                    PartFate::Dropped | PartFate::Remade => hosts.dropped(&theirs),
                    PartFate::Altered => hosts.made(&theirs),
                    PartFate::Kept | PartFate::Made => continue,
                };
                all.push(((PartAction::Make, table.clone()), then));
            }
            let kinds = [Kind::Column, Kind::Constraint, Kind::Index, Kind::Trigger].into_iter();
            let new = kinds.flat_map(|kind| sides.after.schema.children(&of, kind));
            let new = new.filter(|one| before.get(&one.id).is_none()).map(|one| SchemaPart::object(&one.id));
            all.extend(new.map(|part| ((PartAction::Make, table.clone()), hosts.made(&part))));
        }
    }
    all
}

fn is_table(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::ForeignTable)
}

/// Whether a part of a table has to exist when the table joins another one.
fn comes_before(sides: &DdlContext<'_>, part: &SchemaPart) -> bool {
    let new = sides.after.schema.get(&part.id);
    new.is_some_and(|new| !is_foreign_key(new))
}

/// The same part in the tables from which a part is inherited that is also declared locally.
fn of_parents(schema: &Schema, id: &Id) -> Vec<SchemaPart> {
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
            found.push(SchemaPart::object(&theirs.id));
            if theirs.fact("inherited") == Some("only") {
                queue.push((*theirs.id).clone());
            }
        }
    }
    found
}
