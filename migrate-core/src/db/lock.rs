//! The migration lock, and the fence behind it.
//!
//! The *lock* is a session advisory lock on a connection of its own, taken by polling: a
//! session that waits inside `pg_advisory_lock` holds a snapshot, and `CREATE INDEX
//! CONCURRENTLY` waits for old snapshots, so runners that queue up would deadlock with the
//! one that builds. It says who may run.
//!
//! The *fence* is a second advisory lock, held by the session that does the work. When a
//! runner is killed its lock is free at once, but its server process may still be at work
//! on the last message; the fence stays up exactly as long as that process lives.
//!
//! See <https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS>.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::{Database, Failure, Session, pooler};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;
use crate::ident::QualifiedName;
use crate::template::fill;

/// The two advisory lock numbers of a ledger.
///
/// They are the first eight bytes of the SHA-256 of `roundtrip:lock:v1:` or
/// `roundtrip:work:v1:` and the ledger's quoted name. Advisory locks belong to a database,
/// so the database's name is not part of them. They never change: two versions of this
/// library with different numbers would run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LockKeys {
    lock: i64,
    work: i64,
}

impl LockKeys {
    pub(crate) fn of(ledger: &QualifiedName) -> Self {
        let key = |purpose: &str| {
            let digest = Sha256::digest(format!("roundtrip:{purpose}:v1:{ledger}").as_bytes());
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&digest[..8]);
            i64::from_be_bytes(bytes)
        };
        Self { lock: key("lock"), work: key("work") }
    }
}

impl LockKeys {
    /// The lock, which a run takes first.
    pub(crate) fn lock(self) -> i64 {
        self.lock
    }

    /// The fence, which its working session takes second.
    pub(crate) fn work(self) -> i64 {
        self.work
    }

    /// The body of an anonymous block that takes both for its session, for scripts.
    ///
    /// It polls, as a run does, and ends its transaction before it waits, so that it holds no snapshot.
    pub(crate) fn polling(self, patience: Duration) -> String {
        let names = [
            ("lock", self.lock.to_string()),
            ("work", self.work.to_string()),
            ("patience", patience.as_millis().to_string()),
        ];
        fill(include_str!("polling.sql"), &names)
    }
}

/// Who holds a lock that we wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The server process.
    pub pid: i32,
    /// What it calls itself, where we may see it.
    pub application: Option<String>,
    /// The role that logged in, where we may see it.
    pub role: Option<String>,
    /// Where it comes from; `None` is a local socket or not visible.
    pub client: Option<String>,
    /// Since when it is connected, in UTC.
    pub since: Option<String>,
    /// What it runs or ran last, where we may see it.
    pub query: Option<String>,
}

/// Writes `pid 4711 (deploy, role ann, from 10.0.0.7, since 12:01:02)`.
impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pid {}", self.pid)?;
        let mut facts = Vec::new();
        facts.extend(self.application.clone().filter(|name| !name.is_empty()));
        facts.extend(self.role.as_ref().map(|role| format!("role {role}")));
        facts.extend(self.client.as_ref().map(|client| format!("from {client}")));
        facts.extend(self.since.as_ref().map(|since| format!("since {since} UTC")));
        if facts.is_empty() { Ok(()) } else { write!(f, " ({})", facts.join(", ")) }
    }
}

/// The lock, held on its own connection until it is released or dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    session: Session,
    keys: LockKeys,
    pid: i32,
}

/// The columns that describe a session of `pg_stat_activity`, in the order of [`holder`].
const WHO: &str = "a.pid, a.application_name, a.usename, host(a.client_addr), \
                   to_char(a.backend_start AT TIME ZONE 'UTC', 'HH24:MI:SS'), left(a.query, 200)";

impl Guard {
    /// Takes the lock, waiting at most `patience`; `waiting` hears who holds it.
    ///
    /// `worker` is the server process that has just answered the session that will do the work. A pooler in transaction mode shows
    /// itself when both sessions are served by one process, or one of them by two, and is refused before it can keep a lock.
    pub(crate) async fn take(
        database: &Database,
        application: &str,
        keys: LockKeys,
        worker: i32,
        patience: Duration,
        waiting: &mut (dyn FnMut(&Holder) + Send),
    ) -> Result<Self> {
        let mut session = Session::connect(database, &format!("{application} lock")).await?;
        // This is asked before any lock is taken: the pooler would keep the lock for whoever comes next.
        let pid = pooler::process(&mut session).await?;
        pooler::refuse(&[&[worker], &[pid]])?;
        poll(&mut session, keys.lock, pid, patience, waiting).await?;
        Ok(Self { session, keys, pid })
    }

    /// Raises the fence on the session that will do the work, and that the process `pid` answered before.
    pub(crate) async fn fence(
        &self,
        worker: &mut Session,
        pid: i32,
        patience: Duration,
        waiting: &mut (dyn FnMut(&Holder) + Send),
    ) -> Result<Fence> {
        poll(worker, self.keys.work, pid, patience, waiting).await?;
        Ok(Fence { pid })
    }

    /// Whether the lock is still ours, and who keeps our worker waiting.
    ///
    /// This is asked now and then during long work; it also keeps the connection alive.
    pub(crate) async fn watch(&mut self, worker: &Fence) -> std::result::Result<Option<Vec<Holder>>, Failure> {
        let held = self.held();
        let blockers = format!(
            "SELECT {WHO} FROM pg_catalog.pg_stat_activity a \
             WHERE a.pid = ANY (pg_catalog.pg_blocking_pids({}));",
            worker.pid
        );
        let mut rows = self.session.rows(&format!("{held} {blockers}")).await?.into_iter();
        let still = rows.next().is_some_and(|row| row.first() == Some(&Some("t".to_owned())));
        Ok(still.then(|| rows.filter_map(holder).collect()))
    }

