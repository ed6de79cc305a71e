//! Sends one message and reads the answers as they arrive, while watching for blocking sessions and for cancellation.
//!
//! The watching uses the connection of the lock, in parallel with the answers and never before them: a check that gets
//! no answer delays nothing. If that connection falls silent, another connection is used, and if the server no longer
//! works for us, the message is given up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use migrate_base::db::{
    Fence, Guard, LockHolder, ProbeRefusal, ProcessState, Reply, RunHealth, Session, SessionFailure, SessionProgress,
    SilenceDetector, TimeLimits,
};
use migrate_base::error::Result as Outcome;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use super::pulse::{MessageSteps, ProgressTimer};
use crate::runner::message::MessageFailure;
use crate::runner::options::{LEAVING, Options, Progress};

/// The connections of a run and what they hold; each of them ends with [`RunConnections::give_back`].
#[derive(Debug)]
pub(in crate::runner) struct RunConnections {
    pub(in crate::runner) worker: Session,
    pub(in crate::runner) guard: Guard,
    pub(in crate::runner) fence: Fence,
    /// Watches instead of the guard if the guard's connection is silent or gone.
    pub(in crate::runner) scout: Option<Session>,
    /// Whether nothing answered when the worker was given up: neither the guard nor a new connection.
    pub(in crate::runner) is_cut_off: bool,
    /// Whether we lost the lock.
    pub(in crate::runner) lock_lost: bool,
}

/// How long after a cancel request a statement that still runs is cancelled again.
const AGAIN: Duration = Duration::from_secs(1);

/// How often the second connection checks the first one.
const LOOK: Duration = Duration::from_millis(400);

impl RunConnections {
    /// Releases the lock and the fence, and closes the connections, because the state that a migration left in a
    /// session is unknown. Returns an error if the lock was no longer ours.
    pub(in crate::runner) async fn give_back(self) -> Outcome<()> {
        let Self { worker, mut guard, fence, mut scout, is_cut_off, .. } = self;
        if is_cut_off {
            // Nothing answers, so nothing can be released: the server will notice that we are gone.
            return Ok(());
        }
        let is_gone = !worker.is_open();
        if is_gone {
            let _ = timeout(LEAVING, guard.end(&fence, &mut scout)).await;
        }
        let database = worker.database().clone();
        // Both at once, because neither has to wait for the other: the next run takes the lock first and the fence
        // second.
        let (is_back, released) = tokio::join!(worker.give_back(), guard.release(&mut scout));
        if !is_back && !is_gone {
            // The connection broke, and perhaps only we know that: as long as the server process lives, it holds its
            // fence.
            let _ = timeout(LEAVING, fence.end(&database, &mut scout)).await;
        }
        if let Some(scout) = scout {
            scout.close().await;
        }
        released
    }

    /// Sends a message and passes on every answer; meanwhile checks the lock and looks for blocking sessions.
    pub(in crate::runner) async fn drive(
        &mut self,
        message: String,
        course: &MessageSteps<'_>,
        options: &Options,
        hear: &mut (dyn FnMut(Reply) + Send),
    ) -> Result<(), MessageFailure> {
        let Self { worker, guard, fence, scout, lock_lost, .. } = self;
        let heard = AtomicUsize::new(0);
        let mut watch = MessageWatch::new(guard, fence, scout, lock_lost, worker, message.len(), &heard);
        let outcome = {
            let mut replies = worker.replies(message);
            let talk = async {
                while let Some(reply) = replies.next().await {
                    heard.fetch_add(1, Ordering::Relaxed);
                    hear(reply?);
                }
                Ok(())
            };
            tokio::select! {
                biased;
                outcome = talk => outcome,
                failure = watch.over(course, options) => Err(failure),
            }
        };
        let outcome = outcome.map_err(|failure| watch.broken(failure));
        let nothing_answers = watch.is_cut_off;
        self.after(outcome, nothing_answers)
    }

