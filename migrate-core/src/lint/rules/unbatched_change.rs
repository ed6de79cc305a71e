//! `unbatched-change`: one statement changes all rows of a table that is in use.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Expr, FromListItem};

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};
use crate::lint::rows::Scope;
use crate::lint::script::{Named, named};
use crate::lint::sources::Source;

pub(super) const RULE: Rule =
    rule("unbatched-change", Class::Locks, Severity::Warning, include_str!("../pages/unbatched-change.md"), check);

/// A change of rows: its word, its table, what that is joined with, and its condition.
struct Changed {
    word: &'static str,
    table: Named,
    alias: Option<String>,
    joined: Vec<FromListItem>,
    condition: Option<Expr>,
}

fn check(subject: &Subject<'_>, parsed: &Parsed) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (span, stmt) in &parsed.statements {
        // Also those in the WITH of another statement.
        let mut all = stmt.syntax().descendants();
        let found = all.find_map(|node| match ast::Insert::cast(node.clone()) {
            Some(insert) => overwritten(subject, parsed, span.start, &insert),
            None => changed(node).and_then(|one| changes_all(subject, parsed, span.start, &one)),
        });
        hits.extend(found.map(|found| {
            let hit = Hit::new(span.clone(), found.message)
                .note("it locks each row until it is done, and leaves as many dead ones behind")
                .help("change some thousand rows at a time, in a migration without a transaction");
            if found.has_condition { hit.note("its condition holds for every row") } else { hit }
        }));
    }
    hits
}

/// What is wrong with a change.
struct Found {
    message: String,
    has_condition: bool,
}

fn changes_all(subject: &Subject<'_>, parsed: &Parsed, at: usize, one: &Changed) -> Option<Found> {
    subject.uses(parsed, at, &one.table).then_some(())?;
    let known = subject.known(parsed, at);
    let target = Source::table(&known, &one.table, one.alias.clone());
    let (scope, mut conditions) = Scope::of_change(known, target, one.joined.iter().cloned());
    let has_condition = one.condition.is_some();
    conditions.extend(one.condition.clone().map(Some));
    let is_all = (has_condition || one.word != "MERGE") && scope.keeps_all(&conditions).is_some();
    is_all.then(|| Found { message: format!("this {} changes every row in one transaction", one.word), has_condition })
}

/// An INSERT that writes over a row for each one that it reads, of a whole table.
fn overwritten(subject: &Subject<'_>, parsed: &Parsed, at: usize, insert: &ast::Insert) -> Option<Found> {
    let Some(ast::ConflictAction::ConflictDoUpdateSet(update)) = insert.on_conflict_clause()?.conflict_action() else {
        return None;
    };
    let table = named(&insert.relation_name_ref()?)?;
    subject.uses(parsed, at, &table).then_some(())?;
    let Some(ast::InsertSource::SelectVariant(query)) = insert.insert_source() else { return None };
    let known = subject.known(parsed, at);
    let read = Scope::whole(known, &query)?;
    subject.is_released(parsed, &read).then_some(())?;
    let condition = update.where_clause().and_then(|clause| clause.expr());
    if let Some(condition) = &condition {
        let alias = insert.alias().and_then(|alias| Some(named(&alias.name()?)?.name));
        let target = Source::table(&known, &table, alias);
        let (scope, _) = Scope::of_change(known, target, std::iter::empty());
        scope.is_always(condition)?;
    }
    let message = format!("this INSERT writes over a row for every row of {} in one transaction", read.name);
    Some(Found { message, has_condition: condition.is_some() })
}

fn changed(node: SyntaxNode) -> Option<Changed> {
    let relation = |name: Option<ast::RelationName>| named(&name?.relation_name_ref()?);
    let alias = |alias: Option<ast::OptionalAsAlias>| Some(named(&alias?.name()?)?.name);
    // A cursor stands on one row.
    let condition = |clause: Option<ast::WhereClauseOrCurrentOf>| match clause {
        Some(ast::WhereClauseOrCurrentOf::WhereClause(it)) => it.expr().map(Some),
        Some(_) => None,
        None => Some(None),
    };
    if let Some(it) = ast::Update::cast(node.clone()) {
        let joined = it.from_clause().into_iter().flat_map(|from| from.items().collect::<Vec<_>>()).collect();
        let (table, condition) = (relation(it.relation_name())?, condition(it.where_clause_or_current_of())?);
        return Some(Changed { word: "UPDATE", table, alias: alias(it.alias()), joined, condition });
    }
    if let Some(it) = ast::Delete::cast(node.clone()) {
        let joined = it.using_clause().into_iter().flat_map(|using| using.items().collect::<Vec<_>>()).collect();
        let (table, condition) = (relation(it.relation_name())?, condition(it.where_clause_or_current_of())?);
        return Some(Changed { word: "DELETE", table, alias: alias(it.alias()), joined, condition });
    }
    let it = ast::Merge::cast(node)?;
    let table = named(&it.table_relation_name()?.table_name_ref()?)?;
    let using = it.using_on_clause()?;
    // The first that fits is taken: each has to change the row, up to one that fits whatever is left.
    let mut changes = false;
    for clause in it.merge_when_clauses() {
        let ast::MergeWhenClause::MergeWhenMatched(clause) = clause else { continue };
        let action = clause.merge_action();
        changes = matches!(action, Some(ast::MergeAction::MergeUpdate(_) | ast::MergeAction::MergeDelete(_)));
        if !changes || clause.merge_condition().is_none() {
            break;
        }
        changes = false;
    }
    let condition = using.on_clause().and_then(|on| on.expr());
    let joined = using.from_list_item().into_iter().collect();
    changes.then_some(Changed { word: "MERGE", table, alias: alias(it.alias()), joined, condition })
}
