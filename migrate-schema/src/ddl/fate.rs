//! What happens to each part of a schema on the way to another one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::alter::{self, AlterMethod};
use super::alter_table;
use super::name::named;
use super::taken::TakenNames;
use super::{DdlStatement, count, identity, inherit, loose, not_null, partition, retype, row_type, sequence, swap};
use crate::depend::{SchemaPart, is_holder};
use crate::object::{Id, Kind, Object};
use crate::{Schema, SchemaDescription};

/// Inherited from the parents, and also declared by the table itself.
const LOCAL: Option<&str> = Some("and local");

/// What happens to a part; a part that is not listed is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartFate {
    Kept,
    Made,
    Dropped,
    /// Dropped and created again.
    Remade,
    /// Altered in place.
    Altered,
}

/// What happens to all parts.
#[derive(Debug, Default)]
pub(super) struct PartFates {
    fates: BTreeMap<SchemaPart, PartFate>,
    /// The statements that alter parts in place.
    altered: BTreeMap<SchemaPart, Vec<DdlStatement>>,
    /// Columns that are converted to another type of the same name, each with that type.
    carried: BTreeMap<SchemaPart, SchemaPart>,
    /// Composite types that are created together with the type of one of their attributes, each with that type.
    makers: BTreeMap<SchemaPart, SchemaPart>,
    /// Tables that temporarily leave some of their parents, or their type.
    loose: BTreeSet<SchemaPart>,
    /// Columns that lose a NOT NULL and get it back.
    required_again: BTreeSet<SchemaPart>,
    /// Sequences of identity columns that are renamed, each with its old state.
    renamed: BTreeMap<SchemaPart, Arc<Object>>,
}

impl PartFates {
    pub(super) fn get(&self, part: &SchemaPart) -> PartFate {
        self.fates.get(part).copied().unwrap_or(PartFate::Kept)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&SchemaPart, PartFate)> {
        self.fates.iter().map(|(part, fate)| (part, *fate))
    }

    /// The parts that are created, for the first time or again.
    pub(super) fn made(&self) -> impl Iterator<Item = &SchemaPart> {
        self.iter().filter(|(_, fate)| matches!(fate, PartFate::Made | PartFate::Remade)).map(|(part, _)| part)
    }

