//! A parsed script, and what is known about the objects that its statements are about.

use std::ops::Range;

use migrate_core::source::Script;
use migrate_schema::{Kind, Object, Schema, SchemaDescription};
use squawk_syntax::ast::Stmt;
use squawk_syntax::{Parse, SourceFile};

use super::LintSubject;
use crate::locks::{self, ScriptChanges, ScriptContext, StatementLock};
use crate::parse::parse;
use crate::tree::{
    BodyLoop, ObjectName, StatementTarget, UnfoldedScript, UnreadStatement, named, span, undone, unfold,
};

/// A parsed script.
pub(crate) struct ParsedScript {
    /// Its text, with blocks unfolded.
    pub(super) text: String,
    /// The statements that cannot be read.
    pub(super) unread: Vec<UnreadStatement>,
    /// The statements that create routines whose statements are unfolded in the text.
    pub(super) routines: Vec<Stmt>,
    /// The functions that expressions in its blocks call.
    pub(super) called: Vec<(Range<usize>, ObjectName)>,
    /// The loops in its blocks.
    pub(super) turns: Vec<BodyLoop>,
    pub(super) file: Parse<SourceFile>,
    pub(super) statements: Vec<(Range<usize>, Stmt)>,
    /// Whether it runs in a transaction.
    pub(super) transaction: bool,
    /// What its statements change for the statements after them.
    scopes: ScriptChanges,
    /// The places that the script itself undoes.
    undone: Vec<Range<usize>>,
}

impl ParsedScript {
    /// Reads a script that runs on a schema, if the schema is known.
    pub(super) fn new(script: &Script, before: Option<&Schema>) -> Self {
        let UnfoldedScript { text, unread, routines, called, turns } = unfold(script.text());
        let file = parse(&text);
        let statements: Vec<_> = file.tree().stmts().map(|stmt| (span(&stmt), stmt)).collect();
        let scopes = ScriptChanges::of(statements.iter().map(|(span, stmt)| (span.start, stmt)), before);
        let undone = undone(statements.iter().map(|(span, stmt)| (span.start, stmt)));
        let transaction = !script.directives().no_transaction;
        Self { text, unread, routines, called, turns, file, statements, transaction, scopes, undone }
    }

    /// Where the statement around a place begins.
    fn start(&self, at: usize) -> usize {
        let next = self.statements.partition_point(|(span, _)| span.start <= at);
        self.statements[..next].last().map_or(0, |(span, _)| span.start)
    }

    /// Whether the script undoes what it does at a place.
    pub(super) fn is_undone(&self, at: usize) -> bool {
        self.undone.iter().any(|place| place.contains(&at))
    }

    /// The statement around a place.
    pub(super) fn around(&self, at: usize) -> Option<&Stmt> {
        let found = self.statements.iter().find(|(span, _)| span.contains(&at));
        found.map(|(_, stmt)| stmt)
    }

    /// The tables that the script creates.
    pub(super) fn made(&self) -> Vec<ObjectName> {
        let made = self.statements.iter().filter_map(|(_, stmt)| match stmt {
            Stmt::CreateTable(create) => named(&create.table_name()?),
            Stmt::CreateTableAs(create) => named(&create.table_name()?),
            Stmt::CreateMaterializedView(create) => named(&create.view()?),
            _ => None,
        });
        made.collect()
    }
}

impl LintSubject<'_> {
    /// Whether the target of a statement, at its place, exists where the script will run, and so is in use.
    pub(super) fn in_use(&self, parsed: &ParsedScript, at: usize, target: &StatementTarget) -> bool {
        let Some(released) = self.released else {
            return !matches!(target, StatementTarget::Relation(name) if parsed.made().contains(name));
        };
        let known = ScriptContext { before: Some(&released.schema), ..self.known(parsed, at) };
        match target {
            StatementTarget::Relation(name) => known.relation(name).is_some_and(|one| one.id.kind != Kind::Sequence),
            StatementTarget::Index(name) => known.table_of_index(name).is_some(),
            StatementTarget::Other(name) => released.schema.objects().any(|one| name.is(one)),
        }
    }

    /// What is known about the schemas around the script, at a place in it.
    pub(super) fn known<'b>(&'b self, parsed: &'b ParsedScript, at: usize) -> ScriptContext<'b> {
        let (before, after) = (self.before.map(|at| &at.schema), self.after.map(|at| &at.schema));
        ScriptContext { before, after, major: None, scopes: Some(&parsed.scopes), at: parsed.start(at) }
    }

    /// The locks that a statement takes on objects in use, and what it does under them.
    pub(super) fn wanted(&self, parsed: &ParsedScript, stmt: &Stmt) -> Vec<StatementLock> {
        let mut all = locks::wanted(stmt, &self.known(parsed, span(stmt).start));
        all.retain(|one| self.is_released(parsed, &one.table));
        all
    }

    /// Whether a table is in use, by its full name before the script.
    pub(super) fn is_released(&self, parsed: &ParsedScript, name: &ObjectName) -> bool {
        match self.released {
            Some(released) => relation(released, name).is_some_and(|one| one.id.kind != Kind::Sequence),
            None => self.before.is_some() || !parsed.made().contains(name),
        }
    }

    /// Whether a table is in use, by its name at a place in the script.
    pub(super) fn uses(&self, parsed: &ParsedScript, at: usize, name: &ObjectName) -> bool {
        self.in_use(parsed, at, &StatementTarget::Relation(name.clone()))
    }
}

/// The relation of this name.
pub(super) fn relation<'a>(at: &'a SchemaDescription, name: &ObjectName) -> Option<&'a Object> {
    ScriptContext { before: Some(&at.schema), ..ScriptContext::default() }.relation(name)
}
