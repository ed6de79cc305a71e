//! A connection pooler in transaction mode: how it shows itself, and how it is refused.
//!
//! It lends a server process for one transaction. Locks and settings belong to a process, so they mean something only where each
//! of our open connections has one of its own and keeps it. What the connections are for is left to the callers.

use super::{Failure, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;

/// The query for the server process of a session.
const OWN_PID: &str = "SELECT pg_catalog.pg_backend_pid()";

/// Fails where the answers of open sessions can only come from a pooler in transaction mode.
///
/// `sessions` has the server processes that answered each of them, one for each message.
pub(super) fn refuse(sessions: &[&[i32]]) -> Result<()> {
    if keep_their_processes(sessions) { Ok(()) } else { Err(pooler()) }
}

/// Asks two open sessions which server processes they have, and refuses a pooler; see [`refuse`].
///
/// The second one is asked twice in a row: a pooler that takes turns gives it another process then.
pub(crate) async fn look(one: &mut Session, other: &mut Session) -> Result<()> {
    let first = process(one).await?;
    let others = [process(other).await?, process(other).await?];
    refuse(&[&[first, process(one).await?], &others])
}

/// The server process that answers a session now.
pub(crate) async fn process(session: &mut Session) -> Result<i32> {
    let cannot =
        |failure: Failure| failure.explain(ErrorKind::Connection, "session", "see which server process answers");
    let rows = session.rows(OWN_PID).await.map_err(cannot)?;
    Ok(rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok()).unwrap_or_default())
}

/// Whether each session was always answered by one process, and no two by the same.
fn keep_their_processes(sessions: &[&[i32]]) -> bool {
    let is_one = |answers: &[i32]| answers.iter().all(|pid| answers.first() == Some(pid));
    let mut seen = std::collections::BTreeSet::new();
    sessions.iter().all(|answers| is_one(answers) && answers.first().is_none_or(|pid| seen.insert(pid)))
}

fn pooler() -> Error {
    Error::new(
        ErrorKind::Lock,
        Finding::error("pooler", "this address leads through a connection pooler in transaction mode")
            .note(
                "our connections do not keep a server process each, so locks and settings of a session mean nothing; \
                 nothing was run",
            )
            .help("give the address of the server itself, or of a pool in session mode, for migrations"),
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
