//! Values that satisfy the requirements on a column.

use proptest::prelude::*;
use proptest::sample::select;

use super::dice::Dice;
use super::pattern::Pattern;
use super::wish::{ColumnRequirements, ValueKind};

/// The maximum length of a value.
const LONGEST: usize = 1_000_000;
/// The maximum number of elements in an array.
const MOST_ELEMENTS: usize = 200;

impl ColumnRequirements {
    /// Values that satisfy the requirements; `None` if no requirement defines the values.
    pub(super) fn values(&self, type_name: &str, serial: u32) -> Option<BoxedStrategy<String>> {
        let sort = ValueKind::of(type_name);
        let exact: Vec<String> = self.exactly.iter().filter(|one| !self.not.contains(one)).cloned().collect();
        if !exact.is_empty() {
            let whole = |text: String| match sort {
                ValueKind::Array if !text.starts_with('{') => array(&[text]),
                _ => text,
            };
            return Some(select(exact.into_iter().map(whole).collect::<Vec<_>>()).boxed());
        }
        match sort {
            ValueKind::Text => self.texts(type_name, serial),
            ValueKind::Integer | ValueKind::Number => self.numbers(sort, serial),
            ValueKind::Json => self.documents(serial),
            ValueKind::Array => self.arrays(serial),
            ValueKind::Bytes => self.bytes(serial),
            ValueKind::Other if !self.shape.is_empty() && type_name.trim_end_matches('"').ends_with("hstore") => {
                Some(Just(self.shape.pairs(serial)).boxed())
            }
            ValueKind::Other => None,
        }
    }

    fn texts(&self, type_name: &str, serial: u32) -> Option<BoxedStrategy<String>> {
        if !self.shape.is_empty() {
            return Some(Just(self.shape.text(serial)).boxed());
        }
        if let Some(reading) = self.readable.as_ref().filter(|_| self.patterns.is_empty()) {
            return reading.text(serial, self.respelled && serial % 3 == 1).map(|text| Just(text).boxed());
        }
        let limit =
            type_name.split_once('(').and_then(|(_, rest)| rest.split(')').next()?.trim().parse::<usize>().ok());
        let (least, most) = self.length;
        let most = most.into_iter().chain(limit).min();
        let is_asked = !self.patterns.is_empty()
            || self.without.is_some()
            || self.lower
            || self.upper
            || self.trimmed
            || least.or(self.length.1).is_some();
        // A text that is compared with a number: `'5'::text`.
        if !is_asked {
            return self.low.or(self.high).is_some().then(|| self.numbers(ValueKind::Integer, serial)).flatten();
        }
        let (lower, upper, trimmed) = (self.lower, self.upper, self.trimmed);
        let fit = move |text: String| {
            let text = if lower { text.to_lowercase() } else { text };
            let text = if upper { text.to_uppercase() } else { text };
            let text = if trimmed { text.trim().to_owned() } else { text };
            let short = least.unwrap_or(0).min(LONGEST).saturating_sub(text.chars().count());
            let text: String = text.chars().chain("abcdefghij".chars().cycle().take(short)).collect();
            text.chars().take(most.unwrap_or(usize::MAX)).collect::<String>()
        };
        // If patterns have to match, a text that is too short is drawn again rather than padded.
        let drawn = self.drawn();
        Some(match drawn {
            Some(drawn) => {
                let range = least.unwrap_or(0)..=most.unwrap_or(usize::MAX);
                let strategy = prop::collection::vec(drawn, 12).prop_map(move |texts| {
                    let fitting = texts.iter().find(|text| range.contains(&text.chars().count())).cloned();
                    fit(fitting.or_else(|| texts.into_iter().next()).unwrap_or_default())
                });
                strategy.boxed()
            }
            None => Just(format!("v{serial}")).prop_map(fit).boxed(),
        })
    }

    /// Texts in which all patterns match: anchored beginnings come first, anchored ends last.
    fn drawn(&self) -> Option<BoxedStrategy<String>> {
        let patterns = self.ordered();
        let text = move |seed: u64| {
            let mut dice = Dice::new(seed);
            patterns.iter().map(|pattern| pattern.draw(&mut dice)).collect::<String>()
        };
        (!self.ordered().is_empty()).then(|| any::<u64>().prop_map(text).boxed())
    }

    /// The first of these texts in the order of the characters in the patterns: zeros, or upper-case letters.
    pub(super) fn first(&self) -> Option<String> {
        let patterns = self.ordered();
        (!self.patterns.is_empty()).then(|| patterns.iter().map(|pattern| pattern.draw(&mut Dice::First)).collect())
    }

    fn ordered(&self) -> Vec<Pattern> {
        let whole = self.patterns.iter().find(|pattern| pattern.begins && pattern.ends);
        let mut patterns = whole.map_or_else(|| self.patterns.clone(), |whole| vec![whole.clone()]);
        if patterns.is_empty() {
            patterns.extend(self.without.as_ref().and_then(Pattern::without));
        }
        patterns.sort_by_key(|pattern| (!pattern.begins, pattern.ends));
        patterns
    }

