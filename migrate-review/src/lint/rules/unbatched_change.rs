//! `unbatched-change`: one statement changes all rows of a table that is in use.

use std::collections::BTreeSet;
use std::ops::Range;

use migrate_base::sql::tokens;
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Expr, FromListItem, SelectVariant, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::lint::rows::QueryScope;
use crate::lint::sources::RowSource;
use crate::lint::terms::{sides, text};
use crate::parse::parse;
use crate::tree::BodyLoop;
use crate::tree::writes;
use crate::tree::{ObjectName, named};

pub(super) const RULE: LintRule =
    rule("unbatched-change", RuleClass::Locks, Severity::Warning, include_str!("../pages/unbatched-change.md"), check);

/// A change of rows: its command, its table, what the table is joined with, and which rows it changes.
struct RowChange {
    word: &'static str,
    table: ObjectName,
    alias: Option<String>,
    joined: Vec<FromListItem>,
    which: RowSelection,
}

/// Which rows are changed.
enum RowSelection {
    All,
    Where(Expr),
    /// The current row of a cursor.
    Current,
}

impl RowSelection {
    fn condition(&self) -> Option<&Expr> {
        match self {
            Self::Where(condition) => Some(condition),
            Self::All | Self::Current => None,
        }
    }
}

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let mut hits = Vec::new();
    for (at, (span, stmt)) in parsed.statements.iter().enumerate() {
        // The action of a rule runs when something fires the rule.
        if matches!(stmt, Stmt::CreateRule(_)) && !is_fired(stmt, &parsed.statements[at + 1..]) {
            continue;
        }
        // Includes those in the WITH of another statement.
        let mut all = stmt.syntax().descendants();
        let found = all.find_map(|node| match ast::Insert::cast(node.clone()) {
            Some(insert) => overwritten(subject, parsed, span.start, &insert),
            None => changed(node).and_then(|one| {
                let all = changes_all(subject, parsed, span.start, &one);
                all.or_else(|| in_turns(subject, parsed, span.start, &one))
            }),
        });
        hits.extend(found.map(|found| {
            let hit = RuleHit::new(span.clone(), found.message)
                .note("it locks each row until it is done, and leaves as many dead rows behind")
                .help("change a few thousand rows at a time, in a migration without a transaction");
            found.why.into_iter().fold(hit, RuleHit::note)
        }));
    }
    hits
}

/// Whether one of the statements after a rule fires it.
fn is_fired(rule: &Stmt, later: &[(Range<usize>, Stmt)]) -> bool {
    let text = rule.syntax().text().to_string();
    let words = tokens(&text);
    // `CREATE RULE name AS ON event TO table`
    let at = words.windows(2).position(|two| two[0].eq_ignore_ascii_case("as") && two[1].eq_ignore_ascii_case("on"));
    let Some([event, _, table @ ..]) = at.and_then(|at| words.get(at + 2..)) else { return false };
    let end = if table.get(1) == Some(&".") { 3 } else { 1 };
    let table = table.get(..end).and_then(|name| ObjectName::parse(&name.concat()));
    let mut written = later.iter().flat_map(|(_, stmt)| writes(stmt));
    table.is_some_and(|table| written.any(|write| write.is(event, &table)))
}

/// What is wrong with a change.
struct ChangeProblem {
    message: String,
    why: Option<&'static str>,
}

const ALWAYS: &str = "its condition is true for every row";

fn changes_all(subject: &LintSubject<'_>, parsed: &ParsedScript, at: usize, one: &RowChange) -> Option<ChangeProblem> {
    subject.uses(parsed, at, &one.table).then_some(())?;
    let known = subject.known(parsed, at);
    let target = RowSource::table(&known, &one.table, one.alias.clone());
    let (scope, mut conditions) = QueryScope::of_change(known, target, one.joined.iter().cloned());
    let condition = one.which.condition();
    conditions.extend(condition.cloned().map(Some));
    let is_some = matches!(one.which, RowSelection::Current) || condition.is_none() && one.word == "MERGE";
    let is_all = !is_some && scope.keeps_all(&conditions).is_some();
    let why = condition.map(|_| ALWAYS);
    is_all.then(|| ChangeProblem { message: format!("this {} changes every row in one transaction", one.word), why })
}

/// A change in a loop that iterates over each row of the table, or that processes the table in parts, without ending
/// the transaction between the iterations.
fn in_turns(subject: &LintSubject<'_>, parsed: &ParsedScript, at: usize, one: &RowChange) -> Option<ChangeProblem> {
    subject.uses(parsed, at, &one.table).then_some(())?;
    let around: Vec<&BodyLoop> = parsed.turns.iter().filter(|turns| turns.place.contains(&at)).collect();
    let known = subject.known(parsed, at);
    let is_of_all = |turns: &BodyLoop| {
        let query = turns.rows.as_ref().and_then(|text| query(text));
        query
            .and_then(|query| QueryScope::whole(known, &query))
            .is_some_and(|rows| known.full(&one.table) == Some(rows))
    };
    let is_row = |turns: &BodyLoop| match &one.which {
        RowSelection::Current => true,
        RowSelection::Where(condition) => is_of_turn(condition, &turns.variables),
        RowSelection::All => false,
    };
    if around.iter().any(|turns| !turns.commits && is_row(turns) && is_of_all(turns)) {
        let message =
            format!("this {} changes every row, one in each iteration of a loop, in one transaction", one.word);
        return Some(ChangeProblem { message, why: Some("the loop iterates over every row of the table") });
    }
    let is_part = |turns: &BodyLoop| {
        !turns.commits && one.which.condition().is_some_and(|condition| is_part(condition, &turns.variables))
    };
    around.iter().any(|turns| is_part(turns)).then(|| {
        let message =
            format!("this {} changes a part of the rows in each iteration of a loop, all in one transaction", one.word);
        ChangeProblem { message, why: Some("nothing is committed between the iterations: add COMMIT to the loop") }
    })
}

