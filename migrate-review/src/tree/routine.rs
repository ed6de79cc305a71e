//! Functions that a script creates and runs itself: by a call, or as triggers of its own writes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Stmt};
use squawk_syntax::plpgsql::Plpgsql;

use super::{ObjectName, named, span};

/// What a script creates and runs, as far as it has been read.
#[derive(Default)]
pub(crate) struct ScriptRoutines {
    made: BTreeMap<String, Vec<Stmt>>,
    /// The triggers that it creates, each with its place.
    triggers: Vec<(usize, TriggerDefinition)>,
    /// The tables that it writes to, each with its place.
    writes: Vec<(usize, TableWrite)>,
    called: BTreeSet<String>,
}

/// A trigger: what fires it, and what it calls.
pub(crate) struct TriggerDefinition {
    pub(crate) table: ObjectName,
    events: Vec<&'static str>,
    pub(crate) function: ObjectName,
}

/// A change of rows that fires triggers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableWrite {
    pub(crate) table: ObjectName,
    event: &'static str,
}

impl TriggerDefinition {
    /// Reads a CREATE TRIGGER statement.
    pub(crate) fn of(create: &ast::CreateTrigger) -> Option<Self> {
        use ast::TriggerEvent as E;
        let events = create.trigger_event_list()?.trigger_events().map(|event| match event {
            E::TriggerEventInsert(_) => "insert",
            E::TriggerEventUpdate(_) => "update",
            E::TriggerEventDelete(_) => "delete",
            E::TriggerEventTruncate(_) => "truncate",
        });
        let table = named(&create.on_relation()?.relation_name_ref()?)?;
        let function = last_part(&create.call_expr()?)?;
        Some(Self { table, events: events.collect(), function })
    }

    /// Whether a change fires the trigger, assuming that the table is the same.
    pub(crate) fn is_fired_by(&self, write: &TableWrite) -> bool {
        self.events.contains(&write.event)
    }
}

impl TableWrite {
    /// Whether this is the event on the table, judging by their names.
    pub(crate) fn is(&self, event: &str, table: &ObjectName) -> bool {
        self.event.eq_ignore_ascii_case(event) && self.table.name == table.name
    }
}

impl ScriptRoutines {
    /// What the statements of a script create, run and write.
    pub(crate) fn of(stmts: &[Stmt]) -> Self {
        let mut runs = Self::default();
        stmts.iter().for_each(|stmt| runs.take(span(stmt).start, stmt));
        runs
    }

    /// Adds a statement that runs at a place.
    pub(crate) fn take(&mut self, at: usize, stmt: &Stmt) {
        let name = match stmt {
            Stmt::CreateFunction(it) => it.name().and_then(|name| named(&name)),
            Stmt::CreateProcedure(it) => it.name().and_then(|name| named(&name)),
            _ => None,
        };
        match name {
            Some(name) => self.made.entry(name.name).or_default().push(stmt.clone()),
            None => self.run(at, stmt),
        }
    }

    /// Adds a statement that a block runs: what it creates has no place in the file.
    pub(crate) fn run(&mut self, at: usize, stmt: &Stmt) {
        if let Stmt::CreateTrigger(it) = stmt {
            self.triggers.extend(TriggerDefinition::of(it).map(|trigger| (at, trigger)));
        }
        self.called.extend(called(stmt).into_iter().map(|(_, name)| name.name));
        self.writes.extend(writes(stmt).into_iter().map(|write| (at, write)));
    }

    /// Adds the calls in the expressions of a body.
    pub(crate) fn call(&mut self, names: impl IntoIterator<Item = ObjectName>) {
        self.called.extend(names.into_iter().map(|name| name.name));
    }

    /// The next routines of the script that it runs and that have not been returned yet.
    pub(crate) fn next(&mut self) -> Option<Vec<Stmt>> {
        let fires = |(from, trigger): &&(usize, TriggerDefinition)| {
            let mut writes = self.writes.iter().filter(|(at, _)| at > from);
            writes.any(|(_, write)| write.table.name == trigger.table.name && trigger.is_fired_by(write))
        };
        let fired = self.triggers.iter().filter(fires).map(|(_, trigger)| &trigger.function.name);
        let name = self.called.iter().chain(fired).find(|name| self.made.contains_key(*name))?.clone();
        self.made.remove(&name)
    }
}

