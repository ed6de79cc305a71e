//! Expressions as they are after a dump and a restore.
//!
//! `x IN ('a', 'b')` over a `varchar` is stored with a cast of the whole array, `(ARRAY['a', 'b'])::text[]`. PostgreSQL
//! parses that text as a cast of each element, and from then on stores and prints `ARRAY[('a')::text, ('b')::text]`.
//! Both have the same value. See `transformArrayExpr` in `parse_expr.c`. In extended statistics PostgreSQL prints
//! `ARRAY['a', 'b']::text[]`, with parentheses only where needed.

use std::borrow::Cow;
use std::ops::Range;

use super::tokens::Tokens;

/// An expression printed by the server, the way the server prints it after parsing it again.
pub(super) fn spread(text: &str) -> Cow<'_, str> {
    match text.contains("ARRAY[") && text.contains("[]") {
        true => Cow::Owned(rewritten(text)),
        false => Cow::Borrowed(text),
    }
}

/// The text with each cast of an array replaced by casts of its elements.
fn rewritten(text: &str) -> String {
    let tokens = Tokens::of(text);
    let (mut made, mut from, mut at) = (String::with_capacity(text.len()), 0, 0);
    while at < tokens.len() {
        let Some(array) = CastArray::at(&tokens, at) else {
            at += 1;
            continue;
        };
        made += &text[from..tokens.start(at)];
        made += &array.elements(text);
        at = array.behind;
        from = tokens.end(at - 1);
    }
    made + &text[from..]
}

/// `(ARRAY[…])::kind[]` or `ARRAY[…]::kind[]`.
struct CastArray {
    /// The bytes between its brackets.
    list: Range<usize>,
    /// The bytes of the type of its elements.
    kind: Range<usize>,
    /// The token after it.
    behind: usize,
    is_enclosed: bool,
}

impl CastArray {
    /// The cast that starts with this token.
    fn at(tokens: &Tokens<'_>, begin: usize) -> Option<Self> {
        // The cast after a function call is not about the argument of the function.
        let is_enclosed = tokens.at(begin) == "(" && !is_name(tokens.before(begin));
        let open = begin + 1 + usize::from(is_enclosed);
        if tokens.before(open) != "ARRAY" || tokens.at(open) != "[" || tokens.at(open + 1) == "]" {
            return None;
        }
        let close = tokens.closing(open)?;
        if is_enclosed && tokens.at(close + 1) != ")" {
            return None;
        }
        let cast = close + 1 + usize::from(is_enclosed);
        let behind = tokens.after_cast(cast)?;
        let is_array = tokens.at(behind - 2) == "[" && tokens.at(behind - 1) == "]" && tokens.at(behind - 3) != "]";
        let kind = cast + if tokens.at(cast) == "::" { 1 } else { 2 };
        is_array.then(|| Self {
            list: tokens.end(open)..tokens.start(close),
            kind: tokens.start(kind)..tokens.end(behind - 3),
            behind,
            is_enclosed,
        })
    }

    /// The array with a cast of each element.
    fn elements(&self, text: &str) -> String {
        self.cast(&text[self.list.clone()], &text[self.kind.clone()])
    }

    /// The same for a nested array.
    fn cast(&self, list: &str, kind: &str) -> String {
        let cast = items(list).into_iter().map(|item| match inner(item) {
            Some(list) => self.cast(list, kind),
            None if self.is_enclosed || has_operators(item) => format!("({})::{kind}", rewritten(item)),
            None => format!("{}::{kind}", rewritten(item)),
        });
        format!("ARRAY[{}]", cast.collect::<Vec<_>>().join(", "))
    }
}

/// Whether an expression is more than a value, a name or a call, each with its casts.
fn has_operators(item: &str) -> bool {
    let tokens = Tokens::of(item);
    let mut depth = 0_usize;
    (0..tokens.len()).any(|at| {
        let token = tokens.at(at);
        match token {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_operand = token.contains(|c: char| c.is_alphanumeric() || "_'\"".contains(c));
        let is_word = matches!(token, "AND" | "OR" | "NOT" | "IS" | "IN" | "LIKE" | "COLLATE" | "AT");
        depth == 0 && (is_word || !is_operand && !["(", ")", "[", "]", ".", ":", "::"].contains(&token))
    })
}

/// Whether a token is a name; SQL keywords are written in capitals.
fn is_name(token: &str) -> bool {
    token.ends_with('"') || token.chars().any(|c| c.is_lowercase() || c == '_') && !token.starts_with('\'')
}

/// The elements of an item that is itself an array.
fn inner(item: &str) -> Option<&str> {
    let tokens = Tokens::of(item);
    let is_whole = tokens.at(0) == "ARRAY" && tokens.at(1) == "[" && tokens.closing(1)? + 1 == tokens.len();
    is_whole.then(|| &item[tokens.end(1)..tokens.start(tokens.len() - 1)])
}

/// The items of a list separated by commas.
fn items(list: &str) -> Vec<&str> {
    let tokens = Tokens::of(list);
    let (mut all, mut from, mut depth) = (Vec::new(), 0, 0_usize);
    for at in 0..tokens.len() {
        match tokens.at(at) {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "," if depth == 0 => {
                all.push(list[from..tokens.start(at)].trim());
                from = tokens.end(at);
            }
            _ => {}
        }
    }
    all.push(list[from..].trim());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cast_of_an_array_is_one_of_its_elements() {
        let check = |text: &str, expected: &str| {
            assert_eq!(spread(text), expected);
            assert_eq!(spread(expected), expected);
        };
        check(
            "CHECK (((s)::text = ANY ((ARRAY['a, ]'::character varying, 'b'::character varying])::text[])))",
            "CHECK (((s)::text = ANY (ARRAY[('a, ]'::character varying)::text, ('b'::character varying)::text])))",
        );
        check(
            "(i = ANY ((ARRAY[f(1, 2), x[2]])::numeric(8,2)[]))",
            "(i = ANY (ARRAY[(f(1, 2))::numeric(8,2), (x[2])::numeric(8,2)]))",
        );
        check(
            "((ARRAY[ARRAY[1, 2], ARRAY[3, 4]])::bigint[])",
            "(ARRAY[ARRAY[(1)::bigint, (2)::bigint], ARRAY[(3)::bigint, (4)::bigint]])",
        );
        check("((ARRAY[((ARRAY[1])::a.\"B\"[])[1]])::text[])", "(ARRAY[((ARRAY[(1)::a.\"B\"])[1])::text])");
        check(
            "ON id, (s::text = ANY (ARRAY['new'::character varying, f(a + b), a || b, x[1]]::text[]))",
            "ON id, (s::text = ANY (ARRAY['new'::character varying::text, f(a + b)::text, \
             (a || b)::text, x[1]::text]))",
        );
        for same in [
            "((ARRAY[1, 2])::text)",
            "(ARRAY[1, 2])[1]",
            "ARRAY[]::numeric[]",
            "f(ARRAY[1])::text[]",
            "\"F\"(ARRAY[1])::text[]",
            "AS $$SELECT (ARRAY[1])::numeric[]$$",
            "'(ARRAY[1])::numeric[]'::text",
            "(ARRAY[1, 2",
            "(ARRAY[1])::",
        ] {
            check(same, same);
        }
    }
}
