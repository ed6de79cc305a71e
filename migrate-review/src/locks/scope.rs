//! What a script has changed before a place in it: the meaning of names, the search path, the time zone, domains.
//!
//! The schema is the one before the script, so each name is traced back to the one that it had there.

use std::collections::HashMap;
use std::ops::Range;

use migrate_base::ident::catalog_name;
use migrate_base::sql::{quoted, tokens};
use migrate_schema::Schema;
use squawk_syntax::ast::{self, AstNode, Stmt};

use super::action::Altered;
use super::place::{Known, full};
use super::steady::calls_volatile;
use super::work::has_word;
use crate::tree::Named;
use crate::tree::Savepoints;
use crate::tree::{Target, named, relation_names, targets};

/// What the statements of a script change, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scopes {
    events: Vec<(usize, Event)>,
    /// Which of them are about a relation, a domain or a function with this last name. A chain of scripts has many
    /// events, and each name is looked up for each statement.
    named: HashMap<String, Vec<usize>>,
    savepoints: Savepoints,
    /// What the script undoes, up to the end of each place.
    undone: Vec<Range<usize>>,
}

#[derive(Debug, Clone)]
enum Event {
    /// The name before the script of a relation or an index that now has this name; `None` for one that the script
    /// creates.
    Name(Named, Option<Named>),
    /// The search path; `None` if the session decides.
    Path(Option<Vec<String>>),
    /// Whether the time zone is known to be UTC.
    Utc(bool),
    /// A domain that the script creates or changes.
    Domain(Named, Domain),
    /// A function that the script creates, with its text.
    Function(Named, String),
    /// A constraint of a table that is dropped.
    Unconstrained(Named, String),
    /// A column of a table that can be NULL from here on.
    Nullable(Named, String),
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

impl Event {
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

impl Scopes {
    /// Reads the statements of a script, each with its place.
    pub(crate) fn of<'s>(stmts: impl Iterator<Item = (usize, &'s Stmt)>, before: Option<&Schema>) -> Self {
        let mut all = Self::default();
        stmts.for_each(|(at, stmt)| all.take(at, stmt, before));
        all
    }

    /// Adds a statement that comes after all others.
    pub(crate) fn take(&mut self, at: usize, stmt: &Stmt, before: Option<&Schema>) {
        self.undone.extend(self.savepoints.take(at, stmt));
        let known = Known { before, scopes: Some(self), at: usize::MAX, ..Known::default() };
        events(stmt, &known).into_iter().for_each(|event| self.push(at, event));
    }

    fn push(&mut self, at: usize, event: Event) {
        if let Some(name) = event.name() {
            self.named.entry(name.to_owned()).or_default().push(self.events.len());
        }
        self.events.push((at, event));
    }

    /// Another migration begins, with the settings of the login.
    pub(crate) fn begin(&mut self, at: usize) {
        self.savepoints = Savepoints::default();
        self.push(at, Event::Path(None));
        self.push(at, Event::Utc(true));
    }

    /// The events before a place about objects with this last name, in order.
    fn about(&self, name: &str, is_before: impl Fn(usize) -> bool) -> impl DoubleEndedIterator<Item = (usize, &Event)> {
        let all = self.named.get(name).map(Vec::as_slice).unwrap_or_default();
        let end = all.partition_point(|n| self.events.get(*n).is_some_and(|(place, _)| is_before(*place)));
        all[..end].iter().filter_map(|n| self.events.get(*n)).map(|(place, event)| (*place, event))
    }

    /// The same, including the statement that begins there.
    fn up_to(&self, at: usize, name: &str) -> impl Iterator<Item = &Event> {
        let events = self.about(name, move |place| place <= at);
        events.filter(move |(place, _)| !self.is_undone(*place, at)).map(|(_, event)| event)
    }

    /// The same, latest first.
    fn latest(&self, at: usize, name: &str) -> impl Iterator<Item = &Event> {
        let events = self.about(name, move |place| place < at).rev();
        events.filter(move |(place, _)| !self.is_undone(*place, at)).map(|(_, event)| event)
    }

    /// The events before a place, latest first.
    fn before(&self, at: usize) -> impl Iterator<Item = &Event> {
        let end = self.events.partition_point(|(place, _)| *place < at);
        self.events[..end].iter().rev().filter(move |(place, _)| !self.is_undone(*place, at)).map(|(_, event)| event)
    }

    /// Whether an event at a place is undone before another place.
    fn is_undone(&self, place: usize, at: usize) -> bool {
        self.undone.iter().any(|undone| undone.contains(&place) && undone.end <= at)
    }
}

