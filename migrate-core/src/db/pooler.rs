//! A connection pooler in transaction mode: how it shows itself, and how it is refused before anything is taken.
//!
//! It lends a server process for one transaction. Locks and settings belong to a process, so they mean something only where each
//! of our open connections has one of its own and keeps it. What the connections are for is left to the callers.
//!
//! Our start-up packet has a mark. Where the server process knows it, nobody stands between, and nothing more is asked. Where
//! it does not, two of our sessions are asked in turn, and only read: a pooler that lends its processes soon lends one of
//! them to the other session, or to somebody else, whose query then stands where ours was.

use tokio::time::timeout;

use super::session::IDENTITY;
use super::{Database, Failure, Process, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;

/// How many questions two sessions are asked.
const QUESTIONS: usize = 32;

/// Fails where the answers of open sessions can only come from a pooler in transaction mode.
///
/// `sessions` has the server processes that answered each of them, one for each message.
pub(super) fn refuse(sessions: &[&[i32]]) -> Result<()> {
    if keep_their_processes(sessions) { Ok(()) } else { Err(pooler()) }
}

/// Fails unless each of two open sessions has a server process of its own and keeps it.
pub(crate) async fn look(one: &mut Session, other: &mut Session) -> Result<()> {
    identify(one).await?;
    if one.is_direct() {
        return Ok(());
    }
    probe(one, other).await
}

/// Asks a session which server process it has, and whether anybody stands between.
pub(crate) async fn identify(session: &mut Session) -> Result<Process> {
    let question = format!("SELECT {IDENTITY}");
    let rows = in_time(session, &question).await?;
    let process = rows.first().and_then(|row| session.recognise(row));
    process.ok_or_else(no_process)
}

/// The answer to [`IDENTITY`] is none.
pub(crate) fn no_process() -> Error {
    let finding = Finding::error("session", "the server does not report its process")
        .help("is a PostgreSQL server listening there, and not something else?");
    Error::new(ErrorKind::Connection, finding)
}

/// A message that asks for nothing that takes long. Behind a pooler it waits in a queue while no process is free.
async fn in_time(session: &mut Session, question: &str) -> Result<Vec<super::Row>> {
    let cannot =
        |failure: Failure| failure.explain(ErrorKind::Connection, "session", "find out which server process answers");
    let patience = session.database().patience;
    match timeout(patience, session.unbounded(question)).await {
        // So PgBouncer says that it had no process to lend for as long as its own patience lasted.
        Ok(Err(failure)) if failure.why().contains("query_wait_timeout") => Err(queued(session.database())),
        Ok(answer) => answer.map_err(cannot),
        Err(_) => Err(queued(session.database())),
    }
}

/// Asks two open sessions in turn, in an order in which nothing repeats, until one of them is seen without a process of its own.
pub(super) async fn probe(one: &mut Session, other: &mut Session) -> Result<()> {
    let mut sessions =
        [Probed { session: one, pid: None, query: None }, Probed { session: other, pid: None, query: None }];
    for n in 0..QUESTIONS {
        // The sequence of Thue and Morse: a pooler that takes turns among any number of processes falls out of step.
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

/// A session that is asked, with what it answered last.
struct Probed<'a> {
    session: &'a mut Session,
    pid: Option<Process>,
    /// How its last query began.
    query: Option<String>,
}

impl Probed<'_> {
    /// Asks which process it has now, and what the process of the one that waits ran last.
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
        // Where the queries of sessions are hidden, or not recorded, this says nothing.
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

/// The error of an address that leads through a pooler in a mode that is of no use.
pub(super) fn of_mode(mode: &str) -> Error {
    Error::new(
        ErrorKind::Lock,
        Finding::error("pooler", format!("this address goes through a connection pooler in {mode} mode"))
            .note(
                "each connection must keep its own server process, or session locks and settings do not work; nothing \
                 was run",
            )
            .help("for migrations, use the address of the server itself, or of a pool in session mode"),
    )
}

/// The connection is there, and nobody answers.
fn queued(database: &Database) -> Error {
    let host = database.host();
    Error::new(
        ErrorKind::Connection,
        Finding::error("pool-exhausted", format!("{host} accepts a second connection but does not answer on it"))
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
