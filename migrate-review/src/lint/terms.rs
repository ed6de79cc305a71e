//! The parts of conditions: terms, operators, literals and their values.

use std::cmp::Ordering;

use migrate_base::sql::{quoted, tokens};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Expr, SelectVariant};

/// The right side of a comparison with ANY, SOME or ALL.
pub(super) enum ArrayOperand {
    /// One of the rows of a query.
    Of(SelectVariant),
    /// All of them.
    Every(SelectVariant),
    Empty,
}

pub(super) fn array(expr: &Expr) -> Option<ArrayOperand> {
    let Expr::CallExpr(call) = expr else { return None };
    let node = call.any_fn().map(|one| one.syntax().clone());
    let node = node.or_else(|| call.some_fn().map(|one| one.syntax().clone()));
    let is_all = call.all_fn().is_some();
    let node = node.or_else(|| call.all_fn().map(|one| one.syntax().clone()))?;
    let inner = node.children().find_map(Expr::cast);
    if inner.as_ref().is_some_and(is_empty_array) {
        return Some(ArrayOperand::Empty);
    }
    let query = query_in(&node).or_else(|| query_in(inner?.syntax()))?;
    Some(if is_all { ArrayOperand::Every(query) } else { ArrayOperand::Of(query) })
}

/// An array without elements, inside casts and parentheses only.
fn is_empty_array(expr: &Expr) -> bool {
    let inner = || expr.syntax().children().find_map(Expr::cast).is_some_and(|inner| is_empty_array(&inner));
    match expr {
        Expr::CastExpr(_) | Expr::ParenExpr(_) => inner(),
        _ => matches!(tokens(&text(expr).to_ascii_lowercase()).as_slice(), ["'{}'"] | ["array", "[", "]"]),
    }
}

pub(super) fn is_all(expr: &Expr) -> bool {
    matches!(expr, Expr::CallExpr(call) if call.all_fn().is_some())
}

/// The query inside any number of parentheses.
pub(super) fn query_in(node: &SyntaxNode) -> Option<SelectVariant> {
    node.children().find_map(|child| {
        SelectVariant::cast(child.clone()).or_else(|| {
            let is_paren = ast::ParenExpr::can_cast(child.kind()) || ast::ArrayExpr::can_cast(child.kind());
            is_paren.then(|| query_in(&child)).flatten()
        })
    })
}

/// The values of a row, or the one value.
pub(super) fn tuple(expr: &Expr) -> Vec<Expr> {
    match expr {
        Expr::TupleExpr(it) => it.syntax().children().filter_map(Expr::cast).collect(),
        _ => vec![expr.clone()],
    }
}

/// The terms that an operator joins. Works for thousands of terms.
pub(super) fn terms(node: &SyntaxNode, operator: &str) -> Vec<Expr> {
    let (mut terms, mut node) = (Vec::new(), node.clone());
    while let Some((left, _, right)) = sides(&node).filter(|(_, own, _)| own == operator) {
        terms.push(right);
        node = left.syntax().clone();
    }
    terms.extend(Expr::cast(node));
    terms.reverse();
    terms
}

/// The operand of `NOT`.
pub(super) fn is_not(node: &SyntaxNode) -> Option<Expr> {
    let first = node.children_with_tokens().find(|one| !one.kind().is_trivia())?;
    first.to_string().trim().eq_ignore_ascii_case("not").then(|| node.children().find_map(Expr::cast)).flatten()
}

/// The two sides of an operator, and the operator in lower case without spaces.
pub(super) fn sides(node: &SyntaxNode) -> Option<(Expr, String, Expr)> {
    ast::BinExpr::can_cast(node.kind()).then_some(())?;
    let (mut left, mut operator, mut right) = (None, String::new(), None);
    for part in node.children_with_tokens().filter(|part| !part.kind().is_trivia()) {
        match part.as_node().cloned().and_then(Expr::cast) {
            Some(expr) if left.is_none() => left = Some(expr),
            Some(expr) => right = Some(expr),
            None => operator.push_str(&tokens(&part.to_string()).concat().to_ascii_lowercase()),
        }
    }
    Some((left?, operator, right?))
}

/// The result of comparing two literals.
pub(super) fn compared(left: &Expr, operator: &str, right: &Expr) -> Option<bool> {
    let literal = |expr: &Expr| match expr {
        Expr::Literal(_) => Some(text(expr).trim().to_owned()).filter(|text| !text.eq_ignore_ascii_case("null")),
        _ => None,
    };
    let (left, right) = (literal(left)?, literal(right)?);
    let order = ordered(&left, &right);
    let is_text = |text: &str| text.starts_with('\'') && !text.contains('\\');
    match operator {
        "=" | "<>" | "!=" if left == right => Some(operator == "="),
        // Texts without escapes, so their values are as written.
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

/// How two numbers compare; a text next to a number is read as a number.
pub(super) fn ordered(left: &str, right: &str) -> Option<Ordering> {
    if let Some((left, right)) = left.parse::<i64>().ok().zip(right.parse::<i64>().ok()) {
        return Some(left.cmp(&right));
    }
    if left.starts_with('\'') && right.starts_with('\'') {
        return None;
    }
    // Above this limit a fraction is not exact.
    let number = |text: &str| text.trim_matches('\'').parse::<f64>().ok().filter(|number| number.abs() < 1e15);
    number(left)?.partial_cmp(&number(right)?)
}

/// A whole number, with its sign.
pub(super) fn number(expr: &Expr) -> Option<i64> {
    tokens(&text(expr)).concat().parse().ok()
}

pub(super) fn first_word(expr: &Expr) -> String {
    tokens(&text(expr)).first().map(|word| word.to_ascii_lowercase()).unwrap_or_default()
}

/// A text that is cast to boolean and is true.
pub(super) fn is_true_text(node: &SyntaxNode) -> bool {
    let text = node.text().to_string();
    let first = tokens(&text).first().map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    let is_yes = |text: &str| matches!(text, "t" | "true" | "yes" | "on" | "1");
    first == "true" || quoted(&first).is_some_and(|text| is_yes(&text))
}

pub(super) fn text(node: &impl AstNode) -> String {
    node.syntax().text().to_string()
}
