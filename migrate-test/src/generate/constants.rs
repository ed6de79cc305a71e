//! The constants that scripts compare columns with or write into them: values that a row needs for the
//! comparison to matter.

use migrate_base::ident::catalog_name;
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode};

use super::dice::Dice;
use super::expr::{CaseForm, Expr, ExprForm};
use super::pattern::Pattern;
use super::reading::source;
use super::tree::ExprReader;
use super::uses::LONGEST;

/// The name of a column, and a value as text.
pub(super) type ColumnConstant = (String, String);

/// The constants that an expression compares columns with; nested expressions are not examined.
pub(super) fn compared(expr: &Expr) -> Vec<ColumnConstant> {
    match expr.form() {
        ExprForm::Op(op, sides) => match sides.as_slice() {
            [left, right] => [beside(left, op, right), beside(right, op, left)].concat(),
            _ => Vec::new(),
        },
        ExprForm::Between(value, low, high) => [beside(value, ">=", low), beside(value, "<=", high)].concat(),
        ExprForm::Case(CaseForm { operand: Some(operand), arms, .. }) => {
            arms.iter().flat_map(|(when, _)| beside(operand, "=", when)).collect()
        }
        ExprForm::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
            ("coalesce" | "nullif", [value, other]) => beside(value, "=", other),
            ("starts_with", [value, part]) => {
                let found = beside(value, "=", part);
                found.into_iter().map(|(column, text)| (column, text + "a")).collect()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The constants that are written into columns below a node: `SET state = 'sent'`.
pub(super) fn written(root: &SyntaxNode) -> Vec<ColumnConstant> {
    let mut reader = ExprReader::new(root);
    let mut found = Vec::new();
    for set in root.descendants().filter_map(ast::SetSingleColumn::cast) {
        let column = set.column_target().and_then(|column| catalog_name(column.syntax().text().to_string().trim()));
        let (Some(column), Some(expr)) = (column, set.set_expr().and_then(|set| set.expr())) else { continue };
        let mut constants = Vec::new();
        reader.read(&expr).constants(&mut constants);
        found.extend(constants.into_iter().filter(|text| is_short(text)).map(|text| (column.clone(), text)));
    }
    found
}

fn is_short(text: impl AsRef<str>) -> bool {
    text.as_ref().len() <= LONGEST
}

/// Values of the column on one side of an operator for which the other side matters.
fn beside(side: &Expr, op: &str, other: &Expr) -> Vec<ColumnConstant> {
    let constant = || other.as_constant().filter(|text| is_short(text));
    let texts: Vec<String> = match (side.bare().form(), op) {
        (ExprForm::Call(name, _), _) if name.ends_with("length") => {
            let count = constant().and_then(|text| text.parse::<usize>().ok()).filter(|count| *count < LONGEST);
            count.into_iter().flat_map(|count| [count, count + 1]).map(|count| "a".repeat(count)).collect()
        }
        (_, "=" | "<>" | "!=") => listed(other).into_iter().filter(|text| is_short(text)).collect(),
        (_, "<" | ">" | "<=" | ">=") => constant().map(around).unwrap_or_default(),
        (_, "~~" | "~~*" | "!~~" | "!~~*" | "~" | "~*" | "!~" | "!~*" | "similar") => {
            let pattern = constant().and_then(|text| Pattern::of(op.trim_start_matches('!'), &text));
            pattern.map(|pattern| pattern.draw(&mut Dice::new(1))).filter(|text| is_short(text)).into_iter().collect()
        }
        (_, "@>" | "&&") => constant().into_iter().collect(),
        _ => Vec::new(),
    };
    let inner = match side.bare().form() {
        ExprForm::Call(name, arguments) if name.ends_with("length") => arguments.first(),
        _ => Some(source(side)),
    };
    match inner.and_then(Expr::as_column) {
        Some(column) => texts.into_iter().map(|text| (column.to_owned(), text)).collect(),
        None => Vec::new(),
    }
}

/// A constant, or those in `ANY (ARRAY['x', 'y'])`.
fn listed(expr: &Expr) -> Vec<String> {
    match expr.bare().form() {
        ExprForm::Call(word, list) if word == "any" || word == "all" => {
            let items = list.iter().filter_map(|one| match one.bare().form() {
                ExprForm::Array(items) => Some(items),
                _ => None,
            });
            items.flatten().filter_map(Expr::as_constant).collect()
        }
        _ => expr.as_constant().into_iter().collect(),
    }
}

/// A bound, and whole numbers on both sides of it.
fn around(text: String) -> Vec<String> {
    match text.parse::<i64>() {
        Ok(number) => [number.saturating_sub(1), number, number.saturating_add(1)].map(|one| one.to_string()).into(),
        Err(_) => vec![text],
    }
}

#[cfg(test)]
mod tests {
    use squawk_syntax::SourceFile;

    use super::*;

    fn values(text: &str) -> Vec<String> {
        compared(&Expr::parse(text).unwrap()).into_iter().map(|(column, value)| format!("{column}={value}")).collect()
    }

    #[test]
    fn what_a_column_is_compared_with_is_a_value_of_it() {
        assert_eq!(values("a = 'x'"), ["a=x"]);
        assert_eq!(values("'x' <> t.a"), ["a=x"]);
        assert_eq!(values("a IN ('x', 'y')"), ["a=x", "a=y"]);
        assert_eq!(values("lower(trim(a)) = 'x'"), ["a=x"]);
        assert_eq!(values("a > 150"), ["a=149", "a=150", "a=151"]);
        assert_eq!(values("a BETWEEN 1.5 AND 2.5"), ["a=1.5", "a=2.5"]);
        assert_eq!(values("length(a) > 2"), ["a=aa", "a=aaa"]);
        assert!(values("a LIKE 'http://%'")[0].starts_with("a=http://"));
        assert!(values("a = b").is_empty());
    }

    #[test]
    fn what_is_written_into_a_column_is_a_value_of_it() {
        let file = SourceFile::parse("UPDATE t SET a = 'x', b = CASE WHEN c THEN 1 ELSE 2 END WHERE d = 3;");
        let found: Vec<String> =
            written(file.tree().syntax()).into_iter().map(|(column, value)| format!("{column}={value}")).collect();
        assert_eq!(found, ["a=x", "b=1", "b=2"]);
    }
}
