//! Detects a connection pooler in transaction mode, and refuses it before anything is taken.
//!
//! Such a pooler assigns a server process for one transaction. Locks and settings belong to a process, so they work
//! only if each of our open connections has its own process and keeps it. The purpose of the connections does not
//! matter here.
//!
//! Our start-up packet has a mark. If the server process knows it, there is no pooler in between, and nothing more is
//! checked. If it does not, two of our sessions are queried in turn, read-only: a pooler that switches processes soon
//! assigns the process of one session to the other, or to another client, whose query then appears in place of ours.

use tokio::time::timeout;

use super::session::IDENTITY;
use super::{Database, Failure, Process, Session};
use crate::codes;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;

/// How many queries two sessions are sent.
const QUESTIONS: usize = 32;

/// Fails if the answers of open sessions can only come from a pooler in transaction mode.
///
/// `sessions` contains the server processes that answered each of them, one for each message.
pub(super) fn refuse(sessions: &[&[i32]]) -> Result<()> {
    if keep_their_processes(sessions) { Ok(()) } else { Err(pooler()) }
}

/// Fails unless each of two open sessions has its own server process and keeps it.
pub async fn look(one: &mut Session, other: &mut Session) -> Result<()> {
    identify(one).await?;
    if one.is_direct() {
        return Ok(());
    }
    probe(one, other).await
}

/// Determines the server process of a session, and whether a pooler is in between.
pub async fn identify(session: &mut Session) -> Result<Process> {
    let question = format!("SELECT {IDENTITY}");
    let rows = in_time(session, &question).await?;
    let process = rows.first().and_then(|row| session.recognise(row));
    process.ok_or_else(no_process)
}

/// The error if [`IDENTITY`] was not answered.
pub fn no_process() -> Error {
    let finding = Finding::new(codes::SESSION, "the server does not report its process")
        .help("is a PostgreSQL server listening there, and not something else?");
    Error::new(ErrorKind::Connection, finding)
}

/// Sends a query that takes no time. Behind a pooler it waits in a queue until a process is free.
async fn in_time(session: &mut Session, question: &str) -> Result<Vec<super::Row>> {
    let cannot = |failure: Failure| {
        failure.explain(ErrorKind::Connection, codes::SESSION, "find out which server process answers")
    };
    let patience = session.database().patience;
    match timeout(patience, session.unbounded(question)).await {
        // PgBouncer's error if it had no free process within its own time limit.
        Ok(Err(failure)) if failure.why().contains("query_wait_timeout") => Err(queued(session.database())),
        Ok(answer) => answer.map_err(cannot),
        Err(_) => Err(queued(session.database())),
    }
}

/// Queries two open sessions in turn, in a non-repeating order, until one of them is found not to have its own process.
pub(super) async fn probe(one: &mut Session, other: &mut Session) -> Result<()> {
    let mut sessions =
        [Probed { session: one, pid: None, query: None }, Probed { session: other, pid: None, query: None }];
    for n in 0..QUESTIONS {
        // The Thue–Morse sequence: a pooler that rotates among any number of processes cannot stay in step with it.
        let at = n.count_ones() as usize % 2;
        let [first, second] = &mut sessions;
        let (asked, waiting) = if at == 0 { (first, second) } else { (second, first) };
        asked.ask(n, waiting).await?;
    }
    for probed in &mut sessions {
        if let Some(process) = probed.pid.take() {
            probed.session.keeps(&process);
        }
    }
    Ok(())
}

/// A session that is queried, with its last answer.
struct Probed<'a> {
    session: &'a mut Session,
    pid: Option<Process>,
    /// The start of its last query.
    query: Option<String>,
}

impl Probed<'_> {
    /// Queries which process it has now, and what the process of the waiting session ran last.
    async fn ask(&mut self, n: usize, waiting: &Probed<'_>) -> Result<()> {
        let begin = format!("/*roundtrip {} {n}*/", self.session.tag());
        let other = waiting.pid.as_ref().map_or("NULL".to_owned(), |process| process.pid.to_string());
        let question = format!(
            "{begin} SELECT {IDENTITY}, \
             (SELECT a.query FROM pg_catalog.pg_stat_activity a WHERE a.pid = {other} AND a.state IS NOT NULL)"
        );
        let rows = in_time(self.session, &question).await?;
        let Some([identity @ .., ran]) = rows.first().map(Vec::as_slice) else { return Err(pooler()) };
        let Some(process) = self.session.recognise(identity) else { return Err(pooler()) };
        let is_kept = self.pid.as_ref().is_none_or(|before| *before == process);
        let is_shared = waiting.pid.as_ref() == Some(&process);
        // If the queries of sessions are hidden or not recorded, this tells nothing.
        let ran = ran.as_deref().filter(|ran| !ran.is_empty() && !ran.starts_with('<'));
        let is_strange = ran.zip(waiting.query.as_deref()).is_some_and(|(ran, ours)| !ran.starts_with(ours));
        if !is_kept || is_shared || is_strange {
            return Err(pooler());
        }
        (self.pid, self.query) = (Some(process), Some(begin));
        Ok(())
    }
}

/// Whether each session was always answered by one process, and no two by the same.
fn keep_their_processes(sessions: &[&[i32]]) -> bool {
    let is_one = |answers: &[i32]| answers.iter().all(|pid| answers.first() == Some(pid));
    let mut seen = std::collections::BTreeSet::new();
    sessions.iter().all(|answers| is_one(answers) && answers.first().is_none_or(|pid| seen.insert(pid)))
}

fn pooler() -> Error {
    of_mode("transaction")
}

/// The error for an address that goes through a pooler in an unsupported mode.
pub(super) fn of_mode(mode: &str) -> Error {
    Error::new(
        ErrorKind::Lock,
        Finding::new(codes::POOLER, format!("this address goes through a connection pooler in {mode} mode"))
            .note(
                "each connection must keep its own server process, or session locks and settings do not work; nothing \
                 was run",
            )
            .help("for migrations, use the address of the server itself, or of a pool in session mode"),
    )
}

/// The error if a connection is accepted but not answered.
fn queued(database: &Database) -> Error {
    let host = database.host();
    Error::new(
        ErrorKind::Connection,
        Finding::new(codes::POOL_EXHAUSTED, format!("{host} accepts a second connection but does not answer on it"))
            .note("a connection pooler keeps clients waiting like this when its pool has no free server connection")
            .note("a run needs two connections at the same time: one for the work, one for the lock; nothing was run")
            .help(
                "give the pool at least two server connections for this user and database (`pool_size`), or use the \
                 address of the server itself",
            ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_their_own_keep_a_process_that_no_other_has() {
        for (sessions, are_kept) in [
            (&[&[1, 1][..], &[2, 2]][..], true),
            (&[&[1], &[1]], false),
            (&[&[1, 1], &[2, 1]], false),
            (&[&[1, 3], &[2, 2]], false),
            (&[&[1], &[2], &[1]], false),
            (&[&[7, 7]], true),
            (&[&[7, 8]], false),
        ] {
            assert_eq!(keep_their_processes(sessions), are_kept, "{sessions:?}");
        }
    }
}
