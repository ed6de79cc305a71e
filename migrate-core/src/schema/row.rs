//! From a row of a catalog query to an object.

use std::collections::HashMap;
use std::sync::Arc;

use super::acl;
use super::object::{Fact, Id, Kind, Object};
use crate::db::Row;

/// An object identifier of the server.
pub(super) type Oid = u32;

/// Where an object stands in the catalogs: the catalog, the object in it, the column of that.
pub(super) type Address = (Oid, Oid, i32);

/// An object that was read, with where it was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The relation, routine or type that it is a part of; 0 for what is a part of none.
    pub(super) unit: Oid,
    pub(super) address: Address,
    pub(super) object: Object,
}

/// How many columns of a query stand before the facts.
const HEAD: usize = 9;

/// The objects in the answers of catalog queries, as the rows come.
#[derive(Debug, Default)]
pub(super) struct Objects(Vec<(Found, i32)>);

impl Objects {
    /// Takes a row. One that cannot be understood is of a kind that is not known here.
    pub(super) fn take(&mut self, columns: &[Arc<str>], row: Row) {
        self.0.extend(object(columns, row));
    }

    /// The objects, when all rows are there: the position of a column is its rank, for numbers of
    /// dropped columns are never given again.
    pub(super) fn finish(mut self) -> Vec<Found> {
        let mut positions: HashMap<Oid, u32> = HashMap::new();
        self.0.sort_by_key(|(one, position)| (one.unit, *position));
        for (one, position) in &mut self.0 {
            if *position > 0 {
                let rank = positions.entry(one.address.1).or_default();
                *rank += 1;
                one.object.position = Some(*rank);
            }
        }
        self.0.into_iter().map(|(one, _)| one).collect()
    }
}

fn object(names: &[Arc<str>], row: Row) -> Option<(Found, i32)> {
    let mut cells = row.into_iter();
    let mut head: [Option<String>; HEAD] = std::array::from_fn(|_| cells.next().flatten());
    let number = |text: &Option<String>| text.as_ref()?.parse::<i64>().ok();
    let oid = |text: &Option<String>| number(text).and_then(|n| Oid::try_from(n).ok());
    let (unit, class, own) = (oid(&head[0])?, oid(&head[1])?, oid(&head[2])?);
    let sub = i32::try_from(number(&head[3])?).ok()?;
    let position = number(&head[8]).and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    let kind = Kind::parse(head[4].as_deref()?)?;
    let mut text = |at: usize| head[at].take().unwrap_or_default().into_boxed_str();
    let (schema, parent, name) = (text(5), text(6), text(7));
    let mut signature: Box<str> = "".into();
    let mut facts = Vec::new();
    for (name, value) in names[HEAD..].iter().zip(cells) {
        let Some(value) = value else { continue };
        match &**name {
            "signature" => signature = value.into(),
            "facts" => facts.extend(from_json(&value)),
            "grants" => facts.extend(acl::grants(&value).map(|value| fact(name.clone(), value))),
            _ => facts.push(fact(name.clone(), value)),
        }
    }
    facts.sort_unstable();
    // They are all that there is of it.
    if kind == Kind::Privileges && !facts.iter().any(|fact| &*fact.name == "grants") {
        return None;
    }
    let id = Id { kind, schema, parent, name, signature };
    let object = Object { id: Arc::new(id), facts, position: None };
    Some((Found { unit, address: (class, own, sub), object }, position))
}

fn fact(name: Arc<str>, value: String) -> Fact {
    Fact { name, value: value.into() }
}

/// The facts of a JSON object; what is null is not told.
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
