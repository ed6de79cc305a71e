//! Statements that rename an object, or move it into another schema.

use std::collections::HashMap;
use std::sync::Arc;

use migrate_base::ident::plain;

use super::labels::labels;
use super::name::{aside, holder, named, parent, phrase, qualified};
use super::{DdlStatement, sequence};
use crate::SchemaDescription;
use crate::object::{Id, Kind};

/// An object that has a name or schema of its own, which is different later in the same database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renaming {
    /// Its first name.
    pub old: Arc<Id>,
    /// Its later name.
    pub new: Arc<Id>,
    /// The first and the later name of an enum label, if a label is renamed.
    pub label: Option<(String, String)>,
    /// Whether it moves into another schema by itself.
    pub moves: bool,
}

impl Renaming {
    /// The reverse.
    pub fn reversed(&self) -> Self {
        let label = self.label.clone().map(|(old, new)| (new, old));
        Self { old: self.new.clone(), new: self.old.clone(), label, moves: self.moves }
    }
}

/// The objects that have another name or schema later, a table before its parts. Objects that only follow their table
/// or schema are not listed.
pub fn renamings(before: &SchemaDescription, after: &SchemaDescription) -> Vec<Renaming> {
    let pairs = before.renamed(after);
    let follows_schema = |old: &Id, new: &Id| {
        let is_it =
            |(a, b): &(Arc<Id>, Arc<Id>)| a.kind == Kind::Schema && a.name == old.schema && b.name == new.schema;
        pairs.iter().any(is_it)
    };
    let mut all: Vec<Renaming> = Vec::new();
    for (old, new) in &pairs {
        let is_apart = old.parent.is_empty() || old.kind == Kind::Statistics;
        let follows = || is_owned(before, old) && is_owned(after, new);
        let moves = old.schema != new.schema && is_apart && !follows() && !follows_schema(old, new);
        if (moves || old.name != new.name) && can_be_renamed(after, old, new) {
            all.push(Renaming { old: old.clone(), new: new.clone(), label: None, moves });
        }
    }
    all.sort_by_key(|one| (!one.old.parent.is_empty(), one.old.clone()));
    all.extend(relabelled(before, after));
    all
}

/// The statements that restore the old names of everything that is renamed later, in the same database.
pub fn renames_back(before: &SchemaDescription, after: &SchemaDescription) -> Vec<DdlStatement> {
    renames(before, after, &renamings(before, after))
}

/// The statements that attach sequences to their columns again once everything has its old name: a sequence that moves
/// into another schema is detached from its column.
pub fn owned_back(before: &SchemaDescription, after: &SchemaDescription) -> Vec<DdlStatement> {
    let owned = before.schema.objects().filter(|one| is_owned(before, &one.id) && !sequence::is_identity(one));
    let lost = owned.filter(|one| before.later(after, &one.id).is_some_and(|now| !is_owned(after, now)));
    let texts = lost
        .filter_map(|one| Some(format!("ALTER SEQUENCE {} OWNED BY {}", qualified(&one.id), one.fact("owned by")?)));
    texts.map(DdlStatement::new).collect()
}

/// The statements that give these objects their `wanted` names if they have other names `now`, in the same database.
pub fn renames(wanted: &SchemaDescription, now: &SchemaDescription, all: &[Renaming]) -> Vec<DdlStatement> {
    let mut names = CurrentNames { now, moved: HashMap::new() };
    let mut texts: Vec<String> = Vec::new();
    for Renaming { old, new, label, moves } in all {
        let mut current = names.current(new);
        if let Some((was, is)) = label {
            texts.push(format!("ALTER TYPE {} RENAME VALUE {is} TO {was}", qualified(&current)));
            continue;
        }
        // The types of its arguments have got their names back before.
        current.signature = old.signature.clone();
        let schema = if *moves { &old.schema } else { &current.schema };
        let target = Id { name: old.name.clone(), schema: schema.clone(), ..current.clone() };
        // Another object can have the name: a newer one, or one that gets its own name back later.
        if let Some(other) = names.holder_of(&target, new) {
            let here = names.current(&other);
            let free = Id { name: aside(&wanted.schema, &now.schema, &here).into(), ..here.clone() };
            texts.extend(rename(now, &other, &here, &free));
            names.moved.insert(other, free);
        }
        if *moves {
            let create = format!("CREATE SCHEMA {}", plain(&target.schema));
            if names.lacks_schema(wanted, &target.schema) && !texts.contains(&create) {
                texts.push(create);
            }
            if is_owned(now, new) {
                texts.push(format!("ALTER SEQUENCE {} OWNED BY NONE", qualified(&current)));
            }
        }
        texts.extend(rename(now, new, &current, &target));
        names.moved.insert((**new).clone(), target);
    }
    texts.into_iter().map(DdlStatement::new).collect()
}

/// The current names of everything while some objects have already been renamed.
struct CurrentNames<'a> {
    now: &'a SchemaDescription,
    moved: HashMap<Id, Id>,
}

