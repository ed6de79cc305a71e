//! One migration in one direction: its statements one after the other, each with a look. The walk takes care of
//! what comes before and after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use migrate_base::sql::{Statement, StatementClass};
use migrate_core::runner::{Rehearsal, StatementResult, StepwiseRehearsal};
use migrate_core::source::Script;
use migrate_core::{Direction, Error, ErrorKind, Migration};

use super::Observation;
use super::look::{LOCKED, PriorRelations, RELATIONS, RelationSnapshot};
use super::probe::{Probe, ProbeResult};
use super::tally::{TableFileChange, Tally};
use crate::ephemeral::refused;
use crate::proof::{ChainDatabase, ProofError};

/// How a statement is observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ObservationMode {
    /// Within its transaction, which is still open.
    Inside,
    /// It is blocked from outside.
    HeldUp,
    /// It takes no lock.
    Not,
}

/// Whether statements that cannot run in a transaction are blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockingPolicy {
    /// They are blocked.
    HoldUp,
    /// They are not blocked, because their own timeouts are too short for that.
    LetAlone,
}

/// A script that is being observed.
struct ScriptObserver<'a> {
    stepwise: StepwiseRehearsal<'a>,
    script: Option<Arc<Script>>,
    tally: Tally,
    probe: Option<Probe>,
}

/// The note for a statement whose locks were released before they could be seen.
const GONE: &str = "it failed, and its locks were released with its transaction";
const LET_ALONE: &str = "it cannot run in a transaction, and its timeouts are too short to hold it up";

/// Runs a migration and returns what was observed.
///
/// # Errors
///
/// [`ProofError`] when the server is gone, or the migration has no script for this direction. A migration that
/// fails is not an error.
pub(super) async fn observe(
    ground: &mut ChainDatabase,
    migration: &Arc<Migration>,
    direction: Direction,
    nerve: BlockingPolicy,
) -> Result<Observation, ProofError> {
    let mut observer = ScriptObserver::begin(ground, migration, direction, nerve).await?;
    let failed = observer.run().await?;
    let (tally, failed) = observer.end(failed).await?;
    let (statements, elapsed) = tally.finish();
    Ok(Observation { statements, failed, elapsed, ..Observation::new(migration, direction) })
}

impl<'a> ScriptObserver<'a> {
    async fn begin(
        ground: &'a mut ChainDatabase,
        migration: &Arc<Migration>,
        direction: Direction,
        nerve: BlockingPolicy,
    ) -> Result<Self, ProofError> {
        let script = match direction {
            Direction::Up => migration.up_script(),
            Direction::Down => migration.down_script(),
        };
        let tally = Tally::of(PriorRelations::read(&mut ground.rehearsal).await?);
        let is_held_up = |script: &&Arc<Script>| {
            let mut statements = script.statements().iter();
            script.directives().no_transaction
                && statements.any(|one| way(script, one, false) == ObservationMode::HeldUp)
        };
        let probe = match script.filter(is_held_up) {
            Some(_) if nerve == BlockingPolicy::HoldUp => {
                Some(Probe::open(&ground.address(), &mut ground.rehearsal).await?)
            }
            _ => None,
        };
        let stepwise = ground.rehearsal.stepwise(migration, direction).await?;
        Ok(Self { stepwise, script: script.cloned(), tally, probe })
    }

    /// Ends the transaction, and returns why it failed, if it did.
    async fn end(self, failed: Option<Error>) -> Result<(Tally, Option<Error>), ProofError> {
        let Self { stepwise, mut tally, probe, .. } = self;
        if let Some(probe) = probe {
            probe.close().await;
        }
        if failed.is_some() {
            stepwise.end("").await?;
            return Ok((tally, failed));
        }
        match stepwise.end(LOCKED).await {
            Ok(pace) => {
                // Deferred work is attributed to the last statement.
                if !pace.seen.is_empty() {
                    let look = RelationSnapshot::of_locked(&pace.seen);
                    tally.locks(&look.locks);
                    tally.look(&look);
                }
                tally.commit(pace.elapsed);
                Ok((tally, None))
            }
            Err(error) => Ok((tally, Some(of_migration(error)?))),
        }
    }

    /// Runs the statements up to the end, or up to one that fails.
    async fn run(&mut self) -> Result<Option<Error>, ProofError> {
        while let Some(statement) = self.stepwise.next() {
            let way = match &self.script {
                Some(script) => way(script, &statement, self.stepwise.is_transaction()),
                None => ObservationMode::Inside,
            };
            let Self { stepwise, script, tally, probe } = self;
            let mut go = async |look: &str| {
                let begin = Instant::now();
                (stepwise.go(look).await, begin.elapsed())
            };
            let ((outcome, elapsed), sight) = match (way, probe) {
                (ObservationMode::HeldUp, Some(probe)) => {
                    let text = text(script.as_deref(), &statement);
                    let (went, sight) = probe.watch(tally.world(), text, statement.class, go("")).await?;
                    (went, Some(sight))
                }
                (ObservationMode::Inside, _) => (go(LOCKED).await, None),
                _ => (go("").await, None),
            };
            match outcome {
                Ok(pace) => self.seen(&statement, way, &pace, sight).await?,
                Err(error) => {
                    let error = of_migration(error)?;
                    self.failed(&statement, way, elapsed, sight).await?;
                    return Ok(Some(error));
                }
            }
        }
        Ok(None)
    }

