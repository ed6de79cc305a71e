//! A script as a tree, and the names of what its statements are about.

use std::ops::Range;

use squawk_syntax::ast::{self, AstNode, Stmt};
use squawk_syntax::{Parse, SourceFile};

use super::Subject;
use super::inside::unfold;
use crate::ident::first_name;
use crate::locks::{self, Known, Wanted};
use crate::schema::{Described, Kind, Object};
use crate::source::Script;
use crate::sql::parse;

/// A script, parsed.
pub(crate) struct Parsed {
    /// Its text, with what stands in blocks in the open.
    pub(super) text: String,
    /// What in it cannot be read.
    pub(super) unread: Vec<Range<usize>>,
    pub(super) file: Parse<SourceFile>,
    pub(super) statements: Vec<(Range<usize>, Stmt)>,
    /// Whether it runs in a transaction.
    pub(super) transaction: bool,
    /// The domains that it makes, and that ask something of their values.
    domains: Vec<Named>,
}

/// A name as a script has it: with or without a schema, as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The schema, where it is said.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A table, a view, or what is used like one.
    Relation(Named),
    /// An index, which is in the way where its table is in use.
    Index(Named),
    /// Something else that has a name.
    Other(Named),
}

impl Parsed {
    pub(super) fn new(script: &Script) -> Self {
        let unfolded = unfold(script.text());
        let (text, unread) = (unfolded.text, unfolded.unread);
        let file = parse(&text);
        let statements: Vec<_> = file.tree().stmts().map(|stmt| (span(&stmt), stmt)).collect();
        let domains = locks::strict_domains(statements.iter().map(|(_, stmt)| stmt));
        Self { text, unread, file, statements, transaction: !script.directives().no_transaction, domains }
    }

    /// Whether the time zone of the session is UTC at a place, because the script says so before it.
    pub(super) fn is_utc(&self, at: usize) -> bool {
        let before = self.statements.iter().rev().filter(|(span, _)| span.start < at);
        let set = before.filter_map(|(_, stmt)| match stmt {
            Stmt::Set(set) => Some(set.syntax().text().to_string().to_ascii_lowercase()),
            _ => None,
        });
        let set = set.map(|text| text.replace([' ', '\''], "")).find(|text| text.contains("timezone"));
        set.is_some_and(|text| text.trim_end_matches(';').ends_with("utc"))
    }

    /// The statement around a place.
    pub(super) fn around(&self, at: usize) -> Option<&Stmt> {
        let found = self.statements.iter().find(|(span, _)| span.contains(&at));
        found.map(|(_, stmt)| stmt)
    }

    /// The tables that the script makes.
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

/// The bytes of a node, without the space and the comments before it.
pub(crate) fn span(node: &impl AstNode) -> Range<usize> {
    let node = node.syntax();
    let first = node.children_with_tokens().find(|child| !child.kind().is_trivia());
    let start = first.map_or(node.text_range().start(), |child| child.text_range().start());
    usize::from(start)..usize::from(node.text_range().end())
}

/// The name that a node is.
pub(crate) fn named(node: &impl AstNode) -> Option<Named> {
    Named::parse(&node.syntax().text().to_string())
}

impl Named {
    /// Reads a name as it stands in SQL.
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

/// What is like a table.
const RELATIONS: [Kind; 4] = [Kind::Table, Kind::ForeignTable, Kind::View, Kind::MaterializedView];

impl Subject<'_> {
    /// Whether what a statement is about is there already where it will run, and so in use.
    pub(super) fn in_use(&self, parsed: &Parsed, target: &Target) -> bool {
        match (self.released, target) {
            (Some(released), Target::Relation(name)) => relation(released, name).is_some(),
            (None, Target::Relation(name)) => !parsed.made().contains(name),
            (Some(released), Target::Index(name)) => {
                let mut all = released.schema.objects();
                all.any(|one| matches!(one.id.kind, Kind::Index | Kind::Constraint) && name.is(one))
            }
            (Some(released), Target::Other(name)) => released.schema.objects().any(|one| name.is(one)),
            (None, _) => true,
        }
    }

    /// What is known of the schemas around the script.
    pub(super) fn known<'b>(&'b self, parsed: &'b Parsed) -> Known<'b> {
        let (before, after) = (self.before.map(|at| &at.schema), self.after.map(|at| &at.schema));
        Known { before, after, major: None, domains: &parsed.domains }
    }

