//! The order constraints between statements.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use migrate_base::ident::QualifiedName;

use super::fate::{PartFate, is_foreign_key};
use super::host::PartHosts;
use super::name::{holder, named};
use super::order::{GraphNode, NodeRank, PartAction, key};
use super::{DdlContext, count, inherit, loose, mention, not_null, partition, row_type, sequence, table, toast};
use crate::Schema;
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};

/// The order constraints. A soft edge can be cut: a default or a part of a table is then handled separately.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) nodes: BTreeMap<GraphNode, NodeRank>,
    pub(super) before: HashMap<GraphNode, BTreeMap<GraphNode, Option<BTreeSet<SchemaPart>>>>,
    pub(super) behind: HashMap<GraphNode, Vec<GraphNode>>,
    /// The parts of tables that are dropped before their tables.
    pub(super) apart: BTreeSet<SchemaPart>,
}

impl Graph {
    pub(super) fn of(sides: &DdlContext<'_>) -> Self {
        let mut graph = Self::default();
        let hosts = PartHosts::of(sides);
        for (part, fate) in sides.fates.iter() {
            if matches!(fate, PartFate::Dropped | PartFate::Remade) {
                graph.node(sides, &hosts.dropped(part));
            }
            if matches!(fate, PartFate::Made | PartFate::Remade | PartFate::Altered) {
                graph.node(sides, &hosts.made(part));
            }
            if fate == PartFate::Remade {
                graph.edge(&hosts.dropped(part), &hosts.made(part), None);
            }
        }
        graph.shells(sides, &hosts);
        graph.owners(sides, &hosts);
        graph.joined(sides, &hosts);
        graph.dependencies(sides, &hosts);
        graph.names(sides, &hosts);
        graph.partitions(sides, &hosts);
        graph.not_nulls(sides, &hosts);
        for (first, then) in row_type::edges(sides, &hosts) {
            graph.edge(&first, &then, None);
        }
        // A cycle is cut, because the text of a function is not checked on creation.
        for (first, then) in mention::edges(sides, &hosts) {
            graph.edge(&first, &then, Some(BTreeSet::new()));
        }
        graph
    }

    fn node(&mut self, sides: &DdlContext<'_>, node: &GraphNode) {
        if !self.nodes.contains_key(node) {
            self.nodes.insert(node.clone(), key(sides, node));
        }
    }

    /// If a soft edge is cut, its parts are handled separately.
    fn edge(&mut self, first: &GraphNode, then: &GraphNode, soft: Option<BTreeSet<SchemaPart>>) {
        if first == then || !self.nodes.contains_key(first) || !self.nodes.contains_key(then) {
            return;
        }
        let waits = self.before.entry(then.clone()).or_default();
        match waits.get_mut(first) {
            // An edge that is hard once stays hard.
            Some(known) => match (known.as_mut(), soft) {
                (Some(parts), Some(more)) => parts.extend(more),
                _ => *known = None,
            },
            None => {
                waits.insert(first.clone(), soft);
                self.behind.entry(first.clone()).or_default().push(then.clone());
            }
        }
    }

