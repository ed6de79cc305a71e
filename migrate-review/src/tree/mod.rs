//! Parsed statements: the names of the objects that they refer to, the statements inside blocks and routines, and what
//! a script itself undoes.

mod body;
mod inside;
mod routine;
mod savepoint;
mod turns;

use std::ops::Range;

use migrate_base::ident::first_name;
use migrate_schema::Object;
use squawk_syntax::ast::{self, AstNode, Stmt};

pub(crate) use inside::{UnfoldedScript, UnreadStatement, unfold};
pub(crate) use routine::{TriggerDefinition, called, writes};
pub(crate) use savepoint::{Savepoints, undone};
pub(crate) use turns::BodyLoop;

/// A name in a script: with or without a schema, spelled as in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// The schema, if given.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StatementTarget {
    /// A table, a view, or an object that is used like one.
    Relation(ObjectName),
    /// An index, which is in use if its table is in use.
    Index(ObjectName),
    /// Another object that has a name.
    Other(ObjectName),
}

/// The bytes of a node, without leading space and comments.
pub(crate) fn span(node: &impl AstNode) -> Range<usize> {
    let node = node.syntax();
    let first = node.children_with_tokens().find(|child| !child.kind().is_trivia());
    let start = first.map_or(node.text_range().start(), |child| child.text_range().start());
    usize::from(start)..usize::from(node.text_range().end())
}

/// The name that a node contains.
pub(crate) fn named(node: &impl AstNode) -> Option<ObjectName> {
    ObjectName::parse(&node.syntax().text().to_string())
}

impl ObjectName {
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

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The relations that a statement is about.
pub(crate) fn relation_names(stmt: &Stmt) -> impl Iterator<Item = ObjectName> {
    targets(stmt)
        .into_iter()
        .filter_map(|target| if let StatementTarget::Relation(name) = target { Some(name) } else { None })
}

/// What a statement is about; empty if it is about nothing that could already exist.
pub(crate) fn targets(stmt: &Stmt) -> Vec<StatementTarget> {
    relations(stmt).or_else(|| indexes(stmt)).unwrap_or_else(|| others(stmt))
}

fn all<N: AstNode>(nodes: impl Iterator<Item = N>, make: fn(ObjectName) -> StatementTarget) -> Vec<StatementTarget> {
    nodes.filter_map(|node| named(&node)).map(make).collect()
}

fn one<N: AstNode>(node: Option<N>, make: fn(ObjectName) -> StatementTarget) -> Vec<StatementTarget> {
    all(node.into_iter(), make)
}

fn relations(stmt: &Stmt) -> Option<Vec<StatementTarget>> {
    use StatementTarget::Relation;
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

fn indexes(stmt: &Stmt) -> Option<Vec<StatementTarget>> {
    let found = match stmt {
        Stmt::AlterIndex(it) => one(it.index_ref(), StatementTarget::Index),
        Stmt::DropIndex(it) => all(it.index_refs(), StatementTarget::Index),
        Stmt::Reindex(it) => match it.reindex_target() {
            Some(ast::ReindexTarget::ReindexTargetTable(it)) => one(it.table_name_ref(), StatementTarget::Relation),
            Some(ast::ReindexTarget::ReindexTargetIndex(it)) => one(it.index_ref(), StatementTarget::Index),
            _ => Vec::new(),
        },
        _ => return None,
    };
    Some(found)
}

fn others(stmt: &Stmt) -> Vec<StatementTarget> {
    use StatementTarget::Other;
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
