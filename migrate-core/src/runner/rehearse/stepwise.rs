//! Runs a migration statement by statement, with a pause between two statements to inspect the server.
//!
//! Settings, transactions and errors are the same as in a run. Only the messages are smaller: one for each statement
//! instead of one for many migrations. The caller decides what to inspect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use migrate_base::codes;
use migrate_base::db::{PgConnection, SessionFailure, StatementAnswer};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::sql::lex::words;
use migrate_base::sql::{Statement, StatementClass, quoted};

use super::guard::of_server;
use super::{Rehearsal, TextRows, broken, rows, step};
use crate::ledger::Direction;
use crate::runner::message::locate::{FailurePart, FailurePlace};
use crate::runner::message::stepwise::OURSELVES;
use crate::runner::message::{explain, needs_fresh_session, own_timeouts};
use crate::runner::plan::{PlanStep, StepWork};
use crate::runner::run::code;
use crate::runner::run::engine::MigrationEngine;
use crate::source::{Migration, Script};

/// A migration that has started, and waits before each of its statements.
///
/// It must be run to its end: if it is dropped before, its transaction and its settings remain in the session of the
/// [`Rehearsal`], which is then unusable.
#[derive(Debug)]
pub struct StepwiseRehearsal<'a> {
    rehearsal: &'a mut Rehearsal,
    step: PlanStep,
    /// Which statement is next, from 0.
    at: usize,
    stage: RehearsalStage,
}

/// The stage of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RehearsalStage {
    /// In a transaction that stays open until the end.
    Inside,
    /// Between two statements that are committed separately.
    Outside,
    /// A statement was refused, and nothing is open.
    Failed,
}

/// The result of a statement.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct StatementResult {
    /// How long it took for the client: including the network round trip, without the inspection.
    pub elapsed: Duration,
    /// The answer of each statement of the inspection.
    pub seen: Vec<TextRows>,
}

/// The settings for an inspection: the role that logged in, with settings of its own. `pg_temp` comes last in the
/// search path, so that no temporary table can hide a catalog.
const EYES: [&str; 4] = [
    OURSELVES,
    "SET LOCAL search_path TO pg_catalog, pg_temp;",
    "SET LOCAL statement_timeout TO 0;",
    "SET LOCAL lock_timeout TO 0;",
];

/// An inspection inside the migration's transaction. Its settings and locks are undone with the savepoint.
const INSIDE: (&str, &str) =
    ("SAVEPOINT roundtrip_look;", "ROLLBACK TO SAVEPOINT roundtrip_look; RELEASE SAVEPOINT roundtrip_look;");
/// An inspection in its own transaction.
const OUTSIDE: (&str, &str) = ("BEGIN;", "ROLLBACK;");

impl Rehearsal {
    /// Starts a migration that runs statement by statement.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Plan`] for a migration without this direction, [`ErrorKind::Statement`] when the server refuses its
    /// timeouts.
    pub async fn stepwise(
        &mut self,
        migration: &Arc<Migration>,
        direction: Direction,
    ) -> Result<StepwiseRehearsal<'_>> {
        StepwiseRehearsal::begin(self, step(migration, direction)?).await
    }

    /// Sends an inspection: queries as the role that logged in, in a transaction that changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Statement`] with the server's message.
    pub async fn look(&mut self, sql: &str) -> Result<Vec<TextRows>> {
        let (answers, failure) = self.session.attempt(&around(OUTSIDE, sql)).await;
        match failure {
            None => Ok(seen(answers, OUTSIDE)),
            Some(failure) => {
                // If this fails too, the session is gone, and the next message reports it.
                let _ = self.session.send("ROLLBACK").await;
                Err(blind(failure))
            }
        }
    }
}

