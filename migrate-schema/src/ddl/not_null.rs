//! The NOT NULL of a table and of the tables below, which inherit it.
//!
//! A new table below would inherit it as valid, so a NOT NULL that is not yet valid is added once both tables exist,
//! and is passed down as it is. If a table below has its own name for it, that constraint exists before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migrate_base::ident::{QualifiedName, literal, plain};

use super::fate::{PartFate, PartFates};
use super::host::PartHosts;
use super::name::{named, parent};
use super::order::{GraphNode, PartAction};
use super::taken::TakenNames;
use super::{DdlContext, DdlStatement, inherit, table};
use crate::Schema;
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};

/// The fact of a column that contains the comment on its constraint.
pub(super) const COMMENT: &str = "comment on its not null constraint";

fn is_made(sides: &DdlContext<'_>, id: &Arc<Id>) -> bool {
    matches!(sides.fates.get(&SchemaPart::object(id)), PartFate::Made | PartFate::Remade)
}

/// The column with the same name in another table.
pub(super) fn of(table: &QualifiedName, column: &Id) -> Id {
    Id { parent: table.name().into(), ..named(Kind::Column, table.schema(), &column.name) }
}

/// The columns of new tables that get it from this one.
pub(super) fn heirs<'a>(sides: &'a DdlContext<'_>, column: &Object) -> Vec<&'a Arc<Object>> {
    below(sides, column).into_iter().filter(|own| is_heir(own)).collect()
}

/// The columns of new tables that inherit from a column with NOT NULL, including those for which it is valid.
pub(super) fn below<'a>(sides: &'a DdlContext<'_>, column: &Object) -> Vec<&'a Arc<Object>> {
    let schema = &sides.after.schema;
    let mut found: Vec<&Arc<Object>> = Vec::new();
    if column.id.kind != Kind::Column || !table::not_valid(column) {
        return found;
    }
    let (mut queue, mut seen) = (vec![column.id.clone()], BTreeSet::new());
    while let Some(id) = queue.pop() {
        let theirs = QualifiedName::new(&*id.schema, &*id.parent);
        let tables = schema.objects().filter(|one| matches!(one.id.kind, Kind::Table | Kind::ForeignTable));
        for table in tables.filter(|one| is_made(sides, &one.id) && one.parents().contains(&theirs)) {
            let own = schema.get(&of(&QualifiedName::new(&*table.id.schema, &*table.id.name), &id));
            let comes = |own: &Object| own.fact("inherited") == Some("only") || is_heir(own);
            if let Some(own) = own.filter(|own| comes(own) && seen.insert(own.id.clone())) {
                queue.extend(is_heir(own).then(|| own.id.clone()));
                found.push(own);
            }
        }
    }
    found
}

fn is_heir(column: &Object) -> bool {
    table::not_valid(column) && column.fact("not null inherited") == Some("only")
}

/// Whether it has to be dropped and added again: the server does not turn a valid one into one that is not valid.
pub(super) fn is_made_again(old: &Object, new: &Object) -> bool {
    old.fact("not null").is_some() && !table::not_valid(old) && table::not_valid(new)
}

/// The columns that lose a NOT NULL that is not valid and get it back, so that it is passed down to new tables as it
/// is.
pub(super) fn again(before: &Schema, after: &Schema, fates: &PartFates) -> Vec<Arc<Object>> {
    let is_new =
        |table: &Arc<Object>| matches!(fates.get(&SchemaPart::object(&table.id)), PartFate::Made | PartFate::Remade);
    let tables = after.objects().filter(|one| !one.parents().is_empty() && is_new(one));
    let heirs = tables.flat_map(|table| after.children(&table.id, Kind::Column)).filter(|column| is_heir(column));
    let above = heirs.flat_map(|column| inherit::above(after, &column.id));
    let has_it = |one: &Arc<Object>| {
        let part = SchemaPart::object(&one.id);
        let stays = matches!(fates.get(&part), PartFate::Kept | PartFate::Altered);
        stays && table::not_valid(one) && !is_heir(one) && before.get(&one.id).is_some_and(|old| table::not_valid(old))
    };
    let found: BTreeMap<Arc<Id>, Arc<Object>> = above.filter(has_it).map(|one| (one.id.clone(), one)).collect();
    found.into_values().collect()
}

