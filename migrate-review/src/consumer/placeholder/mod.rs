//! Parameters as tools write them, and as the server accepts them.
//!
//! The tokens come from the lexer, so nothing inside a string, a quoted name or a comment is mistaken for a parameter.
//! If a sign is also an operator, its position decides: `?` after a value is an operator of `jsonb`, and a parameter
//! elsewhere.

mod find;

use std::ops::Range;

use find::{PlaceholderMatch, PlaceholderMeaning, PlaceholderReader};
use migrate_base::sql::lex;
use squawk_lexer::TokenKind;

use crate::consumer::ParameterStyle;

/// A text with `$1`, `$2`, …, and the mapping back to the original.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RewrittenText {
    pub(super) text: String,
    /// As in [`super::QueryOrigin::pieces`], from the start of the given text.
    pub(super) pieces: Vec<(usize, usize)>,
}

/// A token that is neither space nor comment.
pub(super) type Word = (TokenKind, Range<usize>);

/// Rewrites the parameters of a statement for the server.
pub(super) fn rewrite(text: &str, style: Option<ParameterStyle>) -> RewrittenText {
    let reader = PlaceholderReader::new(text, style);
    let mut builder = TextRewriter { text, out: String::with_capacity(text.len()), pieces: Vec::new(), at: 0 };
    let found = reader.all();
    let has = |style: ParameterStyle| {
        found.iter().any(|f| f.style == Some(style) && !matches!(f.means, PlaceholderMeaning::Doubled(_)))
    };
    let mut parameters: Vec<Option<&str>> = Vec::new();
    for PlaceholderMatch { span, style, means, .. } in &found {
        let number = match means {
            PlaceholderMeaning::Next => {
                parameters.push(None);
                parameters.len()
            }
            PlaceholderMeaning::Named(name) => match parameters.iter().position(|known| *known == Some(name)) {
                Some(at) => at + 1,
                None => {
                    parameters.push(Some(name));
                    parameters.len()
                }
            },
            PlaceholderMeaning::Text(other) => {
                builder.replace(span, other);
                continue;
            }
            PlaceholderMeaning::Doubled(once) => {
                if reader.style.is_some() || style.is_some_and(has) {
                    builder.replace(span, once);
                }
                continue;
            }
        };
        builder.replace(span, &format!("${}", reader.numbered + number));
    }
    builder.end()
}

/// The tokens of a text, without space and comments.
pub(super) fn words(text: &str) -> impl Iterator<Item = Word> {
    lex::words(text)
}

struct TextRewriter<'a> {
    text: &'a str,
    out: String,
    pieces: Vec<(usize, usize)>,
    at: usize,
}

