//! Recognizes conditions that are true for every row, however they are written.

use std::collections::BTreeMap;

use migrate_base::sql::tokens;
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{AstNode, Expr};

use super::rows::{ColumnRef, QueryScope};
use super::terms::{
    ArrayOperand, array, compared, first_word, is_all, is_not, is_true_text, number, query_in, sides, terms, text,
    tuple,
};
use crate::locks::{is_filled, refers};

/// Up to how many terms of an OR are compared with one another.
const COMPARED: usize = 8;

/// Which row of each source a condition needs in order to be true. A source is absent if nothing is needed of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RequiredRows(BTreeMap<(usize, String), RequiredRow>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum RequiredRow {
    /// The same row of the same table.
    Same,
    /// The row that a foreign key refers to: of this source, in this column.
    Key(String, String),
}

impl RequiredRows {
    /// What two conditions need to be true together; `None` if they may need two different rows.
    pub(super) fn with(mut self, other: Self) -> Option<Self> {
        for (source, bond) in other.0 {
            if self.0.get(&source).is_some_and(|own| *own != bond) {
                return None;
            }
            self.0.insert(source, bond);
        }
        Some(self)
    }

    /// What is needed of the queries outside a query of this depth.
    pub(super) fn outside(mut self, depth: usize) -> Self {
        self.0.retain(|(own, _), _| *own < depth);
        self
    }

    fn on(column: &ColumnRef, bond: RequiredRow) -> Self {
        Self(BTreeMap::from([((column.depth, column.alias.clone()), bond)]))
    }
}

/// True without any needs.
fn always() -> Option<RequiredRows> {
    Some(RequiredRows::default())
}

fn when(holds: bool) -> Option<RequiredRows> {
    holds.then(RequiredRows::default)
}

