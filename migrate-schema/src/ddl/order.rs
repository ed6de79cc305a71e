//! The order of the statements: dependents are dropped before and created after what they depend on.

use std::collections::{BTreeMap, BTreeSet};

use migrate_base::ident::QualifiedName;

use super::fate::is_foreign_key;
use super::graph::Graph;
use super::host::{holder_of, owner_of};
use super::name::{holder, named};
use super::{Ddl, DdlContext, DdlGap, circle, emit, not_null, partition};
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};

/// What is done to a part; altering counts as making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum PartAction {
    Drop,
    /// Creates the shell of a type, so that functions can take and return it.
    Shell,
    Make,
    /// Attaches a sequence to its column or a partition to its parent, or adds NOT NULL to a column, once both exist.
    Give,
}

/// The maximum number of columns of a table.
const MOST_COLUMNS: u32 = 1600;

pub(super) type GraphNode = (PartAction, SchemaPart);

/// The rank of a node among those that could come next: drops first, then by kind, with the parts of a table after the
/// table, and foreign keys after all tables.
pub(super) type NodeRank = (bool, u8, i16, Box<str>, Box<str>, Kind, u32, SchemaPart);

/// All statements, in an order in which they can be run.
pub(super) fn statements(sides: &DdlContext<'_>) -> Ddl {
    let mut graph = Graph::of(sides);
    let mut ddl = Ddl::default();
    let mut late: BTreeMap<SchemaPart, BTreeSet<GraphNode>> = BTreeMap::new();
    let mut done: BTreeSet<GraphNode> = BTreeSet::new();
    let mut ready: BTreeSet<(NodeRank, GraphNode)> = BTreeSet::new();
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
        let now: Vec<SchemaPart> =
            late.iter().filter(|(_, needs)| needs.is_subset(&done)).map(|(part, _)| part.clone()).collect();
        for part in now {
            late.remove(&part);
            ddl.statements.extend(emit::made(sides, &part, &|_| false).unwrap_or_default());
        }
    }
    ddl
}

fn emit(
    sides: &DdlContext<'_>,
    (act, part): &GraphNode,
    late: &BTreeMap<SchemaPart, BTreeSet<GraphNode>>,
    ddl: &mut Ddl,
) {
    let first = ddl.statements.len();
    match act {
        PartAction::Drop => ddl.statements.extend(emit::dropped(sides, part)),
        PartAction::Make => match emit::made(sides, part, &|id| late.keys().any(|part| *part.id == *id)) {
            Some(statements) => ddl.statements.extend(statements),
            None => {
                let why = sides.after.schema.get(&part.id).map_or("", |object| emit::no_statement(object));
                ddl.uncovered.push(DdlGap { object: part.id.clone(), part: None, why: why.to_owned() });
            }
        },
        PartAction::Shell => ddl.statements.extend(emit::shell(part)),
        PartAction::Give if part.id.kind == Kind::Sequence => ddl.statements.extend(emit::given(sides, part)),
        PartAction::Give if part.id.kind == Kind::Column => ddl.statements.extend(not_null::given(sides, part)),
        PartAction::Give => ddl.statements.extend(partition::given(sides, part)),
    }
    for statement in &mut ddl.statements[first..] {
        statement.object.get_or_insert_with(|| part.id.clone());
    }
}

impl Graph {
    /// Cuts soft edges of a cycle; if there are none, takes the next node anyway.
    fn cut(
        &mut self,
        sides: &DdlContext<'_>,
        done: &BTreeSet<GraphNode>,
        late: &mut BTreeMap<SchemaPart, BTreeSet<GraphNode>>,
        ddl: &mut Ddl,
    ) -> GraphNode {
        let waits = |node| self.before.get(node).into_iter().flat_map(BTreeMap::keys).collect();
        let start = self.nodes.keys().find(|node| !done.contains(*node));
        let circle = start.map(|start| circle::of(start, waits)).unwrap_or_default();
        let open: Vec<(&GraphNode, &NodeRank)> = self.nodes.iter().filter(|(node, _)| circle.contains(*node)).collect();
        let soft = |node: &GraphNode| self.before.get(node).is_some_and(|waits| waits.values().all(Option::is_some));
        let next = open.iter().filter(|(node, _)| soft(node)).min_by_key(|(_, key)| *key);
        let next = next.or_else(|| open.iter().min_by_key(|(_, key)| *key)).map(|(node, _)| (*node).clone());
        let Some(next) = next else {
            return (PartAction::Make, SchemaPart::object(&named(Kind::Schema, "", "").into()));
        };
        for (first, parts) in self.before.remove(&next).unwrap_or_default() {
            for part in parts.into_iter().flatten() {
                if next.0 == PartAction::Make {
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

pub(super) fn key(sides: &DdlContext<'_>, (act, part): &GraphNode) -> NodeRank {
    let schema = if *act == PartAction::Drop { &sides.before.schema } else { &sides.after.schema };
    let object = schema.get(&part.id);
    let holder = object.and_then(|object| match act {
        PartAction::Give => owner_of(schema, object, &|part| part.id.kind == Kind::Table),
        _ => holder_of(schema, object),
    });
    let id = holder.as_ref().map_or(&part.id, |holder| &holder.id);
    let group = match part.id.kind {
        // It would fire for everything that is done.
        Kind::EventTrigger => 2,
        Kind::Publication | Kind::DefaultPrivileges => 1,
        _ => u8::from(object.is_some_and(|object| is_foreign_key(object))),
    };
    // Columns in their order.
    let position = object.and_then(|object| place_in_type(sides, object).or(object.position)).unwrap_or(0);
    let rank = rank(id.kind);
    let (group, rank) = if *act == PartAction::Drop { (2 - group, -rank) } else { (group, rank) };
    (*act != PartAction::Drop, group, rank, id.schema.clone(), id.name.clone(), part.id.kind, position, part.clone())
}

/// The position of a column of a typed table: that of its attribute, if the type existed before and keeps its order.
fn place_in_type(sides: &DdlContext<'_>, column: &Object) -> Option<u32> {
    let table = sides.after.schema.get(&holder(&column.id, Kind::Table)).filter(|_| column.id.kind == Kind::Column)?;
    let of = QualifiedName::parse(table.fact("of type")?)?;
    let attribute = Id { parent: of.name().into(), ..named(Kind::Attribute, of.schema(), &column.id.name) };
    let old = sides.before.schema.get(&attribute);
    // New attributes come after the existing ones.
    old.map_or_else(|| column.position.map(|place| place + MOST_COLUMNS), |old| old.position)
}

/// Code comes after the tables, because its text may name them.
fn rank(kind: Kind) -> i16 {
    use Kind::{Aggregate, Cast, Function, Operator, OperatorClass, OperatorFamily, Procedure, Transform};
    let is_code =
        matches!(kind, Function | Procedure | Aggregate | Operator | OperatorFamily | OperatorClass | Cast | Transform);
    if is_code { Kind::ForeignTable as i16 * 2 + 1 } else { kind as i16 * 2 }
}
