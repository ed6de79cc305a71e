//! Parses regular expressions: those of `~` and those of `SIMILAR TO`.

use std::iter::Peekable;
use std::str::Chars;

use super::class::CharClass;
use super::pattern::PatternPart;

/// How often an unbounded part is repeated at most, and how many more times than required a bounded one is.
const MOST: u32 = 6;
const MORE: u32 = 16;
/// The largest repetition count that PostgreSQL accepts.
const LARGEST: u32 = 255;
/// How many characters are drawn at most, and how deep groups may be nested.
pub(super) const MOST_CHARS: usize = 10_000;
const DEEPEST: usize = 100;

/// Parses a pattern of `~`; `None` if it is not understood, or no text can be drawn for it.
pub(super) fn read(text: &str) -> Option<PatternPart> {
    let (text, options) = without_options(text);
    match options {
        _ if options.contains('q') => Some(PatternPart::text(text)),
        // Basic regular expressions have another syntax.
        _ if options.contains('b') => None,
        _ => RegexParser::new(text, false, options.contains('x')).all(),
    }
}

/// Parses a SIMILAR TO pattern.
pub(super) fn similar(text: &str) -> Option<PatternPart> {
    RegexParser::new(text, true, false).all()
}

/// A pattern without the options at its beginning, and the letters of these options.
pub(super) fn without_options(text: &str) -> (&str, &str) {
    if let Some(literal) = text.strip_prefix("***=") {
        return (literal, "q");
    }
    let text = text.strip_prefix("***:").unwrap_or(text);
    match text.strip_prefix("(?").and_then(|rest| rest.split_once(')')) {
        Some((options, rest)) if options.chars().all(|c| c.is_ascii_lowercase()) => (rest, options),
        _ => (text, ""),
    }
}

/// A part, and its maximum size: characters, and empty groups.
type SizedPart = (PatternPart, usize);

/// What an escape or a class member stands for.
enum ClassMember {
    One(char),
    Any(CharClass),
    /// A zero-width assertion.
    None,
}

/// Parses a regular expression.
struct RegexParser<'a> {
    rest: Peekable<Chars<'a>>,
    /// Whether it is a SIMILAR TO pattern.
    similar: bool,
    /// Whether whitespace and comments are ignored.
    expanded: bool,
    depth: usize,
}

impl<'a> RegexParser<'a> {
    fn new(text: &'a str, similar: bool, expanded: bool) -> Self {
        Self { rest: text.chars().peekable(), similar, expanded, depth: 0 }
    }

    fn all(mut self) -> Option<PatternPart> {
        let (part, _) = self.branches()?;
        self.rest.next().is_none().then_some(part)
    }

    /// Branches up to the end or a closing parenthesis.
    fn branches(&mut self) -> Option<SizedPart> {
        // An empty group takes time as well.
        let (mut branches, mut size) = (Vec::new(), 1);
        loop {
            let (branch, own) = self.branch()?;
            branches.push(branch);
            size = size.max(own);
            if self.rest.next_if_eq(&'|').is_none() {
                break;
            }
        }
        let one = if branches.len() == 1 { branches.pop() } else { None };
        Some((one.unwrap_or(PatternPart::Either(branches)), size))
    }

    fn branch(&mut self) -> Option<SizedPart> {
        let (mut parts, mut size) = (Vec::new(), 0);
        loop {
            self.skip();
            let Some(c) = self.rest.next_if(|c| !matches!(c, '|' | ')')) else { break };
            let Some(atom) = self.atom(c)? else { continue };
            let (part, own) = self.times(atom)?;
            parts.push(part);
            size += own;
            if size > MOST_CHARS {
                return None;
            }
        }
        Some((PatternPart::All(parts), size))
    }

    /// Skips whitespace and comments.
    fn skip(&mut self) {
        while self.expanded
            && let Some(c) = self.rest.next_if(|c| c.is_whitespace() || *c == '#')
        {
            if c == '#' {
                while self.rest.next_if(|c| *c != '\n').is_some() {}
            }
        }
    }

    /// An atom that begins with this character; `None` inside for a zero-width assertion.
    fn atom(&mut self, c: char) -> Option<Option<SizedPart>> {
        let class = match c {
            '%' if self.similar => {
                return Some(Some((PatternPart::Times(Box::new(PatternPart::One(CharClass::all())), 0, 3), 3)));
            }
            '_' if self.similar => CharClass::all(),
            '^' | '$' if !self.similar => return Some(None),
            '.' if !self.similar => CharClass::all(),
            '[' => self.class()?,
            '(' => return self.group(),
            '\\' => match self.escaped()? {
                ClassMember::One(c) => CharClass::one(c),
                ClassMember::Any(class) => class,
                ClassMember::None => return Some(None),
            },
            '*' | '+' | '?' => return None,
            '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => return None,
            c => CharClass::one(c),
        };
        if class.is_impossible() { None } else { Some(Some((PatternPart::One(class), 1))) }
    }

