//! How long a rehearsed statement may run, and the error of one that does not finish.
//!
//! The server's own timeout ends nearly all of them. A script can lift it, as every dump does in its first lines. Such
//! a script runs statement by statement, and the client cancels a statement from another session when its time is over.

use std::time::Duration;

use migrate_base::codes;
use migrate_base::db::{Database, ServerRefusal, Session, SessionFailure, StatementAnswer};
use migrate_base::duration::display;
use migrate_base::error::Error;
use tokio::time::timeout;

use crate::source::Script;

/// How much later than the server the client gives up, and how long a cancelled statement may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// The limit of one session.
#[derive(Debug)]
pub(in crate::runner) struct SessionLimit {
    pub(in crate::runner) database: Database,
    /// The server process of the session.
    pub(in crate::runner) backend: i32,
    /// How long a statement may run; zero means no limit.
    pub(in crate::runner) each: Duration,
}

/// Whether a script may lift the timeout that the server enforces.
pub(in crate::runner) fn is_lifted_by(script: &Script) -> bool {
    let says_so = script.directives().statement_timeout.is_some_and(|own| own.is_zero());
    says_so || script.text().to_ascii_lowercase().contains("statement_timeout")
}

impl SessionLimit {
    /// How long this many statements of a script, or without a script, may take.
    pub(in crate::runner) fn of(&self, script: Option<&Script>, statements: usize) -> Duration {
        let each = own(script).map_or(self.each, |own| own.max(self.each));
        each.saturating_mul(u32::try_from(statements).unwrap_or(u32::MAX))
    }

    /// Sends a message, and ends its work on the server if it takes longer than `all`.
    pub(in crate::runner) async fn attempt(
        &self,
        session: &mut Session,
        message: &str,
        all: Duration,
    ) -> (Vec<StatementAnswer>, Option<SessionFailure>) {
        if self.each.is_zero() {
            return session.attempt(message).await;
        }
        {
            // On the heap: it is awaited in several places, deep inside the futures of a rehearsal.
            let mut work = Box::pin(session.attempt(message));
            if let Ok(outcome) = timeout(all.saturating_add(GRACE), &mut work).await {
                return outcome;
            }
            // A statement that catches the first is ended by the second.
            for end in ["pg_cancel_backend", "pg_terminate_backend"] {
                Box::pin(self.tell(end)).await;
                match timeout(GRACE, &mut work).await {
                    Ok((answers, Some(failure))) if failure.is_lost() => return (answers, Some(overdue())),
                    Ok(outcome) => return outcome,
                    Err(_) => {}
                }
            }
        }
        // Otherwise the next message would wait for its answer.
        session.cut();
        (Vec::new(), Some(overdue()))
    }

    /// If this fails, the server ends the session when it notices that this process has ended.
    async fn tell(&self, end: &str) {
        if let Ok(mut other) = Session::connect(&self.database, "roundtrip rehearsal").await {
            let end = format!("{} SELECT pg_catalog.{end}({})", other.comment(), self.backend);
            let _ = other.read(&end).await;
            other.close().await;
        }
    }

    /// Rewords the error of a statement that did not finish in time; other errors stay as they are.
    pub(in crate::runner) fn reword(&self, error: Error, script: Option<&Script>) -> Error {
        if error.sqlstate() != Some("57014") || self.each.is_zero() {
            return error;
        }
        let own = own(script);
        let what = match own {
            Some(own) => format!("the statement did not finish within the {} that its file allows", display(own)),
            None => format!("the statement did not finish within {} on the shadow database", display(self.each)),
        };
        let help = match own {
            Some(_) => vec!["if it needs that long, raise `-- migrate: statement-timeout` in the file".to_owned()],
            None => vec![
                "if it loops forever, correct the condition that ends it: shadow databases have few rows".to_owned(),
                "if it needs that long, raise the limit: `statement_timeout = \"10min\"` in [environments.shadow] of \
                 migrate.toml, or --statement-timeout 10min"
                    .to_owned(),
            ],
        };
        let code = codes::REHEARSAL_TIMEOUT;
        error.rewritten(code, what, help)
    }
}

/// The timeout that a file gives to its statements.
fn own(script: Option<&Script>) -> Option<Duration> {
    script.and_then(|script| script.directives().statement_timeout).filter(|own| !own.is_zero())
}

fn overdue() -> SessionFailure {
    let message = "the statement was cancelled".to_owned();
    SessionFailure::Server(Box::new(ServerRefusal {
        sqlstate: "57014".to_owned(),
        message,
        ..ServerRefusal::default()
    }))
}
