//! Questions to a database that is in use: read-only, one message, a connection of its own.

use super::{Database, Session};
use crate::error::{ErrorKind, Result};

/// A row as text; `None` is NULL.
pub type Answered = Vec<Option<String>>;

impl Database {
    /// Asks a query in a read-only transaction, and returns its rows as text. `what` completes the sentence "cannot …",
    /// should it fail.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the server cannot be reached, or refuses the query.
    pub async fn ask(&self, what: &str, query: &str) -> Result<Vec<Answered>> {
        let mut session = Session::connect(self, "roundtrip").await?;
        let answer = session.rows(&format!("BEGIN READ ONLY; {query}; COMMIT")).await;
        session.close().await;
        answer.map_err(|failure| failure.explain(ErrorKind::Connection, "query", what))
    }
}
