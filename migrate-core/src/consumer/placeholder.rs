//! Parameters as tools write them, and as the server takes them.
//!
//! Tokens come from the lexer, so that nothing inside a string, a quoted name or a comment is taken for one. Where a
//! sign is an operator as well, its position decides: `?` behind a value is an operator of `jsonb`, elsewhere a parameter.

use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

use crate::config::Style;
use crate::ident;

/// A text with `$1`, `$2`, …, and the way back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) text: String,
    /// As in [`super::Origin::pieces`], from the beginning of the text that was given.
    pub(super) pieces: Vec<(usize, usize)>,
}

/// A token that is neither space nor comment.
pub(super) type Word = (TokenKind, Range<usize>);

/// Something that is written another way for the server.
struct Found {
    span: Range<usize>,
    /// How many tokens it has.
    words: usize,
    style: Option<Style>,
    means: Means,
}

enum Means {
    /// A parameter of its own.
    Next,
    /// The parameter with this name.
    Named(String),
    /// No parameter, but this text.
    Text(String),
    /// A sign that is written twice because once it would be a parameter.
    Doubled(&'static str),
}

/// Writes the parameters of a statement as the server takes them.
pub(super) fn rewrite(text: &str, style: Option<Style>) -> Rewritten {
    let reader = Reader::new(text, style);
    let mut builder = Builder { text, out: String::with_capacity(text.len()), pieces: Vec::new(), at: 0 };
    let found = reader.all();
    let has = |style: Style| found.iter().any(|f| f.style == Some(style) && !matches!(f.means, Means::Doubled(_)));
    let mut parameters: Vec<Option<&str>> = Vec::new();
    for Found { span, style, means, .. } in &found {
        let number = match means {
            Means::Next => {
                parameters.push(None);
                parameters.len()
            }
            Means::Named(name) => match parameters.iter().position(|known| *known == Some(name)) {
                Some(at) => at + 1,
                None => {
                    parameters.push(Some(name));
                    parameters.len()
                }
            },
            Means::Text(other) => {
                builder.replace(span, other);
                continue;
            }
            Means::Doubled(once) => {
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
    let mut at = 0;
    let tokens = tokenize(text).map_while(move |token| {
        let span = at..at + token.len as usize;
        at = span.end;
        (token.kind != TokenKind::Eof).then_some((token.kind, span))
    });
    let is_space =
        |kind| matches!(kind, TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. });
    tokens.filter(move |(kind, _)| !is_space(*kind))
}

struct Reader<'a> {
    text: &'a str,
    words: Vec<Word>,
    style: Option<Style>,
    /// The highest `$n` that is written.
    numbered: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, style: Option<Style>) -> Self {
        let words: Vec<Word> = words(text).collect();
        let number = |word: &Word| match word.0 {
            TokenKind::PositionalParam { .. } => text[word.1.start + 1..word.1.end].parse::<u16>().ok(),
            _ => None,
        };
        let numbered = words.iter().filter_map(number).max().map_or(0, usize::from);
        Self { text, words, style, numbered }
    }

    /// Everything that has to be written another way, in order.
    fn all(&self) -> Vec<Found> {
        let (mut all, mut at, mut brackets) = (Vec::new(), 0, 0_usize);
        // The end of the last one, where a value may end that no token shows.
        let mut last = 0;
        while at < self.words.len() {
            let behind_value = || at > 0 && (self.is_value(at - 1) || last == at);
            if let Some(found) = self.found(at, behind_value, brackets > 0) {
                at += found.words;
                last = if matches!(found.means, Means::Doubled(_)) { 0 } else { at };
                all.push(found);
                continue;
            }
            match self.kind(at) {
                Some(TokenKind::OpenBracket) => brackets += 1,
                Some(TokenKind::CloseBracket) => brackets = brackets.saturating_sub(1),
                _ => {}
            }
            at += 1;
        }
        all
    }

    /// What begins at this token, if it has to be written another way.
    fn found(&self, at: usize, behind_value: impl Fn() -> bool, in_brackets: bool) -> Option<Found> {
        let allowed = |style: Style| self.style.is_none_or(|only| only == style);
        match self.kind(at)? {
            TokenKind::Ident => self.sqlc(at),
            TokenKind::Question if allowed(Style::Question) => self.question(at, behind_value()),
            TokenKind::Percent if allowed(Style::Percent) => self.percent(at, behind_value()),
            TokenKind::At if allowed(Style::At) => self.at_sign(at),
            TokenKind::Colon if allowed(Style::Colon) => self.colon(at, behind_value(), in_brackets),
            _ => None,
        }
    }

    /// `sqlc.arg(name)` and its kin, in every style: nothing else looks like it.
    fn sqlc(&self, at: usize) -> Option<Found> {
        let is_call = self.word(at).eq_ignore_ascii_case("sqlc")
            && self.kind(at + 1)? == TokenKind::Dot
            && self.kind(at + 3)? == TokenKind::OpenParen
            && self.kind(at + 5)? == TokenKind::CloseParen;
        let inner = self.word(at + 4);
        if !is_call || !matches!(self.kind(at + 4)?, TokenKind::Ident | TokenKind::QuotedIdent { .. } | STRING) {
            return None;
        }
        let means = match self.word(at + 2) {
            "arg" | "narg" | "slice" => Means::Named(inner.trim_matches(['\'', '"']).to_owned()),
            "embed" => Means::Text(format!("{inner}.*")),
            _ => return None,
        };
        Some(self.made(at, 6, None, means))
    }

    fn question(&self, at: usize, behind_value: bool) -> Option<Found> {
        let style = Some(Style::Question);
        if behind_value {
            let is_doubled = self.kind(at + 1) == Some(TokenKind::Question) && self.glued(at);
            return is_doubled.then(|| self.made(at, 2, style, Means::Doubled("?")));
        }
        // `@?`, `?|` and the rest of an operator that began before it.
        let is_tail =
            at > 0 && self.glued(at - 1) && matches!(self.kind(at - 1), Some(TokenKind::At | TokenKind::Question));
        let is_ours = self.numbered == 0 || self.style.is_some();
        (is_ours && !is_tail).then(|| self.made(at, 1, style, Means::Next))
    }

    fn percent(&self, at: usize, behind_value: bool) -> Option<Found> {
        let style = Some(Style::Percent);
        if !self.glued(at) {
            return None;
        }
        match self.kind(at + 1)? {
            TokenKind::Percent => Some(self.made(at, 2, style, Means::Doubled("%"))),
            TokenKind::OpenParen => {
                let is_named = self.kind(at + 2)? == TokenKind::Ident
                    && self.kind(at + 3)? == TokenKind::CloseParen
                    && self.glued(at + 3)
                    && ["s", "b", "t"].contains(&self.word(at + 4));
                is_named.then(|| self.made(at, 5, style, Means::Named(self.word(at + 2).to_owned())))
            }
            _ if !behind_value && ["s", "b", "t"].contains(&self.word(at + 1)) => {
                Some(self.made(at, 2, style, Means::Next))
            }
            _ => None,
        }
    }

    /// `@name`; not `@>`, `<@`, `@@` and `@?`.
    fn at_sign(&self, at: usize) -> Option<Found> {
        let is_name = self.glued(at) && self.kind(at + 1)? == TokenKind::Ident;
        let is_tail = at > 0 && self.glued(at - 1) && self.is_sign(at - 1);
        (is_name && !is_tail).then(|| self.made(at, 2, Some(Style::At), Means::Named(self.word(at + 1).to_owned())))
    }

    /// `:name`, psql's `:'name'` and pgtyped's `:name!`; not `::type`, `:=`, a slice, or the colon of a JSON constructor.
    fn colon(&self, at: usize, behind_value: bool, in_brackets: bool) -> Option<Found> {
        let is_name = matches!(self.kind(at + 1)?, TokenKind::Ident | STRING) && self.glued(at);
        let is_cast = at > 0 && self.kind(at - 1) == Some(TokenKind::Colon) && self.glued(at - 1);
        let before = at.checked_sub(1).and_then(|before| self.kind(before));
        let is_other = behind_value && (in_brackets || matches!(before, Some(STRING)));
        if !is_name || is_cast || is_other {
            return None;
        }
        let name = self.word(at + 1).trim_matches('\'').to_owned();
        let is_required = self.kind(at + 2) == Some(TokenKind::Bang)
            && self.glued(at + 1)
            && !(self.kind(at + 3) == Some(TokenKind::Eq) && self.glued(at + 2));
        Some(self.made(at, if is_required { 3 } else { 2 }, Some(Style::Colon), Means::Named(name)))
    }

    fn made(&self, at: usize, words: usize, style: Option<Style>, means: Means) -> Found {
        let end = self.words.get(at + words - 1).map_or(self.text.len(), |(_, span)| span.end);
        Found { span: self.words[at].1.start..end, words, style, means }
    }

    /// Whether a value ends with this token, so that an operator may follow.
    fn is_value(&self, at: usize) -> bool {
        match self.kind(at) {
            Some(TokenKind::Ident) => {
                let word = self.word(at).to_ascii_lowercase();
                let before = at.checked_sub(1).map(|before| self.word(before)).unwrap_or_default();
                let is_fetch = before.eq_ignore_ascii_case("fetch") && ["first", "next"].contains(&&*word);
                let is_name = before == "." || !(ident::is_keyword(&word) || WORDS.contains(&&*word) || is_fetch);
                is_name || VALUES.contains(&&*word)
            }
            Some(
                TokenKind::QuotedIdent { .. }
                | TokenKind::Literal { .. }
                | TokenKind::PositionalParam { .. }
                | TokenKind::CloseParen
                | TokenKind::CloseBracket,
            ) => true,
            _ => false,
        }
    }

    fn is_sign(&self, at: usize) -> bool {
        let signs = ["<", ">", "@", "~", "-", "!", "&", "|", "#", "?", "*", "+", "/", "%", "^"];
        signs.contains(&self.word(at))
    }

    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.words.get(at).map(|(kind, _)| *kind)
    }