    /// Waits for work on the first connection that is not a message of ours: a Rust migration.
    pub(in crate::runner) async fn accompany<T>(
        &mut self,
        course: &MessageSteps<'_>,
        options: &Options,
        work: impl AsyncFnOnce(&mut Session) -> Result<T, SessionFailure>,
    ) -> Result<T, MessageFailure> {
        let Self { worker, guard, fence, scout, lock_lost, .. } = self;
        let heard = AtomicUsize::new(0);
        let mut watch =
            MessageWatch { may_be_idle: true, ..MessageWatch::new(guard, fence, scout, lock_lost, worker, 0, &heard) };
        let outcome = tokio::select! {
            biased;
            outcome = work(worker) => outcome,
            failure = watch.over(course, options) => Err(failure),
        };
        let outcome = outcome.map_err(|failure| watch.broken(failure));
        let nothing_answers = watch.is_cut_off;
        self.after(outcome, nothing_answers)
    }

    /// Cuts off a worker that was given up, so that it is not used again.
    fn after<T>(&mut self, outcome: Result<T, MessageFailure>, nothing_answers: bool) -> Result<T, MessageFailure> {
        if matches!(&outcome, Err(MessageFailure { failure: SessionFailure::Silent(_), .. })) {
            self.worker.cut();
            self.is_cut_off = nothing_answers;
        }
        outcome
    }
}

/// What the second connection does while the first is busy.
struct MessageWatch<'a> {
    guard: &'a mut Guard,
    fence: &'a Fence,
    scout: &'a mut Option<Session>,
    lock_lost: &'a mut bool,
    limits: TimeLimits,
    verdict: SilenceDetector,
    /// How many answers arrived, and how many of them were counted.
    heard: &'a AtomicUsize,
    counted: usize,
    /// Whether the guard's connection did not answer the last check.
    is_mute: bool,
    /// Whether nothing answered the last check.
    is_cut_off: bool,
    /// Whether the server process may be waiting for us: the code of a migration runs between two statements.
    may_be_idle: bool,
    /// When cancellation was requested, and whether the server was asked.
    cancelled: Option<(Instant, bool)>,
    blockers: Vec<LockHolder>,
    pulse: ProgressTimer,
}

impl<'a> MessageWatch<'a> {
    fn new(
        guard: &'a mut Guard,
        fence: &'a Fence,
        scout: &'a mut Option<Session>,
        lock_lost: &'a mut bool,
        worker: &Session,
        bytes: usize,
        heard: &'a AtomicUsize,
    ) -> Self {
        let limits = TimeLimits::of(worker.database());
        let (verdict, is_mute) = (SilenceDetector::new(limits, bytes), scout.is_some());
        let (may_be_idle, cancelled, blockers) = (false, None, Vec::new());
        Self {
            guard,
            fence,
            scout,
            lock_lost,
            limits,
            verdict,
            heard,
            counted: 0,
            is_mute,
            is_cut_off: false,
            may_be_idle,
            cancelled,
            blockers,
            pulse: ProgressTimer::start(),
        }
    }

    fn broken(&mut self, failure: SessionFailure) -> MessageFailure {
        MessageFailure { failure, cancelled: self.cancelled.is_some(), blockers: std::mem::take(&mut self.blockers) }
    }

    /// Checks periodically; returns only when the worker has to be given up.
    async fn over(&mut self, course: &MessageSteps<'_>, options: &Options) -> SessionFailure {
        let mut ticks = interval_at(Instant::now() + LOOK, LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_pressed = self.cancelled.is_some();
            let looked = tokio::select! {
                biased;
                () = options.cancel.cancelled(), if !is_pressed => None,
                // A check without an answer is dropped when cancellation is requested; the guard's connection can
                // handle that.
                looked = async {
                    let looking = self.next_look(&mut ticks, course, options);
                    // After cancellation, do not wait for a connection either.
                    match is_pressed {
                        true => timeout(LEAVING, looking).await.ok().flatten(),
                        false => looking.await,
                    }
                } => Some(looked),
            };
            let Some(looked) = looked else {
                self.cancel().await;
                continue;
            };
            if let Some(failure) = self.judge(looked) {
                return failure;
            }
            // A script can catch the first request, and a request that was not delivered is repeated at once.
            if let Some((since, was_asked)) = self.cancelled
                && (!was_asked || since.elapsed() >= AGAIN)
            {
                self.cancelled = Some((Instant::now(), self.ask_to_cancel().await));
            }
        }
    }