impl<'a> Known<'a> {
    fn events(&self) -> impl Iterator<Item = &'a Event> + use<'a> {
        let at = self.at;
        self.scopes.into_iter().flat_map(move |scopes| scopes.before(at))
    }

    /// The events about objects with this last name, latest first.
    fn events_of<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a Event> + use<'a, 'n> {
        let at = self.at;
        self.scopes.into_iter().flat_map(move |scopes| scopes.latest(at, name))
    }

    /// The full name before the script, if it has changed; `Some(None)` for an object that the script creates.
    pub(super) fn stands_for(&self, name: &Named) -> Option<Option<Named>> {
        self.events_of(&name.name).find_map(|event| match event {
            Event::Name(new, old) if new == name => Some(old.clone()),
            _ => None,
        })
    }

    /// Whether the script creates a relation of this name, or has dropped it.
    pub(super) fn is_own(&self, name: &Named) -> bool {
        let mut events = self.scopes.into_iter().flat_map(|scopes| scopes.up_to(self.at, &name.name));
        events.any(|event| {
            matches!(event, Event::Name(one, None)
                if one.name == name.name && (name.schema.is_none() || name.schema == one.schema))
        })
    }

    /// The texts of functions of this name that the script creates, latest first.
    pub(super) fn own_functions(&self, name: &Named) -> Vec<&'a str> {
        let is_it = |one: &Named| one.name == name.name && (name.schema.is_none() || one.schema == name.schema);
        let own = self.events_of(&name.name).filter_map(|event| match event {
            Event::Function(one, text) if is_it(one) => Some(text.as_str()),
            _ => None,
        });
        own.collect()
    }

    /// The full names with this last part that the script gives to objects.
    pub(super) fn given(&self, name: &str) -> Vec<Named> {
        let given = self.events_of(name).filter_map(|event| match event {
            Event::Name(new, _) if new.name == *name => Some(new.clone()),
            _ => None,
        });
        given.collect()
    }

    /// The search path, if the script sets it.
    pub(super) fn path(&self) -> Option<&'a [String]> {
        let path = self.events().find_map(|event| if let Event::Path(path) = event { Some(path) } else { None });
        path.and_then(|path| path.as_deref())
    }

    /// Whether the time zone of the session is UTC, as it is at the start of each migration.
    pub(super) fn is_utc(&self) -> bool {
        self.events().find_map(|event| if let Event::Utc(utc) = event { Some(*utc) } else { None }).unwrap_or(true)
    }

    /// Whether a constraint of a table has been dropped. A statement drops before it does anything else.
    pub(super) fn is_dropped(&self, table: &Named, constraint: &str) -> bool {
        let mut events = self.scopes.into_iter().flat_map(|scopes| scopes.up_to(self.at, &table.name));
        events.any(|event| matches!(event, Event::Unconstrained(of, name) if of == table && name == constraint))
    }

    /// Whether a statement of the script has made a column nullable.
    pub(super) fn is_nullable(&self, table: &Named, column: &str) -> bool {
        let mut events = self.scopes.into_iter().flat_map(|scopes| scopes.up_to(self.at, &table.name));
        events.any(|event| matches!(event, Event::Nullable(of, name) if of == table && name == column))
    }

    /// A domain that the script has created or changed.
    pub(super) fn own_domain(&self, name: &Named) -> Option<Domain> {
        let is_it = |one: &Named| one.name == name.name && (name.schema.is_none() || one.schema == name.schema);
        self.events_of(&name.name).find_map(|event| match event {
            Event::Domain(one, domain) if is_it(one) => Some(domain.clone()),
            _ => None,
        })
    }

    /// The full name of a new object.
    fn made(&self, name: &Named) -> Named {
        let schema = || self.path().and_then(|path| path.first().cloned()).unwrap_or_else(|| "public".to_owned());
        Named { schema: Some(name.schema.clone().unwrap_or_else(schema)), name: name.name.clone() }
    }
}

