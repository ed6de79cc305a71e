//! Finds the parameters in a statement, and tells them from what only looks like one.

use std::ops::Range;

use migrate_base::ident;
use squawk_lexer::{LiteralKind, TokenKind};

use super::{Word, words};
use crate::consumer::ParameterStyle;

/// Something that has to be rewritten for the server.
pub(super) struct PlaceholderMatch {
    pub(super) span: Range<usize>,
    /// How many tokens it has.
    words: usize,
    pub(super) style: Option<ParameterStyle>,
    pub(super) means: PlaceholderMeaning,
}

pub(super) enum PlaceholderMeaning {
    /// An unnamed parameter.
    Next,
    /// The parameter with this name.
    Named(String),
    /// Not a parameter, but this text.
    Text(String),
    /// A sign that is doubled because a single one would be a parameter.
    Doubled(&'static str),
}

/// A statement, and how its parameters are written.
pub(super) struct PlaceholderReader<'a> {
    text: &'a str,
    words: Vec<Word>,
    pub(super) style: Option<ParameterStyle>,
    /// The highest `$n` in the text.
    pub(super) numbered: usize,
}

impl<'a> PlaceholderReader<'a> {
    pub(super) fn new(text: &'a str, style: Option<ParameterStyle>) -> Self {
        let words: Vec<Word> = words(text).collect();
        let number = |word: &Word| match word.0 {
            TokenKind::PositionalParam { .. } => text[word.1.start + 1..word.1.end].parse::<u16>().ok(),
            _ => None,
        };
        let numbered = words.iter().filter_map(number).max().map_or(0, usize::from);
        Self { text, words, style, numbered }
    }

