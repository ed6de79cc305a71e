//! Runs many migrations in few messages.

use std::sync::Arc;
use std::time::Duration;

use migrate_base::db::StatementAnswer;
use migrate_base::error::{Error, Result};
use migrate_base::finding::Place;

use super::{Rehearsal, broken, guard, limit, step};
use crate::kept::SurroundingSql;
use crate::ledger::Direction;
use crate::runner::message::locate::{self, FailurePart};
use crate::runner::message::{Message, explain, needs_fresh_session};
use crate::runner::plan::{PlanStep, StepWork};
use crate::source::{Migration, Script};

/// How many migrations go into one message when only the final result matters.
const BUNDLE: usize = 64;

impl Rehearsal {
    /// Applies migrations, as fast as possible.
    ///
    /// # Errors
    ///
    /// Those of [`Rehearsal::run`]; the migrations before the failed one stay applied.
    pub async fn climb(&mut self, migrations: &[Arc<Migration>]) -> Result<()> {
        if let Some(engine) = self.code.engine() {
            return engine.climb(migrations, &self.database).await;
        }
        self.run_all(migrations.iter(), Direction::Up).await.map_err(|(_, error)| error)
    }

    /// Runs migrations in the given order, as fast as possible: many in one message, each in its own transaction.
    ///
    /// # Errors
    ///
    /// Those of [`Rehearsal::run`], with the number of migrations that were run before.
    pub async fn run_all(
        &mut self,
        migrations: impl Iterator<Item = &Arc<Migration>>,
        direction: Direction,
    ) -> std::result::Result<(), (usize, Error)> {
        let mut done = 0;
        let mut bundle: Vec<(PlanStep, Arc<Script>)> = Vec::new();
        for migration in migrations {
            let step = match step(migration, direction) {
                Ok(step) => step,
                Err(error) => {
                    done += self.bundled(&mut bundle, done).await?;
                    return Err((done, error));
                }
            };
            match step.work.clone() {
                StepWork::Sql(script)
                    if !step.no_transaction() && !needs_fresh_session(&step) && !limit::is_lifted_by(&script) =>
                {
                    bundle.push((step, script));
                    if bundle.len() == BUNDLE {
                        done += self.bundled(&mut bundle, done).await?;
                    }
                }
                _ => {
                    done += self.bundled(&mut bundle, done).await?;
                    self.run(migration, direction).await.map_err(|error| (done, error))?;
                    done += 1;
                }
            }
        }
        self.bundled(&mut bundle, done).await.map(drop)
    }

    /// Runs a bundle and empties it; returns how many migrations it had. The server rejects a message with a syntax
    /// error before it runs any of it. The rest is then sent script by script, which shows the failing one.
    async fn bundled(
        &mut self,
        bundle: &mut Vec<(PlanStep, Arc<Script>)>,
        before: usize,
    ) -> std::result::Result<usize, (usize, Error)> {
        let steps: Vec<(&PlanStep, &Arc<Script>)> = bundle.iter().map(|(step, script)| (step, script)).collect();
        if let Err((running, _)) = self.bundle(&steps, &self.guard()).await {
            self.renew().await.map_err(|error| (before + running, error))?;
            for (at, step) in steps.iter().enumerate().skip(running) {
                if let Err((_, error)) = self.bundle(&[*step], &self.guard()).await {
                    self.renew().await.map_err(|error| (before + at, error))?;
                    return Err((before + at, error));
                }
            }
        }
        Ok(std::mem::take(bundle).len())
    }

    /// Sends scripts in one message, each in its own transaction that ends with `last`; an error says which one failed.
    pub(super) async fn bundle(
        &mut self,
        steps: &[(&PlanStep, &Arc<Script>)],
        last: &str,
    ) -> std::result::Result<Vec<StatementAnswer>, (usize, Error)> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let isolate = self.settings.isolate();
        let mut message = Message::default();
        let mut ends = Vec::new();
        for (_, script) in steps {
            message.push(script, &SurroundingSql::default(), &isolate, last);
            let ours = message.parts.last().map_or(0, |part| part.head) + isolate.matches(';').count() + 1;
            let before = ends.last().copied().unwrap_or(0);
            ends.push(before + ours + script.statements().len() + last.matches(';').count());
        }
        let all = steps.iter().map(|(_, script)| self.limit.of(Some(script), script.statements().len() + 2));
        let all = all.fold(Duration::ZERO, Duration::saturating_add);
        let (answers, failure) = self.attempt(&message.sql, all).await;
        let Some(failure) = failure else { return Ok(answers) };
        let running = ends.iter().position(|end| answers.len() < *end).unwrap_or(steps.len() - 1);
        let before = if running == 0 { 0 } else { ends[running - 1] };
        let scripts: Vec<&Script> = steps.iter().map(|(_, script)| &***script).collect();
        let located = locate::in_message(&failure, &message, &scripts, running, answers.len() - before);
        let (part, at) = located.unwrap_or((running, FailurePart::Unknown.into()));
        // If this fails too, the session is lost and the next one is new.
        let _ = self.session.send(&format!("ROLLBACK; {isolate}")).await;
        if let Some(error) = guard::of_server(&failure) {
            return Err((running, error.at(Place::file(scripts[running].path()))));
        }
        let error = explain::missing(explain::refused(steps[part].0, at, broken(failure)));
        Err((running, self.limit.reword(error, Some(steps[part].1))))
    }
}
