//! Runs the steps of a plan: transactional SQL in few messages, everything else one by one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use migrate_base::codes;
use migrate_base::db::{Fence, LedgerMarker, Reply, SessionFailure, pooler};
use migrate_base::error::{Error, ErrorKind, Result};
use tokio::time::sleep;

use super::drive::RunConnections;
use super::pulse::MessageSteps;
use super::{code, stepwise, surround};
use crate::kept::SurroundingSql;
use crate::ledger::LedgerWriter;
use crate::runner::CodeMigrations;
use crate::runner::message::locate::{self, FailurePart, FailurePlace};
use crate::runner::message::session_effect::{leaves_session, may_make_event_triggers};
use crate::runner::message::{
    Message, MessageFailure, SessionSettings, explain, needs_fresh_session, outcome, own_timeouts,
};
use crate::runner::options::{CommittedStep, Options, Progress, RunReport};
use crate::runner::plan::{Plan, PlanStep, StepWork, obstacle};
use crate::source::{Script, Version};

/// A run in progress.
pub(in crate::runner) struct Executor<'a> {
    pub(in crate::runner) lines: RunConnections,
    pub(in crate::runner) writer: LedgerWriter,
    pub(in crate::runner) settings: SessionSettings,
    pub(in crate::runner) options: &'a Options,
    pub(in crate::runner) code: &'a CodeMigrations,
    /// The versions with kept data that is not restored yet.
    pub(in crate::runner) kept: BTreeSet<Version>,
    pub(in crate::runner) report: RunReport,
    /// Whether event triggers may run at any statement and do anything.
    pub(in crate::runner) has_event_triggers: bool,
}

/// How many migrations the first message takes; the number doubles as long as the server is quick.
const FIRST: usize = 16;
const MOST: usize = 512;
const QUICK: Duration = Duration::from_millis(250);
/// A message is held in memory here and on the server.
const BYTES: usize = 1 << 20;

