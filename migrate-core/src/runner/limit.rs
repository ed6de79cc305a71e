//! How long a rehearsed statement may run, and what is said of one that does not end.
//!
//! The server's own timeout ends nearly all of them. A script can lift it, as every dump does in its first lines: such a
//! script runs statement by statement, and whoever waits for a statement cancels it from another session when it is over.

use std::time::Duration;

use tokio::time::timeout;

use crate::db::{Answer, Database, Failure, Refusal, Session};
use crate::duration::display;
use crate::error::Error;
use crate::source::Script;

/// How much later than the server a client loses its patience, and how long a cancelled statement may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// The limit of one session.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) database: Database,
    /// The server process of the session.
    pub(super) backend: i32,
    /// How long a statement may run; zero is for ever.
    pub(super) each: Duration,
}

/// Whether a script may lift the timeout that the server watches.
pub(super) fn is_lifted_by(script: &Script) -> bool {
    let says_so = script.directives().statement_timeout.is_some_and(|own| own.is_zero());
    says_so || script.text().to_ascii_lowercase().contains("statement_timeout")
}

impl Limit {
    /// How long this many statements of a script may take, or of nobody's.
    pub(super) fn of(&self, script: Option<&Script>, statements: usize) -> Duration {
        let each = own(script).map_or(self.each, |own| own.max(self.each));
        each.saturating_mul(u32::try_from(statements).unwrap_or(u32::MAX))
    }

    /// Sends a message, and ends its work on the server when it takes longer than `all`.
    pub(super) async fn attempt(
        &self,
        session: &mut Session,
        message: &str,
        all: Duration,
    ) -> (Vec<Answer>, Option<Failure>) {
        if self.each.is_zero() {
            return session.attempt(message).await;
        }
        {
            // On the heap: it is waited for at several places, deep in the futures of whoever rehearses.
            let mut work = Box::pin(session.attempt(message));
            if let Ok(outcome) = timeout(all.saturating_add(GRACE), &mut work).await {
                return outcome;
            }
            // What catches the first is ended by the second.
            for end in ["pg_cancel_backend", "pg_terminate_backend"] {
                Box::pin(self.tell(end)).await;
                match timeout(GRACE, &mut work).await {
                    Ok((answers, Some(failure))) if failure.is_lost() => return (answers, Some(overdue())),
                    Ok(outcome) => return outcome,
                    Err(_) => {}
                }
            }
        }
        // Its answer would be waited for by whatever is sent next.
        session.cut();
        (Vec::new(), Some(overdue()))
    }

    /// Where this fails the session is ended by the server, which notices when this process ends.
    async fn tell(&self, end: &str) {
        if let Ok(mut other) = Session::connect(&self.database, "roundtrip rehearsal").await {
            let end = format!("{} SELECT pg_catalog.{end}({})", other.comment(), self.backend);
            let _ = other.read(&end).await;
            other.close().await;
        }
    }

    /// The error of a statement that did not end in time says so; every other one stays what it is.
    pub(super) fn reword(&self, error: Error, script: Option<&Script>) -> Error {
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
        let code = "rehearsal-timeout";
        error.rewritten(code, what, help)
    }
}

/// The timeout that a file gives to its statements.
fn own(script: Option<&Script>) -> Option<Duration> {
    script.and_then(|script| script.directives().statement_timeout).filter(|own| !own.is_zero())
}

fn overdue() -> Failure {
    let message = "the statement was cancelled".to_owned();
    Failure::Server(Box::new(Refusal { sqlstate: "57014".to_owned(), message, ..Refusal::default() }))
}
