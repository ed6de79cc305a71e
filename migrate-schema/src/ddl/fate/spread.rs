//! Parts that have to be dropped and created again because of a part that they depend on.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{PartFate, PartFates, is_foreign_key};
use crate::SchemaDescription;
use crate::ddl::{alter_table, retype};
use crate::depend::{SchemaPart, is_holder};
use crate::object::{Kind, Object};

impl PartFates {
    /// Dependents of something that is dropped or disturbed have to be dropped too, and created again.
    pub(super) fn spread(&mut self, before: &SchemaDescription, after: &SchemaDescription, mut queue: Vec<SchemaPart>) {
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