impl<'a> StepwiseRehearsal<'a> {
    pub(in crate::runner) async fn begin(rehearsal: &'a mut Rehearsal, step: PlanStep) -> Result<Self> {
        let (head, stage) = match &step.work {
            StepWork::Sql(script) if step.no_transaction() => {
                (own_timeouts(script, "").concat(), RehearsalStage::Outside)
            }
            StepWork::Sql(script) => {
                (format!("BEGIN; {}", own_timeouts(script, "LOCAL ").concat()), RehearsalStage::Inside)
            }
            StepWork::Code => (String::new(), RehearsalStage::Outside),
        };
        if !head.is_empty() {
            rehearsal.query(&head).await?;
        }
        Ok(Self { rehearsal, step, at: 0, stage })
    }

    /// The next statement; `None` after the last one, and after one that was refused.
    ///
    /// A migration written in Rust is one statement without text.
    pub fn next(&self) -> Option<Statement> {
        match &self.step.work {
            _ if self.stage == RehearsalStage::Failed => None,
            StepWork::Sql(script) => script.statements().get(self.at).cloned(),
            StepWork::Code => (self.at == 0).then_some(Statement { span: 0..0, class: StatementClass::Plain }),
        }
    }

    /// Whether its statements share a transaction.
    pub fn is_transaction(&self) -> bool {
        !self.step.no_transaction()
    }

    /// Runs the next statement, then sends `look` if its transaction is still open: all of its locks can then be seen.
    /// After a statement that cannot run in a transaction, and after one that was refused, only
    /// [`StepwiseRehearsal::look`] can query. An empty `look` queries nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Statement`] and [`ErrorKind::Code`] with the place of the failure. The migration is rolled back
    /// then.
    pub async fn go(&mut self, look: &str) -> Result<StatementResult> {
        let Some(statement) = self.next() else { return Ok(StatementResult::default()) };
        let outcome = match self.step.work.clone() {
            StepWork::Sql(script) => self.statement(&script, &statement, look).await,
            StepWork::Code => self.function(look).await,
        };
        match &outcome {
            Ok(_) => self.at += 1,
            Err(_) => self.abandon().await,
        }
        outcome
    }

    /// Inspects again: in the transaction, if one is open.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Statement`] with the server's message.
    pub async fn look(&mut self, sql: &str) -> Result<Vec<TextRows>> {
        match self.stage {
            _ if sql.is_empty() => Ok(Vec::new()),
            RehearsalStage::Inside => self.inside(sql).await,
            RehearsalStage::Outside | RehearsalStage::Failed => self.rehearsal.look(sql).await,
        }
    }

    /// Ends the migration: fires deferred triggers, inspects for the last time, and commits; restores the session. If a
    /// statement was refused, it only restores the session.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Statement`] when a deferred constraint is violated.
    pub async fn end(mut self, look: &str) -> Result<StatementResult> {
        let outcome = self.finish(look).await;
        if outcome.is_err() {
            self.abandon().await;
        }
        if self.stage == RehearsalStage::Failed || needs_fresh_session(&self.step) {
            self.rehearsal.renew().await?;
        }
        outcome
    }

    /// Runs a statement; a statement that is committed separately and may run in a transaction gets its own.
    async fn statement(&mut self, script: &Script, statement: &Statement, look: &str) -> Result<StatementResult> {
        let own = self.stage == RehearsalStage::Outside && statement.class == StatementClass::Plain;
        let (head, tail) = if own { ("BEGIN; ", "COMMIT") } else { ("", "") };
        let begin = Instant::now();
        let text = &script.text()[statement.span.clone()];
        // A role that may not set this may not create a tablespace either, and the server's error for that is better.
        let inside = match in_place(text) {
            Some(inside) if self.rehearsal.query("SET allow_in_place_tablespaces TO on").await.is_ok() => Some(inside),
            _ => None,
        };
        let message = format!("{head}{}", inside.as_deref().unwrap_or(text));
        let limit = self.rehearsal.limit.of(Some(script), 1);
        let (_, failure) = self.rehearsal.attempt(&message, limit).await;
        let mut elapsed = begin.elapsed();
        if let Some(failure) = failure {
            let at = FailurePlace::apart(&failure, &message, head.len(), script, self.at);
            return Err(self.refused(at, failure));
        }
        let seen = match own || self.stage == RehearsalStage::Inside {
            true if !look.is_empty() => self.inside(look).await?,
            _ => Vec::new(),
        };
        if own {
            self.guard().await?;
        }
        let begin = Instant::now();
        if !tail.is_empty()
            && let (_, Some(failure)) = self.rehearsal.attempt(tail, limit).await
        {
            return Err(self.refused(FailurePart::Statement(self.at).into(), failure));
        }
        elapsed += begin.elapsed();
        Ok(StatementResult { elapsed, seen })
    }

