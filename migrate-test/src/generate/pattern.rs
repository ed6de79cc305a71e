//! Patterns as PostgreSQL reads them (`~`, `LIKE`, `SIMILAR TO`), and texts that match them, or do not.
//!
//! Zero-width assertions (anchors, word boundaries) are ignored; for a lookahead, the text that it requires is
//! drawn in its place. If the result does not match after all, the server refuses it.

use super::class::CharClass;
use super::dice::Dice;
use super::regex;

/// The maximum length of a pattern that is read.
const LONGEST: usize = 100_000;

/// A pattern that texts are drawn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    part: PatternPart,
    /// Whether a match begins at the start of the text, and ends at its end.
    pub(super) begins: bool,
    pub(super) ends: bool,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PatternPart {
    /// One character of a set.
    One(CharClass),
    /// Several parts in sequence; possibly none.
    All(Vec<PatternPart>),
    /// One of several parts.
    Either(Vec<PatternPart>),
    /// A repeated part, with the minimum and maximum number of times.
    Times(Box<PatternPart>, u32, u32),
}

impl Pattern {
    /// The pattern of `~`, `~*`, `LIKE` and similar operators.
    pub(super) fn of(op: &str, text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        match op {
            "~" | "~*" => Self::regular(text),
            "~~" | "~~*" => {
                let before = text.strip_suffix('%').unwrap_or_default();
                let escapes = before.len() - before.trim_end_matches('\\').len();
                let ends = !text.ends_with('%') || escapes % 2 == 1;
                Some(Self { part: like(text), begins: !text.starts_with('%'), ends })
            }
            "similar" => Some(Self::whole(regex::similar(text)?)),
            _ => None,
        }
    }

    /// Characters at least one of which is in every text that a pattern matches: a text without them does not
    /// match.
    pub(super) fn needed(op: &str, text: &str) -> Option<CharClass> {
        if text.len() > LONGEST {
            return None;
        }
        let needed = match op {
            "!~" | "!~*" => regex::read(text)?.needed()?,
            "!~~" | "!~~*" => like(text).needed()?,
            _ => return None,
        };
        Some(if op.ends_with('*') { needed.any_case() } else { needed })
    }

    /// Texts without any of these characters.
    pub(super) fn without(class: &CharClass) -> Option<Self> {
        let other = class.complement();
        (!other.is_impossible()).then(|| Self::whole(PatternPart::Times(Box::new(PatternPart::One(other)), 1, 8)))
    }

    fn whole(part: PatternPart) -> Self {
        Self { part, begins: true, ends: true }
    }

    fn regular(text: &str) -> Option<Self> {
        let part = regex::read(text)?;
        let inside = regex::without_options(text).0;
        let begins = inside.starts_with('^') || inside.starts_with("\\A");
        let before = inside.strip_suffix(['$', 'Z']).unwrap_or_default();
        let escapes = before.len() - before.trim_end_matches('\\').len();
        let ends = inside.ends_with('$') && escapes.is_multiple_of(2) || inside.ends_with('Z') && escapes % 2 == 1;
        Some(Self { part, begins, ends })
    }

    /// Draws a text.
    pub(super) fn draw(&self, dice: &mut Dice) -> String {
        let mut text = String::new();
        self.part.draw(dice, &mut text);
        text
    }
}

impl PatternPart {
    /// Only this text.
    pub(super) fn text(text: &str) -> Self {
        Self::All(text.chars().map(|c| Self::One(CharClass::one(c))).collect())
    }

    fn draw(&self, dice: &mut Dice, text: &mut String) {
        match self {
            Self::One(class) => text.extend(class.draw(dice)),
            Self::All(parts) => parts.iter().for_each(|part| part.draw(dice, text)),
            Self::Either(parts) => {
                parts.iter().skip(dice.below(parts.len())).take(1).for_each(|one| one.draw(dice, text))
            }
            Self::Times(part, least, most) => {
                let times = *least as usize + dice.below((most - least) as usize + 1);
                (0..times).for_each(|_| part.draw(dice, text));
            }
        }
    }