    fn numbers(&self, sort: ValueKind, serial: u32) -> Option<BoxedStrategy<String>> {
        if self.low.is_none() && self.high.is_none() && self.modulo.is_none() && self.not.is_empty() {
            return None;
        }
        let step = if sort == ValueKind::Integer { 1.0 } else { 0.01 };
        let inner = |bound: Option<(f64, bool)>, sign: f64| {
            bound.map(|(number, included)| match (sort, included) {
                (ValueKind::Integer, true) if sign > 0.0 => number.ceil(),
                (ValueKind::Integer, true) => number.floor(),
                (ValueKind::Integer, false) if sign > 0.0 => number.floor() + 1.0,
                (ValueKind::Integer, false) => number.ceil() - 1.0,
                (_, true) => number,
                (_, false) => number + sign * step,
            })
        };
        let (low, high) = (inner(self.low, 1.0), inner(self.high, -1.0));
        let far = f64::from(serial);
        let mut choices = match (low, high) {
            (Some(low), Some(high)) => vec![low, high, ((low + high) / 2.0).floor().max(low), (low + far).min(high)],
            (Some(low), None) => vec![low, low + far, low + far + 1.0],
            (None, Some(high)) => vec![high, high - far],
            (None, None) => vec![far + 1.0, far + 2.0],
        };
        // A fraction, which a type without fractions would lose.
        if sort == ValueKind::Number && serial % 2 == 1 {
            let between = choices.iter().map(|number| number + if low.is_none() { -0.75 } else { 0.25 });
            let fitting = between.filter(|number| high.is_none_or(|high| *number <= high)).collect::<Vec<_>>();
            choices = if fitting.is_empty() { choices } else { fitting };
        }
        if let Some((by, rest)) = self.modulo.filter(|(by, _)| *by > 0) {
            // The remainder of a negative number is negative.
            let fit = |number: &mut f64| {
                let from = if rest >= 0 { number.max(0.0) } else { *number };
                *number = from + (i128::from(rest) - from as i128).rem_euclid(by.into()) as f64;
            };
            choices.iter_mut().for_each(fit);
        }
        let shown = choices.into_iter().map(|number| match sort {
            ValueKind::Integer => format!("{number:.0}"),
            _ => number.to_string(),
        });
        let shown: Vec<String> = shown.filter(|number| !self.not.contains(number)).collect();
        (!shown.is_empty()).then(|| select(shown).boxed())
    }

    fn bytes(&self, serial: u32) -> Option<BoxedStrategy<String>> {
        let length = self.length.0.or(self.length.1.map(|most| most.min(4)))?.min(LONGEST);
        Some(Just(format!("\\x{}", format!("{:02x}", serial % 256).repeat(length))).boxed())
    }

    fn documents(&self, serial: u32) -> Option<BoxedStrategy<String>> {
        (!self.shape.is_empty()).then(|| Just(self.shape.text(serial)).boxed())
    }

    /// Arrays of the constants that are named; if elements are drawn, only the length is taken into account.
    fn arrays(&self, serial: u32) -> Option<BoxedStrategy<String>> {
        if !self.items.is_empty() {
            // Together with another element, if that is allowed.
            let beside = self.items.iter().find(|_| self.among.is_empty() && !self.is_long());
            let beside =
                beside.map(|item| if item.parse::<i64>().is_ok() { serial.to_string() } else { format!("v{serial}") });
            let beside = beside.filter(|_| serial % 2 == 1);
            return Some(Just(array(&self.items.iter().cloned().chain(beside).collect::<Vec<_>>())).boxed());
        }
        let (among, (least, _)) = (self.among.clone(), self.elements());
        (!among.is_empty()).then(|| {
            let item = move |at: usize| among[(serial as usize + at) % among.len()].clone();
            Just(array(&(0..least).map(item).collect::<Vec<_>>())).boxed()
        })
    }

    /// How many elements an array must have.
    pub(super) fn elements(&self) -> (usize, usize) {
        let (least, most) = self.length;
        let least = least.unwrap_or(1).clamp(most.unwrap_or(1).min(1), MOST_ELEMENTS);
        (least, most.unwrap_or(usize::MAX).clamp(least, least + 2))
    }

    pub(super) fn is_long(&self) -> bool {
        self.length.0.or(self.length.1).is_some()
    }

    /// Whether a value, as a literal, is one of the required ones.
    pub(super) fn admits(&self, value: &str) -> bool {
        self.exactly.is_empty() || self.exactly.iter().any(|one| migrate_base::ident::literal(one) == value)
    }

    /// Whether no requirement excludes a value, as far as that can be determined.
    pub(super) fn allows(&self, sort: ValueKind, text: &str) -> bool {
        let is_chosen = !self.exactly.is_empty() || !self.patterns.is_empty() || !self.shape.is_empty();
        let is_listed = !self.items.is_empty() || !self.among.is_empty();
        if is_chosen || is_listed || self.without.is_some() || self.readable.is_some() || self.refuses(text) {
            return false;
        }
        match sort {
            ValueKind::Integer | ValueKind::Number => {
                let Ok(number) = text.parse::<f64>() else { return false };
                let above = self.low.is_none_or(|(low, is_in)| number > low || is_in && number == low);
                let below = self.high.is_none_or(|(high, is_in)| number < high || is_in && number == high);
                self.modulo.is_none() && above && below
            }
            ValueKind::Text => {
                let length = text.chars().count();
                let is_long = self.length.0.is_none_or(|least| length >= least);
                let is_short = self.length.1.is_none_or(|most| length <= most);
                let is_lower = !self.lower || text.to_lowercase() == text;
                let is_upper = !self.upper || text.to_uppercase() == text;
                let is_trimmed = !self.trimmed || text.trim() == text;
                is_long && is_short && is_lower && is_upper && is_trimmed && self.low.or(self.high).is_none()
            }
            _ => !self.is_long(),
        }
    }

    pub(super) fn refuses(&self, text: &str) -> bool {
        self.not.iter().any(|one| one == text)
    }
}

/// The text form of an array.
pub(super) fn array(items: &[String]) -> String {
    format!("{{{}}}", items.iter().map(|item| element(item)).collect::<Vec<_>>().join(","))
}

/// An element of an array, or a field of a row, in quotes.
pub(super) fn element(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
