//! The initial content of every shadow database is on both sides of a comparison, and not a part of what is
//! captured.

use std::sync::Arc;

use migrate_schema::{Id, Kind, Object, Schema, SchemaDescription};
use tokio::sync::Mutex;

use super::ShadowDatabase;
use crate::ephemeral::Setup;
use crate::proof::ProofError;

/// The schema of a shadow database before its first migration.
#[derive(Debug)]
pub struct InitialSchema {
    schema: Schema,
}

/// What `[shadow]` sets up, described once for each process; `None` if it sets up nothing.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a script does not run.
pub async fn start() -> Result<Option<Arc<InitialSchema>>, ProofError> {
    static DESCRIBED: Mutex<Option<Arc<InitialSchema>>> = Mutex::const_new(None);
    if !Setup::is_there() {
        return Ok(None);
    }
    let mut described = DESCRIBED.lock().await;
    if described.is_none() {
        let mut shadow = ShadowDatabase::blank().await?;
        *described = Some(Arc::new(InitialSchema { schema: shadow.describe().await?.schema }));
        shadow.end().await?;
    }
    Ok(described.clone())
}

impl InitialSchema {
    /// Replaces what is set up in the schema of a database that has it in another form.
    pub fn place(&self, there: &mut SchemaDescription) {
        let schema = std::mem::take(&mut there.schema);
        there.schema = schema.as_in(&self.schema, |object| self.holds(object));
    }

    /// The same if the initial content has just been described.
    pub(super) fn placed(there: &mut SchemaDescription, nothing: &SchemaDescription) {
        if Setup::is_there() {
            Self { schema: nothing.schema.clone() }.place(there);
        }
    }

    /// Whether a chain left an object as it was set up.
    pub fn is_untouched(&self, object: &Object, made: &Schema) -> bool {
        self.holds(object) && made.get(&object.id) == self.schema.get(&object.id)
    }

    /// Whether an object is set up, or is a part of a table that is set up.
    fn holds(&self, object: &Object) -> bool {
        let id = &*object.id;
        // Every database begins with these.
        let is_given = matches!((id.kind, &*id.name), (Kind::Schema, "public") | (Kind::Extension, "plpgsql"));
        let is_part = matches!(id.kind, Kind::Column | Kind::Constraint | Kind::Index) && self.has_table(id);
        !is_given && (self.schema.get(id).is_some() || is_part)
    }

    fn has_table(&self, part: &Id) -> bool {
        [Kind::Table, Kind::ForeignTable].into_iter().any(|kind| {
            let (parent, signature): (Box<str>, Box<str>) = ("".into(), "".into());
            let table = Id { kind, schema: part.schema.clone(), parent, name: part.parent.clone(), signature };
            self.schema.get(&table).is_some()
        })
    }
}
