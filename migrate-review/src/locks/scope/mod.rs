//! What a script has changed before a place in it: the meaning of names, the search path, the time zone, domains.
//!
//! The schema is the one before the script, so each name is traced back to the one that it had there.

mod events;
mod settings;

use std::collections::HashMap;
use std::ops::Range;

use migrate_schema::Schema;
use squawk_syntax::ast::Stmt;

use super::place::{ScriptContext, full};
use crate::tree::{ObjectName, Savepoints};

/// What the statements of a script change, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScriptChanges {
    events: Vec<(usize, ScriptChange)>,
    /// Which of them are about a relation, a domain or a function with this last name. A chain of scripts has many
    /// events, and each name is looked up for each statement.
    named: HashMap<String, Vec<usize>>,
    savepoints: Savepoints,
    /// What the script undoes, up to the end of each place.
    undone: Vec<Range<usize>>,
}

#[derive(Debug, Clone)]
enum ScriptChange {
    /// The name before the script of a relation or an index that now has this name; `None` for one that the script
    /// creates.
    Name(ObjectName, Option<ObjectName>),
    /// The search path; `None` if the session decides.
    Path(Option<Vec<String>>),
    /// Whether the time zone is known to be UTC.
    Utc(bool),
    /// A domain that the script creates or changes.
    Domain(ObjectName, Domain),
    /// A function that the script creates, with its text.
    Function(ObjectName, String),
    /// A constraint of a table that is dropped.
    Unconstrained(ObjectName, String),
    /// A column of a table that can be NULL from here on.
    Nullable(ObjectName, String),
}

/// A domain, as far as it matters for rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Domain {
    /// Its base type.
    pub(super) ty: String,
    /// Whether the type is spelled as in the catalog.
    pub(super) from_catalog: bool,
    /// Whether it constrains its values.
    pub(super) strict: bool,
    /// Whether its default can differ from row to row.
    pub(super) volatile: bool,
}

impl ScriptChange {
    /// The last name of the object; `None` if it is about the session.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Path(_) | Self::Utc(_) => None,
            Self::Name(of, _)
            | Self::Domain(of, _)
            | Self::Function(of, _)
            | Self::Unconstrained(of, _)
            | Self::Nullable(of, _) => Some(&of.name),
        }
    }
}

impl ScriptChanges {
    /// Reads the statements of a script, each with its place.
    pub(crate) fn of<'s>(stmts: impl Iterator<Item = (usize, &'s Stmt)>, before: Option<&Schema>) -> Self {
        let mut all = Self::default();
        stmts.for_each(|(at, stmt)| all.take(at, stmt, before));
        all
    }

    /// Adds a statement that comes after all others.
    pub(crate) fn take(&mut self, at: usize, stmt: &Stmt, before: Option<&Schema>) {
        self.undone.extend(self.savepoints.take(at, stmt));
        let known = ScriptContext { before, scopes: Some(self), at: usize::MAX, ..ScriptContext::default() };
        events::of(stmt, &known).into_iter().for_each(|event| self.push(at, event));
    }

    fn push(&mut self, at: usize, event: ScriptChange) {
        if let Some(name) = event.name() {
            self.named.entry(name.to_owned()).or_default().push(self.events.len());
        }
        self.events.push((at, event));
    }

    /// Another migration begins, with the settings of the login.
    pub(crate) fn begin(&mut self, at: usize) {
        self.savepoints = Savepoints::default();
        self.push(at, ScriptChange::Path(None));
        self.push(at, ScriptChange::Utc(true));
    }

    /// The events before a place about objects with this last name, in order.
    fn about(
        &self,
        name: &str,
        is_before: impl Fn(usize) -> bool,
    ) -> impl DoubleEndedIterator<Item = (usize, &ScriptChange)> {
        let all = self.named.get(name).map(Vec::as_slice).unwrap_or_default();
        let end = all.partition_point(|n| self.events.get(*n).is_some_and(|(place, _)| is_before(*place)));
        all[..end].iter().filter_map(|n| self.events.get(*n)).map(|(place, event)| (*place, event))
    }

    /// The same, including the statement that begins there.
    fn up_to(&self, at: usize, name: &str) -> impl Iterator<Item = &ScriptChange> {
        let events = self.about(name, move |place| place <= at);
        events.filter(move |(place, _)| !self.is_undone(*place, at)).map(|(_, event)| event)
    }

    /// The same, latest first.
    fn latest(&self, at: usize, name: &str) -> impl Iterator<Item = &ScriptChange> {
        let events = self.about(name, move |place| place < at).rev();
        events.filter(move |(place, _)| !self.is_undone(*place, at)).map(|(_, event)| event)
    }

    /// The events before a place, latest first.
    fn before(&self, at: usize) -> impl Iterator<Item = &ScriptChange> {
        let end = self.events.partition_point(|(place, _)| *place < at);
        self.events[..end].iter().rev().filter(move |(place, _)| !self.is_undone(*place, at)).map(|(_, event)| event)
    }

    /// Whether an event at a place is undone before another place.
    fn is_undone(&self, place: usize, at: usize) -> bool {
        self.undone.iter().any(|undone| undone.contains(&place) && undone.end <= at)
    }
}

