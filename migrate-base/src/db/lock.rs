//! The migration lock, and the fence behind it.
//!
//! The *lock* is a session advisory lock on its own connection, taken by polling: a session that waits inside
//! `pg_advisory_lock` holds a snapshot, and `CREATE INDEX CONCURRENTLY` waits for old snapshots, so queued runners
//! would deadlock with the one that builds an index. The lock decides who may run.
//!
//! The *fence* is a second advisory lock, held by the session that does the work. When a runner is killed, its lock is
//! free at once, but its server process may still be working on the last message; the fence is held exactly as long as
//! that process lives.
//!
//! See <https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS>.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::holder::WHO;
use super::lock_keys::{LockKeys, matches_key};
use super::silence::{ProbeRefusal, Process, ProcessState, TimeLimits, scout_rows};
use super::{Database, LockHolder, Session, SessionFailure, TextRow, pooler};
use crate::codes;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;

/// How long the answer to an unlock, or to its replacement, may take.
const UNLOCKING: Duration = Duration::from_secs(3);

/// The lock, held on its own connection until it is released or dropped.
#[derive(Debug)]
pub struct Guard {
    session: Session,
    keys: LockKeys,
    process: Process,
}

/// The state of a run, seen from another connection.
#[derive(Debug)]
pub struct RunHealth {
    /// Whether the lock is still ours.
    pub is_held: bool,
    /// What the worker's process is doing.
    pub worker: ProcessState,
    /// The sessions that block it.
    pub holders: Vec<LockHolder>,
}

impl Guard {
    /// Takes the lock, waiting at most `patience`; `waiting` is told who holds it.
    ///
    /// `worker` is the session that will do the work, and `process` is the process that just answered it. A pooler in
    /// transaction mode is detected by comparing both sessions, and is refused before it can keep a lock.
    pub async fn take(
        worker: &mut Session,
        process: &Process,
        application: &str,
        keys: LockKeys,
        patience: Duration,
        waiting: &mut (dyn FnMut(&LockHolder) + Send),
    ) -> Result<Self> {
        let mut session = worker.another(&format!("{application} lock")).await?;
        // This check comes before any lock is taken: the pooler would keep the lock for its next client.
        let own = pooler::identify(&mut session).await?;
        if !worker.is_direct() || !session.is_direct() {
            pooler::probe(worker, &mut session).await?;
        }
        pooler::refuse(&[&[process.pid], &[own.pid]])?;
        match poll(&mut session, keys.lock(), own.pid, patience, waiting).await {
            Ok(()) => Ok(Self { session, keys, process: own }),
            Err(error) => {
                let database = session.database().clone();
                // The lost answer may have been that the lock is ours.
                let is_lost = !session.is_open() || error.kind() == ErrorKind::Connection;
                session.close().await;
                if is_lost {
                    let _ = timeout(UNLOCKING, Fence::of(own).end(&database, &mut None)).await;
                }
                Err(error)
            }
        }
    }

    /// Sets the fence on the session that will do the work and that `process` answered before.
    pub async fn fence(
        &self,
        worker: &mut Session,
        process: Process,
        patience: Duration,
        waiting: &mut (dyn FnMut(&LockHolder) + Send),
    ) -> Result<Fence> {
        poll(worker, self.keys.work(), process.pid, patience, waiting).await?;
        Ok(Fence::of(process))
    }

    /// Whether the lock is still ours, what the worker is doing, and who blocks it.
    ///
    /// This is called periodically during long work; it also keeps the connection alive. The future can be dropped
    /// safely.
    pub async fn look(&mut self, worker: &Fence) -> std::result::Result<RunHealth, SessionFailure> {
        let question =
            format!("SELECT pg_catalog.pg_backend_pid() = {} AND {}", self.process.pid, self.question(worker));
        self.session.unbounded(&question).await.map(RunHealth::read)
    }

    /// The same over another connection, which is opened if necessary; `None` if nothing answers.
    pub async fn look_from(
        &self,
        scout: &mut Option<Session>,
        limits: TimeLimits,
        worker: &Fence,
    ) -> Option<std::result::Result<RunHealth, ProbeRefusal>> {
        let question = format!("SELECT {}", self.question(worker));
        let rows = self.scout(scout, limits, &question).await?;
        Some(rows.map(RunHealth::read))
    }

