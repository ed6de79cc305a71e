//! The queries of consumers along a chain: what the server says of each on the schema before the new
//! migrations, and behind each of them.
//!
//! A text is described once for each schema, however many consumers send it, and only where the step before can have
//! touched it. What is dearer (the tree of a query, its plan) is asked for where the step makes it a question.

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

use migrate_core::consumer::{Answer, Difference, Reach, Refusal};
use migrate_core::schema::{Change, Id};
use migrate_core::source::Migration;
use migrate_core::{CodeMigrations, Database};

use crate::ephemeral::{migrated, suited};
use crate::proof::ProofError;
use climb::Climb;

pub use constants::{RefusedConstant, RefusedWhen};
pub use news::rules;
pub use uses::{Standing, Uses, uses};

/// Which queries are asked about, and as which roles they are sent.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The texts, each once.
    pub texts: Vec<Arc<str>>,
    /// The roles.
    pub roles: BTreeSet<String>,
}

/// What became of the queries along a chain.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// What the server says before the first of the new migrations, for each text.
    pub base: Vec<Arc<Answer>>,
    /// The steps, one for each new migration.
    pub steps: Vec<Step>,
}

/// A new migration, and what it does to queries.
#[derive(Debug, Clone)]
pub struct Step {
    /// The migration.
    pub migration: Arc<Migration>,
    /// What it changes.
    pub change: Change,
    /// What the server says behind it, for each text.
    pub answers: Vec<Arc<Answer>>,
    /// What is different for texts that it can have touched, by their numbers.
    pub differences: BTreeMap<usize, Vec<Difference>>,
    /// Why texts that can be prepared have no plan any more.
    pub unplanned: BTreeMap<usize, Refusal>,
    /// What texts use behind it, where a table of theirs asks for more than before or a role lost a right.
    pub reach: BTreeMap<usize, Reach>,
    /// Constants in texts that something new refuses.
    pub refused: BTreeMap<usize, Vec<RefusedConstant>>,
    /// Indexes that the plans of texts used before, and that are gone.
    pub indexes: BTreeMap<usize, BTreeSet<String>>,
    /// The rights that roles had on tables before and have no longer: role, schema, table, right.
    pub lost: BTreeSet<[String; 4]>,
    /// The columns that have another name than before, or are in a relation that has one, with what they became.
    pub renamed: BTreeMap<Id, Id>,
}

/// Follows queries along the new migrations, which come behind those that are released.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration does not apply.
pub async fn follow(
    released: &[Arc<Migration>],
    new: &[Arc<Migration>],
    code: &CodeMigrations,
    asked: &Asked,
) -> Result<Course, ProofError> {
    let chain: Vec<Arc<Migration>> = released.iter().chain(new).cloned().collect();
    suited(&chain, Box::pin(follow_on(released, new, code, asked))).await
}

async fn follow_on(
    released: &[Arc<Migration>],
    new: &[Arc<Migration>],
    code: &CodeMigrations,
    asked: &Asked,
) -> Result<Course, ProofError> {
    let database = migrated(released, code, true).await?;
    let address = Database::from(database.options());
    let base: Vec<Arc<Answer>> = describe::describe(&address, &asked.texts).await?.into_iter().map(Arc::new).collect();
    let mut course = Course { base, steps: Vec::new() };
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
