//! Versions: the numbers that put migrations in order.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The version of a migration: digits, as in the file name.
///
/// Versions compare as numbers of any size, so `9` comes before `10`, and `007` is the same version as `7`; each is
/// printed as it was written. A Flyway version has several numbers separated by dots, which are compared one by one.
#[derive(Debug, Clone)]
pub struct Version {
    text: Box<str>,
    /// Whether it is a single number, as nearly all are.
    is_plain: bool,
}

/// A text that is not a version: it is empty or has something other than digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAVersion;

impl Version {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A version after this one and before the next number: `7.1` for 7 and 1.
    pub(super) fn with(&self, part: usize) -> Self {
        Self { text: format!("{}.{part}", self.text).into(), is_plain: false }
    }

    /// The numbers between the dots, each with its number of digits, so that they compare as numbers. Insignificant
    /// zeros are left out: leading zeros, and trailing numbers that are zero.
    fn significant(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut text = &*self.text;
        while let Some((before, last)) = text.rsplit_once('.')
            && last.bytes().all(|digit| digit == b'0')
        {
            text = before;
        }
        text.split('.').map(|part| part.trim_start_matches('0')).map(|digits| (digits.len(), digits))
    }
}

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let is_plain = digits(text);
        match is_plain || text.split('.').all(digits) {
            true => Ok(Self { text: text.into(), is_plain }),
            false => Err(NotAVersion),
        }
    }
}

impl From<u64> for Version {
    fn from(number: u64) -> Self {
        Self { text: number.to_string().into(), is_plain: true }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        // Numbers with the same number of digits compare like text.
        if self.is_plain && other.is_plain && self.text.len() == other.text.len() {
            return self.text.cmp(&other.text);
        }
        self.significant().cmp(other.significant())
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl std::hash::Hash for Version {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.significant().for_each(|number| number.hash(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn versions_order_as_their_numbers(a in 0u64.., b in 0u64.., zeros in 0usize..4) {
            let left: Version = format!("{}{a}", "0".repeat(zeros)).parse().unwrap();
            proptest::prop_assert_eq!(left.cmp(&Version::from(b)), a.cmp(&b));
            let wide = |number: u64| format!("{number:030}").parse::<Version>().unwrap();
            proptest::prop_assert_eq!(wide(a).cmp(&wide(b)), a.cmp(&b));
        }
    }

    #[test]
    fn dotted_versions_compare_number_by_number() {
        let sorted = ["1", "1.1", "1.2", "1.10", "2", "2.0.1", "10"];
        let mut versions: Vec<Version> = sorted.iter().rev().map(|text| text.parse().unwrap()).collect();
        versions.sort();
        assert_eq!(versions.iter().map(Version::as_str).collect::<Vec<_>>(), sorted);
        assert_eq!("1.0".parse::<Version>(), "1".parse());
    }

    #[test]
    fn only_digits_are_a_version() {
        for text in ["", "1a", "-1", "1..2", "1.", "١"] {
            assert_eq!(text.parse::<Version>().err(), Some(NotAVersion), "{text}");
        }
    }
}