    /// Everything that has to be rewritten, in order.
    pub(super) fn all(&self) -> Vec<PlaceholderMatch> {
        let (mut all, mut at, mut brackets) = (Vec::new(), 0, 0_usize);
        // The end of the last one found: a value may end there without a token that shows it.
        let mut last = 0;
        while at < self.words.len() {
            let behind_value = || at > 0 && (self.is_value(at - 1) || last == at);
            if let Some(found) = self.found(at, behind_value, brackets > 0) {
                at += found.words;
                last = if matches!(found.means, PlaceholderMeaning::Doubled(_)) { 0 } else { at };
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

    /// What starts at this token, if it has to be rewritten.
    fn found(&self, at: usize, behind_value: impl Fn() -> bool, in_brackets: bool) -> Option<PlaceholderMatch> {
        let allowed = |style: ParameterStyle| self.style.is_none_or(|only| only == style);
        match self.kind(at)? {
            TokenKind::Ident => self.sqlc(at),
            TokenKind::Question if allowed(ParameterStyle::Question) => self.question(at, behind_value()),
            TokenKind::Percent if allowed(ParameterStyle::Percent) => self.percent(at, behind_value()),
            TokenKind::At if allowed(ParameterStyle::At) => self.at_sign(at),
            TokenKind::Colon if allowed(ParameterStyle::Colon) => self.colon(at, behind_value(), in_brackets),
            _ => None,
        }
    }

    /// `sqlc.arg(name)` and similar, in every style: nothing else looks like it.
    fn sqlc(&self, at: usize) -> Option<PlaceholderMatch> {
        let is_call = self.word(at).eq_ignore_ascii_case("sqlc")
            && self.kind(at + 1)? == TokenKind::Dot
            && self.kind(at + 3)? == TokenKind::OpenParen
            && self.kind(at + 5)? == TokenKind::CloseParen;
        let inner = self.word(at + 4);
        if !is_call || !matches!(self.kind(at + 4)?, TokenKind::Ident | TokenKind::QuotedIdent { .. } | STRING) {
            return None;
        }
        let means = match self.word(at + 2) {
            "arg" | "narg" | "slice" => PlaceholderMeaning::Named(inner.trim_matches(['\'', '"']).to_owned()),
            "embed" => PlaceholderMeaning::Text(format!("{inner}.*")),
            _ => return None,
        };
        Some(self.made(at, 6, None, means))
    }

    fn question(&self, at: usize, behind_value: bool) -> Option<PlaceholderMatch> {
        let style = Some(ParameterStyle::Question);
        if behind_value {
            let is_doubled = self.kind(at + 1) == Some(TokenKind::Question) && self.glued(at);
            return is_doubled.then(|| self.made(at, 2, style, PlaceholderMeaning::Doubled("?")));
        }
        // `@?`, `?|` and other operators whose beginning is before this token.
        let is_tail =
            at > 0 && self.glued(at - 1) && matches!(self.kind(at - 1), Some(TokenKind::At | TokenKind::Question));
        let is_ours = self.numbered == 0 || self.style.is_some();
        (is_ours && !is_tail && !self.is_prefix(at)).then(|| self.made(at, 1, style, PlaceholderMeaning::Next))
    }

    /// Whether this `?` starts a prefix operator, such as the geometric `?|`. But `?||'x'` is a parameter and `||`.
    fn is_prefix(&self, at: usize) -> bool {
        let is_doubled = self.kind(at + 2) == Some(TokenKind::Or) && self.glued(at + 1);
        self.glued(at)
            && match self.kind(at + 1) {
                Some(TokenKind::Or) => !is_doubled,
                Some(TokenKind::And | TokenKind::Ident) => true,
                _ => false,
            }
    }

    fn percent(&self, at: usize, behind_value: bool) -> Option<PlaceholderMatch> {
        let style = Some(ParameterStyle::Percent);
        if !self.glued(at) {
            return None;
        }
        match self.kind(at + 1)? {
            TokenKind::Percent => Some(self.made(at, 2, style, PlaceholderMeaning::Doubled("%"))),
            TokenKind::OpenParen => {
                let is_named = self.kind(at + 2)? == TokenKind::Ident
                    && self.kind(at + 3)? == TokenKind::CloseParen
                    && self.glued(at + 3)
                    && ["s", "b", "t"].contains(&self.word(at + 4));
                is_named.then(|| self.made(at, 5, style, PlaceholderMeaning::Named(self.word(at + 2).to_owned())))
            }
            _ if !behind_value && ["s", "b", "t"].contains(&self.word(at + 1)) => {
                Some(self.made(at, 2, style, PlaceholderMeaning::Next))
            }
            _ => None,
        }
    }

    /// `@name`; not `@>`, `<@`, `@@` and `@?`.
    fn at_sign(&self, at: usize) -> Option<PlaceholderMatch> {
        let is_name = self.glued(at) && self.kind(at + 1)? == TokenKind::Ident;
        let is_tail = at > 0 && self.glued(at - 1) && self.is_sign(at - 1);
        (is_name && !is_tail).then(|| {
            self.made(at, 2, Some(ParameterStyle::At), PlaceholderMeaning::Named(self.word(at + 1).to_owned()))
        })
    }

    /// `:name`, psql's `:'name'` and pgtyped's `:name!`; not `::type`, `:=`, a slice, or the colon of a JSON
    /// constructor.
    fn colon(&self, at: usize, behind_value: bool, in_brackets: bool) -> Option<PlaceholderMatch> {
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
        Some(self.made(
            at,
            if is_required { 3 } else { 2 },
            Some(ParameterStyle::Colon),
            PlaceholderMeaning::Named(name),
        ))
    }

    fn made(
        &self,
        at: usize,
        words: usize,
        style: Option<ParameterStyle>,
        means: PlaceholderMeaning,
    ) -> PlaceholderMatch {
        let end = self.words.get(at + words - 1).map_or(self.text.len(), |(_, span)| span.end);
        PlaceholderMatch { span: self.words[at].1.start..end, words, style, means }
    }

    /// Whether a value ends with this token, so that an operator can follow.
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

/// A terminated string.
const STRING: TokenKind = TokenKind::Literal { kind: LiteralKind::Str { terminated: true } };
/// Words before a value, in addition to reserved words.
const WORDS: [&str; 6] = ["by", "zone", "escape", "set", "rows", "range"];
/// Reserved words that are values.
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
