//! Texts from the server, split into tokens without whitespace and comments.

use std::ops::Range;

use migrate_base::sql::lex::words;

/// The words of type names after the first: `double precision`, `timestamp with time zone`, `interval day to second`.
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

/// A text, split into tokens without whitespace and comments.
pub(super) struct Tokens<'a> {
    text: &'a str,
    spans: Vec<Range<usize>>,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, spans: words(text).map(|(_, span)| span).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The token at an index, or an empty text after the last one.
    pub(super) fn at(&self, place: usize) -> &'a str {
        self.spans.get(place).map_or("", |span| &self.text[span.clone()])
    }

    /// The token before an index.
    pub(super) fn before(&self, place: usize) -> &'a str {
        place.checked_sub(1).map_or("", |place| self.at(place))
    }

    /// The byte at which a token ends.
    pub(super) fn end(&self, place: usize) -> usize {
        self.spans.get(place).map_or(self.text.len(), |span| span.end)
    }

    /// The byte at which a token starts.
    pub(super) fn start(&self, place: usize) -> usize {
        self.spans.get(place).map_or(self.text.len(), |span| span.start)
    }

    /// The index of the bracket that closes the one here.
    pub(super) fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        (open..self.len()).find(|at| {
            match self.at(*at) {
                "[" => depth += 1,
                "]" => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })
    }

    /// The index after the cast that starts here; `None` if no cast starts here.
    pub(super) fn after_cast(&self, place: usize) -> Option<usize> {
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