    fn dependencies(&mut self, sides: &DdlContext<'_>, hosts: &PartHosts) {
        let fate = |part: &SchemaPart| sides.fates.get(part);
        let makes = |part: &SchemaPart| matches!(fate(part), PartFate::Made | PartFate::Remade | PartFate::Altered);
        let drops = |part: &SchemaPart| matches!(fate(part), PartFate::Dropped | PartFate::Remade);
        let is_inherited = |part: &SchemaPart| {
            let has = |one: &Arc<Object>| one.fact("inherited").or(one.fact("attached to")).is_some();
            !part.default && sides.before.schema.get(&part.id).is_some_and(has)
        };
        for (user, on) in sides.after.dependencies.pairs() {
            let on = sides.fates.carried(on).unwrap_or(on);
            if sides.is_shelled(on) && sides.after.dependencies.has(on, user) {
                self.edge(&(PartAction::Shell, on.clone()), &hosts.made(user), None);
            } else if makes(user) && makes(on) {
                let folded = user.default && hosts.made(user).1 != *user;
                // A table needs its parent or its type when it joins it.
                let joins = !sides.before.dependencies.has(user, on) && inherit::joins(sides, &user.id);
                let then = if joins { (PartAction::Give, user.clone()) } else { hosts.made(user) };
                self.edge(&hosts.made(on), &then, folded.then(|| BTreeSet::from([user.clone()])));
            }
        }
        for (user, on) in sides.before.dependencies.pairs() {
            let on = sides.fates.carried(on).unwrap_or(on);
            if drops(user) {
                let folded = hosts.dropped(user).1 != *user && goes_alone(user);
                if drops(on) {
                    let soft = folded.then(|| BTreeSet::from([user.clone()]));
                    self.edge(&hosts.dropped(user), &hosts.dropped(on), soft);
                } else if fate(on) == PartFate::Altered && on.id.kind != Kind::Schema {
                    // A part that uses a sequence only has to be dropped before the sequence is.
                    let is_sequence = on.id.kind == Kind::Sequence;
                    let then = if is_sequence { (PartAction::Give, on.clone()) } else { hosts.made(on) };
                    let comes_after = *user.id.parent == *on.id.name && inherit::is_left(sides, &user.id);
                    let is_column = user.id.kind == Kind::Column && !user.default;
                    // A column that is computed from this one may be dropped after its table is altered.
                    let is_own = is_column && holder(&user.id, on.id.kind) == *on.id;
                    match comes_after && (is_column || is_inherited(user)) {
                        true => self.edge(&then, &hosts.dropped(user), None),
                        false => self.edge(&hosts.dropped(user), &then, is_own.then(BTreeSet::new)),
                    }
                }
            } else if fate(user) == PartFate::Altered && !sides.after.dependencies.has(user, on) {
                // It has to drop the dependency first.
                match fate(on) {
                    PartFate::Dropped | PartFate::Remade => self.edge(&hosts.made(user), &hosts.dropped(on), None),
                    PartFate::Altered => self.edge(&hosts.made(user), &hosts.made(on), None),
                    PartFate::Made | PartFate::Kept => {}
                }
            }
        }
    }

    /// A type that depends on functions that depend on it.
    fn shells(&mut self, sides: &DdlContext<'_>, hosts: &PartHosts) {
        for part in sides.fates.made().filter(|part| sides.is_shelled(part)) {
            let shell = (PartAction::Shell, part.clone());
            self.node(sides, &shell);
            self.edge(&shell, &hosts.made(part), None);
        }
    }

    /// A sequence is detached before the column that owns it is dropped, and attached to its new column once that
    /// exists.
    fn owners(&mut self, sides: &DdlContext<'_>, hosts: &PartHosts) {
        for part in sides.fates.iter().map(|(part, _)| part).filter(|part| part.id.kind == Kind::Sequence) {
            let column = |schema: &Schema| {
                let (of, column) = sequence::owner(schema.get(&part.id)?)?;
                let id = Id { parent: of.name().into(), ..named(Kind::Column, of.schema(), &column) };
                schema.get(&id).map(|column| SchemaPart::object(&column.id))
            };
            let made = hosts.made(part);
            if sides.fates.get(part) == PartFate::Altered
                && let Some(old) = column(&sides.before.schema)
            {
                self.edge(&made, &hosts.dropped(&old), None);
                self.edge(&made, &hosts.made(&old), None);
            }
            // The sequence of an identity column that is moved to another column is dropped first.
            let columns = column(&sides.before.schema).zip(column(&sides.after.schema));
            let is_identity = sides.after.schema.get(&part.id).is_some_and(|one| sequence::is_identity(one));
            if let Some((old, new)) = columns.filter(|(old, new)| is_identity && old != new) {
                self.edge(&hosts.made(&old), &hosts.made(&new), None);
                self.edge(&hosts.dropped(&old), &hosts.made(&new), None);
            }
            let is_new = matches!(sides.fates.get(part), PartFate::Made | PartFate::Remade);
            if let Some(new) = column(&sides.after.schema).filter(|_| is_identity && is_new) {
                self.edge(&hosts.made(&new), &made, None);
            }
            // The new holder of a name comes after the sequence with that name has been renamed.
            if let Some(old) = sides.fates.renamed(part) {
                self.edge(&made, &hosts.made(&SchemaPart::object(&old.id)), None);
            }
            if !count::is_given(sides, part) {
                continue;
            }
            let node = (PartAction::Give, part.clone());
            self.node(sides, &node);
            self.edge(&made, &node, None);
            if let Some(new) = column(&sides.after.schema) {
                self.edge(&made, &hosts.made(&new), None);
                self.edge(&hosts.made(&new), &node, None);
            }
        }
    }