    /// Lets another tool run the migration. It has ended when the inspection could look.
    async fn engine(&mut self, engine: &dyn MigrationEngine) -> Result<StatementResult> {
        let Some(migration) = &self.step.migration else { return Err(code::missing(&self.step)) };
        let begin = Instant::now();
        engine.run(migration, self.step.direction, &self.rehearsal.database).await?;
        Ok(StatementResult { elapsed: begin.elapsed(), seen: Vec::new() })
    }

    /// Runs a migration written in Rust: its function, the inspection, and the end of its transaction.
    async fn function(&mut self, look: &str) -> Result<StatementResult> {
        if let Some(engine) = self.rehearsal.code.engine().cloned() {
            return self.engine(&*engine).await;
        }
        let Self { rehearsal, step, .. } = self;
        let Some(code) = rehearsal.code.get(&step.version).cloned() else { return Err(code::missing(step)) };
        let (direction, mut elapsed) = (step.direction, Duration::ZERO);
        let work = async |connection: &mut PgConnection| {
            let begin = Instant::now();
            let outcome = code::call(&*code, direction, connection).await;
            elapsed = begin.elapsed();
            outcome
        };
        let asked =
            [look, rehearsal.guard].iter().filter(|one| !one.is_empty()).copied().collect::<Vec<_>>().join("\n;");
        let asked = if asked.is_empty() { asked } else { around(INSIDE, &asked) };
        let finish = format!("{asked} {}", rehearsal.settings.isolate());
        match rehearsal.session.in_transaction("", work, &finish).await {
            Ok(Ok(_)) if look.is_empty() => Ok(StatementResult { elapsed, seen: Vec::new() }),
            Ok(Ok(mut answers)) => {
                let ours = rehearsal.settings.isolate().matches(';').count();
                answers.truncate(answers.len().saturating_sub(ours));
                Ok(StatementResult { elapsed, seen: seen(answers, INSIDE) })
            }
            Ok(Err(why)) => {
                let path = step.migration.as_ref().map(|migration| migration.path().to_owned()).unwrap_or_default();
                Err(code::wrong(step, &path, why))
            }
            Err(failure) => Err(self.refused(FailurePart::End.into(), failure)),
        }
    }

    async fn finish(&mut self, look: &str) -> Result<StatementResult> {
        let isolate = self.rehearsal.settings.isolate();
        let mut pace = StatementResult::default();
        let script = if let StepWork::Sql(script) = &self.step.work { Some(&**script) } else { None };
        let limit = self.rehearsal.limit.of(script, 1);
        let (first, last) = match self.stage {
            RehearsalStage::Inside => ("SET CONSTRAINTS ALL IMMEDIATE", format!("{isolate} COMMIT;")),
            RehearsalStage::Outside if self.step.no_transaction() => ("", format!("BEGIN; {isolate} COMMIT;")),
            // A migration written in Rust ends with its function.
            RehearsalStage::Outside | RehearsalStage::Failed => return Ok(pace),
        };
        for message in [first, &last] {
            if message.is_empty() {
                continue;
            }
            if message == last && self.stage == RehearsalStage::Inside {
                self.guard().await?;
            }
            let begin = Instant::now();
            if let (_, Some(failure)) = self.rehearsal.attempt(message, limit).await {
                return Err(self.refused(FailurePart::End.into(), failure));
            }
            pace.elapsed += begin.elapsed();
            if message == first && !look.is_empty() {
                pace.seen = self.inside(look).await?;
            }
        }
        Ok(pace)
    }

