//! Migrations that write rows and refused those that were there: what they would have filled is read from their statements.

use migrate_core::effect::Writes;
use migrate_core::schema::{Kind, Schema};
use migrate_core::source::Migration;

use super::again::required;

/// A migration that may have filled columns, and refused the rows that were there.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) title: String,
    /// What it does to rows; a migration in Rust may do anything.
    writes: Option<Writes>,
}

impl Refused {
    /// One that writes rows; a migration of the schema alone fills nothing.
    pub(super) fn of(migration: &Migration) -> Option<Self> {
        let writes = migration.up_script().map(|up| Writes::of(up.text()));
        let is_of_rows = writes.as_ref().is_none_or(Writes::is_of_rows);
        is_of_rows.then(|| Self { title: super::title(migration), writes })
    }

    /// Whether it may have filled every column that the next migration requires to be filled.
    pub(super) fn may_fill(&self, before: &Schema, after: &Schema) -> bool {
        let required = required(before, after);
        let Some(mut writes) = self.writes.clone() else { return !required.is_empty() };
        writes.resolve(&|name| definition(before, name));
        !required.is_empty() && required.iter().all(|((schema, table), column)| writes.may_fill(schema, table, column))
    }
}

/// The statement that creates a routine of a schema; of several with the name, the first.
pub(super) fn definition(schema: &Schema, name: &str) -> Option<String> {
    let is_meant = |kind: Kind| matches!(kind, Kind::Function | Kind::Procedure);
    let found = schema.objects().find(|one| is_meant(one.id.kind) && *one.id.name == *name)?;
    found.fact("definition").map(str::to_owned)
}

/// Whether a migration may read or write rows on its way up, and not only the schema.
pub(super) fn is_of_data(migration: &Migration) -> bool {
    migration.up_script().is_none_or(|up| Writes::of(up.text()).is_of_rows())
}

/// The same on its way up or down.
pub(super) fn changes_rows(migration: &Migration) -> bool {
    is_of_data(migration) || migration.down_script().is_some_and(|down| Writes::of(down.text()).is_of_rows())
}
