//! Which migration of a chain created, altered or dropped an object.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_core::{CodeMigrations, Database, Direction, Migration, Version};
use migrate_schema::{Id, Schema, SchemaChange, Watcher};

use super::ShadowDatabase;
use crate::ephemeral::{TestDatabase, is_large, migrated, suited};
use crate::proof::ProofError;

/// The history of an object in a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectHistory {
    /// The migration that created it last.
    pub made: Option<Version>,
    /// The last migration that altered it since then.
    pub altered: Option<Version>,
    /// The migration that dropped it, if it does not exist at the end.
    pub dropped: Option<Version>,
    /// All migrations that created, altered or dropped it, in order.
    pub by: Vec<Version>,
}

/// Follows each object that a chain affects, on a shadow database; `end` is the schema that the chain creates,
/// if it is known.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration does not apply.
pub async fn origins(
    chain: &[Arc<Migration>],
    code: &CodeMigrations,
    end: Option<&Schema>,
) -> Result<BTreeMap<Arc<Id>, ObjectHistory>, ProofError> {
    suited(chain, Box::pin(follow(chain, code, end))).await
}

async fn follow(
    chain: &[Arc<Migration>],
    code: &CodeMigrations,
    end: Option<&Schema>,
) -> Result<BTreeMap<Arc<Id>, ObjectHistory>, ProofError> {
    let mut origins = ObjectHistories::default();
    // The result of the last migration is the end.
    let (run, known) = match (chain.split_last(), end) {
        (Some((last, run)), Some(end)) => (run, Some((last, end))),
        _ => (chain, None),
    };
    // A large first migration is kept as a template, and need not run again.
    let (kept, run) = run.split_at(run.len().min(usize::from(run.first().is_some_and(is_large))));
    let empty = TestDatabase::for_chain(chain).await?;
    let (database, start) = match (kept.is_empty(), run.is_empty()) {
        (true, false) => (empty, None),
        _ => {
            let mut shadow = ShadowDatabase::on(empty, code.clone()).await?;
            let start = shadow.describe().await?.schema;
            shadow.end().await?;
            if kept.is_empty() {
                known.into_iter().for_each(|(last, end)| origins.take(last, &SchemaChange::between(&start, end)));
                return Ok(origins.0);
            }
            (migrated(kept, code, true).await?, Some(start))
        }
    };
    let mut watcher = Watcher::open(&Database::from(database.options())).await?;
    let mut shadow = ShadowDatabase::on(database, code.clone()).await?;
    if let (Some(start), [first]) = (&start, kept) {
        origins.take(first, &SchemaChange::between(start, watcher.schema()));
    }
    for migration in run {
        shadow.rehearsal().run(migration, Direction::Up).await?;
        origins.take(migration, &watcher.look().await?);
    }
    if let Some((last, end)) = known {
        origins.take(last, &SchemaChange::between(watcher.schema(), end));
    }
    watcher.close().await;
    shadow.end().await?;
    Ok(origins.0)
}

/// The histories of the objects so far.
#[derive(Default)]
struct ObjectHistories(BTreeMap<Arc<Id>, ObjectHistory>);

impl ObjectHistories {
    /// Records what a migration did.
    fn take(&mut self, migration: &Migration, change: &SchemaChange) {
        // A column that only changed its position is not altered.
        for (id, before, after) in change.objects().filter(|(_, before, after)| before != after) {
            let origin = self.0.entry(Arc::new(id.clone())).or_default();
            origin.by.push(migration.version().clone());
            let version = Some(migration.version().clone());
            match (before, after) {
                (None, _) => {
                    *origin =
                        ObjectHistory { made: version, by: std::mem::take(&mut origin.by), ..ObjectHistory::default() }
                }
                (Some(_), None) => origin.dropped = version,
                (Some(_), Some(_)) => origin.altered = version,
            }
        }
    }
}