impl CurrentNames<'_> {
    fn current(&self, id: &Id) -> Id {
        if let Some(current) = self.moved.get(id) {
            return current.clone();
        }
        let mut current = id.clone();
        if id.kind == Kind::Schema {
            return current;
        }
        use Kind::{Domain, ForeignTable, MaterializedView, Table, Type, View};
        let holders = [Table, View, MaterializedView, ForeignTable, Type, Domain].map(|kind| holder(id, kind));
        // Statistics do not move with their table.
        let follows = !id.parent.is_empty() && id.kind != Kind::Statistics;
        match holders.iter().find(|of| follows && self.now.schema.get(of).is_some()) {
            Some(of) => {
                let of = self.current(of);
                (current.schema, current.parent) = (of.schema, of.name);
            }
            None => current.schema = self.current(&named(Kind::Schema, "", &id.schema)).name,
        }
        current
    }

    /// The object that has a name now; tables, views and sequences share a namespace.
    fn holder_of(&self, wanted: &Id, asks: &Id) -> Option<Id> {
        let relations = [Kind::Table, Kind::View, Kind::MaterializedView, Kind::Sequence, Kind::ForeignTable];
        let kinds = if relations.contains(&wanted.kind) { relations.to_vec() } else { vec![wanted.kind] };
        let has_it = |id: &Id| {
            let current = self.current(id);
            id != asks && current == Id { kind: id.kind, ..wanted.clone() }
        };
        let may_have = |id: &&Arc<Id>| {
            kinds.contains(&id.kind) && (id.name == wanted.name || self.moved.contains_key(&***id)) && has_it(id)
        };
        self.now.schema.objects().map(|object| &object.id).find(may_have).map(|id| (**id).clone())
    }

    /// Whether a wanted schema no longer exists.
    fn lacks_schema(&self, wanted: &SchemaDescription, name: &str) -> bool {
        let is_it = |id: &Id| id.kind == Kind::Schema && *self.current(id).name == *name;
        wanted.schema.get(&named(Kind::Schema, "", name)).is_some()
            && !self.now.schema.objects().any(|object| is_it(&object.id))
    }
}

/// Whether a sequence is owned by a column, with which it moves into another schema.
fn is_owned(described: &SchemaDescription, id: &Id) -> bool {
    id.kind == Kind::Sequence && described.schema.get(id).is_some_and(|object| object.fact("owned by").is_some())
}

/// Whether it has a name that a statement can change, rather than one that follows from something else.
fn can_be_renamed(now: &SchemaDescription, old: &Id, new: &Id) -> bool {
    let follows = now.schema.get(new).is_some_and(|object| object.fact("inherited") == Some("only"));
    let is_of_view =
        || [Kind::View, Kind::MaterializedView].iter().any(|kind| now.schema.get(&holder(new, *kind)).is_some());
    match new.kind {
        _ if follows => false,
        Kind::Column => !is_of_view(),
        Kind::Cast | Kind::DefaultPrivileges | Kind::Privileges | Kind::UserMapping | Kind::Transform => false,
        Kind::Operator => old.name == new.name,
        _ => true,
    }
}

/// From one name to another: the name, and the schema; `now` knows it by its `id`.
fn rename(now: &SchemaDescription, id: &Id, from: &Id, to: &Id) -> Vec<String> {
    let (of, old, name) = (parent(from), plain(&from.name), plain(&to.name));
    match from.kind {
        Kind::Column => vec![format!("ALTER TABLE {of} RENAME COLUMN {old} TO {name}")],
        Kind::Attribute => vec![format!("ALTER TYPE {of} RENAME ATTRIBUTE {old} TO {name}")],
        Kind::Constraint => {
            let kind = if now.schema.get(&holder(id, Kind::Domain)).is_some() { "DOMAIN" } else { "TABLE" };
            vec![format!("ALTER {kind} {of} RENAME CONSTRAINT {old} TO {name}")]
        }
        Kind::Trigger | Kind::Policy | Kind::Rule => {
            vec![format!("ALTER {} {old} ON {of} RENAME TO {name}", from.kind.as_str().to_uppercase())]
        }
        _ => {
            let named = (from.name != to.name).then(|| format!("ALTER {} RENAME TO {name}", phrase(&now.schema, from)));
            let here = Id { name: to.name.clone(), ..from.clone() };
            let moved = (from.schema != to.schema)
                .then(|| format!("ALTER {} SET SCHEMA {}", phrase(&now.schema, &here), plain(&to.schema)));
            named.into_iter().chain(moved).collect()
        }
    }
}

/// Renamed labels of enums: the number of labels is the same, and the type is still the same one.
fn relabelled(before: &SchemaDescription, after: &SchemaDescription) -> Vec<Renaming> {
    let mut all = Vec::new();
    for object in before.schema.objects().filter(|one| one.id.kind == Kind::Type) {
        let Some(new) = before.later(after, &object.id) else { continue };
        let later = after.schema.get(new).and_then(|new| new.fact("labels"));
        let (was, now) = (labels(object.fact("labels").unwrap_or_default()), labels(later.unwrap_or_default()));
        if was.len() == now.len() {
            let pairs = was.into_iter().zip(now).filter(|(was, now)| was != now);
            all.extend(pairs.map(|pair| Renaming {
                old: object.id.clone(),
                new: new.clone(),
                label: Some(pair),
                moves: false,
            }));
        }
    }
    all
}
