//! Values that an operation changes: the conditions on a row under which `replace(a, 'x', 'y')` differs from
//! `a`.

use migrate_base::ident::{ident, literal};

use super::expr::{CaseForm, Expr, ExprForm};
use super::json::path;

/// The text before and after what an operation searches for.
const BESIDE: &str = "[b-y]{2}";
/// The maximum length of a text from which a part is taken.
const LONGEST: u64 = 10_000;

/// For each operation in an expression, a condition under which it changes its argument.
pub(super) fn changes(expr: &Expr) -> Vec<Expr> {
    let (mut found, mut open) = (Vec::new(), vec![expr]);
    while let Some(expr) = open.pop() {
        let text = match expr.form() {
            ExprForm::Case(case) => {
                found.extend(arms(case));
                None
            }
            ExprForm::Call(name, arguments) => of_call(name, arguments),
            ExprForm::Op(op, sides) if sides.len() == 2 => of_operator(expr, op, &sides[0], &sides[1]),
            _ => None,
        };
        found.extend(text.and_then(|text| Expr::parse(&text)));
        // The parts of a path are not separate values.
        if path(expr).is_none() {
            open.extend(expr.parts());
        }
    }
    found
}

/// The conditions of a CASE, each of which selects an arm.
fn arms(case: &CaseForm) -> Vec<Expr> {
    let whens = case.arms.iter().map(|(when, _)| when);
    match &case.operand {
        Some(operand) => whens.filter_map(|one| Expr::parse(&format!("{} = {}", operand.text(), one.text()))).collect(),
        None => whens.cloned().collect(),
    }
}

fn of_operator(expr: &Expr, op: &str, left: &Expr, right: &Expr) -> Option<String> {
    match op {
        "->" | "->>" | "#>" | "#>>" => path(expr).map(|_| format!("({}) IS NOT NULL", expr.text())),
        "#-" => Some(format!("({} #> {}) IS NOT NULL", value(left)?, literal(&right.as_constant()?))),
        "-" => match right.bare().form() {
            ExprForm::Text(key) => Some(format!("{} ? {}", value(left)?, literal(key))),
            ExprForm::Array(_) => Some(format!("{} ?& {}", value(left)?, right.text())),
            _ => None,
        },
        _ => None,
    }
}

fn of_call(name: &str, arguments: &[Expr]) -> Option<String> {
    let (first, rest) = arguments.split_first()?;
    let constant = |at: usize| rest.get(at).and_then(Expr::as_constant);
    let number = |at: usize| constant(at)?.parse::<i64>().ok().map(i64::unsigned_abs);
    if path(first).is_some_and(|(_, steps)| !steps.is_empty()) {
        return matches!(name, "lower" | "upper" | "initcap").then(|| format!("({}) = 'MiXed Case'", first.text()));
    }
    let of = value(first)?;
    Some(match name {
        "array_remove" | "array_replace" | "array_position" | "array_positions" => {
            format!("{of} @> ARRAY[{}]", literal(&constant(0)?))
        }
        "jsonb_set" | "jsonb_set_lax" | "jsonb_insert" => format!("({of} #> {}) IS NOT NULL", literal(&constant(0)?)),
        "jsonb_strip_nulls" | "json_strip_nulls" => format!("{of} = '{{\"a\": null, \"b\": 1}}'"),
        "regexp_replace" | "regexp_match" | "regexp_matches" | "regexp_substr" | "regexp_split_to_array" => {
            matching(&of, &constant(0)?)
        }
        "substring" | "substr" => match number(0) {
            Some(from) => longer(&of, from.saturating_sub(1).saturating_add(number(1).unwrap_or(0))),
            None => matching(&of, &constant(0)?),
        },
        "left" | "right" => longer(&of, number(0)?),
        "split_part" | "replace" | "strpos" | "position" | "translate" | "string_to_array" => {
            matching(&of, &escaped(&constant(0).filter(|part| !part.is_empty())?))
        }
        "trim" | "btrim" | "ltrim" | "rtrim" => trimmed(&of, name, &constant(0).unwrap_or(" ".to_owned()))?,
        // All three change such a word, even initcap, which capitalizes only its first letter.
        "lower" | "upper" | "initcap" => format!("{of} ~ '[A-Z][a-z][A-Z]'"),
        "abs" => format!("{of} < 0"),
        "greatest" => format!("{of} < {}", literal(&constant(0)?)),
        "least" => format!("{of} > {}", literal(&constant(0)?)),
        "nullif" => format!("{of} = {}", literal(&constant(0)?)),
        "coalesce" => format!("{of} IS NULL"),
        "round" | "trunc" | "floor" | "ceil" | "ceiling" => format!("{of} = '7.56789'"),
        _ => return None,
    })
}

/// The column that an operation is applied to, possibly after another operation.
fn value(expr: &Expr) -> Option<String> {
    match expr.bare().form() {
        ExprForm::Column(name) => Some(ident(name)),
        ExprForm::Call(_, inner) | ExprForm::Op(_, inner) => value(inner.first()?),
        _ => None,
    }
}

/// A text in which a pattern matches, with other text beside the match; the match occurs twice in a row if the
/// pattern is not anchored.
fn matching(of: &str, pattern: &str) -> String {
    let (beside, pattern) = (literal(BESIDE), literal(pattern));
    format!("{of} ~ {beside} AND {of} ~ {pattern} AND {of} ~ {pattern} AND {of} ~ {beside}")
}

fn longer(of: &str, number: u64) -> String {
    format!("length({of}) > {}", number.min(LONGEST))
}

/// A text with one of these characters at its beginning, at its end, or at both.
fn trimmed(of: &str, name: &str, characters: &str) -> Option<String> {
    let one = escaped(&characters.chars().next()?.to_string());
    let begins = (name != "rtrim").then(|| format!("{of} ~ {} AND ", literal(&format!("^{one}"))));
    let ends = (name != "ltrim").then(|| format!(" AND {of} ~ {}", literal(&format!("{one}$"))));
    Some(format!("{}{of} ~ {}{}", begins.unwrap_or_default(), literal(BESIDE), ends.unwrap_or_default()))
}

/// A pattern that matches only this text.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| ['\\'].into_iter().filter(move |_| c.is_ascii_punctuation()).chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        changes(&Expr::parse(text).unwrap()).iter().map(|one| one.text().replace('"', "")).collect()
    }

    #[test]
    fn an_operation_has_a_condition_under_which_it_changes_something() {
        assert_eq!(told("a #- '{x,y}'"), ["(a #> '{x,y}') IS NOT NULL"]);
        assert_eq!(told("a - 'x'"), ["a ? 'x'"]);
        assert_eq!(told("left(lower(a), 20)"), ["length(a) > 20", "a ~ '[A-Z][a-z][A-Z]'"]);
        assert_eq!(told("CASE a WHEN 'x' THEN 1 WHEN 'y' THEN 2 END"), ["a = 'x'", "a = 'y'"]);
        assert_eq!(told("rtrim(a, '0')"), ["a ~ '[b-y]{2}' AND a ~ '0$'"]);
        assert_eq!(told("substring(a FROM '[0-9]+')"), told("regexp_replace(a, '[0-9]+', '')"));
        assert_eq!(told("TRIM(LEADING '0' FROM a)"), told("ltrim(a, '0')"));
        assert_eq!(told("a ->> 'x' -> 'y'"), ["(a ->> 'x' -> 'y') IS NOT NULL"]);
        assert!(told("a || 'x'").is_empty());
    }
}
