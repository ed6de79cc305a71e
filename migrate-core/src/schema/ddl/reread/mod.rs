//! Expressions that PostgreSQL prints in a form which it parses differently, with the casts and names that make it parse what
//! it printed.

mod array;
mod nested;
mod unnamed;

use std::ops::Range;

use crate::sql::lex::words;

/// The words of types beside their first one: `double precision`, `timestamp with time zone`, `interval day to second`.
const MORE_WORDS: [&str; 13] = [
    "precision",
    "varying",
    "with",
    "without",
    "time",
    "zone",
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "to",
];

/// What is put into a text, and at which byte.
type Insertion = (usize, &'static str);

/// A text, cut into tokens without space and comments.
struct Tokens<'a> {
    text: &'a str,
    spans: Vec<Range<usize>>,
}

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, spans: words(text).map(|(_, span)| span).collect() }
    }

    fn len(&self) -> usize {
        self.spans.len()
    }

    /// The token at a place, or an empty text after the last one.
    fn at(&self, place: usize) -> &'a str {
        self.spans.get(place).map_or("", |span| &self.text[span.clone()])
    }

    /// The token before a place.
    fn before(&self, place: usize) -> &'a str {
        place.checked_sub(1).map_or("", |place| self.at(place))
    }

    /// The byte at which a token ends.
    fn end(&self, place: usize) -> usize {
        self.spans.get(place).map_or(self.text.len(), |span| span.end)
    }

    /// The place after the cast that begins here, or `None` if none begins here.
    fn after_cast(&self, place: usize) -> Option<usize> {
        let colons = match (self.at(place), self.at(place + 1)) {
            ("::", _) => 1,
            (":", ":") => 2,
            _ => return None,
        };
        let mut at = place + colons;
        let is_name = |text: &str| text.starts_with(|c: char| c.is_alphabetic() || "_\"".contains(c));
        let starts = at;
        while is_name(self.at(at)) && (at == starts || self.before(at) == "." || MORE_WORDS.contains(&self.at(at))) {
            at += if self.at(at + 1) == "." { 2 } else { 1 };
            if self.at(at) == "(" {
                at = (at..self.len()).find(|at| self.at(*at) == ")")? + 1;
            }
        }
        while self.at(at) == "[" {
            at = (at..self.len()).find(|at| self.at(*at) == "]")? + 1;
        }
        Some(at)
    }
}

/// A text that the server wrote, so that the server reads it as what it is.
pub(super) fn as_written(text: &str) -> String {
    // Most texts have nothing of it, and need not be cut into tokens.
    let has = |one: &str| text.contains(one);
    let has_constants = has("SELECT") && (has("'::") || has("NULL::"));
    if !(has("ARRAY[") || has(") AND") || has(") OR") || has_constants) {
        return text.to_owned();
    }
    let tokens = Tokens::of(text);
    let mut all: Vec<Insertion> = array::casts(&tokens);
    all.extend(nested::casts(&tokens));
    all.extend(unnamed::names(&tokens));
    all.sort_by_key(|(at, _)| *at);
    let (mut made, mut at) = (String::with_capacity(text.len()), 0);
    for (end, what) in all {
        made += &text[at..end];
        made += what;
        at = end;
    }
    made + &text[at..]
}