/// Whether the NOT NULL of a column in a new table comes from a column that is also created.
fn is_brought(sides: &DdlContext<'_>, column: &Object) -> bool {
    let schema = &sides.after.schema;
    let table = inherit::table_of(schema, &column.id).filter(|table| is_heir(column) && is_made(sides, &table.id));
    let theirs =
        table.into_iter().flat_map(|table| table.parents()).filter_map(|table| schema.get(&of(&table, &column.id)));
    let gets = |theirs: &Object| {
        let was = sides.before.schema.get(&theirs.id);
        let is_again = sides.fates.is_required_again(&SchemaPart::object(&theirs.id));
        is_again || is_made(sides, &theirs.id) || was.is_some_and(|was| was.fact("not null").is_none())
    };
    theirs.into_iter().any(|theirs| table::not_valid(theirs) && gets(theirs))
}

/// Whether it is added separately from its column.
pub(super) fn is_late(sides: &DdlContext<'_>, column: &Object) -> bool {
    let is_not_valid = || !is_brought(sides, column) && !heirs(sides, column).is_empty();
    is_made(sides, &column.id) && (is_not_valid() || is_apart(sides, column))
}

/// Whether its name differs from that of a parent, or of a table below that also gets the column.
fn is_apart(sides: &DdlContext<'_>, column: &Object) -> bool {
    let schema = &sides.after.schema;
    if !comes_along(sides, column) {
        return false;
    }
    let names_differ = |other: &Arc<Object>| table::not_null_name(other) != table::not_null_name(column);
    let parents = inherit::table_of(schema, &column.id).map(|table| table.parents()).unwrap_or_default();
    let mut above = parents.iter().filter_map(|table| schema.get(&of(table, &column.id)));
    let differs_above = column.fact("inherited") == Some("only")
        && above.any(|theirs| comes_along(sides, theirs) && names_differ(theirs));
    differs_above || lower(schema, column).into_iter().any(|own| comes_along(sides, own) && names_differ(own))
}

/// Whether a column with NOT NULL is added to an existing table.
fn comes_along(sides: &DdlContext<'_>, column: &Object) -> bool {
    let table = inherit::table_of(&sides.after.schema, &column.id);
    is_made(sides, &column.id)
        && table.is_some_and(|table| !is_made(sides, &table.id))
        && table::not_null_name(column).is_some()
        && column.fact("identity").is_none()
}

/// The columns of the same table that lose a NOT NULL constraint with the name that a column gets.
pub(super) fn namesakes(sides: &DdlContext<'_>, column: &Object) -> Vec<SchemaPart> {
    let (before, after) = (&sides.before.schema, &sides.after.schema);
    let was = before.get(&column.id).and_then(|old| table::not_null_name(old));
    let Some(name) = table::not_null_name(column).filter(|name| was != Some(*name)) else { return Vec::new() };
    let Some(table) = inherit::table_of(before, &column.id) else { return Vec::new() };
    let has = |one: &Object| table::not_null_name(one) == Some(name);
    let loses = |one: &&Arc<Object>| one.id != column.id && has(one) && !after.get(&one.id).is_some_and(|new| has(new));
    before.children(&table.id, Kind::Column).filter(loses).map(|one| SchemaPart::object(&one.id)).collect()
}

/// The columns of all tables below that inherit from this one.
fn lower<'a>(schema: &'a Schema, column: &Object) -> Vec<&'a Arc<Object>> {
    let (mut found, mut queue): (Vec<&Arc<Object>>, _) = (Vec::new(), vec![column.id.clone()]);
    let mut seen = BTreeSet::new();
    while let Some(id) = queue.pop() {
        let below = inherit::below(schema, &id).into_iter();
        let below: Vec<_> = below.filter(|own| seen.insert(own.id.clone())).collect();
        queue.extend(below.iter().map(|own| own.id.clone()));
        found.extend(below);
    }
    found
}

