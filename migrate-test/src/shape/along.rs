//! The schemas along a chain.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use migrate_core::{CodeMigrations, Direction, Migration, MigrationSet, Version};
use migrate_schema::SchemaDescription;

use super::{ShadowDatabase, leads_to};
use crate::ephemeral::{migrated, suited};
use crate::proof::ProofError;

/// The schema before and after each of these migrations, on one shadow database.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration up to the last of them does not apply.
pub async fn along(
    set: &MigrationSet,
    code: &CodeMigrations,
    versions: &BTreeSet<Version>,
) -> Result<BTreeMap<Version, (Arc<SchemaDescription>, Arc<SchemaDescription>)>, ProofError> {
    let chain: Vec<Arc<Migration>> = set.up_to(None);
    let wanted = |at: &usize| versions.contains(chain[*at].version());
    let (Some(first), Some(last)) = ((0..chain.len()).find(wanted), (0..chain.len()).rfind(wanted)) else {
        return Ok(BTreeMap::new());
    };
    suited(&chain, Box::pin(climb(&chain, first..=last, code, versions))).await
}

async fn climb(
    chain: &[Arc<Migration>],
    span: RangeInclusive<usize>,
    code: &CodeMigrations,
    versions: &BTreeSet<Version>,
) -> Result<BTreeMap<Version, (Arc<SchemaDescription>, Arc<SchemaDescription>)>, ProofError> {
    let (first, last) = (*span.start(), *span.end());
    let mut found = BTreeMap::new();
    let mut before = leads_to(&chain[..first], code).await?;
    let mut shadow = None;
    for (at, migration) in chain.iter().enumerate().take(last + 1).skip(first) {
        let after = if at + 1 == chain.len() {
            leads_to(chain, code).await?
        } else {
            let here = match shadow.take() {
                Some(here) => here,
                None => ShadowDatabase::on(migrated(&chain[..at], code, true).await?, code.clone()).await?,
            };
            let here = shadow.insert(here);
            here.rehearsal().run(migration, Direction::Up).await?;
            Arc::new(here.describe().await?)
        };
        if versions.contains(migration.version()) {
            found.insert(migration.version().clone(), (before, after.clone()));
        }
        before = after;
    }
    if let Some(shadow) = shadow {
        shadow.end().await?;
    }
    Ok(found)
}

/// The step from a released chain to one with more migrations.
#[derive(Debug)]
pub struct PendingSchemas {
    /// The schema of the released chain.
    pub before: Arc<SchemaDescription>,
    /// The schema after the remaining migrations were applied.
    pub after: Arc<SchemaDescription>,
    /// How many of them were applied.
    pub pending: usize,
}

/// Applies the released migrations, and then those that the other chain has in addition.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration does not apply.
pub async fn onward(
    released: &MigrationSet,
    set: &MigrationSet,
    code: &CodeMigrations,
) -> Result<PendingSchemas, ProofError> {
    let mut chain: Vec<Arc<Migration>> = released.up_to(None);
    // A squash that replaces released migrations is already covered by them.
    let covered =
        |one: &Migration| one.squashes().is_some_and(|first| released.iter().any(|old| old.version() >= first));
    let pending = set.iter().filter(|one| released.get(one.version()).is_none() && !covered(one));
    let same = |one: &Migration| {
        released.get(one.version()).is_some_and(|released| released.up_checksum() == one.up_checksum())
    };
    let repeatables = set.repeatables().iter().filter(|one| !same(one));
    let pending: Vec<Arc<Migration>> = pending.chain(repeatables).cloned().collect();
    // A released one that does not apply anywhere can be corrected.
    let is_changed =
        |one: &Migration| one.version().is_repeatable() && pending.iter().any(|new| new.version() == one.version());
    if chain.iter().any(|one| is_changed(one)) && matches!(leads_to(&chain, code).await, Err(ProofError::Core(_))) {
        chain.retain(|one| !is_changed(one));
    }
    let all: Vec<Arc<Migration>> = chain.iter().chain(&pending).cloned().collect();
    let work = async {
        let before = leads_to(&chain, code).await?;
        let after = leads_to(&all, code).await?;
        Ok(PendingSchemas { before, after, pending: pending.len() })
    };
    suited(&all, Box::pin(work)).await
}