fn events(stmt: &Stmt, known: &Known<'_>) -> Vec<Event> {
    match stmt {
        Stmt::CreateTable(it) => {
            made(known, it.table_name().and_then(|name| named(&name)), it.if_not_exists().is_some())
        }
        Stmt::CreateTableAs(it) => {
            made(known, it.table_name().and_then(|name| named(&name)), it.if_not_exists().is_some())
        }
        Stmt::CreateMaterializedView(it) => {
            made(known, it.view().and_then(|name| named(&name)), it.if_not_exists().is_some())
        }
        Stmt::CreateView(it) => made(known, it.view().and_then(|name| named(&name)), it.or_replace().is_some()),
        Stmt::DropTable(_) | Stmt::DropView(_) | Stmt::DropMaterializedView(_) | Stmt::DropForeignTable(_) => {
            let found = relation_names(stmt).filter_map(|name| known.current(&name));
            found.map(|name| Event::Name(name, None)).collect()
        }
        Stmt::DropSchema(it) => {
            let schemas = it.schema_refs().filter_map(|name| named(&name));
            let inside = schemas.flat_map(|schema| known.inside(&schema.name));
            inside.map(|name| Event::Name(name, None)).collect()
        }
        Stmt::AlterSchema(it) => moved(known, it),
        Stmt::CreateFunction(it) => {
            let name = it.name().and_then(|name| named(&name));
            name.map(|name| Event::Function(known.made(&name), text(it))).into_iter().collect()
        }
        Stmt::CreateDomain(it) => {
            it.domain().and_then(|name| named(&name)).map(|name| domain(known, it, &name)).into_iter().collect()
        }
        Stmt::AlterDomain(it) => stricter(known, it).into_iter().collect(),
        Stmt::Set(_) | Stmt::Reset(_) | Stmt::Discard(_) | Stmt::Select(_) => settings(&text(stmt)),
        Stmt::AlterTable(it) => renamed(known, stmt).into_iter().chain(loosened(known, it)).collect(),
        _ => renamed(known, stmt),
    }
}

/// What an `ALTER TABLE` no longer proves.
fn loosened(known: &Known<'_>, alter: &ast::AlterTable) -> Vec<Event> {
    use ast::{AlterColumnOption, AlterTableAction as A};
    let Some(Altered { table, .. }) = Altered::of(known, alter) else { return Vec::new() };
    let event = |action: A| match action {
        A::DropConstraint(it) => Some(Event::Unconstrained(table.clone(), named(&it.constraint_name_ref()?)?.name)),
        A::AlterColumn(it) if matches!(it.option(), Some(AlterColumnOption::DropNotNull(_))) => {
            Some(Event::Nullable(table.clone(), named(&it.column_name_ref()?)?.name))
        }
        _ => None,
    };
    alter.actions().filter_map(event).collect()
}

fn text(node: &impl AstNode) -> String {
    node.syntax().text().to_string()
}

/// From here on the name of a new relation refers to it.
fn made(known: &Known<'_>, name: Option<Named>, only_if_new: bool) -> Vec<Event> {
    let Some(name) = name else { return Vec::new() };
    let is_there = known.before.is_some() && known.relation(&name).is_some();
    (!is_there || !only_if_new).then(|| Event::Name(known.made(&name), None)).into_iter().collect()
}

/// `ALTER … RENAME TO`, `ALTER … SET SCHEMA`.
fn renamed(known: &Known<'_>, stmt: &Stmt) -> Vec<Event> {
    let Some(Target::Relation(name) | Target::Index(name) | Target::Other(name)) = targets(stmt).into_iter().next()
    else {
        return Vec::new();
    };
    let text = text(stmt);
    let words = tokens(text.trim_end().trim_end_matches(';'));
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let new = match (words.as_slice(), lower.iter().rev().map(String::as_str).collect::<Vec<_>>().as_slice()) {
        ([.., new], [_, "to", "rename", ..]) => catalog_name(new).map(|new| (None, Some(new))),
        ([.., new], [_, "schema", "set", ..]) => catalog_name(new).map(|new| (Some(new), None)),
        _ => None,
    };
    let Some((schema, new)) = new else { return Vec::new() };
    let (Some(old), Some(original)) = (known.current(&name), known.original(&name)) else { return Vec::new() };
    let new = Named { schema: schema.or_else(|| old.schema.clone()), name: new.unwrap_or_else(|| old.name.clone()) };
    vec![Event::Name(old, None), Event::Name(new, Some(original))]
}

/// `ALTER SCHEMA … RENAME TO`.
fn moved(known: &Known<'_>, alter: &ast::AlterSchema) -> Vec<Event> {
    let text = text(alter);
    let words = tokens(text.trim_end().trim_end_matches(';'));
    let [_, _, old, rename, _, new] = words.as_slice() else { return Vec::new() };
    let Some((old, new)) = catalog_name(old).zip(catalog_name(new)).filter(|_| rename.eq_ignore_ascii_case("rename"))
    else {
        return Vec::new();
    };
    let inside = known.inside(&old).into_iter().flat_map(|name| {
        let moved = Named { schema: Some(new.clone()), name: name.name.clone() };
        [Event::Name(name.clone(), None), Event::Name(moved, Some(name))]
    });
    inside.collect()
}