impl TextRewriter<'_> {
    fn copy(&mut self, to: usize) {
        if self.at < to || self.pieces.is_empty() {
            self.pieces.push((self.out.len(), self.at));
            self.out.push_str(&self.text[self.at..to]);
            self.at = to;
        }
    }

    fn replace(&mut self, span: &Range<usize>, new: &str) {
        self.copy(span.start);
        // If the text became longer, the excess maps to the last byte of the original.
        let kept = new.len().min(span.len());
        self.pieces.push((self.out.len(), span.start));
        self.pieces.extend((kept..new.len()).map(|at| (self.out.len() + at, span.end - 1)));
        self.out.push_str(new);
        self.at = span.end;
    }

    fn end(mut self) -> RewrittenText {
        self.copy(self.text.len());
        if self.at == self.text.len() && self.pieces.last().is_some_and(|(own, _)| *own < self.out.len()) {
            self.pieces.push((self.out.len(), self.at));
        }
        RewrittenText { text: self.out, pieces: self.pieces }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(rewrite(text, None).text, expected);
    }

    #[test]
    fn every_usual_style_is_understood() {
        check("SELECT a FROM t WHERE b = $1", "SELECT a FROM t WHERE b = $1");
        check("SELECT ? FROM t WHERE b IN (?, ?) LIMIT ?", "SELECT $1 FROM t WHERE b IN ($2, $3) LIMIT $4");
        check("SELECT :a, :b::int, :a FROM t ORDER BY :c", "SELECT $1, $2::int, $1 FROM t ORDER BY $3");
        check("SELECT @a WHERE b = @b::int AND c=@a", "SELECT $1 WHERE b = $2::int AND c=$1");
        check("SELECT %s, %s::int LIMIT %s", "SELECT $1, $2::int LIMIT $3");
        check("SELECT %(a)s, %(b)s, %(a)s", "SELECT $1, $2, $1");
        check("UPDATE t SET a = sqlc.arg(a), b = sqlc.narg('b'), c = @a", "UPDATE t SET a = $1, b = $2, c = $1");
        check("SELECT 1 WHERE a = ANY(sqlc.slice(ids)::int[])", "SELECT 1 WHERE a = ANY($1::int[])");
        check("SELECT sqlc.embed(t), sqlc.embed(u) FROM t, u", "SELECT t.*, u.* FROM t, u");
        check("SELECT $2, @a", "SELECT $2, $3");
        check("SELECT :'a', :b!, :c!=1", "SELECT $1, $2, $3!=1");
        check("SELECT ?||'x', ?::int", "SELECT $1||'x', $2::int");
        check("FETCH FIRST ? ROWS ONLY", "FETCH FIRST $1 ROWS ONLY");
    }

    #[test]
    fn operators_casts_and_slices_are_no_parameters() {
        for text in [
            "SELECT a ? 'k', a ?| b, a ?& b, a @? '$.a', a @@ b, a @> b, a <@ b FROM t",
            "SELECT t.data ? 'k' FROM t WHERE (a)::jsonb ? 'b' AND \"c\" ? 'd' AND e[1] ? 'f'",
            "SELECT a::int, b[1:2], b[1:n], b[n:m], f(x := 1), '12:30'::time",
            "SELECT JSON_OBJECT('a':b), a % b, a %s FROM t",
            "SELECT ':a ? @b %s', \":a\", $$ :a ? $$, E'\\' ?' -- :a ?\n /* @a */",
            "SELECT a ?? 'b', a %% b",
            "SELECT $1, a ? 'b'",
            "SELECT ?| lseg '[(-1,0),(1,0)]', ?q",
        ] {
            check(text, text);
        }
        check("SELECT a ? ? FROM t WHERE b ?| :c", "SELECT a ? $1 FROM t WHERE b ?| $2");
        check("SELECT a ?? 'b' WHERE c = ?", "SELECT a ? 'b' WHERE c = $1");
        check("SELECT a %% 2, %s", "SELECT a % 2, $1");
        check("SELECT ARRAY[:a, :b], x[:i]", "SELECT ARRAY[$1, $2], x[$3]");
    }

    #[test]
    fn a_style_that_is_named_is_the_only_one() {
        let text = "SELECT :a, @b, ?";
        let only = |style| rewrite(text, Some(style)).text;
        assert_eq!(only(ParameterStyle::Dollar), text);
        assert_eq!([only(ParameterStyle::Colon), only(ParameterStyle::At)], ["SELECT $1, @b, ?", "SELECT :a, $1, ?"]);
        assert_eq!(only(ParameterStyle::Question), "SELECT :a, @b, $1");
    }

    /// The place in the original of a byte of the rewritten text.
    fn back(made: &RewrittenText, byte: usize) -> usize {
        let (own, there) = made.pieces.iter().rev().find(|(own, _)| *own <= byte).unwrap();
        there + (byte - own)
    }

    proptest::proptest! {
        /// Texts without any of the signs stay unchanged, and every byte keeps its place.
        #[test]
        fn without_a_sign_nothing_changes(text in "[-a-z0-9'\"$;(),.=*\\[\\]/ \nü]{0,60}") {
            let made = rewrite(&text, None);
            proptest::prop_assert_eq!(&made.text, &text);
            for byte in 0..=text.len() {
                proptest::prop_assert_eq!(back(&made, byte), byte);
            }
        }

        /// For any text, nothing panics, and everything that was not a parameter maps back to the same character.
        #[test]
        fn every_character_leads_back_to_itself(
            text in "([a-z ü]{0,3}(:[a-c]|@[a-c]|\\?|%s|%\\([a-c]\\)s|'[^']{0,3}'|=|,|\\(|\\[|\
                     sqlc\\.arg\\([a-c]\\)|:|\\?\\?|%%| and )){0,12}"
        ) {
            let made = rewrite(&text, None);
            let mut last = 0;
            for (byte, c) in made.text.char_indices() {
                let there = back(&made, byte);
                proptest::prop_assert!(there >= last && there <= text.len());
                last = there;
                let is_number = c == '$' || c.is_ascii_digit();
                proptest::prop_assert!(is_number || text[there..].starts_with(c), "{} -> {}: {}", text, made.text, c);
            }
            proptest::prop_assert_eq!(back(&made, made.text.len()), text.len());
            // A rewritten text is not rewritten again.
            if !made.text.contains(['?', '@', ':', '%']) {
                proptest::prop_assert_eq!(&rewrite(&made.text, None).text, &made.text);
            }
        }
    }
}
