//! The options of a run, and what it reports while it runs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use migrate_base::db::{Database, LockHolder};
use migrate_base::error::Error;
use migrate_base::ident::QualifiedName;
use migrate_schema::Schema;
use tokio::sync::watch;

use super::plan::PlanStep;
use crate::ledger::{Actor, Direction};

/// The options of a run; the defaults are meant for production.
///
/// Begin with `..Options::default()`: later versions add fields.
#[derive(Clone)]
pub struct Options {
    /// The ledger table.
    pub ledger: QualifiedName,
    /// Ledgers of other tools that belong to other applications, and say nothing about these migrations.
    pub other_ledgers: Vec<QualifiedName>,
    /// How long to wait for a server that cannot be reached yet because it is starting; zero means do not wait.
    pub connect_wait: Duration,
    /// How long to wait for another run to finish.
    pub lock_wait: Duration,
    /// How long one statement waits for a lock before it gives up and lets the queries behind it continue; zero means
    /// no limit.
    pub lock_timeout: Duration,
    /// How often a migration that did not get a lock is retried, in a new transaction.
    pub lock_retries: u32,
    /// How long one statement may run; zero means no limit.
    pub statement_timeout: Duration,
    /// Whether to record the schema's fingerprint after a run. This reads the whole schema, after the last commit and
    /// without locks that block anybody.
    pub fingerprint: bool,
    /// Whether data that a rollback destroys is copied first, in the same transaction.
    pub keep_data: bool,
    /// Whether applying a migration again restores what its rollback kept.
    pub restore_kept: bool,
    /// The reason for the run, for the ledger.
    pub reason: Option<String>,
    /// Who runs it, for the ledger. If only the application is set, the environment is read when a
    /// [`Migrator`](crate::Migrator) is opened.
    pub actor: Actor,
    /// Receives the progress.
    pub observer: Arc<dyn Observer>,
    /// Can cancel the run.
    pub cancel: CancelHandle,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ledger: QualifiedName::new("roundtrip", "ledger"),
            other_ledgers: Vec::new(),
            connect_wait: Duration::ZERO,
            lock_wait: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(3),
            lock_retries: 8,
            statement_timeout: Duration::ZERO,
            fingerprint: true,
            keep_data: false,
            restore_kept: true,
            reason: None,
            actor: Actor::named("roundtrip"),
            observer: Arc::new(SilentObserver),
            cancel: CancelHandle::new(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("ledger", &self.ledger).field("actor", &self.actor).finish_non_exhaustive()
    }
}

/// Receives the progress of a run.
pub trait Observer: Send + Sync {
    /// Called when something happened, between messages to the server; it should return quickly.
    fn hear(&self, progress: &Progress<'_>);
}

/// Ignores all progress.
#[derive(Debug, Clone, Copy)]
pub struct SilentObserver;

impl Observer for SilentObserver {
    fn hear(&self, _: &Progress<'_>) {}
}

/// What a run reports while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Another run holds the migration lock.
    Waiting(&'a LockHolder),
    /// The run holds the lock and the plan is still valid; this many steps will run.
    Begin(usize),
    /// A step is committed; with its time on the server.
    Done(&'a PlanStep, Duration),
    /// A statement of a migration without a transaction is about to run: its number, and the number of all statements.
    Statement(&'a PlanStep, usize, usize),
    /// The step waits for locks that these sessions hold.
    Blocked(&'a PlanStep, &'a [LockHolder]),
    /// The step did not get a lock and is retried after a pause: which attempt, and of how many.
    Retry(&'a PlanStep, u32, u32, Duration),
    /// Information that does not stop the run.
    Remark(&'a str),
    /// The server cannot be reached yet, and the connection is retried: where, why, and for how much longer.
    Unreachable(&'a Database, &'a str, Duration),
    /// A step runs for a long time: reported after two seconds, then at growing intervals.
    Running(&'a RunningStep<'a>),
}

/// A step that runs for a long time, and its progress.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunningStep<'a> {
    /// The step; `None` for a seed.
    pub step: Option<&'a PlanStep>,
    /// Which of its statements runs, from 1, if known: it is unknown for several that share a message.
    pub statement: Option<usize>,
    /// How many statements it has; 0 if it is written in Rust.
    pub statements: usize,
    /// How long it has been running.
    pub elapsed: Duration,
    /// The server's progress report, for commands that have one.
    pub detail: Option<String>,
}

/// A step that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommittedStep {
    /// Up or down.
    pub direction: Direction,
    /// The version of the migration.
    pub version: String,
    /// The name of the migration.
    pub name: String,
    /// How long it took on the server.
    pub elapsed: Duration,
}

/// The result of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunReport {
    /// The steps that were committed, in order.
    pub done: Vec<CommittedStep>,
    /// How long the run took, from the first read of the ledger to the last commit.
    pub elapsed: Duration,
    /// The schema after the last commit, without the ledger, if its fingerprint was recorded.
    pub schema: Option<Schema>,
}

impl RunReport {
    /// What was applied or rolled back, and committed, before a run failed with this error.
    pub fn of(error: &Error) -> Option<&Self> {
        error.carried()
    }
}

/// Cancels a run from elsewhere, for example from a signal handler.
///
/// The running statement is cancelled on the server, committed work stays, the lock is released, and the run returns
/// [`crate::ErrorKind::Cancelled`] with its report.
#[derive(Debug, Clone)]
pub struct CancelHandle(Arc<watch::Sender<bool>>);

impl CancelHandle {
    /// A new handle that is not cancelled.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Requests cancellation.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether cancellation was requested.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when cancellation is requested.
    pub(crate) async fn cancelled(&self) {
        // The sender is part of self, so this wait ends with the request and not with an error.
        let _ = self.0.subscribe().wait_for(|pressed| *pressed).await;
    }

    /// Returns some time after cancellation was requested: when a cancelled run has waited long enough for an answer.
    pub(crate) async fn impatient(&self) {
        self.cancelled().await;
        tokio::time::sleep(LEAVING).await;
    }
}

/// How long a cancelled run waits for a server that does not answer.
pub(super) const LEAVING: Duration = Duration::from_secs(3);

impl Default for CancelHandle {
    fn default() -> Self {
        Self::new()
    }
}
