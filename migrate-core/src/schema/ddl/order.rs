//! The order of the statements: what stands on something is dropped before it and made behind it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::fate::{Fate, is_foreign_key};
use super::host::{Hosts, holder_of, owner_of};
use super::name::{holder, named};
use super::{Ddl, Sides, Uncovered, circle, count, emit, inherit, mention, partition, sequence, table};
use crate::ident::QualifiedName;
use crate::schema::Schema;
use crate::schema::depend::Part;
use crate::schema::object::{Id, Kind, Object};

/// What is done to a part; to alter it is to make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Act {
    Drop,
    /// A type gets its name, so that there can be functions that take and return it.
    Shell,
    Make,
    /// A sequence is given to its column, or a partition to its parent, when both are there.
    Give,
}

pub(super) type Node = (Act, Part);

/// Where a node stands among those that could come next: what is dropped goes first, then by
/// kind, with what belongs to a table behind the table, foreign keys behind all tables.
type Key = (bool, u8, i16, Box<str>, Box<str>, Kind, u32, Part);

/// What has to come before what. A soft edge can be cut: a default or a part of a table then goes apart.
#[derive(Default)]
struct Graph {
    nodes: BTreeMap<Node, Key>,
    before: HashMap<Node, BTreeMap<Node, Option<BTreeSet<Part>>>>,
    behind: HashMap<Node, Vec<Node>>,
    /// The parts of tables that were dropped before their tables.
    apart: BTreeSet<Part>,
}

/// All statements, in an order in which they can be run.
pub(super) fn statements(sides: &Sides<'_>) -> Ddl {
    let mut graph = Graph::of(sides);
    let mut ddl = Ddl::default();
    let mut late: BTreeMap<Part, BTreeSet<Node>> = BTreeMap::new();
    let mut done: BTreeSet<Node> = BTreeSet::new();
    let mut ready: BTreeSet<(Key, Node)> = BTreeSet::new();
    for (node, key) in &graph.nodes {
        if graph.before.get(node).is_none_or(BTreeMap::is_empty) {
            ready.insert((key.clone(), node.clone()));
        }
    }
    while done.len() < graph.nodes.len() {
        let node = match ready.pop_first() {
            Some((_, node)) => node,
            None => graph.cut(sides, &done, &mut late, &mut ddl),
        };
        if !done.insert(node.clone()) {
            continue;
        }
        emit(sides, &node, &late, &mut ddl);
        for next in graph.behind.remove(&node).unwrap_or_default() {
            let Some(waits) = graph.before.get_mut(&next) else { continue };
            if waits.remove(&node).is_some() && waits.is_empty() && !done.contains(&next) {
                ready.extend(graph.nodes.get(&next).map(|key| (key.clone(), next.clone())));
            }
        }
        let now: Vec<Part> =
            late.iter().filter(|(_, needs)| needs.is_subset(&done)).map(|(part, _)| part.clone()).collect();
        for part in now {
            late.remove(&part);
            ddl.statements.extend(emit::made(sides, &part, &|_| false).unwrap_or_default());
        }
    }
    ddl
}

fn emit(sides: &Sides<'_>, (act, part): &Node, late: &BTreeMap<Part, BTreeSet<Node>>, ddl: &mut Ddl) {
    let first = ddl.statements.len();
    match act {
        Act::Drop => ddl.statements.extend(emit::dropped(sides, part)),
        Act::Make => match emit::made(sides, part, &|id| late.keys().any(|part| *part.id == *id)) {
            Some(statements) => ddl.statements.extend(statements),
            None => {
                let why = sides.after.schema.get(&part.id).map_or("", |object| emit::no_statement(object));
                ddl.uncovered.push(Uncovered { object: part.id.clone(), part: None, why: why.to_owned() });
            }
        },
        Act::Shell => ddl.statements.extend(emit::shell(part)),
        Act::Give if part.id.kind == Kind::Sequence => ddl.statements.extend(emit::given(sides, part)),
        Act::Give => ddl.statements.extend(partition::given(sides, part)),
    }
    for statement in &mut ddl.statements[first..] {
        statement.object.get_or_insert_with(|| part.id.clone());
    }
}