    /// Asks the server to cancel what the worker is doing.
    pub(crate) async fn cancel(&mut self, worker: &Fence) -> std::result::Result<(), Failure> {
        self.session.send(&format!("SELECT pg_catalog.pg_cancel_backend({})", worker.pid)).await
    }

    /// Releases the lock and looks at the answer: a lock that was not ours any more is an error.
    pub(crate) async fn release(mut self) -> Result<()> {
        let unlock = format!("SELECT pg_catalog.pg_advisory_unlock({})", self.keys.lock);
        let answer = self.session.rows(&unlock).await;
        let ours =
            matches!(&answer, Ok(rows) if rows.first().and_then(|row| row.first()) == Some(&Some("t".to_owned())));
        self.session.close().await;
        match answer {
            Ok(_) if !ours => Err(lost()),
            // A connection that is gone holds no lock; there is nothing left to release.
            _ => Ok(()),
        }
    }

    /// The statement that tells whether this session is the one that holds the lock.
    fn held(&self) -> String {
        format!(
            "SELECT pg_catalog.pg_backend_pid() = {} AND EXISTS (SELECT FROM pg_catalog.pg_locks l \
             WHERE l.pid = {0} AND l.granted AND {});",
            self.pid,
            matches_key(self.keys.lock)
        )
    }
}

/// Who is at work in this database for these keys: who holds the fence, or else the lock; `None` where nobody is.
///
/// A run that has ended gives the lock back before the server process of its worker is gone. A fence without a lock is
/// that for a moment, and longer where a killed runner's last message is still being worked on.
pub(crate) async fn at_work(session: &mut Session, keys: LockKeys) -> Result<Option<Holder>> {
    let (work, lock) = (matches_key(keys.work), matches_key(keys.lock));
    let question = format!(
        "SELECT {WHO}, EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.granted AND {lock}) \
         FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.granted AND l.pid <> pg_catalog.pg_backend_pid() AND (({work}) OR ({lock})) ORDER BY ({work}) DESC LIMIT 1"
    );
    let deadline = Instant::now() + MOMENT;
    loop {
        let rows = session.rows(&question).await;
        let rows =
            rows.map_err(|failure| failure.explain(ErrorKind::Lock, "lock", "look who holds the migration lock"))?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let is_locked = row.pop().flatten().as_deref() == Some("t");
        if is_locked || Instant::now() > deadline {
            return Ok(holder(row));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// How long a server process may take to end that nobody talks to any more.
const MOMENT: Duration = Duration::from_secs(1);

/// The fence: which server process does the work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fence {
    pid: i32,
}

/// Polls for an advisory lock, for the server process that answered the session before and for no other.
async fn poll(
    session: &mut Session,
    key: i64,
    process: i32,
    patience: Duration,
    waiting: &mut (dyn FnMut(&Holder) + Send),
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
            .map_err(|failure| failure.explain(ErrorKind::Lock, "lock", "take the migration lock"))?;
        let mut rows = rows.into_iter();
        let first = rows.next().unwrap_or_default();
        let pid = first.get(1).and_then(|pid| pid.as_deref()?.parse().ok()).unwrap_or_default();
        pooler::refuse(&[&[process, pid]])?;
        if first.first() == Some(&Some("t".to_owned())) {
            return Ok(());
        }
        let holder = rows.find_map(holder);
        if let Some(holder) = &holder {
            waiting(holder);
        }
        if Instant::now() + pause > deadline {
            return Err(held_by(holder, patience));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

/// The condition on `pg_locks l` for a 64-bit advisory lock.
fn matches_key(key: i64) -> String {
    let bits = key.cast_unsigned();
    format!(
        "l.locktype = 'advisory' AND l.objsubid = 1 AND l.classid = {} AND l.objid = {} \
         AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())",
        bits >> 32,
        bits & 0xffff_ffff
    )
}

fn holder(row: Row) -> Option<Holder> {
    let mut row = row.into_iter();
    let pid = row.next()??.parse().ok()?;
    let mut next = || row.next().flatten();
    Some(Holder {
        pid,
        application: next(),
        role: next(),
        client: next(),
        since: next(),
        query: next().filter(|query| !query.is_empty() && !query.starts_with("<insufficient")),
    })
}

use super::Row;

fn held_by(holder: Option<Holder>, patience: Duration) -> Error {
    let seconds = patience.as_secs();
    let who = holder.as_ref().map_or("another session".to_owned(), Holder::to_string);
    let finding =
        Finding::error("lock-held", format!("another migration run holds the lock for longer than {seconds} s: {who}"))
            .note("nothing was run")
            .help("wait for it to end, or give --lock-wait a longer time");
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
        Finding::error("lock-lost", "the migration lock was lost during the run")
            .note("each migration is still recorded together with its changes, so none can have run twice")
            .note("a pooler in transaction mode, or somebody who ended our session, takes a session's locks away")
            .help("connect to the server directly, not through a pooler; `cargo xtask status` shows where the chain stands"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_numbers_never_change() {
        let keys = LockKeys::of(&QualifiedName::new("roundtrip", "ledger"));
        let frozen = LockKeys { lock: 6_640_134_922_425_552_076, work: -6_527_390_260_889_961_801 };
        assert_eq!(keys, frozen);
    }
}
