//! `unbatched-change`: one statement changes all rows of a table that is in use.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode};

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};
use crate::lint::script::{Named, named};
use crate::lint::tautology::About;

pub(super) const RULE: Rule =
    rule("unbatched-change", Class::Locks, Severity::Warning, include_str!("../pages/unbatched-change.md"), check);

/// A change of rows: its word, its table, the tables that it is joined with, and its condition.
struct Changed {
    word: &'static str,
    table: Named,
    joined: Vec<Named>,
    condition: Option<ast::Expr>,
}

fn check(subject: &Subject<'_>, parsed: &Parsed) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (span, stmt) in &parsed.statements {
        // Also those in the WITH of another statement.
        let all = stmt.syntax().descendants().filter_map(changed);
        let mut all = all.filter(|one| {
            subject.uses(parsed, span.start, &one.table) && changes_all(subject, parsed, span.start, one)
        });
        if let Some(one) = all.next() {
            let hit = Hit::new(span.clone(), format!("this {} changes every row in one transaction", one.word))
                .note("it locks each row until it is done, and leaves as many dead ones behind")
                .help("change some thousand rows at a time, in a migration without a transaction");
            let is_said = one.condition.is_some();
            hits.push(if is_said { hit.note("its condition holds for every row") } else { hit });
        }
    }
    hits
}

fn changes_all(subject: &Subject<'_>, parsed: &Parsed, at: usize, one: &Changed) -> bool {
    let known = subject.known(parsed, at);
    let table = known.relation(&one.table);
    let joins_itself = one.joined.iter().any(|name| name.name == one.table.name);
    match &one.condition {
        None => one.joined.is_empty() || one.word != "MERGE",
        Some(condition) => About { known, name: one.table.clone(), table, joins_itself }.is_always(condition),
    }
}

fn changed(node: SyntaxNode) -> Option<Changed> {
    let relation = |name: Option<ast::RelationName>| named(&name?.relation_name_ref()?);
    let condition = |clause: Option<ast::WhereClauseOrCurrentOf>| match clause {
        Some(ast::WhereClauseOrCurrentOf::WhereClause(it)) => it.expr(),
        // A cursor stands on one row.
        Some(other) => other.syntax().descendants().find_map(ast::Expr::cast),
        None => None,
    };
    let joined = |node: Option<SyntaxNode>| {
        let names = node.into_iter().flat_map(|node| node.descendants().collect::<Vec<_>>());
        names.filter_map(ast::RelationNameRef::cast).filter_map(|name| named(&name)).collect::<Vec<_>>()
    };
    if let Some(it) = ast::Update::cast(node.clone()) {
        let clause = it.where_clause_or_current_of();
        let is_all = clause.is_none() || matches!(clause, Some(ast::WhereClauseOrCurrentOf::WhereClause(_)));
        let joined = joined(it.from_clause().map(|from| from.syntax().clone()));
        let table = relation(it.relation_name())?;
        return is_all.then(|| Changed { word: "UPDATE", table, joined, condition: condition(clause) });
    }
    if let Some(it) = ast::Delete::cast(node.clone()) {
        let clause = it.where_clause_or_current_of();
        let is_all = clause.is_none() || matches!(clause, Some(ast::WhereClauseOrCurrentOf::WhereClause(_)));
        let joined = joined(it.using_clause().map(|using| using.syntax().clone()));
        let table = relation(it.relation_name())?;
        return is_all.then(|| Changed { word: "DELETE", table, joined, condition: condition(clause) });
    }
    let it = ast::Merge::cast(node)?;
    let table = named(&it.table_relation_name()?.table_name_ref()?)?;
    let using = it.using_on_clause()?;
    let whole = |clause: ast::MergeWhenClause| match clause {
        ast::MergeWhenClause::MergeWhenMatched(it) => it.merge_condition().is_none(),
        _ => false,
    };
    let changes = it.merge_when_clauses().any(whole);
    let condition = using.on_clause().and_then(|on| on.expr());
    let joined = joined(using.from_list_item().map(|item| item.syntax().clone()));
    changes.then_some(Changed { word: "MERGE", table, joined, condition })
}
