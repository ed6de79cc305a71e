//! Sets of characters, as the classes in patterns denote them.

use super::dice::Dice;

/// The last character of Unicode.
const LAST: u32 = 0x10_ffff;
/// Code points that cannot be in a text: NUL, and surrogates.
const IMPOSSIBLE: [(u32, u32); 2] = [(0, 0), (0xd800, 0xdfff)];
/// Letters and digits, and everything visible in ASCII.
const PLAIN: [(u32, u32); 3] = [(0x30, 0x39), (0x41, 0x5a), (0x61, 0x7a)];
const VISIBLE: [(u32, u32); 1] = [(0x21, 0x7e)];

/// A set of characters, as inclusive ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CharClass(Vec<(u32, u32)>);

impl CharClass {
    /// All characters.
    pub(super) fn all() -> Self {
        Self(vec![(0, LAST)])
    }

    /// One character alone.
    pub(super) fn one(c: char) -> Self {
        Self(vec![(c.into(), c.into())])
    }

    /// The characters of a named class.
    pub(super) fn named(name: &str) -> Option<Self> {
        let ranges: &[(char, char)] = match name {
            "alpha" => &[('a', 'z'), ('A', 'Z')],
            "digit" => &[('0', '9')],
            "alnum" => &[('a', 'z'), ('A', 'Z'), ('0', '9')],
            "lower" => &[('a', 'z')],
            "upper" => &[('A', 'Z')],
            "space" => &[('\t', '\r'), (' ', ' ')],
            "blank" => &[('\t', '\t'), (' ', ' ')],
            "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
            "xdigit" => &[('0', '9'), ('a', 'f'), ('A', 'F')],
            "word" => &[('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')],
            "print" => &[(' ', '~')],
            "graph" => &[('!', '~')],
            "cntrl" => &[('\u{1}', '\u{1f}'), ('\u{7f}', '\u{7f}')],
            "ascii" => &[('\u{1}', '\u{7f}')],
            _ => return None,
        };
        Some(Self(ranges.iter().map(|(from, to)| (u32::from(*from), u32::from(*to))).collect()))
    }

    /// Adds the characters from one to another.
    pub(super) fn add(&mut self, from: char, to: char) {
        self.0.push((from.into(), to.into()));
    }

    /// Adds those of another set.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// All characters that are not in it.
    pub(super) fn complement(&self) -> Self {
        let mut ranges = self.0.clone();
        ranges.sort_unstable();
        let (mut next, mut rest) = (0, Vec::new());
        for (from, to) in ranges {
            if from > next {
                rest.push((next, from - 1));
            }
            next = next.max(to + 1);
        }
        if next <= LAST {
            rest.push((next, LAST));
        }
        Self(rest)
    }

    /// The same with each ASCII letter in both cases.
    pub(super) fn any_case(mut self) -> Self {
        let upper = self.within(&[(0x61, 0x7a)]).0.into_iter().map(|(from, to)| (from - 0x20, to - 0x20));
        let lower = self.within(&[(0x41, 0x5a)]).0.into_iter().map(|(from, to)| (from + 0x20, to + 0x20));
        let other: Vec<(u32, u32)> = upper.chain(lower).collect();
        self.0.extend(other);
        self
    }

    /// Whether no text can contain a character of it.
    pub(super) fn is_impossible(&self) -> bool {
        self.possible().0.is_empty()
    }

    /// Draws a character. From an unbounded set an ordinary one, if it has any.
    pub(super) fn draw(&self, dice: &mut Dice) -> Option<char> {
        let is_open = self.0.iter().any(|(_, to)| *to == LAST);
        let ordinary = if dice.below(4) > 0 { &PLAIN[..] } else { &VISIBLE[..] };
        let wanted = [ordinary, &VISIBLE].into_iter().filter(|_| is_open).map(|wanted| self.within(wanted));
        let set = wanted.into_iter().find(|set| !set.0.is_empty()).unwrap_or_else(|| self.possible());
        let size = |(from, to): &(u32, u32)| (to - from + 1) as usize;
        let mut at = dice.below(set.0.iter().map(size).sum());
        for range in &set.0 {
            if at < size(range) {
                return char::from_u32(range.0 + at as u32);
            }
            at -= size(range);
        }
        None
    }

    fn possible(&self) -> Self {
        self.within(&Self(IMPOSSIBLE.to_vec()).complement().0)
    }

    fn within(&self, other: &[(u32, u32)]) -> Self {
        let both = |a: &(u32, u32), b: &(u32, u32)| Some((a.0.max(b.0), a.1.min(b.1))).filter(|(from, to)| from <= to);
        Self(self.0.iter().flat_map(|a| other.iter().filter_map(move |b| both(a, b))).collect())
    }
}
