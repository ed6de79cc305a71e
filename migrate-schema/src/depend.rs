//! Dependencies between objects, as the server records them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use migrate_base::db::TextCell;

use super::object::{Id, Kind};
use super::row::{CatalogObject, ObjectAddress, Oid};

/// The query for the dependencies; it comes after all others.
pub(super) const QUERY: &str = include_str!("catalog/depends.sql");

/// A part of a schema that can be created and removed separately: an object, or the default of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SchemaPart {
    pub(super) id: Arc<Id>,
    pub(super) default: bool,
}

/// What each part of a schema depends on, as far as the server knows: function bodies that are texts are not included.
///
/// See <https://www.postgresql.org/docs/current/catalog-pg-depend.html>.
#[derive(Debug, Clone, Default)]
pub struct Dependencies {
    /// The dependencies of each part, in order.
    needs: BTreeMap<SchemaPart, Vec<SchemaPart>>,
    /// The dependents of each object, computed on demand.
    users: OnceLock<HashMap<Arc<Id>, Vec<Arc<Id>>>>,
}

impl SchemaPart {
    pub(super) fn object(id: &Arc<Id>) -> Self {
        Self { id: id.clone(), default: false }
    }

    pub(super) fn default_of(id: &Arc<Id>) -> Self {
        Self { id: id.clone(), default: true }
    }
}

impl Dependencies {
    /// Adds the dependencies from elsewhere.
    pub(super) fn take_in(&mut self, other: &Self) {
        for (part, on) in &other.needs {
            let all = self.needs.entry(part.clone()).or_default();
            all.extend(on.iter().cloned());
            all.sort_unstable();
            all.dedup();
        }
        self.users = OnceLock::new();
    }

    /// The objects that depend on an object.
    pub(super) fn users<'a>(&'a self, id: &Id) -> impl Iterator<Item = &'a Arc<Id>> + use<'a> {
        let users = self.users.get_or_init(|| {
            let mut users: HashMap<Arc<Id>, Vec<Arc<Id>>> = HashMap::new();
            for (part, on) in self.pairs().filter(|(_, on)| !on.default) {
                users.entry(on.id.clone()).or_default().push(part.id.clone());
            }
            users
        });
        users.get(id).into_iter().flatten()
    }

    /// The object that an object belongs to.
    pub(super) fn holder<'a>(&'a self, id: &'a Arc<Id>) -> impl Iterator<Item = &'a Arc<Id>> {
        let on = self.needs.get(&SchemaPart::object(id)).into_iter().flatten();
        on.map(|on| &on.id).filter(move |on| is_holder(on.kind) && on.name == id.parent && on.schema == id.schema)
    }

    /// Whether a part itself depends on another one.
    pub(super) fn has(&self, part: &SchemaPart, on: &SchemaPart) -> bool {
        self.needs.get(part).is_some_and(|all| all.binary_search(on).is_ok())
    }

    /// The dependencies of a part.
    pub(super) fn needs(&self, part: &SchemaPart) -> impl Iterator<Item = &SchemaPart> {
        self.needs.get(part).into_iter().flatten()
    }

    /// The parts on which a part depends and that also depend on it.
    pub(super) fn mutual<'a>(&'a self, part: &'a SchemaPart) -> impl Iterator<Item = &'a SchemaPart> {
        self.needs(part).filter(|on| self.has(on, part))
    }

    /// All pairs: the dependent part, and the part that it depends on.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&SchemaPart, &SchemaPart)> {
        self.needs.iter().flat_map(|(part, on)| on.iter().map(move |on| (part, on)))
    }

    /// Built from the rows of [`QUERY`] and the objects that they are about, which are in the order of their names.
    pub(super) fn new(found: &[CatalogObject], rows: &DependencyRows) -> Self {
        let numbered = ObjectNumbers::of(found);
        let edges = rows.edges.iter().filter_map(|[class, oid, to, to_oid, sub, to_sub]| {
            let part = numbered.at(&rows.aliases, (*class, *oid, small(*sub)))?;
            Some((part, numbered.at(&rows.aliases, (*to, *to_oid, small(*to_sub)))?))
        });
        let mut pairs: Vec<(PartNumber, PartNumber)> =
            edges.chain(numbered.owned()).filter(|(part, on)| part != on).collect();
        // Numbers are in the order of the parts that they represent, and compare faster.
        pairs.sort_unstable();
        pairs.dedup();
        let of_one = |group: &[(PartNumber, PartNumber)]| {
            let on = group.iter().map(|(_, on)| numbered.part(*on)).collect();
            (numbered.part(group[0].0), on)
        };
        let needs = pairs.chunk_by(|one, other| one.0 == other.0).map(of_one).collect();
        Self { needs, users: OnceLock::new() }
    }
}