/// Whether a statement, when it runs, calls the functions that it contains.
fn runs(stmt: &Stmt) -> bool {
    matches!(
        stmt,
        Stmt::Select(_)
            | Stmt::CompoundSelect(_)
            | Stmt::ParenSelect(_)
            | Stmt::SelectInto(_)
            | Stmt::Values(_)
            | Stmt::Call(_)
            | Stmt::Insert(_)
            | Stmt::Update(_)
            | Stmt::Delete(_)
            | Stmt::Merge(_)
            | Stmt::CreateTableAs(_)
            | Stmt::CreateMaterializedView(_)
    )
}

/// The functions and procedures that a statement calls when it runs.
pub(crate) fn called(stmt: &Stmt) -> Vec<(Range<usize>, ObjectName)> {
    let calls = stmt.syntax().descendants().filter(|_| runs(stmt)).filter_map(ast::CallExpr::cast);
    let calls = calls.filter_map(|call| Some((span(&call), last_part(&call)?)));
    let procedure = match stmt {
        Stmt::Call(it) => it.procedure_name_ref().and_then(|name| named(&name)).map(|name| (span(it), name)),
        _ => None,
    };
    let mut all: Vec<(Range<usize>, ObjectName)> = procedure.into_iter().chain(calls).collect();
    all.dedup_by(|one, other| one.1 == other.1);
    all
}

/// The functions that the expressions of a body call: those of conditions, assignments, declarations.
pub(crate) fn called_in(body: &Plpgsql) -> Vec<(Range<usize>, ObjectName)> {
    let is_of_expression =
        |call: &ast::CallExpr| call.syntax().ancestors().any(|node| ast::PlpgsqlExpr::can_cast(node.kind()));
    let calls = body.syntax().descendants().filter_map(ast::CallExpr::cast).filter(is_of_expression);
    let place = |call: &ast::CallExpr| {
        let range = body.source_range(call.syntax().text_range());
        usize::from(range.start())..usize::from(range.end())
    };
    calls.filter_map(|call| Some((place(&call), last_part(&call)?))).collect()
}

fn last_part(call: &ast::CallExpr) -> Option<ObjectName> {
    named(&call.expr()?)
}

/// The tables that a statement writes to, anywhere in it.
pub(crate) fn writes(stmt: &Stmt) -> Vec<TableWrite> {
    let mut all = Vec::new();
    let mut add = |table: Option<ObjectName>, events: &[&'static str]| {
        let of_table = |table: ObjectName| events.iter().map(move |event| TableWrite { table: table.clone(), event });
        all.extend(table.into_iter().flat_map(of_table));
    };
    match stmt {
        Stmt::Truncate(_) => {
            super::relation_names(stmt).for_each(|table| add(Some(table), &["truncate"]));
        }
        Stmt::Copy(it) if matches!(it.copy_direction(), Some(ast::CopyDirection::CopyFrom(_))) => {
            add(it.copy_table().and_then(|table| named(&table.table_name_ref()?)), &["insert"]);
        }
        Stmt::CreateRule(_) => {}
        _ => stmt.syntax().descendants().for_each(|node| changed(node, &mut add)),
    }
    all
}

fn changed(node: SyntaxNode, add: &mut impl FnMut(Option<ObjectName>, &[&'static str])) {
    let relation = |name: Option<ast::RelationName>| named(&name?.relation_name_ref()?);
    if let Some(it) = ast::Insert::cast(node.clone()) {
        let table = it.relation_name_ref().and_then(|name| named(&name));
        add(table, if it.on_conflict_clause().is_some() { &["insert", "update"] } else { &["insert"] });
    } else if let Some(it) = ast::Update::cast(node.clone()) {
        add(relation(it.relation_name()), &["update"]);
    } else if let Some(it) = ast::Delete::cast(node.clone()) {
        add(relation(it.relation_name()), &["delete"]);
    } else if let Some(it) = ast::Merge::cast(node) {
        let table = it.table_relation_name().and_then(|name| named(&name.table_name_ref()?));
        add(table, &["insert", "update", "delete"]);
    }
}
