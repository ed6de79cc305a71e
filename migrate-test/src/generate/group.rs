//! Rows of several tables that a statement reads together, drawn one after the other. What a later row needs
//! because of an earlier one becomes a constant in its conditions.

use std::collections::{BTreeMap, BTreeSet};

use migrate_base::ident::ident;
use migrate_schema::{Object, Schema};

use super::aims::TargetRows;
use super::context::{FillContext, RowTurn};
use super::draw::GeneratedRow;
use super::expr::{Expr, ExprForm};
use super::joined::{number, numbered};
use super::spec::{ColumnSpec, ForeignKey, TableSpec, insert, lineage};
use crate::rows::{TableName, holders, table_name};

/// The rows that an aim needs, in an order in which each row comes after those that its foreign keys need.
pub(super) struct RowGroup {
    members: Vec<GroupMember>,
    /// How many of its rows are needed; the others only reference them.
    needed: usize,
    /// How often it is drawn.
    pub(super) rows: usize,
}

/// A row of a group.
struct GroupMember {
    /// Its number in the aim.
    number: usize,
    /// The tables that it can be in: a single one, or partitions.
    tables: Vec<TableSpec>,
    /// Its conditions, including those that result from earlier rows.
    wanted: Vec<Expr>,
}

impl RowGroup {
    /// The group for an aim whose first table is this one; `None` if the aim needs no rows of that table.
    pub(super) fn of(
        schema: &Schema,
        object: &Object,
        aim: &TargetRows,
        is_open: &dyn Fn(&TableName) -> bool,
    ) -> Option<Self> {
        let others = aim.joined.tables.iter().skip(1).map(|name| named(schema, name, is_open));
        let mut tables: Vec<Vec<TableSpec>> =
            std::iter::once(vec![TableSpec::of(schema, object)]).chain(others).collect();
        let has = |number: usize, name: &str| column(&tables, number, name).is_some();
        let mut conditions = through_equals(without_twins(aim.joined.bound(&has), &tables));
        if conditions.is_empty() {
            return None;
        }
        let used: BTreeSet<usize> = conditions.iter().flat_map(numbers).chain([0]).collect();
        let mut order = ordered(&tables, &used, &equal(&conditions));
        let needed = order.len();
        for (table, condition) in
            if aim.deletes { followers(schema, object, tables.len(), is_open) } else { Vec::new() }
        {
            order.push(tables.len());
            tables.push(vec![table]);
            conditions.extend(condition);
        }
        let mut wanted: Vec<Vec<Expr>> = vec![Vec::new(); order.len()];
        for condition in conditions {
            let own = numbers(&condition);
            let Some(last) = order.iter().rposition(|number| own.contains(number)) else { continue };
            // Columns that others are compared with must not be NULL.
            for (member, wanted) in order[..last].iter().zip(&mut wanted) {
                let leaves = condition.leaves().into_iter().filter(|leaf| number(leaf) == Some(*member));
                let columns = leaves.filter_map(|leaf| column(&tables, *member, leaf.as_column()?));
                let nullable = columns.filter(|column| column.nullable).map(|column| ident(&column.name));
                wanted.extend(nullable.filter_map(|column| Expr::parse(&format!("{column} IS NOT NULL"))));
            }
            wanted[last].push(condition);
        }
        let mut tables: BTreeMap<usize, Vec<TableSpec>> = tables.into_iter().enumerate().collect();
        let member =
            |(number, wanted)| GroupMember { number, tables: tables.remove(&number).unwrap_or_default(), wanted };
        Some(Self { members: order.into_iter().zip(wanted).map(member).collect(), needed, rows: aim.rows() })
    }

    /// Distinguishes it from other groups.
    pub(super) fn texts(&self) -> Vec<String> {
        let of = |one: &GroupMember| one.wanted.iter().map(|one| one.text().to_owned()).collect::<Vec<_>>();
        self.members.iter().flat_map(of).collect()
    }

    /// The tables that its rows are inserted into.
    pub(super) fn tables(&self) -> impl Iterator<Item = TableName> {
        self.members.iter().flat_map(|one| &one.tables).map(TableSpec::name)
    }

