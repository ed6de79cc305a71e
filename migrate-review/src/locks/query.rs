//! Queries, and tables created from others: what they read, write and lock.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode};

use super::RelationForm;
use super::place::ScriptContext;
use super::table::{RelationRole, StatementForm};
use super::work::RowWork;
use crate::tree::ObjectName;
use crate::tree::named;

/// The relations that a new table depends on: those that it references, is a partition of, or is created LIKE.
pub(super) fn new_table(create: &ast::CreateTable, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    let mut all = Vec::new();
    let refers = referenced(known, create.syntax());
    all.extend(refers.into_iter().map(|table| RelationForm::new(StatementForm::ReferNew, table)));
    let parents = create.inherits().into_iter().flat_map(|inherits| inherits.table_name_refs().collect::<Vec<_>>());
    all.extend(
        parents.filter_map(|name| known.named(&name)).map(|name| RelationForm::new(StatementForm::InheritNew, name)),
    );
    if let Some(parent) = create.partition_of().and_then(|of| known.named(&of.table_name_ref()?)) {
        let default = known.default_partition(&parent);
        let is_exclusive = default.is_some_and(|default| known.excludes_others(&parent, &default));
        let work = if is_exclusive { RowWork::Nothing } else { RowWork::Reads };
        all.push(RelationForm::new(StatementForm::PartitionNew, parent).doing(RelationRole::Default, work));
    }
    let likes = create.syntax().descendants().filter_map(ast::LikeClause::cast);
    let likes = likes.filter_map(|like| known.named(&like.relation_name_ref()?));
    all.extend(likes.map(|name| RelationForm::new(StatementForm::Like, name)));
    all.extend(query(create.syntax(), known).into_iter().filter(|one| one.form == StatementForm::Write));
    all
}

/// The tables that foreign keys in a node name.
pub(super) fn referenced(known: &ScriptContext<'_>, node: &SyntaxNode) -> Vec<ObjectName> {
    let keys = node.descendants().filter(|node| {
        ast::ForeignKeyConstraint::can_cast(node.kind()) || ast::ReferencesConstraint::can_cast(node.kind())
    });
    let tables = keys.filter_map(|key| key.descendants().find_map(ast::TableNameRef::cast));
    tables.filter_map(|table| known.named(&table)).collect()
}

/// What the queries in a node read, write and lock. Names that a query defines itself are left out.
pub(super) fn query(node: &SyntaxNode, known: &ScriptContext<'_>) -> Vec<RelationForm> {
    let own: Vec<ObjectName> =
        node.descendants().filter_map(ast::CteName::cast).filter_map(|name| named(&name)).collect();
    let written: Vec<ObjectName> = node.descendants().filter_map(written).collect();
    let names = node.descendants().filter_map(ast::RelationNameRef::cast).filter_map(|name| named(&name));
    let read: Vec<ObjectName> = names.filter(|name| !own.contains(name) && !written.contains(name)).collect();
    let locking = node.descendants().find_map(ast::LockingClause::cast);
    let written = written.iter().filter_map(|name| known.full(name));
    let mut all: Vec<RelationForm> = written.map(|table| RelationForm::new(StatementForm::Write, table)).collect();
    for name in read {
        let Some(table) = known.full(&name) else { continue };
        let is_locked = locking.as_ref().is_some_and(|clause| {
            let meant = clause.locking_of().map(|of| of.syntax().text().to_string());
            meant.is_none_or(|text| migrate_base::sql::tokens(&text).contains(&name.name.as_str()))
        });
        let form = if is_locked { StatementForm::ReadForUpdate } else { StatementForm::Read };
        let sources = known.sources_of(&table).into_iter().chain([table.clone()]).collect();
        all.push(RelationForm { sources, ..RelationForm::new(form, table) });
    }
    all
}

/// The table that a change of rows is about.
fn written(node: SyntaxNode) -> Option<ObjectName> {
    let relation = |name: Option<ast::RelationName>| named(&name?.relation_name_ref()?);
    if let Some(it) = ast::Insert::cast(node.clone()) {
        named(&it.relation_name_ref()?)
    } else if let Some(it) = ast::Update::cast(node.clone()) {
        relation(it.relation_name())
    } else if let Some(it) = ast::Delete::cast(node.clone()) {
        relation(it.relation_name())
    } else {
        named(&ast::Merge::cast(node)?.table_relation_name()?.table_name_ref()?)
    }
}
