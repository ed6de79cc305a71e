//! Determines when a difference appeared, from the fingerprints in a ledger.

use std::collections::HashMap;
use std::sync::Arc;

use migrate_schema::ddl::unowned;
use migrate_schema::{FORM, Fact, Id, Object, Schema};

use super::DriftDifference;
use crate::ledger::HistoryEntry;

/// The period in which something happened, in UTC, as RFC 3339.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangePeriod {
    /// The last time at which the schema was seen without it.
    pub after: Option<String>,
    /// The first time after that at which it was seen with it.
    pub before: Option<String>,
}

/// How many differences are examined one by one: each requires a digest of the whole schema.
const MOST: usize = 64;

/// The fingerprints recorded at the end of runs, and those of the schema without its differences.
#[derive(Debug)]
pub struct FingerprintHistory {
    /// Time and fingerprint, oldest first.
    rows: Vec<(String, String)>,
    /// The schema as it is, and, if there are ignored differences, as it would be without them: those come and go, and
    /// prove nothing. Empty if there is nothing to compare with.
    looks: Vec<SchemaFingerprints>,
}

/// Fingerprints of a schema.
#[derive(Debug)]
struct SchemaFingerprints {
    now: String,
    /// Without all of its differences.
    expected: String,
    /// Without each of them alone.
    without: Vec<String>,
}

impl FingerprintHistory {
    /// Compares the actual schema with the fingerprints in the ledger, with the differences reverted one by one and all
    /// together. An equal fingerprint proves that the schema was equal; a different one proves nothing.
    ///
    /// `made` is the schema of the migrations; `differences` are those that count.
    pub fn new(history: &[HistoryEntry], made: &Schema, there: &Schema, differences: &[DriftDifference]) -> Self {
        let rows = history.iter().filter_map(|row| Some((row.at.clone(), row.fingerprint.clone()?)));
        // A fingerprint in an earlier format does not cover the present facts.
        let rows: Vec<_> = rows.filter(|(_, print)| print.starts_with(FORM)).collect();
        if rows.is_empty() {
            return Self { rows, looks: Vec::new() };
        }
        let all = super::differences(made, there, "");
        let counts = |one: &DriftDifference| differences.iter().any(|other| other.object == one.object);
        let rest: Vec<DriftDifference> = all.into_iter().filter(|one| !counts(one)).collect();
        let tidy = (!rest.is_empty()).then(|| RevertibleSchema::new(made, there).without(&rest));
        let looks = [there].into_iter().chain(tidy.as_ref());
        Self { rows, looks: looks.map(|schema| SchemaFingerprints::of(made, schema, differences)).collect() }
    }

    /// The bounds of a difference, by its number.
    pub fn bounds(&self, number: usize) -> ChangePeriod {
        let is_without = |print: &String| self.looks.iter().any(|look| look.is_without(number, print));
        let is_with = |print: &String| self.looks.iter().any(|look| look.is_with(number, print));
        let last = self.rows.iter().rposition(|(_, print)| is_without(print));
        let later = &self.rows[last.map_or(0, |at| at + 1)..];
        ChangePeriod {
            after: last.map(|at| self.rows[at].0.clone()),
            before: later.iter().find(|(_, print)| is_with(print)).map(|(at, _)| at.clone()),
        }
    }

    /// When the last run with a fingerprint ended, if the schema has changed since.
    pub fn changed_since(&self) -> Option<&str> {
        let is_now = |print: &String| self.looks.iter().any(|look| look.now == *print);
        self.rows.last().filter(|(_, print)| !is_now(print)).map(|(at, _)| at.as_str())
    }
}

impl SchemaFingerprints {
    fn of(made: &Schema, schema: &Schema, differences: &[DriftDifference]) -> Self {
        let back = RevertibleSchema::new(made, schema);
        let back = |some: &[DriftDifference]| back.without(some).fingerprint();
        let without = differences.iter().take(MOST).map(|one| back(std::slice::from_ref(one))).collect();
        Self { now: schema.fingerprint(), expected: back(differences), without }
    }

    fn is_without(&self, number: usize, print: &String) -> bool {
        *print == self.expected || self.without.get(number) == Some(print)
    }

    /// Whether it is a schema with the difference: the present one, or the one without one other difference.
    fn is_with(&self, number: usize, print: &String) -> bool {
        let mut others = self.without.iter().enumerate().filter(|(other, _)| *other != number);
        *print == self.now || others.any(|(_, other)| other == print)
    }
}

/// Whether an object is the other one, or belongs to it.
pub(crate) fn belongs(id: &Id, to: &Id) -> bool {
    *id == *to || (id.schema == to.schema && id.parent == to.name && !to.name.is_empty())
}

/// A schema in which differences can be reverted.
struct RevertibleSchema<'a> {
    made: &'a Schema,
    there: &'a Schema,
    /// Both, without owners.
    plain: (Schema, Schema),
    owner: Option<&'a str>,
}

impl<'a> RevertibleSchema<'a> {
    fn new(made: &'a Schema, there: &'a Schema) -> Self {
        Self { made, there, plain: (unowned(made), unowned(there)), owner: usual_owner(there) }
    }

    /// The schema as it would be without these differences.
    fn without(&self, differences: &[DriftDifference]) -> Schema {
        let is_meant = |object: &Object| differences.iter().any(|one| belongs(&object.id, &one.object));
        let restored = self.made.objects().filter(|object| is_meant(object)).map(|object| {
            let is_same = self.plain.0.get(&object.id) == self.plain.1.get(&object.id);
            owned(object, self.there.get(&object.id), is_same, self.owner)
        });
        let restored: Vec<Arc<Object>> = restored.collect();
        self.there.clone().as_in(&Schema::default(), is_meant).with(restored)
    }
}

/// An object as the database would have it: with its actual or usual owner and privileges.
fn owned(object: &Arc<Object>, there: Option<&Arc<Object>>, is_same: bool, owner: Option<&str>) -> Arc<Object> {
    if let Some(there) = there.filter(|_| is_same) {
        return there.clone();
    }
    let facts = object.facts.iter().filter_map(|fact| {
        let value = match (&*fact.name, there) {
            ("owner" | "grants", Some(there)) => there.fact(&fact.name)?,
            ("owner", None) => owner?,
            _ => &fact.value,
        };
        Some(Fact { name: fact.name.clone(), value: value.into() })
    });
    Arc::new(Object { id: object.id.clone(), facts: facts.collect(), position: object.position })
}

/// The role that owns most objects.
pub fn usual_owner(schema: &Schema) -> Option<&str> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for owner in schema.objects().filter_map(|object| object.fact("owner")) {
        *counts.entry(owner).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(owner, count)| (*count, *owner)).map(|(owner, _)| owner)
}
