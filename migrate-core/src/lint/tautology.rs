//! Conditions that hold for every row, however they are written.

use std::cmp::Ordering;

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Expr};

use super::script::Named;
use crate::locks::{Known, is_filled};
use crate::schema::Object;
use crate::sql::tokens;

/// The table whose rows a condition is about.
pub(super) struct About<'a> {
    pub(super) known: Known<'a>,
    pub(super) name: Named,
    pub(super) table: Option<&'a Object>,
    /// Whether the statement joins the table with itself.
    pub(super) joins_itself: bool,
}

impl About<'_> {
    /// Whether a condition holds for every row of the table.
    pub(super) fn is_always(&self, expr: &Expr) -> bool {
        match expr {
            Expr::ParenExpr(it) => it.syntax().children().find_map(Expr::cast).is_some_and(|one| self.is_always(&one)),
            Expr::Literal(_) => is_word(expr, &["true"]),
            Expr::CastExpr(it) => is_text_of(it.syntax(), &["'t'", "'true'", "'yes'", "'on'", "'1'"]),
            Expr::PrefixExpr(it) => is_not(it.syntax()).is_some_and(|inner| self.is_never(&inner)),
            Expr::BinExpr(it) => self.is_always_between(it.syntax()),
            _ => self.is_known_value(expr.syntax()),
        }
    }

    /// Whether a condition holds for no row.
    fn is_never(&self, expr: &Expr) -> bool {
        match expr {
            Expr::ParenExpr(it) => it.syntax().children().find_map(Expr::cast).is_some_and(|one| self.is_never(&one)),
            Expr::Literal(_) => is_word(expr, &["false"]),
            Expr::PrefixExpr(it) => is_not(it.syntax()).is_some_and(|inner| self.is_always(&inner)),
            Expr::BinExpr(it) => match sides(it.syntax()) {
                Some((left, operator, right)) if operator == "and" => self.is_never(&left) || self.is_never(&right),
                Some((left, operator, right)) if operator == "or" => self.is_never(&left) && self.is_never(&right),
                Some((left, operator, right)) => {
                    compared(&left, &operator, &right) == Some(false) || self.is_missing(expr.syntax())
                }
                None => self.is_missing(expr.syntax()),
            },
            _ => self.is_missing(expr.syntax()),
        }
    }

    /// `a IS NULL` of a column that is never NULL.
    fn is_missing(&self, node: &SyntaxNode) -> bool {
        let text = node.text().to_string();
        let words = tokens(&text);
        matches!(words.as_slice(), [.., is, null] if is.eq_ignore_ascii_case("is") && null.eq_ignore_ascii_case("null"))
            && self.column(&words[..words.len() - 2]).is_some_and(|column| self.filled(&column))
    }

    fn is_always_between(&self, node: &SyntaxNode) -> bool {
        let Some((left, operator, right)) = sides(node) else { return self.is_known_value(node) };
        match operator.as_str() {
            "and" => self.is_always(&left) && self.is_always(&right),
            "or" => self.is_always(&left) || self.is_always(&right) || self.are_opposite(&left, &right),
            "in" => self.is_among_all(&left, right.syntax()),
            _ => {
                compared(&left, &operator, &right) == Some(true)
                    || self.is_itself(&left, &operator, &right)
                    || self.is_counted(&left, &operator, &right)
                    || self.is_known_value(node)
            }
        }
    }

    /// `a IS NOT NULL` of a column that is never NULL; `x IS NULL OR x IS NOT NULL`; `IN (SELECT …)` of all rows.
    fn is_known_value(&self, node: &SyntaxNode) -> bool {
        let text = node.text().to_string();
        let words = tokens(&text);
        let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
        let ends = |tail: &[&str]| lower.len() > tail.len() && lower[lower.len() - tail.len()..].iter().eq(tail);
        let cut = |tail: usize| self.column(&words[..words.len() - tail]);
        if ends(&["is", "not", "null"]) {
            return cut(3).is_some_and(|column| self.filled(&column));
        }
        if ends(&["true", "is", "true"])
            || ends(&["is", "not", "false"]) && lower.first().is_some_and(|one| one == "true")
        {
            return true;
        }
        match lower.iter().position(|word| word == "in") {
            Some(at) if lower.get(at + 1).is_some_and(|word| word == "(") => {
                self.is_whole_query(&words[..at], &words[at + 2..])
            }
            _ => false,
        }
    }

    /// `id IN (SELECT id FROM the same table)`.
    fn is_among_all(&self, left: &Expr, right: &SyntaxNode) -> bool {
        let (left, right) = (left.syntax().text().to_string(), right.text().to_string());
        let words = tokens(&right);
        self.is_whole_query(&tokens(&left), words.strip_prefix(&["("]).unwrap_or(&words))
    }

    fn is_whole_query(&self, left: &[&str], query: &[&str]) -> bool {
        let query = query.strip_suffix(&[")"]).unwrap_or(query);
        let Some(from) = query.iter().position(|word| word.eq_ignore_ascii_case("from")) else { return false };
        let is_select = query.first().is_some_and(|word| word.eq_ignore_ascii_case("select"));
        let table = Named::parse(&query[from + 1..].concat());
        let is_same = table.is_some_and(|table| table.name == self.name.name);
        let is_plain = query[from + 1..].iter().all(|word| *word == "." || Named::parse(word).is_some());
        let read = if is_select { self.column(&query[1..from]) } else { None };
        let asked = self.column(left);
        is_same
            && is_plain
            && query.len() - from <= 4
            && asked.is_some()
            && asked == read
            && asked.is_some_and(|column| self.filled(&column))
    }

    /// `a = a`, which holds where a is not NULL; also between a table and itself.
    fn is_itself(&self, left: &Expr, operator: &str, right: &Expr) -> bool {
        let column = |expr: &Expr| {
            let text = expr.syntax().text().to_string();
            let words: Vec<String> = tokens(&text).iter().map(|word| (*word).to_owned()).collect();
            self.column(&words.iter().map(String::as_str).collect::<Vec<_>>()).map(|column| (column, words.concat()))
        };
        let Some(((left, first), (right, second))) = column(left).zip(column(right)) else { return false };
        let holds = match operator {
            "=" | ">=" | "<=" => self.filled(&left),
            _ => false,
        };
        left == right && holds && (first == second || self.joins_itself)
    }

    /// A number that counts from one is never less.
    fn is_counted(&self, left: &Expr, operator: &str, right: &Expr) -> bool {
        let text = left.syntax().text().to_string();
        let Some(column) = self.column(&tokens(&text)) else { return false };
        let number = right.syntax().text().to_string().trim().parse::<i64>();
        let below = match operator {
            ">" => number.is_ok_and(|number| number <= 0),
            ">=" => number.is_ok_and(|number| number <= 1),
            "<>" | "!=" => number.is_ok_and(|number| number <= 0),
            _ => false,
        };
        let counts = self.table.and_then(|table| self.known.column(table, &column)).is_some_and(|column| {
            column.fact("identity").is_some() || column.fact("default").is_some_and(|text| text.starts_with("nextval("))
        });
        below && counts && self.filled(&column)
    }

    /// `x IS NULL OR x IS NOT NULL`, `a > 1 OR a <= 1`, `a = a OR a IS NULL`.
    fn are_opposite(&self, left: &Expr, right: &Expr) -> bool {
        self.are_null_or_not(left, right) || self.are_complements(left, right) || self.is_itself_or_null(left, right)
    }

    /// One comparison and its opposite, of a column that is never NULL.
    fn are_complements(&self, left: &Expr, right: &Expr) -> bool {
        let words = |expr: &Expr| tokens(&expr.syntax().text().to_string()).concat();
        let (Some((left, one, first)), Some((right, other, second))) = (sides(left.syntax()), sides(right.syntax()))
        else {
            return false;
        };
        let pairs = [("<", ">="), (">", "<="), ("=", "<>"), ("=", "!=")];
        let is_opposite = pairs
            .iter()
            .any(|(a, b)| (one.as_str(), other.as_str()) == (a, b) || (other.as_str(), one.as_str()) == (a, b));
        let text = left.syntax().text().to_string();
        is_opposite
            && words(&left) == words(&right)
            && matches!((&first, &second), (Expr::Literal(_), Expr::Literal(_)))
            && words(&first) == words(&second)
            && !words(&first).eq_ignore_ascii_case("null")
            && self.column(&tokens(&text)).is_some_and(|column| self.filled(&column))
    }

    fn is_itself_or_null(&self, left: &Expr, right: &Expr) -> bool {
        let either = |same: &Expr, missing: &Expr| {
            let Some((a, operator, b)) = sides(same.syntax()) else { return false };
            let (a, b) = (a.syntax().text().to_string(), b.syntax().text().to_string());
            let missing = missing.syntax().text().to_string();
            let (a, b, missing) = (tokens(&a), tokens(&b), tokens(&missing));
            let is_null = matches!(missing.as_slice(), [.., is, null] if is.eq_ignore_ascii_case("is") && null.eq_ignore_ascii_case("null"));
            matches!(operator.as_str(), "=" | ">=" | "<=")
                && is_null
                && a == b
                && self.column(&a).is_some()
                && missing[..missing.len() - 2] == a[..]
        };
        either(left, right) || either(right, left)
    }

    fn are_null_or_not(&self, left: &Expr, right: &Expr) -> bool {
        let words = |expr: &Expr| {
            let text = expr.syntax().text().to_string().to_ascii_lowercase();
            tokens(&text).iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()
        };
        let (left, right) = (words(left), words(right));
        let (short, long) = if left.len() < right.len() { (left, right) } else { (right, left) };
        short.len() > 2
            && short.ends_with(&["is".to_owned(), "null".to_owned()])
            && long.ends_with(&["is".to_owned(), "not".to_owned(), "null".to_owned()])
            && short[..short.len() - 2] == long[..long.len() - 3]
    }

    /// The column that words are: `id`, `t.id`.
    fn column(&self, words: &[&str]) -> Option<String> {
        let last = words.last()?;
        let is_name = words.len() % 2 == 1 && words.iter().skip(1).step_by(2).all(|word| *word == ".");
        if !is_name || words.len() > 5 {
            return None;
        }
        Named::parse(last).map(|name| name.name)
    }

    /// Whether no row has NULL there; where nothing is known, a column by the name of a key.
    fn filled(&self, column: &str) -> bool {
        match self.table {
            Some(table) => column == "ctid" || is_filled(&self.known, table, column),
            None => matches!(column, "id" | "ctid"),
        }
    }
}

