//! Queries, and tables that are made of others: what they read, write and lock.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode};

use super::Asked;
use super::place::Known;
use super::statement::referenced;
use super::table::{Form, Role};
use super::work::Work;
use crate::lint::Named;
use crate::lint::script::named;

/// What a new table stands on: what it refers to, is a part of, or is like.
pub(super) fn new_table(create: &ast::CreateTable, known: &Known<'_>) -> Vec<Asked> {
    let mut all = Vec::new();
    let refers = referenced(create.syntax());
    all.extend(refers.into_iter().map(|table| Asked::new(Form::ReferNew, table)));
    let parents = create.inherits().into_iter().flat_map(|inherits| inherits.table_name_refs().collect::<Vec<_>>());
    all.extend(parents.filter_map(|name| named(&name)).map(|name| Asked::new(Form::InheritNew, name)));
    if let Some(parent) = create.partition_of().and_then(|of| named(&of.table_name_ref()?)) {
        all.push(Asked { work: Work::Reads, worked: vec![Role::Default], ..Asked::new(Form::PartitionNew, parent) });
    }
    let likes = create.syntax().descendants().filter_map(ast::LikeClause::cast);
    all.extend(likes.filter_map(|like| named(&like.relation_name_ref()?)).map(|name| Asked::new(Form::Like, name)));
    all.extend(query(create.syntax(), known).into_iter().filter(|one| one.form == Form::Write));
    all
}

/// What queries in a node read, write and lock; names of their own are left out.
pub(super) fn query(node: &SyntaxNode, known: &Known<'_>) -> Vec<Asked> {
    let own: Vec<Named> = node.descendants().filter_map(ast::CteName::cast).filter_map(|name| named(&name)).collect();
    let mut written = Vec::new();
    for node in node.descendants() {
        let relation = |name: Option<ast::RelationName>| name.and_then(|name| named(&name.relation_name_ref()?));
        written.extend(if let Some(it) = ast::Insert::cast(node.clone()) {
            it.relation_name_ref().and_then(|name| named(&name))
        } else if let Some(it) = ast::Update::cast(node.clone()) {
            relation(it.relation_name())
        } else if let Some(it) = ast::Delete::cast(node.clone()) {
            relation(it.relation_name())
        } else {
            ast::Merge::cast(node).and_then(|it| named(&it.table_relation_name()?.table_name_ref()?))
        });
    }
    let names = node.descendants().filter_map(ast::RelationNameRef::cast).filter_map(|name| named(&name));
    let read: Vec<Named> = names.filter(|name| !own.contains(name) && !written.contains(name)).collect();
    let locking = node.descendants().find_map(ast::LockingClause::cast);
    let mut all: Vec<Asked> = written.into_iter().map(|table| Asked::new(Form::Write, table)).collect();
    for table in read {
        let is_locked = locking.as_ref().is_some_and(|clause| {
            let meant = clause.locking_of().map(|of| of.syntax().text().to_string());
            meant.is_none_or(|text| crate::sql::tokens(&text).contains(&table.name.as_str()))
        });
        let behind = known.sources_of(&table);
        let form = if is_locked { Form::ReadForUpdate } else { Form::Read };
        let sources = behind.into_iter().chain([table.clone()]).collect();
        all.push(Asked { sources, ..Asked::new(form, table) });
    }
    all
}