impl Graph {
    fn of(sides: &Sides<'_>) -> Self {
        let mut graph = Self::default();
        let hosts = Hosts::of(sides);
        for (part, fate) in sides.fates.iter() {
            if matches!(fate, Fate::Dropped | Fate::Remade) {
                graph.node(sides, &hosts.dropped(part));
            }
            if matches!(fate, Fate::Made | Fate::Remade | Fate::Altered) {
                graph.node(sides, &hosts.made(part));
            }
            if fate == Fate::Remade {
                graph.edge(&hosts.dropped(part), &hosts.made(part), None);
            }
        }
        graph.shells(sides, &hosts);
        graph.owners(sides, &hosts);
        graph.joined(sides, &hosts);
        graph.dependencies(sides, &hosts);
        graph.names(sides, &hosts);
        graph.partitions(sides, &hosts);
        // A circle is cut, for no text is looked at when a function is made.
        for (first, then) in mention::edges(sides, &hosts) {
            graph.edge(&first, &then, Some(BTreeSet::new()));
        }
        graph
    }

    fn node(&mut self, sides: &Sides<'_>, node: &Node) {
        if !self.nodes.contains_key(node) {
            self.nodes.insert(node.clone(), key(sides, node));
        }
    }

    /// The parts of a soft edge go apart where it is cut.
    fn edge(&mut self, first: &Node, then: &Node, soft: Option<BTreeSet<Part>>) {
        if first == then || !self.nodes.contains_key(first) || !self.nodes.contains_key(then) {
            return;
        }
        let waits = self.before.entry(then.clone()).or_default();
        match waits.get_mut(first) {
            // What is hard once stays hard.
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

    fn dependencies(&mut self, sides: &Sides<'_>, hosts: &Hosts) {
        let fate = |part: &Part| sides.fates.get(part);
        let makes = |part: &Part| matches!(fate(part), Fate::Made | Fate::Remade | Fate::Altered);
        let drops = |part: &Part| matches!(fate(part), Fate::Dropped | Fate::Remade);
        let is_inherited = |part: &Part| {
            let has = |one: &Arc<Object>| one.fact("inherited").or(one.fact("attached to")).is_some();
            !part.default && sides.before.schema.get(&part.id).is_some_and(has)
        };
        for (user, on) in sides.after.dependencies.pairs() {
            let on = sides.fates.carried(on).unwrap_or(on);
            if sides.is_shelled(on) && sides.after.dependencies.has(on, user) {
                self.edge(&(Act::Shell, on.clone()), &hosts.made(user), None);
            } else if makes(user) && makes(on) {
                let folded = user.default && hosts.made(user).1 != *user;
                // A table needs its parent or its type when it joins that.
                let joins = !sides.before.dependencies.has(user, on) && inherit::joins(sides, &user.id);
                let then = if joins { (Act::Give, user.clone()) } else { hosts.made(user) };
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
                } else if fate(on) == Fate::Altered {
                    // What counts with a sequence only has to go before the sequence does.
                    let is_sequence = on.id.kind == Kind::Sequence;
                    let then = if is_sequence { (Act::Give, on.clone()) } else { hosts.made(on) };
                    let comes_after = *user.id.parent == *on.id.name && inherit::is_left(sides, &user.id);
                    match comes_after && (user.id.kind == Kind::Column && !user.default || is_inherited(user)) {
                        true => self.edge(&then, &hosts.dropped(user), None),
                        false => self.edge(&hosts.dropped(user), &then, None),
                    }
                }
            } else if fate(user) == Fate::Altered && !sides.after.dependencies.has(user, on) {
                // It has to let go first.
                match fate(on) {
                    Fate::Dropped | Fate::Remade => self.edge(&hosts.made(user), &hosts.dropped(on), None),
                    Fate::Altered => self.edge(&hosts.made(user), &hosts.made(on), None),
                    Fate::Made | Fate::Kept => {}
                }
            }
        }
    }

    /// A type that stands on functions that stand on it.
    fn shells(&mut self, sides: &Sides<'_>, hosts: &Hosts) {
        for part in sides.fates.made().filter(|part| sides.is_shelled(part)) {
            let shell = (Act::Shell, part.clone());
            self.node(sides, &shell);
            self.edge(&shell, &hosts.made(part), None);
        }
    }

    /// A sequence leaves the column that it belongs to before that goes, and is given to its column when that is there.
    fn owners(&mut self, sides: &Sides<'_>, hosts: &Hosts) {
        for part in sides.fates.iter().map(|(part, _)| part).filter(|part| part.id.kind == Kind::Sequence) {
            let column = |schema: &Schema| {
                let (of, column) = sequence::owner(schema.get(&part.id)?)?;
                let id = Id { parent: of.name().into(), ..named(Kind::Column, of.schema(), &column) };
                schema.get(&id).map(|column| Part::object(&column.id))
            };
            let made = hosts.made(part);
            if sides.fates.get(part) == Fate::Altered
                && let Some(old) = column(&sides.before.schema)
            {
                self.edge(&made, &hosts.dropped(&old), None);
                self.edge(&made, &hosts.made(&old), None);
            }
            // The sequence of an identity column that becomes that of another one goes first.
            let columns = column(&sides.before.schema).zip(column(&sides.after.schema));
            let is_identity = sides.after.schema.get(&part.id).is_some_and(|one| sequence::is_identity(one));
            if let Some((old, new)) = columns.filter(|(old, new)| is_identity && old != new) {
                self.edge(&hosts.made(&old), &hosts.made(&new), None);
                self.edge(&hosts.dropped(&old), &hosts.made(&new), None);
            }
            let is_new = matches!(sides.fates.get(part), Fate::Made | Fate::Remade);
            if let Some(new) = column(&sides.after.schema).filter(|_| is_identity && is_new) {
                self.edge(&hosts.made(&new), &made, None);
            }
            if !count::is_given(sides, part) {
                continue;
            }
            let node = (Act::Give, part.clone());
            self.node(sides, &node);
            self.edge(&made, &node, None);
            if let Some(new) = column(&sides.after.schema) {
                self.edge(&made, &hosts.made(&new), None);
                self.edge(&hosts.made(&new), &node, None);
            }
        }
    }

    /// What takes the name of something that goes comes behind it.
    fn names(&mut self, sides: &Sides<'_>, hosts: &Hosts) {
        let name = |part: &Part| (part.id.schema.clone(), part.id.parent.clone(), part.id.name.clone());
        let mut gone: HashMap<_, Vec<&Part>> = HashMap::new();
        for (part, fate) in sides.fates.iter().filter(|(part, _)| !part.default) {
            if matches!(fate, Fate::Dropped | Fate::Remade) {
                gone.entry(name(part)).or_default().push(part);
            }
        }
        for part in sides.fates.made().filter(|part| !part.default) {
            for old in gone.get(&name(part)).into_iter().flatten().filter(|old| **old != part) {
                self.edge(&hosts.dropped(old), &hosts.made(part), None);
            }
        }
    }

    /// The keys and indexes of a partitioned table come behind its partitions, which would
    /// otherwise get theirs with it, under names of the server's choice.
    fn partitions(&mut self, sides: &Sides<'_>, hosts: &Hosts) {
        let schema = &sides.after.schema;
        let mut parts: HashMap<QualifiedName, Vec<Node>> = HashMap::new();
        for part in sides.fates.made().filter(|part| part.id.kind == Kind::Table) {
            let parents = schema.get(&part.id).and_then(|table| table.fact("parents")).unwrap_or_default();
            for parent in parents.split(", ").filter_map(QualifiedName::parse) {
                parts
                    .entry(parent)
                    .or_default()
                    .push(partition::joined(sides, part).unwrap_or_else(|| hosts.made(part)));
            }
        }
        for part in sides.fates.made().filter(|part| matches!(part.id.kind, Kind::Index | Kind::Constraint)) {
            let Some(object) = schema.get(&part.id) else { continue };
            // One that is not valid would be valid in what inherits it, were it there before.
            let is_late = table::is_own_index_of_partitioned(schema, object)
                || object.fact("definition").is_some_and(|text| text.ends_with(" NOT VALID"));
            let table = QualifiedName::new(&*object.id.schema, &*object.id.parent);
            for child in parts.get(&table).into_iter().flatten() {
                match is_late {
                    true => {
                        self.edge(child, &hosts.made(part), None);
                        // One of its own is not made beside one that came from the parent.
                        let own = Id {
                            parent: child.1.id.name.clone(),
                            schema: child.1.id.schema.clone(),
                            ..(*part.id).clone()
                        };
                        if let Some(own) = schema.get(&own) {
                            self.edge(&hosts.made(&Part::object(&own.id)), &hosts.made(part), None);
                        }
                    }
                    // A check has to be there when a partition that has it is attached.
                    false if !is_foreign_key(object) => self.edge(&hosts.made(part), child, None),
                    false => {}
                }
            }
        }
    }

    /// A partition that is attached when its keys are there.
    fn joined(&mut self, sides: &Sides<'_>, hosts: &Hosts) {
        let schema = &sides.after.schema;
        let tables = sides.fates.iter().map(|(part, _)| part).filter(|part| !part.default);
        let tables = tables.filter(|part| matches!(part.id.kind, Kind::Table | Kind::ForeignTable));
        let late: Vec<Node> = tables.filter_map(|part| partition::joined(sides, part)).collect();
        for node in &late {
            self.node(sides, node);
            self.edge(&hosts.made(&node.1), node, None);
        }
        for (first, then) in inherit::edges(sides, hosts) {
            self.edge(&first, &then, None);
        }
        if late.is_empty() {
            return;
        }
        for part in sides.fates.made() {
            let Some(object) = schema.get(&part.id) else { continue };
            for table in partition::attached_with(sides, object) {
                self.edge(&hosts.made(part), &(Act::Give, Part::object(&table.id)), None);
            }
            // What a partition has from its parent is there when it has joined that.
            let of = schema.get(&holder(&part.id, Kind::Table)).map(|table| Part::object(&table.id));
            let comes_along = part.id.kind == Kind::Trigger || is_foreign_key(object);
            if comes_along
                && object.fact("inherited") == Some("only")
                && let Some(of) = of
            {
                self.edge(&(Act::Give, of), &hosts.made(part), None);
            }
        }
    }

    /// Cuts soft edges of a circle; where there are none, the next node has to do.
    fn cut(
        &mut self,
        sides: &Sides<'_>,
        done: &BTreeSet<Node>,
        late: &mut BTreeMap<Part, BTreeSet<Node>>,
        ddl: &mut Ddl,
    ) -> Node {
        let waits = |node| self.before.get(node).into_iter().flat_map(BTreeMap::keys).collect();
        let start = self.nodes.keys().find(|node| !done.contains(*node));
        let circle = start.map(|start| circle::of(start, waits)).unwrap_or_default();
        let open: Vec<(&Node, &Key)> = self.nodes.iter().filter(|(node, _)| circle.contains(*node)).collect();
        let soft = |node: &Node| self.before.get(node).is_some_and(|waits| waits.values().all(Option::is_some));
        let next = open.iter().filter(|(node, _)| soft(node)).min_by_key(|(_, key)| *key);
        let next = next.or_else(|| open.iter().min_by_key(|(_, key)| *key)).map(|(node, _)| (*node).clone());
        let Some(next) = next else { return (Act::Make, Part::object(&named(Kind::Schema, "", "").into())) };
        for (first, parts) in self.before.remove(&next).unwrap_or_default() {
            for part in parts.into_iter().flatten() {
                if next.0 == Act::Make {
                    late.entry(part).or_default().extend([first.clone(), next.clone()]);
                    continue;
                }
                if self.apart.insert(part.clone()) {
                    ddl.statements.extend(emit::dropped(sides, &part));
                }
            }
        }
        next
    }
}

/// Whether a part of a table can be dropped before the table is.
fn goes_alone(part: &Part) -> bool {
    use Kind::{Constraint, Index, Policy, Rule, Statistics, Trigger};
    part.default || matches!(part.id.kind, Constraint | Index | Policy | Rule | Statistics | Trigger)
}

fn key(sides: &Sides<'_>, (act, part): &Node) -> Key {
    let schema = if *act == Act::Drop { &sides.before.schema } else { &sides.after.schema };
    let object = schema.get(&part.id);
    let holder = object.and_then(|object| match act {
        Act::Give => owner_of(schema, object, &|part| part.id.kind == Kind::Table),
        _ => holder_of(schema, object),
    });
    let id = holder.as_ref().map_or(&part.id, |holder| &holder.id);
    let group = match part.id.kind {
        // It would hear of everything that is done.
        Kind::EventTrigger => 2,
        Kind::Publication | Kind::DefaultPrivileges => 1,
        _ => u8::from(object.is_some_and(|object| is_foreign_key(object))),
    };
    // Columns come in their order.
    let position = object.and_then(|object| object.position).unwrap_or(0);
    let rank = rank(id.kind);
    let (group, rank) = if *act == Act::Drop { (2 - group, -rank) } else { (group, rank) };
    (*act != Act::Drop, group, rank, id.schema.clone(), id.name.clone(), part.id.kind, position, part.clone())
}

/// Code comes behind the tables, for its text may name them.
fn rank(kind: Kind) -> i16 {
    use Kind::{Aggregate, Cast, Function, Operator, OperatorClass, OperatorFamily, Procedure, Transform};
    let is_code =
        matches!(kind, Function | Procedure | Aggregate | Operator | OperatorFamily | OperatorClass | Cast | Transform);
    if is_code { Kind::ForeignTable as i16 * 2 + 1 } else { kind as i16 * 2 }
}
