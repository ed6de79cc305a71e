//! Which rows a query returns: all rows of a table, or fewer. Follows FROM, USING and WITH down to the tables.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use migrate_base::sql::tokens;
use migrate_schema::Object;
use squawk_syntax::ast::{self, AstNode, Expr, FromItem, FromListItem, SelectVariant};

use super::sources::{JoinedSources, RowSource, with};
use super::tautology::RequiredRows;
use super::terms::text;
use crate::locks::ScriptContext;
use crate::tree::{ObjectName, named, span};

/// How many nested or chained queries are followed.
const DEEPEST: usize = 8;
/// How many queries are read for one statement.
const MOST: usize = 1000;

/// What names in a query can refer to.
pub(super) struct QueryScope<'a> {
    pub(super) known: ScriptContext<'a>,
    sources: Vec<RowSource>,
    /// The source that is checked row by row, whatever rows the others have.
    fixed: Option<usize>,
    outer: Option<&'a QueryScope<'a>>,
    depth: usize,
    seen: Rc<ScopeCache>,
}

/// What is known about a statement so far.
#[derive(Default)]
struct ScopeCache {
    /// What its WITH queries return, by their places.
    with: RefCell<HashMap<Range<usize>, RowSource>>,
    /// How many queries have been read.
    queries: Cell<usize>,
}

/// A column of a table, as a query refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnRef {
    pub(super) alias: String,
    pub(super) table: ObjectName,
    pub(super) name: String,
    /// Whether its row is given, rather than searched for.
    pub(super) is_fixed: bool,
    /// How many queries enclose the query of this column.
    pub(super) depth: usize,
}

/// A query in which only the condition removes rows.
struct PlainQuery {
    from: JoinedSources,
    condition: Option<Expr>,
    /// The expressions that it selects, each with its name; `None` for `*`.
    selected: Option<Vec<(Expr, Option<String>)>>,
}

impl<'a> QueryScope<'a> {
    /// What a change of rows can refer to: the table that it changes, and what the table is joined with.
    pub(super) fn of_change(
        known: ScriptContext<'a>,
        target: RowSource,
        joined: impl Iterator<Item = FromListItem>,
    ) -> (Self, Vec<Option<Expr>>) {
        let mut scope = Self { sources: vec![target], fixed: Some(0), ..Self::empty(known) };
        let from = JoinedSources::of(&scope, joined);
        scope.sources.extend(from.sources);
        (scope, from.conditions)
    }

    fn empty(known: ScriptContext<'a>) -> Self {
        Self { known, sources: Vec::new(), fixed: None, outer: None, depth: 0, seen: Rc::default() }
    }

