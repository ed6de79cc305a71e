//! The properties of an existing object: its comment, its owner, its privileges.

use std::sync::Arc;

use migrate_base::ident::{literal, plain};

use super::alter::extension_of;
use super::emit::stays;
use super::fate::PartFate;
use super::name::{grantable, named, parent, phrase, qualified};
use super::privilege::PrivilegeTarget;
use super::{DdlContext, DdlStatement, count, far, grant, not_null, owner_of, sequence};
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};
use crate::{Schema, SchemaDescription};

/// The comment, labels, extensions and privileges of an object, if they differ from those of the old one.
pub(super) fn said(sides: &DdlContext<'_>, old: Option<&Arc<Object>>, object: &Object) -> Vec<DdlStatement> {
    let schema = &sides.after.schema;
    let id = &object.id;
    let fact = |name: &str| (old.and_then(|old| old.fact(name)), object.fact(name));
    let mut all: Vec<DdlStatement> = Vec::new();
    let names = object.facts.iter().chain(old.iter().flat_map(|old| &old.facts)).map(|fact| &*fact.name);
    let mut said: std::collections::BTreeSet<&str> =
        names.filter(|name| *name == "comment" || name.starts_with("security label of ")).collect();
    // An extension comes with a comment.
    let brings = id.kind == Kind::Extension && old.is_none();
    said.extend(brings.then_some("comment"));
    for name in said {
        let (was, now) = fact(name);
        let text = now.map_or("NULL".to_owned(), literal);
        let what = match name.strip_prefix("security label of ") {
            Some(provider) => format!("SECURITY LABEL FOR {} ON", plain(provider)),
            None => "COMMENT ON".to_owned(),
        };
        let statement = || DdlStatement::new(format!("{what} {} IS {text}", phrase(schema, id))).about(name);
        all.extend((was != now || (brings && now.is_none())).then(statement));
    }
    all.extend(depending(sides, old, object));
    let (was, now) = fact(super::not_null::COMMENT);
    all.extend(not_null::comment(object).filter(|_| was != now && not_null::is_said(sides, object)));
    all.extend(granted(sides, old, object).into_iter().map(|text| DdlStatement::new(text).about("grants")));
    // Many of these are set where the table of a column is created, and may be omitted for the column alone.
    all.iter_mut().for_each(|statement| statement.object = Some(id.clone()));
    all
}

/// The extensions that an object depends on, if they differ from those of the old one.
fn depending(sides: &DdlContext<'_>, old: Option<&Arc<Object>>, object: &Object) -> Vec<DdlStatement> {
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
        DdlStatement::new(format!("ALTER {name} {no}DEPENDS ON EXTENSION {extension}")).about(fact)
    };
    let gone = was.difference(&now).map(|fact| statement("NO ", fact));
    gone.chain(now.difference(&was).map(|fact| statement("", fact))).collect()
}

/// The privileges on an object, if they differ from those of the old one.
fn granted(sides: &DdlContext<'_>, old: Option<&Arc<Object>>, object: &Object) -> Vec<String> {
    let (schema, id) = (&sides.after.schema, &object.id);
    let (was, now) = (old.and_then(|old| old.fact("grants")), object.fact("grants"));
    let here = sides.version();
    // Most objects have no recorded privileges, before or after.
    let is_usual = was.or(now).is_none() && schema.version == here;
    if is_usual && (old.is_some() || !has_default_privileges(&sides.before.schema)) {
        return Vec::new();
    }
    let owners = [old.map_or("", |old| owner_of(&sides.before.schema, old)), owner_of(schema, object)];
    match id.kind {
        Kind::DefaultPrivileges => far::default_privileges(&id.name, was, now, here),
        Kind::Privileges => grant::of_foreign(object, was.or(object.fact("first grants")), now, here),
        Kind::Column => {
            let list = |text: Option<&str>, owner| text.map(|text| grant::listed(text, owner)).unwrap_or_default();
            let on = format!("TABLE {}", parent(id));
            let now = grant::adapted(list(now, owners[1]), PrivilegeTarget::Table, schema.version, here);
            grant::statements(&list(was, owners[0]), &now, &on, &grant::column(&id.name))
        }
        kind => {
            let (on, name) = (PrivilegeTarget::of(kind), grantable(schema, id));
            let now = grant::of_object(now, on, owners[1], schema.version);
            let now = grant::adapted(now, on, schema.version, here);
            if old.is_none() {
                let (least, most) = by_default(sides, id, grant::first(on, here));
                return grant::from_nothing(&least, &most, &now, &name);
            }
            let mut all = grant::statements(&grant::of_object(was, on, owners[0], here), &now, &name, "");
            // Revoking on a table also revokes on its columns. Columns created later get their privileges then.
            if all.iter().any(|text| text.starts_with("REVOKE")) {
                let is_there = |column: &Object| stays(sides, &column.id) && column.fact("grants").is_some();
                let columns = schema.children(id, Kind::Column).filter(|column| is_there(column));
                all.extend(columns.flat_map(|column| granted(sides, None, column)));
            }
            all
        }
    }
}

