//! The data that a rollback destroys in a database that no environment describes: a reason to ask for confirmation.

use migrate_base::db::ReadOnlySession;
use migrate_core::{Direction, Plan, PlanStep, ours};
use migrate_schema as schema;

use super::run::Runner;
use crate::brief::{self, Brief, LossSummary};
use crate::exit::Result;

impl Runner<'_> {
    /// The data that the rollback would destroy, one sentence each. No confirmation is needed in an environment that
    /// says whether it is protected, or if the data is kept.
    ///
    /// The database is read only if the scripts can destroy something.
    pub(super) async fn destroyed(&self, plan: &Plan, brief: Option<&Brief>) -> Result<LossSummary> {
        // An interrupted rollback was confirmed when it began, so the next run finishes it without asking.
        let begins = |step: &PlanStep| step.direction == Direction::Down && step.resume.is_none();
        let is_rollback = plan.steps().iter().any(begins);
        if !self.context.is_unnamed || self.wish.keep_data || !is_rollback {
            return Ok(LossSummary::default());
        }
        if let Some(brief) = brief {
            return Ok(brief.destroyed());
        }
        if plan.steps().iter().all(brief::is_harmless) {
            return Ok(LossSummary::default());
        }
        let environment = &self.context.environment;
        let mut reader = ReadOnlySession::open(self.migrator.database()).await?;
        let schema = ours::without(schema::read_with(&mut reader).await?, &environment.ledger);
        let destroyed = brief::destroyed(&mut reader, plan, &schema, environment.exact_rows).await?;
        reader.close().await;
        Ok(destroyed)
    }
}
