//! Versions: the numbers that put migrations in order, and the names of those that have none.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The version of a migration: digits, as in the file name.
///
/// Versions compare as numbers of any size, so `9` comes before `10`, and `007` is the same version as `7`; each is
/// printed as it was written. A Flyway version has several numbers separated by dots, which are compared one by one.
///
/// A repeatable migration has no number. Its name takes the place of one, `R__views`, and comes after all numbers.
#[derive(Debug, Clone)]
pub struct Version {
    text: Box<str>,
    form: VersionForm,
}

/// What a version consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VersionForm {
    /// A single number, as nearly all do.
    Number,
    /// Several numbers.
    Dotted,
    /// The name of a repeatable migration.
    Repeatable,
}

/// What the file names of repeatable migrations begin with.
const REPEATABLE: &str = "R__";

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
        Self { text: format!("{}.{part}", self.text).into(), form: VersionForm::Dotted }
    }

    /// What takes the place of a version for the repeatable migration with this name.
    pub(super) fn repeatable(name: &str) -> Self {
        Self { text: format!("{REPEATABLE}{name}").into(), form: VersionForm::Repeatable }
    }

    /// Reads a version as a ledger has it: also what takes its place for a repeatable migration.
    ///
    /// # Errors
    ///
    /// [`NotAVersion`] for anything else.
    pub fn recorded(text: &str) -> Result<Self, NotAVersion> {
        text.strip_prefix(REPEATABLE).map_or_else(|| text.parse(), |name| Ok(Self::repeatable(name)))
    }

    /// Whether it is that of a repeatable migration.
    pub fn is_repeatable(&self) -> bool {
        self.form == VersionForm::Repeatable
    }

    /// A migration with this version and name, in one word, as its files are called: `20250101000000_orders`,
    /// `R__views`.
    pub fn title(&self, name: &str) -> String {
        title(&self.text, name)
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

/// The same for a version that was written down as text.
pub fn title(version: &str, name: &str) -> String {
    if version.starts_with(REPEATABLE) { version.to_owned() } else { format!("{version}_{name}") }
}

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let form = match () {
            () if digits(text) => VersionForm::Number,
            () if text.split('.').all(digits) => VersionForm::Dotted,
            () => return Err(NotAVersion),
        };
        Ok(Self { text: text.into(), form })
    }
}

impl From<u64> for Version {
    fn from(number: u64) -> Self {
        Self { text: number.to_string().into(), form: VersionForm::Number }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.form, other.form) {
            // Numbers with the same number of digits compare like text.
            (VersionForm::Number, VersionForm::Number) if self.text.len() == other.text.len() => {
                self.text.cmp(&other.text)
            }
            // Flyway sorts descriptions, in which an underscore is a space.
            (VersionForm::Repeatable, VersionForm::Repeatable) => {
                let spaced = |byte: u8| if byte == b'_' { b' ' } else { byte };
                self.text.bytes().map(spaced).cmp(other.text.bytes().map(spaced))
            }
            (VersionForm::Repeatable, _) => Ordering::Greater,
            (_, VersionForm::Repeatable) => Ordering::Less,
            _ => self.significant().cmp(other.significant()),
        }
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
        match self.form {
            VersionForm::Repeatable => self.text.hash(state),
            _ => self.significant().for_each(|number| number.hash(state)),
        }
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
    fn a_repeatable_migration_comes_after_all_numbers_and_is_read_from_a_ledger_only() {
        let (one, two) = (Version::repeatable("a"), Version::repeatable("b_2"));
        assert!(Version::repeatable("1_base") < Version::repeatable("10_report"));
        assert!(one < two && Version::from(u64::MAX) < one && "9.9".parse::<Version>().unwrap() < one);
        assert_eq!(Version::recorded("R__b_2"), Ok(two.clone()));
        assert_eq!((Version::recorded("7"), Version::recorded("R_7")), (Ok(7.into()), Err(NotAVersion)));
        assert_eq!("R__a".parse::<Version>(), Err(NotAVersion));
        assert_eq!((two.title("b_2"), Version::from(7).title("x")), ("R__b_2".to_owned(), "7_x".to_owned()));
    }

    #[test]
    fn only_digits_are_a_version() {
        for text in ["", "1a", "-1", "1..2", "1.", "١"] {
            assert_eq!(text.parse::<Version>().err(), Some(NotAVersion), "{text}");
        }
    }
}
