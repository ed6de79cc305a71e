//! Arrays that are cast as a whole.
//!
//! PostgreSQL writes such a cast as `(ARRAY[1, 2])::numeric[]`, and reads that as a cast of each element: an expression
//! that is written and read twice is another one each time. A cast to `anyarray` in between does nothing, and keeps the
//! outer one whole. See `transformTypeCast` in `parse_expr.c`.

use crate::sql::lex::words;

/// A text that the server wrote, so that the server reads it as what it is.
pub(super) fn cast_whole(text: &str) -> String {
    if !text.contains("ARRAY[") {
        return text.to_owned();
    }
    let tokens: Vec<_> = words(text).map(|(_, span)| span).collect();
    let token = |at: usize| tokens.get(at).map_or("", |span| &text[span.clone()]);
    let is_filled = |at: &usize| token(*at) == "ARRAY" && token(at + 1) == "[" && token(at + 2) != "]";
    let closed = (0..tokens.len()).filter(is_filled).filter_map(|at| {
        let close = closing(at + 1, &token)?;
        let is_enclosed = at > 0 && token(at - 1) == "(" && token(close + 1) == ")";
        is_array_cast(close + 1 + usize::from(is_enclosed), &token).then_some(tokens[close].end)
    });
    let mut ends: Vec<usize> = closed.collect();
    ends.sort_unstable();
    let (mut made, mut at) = (String::with_capacity(text.len()), 0);
    for end in ends {
        made += &text[at..end];
        made += "::anyarray";
        at = end;
    }
    made + &text[at..]
}

/// The place of the bracket that closes the one here.
fn closing<'a>(open: usize, token: &impl Fn(usize) -> &'a str) -> Option<usize> {
    let mut depth = 0_usize;
    (open..).take_while(|at| !token(*at).is_empty()).find(|at| {
        match token(*at) {
            "[" => depth += 1,
            "]" => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

/// Whether a cast to an array type stands here: two colons, and then names and sizes before a bracket.
fn is_array_cast<'a>(at: usize, token: &impl Fn(usize) -> &'a str) -> bool {
    let is_cast = token(at) == "::" || (token(at) == ":" && token(at + 1) == ":");
    let is_name = |text: &str| {
        matches!(text, ":" | "::" | "." | "(" | ")" | ",")
            || text.starts_with(|c: char| c.is_alphanumeric() || "_\"".contains(c))
    };
    is_cast && (at..).find(|at| !is_name(token(*at))).is_some_and(|at| token(at) == "[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_arrays_that_are_cast_as_a_whole_get_another_cast() {
        let check = |text: &str, expected: &str| assert_eq!(cast_whole(text), expected);
        check(
            "CHECK ((i = ANY ((ARRAY[1, x[2]])::numeric(8,2)[])))",
            "CHECK ((i = ANY ((ARRAY[1, x[2]]::anyarray)::numeric(8,2)[])))",
        );
        check(
            "((ARRAY[(ARRAY[1])::a.\"B\"[]])::double precision[])",
            "((ARRAY[(ARRAY[1]::anyarray)::a.\"B\"[]]::anyarray)::double precision[])",
        );
        check("x = ANY (ARRAY['a'::name]::text[])", "x = ANY (ARRAY['a'::name]::anyarray::text[])");
        for same in [
            "ARRAY[]::numeric[]",
            "ANY (ARRAY[(1)::numeric, (2)::numeric])",
            "((ARRAY[1, 2])::text)",
            "AS $$SELECT (ARRAY[1])::numeric[]$$",
            "COMMENT ON TABLE t IS '(ARRAY[1])::numeric[]'",
            "(ARRAY[1, 2",
        ] {
            check(same, same);
        }
    }
}
