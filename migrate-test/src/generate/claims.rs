//! Turns a check into what it requires of a row: one side of each OR is chosen, and both sides of each AND.

use std::collections::BTreeSet;

use super::dice::{Decks, Dice};
use super::expr::{CaseForm, Expr, ExprForm};

/// A condition that a row must satisfy.
#[derive(Debug, Clone)]
pub(super) enum Claim {
    /// A column is NULL, or is not.
    Null(String, bool),
    /// A comparison of two sides, at least one of which contains a column.
    Compare(Expr, String, Expr),
    /// Any other expression that must be true, or false.
    Truth(Expr, bool),
}

/// How many parts of expressions are examined for one row.
const MOST_STEPS: usize = 10_000;
/// A number that drawn rows do not reach.
const STRANGE: &str = "29000";

impl Claim {
    /// The columns that it is about.
    pub(super) fn columns(&self) -> BTreeSet<String> {
        match self {
            Self::Null(column, _) => [column.clone()].into(),
            Self::Compare(left, _, right) => left.columns().chain(right.columns()).map(str::to_owned).collect(),
            Self::Truth(expr, _) => expr.columns().map(str::to_owned).collect(),
        }
    }
}

/// Claims that make expressions true, or false.
#[derive(Debug)]
pub(super) struct Claims<'a> {
    pub(super) list: Vec<Claim>,
    dice: Dice,
    /// What was chosen for other rows; without it, the choice is random.
    decks: Option<&'a mut Decks>,
    steps: usize,
}

impl<'a> Claims<'a> {
    pub(super) fn new(seed: u64, decks: Option<&'a mut Decks>) -> Self {
        Self { list: Vec::new(), dice: Dice::new(seed), decks, steps: 0 }
    }

    /// One of `n` alternatives of the choice with this name.
    fn turn(&mut self, choice: &str, n: usize) -> usize {
        match &mut self.decks {
            Some(decks) => decks.deal(choice, n, &mut self.dice),
            None => self.dice.below(n),
        }
    }

