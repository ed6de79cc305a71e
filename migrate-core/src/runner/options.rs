//! How a run behaves, and what it tells while it runs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::plan::Step;
use crate::db::{Database, Holder};
use crate::ident::QualifiedName;
use crate::ledger::{Actor, Direction};
use crate::schema::Schema;

/// How a run behaves; the defaults are meant for production.
#[derive(Clone)]
pub struct Options {
    /// The table that remembers everything.
    pub ledger: QualifiedName,
    /// How long to wait for a server that cannot be reached yet, because it is starting; zero does not wait.
    pub connect_wait: Duration,
    /// How long to wait for another run to end.
    pub lock_wait: Duration,
    /// How long one statement waits for a lock before it gives way to the traffic behind it;
    /// zero waits for ever.
    pub lock_timeout: Duration,
    /// How often a migration that got no lock is tried again, in a fresh transaction.
    pub lock_retries: u32,
    /// How long one statement may run; zero lets it run for ever.
    pub statement_timeout: Duration,
    /// Whether to record the schema's fingerprint after a run. It reads the whole schema, after
    /// the last commit and without locks that anybody waits for.
    pub fingerprint: bool,
    /// Whether what a rollback destroys is copied aside first, in the same transaction.
    pub keep_data: bool,
    /// Whether a migration that is applied again gets back what its rollback kept.
    pub restore_kept: bool,
    /// Why this is done, for the ledger.
    pub reason: Option<String>,
    /// Who runs it, for the ledger. Where nothing is said of that but the application, the environment is asked when a
    /// [`Migrator`](crate::Migrator) is opened.
    pub actor: Actor,
    /// What hears the progress.
    pub observer: Arc<dyn Observer>,
    /// What can interrupt the run.
    pub cancel: Cancel,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ledger: QualifiedName::new("roundtrip", "ledger"),
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
            observer: Arc::new(Silent),
            cancel: Cancel::new(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("ledger", &self.ledger).field("actor", &self.actor).finish_non_exhaustive()
    }
}

/// Hears what a run does while it does it.
pub trait Observer: Send + Sync {
    /// Something happened. This is called between messages to the server; it should return soon.
    fn hear(&self, progress: &Progress<'_>);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn hear(&self, _: &Progress<'_>) {}
}

/// What a run tells while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Another run holds the migration lock.
    Waiting(&'a Holder),
    /// The lock is ours and the plan is still right; so many steps are to be run.
    Begin(usize),
    /// A step is committed, after this time on the server.
    Done(&'a Step, Duration),
    /// A statement of a migration without a transaction is about to run: which, and of how many.
    Statement(&'a Step, usize, usize),
    /// The step waits for locks that these sessions hold.
    Blocked(&'a Step, &'a [Holder]),
    /// The step got no lock; it is tried again after a pause: which try, of how many.
    Retry(&'a Step, u32, u32, Duration),
    /// Something worth knowing that stops nothing.
    Remark(&'a str),
    /// The server is not there yet, and it is tried again: where, why, and for how long still.
    Unreachable(&'a Database, &'a str, Duration),
    /// Something runs for longer: told after two seconds, then with growing pauses.
    Running(&'a Running<'a>),
}

/// What runs for longer, and how far it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Running<'a> {
    /// The step; `None` for a seed.
    pub step: Option<&'a Step>,
    /// Which statement of it runs, from 1, where that is known: of several that share a message it is not.
    pub statement: Option<usize>,
    /// How many statements it has; none, where it is written in Rust.
    pub statements: usize,
    /// For how long it has been running.
    pub elapsed: Duration,
    /// What the server says of it, for the commands whose progress it counts.
    pub detail: Option<String>,
}

/// A step that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Up or down.
    pub direction: Direction,
    /// The version of the migration.
    pub version: String,
    /// The name of the migration.
    pub name: String,
    /// How long it took on the server.
    pub elapsed: Duration,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunReport {
    /// The steps that were committed, in order.
    pub done: Vec<Done>,
    /// How long the run took, from the first look at the ledger to the last commit.
    pub elapsed: Duration,
    /// The schema after the last commit, without the ledger, where its fingerprint was recorded.
    pub schema: Option<Schema>,
}

/// A switch that interrupts a run from elsewhere: from a signal handler, say.
///
/// The running statement is cancelled on the server, what was committed stays, the lock is
/// released, and the run returns [`crate::ErrorKind::Cancelled`] with its report.
#[derive(Debug, Clone)]
pub struct Cancel(Arc<watch::Sender<bool>>);

impl Cancel {
    /// A switch that nobody has pressed.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Presses the switch.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether the switch was pressed.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the switch is pressed.
    pub(crate) async fn cancelled(&self) {
        // The sender lives in self, so waiting ends with the press and not with an error.
        let _ = self.0.subscribe().wait_for(|pressed| *pressed).await;
    }

    /// Returns a while after the switch is pressed: when whoever wants to leave has waited long enough for an answer.
    pub(crate) async fn impatient(&self) {
        self.cancelled().await;
        tokio::time::sleep(LEAVING).await;
    }
}

/// How long whoever wants to leave waits for a server that does not answer.
pub(super) const LEAVING: Duration = Duration::from_secs(3);

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}
