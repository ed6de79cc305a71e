//! What a script has changed before a place in it: the meaning of names, the search path, the time zone, domains.
//!
//! The schema is the one before the script, so each name is traced back to the one that it had there.

use std::collections::HashMap;
use std::ops::Range;

use migrate_base::ident::catalog_name;
use migrate_base::sql::{quoted, tokens};
use migrate_schema::Schema;
use squawk_syntax::ast::{self, AstNode, Stmt};

use super::action::AlteredTable;
use super::place::{ScriptContext, full};
use super::steady::calls_volatile;
use super::work::has_word;
use crate::tree::ObjectName;
use crate::tree::Savepoints;
use crate::tree::{StatementTarget, named, relation_names, targets};

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
        events(stmt, &known).into_iter().for_each(|event| self.push(at, event));
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
}

fn events(stmt: &Stmt, known: &ScriptContext<'_>) -> Vec<ScriptChange> {
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
            found.map(|name| ScriptChange::Name(name, None)).collect()
        }
        Stmt::DropSchema(it) => {
            let schemas = it.schema_refs().filter_map(|name| named(&name));
            let inside = schemas.flat_map(|schema| known.inside(&schema.name));
            inside.map(|name| ScriptChange::Name(name, None)).collect()
        }
        Stmt::AlterSchema(it) => moved(known, it),
        Stmt::CreateFunction(it) => {
            let name = it.name().and_then(|name| named(&name));
            name.map(|name| ScriptChange::Function(known.made(&name), text(it))).into_iter().collect()
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
fn loosened(known: &ScriptContext<'_>, alter: &ast::AlterTable) -> Vec<ScriptChange> {
    use ast::{AlterColumnOption, AlterTableAction as A};
    let Some(AlteredTable { table, .. }) = AlteredTable::of(known, alter) else { return Vec::new() };
    let event = |action: A| match action {
        A::DropConstraint(it) => {
            Some(ScriptChange::Unconstrained(table.clone(), named(&it.constraint_name_ref()?)?.name))
        }
        A::AlterColumn(it) if matches!(it.option(), Some(AlterColumnOption::DropNotNull(_))) => {
            Some(ScriptChange::Nullable(table.clone(), named(&it.column_name_ref()?)?.name))
        }
        _ => None,
    };
    alter.actions().filter_map(event).collect()
}

fn text(node: &impl AstNode) -> String {
    node.syntax().text().to_string()
}

/// From here on the name of a new relation refers to it.
fn made(known: &ScriptContext<'_>, name: Option<ObjectName>, only_if_new: bool) -> Vec<ScriptChange> {
    let Some(name) = name else { return Vec::new() };
    let is_there = known.before.is_some() && known.relation(&name).is_some();
    (!is_there || !only_if_new).then(|| ScriptChange::Name(known.made(&name), None)).into_iter().collect()
}

/// `ALTER … RENAME TO`, `ALTER … SET SCHEMA`.
fn renamed(known: &ScriptContext<'_>, stmt: &Stmt) -> Vec<ScriptChange> {
    let Some(StatementTarget::Relation(name) | StatementTarget::Index(name) | StatementTarget::Other(name)) =
        targets(stmt).into_iter().next()
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
    let new =
        ObjectName { schema: schema.or_else(|| old.schema.clone()), name: new.unwrap_or_else(|| old.name.clone()) };
    vec![ScriptChange::Name(old, None), ScriptChange::Name(new, Some(original))]
}

/// `ALTER SCHEMA … RENAME TO`.
fn moved(known: &ScriptContext<'_>, alter: &ast::AlterSchema) -> Vec<ScriptChange> {
    let text = text(alter);
    let words = tokens(text.trim_end().trim_end_matches(';'));
    let [_, _, old, rename, _, new] = words.as_slice() else { return Vec::new() };
    let Some((old, new)) = catalog_name(old).zip(catalog_name(new)).filter(|_| rename.eq_ignore_ascii_case("rename"))
    else {
        return Vec::new();
    };
    let inside = known.inside(&old).into_iter().flat_map(|name| {
        let moved = ObjectName { schema: Some(new.clone()), name: name.name.clone() };
        [ScriptChange::Name(name.clone(), None), ScriptChange::Name(moved, Some(name))]
    });
    inside.collect()
}

fn domain(known: &ScriptContext<'_>, create: &ast::CreateDomain, name: &ObjectName) -> ScriptChange {
    let node = create.syntax();
    let ty = create.ty().map(|ty| text(&ty).trim().to_owned()).unwrap_or_default();
    let base = ObjectName::parse(&ty).and_then(|ty| known.domain(&ty)).unwrap_or_default();
    let has_default = has_word(node, "default");
    let domain = Domain {
        ty,
        from_catalog: false,
        strict: has_word(node, "check") || has_word(node, "not") || base.strict,
        volatile: if has_default { calls_volatile(known, node) } else { base.volatile },
    };
    ScriptChange::Domain(known.made(name), domain)
}

/// A domain that begins to constrain its values.
fn stricter(known: &ScriptContext<'_>, alter: &ast::AlterDomain) -> Option<ScriptChange> {
    use ast::AlterDomainAction as A;
    matches!(alter.action(), Some(A::AddConstraint(_) | A::SetNotNull(_))).then_some(())?;
    let name = named(&alter.domain_ref()?)?;
    let domain = known.domain(&name)?;
    Some(ScriptChange::Domain(known.made(&name), Domain { strict: true, ..domain }))
}

/// `SET`, `RESET`, `DISCARD ALL`, and `SELECT set_config(…)`.
fn settings(text: &str) -> Vec<ScriptChange> {
    let words = tokens(text.trim_end().trim_end_matches(';'));
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    // `SET SESSION CHARACTERISTICS` is none of these.
    let rest: Vec<&str> =
        lower.iter().map(String::as_str).filter(|word| !matches!(*word, "local" | "session")).collect();
    let values = |skip: usize| words[words.len().saturating_sub(rest.len().saturating_sub(skip))..].to_vec();
    match rest.as_slice() {
        ["set", "time", "zone", ..] => vec![ScriptChange::Utc(is_utc(&values(3)))],
        ["set", "timezone", "=" | "to", ..] => vec![ScriptChange::Utc(is_utc(&values(3)))],
        ["set", "search_path", "=" | "to", ..] => vec![ScriptChange::Path(path(&values(3)))],
        ["set", "schema", _] => vec![ScriptChange::Path(path(&values(2)))],
        ["reset", "all"] | ["discard", "all"] => vec![ScriptChange::Utc(true), ScriptChange::Path(None)],
        ["reset", "timezone"] | ["reset", "time", "zone"] => vec![ScriptChange::Utc(true)],
        ["reset", "search_path"] => vec![ScriptChange::Path(None)],
        [.., "(", "'search_path'", ",", _, ",", _, ")"] if lower.iter().any(|word| word == "set_config") => {
            let value = words.get(words.len() - 4).and_then(|value| quoted(value));
            let names =
                value.as_deref().map(|value| value.split(',').filter_map(|one| catalog_name(one.trim())).collect());
            vec![ScriptChange::Path(names)]
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

impl ScriptContext<'_> {
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