fn domain(known: &Known<'_>, create: &ast::CreateDomain, name: &Named) -> Event {
    let node = create.syntax();
    let ty = create.ty().map(|ty| text(&ty).trim().to_owned()).unwrap_or_default();
    let base = Named::parse(&ty).and_then(|ty| known.domain(&ty)).unwrap_or_default();
    let has_default = has_word(node, "default");
    let domain = Domain {
        ty,
        from_catalog: false,
        strict: has_word(node, "check") || has_word(node, "not") || base.strict,
        volatile: if has_default { calls_volatile(known, node) } else { base.volatile },
    };
    Event::Domain(known.made(name), domain)
}

/// A domain that begins to constrain its values.
fn stricter(known: &Known<'_>, alter: &ast::AlterDomain) -> Option<Event> {
    use ast::AlterDomainAction as A;
    matches!(alter.action(), Some(A::AddConstraint(_) | A::SetNotNull(_))).then_some(())?;
    let name = named(&alter.domain_ref()?)?;
    let domain = known.domain(&name)?;
    Some(Event::Domain(known.made(&name), Domain { strict: true, ..domain }))
}

/// `SET`, `RESET`, `DISCARD ALL`, and `SELECT set_config(…)`.
fn settings(text: &str) -> Vec<Event> {
    let words = tokens(text.trim_end().trim_end_matches(';'));
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    // `SET SESSION CHARACTERISTICS` is none of these.
    let rest: Vec<&str> =
        lower.iter().map(String::as_str).filter(|word| !matches!(*word, "local" | "session")).collect();
    let values = |skip: usize| words[words.len().saturating_sub(rest.len().saturating_sub(skip))..].to_vec();
    match rest.as_slice() {
        ["set", "time", "zone", ..] => vec![Event::Utc(is_utc(&values(3)))],
        ["set", "timezone", "=" | "to", ..] => vec![Event::Utc(is_utc(&values(3)))],
        ["set", "search_path", "=" | "to", ..] => vec![Event::Path(path(&values(3)))],
        ["set", "schema", _] => vec![Event::Path(path(&values(2)))],
        ["reset", "all"] | ["discard", "all"] => vec![Event::Utc(true), Event::Path(None)],
        ["reset", "timezone"] | ["reset", "time", "zone"] => vec![Event::Utc(true)],
        ["reset", "search_path"] => vec![Event::Path(None)],
        [.., "(", "'search_path'", ",", _, ",", _, ")"] if lower.iter().any(|word| word == "set_config") => {
            let value = words.get(words.len() - 4).and_then(|value| quoted(value));
            let names =
                value.as_deref().map(|value| value.split(',').filter_map(|one| catalog_name(one.trim())).collect());
            vec![Event::Path(names)]
        }
        _ => Vec::new(),
    }
}

/// The names of time zones that are always UTC, and those for the zone that a migration starts with.
fn is_utc(values: &[&str]) -> bool {
    let value = values.concat().trim_matches('\'').to_ascii_lowercase();
    matches!(value.as_str(), "default" | "local" | "utc" | "etc/utc" | "gmt" | "etc/gmt" | "uct" | "zulu" | "0")
}

/// The schemas of a list, as names or as literals; `DEFAULT` means the setting of the session.
fn path(values: &[&str]) -> Option<Vec<String>> {
    if matches!(values, [word] if word.eq_ignore_ascii_case("default")) {
        return None;
    }
    let names = values.iter().filter_map(|value| match value.starts_with('\'') {
        true => quoted(value).map(|text| text.into_owned()),
        false => catalog_name(value),
    });
    Some(names.filter(|name| !name.is_empty()).collect())
}

impl Known<'_> {
    /// The full name of a relation or an index at this place of the script.
    fn current(&self, name: &Named) -> Option<Named> {
        match self.before {
            Some(_) => self.found(name).map(|(current, _)| current),
            None => Some(name.clone()),
        }
    }

    /// The full name that a relation or an index had before the script.
    fn original(&self, name: &Named) -> Option<Named> {
        match self.before {
            Some(_) => self.found(name).map(|(_, object)| full(&object.id)),
            None => self.full(name),
        }
    }
}
