//! One message on its way: the answers as they come, a look at who is in the way, and the
//! switch that interrupts it.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::options::{Options, Progress};
use super::pulse::{Course, Pulse};
use crate::db::{Failure, Fence, Guard, Holder, Reply, Session};

/// How a message ended that did not end well.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) failure: Failure,
    /// Whether it was interrupted on request.
    pub(super) cancelled: bool,
    /// Who was seen to be in the way, last.
    pub(super) blockers: Vec<Holder>,
}

/// The two connections of a run.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) worker: Session,
    pub(super) guard: Guard,
    pub(super) fence: Fence,
    /// Whether somebody took the lock away from us.
    pub(super) lock_lost: bool,
}

/// How often the second connection looks after the first.
const LOOK: Duration = Duration::from_millis(400);

impl Lines {
    /// Sends a message and hears every answer; meanwhile watches the lock and the locks in the way.
    pub(super) async fn drive(
        &mut self,
        message: String,
        course: &Course<'_>,
        options: &Options,
        hear: &mut (dyn FnMut(Reply) + Send),
    ) -> Result<(), Broken> {
        let Self { worker, guard, fence, lock_lost } = self;
        let mut watch = Watch::begin(guard, fence, lock_lost);
        let mut replies = worker.replies(message);
        let mut ticks = interval_at(Instant::now() + LOOK, LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                reply = replies.next() => match reply {
                    Some(Ok(reply)) => hear(reply),
                    Some(Err(failure)) => return Err(watch.broken(failure)),
                    None => return Ok(()),
                },
                () = options.cancel.cancelled(), if !watch.cancelled => watch.cancel().await,
                _ = ticks.tick() => watch.look(course, options).await,
            }
        }
    }

    /// Waits for work on the first connection that is not a message of ours: a Rust migration.
    pub(super) async fn accompany<T>(
        &mut self,
        course: &Course<'_>,
        options: &Options,
        work: impl AsyncFnOnce(&mut Session) -> Result<T, Failure>,
    ) -> Result<T, Broken> {
        let Self { worker, guard, fence, lock_lost } = self;
        let mut watch = Watch::begin(guard, fence, lock_lost);
        let mut work = std::pin::pin!(work(worker));
        let mut ticks = interval_at(Instant::now() + LOOK, LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                outcome = &mut work => return outcome.map_err(|failure| watch.broken(failure)),
                () = options.cancel.cancelled(), if !watch.cancelled => watch.cancel().await,
                _ = ticks.tick() => watch.look(course, options).await,
            }
        }
    }
}

/// The second connection, while the first is busy.
struct Watch<'a> {
    guard: &'a mut Guard,
    fence: &'a Fence,
    lock_lost: &'a mut bool,
    cancelled: bool,
    blockers: Vec<Holder>,
    pulse: Pulse,
}

impl<'a> Watch<'a> {
    fn begin(guard: &'a mut Guard, fence: &'a Fence, lock_lost: &'a mut bool) -> Self {
        Self { guard, fence, lock_lost, cancelled: false, blockers: Vec::new(), pulse: Pulse::start() }
    }

    fn broken(&mut self, failure: Failure) -> Broken {
        Broken { failure, cancelled: self.cancelled, blockers: std::mem::take(&mut self.blockers) }
    }

    async fn cancel(&mut self) {
        self.cancelled = true;
        // Where this fails the server is gone, and the first connection will say so.
        let _ = self.guard.cancel(self.fence).await;
    }

    async fn look(&mut self, course: &Course<'_>, options: &Options) {
        if *self.lock_lost {
            return;
        }
        match self.guard.watch(self.fence).await {
            Ok(Some(holders)) => {
                if !holders.is_empty() && holders != self.blockers {
                    if let Some(step) = self.pulse.step(self.guard, self.fence, course, options).await {
                        options.observer.hear(&Progress::Blocked(step, &holders));
                    }
                    self.blockers = holders;
                }
                if self.pulse.is_due() {
                    self.pulse.report(self.guard, self.fence, course, options).await;
                }
            }
            Ok(None) | Err(_) => *self.lock_lost = true,
        }
    }
}