    /// The statements that insert its rows. Rows that others depend on, and later attempts, are plainer in all
    /// other respects.
    pub(super) fn draw(&self, place: &mut FillContext<'_>, nth: u32, attempt: u32, apart: u32) -> String {
        let mut drawn: BTreeMap<usize, (&TableSpec, GeneratedRow)> = BTreeMap::new();
        let mut beside: BTreeMap<TableName, GeneratedRow> = BTreeMap::new();
        let mut command = String::new();
        let count = if nth.is_multiple_of(2) && attempt < 3 { self.members.len() } else { self.needed };
        for (at, member) in self.members.iter().enumerate().take(count) {
            let table = &member.tables[(nth + attempt) as usize % member.tables.len()];
            let there = place.rows.table(&table.name()).map_or(0, |rows| rows.rows.len() as u32);
            let serial = there + attempt * apart + nth * self.members.len() as u32 + at as u32;
            let wanted: Vec<Expr> = member.wanted.iter().filter_map(|one| own(one, member.number, &drawn)).collect();
            let whole = attempt > 2 || count > 1;
            let turn = RowTurn { serial, whole, aim: &wanted, ..RowTurn::default() };
            let own = beside.remove(&table.name());
            place.reseed();
            let row = place.draw_beside(table, turn, &beside, member.key_to_itself(table, &drawn));
            command += &insert(table, &row);
            command += ";";
            beside.extend(own.map(|row| (table.name(), row)));
            beside.entry(table.name()).or_insert_with(|| row.clone());
            drawn.insert(member.number, (table, row));
        }
        command
    }
}

impl GroupMember {
    /// The key of a row that references another row of its table, which is drawn as well.
    fn key_to_itself(&self, table: &TableSpec, drawn: &BTreeMap<usize, (&TableSpec, GeneratedRow)>) -> GeneratedRow {
        let keys = table.keys.iter().filter(|key| key.table == table.name());
        let columns: BTreeSet<&String> = keys.flat_map(|key| &key.columns).collect();
        let same = self.wanted.iter().filter_map(|condition| match condition.form() {
            ExprForm::Op(op, sides) if op == "=" => {
                let [left, right] = sides.as_slice() else { return None };
                let (own, other) = if number(left) == Some(self.number) { (left, right) } else { (right, left) };
                Some((own.as_column()?.to_owned(), value(other, drawn)?))
            }
            _ => None,
        });
        same.filter(|(column, _)| columns.contains(column)).collect()
    }
}

/// A condition on one row, with the columns of other rows replaced by their values.
fn own(condition: &Expr, own: usize, drawn: &BTreeMap<usize, (&TableSpec, GeneratedRow)>) -> Option<Expr> {
    let is_known = |leaf: &&Expr| number(leaf).is_none_or(|number| number == own || value(leaf, drawn).is_some());
    if !condition.leaves().iter().all(is_known) {
        return None;
    }
    condition.replaced(&|leaf| match number(leaf)? == own {
        true => leaf.as_column().map(ident),
        false => value(leaf, drawn),
    })
}

/// The value of a column in a row that was drawn before.
fn value(leaf: &Expr, drawn: &BTreeMap<usize, (&TableSpec, GeneratedRow)>) -> Option<String> {
    let (table, row) = drawn.get(&number(leaf)?)?;
    let name = leaf.as_column()?;
    let value = row.get(name).filter(|value| *value != "NULL")?;
    Some(format!("({value})::{}", table.column(name)?.type_name))
}

/// The tables with a name, or partitions of it, that may get rows.
fn named(schema: &Schema, name: &String, is_open: &dyn Fn(&TableName) -> bool) -> Vec<TableSpec> {
    let tables = holders(schema).filter(|table| lineage(schema, table).contains(name));
    tables.map(|table| TableSpec::of(schema, table)).filter(|table| is_open(&table.name())).collect()
}

/// The tables whose rows are deleted or changed together with those of this table, and the conditions on them;
/// the first of them has this number.
fn followers(
    schema: &Schema,
    object: &Object,
    first: usize,
    is_open: &dyn Fn(&TableName) -> bool,
) -> Vec<(TableSpec, Vec<Expr>)> {
    let name = table_name(object);
    let follows = |key: &ForeignKey| key.follows && key.table == name;
    let tables = holders(schema).filter(|table| is_open(&table_name(table)) && table_name(table) != name);
    let tables = tables.filter_map(|table| Some((table, ForeignKey::of(schema, table).find(follows)?)));
    let wanted = |(at, (table, key)): (usize, (&Object, ForeignKey))| {
        let same =
            key.columns.iter().zip(&key.referenced).filter_map(|(own, other)| {
                Expr::parse(&format!("{} = {}", numbered(first + at, own), numbered(0, other)))
            });
        (TableSpec::of(schema, table), same.collect())
    };
    tables.enumerate().map(wanted).collect()
}

