//! The difference between two schemas, as data and in sentences.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use super::Schema;
use super::depend::HOLDERS;
use super::object::{Id, Kind, Object};

/// An object before and after; `None` if it does not exist.
pub(super) type ObjectPair = (Option<Arc<Object>>, Option<Arc<Object>>);

/// The difference between two schemas: the objects that only one has, and those with different facts.
///
/// Changes can be chained: [`SchemaChange::then`] returns what two of them do together, and nothing is left of a change
/// that the next one undoes.
#[derive(Debug, Clone, Default)]
pub struct SchemaChange {
    objects: BTreeMap<Arc<Id>, ObjectPair>,
}

/// The names of the two schemas of a difference: `only after rollback`.
#[derive(Debug, Clone, Copy)]
pub struct SideNames<'a> {
    /// The first schema.
    pub before: &'a str,
    /// The second schema.
    pub after: &'a str,
}

impl SchemaChange {
    /// What has to happen to the first schema to make it the second one.
    pub fn between(before: &Schema, after: &Schema) -> Self {
        let (mut ours, mut theirs) = (before.objects.iter().peekable(), after.objects.iter().peekable());
        let mut all: Vec<(Arc<Id>, ObjectPair)> = Vec::new();
        loop {
            // Both are in the same order, so neither has to be searched.
            let order = match (ours.peek(), theirs.peek()) {
                (Some((one, _)), Some((two, _))) => one.cmp(two),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let before = if order.is_le() { ours.next() } else { None };
            let after = if order.is_ge() { theirs.next() } else { None };
            let Some((id, _)) = before.or(after) else { break };
            let (before, after) = (before.map(|(_, object)| object), after.map(|(_, object)| object));
            if !is_same(before, after) {
                all.push((id.clone(), (before.cloned(), after.cloned())));
            }
        }
        Self { objects: all.into_iter().collect() }
    }

    /// Adds what happened to one object; if nothing happened, nothing is kept. A different order of columns is kept.
    pub(super) fn put(&mut self, id: &Arc<Id>, before: Option<Arc<Object>>, after: Option<Arc<Object>>) {
        match is_same(before.as_ref(), after.as_ref()) {
            true => drop(self.objects.remove(id)),
            false => drop(self.objects.insert(id.clone(), (before, after))),
        }
    }

    /// What this change and the next one do together.
    pub fn then(mut self, next: &Self) -> Self {
        for (id, (before, after)) in &next.objects {
            let first = match self.objects.get(id) {
                Some((first, _)) => first.clone(),
                None => before.clone(),
            };
            self.put(id, first, after.clone());
        }
        self
    }

    /// The same change without objects of one kind.
    pub fn without(mut self, kind: Kind) -> Self {
        self.objects.retain(|id, _| id.kind != kind);
        self
    }

    /// The change in reverse.
    pub fn reversed(&self) -> Self {
        let objects = self.objects.iter();
        Self { objects: objects.map(|(id, (before, after))| (id.clone(), (after.clone(), before.clone()))).collect() }
    }

    /// The objects with their old and their new state.
    pub fn objects(&self) -> impl Iterator<Item = (&Id, Option<&Object>, Option<&Object>)> {
        self.objects.iter().map(|(id, (before, after))| (&**id, before.as_deref(), after.as_deref()))
    }

    /// Whether there is no difference; the order of columns does not count.
    pub fn is_empty(&self) -> bool {
        self.objects.values().all(|(before, after)| before == after)
    }

    /// A sentence for each difference: `type public.order_status: only after rollback`.
    ///
    /// Parts of an object that is missing as a whole are not listed separately.
    pub fn sentences(&self, sides: SideNames<'_>) -> Vec<String> {
        self.by_object(sides).into_iter().flat_map(|(_, sentences)| sentences).collect()
    }

    /// The same by object; objects without a sentence are left out.
    pub fn by_object(&self, sides: SideNames<'_>) -> Vec<(Arc<Id>, Vec<String>)> {
        let columns = OnceCell::new();
        let owner_too = |id: &Id| self.owner_too(id, columns.get_or_init(|| self.columns()));
        let goes_along = |id: &Id| self.parent_too(id) || (id.kind == Kind::Sequence && owner_too(id));
        let sentences = |id: &Arc<Id>, sided: &ObjectPair| match sided {
            (Some(before), Some(after)) => facts(before, after),
            _ if goes_along(id) => Vec::new(),
            (Some(_), None) => vec![format!("{id}: only {}", sides.before)],
            (None, Some(one)) if is_invalid(one) => vec![format!("{id}: only {}, and invalid", sides.after)],
            (None, Some(_)) => vec![format!("{id}: only {}", sides.after)],
            (None, None) => Vec::new(),
        };
        let all = self.objects.iter().map(|(id, sided)| (id.clone(), sentences(id, sided)));
        all.filter(|(_, sentences)| !sentences.is_empty()).collect()
    }

    /// A sentence for each table, view and type whose columns have another order; a note, never an error.
    pub fn order_notes(&self) -> Vec<String> {
        let moved = |sided: &ObjectPair| matches!(sided, (Some(one), Some(two)) if one.position != two.position);
        let columns =
            self.objects.iter().filter(|(id, sided)| matches!(id.kind, Kind::Column | Kind::Attribute) && moved(sided));
        let holders: BTreeSet<Id> = columns.map(|(id, _)| self.holder(id)).collect();
        holders.iter().map(|holder| format!("{holder}: its columns are in another order")).collect()
    }

    /// What a column or an attribute belongs to. The different order of a view is also in its query, so views are
    /// included here too.
    fn holder(&self, column: &Id) -> Id {
        let of = |kind| Id::named(kind, &column.schema, &column.parent);
        let mut others = [Kind::View, Kind::MaterializedView, Kind::ForeignTable].into_iter().map(of);
        match column.kind {
            Kind::Attribute => of(Kind::Type),
            _ => others.find(|id| self.objects.contains_key(id)).unwrap_or_else(|| of(Kind::Table)),
        }
    }

    /// Whether the table, type or server that this belongs to is missing on the same side.
    fn parent_too(&self, id: &Id) -> bool {
        let Some(own) = self.objects.get(id).filter(|_| !id.parent.is_empty()) else { return false };
        HOLDERS.into_iter().any(|kind| {
            let first = Id::named(kind, &id.schema, &id.parent);
            let is_holder = |other: &Id| {
                other.kind == kind && other.schema == id.schema && other.parent.is_empty() && other.name == id.parent
            };
            let mut holders = self.objects.range::<Id, _>(first..).take_while(|(other, _)| is_holder(other));
            holders.any(|(_, sides)| is_on(own) == is_on(sides))
        })
    }

    /// Whether a sequence is missing together with the column that owns it.
    fn owner_too(&self, id: &Id, columns: &HashSet<(String, (bool, bool))>) -> bool {
        let Some(own) = self.objects.get(id) else { return false };
        let owner = own.0.as_ref().or(own.1.as_ref()).and_then(|sequence| sequence.fact("owned by"));
        let Some(owner) = owner.map(|owner| owner.trim_start_matches("identity of ")) else { return false };
        columns.contains(&(format!("column {owner}"), is_on(own)))
    }

    /// All columns, in the form in which a sequence names its owner, with the sides on which they exist.
    fn columns(&self) -> HashSet<(String, (bool, bool))> {
        let columns = self.objects.iter().filter(|(id, _)| id.kind == Kind::Column);
        columns.map(|(id, sides)| (id.to_string(), is_on(sides))).collect()
    }
}

/// On which sides an object exists.
fn is_on((before, after): &ObjectPair) -> (bool, bool) {
    (before.is_some(), after.is_some())
}

/// Whether an object did not change.
fn is_same(before: Option<&Arc<Object>>, after: Option<&Arc<Object>>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => {
            Arc::ptr_eq(before, after) || (before.facts == after.facts && before.position == after.position)
        }
        (None, None) => true,
        _ => false,
    }
}

