//! The statements for what happens to one part.

use std::sync::Arc;

use super::fate::{Fate, is_foreign_key};
use super::name::{grantable, holder, named, parent, phrase, qualified};
use super::{
    Hazard, Sides, Stage, Statement, Style, count, create, fill, grant, inherit, owner_of, partition, remove, sequence,
    table,
};
use crate::ident::{QualifiedName, literal, plain};
use crate::schema::Schema;
use crate::schema::depend::Part;
use crate::schema::object::{Id, Kind, Object};

/// The statements that remove a part.
pub(super) fn dropped(sides: &Sides<'_>, part: &Part) -> Vec<Statement> {
    let schema = &sides.before.schema;
    let Some(object) = schema.get(&part.id) else { return Vec::new() };
    if part.default {
        let (table, column) = (parent(&part.id), plain(&part.id.name));
        return vec![Statement::new(format!("ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT"))];
    }
    // What a table had from a parent that it left is its own; a trigger went.
    let left = part.id.kind != Kind::Trigger && inherit::is_left(sides, &part.id);
    let by_parent = object.fact("inherited") == Some("only") && !left;
    let by_parent = by_parent || is_of_view(schema, &object.id) || sequence::is_identity(object);
    let by_parent = by_parent || sides.fates.is_of_swapped(&object.id);
    if by_parent { Vec::new() } else { remove::object(schema, object) }
}

/// The statement that gives a type its name.
pub(super) fn shell(part: &Part) -> Option<Statement> {
    Some(Statement::new(format!("CREATE TYPE {}", qualified(&part.id))))
}

/// The statements that give a sequence to its column; one that became that of an identity column is a new one.
pub(super) fn given(sides: &Sides<'_>, part: &Part) -> Vec<Statement> {
    let Some(object) = sides.after.schema.get(&part.id) else { return Vec::new() };
    let mut all = count::given(object);
    if count::role(sides, part) == count::Role::Becomes {
        all.extend(said(sides, None, object));
    }
    all
}

