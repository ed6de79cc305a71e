//! Queries on a database that is in use: read-only, one message each, on their own connection.

use super::{AnswerPart, Database, Session, SessionFailure, TextRow, kept};
use crate::codes;
use crate::error::{ErrorKind, Result};

/// How many statements precede the first query of a message.
const SETTINGS: usize = 2;

/// A connection that only reads.
#[derive(Debug)]
pub struct ReadOnlySession {
    /// The connection.
    pub session: Session,
    /// The prepared queries; `None` if a pooler may be in between.
    pub planned: Option<Vec<String>>,
}

impl ReadOnlySession {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the server cannot be reached.
    pub async fn open(database: &Database) -> Result<Self> {
        Ok(Self { session: Session::connect(database, "roundtrip").await?, planned: None })
    }

    /// Connects directly to a server of our own: the queries that read a schema are prepared once instead of planned
    /// each time. See <https://www.postgresql.org/docs/current/sql-prepare.html>.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open`].
    pub async fn open_own(database: &Database) -> Result<Self> {
        Ok(Self { planned: Some(Vec::new()), ..Self::open(database).await? })
    }

    /// Runs a query in a read-only transaction, and returns its rows as text. `what` completes the sentence "cannot …"
    /// if it fails.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the connection is lost, or the server refuses the query.
    pub async fn ask(&mut self, what: &str, query: &str) -> Result<Vec<TextRow>> {
        let answer = self.send("", query).await;
        answer.map_err(|failure| failure.explain(ErrorKind::Connection, codes::QUERY, what))
    }

    /// Runs several queries in one message and one transaction, each with its purpose; returns the rows of each.
    ///
    /// # Errors
    ///
    /// Those of [`Self::ask`], about the query that failed.
    pub async fn ask_each(&mut self, queries: &[(&str, String)]) -> Result<Vec<Vec<TextRow>>> {
        let mut answers: Vec<Vec<TextRow>> = vec![Vec::new()];
        let texts: Vec<&str> = queries.iter().map(|(_, query)| query.as_str()).collect();
        let mut take = |part: AnswerPart<'_>| match part {
            AnswerPart::Row(_, row) => {
                if let Some(rows) = answers.last_mut() {
                    rows.push(kept(row));
                }
            }
            AnswerPart::End(_) => answers.push(Vec::new()),
        };
        let outcome = self.exchange("", &texts.join(";\n"), &mut take).await;
        // BEGIN and its setting come before the first of them.
        let mut answers: Vec<_> = answers.into_iter().skip(SETTINGS).collect();
        match outcome {
            Ok(()) => {
                answers.truncate(queries.len());
                Ok(answers)
            }
            Err(failure) => {
                let failed = answers.len().saturating_sub(1).min(queries.len().saturating_sub(1));
                let what = queries.get(failed).map_or("look", |(what, _)| what);
                Err(failure.explain(ErrorKind::Connection, codes::QUERY, what))
            }
        }
    }

    /// Like [`Self::ask`], for user data, which may be large, locked, or hidden: `None` if the rows, or all of them,
    /// are not available in a short time. See <https://www.postgresql.org/docs/current/ddl-rowsecurity.html>.
    ///
    /// # Errors
    ///
    /// Those of [`Self::ask`], for other reasons.
    pub async fn ask_for_all(&mut self, what: &str, query: &str) -> Result<Option<Vec<TextRow>>> {
        let patiently = "SET LOCAL statement_timeout TO '20s'; SET LOCAL row_security TO off;";
        match self.send(patiently, query).await {
            // lock_not_available, query_canceled, insufficient_privilege; and undefined_table, undefined_column if
            // another session was faster.
            Err(failure)
                if ["55P03", "57014", "42501", "42P01", "42703"].iter().any(|sqlstate| failure.is(sqlstate)) =>
            {
                Ok(None)
            }
            answer => answer.map(Some).map_err(|failure| failure.explain(ErrorKind::Connection, codes::QUERY, what)),
        }
    }

    async fn send(&mut self, settings: &str, query: &str) -> std::result::Result<Vec<TextRow>, SessionFailure> {
        let mut rows = Vec::new();
        let mut take = |part: AnswerPart<'_>| {
            if let AnswerPart::Row(_, row) = part {
                rows.push(kept(row));
            }
        };
        self.exchange(settings, query, &mut take).await.map(|()| rows)
    }

    /// A read should not make others wait for long, so it does not wait for long either.
    async fn exchange(
        &mut self,
        settings: &str,
        queries: &str,
        take: &mut (dyn FnMut(AnswerPart<'_>) + Send),
    ) -> std::result::Result<(), SessionFailure> {
        let session = &mut self.session;
        let begin = format!("BEGIN READ ONLY; SET LOCAL lock_timeout TO '2s'; {settings}");
        match session.each(&format!("{begin} {} {queries}; COMMIT", session.comment()), take).await {
            Err(failure) if failure.is_lock_timeout() => Err(failure.with_holders(session.in_the_way(None).await)),
            Err(SessionFailure::Server(refusal)) => {
                // The next query starts its own transaction; if this fails too, that query reports it.
                let _ = session.send("ROLLBACK").await;
                Err(SessionFailure::Server(refusal))
            }
            outcome => outcome,
        }
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.session.close().await;
    }
}

impl Database {
    /// Runs one query, on its own connection; see [`ReadOnlySession::ask`].
    ///
    /// # Errors
    ///
    /// Those of [`ReadOnlySession::open`] and [`ReadOnlySession::ask`].
    pub async fn ask(&self, what: &str, query: &str) -> Result<Vec<TextRow>> {
        let mut reader = ReadOnlySession::open(self).await?;
        let answer = reader.ask(what, query).await;
        reader.close().await;
        answer
    }
}