fn query(text: &str) -> Option<SelectVariant> {
    parse(text).tree().stmts().next().and_then(|stmt| SelectVariant::cast(stmt.syntax().clone()))
}

/// Whether a condition selects the row of the current iteration: `id = r.id`, `id = $1`.
fn is_of_turn(condition: &Expr, variables: &BTreeSet<String>) -> bool {
    let Some((left, operator, right)) = sides(condition.syntax()) else { return false };
    operator == "=" && [left, right].iter().any(|side| tokens(&text(side)).len() <= 3 && has_variable(side, variables))
}

/// Whether a condition selects another part of the rows in each iteration: the next ones, or those of a range.
fn is_part(condition: &Expr, variables: &BTreeSet<String>) -> bool {
    const RANGES: [&str; 7] = ["<", ">", "<=", ">=", "%", "between", "mod"];
    let text = text(condition).to_ascii_lowercase();
    let words = tokens(&text);
    let has = |all: &[&str]| words.iter().any(|word| all.contains(word));
    has(&["limit", "fetch"]) || has(&RANGES) && has_variable(condition, variables)
}

/// Whether an expression contains a variable, or a parameter of EXECUTE.
fn has_variable(expr: &Expr, variables: &BTreeSet<String>) -> bool {
    let text = text(expr).to_ascii_lowercase();
    let words = tokens(&text);
    let is_field = |at: usize| at > 0 && words[at - 1] == ".";
    let is_variable = |(at, word): (usize, &&str)| word.starts_with('$') || variables.contains(*word) && !is_field(at);
    words.iter().enumerate().any(is_variable)
}

/// An INSERT that overwrites a row for each row that it reads from a whole table.
fn overwritten(
    subject: &LintSubject<'_>,
    parsed: &ParsedScript,
    at: usize,
    insert: &ast::Insert,
) -> Option<ChangeProblem> {
    let Some(ast::ConflictAction::ConflictDoUpdateSet(update)) = insert.on_conflict_clause()?.conflict_action() else {
        return None;
    };
    let table = named(&insert.relation_name_ref()?)?;
    subject.uses(parsed, at, &table).then_some(())?;
    let Some(ast::InsertSource::SelectVariant(query)) = insert.insert_source() else { return None };
    let known = subject.known(parsed, at);
    let read = QueryScope::whole(known, &query)?;
    subject.is_released(parsed, &read).then_some(())?;
    let condition = update.where_clause().and_then(|clause| clause.expr());
    if let Some(condition) = &condition {
        let alias = insert.alias().and_then(|alias| Some(named(&alias.name()?)?.name));
        let target = RowSource::table(&known, &table, alias);
        let (scope, _) = QueryScope::of_change(known, target, std::iter::empty());
        scope.is_always(condition)?;
    }
    let message = format!("this INSERT overwrites a row for every row of {} in one transaction", read.name);
    Some(ChangeProblem { message, why: condition.map(|_| ALWAYS) })
}

fn changed(node: SyntaxNode) -> Option<RowChange> {
    let relation = |name: Option<ast::RelationName>| named(&name?.relation_name_ref()?);
    let alias = |alias: Option<ast::OptionalAsAlias>| Some(named(&alias?.name()?)?.name);
    let which = |clause: Option<ast::WhereClauseOrCurrentOf>| match clause {
        Some(ast::WhereClauseOrCurrentOf::WhereClause(it)) => it.expr().map(RowSelection::Where),
        Some(_) => Some(RowSelection::Current),
        None => Some(RowSelection::All),
    };
    if let Some(it) = ast::Update::cast(node.clone()) {
        let joined = it.from_clause().into_iter().flat_map(|from| from.items().collect::<Vec<_>>()).collect();
        let (table, which) = (relation(it.relation_name())?, which(it.where_clause_or_current_of())?);
        return Some(RowChange { word: "UPDATE", table, alias: alias(it.alias()), joined, which });
    }
    if let Some(it) = ast::Delete::cast(node.clone()) {
        let joined = it.using_clause().into_iter().flat_map(|using| using.items().collect::<Vec<_>>()).collect();
        let (table, which) = (relation(it.relation_name())?, which(it.where_clause_or_current_of())?);
        return Some(RowChange { word: "DELETE", table, alias: alias(it.alias()), joined, which });
    }
    let it = ast::Merge::cast(node)?;
    let table = named(&it.table_relation_name()?.table_name_ref()?)?;
    let using = it.using_on_clause()?;
    // The first matching clause applies. So each clause must change the row, up to one without a condition.
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
    let which = using.on_clause().and_then(|on| on.expr()).map_or(RowSelection::All, RowSelection::Where);
    let joined = using.from_list_item().into_iter().collect();
    changes.then_some(RowChange { word: "MERGE", table, alias: alias(it.alias()), joined, which })
}