/// The statements that make or alter a part, or `None` where there are none. The defaults that are `late` come later.
pub(super) fn made(sides: &Sides<'_>, part: &Part, late: &dyn Fn(&Id) -> bool) -> Option<Vec<Statement>> {
    let schema = &sides.after.schema;
    let Some(object) = schema.get(&part.id) else { return Some(Vec::new()) };
    if part.default {
        let (table, column) = (parent(&part.id), plain(&part.id.name));
        let value = object.fact("default").unwrap_or("NULL");
        return Some(vec![Statement::new(format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {value}"))]);
    }
    if sides.fates.get(part) == Fate::Altered {
        let old = sides.before.schema.get(&part.id);
        let mut all = sides.fates.altered(part).to_vec();
        all.extend(match count::role(sides, part) {
            count::Role::Stays => said(sides, old, object),
            count::Role::Leaves => said(sides, None, object),
            count::Role::Becomes => Vec::new(),
        });
        return Some(all);
    }
    let mut all = match object.id.kind {
        Kind::Table | Kind::ForeignTable => {
            plain_ones(table::create(schema, object, late, partition::joined(sides, part).is_some()))
        }
        Kind::Column if is_of_view(schema, &object.id) => Vec::new(),
        Kind::Column => added(sides, object, late),
        Kind::Attribute => {
            plain_ones(vec![format!("ALTER TYPE {} ADD ATTRIBUTE {}", parent(&object.id), table::attribute(object))])
        }
        Kind::Trigger if !create::comes_alone(object) => {
            plain_ones(object.fact("enabled").map(|how| create::enabled(&object.id, Some(how))).into_iter().collect())
        }
        Kind::Sequence if sequence::is_identity(object) => Vec::new(),
        Kind::Constraint if sides.fates.is_of_swapped(&object.id) => Vec::new(),
        Kind::Constraint if is_foreign_key(object) && !create::comes_alone(object) => {
            plain_ones(own_name(schema, object).into_iter().collect())
        }
        Kind::Index | Kind::Constraint => on_table(sides, object, partition::key(sides, object)),
        _ => plain_ones(create::object(schema, object)?),
    };
    all.extend(said(sides, None, object));
    for kind in [Kind::Column, Kind::Attribute].into_iter().filter(|_| has_members(object.id.kind)) {
        all.extend(schema.children(&object.id, kind).flat_map(|child| said(sides, None, child)));
    }
    Some(all)
}

fn has_members(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView | Kind::Type)
}

fn plain_ones(texts: Vec<String>) -> Vec<Statement> {
    texts.into_iter().map(Statement::new).collect()
}

fn is_of_view(schema: &Schema, column: &Id) -> bool {
    let views = [Kind::View, Kind::MaterializedView].map(|kind| holder(column, kind));
    column.kind == Kind::Column && views.iter().any(|view| schema.get(view).is_some())
}

/// A column that a table gets.
fn added(sides: &Sides<'_>, column: &Object, late: &dyn Fn(&Id) -> bool) -> Vec<Statement> {
    let schema = &sides.after.schema;
    if column.fact("inherited") == Some("only") && !inherit::is_joined(sides, &column.id) {
        return Vec::new();
    }
    let bare = ["default", "generated", "identity"].iter().all(|fact| column.fact(fact).is_none());
    if sides.style == Style::Back
        && bare
        && column.fact("not null").is_some()
        && let Some(statements) = fill::column(&sides.before.schema, schema, column)
    {
        return statements;
    }
    let (table, late) = (parent(&column.id), late(&column.id));
    let text = format!("ALTER TABLE {table} ADD COLUMN {}", table::line(schema, column, None, late));
    let statement = Statement::new(text);
    let computed =
        column.fact("generated").is_some_and(|how| how.starts_with("stored")) || column.fact("identity").is_some();
    let statement = match computed {
        true => statement.with(Hazard::Rewrite(format!("table {table} is written anew"))),
        false => statement,
    };
    let extras = table::extras(column, None, false, late);
    let persistence = sequence::persistence(schema, column);
    [statement].into_iter().chain(plain_ones(extras)).chain(persistence.map(Statement::new)).collect()
}

/// A foreign key comes to a partition with that of the partitioned table, under its name.
fn own_name(schema: &Schema, key: &Object) -> Option<String> {
    let parent_of = |table: &Id| {
        let parent = QualifiedName::parse(schema.get(table)?.fact("parents")?.split(", ").next()?)?;
        Some(named(Kind::Table, parent.schema(), parent.name()))
    };
    let same = |one: &&Arc<Object>| one.fact("definition") == key.fact("definition");
    let mut table = holder(&key.id, Kind::Table);
    for _ in 0..100 {
        table = parent_of(&table)?;
        let theirs = schema.children(&table, Kind::Constraint).find(same)?;
        if create::comes_alone(theirs) {
            let (old, new) = (plain(&theirs.id.name), plain(&key.id.name));
            return (old != new).then(|| format!("ALTER TABLE {} RENAME CONSTRAINT {old} TO {new}", parent(&key.id)));
        }
    }
    None
}

/// An index or a constraint: on a table that was there before, it can lock for long.
fn on_table(sides: &Sides<'_>, object: &Object, texts: Vec<String>) -> Vec<Statement> {
    let table = [Kind::Table, Kind::MaterializedView].map(|kind| holder(&object.id, kind));
    let stays = |id: &Id| {
        sides
            .before
            .schema
            .get(id)
            .is_some_and(|old| matches!(sides.fates.get(&Part::object(&old.id)), Fate::Kept | Fate::Altered))
    };
    let mut all = plain_ones(texts);
    let Some(table) = table.iter().find(|id| stays(id)) else { return all };
    let partitioned = sides.after.schema.get(table).is_some_and(|table| table.fact("partition key").is_some());
    let Some(first) = all.first_mut() else { return all };
    let definition = object.fact("definition").unwrap_or_default();
    let online = sides.style == Style::Online && !partitioned;
    let is_new = sides.fates.get(&Part::object(&object.id)) == Fate::Made;
    match object.id.kind {
        Kind::Index if online && is_new && object.fact("attached to").is_none() => {
            let concurrent = first.text.replacen(" INDEX ", " INDEX CONCURRENTLY ", 1);
            *first = Statement::new(concurrent);
            all.iter_mut().for_each(|statement| statement.stage = Stage::Concurrent);
        }
        Kind::Index => {
            let what = format!("nobody can write to {table} while the index is built");
            first.hazards.push(Hazard::LongLock(what));
        }
        _ if definition.ends_with(" NOT VALID") => {}
        _ if online && (is_foreign_key(object) || definition.starts_with("CHECK")) => {
            first.text += " NOT VALID";
            let validate = format!("ALTER TABLE {} VALIDATE CONSTRAINT {}", parent(&object.id), plain(&object.id.name));
            all.push(Statement::new(validate).at(Stage::Validate));
        }
        _ => {
            let what = format!("{table} is locked while all its rows are looked at");
            first.hazards.push(Hazard::LongLock(what));
        }
    }
    all
}

/// The comment, the labels and the privileges of an object, where they are not those of the old one.
fn said(sides: &Sides<'_>, old: Option<&Arc<Object>>, object: &Object) -> Vec<Statement> {
    let schema = &sides.after.schema;
    let id = &object.id;
    let fact = |name: &str| (old.and_then(|old| old.fact(name)), object.fact(name));
    let mut all = Vec::new();
    let names = object.facts.iter().chain(old.iter().flat_map(|old| &old.facts)).map(|fact| &*fact.name);
    let said: std::collections::BTreeSet<&str> =
        names.filter(|name| *name == "comment" || name.starts_with("security label of ")).collect();
    for name in said {
        let (was, now) = fact(name);
        let text = now.map_or("NULL".to_owned(), literal);
        let what = match name.strip_prefix("security label of ") {
            Some(provider) => format!("SECURITY LABEL FOR {} ON", plain(provider)),
            None => "COMMENT ON".to_owned(),
        };
        all.extend((was != now).then(|| format!("{what} {} IS {text}", phrase(schema, id))));
    }
    let (was, now) = fact("comment on its not null constraint");
    if was != now
        && let Some(constraint) = object.fact("not null constraint")
    {
        let (name, text) = (plain(table::not_null_words(constraint).0), now.map_or("NULL".to_owned(), literal));
        all.push(format!("COMMENT ON CONSTRAINT {name} ON {} IS {text}", parent(id)));
    }
    let (was, now) = fact("grants");
    if id.kind == Kind::DefaultPrivileges {
        // They are all that there is of it; where it is new they are said already.
        if old.is_some() {
            all.extend(super::far::default_privileges(&id.name, was, now));
        }
        return plain_ones(all);
    }
    let owners = [old.map_or("", |old| owner_of(&sides.before.schema, old)), owner_of(schema, object)];
    all.extend(match id.kind {
        Kind::Column => {
            let list = |text: Option<&str>, owner| text.map(|text| grant::listed(text, owner)).unwrap_or_default();
            let on = format!("TABLE {}", parent(id));
            grant::statements(&list(was, owners[0]), &list(now, owners[1]), &on, &grant::column(&id.name))
        }
        kind => {
            let on = grantable(schema, id);
            let (was, now) = (grant::of_object(was, kind, owners[0]), grant::of_object(now, kind, owners[1]));
            let given = if old.is_none() { by_default(sides, id) } else { grant::Grants::new() };
            grant::anew(&was, &given, &now, &on)
        }
    });
    plain_ones(all)
}

/// What a new object may get on top by default privileges, of whichever role makes it.
fn by_default(sides: &Sides<'_>, id: &Id) -> grant::Grants {
    let on = match id.kind {
        Kind::Table | Kind::View | Kind::MaterializedView | Kind::ForeignTable => "tables",
        Kind::Sequence => "sequences",
        Kind::Function | Kind::Procedure | Kind::Aggregate => "functions",
        Kind::Type | Kind::Domain => "types",
        Kind::Schema => "schemas",
        _ => return grant::Grants::new(),
    };
    let first = Id {
        kind: Kind::DefaultPrivileges,
        schema: "".into(),
        parent: "".into(),
        name: "".into(),
        signature: "".into(),
    };
    let mut all = grant::Grants::new();
    for object in sides.before.schema.objects.range::<Id, _>(first..).map(|(_, object)| object) {
        let (who, space, what) = super::far::whose(&object.id.name);
        let applies = what == on && space.is_none_or(|space| space == plain(&id.schema));
        let stays = matches!(sides.fates.get(&Part::object(&object.id)), Fate::Kept | Fate::Altered);
        if object.id.kind == Kind::DefaultPrivileges && applies && stays {
            for (grantee, letters) in grant::listed(object.fact("grants").unwrap_or_default(), who) {
                all.entry(grantee).or_default().extend(letters);
            }
        }
    }
    all
}