/// The columns of tables below that stay NOT NULL when a column becomes nullable. Before PostgreSQL 18 they become
/// nullable with it.
pub(super) fn kept_below<'a>(
    before: &'a Schema,
    after: &'a Schema,
    column: &Object,
) -> impl Iterator<Item = &'a Arc<Object>> {
    let has = |own: &Object| own.fact("not null").is_some() && own.fact("not null constraint").is_none();
    let had = move |own: &&Arc<Object>| before.get(&own.id).is_some_and(|old| has(old));
    lower(after, column).into_iter().filter(move |own| has(own)).filter(had)
}

/// Whether a column of an existing table gets it, so that tables below could inherit it.
fn comes(sides: &DdlContext<'_>, column: &Object) -> bool {
    let is_there = inherit::table_of(&sides.after.schema, &column.id).is_some_and(|table| !is_made(sides, &table.id));
    let was = sides.before.schema.get(&column.id).filter(|_| !is_made(sides, &column.id));
    let is_same = |was: &Object| table::not_null_goes_down(was) && !is_made_again(was, column);
    is_there && table::not_null_goes_down(column) && !was.is_some_and(|was| is_same(was))
}

/// Whether tables below no longer inherit it from a column.
fn goes(sides: &DdlContext<'_>, old: &Object) -> bool {
    let new =
        sides.after.schema.get(&old.id).filter(|_| sides.fates.get(&SchemaPart::object(&old.id)) == PartFate::Altered);
    let goes_down = |column: &Object| column.fact("not null").is_some() && !table::no_inherit(column);
    goes_down(old) && new.is_some_and(|new| !goes_down(new))
}

/// The order constraints: a table's own NOT NULL under its own name is added before the table gets that of a table
/// above, and dropped after it. Tables below are created after both.
pub(super) fn edges(sides: &DdlContext<'_>, hosts: &PartHosts) -> Vec<(GraphNode, GraphNode)> {
    let (before, after) = (&sides.before.schema, &sides.after.schema);
    let is_altered = |own: &SchemaPart| sides.fates.get(own) == PartFate::Altered;
    let mut all = Vec::new();
    let columns = sides.fates.iter().map(|(part, _)| part);
    for part in columns.filter(|part| part.id.kind == Kind::Column && !part.default) {
        let made = hosts.made(part);
        let comes = after.get(&part.id).filter(|column| comes(sides, column));
        let goes = before.get(&part.id).filter(|old| goes(sides, old));
        if let Some(column) = comes {
            all.extend(coming(sides, hosts, column));
        }
        if let Some(old) = goes {
            let lower = lower(before, old).into_iter().map(|own| SchemaPart::object(&own.id));
            all.extend(lower.filter(is_altered).map(|own| (made.clone(), hosts.made(&own))));
        }
        let tables = comes.or(goes).map(|column| new_tables(sides, hosts, column)).unwrap_or_default();
        all.extend(tables.into_iter().map(|table| (made.clone(), table)));
    }
    all
}

/// What comes before a column of an existing table gets it, and what comes after.
fn coming(sides: &DdlContext<'_>, hosts: &PartHosts, column: &Object) -> Vec<(GraphNode, GraphNode)> {
    let after = &sides.after.schema;
    let (made, given) = (hosts.made(&SchemaPart::object(&column.id)), given_at(sides, hosts, column));
    let mut all = Vec::new();
    for own in lower(after, column).into_iter().filter(|own| comes(sides, own)) {
        let theirs = given_at(sides, hosts, own);
        let is_altered = sides.fates.get(&SchemaPart::object(&own.id)) == PartFate::Altered;
        if is_late(sides, own) {
            all.push((made.clone(), theirs.clone()));
        }
        let is_apart = given != made || !is_made(sides, &column.id);
        if is_apart && (is_late(sides, own) || is_altered) {
            all.push((theirs, given.clone()));
        }
    }
    // A key would add one too.
    let table = inherit::table_of(after, &column.id).filter(|_| is_late(sides, column));
    let keys = table.into_iter().flat_map(|table| after.children(&table.id, Kind::Constraint));
    let keys = keys.filter(|one| table::has_index(one)).map(|key| hosts.made(&SchemaPart::object(&key.id)));
    all.extend(keys.map(|key| (given.clone(), key)));
    all
}

