//! A parsed script, and the names of the objects that its statements are about.

use std::ops::Range;

use squawk_syntax::ast::{self, AstNode, Stmt};
use squawk_syntax::{Parse, SourceFile};

use super::Subject;
use super::inside::{Unfolded, Unread, unfold};
use super::savepoint::undone;
use super::turns::Turns;
use crate::ident::first_name;
use crate::locks::{self, Known, Scopes, Wanted};
use crate::schema::{Described, Kind, Object, Schema};
use crate::source::Script;
use crate::sql::parse;

/// A parsed script.
pub(crate) struct Parsed {
    /// Its text, with blocks unfolded.
    pub(super) text: String,
    /// The statements that cannot be read.
    pub(super) unread: Vec<Unread>,
    /// The statements that create routines whose statements are unfolded in the text.
    pub(super) routines: Vec<Stmt>,
    /// The functions that expressions in its blocks call.
    pub(super) called: Vec<(Range<usize>, Named)>,
    /// The loops in its blocks.
    pub(super) turns: Vec<Turns>,
    pub(super) file: Parse<SourceFile>,
    pub(super) statements: Vec<(Range<usize>, Stmt)>,
    /// Whether it runs in a transaction.
    pub(super) transaction: bool,
    /// What its statements change for the statements after them.
    scopes: Scopes,
    /// The places that the script itself undoes.
    undone: Vec<Range<usize>>,
}

/// A name in a script: with or without a schema, spelled as in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The schema, if given.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A table, a view, or what is used like one.
    Relation(Named),
    /// An index, which is in use if its table is in use.
    Index(Named),
    /// Another object that has a name.
    Other(Named),
}

impl Parsed {
    /// Reads a script that runs on a schema, if the schema is known.
    pub(super) fn new(script: &Script, before: Option<&Schema>) -> Self {
        let Unfolded { text, unread, routines, called, turns } = unfold(script.text());
        let file = parse(&text);
        let statements: Vec<_> = file.tree().stmts().map(|stmt| (span(&stmt), stmt)).collect();
        let scopes = Scopes::of(statements.iter().map(|(span, stmt)| (span.start, stmt)), before);
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
    pub(super) fn made(&self) -> Vec<Named> {
        let made = self.statements.iter().filter_map(|(_, stmt)| match stmt {
            Stmt::CreateTable(create) => named(&create.table_name()?),
            Stmt::CreateTableAs(create) => named(&create.table_name()?),
            Stmt::CreateMaterializedView(create) => named(&create.view()?),
            _ => None,
        });
        made.collect()
    }
}

/// The bytes of a node, without leading space and comments.
pub(crate) fn span(node: &impl AstNode) -> Range<usize> {
    let node = node.syntax();
    let first = node.children_with_tokens().find(|child| !child.kind().is_trivia());
    let start = first.map_or(node.text_range().start(), |child| child.text_range().start());
    usize::from(start)..usize::from(node.text_range().end())
}

/// The name that a node contains.
pub(crate) fn named(node: &impl AstNode) -> Option<Named> {
    Named::parse(&node.syntax().text().to_string())
}

impl Named {
    /// Reads a name as written in SQL.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, rest) = first_name(text.trim())?;
        match rest.trim_start().strip_prefix('.') {
            Some(rest) => Some(Self { schema: Some(first), name: first_name(rest.trim_start())?.0 }),
            None => Some(Self { schema: None, name: first }),
        }
    }

    pub(crate) fn is(&self, object: &Object) -> bool {
        *object.id.name == *self.name && self.schema.as_ref().is_none_or(|schema| *object.id.schema == **schema)
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Subject<'_> {
    /// Whether the target of a statement, at its place, exists where the script will run, and so is in use.
    pub(super) fn in_use(&self, parsed: &Parsed, at: usize, target: &Target) -> bool {
        let Some(released) = self.released else {
            return !matches!(target, Target::Relation(name) if parsed.made().contains(name));
        };
        let known = Known { before: Some(&released.schema), ..self.known(parsed, at) };
        match target {
            Target::Relation(name) => known.relation(name).is_some_and(|one| one.id.kind != Kind::Sequence),
            Target::Index(name) => known.table_of_index(name).is_some(),
            Target::Other(name) => released.schema.objects().any(|one| name.is(one)),
        }
    }

    /// What is known about the schemas around the script, at a place in it.
    pub(super) fn known<'b>(&'b self, parsed: &'b Parsed, at: usize) -> Known<'b> {
        let (before, after) = (self.before.map(|at| &at.schema), self.after.map(|at| &at.schema));
        Known { before, after, major: None, scopes: Some(&parsed.scopes), at: parsed.start(at) }
    }

    /// The locks that a statement takes on objects in use, and what it does under them.
    pub(super) fn wanted(&self, parsed: &Parsed, stmt: &Stmt) -> Vec<Wanted> {
        let mut all = locks::wanted(stmt, &self.known(parsed, span(stmt).start));
        all.retain(|one| self.is_released(parsed, &one.table));
        all
    }

    /// Whether a table is in use, by its full name before the script.
    pub(super) fn is_released(&self, parsed: &Parsed, name: &Named) -> bool {
        match self.released {
            Some(released) => relation(released, name).is_some_and(|one| one.id.kind != Kind::Sequence),
            None => self.before.is_some() || !parsed.made().contains(name),
        }
    }

    /// Whether a table is in use, by its name at a place in the script.
    pub(super) fn uses(&self, parsed: &Parsed, at: usize, name: &Named) -> bool {
        self.in_use(parsed, at, &Target::Relation(name.clone()))
    }
}

/// The relation of this name.
pub(super) fn relation<'a>(at: &'a Described, name: &Named) -> Option<&'a Object> {
    Known { before: Some(&at.schema), ..Known::default() }.relation(name)
}

