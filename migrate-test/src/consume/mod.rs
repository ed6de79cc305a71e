//! The queries of consumers along a chain: the server's answer for each, on the schema before the new
//! migrations and after each of them.
//!
//! A text is described once per schema, however many consumers send it, and only if the last step can have
//! affected it. More expensive information (the tree of a query, its plan) is requested only if the step makes
//! it relevant.

mod climb;
mod constants;
mod copied;
mod describe;
mod news;
mod plans;
mod reach;
mod through;
mod touched;
mod uses;
mod values;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use climb::Climb;
use migrate_core::{CodeMigrations, Database, Migration};
use migrate_review::consumer::{PrepareAnswer, PrepareRefusal, QueryDependencies, QueryDifference};
use migrate_schema::{Id, SchemaChange};

use crate::ephemeral::{migrated, suited};
use crate::error::ProofError;

pub use constants::{RefusedConstant, RefusedWhen};
pub use news::rules;
pub use uses::{DependentObject, QueryUses, uses};

/// The queries to check, and the roles that send them.
#[derive(Debug, Clone, Default)]
pub struct ConsumerQueries {
    /// The texts, each once.
    pub texts: Vec<Arc<str>>,
    /// The roles.
    pub roles: BTreeSet<String>,
}

/// The results for the queries along a chain.
#[derive(Debug, Clone, Default)]
pub struct ChainAnswers {
    /// The server's answer before the first new migration, for each text.
    pub base: Vec<Arc<PrepareAnswer>>,
    /// The steps, one for each new migration.
    pub steps: Vec<QueryEffects>,
}

/// A new migration, and its effect on queries.
#[derive(Debug, Clone)]
pub struct QueryEffects {
    /// The migration.
    pub migration: Arc<Migration>,
    /// What it changes.
    pub change: SchemaChange,
    /// The server's answer after it, for each text.
    pub answers: Vec<Arc<PrepareAnswer>>,
    /// The differences for texts that it can have affected, by the number of the text.
    pub differences: BTreeMap<usize, Vec<QueryDifference>>,
    /// Why texts that can be prepared can no longer be planned.
    pub unplanned: BTreeMap<usize, PrepareRefusal>,
    /// What texts use after the migration, if one of their tables has stricter rules than before or a role lost
    /// a privilege.
    pub reach: BTreeMap<usize, QueryDependencies>,
    /// Constants in texts that a new rule refuses.
    pub refused: BTreeMap<usize, Vec<RefusedConstant>>,
    /// Indexes that the plans of texts used before, and that no longer exist.
    pub indexes: BTreeMap<usize, BTreeSet<String>>,
    /// The privileges on tables that roles have lost: role, schema, table, privilege.
    pub lost: BTreeSet<[String; 4]>,
    /// The columns that were renamed, or are in a relation that was renamed, with their new identity.
    pub renamed: BTreeMap<Id, Id>,
}

/// Checks queries along the new migrations, which follow the released ones.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration does not apply.
pub async fn follow(
    released: &[Arc<Migration>],
    new: &[Arc<Migration>],
    code: &CodeMigrations,
    asked: &ConsumerQueries,
) -> Result<ChainAnswers, ProofError> {
    let chain: Vec<Arc<Migration>> = released.iter().chain(new).cloned().collect();
    suited(&chain, Box::pin(follow_on(released, new, code, asked))).await
}

async fn follow_on(
    released: &[Arc<Migration>],
    new: &[Arc<Migration>],
    code: &CodeMigrations,
    asked: &ConsumerQueries,
) -> Result<ChainAnswers, ProofError> {
    let database = migrated(released, code, true).await?;
    let address = Database::from(database.options());
    let base: Vec<Arc<PrepareAnswer>> =
        describe::describe(&address, &asked.texts).await?.into_iter().map(Arc::new).collect();
    let mut course = ChainAnswers { base, steps: Vec::new() };
    if new.is_empty() {
        database.let_go().await?;
        return Ok(course);
    }
    let mut climb = Climb::begin(database, released, code, asked).await?;
    for migration in new {
        let before = course.steps.last().map_or(&course.base, |step| &step.answers);
        let step = climb.step(migration, before).await?;
        course.steps.push(step);
    }
    climb.end().await?;
    Ok(course)
}
