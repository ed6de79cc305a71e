//! Migrations that write rows and refused the existing ones: what they would have filled is derived from their
//! statements.

use migrate_core::Migration;
use migrate_review::effect::ScriptWrites;
use migrate_schema::{Kind, Schema};

use super::again::required;

/// A migration that may have filled columns, and refused the existing rows.
#[derive(Debug)]
pub(super) struct RefusingMigration {
    pub(super) title: String,
    /// How it changes rows; a migration in Rust may do anything.
    writes: Option<ScriptWrites>,
}

impl RefusingMigration {
    /// Only for a migration that writes rows: one that changes only the schema fills nothing.
    pub(super) fn of(migration: &Migration) -> Option<Self> {
        let writes = migration.up_script().map(|up| ScriptWrites::of(up.text()));
        let is_of_rows = writes.as_ref().is_none_or(ScriptWrites::is_of_rows);
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

/// The statement that creates a routine of a schema; the first if several have the name.
pub(super) fn definition(schema: &Schema, name: &str) -> Option<String> {
    let is_meant = |kind: Kind| matches!(kind, Kind::Function | Kind::Procedure);
    let found = schema.objects().find(|one| is_meant(one.id.kind) && *one.id.name == *name)?;
    found.fact("definition").map(str::to_owned)
}

/// Whether the up script of a migration may read or write rows, and not only change the schema.
pub(super) fn is_of_data(migration: &Migration) -> bool {
    migration.up_script().is_none_or(|up| ScriptWrites::of(up.text()).is_of_rows())
}

/// The same for its up or down script.
pub(super) fn changes_rows(migration: &Migration) -> bool {
    is_of_data(migration) || migration.down_script().is_some_and(|down| ScriptWrites::of(down.text()).is_of_rows())
}
