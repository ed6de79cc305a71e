//! Which migration of a chain made, altered or dropped an object.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_core::ledger::Direction;
use migrate_core::schema::{Id, Watcher};
use migrate_core::source::{Migration, Version};
use migrate_core::{CodeMigrations, Database};

use super::Shadow;
use crate::ephemeral::TestDatabase;
use crate::proof::ProofError;

/// What became of an object in the course of a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The migration that made it last.
    pub made: Option<Version>,
    /// The last one that altered it since.
    pub altered: Option<Version>,
    /// The one that dropped it, where it is not there at the end.
    pub dropped: Option<Version>,
    /// All that made, altered or dropped it, in order.
    pub by: Vec<Version>,
}

/// Runs a chain on a throw-away database, and follows each object that it touches.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration does not apply.
pub async fn origins(chain: &[Arc<Migration>], code: &CodeMigrations) -> Result<BTreeMap<Arc<Id>, Origin>, ProofError> {
    let database = TestDatabase::for_chain(chain).await?;
    let mut watcher = Watcher::open(&Database::from(database.options())).await?;
    let mut shadow = Shadow::on(database, code.clone()).await?;
    let mut origins: BTreeMap<Arc<Id>, Origin> = BTreeMap::new();
    for migration in chain {
        shadow.rehearsal().run(migration, Direction::Up).await?;
        let change = watcher.look().await?;
        // A column that only moved is no other one.
        for (id, before, after) in change.objects().filter(|(_, before, after)| before != after) {
            let origin = origins.entry(Arc::new(id.clone())).or_default();
            origin.by.push(migration.version().clone());
            let version = Some(migration.version().clone());
            match (before, after) {
                (None, _) => {
                    *origin = Origin { made: version, by: std::mem::take(&mut origin.by), ..Origin::default() }
                }
                (Some(_), None) => origin.dropped = version,
                (Some(_), Some(_)) => origin.altered = version,
            }
        }
    }
    watcher.close().await;
    shadow.end().await?;
    Ok(origins)
}
