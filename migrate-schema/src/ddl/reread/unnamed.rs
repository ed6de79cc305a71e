//! Unnamed constants in the list of a SELECT.
//!
//! PostgreSQL prints the `'x'` of `EXISTS (SELECT 'x' FROM …)` as `'x'::text` and names that column `text` when it
//! parses it: see `FigureColname` in `parse_target.c`. When it prints no name, the name is `?column?`.

use super::{Insertion, Tokens};
use crate::query::ENDS;

/// Whether a list of columns ends before a token.
fn ends(token: &str) -> bool {
    matches!(token, ")" | ";") || ENDS.contains(&token)
}

/// The names that it would not choose itself.
pub(super) fn names(tokens: &Tokens<'_>) -> Vec<Insertion> {
    // Whether a list of columns is open, for each bracket.
    let mut lists = vec![false];
    let mut found = Vec::new();
    for place in 0..tokens.len() {
        let word = tokens.at(place);
        if ends(word) {
            lists.last_mut().into_iter().for_each(|list| *list = false);
        }
        match word {
            "(" | "[" => lists.push(false),
            ")" | "]" if lists.len() > 1 => drop(lists.pop()),
            "SELECT" => lists.last_mut().into_iter().for_each(|list| *list = true),
            _ => {}
        }
        let begins = word == "SELECT" || word == "," && lists.last() == Some(&true);
        let item = if begins && tokens.at(place + 1) == "DISTINCT" { place + 2 } else { place + 1 };
        found.extend(Some(item).filter(|_| begins).and_then(|item| unnamed(tokens, item)));
    }
    found
}

/// The name for an item that is only a constant with its type.
fn unnamed(tokens: &Tokens<'_>, item: usize) -> Option<Insertion> {
    let constant = tokens.at(item);
    let behind = tokens.after_cast(item + 1).filter(|_| constant.starts_with('\'') || constant == "NULL")?;
    let next = tokens.at(behind);
    (next.is_empty() || next == "," || ends(next)).then(|| (tokens.end(behind - 1), " AS \"?column?\""))
}

#[cfg(test)]
mod tests {
    use super::super::as_written;

    #[test]
    fn only_constants_without_a_name_get_one() {
        let check = |text: &str, expected: &str| assert_eq!(as_written(text), expected);
        check("(EXISTS ( SELECT 'x'::text\n FROM t))", "(EXISTS ( SELECT 'x'::text AS \"?column?\"\n FROM t))");
        check(
            "( SELECT a, NULL::character varying(9),\n '-1'::integer, f('x'::text) AS f)",
            "( SELECT a, NULL::character varying(9) AS \"?column?\",\n '-1'::integer AS \"?column?\", \
             f('x'::text) AS f)",
        );
        check("( SELECT 'a'::s.\"T\"[] UNION SELECT 1)", "( SELECT 'a'::s.\"T\"[] AS \"?column?\" UNION SELECT 1)");
        for same in [
            "( SELECT ARRAY['a'::text, 'b'::text, 'c'::text] AS z)",
            "( SELECT 'x'::text AS z)",
            "( SELECT 'x'::text || 'y'::text)",
            "IN ('a'::text, 'b'::text)",
        ] {
            check(same, same);
        }
    }
}