impl Executor<'_> {
    /// Runs all steps; on failure the report still contains what was committed.
    pub(in crate::runner) async fn run(&mut self, plan: &Plan) -> Result<()> {
        let steps = plan.steps();
        self.has_event_triggers |= steps.iter().any(|step| match &step.work {
            StepWork::Sql(script) => may_make_event_triggers(script),
            StepWork::Code => true,
        });
        let mut at = 0;
        let mut size = FIRST;
        while let Some(step) = steps.get(at) {
            if self.options.cancel.is_cancelled() {
                return Err(explain::interrupted(step));
            }
            match &step.work {
                StepWork::Sql(script) if step.no_transaction() => {
                    stepwise::run(self, step, script).await?;
                    at += 1;
                }
                StepWork::Sql(_) => {
                    let begin = Instant::now();
                    let chunk = &steps[at..at + self.chunk(&steps[at..], size)];
                    self.run_chunk(chunk).await?;
                    at += chunk.len();
                    size = if begin.elapsed() < QUICK { (size * 2).min(MOST) } else { (size / 2).max(1) };
                }
                StepWork::Code => {
                    code::run(self, step).await?;
                    at += 1;
                }
            }
            let last = &steps[at - 1];
            if needs_fresh_session(last) && at < steps.len() {
                self.reconnect().await?;
            }
            if self.lines.lock_lost {
                return Err(lock_lost());
            }
        }
        Ok(())
    }

    /// The number of steps that can share the next message.
    fn chunk(&self, steps: &[PlanStep], size: usize) -> usize {
        let mut bytes = 0;
        let mut count = 0;
        for step in steps.iter().take(size) {
            let StepWork::Sql(script) = &step.work else { break };
            if step.no_transaction() || (count > 0 && bytes + script.text().len() > BYTES) {
                break;
            }
            bytes += script.text().len();
            count += 1;
            if needs_fresh_session(step) {
                break;
            }
        }
        count
    }

    /// Runs steps that share a message; each is committed on its own.
    async fn run_chunk(&mut self, steps: &[PlanStep]) -> Result<()> {
        let mut left = steps;
        let mut tries = 0;
        while !left.is_empty() {
            let before = self.writer.next_id();
            let message = self.message(left);
            let mut progress = AnswerCounter::new(&message);
            let outcome = self.send(&message, left, &mut progress).await;
            let Err(broken) = outcome else { return Ok(()) };
            let Some(failed) = failed_at(&message, left, &progress, &broken) else {
                return Err(self.lost_place(broken));
            };
            let step = &left[failed.0];
            self.writer.resume_after(before - 1 + i64::try_from(progress.part).unwrap_or(0));
            if !broken.failure.is_lost() {
                self.roll_back(step).await?;
            }
            if failed.0 > progress.part {
                // The whole message was refused before anything ran, because of an error further down. Run the steps
                // before it on their own, then report the error.
                Box::pin(self.run_chunk(&left[..failed.0])).await?;
                return Err(explain::refused(step, failed.1, broken));
            }
            if failed.1.part == FailurePart::Unknown && left.len() > 1 && !broken.cancelled {
                // The message has a syntax error, and nothing of it was run: sending the steps one by one shows where.
                for step in left {
                    Box::pin(self.run_chunk(std::slice::from_ref(step))).await?;
                }
                return Ok(());
            }
            if broken.failure.is_taken(&self.options.ledger) {
                return Err(Error::new(ErrorKind::Stale, obstacle::stale()));
            }
            if progress.part > 0 {
                tries = 0;
            }
            tries += 1;
            if !self.try_again(step, &broken, tries).await {
                // Answers that the server had not sent yet are lost with the connection.
                let last = left.last().filter(|last| broken.failure.is_lost() && last.version != step.version);
                let together = last.map(explain::together);
                let error = explain::refused(step, failed.1, broken);
                return Err(together.into_iter().fold(error, Error::note));
            }
            left = &left[progress.part..];
        }
        Ok(())
    }

    fn message(&mut self, steps: &[PlanStep]) -> Message {
        let isolate = self.settings.isolate();
        let mut message = Message::default();
        for step in steps {
            if let StepWork::Sql(script) = &step.work {
                let record = self.writer.insert(&outcome(step, script, self.options));
                let aside = surround::around(self.options, &self.kept, step);
                // After a script that visibly leaves its session unchanged, there is nothing to reset.
                let is_plain = aside == SurroundingSql::default() && own_timeouts(script, "").is_empty();
                let is_untouched = !self.has_event_triggers && is_plain && leaves_session(script);
                message.push(script, &aside, if is_untouched { "" } else { &isolate }, &record);
            }
        }
        message
    }

    async fn send(
        &mut self,
        message: &Message,
        steps: &[PlanStep],
        progress: &mut AnswerCounter,
    ) -> std::result::Result<(), MessageFailure> {
        let first = self.writer.next_id() - i64::try_from(steps.len()).unwrap_or(0);
        let course = MessageSteps::bundle(steps, first);
        let (options, report) = (self.options, &mut self.report);
        let mut hear = |reply| {
            if let Some((part, elapsed)) = progress.hear(reply) {
                record_done(report, options, &steps[part], elapsed);
            }
        };
        self.lines.drive(message.sql.clone(), &course, options, &mut hear).await
    }

    /// Waits a moment and returns true if another attempt may succeed.
    pub(in crate::runner) async fn try_again(&self, step: &PlanStep, broken: &MessageFailure, tries: u32) -> bool {
        let Options { lock_retries, cancel, observer, .. } = self.options;
        if broken.cancelled || !broken.failure.is_lock_conflict() || tries > *lock_retries {
            return false;
        }
        let pause = jittered(Duration::from_millis(200).saturating_mul(1 << tries.min(4)));
        observer.hear(&Progress::Retry(step, tries, *lock_retries, pause));
        tokio::select! {
            () = sleep(pause) => true,
            () = cancel.cancelled() => false,
        }
    }

    /// Ends a failed transaction and restores the session's settings.
    pub(in crate::runner) async fn roll_back(&mut self, step: &PlanStep) -> Result<()> {
        let again = format!("ROLLBACK; {}", self.settings.isolate());
        self.send_own(&again).await.map_err(|failure| {
            failure.explain(ErrorKind::Statement, codes::ROLLBACK, &format!("end {}", explain::title(step)))
        })
    }

    /// Sends one message of our own that returns no rows.
    pub(in crate::runner) async fn record(&mut self, step: &PlanStep, sql: &str) -> Result<()> {
        let outcome = match self.send_own(sql).await {
            Err(failure) if failure.is_lock_timeout() => {
                Err(failure.with_holders(self.lines.worker.in_the_way(Some(&self.options.ledger)).await))
            }
            outcome => outcome,
        };
        outcome.map_err(|failure| match failure.is_taken(&self.options.ledger) {
            true => Error::new(ErrorKind::Stale, obstacle::stale()),
            false => failure.explain(
                ErrorKind::Ledger,
                codes::LEDGER_UNWRITABLE,
                &format!("record {}", explain::title(step)),
            ),
        })
    }

    /// Sends one message of our own. Cancellation does not cancel it, but shortens the wait for an answer.
    async fn send_own(&mut self, sql: &str) -> std::result::Result<(), SessionFailure> {
        let outcome = tokio::select! {
            biased;
            outcome = self.lines.worker.send(sql) => outcome,
            () = self.options.cancel.impatient() => Err(explain::no_patience()),
        };
        if matches!(&outcome, Err(SessionFailure::Silent(_))) {
            self.lines.worker.cut();
        }
        outcome
    }

    /// Opens a new session for the work, with the current defaults of new sessions. The old one is closed first,
    /// because a pool may have only two connections for us.
    pub(in crate::runner) async fn reconnect(&mut self) -> Result<()> {
        let RunConnections { worker, guard, fence, .. } = &mut self.lines;
        let (application, lock_wait) = (&self.options.actor.application, self.options.lock_wait);
        worker.renew(application).await?;
        let process = pooler::identify(worker).await?;
        // Cleaning up after the run must end this process, even if the answer about the fence does not arrive.
        *fence = Fence::of(process.clone());
        *fence = guard.fence(worker, process, lock_wait, &mut |_| {}).await?;
        let settings = self.settings.sql();
        let sent = self.lines.worker.send(&settings).await;
        sent.map_err(|failure| failure.explain(ErrorKind::Connection, codes::SESSION, "prepare a session"))
    }

    fn lost_place(&self, broken: MessageFailure) -> Error {
        broken.failure.explain(ErrorKind::Statement, codes::STATEMENT_FAILED, "run the migrations")
    }
}

