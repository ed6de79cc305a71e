//! Pending migrations for a database in which somebody has changed some of the names by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_core::drift::{PendingRenames, PendingStep};
use migrate_core::{CodeMigrations, Migration};
use migrate_schema::ddl::{Ddl, DdlStatement, Renaming, owned_back, renames, renames_back, renamings};
use migrate_schema::{Id, Schema, SchemaDescription};

use super::ShadowDatabase;
use super::steps::take;
use crate::ephemeral::{migrated, suited};
use crate::proof::ProofError;

/// What a chain creates without and with its pending migrations, under the names that a database has.
#[derive(Debug)]
pub struct NamedChain {
    /// The schema without them.
    pub before: SchemaDescription,
    /// The schema with them.
    pub after: SchemaDescription,
    /// Which of the names that the other steps change are already in place.
    pub names: PendingRenames,
    /// The statements that change the remaining names, once everything else is as it is with the pending
    /// migrations.
    pub renames: Vec<DdlStatement>,
    /// The statements that restore the names that are in place, once everything else is as it is without the
    /// pending migrations.
    pub back: Vec<DdlStatement>,
    /// What has another name after these have run.
    pub later: BTreeMap<Arc<Id>, Arc<Id>>,
    /// What has another name after the previous names have been restored.
    pub former: BTreeMap<Arc<Id>, Arc<Id>>,
}

/// A chain and the migrations that follow it.
#[derive(Debug, Clone, Copy)]
pub struct ChainSplit<'a> {
    /// The applied migrations.
    pub applied: &'a [Arc<Migration>],
    /// The pending migrations.
    pub pending: &'a [Arc<Migration>],
    /// How many of the pending steps were taken by hand, if they explain names that nothing else explains.
    pub begun: usize,
}

/// Applies a chain, and then its pending migrations, on a shadow database; names are changed to those in
/// `there`.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration does not apply.
pub async fn named(ahead: ChainSplit<'_>, code: &CodeMigrations, there: &Schema) -> Result<NamedChain, ProofError> {
    let all: Vec<Arc<Migration>> = ahead.applied.iter().chain(ahead.pending).cloned().collect();
    suited(&all, Box::pin(made(ahead, code, there))).await
}

async fn made(ahead: ChainSplit<'_>, code: &CodeMigrations, there: &Schema) -> Result<NamedChain, ProofError> {
    let mut shadow = ShadowDatabase::on(migrated(ahead.applied, code, true).await?, code.clone()).await?;
    let first = shadow.describe().await?;
    let (begun, made) = climb(&mut shadow, &first, ahead).await?;
    let all = open_renamings([&first, &begun, &made], there);
    let names = PendingRenames::seen(&begun.schema, &made.schema, there, all);
    let after = with(&mut shadow, renames(&begun, &made, &names.open)).await?.unwrap_or_else(|| made.clone());
    shadow.end().await?;
    // Steps taken by hand are undone from where they lead, and everything else from the end.
    let (from, given) = match ahead.begun {
        0 => (&made, names.clone()),
        _ => (&begun, PendingRenames::seen(&first.schema, &begun.schema, there, renamings(&first, &begun))),
    };
    let done: Vec<Renaming> = given.done.iter().chain(&given.gone).map(Renaming::reversed).collect();
    let (mut before, mut back) = (first.clone(), Vec::new());
    let mut former = BTreeMap::new();
    if !done.is_empty() {
        let mut shadow = ShadowDatabase::on(migrated(ahead.applied, code, true).await?, code.clone()).await?;
        let again = shadow.describe().await?;
        before = with(&mut shadow, renames(from, &first, &done)).await?.unwrap_or(first);
        back = all_back(&again, &before);
        former = before.renamed(&again).into_iter().collect();
        shadow.end().await?;
    }
    let renames = all_back(&made, &after);
    let later = after.renamed(&made).into_iter().collect();
    Ok(NamedChain { before, after, names, renames, back, later, former })
}

/// How names change from the state that the steps taken by hand lead to; for objects that still have their
/// first name, from the first state.
fn open_renamings([first, begun, made]: [&SchemaDescription; 3], there: &Schema) -> Vec<Renaming> {
    let mut all = renamings(begun, made);
    let is_there = |one: &Renaming| there.get(&one.old).is_some() && there.get(&one.new).is_none();
    let still: Vec<Renaming> = renamings(first, made)
        .into_iter()
        .filter(|one| one.label.is_none() && is_there(one))
        .filter(|one| !all.iter().any(|other| other.new == one.new && is_there(other)))
        .collect();
    all.retain(|one| one.label.is_some() || !still.iter().any(|other| other.new == one.new));
    all.extend(still);
    all.sort_by_key(|one| (one.label.is_some(), !one.old.parent.is_empty(), one.old.clone()));
    all
}

/// The schema after the steps taken by hand, and the schema after all steps.
async fn climb(
    shadow: &mut ShadowDatabase,
    first: &SchemaDescription,
    ahead: ChainSplit<'_>,
) -> Result<(SchemaDescription, SchemaDescription), ProofError> {
    if ahead.begun == 0 {
        shadow.rehearsal().climb(ahead.pending).await?;
        return Ok((first.clone(), shadow.describe().await?));
    }
    let all = PendingStep::all(ahead.pending);
    let (taken, left) = all.split_at(ahead.begun.min(all.len()));
    for step in taken {
        take(shadow, step).await?;
    }
    let begun = shadow.describe().await?;
    for step in left {
        take(shadow, step).await?;
    }
    Ok((begun, shadow.describe().await?))
}

/// The statements that restore names, and what the previous renames took from sequences.
fn all_back(before: &SchemaDescription, after: &SchemaDescription) -> Vec<DdlStatement> {
    renames_back(before, after).into_iter().chain(owned_back(before, after)).collect()
}

/// The schema after these have run; `None` if there are none.
async fn with(
    shadow: &mut ShadowDatabase,
    statements: Vec<DdlStatement>,
) -> Result<Option<SchemaDescription>, ProofError> {
    if statements.is_empty() {
        return Ok(None);
    }
    shadow.run(&Ddl { statements, uncovered: Vec::new() }).await.map_err(|(_, error)| error)?;
    Ok(Some(shadow.describe().await?))
}
