//! What stands on what, as the server keeps it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::object::{Id, Kind};
use super::row::{Address, Found, Oid};
use crate::db::Row;

/// The query for it; it comes after all others.
pub(super) const QUERY: &str = include_str!("catalog/depends.sql");

/// A part of a schema that can be made and removed by itself: an object, or the default of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Part {
    pub(super) id: Arc<Id>,
    pub(super) default: bool,
}

/// What each part of a schema stands on, as far as the server knows: the bodies of functions
/// that are texts are no part of it.
///
/// See <https://www.postgresql.org/docs/current/catalog-pg-depend.html>.
#[derive(Debug, Clone, Default)]
pub struct Dependencies {
    needs: BTreeMap<Part, BTreeSet<Part>>,
}

impl Part {
    pub(super) fn object(id: &Arc<Id>) -> Self {
        Self { id: id.clone(), default: false }
    }

    pub(super) fn default_of(id: &Arc<Id>) -> Self {
        Self { id: id.clone(), default: true }
    }
}

impl Dependencies {
    /// Takes in what stands on what elsewhere.
    pub(super) fn take_in(&mut self, other: &Self) {
        for (part, on) in &other.needs {
            self.needs.entry(part.clone()).or_default().extend(on.iter().cloned());
        }
    }

    /// What stands on an object.
    pub(super) fn users<'a>(&'a self, id: &'a Id) -> impl Iterator<Item = &'a Arc<Id>> {
        let stands = move |on: &BTreeSet<Part>| on.iter().any(|on| *on.id == *id && !on.default);
        self.needs.iter().filter(move |(_, on)| stands(on)).map(|(part, _)| &part.id)
    }

    /// What an object belongs to.
    pub(super) fn holder<'a>(&'a self, id: &'a Arc<Id>) -> impl Iterator<Item = &'a Arc<Id>> {
        let on = self.needs.get(&Part::object(id)).into_iter().flatten();
        on.map(|on| &on.id).filter(move |on| is_holder(on.kind) && on.name == id.parent && on.schema == id.schema)
    }

    /// Whether a part stands on another one, by itself.
    pub(super) fn has(&self, part: &Part, on: &Part) -> bool {
        self.needs.get(part).is_some_and(|all| all.contains(on))
    }

    /// What a part stands on.
    pub(super) fn needs(&self, part: &Part) -> impl Iterator<Item = &Part> {
        self.needs.get(part).into_iter().flatten()
    }

    /// What a part stands on that stands on it as well.
    pub(super) fn mutual<'a>(&'a self, part: &'a Part) -> impl Iterator<Item = &'a Part> {
        self.needs(part).filter(|on| self.has(on, part))
    }

    /// All pairs: what stands, and what it stands on.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Part, &Part)> {
        self.needs.iter().flat_map(|(part, on)| on.iter().map(move |on| (part, on)))
    }

    fn add(&mut self, part: Part, on: Part) {
        if part != on {
            self.needs.entry(part).or_default().insert(on);
        }
    }

    /// From the rows of [`QUERY`] and the objects that they are about.
    pub(super) fn new(found: &[Found], rows: &[Row]) -> Self {
        let at: HashMap<Address, &Found> = found.iter().map(|one| (one.address, one)).collect();
        let mut aliases: HashMap<(Oid, Oid), Address> = HashMap::new();
        let mut edges = Vec::new();
        for row in rows.iter().filter_map(numbers) {
            match row {
                (true, [class, oid, to, to_oid, sub, _]) => {
                    aliases.insert((class, oid), (to, to_oid, small(sub)));
                }
                (false, edge) => edges.push(edge),
            }
        }
        let part = |class: Oid, oid: Oid, sub: Oid| {
            let (mut address, mut default) = ((class, oid, small(sub)), false);
            // An array of the rows of a table is two steps away from it.
            for _ in 0..4 {
                if let Some(one) = at.get(&address) {
                    let default = default && one.object.fact("default").is_some();
                    return Some(Part { id: one.object.id.clone(), default });
                }
                address = *aliases.get(&(address.0, address.1))?;
                default = address.2 != 0;
            }
            None
        };
        let mut all = Self::default();
        for [class, oid, to, to_oid, sub, to_sub] in edges {
            if let (Some(part), Some(on)) = (part(class, oid, sub), part(to, to_oid, to_sub)) {
                all.add(part, on);
            }
        }
        all.add_owned(found);
        all
    }

    /// What belongs to a table, type or server stands on it, and a default on its column.
    fn add_owned(&mut self, found: &[Found]) {
        let name = |id: &Id| (id.schema.clone(), id.name.clone());
        let holders: HashMap<_, &Arc<Id>> = found
            .iter()
            .filter(|one| is_holder(one.object.id.kind))
            .map(|one| (name(&one.object.id), &one.object.id))
            .collect();
        for one in found {
            let id = &one.object.id;
            if let Some(holder) = holders.get(&(id.schema.clone(), id.parent.clone())) {
                self.add(Part::object(id), Part::object(holder));
            }
            if id.kind == Kind::Column && one.object.fact("default").is_some() {
                self.add(Part::default_of(id), Part::object(id));
            }
        }
    }
}

/// Whether other objects have its name as their parent.
pub(super) fn is_holder(kind: Kind) -> bool {
    use Kind::{Domain, ForeignTable, MaterializedView, Server, Table, Type, View};
    matches!(kind, Table | ForeignTable | View | MaterializedView | Type | Domain | Server)
}

fn small(sub: Oid) -> i32 {
    i32::try_from(sub).unwrap_or(0)
}

fn numbers(row: &Row) -> Option<(bool, [Oid; 6])> {
    let number = |at: usize| row.get(at)?.as_deref().unwrap_or("0").parse::<Oid>().ok();
    let is_alias = row.first()?.as_deref() == Some("alias");
    Some((is_alias, [number(1)?, number(2)?, number(3)?, number(4)?, number(5)?, number(6)?]))
}