/// Adds a committed step to the report and notifies the observer.
pub(in crate::runner) fn record_done(report: &mut RunReport, options: &Options, step: &PlanStep, elapsed: Duration) {
    options.observer.hear(&Progress::Done(step, elapsed));
    let (version, name) = (step.version.to_string(), step.name.clone());
    report.done.push(CommittedStep { direction: step.direction, version, name, elapsed });
}

/// Which step failed, and where in its script.
fn failed_at(
    message: &Message,
    steps: &[PlanStep],
    progress: &AnswerCounter,
    broken: &MessageFailure,
) -> Option<(usize, FailurePlace)> {
    let scripts: Vec<&Script> = steps.iter().filter_map(|step| step.script()).collect();
    locate::in_message(&broken.failure, message, &scripts, progress.part, progress.statements)
}

/// A random pause, so that several runs that collided do not collide again.
fn jittered(pause: Duration) -> Duration {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = RandomState::new().build_hasher().finish() % 1000;
    pause.mul_f64(0.5 + random as f64 / 1000.0)
}

fn lock_lost() -> Error {
    use migrate_base::finding::Finding;
    Error::new(
        ErrorKind::Lock,
        Finding::new(codes::LOCK_LOST, "the migration lock was lost during the run, so the run stopped")
            .note("each migration is recorded together with its changes, so none can have run twice")
            .help("`cargo xtask status` shows the state of the chain; run the command again"),
    )
}

/// Counts the answers to a message, and derives from them which part is running.
struct AnswerCounter {
    /// The part that is running, which is also the number of committed parts.
    part: usize,
    /// How many of its statements are done.
    statements: usize,
    parts: usize,
    written: Option<(LedgerMarker, usize)>,
    before: Option<Duration>,
}

impl AnswerCounter {
    fn new(message: &Message) -> Self {
        Self { part: 0, statements: 0, parts: message.parts.len(), written: None, before: None }
    }

    /// Processes one answer; returns a part when it is committed, with its duration.
    fn hear(&mut self, reply: Reply) -> Option<(usize, Duration)> {
        match reply {
            Reply::Marker(marker) => {
                self.written = Some((marker, 0));
                None
            }
            Reply::Statement => {
                self.statements += 1;
                let (marker, after) = self.written.as_mut()?;
                *after += 1;
                // The first answer after the row is for the INSERT, the second for the COMMIT.
                if *after < 2 {
                    return None;
                }
                let elapsed = marker.elapsed(self.before);
                self.before = Some(marker.at);
                self.written = None;
                self.statements = 0;
                self.part += 1;
                (self.part <= self.parts).then_some((self.part - 1, elapsed))
            }
        }
    }
}
