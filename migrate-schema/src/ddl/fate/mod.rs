//! What happens to each part of a schema on the way to another one.

mod compare;
mod settle;
mod spread;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::name::named;
use super::{DdlStatement, row_type, sequence};
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};
use crate::{Schema, SchemaDescription};

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

    /// Whether a column loses a NOT NULL that is not valid and gets it back.
    pub(super) fn is_required_again(&self, part: &SchemaPart) -> bool {
        self.required_again.contains(part)
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

    /// Compares the parts of both schemas, then adds what follows for other parts.
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