/// The node at which a column gets it.
fn given_at(sides: &DdlContext<'_>, hosts: &PartHosts, column: &Object) -> GraphNode {
    let part = SchemaPart::object(&column.id);
    if is_late(sides, column) { (PartAction::Give, part) } else { hosts.made(&part) }
}

/// The nodes that create tables that inherit a column from an existing table.
fn new_tables(sides: &DdlContext<'_>, hosts: &PartHosts, column: &Object) -> Vec<GraphNode> {
    let schema = &sides.after.schema;
    let lower = lower(schema, column).into_iter().filter(|_| !table::not_valid(column));
    let tables = lower.filter_map(|own| inherit::table_of(schema, &own.id)).filter(|table| is_made(sides, &table.id));
    tables.map(|table| hosts.made(&SchemaPart::object(&table.id))).collect()
}

/// Whether it is written with its column.
pub(super) fn is_said(sides: &DdlContext<'_>, column: &Object) -> bool {
    !(is_late(sides, column) || table::not_valid(column) && is_brought(sides, column))
}

/// The schema without what is added separately from the columns of a table.
pub(super) fn without_late(sides: &DdlContext<'_>, table: &Id) -> Option<Schema> {
    let schema = &sides.after.schema;
    let apart = schema.children(table, Kind::Column).filter(|column| !is_said(sides, column));
    let changed: Vec<Arc<Object>> = apart.map(|column| Arc::new(nullable(column))).collect();
    (!changed.is_empty()).then(|| schema.clone().with(changed))
}

/// The column without NOT NULL.
pub(super) fn nullable(column: &Object) -> Object {
    let mut column = column.clone();
    column.facts.retain(|fact| !fact.name.starts_with("not null"));
    column
}

/// The statements that add it to a column and to those below.
pub(super) fn given(sides: &DdlContext<'_>, part: &SchemaPart) -> Vec<DdlStatement> {
    let Some(column) = sides.after.schema.get(&part.id) else { return Vec::new() };
    let made = [DdlStatement::new(required(sides.taken(), column))];
    let said = heirs(sides, column).into_iter().chain([column]).filter(|one| one.fact(COMMENT).is_some());
    let said = said.filter_map(|column| comment(column));
    made.into_iter().chain(said).collect()
}

/// The statements that make the NOT NULL constraints of a partition local again: after attaching they are only
/// inherited.
pub(super) fn local_again(schema: &Schema, table: &Object) -> Vec<String> {
    let columns = schema.children(&table.id, Kind::Column);
    let columns = columns.filter(|one| one.fact("not null inherited") == Some("and local"));
    let set = |one: &Arc<Object>| set(&one.id);
    columns.filter(|_| table.fact("partition bound").is_some()).map(set).collect()
}

/// The statement that adds it to an existing column, under its own name.
pub(super) fn required(taken: &TakenNames, column: &Object) -> String {
    let named = table::own_not_null(taken, column);
    named.map_or_else(|| set(&column.id), |constraint| format!("ALTER TABLE {} ADD {constraint}", parent(&column.id)))
}

/// The statement that adds it to a column under the name that the server chooses, or makes an inherited one local too.
pub(super) fn set(column: &Id) -> String {
    format!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", parent(column), plain(&column.name))
}

/// The statement that removes it from a column.
pub(super) fn dropped(column: &Id) -> String {
    format!("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", parent(column), plain(&column.name))
}

/// The comment on it.
pub(super) fn comment(column: &Object) -> Option<DdlStatement> {
    let text = column.fact(COMMENT).map_or("NULL".to_owned(), literal);
    let name = plain(table::not_null_words(column.fact("not null constraint")?).0);
    let of = match column.id.kind {
        Kind::Domain => format!("DOMAIN {}", super::name::qualified(&column.id)),
        _ => parent(&column.id),
    };
    let comment = format!("COMMENT ON CONSTRAINT {name} ON {of} IS {text}");
    Some(DdlStatement::new(comment).about(COMMENT))
}