    fn group(&mut self) -> Option<Option<SizedPart>> {
        let mut is_refused = false;
        if !self.similar && self.rest.next_if_eq(&'?').is_some() {
            match self.rest.next()? {
                ':' | '=' => {}
                '!' => is_refused = true,
                '<' => is_refused = self.rest.next()? == '!',
                _ => return None,
            }
        }
        self.depth += 1;
        let inside = if self.depth > DEEPEST { None } else { self.branches() };
        self.depth -= 1;
        let inside = inside?;
        self.rest.next_if_eq(&')')?;
        Some(Some(inside).filter(|_| !is_refused))
    }

    /// An atom with its quantifier.
    fn times(&mut self, (part, size): SizedPart) -> Option<SizedPart> {
        self.skip();
        let (least, most) = match self.rest.peek().copied() {
            Some('*') => (0, MOST),
            Some('+') => (1, MOST),
            Some('?') => (0, 1),
            Some('{') if self.rest.clone().nth(1).is_some_and(|c| c.is_ascii_digit()) => self.counts()?,
            _ => return Some((part, size)),
        };
        self.rest.next();
        self.rest.next_if_eq(&'?');
        let room = u32::try_from(MOST_CHARS / size).unwrap_or(u32::MAX);
        let most = most.min(room);
        (least <= most).then(|| (PatternPart::Times(Box::new(part), least, most), size * most as usize))
    }

    /// The counts of `{2,5}`, up to the closing brace.
    fn counts(&mut self) -> Option<(u32, u32)> {
        self.rest.next();
        let least = self.count()?;
        let most = match self.rest.next_if_eq(&',') {
            None => least,
            Some(_) if self.rest.peek() == Some(&'}') => least + MOST,
            Some(_) => self.count()?,
        };
        (self.rest.peek() == Some(&'}') && least <= most).then_some((least, most.min(least + MORE)))
    }

    fn count(&mut self) -> Option<u32> {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        digits.parse().ok().filter(|count| *count <= LARGEST)
    }

    /// What follows a backslash.
    fn escaped(&mut self) -> Option<ClassMember> {
        let named = |name: &str| CharClass::named(name).map(ClassMember::Any);
        let other = |name: &str| CharClass::named(name).map(|class| ClassMember::Any(class.complement()));
        let c = match self.rest.next()? {
            'd' => return named("digit"),
            'w' => return named("word"),
            's' => return named("space"),
            'D' => return other("digit"),
            'W' => return other("word"),
            'S' => return other("space"),
            'A' | 'Z' | 'm' | 'M' | 'y' | 'Y' => return Some(ClassMember::None),
            'a' => '\u{7}',
            'b' => '\u{8}',
            'B' => '\\',
            'c' => char::from_u32(u32::from(self.rest.next()?) & 0x1f)?,
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'e' => '\u{1b}',
            'x' => self.coded(8)?,
            'u' => self.coded(4)?,
            'U' => self.coded(8)?,
            c if c.is_ascii_alphanumeric() => return None,
            c => c,
        };
        Some(ClassMember::One(c))
    }

    fn coded(&mut self, most: usize) -> Option<char> {
        let mut digits = String::new();
        while digits.len() < most
            && let Some(digit) = self.rest.next_if(char::is_ascii_hexdigit)
        {
            digits.push(digit);
        }
        u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)
    }

    /// A bracket expression, after its opening bracket.
    fn class(&mut self) -> Option<CharClass> {
        let is_negated = self.rest.next_if_eq(&'^').is_some();
        let mut class = CharClass::default();
        let mut is_first = true;
        loop {
            let c = self.rest.next()?;
            if c == ']' && !is_first {
                break;
            }
            is_first = false;
            match self.member(c)? {
                ClassMember::Any(other) => class.extend(other),
                ClassMember::None => return None,
                ClassMember::One(from) => {
                    // A hyphen at the end is literal.
                    let mut ahead = self.rest.clone();
                    let is_range = ahead.next() == Some('-') && ahead.next() != Some(']');
                    let to = if is_range { self.end()? } else { from };
                    (from <= to).then(|| class.add(from, to))?;
                }
            }
        }
        Some(if is_negated { class.complement() } else { class })
    }

    /// The end of a range, after its hyphen.
    fn end(&mut self) -> Option<char> {
        self.rest.next();
        let c = self.rest.next()?;
        match self.member(c)? {
            ClassMember::One(c) => Some(c),
            _ => None,
        }
    }

    /// A member of a bracket expression that begins with this character.
    fn member(&mut self, c: char) -> Option<ClassMember> {
        match c {
            '[' if matches!(self.rest.peek(), Some(':' | '.' | '=')) => {
                let kind = self.rest.next()?;
                let name: String = self.rest.by_ref().take_while(|c| *c != kind).collect();
                self.rest.next_if_eq(&']')?;
                if kind == ':' {
                    return CharClass::named(&name).map(ClassMember::Any);
                }
                let mut chars = name.chars();
                Some(ClassMember::One(chars.next()?)).filter(|_| chars.next().is_none())
            }
            '\\' => self.escaped(),
            c => Some(ClassMember::One(c)),
        }
    }
}