impl<'a> ScriptContext<'a> {
    fn events(&self) -> impl Iterator<Item = &'a ScriptChange> + use<'a> {
        let at = self.at;
        self.scopes.into_iter().flat_map(move |scopes| scopes.before(at))
    }

    /// The events about objects with this last name, latest first.
    fn events_of<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a ScriptChange> + use<'a, 'n> {
        let at = self.at;
        self.scopes.into_iter().flat_map(move |scopes| scopes.latest(at, name))
    }

    /// The full name before the script, if it has changed; `Some(None)` for an object that the script creates.
    pub(super) fn stands_for(&self, name: &ObjectName) -> Option<Option<ObjectName>> {
        self.events_of(&name.name).find_map(|event| match event {
            ScriptChange::Name(new, old) if new == name => Some(old.clone()),
            _ => None,
        })
    }

    /// Whether the script creates a relation of this name, or has dropped it.
    pub(super) fn is_own(&self, name: &ObjectName) -> bool {
        let mut events = self.scopes.into_iter().flat_map(|scopes| scopes.up_to(self.at, &name.name));
        events.any(|event| {
            matches!(event, ScriptChange::Name(one, None)
                if one.name == name.name && (name.schema.is_none() || name.schema == one.schema))
        })
    }

    /// The texts of functions of this name that the script creates, latest first.
    pub(super) fn own_functions(&self, name: &ObjectName) -> Vec<&'a str> {
        let is_it = |one: &ObjectName| one.name == name.name && (name.schema.is_none() || one.schema == name.schema);
        let own = self.events_of(&name.name).filter_map(|event| match event {
            ScriptChange::Function(one, text) if is_it(one) => Some(text.as_str()),
            _ => None,
        });
        own.collect()
    }

    /// The full names with this last part that the script gives to objects.
    pub(super) fn given(&self, name: &str) -> Vec<ObjectName> {
        let given = self.events_of(name).filter_map(|event| match event {
            ScriptChange::Name(new, _) if new.name == *name => Some(new.clone()),
            _ => None,
        });
        given.collect()
    }

    /// The search path, if the script sets it.
    pub(super) fn path(&self) -> Option<&'a [String]> {
        let path = self.events().find_map(|event| if let ScriptChange::Path(path) = event { Some(path) } else { None });
        path.and_then(|path| path.as_deref())
    }

    /// Whether the time zone of the session is UTC, as it is at the start of each migration.
    pub(super) fn is_utc(&self) -> bool {
        self.events()
            .find_map(|event| if let ScriptChange::Utc(utc) = event { Some(*utc) } else { None })
            .unwrap_or(true)
    }

    /// Whether a constraint of a table has been dropped. A statement drops before it does anything else.
    pub(super) fn is_dropped(&self, table: &ObjectName, constraint: &str) -> bool {
        let mut events = self.scopes.into_iter().flat_map(|scopes| scopes.up_to(self.at, &table.name));
        events.any(|event| matches!(event, ScriptChange::Unconstrained(of, name) if of == table && name == constraint))
    }

    /// Whether a statement of the script has made a column nullable.
    pub(super) fn is_nullable(&self, table: &ObjectName, column: &str) -> bool {
        let mut events = self.scopes.into_iter().flat_map(|scopes| scopes.up_to(self.at, &table.name));
        events.any(|event| matches!(event, ScriptChange::Nullable(of, name) if of == table && name == column))
    }

    /// A domain that the script has created or changed.
    pub(super) fn own_domain(&self, name: &ObjectName) -> Option<Domain> {
        let is_it = |one: &ObjectName| one.name == name.name && (name.schema.is_none() || one.schema == name.schema);
        self.events_of(&name.name).find_map(|event| match event {
            ScriptChange::Domain(one, domain) if is_it(one) => Some(domain.clone()),
            _ => None,
        })
    }

    /// The full name of a new object.
    fn made(&self, name: &ObjectName) -> ObjectName {
        let schema = || self.path().and_then(|path| path.first().cloned()).unwrap_or_else(|| "public".to_owned());
        ObjectName { schema: Some(name.schema.clone().unwrap_or_else(schema)), name: name.name.clone() }
    }

    /// The full name of a relation or an index at this place of the script.
    fn current(&self, name: &ObjectName) -> Option<ObjectName> {
        match self.before {
            Some(_) => self.found(name).map(|(current, _)| current),
            None => Some(name.clone()),
        }
    }

    /// The full name that a relation or an index had before the script.
    fn original(&self, name: &ObjectName) -> Option<ObjectName> {
        match self.before {
            Some(_) => self.found(name).map(|(_, object)| full(&object.id)),
            None => self.full(name),
        }
    }
}
