//! From names to relations: what a schema knows about tables, their partitions, indexes and keys.
//!
//! Scripts rename. [`ScriptContext::relation`], [`ScriptContext::full`] and [`ScriptContext::named`] take a name as
//! written at a place in the script; everything else takes and returns the full names before the script.

use std::collections::{BTreeMap, BTreeSet};

use migrate_base::lock_mode::LockMode;
use migrate_schema::{Id, Kind, Object, Schema};
use squawk_syntax::ast::AstNode;

use super::scope::{Domain, ScriptChanges};
use super::steady::text_is_volatile;
use crate::tree::ObjectName;
use crate::tree::named;

/// What is known about the database that a script runs on, at a place in the script.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScriptContext<'a> {
    /// The schema before the script.
    pub(crate) before: Option<&'a Schema>,
    /// The schema that the script leads to, if known.
    pub(crate) after: Option<&'a Schema>,
    /// The major version of the server; `None` means the newest.
    pub(crate) major: Option<u32>,
    /// What the script changes.
    pub(crate) scopes: Option<&'a ScriptChanges>,
    /// The place in the script.
    pub(crate) at: usize,
}

/// The kinds of objects that are locked like a table.
const RELATIONS: [Kind; 5] = [Kind::Table, Kind::ForeignTable, Kind::View, Kind::MaterializedView, Kind::Sequence];

pub(super) fn full(id: &Id) -> ObjectName {
    ObjectName { schema: Some(id.schema.to_string()), name: id.name.to_string() }
}

pub(super) fn parent_of(id: &Id) -> ObjectName {
    ObjectName { schema: Some(id.schema.to_string()), name: id.parent.to_string() }
}

fn id(kind: Kind, name: &ObjectName) -> Option<Id> {
    Some(Id::named(kind, name.schema.as_deref()?, &name.name))
}

