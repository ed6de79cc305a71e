//! AND inside AND, and OR inside OR.
//!
//! PostgreSQL prints the expression of `a BETWEEN 1 AND 2 AND b` as `((a >= 1) AND (a <= 2)) AND b`, and parses that as
//! one AND of three: see `makeAndExpr` in `gram.y`. A cast to `boolean` does nothing, and keeps them separate.

use super::{Insertion, Tokens};

/// The tokens, other than an opening bracket, after which an operand can start.
const BEGINS: [&str; 13] =
    ["(", "WHERE", "ON", "WHEN", "THEN", "ELSE", "HAVING", "SELECT", "RETURN", "CASE", "DEFAULT", ",", "AS"];

/// The operators between the operands inside an open bracket.
#[derive(Default)]
struct BracketOperators {
    place: usize,
    and: bool,
    or: bool,
}

/// The casts that keep them separate.
pub(super) fn casts(tokens: &Tokens<'_>) -> Vec<Insertion> {
    let (mut open, mut found): (Vec<BracketOperators>, _) = (Vec::new(), Vec::new());
    for place in 0..tokens.len() {
        let word = tokens.at(place);
        match word {
            "(" => open.push(BracketOperators { place, ..BracketOperators::default() }),
            ")" => {
                let Some(closed) = open.pop() else { continue };
                let is_nested =
                    closed.and && tokens.at(place + 1) == "AND" || closed.or && tokens.at(place + 1) == "OR";
                if is_nested && BEGINS.contains(&tokens.before(closed.place)) {
                    found.push((tokens.end(place), "::boolean"));
                }
            }
            "AND" | "OR" => {
                if let Some(open) = open.last_mut() {
                    open.and |= word == "AND";
                    open.or |= word == "OR";
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::as_written;

    #[test]
    fn an_and_that_begins_with_another_one_keeps_it() {
        let check = |text: &str, expected: &str| assert_eq!(as_written(text), expected);
        check("CHECK ((((a >= 1) AND (a <= 2)) AND b))", "CHECK ((((a >= 1) AND (a <= 2))::boolean AND b))");
        check("WHERE (((x OR y) OR z)\n  AND u)", "WHERE (((x OR y)::boolean OR z)\n  AND u)");
        for same in [
            "CHECK ((b AND ((a >= 1) AND (a <= 2))))",
            "CHECK (((x OR y) AND (x AND y)))",
            "WHERE (f(x AND y) AND z)",
            "AS $$SELECT ((x AND y) AND z)$$",
        ] {
            check(same, same);
        }
    }
}
