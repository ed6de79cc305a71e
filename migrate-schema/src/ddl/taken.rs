//! The names that constraints have, before and after.

use std::collections::HashMap;
use std::sync::Arc;

use super::table;
use crate::Schema;
use crate::object::{Id, Kind, Object};

/// A schema, and a name in it.
type ScopedName = (Box<str>, Box<str>);

/// The holders of each constraint name in each schema, before or after. Before PostgreSQL 18 NOT NULL has no name, and
/// this is not used.
#[derive(Default)]
pub(super) struct TakenNames(HashMap<ScopedName, Vec<Arc<Id>>>);

impl TakenNames {
    pub(super) fn of(before: &Schema, after: &Schema) -> Self {
        let mut taken = Self::default();
        let all = [before, after]
            .into_iter()
            .filter(|schema| schema.version == 0 || schema.version >= 18)
            .flat_map(Schema::objects);
        for object in all {
            let name = match object.id.kind {
                Kind::Column => table::not_null_name(object),
                Kind::Constraint => Some(&*object.id.name),
                _ => None,
            };
            let Some(name) = name else { continue };
            taken.0.entry((object.id.schema.clone(), name.into())).or_default().push(object.id.clone());
        }
        taken
    }

    /// Whether nothing except this column has a name in its schema: the server would choose another one.
    pub(super) fn is_free(&self, column: &Object, name: &str) -> bool {
        let all = self.0.get(&(column.id.schema.clone(), name.into()));
        all.is_none_or(|all| all.iter().all(|id| *id == column.id))
    }
}
