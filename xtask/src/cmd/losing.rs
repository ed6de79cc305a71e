//! What a rollback destroys in a database that no environment describes: a reason to ask first.

use migrate_core::db::Reader;
use migrate_core::ledger::Direction;
use migrate_core::runner::Step;
use migrate_core::{Plan, schema};

use super::run::Runner;
use crate::brief::{self, Brief, Destroyed};
use crate::exit::Result;

impl Runner<'_> {
    /// What the rollback would destroy, a sentence each. Nobody is asked in an environment that says whether it is protected,
    /// and for data that are copied aside first.
    ///
    /// The database is only looked at where the scripts can take something away.
    pub(super) async fn destroyed(&self, plan: &Plan, brief: Option<&Brief>) -> Result<Destroyed> {
        // A way back that was interrupted was meant when it began: the next run ends it, whoever makes it.
        let begins = |step: &Step| step.direction == Direction::Down && step.resume.is_none();
        let is_rollback = plan.steps().iter().any(begins);
        if !self.context.is_unnamed || self.wish.keep_data || !is_rollback {
            return Ok(Destroyed::default());
        }
        if let Some(brief) = brief {
            return Ok(brief.destroyed());
        }
        if plan.steps().iter().all(brief::is_harmless) {
            return Ok(Destroyed::default());
        }
        let environment = &self.context.environment;
        let mut reader = Reader::open(self.migrator.database()).await?;
        let schema = schema::read_with(&mut reader).await?.without(&environment.ledger);
        let destroyed = brief::destroyed(&mut reader, plan, &schema, environment.exact_rows).await?;
        reader.close().await;
        Ok(destroyed)
    }
}