/// The rows of [`QUERY`], as received.
#[derive(Debug, Default)]
pub(super) struct DependencyRows {
    /// Catalog entries that represent something else.
    aliases: HashMap<(Oid, Oid), ObjectAddress>,
    edges: Vec<[Oid; 6]>,
}

impl DependencyRows {
    /// Adds a row; a row with an invalid number is left out.
    pub(super) fn take(&mut self, row: &[TextCell<'_>]) {
        let number = |at: usize| row.get(at)?.unwrap_or("0").parse::<Oid>().ok();
        let numbers = || Some([number(1)?, number(2)?, number(3)?, number(4)?, number(5)?, number(6)?]);
        let is_alias = row.first() == Some(&Some("alias"));
        match numbers() {
            Some([class, oid, to, to_oid, sub, _]) if is_alias => {
                self.aliases.insert((class, oid), (to, to_oid, small(sub)));
            }
            Some(edge) => self.edges.push(edge),
            None => {}
        }
    }
}

/// The index of an object in the order of names, and whether its default is meant.
type PartNumber = (usize, bool);

/// Objects by index.
struct ObjectNumbers<'a> {
    found: &'a [CatalogObject],
    at: HashMap<ObjectAddress, usize>,
}

impl<'a> ObjectNumbers<'a> {
    fn of(found: &'a [CatalogObject]) -> Self {
        Self { found, at: found.iter().enumerate().map(|(number, one)| (one.address, number)).collect() }
    }

    fn part(&self, (number, default): PartNumber) -> SchemaPart {
        SchemaPart { id: self.found[number].object.id.clone(), default }
    }

    /// The object at a catalog address, or the object that the entry represents.
    fn at(&self, aliases: &HashMap<(Oid, Oid), ObjectAddress>, mut address: ObjectAddress) -> Option<PartNumber> {
        let mut default = false;
        // An array of the row type of a table is two steps away from the table.
        for _ in 0..4 {
            if let Some(number) = self.at.get(&address) {
                return Some((*number, default && has_default(&self.found[*number])));
            }
            address = *aliases.get(&(address.0, address.1))?;
            default = address.2 != 0;
        }
        None
    }

    /// What belongs to a table, type or server depends on it, and a default depends on its column.
    fn owned(&self) -> impl Iterator<Item = (PartNumber, PartNumber)> {
        let ids = || self.found.iter().map(|one| &one.object.id).enumerate();
        let holders = ids().filter(|(_, id)| is_holder(id.kind));
        let holders: HashMap<(&str, &str), usize> = holders.map(|(n, id)| ((&*id.schema, &*id.name), n)).collect();
        let held = ids().filter_map(move |(n, id)| Some((n, *holders.get(&(&*id.schema, &*id.parent))?)));
        let defaults = self.found.iter().enumerate().filter(|(_, one)| has_default(one));
        let held = held.map(|(number, holder)| ((number, false), (holder, false)));
        held.chain(defaults.map(|(number, _)| ((number, true), (number, false))))
    }
}

fn has_default(one: &CatalogObject) -> bool {
    one.object.id.kind == Kind::Column && one.object.fact("default").is_some()
}

/// The kinds of objects whose names are used as the parent of other objects.
pub(super) const HOLDERS: [Kind; 7] =
    [Kind::Type, Kind::Domain, Kind::Server, Kind::Table, Kind::ForeignTable, Kind::View, Kind::MaterializedView];

/// Whether other objects have its name as their parent.
pub(super) fn is_holder(kind: Kind) -> bool {
    HOLDERS.contains(&kind)
}

fn small(sub: Oid) -> i32 {
    i32::try_from(sub).unwrap_or(0)
}