    /// A set that contains a character of every match.
    fn needed(&self) -> Option<CharClass> {
        match self {
            Self::One(class) => Some(class.clone()),
            Self::All(parts) => parts.iter().find_map(Self::needed),
            Self::Either(parts) => {
                let mut all = CharClass::default();
                for part in parts {
                    all.extend(part.needed()?);
                }
                Some(all)
            }
            Self::Times(part, least, _) => part.needed().filter(|_| *least > 0),
        }
    }
}

/// A LIKE pattern.
fn like(text: &str) -> PatternPart {
    let mut parts = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => parts.push(PatternPart::Times(Box::new(PatternPart::One(CharClass::all())), 0, 3)),
            '_' => parts.push(PatternPart::One(CharClass::all())),
            '\\' => parts.extend(chars.next().map(|c| PatternPart::One(CharClass::one(c)))),
            c => parts.push(PatternPart::One(CharClass::one(c))),
        }
    }
    PatternPart::All(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(op: &str, text: &str) -> String {
        Pattern::of(op, text).unwrap_or_else(|| panic!("{text}")).draw(&mut Dice::new(7))
    }

    #[test]
    fn texts_are_drawn_that_match_and_that_do_not() {
        assert_eq!(drawn("~~", "a\\%b"), "a%b");
        assert!(drawn("similar", "(ab|ab)%").starts_with("ab"));
        assert_eq!(Pattern::needed("!~", "a*"), None, "there is no text in which nothing is found");
        let outside = |op, text| {
            let needed = Pattern::needed(op, text).unwrap_or_else(|| panic!("{text}"));
            Pattern::without(&needed).unwrap_or_else(|| panic!("{text}")).draw(&mut Dice::new(7))
        };
        assert!(!outside("!~", "[^a-z]").contains(|c: char| !c.is_ascii_lowercase()));
        assert!(!outside("!~~", "%@%").contains('@'));
        assert!(!outside("!~*", "(a|[b-z])+").contains(|c: char| c.is_ascii_alphabetic()));
        assert_eq!(Pattern::of("~", "^(a)\\1$"), None, "what is referred back to is not drawn");
        assert_eq!(Pattern::of("~", "[^\\x01-\\U0010ffff]"), None, "there is no such character");
    }

    #[test]
    fn where_a_match_begins_and_ends_is_read() {
        let anchors = |text| Pattern::of("~", text).map(|pattern| (pattern.begins, pattern.ends)).unwrap();
        assert_eq!(anchors("(?i)^a$"), (true, true));
        assert_eq!(anchors("\\Aa\\Z"), (true, true));
        assert_eq!(anchors("a\\$"), (false, false));
        assert_eq!(anchors("a\\\\$"), (false, true));
        assert_eq!(anchors("aZ"), (false, false));
    }

    /// Anything that could be mistaken for a pattern.
    fn anything() -> impl Strategy<Value = String> {
        const PARTS: [&str; 40] = [
            "a",
            "Z",
            "0",
            " ",
            "é",
            "-",
            "]",
            "[",
            "[^",
            "[]",
            "[:alpha:]",
            "[.a.]",
            "[=",
            "(",
            "(?:",
            "(?=",
            "(?!",
            "(?<=",
            "(?x)",
            "***=",
            ")",
            "|",
            "*",
            "+",
            "?",
            "{",
            "{0}",
            "{3,}",
            "{255}",
            "{256}",
            "{4294967295,}",
            "{2,1}",
            "^",
            "$",
            ".",
            "\\",
            "\\d",
            "\\W",
            "\\u00e",
            "\\x0",
        ];
        prop::collection::vec(prop::sample::select(&PARTS[..]), 0..30).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn no_pattern_takes_more_than_its_bound(
            text in anything(),
            nested in 0..300_usize,
            times in 0..300_u32,
            seed: u64,
        ) {
            let nested = format!("{}{text}{}", "(".repeat(nested), format!("){{{times}}}").repeat(nested));
            let with_each = |text| ["~", "!~", "similar", "~~"].map(|op| (text, op));
            for (text, op) in [&text, &nested].into_iter().flat_map(with_each) {
                let needed = Pattern::needed(op, text);
                let pattern = needed.map_or_else(|| Pattern::of(op, text), |class| Pattern::without(&class));
                if let Some(pattern) = pattern {
                    prop_assert!(pattern.draw(&mut Dice::new(seed)).len() <= 4 * regex::MOST_CHARS.max(3 * text.len()));
                }
            }
        }
    }
}