    pub(super) fn altered(&self, part: &SchemaPart) -> &[DdlStatement] {
        self.altered.get(part).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether this belongs to a domain that is replaced with all its constraints.
    pub(super) fn is_of_swapped(&self, id: &Id) -> bool {
        self.carried.values().any(|kind| kind.id.schema == id.schema && kind.id.name == id.parent)
    }

    /// Whether this is a type that replaces an old one, together with the columns of that type.
    pub(super) fn is_swapped(&self, part: &SchemaPart) -> bool {
        self.carried.values().any(|kind| kind == part)
    }

    /// The type with which a column is converted.
    pub(super) fn carried(&self, part: &SchemaPart) -> Option<&SchemaPart> {
        self.carried.get(part)
    }

    pub(super) fn of(before: &SchemaDescription, after: &SchemaDescription) -> Self {
        let mut fates = Self::default();
        let mut queue = Vec::new();
        for object in before.schema.objects() {
            for part in parts(object) {
                let Some(new) = after.schema.get(&object.id).filter(|new| parts(new).contains(&part)) else {
                    if fates.replace(&before.schema, &after.schema, &part, object, &mut queue) {
                        continue;
                    }
                    queue.push(part.clone());
                    fates.fates.insert(part, PartFate::Dropped);
                    continue;
                };
                fates.compare(&before.schema, &after.schema, part, object, new, &mut queue);
            }
        }
        for part in after.schema.objects().flat_map(|object| parts(object)) {
            if before.schema.get(&part.id).is_none_or(|old| !parts(old).contains(&part)) {
                fates.fates.entry(part).or_insert(PartFate::Made);
            }
        }
        for view in row_type::going(before, after, &fates) {
            fates.fates.insert(
                view.clone(),
                if after.schema.get(&view.id).is_some() { PartFate::Remade } else { PartFate::Dropped },
            );
            queue.push(view);
        }
        fates.spread(before, after, queue);
        fates.sequences(before, after);
        fates.renames(&before.schema, &after.schema);
        fates.default_privileges(before);
        fates.not_valid(&after.schema);
        fates.require_again(&before.schema, &after.schema);
        fates.loosen(&before.schema, &after.schema);
        fates
    }

    /// Compares a part that both schemas have.
    fn compare(
        &mut self,
        before: &Schema,
        after: &Schema,
        part: SchemaPart,
        old: &Object,
        new: &Object,
        queue: &mut Vec<SchemaPart>,
    ) {
        if part.default {
            if old.differs_in(new, "default") && !follows_parent(before, after, old, new, &["default"]) {
                self.fates.insert(part, PartFate::Altered);
            }
            return;
        }
        let has_to_go = || partition::moves_rows(before, after, new) || partition::passes_over(before, after, new);
        if old == new && !has_to_go() {
            return;
        }
        let facts: Vec<&str> = old.facts.iter().chain(&new.facts).map(|fact| &*fact.name).collect();
        if old.id.kind == Kind::Column && follows_parent(before, after, old, new, &facts) {
            return;
        }
        // A type that has changed takes its columns with it, including columns that change to another type made from
        // it.
        let carried = self.carried.contains_key(&part).then(|| retype::as_carried(old, new));
        match alter::object(before, after, carried.as_ref().unwrap_or(old), new) {
            AlterMethod::Remake => {
                queue.push(part.clone());
                self.fates.insert(part, PartFate::Remade);
            }
            AlterMethod::InPlace { statements, disturbs } => {
                if disturbs {
                    queue.push(part.clone());
                    self.carry(before, after, &part, queue);
                }
                self.altered.insert(part.clone(), statements);
                self.fates.insert(part, PartFate::Altered);
            }
        }
    }

    /// A type that is replaced by a domain of the same name, or the reverse, if columns have that type.
    fn replace(
        &mut self,
        before: &Schema,
        after: &Schema,
        part: &SchemaPart,
        old: &Object,
        queue: &mut Vec<SchemaPart>,
    ) -> bool {
        let kind = match part.id.kind {
            Kind::Type => Kind::Domain,
            Kind::Domain => Kind::Type,
            _ => return false,
        };
        let Some(new) = after.get(&named(kind, &part.id.schema, &part.id.name)) else { return false };
        let AlterMethod::InPlace { statements, .. } = swap::swapped(before, after, old, new) else { return false };
        let twin = SchemaPart::object(&new.id);
        self.altered.insert(twin.clone(), statements);
        self.fates.insert(twin.clone(), PartFate::Altered);
        self.carried.insert(part.clone(), twin.clone());
        self.carry(before, after, &twin, queue);
        queue.push(part.clone());
        true
    }

    /// Records the columns that are converted with a type.
    fn carry(&mut self, before: &Schema, after: &Schema, part: &SchemaPart, queue: &mut Vec<SchemaPart>) {
        if !matches!(part.id.kind, Kind::Type | Kind::Domain) {
            return;
        }
        for column in swap::columns_of(before, after, &part.id) {
            let column = SchemaPart::object(&column.id);
            self.carried.insert(column.clone(), part.clone());
            queue.push(column);
        }
        // Its constraints and attributes are created with it, and get all their properties again.
        for kind in [Kind::Constraint, Kind::Attribute] {
            let kept = before.children(&part.id, kind).filter(|one| after.get(&one.id).is_some());
            let kept: Vec<SchemaPart> = kept.map(|one| SchemaPart::object(&one.id)).collect();
            self.fates.extend(kept.into_iter().map(|part| (part, PartFate::Remade)));
        }
        for composite in swap::with_it(before, after, &part.id) {
            let composite = SchemaPart::object(&composite.id);
            // The statements for the type of its attribute create it.
            self.altered.insert(composite.clone(), Vec::new());
            self.makers.insert(composite.clone(), part.clone());
            self.fates.insert(composite.clone(), PartFate::Altered);
            queue.push(composite.clone());
            self.carry(before, after, &composite, queue);
        }
    }

    /// Dependents of something that is dropped or disturbed have to be dropped too, and created again.
    fn spread(&mut self, before: &SchemaDescription, after: &SchemaDescription, mut queue: Vec<SchemaPart>) {
        let mut users: HashMap<&SchemaPart, Vec<&SchemaPart>> = HashMap::new();
        for (part, on) in before.dependencies.pairs() {
            users.entry(on).or_default().push(part);
        }
        let mut seen: BTreeSet<SchemaPart> = BTreeSet::new();
        while let Some(part) = queue.pop() {
            if !seen.insert(part.clone()) {
                continue;
            }
            for user in users.get(&part).into_iter().flatten() {
                if self.goes_with(before, after, &part, user) {
                    self.altered.remove(*user);
                    self.fates.insert((*user).clone(), PartFate::Remade);
                    seen.remove(*user);
                    queue.push((*user).clone());
                }
            }
        }
    }

    /// A NOT VALID check would be valid in a new table below its own, so it is created again after that table.
    fn not_valid(&mut self, after: &Schema) {
        let is_new = |id: &Arc<Id>| matches!(self.get(&SchemaPart::object(id)), PartFate::Made | PartFate::Remade);
        let below = after.objects().filter(|one| is_not_valid(one) && one.fact("inherited") == Some("only"));
        let mut again = BTreeSet::new();
        for one in below.filter(|one| inherit::table_of(after, &one.id).is_some_and(|table| is_new(&table.id))) {
            let above = inherit::above(after, &one.id).into_iter();
            again.extend(
                above
                    .filter(|one| is_not_valid(one) && one.fact("inherited") != Some("only"))
                    .map(|one| SchemaPart::object(&one.id)),
            );
        }
        for part in again {
            self.fates.entry(part).or_insert(PartFate::Remade);
        }
    }

    /// A NOT NULL that is not valid is dropped and added again if new tables are to get it as it is.
    fn require_again(&mut self, before: &Schema, after: &Schema) {
        let again = not_null::again(before, after, self);
        if again.is_empty() {
            return;
        }
        let taken = TakenNames::of(before, after);
        for column in again {
            let part = SchemaPart::object(&column.id);
            let statements = self.altered.entry(part.clone()).or_default();
            statements.push(DdlStatement::new(not_null::dropped(&column.id)));
            statements.push(DdlStatement::new(not_null::required(&taken, &column)));
            statements.extend(not_null::comment(&column).filter(|_| column.fact(not_null::COMMENT).is_some()));
            self.fates.insert(part.clone(), PartFate::Altered);
            self.required_again.insert(part);
        }
    }

    /// Whether a column loses a NOT NULL that is not valid and gets it back.
    pub(super) fn is_required_again(&self, part: &SchemaPart) -> bool {
        self.required_again.contains(part)
    }

    /// Tables with columns from several parents that change their type, and typed tables whose type changes.
    fn loosen(&mut self, before: &Schema, after: &Schema) {
        let loose = loose::tables(before).filter(|table| loose::is_loose(before, after, self, table));
        for table in loose.collect::<Vec<_>>() {
            let part = SchemaPart::object(&table.id);
            self.altered.entry(part.clone()).or_default().splice(0..0, loose::left(table));
            self.fates.insert(part.clone(), PartFate::Altered);
            self.loose.insert(part);
        }
    }

    /// The part whose statements create this type.
    pub(super) fn maker<'a>(&'a self, mut part: &'a SchemaPart) -> &'a SchemaPart {
        for _ in 0..self.makers.len() {
            part = self.makers.get(part).unwrap_or(part);
        }
        part
    }

    /// Whether this is a table that temporarily leaves some of its parents, or its type.
    pub(super) fn is_loose(&self, part: &SchemaPart) -> bool {
        self.loose.contains(part)
    }

    /// The objects created by an extension get the default privileges, and it is unknown which objects these are. So
    /// the default privileges are restored after it.
    fn default_privileges(&mut self, before: &SchemaDescription) {
        if !self.made().any(|part| part.id.kind == Kind::Extension) {
            return;
        }
        let all = before.schema.objects().filter(|object| object.id.kind == Kind::DefaultPrivileges);
        for part in all.map(|object| SchemaPart::object(&object.id)) {
            if matches!(self.get(&part), PartFate::Kept | PartFate::Altered) {
                self.altered.remove(&part);
                self.fates.insert(part, PartFate::Remade);
            }
        }
    }

    /// A sequence is detached before its column is dropped and created again; the sequence of an identity column is
    /// dropped and created with it.
    fn sequences(&mut self, before: &SchemaDescription, after: &SchemaDescription) {
        let pairs = before.schema.objects().filter(|one| one.id.kind == Kind::Sequence);
        for (old, new) in pairs.filter_map(|old| Some((old, after.schema.get(&old.id)?))) {
            let part = SchemaPart::object(&old.id);
            let stays = matches!(self.get(&part), PartFate::Kept | PartFate::Altered);
            if !stays || !self.loses_owner(&before.schema, old) {
                continue;
            }
            match (sequence::is_identity(old), sequence::is_identity(new)) {
                (true, true) => {
                    self.altered.remove(&part);
                    self.fates.insert(part, PartFate::Remade);
                }
                (false, false) if old.fact("owned by") == new.fact("owned by") => {
                    self.altered.entry(part.clone()).or_default().push(count::released(old));
                    self.fates.insert(part, PartFate::Altered);
                }
                _ => {}
            }
        }
    }

    /// The sequence of an identity column that stays is renamed, and the previous holder of the new name is dropped.
    fn renames(&mut self, before: &Schema, after: &Schema) {
        for (old, new) in identity::renamed(before, after, self) {
            let [was, is] = [&old, &new].map(|one| SchemaPart::object(&one.id));
            let fate = if before.get(&new.id).is_some() { PartFate::Remade } else { PartFate::Made };
            self.fates.insert(is.clone(), fate);
            let leaves = if after.get(&old.id).is_some() { PartFate::Made } else { PartFate::Dropped };
            self.fates.entry(was).and_modify(|fate| *fate = leaves);
            self.renamed.insert(is, old);
        }
    }

    /// The old state of a sequence of an identity column that is renamed.
    pub(super) fn renamed(&self, part: &SchemaPart) -> Option<&Arc<Object>> {
        self.renamed.get(part)
    }

    /// Whether the column that owns a sequence is dropped, even if it is created again.
    pub(super) fn loses_owner(&self, before: &Schema, sequence: &Object) -> bool {
        let Some((of, column)) = sequence::owner(sequence) else { return false };
        let column = Id { parent: of.name().into(), ..named(Kind::Column, of.schema(), &column) };
        [column, named(Kind::Table, of.schema(), of.name())].iter().any(|id| {
            let part = before.get(id).map(|object| SchemaPart::object(&object.id));
            part.is_some_and(|part| matches!(self.get(&part), PartFate::Dropped | PartFate::Remade))
        })
    }

    /// Whether a part that is kept or altered so far has to be created again because of a part that it depends on.
    fn goes_with(
        &self,
        before: &SchemaDescription,
        after: &SchemaDescription,
        on: &SchemaPart,
        user: &SchemaPart,
    ) -> bool {
        use Kind::{
            AccessMethod, Attribute, Column, Constraint, Domain, Extension, ForeignTable, Index, Language, Schema,
            Sequence, Statistics, Table, Type,
        };
        if !matches!(self.get(user), PartFate::Kept | PartFate::Altered) {
            return false;
        }
        let goes = matches!(self.get(on), PartFate::Dropped | PartFate::Remade);
        let is_child =
            goes && is_holder(on.id.kind) && *user.id.parent == *on.id.name && user.id.schema == on.id.schema;
        let retyped = on.id.kind == Column && !on.default && !goes;
        let Some(object) = before.schema.get(&user.id) else { return false };
        if is_child {
            return true;
        }
        if user.default {
            // The server casts the default along with its column, unless another default is wanted.
            return user.id != on.id || goes || self.get(user) == PartFate::Altered;
        }
        match user.id.kind {
            ForeignTable if on.id.kind == Kind::Server => goes,
            Table | ForeignTable => goes && matches!(on.id.kind, Table | ForeignTable),
            Column => {
                let lets_go = |new: &Arc<Object>| alter_table::keeps_values(object, new);
                object.fact("generated").is_some() && !after.schema.get(&user.id).is_some_and(lets_go)
            }
            Constraint if retyped => is_foreign_key(object) && !self.stays_comparable(before, after, on),
            Index | Statistics if retyped => false,
            Attribute => goes && matches!(on.id.kind, Type | Domain),
            Schema | Extension | Language | AccessMethod | Type | Domain | Sequence => false,
            _ => true,
        }
    }

    fn stays_comparable(&self, before: &SchemaDescription, after: &SchemaDescription, column: &SchemaPart) -> bool {
        let pair = before.schema.get(&column.id).zip(after.schema.get(&column.id));
        !self.carried.contains_key(column) && pair.is_some_and(|(old, new)| retype::stays_comparable(old, new))
    }
}

fn is_not_valid(object: &Object) -> bool {
    let definition = object.fact("definition").unwrap_or_default();
    object.id.kind == Kind::Constraint && definition.starts_with("CHECK") && definition.ends_with(" NOT VALID")
}

pub(super) fn is_foreign_key(object: &Object) -> bool {
    object.id.kind == Kind::Constraint && object.fact("definition").is_some_and(|text| text.starts_with("FOREIGN KEY"))
}

/// An object, and its default if it is a column with one.
fn parts(object: &Object) -> Vec<SchemaPart> {
    let has_default = object.id.kind == Kind::Column && object.fact("default").is_some();
    [SchemaPart::object(&object.id)]
        .into_iter()
        .chain(has_default.then(|| SchemaPart::default_of(&object.id)))
        .collect()
}

/// Whether these facts of a column change exactly as those of the same column in the table's parent: the statement for
/// the parent changes both.
fn follows_parent(before: &Schema, after: &Schema, old: &Object, new: &Object, facts: &[&str]) -> bool {
    let inherited = |column: &Object| column.fact("inherited") == Some("only");
    let Some((was, is)) = inherit::followed(before, after, &old.id).into_iter().next() else { return false };
    if !inherited(old) || !inherited(new) {
        return false;
    }
    // A NOT NULL that is only inherited comes and goes with the parent's.
    let is_brought = |fact: &str| fact == "not null inherited" && [old, new].iter().all(|one| one.fact(fact) != LOCAL);
    let differing = facts.iter().filter(|fact| **fact != "inherited" && !is_brought(fact));
    let differing = differing.filter(|fact| old.differs_in(new, fact));
    let is_said_alone = |fact: &str| matches!(fact, "default" | "not null" | "storage" | "statistics");
    let down = |fact: &str| !is_said_alone(fact) || inherit::goes_down(after, &is.id, fact);
    differing.into_iter().all(|fact| !was.differs_in(old, fact) && !is.differs_in(new, fact) && down(fact))
}