    fn word(&self, at: usize) -> &'a str {
        self.words.get(at).map_or("", |(_, span)| &self.text[span.clone()])
    }

    /// Whether the next token follows without a space.
    fn glued(&self, at: usize) -> bool {
        matches!((self.words.get(at), self.words.get(at + 1)), (Some((_, a)), Some((_, b))) if a.end == b.start)
    }
}

/// A string that ends.
const STRING: TokenKind = TokenKind::Literal { kind: LiteralKind::Str { terminated: true } };
/// Words before a value, beside those that are no names.
const WORDS: [&str; 6] = ["by", "zone", "escape", "set", "rows", "range"];
/// Words that are no names, and values all the same.
const VALUES: [&str; 15] = [
    "null",
    "true",
    "false",
    "end",
    "default",
    "user",
    "current_user",
    "session_user",
    "current_role",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "current_catalog",
];

struct Builder<'a> {
    text: &'a str,
    out: String,
    pieces: Vec<(usize, usize)>,
    at: usize,
}

impl Builder<'_> {
    fn copy(&mut self, to: usize) {
        if self.at < to || self.pieces.is_empty() {
            self.pieces.push((self.out.len(), self.at));
            self.out.push_str(&self.text[self.at..to]);
            self.at = to;
        }
    }

    fn replace(&mut self, span: &Range<usize>, new: &str) {
        self.copy(span.start);
        // Where it became longer, what is too much stands at the last byte of what was there.
        let kept = new.len().min(span.len());
        self.pieces.push((self.out.len(), span.start));
        self.pieces.extend((kept..new.len()).map(|at| (self.out.len() + at, span.end - 1)));
        self.out.push_str(new);
        self.at = span.end;
    }

    fn end(mut self) -> Rewritten {
        self.copy(self.text.len());
        if self.at == self.text.len() && self.pieces.last().is_some_and(|(own, _)| *own < self.out.len()) {
            self.pieces.push((self.out.len(), self.at));
        }
        Rewritten { text: self.out, pieces: self.pieces }
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
        assert_eq!(only(Style::Dollar), text);
        assert_eq!([only(Style::Colon), only(Style::At)], ["SELECT $1, @b, ?", "SELECT :a, $1, ?"]);
        assert_eq!(only(Style::Question), "SELECT :a, @b, $1");
    }

    /// Where a byte of what was made stands in what was given.
    fn back(made: &Rewritten, byte: usize) -> usize {
        let (own, there) = made.pieces.iter().rev().find(|(own, _)| *own <= byte).unwrap();
        there + (byte - own)
    }

    proptest::proptest! {
        /// Texts without one of the signs stay as they are, and every byte is where it was.
        #[test]
        fn without_a_sign_nothing_changes(text in "[-a-z0-9'\"$;(),.=*\\[\\]/ \nü]{0,60}") {
            let made = rewrite(&text, None);
            proptest::prop_assert_eq!(&made.text, &text);
            for byte in 0..=text.len() {
                proptest::prop_assert_eq!(back(&made, byte), byte);
            }
        }

        /// Whatever the text, nothing panics, and whatever was not a parameter leads back to the same character.
        #[test]
        fn every_character_leads_back_to_itself(
            text in "([a-z ü]{0,3}(:[a-c]|@[a-c]|\\?|%s|%\\([a-c]\\)s|'[^']{0,3}'|=|,|\\(|\\[|sqlc\\.arg\\([a-c]\\)|:|\\?\\?|%%| and )){0,12}"
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
            // What was written for the server is not written again.
            if !made.text.contains(['?', '@', ':', '%']) {
                proptest::prop_assert_eq!(&rewrite(&made.text, None).text, &made.text);
            }
        }
    }
}
