//! NOT NULL that is not valid yet. A table that is made below one that has it would get it as a valid one, so it comes
//! when both are there, and goes down to the lower one as it is.

use std::sync::Arc;

use super::fate::Fate;
use super::name::{holder, named, parent};
use super::{Sides, Statement, table};
use crate::ident::{QualifiedName, literal, plain};
use crate::schema::Schema;
use crate::schema::depend::Part;
use crate::schema::object::{Id, Kind, Object};

/// Tables can be nested as deep as this.
const DEEPEST: usize = 1000;

fn is_made(sides: &Sides<'_>, id: &Arc<Id>) -> bool {
    matches!(sides.fates.get(&Part::object(id)), Fate::Made | Fate::Remade)
}

fn table_of<'a>(schema: &'a Schema, column: &Id) -> Option<&'a Arc<Object>> {
    [Kind::Table, Kind::ForeignTable].into_iter().find_map(|kind| schema.get(&holder(column, kind)))
}

/// The column of another table that has the name of this one.
pub(super) fn of(table: &QualifiedName, column: &Id) -> Id {
    Id { parent: table.name().into(), ..named(Kind::Column, table.schema(), &column.name) }
}

/// The columns of new tables that get it from this one.
pub(super) fn heirs<'a>(sides: &'a Sides<'_>, column: &Object) -> Vec<&'a Arc<Object>> {
    below(sides, column).into_iter().filter(|own| is_heir(own)).collect()
}

/// The columns of new tables that come from one that has it, those that have it as a valid one as well.
pub(super) fn below<'a>(sides: &'a Sides<'_>, column: &Object) -> Vec<&'a Arc<Object>> {
    let schema = &sides.after.schema;
    let mut found: Vec<&Arc<Object>> = Vec::new();
    if column.id.kind != Kind::Column || !table::not_valid(column) {
        return found;
    }
    let mut queue = vec![column.id.clone()];
    while let Some(id) = queue.pop().filter(|_| found.len() < DEEPEST) {
        let theirs = QualifiedName::new(&*id.schema, &*id.parent);
        let tables = schema.objects().filter(|one| matches!(one.id.kind, Kind::Table | Kind::ForeignTable));
        for table in tables.filter(|one| is_made(sides, &one.id) && one.parents().contains(&theirs)) {
            let own = schema.get(&of(&QualifiedName::new(&*table.id.schema, &*table.id.name), &id));
            if let Some(own) = own.filter(|own| own.fact("inherited") == Some("only")) {
                queue.extend(is_heir(own).then(|| own.id.clone()));
                found.push(own);
            }
        }
    }
    found
}

fn is_heir(column: &Object) -> bool {
    table::not_valid(column) && column.fact("inherited") == Some("only")
}

/// Whether it has to go and come back: the server takes none that is valid for one that is not.
pub(super) fn is_made_again(old: &Object, new: &Object) -> bool {
    old.fact("not null").is_some() && !table::not_valid(old) && table::not_valid(new)
}

/// Whether that of a column of a new table comes from a column that is made as well.
fn is_brought(sides: &Sides<'_>, column: &Object) -> bool {
    let schema = &sides.after.schema;
    let table = table_of(schema, &column.id).filter(|table| is_heir(column) && is_made(sides, &table.id));
    let theirs =
        table.into_iter().flat_map(|table| table.parents()).filter_map(|table| schema.get(&of(&table, &column.id)));
    let gets = |theirs: &Object| {
        let was = sides.before.schema.get(&theirs.id);
        is_made(sides, &theirs.id) || was.is_some_and(|was| was.fact("not null").is_none())
    };
    theirs.into_iter().any(|theirs| table::not_valid(theirs) && gets(theirs))
}

/// Whether it is made apart from its column.
pub(super) fn is_late(sides: &Sides<'_>, column: &Object) -> bool {
    is_made(sides, &column.id) && !is_brought(sides, column) && !heirs(sides, column).is_empty()
}

/// Whether it is said with its column.
pub(super) fn is_said(sides: &Sides<'_>, column: &Object) -> bool {
    !table::not_valid(column) || !(is_brought(sides, column) || is_late(sides, column))
}

/// The schema in which what comes apart from the columns of a table is not.
pub(super) fn without_late(sides: &Sides<'_>, table: &Id) -> Option<Schema> {
    let schema = &sides.after.schema;
    let apart = schema.children(table, Kind::Column).filter(|column| !is_said(sides, column));
    let changed: Vec<Arc<Object>> = apart.map(|column| Arc::new(nullable(column))).collect();
    (!changed.is_empty()).then(|| schema.clone().with(changed))
}

/// The column without it.
pub(super) fn nullable(column: &Object) -> Object {
    let mut column = column.clone();
    column.facts.retain(|fact| !fact.name.starts_with("not null"));
    column
}

/// The statements that make it on a column and on those below.
pub(super) fn given(sides: &Sides<'_>, part: &Part) -> Vec<Statement> {
    let Some(column) = sides.after.schema.get(&part.id) else { return Vec::new() };
    let constraint = table::own_not_null(&sides.before.schema, &sides.after.schema, column);
    let made = constraint.map(|text| Statement::new(format!("ALTER TABLE {} ADD {text}", parent(&column.id))));
    let said = heirs(sides, column)
        .into_iter()
        .chain([column])
        .filter(|one| one.fact("comment on its not null constraint").is_some());
    let said = said.filter_map(|column| comment(column));
    made.into_iter().chain(said).collect()
}

/// The statements that make those of a partition its own again, which are its parent's alone once it is attached.
pub(super) fn local_again(schema: &Schema, table: &Object) -> Vec<String> {
    let columns = schema.children(&table.id, Kind::Column);
    let columns = columns.filter(|one| one.fact("not null inherited") == Some("and local"));
    let set = |one: &Arc<Object>| set(&one.id);
    columns.filter(|_| table.fact("partition bound").is_some()).map(set).collect()
}

fn set(column: &Id) -> String {
    format!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", parent(column), plain(&column.name))
}

/// What is said of it.
pub(super) fn comment(column: &Object) -> Option<Statement> {
    let text = column.fact("comment on its not null constraint").map_or("NULL".to_owned(), literal);
    let name = plain(table::not_null_words(column.fact("not null constraint")?).0);
    let of = match column.id.kind {
        Kind::Domain => format!("DOMAIN {}", super::name::qualified(&column.id)),
        _ => parent(&column.id),
    };
    let comment = format!("COMMENT ON CONSTRAINT {name} ON {of} IS {text}");
    Some(Statement::new(comment).about("comment on its not null constraint"))
}
