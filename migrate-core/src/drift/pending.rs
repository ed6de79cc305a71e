//! Finds which parts of pending migrations already exist because somebody made them by hand.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_schema::ddl::unowned;
use migrate_schema::{Fact, Id, Object, Schema, SchemaChange, SideNames};

use super::belongs;

/// How much of a migration's change to an object is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeState {
    /// All of it.
    There,
    /// Nothing of it.
    Missing,
    /// A part of it, or something different.
    Differs,
}

/// The change of pending migrations to an object, and how much of it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingChange {
    /// The object.
    pub object: Arc<Id>,
    /// How much of it is done.
    pub done: ChangeState,
    /// The object, or the differences between the database and the migrations, one sentence per fact.
    pub sentences: Vec<String>,
}

/// Three schemas: the one of the applied migrations, the one with the pending migrations, and the actual one.
#[derive(Debug, Clone, Copy)]
pub struct SchemaTriple<'a> {
    /// Without the pending migrations.
    pub before: &'a Schema,
    /// With them.
    pub after: &'a Schema,
    /// What the database has.
    pub there: &'a Schema,
}

impl SchemaTriple<'_> {
    /// The changes of the pending migrations, object by object, ignoring owners; `title` is the name of the database.
    ///
    /// Parts of an object that is created or dropped as a whole are not listed separately, if their state is the same.
    pub fn parts(self, title: &str) -> Vec<PendingChange> {
        let [before, after, there] = [self.before, self.after, self.there].map(unowned);
        let change = SchemaChange::between(&before, &after);
        let ours = change.by_object(SideNames { before: "before", after: "after" });
        let sides = SideNames { before: &format!("in {title}"), after: "in the migrations" };
        let left = SchemaChange::between(&there, &after).by_object(sides);
        let changed = change.objects().filter(|(_, old, new)| old != new);
        let all: Vec<ObjectChange<'_>> = changed.map(|(id, old, new)| ObjectChange::of(id, old, new, &there)).collect();
        let is_told = |one: &&ObjectChange<'_>| !all.iter().any(|other| other.has(one));
        let part = |one: &ObjectChange<'_>| {
            let said = |all: &[(Arc<Id>, Vec<String>)]| {
                let own = all.iter().find(|(object, _)| **object == *one.id);
                own.map_or_else(|| vec![one.id.to_string()], |(_, sentences)| sentences.clone())
            };
            let sentences = match (one.fate, one.done) {
                (_, ChangeState::Differs) => said(&left),
                (ObjectChangeKind::Made, _) => vec![one.id.to_string()],
                (ObjectChangeKind::Dropped, ChangeState::There) => vec![format!("{}: dropped", one.id)],
                (ObjectChangeKind::Dropped, _) => vec![format!("{}: to be dropped", one.id)],
                (ObjectChangeKind::Altered, _) => said(&ours),
            };
            PendingChange { object: Arc::new(one.id.clone()), done: one.done, sentences }
        };
        all.iter().filter(is_told).map(part).collect()
    }

    /// The actual schema with everything that the pending migrations still have to do: if both changed the same fact,
    /// the migrations' value is used, and parts that were added by hand to an object that they drop are dropped with
    /// it.
    pub fn merged(self) -> Schema {
        let [before, after, there] = [self.before, self.after, self.there].map(unowned);
        let dropped: Vec<Id> = {
            let change = SchemaChange::between(&before, &after);
            change.objects().filter(|(_, _, new)| new.is_none()).map(|(id, ..)| id.clone()).collect()
        };
        let differing = |a: &Schema, b: &Schema| -> BTreeSet<Id> {
            let change = SchemaChange::between(a, b);
            change.objects().filter(|(_, old, new)| old != new).map(|(id, ..)| id.clone()).collect()
        };
        let (ours, by_hand) = (differing(&before, &after), differing(&before, &there));
        let both = ours.intersection(&by_hand);
        let woven: Vec<Arc<Object>> = both
            .filter_map(|id| Some(woven(self.before.get(id)?, self.after.get(id)?, self.there.get(id)?)))
            .map(Arc::new)
            .collect();
        let goes = |id: &Id| dropped.iter().any(|dropped| belongs(id, dropped));
        let is_by_hand =
            |object: &Object| by_hand.contains(&object.id) && !ours.contains(&object.id) && !goes(&object.id);
        self.after.clone().as_in(self.there, is_by_hand).with(woven)
    }
}

/// The kind of change to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ObjectChangeKind {
    Made,
    Dropped,
    Altered,
}

/// An object that migrations change, and how much of the change is done.
#[derive(Debug)]
struct ObjectChange<'a> {
    id: &'a Id,
    fate: ObjectChangeKind,
    done: ChangeState,
}

impl<'a> ObjectChange<'a> {
    fn of(id: &'a Id, old: Option<&Object>, new: Option<&Object>, there: &Schema) -> Self {
        let fate = match (old, new) {
            (None, _) => ObjectChangeKind::Made,
            (_, None) => ObjectChangeKind::Dropped,
            _ => ObjectChangeKind::Altered,
        };
        Self { id, fate, done: done(old, new, there.get(id).map(|one| &**one)) }
    }

    /// Whether another change is reported as part of this one.
    fn has(&self, other: &Self) -> bool {
        self.id != other.id
            && self.fate != ObjectChangeKind::Altered
            && (self.fate, self.done) == (other.fate, other.done)
            && belongs(other.id, self.id)
    }
}

/// How much of a change is done.
fn done(before: Option<&Object>, after: Option<&Object>, there: Option<&Object>) -> ChangeState {
    match (before, after, there) {
        _ if there == after => ChangeState::There,
        _ if there == before => ChangeState::Missing,
        (Some(before), Some(after), Some(there)) => {
            let names: BTreeSet<&str> = before.facts.iter().chain(&after.facts).map(|fact| &*fact.name).collect();
            let changed: Vec<&str> = names.into_iter().filter(|name| before.fact(name) != after.fact(name)).collect();
            let all = |of: &Object| changed.iter().all(|name| there.fact(name) == of.fact(name));
            match (all(after), all(before)) {
                (true, _) => ChangeState::There,
                (_, true) => ChangeState::Missing,
                _ => ChangeState::Differs,
            }
        }
        _ => ChangeState::Differs,
    }
}

/// An object with the migrations' changes and the other changes made by hand.
fn woven(before: &Object, after: &Object, there: &Object) -> Object {
    let is_ours = |name: &str| before.fact(name) != after.fact(name);
    let ours = after.facts.iter().filter(|fact| is_ours(&fact.name));
    let by_hand = there.facts.iter().filter(|fact| !is_ours(&fact.name));
    let mut facts: Vec<Fact> = ours.chain(by_hand).cloned().collect();
    facts.sort_unstable();
    Object { id: after.id.clone(), facts, position: after.position }
}
