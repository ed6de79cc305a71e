//! Patterns as PostgreSQL reads them (`~`, `LIKE`, `SIMILAR TO`), written as proptest can draw from them.
//!
//! What only looks (anchors, edges of words) is left out; of what looks ahead the text itself is drawn, in its place.
//! What the result does not match after all, the server refuses.

use std::iter::Peekable;
use std::str::Chars;

/// Visible characters, of which `.` and negated classes draw.
const VISIBLE: &str = "!-~";
/// How often a part without a bound is repeated at most.
const MOST: u32 = 6;

/// A pattern that texts are drawn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// For proptest.
    pub(super) regex: String,
    /// Whether a match begins where the text does, and ends where it does.
    pub(super) begins: bool,
    pub(super) ends: bool,
}

impl Pattern {
    /// The pattern of `~`, `~*`, `LIKE` and the like, by the operator.
    pub(super) fn of(op: &str, text: &str) -> Option<Self> {
        match op {
            "~" | "~*" => Self::regular(text),
            "~~" | "~~*" => Some(Self::whole(like(text))),
            "similar" => Some(Self::whole(Reader::new(text, true).all()?)),
            "!~" | "!~*" => Self::without(text),
            _ => None,
        }
    }

    fn whole(regex: String) -> Self {
        Self { regex, begins: true, ends: true }
    }

    fn regular(text: &str) -> Option<Self> {
        let text = match text.strip_prefix("(?").and_then(|rest| rest.split_once(')')) {
            Some((options, rest)) if options.chars().all(char::is_alphanumeric) => rest,
            _ => text.strip_prefix("***:").unwrap_or(text),
        };
        let begins = text.starts_with(['^']) || text.starts_with("\\A");
        let ends = text.ends_with('$') && !text.ends_with("\\$") || text.ends_with("\\Z");
        Some(Self { regex: Reader::new(text, false).all()?, begins, ends })
    }

    /// Texts that a pattern of one class finds nothing in: those of all other characters.
    fn without(text: &str) -> Option<Self> {
        let mut reader = Reader::new(text, false);
        let class = match reader.rest.next()? {
            '[' => reader.class()?,
            '\\' => format!("[{}]", reader.escaped(true)?),
            _ => return None,
        };
        let rest: String = reader.rest.collect();
        let outside = format!("[{VISIBLE}&&[^{class}]]");
        matches!(rest.as_str(), "" | "+" | "*").then(|| Self::whole(format!("{outside}{{1,8}}")))
    }
}

/// A pattern of LIKE.
fn like(text: &str) -> String {
    let mut regex = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => regex.push_str("[a-z0-9]{0,3}"),
            '_' => regex.push_str("[a-z0-9]"),
            '\\' => regex.extend(chars.next().map(plain)),
            c => regex += &plain(c),
        }
    }
    regex
}

/// A character that means itself.
fn plain(c: char) -> String {
    if c.is_alphanumeric() || c == ' ' || c == '_' { c.to_string() } else { format!("\\x{{{:x}}}", u32::from(c)) }
}

