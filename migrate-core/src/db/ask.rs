//! Questions to a database that is in use: read-only, one message each, on a connection of their own.

use super::{Database, Failure, Session};
use crate::error::{ErrorKind, Result};

/// A row as text; `None` is NULL.
pub type Answered = Vec<Option<String>>;

/// A connection that only reads.
#[derive(Debug)]
pub struct Reader {
    pub(crate) session: Session,
}

impl Reader {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the server cannot be reached.
    pub async fn open(database: &Database) -> Result<Self> {
        Ok(Self { session: Session::connect(database, "roundtrip").await? })
    }

    /// Asks a query in a read-only transaction, and returns its rows as text. `what` completes the sentence "cannot …",
    /// should it fail.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the connection is lost, or the server refuses the query.
    pub async fn ask(&mut self, what: &str, query: &str) -> Result<Vec<Answered>> {
        let answer = self.session.rows(&format!("BEGIN READ ONLY; {query}; COMMIT")).await;
        if matches!(&answer, Err(Failure::Server(_))) {
            // The next question begins anew; where this fails too, it says so itself.
            let _ = self.session.send("ROLLBACK").await;
        }
        answer.map_err(|failure| failure.explain(ErrorKind::Connection, "query", what))
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
