//! Renames NOT NULL constraints before anything else happens.
//!
//! Since PostgreSQL 18 NOT NULL is a constraint with a name. The server renames it together with the constraints of all
//! tables below, or refuses if one of those tables has another name for its own constraint. Such tables are detached
//! from the table above in the meantime.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use migrate_base::ident::{QualifiedName, plain};

use super::fate::{PartFate, is_foreign_key};
use super::name::{aside, free, named, parent, qualified};
use super::{DdlContext, DdlStatement, Hazard, inherit, not_null, partition, table};
use crate::Schema;
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};

/// The statements that lead from the old names to the new ones.
#[derive(Default)]
pub(super) struct RenameStatements {
    /// These come before all other statements.
    pub(super) first: Vec<DdlStatement>,
    /// These come after them, when the previous holder of the new name is gone.
    pub(super) last: Vec<DdlStatement>,
}

/// A NOT NULL constraint that exists before.
struct NotNullNode<'a> {
    column: &'a Object,
    table: &'a Object,
    old: &'a str,
    /// Its new name; `None` if it is dropped, so that any name will do.
    wanted: Option<Cow<'a, str>>,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// How long a name is taken.
enum NameHeld {
    /// Until another NOT NULL constraint has its new name.
    Meanwhile,
    /// Until something else is dropped.
    Long,
}

/// The NOT NULL constraints of a schema, each with those that it is inherited from.
struct NotNullTree<'a> {
    all: Vec<NotNullNode<'a>>,
    /// The constraints of each table.
    of_table: HashMap<&'a Id, Vec<usize>>,
    /// Pairs of a constraint and one below it that are separated in the meantime.
    cut: BTreeSet<(usize, usize)>,
}

/// The statements that give the NOT NULL constraints that stay their new names.
pub(super) fn renamed(sides: &DdlContext<'_>) -> RenameStatements {
    let mut tree = NotNullTree::of(sides);
    let differ: Vec<usize> = (0..tree.all.len()).filter(|at| tree.differs(*at)).collect();
    let mut all = RenameStatements::default();
    if !differ.is_empty() {
        let order = tree.component(differ);
        tree.follow(&order);
        tree.part(&order);
        all = tree.statements(sides, &order);
    }
    let kept = tree.all.iter().filter(|one| becomes_own(sides, one.column));
    all.first.extend(kept.map(|one| DdlStatement::new(not_null::set(&one.column.id)).of_object(&one.column.id)));
    all
}

/// Whether it would be dropped with the constraint of a table above, although it stays.
fn becomes_own(sides: &DdlContext<'_>, old: &Object) -> bool {
    let (before, after) = (&sides.before.schema, &sides.after.schema);
    let is_own = |new: &Object| new.fact("not null").is_some() && new.fact("not null inherited").is_none();
    old.fact("not null inherited") == Some("only")
        && stays(sides, old).is_some_and(is_own)
        && inherit::follows(before, after, &old.id)
}

/// The column with the same constraint after, if its constraint stays.
fn stays<'a>(sides: &'a DdlContext<'_>, old: &Object) -> Option<&'a Object> {
    let new = sides.after.schema.get(&old.id)?;
    let table = inherit::table_of(&sides.before.schema, &old.id)?;
    let is_kept = |id: &Arc<Id>| matches!(sides.fates.get(&SchemaPart::object(id)), PartFate::Kept | PartFate::Altered);
    let is_same = is_kept(&old.id) && is_kept(&table.id) && !not_null::is_made_again(old, new);
    Some(&**new).filter(|_| is_same)
}

