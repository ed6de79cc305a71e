//! Waits for a server that is still starting: a container, a machine, a name that DNS does not know yet.
//!
//! Only temporary conditions are waited for. A wrong password, a missing database or a refused certificate fails at
//! once.

use std::error::Error as _;
use std::io::ErrorKind as Io;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Database, Session};
use crate::codes;
use crate::error::{Error, Result};

/// The first and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

impl Database {
    /// Waits until the server accepts a connection, for at most `limit`; `waiting` is told the reason and the remaining
    /// time. If the reason is not temporary, it fails at once.
    ///
    /// # Errors
    ///
    /// [`crate::error::ErrorKind::Connection`] with the last reason.
    pub async fn wait(&self, limit: Duration, mut waiting: impl FnMut(&str, Duration) + Send) -> Result<()> {
        attempt(self, "roundtrip", limit, &mut waiting).await?.close().await;
        Ok(())
    }
}

/// Connects, and tries again while the server is starting, until `limit` is over.
pub async fn attempt(
    database: &Database,
    application: &str,
    limit: Duration,
    waiting: &mut (dyn FnMut(&str, Duration) + Send),
) -> Result<Session> {
    let deadline = Instant::now() + limit;
    let mut pause = PAUSES.0;
    loop {
        let error = match Session::connect_marked(database, application).await {
            Err(error) if passes(&error) => error,
            outcome => return outcome,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(match limit.is_zero() {
                true => error.help("if it is still starting, `--wait` waits for it"),
                false => error.note(format!("waited {} s for the server", limit.as_secs_f64())),
            });
        }
        waiting(error.findings().first().map_or("", |finding| &finding.message), left);
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Whether a failure to connect may disappear once the server has started.
fn passes(error: &Error) -> bool {
    let silent = error.findings().iter().any(|finding| finding.code == codes::CONNECTION_TIMEOUT);
    // 57P03 cannot_connect_now.
    error.sqlstate() == Some("57P03")
        || silent
        || error.source().and_then(|source| source.downcast_ref()).is_some_and(is_away)
}

/// Whether there is no server at the address yet, or the name does not resolve yet.
fn is_away(error: &std::io::Error) -> bool {
    let kinds = [
        Io::ConnectionRefused,
        // The socket does not exist yet.
        Io::NotFound,
        // A proxy in front of a server, such as that of a container engine, answers before the server does.
        Io::ConnectionReset,
        Io::ConnectionAborted,
        Io::UnexpectedEof,
        Io::BrokenPipe,
        Io::HostUnreachable,
        Io::NetworkUnreachable,
        Io::TimedOut,
    ];
    kinds.contains(&error.kind()) || error.to_string().starts_with("failed to lookup address information")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;
    use crate::error::ErrorKind;
    use crate::finding::Finding;

    #[test]
    fn only_what_passes_by_itself_is_waited_for() {
        let error = |kind: Io| {
            let finding = Finding::new(codes::CONNECTION, "x");
            Error::new(ErrorKind::Connection, finding).caused_by(std::io::Error::from(kind))
        };
        for (kind, is_waited_for) in [
            (Io::ConnectionRefused, true),
            (Io::NotFound, true),
            (Io::UnexpectedEof, true),
            (Io::PermissionDenied, false),
            (Io::InvalidData, false),
            (Io::InvalidInput, false),
        ] {
            assert_eq!(passes(&error(kind)), is_waited_for, "{kind:?}");
        }
        let server =
            |code: &str| Error::new(ErrorKind::Connection, Finding::new(codes::CONNECTION, "x")).with_sqlstate(code);
        assert!(passes(&server("57P03")) && !passes(&server("28P01")) && !passes(&server("3D000")));
    }
}
