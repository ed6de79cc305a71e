//! The loops of blocks and routines, to find changes that are made iteration by iteration.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode};
use squawk_syntax::plpgsql::Plpgsql;

use super::body::{lower, place, without_into};

/// A loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BodyLoop {
    /// Where it is in the file.
    pub(crate) place: Range<usize>,
    /// The query over whose rows it iterates.
    pub(crate) rows: Option<String>,
    /// The variables of the body, which can have another value in each iteration.
    pub(crate) variables: BTreeSet<String>,
    /// Whether a transaction ends inside it.
    pub(crate) commits: bool,
}

/// The loops of a body.
pub(crate) fn turns(body: &Plpgsql) -> Vec<BodyLoop> {
    let (cursors, variables) = (cursors(body), variables(body));
    let of = |node: SyntaxNode| {
        let rows = rows(&node, &cursors)?;
        let ends = |node: SyntaxNode| {
            ast::PlpgsqlCommitStmt::can_cast(node.kind()) || ast::PlpgsqlRollbackStmt::can_cast(node.kind())
        };
        let commits = node.descendants().any(ends);
        Some(BodyLoop { place: place(body, &node), rows, variables: variables.clone(), commits })
    };
    body.syntax().descendants().filter_map(of).collect()
}

/// Whether a node is a loop, and the query over whose rows it iterates.
fn rows(node: &SyntaxNode, cursors: &BTreeMap<String, String>) -> Option<Option<String>> {
    let of_cursor = |cursor: Option<ast::PlpgsqlCursorVariableRef>| cursors.get(&lower(cursor?.syntax())).cloned();
    if let Some(it) = ast::PlpgsqlForQueryStmt::cast(node.clone()) {
        return Some(it.query().map(|query| without_into(query.syntax())));
    }
    if let Some(it) = ast::PlpgsqlForCursorStmt::cast(node.clone()) {
        return Some(of_cursor(it.cursor()));
    }
    if ast::PlpgsqlLoopStmt::can_cast(node.kind()) || ast::PlpgsqlWhileStmt::can_cast(node.kind()) {
        let fetched = node.descendants().find_map(ast::PlpgsqlFetchStmt::cast);
        return Some(fetched.and_then(|fetch| of_cursor(fetch.cursor())));
    }
    let is_other = [
        ast::PlpgsqlForIStmt::can_cast as fn(_) -> bool,
        ast::PlpgsqlForEachStmt::can_cast,
        ast::PlpgsqlForDynStmt::can_cast,
    ];
    is_other.iter().any(|can_cast| can_cast(node.kind())).then_some(None)
}

/// The queries of the cursors of a body, by name.
fn cursors(body: &Plpgsql) -> BTreeMap<String, String> {
    let declared = body.syntax().descendants().filter_map(ast::PlpgsqlCursorDecl::cast);
    let declared = declared.filter_map(|it| Some((lower(it.name()?.syntax()), without_into(it.query()?.syntax()))));
    let opened = body.syntax().descendants().filter_map(ast::PlpgsqlOpenStmt::cast).filter_map(|it| {
        let query = it.syntax().descendants().find_map(ast::PlpgsqlOpenQuery::cast)?.query()?;
        Some((lower(it.cursor()?.syntax()), without_into(query.syntax())))
    });
    declared.chain(opened).collect()
}

fn variables(body: &Plpgsql) -> BTreeSet<String> {
    let name = |node: SyntaxNode| {
        let is_name = ast::PlpgsqlVarName::can_cast(node.kind()) || ast::PlpgsqlForVariable::can_cast(node.kind());
        is_name.then(|| lower(&node))
    };
    body.syntax().descendants().filter_map(name).collect()
}