/// The name of a constraint until it is dropped, if something else in its table gets the current name.
fn gives_up(sides: &DdlContext<'_>, column: &Object, table: &Object, old: &str) -> Option<String> {
    let (before, after) = (&sides.before.schema, &sides.after.schema);
    let of_column = |one: &Arc<Object>| one.id != column.id && table::not_null_name(one) == Some(old);
    let is_wanted = after.children(&table.id, Kind::Column).any(of_column)
        || after.children(&table.id, Kind::Constraint).any(|one| *one.id.name == *old);
    let is_own = column.fact("not null inherited").is_none() && after.get(&column.id).is_some();
    let id = Id { name: old.into(), ..(*column.id).clone() };
    (is_own && is_wanted).then(|| free(before, after, &id, "__gone").next()).flatten()
}

impl NotNullNode<'_> {
    /// Whether another constraint has the same names, before and after.
    fn is_named_as(&self, other: &Self) -> bool {
        (self.old, &self.wanted) == (other.old, &other.wanted)
    }

    /// Its final name, or its name until it is dropped.
    fn becomes(&self) -> &str {
        self.wanted.as_deref().unwrap_or(self.old)
    }
}

impl<'a> NotNullTree<'a> {
    fn of(sides: &'a DdlContext<'_>) -> Self {
        let before = &sides.before.schema;
        let mut all = Vec::new();
        let mut known: HashMap<&Id, usize> = HashMap::new();
        for column in before.objects().filter(|one| one.id.kind == Kind::Column) {
            let Some((old, table)) = table::not_null_name(column).zip(inherit::table_of(before, &column.id)) else {
                continue;
            };
            let kept = stays(sides, column).and_then(table::not_null_name).map(Cow::Borrowed);
            let wanted = kept.or_else(|| gives_up(sides, column, table, old).map(Cow::Owned));
            known.insert(&column.id, all.len());
            all.push(NotNullNode { column, table, old, wanted, above: Vec::new(), below: Vec::new() });
        }
        for at in 0..all.len() {
            let one = &all[at];
            if one.column.fact("not null inherited").is_none() {
                continue;
            }
            let theirs = |of: &QualifiedName| not_null::of(of, &one.column.id);
            let above: Vec<usize> =
                one.table.parents().iter().filter_map(|of| known.get(&theirs(of)).copied()).collect();
            let above: Vec<usize> = above.into_iter().filter(|at| table::not_null_goes_down(all[*at].column)).collect();
            above.iter().for_each(|parent| all[*parent].below.push(at));
            all[at].above = above;
        }
        let mut of_table: HashMap<&Id, Vec<usize>> = HashMap::new();
        all.iter().enumerate().for_each(|(at, one)| of_table.entry(&one.table.id).or_default().push(at));
        Self { all, of_table, cut: BTreeSet::new() }
    }

    fn differs(&self, at: usize) -> bool {
        self.all[at].becomes() != self.all[at].old
    }

    /// The constraints of a partition, which is detached with all of them.
    fn beside(&self, at: usize) -> &[usize] {
        let table = self.all[at].table;
        self.of_table.get(&*table.id).filter(|_| bound(table).is_some()).map(Vec::as_slice).unwrap_or_default()
    }

    /// All constraints that are connected with these, those above first.
    fn component(&self, start: Vec<usize>) -> Vec<usize> {
        let (mut found, mut queue) = (BTreeSet::new(), start);
        while let Some(at) = queue.pop() {
            if found.insert(at) {
                let beside = self.beside(at).iter();
                queue.extend(self.all[at].above.iter().chain(&self.all[at].below).chain(beside));
            }
        }
        let waits = |at: &usize| self.all[*at].above.len();
        let mut waiting: HashMap<usize, usize> = found.iter().map(|at| (*at, waits(at))).collect();
        let mut order: Vec<usize> = found.into_iter().filter(|at| waits(at) == 0).collect();
        let mut done = 0;
        while let Some(at) = order.get(done).copied() {
            done += 1;
            for below in &self.all[at].below {
                let Some(left) = waiting.get_mut(below) else { continue };
                *left -= 1;
                order.extend((*left == 0).then_some(*below));
            }
        }
        order
    }