    /// Runs a query on the connection of the lock; the caller limits the time, and the future can be dropped safely.
    pub(super) async fn ask(&mut self, query: &str) -> std::result::Result<Vec<TextRow>, SessionFailure> {
        self.session.unbounded(query).await
    }

    /// Asks the server to cancel the worker's statement.
    pub async fn cancel(&mut self, worker: &Fence) -> std::result::Result<(), SessionFailure> {
        self.session.unbounded(&worker.cancelling()).await.map(drop)
    }

    /// The same over another connection; returns whether it was asked.
    pub async fn cancel_from(&self, scout: &mut Option<Session>, limits: TimeLimits, worker: &Fence) -> bool {
        matches!(self.scout(scout, limits, &worker.cancelling()).await, Some(Ok(_)))
    }

    /// Terminates the process of a worker that no longer answers, so that it holds nothing of ours.
    pub async fn end(&mut self, worker: &Fence, scout: &mut Option<Session>) {
        let limits = TimeLimits::of(self.session.database());
        let end = worker.process.end();
        let asked =
            scout.is_none() && matches!(timeout(limits.question, self.session.unbounded(&end)).await, Ok(Ok(_)));
        if !asked {
            let _ = timeout(limits.question, self.scout(scout, limits, &end)).await;
        }
    }

    async fn scout(
        &self,
        scout: &mut Option<Session>,
        limits: TimeLimits,
        question: &str,
    ) -> Option<std::result::Result<Vec<TextRow>, ProbeRefusal>> {
        let database = self.session.database();
        scout_rows(scout, database, self.session.application(), limits, question).await
    }

    /// Releases the lock and checks the answer: a lock that was no longer ours is an error.
    ///
    /// If its connection does not answer, the server process that holds the lock is terminated over another one.
    pub async fn release(mut self, scout: &mut Option<Session>) -> Result<()> {
        let limits = TimeLimits::of(self.session.database());
        let unlock = format!("SELECT pg_catalog.pg_advisory_unlock({})", self.keys.lock());
        // If another connection was used for checking, this one is silent.
        let patience = if scout.is_some() { Duration::ZERO } else { limits.question.min(UNLOCKING) };
        let answer = timeout(patience, self.session.unbounded(&unlock)).await;
        let outcome = match &answer {
            Ok(Ok(rows)) if rows.first().and_then(|row| row.first()) != Some(&Some("t".to_owned())) => Err(lost()),
            Ok(Ok(_)) => Ok(()),
            // A lost connection holds no lock, but perhaps only we know that it is lost.
            Ok(Err(_)) | Err(_) => {
                let end = self.process.end();
                let _ = timeout(UNLOCKING, self.scout(scout, limits, &end)).await;
                self.session.cut();
                Ok(())
            }
        };
        self.session.close().await;
        outcome
    }

    /// The query that [`RunHealth::read`] reads, from its first condition: whether the process that took the lock still
    /// holds it.
    fn question(&self, worker: &Fence) -> String {
        format!(
            "EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.pid = {} AND l.granted AND {}); {}; \
             SELECT {WHO} FROM pg_catalog.pg_stat_activity a WHERE a.pid = ANY (pg_catalog.pg_blocking_pids({}));",
            self.process.pid,
            matches_key(self.keys.lock()),
            worker.process.question(),
            worker.process.pid
        )
    }
}

impl RunHealth {
    fn read(rows: Vec<TextRow>) -> Self {
        let mut rows = rows.into_iter();
        let mut first = || rows.next().and_then(|row| row.into_iter().next()?);
        let (held, state) = (first(), first());
        Self {
            is_held: held.as_deref() == Some("t"),
            worker: ProcessState::read(state.as_deref()),
            holders: rows.filter_map(LockHolder::read).collect(),
        }
    }
}

