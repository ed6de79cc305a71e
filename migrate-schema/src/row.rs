//! Turns a row of a catalog query into an object.

use std::collections::HashMap;
use std::sync::Arc;

use migrate_base::db::{StatementAnswer, TextCell};

use super::acl;
use super::object::{Fact, Id, Kind, Object};

/// An object identifier of the server.
pub(super) type Oid = u32;

/// The address of an object in the catalogs: the catalog, the object in it, and the column of the object.
pub(super) type ObjectAddress = (Oid, Oid, i32);

/// An object that was read, and where it was found.
#[derive(Debug, Clone)]
pub(super) struct CatalogObject {
    /// The relation, routine or type that it is a part of; 0 if it is a part of none.
    pub(super) unit: Oid,
    pub(super) address: ObjectAddress,
    pub(super) object: Object,
}

/// The number of columns before the facts in a query, and the index of the column with the kind.
const HEAD: usize = 9;
const KIND: usize = 4;

/// Collects the objects in the answers to catalog queries, row by row.
#[derive(Debug, Default)]
pub(super) struct ObjectCollector {
    found: Vec<(CatalogObject, i32)>,
    /// The kind of the last row: a query returns many rows of one kind.
    last: Option<Kind>,
}

impl ObjectCollector {
    /// Takes a row. A row that cannot be understood has a kind that is not known here.
    pub(super) fn take(&mut self, columns: &[Arc<str>], row: &[TextCell<'_>]) {
        let word = row.get(KIND).copied().flatten().unwrap_or_default();
        self.last = self.last.filter(|kind| kind.as_str() == word).or_else(|| Kind::parse(word));
        self.found.extend(self.last.and_then(|kind| object(kind, columns, row)));
    }

    /// Takes all rows of an answer.
    pub(super) fn take_all(&mut self, answer: &StatementAnswer) {
        for row in &answer.rows {
            let cells: Vec<TextCell<'_>> = row.iter().map(Option::as_deref).collect();
            self.take(&answer.columns, &cells);
        }
    }

    /// The objects, after all rows have arrived. The position of a column is its rank, because the numbers of dropped
    /// columns are never reused.
    pub(super) fn finish(mut self) -> Vec<CatalogObject> {
        let mut positions: HashMap<Oid, u32> = HashMap::new();
        self.found.sort_by_key(|(one, position)| (one.unit, *position));
        for (one, position) in &mut self.found {
            if *position > 0 {
                let rank = positions.entry(one.address.1).or_default();
                *rank += 1;
                one.object.position = Some(*rank);
            }
        }
        self.found.into_iter().map(|(one, _)| one).collect()
    }
}

fn object(kind: Kind, names: &[Arc<str>], row: &[TextCell<'_>]) -> Option<(CatalogObject, i32)> {
    let (head, cells) = row.split_at_checked(HEAD)?;
    let number = |text: TextCell<'_>| text?.parse::<i64>().ok();
    let oid = |text: TextCell<'_>| number(text).and_then(|n| Oid::try_from(n).ok());
    let (unit, class, own) = (oid(head[0])?, oid(head[1])?, oid(head[2])?);
    let sub = i32::try_from(number(head[3])?).ok()?;
    let position = number(head[8]).and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    let text = |at: usize| head[at].unwrap_or_default().into();
    let mut signature: Box<str> = "".into();
    let mut facts = Vec::with_capacity(cells.iter().flatten().count());
    for (name, value) in names[HEAD..].iter().zip(cells) {
        let Some(value) = *value else { continue };
        match &**name {
            "signature" => signature = value.into(),
            "facts" => facts.extend(from_json(value)),
            "grants" => facts.extend(acl::grants(value).map(|value| fact(name.clone(), value))),
            _ => facts.push(Fact { name: name.clone(), value: value.into() }),
        }
    }
    facts.sort_unstable();
    // The object consists of its grants only.
    if kind == Kind::Privileges && !facts.iter().any(|fact| &*fact.name == "grants") {
        return None;
    }
    let id = Id { kind, schema: text(5), parent: text(6), name: text(7), signature };
    let object = Object { id: Arc::new(id), facts, position: None };
    Some((CatalogObject { unit, address: (class, own, sub), object }, position))
}

fn fact(name: Arc<str>, value: String) -> Fact {
    Fact { name, value: value.into() }
}

/// The facts of a JSON object; null values are left out.
fn from_json(text: &str) -> Vec<Fact> {
    let Ok(serde_json::Value::Object(map)) = serde_json::from_str(text) else { return Vec::new() };
    let text = |name: &str, value: serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) if name == "grants" => acl::grants(&text),
        serde_json::Value::String(text) if name == "first grants" => Some(acl::canonical(&text)),
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    map.into_iter().filter_map(|(name, value)| Some(fact(name.as_str().into(), text(&name, value)?))).collect()
}