    /// Refuses changes of the open transaction to objects that the whole server shares.
    async fn guard(&mut self) -> Result<()> {
        match self.rehearsal.guard {
            "" => Ok(()),
            guard => self.inside(guard).await.map(drop),
        }
    }

    async fn inside(&mut self, look: &str) -> Result<Vec<TextRows>> {
        let (answers, failure) = self.rehearsal.session.attempt(&around(INSIDE, look)).await;
        failure.map_or_else(|| Ok(seen(answers, INSIDE)), |failure| Err(blind(failure)))
    }

    /// Leaves a transaction that failed.
    async fn abandon(&mut self) {
        self.stage = RehearsalStage::Failed;
        // If this fails too, the session is gone, and the next one is new.
        let _ = self.rehearsal.session.send("ROLLBACK").await;
    }

    fn refused(&self, at: FailurePlace, failure: SessionFailure) -> Error {
        if let Some(error) = of_server(&failure) {
            return error;
        }
        let script = if let StepWork::Sql(script) = &self.step.work { Some(&**script) } else { None };
        self.rehearsal.limit.reword(explain::refused(&self.step, at, broken(failure)), script)
    }
}

/// Changes a statement that creates a tablespace to place it in the data directory of the shadow server: a directory
/// outside belongs to one server, and the shadow server's account may not even be able to read it.
fn in_place(statement: &str) -> Option<String> {
    let words: Vec<_> = words(statement).map(|(_, span)| span).collect();
    let is =
        |at: usize, word: &str| words.get(at).is_some_and(|span| statement[span.clone()].eq_ignore_ascii_case(word));
    if !(is(0, "create") && is(1, "tablespace")) {
        return None;
    }
    let place = (3..words.len()).find(|at| is(*at, "location"))? + 1;
    let span = words.get(place).filter(|span| quoted(&statement[(*span).clone()]).is_some())?;
    Some(format!("{}''{}", &statement[..span.start], &statement[span.end..]))
}

/// The message of an inspection.
fn around((head, tail): (&str, &str), look: &str) -> String {
    // The line break ends a comment at the end of the inspection.
    format!("{head} {} {look}\n; {tail}", EYES.concat())
}

/// The answers of the inspection, without those of the statements around it.
fn seen(mut answers: Vec<StatementAnswer>, (head, tail): (&str, &str)) -> Vec<TextRows> {
    let count = |text: &str| text.matches(';').count();
    answers.truncate(answers.len().saturating_sub(count(tail)));
    answers.drain(..(count(head) + count(&EYES.concat())).min(answers.len()));
    answers.into_iter().map(rows).collect()
}

fn blind(failure: SessionFailure) -> Error {
    let of_server = of_server(&failure);
    of_server.unwrap_or_else(|| failure.explain(ErrorKind::Statement, codes::LOOK, "query the shadow database"))
}

#[cfg(test)]
mod tests {
    use super::in_place;

    #[test]
    fn only_a_tablespace_that_is_made_has_another_place() {
        for (text, place) in [
            ("CREATE TABLESPACE a LOCATION '/x'", Some("CREATE TABLESPACE a LOCATION ''")),
            (
                "create /* location */ tablespace \"location\" OWNER b\nlocation $$/x$$ WITH (seq_page_cost = 1)",
                Some("create /* location */ tablespace \"location\" OWNER b\nlocation '' WITH (seq_page_cost = 1)"),
            ),
            ("CREATE TABLESPACE a", None),
            ("ALTER TABLESPACE a RENAME TO location", None),
            ("COPY a FROM PROGRAM 'create tablespace location'", None),
        ] {
            assert_eq!(in_place(text).as_deref(), place, "{text}");
        }
    }
}