/// The session that works in this database for these keys: the holder of the fence, or else of the lock; `None` if
/// there is none.
///
/// A finished run releases the lock before the server process of its worker is gone. So a fence without a lock exists
/// for a moment, or longer while the server still works on the last message of a killed runner.
pub async fn at_work(session: &mut Session, keys: LockKeys) -> Result<Option<LockHolder>> {
    let (work, lock) = (matches_key(keys.work()), matches_key(keys.lock()));
    let question = format!(
        "{} SELECT {WHO}, EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.granted AND {lock}) \
         FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.granted AND l.pid <> pg_catalog.pg_backend_pid() AND (({work}) OR ({lock})) \
         ORDER BY ({work}) DESC LIMIT 1",
        session.comment()
    );
    let deadline = Instant::now() + MOMENT;
    loop {
        let rows = session.read(&question).await;
        let rows = rows.map_err(|failure| {
            failure.explain(ErrorKind::Lock, codes::LOCK, "find out who holds the migration lock")
        })?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let is_locked = row.pop().flatten().as_deref() == Some("t");
        if is_locked || Instant::now() > deadline {
            return Ok(LockHolder::read(row));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// How long a server process without a client may take to end.
const MOMENT: Duration = Duration::from_secs(1);

/// The fence: which server process does the work.
#[derive(Debug, Clone)]
pub struct Fence {
    process: Process,
}

impl Fence {
    /// The fence that this process holds, or may hold.
    pub fn of(process: Process) -> Self {
        Self { process }
    }

    /// The number of the server process.
    pub(super) fn pid(&self) -> i32 {
        self.process.pid
    }

    /// Terminates its process, over a connection that is opened if necessary.
    pub async fn end(&self, database: &Database, scout: &mut Option<Session>) {
        let _ = scout_rows(scout, database, "roundtrip", TimeLimits::of(database), &self.process.end()).await;
    }

    fn cancelling(&self) -> String {
        format!("SELECT pg_catalog.pg_cancel_backend({})", self.process.pid)
    }
}

/// Polls for an advisory lock, only in the server process that answered the session before.
async fn poll(
    session: &mut Session,
    key: i64,
    process: i32,
    patience: Duration,
    waiting: &mut (dyn FnMut(&LockHolder) + Send),
) -> Result<()> {
    let attempt = format!(
        "SELECT CASE pg_catalog.pg_backend_pid() WHEN {process} THEN pg_catalog.pg_try_advisory_lock({key}) END, \
                pg_catalog.pg_backend_pid(); \
         SELECT {WHO} FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.granted AND l.pid <> pg_catalog.pg_backend_pid() AND {};",
        matches_key(key)
    );
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(20);
    loop {
        let rows = session
            .rows(&attempt)
            .await
            .map_err(|failure| failure.explain(ErrorKind::Lock, codes::LOCK, "take the migration lock"))?;
        let mut rows = rows.into_iter();
        let first = rows.next().unwrap_or_default();
        let pid = first.get(1).and_then(|pid| pid.as_deref()?.parse().ok()).unwrap_or_default();
        pooler::refuse(&[&[process, pid]])?;
        if first.first() == Some(&Some("t".to_owned())) {
            return Ok(());
        }
        let holder = rows.find_map(LockHolder::read);
        if let Some(holder) = &holder {
            waiting(holder);
        }
        if Instant::now() + pause > deadline {
            return Err(held_by(holder, patience));
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_millis(200));
    }
}

fn held_by(holder: Option<LockHolder>, patience: Duration) -> Error {
    let seconds = patience.as_secs();
    let who = holder.as_ref().map_or("another session".to_owned(), LockHolder::to_string);
    let finding = Finding::new(
        codes::LOCK_HELD,
        format!("another migration run has held the lock for more than {seconds} s: {who}"),
    )
    .note("nothing was run")
    .help("wait until it has finished, or give --lock-wait a longer time");
    let finding = match holder {
        Some(holder) => {
            finding.help(format!("if that run is dead, end its session: SELECT pg_terminate_backend({});", holder.pid))
        }
        None => finding,
    };
    Error::new(ErrorKind::Lock, finding)
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Lock,
        Finding::new(codes::LOCK_LOST, "the migration lock was lost during the run")
            .note("each migration is still recorded together with its changes, so none can have run twice")
            .note("a session loses its locks behind a pooler in transaction mode, or when somebody terminates it")
            .help(
                "connect directly to the server, not through a pooler; `cargo xtask status` shows the state of the \
                 chain",
            ),
    )
}