/// Reads a regular expression from its beginning to its end.
struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    /// Whether it is one of SIMILAR TO.
    similar: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, similar: bool) -> Self {
        Self { rest: text.chars().peekable(), similar }
    }

    fn all(mut self) -> Option<String> {
        let regex = self.branches()?;
        self.rest.next().is_none().then_some(regex)
    }

    /// Branches up to the end or a closing parenthesis.
    fn branches(&mut self) -> Option<String> {
        let mut regex = String::new();
        while let Some(c) = self.rest.peek().copied() {
            if c == ')' {
                break;
            }
            self.rest.next();
            if c == '|' {
                regex.push('|');
                continue;
            }
            let atom = self.atom(c)?;
            let times = self.times()?;
            if !atom.is_empty() {
                regex += &atom;
                regex += &times;
            }
        }
        Some(regex)
    }

    fn atom(&mut self, c: char) -> Option<String> {
        match c {
            '%' if self.similar => Some("[a-z0-9]{0,3}".to_owned()),
            '_' if self.similar => Some("[a-z0-9]".to_owned()),
            '^' | '$' if !self.similar => Some(String::new()),
            '.' if !self.similar => Some("[a-zA-Z0-9]".to_owned()),
            '[' => self.class(),
            '(' => self.group(),
            '\\' => self.escaped(false),
            c => Some(plain(c)),
        }
    }

    fn group(&mut self) -> Option<String> {
        let mut dropped = false;
        if self.rest.next_if_eq(&'?').is_some() {
            match self.rest.next()? {
                ':' | '=' => {}
                '!' => dropped = true,
                '<' => {
                    self.rest.next();
                    dropped = true;
                }
                _ => return None,
            }
        }
        let inside = self.branches()?;
        self.rest.next_if_eq(&')')?;
        Some(if dropped { String::new() } else { format!("(?:{inside})") })
    }

    /// How often an atom is there, with a bound.
    fn times(&mut self) -> Option<String> {
        let times = match self.rest.peek() {
            Some('*') => format!("{{0,{MOST}}}"),
            Some('+') => format!("{{1,{MOST}}}"),
            Some('?') => "?".to_owned(),
            Some('{') => {
                let inside: String = self.rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                let (low, high) = inside.split_once(',').unwrap_or((&inside, &inside));
                let low: u32 = low.trim().parse().ok()?;
                let high = high.trim().parse().map_or(low + MOST, |high: u32| high.min(low + 16));
                self.rest.next_if_eq(&'?');
                return Some(format!("{{{low},{high}}}"));
            }
            _ => return Some(String::new()),
        };
        self.rest.next();
        self.rest.next_if_eq(&'?');
        Some(times)
    }

    /// What follows a backslash, as an atom or as a part of a class.
    fn escaped(&mut self, in_class: bool) -> Option<String> {
        let set = |set: &str| if in_class { set.to_owned() } else { format!("[{set}]") };
        Some(match self.rest.next()? {
            'd' => set("0-9"),
            'w' => set("a-zA-Z0-9_"),
            's' => set(" "),
            'D' => set("a-z"),
            'S' => set("a-z0-9"),
            'W' => set("\\-.,"),
            'A' | 'Z' | 'm' | 'M' | 'y' | 'Y' | 'b' | 'B' if !in_class => String::new(),
            'n' => plain('\n'),
            't' => plain('\t'),
            'r' => plain('\r'),
            'f' => plain('\u{c}'),
            'v' => plain('\u{b}'),
            'e' => plain('\u{1b}'),
            'x' => self.coded(8)?,
            'u' => self.coded(4)?,
            'U' => self.coded(8)?,
            c if c.is_ascii_digit() => return None,
            c => plain(c),
        })
    }

    fn coded(&mut self, most: usize) -> Option<String> {
        let mut digits = String::new();
        while digits.len() < most
            && let Some(digit) = self.rest.next_if(char::is_ascii_hexdigit)
        {
            digits.push(digit);
        }
        u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).map(plain)
    }

    /// A class, after its opening bracket.
    fn class(&mut self) -> Option<String> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut inside = String::new();
        let mut first = true;
        loop {
            let c = self.rest.next()?;
            match c {
                ']' if !first => break,
                '[' if matches!(self.rest.peek(), Some(':' | '.' | '=')) => {
                    let kind = self.rest.next()?;
                    let name: String = self.rest.by_ref().take_while(|c| *c != kind).collect();
                    self.rest.next_if_eq(&']')?;
                    inside += &if kind == ':' { named(&name)?.to_owned() } else { name.chars().map(plain).collect() };
                }
                '\\' if !self.similar => inside += &self.escaped(true)?,
                // A hyphen at an end means itself.
                '-' if first || self.rest.peek() == Some(&']') => inside.push_str("\\-"),
                '-' => inside.push('-'),
                c => inside += &plain(c),
            }
            first = false;
        }
        Some(if negated { format!("[{VISIBLE}&&[^{inside}]]") } else { format!("[{inside}]") })
    }
}

/// The characters of a class with a name.
fn named(name: &str) -> Option<&'static str> {
    Some(match name {
        "alpha" => "a-zA-Z",
        "digit" => "0-9",
        "alnum" => "a-zA-Z0-9",
        "lower" => "a-z",
        "upper" => "A-Z",
        "space" | "blank" => " ",
        "punct" => "\\-.,!",
        "xdigit" => "0-9a-f",
        "word" => "a-zA-Z0-9_",
        "print" | "graph" => "a-zA-Z0-9",
        "cntrl" => "\\x{1}-\\x{8}",
        "ascii" => "a-zA-Z0-9",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;

    use super::*;

    fn drawn(op: &str, text: &str) -> String {
        let pattern = Pattern::of(op, text).unwrap_or_else(|| panic!("{text}"));
        let strategy = proptest::string::string_regex(&pattern.regex).unwrap_or_else(|error| panic!("{text}: {error}"));
        strategy.new_tree(&mut TestRunner::deterministic()).unwrap().current()
    }

    #[test]
    fn every_kind_of_pattern_can_be_drawn_from() {
        for text in [
            "^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z]{2,})+$",
            "^\\d{3}-\\d{4}$",
            "\\m[[:alpha:]_]+\\M",
            "^[]a-]+$",
            "^(?=.*[A-Z]).{8,}$",
            "^(a|b)|c$",
            "(?i)^x\\.y$",
            "^[^\\s/]+$",
            "^\\+[1-9]\\d{1,14}$",
            "^#[0-9a-f]{6}$",
        ] {
            assert!(!drawn("~", text).is_empty() || text.contains("{0"), "{text}");
        }
        assert_eq!(drawn("~~", "a\\%b"), "a%b");
        assert!(drawn("similar", "(ab|ab)%").starts_with("ab"));
        assert!(!drawn("!~", "[^a-z]").contains(|c: char| !c.is_ascii_lowercase()));
        assert!(!drawn("!~", "\\s").contains(' '));
    }

    #[test]
    fn a_reference_back_is_not_drawn_from() {
        assert_eq!(Pattern::of("~", "^(a)\\1$"), None);
    }
}
