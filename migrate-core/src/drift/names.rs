//! Finds which of the renames in pending migrations somebody has already made by hand.

use std::sync::Arc;

use migrate_base::ident::{literal, literals, plain};
use migrate_schema::ddl::Renaming;
use migrate_schema::{Id, Kind, Schema};

use super::pending::{ChangeState, PendingChange};

/// The renames of pending migrations, by their state in the database.
#[derive(Debug, Clone, Default)]
pub struct PendingRenames {
    /// Renames that are done.
    pub done: Vec<Renaming>,
    /// Renames that are still to be done.
    pub open: Vec<Renaming>,
    /// Renames of objects that have neither name.
    pub gone: Vec<Renaming>,
    /// The same as parts of the migrations' changes.
    pub parts: Vec<PendingChange>,
}

impl PendingRenames {
    /// Looks for the old and the new names in the database; `before` and `after` are the schemas of the chain without
    /// and with the pending migrations.
    pub fn seen(before: &Schema, after: &Schema, there: &Schema, all: Vec<Renaming>) -> Self {
        let mut names = Self::default();
        for one in all.clone() {
            let (old, new) = names.places(&one);
            let is_new = match &one.label {
                Some((was, now)) => {
                    let object = there.get(&old).or_else(|| there.get(&new));
                    let labels = object.and_then(|object| object.fact("labels")).map(literals).unwrap_or_default();
                    let has = |label: &str| labels.iter().any(|other| literal(other) == *label);
                    (has(was), has(now))
                }
                None => (there.get(&old).is_some(), there.get(&new).is_some()),
            };
            // A name that becomes free may have been reused by the migration itself.
            let is_taken_again = || {
                let later = Id { name: one.old.name.clone(), ..(*one.new).clone() };
                let earlier = Id { name: one.new.name.clone(), ..(*one.old).clone() };
                one.label.is_none() && after.get(&later).is_some() && before.get(&earlier).is_none()
            };
            let (list, part) = match is_new {
                (false, false) => (&mut names.gone, None),
                (false, true) => (&mut names.done, Some(part(&one, &new, ChangeState::There))),
                (true, true) if is_taken_again() => (&mut names.done, Some(part(&one, &new, ChangeState::There))),
                (true, true) if is_swapped(&one, (before, after), (there, &old, &new)) => {
                    (&mut names.done, Some(part(&one, &new, ChangeState::There)))
                }
                // The object that has the name is to be renamed as well.
                (true, true) if all.iter().any(|other| *other.old == new) => {
                    (&mut names.open, Some(part(&one, &old, ChangeState::Missing)))
                }
                (true, true) => (&mut names.open, Some(part(&one, &old, ChangeState::Differs))),
                (true, false) => (&mut names.open, Some(part(&one, &old, ChangeState::Missing))),
            };
            list.push(one);
            names.parts.extend(part);
        }
        names
    }

    /// Its old and its new identity, with the present names of its parents.
    fn places(&self, one: &Renaming) -> (Id, Id) {
        let (mut old, mut new) = ((*one.old).clone(), (*one.new).clone());
        if one.moves || one.label.is_some() {
            return (old, new);
        }
        let is_holder = |other: &Renaming| {
            other.label.is_none()
                && other.new.parent.is_empty()
                && !one.new.parent.is_empty()
                && (&other.new.name, &other.new.schema) == (&one.new.parent, &one.new.schema)
        };
        let is_schema = |other: &Renaming| other.new.kind == Kind::Schema && other.new.name == one.new.schema;
        let is_new = match self.open.iter().any(is_holder) {
            true => false,
            false => self.done.iter().any(|other| is_holder(other) || is_schema(other)),
        };
        match is_new {
            true => (old.schema, old.parent) = (new.schema.clone(), new.parent.clone()),
            false => (new.schema, new.parent) = (old.schema.clone(), old.parent.clone()),
        }
        (old, new)
    }
}

/// Whether the object with the new name is the renamed one, and the object with the old name is a different one: a swap
/// of names.
fn is_swapped(one: &Renaming, (before, after): (&Schema, &Schema), (there, old, new): (&Schema, &Id, &Id)) -> bool {
    one.label.is_none() && is_alike((after, &one.new), (there, new)) && !is_alike((before, &one.old), (there, old))
}

/// Whether two objects are the same except for their names, including their columns and their position among others.
fn is_alike((a, one): (&Schema, &Id), (b, other): (&Schema, &Id)) -> bool {
    let itself = |schema: &Schema, id: &Id| {
        schema.get(id).map(|object| (object.facts.clone(), object.position.filter(|_| id.kind == Kind::Column)))
    };
    let columns = |schema: &Schema, id: &Id| -> Vec<_> {
        let all = schema.children(id, Kind::Column);
        all.map(|one| (one.id.name.clone(), one.facts.clone())).collect()
    };
    itself(a, one) == itself(b, other) && columns(a, one) == columns(b, other)
}

/// Describes one rename; `id` is the existing object.
fn part(one: &Renaming, id: &Id, done: ChangeState) -> PendingChange {
    let mut changes = Vec::new();
    if let Some((was, now)) = &one.label {
        changes.push(match done {
            ChangeState::There => format!("label {now} renamed from {was}"),
            _ => format!("label {was} to be renamed to {now}"),
        });
    } else {
        if one.old.name != one.new.name {
            changes.push(match done {
                ChangeState::There => format!("renamed from {}", plain(&one.old.name)),
                _ => format!("to be renamed to {}", plain(&one.new.name)),
            });
        }
        if one.moves {
            changes.push(match done {
                ChangeState::There => format!("moved from schema {}", plain(&one.old.schema)),
                _ => format!("to be moved to schema {}", plain(&one.new.schema)),
            });
        }
    }
    let taken = if done == ChangeState::Differs { ", which also exists" } else { "" };
    PendingChange {
        object: Arc::new(id.clone()),
        done,
        sentences: vec![format!("{id}: {}{taken}", changes.join(" and "))],
    }
}