    /// An object with the name of a dropped one is created after the drop.
    fn names(&mut self, sides: &DdlContext<'_>, hosts: &PartHosts) {
        // The names of statistics and indexes, including those of keys, are unique in the schema, whatever their table.
        let names = |schema: &Schema, part: &SchemaPart| {
            let has_index = schema.get(&part.id).is_some_and(|one| table::has_index(one));
            let is_of_schema = has_index || part.id.kind == Kind::Statistics;
            let is_of_table = !matches!(part.id.kind, Kind::Statistics | Kind::Index);
            let of_schema = is_of_schema.then(Box::default);
            let parents = of_schema.into_iter().chain(is_of_table.then(|| part.id.parent.clone()));
            parents.map(|parent: Box<str>| (part.id.schema.clone(), parent, part.id.name.clone())).collect::<Vec<_>>()
        };
        let mut gone: HashMap<_, Vec<&SchemaPart>> = HashMap::new();
        for (part, fate) in sides.fates.iter().filter(|(part, _)| !part.default) {
            if matches!(fate, PartFate::Dropped | PartFate::Remade) {
                for name in names(&sides.before.schema, part) {
                    gone.entry(name).or_default().push(part);
                }
            }
        }
        for part in sides.fates.made().filter(|part| !part.default) {
            let taken = names(&sides.after.schema, part);
            for old in taken.iter().filter_map(|name| gone.get(name)).flatten().filter(|old| **old != part) {
                self.edge(&hosts.dropped(old), &hosts.made(part), None);
            }
        }
    }

    /// The keys and indexes of a partitioned table come after its partitions, which would otherwise get their keys with
    /// it, under names that the server chooses.
    fn partitions(&mut self, sides: &DdlContext<'_>, hosts: &PartHosts) {
        let schema = &sides.after.schema;
        let mut parts: HashMap<QualifiedName, Vec<GraphNode>> = HashMap::new();
        for part in sides.fates.made().filter(|part| part.id.kind == Kind::Table) {
            for parent in schema.get(&part.id).into_iter().flat_map(|table| table.parents()) {
                parts
                    .entry(parent)
                    .or_default()
                    .push(partition::joined(sides, part).unwrap_or_else(|| hosts.made(part)));
            }
        }
        // Dropping a key drops those of the partitions too, but does not reach partitions that are detached.
        for table in partition::bound_again(sides) {
            for key in partition::keys_of_parent(&sides.before.schema, &table.id) {
                self.edge(&hosts.dropped(&SchemaPart::object(&key.id)), &hosts.made(&table), None);
            }
        }
        let gone = inherit::gone(sides, hosts);
        // It may take the place of a partition that leaves.
        for (parent, node) in partition::joining(sides, hosts) {
            for leaving in gone.get(&parent).into_iter().flatten() {
                self.edge(leaving, &node, Some(BTreeSet::new()));
            }
        }
        for part in sides.fates.made().filter(|part| matches!(part.id.kind, Kind::Index | Kind::Constraint)) {
            let Some(object) = schema.get(&part.id) else { continue };
            // A constraint that is not valid would become valid in tables that inherit it, if it existed before them.
            let is_late = table::is_own_index_of_partitioned(schema, object)
                || object.fact("definition").is_some_and(|text| text.ends_with(" NOT VALID"));
            let table = QualifiedName::new(&*object.id.schema, &*object.id.parent);
            // An index created next to a partition that has no such index is not valid.
            for child in gone.get(&table).into_iter().flatten().filter(|_| is_late) {
                self.edge(child, &hosts.made(part), None);
            }
            for child in parts.get(&table).into_iter().flatten() {
                match is_late {
                    true => {
                        self.edge(child, &hosts.made(part), None);
                        // A table's own constraint cannot be added after one inherited from the parent.
                        let own = Id {
                            parent: child.1.id.name.clone(),
                            schema: child.1.id.schema.clone(),
                            ..(*part.id).clone()
                        };
                        if let Some(own) = schema.get(&own) {
                            self.edge(&hosts.made(&SchemaPart::object(&own.id)), &hosts.made(part), None);
                        }
                    }
                    // A check has to exist when a partition that has it is attached.
                    false if !is_foreign_key(object) => self.edge(&hosts.made(part), child, None),
                    false => {}
                }
            }
        }
    }

