//! Sequences that stay: their parameters, their owners, and sequences that become the sequence of an identity column.

use migrate_base::ident::plain;

use super::alter::FactDifferences;
use super::fate::PartFate;
use super::name::{self, qualified};
use super::{DdlContext, DdlStatement, Hazard, sequence};
use crate::Schema;
use crate::depend::SchemaPart;
use crate::object::{Kind, Object};

/// The statements that change a sequence into another one of the same name.
pub(super) fn changed(
    before: &Schema,
    after: &Schema,
    differing: &FactDifferences<'_>,
    old: &Object,
    new: &Object,
) -> Vec<DdlStatement> {
    let free = || name::aside(before, after, &old.id);
    let texts = match (sequence::is_identity(old), sequence::is_identity(new)) {
        (false, true) => aside(old, &free(), true),
        (true, false) => {
            let free = free();
            aside(old, &free, false).into_iter().chain(sequence::sequence(new)).chain([carried(new, &free)]).collect()
        }
        _ => altered(differing, old, new),
    };
    texts.into_iter().map(|text| with_loss(text, old)).collect()
}

/// A statement that may restart a sequence.
fn with_loss(text: String, old: &Object) -> DdlStatement {
    let restarts = text.starts_with("ALTER SEQUENCE ") && text.ends_with(RESTART);
    let statement = DdlStatement::new(text);
    match restarts {
        true => statement.with(Hazard::DataLoss(format!("the current value of {}", old.id))),
        false => statement,
    }
}

const RESTART: &str = " RESTART";

/// Frees the name of a sequence. The sequence of an identity column is dropped with the identity.
fn aside(old: &Object, free: &str, releases: bool) -> Vec<String> {
    let name = qualified(&old.id);
    let releases = releases && old.fact("owned by").is_some();
    let rename = format!("ALTER SEQUENCE {name} RENAME TO {}", plain(free));
    releases.then(|| released(old).text).into_iter().chain([rename]).collect()
}

/// Makes a sequence continue at the position of the one that it replaces, which has been renamed.
fn carried(new: &Object, aside: &str) -> String {
    let old = format!("{}.{}", plain(&new.id.schema), plain(aside));
    format!("SELECT pg_catalog.setval({}, {}, is_called) FROM {old}", regclass(new), within(new))
}

fn regclass(sequence: &Object) -> String {
    migrate_base::ident::literal(&qualified(&sequence.id))
}

/// The last value, or the bound that is nearest to it.
fn within(bounds: &Object) -> String {
    let [low, high] = ["minimum", "maximum"].map(|fact| bounds.fact(fact).unwrap_or("1"));
    format!("greatest({low}, least({high}, last_value))")
}

fn altered(differing: &FactDifferences<'_>, old: &Object, new: &Object) -> Vec<String> {
    let name = qualified(&new.id);
    let persistence =
        differing.has("persistence").then(|| if new.fact("persistence").is_some() { "UNLOGGED" } else { "LOGGED" });
    let mut all: Vec<String> = persistence.map(|how| format!("SET {how}")).into_iter().collect();
    let value = |fact: &str| new.fact(fact).unwrap_or_default();
    let clauses = [("type", "AS"), ("increment", "INCREMENT BY"), ("minimum", "MINVALUE"), ("maximum", "MAXVALUE")];
    let clauses = clauses.into_iter().chain([("start", "START WITH"), ("cache", "CACHE")]);
    let mut text: String = clauses
        .filter(|(fact, _)| differing.has(fact))
        .map(|(fact, word)| format!(" {word} {}", value(fact)))
        .collect();
    if differing.has("cycle") {
        text += if new.fact("cycle").is_some() { " CYCLE" } else { " NO CYCLE" };
    }
    let moved = SequenceBounds::of(old).zip(SequenceBounds::of(new)).map(|(old, new)| old.becomes(&new));
    if moved == Some(BoundsChange::Away) {
        text += RESTART;
    }
    all.extend((!text.is_empty()).then(|| text.trim_start().to_owned()));
    let narrowed = (moved == Some(BoundsChange::Narrowed))
        .then(|| format!("SELECT pg_catalog.setval({}, {}, is_called) FROM {name}", regclass(new), within(new)));
    let leaves = differing.has("owned by") && !sequence::is_identity(new) && old.fact("owned by").is_some();
    let all = all.into_iter().map(|what| format!("ALTER SEQUENCE {name} {what}"));
    narrowed.into_iter().chain(all).chain(leaves.then(|| released(old).text)).collect()
}

