//! The schemas of a database between the statements of pending migrations.

use std::sync::Arc;

use migrate_core::drift::PendingStep;
use migrate_core::{CodeMigrations, Database, Direction, Migration};
use migrate_schema::{Schema, Watcher};

use super::ShadowDatabase;
use crate::ephemeral::{migrated, suited};
use crate::proof::ProofError;

/// The schema before the first step of pending migrations and after each of them, as far as they run one by
/// one, on one shadow database.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or the chain before them does not apply.
pub async fn stepped(
    applied: &[Arc<Migration>],
    pending: &[Arc<Migration>],
    code: &CodeMigrations,
) -> Result<Vec<Arc<Schema>>, ProofError> {
    let all: Vec<Arc<Migration>> = applied.iter().chain(pending).cloned().collect();
    suited(&all, Box::pin(walk(applied, pending, code))).await
}

async fn walk(
    applied: &[Arc<Migration>],
    pending: &[Arc<Migration>],
    code: &CodeMigrations,
) -> Result<Vec<Arc<Schema>>, ProofError> {
    let database = migrated(applied, code, true).await?;
    let mut watcher = Watcher::open(&Database::from(database.options())).await?;
    let mut shadow = ShadowDatabase::on(database, code.clone()).await?;
    let mut last = Arc::new(watcher.schema().clone());
    let mut all = vec![last.clone()];
    for step in PendingStep::all(pending) {
        if take(&mut shadow, &step).await.is_err() {
            break;
        }
        if !step.is_of_rows() {
            watcher.look().await?;
            last = Arc::new(watcher.schema().clone());
        }
        all.push(last.clone());
    }
    watcher.close().await;
    shadow.end().await?;
    Ok(all)
}

/// Runs one step.
pub(super) async fn take(shadow: &mut ShadowDatabase, step: &PendingStep) -> Result<(), ProofError> {
    match (step.migration.up_script(), step.at) {
        (Some(script), Some(at)) => shadow.rehearsal().statement(script, at).await?,
        _ => drop(shadow.rehearsal().run(&step.migration, Direction::Up).await?),
    }
    Ok(())
}