/// Whether it is an index that no query uses: its build did not finish, or it waits for those of partitions.
fn is_invalid(object: &Object) -> bool {
    object.id.kind == Kind::Index && object.fact("valid").is_some()
}

/// A sentence for each fact that differs.
fn facts(before: &Object, after: &Object) -> Vec<String> {
    let names = |object: &Object| object.facts.iter().map(|fact| fact.name.clone()).collect::<Vec<_>>();
    let mut all = names(before);
    all.extend(names(after));
    all.sort();
    all.dedup();
    let differing = all.iter().filter(|name| before.differs_in(after, name));
    differing.map(|name| format!("{}: {}", before.id, fact(name, before.fact(name), after.fact(name)))).collect()
}

/// `numeric(10,2) → numeric(12,2)`; with the name of the fact if the values do not make it clear.
fn fact(name: &str, before: Option<&str>, after: Option<&str>) -> String {
    let (before, after) = (before.unwrap_or("none"), after.unwrap_or("none"));
    let only_blanks = flat(before.lines()) == flat(after.lines());
    let (before, after) = shortened(before, after);
    if only_blanks {
        return format!("{name} differs only in whitespace: {before}");
    }
    let valid = |value: &str| if value == "no" { "invalid" } else { "valid" };
    match name {
        "valid" => format!("{} → {}", valid(&before), valid(&after)),
        "type" | "definition" => format!("{before} → {after}"),
        name => format!("{name} {before} → {after}"),
    }
}

/// For two long texts the lines that differ; for two short ones everything, on one line.
fn shortened<'a>(before: &'a str, after: &'a str) -> (String, String) {
    if before.len() + after.len() < 160 || !(before.contains('\n') || after.contains('\n')) {
        return (flat(before.lines()), flat(after.lines()));
    }
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let middle = |lines: &[&'a str]| {
        let end = lines.len().saturating_sub(tail).max(head);
        flat(lines[head..end].iter().copied().take(4))
    };
    let place = format!("at line {}: ", head + 1);
    (place + &middle(&a), middle(&b))
}

fn flat<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let joined = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    if joined.is_empty() { "nothing".to_owned() } else { joined }
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences(SideNames { before: "before", after: "after" }).join("\n"))
    }
}