    /// Adds the claims that make an expression true, or false.
    pub(super) fn choose(&mut self, expr: &Expr, wanted: bool) {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return;
        }
        match expr.form() {
            ExprForm::And(sides) | ExprForm::Or(sides) => {
                let all = matches!(expr.form(), ExprForm::And(_)) == wanted;
                let chosen = self.turn(expr.text(), sides.len());
                for (_, side) in sides.iter().enumerate().filter(|(at, _)| all || *at == chosen) {
                    self.choose(side, wanted);
                }
            }
            ExprForm::Not(inner) => self.choose(inner, !wanted),
            ExprForm::IsNull(inner) => self.list.push(match inner.as_column() {
                Some(column) => Claim::Null(column.to_owned(), wanted),
                None => Claim::Truth(expr.clone(), wanted),
            }),
            ExprForm::Cast(inner, _) => self.choose(inner, wanted),
            ExprForm::Between(value, low, high) => {
                let chosen = self.turn(expr.text(), 2);
                for (at, (op, bound)) in [(">=", low), ("<=", high)].into_iter().enumerate() {
                    if wanted || at == chosen {
                        self.compare(value, op, bound, wanted);
                    }
                }
            }
            ExprForm::Case(case) => self.case(expr.text(), case, wanted),
            ExprForm::Op(op, sides) => match sides.as_slice() {
                [left, right] => self.compare(left, op, right, wanted),
                _ => self.list.push(Claim::Truth(expr.clone(), wanted)),
            },
            ExprForm::Call(name, arguments) if name == "coalesce" && arguments.len() == 2 => {
                self.choose(&arguments[0], wanted);
            }
            ExprForm::Bool(_) | ExprForm::Null => {}
            _ => self.list.push(Claim::Truth(expr.clone(), wanted)),
        }
    }

    /// Chooses an arm whose result can have the wanted value; the arms before it must not apply.
    fn case(&mut self, text: &str, case: &CaseForm, wanted: bool) {
        let CaseForm { operand, arms, other } = case;
        let can = |result: &Expr| !matches!(result.form(), ExprForm::Bool(value) if *value != wanted);
        let open: Vec<usize> = (0..arms.len()).filter(|at| can(&arms[*at].1)).collect();
        let is_other_open = other.as_ref().is_none_or(can);
        let at = self.turn(text, open.len() + usize::from(is_other_open));
        let chosen = open.get(at).copied().unwrap_or(arms.len());
        for (at, (when, _)) in arms.iter().take(chosen + 1).enumerate() {
            match operand {
                Some(operand) => self.compare(operand, "=", when, at == chosen),
                None => self.choose(when, at == chosen),
            }
        }
        if let Some(result) = arms.get(chosen).map(|(_, then)| then).or(other.as_ref()) {
            self.choose(result, wanted);
        }
    }

    fn compare(&mut self, left: &Expr, op: &str, right: &Expr, wanted: bool) {
        if let ExprForm::Call(word, list) = right.form()
            && let (true, [list]) = (word == "any" || word == "all", list.as_slice())
        {
            return self.quantified(left, op, list, (word == "any") == wanted, wanted);
        }
        let op = if wanted { op.to_owned() } else { negated(op) };
        if let Some(number) = right.as_constant().and_then(|text| text.parse::<i64>().ok())
            && let Some(parts) = counted(left)
        {
            return self.how_many(left.text(), &parts, &op, number);
        }
        let is_equal = op == "=";
        if is_equal || op == "<>" {
            if judges(left)
                && let ExprForm::Bool(value) = right.bare().form()
            {
                return self.choose(left, *value == is_equal);
            }
            if judges(left) && judges(right) {
                let first = self.turn(&format!("{} {op} {}", left.text(), right.text()), 2) == 0;
                self.choose(left, first);
                return self.choose(right, first == is_equal);
            }
        }
        self.list.push(Claim::Compare(left.clone(), op, right.clone()));
    }

    /// `left op ANY (list)` and `left op ALL (list)`: one element, or each of them.
    fn quantified(&mut self, left: &Expr, op: &str, list: &Expr, one: bool, wanted: bool) {
        let items: Vec<Expr> = match list.bare().form() {
            ExprForm::Array(items) => items.clone(),
            ExprForm::Text(text) => {
                let items = migrate_schema::array_items(text).into_iter().flatten();
                items.filter_map(|item| Expr::parse(&migrate_base::ident::literal(&item))).collect()
            }
            // A subquery: a value that none of its rows has.
            ExprForm::Other(_) => {
                let far = Expr::parse(STRANGE).filter(|_| !one);
                self.list.extend(far.map(|far| Claim::Compare(left.clone(), ">=".to_owned(), far)));
                return;
            }
            // `5 = ANY (column)`.
            _ => return self.list.push(Claim::Compare(left.clone(), "any".to_owned(), list.clone())),
        };
        let op = if wanted { op.to_owned() } else { negated(op) };
        let chosen = self.turn(&format!("{} {op} {}", left.text(), list.text()), items.len());
        for (at, item) in items.into_iter().enumerate() {
            if !one || at == chosen {
                self.list.push(Claim::Compare(left.clone(), op.clone(), item));
            }
        }
    }

    /// Makes as many of these conditions true as a comparison with a number requires.
    fn how_many(&mut self, text: &str, parts: &[(Expr, bool)], op: &str, number: i64) {
        let fits = |count: i64| match op {
            "=" => count == number,
            "<>" => count != number,
            "<" => count < number,
            "<=" => count <= number,
            ">" => count > number,
            _ => count >= number,
        };
        let counts: Vec<usize> = (0..=parts.len()).filter(|count| fits(*count as i64)).collect();
        let Some(count) = counts.get(self.turn(&format!("how many of {text}"), counts.len())) else { return };
        let from = self.turn(&format!("which of {text}"), parts.len());
        for (at, (part, counts)) in parts.iter().enumerate() {
            let is_in = (at + from) % parts.len() < *count;
            self.choose(part, is_in == *counts);
        }
    }
}