    /// The locks that a statement wants on what is in use, and what it does under them.
    pub(super) fn wanted(&self, parsed: &Parsed, stmt: &Stmt) -> Vec<Wanted> {
        let utc = parsed.is_utc(span(stmt).start);
        let mut all = locks::wanted(stmt, &self.known(parsed), utc);
        all.retain(|one| self.uses(parsed, &one.table));
        all
    }

    /// Whether a table is in use.
    pub(super) fn uses(&self, parsed: &Parsed, name: &Named) -> bool {
        self.in_use(parsed, &Target::Relation(name.clone()))
    }
}

/// The relation of this name.
pub(super) fn relation<'a>(at: &'a Described, name: &Named) -> Option<&'a Object> {
    let mut all = at.schema.objects().map(|one| &**one);
    all.find(|one| RELATIONS.contains(&one.id.kind) && name.is(one))
}

/// What a statement is about; nothing, where it is about nothing that could be there already.
pub(crate) fn targets(stmt: &Stmt) -> Vec<Target> {
    fn all<N: AstNode>(nodes: impl Iterator<Item = N>, make: fn(Named) -> Target) -> Vec<Target> {
        nodes.filter_map(|node| named(&node)).map(make).collect()
    }
    fn one<N: AstNode>(node: Option<N>, make: fn(Named) -> Target) -> Vec<Target> {
        all(node.into_iter(), make)
    }
    let on = |node: Option<ast::OnRelation>| one(node.and_then(|on| on.relation_name_ref()), Target::Relation);
    use Target::{Index, Other, Relation};
    match stmt {
        Stmt::AlterTable(it) => one(it.table_relation_name().and_then(|name| name.table_name_ref()), Relation),
        Stmt::AlterForeignTable(it) => one(it.table_relation_name().and_then(|name| name.table_name_ref()), Relation),
        Stmt::AlterView(it) => one(it.view_ref(), Relation),
        Stmt::AlterMaterializedView(it) => one(it.view_ref(), Relation),
        Stmt::AlterSequence(it) => one(it.sequence_ref(), Other),
        Stmt::AlterIndex(it) => one(it.index_ref(), Index),
        Stmt::Reindex(it) => match it.reindex_target() {
            Some(ast::ReindexTarget::ReindexTargetTable(it)) => one(it.table_name_ref(), Relation),
            Some(ast::ReindexTarget::ReindexTargetIndex(it)) => one(it.index_ref(), Index),
            _ => Vec::new(),
        },
        Stmt::Vacuum(it) => {
            let tables = it.table_and_columns_list().into_iter().flat_map(|list| list.table_and_columnss());
            all(tables.filter_map(|table| table.table_relation_name()?.table_name_ref()), Relation)
        }
        Stmt::CreateIndex(it) => one(it.table_relation_name().and_then(|name| name.table_name_ref()), Relation),
        Stmt::DropTable(it) => all(it.table_name_refs(), Relation),
        Stmt::DropForeignTable(it) => all(it.table_name_refs(), Relation),
        Stmt::DropView(it) => all(it.view_refs(), Relation),
        Stmt::DropMaterializedView(it) => all(it.view_refs(), Relation),
        Stmt::DropIndex(it) => all(it.index_refs(), Index),
        Stmt::Truncate(it) => {
            let tables = it.table_list().into_iter().flat_map(|list| list.table_relation_names());
            all(tables.filter_map(|name| name.table_name_ref()), Relation)
        }
        Stmt::Lock(it) => {
            let relations = it.relation_list().into_iter().flat_map(|list| list.relation_names());
            all(relations.filter_map(|name| name.relation_name_ref()), Relation)
        }
        Stmt::Update(it) => one(it.relation_name().and_then(|name| name.relation_name_ref()), Relation),
        Stmt::Delete(it) => one(it.relation_name().and_then(|name| name.relation_name_ref()), Relation),
        Stmt::Insert(it) => one(it.relation_name_ref(), Relation),
        Stmt::Merge(it) => one(it.table_relation_name().and_then(|name| name.table_name_ref()), Relation),
        Stmt::Refresh(it) => one(it.view_ref(), Relation),
        Stmt::Cluster(it) => one(it.table_name_ref(), Relation),
        Stmt::CreateTrigger(it) => on(it.on_relation()),
        Stmt::DropTrigger(it) => on(it.on_relation()),
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
