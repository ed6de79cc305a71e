//! Pending migrations beside a database in which somebody has changed some of their names by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_core::CodeMigrations;
use migrate_core::drift::Names;
use migrate_core::schema::ddl::{Ddl, Renaming, Statement, owned_back, renames, renames_back, renamings};
use migrate_core::schema::{Described, Id, Schema};
use migrate_core::source::Migration;

use super::Shadow;
use crate::ephemeral::{migrated, suited};
use crate::proof::ProofError;

/// What a chain makes without its pending migrations and with them, under the names that a database has.
#[derive(Debug)]
pub struct NamedChain {
    /// Without them.
    pub before: Described,
    /// With them.
    pub after: Described,
    /// Which of their names are there.
    pub names: Names,
    /// The statements that change the other names, when all else is as it is with them.
    pub renames: Vec<Statement>,
    /// The statements that give back the names that are there, when all else is as it is without them.
    pub back: Vec<Statement>,
    /// What has another name when these have run.
    pub later: BTreeMap<Arc<Id>, Arc<Id>>,
}

/// Makes a chain, and then what is pending, on a throw-away database; names are changed to those that are `there`.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration does not apply.
pub async fn named(
    applied: &[Arc<Migration>],
    pending: &[Arc<Migration>],
    code: &CodeMigrations,
    there: &Schema,
) -> Result<NamedChain, ProofError> {
    let all: Vec<Arc<Migration>> = applied.iter().chain(pending).cloned().collect();
    suited(&all, Box::pin(made(applied, pending, code, there))).await
}

async fn made(
    applied: &[Arc<Migration>],
    pending: &[Arc<Migration>],
    code: &CodeMigrations,
    there: &Schema,
) -> Result<NamedChain, ProofError> {
    let mut shadow = Shadow::on(migrated(applied, code, true).await?, code.clone()).await?;
    let mut before = shadow.describe().await?;
    shadow.rehearsal().climb(pending).await?;
    let made = shadow.describe().await?;
    let names = Names::seen(&before.schema, &made.schema, there, renamings(&before, &made));
    let after = with(&mut shadow, renames(&before, &made, &names.open)).await?.unwrap_or_else(|| made.clone());
    shadow.end().await?;
    let done: Vec<Renaming> = names.done.iter().chain(&names.gone).map(Renaming::reversed).collect();
    let mut back = Vec::new();
    if !done.is_empty() {
        let mut shadow = Shadow::on(migrated(applied, code, true).await?, code.clone()).await?;
        let first = shadow.describe().await?;
        before = with(&mut shadow, renames(&made, &before, &done)).await?.unwrap_or(before);
        back = all_back(&first, &before);
        shadow.end().await?;
    }
    let renames = all_back(&made, &after);
    let later = after.renamed(&made).into_iter().collect();
    Ok(NamedChain { before, after, names, renames, back, later })
}

/// The statements that give back names, and what the renames before took from sequences.
fn all_back(before: &Described, after: &Described) -> Vec<Statement> {
    renames_back(before, after).into_iter().chain(owned_back(before, after)).collect()
}

/// What is there when these have run; `None` where there are none.
async fn with(shadow: &mut Shadow, statements: Vec<Statement>) -> Result<Option<Described>, ProofError> {
    if statements.is_empty() {
        return Ok(None);
    }
    shadow.run(&Ddl { statements, uncovered: Vec::new() }).await.map_err(|(_, error)| error)?;
    Ok(Some(shadow.describe().await?))
}
