//! When a difference came about, as far as the fingerprints in a ledger tell.

use std::collections::HashMap;
use std::sync::Arc;

use super::Difference;
use crate::ledger::HistoryEntry;
use crate::schema::ddl::unowned;
use crate::schema::{Fact, Id, Object, Schema};

/// Between which moments something happened, in UTC, as RFC 3339.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The last time that the schema was seen without it.
    pub after: Option<String>,
    /// The first time behind that at which it was seen with it.
    pub before: Option<String>,
}

/// How many differences are looked at one by one: each costs a digest of the whole schema.
const MOST: usize = 64;

/// What runs saw when they ended, and what a schema would look like without its differences.
#[derive(Debug)]
pub struct Seen {
    /// When, and the fingerprint; the oldest first.
    rows: Vec<(String, String)>,
    now: String,
    /// The fingerprint without any of the differences.
    expected: String,
    /// And without each of them alone.
    without: Vec<String>,
}

impl Seen {
    /// Compares what is there with the fingerprints of the ledger, with the differences taken back one by one and
    /// all together. A fingerprint that is the same proves that the schema was; one that is not proves nothing.
    pub fn new(history: &[HistoryEntry], expected: &Schema, there: &Schema, differences: &[Difference]) -> Self {
        let rows = history.iter().filter_map(|row| Some((row.at.clone(), row.fingerprint.clone()?))).collect();
        let back = |some: &[Difference]| taken_back(expected, there, some).fingerprint();
        let without = differences.iter().take(MOST).map(|one| back(std::slice::from_ref(one))).collect();
        Self { rows, now: there.fingerprint(), expected: back(differences), without }
    }

    /// The bounds of a difference, by its number.
    pub fn bounds(&self, number: usize) -> Bounds {
        let own = self.without.get(number);
        let is_without = |print: &String| *print == self.expected || Some(print) == own;
        let is_with = |print: &String| {
            let others = self.without.iter().enumerate().any(|(n, other)| n != number && other == print);
            *print == self.now || (others && self.without.len() > 1)
        };
        let last = self.rows.iter().rposition(|(_, print)| is_without(print));
        let later = &self.rows[last.map_or(0, |at| at + 1)..];
        Bounds {
            after: last.map(|at| self.rows[at].0.clone()),
            before: later.iter().find(|(_, print)| is_with(print)).map(|(at, _)| at.clone()),
        }
    }

    /// When the last run ended that left a fingerprint, if the schema is another one since.
    pub fn changed_since(&self) -> Option<&str> {
        self.rows.last().filter(|(_, print)| *print != self.now).map(|(at, _)| at.as_str())
    }
}

/// Whether an object is another one, or belongs to it.
pub(crate) fn belongs(id: &Id, to: &Id) -> bool {
    *id == *to || (id.schema == to.schema && id.parent == to.name && !to.name.is_empty())
}

/// The schema as it would be without some of its differences.
fn taken_back(expected: &Schema, there: &Schema, differences: &[Difference]) -> Schema {
    let is_meant = |object: &Object| differences.iter().any(|one| belongs(&object.id, &one.object));
    let (plain, now) = (unowned(expected), unowned(there));
    let owner = usual_owner(there);
    let restored = expected.objects().filter(|object| is_meant(object)).map(|object| {
        let as_told = |schema: &Schema| schema.get(&object.id).cloned();
        owned(object, there.get(&object.id), as_told(&plain) == as_told(&now), owner)
    });
    let restored: Vec<Arc<Object>> = restored.collect();
    there.clone().as_in(&Schema::default(), is_meant).with(restored)
}

/// An object as the database would have it: with the owner and privileges that it has there, or would have.
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

/// Who owns most of it.
fn usual_owner(schema: &Schema) -> Option<&str> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for owner in schema.objects().filter_map(|object| object.fact("owner")) {
        *counts.entry(owner).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(owner, count)| (*count, *owner)).map(|(owner, _)| owner)
}