impl<'a> ScriptContext<'a> {
    /// The relation that a name at this place of the script refers to, as it was before the script.
    pub(crate) fn relation(&self, name: &ObjectName) -> Option<&'a Object> {
        self.resolved(name, |name| self.table(name)).map(|(_, object)| object)
    }

    /// A relation by the full name that it had before the script.
    pub(crate) fn table(&self, name: &ObjectName) -> Option<&'a Object> {
        pick(self.before?, name, &RELATIONS)
    }

    /// The full name before the script of the relation that a node names.
    pub(super) fn named(&self, node: &impl AstNode) -> Option<ObjectName> {
        self.full(&named(node)?)
    }

    /// A relation or an index, with its full name at this place.
    pub(super) fn found(&self, name: &ObjectName) -> Option<(ObjectName, &'a Object)> {
        self.resolved(name, |name| self.table(name).or_else(|| self.index(name)))
    }

    /// What a name refers to, and its full name at this place. If the search path is not known, `public` comes first.
    fn resolved(
        &self,
        name: &ObjectName,
        find: impl Fn(&ObjectName) -> Option<&'a Object>,
    ) -> Option<(ObjectName, &'a Object)> {
        let within = |schema: &str| ObjectName { schema: Some(schema.to_owned()), name: name.name.clone() };
        let path = self.path();
        let candidates: Vec<ObjectName> = match (&name.schema, path) {
            (Some(_), _) => vec![name.clone()],
            (None, Some(path)) => path.iter().map(|schema| within(schema)).collect(),
            (None, None) => [within("public")].into_iter().chain(self.given(&name.name)).collect(),
        };
        for candidate in candidates {
            match self.stands_for(&candidate) {
                Some(old) => return find(&old?).map(|object| (candidate, object)),
                None => {
                    if let Some(object) = find(&candidate) {
                        return Some((candidate, object));
                    }
                }
            }
        }
        let object = find(name).filter(|_| name.schema.is_none() && path.is_none())?;
        let name = full(&object.id);
        self.stands_for(&name).is_none().then_some((name, object))
    }

    /// The full name of a relation before the script; the name as written if nothing is known.
    pub(crate) fn full(&self, name: &ObjectName) -> Option<ObjectName> {
        match self.before {
            Some(_) => self.relation(name).map(|one| full(&one.id)),
            None => self.stands_for(name).unwrap_or_else(|| Some(name.clone())),
        }
    }

    /// A domain, from before the script or created by it.
    pub(super) fn domain(&self, name: &ObjectName) -> Option<Domain> {
        self.own_domain(name).or_else(|| {
            let (schema, domain) = self.domain_object(name)?;
            let default = domain.fact("default");
            Some(Domain {
                ty: domain.fact("type")?.to_owned(),
                from_catalog: true,
                strict: domain.fact("not null").is_some()
                    || schema.children(&domain.id, Kind::Constraint).next().is_some(),
                volatile: default.is_some_and(|text| text_is_volatile(self, text)),
            })
        })
    }

    fn domain_object(&self, name: &ObjectName) -> Option<(&'a Schema, &'a Object)> {
        let both = [self.before, self.after].into_iter().flatten();
        let mut found = both.filter_map(|at| {
            let find = |name: &ObjectName| pick(at, name, &[Kind::Domain]);
            Some((at, self.resolved(name, find)?.1))
        });
        found.next()
    }

    /// The full name of a type or domain before the script.
    pub(super) fn type_name(&self, name: &ObjectName) -> Option<ObjectName> {
        let found = self.resolved(name, |name| pick(self.before?, name, &[Kind::Domain, Kind::Type]))?;
        Some(full(&found.1.id))
    }

    /// The functions with this name, from before the script or created by it.
    pub(super) fn functions(&self, name: &ObjectName) -> Vec<&'a Object> {
        let all = [self.before, self.after].into_iter().flatten().flat_map(|schema| schema.of_kind(Kind::Function));
        all.map(|one| &**one).filter(|one| name.is(one)).collect()
    }

    /// An index, or the constraint that has one of its name.
    fn index(&self, name: &ObjectName) -> Option<&'a Object> {
        let is_index = |one: &&Object| match one.id.kind {
            Kind::Index => true,
            Kind::Constraint => one.fact("definition").is_some_and(|text| !text.starts_with("CHECK")),
            _ => false,
        };
        let mut all = self.before?.objects().map(|one| &**one).filter(|one| name.is(one)).filter(is_index);
        all.next()
    }

    /// The table of an index.
    pub(crate) fn table_of_index(&self, index: &ObjectName) -> Option<ObjectName> {
        // If nothing is known, the index stands for its table.
        if self.before.is_none() {
            return Some(index.clone());
        }
        self.resolved(index, |name| self.index(name)).map(|(_, one)| parent_of(&one.id))
    }

    /// The partitions and children of a table, recursively.
    pub(super) fn children(&self, table: &ObjectName) -> Vec<ObjectName> {
        let Some(schema) = self.before else { return Vec::new() };
        let mut of: BTreeMap<ObjectName, Vec<ObjectName>> = BTreeMap::new();
        for one in schema.of_kind(Kind::Table).chain(schema.of_kind(Kind::ForeignTable)) {
            for parent in parents(one) {
                of.entry(parent).or_default().push(full(&one.id));
            }
        }
        reached(table, |parent| of.remove(parent).unwrap_or_default())
    }

    /// The table that a table is a partition of.
    pub(super) fn partitioned(&self, table: &ObjectName) -> Option<ObjectName> {
        let table = self.table(table)?;
        table.fact("partition bound")?;
        parents(table).into_iter().next()
    }

    /// The default partition of a table.
    pub(crate) fn default_partition(&self, table: &ObjectName) -> Option<ObjectName> {
        let bound = |name: &ObjectName| self.table(name).and_then(|one| one.fact("partition bound"));
        let is_direct = |name: &ObjectName| self.partitioned(name).as_ref() == Some(table);
        self.children(table).into_iter().find(|name| is_direct(name) && bound(name) == Some("DEFAULT"))
    }

    /// The constraints of a table.
    pub(super) fn constraints(&self, table: &Object) -> Vec<&'a Object> {
        let name = full(&table.id);
        let all = self.parts(table, Kind::Constraint).into_iter();
        all.filter(|one| !self.is_dropped(&name, &one.id.name)).collect()
    }

    /// A constraint of a table.
    pub(crate) fn constraint(&self, table: &Object, name: &str) -> Option<&'a Object> {
        self.parts(table, Kind::Constraint).into_iter().find(|one| *one.id.name == *name)
    }

    /// The parts of a table of one kind.
    pub(super) fn parts(&self, table: &Object, kind: Kind) -> Vec<&'a Object> {
        let Some(schema) = self.before else { return Vec::new() };
        // The children of a schema live as long as the schema; the name of their parent may not.
        let Some(table) = schema.get(&table.id) else { return Vec::new() };
        schema.children(&table.id, kind).map(|one| &**one).collect()
    }

    /// A column of a table.
    pub(crate) fn column(&self, table: &Object, name: &str) -> Option<&'a Object> {
        let id = Id {
            kind: Kind::Column,
            parent: table.id.name.clone(),
            name: name.into(),
            signature: "".into(),
            schema: table.id.schema.clone(),
        };
        self.before?.get(&id).map(|one| &**one)
    }

    /// The tables on the other side of the foreign keys from and to a table, of those keys that meet a condition.
    pub(super) fn partners(&self, table: &ObjectName, meant: impl Fn(&Object, bool) -> bool) -> Vec<ObjectName> {
        let Some(schema) = self.before else { return Vec::new() };
        let mut found = Vec::new();
        for key in schema.of_kind(Kind::Constraint) {
            let Some(target) = refers_to(key) else { continue };
            let holder = parent_of(&key.id);
            if holder == *table && meant(key, true) {
                found.push(target);
            } else if target == *table && meant(key, false) {
                found.push(holder);
            }
        }
        found
    }

    /// The relations with a column of a type: directly, as an array, or through a domain.
    pub(super) fn holders(&self, of: &ObjectName) -> Vec<ObjectName> {
        let Some((schema, of)) = self.before.zip(self.type_name(of)) else { return Vec::new() };
        let ty = |one: &Object| one.fact("type").and_then(|text| ObjectName::parse(text.trim_end_matches("[]")));
        let all = |kind| schema.of_kind(kind).map(|one| &**one);
        // Without a schema it is a built-in type, whatever else has the same name.
        let domains = reached(&of, |name| {
            let domains = all(Kind::Domain).filter(|one| ty(one).as_ref() == Some(name));
            domains.map(|one| full(&one.id)).collect()
        });
        let types: BTreeSet<ObjectName> = domains.into_iter().chain([of]).collect();
        let columns = all(Kind::Column).filter(|one| ty(one).is_some_and(|name| types.contains(&name)));
        let mut tables: Vec<ObjectName> = columns.map(|one| parent_of(&one.id)).collect();
        tables.dedup();
        tables
    }

    /// Whether a table has no rows of its own.
    pub(super) fn stores_nothing(&self, table: &ObjectName) -> bool {
        self.table(table).is_some_and(|one| {
            one.fact("partition key").is_some() || matches!(one.id.kind, Kind::View | Kind::Sequence)
        })
    }

    /// Whether a table has partitions.
    pub(super) fn is_partitioned(&self, table: &ObjectName) -> bool {
        self.table(table).is_some_and(|one| one.fact("partition key").is_some())
    }

    /// Whether a table has triggers. Its partitions then have them too.
    pub(super) fn has_triggers(&self, table: &ObjectName) -> bool {
        self.table(table).is_none_or(|table| !self.parts(table, Kind::Trigger).is_empty())
    }

    /// Whether a lock on a relation blocks anybody: nobody writes to a materialized view.
    pub(crate) fn is_in_the_way(&self, table: &ObjectName, mode: LockMode) -> bool {
        let is_view = self.table(table).is_some_and(|one| one.id.kind == Kind::MaterializedView);
        mode >= if is_view { LockMode::AccessExclusive } else { LockMode::Share }
    }

    /// Whether a constraint is a key that others can refer to.
    pub(super) fn is_key(&self, table: &ObjectName, name: Option<&ObjectName>) -> bool {
        let Some((table, name)) = self.table(table).zip(name) else { return false };
        let mut all = self.parts(table, Kind::Constraint).into_iter().filter(|one| *one.id.name == *name.name);
        all.any(|one| one.fact("definition").is_some_and(is_key))
    }

    /// The tables with foreign keys to a table, recursively.
    pub(super) fn referring(&self, table: &ObjectName) -> Vec<ObjectName> {
        reached(table, |name| self.partners(name, |_, own| !own))
    }

    /// The table of a statistics object.
    pub(super) fn table_of_statistics(&self, name: &ObjectName) -> Option<ObjectName> {
        let mut all = self.before?.of_kind(Kind::Statistics);
        all.find(|one| name.is(one)).map(|one| parent_of(&one.id))
    }

    /// The tables of a publication.
    pub(super) fn published(&self, publication: &str) -> Vec<ObjectName> {
        let mut all = self.before.into_iter().flat_map(Schema::objects);
        let found = all.find(|one| one.id.kind == Kind::Publication && *one.id.name == *publication);
        let tables = found.and_then(|one| one.fact("tables")).unwrap_or_default();
        tables.split(", ").filter_map(ObjectName::parse).collect()
    }

    /// The tables of a composite type.
    pub(super) fn typed(&self, of: &ObjectName) -> Vec<ObjectName> {
        let all = self.before.into_iter().flat_map(Schema::objects).filter(|one| one.id.kind == Kind::Table);
        let of = self.type_name(of);
        let is_it = |text: &str| of.is_some() && ObjectName::parse(text) == of;
        all.filter(|one| one.fact("of type").is_some_and(is_it)).map(|one| full(&one.id)).collect()
    }

    /// The relations that meet a condition.
    pub(super) fn those(&self, is_meant: impl Fn(&Object) -> bool) -> Vec<ObjectName> {
        let all = self.before.into_iter().flat_map(Schema::objects);
        let meant = all.filter(|one| RELATIONS.contains(&one.id.kind) && is_meant(one));
        meant.map(|one| full(&one.id)).collect()
    }

    /// All tables.
    pub(super) fn tables(&self) -> Vec<ObjectName> {
        self.those(|one| matches!(one.id.kind, Kind::Table | Kind::MaterializedView))
    }

    /// The relations of a schema.
    pub(super) fn inside(&self, schema: &str) -> Vec<ObjectName> {
        self.those(|one| *one.id.schema == *schema)
    }
}