fn column<'a>(tables: &'a [Vec<TableSpec>], number: usize, name: &str) -> Option<&'a ColumnSpec> {
    tables.get(number)?.first()?.column(name)
}

/// The numbers of the tables that a condition is about.
fn numbers(condition: &Expr) -> BTreeSet<usize> {
    condition.leaves().into_iter().filter_map(number).collect()
}

/// Tables in an order in which each comes after those that its foreign keys reference, as far as possible.
fn ordered(tables: &[Vec<TableSpec>], used: &BTreeSet<usize>, equal: &[BTreeSet<String>]) -> Vec<usize> {
    let mut left: Vec<usize> = used.iter().copied().collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        // Of two rows of one table, the one whose foreign key equals the key of the other comes later.
        let is_key = |at: usize, other: usize, key: &ForeignKey| {
            let is_equal = |(own, named): (&String, &String)| {
                equal
                    .iter()
                    .any(|class| [numbered(at, own), numbered(other, named)].iter().all(|one| class.contains(one)))
            };
            key.columns.iter().zip(&key.referenced).all(is_equal)
        };
        let names = |at: usize, other: usize| {
            let Some(named) = tables[other].first().map(TableSpec::name).filter(|_| at != other) else { return false };
            let mut keys = tables[at].iter().flat_map(|table| table.keys.iter().map(move |key| (table, key)));
            keys.any(|(table, key)| key.table == named && (table.name() != named || is_key(at, other, key)))
        };
        let at = left.iter().position(|at| !left.iter().any(|other| names(*at, *other))).unwrap_or_default();
        order.push(left.remove(at));
    }
    order
}

/// The classes of columns that are equal.
fn equal(conditions: &[Expr]) -> Vec<BTreeSet<String>> {
    let mut classes: Vec<BTreeSet<String>> = Vec::new();
    for one in conditions {
        if let ExprForm::Op(op, sides) = one.form()
            && let ("=", [left, right]) = (op.as_str(), sides.as_slice())
            && left.as_column().is_some()
            && right.as_column().is_some()
        {
            let pair = BTreeSet::from([left, right].map(|side| side.bare().text().to_owned()));
            let (met, apart): (Vec<_>, Vec<_>) = classes.into_iter().partition(|class| !class.is_disjoint(&pair));
            classes = apart;
            classes.push(met.into_iter().flatten().chain(pair).collect());
        }
    }
    classes
}

/// Two rows of a table with the same key are a single row.
fn without_twins(mut conditions: Vec<Expr>, tables: &[Vec<TableSpec>]) -> Vec<Expr> {
    let classes = equal(&conditions);
    for (twin, one) in (0..tables.len()).flat_map(|twin| (0..twin).map(move |one| (twin, one))) {
        let (Some(table), Some(other)) = (tables[one].first(), tables[twin].first()) else { continue };
        let key = |column: &String| [one, twin].map(|number| numbered(number, column));
        let is_same = |column: &String| classes.iter().any(|class| key(column).iter().all(|name| class.contains(name)));
        let mut keys = table.unique.values().filter(|columns| !columns.is_empty());
        if table.name() == other.name() && keys.any(|columns| columns.iter().all(is_same)) {
            let named = |leaf: &Expr| match number(leaf)? == twin {
                true => Some(numbered(one, leaf.as_column()?)),
                false => None,
            };
            conditions = conditions.iter().filter_map(|condition| condition.replaced(&named)).collect();
        }
    }
    let mut known = BTreeSet::new();
    conditions.retain(|condition| known.insert(condition.text().to_owned()));
    conditions
}

/// A condition on one of several equal columns applies to the others as well.
fn through_equals(mut conditions: Vec<Expr>) -> Vec<Expr> {
    let classes = equal(&conditions);
    let mut found = Vec::new();
    for condition in &conditions {
        let columns: BTreeSet<&str> = condition.leaves().into_iter().map(Expr::text).collect();
        let of = |class: &&BTreeSet<String>| columns.len() == 1 && columns.iter().all(|column| class.contains(*column));
        for other in classes.iter().filter(of).flatten().filter(|other| !columns.contains(other.as_str())) {
            found.extend(condition.replaced(&|_| Some(other.clone())));
        }
    }
    conditions.extend(found);
    conditions
}

impl TableSpec {
    fn column(&self, name: &str) -> Option<&ColumnSpec> {
        self.columns.iter().find(|column| column.name == name)
    }
}
