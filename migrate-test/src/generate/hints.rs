//! What the text of a CHECK says about the values that pass it.
//!
//! No attempt is made to solve it: the constants in it, and their neighbours, are what nearly
//! every CHECK turns around, and the server decides what passes.

use migrate_core::ident::quoted;

/// Values that are worth a try.
#[derive(Debug, Default, Clone)]
pub(super) struct Hints {
    pub(super) texts: Vec<String>,
    pub(super) numbers: Vec<f64>,
    pub(super) patterns: Vec<String>,
    pub(super) lengths: Vec<usize>,
}

impl Hints {
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.numbers.is_empty() && self.patterns.is_empty()
    }

    /// Takes what a definition has: `CHECK ((stars >= 1) AND (stars <= 5))`.
    pub(super) fn learn(&mut self, definition: &str) {
        let measures = ["length(", "octet_length(", "cardinality(", "array_length("];
        let about_length = measures.iter().any(|function| definition.contains(function));
        let mut rest = definition;
        let mut before = ' ';
        while let Some(c) = rest.chars().next() {
            match c {
                '\'' => {
                    let Some((text, after)) = quoted(&rest[1..], '\'') else { return };
                    let is_pattern = definition[..definition.len() - rest.len()].trim_end().ends_with(['~', '*']);
                    if is_pattern {
                        self.patterns.push(text)
                    } else {
                        self.text(text)
                    }
                    rest = after;
                    before = '\'';
                    continue;
                }
                '0'..='9' if !before.is_alphanumeric() && before != '_' => {
                    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
                    let negative = definition[..definition.len() - rest.len()].ends_with(['-']);
                    if let Ok(number) = rest[..end].parse::<f64>() {
                        self.number(if negative { -number } else { number }, about_length);
                    }
                    rest = &rest[end..];
                    before = '0';
                    continue;
                }
                _ => {}
            }
            before = c;
            rest = &rest[c.len_utf8()..];
        }
    }

    fn text(&mut self, text: String) {
        if let Ok(number) = text.parse::<f64>() {
            self.number(number, false);
        }
        // An array constant names each of its elements.
        self.texts.extend(migrate_core::schema::array_items(&text).into_iter().flatten());
        self.texts.push(text);
    }

    fn number(&mut self, number: f64, is_length: bool) {
        self.numbers.extend([number, number + 1.0, number - 1.0]);
        if is_length && (0.0..10_000.0).contains(&number) {
            let length = number as usize;
            self.lengths.extend([length, length.saturating_sub(1), length + 1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(text: &str) -> Hints {
        let mut hints = Hints::default();
        hints.learn(text);
        hints
    }

    #[test]
    fn constants_and_their_neighbours_are_learnt() {
        assert_eq!(hints("CHECK ((a2 >= 1) AND (a2 <= -5))").numbers, [1.0, 2.0, 0.0, -5.0, -4.0, -6.0]);
        assert_eq!(hints("CHECK ((a = ANY (ARRAY['x'::text, 'it''s'::text])))").texts, ["x", "it's"]);
        assert_eq!(hints("CHECK ((a ~ '^[a-z]+$'::text))").patterns, ["^[a-z]+$"]);
        assert_eq!(hints("CHECK ((char_length(a) = 3))").lengths, [3, 2, 4]);
    }
}