/// What `NOT` stands before.
fn is_not(node: &SyntaxNode) -> Option<Expr> {
    let text = node.text().to_string();
    let first = tokens(&text).first().map(|word| word.to_ascii_lowercase());
    (first.as_deref() == Some("not")).then(|| node.children().find_map(Expr::cast)).flatten()
}

/// The two sides of an operator, and the operator in lower case.
fn sides(node: &SyntaxNode) -> Option<(Expr, String, Expr)> {
    let mut all = node.children().filter_map(Expr::cast);
    let (left, right) = (all.next()?, all.next()?);
    let text = node.text().to_string();
    let start = usize::from(left.syntax().text_range().end() - node.text_range().start());
    let end = usize::from(right.syntax().text_range().start() - node.text_range().start());
    let between = text.get(start..end)?;
    Some((left, tokens(between).concat().to_ascii_lowercase(), right))
}

/// What a comparison of two literals comes to.
fn compared(left: &Expr, operator: &str, right: &Expr) -> Option<bool> {
    let literal = |expr: &Expr| match expr {
        Expr::Literal(it) => {
            Some(it.syntax().text().to_string().trim().to_owned()).filter(|text| !text.eq_ignore_ascii_case("null"))
        }
        _ => None,
    };
    let (left, right) = (literal(left)?, literal(right)?);
    let order = ordered(&left, &right);
    let is_text = |text: &str| text.starts_with('\'') && !text.contains('\\');
    match operator {
        "=" | "<>" | "!=" if left == right => Some(operator == "="),
        // Texts that are both as they are written.
        "=" | "<>" | "!=" if is_text(&left) && is_text(&right) => Some(operator != "="),
        "=" => order.map(Ordering::is_eq),
        "<>" | "!=" => order.map(Ordering::is_ne),
        "<" => order.map(Ordering::is_lt),
        "<=" => order.map(Ordering::is_le),
        ">" => order.map(Ordering::is_gt),
        ">=" => order.map(Ordering::is_ge),
        _ => None,
    }
}

/// How two numbers compare; a text beside a number is read as one.
fn ordered(left: &str, right: &str) -> Option<Ordering> {
    if let Some((left, right)) = left.parse::<i64>().ok().zip(right.parse::<i64>().ok()) {
        return Some(left.cmp(&right));
    }
    if left.starts_with('\'') && right.starts_with('\'') {
        return None;
    }
    // Beyond these a fraction is not exact any more.
    let number = |text: &str| text.trim_matches('\'').parse::<f64>().ok().filter(|number| number.abs() < 1e15);
    number(left)?.partial_cmp(&number(right)?)
}

fn is_word(expr: &Expr, words: &[&str]) -> bool {
    is_text_of(expr.syntax(), words)
}

fn is_text_of(node: &SyntaxNode, words: &[&str]) -> bool {
    let text = node.text().to_string();
    let first = tokens(&text).first().map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    words.contains(&first.as_str()) || first == "true" && ast::CastExpr::can_cast(node.kind())
}