/// The relations that a statement is about.
pub(crate) fn relation_names(stmt: &Stmt) -> impl Iterator<Item = Named> {
    targets(stmt).into_iter().filter_map(|target| if let Target::Relation(name) = target { Some(name) } else { None })
}

/// What a statement is about; empty if it is about nothing that could exist already.
pub(crate) fn targets(stmt: &Stmt) -> Vec<Target> {
    relations(stmt).or_else(|| indexes(stmt)).unwrap_or_else(|| others(stmt))
}

fn all<N: AstNode>(nodes: impl Iterator<Item = N>, make: fn(Named) -> Target) -> Vec<Target> {
    nodes.filter_map(|node| named(&node)).map(make).collect()
}

fn one<N: AstNode>(node: Option<N>, make: fn(Named) -> Target) -> Vec<Target> {
    all(node.into_iter(), make)
}

fn relations(stmt: &Stmt) -> Option<Vec<Target>> {
    use Target::Relation;
    let table = |name: Option<ast::TableRelationName>| one(name.and_then(|name| name.table_name_ref()), Relation);
    let on = |node: Option<ast::OnRelation>| one(node.and_then(|on| on.relation_name_ref()), Relation);
    let changed = |name: Option<ast::RelationName>| one(name.and_then(|name| name.relation_name_ref()), Relation);
    let found = match stmt {
        Stmt::AlterTable(it) => table(it.table_relation_name()),
        Stmt::AlterForeignTable(it) => table(it.table_relation_name()),
        Stmt::AlterView(it) => one(it.view_ref(), Relation),
        Stmt::AlterMaterializedView(it) => one(it.view_ref(), Relation),
        Stmt::Vacuum(it) => {
            let tables = it.table_and_columns_list().into_iter().flat_map(|list| list.table_and_columnss());
            all(tables.filter_map(|table| table.table_relation_name()?.table_name_ref()), Relation)
        }
        Stmt::CreateIndex(it) => table(it.table_relation_name()),
        Stmt::DropTable(it) => all(it.table_name_refs(), Relation),
        Stmt::DropForeignTable(it) => all(it.table_name_refs(), Relation),
        Stmt::DropView(it) => all(it.view_refs(), Relation),
        Stmt::DropMaterializedView(it) => all(it.view_refs(), Relation),
        Stmt::Truncate(it) => {
            let tables = it.table_list().into_iter().flat_map(|list| list.table_relation_names());
            all(tables.filter_map(|name| name.table_name_ref()), Relation)
        }
        Stmt::Lock(it) => {
            let relations = it.relation_list().into_iter().flat_map(|list| list.relation_names());
            all(relations.filter_map(|name| name.relation_name_ref()), Relation)
        }
        Stmt::Update(it) => changed(it.relation_name()),
        Stmt::Delete(it) => changed(it.relation_name()),
        Stmt::Insert(it) => one(it.relation_name_ref(), Relation),
        Stmt::Merge(it) => table(it.table_relation_name()),
        Stmt::Refresh(it) => one(it.view_ref(), Relation),
        Stmt::Cluster(it) => one(it.table_name_ref(), Relation),
        Stmt::CreateTrigger(it) => on(it.on_relation()),
        Stmt::DropTrigger(it) => on(it.on_relation()),
        _ => return None,
    };
    Some(found)
}

fn indexes(stmt: &Stmt) -> Option<Vec<Target>> {
    let found = match stmt {
        Stmt::AlterIndex(it) => one(it.index_ref(), Target::Index),
        Stmt::DropIndex(it) => all(it.index_refs(), Target::Index),
        Stmt::Reindex(it) => match it.reindex_target() {
            Some(ast::ReindexTarget::ReindexTargetTable(it)) => one(it.table_name_ref(), Target::Relation),
            Some(ast::ReindexTarget::ReindexTargetIndex(it)) => one(it.index_ref(), Target::Index),
            _ => Vec::new(),
        },
        _ => return None,
    };
    Some(found)
}

fn others(stmt: &Stmt) -> Vec<Target> {
    use Target::Other;
    match stmt {
        Stmt::AlterSequence(it) => one(it.sequence_ref(), Other),
        Stmt::DropType(it) => all(it.type_name_refs(), Other),
        Stmt::DropSchema(it) => all(it.schema_refs(), Other),
        Stmt::DropSequence(it) => all(it.sequence_refs(), Other),
        Stmt::DropDomain(it) => all(it.domain_refs(), Other),
        Stmt::DropExtension(it) => all(it.extension_refs(), Other),
        Stmt::DropFunction(it) => {
            let functions = it.function_sig_list().into_iter().flat_map(|list| list.function_sigs());
            all(functions.filter_map(|one| one.function_name_ref()), Other)
        }
        Stmt::DropProcedure(it) => {
            let procedures = it.procedure_sig_list().into_iter().flat_map(|list| list.procedure_sigs());
            all(procedures.filter_map(|one| one.procedure_name_ref()), Other)
        }
        Stmt::AlterType(it) => one(it.type_name_ref(), Other),
        Stmt::AlterDomain(it) => one(it.domain_ref(), Other),
        _ => Vec::new(),
    }
}
