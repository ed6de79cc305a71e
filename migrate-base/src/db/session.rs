//! A separate connection, and messages over it.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use sqlx::{AssertSqlSafe, Column, Connection, Either, PgConnection, Row as _};
use tokio::time::timeout;

use super::connect::{HostConnection, connect, leave};
use super::reply::{Reply, marker};
use super::silence::{ProcessLookup, SessionIdentity};
use super::{Database, LockHolder, Process, SessionFailure, TimeLimits, holder};
use crate::error::{Error, Result};
use crate::ident::QualifiedName;

/// A connection that belongs to one run and is closed, not returned, when the run ends.
#[derive(Debug)]
pub struct Session {
    /// `None` after it was closed or given up.
    connection: Option<PgConnection>,
    line: SessionIdentity,
    /// Whether our start-up packet was accepted with the mark.
    is_marked: bool,
    /// Whether the server process returned the mark; only then there is no pooler in between.
    is_direct: bool,
}

/// Our own setting that a session sends in its start-up packet.
///
/// A pooler logs in to the server itself, and never passes this setting on.
pub(crate) const MARK: &str = "roundtrip.session";

/// The columns that identify a session; see [`Session::recognise`].
pub const IDENTITY: &str = "pg_catalog.pg_backend_pid(), \
     (SELECT a.backend_start FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a), \
     pg_catalog.current_setting('roundtrip.session', true)";

/// A row as text; `None` is NULL.
pub type TextRow = Vec<Option<String>>;

/// A cell of a row as received; `None` is NULL.
pub type TextCell<'a> = Option<&'a str>;