    /// A query inside this one.
    fn inside<'s>(&'s self, sources: Vec<RowSource>, fixed: Option<usize>) -> QueryScope<'s> {
        let (outer, depth, seen) = (Some(self), self.depth + 1, self.seen.clone());
        QueryScope { known: self.known, sources, fixed, outer, depth, seen }
    }

    /// Whether the join loses no row: each source except the fixed one certainly has a row, and the conditions are
    /// always true.
    pub(super) fn keeps_all(&self, conditions: &[Option<Expr>]) -> Option<RequiredRows> {
        let has_rows = self.sources.iter().enumerate().all(|(at, one)| self.fixed == Some(at) || one.has_row);
        has_rows.then(|| self.are_always(conditions)).flatten()
    }

    /// The column that an expression refers to.
    pub(super) fn column(&self, expr: &Expr) -> Option<ColumnRef> {
        let mut node = expr.syntax().clone();
        while let Some(Expr::ParenExpr(it)) = Expr::cast(node.clone()) {
            node = it.syntax().children().find(|node| Expr::can_cast(node.kind()))?;
        }
        let text = node.text().to_string();
        let words = tokens(&text);
        let is_name =
            words.len() % 2 == 1 && words.len() <= 5 && words.iter().skip(1).step_by(2).all(|word| *word == ".");
        let name = is_name.then(|| ObjectName::parse(words.last()?)).flatten()?.name;
        match words.len() {
            1 => self.unqualified(&name),
            len => self.qualified(&ObjectName::parse(words.get(len - 3)?)?.name, &name),
        }
    }

    fn qualified(&self, alias: &str, name: &str) -> Option<ColumnRef> {
        match self.sources.iter().position(|one| one.alias == alias) {
            Some(at) => self.of_source(at, name),
            None => self.outer?.qualified(alias, name),
        }
    }

    fn unqualified(&self, name: &str) -> Option<ColumnRef> {
        let mut own = (0..self.sources.len()).filter_map(|at| self.of_source(at, name));
        let found = own.find(|one| self.known.before.is_none() || self.is_there(&one.table, &one.name));
        let may_have = self.sources.iter().any(|one| one.table.is_none());
        match found {
            Some(found) => Some(found),
            None if may_have => None,
            None => self.outer?.unqualified(name),
        }
    }

    fn of_source(&self, at: usize, name: &str) -> Option<ColumnRef> {
        let source = self.sources.get(at)?;
        let name = match &source.columns {
            Some(columns) => columns.get(name)?.clone(),
            None => name.to_owned(),
        };
        let (alias, table) = (source.alias.clone(), source.table.clone()?);
        Some(ColumnRef { alias, table, name, is_fixed: self.fixed == Some(at), depth: self.depth })
    }

    fn is_there(&self, table: &ObjectName, column: &str) -> bool {
        let table = self.table(table);
        column == "ctid" || table.is_some_and(|table| self.known.column(table, column).is_some())
    }

    /// A table by its full name.
    pub(super) fn table(&self, name: &ObjectName) -> Option<&'a Object> {
        self.known.table(name)
    }

    /// Whether a condition of this query can choose the row of a column.
    pub(super) fn chooses(&self, column: &ColumnRef) -> bool {
        column.depth == self.depth && !column.is_fixed
    }

    /// What one item of FROM returns.
    pub(super) fn source(&self, item: &FromItem) -> RowSource {
        match item {
            FromItem::RelationFromItem(it) => {
                let alias = it.alias();
                let own = alias.as_ref().and_then(|alias| Some(named(&alias.name()?)?.name));
                let Some(name) = it.relation_name_ref().and_then(|name| named(&name)) else {
                    return RowSource::unknown(own.unwrap_or_default());
                };
                let is_part = it.only_token().is_some() || it.tablesample_clause().is_some();
                if is_part || alias.is_some_and(|alias| alias.columns().is_some()) {
                    return RowSource::unknown(own.unwrap_or(name.name));
                }
                match with(it.syntax(), &name) {
                    Some(Some(with)) => self.of_with(&with, own.unwrap_or(name.name)),
                    Some(None) => RowSource::unknown(own.unwrap_or(name.name)),
                    None => RowSource::table(&self.known, &name, own),
                }
            }
            FromItem::ParenFromItem(it) => {
                let alias = it.alias();
                let own = alias.as_ref().and_then(|alias| Some(named(&alias.name()?)?.name)).unwrap_or_default();
                let query = it.syntax().children().find_map(SelectVariant::cast);
                let is_renamed = alias.is_some_and(|alias| alias.columns().is_some());
                query
                    .filter(|_| !is_renamed)
                    .map_or(RowSource::unknown(own.clone()), |query| self.of_query(&query, own))
            }
            _ => {
                let alias = item.syntax().children().find_map(ast::FromAlias::cast);
                RowSource::unknown(alias.and_then(|alias| Some(named(&alias.name()?)?.name)).unwrap_or_default())
            }
        }
    }

    fn of_with(&self, with: &ast::WithTable, alias: String) -> RowSource {
        let place = span(with);
        let seen = self.seen.with.borrow().get(&place).cloned();
        let found = seen.unwrap_or_else(|| {
            let query = with.query().and_then(|query| SelectVariant::cast(query.syntax().clone()));
            let query = query.filter(|_| with.column_list().is_none());
            let found = query.map_or(RowSource::unknown(String::new()), |query| self.of_query(&query, String::new()));
            self.seen.with.borrow_mut().insert(place, found.clone());
            found
        });
        RowSource { alias, ..found }
    }

    /// What a query in FROM returns: the rows of a table, if it has all of them.
    fn of_query(&self, query: &SelectVariant, alias: String) -> RowSource {
        let unknown = RowSource::unknown(alias.clone());
        let Some(PlainQuery { from, condition, selected }) = self.plain(query, false) else { return unknown };
        if selected.iter().flatten().any(|(expr, _)| has_call(expr)) {
            return unknown;
        }
        let conditions: Vec<Option<Expr>> = from.conditions.into_iter().chain(condition.map(Some)).collect();
        if from.sources.is_empty() {
            let has_row = self.inside(Vec::new(), None).keeps_all(&conditions).is_some();
            return RowSource { has_row, ..unknown };
        }
        let whole = (0..from.sources.len()).filter(|at| from.sources[*at].table.is_some()).find(|at| {
            let scope = self.inside(from.sources.clone(), Some(*at));
            scope.keeps_all(&conditions).is_some()
        });
        let Some(at) = whole else { return unknown };
        let source = from.sources[at].clone();
        let scope = self.inside(from.sources, Some(at));
        let columns = selected.map(|selected| {
            let of_source = |(expr, name): (Expr, Option<String>)| {
                let column = scope.column(&expr).filter(|column| column.is_fixed && column.depth == scope.depth)?;
                Some((name.unwrap_or_else(|| last_name(&expr)), column.name))
            };
            selected.into_iter().filter_map(of_source).collect()
        });
        RowSource { alias, columns: columns.or(source.columns), ..source }
    }

    /// The table of which a query returns every row.
    pub(super) fn whole(known: ScriptContext<'a>, query: &SelectVariant) -> Option<ObjectName> {
        Self::empty(known).of_query(query, String::new()).table
    }

    /// Whether a query returns, for each row around it, a row; if columns are asked for, one with these values.
    pub(super) fn has_row(&self, query: &SelectVariant, asked: Option<&[Expr]>) -> Option<RequiredRows> {
        if let SelectVariant::CompoundSelect(it) = query {
            let is_union = it.syntax().children().any(|node| ast::Union::can_cast(node.kind()));
            let mut queries = it.syntax().children().filter_map(SelectVariant::cast);
            let is_whole = it.tail_clauses().next().is_none();
            return queries.find_map(|query| self.has_row(&query, asked)).filter(|_| is_union && is_whole);
        }
        let PlainQuery { from, condition, selected } = self.plain(query, asked.is_none())?;
        let conditions: Vec<Option<Expr>> = from.conditions.into_iter().chain(condition.map(Some)).collect();
        let scope = self.inside(from.sources, None);
        let mut bonds = scope.keeps_all(&conditions)?;
        let own = |(expr, _): (Expr, _)| collected(&expr).filter(|_| asked.is_some()).unwrap_or(expr);
        let selected: Option<Vec<Expr>> = selected.map(|all| all.into_iter().map(own).collect());
        if selected.iter().flatten().any(has_call) {
            return None;
        }
        if let Some(asked) = asked {
            let selected = selected.filter(|selected| selected.len() == asked.len())?;
            for (asked, expr) in asked.iter().zip(&selected) {
                bonds = bonds.with(scope.equal(&self.column(asked)?, &scope.column(expr)?)?)?;
            }
        }
        Some(bonds.outside(scope.depth))
    }

    /// Whether a query returns no row.
    pub(super) fn is_empty(&self, query: &SelectVariant) -> bool {
        let Some(PlainQuery { from, condition, selected }) = self.plain(query, true) else {
            let tail = query.syntax().children().find_map(ast::LimitClause::cast);
            return tail.is_some_and(|limit| tokens(&text(&limit))[1..] == ["0"]);
        };
        // An aggregate returns a row in any case.
        let may_aggregate = selected.iter().flatten().any(|(expr, _)| has_call(expr));
        !may_aggregate && condition.is_some_and(|condition| self.inside(from.sources, None).is_never(&condition))
    }

    /// The column whose smallest or largest value over a whole table a query returns.
    pub(super) fn extreme(&self, query: &SelectVariant, aggregate: &str) -> Option<ColumnRef> {
        let PlainQuery { from, condition, selected } = self.plain(query, false)?;
        let [(Expr::CallExpr(call), _)] = selected.as_deref()? else { return None };
        let is_it = text(&call.expr()?).trim().eq_ignore_ascii_case(aggregate);
        let value = argument(call).filter(|_| is_it)?;
        let conditions: Vec<Option<Expr>> = from.conditions.into_iter().chain(condition.map(Some)).collect();
        (0..from.sources.len()).find_map(|at| {
            let scope = self.inside(from.sources.clone(), Some(at));
            scope.keeps_all(&conditions)?;
            scope.column(&value).filter(|column| column.is_fixed && column.depth == scope.depth)
        })
    }

    /// A query that returns a row for each row that meets its condition. If any row will do, it may return fewer.
    fn plain(&self, query: &SelectVariant, any_row: bool) -> Option<PlainQuery> {
        let queries = self.seen.queries.replace(self.seen.queries.get() + 1);
        (self.depth < DEEPEST && queries < MOST).then_some(())?;
        match query {
            SelectVariant::Select(it) => {
                let is_grouped = it.group_by_clause().is_some() || it.having_clause().is_some();
                let is_cut = it.tail_clauses().any(|tail| match tail {
                    ast::SelectTailClause::LimitClause(limit) => !any_row || !is_some_rows(&limit),
                    ast::SelectTailClause::OffsetClause(_) => true,
                    ast::SelectTailClause::FetchClause(fetch) => !any_row || !is_some_rows(&fetch),
                    _ => false,
                });
                let clause = it.select_clause()?;
                let is_distinct_on = match clause.select_quantifier() {
                    Some(ast::SelectQuantifier::DistinctClause(it)) => it.distinct_on().is_some(),
                    _ => false,
                };
                (!is_grouped && !is_cut && !is_distinct_on).then_some(())?;
                let items = it.from_clause().into_iter().flat_map(|from| from.items().collect::<Vec<_>>());
                let targets: Vec<ast::Target> =
                    clause.target_list().into_iter().flat_map(|list| list.targets().collect::<Vec<_>>()).collect();
                let target = |one: &ast::Target| {
                    let name = one.as_name().and_then(|name| Some(named(&name.name()?)?.name));
                    one.syntax().children().find_map(Expr::cast).map(|expr| (expr, name))
                };
                let is_star = matches!(targets.as_slice(), [one] if text(one).trim() == "*");
                let selected = (!is_star).then(|| targets.iter().filter_map(target).collect());
                let condition = it.where_clause().and_then(|clause| clause.expr());
                let from = JoinedSources::of(&self.inside(Vec::new(), None), items);
                Some(PlainQuery { from, condition, selected })
            }
            SelectVariant::ParenSelect(it) => {
                it.tail_clauses().next().is_none().then_some(())?;
                self.plain(&it.syntax().children().find_map(SelectVariant::cast)?, any_row)
            }
            SelectVariant::Table(it) => {
                it.tail_clauses().next().is_none().then_some(())?;
                let name = named(&it.relation_name()?.relation_name_ref()?)?;
                let sources = vec![RowSource::table(&self.known, &name, None)];
                Some(PlainQuery {
                    from: JoinedSources { sources, conditions: Vec::new() },
                    condition: None,
                    selected: None,
                })
            }
            _ => None,
        }
    }
}