/// Whether it is a boolean expression by its form.
pub(super) fn judges(expr: &Expr) -> bool {
    matches!(
        expr.bare().form(),
        ExprForm::IsNull(_)
            | ExprForm::Not(_)
            | ExprForm::And(_)
            | ExprForm::Or(_)
            | ExprForm::Between(..)
            | ExprForm::Bool(_)
    ) || matches!(expr.bare().form(), ExprForm::Op(op, _) if !negated(op).is_empty())
}

/// The conditions that an expression counts: `num_nonnulls(a, b)`, `(a IS NULL)::int + (b IS NULL)::int`,
/// `CASE WHEN a IS NULL THEN 0 ELSE 1 END + …`.
fn counted(expr: &Expr) -> Option<Vec<(Expr, bool)>> {
    match expr.bare().form() {
        ExprForm::Call(name, columns) if name == "num_nonnulls" || name == "num_nulls" => {
            let null = |column: &Expr| Expr::parse(&format!("({}) IS NULL", column.text()));
            columns.iter().map(|column| Some((null(column)?, name == "num_nulls"))).collect()
        }
        ExprForm::Op(op, sides) if op == "+" && sides.len() == 2 => {
            let mut parts = counted(&sides[0])?;
            parts.extend(counted(&sides[1])?);
            Some(parts)
        }
        ExprForm::IsNull(_) | ExprForm::Not(_) => Some(vec![(expr.bare().clone(), true)]),
        ExprForm::Case(CaseForm { operand: None, arms, other: Some(other) }) if arms.len() == 1 => {
            let (when, then) = arms.first()?;
            match (then.as_constant()?.as_str(), other.as_constant()?.as_str()) {
                ("1", "0") => Some(vec![(when.clone(), true)]),
                ("0", "1") => Some(vec![(when.clone(), false)]),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The operator that is true where this one is false; empty if there is none.
fn negated(op: &str) -> String {
    let pairs = [("=", "<>"), ("<", ">="), (">", "<="), ("~", "!~"), ("~*", "!~*"), ("~~", "!~~"), ("~~*", "!~~*")];
    let found = pairs.iter().find_map(|(a, b)| if *a == op { Some(*b) } else { (*b == op).then_some(*a) });
    found.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str, seed: u64) -> Vec<String> {
        let mut claims = Claims::new(seed, None);
        claims.choose(&Expr::parse(text).unwrap(), true);
        let told = |claim: &Claim| match claim {
            Claim::Null(column, is) => format!("{column} {is}"),
            Claim::Compare(left, op, right) => format!("{} {op} {}", left.text(), right.text()),
            Claim::Truth(expr, wanted) => format!("{} is {wanted}", expr.text()),
        };
        claims.list.iter().map(told).collect()
    }

    #[test]
    fn one_of_several_is_chosen_exactly() {
        for seed in 1..40 {
            for text in [
                "num_nonnulls(a, b, c) = 1",
                "((a IS NOT NULL)::integer + (b IS NOT NULL)::integer) + (c IS NOT NULL)::integer = 1",
                "CASE WHEN (a IS NULL) THEN 0 ELSE 1 END + CASE WHEN (b IS NULL) THEN 0 ELSE 1 END = 1",
            ] {
                let claims = claims(text, seed);
                assert_eq!(claims.iter().filter(|one| one.ends_with("false")).count(), 1, "{text}: {claims:?}");
            }
        }
    }

    #[test]
    fn what_is_negated_is_turned_round() {
        assert_eq!(claims("NOT (a >= 3)", 1), ["a < 3"]);
        assert_eq!(claims("a <> ALL (ARRAY[1, 2])", 1), ["a <> 1", "a <> 2"]);
        assert_eq!(claims("(a IS NULL) = (b IS NULL)", 1).len(), 2);
    }
}