impl QueryScope<'_> {
    /// Whether all these conditions are true for every row; a condition that cannot be read is not.
    pub(super) fn are_always(&self, conditions: &[Option<Expr>]) -> Option<RequiredRows> {
        conditions.iter().try_fold(RequiredRows::default(), |bonds, one| bonds.with(self.is_always(one.as_ref()?)?))
    }

    /// Whether a condition is true for every row, and what it needs of the rows that it can choose.
    pub(super) fn is_always(&self, expr: &Expr) -> Option<RequiredRows> {
        match expr {
            Expr::ParenExpr(it) => self.is_always(&it.syntax().children().find_map(Expr::cast)?),
            Expr::Literal(_) => when(first_word(expr) == "true"),
            Expr::CastExpr(it) => when(is_true_text(it.syntax())),
            Expr::PrefixExpr(it) => when(self.is_never(&is_not(it.syntax())?)),
            Expr::PostfixExpr(it) => {
                let is_given = tokens(&text(expr)).last().is_some_and(|word| word.eq_ignore_ascii_case("notnull"));
                when(is_given && self.has_value(&it.syntax().children().find_map(Expr::cast)?))
            }
            Expr::CallExpr(it) => self.has_row(&query_in(it.exists_fn()?.syntax())?, None),
            Expr::BetweenExpr(it) => {
                let is_plain = it.not_token().is_none() && it.between_symmetry().is_none();
                let parts: Vec<Expr> = it.syntax().children().filter_map(Expr::cast).collect();
                let [value, from, to] = parts.as_slice() else { return None };
                let from = self.holds(value, ">=", from).filter(|_| is_plain)?;
                from.with(self.holds(value, "<=", to)?)
            }
            Expr::BinExpr(it) => self.is_always_between(it.syntax()),
            _ => None,
        }
    }

    fn is_always_between(&self, node: &SyntaxNode) -> Option<RequiredRows> {
        let (left, operator, right) = sides(node)?;
        match operator.as_str() {
            "and" => {
                terms(node, "and").iter().try_fold(RequiredRows::default(), |all, one| all.with(self.is_always(one)?))
            }
            "or" => {
                let terms = terms(node, "or");
                let one = terms.iter().find_map(|one| self.is_always(one));
                one.or_else(|| when(terms.len() <= COMPARED && self.are_opposites(&terms)))
            }
            "in" => match query_in(right.syntax()) {
                Some(query) => self.has_row(&query, Some(&tuple(&left))),
                None => when(self.is_one_of_both(&left, &right)),
            },
            "=" if array(&right).is_some() => match array(&right)? {
                ArrayOperand::Of(query) => self.has_row(&query, Some(&tuple(&left))),
                ArrayOperand::Empty | ArrayOperand::Every(_) => None,
            },
            "notin" => when(self.is_empty(&query_in(right.syntax())?)),
            "<>" | "!=" if array(&right).is_some() => match array(&right)? {
                ArrayOperand::Empty => when(is_all(&right)),
                ArrayOperand::Every(query) => when(self.is_empty(&query)),
                ArrayOperand::Of(_) => None,
            },
            "is" | "isnot" => self.is_value(&left, &operator, &right),
            "isnotdistinctfrom" => match self.is_same_column(&left, &right) {
                true => always(),
                false => self.holds(&left, "=", &right),
            },
            "like" | "ilike" => when(text(&right).trim() == "'%'" && self.has_value(&left)),
            _ => self.holds(&left, &operator, &right),
        }
    }

    /// `a IS NOT NULL` of a column that is never NULL, `… IS TRUE`.
    fn is_value(&self, left: &Expr, operator: &str, right: &Expr) -> Option<RequiredRows> {
        match (operator, first_word(right).as_str()) {
            ("isnot", "null") => when(self.has_value(left)),
            ("is", "true") | ("isnot", "false") => self.is_always(left),
            ("is", "false") | ("isnot", "true") => when(self.is_never(left)),
            _ => None,
        }
    }

    /// Whether a condition is false for every row.
    pub(super) fn is_never(&self, expr: &Expr) -> bool {
        match expr {
            Expr::ParenExpr(it) => it.syntax().children().find_map(Expr::cast).is_some_and(|one| self.is_never(&one)),
            Expr::Literal(_) => first_word(expr) == "false",
            // A condition that needs a certain row is not true for all rows.
            Expr::PrefixExpr(it) => is_not(it.syntax()).and_then(|inner| self.is_always(&inner)) == always(),
            Expr::CallExpr(it) => {
                it.exists_fn().and_then(|one| query_in(one.syntax())).is_some_and(|query| self.is_empty(&query))
            }
            Expr::BinExpr(it) => self.is_never_between(it.syntax()),
            _ => false,
        }
    }

    fn is_never_between(&self, node: &SyntaxNode) -> bool {
        let Some((left, operator, right)) = sides(node) else { return false };
        match operator.as_str() {
            "and" => terms(node, "and").iter().any(|one| self.is_never(one)),
            "or" => terms(node, "or").iter().all(|one| self.is_never(one)),
            "is" => first_word(&right) == "null" && self.has_value(&left),
            "in" => query_in(right.syntax()).is_some_and(|query| self.is_empty(&query)),
            "=" => match array(&right) {
                Some(ArrayOperand::Empty) => !is_all(&right),
                Some(ArrayOperand::Of(query)) => self.is_empty(&query),
                Some(ArrayOperand::Every(_)) => false,
                None => compared(&left, "=", &right) == Some(false),
            },
            _ => compared(&left, &operator, &right) == Some(false),
        }
    }

    /// A comparison that is true for every row, read from either side.
    fn holds(&self, left: &Expr, operator: &str, right: &Expr) -> Option<RequiredRows> {
        if compared(left, operator, right) == Some(true) {
            return always();
        }
        let mirrored = match operator {
            "<" => ">",
            ">" => "<",
            "<=" => ">=",
            ">=" => "<=",
            same => same,
        };
        self.holds_so(left, operator, right).or_else(|| self.holds_so(right, mirrored, left))
    }

    fn holds_so(&self, left: &Expr, operator: &str, right: &Expr) -> Option<RequiredRows> {
        let column = self.column(left)?;
        if let Some(other) = self.column(right) {
            return matches!(operator, "=" | "<=" | ">=").then(|| self.equal(&column, &other)).flatten();
        }
        let extreme = |aggregate: &str| {
            let query = query_in(right.syntax()).and_then(|query| self.extreme(&query, aggregate));
            query.is_some_and(|one| (&one.table, &one.name) == (&column.table, &column.name))
        };
        let holds = match operator {
            ">=" => extreme("min") || self.is_bound(&column, right, false),
            "<=" => extreme("max") || self.is_bound(&column, right, true),
            _ => false,
        };
        when((holds || self.is_counted(&column, operator, right)) && self.filled(&column))
    }

    /// Whether two columns are equal: the same column of the same row, or a foreign key and the column that it
    /// references.
    pub(super) fn equal(&self, left: &ColumnRef, right: &ColumnRef) -> Option<RequiredRows> {
        let is_same_row = (left.depth, &left.alias) == (right.depth, &right.alias);
        if (&left.table, &left.name) == (&right.table, &right.name) {
            self.filled(left).then_some(())?;
            let bonds = |one: &ColumnRef| match one.is_fixed || is_same_row {
                true => RequiredRows::default(),
                false => RequiredRows::on(one, RequiredRow::Same),
            };
            // Two rows that are both given are not necessarily the same.
            let is_given = left.is_fixed && right.is_fixed && !is_same_row;
            return (!is_given).then(|| bonds(left).with(bonds(right))).flatten();
        }
        let key = |from: &ColumnRef, to: &ColumnRef| {
            let table = self.table(&from.table)?;
            let is_key = refers(&self.known, table, &from.name).contains(&(to.table.clone(), to.name.clone()));
            let is_chosen = is_key && self.filled(from) && to.depth >= from.depth && self.chooses(to) && !is_same_row;
            is_chosen.then(|| RequiredRows::on(to, RequiredRow::Key(from.alias.clone(), from.name.clone())))
        };
        key(left, right).or_else(|| key(right, left))
    }

    /// A sequence that starts at one never gives a smaller number.
    fn is_counted(&self, column: &ColumnRef, operator: &str, right: &Expr) -> bool {
        let number = number(right);
        let below = match operator {
            ">" | "<>" | "!=" => number.is_some_and(|number| number <= 0),
            ">=" => number.is_some_and(|number| number <= 1),
            _ => false,
        };
        let found = self.table(&column.table).and_then(|table| self.known.column(table, &column.name));
        let counts = found.is_some_and(|column| {
            column.fact("identity").is_some() || column.fact("default").is_some_and(|text| text.starts_with("nextval("))
        });
        below && counts
    }

    /// Whether a literal is the smallest or the largest value of a column's type.
    fn is_bound(&self, column: &ColumnRef, right: &Expr, is_upper: bool) -> bool {
        let found = self.table(&column.table).and_then(|table| self.known.column(table, &column.name));
        let ty = found.and_then(|column| column.fact("type")).unwrap_or_default();
        let (least, most) = match ty {
            "smallint" => (i64::from(i16::MIN), i64::from(i16::MAX)),
            "integer" => (i64::from(i32::MIN), i64::from(i32::MAX)),
            "bigint" => (i64::MIN, i64::MAX),
            _ => {
                let written = text(right).trim().to_ascii_lowercase();
                let has_bounds = ty == "date" || ty.starts_with("timestamp");
                return has_bounds && written.starts_with(if is_upper { "'infinity'" } else { "'-infinity'" });
            }
        };
        number(right).is_some_and(|number| if is_upper { number >= most } else { number <= least })
    }

    /// Whether two of these are opposites: `x IS NULL OR x IS NOT NULL`, `a > 1 OR a <= 1`, `a = a OR a IS NULL`.
    fn are_opposites(&self, terms: &[Expr]) -> bool {
        let pairs =
            terms.iter().enumerate().flat_map(|(at, one)| terms[at + 1..].iter().map(move |other| (one, other)));
        pairs.into_iter().any(|(left, right)| {
            self.are_null_or_not(left, right)
                || self.are_true_or_not(left, right)
                || self.are_complements(left, right)
                || self.is_itself_or_null(left, right)
        })
    }

    /// A comparison and its opposite, on a column that is never NULL.
    fn are_complements(&self, left: &Expr, right: &Expr) -> bool {
        let words = |expr: &Expr| tokens(&text(expr)).concat();
        let (Some((left, one, first)), Some((right, other, second))) = (sides(left.syntax()), sides(right.syntax()))
        else {
            return false;
        };
        let pairs = [("<", ">="), (">", "<="), ("=", "<>"), ("=", "!=")];
        let is_opposite = pairs
            .iter()
            .any(|(a, b)| (one.as_str(), other.as_str()) == (a, b) || (other.as_str(), one.as_str()) == (a, b));
        is_opposite
            && words(&left) == words(&right)
            && matches!((&first, &second), (Expr::Literal(_), Expr::Literal(_)))
            && words(&first) == words(&second)
            && !words(&first).eq_ignore_ascii_case("null")
            && self.has_value(&left)
    }

    /// Whether both are the same column of the same row. A function does not count: it may return something else each
    /// time.
    fn is_same_column(&self, left: &Expr, right: &Expr) -> bool {
        let column = self.column(left);
        column.is_some() && column == self.column(right)
    }

    fn are_null_or_not(&self, left: &Expr, right: &Expr) -> bool {
        let (Some((left, one, first)), Some((right, other, second))) = (sides(left.syntax()), sides(right.syntax()))
        else {
            return false;
        };
        matches!((one.as_str(), other.as_str()), ("is", "isnot") | ("isnot", "is"))
            && [first, second].iter().all(|null| first_word(null) == "null")
            && self.is_same_column(&left, &right)
    }

    /// `done OR NOT done`, `done = true OR done = false`.
    fn are_true_or_not(&self, left: &Expr, right: &Expr) -> bool {
        let ((one, is), (other, is_too)) = (truth(left), truth(right));
        is != is_too && self.is_same_column(&one, &other) && self.has_value(&one)
    }

    /// `done IN (true, false)`.
    fn is_one_of_both(&self, value: &Expr, list: &Expr) -> bool {
        let words: Vec<String> = tuple(list).iter().map(first_word).collect();
        self.has_value(value) && ["true", "false"].iter().all(|word| words.iter().any(|one| one == word))
    }

    fn is_itself_or_null(&self, left: &Expr, right: &Expr) -> bool {
        let either = |same: &Expr, missing: &Expr| {
            let (Some((a, operator, b)), Some((value, is, null))) = (sides(same.syntax()), sides(missing.syntax()))
            else {
                return false;
            };
            matches!(operator.as_str(), "=" | ">=" | "<=")
                && (is.as_str(), first_word(&null).as_str()) == ("is", "null")
                && self.is_same_column(&a, &b)
                && self.is_same_column(&a, &value)
        };
        either(left, right) || either(right, left)
    }

    /// Whether an expression is a column that is never NULL.
    fn has_value(&self, expr: &Expr) -> bool {
        self.column(expr).is_some_and(|column| self.filled(&column))
    }

    /// Whether the column is never NULL; if nothing is known about it, judged by the name of a key.
    fn filled(&self, column: &ColumnRef) -> bool {
        match self.table(&column.table) {
            Some(table) => column.name == "ctid" || is_filled(&self.known, table, &column.name),
            None => matches!(column.name.as_str(), "id" | "ctid"),
        }
    }
}

/// What has to be true or false to make a condition on one boolean true.
fn truth(expr: &Expr) -> (Expr, bool) {
    let inner = |expr: &Expr| expr.syntax().children().find_map(Expr::cast);
    let found = match expr {
        Expr::ParenExpr(_) => inner(expr).map(|inner| truth(&inner)),
        Expr::PrefixExpr(it) => is_not(it.syntax()).map(|inner| truth(&inner)).map(|(of, is)| (of, !is)),
        Expr::BinExpr(it) => sides(it.syntax()).and_then(|(left, operator, right)| {
            let wanted = match first_word(&right).as_str() {
                "true" => true,
                "false" => false,
                _ => return None,
            };
            let is = match operator.as_str() {
                "=" | "is" => wanted,
                "<>" | "!=" | "isnot" => !wanted,
                _ => return None,
            };
            let (of, own) = truth(&left);
            Some((of, own == is))
        }),
        _ => None,
    };
    found.unwrap_or_else(|| (expr.clone(), true))
}
