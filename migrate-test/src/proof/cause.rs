//! Decides which broken law is the cause of another one, so that each fault is reported once.

use migrate_schema::{Id, Kind, SchemaChange};

use super::full::CycleSchemas;
use super::{Law, MigrationProof, Story, Verdict};
use crate::rows::RowLoss;

/// A loss of rows is not a second fault if the rollback does not restore the schema. Rows that a rollback
/// leaves behind explain why they cannot be inserted again.
pub(super) fn one_cause(proven: &mut MigrationProof, sight: CycleSchemas<'_>) {
    let is_broken = |law: &Law| proven.laws.get(law).is_some_and(Verdict::is_broken);
    let (identity, data) = (is_broken(&Law::Identity), is_broken(&Law::Data));
    let came = |story: &Story| story.losses.iter().any(|loss| loss.came);
    let leaves = proven.laws.get(&Law::Data).and_then(Verdict::story).is_some_and(came);
    if identity && data {
        let left = SchemaChange::between(sight.before, sight.rolled);
        let is_of = |loss: &RowLoss, id: &Id| {
            let table = |name: &str| format!("{}.{name}", id.schema) == loss.table;
            match &loss.column {
                _ if id.kind == Kind::Table => table(&id.name),
                Some(column) => id.kind == Kind::Column && table(&id.parent) && *id.name == **column,
                None => id.kind == Kind::Column && table(&id.parent),
            }
        };
        if let Some(Verdict::Broken(story)) = proven.laws.get_mut(&Law::Data)
            && !story.losses.is_empty()
            && story.losses.iter().all(|loss| !loss.came && left.objects().any(|(id, ..)| is_of(loss, id)))
        {
            story.follows = Some(Law::Identity);
        }
    } else if data
        && leaves
        && let Some(Verdict::Broken(story)) = proven.laws.get_mut(&Law::Reapply)
        && story.sqlstate.as_deref().is_some_and(|code| code.starts_with("23"))
    {
        story.follows = Some(Law::Data);
    }
}
