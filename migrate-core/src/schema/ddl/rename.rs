//! Statements that give an object another name.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Statement;
use super::labels::labels;
use super::name::{holder, parent, phrase, qualified};
use crate::ident::plain;
use crate::schema::Described;
use crate::schema::object::{Id, Kind};

/// The statements that give everything its old name back that has another one later, in the same database.
pub fn renames_back(before: &Described, after: &Described) -> Vec<Statement> {
    let mut pairs = before.renamed(after);
    // A table first, then what belongs to it, under the table's old name.
    pairs.sort_by_key(|(old, _)| (!old.parent.is_empty(), old.clone()));
    let mut all: Vec<Statement> = Vec::new();
    let mut aside: HashMap<Id, Id> = HashMap::new();
    for (at, (old, new)) in pairs.iter().enumerate() {
        let now = aside.get(&**new).cloned().unwrap_or_else(|| (**new).clone());
        let back = rename(after, &now, old);
        // Somebody else may have the name meanwhile: what came since, or what gets its own back later.
        let given_back: HashSet<&Id> = pairs[..at].iter().map(|(_, new)| &**new).collect();
        let taken = || Id { parent: now.parent.clone(), ..(**old).clone() };
        if !back.is_empty()
            && let Some(other) = holder_of_name(after, &taken()).filter(|id| *id != now && !given_back.contains(id))
            && !aside.contains_key(&other)
        {
            let free = Id { name: format!("{}_since", other.name).into(), ..other.clone() };
            let to = Id { parent: old.parent.clone(), ..free.clone() };
            all.extend(rename(after, &other, &to).into_iter().map(Statement::new));
            aside.insert(other, free);
        }
        all.extend(back.into_iter().map(Statement::new));
    }
    all.extend(relabelled(before, after).into_iter().map(Statement::new));
    all
}

/// The object that has a name; tables, views and sequences share theirs.
fn holder_of_name(now: &Described, wanted: &Id) -> Option<Id> {
    let relations = [Kind::Table, Kind::View, Kind::MaterializedView, Kind::Sequence, Kind::ForeignTable];
    let kinds = if relations.contains(&wanted.kind) { relations.to_vec() } else { vec![wanted.kind] };
    let found = kinds.into_iter().find_map(|kind| now.schema.get(&Id { kind, ..wanted.clone() }));
    found.map(|object| (*object.id).clone())
}

/// From one name to another: what it is called, and where it belongs.
fn rename(now: &Described, from: &Id, to: &Id) -> Vec<String> {
    let name = plain(&to.name);
    let follows = now.schema.get(from).is_some_and(|object| object.fact("inherited") == Some("only"));
    if follows || (from.name == to.name && from.schema == to.schema) {
        return Vec::new();
    }
    let old = plain(&from.name);
    let is_of_view =
        [Kind::View, Kind::MaterializedView].iter().any(|kind| now.schema.get(&holder(from, *kind)).is_some());
    match from.kind {
        Kind::Column if is_of_view => Vec::new(),
        Kind::Column => vec![format!("ALTER TABLE {} RENAME COLUMN {old} TO {name}", parent(to))],
        Kind::Attribute => vec![format!("ALTER TYPE {} RENAME ATTRIBUTE {old} TO {name}", parent(to))],
        Kind::Constraint if now.schema.get(&holder(from, Kind::Domain)).is_some() => {
            vec![format!("ALTER DOMAIN {} RENAME CONSTRAINT {old} TO {name}", parent(to))]
        }
        Kind::Constraint => vec![format!("ALTER TABLE {} RENAME CONSTRAINT {old} TO {name}", parent(to))],
        Kind::Trigger | Kind::Policy | Kind::Rule => {
            vec![format!("ALTER {} {old} ON {} RENAME TO {name}", from.kind.as_str().to_uppercase(), parent(to))]
        }
        Kind::Cast | Kind::DefaultPrivileges | Kind::Privileges | Kind::UserMapping | Kind::Transform => Vec::new(),
        Kind::Operator if from.name != to.name => Vec::new(),
        _ => moved(now, from, to),
    }
}

fn moved(now: &Described, from: &Id, to: &Id) -> Vec<String> {
    let what = phrase(&now.schema, from);
    let mut all = Vec::new();
    if from.name != to.name {
        all.push(format!("ALTER {what} RENAME TO {}", plain(&to.name)));
    }
    // An index is where its table is, and what is in a schema that got another name moved with it.
    let renamed_schema = now.schema.get(&super::name::named(Kind::Schema, "", &to.schema)).is_none();
    if from.schema != to.schema && !matches!(from.kind, Kind::Index | Kind::Statistics) && !renamed_schema {
        let here = Id { name: to.name.clone(), ..from.clone() };
        all.push(format!("ALTER {} SET SCHEMA {}", phrase(&now.schema, &here), plain(&to.schema)));
    }
    all
}

/// Labels of enums that have other names: as many as before, and the type is still the same one.
fn relabelled(before: &Described, after: &Described) -> Vec<String> {
    let mut all = Vec::new();
    let kept = |id: &Arc<Id>| before.is_same(after, id);
    for object in before.schema.objects().filter(|one| one.id.kind == Kind::Type && kept(&one.id)) {
        let new = after.schema.get(&object.id).and_then(|new| new.fact("labels"));
        let (was, now) = (labels(object.fact("labels").unwrap_or_default()), labels(new.unwrap_or_default()));
        if was.len() == now.len() {
            let pairs = was.iter().zip(&now).filter(|(was, now)| was != now);
            all.extend(
                pairs.map(|(was, now)| format!("ALTER TYPE {} RENAME VALUE {now} TO {was}", qualified(&object.id))),
            );
        }
    }
    all
}
