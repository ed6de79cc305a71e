//! The privileges that exist: their letters in the catalogs, the words for them, their kinds of objects, and the first
//! version.

use crate::object::Kind;

/// The kinds of objects that a privilege can be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PrivilegeTarget {
    Table,
    Sequence,
    Function,
    Type,
    Language,
    Schema,
    Wrapper,
    Server,
    LargeObject,
}

struct Privilege {
    letter: char,
    word: &'static str,
    on: &'static [PrivilegeTarget],
    /// The first major version that knows it.
    since: u32,
}

const fn privilege(letter: char, word: &'static str, on: &'static [PrivilegeTarget], since: u32) -> Privilege {
    Privilege { letter, word, on, since }
}

/// All privileges. Columns have some of those of tables.
///
/// See <https://www.postgresql.org/docs/current/ddl-priv.html>.
const ALL: [Privilege; 11] = [
    privilege('r', "SELECT", &[PrivilegeTarget::Table, PrivilegeTarget::Sequence, PrivilegeTarget::LargeObject], 0),
    privilege('a', "INSERT", &[PrivilegeTarget::Table], 0),
    privilege('w', "UPDATE", &[PrivilegeTarget::Table, PrivilegeTarget::Sequence, PrivilegeTarget::LargeObject], 0),
    privilege('d', "DELETE", &[PrivilegeTarget::Table], 0),
    privilege('D', "TRUNCATE", &[PrivilegeTarget::Table], 0),
    privilege('x', "REFERENCES", &[PrivilegeTarget::Table], 0),
    privilege('t', "TRIGGER", &[PrivilegeTarget::Table], 0),
    privilege('m', "MAINTAIN", &[PrivilegeTarget::Table], 17),
    privilege('X', "EXECUTE", &[PrivilegeTarget::Function], 0),
    privilege(
        'U',
        "USAGE",
        &[
            PrivilegeTarget::Sequence,
            PrivilegeTarget::Type,
            PrivilegeTarget::Language,
            PrivilegeTarget::Schema,
            PrivilegeTarget::Wrapper,
            PrivilegeTarget::Server,
        ],
        0,
    ),
    privilege('C', "CREATE", &[PrivilegeTarget::Schema], 0),
];

impl PrivilegeTarget {
    /// The kind for the privileges on an object of this kind.
    pub(super) fn of(kind: Kind) -> Self {
        use Kind::{Aggregate, Domain, ForeignDataWrapper, Function, Procedure};
        match kind {
            Kind::Sequence => Self::Sequence,
            Function | Procedure | Aggregate => Self::Function,
            Kind::Type | Domain => Self::Type,
            Kind::Language => Self::Language,
            Kind::Schema => Self::Schema,
            ForeignDataWrapper => Self::Wrapper,
            Kind::Server => Self::Server,
            _ => Self::Table,
        }
    }

    /// The kind for privileges named like `table a.b`, on objects of an extension or of the system.
    pub(super) fn of_foreign(name: &str) -> Self {
        let kinds = [
            ("sequence ", Self::Sequence),
            ("function ", Self::Function),
            ("procedure ", Self::Function),
            ("type ", Self::Type),
            ("schema ", Self::Schema),
            ("language ", Self::Language),
            ("foreign data wrapper ", Self::Wrapper),
            ("foreign server ", Self::Server),
        ];
        kinds.iter().find(|(word, _)| name.starts_with(word)).map_or(Self::Table, |(_, on)| *on)
    }

    /// The letters for this kind, in a major version.
    pub(super) fn letters(self, version: u32) -> impl Iterator<Item = char> {
        ALL.iter().filter(move |one| one.on.contains(&self) && one.since <= version).map(|one| one.letter)
    }

    /// The letters that PUBLIC has by default.
    pub(super) fn for_all(self) -> &'static [char] {
        match self {
            Self::Function => &['X'],
            Self::Type | Self::Language => &['U'],
            _ => &[],
        }
    }
}

/// The letters and their words, in listing order.
pub(super) fn words() -> impl Iterator<Item = (char, &'static str)> {
    ALL.iter().map(|one| (one.letter, one.word))
}

/// The word for a letter.
pub(super) fn word(letter: char) -> Option<&'static str> {
    words().find(|(known, _)| *known == letter).map(|(_, word)| word)
}
