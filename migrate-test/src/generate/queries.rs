//! The positions of queries in statements: as values, in parentheses, under a name in WITH.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, SelectVariant};

use super::names;

/// The query that is used as a value.
pub(super) fn subquery(expr: &ast::Expr) -> Option<SelectVariant> {
    match expr {
        ast::Expr::ParenExpr(it) => query_in(it.syntax()).or_else(|| subquery(&it.expr()?)),
        ast::Expr::CallExpr(it) => {
            it.any_fn().and_then(|any| any.select_variant()).or_else(|| it.some_fn()?.select_variant())
        }
        _ => None,
    }
}

/// The query in a node.
pub(super) fn query_in(node: &SyntaxNode) -> Option<SelectVariant> {
    node.children().find_map(SelectVariant::cast)
}

/// The query of this name in a WITH clause that encloses a node.
pub(super) fn with(node: &SyntaxNode, name: &str) -> Option<ast::WithTable> {
    let clauses = node.ancestors().flat_map(|node| node.children()).filter_map(ast::WithClause::cast);
    let is_meant = |one: &ast::WithTable| one.name().and_then(|own| names::last(own.syntax())).as_deref() == Some(name);
    clauses.flat_map(|clause| clause.with_tables()).find(is_meant)
}

/// The column names in an alias.
pub(super) fn names_of(alias: &SyntaxNode) -> Option<Vec<String>> {
    let list = alias.children().find_map(ast::ColumnList::cast)?;
    Some(list.column_names().filter_map(|name| names::last(name.syntax())).collect())
}
