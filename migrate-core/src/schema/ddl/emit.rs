//! The statements for what happens to one part.

use std::sync::Arc;

use super::alter::extension_of;
use super::fate::{Fate, is_foreign_key};
use super::name::{grantable, holder, named, parent, phrase, qualified};
use super::privilege::On;
use super::{
    Hazard, Sides, Stage, Statement, Style, Uncovered, count, create, far, fill, grant, inherit, not_null, on_of,
    owner_of, partition, remove, sequence, table,
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
        let only = inherit::only(&sides.after.schema, &part.id, "default");
        return vec![Statement::new(format!("ALTER TABLE {only}{table} ALTER COLUMN {column} DROP DEFAULT"))];
    }
    // What a table had from a parent that it left is its own; a trigger went.
    let left = part.id.kind != Kind::Trigger && inherit::is_left(sides, &part.id);
    let by_parent = object.fact("inherited") == Some("only") && !left;
    let by_parent = by_parent || is_of_view(schema, &object.id) || sequence::is_identity(object);
    let by_parent = by_parent || sides.fates.is_of_swapped(&object.id);
    if by_parent { Vec::new() } else { remove::object(schema, object, sides.version()) }
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
        let only = inherit::only(schema, &part.id, "default");
        let text = format!("ALTER TABLE {only}{table} ALTER COLUMN {column} SET DEFAULT {value}");
        return Some(vec![Statement::new(text)]);
    }
    if sides.fates.get(part) == Fate::Altered {
        // One that comes with its column, and under the name of an old one, is not there before the column is.
        let stays = count::role(sides, part) == count::Role::Stays;
        if stays && sequence::is_identity(object) && counts_new(sides, object) {
            return Some(Vec::new());
        }
        let old = sides.before.schema.get(&part.id);
        let mut all = sides.fates.altered(part).to_vec();
        all.extend(match count::role(sides, part) {
            // A type in whose place another one came has said nothing yet.
            count::Role::Stays => said(sides, old.filter(|_| !sides.fates.is_swapped(part)), object),
            count::Role::Leaves => said(sides, None, object),
            count::Role::Becomes => Vec::new(),
        });
        return Some(all);
    }
    let mut all = match object.id.kind {
        Kind::Table | Kind::ForeignTable => {
            let partial = not_null::without_late(sides, &object.id);
            let schema = partial.as_ref().unwrap_or(schema);
            plain_ones(table::create(schema, object, late, partition::joined(sides, part).is_some()))
        }
        Kind::View => {
            let columns = schema.children(&object.id, Kind::Column).filter(|column| !late(&column.id));
            let defaults: Vec<String> = columns.filter_map(|column| view_default(column)).collect();
            plain_ones(create::object(schema, object)?.into_iter().chain(defaults).collect())
        }
        Kind::Column if is_of_view(schema, &object.id) => {
            plain_ones(view_default(object).filter(|_| !late(&object.id)).into_iter().collect())
        }
        Kind::Column => added(sides, object, late),
        Kind::Attribute if sides.fates.is_of_swapped(&object.id) => Vec::new(),
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
    all.extend(counted_by(schema, object).into_iter().flat_map(|sequence| said(sides, None, sequence)));
    Some(all)
}

/// The default of a column of a view, which rows get that are inserted through it.
fn view_default(column: &Object) -> Option<String> {
    let (view, name, value) = (parent(&column.id), plain(&column.id.name), column.fact("default")?);
    Some(format!("ALTER VIEW {view} ALTER COLUMN {name} SET DEFAULT {value}"))
}