    /// Records what was seen of a statement.
    async fn seen(
        &mut self,
        statement: &Statement,
        way: ObservationMode,
        pace: &StatementResult,
        sight: Option<ProbeResult>,
    ) -> Result<(), ProofError> {
        let held_up = sight.as_ref().map_or(Duration::ZERO, |sight| sight.held_up);
        self.tally.statement(statement.span.clone(), pace.elapsed.saturating_sub(held_up));
        let look = match way {
            ObservationMode::Not => return Ok(()),
            ObservationMode::Inside => RelationSnapshot::of_locked(&pace.seen),
            ObservationMode::HeldUp => RelationSnapshot::of_relations(&self.stepwise.look(RELATIONS).await?),
        };
        match (sight, way) {
            (Some(sight), _) => {
                self.tally.locks(&sight.locks);
                let why = sight.why(&self.tally);
                self.tally.unseen(why);
            }
            (None, ObservationMode::HeldUp) => self.tally.unseen(Some(LET_ALONE.to_owned())),
            (None, _) => self.tally.locks(&look.locks),
        }
        let moved = self.tally.look(&look);
        self.count(statement, &moved).await?;
        if self.script.as_ref().is_some_and(|script| words(script, statement) == ["rollback", "to"]) {
            // After the rollback, a table that was rewritten has its previous file again.
            let look = RelationSnapshot::of_relations(&self.stepwise.look(RELATIONS).await?);
            self.tally.counted(look.stored);
        }
        if !self.stepwise.is_transaction() {
            self.tally.commit(Duration::ZERO);
        }
        Ok(())
    }

    /// Records what is left of a statement that failed.
    async fn failed(
        &mut self,
        statement: &Statement,
        way: ObservationMode,
        elapsed: Duration,
        sight: Option<ProbeResult>,
    ) -> Result<(), ProofError> {
        let held_up = sight.as_ref().map_or(Duration::ZERO, |sight| sight.held_up);
        self.tally.statement(statement.span.clone(), elapsed.saturating_sub(held_up));
        let why = match (&sight, way) {
            (Some(sight), _) => {
                self.tally.locks(&sight.locks);
                sight.why(&self.tally)
            }
            (None, ObservationMode::HeldUp) => Some(LET_ALONE.to_owned()),
            (None, _) => Some(GONE.to_owned()),
        };
        self.tally.unseen(why);
        let look = RelationSnapshot::of_relations(&self.stepwise.look(RELATIONS).await?);
        self.tally.invalid(&look.invalid);
        Ok(())
    }

    /// Counts the rows of tables that have another file than before.
    async fn count(&mut self, statement: &Statement, moved: &[TableFileChange]) -> Result<(), ProofError> {
        // If an empty table is truncated, its new file alone would suggest a rewrite.
        let empties = self.script.as_ref().is_some_and(|script| words(script, statement)[0] == "truncate");
        let moved: Vec<&TableFileChange> = moved.iter().filter(|moved| moved.was_filled || !empties).collect();
        if moved.is_empty() {
            return Ok(());
        }
        // A materialized view without data cannot be counted.
        let count = |moved: &&TableFileChange| match moved.is_empty {
            true => "SELECT 0;".to_owned(),
            false => format!("SELECT count(*) FROM ONLY {};", moved.name),
        };
        let counts: String = moved.iter().map(count).collect();
        let mut answers = self.stepwise.look(&format!("{counts}{RELATIONS}")).await?;
        let behind = answers.split_off(moved.len().min(answers.len()));
        for (moved, (_, rows)) in moved.into_iter().zip(answers) {
            let rows = rows.into_iter().flatten().next().flatten().and_then(|count| count.parse().ok());
            self.tally.moved(moved, rows.unwrap_or_default());
        }
        self.tally.counted(RelationSnapshot::of_relations(&behind).stored);
        Ok(())
    }
}

/// How a statement is observed.
fn way(script: &Script, statement: &Statement, in_transaction: bool) -> ObservationMode {
    let [first, second] = words(script, statement);
    match statement.class {
        // Some settings have to come first in their transaction, so no look can precede them.
        _ if in_transaction && first == "set" && second != "constraints" => ObservationMode::Not,
        _ if in_transaction => ObservationMode::Inside,
        StatementClass::Plain => ObservationMode::Inside,
        StatementClass::Session => ObservationMode::Not,
        _ => ObservationMode::HeldUp,
    }
}

/// The text of a statement; empty for a migration written in Rust.
fn text<'a>(script: Option<&'a Script>, statement: &Statement) -> &'a str {
    script.map_or("", |script| &script.text()[statement.span.clone()])
}

/// The first two words of a statement.
fn words(script: &Script, statement: &Statement) -> [String; 2] {
    let words = text(Some(script), statement).split(|c: char| !c.is_alphanumeric() && c != '_');
    let mut words = words.filter(|word| !word.is_empty());
    [words.next(), words.next()].map(|word| word.unwrap_or_default().to_ascii_lowercase())
}

/// The error of a migration. An error of the server or of our own queries ends the observation.
fn of_migration(error: Error) -> Result<Error, ProofError> {
    match error.kind() {
        _ if Rehearsal::is_of_server(&error) => Err(refused(error)),
        ErrorKind::Statement | ErrorKind::Code if error.findings().iter().all(|one| one.code != "look") => Ok(error),
        _ => Err(error.into()),
    }
}
