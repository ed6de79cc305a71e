//! The sources of the rows of a query: the items of FROM, USING and WITH.

use std::collections::BTreeMap;

use migrate_base::sql::tokens;
use migrate_schema::Kind;
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Expr, FromListItem};

use super::rows::QueryScope;
use super::terms::text;
use crate::locks::ScriptContext;
use crate::tree::{ObjectName, named};

/// A source of rows.
#[derive(Debug, Clone)]
pub(super) struct RowSource {
    /// The name that qualifies its columns.
    pub(super) alias: String,
    /// The table, by its full name, if the source has every row of it; `None` if it may have fewer rows, or none.
    pub(super) table: Option<ObjectName>,
    /// The columns of the table that the source has, by their names in the source; `None` if it has all under their own
    /// names.
    pub(super) columns: Option<BTreeMap<String, String>>,
    /// Whether it certainly has a row, so that a join with it loses no row of the other sources.
    pub(super) has_row: bool,
}

/// The sources of a query, and the conditions that join them; `None` for a condition that cannot be read.
#[derive(Default)]
pub(super) struct JoinedSources {
    pub(super) sources: Vec<RowSource>,
    pub(super) conditions: Vec<Option<Expr>>,
}

impl RowSource {
    /// A table with all its rows.
    pub(super) fn table(known: &ScriptContext<'_>, name: &ObjectName, alias: Option<String>) -> Self {
        let table = match known.before {
            Some(_) => known.relation(name).filter(|one| one.id.kind == Kind::Table).and_then(|_| known.full(name)),
            None => known.full(name),
        };
        let has_row = table.is_some();
        Self { alias: alias.unwrap_or_else(|| name.name.clone()), table, columns: None, has_row }
    }

    /// A source that may have any rows, or none.
    pub(super) fn unknown(alias: String) -> Self {
        Self { alias, table: None, columns: None, has_row: false }
    }
}

impl JoinedSources {
    /// Reads the items of a FROM or USING.
    pub(super) fn of(scope: &QueryScope<'_>, items: impl Iterator<Item = FromListItem>) -> Self {
        let mut from = Self::default();
        items.for_each(|item| from.take(scope, &item));
        from
    }

    fn take(&mut self, scope: &QueryScope<'_>, item: &FromListItem) {
        match item {
            FromListItem::FromItem(item) => self.sources.push(scope.source(item)),
            FromListItem::JoinExpr(join) => {
                let parts =
                    join.join().and_then(|right| Some((join.from_list_item()?, right.from_list_item()?, right)));
                let Some((left, right, join)) = parts else { return self.conditions.push(None) };
                let start = self.sources.len();
                self.take(scope, &left);
                let middle = self.sources.len();
                self.take(scope, &right);
                let has = |word: &str| {
                    join.join_type()
                        .is_some_and(|ty| tokens(&text(&ty)).iter().any(|one| one.eq_ignore_ascii_case(word)))
                };
                // The side that an outer join fills with NULL gets rows that its table does not have.
                let (keeps_left, keeps_right) = (has("left") || has("full"), has("right") || has("full"));
                let lost = match (keeps_left, keeps_right) {
                    (true, true) => start..self.sources.len(),
                    (true, false) => middle..self.sources.len(),
                    (false, true) => start..middle,
                    (false, false) => 0..0,
                };
                let lost = &mut self.sources[lost];
                // A row without a match stays if its side is kept, so only that side needs a row.
                let has_row = !(keeps_left && keeps_right) || lost.iter().any(|one| one.has_row);
                lost.iter_mut().for_each(|one| (one.table, one.has_row) = (None, has_row));
                if keeps_left || keeps_right || has("cross") {
                    return;
                }
                self.conditions.push(match join.join_condition() {
                    Some(ast::JoinCondition::OnClause(on)) => on.expr(),
                    _ => None,
                });
            }
        }
    }
}

/// What a name means in the WITH of an enclosing statement; `Some(None)` for a recursive query.
pub(super) fn with(node: &SyntaxNode, name: &ObjectName) -> Option<Option<ast::WithTable>> {
    name.schema.is_none().then_some(())?;
    let clauses = node.ancestors().flat_map(|node| node.children()).filter_map(ast::WithClause::cast);
    let is_it = |one: &ast::WithTable| one.name().and_then(|own| named(&own)).as_ref() == Some(name);
    let mut tables = clauses.flat_map(|clause| {
        let is_recursive = clause.recursive_token().is_some();
        clause.with_tables().filter(is_it).map(move |table| (table, is_recursive)).collect::<Vec<_>>()
    });
    tables.find_map(|(table, is_recursive)| {
        // Without RECURSIVE, a query sees only the queries before it.
        let is_before = table.syntax().text_range().end() <= node.text_range().start();
        (is_before || is_recursive).then(|| Some(table).filter(|_| is_before && !is_recursive))
    })
}