    /// A constraint that is dropped follows the constraint above it.
    fn follow(&mut self, order: &[usize]) {
        for at in order {
            let one = &self.all[*at];
            if one.wanted.is_none() {
                let theirs = one.above.iter().map(|above| &self.all[*above]).find(|theirs| theirs.old == one.old);
                let wanted = theirs.and_then(|theirs| theirs.wanted.clone()).unwrap_or(Cow::Borrowed(one.old));
                self.all[*at].wanted = Some(wanted);
            }
        }
    }

    /// Separates the constraints that get other names than those above them.
    fn part(&mut self, order: &[usize]) {
        let mut known = None;
        while known != Some(self.cut.len()) {
            known = Some(self.cut.len());
            for at in order {
                let one = &self.all[*at];
                let pairs: Vec<(usize, usize)> = one.above.iter().map(|above| (*above, *at)).collect();
                let differs = pairs.iter().any(|(above, _)| !one.is_named_as(&self.all[*above]));
                let is_parted = self.beside(*at).iter().chain([at]).any(|at| self.is_parted(*at));
                let is_of_several = pairs.len() > 1 && self.differs(*at);
                // A constraint that is itself inherited cannot be kept local.
                let lets_go =
                    one.below.iter().any(|below| self.cut.contains(&(*at, *below)) && !self.is_partition(*below));
                if differs || is_parted || is_of_several || lets_go {
                    self.cut.extend(pairs);
                }
                let below = &self.all[*at].below;
                let parted = below.iter().any(|below| self.cut.contains(&(*at, *below)));
                let inherits: Vec<_> = below.iter().filter(|below| !self.is_partition(**below)).collect();
                if parted {
                    self.cut.extend(inherits.into_iter().map(|below| (*at, *below)));
                }
            }
        }
    }

    /// Whether it is separated from a constraint above it.
    fn is_parted(&self, at: usize) -> bool {
        self.all[at].above.iter().any(|above| self.cut.contains(&(*above, at)))
    }

    fn is_partition(&self, at: usize) -> bool {
        bound(self.all[at].table).is_some()
    }