fn has_default_privileges(schema: &Schema) -> bool {
    let head = named(Kind::DefaultPrivileges, "", "");
    schema.objects.range::<Id, _>(head..).next().is_some_and(|(id, _)| id.kind == Kind::DefaultPrivileges)
}

/// The least and the most privileges that a new object starts with, by the default privileges of the role that creates
/// it, whichever that is.
fn by_default(sides: &DdlContext<'_>, id: &Id, first: grant::Grants) -> (grant::Grants, grant::Grants) {
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
        let Some(whose) = far::DefaultPrivilegeScope::parse(&object.id.name) else { continue };
        let applies = whose.on == on && whose.schema.as_deref().is_none_or(|space| space == &*id.schema);
        let stays = matches!(sides.fates.get(&SchemaPart::object(&object.id)), PartFate::Kept | PartFate::Altered);
        if object.id.kind == Kind::DefaultPrivileges && applies && stays {
            let list = grant::listed(object.fact("grants").unwrap_or_default(), &whose.role);
            // Those of a schema are added to the others.
            if whose.schema.is_none() {
                least = grant::bounds(&least, &list).0;
            }
            most = grant::bounds(&most, &list).1;
        }
    }
    (least, most)
}

/// The statement that gives a re-created object to the owner of the old one: a view reads tables, and a `SECURITY
/// DEFINER` function runs, with the privileges of its owner. A sequence must have the same owner as its table.
/// Everything else belongs to the role that creates it.
pub(super) fn owned(sides: &DdlContext<'_>, part: &SchemaPart, new: &Object) -> Option<DdlStatement> {
    let owner = owner_of_old(sides, part).or_else(|| owner_of_table(sides, part, new))?;
    sides.before.is_of_another(owner).then(|| given_to(&sides.after.schema, new, owner))?
}

fn given_to(schema: &Schema, object: &Object, owner: &str) -> Option<DdlStatement> {
    // Objects of some kinds can only belong to superusers, and their behaviour does not depend on which one.
    let is_of_superusers = matches!(
        object.id.kind,
        Kind::EventTrigger | Kind::ForeignDataWrapper | Kind::Publication | Kind::Subscription | Kind::Privileges
    );
    let text = || format!("ALTER {} OWNER TO {}", phrase(schema, &object.id), plain(owner));
    (!is_of_superusers && !sequence::is_identity(object)).then(|| DdlStatement::new(text()).about("owner"))
}

/// The statements that set the owners of everything in a schema that one role created, if the owner is another role
/// than the one that runs migrations. A sequence follows its table.
pub fn owners(described: &SchemaDescription) -> Vec<DdlStatement> {
    let schema = &described.schema;
    let all = schema.objects().filter(|object| object.fact("owned by").is_none());
    let all = all.filter_map(|object| Some((object, object.fact("owner").filter(|one| described.is_of_another(one))?)));
    all.filter_map(|(object, owner)| given_to(schema, object, owner)).collect()
}

/// The owner of the object that another one replaces.
fn owner_of_old<'a>(sides: &'a DdlContext<'_>, part: &SchemaPart) -> Option<&'a str> {
    let is_another = sides.fates.get(part) == PartFate::Remade
        || sides.fates.is_swapped(part)
        || count::role(sides, part) == count::IdentityRole::Leaves;
    // The type can be a domain.
    let kinds = [part.id.kind, Kind::Type, Kind::Domain].into_iter().filter(|_| is_another);
    kinds.filter_map(|kind| sides.before.schema.get(&Id { kind, ..(*part.id).clone() })).next()?.fact("owner")
}

/// The owner of the table that gets a new sequence.
fn owner_of_table<'a>(sides: &'a DdlContext<'_>, part: &SchemaPart, new: &Object) -> Option<&'a str> {
    let is_new = new.id.kind == Kind::Sequence && sides.fates.get(part) == PartFate::Made;
    let (of, _) = sequence::owner(new).filter(|_| is_new)?;
    let tables = [Kind::Table, Kind::ForeignTable].map(|kind| named(kind, of.schema(), of.name()));
    tables
        .iter()
        .find_map(|table| sides.before.schema.get(table))
        .filter(|table| stays(sides, &table.id))?
        .fact("owner")
}