    /// A NOT NULL that is not valid is added when the tables below exist.
    fn not_nulls(&mut self, sides: &DdlContext<'_>, hosts: &PartHosts) {
        let schema = &sides.after.schema;
        let columns = sides.fates.iter().filter(|(part, _)| part.id.kind == Kind::Column && !part.default);
        for (part, fate, column) in columns.filter_map(|(part, fate)| Some((part, fate, schema.get(&part.id)?))) {
            let is_late = not_null::is_late(sides, column);
            let node = if is_late { (PartAction::Give, part.clone()) } else { hosts.made(part) };
            for other in not_null::namesakes(sides, column) {
                let is_gone = matches!(sides.fates.get(&other), PartFate::Dropped | PartFate::Remade);
                self.edge(&if is_gone { hosts.dropped(&other) } else { hosts.made(&other) }, &node, None);
            }
            if is_late {
                self.node(sides, &node);
                self.edge(&hosts.made(part), &node, None);
            }
            for below in not_null::below(sides, column).into_iter().filter(|_| is_late || fate == PartFate::Altered) {
                let Some(table) = inherit::table_of(schema, &below.id).map(|one| SchemaPart::object(&one.id)) else {
                    continue;
                };
                match table::not_valid(below) {
                    true => {
                        self.edge(&partition::joined(sides, &table).unwrap_or_else(|| hosts.made(&table)), &node, None)
                    }
                    false => self.edge(&node, &hosts.made(&table), None),
                }
            }
        }
        for (first, then) in not_null::edges(sides, hosts) {
            self.edge(&first, &then, None);
        }
    }

    /// A partition that is attached when its keys exist.
    fn joined(&mut self, sides: &DdlContext<'_>, hosts: &PartHosts) {
        let schema = &sides.after.schema;
        let tables = sides.fates.iter().map(|(part, _)| part).filter(|part| !part.default);
        let tables = tables.filter(|part| matches!(part.id.kind, Kind::Table | Kind::ForeignTable));
        let late: Vec<GraphNode> = tables.filter_map(|part| partition::joined(sides, part)).collect();
        for node in &late {
            self.node(sides, node);
            self.edge(&hosts.made(&node.1), node, None);
        }
        let apart: Vec<_> = loose::edges(sides, hosts).into_iter().chain(toast::edges(sides, hosts)).collect();
        for (_, then) in apart.iter().filter(|(_, then)| then.0 == PartAction::Give) {
            self.node(sides, then);
        }
        for (first, then) in inherit::edges(sides, hosts).into_iter().chain(loose::of_types(sides, hosts)).chain(apart)
        {
            self.edge(&first, &then, None);
        }
        if late.is_empty() {
            return;
        }
        for part in sides.fates.made() {
            let Some(object) = schema.get(&part.id) else { continue };
            for table in partition::attached_with(sides, object) {
                self.edge(&hosts.made(part), &(PartAction::Give, SchemaPart::object(&table.id)), None);
            }
            // What a partition gets from its parent exists once it has joined the parent.
            let of = schema.get(&holder(&part.id, Kind::Table)).map(|table| SchemaPart::object(&table.id));
            let comes_along = part.id.kind == Kind::Trigger || is_foreign_key(object);
            if comes_along
                && object.fact("inherited") == Some("only")
                && let Some(of) = of
            {
                self.edge(&(PartAction::Give, of), &hosts.made(part), None);
            }
        }
    }
}

/// Whether a part of a table can be dropped before the table is.
fn goes_alone(part: &SchemaPart) -> bool {
    use Kind::{Constraint, Index, Policy, Rule, Statistics, Trigger};
    part.default || matches!(part.id.kind, Constraint | Index | Policy | Rule | Statistics | Trigger)
}