/// The sequences of identity columns, which come with their table or column.
fn counted_by<'a>(schema: &'a Schema, object: &'a Object) -> Vec<&'a Arc<Object>> {
    let counts = |column: &Object| column.fact("identity").is_some();
    match object.id.kind {
        Kind::Table | Kind::ForeignTable => {
            let columns = schema.children(&object.id, Kind::Column).filter(|column| counts(column));
            columns.filter_map(|column| sequence::identity_sequence(schema, &column.id)).collect()
        }
        Kind::Column if counts(object) => sequence::identity_sequence(schema, &object.id).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Whether the column of an identity's sequence is made, for the first time or again.
fn counts_new(sides: &Sides<'_>, sequence: &Object) -> bool {
    let Some((of, column)) = sequence::owner(sequence) else { return false };
    let column = Id { parent: of.name().into(), ..named(Kind::Column, of.schema(), &column) };
    let column = sides.after.schema.get(&column).map(|column| Part::object(&column.id));
    column.is_some_and(|column| matches!(sides.fates.get(&column), Fate::Made | Fate::Remade))
}

/// What is made or altered and has something that no statement can say.
pub(super) fn unwritten(sides: &Sides<'_>) -> Vec<Uncovered> {
    let (schema, here) = (&sides.after.schema, sides.version());
    let happens = |fate| matches!(fate, Fate::Made | Fate::Remade | Fate::Altered);
    let parts = sides.fates.iter().filter(|(part, fate)| happens(*fate) && !part.default).map(|(part, _)| part);
    let mut all = Vec::new();
    for object in parts.filter_map(|part| schema.get(&part.id)) {
        let gap =
            |part: Option<&str>, why: String| Uncovered { object: object.id.clone(), part: part.map(Into::into), why };
        let is_altered = sides.fates.get(&Part::object(&object.id)) == Fate::Altered;
        if is_altered && let Some(why) = hidden(sides.before.schema.get(&object.id), object) {
            all.push(gap(None, why.to_owned()));
        }
        if let Some(list) = object.fact("grants") {
            let unknown = grant::unknown(list, on_of(&object.id), owner_of(schema, object), schema.version, here);
            let words: Vec<String> = unknown.into_iter().collect();
            let why = || format!("PostgreSQL {here} has no privilege {}", words.join(", "));
            all.extend((!words.is_empty()).then(|| gap(Some("grants"), why())));
        }
    }
    all
}

/// Why an object cannot become another one where the catalogs do not show what it is.
fn hidden(old: Option<&Arc<Object>>, new: &Object) -> Option<&'static str> {
    let differs = old.is_some_and(|old| old.facts != new.facts);
    let hides = match new.id.kind {
        Kind::UserMapping => far::has_unknown_options(new) || old.is_some_and(|old| far::has_unknown_options(old)),
        Kind::Subscription => true,
        _ => false,
    };
    (differs && hides).then(|| no_statement(new))
}

/// Why there is no statement that makes an object.
pub(super) fn no_statement(object: &Object) -> &'static str {
    match object.id.kind {
        Kind::UserMapping if object.fact("options") == Some("hidden") => "this role may not see its options",
        Kind::UserMapping => "its options may hold a password, and are never read",
        Kind::Subscription => "its connection may hold a password, and is never read",
        _ => "there is no statement that makes it without C code",
    }
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
    let nullable = (!not_null::is_said(sides, column)).then(|| not_null::nullable(column));
    let column = nullable.as_ref().unwrap_or(column);
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
    let extras = table::extras(schema, column, None, false, late);
    let unusual = sequence::unusual(schema, column);
    [statement].into_iter().chain(plain_ones(extras)).chain(plain_ones(unusual)).collect()
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

/// The comment, the labels, the extensions and the privileges of an object, where they are not those of the old one.
fn said(sides: &Sides<'_>, old: Option<&Arc<Object>>, object: &Object) -> Vec<Statement> {
    let schema = &sides.after.schema;
    let id = &object.id;
    let fact = |name: &str| (old.and_then(|old| old.fact(name)), object.fact(name));
    let mut all: Vec<Statement> = Vec::new();
    let names = object.facts.iter().chain(old.iter().flat_map(|old| &old.facts)).map(|fact| &*fact.name);
    let mut said: std::collections::BTreeSet<&str> =
        names.filter(|name| *name == "comment" || name.starts_with("security label of ")).collect();
    // An extension brings a comment.
    let brings = id.kind == Kind::Extension && old.is_none();
    said.extend(brings.then_some("comment"));
    for name in said {
        let (was, now) = fact(name);
        let text = now.map_or("NULL".to_owned(), literal);
        let what = match name.strip_prefix("security label of ") {
            Some(provider) => format!("SECURITY LABEL FOR {} ON", plain(provider)),
            None => "COMMENT ON".to_owned(),
        };
        let statement = || Statement::new(format!("{what} {} IS {text}", phrase(schema, id))).about(name);
        all.extend((was != now || (brings && now.is_none())).then(statement));
    }
    all.extend(depending(sides, old, object));
    let (was, now) = fact("comment on its not null constraint");
    all.extend(not_null::comment(object).filter(|_| was != now && not_null::is_said(sides, object)));
    all.extend(granted(sides, old, object).into_iter().map(|text| Statement::new(text).about("grants")));
    all
}

/// The extensions with which an object goes, where they are not those of the old one.
fn depending(sides: &Sides<'_>, old: Option<&Arc<Object>>, object: &Object) -> Vec<Statement> {
    let all_of = |object: &Object| -> std::collections::BTreeSet<String> {
        let names = object.facts.iter().map(|fact| &*fact.name);
        names.filter(|name| extension_of(name).is_some()).map(str::to_owned).collect()
    };
    let (was, now) = (old.map(|old| all_of(old)).unwrap_or_default(), all_of(object));
    let statement = |no: &str, fact: &String| {
        let name = match fact.starts_with("its index ") {
            true => format!("INDEX {}", qualified(&object.id)),
            false => phrase(&sides.after.schema, &object.id),
        };
        let extension = plain(extension_of(fact).unwrap_or_default());
        Statement::new(format!("ALTER {name} {no}DEPENDS ON EXTENSION {extension}")).about(fact)
    };
    let gone = was.difference(&now).map(|fact| statement("NO ", fact));
    gone.chain(now.difference(&was).map(|fact| statement("", fact))).collect()
}

/// The privileges on an object, where they are not those of the old one.
fn granted(sides: &Sides<'_>, old: Option<&Arc<Object>>, object: &Object) -> Vec<String> {
    let (schema, id) = (&sides.after.schema, &object.id);
    let (was, now) = (old.and_then(|old| old.fact("grants")), object.fact("grants"));
    let owners = [old.map_or("", |old| owner_of(&sides.before.schema, old)), owner_of(schema, object)];
    let here = sides.version();
    match id.kind {
        Kind::DefaultPrivileges => far::default_privileges(&id.name, was, now, here),
        Kind::Privileges => grant::of_foreign(object, was.or(object.fact("first grants")), now, here),
        Kind::Column => {
            let list = |text: Option<&str>, owner| text.map(|text| grant::listed(text, owner)).unwrap_or_default();
            let on = format!("TABLE {}", parent(id));
            let now = grant::adapted(list(now, owners[1]), On::Table, schema.version, here);
            grant::statements(&list(was, owners[0]), &now, &on, &grant::column(&id.name))
        }
        kind => {
            let (on, name) = (On::of(kind), grantable(schema, id));
            let now = grant::of_object(now, on, owners[1], schema.version);
            let now = grant::adapted(now, on, schema.version, here);
            if old.is_none() {
                let (least, most) = by_default(sides, id, grant::first(on, here));
                return grant::from_nothing(&least, &most, &now, &name);
            }
            let mut all = grant::statements(&grant::of_object(was, on, owners[0], here), &now, &name, "");
            // What is taken on a table is taken on its columns as well.
            if all.iter().any(|text| text.starts_with("REVOKE")) {
                let columns = schema.children(id, Kind::Column).filter(|column| column.fact("grants").is_some());
                all.extend(columns.flat_map(|column| granted(sides, None, column)));
            }
            all
        }
    }
}

/// The least and the most that a new object begins with, by the default privileges of whichever role makes it.
fn by_default(sides: &Sides<'_>, id: &Id, first: grant::Grants) -> (grant::Grants, grant::Grants) {
    let on = match id.kind {
        Kind::Table | Kind::View | Kind::MaterializedView | Kind::ForeignTable => "tables",
        Kind::Sequence => "sequences",
        Kind::Function | Kind::Procedure | Kind::Aggregate => "functions",
        Kind::Type | Kind::Domain => "types",
        Kind::Schema => "schemas",
        _ => return (first.clone(), first),
    };
    let head = named(Kind::DefaultPrivileges, "", "");
    let (mut least, mut most) = (first.clone(), first);
    for object in sides.before.schema.objects.range::<Id, _>(head..).map(|(_, object)| object) {
        let (who, space, what) = far::whose(&object.id.name);
        let applies = what == on && space.is_none_or(|space| space == plain(&id.schema));
        let stays = matches!(sides.fates.get(&Part::object(&object.id)), Fate::Kept | Fate::Altered);
        if object.id.kind == Kind::DefaultPrivileges && applies && stays {
            let list = grant::listed(object.fact("grants").unwrap_or_default(), who);
            // Those of a schema come on top of the others.
            if space.is_none() {
                least = grant::bounds(&least, &list).0;
            }
            most = grant::bounds(&most, &list).1;
        }
    }
    (least, most)
}