    fn statements(&self, sides: &DdlContext<'_>, order: &[usize]) -> RenameStatements {
        let mut all = RenameStatements::default();
        let keeps = |at: &usize| {
            let of = self.all[*at].table;
            let is_plain = of.fact("partition bound").or(of.fact("partition key")).is_none();
            is_plain && self.all[*at].below.iter().any(|below| self.cut.contains(&(*at, *below)))
        };
        let keeping: Vec<&NotNullNode<'_>> = order.iter().filter(|at| keeps(at)).map(|at| &self.all[*at]).collect();
        let loose = self.loose(order);
        let says = |one: &NotNullNode<'_>, name: &str, how: &str| {
            alter(one, format!("ALTER CONSTRAINT {} {how}", plain(name)))
        };
        all.first.extend(keeping.iter().map(|one| says(one, one.old, "NO INHERIT")));
        all.first.extend(loose.values().filter_map(|table| left(sides, table)));
        self.rename(sides, order, &mut all);
        all.first.extend(keeping.iter().rev().map(|one| says(one, one.becomes(), "INHERIT")));
        for table in loose.values().rev() {
            all.first.extend(joined(sides, table));
            let local = not_null::local_again(&sides.before.schema, table).into_iter();
            all.first.extend(local.map(|text| DdlStatement::new(text).of_object(&table.id)));
        }
        all
    }

    /// Renames each constraint that is separated from those above it, with all constraints below that are not separated
    /// from it. If something else has the new name, it gets a temporary name until the new one is free.
    fn rename(&self, sides: &DdlContext<'_>, order: &[usize], all: &mut RenameStatements) {
        let (before, after) = (&sides.before.schema, &sides.after.schema);
        let is_alone = |at: usize| self.all[at].above.iter().all(|above| self.cut.contains(&(*above, at)));
        let mut then = Vec::new();
        for at in order.iter().copied().filter(|at| self.differs(*at) && is_alone(*at)) {
            let one = &self.all[at];
            let wanted = one.becomes();
            let to = |old: &str, new: &str| alter(one, format!("RENAME CONSTRAINT {} TO {}", plain(old), plain(new)));
            let Some(taken) = self.taken(before, one, wanted) else {
                all.first.push(to(one.old, wanted));
                continue;
            };
            let meanwhile = aside(before, after, &Id { name: wanted.into(), ..(*one.column.id).clone() });
            all.first.push(to(one.old, &meanwhile));
            let next = match taken {
                NameHeld::Meanwhile => &mut then,
                NameHeld::Long => &mut all.last,
            };
            next.push(to(&meanwhile, wanted));
        }
        all.first.extend(then);
    }

    /// The tables that are temporarily detached from their parent or their type, by name: partitions, and typed tables.
    fn loose(&self, order: &[usize]) -> BTreeMap<&Id, &Object> {
        let lets_go = |at: &&usize| match self.all[**at].table.fact("of type") {
            // A typed table does not allow any renaming.
            Some(_) => self.differs(**at),
            None => bound(self.all[**at].table).is_some() && self.is_parted(**at),
        };
        let tables = order.iter().filter(lets_go).map(|at| self.all[*at].table);
        tables.map(|table| (&*table.id, table)).collect()
    }

    /// How long something else in the table holds a wanted name.
    fn taken(&self, before: &Schema, one: &NotNullNode<'_>, wanted: &str) -> Option<NameHeld> {
        let beside = self.of_table.get(&*one.table.id).into_iter().flatten().map(|at| &self.all[*at]);
        let other = beside.into_iter().find(|other| other.old == wanted);
        let is_renamed = |other: &NotNullNode<'_>| other.becomes() != wanted;
        match other {
            Some(other) if is_renamed(other) => Some(NameHeld::Meanwhile),
            Some(_) => Some(NameHeld::Long),
            None => {
                let mut keys = before.children(&one.table.id, Kind::Constraint);
                keys.any(|key| *key.id.name == *wanted).then_some(NameHeld::Long)
            }
        }
    }
}

fn bound(table: &Object) -> Option<&str> {
    table.fact("partition bound")
}

fn alter(one: &NotNullNode<'_>, what: String) -> DdlStatement {
    DdlStatement::new(format!("ALTER TABLE {} {what}", parent(&one.column.id))).of_object(&one.column.id)
}

/// The statement that detaches a table from its parent or type. Rows of a partition that others reference prevent it.
fn left(sides: &DdlContext<'_>, table: &Object) -> Option<DdlStatement> {
    let name = qualified(&table.id);
    if table.fact("of type").is_some() {
        return Some(DdlStatement::new(format!("ALTER TABLE {name} NOT OF")).of_object(&table.id));
    }
    let of = table.fact("parents")?;
    let detach = DdlStatement::new(format!("ALTER TABLE {of} DETACH PARTITION {name}")).of_object(&table.id);
    let schema = &sides.before.schema;
    let above = QualifiedName::parse(of).map(|of| named(Kind::Table, of.schema(), of.name()));
    let refers = |above: &Id, user: &Id| {
        let is_other = user.parent != above.name || user.schema != above.schema;
        is_other && schema.get(user).is_some_and(|one| is_foreign_key(one))
    };
    let is_referred =
        above.is_some_and(|above| sides.before.dependencies.users(&above).any(|user| refers(&above, user)));
    let refused = is_referred.then(|| Hazard::Refused(format!("rows of {} that other tables reference", table.id)));
    Some(refused.into_iter().fold(detach, DdlStatement::with))
}

/// The statement that attaches a table to its parent or type again.
fn joined(sides: &DdlContext<'_>, table: &Object) -> Option<DdlStatement> {
    let text = match table.fact("of type") {
        Some(of) => format!("ALTER TABLE {} OF {of}", qualified(&table.id)),
        None => table::attach(table)?,
    };
    Some(partition::attaching(sides, table, text).of_object(&table.id))
}
