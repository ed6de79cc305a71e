//! Questions to a database that is in use: read-only, one message each, on a connection of their own.

use super::{Database, Failure, Session};
use crate::error::{ErrorKind, Result};

/// A row as text; `None` is NULL.
pub type Answered = Vec<Option<String>>;

/// A connection that only reads.
#[derive(Debug)]
pub struct Reader {
    pub(crate) session: Session,
    /// The queries that the server has planned; `None` where a pooler may stand between.
    pub(crate) planned: Option<Vec<String>>,
}

impl Reader {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the server cannot be reached.
    pub async fn open(database: &Database) -> Result<Self> {
        Ok(Self { session: Session::connect(database, "roundtrip").await?, planned: None })
    }

    /// Connects to a server of ours, with nothing in between: what reads a schema is planned once, and not each time. See
    /// <https://www.postgresql.org/docs/current/sql-prepare.html>.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open`].
    pub async fn open_own(database: &Database) -> Result<Self> {
        Ok(Self { planned: Some(Vec::new()), ..Self::open(database).await? })
    }

    /// Asks a query in a read-only transaction, and returns its rows as text. `what` completes the sentence "cannot …",
    /// should it fail.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the connection is lost, or the server refuses the query.
    pub async fn ask(&mut self, what: &str, query: &str) -> Result<Vec<Answered>> {
        let answer = self.send("", query).await;
        answer.map_err(|failure| failure.explain(ErrorKind::Connection, "query", what))
    }

    /// The same for rows of users, which may be many, locked, or hidden: `None` where they cannot be had in a short time,
    /// or not all of them. See <https://www.postgresql.org/docs/current/ddl-rowsecurity.html>.
    ///
    /// # Errors
    ///
    /// Those of [`Self::ask`], for other reasons.
    pub async fn ask_for_all(&mut self, what: &str, query: &str) -> Result<Option<Vec<Answered>>> {
        let patiently = "SET LOCAL statement_timeout TO '20s'; SET LOCAL row_security TO off;";
        match self.send(patiently, query).await {
            // lock_not_available, query_canceled, insufficient_privilege.
            Err(failure) if ["55P03", "57014", "42501"].iter().any(|sqlstate| failure.is(sqlstate)) => Ok(None),
            answer => answer.map(Some).map_err(|failure| failure.explain(ErrorKind::Connection, "query", what)),
        }
    }

    /// Nobody waits long for somebody who only looks, and so the one who looks does not wait long either.
    async fn send(&mut self, settings: &str, query: &str) -> std::result::Result<Vec<Answered>, Failure> {
        let session = &mut self.session;
        let begin = format!("BEGIN READ ONLY; SET LOCAL lock_timeout TO '2s'; {settings}");
        let answer = session.read(&format!("{begin} {} {query}; COMMIT", session.comment())).await;
        match answer {
            Err(failure) if failure.is_lock_timeout() => Err(failure.with_holders(session.in_the_way(None).await)),
            Err(Failure::Server(refusal)) => {
                // The next question begins a transaction of its own; where this fails too, it says so itself.
                let _ = session.send("ROLLBACK").await;
                Err(Failure::Server(refusal))
            }
            answer => answer,
        }
    }

    /// Says goodbye to the server.
    pub async fn close(self) {
        self.session.close().await;
    }
}

impl Database {
    /// Asks one query, on a connection of its own; see [`Reader::ask`].
    ///
    /// # Errors
    ///
    /// Those of [`Reader::open`] and [`Reader::ask`].
    pub async fn ask(&self, what: &str, query: &str) -> Result<Vec<Answered>> {
        let mut reader = Reader::open(self).await?;
        let answer = reader.ask(what, query).await;
        reader.close().await;
        answer
    }
}
