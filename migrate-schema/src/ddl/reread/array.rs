//! Arrays that are cast as a whole.
//!
//! PostgreSQL prints such a cast as `(ARRAY[1, 2])::numeric[]`, and parses that as a cast of each element: an
//! expression changes each time it is printed and parsed. A cast to `anyarray` in between does nothing, and keeps the
//! outer cast whole. See `transformTypeCast` in `parse_expr.c`; `schema::spread` contains the form that is parsed
//! without it.

use super::{Insertion, Tokens};

/// The casts that keep them whole.
pub(super) fn casts(tokens: &Tokens<'_>) -> Vec<Insertion> {
    let is_filled = |at: &usize| tokens.at(*at) == "ARRAY" && tokens.at(at + 1) == "[" && tokens.at(at + 2) != "]";
    let closed = (0..tokens.len()).filter(is_filled).filter_map(|at| {
        let close = tokens.closing(at + 1)?;
        let is_enclosed = tokens.before(at) == "(" && tokens.at(close + 1) == ")";
        is_array_cast(close + 1 + usize::from(is_enclosed), tokens).then_some((tokens.end(close), "::anyarray"))
    });
    closed.collect()
}

/// Whether there is a cast to an array type here.
fn is_array_cast(at: usize, tokens: &Tokens<'_>) -> bool {
    tokens.after_cast(at).is_some_and(|behind| tokens.at(behind - 1) == "]")
}

#[cfg(test)]
mod tests {
    use super::super::as_written;

    #[test]
    fn only_arrays_that_are_cast_as_a_whole_get_another_cast() {
        let check = |text: &str, expected: &str| assert_eq!(as_written(text), expected);
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