/// Copies the cells of a row.
pub fn kept(cells: &[TextCell<'_>]) -> TextRow {
    cells.iter().map(|cell| cell.map(str::to_owned)).collect()
}

/// The answer to one statement of a message.
#[derive(Debug, Default)]
pub struct StatementAnswer {
    /// The column names; empty if there was no row.
    pub columns: Vec<Arc<str>>,
    /// The rows.
    pub rows: Vec<TextRow>,
    /// How many rows it returned or changed, according to the server.
    pub count: u64,
}

/// A part of the answer to a message.
pub enum AnswerPart<'a> {
    /// A row of the present statement, with its column names; the receiver copies what it needs.
    Row(&'a Vec<Arc<str>>, &'a [TextCell<'a>]),
    /// The statement is done; it returned or changed this many rows.
    End(u64),
}

impl Session {
    /// Connects, waiting for each host for the database's time limit.
    pub async fn connect(database: &Database, application: &str) -> Result<Self> {
        Self::establish(database, &[], application, tag()).await
    }

    /// Connects for a run: the server's side of the connection gets the keepalive settings, and a mark later tells
    /// whether a pooler is in between. If the start-up packet is refused because of that, the session does without.
    pub async fn connect_marked(database: &Database, application: &str) -> Result<Self> {
        let tag = tag();
        let mut settings = vec![(MARK, tag.clone())];
        // Settings from the URL take precedence.
        let is_set = database.options().get_options().is_some_and(|options| options.contains("tcp_"));
        if database.is_remote() && !is_set {
            settings.extend(database.keepalive.settings());
        }
        match Self::establish(database, &settings, application, tag).await {
            Ok(session) => Ok(Self { is_marked: true, ..session }),
            Err(error) if is_about_settings(&error) => Self::connect(database, application).await,
            Err(error) => Err(error),
        }
    }

    /// Connects in the same way as this session.
    pub(crate) async fn another(&self, application: &str) -> Result<Self> {
        let database = &self.line.database;
        match self.is_marked {
            true => Self::connect_marked(database, application).await,
            false => Self::connect(database, application).await,
        }
    }

    /// Closes the connection and opens another one in the same way; in between the session is closed.
    pub async fn renew(&mut self, application: &str) -> Result<()> {
        if let Some(connection) = self.connection.take() {
            leave(connection).await;
        }
        *self = self.another(application).await?;
        Ok(())
    }

    async fn establish(
        database: &Database,
        settings: &[(&str, String)],
        application: &str,
        tag: String,
    ) -> Result<Self> {
        // From here on only the host that answered is used.
        let HostConnection { connection, database } = connect(database, application, settings).await?;
        let line = SessionIdentity { database, application: application.to_owned(), tag, process: None };
        Ok(Self { connection: Some(connection), line, is_marked: false, is_direct: false })
    }

    /// Processes the answer to [`IDENTITY`]; returns the server process, or `None` if the answer is invalid.
    pub fn recognise(&mut self, cells: &[Option<String>]) -> Option<Process> {
        let [pid, since, mark] = cells else { return None };
        let process = Process { pid: pid.as_ref()?.parse().ok()?, since: since.clone().unwrap_or_default() };
        self.is_direct = self.is_marked && mark.as_deref() == Some(&*self.line.tag);
        // Behind a pooler it may be a different one next time.
        self.line.process = self.is_direct.then(|| process.clone());
        Some(process)
    }

    /// Sets the server process of a session behind a pooler that was found to keep it.
    pub fn keeps(&mut self, process: &Process) {
        self.line.process = Some(process.clone());
    }

    /// Whether there is no pooler between us and the server process.
    pub(crate) fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// The unique number that identifies it.
    pub(crate) fn tag(&self) -> &str {
        &self.line.tag
    }

    /// The database that it is connected to.
    pub fn database(&self) -> &Database {
        &self.line.database
    }

    /// Its application name.
    pub(crate) fn application(&self) -> &str {
        &self.line.application
    }

    /// Whether it can still be used.
    pub fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// The major version of the server; 0 if unknown.
    pub fn major_version(&self) -> u32 {
        self.connection.as_ref().and_then(PgConnection::server_version_num).unwrap_or(0) / 10_000
    }

    /// Gives it up: later messages fail at once.
    pub fn cut(&mut self) {
        self.connection = None;
    }

    /// The comment that identifies the query after it, for [`Self::read`].
    pub fn comment(&self) -> String {
        self.line.comment()
    }

    /// The connection and its description, or an error if it was given up.
    fn parts(&mut self) -> std::result::Result<(&mut PgConnection, &SessionIdentity), SessionFailure> {
        let Self { connection, line, .. } = self;
        let gone = || SessionFailure::Lost("it was already closed".to_owned());
        Ok((connection.as_mut().ok_or_else(gone)?, line))
    }

    /// Prevents a dead session from being used again.
    fn seen<T>(&mut self, outcome: std::result::Result<T, SessionFailure>) -> std::result::Result<T, SessionFailure> {
        if matches!(&outcome, Err(SessionFailure::Silent(_))) {
            self.cut();
        }
        outcome
    }

    /// Sends one message and waits for its rows without a limit: the caller limits the time.
    pub(super) async fn unbounded(&mut self, message: &str) -> std::result::Result<Vec<TextRow>, SessionFailure> {
        rows(self.parts()?.0, message).await
    }

    /// Sends one message that contains [`Self::comment`], and returns all its rows.
    pub async fn read(&mut self, message: &str) -> std::result::Result<Vec<TextRow>, SessionFailure> {
        let (connection, line) = self.parts()?;
        let outcome = line.bounded(message.len(), ProcessLookup::Tag, rows(connection, message)).await;
        self.seen(outcome)
    }

    /// Sends one message and returns all its rows.
    pub async fn rows(&mut self, message: &str) -> std::result::Result<Vec<TextRow>, SessionFailure> {
        let (connection, line) = self.parts()?;
        let outcome = line.bounded(message.len(), ProcessLookup::Process, rows(connection, message)).await;
        self.seen(outcome)
    }

    /// Sends one message and returns the answer to each of its statements, with the column names.
    pub async fn results(&mut self, message: &str) -> std::result::Result<Vec<StatementAnswer>, SessionFailure> {
        let (answers, failure) = self.attempt(message).await;
        failure.map_or(Ok(answers), Err)
    }

    /// The same, with the answers up to a failure.
    pub async fn attempt(&mut self, message: &str) -> (Vec<StatementAnswer>, Option<SessionFailure>) {
        let Ok((connection, line)) = self.parts() else {
            return (Vec::new(), self.parts().err());
        };
        let work = async { Ok(attempt(connection, message).await) };
        let outcome = line.bounded(message.len(), ProcessLookup::Process, work).await;
        self.seen(outcome).unwrap_or_else(|failure| (Vec::new(), Some(failure)))
    }

    /// Sends one message and passes on the answers of its statements while the server continues working.
    pub async fn each(
        &mut self,
        message: &str,
        take: impl FnMut(AnswerPart<'_>),
    ) -> std::result::Result<(), SessionFailure> {
        let (connection, line) = self.parts()?;
        let by = if message.contains(&line.comment()) { ProcessLookup::Tag } else { ProcessLookup::Process };
        let outcome = line.bounded(message.len(), by, each(connection, message, take)).await;
        self.seen(outcome)
    }

    /// Sends one message whose rows do not matter.
    pub async fn send(&mut self, message: &str) -> std::result::Result<(), SessionFailure> {
        self.rows(message).await.map(drop)
    }

    /// Sends one message and returns the server's answers as they arrive.
    ///
    /// Answers arrive in blocks: a server buffers several kilobytes before it sends them.
    pub fn replies(
        &mut self,
        message: String,
    ) -> impl Stream<Item = std::result::Result<Reply, SessionFailure>> + Unpin + '_ {
        let reply = |answer| {
            std::future::ready(match answer {
                Ok(Either::Left(_)) => Some(Ok(Reply::Statement)),
                Ok(Either::Right(row)) => marker(&row).map(|marker| Ok(Reply::Marker(marker))),
                Err(error) => Some(Err(SessionFailure::from(error))),
            })
        };
        match self.parts() {
            Ok((connection, _)) => {
                let answers = sqlx::raw_sql(AssertSqlSafe(message)).fetch_many(connection);
                answers.filter_map(reply).boxed()
            }
            Err(failure) => futures_util::stream::iter([Err(failure)]).boxed(),
        }
    }

    /// Sends `before` and runs `work` in a transaction that the driver knows, so that a `begin` inside it creates a
    /// savepoint; if it succeeds, `finish` is sent and everything is committed. Returns the answers to the statements
    /// of `finish`.
    pub async fn in_transaction<T>(
        &mut self,
        before: &str,
        work: impl AsyncFnOnce(&mut PgConnection) -> std::result::Result<(), T>,
        finish: &str,
    ) -> std::result::Result<std::result::Result<Vec<StatementAnswer>, T>, SessionFailure> {
        let mut transaction = self.parts()?.0.begin().await?;
        if !before.is_empty()
            && let Some(failure) = attempt(&mut transaction, before).await.1
        {
            return Err(failure);
        }
        if let Err(why) = work(&mut transaction).await {
            transaction.rollback().await?;
            return Ok(Err(why));
        }
        // The settings below deallocate prepared statements; the driver has to forget them first.
        transaction.clear_cached_statements().await?;
        let (answers, failure) = attempt(&mut transaction, finish).await;
        if let Some(failure) = failure {
            return Err(failure);
        }
        transaction.commit().await?;
        Ok(Ok(answers))
    }

    /// Discards what a failed migration left on the client side, then sends `after`.
    ///
    /// If this fails, the connection is gone, together with what was left.
    pub async fn recover(&mut self, after: &str) {
        let Ok((connection, line)) = self.parts() else { return };
        let clear = async { Ok(connection.clear_cached_statements().await?) };
        let cleared = line.bounded(0, ProcessLookup::Process, clear).await;
        let _ = self.seen(cleared);
        let _ = self.send(after).await;
    }

    /// Ends a transaction in which a read waited for a lock until its timeout, and finds who held the lock.
    pub async fn in_the_way(&mut self, table: Option<&QualifiedName>) -> Vec<LockHolder> {
        holder::in_the_way(self, table).await
    }

    /// Releases what the session holds on the server, whatever the state of its transaction, and closes it; returns
    /// whether the server confirmed the release.
    pub async fn give_back(mut self) -> bool {
        let limit = TimeLimits::of(&self.line.database).question;
        let sent = timeout(limit, self.unbounded("ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all()")).await;
        self.close().await;
        matches!(sent, Ok(Ok(_)))
    }

    /// Closes the connection. It does nothing for a lost connection, and does not wait for a dead one.
    pub async fn close(self) {
        // Nothing is lost if this fails: the server notices that the socket is closed.
        if let Some(connection) = self.connection {
            leave(connection).await;
        }
    }
}

/// A unique number for a session, in hexadecimal.
fn tag() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// Whether a server or a pooler may have refused a connection because of the settings in its start-up packet. If there
/// was another reason, the next attempt reports it.
fn is_about_settings(error: &Error) -> bool {
    // Errors about a password, a role, a database, a privilege, too many connections, or a server that starts or stops.
    let others = ["28P01", "28000", "3D000", "42501", "53300", "57P01", "57P02", "57P03"];
    error.sqlstate().is_some_and(|sqlstate| !others.contains(&sqlstate))
}

/// Sends one message and returns all its rows.
async fn rows(connection: &mut PgConnection, message: &str) -> std::result::Result<Vec<TextRow>, SessionFailure> {
    let mut rows = Vec::new();
    let mut answers = sqlx::raw_sql(AssertSqlSafe(message)).fetch_many(connection);
    while let Some(answer) = answers.next().await {
        if let Either::Right(row) = answer? {
            let text = |at| row.try_get_unchecked::<Option<String>, _>(at);
            rows.push((0..row.len()).map(text).collect::<std::result::Result<_, _>>()?);
        }
    }
    Ok(rows)
}

/// Sends one message and returns the answers of its statements, up to a failure.
async fn attempt(connection: &mut PgConnection, message: &str) -> (Vec<StatementAnswer>, Option<SessionFailure>) {
    let mut all: Vec<StatementAnswer> = Vec::new();
    let mut answer = StatementAnswer::default();
    let outcome = each(connection, message, |part| match part {
        AnswerPart::Row(columns, row) => {
            if answer.columns.is_empty() {
                answer.columns.clone_from(columns);
            }
            answer.rows.push(kept(row));
        }
        AnswerPart::End(count) => all.push(StatementAnswer { count, ..std::mem::take(&mut answer) }),
    });
    let failure = outcome.await.err();
    (all, failure)
}

/// Sends one message and passes on the answers of its statements as they arrive.
async fn each(
    connection: &mut PgConnection,
    message: &str,
    mut take: impl FnMut(AnswerPart<'_>),
) -> std::result::Result<(), SessionFailure> {
    let mut columns: Vec<Arc<str>> = Vec::new();
    let mut answers = sqlx::raw_sql(AssertSqlSafe(message)).fetch_many(connection);
    while let Some(part) = answers.next().await {
        match part? {
            Either::Left(done) => {
                columns.clear();
                take(AnswerPart::End(done.rows_affected()));
            }
            Either::Right(row) => {
                if columns.is_empty() {
                    columns.extend(row.columns().iter().map(|column| Arc::from(column.name())));
                }
                let text = |at| row.try_get_unchecked::<TextCell<'_>, _>(at);
                let cells: Vec<TextCell<'_>> = (0..row.len()).map(text).collect::<std::result::Result<_, _>>()?;
                take(AnswerPart::Row(&columns, &cells));
            }
        }
    }
    Ok(())
}