/// Whether an expression calls a function: an aggregate reduces all rows to one, and another function may return many
/// rows, or none, for one row. A window function does neither.
fn has_call(expr: &Expr) -> bool {
    let mut calls = expr.syntax().descendants().filter_map(ast::CallExpr::cast);
    calls.any(|call| call.over_clause().is_none())
}

/// Whether a LIMIT or FETCH lets at least one row through: a number above zero, or no number.
fn is_some_rows(clause: &impl AstNode) -> bool {
    let text = text(clause);
    let words = tokens(&text);
    words.iter().skip(1).all(|word| match word.parse::<u64>() {
        Ok(number) => number > 0,
        Err(_) => ["all", "first", "next", "row", "rows", "only"].iter().any(|one| word.eq_ignore_ascii_case(one)),
    })
}

/// The argument of `array_agg`.
fn collected(expr: &Expr) -> Option<Expr> {
    let Expr::CallExpr(call) = expr else { return None };
    text(&call.expr()?).trim().eq_ignore_ascii_case("array_agg").then(|| argument(call)).flatten()
}

/// The argument of a call without a FILTER.
fn argument(call: &ast::CallExpr) -> Option<Expr> {
    let arguments = call.arg_list().filter(|_| call.filter_clause().is_none())?;
    let mut all = arguments.args();
    let first = all.next()?;
    all.next().is_none().then(|| first.syntax().descendants().find_map(Expr::cast)).flatten()
}

fn last_name(expr: &Expr) -> String {
    let text = text(expr);
    tokens(&text).last().and_then(|word| ObjectName::parse(word)).map(|name| name.name).unwrap_or_default()
}