/// The statement that detaches a sequence from its column.
pub(super) fn released(sequence: &Object) -> DdlStatement {
    DdlStatement::new(format!("ALTER SEQUENCE {} OWNED BY NONE", qualified(&sequence.id)))
}

/// The minimum and the maximum of a sequence.
struct SequenceBounds(i64, i64);

/// What happens to the possible values of a sequence.
#[derive(PartialEq, Eq)]
enum BoundsChange {
    Widened,
    /// Some of them are no longer possible.
    Narrowed,
    /// None of them is possible any more.
    Away,
}

impl SequenceBounds {
    fn of(sequence: &Object) -> Option<Self> {
        let number = |fact: &str| sequence.fact(fact)?.parse().ok();
        Some(Self(number("minimum")?, number("maximum")?))
    }

    fn becomes(&self, new: &Self) -> BoundsChange {
        match (new.0 <= self.0 && self.1 <= new.1, new.1 < self.0 || self.1 < new.0) {
            (true, _) => BoundsChange::Widened,
            (false, true) => BoundsChange::Away,
            (false, false) => BoundsChange::Narrowed,
        }
    }
}

/// The role of an altered sequence with regard to identity columns.
#[derive(PartialEq, Eq)]
pub(super) enum IdentityRole {
    Stays,
    /// A new sequence replaces it as the sequence of an identity column.
    Becomes,
    /// A new sequence replaces it, which was the sequence of an identity column.
    Leaves,
}

pub(super) fn role(sides: &DdlContext<'_>, part: &SchemaPart) -> IdentityRole {
    let is_identity = |schema: &Schema| schema.get(&part.id).is_some_and(|one| sequence::is_identity(one));
    let altered = sides.fates.get(part) == PartFate::Altered && part.id.kind == Kind::Sequence;
    match (is_identity(&sides.before.schema), is_identity(&sides.after.schema)) {
        (false, true) if altered => IdentityRole::Becomes,
        (true, false) if altered => IdentityRole::Leaves,
        _ => IdentityRole::Stays,
    }
}

/// Whether something remains to be done to a sequence once its column exists.
pub(super) fn is_given(sides: &DdlContext<'_>, part: &SchemaPart) -> bool {
    let Some(new) = sides.after.schema.get(&part.id) else { return false };
    let Some(now) = new.fact("owned by") else { return false };
    let leaves = |old: &Object| old.fact("owned by") != Some(now) || sides.fates.loses_owner(&sides.before.schema, old);
    match sides.fates.get(part) {
        _ if sequence::is_identity(new) => role(sides, part) == IdentityRole::Becomes,
        PartFate::Made | PartFate::Remade => true,
        PartFate::Altered => sides.before.schema.get(&part.id).is_some_and(|old| leaves(old)),
        PartFate::Kept | PartFate::Dropped => false,
    }
}

/// The statements that attach a sequence to its column. A sequence that became that of an identity column continues
/// where the old one is, which is dropped.
pub(super) fn given(sides: &DdlContext<'_>, new: &Object) -> Vec<DdlStatement> {
    let texts = match new.fact("owned by") {
        _ if sequence::is_identity(new) => {
            let aside = name::aside(&sides.before.schema, &sides.after.schema, &new.id);
            let old = format!("{}.{}", plain(&new.id.schema), plain(&aside));
            vec![carried(new, &aside), format!("DROP SEQUENCE {old}")]
        }
        Some(by) => vec![format!("ALTER SEQUENCE {} OWNED BY {by}", qualified(&new.id))],
        None => Vec::new(),
    };
    texts.into_iter().map(DdlStatement::new).collect()
}