    /// Waits for the next tick, checks, and reports blocking sessions and long-running steps.
    async fn next_look(
        &mut self,
        ticks: &mut Interval,
        course: &MessageSteps<'_>,
        options: &Options,
    ) -> Option<Result<RunHealth, ProbeRefusal>> {
        ticks.tick().await;
        let looked = self.look().await;
        if looked.is_none() && self.pulse.is_due() {
            self.pulse.tell_of_silence(&*options.observer);
        }
        // A session that no longer blocks is not the cause of a later failure.
        if matches!(&looked, Some(Ok(look)) if look.holders.is_empty()) {
            self.blockers.clear();
        }
        let holders = match &looked {
            Some(Ok(look)) if !look.holders.is_empty() && look.holders != self.blockers => look.holders.clone(),
            _ => Vec::new(),
        };
        // If the server does not answer, its state is unknown.
        if !holders.is_empty() || (looked.is_some() && self.pulse.is_due()) {
            let advance = self.advance(course, options).await;
            if !holders.is_empty() {
                match course.step(advance.newest) {
                    Some(step) => options.observer.hear(&Progress::Blocked(step, &holders)),
                    // It is unknown which of the steps waits.
                    None if advance.newest.is_none() => holders.iter().for_each(|holder| {
                        options.observer.hear(&Progress::Remark(&format!("waiting for {holder}")));
                    }),
                    None => {}
                }
                self.blockers = holders;
            }
            if self.pulse.is_due() {
                self.pulse.report(advance, course, options);
            }
        }
        looked
    }

    /// How far the work is, if the guard's connection can tell.
    async fn advance(&mut self, course: &MessageSteps<'_>, options: &Options) -> SessionProgress {
        if self.is_mute {
            return SessionProgress::default();
        }
        let asked = timeout(self.limits.question, self.guard.progress(self.fence, course.ledger(options))).await;
        self.is_mute = asked.is_err();
        asked.ok().and_then(Result::ok).unwrap_or_default()
    }

    async fn cancel(&mut self) {
        let since = Instant::now();
        self.cancelled = Some((since, false));
        self.verdict.hurry(LEAVING);
        let asked = timeout(LEAVING, self.ask_to_cancel()).await;
        self.cancelled = Some((since, asked == Ok(true)));
    }

    /// Asks the server to cancel the worker's statement; returns whether it was asked.
    async fn ask_to_cancel(&mut self) -> bool {
        if !self.is_mute {
            match timeout(self.limits.question.min(LEAVING / 2), self.guard.cancel(self.fence)).await {
                Ok(Ok(())) => return true,
                Ok(Err(_)) | Err(_) => self.is_mute = true,
            }
        }
        self.guard.cancel_from(self.scout, self.limits, self.fence).await
    }

    /// Checks through the guard's connection, or through another one if that is silent; returns `None` if nothing
    /// answers.
    async fn look(&mut self) -> Option<Result<RunHealth, ProbeRefusal>> {
        if !self.is_mute {
            match timeout(self.limits.question, self.guard.look(self.fence)).await {
                Ok(Ok(look)) => return Some(Ok(look)),
                Ok(Err(_)) | Err(_) => self.is_mute = true,
            }
        }
        let seen = self.guard.look_from(self.scout, self.limits, self.fence).await;
        // If the other one gets no answer either, the next check tries both again.
        self.is_mute = seen.is_some();
        seen
    }

    fn judge(&mut self, looked: Option<Result<RunHealth, ProbeRefusal>>) -> Option<SessionFailure> {
        let heard = self.heard.load(Ordering::Relaxed);
        if heard != self.counted {
            self.counted = heard;
            self.verdict.alive();
        }
        self.is_cut_off = looked.is_none();
        let seen = match looked {
            None => None,
            Some(Err(ProbeRefusal)) => Some(ProcessState::Hidden),
            Some(Ok(look)) => {
                *self.lock_lost |= !look.is_held;
                Some(look.worker)
            }
        };
        // After cancellation, do not wait for code that waits for the network.
        let may_be_idle = self.may_be_idle && self.cancelled.is_none();
        let seen =
            seen.map(|seen| if may_be_idle && seen == ProcessState::Idle { ProcessState::Working } else { seen });
        self.verdict.hear(Instant::now(), seen)
    }
}