/// Everything that can be reached step by step, each once, without the start.
pub(super) fn reached(from: &ObjectName, mut next: impl FnMut(&ObjectName) -> Vec<ObjectName>) -> Vec<ObjectName> {
    let mut found = vec![from.clone()];
    let mut seen: BTreeSet<ObjectName> = [from.clone()].into();
    let mut at = 0;
    while let Some(name) = found.get(at).cloned() {
        found.extend(next(&name).into_iter().filter(|one| seen.insert(one.clone())));
        at += 1;
    }
    found.split_off(1)
}

/// The object with this name; without a schema, the one in `public` comes first.
fn pick<'a>(at: &'a Schema, name: &ObjectName, kinds: &[Kind]) -> Option<&'a Object> {
    let get = |name: &ObjectName| kinds.iter().find_map(|kind| at.get(&id(*kind, name)?).map(|one| &**one));
    match name.schema {
        Some(_) => get(name),
        None => get(&ObjectName { schema: Some("public".to_owned()), ..name.clone() }).or_else(|| {
            let all = kinds.iter().flat_map(|kind| at.of_kind(*kind)).filter(|one| name.is(one));
            all.map(|one| &**one).min_by(|one, other| one.id.cmp(&other.id))
        }),
    }
}

/// The tables that a table is a partition or child of.
fn parents(table: &Object) -> Vec<ObjectName> {
    table
        .parents()
        .iter()
        .map(|name| ObjectName { schema: Some(name.schema().to_owned()), name: name.name().to_owned() })
        .collect()
}

/// The table that a foreign key refers to.
pub(super) fn refers_to(key: &Object) -> Option<ObjectName> {
    let definition = key.fact("definition").filter(|text| text.starts_with("FOREIGN KEY"))?;
    ObjectName::parse(definition.split_once(" REFERENCES ")?.1)
}

/// Whether a constraint is a key.
pub(super) fn is_key(definition: &str) -> bool {
    definition.starts_with("PRIMARY KEY") || definition.starts_with("UNIQUE")
}

/// The columns of a list in a definition, up to anything that is not a name. Skips the order or operator class after a
/// column.
pub(crate) fn columns(list: &str) -> Vec<String> {
    let (mut rest, mut names) = (list, Vec::new());
    while let Some((name, after)) = migrate_base::ident::first_name(rest) {
        names.push(name);
        let after = after.trim_start_matches(|c: char| c != ',' && c != ')');
        rest = after.strip_prefix(", ").unwrap_or("");
    }
    names
}
