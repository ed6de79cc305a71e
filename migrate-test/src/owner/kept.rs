//! Released migrations do not change from one check to the next. If their owner once applied them, rolled them
//! back and applied them again without any finding, a copy of that database is kept, and only the migrations
//! after them are tested.

use std::sync::Arc;

use migrate_core::{CodeMigrations, Direction, Migration};

use super::{OwnedDatabase, OwnerReport};
use crate::ephemeral::{keep_owned, owned};
use crate::error::ProofError;
use crate::shape::{leads_to, remaining};

/// Tests the migrations after the first ones, if those are kept. `None` if they are not kept, or if there is a
/// finding, which has to be reproduced from the beginning.
pub(super) async fn onward(
    chain: &[Arc<Migration>],
    repeatables: &[Arc<Migration>],
    settled: usize,
    code: &CodeMigrations,
) -> Result<Option<OwnerReport>, ProofError> {
    let Some((database, owner)) = owned(&chain[..settled]).await? else { return Ok(None) };
    let mut estate = OwnedDatabase::reopened(database, owner, code).await?;
    let mut outcome = estate.onward(chain, settled).await;
    if matches!(outcome, Ok(Some(_))) && estate.owner.run_all(repeatables.iter(), Direction::Up).await.is_err() {
        outcome = Ok(None);
    }
    estate.sell().await?;
    outcome
}

impl OwnedDatabase {
    async fn onward(&mut self, chain: &[Arc<Migration>], settled: usize) -> Result<Option<OwnerReport>, ProofError> {
        let before = self.schema().await?;
        let is_wall = |one: &Arc<Migration>| one.irreversible().is_some();
        let lowest = chain.iter().rposition(is_wall).map_or(0, |at| at + 1);
        let from = lowest.max(settled);
        if self.owner.run_all(chain[settled..].iter(), Direction::Up).await.is_err() {
            return Ok(None);
        }
        let after = self.schema().await?;
        if self.owner.run_all(chain[from..].iter().rev(), Direction::Down).await.is_err() {
            return Ok(None);
        }
        let is_back = from > settled || remaining(&before, &self.schema().await?).is_empty();
        if !is_back || self.owner.run_all(chain[from..].iter(), Direction::Up).await.is_err() {
            return Ok(None);
        }
        let is_same = remaining(&after, &self.schema().await?).is_empty();
        let (applied, rolled_back) = (chain.len(), chain.len() - lowest);
        Ok(is_same.then(|| OwnerReport { applied, rolled_back, before: settled, ..OwnerReport::default() }))
    }

    /// Rolls back to the first migrations, and keeps the database for the next time; drops it if its state is
    /// not as they leave it.
    pub(super) async fn keep(
        mut self,
        chain: &[Arc<Migration>],
        settled: usize,
        code: &CodeMigrations,
    ) -> Result<(), ProofError> {
        let wanted = leads_to(&chain[..settled], code).await?;
        let is_back = self.owner.run_all(chain[settled..].iter().rev(), Direction::Down).await.is_ok();
        if !is_back || !remaining(&wanted.schema, &self.schema().await?).is_empty() {
            return self.sell().await;
        }
        self.owner.close().await;
        self.superuser.close().await;
        Ok(keep_owned(self.database, &chain[..settled]).await?)
    }
}
