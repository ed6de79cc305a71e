//! One connection of its own, and messages over it.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use sqlx::{AssertSqlSafe, Column, Connection, Either, PgConnection, Row as _};
use tokio::time::timeout;

use super::connect::{Connected, connect, leave};
use super::reply::{Reply, marker};
use super::silence::{By, Line};
use super::{Database, Failure, Holder, Limits, Process, holder};
use crate::error::{Error, Result};
use crate::ident::QualifiedName;

/// A connection that belongs to one run and is closed, not returned, when the run ends.
#[derive(Debug)]
pub(crate) struct Session {
    /// None when it was closed, or given up.
    connection: Option<PgConnection>,
    line: Line,
    /// Whether our start-up packet was taken with the mark in it.
    is_marked: bool,
    /// Whether the mark came back from the server process; only then nobody stands between.
    is_direct: bool,
}

/// The setting of our own that a session carries in its start-up packet.
///
/// A pooler logs in to the server itself, and never hands it on.
pub(crate) const MARK: &str = "roundtrip.session";

/// The columns by which a session is recognised; see [`Session::recognise`].
pub(crate) const IDENTITY: &str = "pg_catalog.pg_backend_pid(), \
     (SELECT a.backend_start FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a), \
     pg_catalog.current_setting('roundtrip.session', true)";

/// A row as text; `None` is NULL.
pub(crate) type Row = Vec<Option<String>>;

/// A cell of a row as it came; `None` is NULL.
pub(crate) type Cell<'a> = Option<&'a str>;

/// The cells of a row, to be kept.
pub(crate) fn kept(cells: &[Cell<'_>]) -> Row {
    cells.iter().map(|cell| cell.map(str::to_owned)).collect()
}

/// What one statement of a message answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The names of the columns; none where there was no row.
    pub(crate) columns: Vec<Arc<str>>,
    pub(crate) rows: Vec<Row>,
    /// How many rows it returned or changed, as the server counts them.
    pub(crate) count: u64,
}

/// A part of what a message answers.
pub(crate) enum Part<'a> {
    /// A row of the present statement, with the names of its columns; what is kept of it is copied by whoever keeps it.
    Row(&'a Vec<Arc<str>>, &'a [Cell<'a>]),
    /// The statement is done; it returned or changed so many rows.
    End(u64),
}

impl Session {
    /// Connects, waiting for each host as long as the database's patience lasts.
    pub(crate) async fn connect(database: &Database, application: &str) -> Result<Self> {
        Self::establish(database, &[], application, tag()).await
    }

    /// The same for a session of a run: the server's side of the connection gets the keepalives, and a mark tells later whether
    /// a pooler stands between. Where the start-up packet is refused for that, the session goes without.
    pub(crate) async fn connect_marked(database: &Database, application: &str) -> Result<Self> {
        let tag = tag();
        let mut settings = vec![(MARK, tag.clone())];
        // What the URL sets itself stays.
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

    /// Connects in the way in which this session was connected.
    pub(crate) async fn another(&self, application: &str) -> Result<Self> {
        let database = &self.line.database;
        match self.is_marked {
            true => Self::connect_marked(database, application).await,
            false => Self::connect(database, application).await,
        }
    }

    /// Closes the connection and makes another one in its place, in the same way; until then it is closed.
    pub(crate) async fn renew(&mut self, application: &str) -> Result<()> {
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
        // From here on it is the one host that answered, whatever the list says.
        let Connected { connection, database } = connect(database, application, settings).await?;
        let line = Line { database, application: application.to_owned(), tag, process: None };
        Ok(Self { connection: Some(connection), line, is_marked: false, is_direct: false })
    }

    /// Takes the answer to [`IDENTITY`], of which `None` is what cannot be; returns the server process.
    pub(crate) fn recognise(&mut self, cells: &[Option<String>]) -> Option<Process> {
        let [pid, since, mark] = cells else { return None };
        let process = Process { pid: pid.as_ref()?.parse().ok()?, since: since.clone().unwrap_or_default() };
        self.is_direct = self.is_marked && mark.as_deref() == Some(&*self.line.tag);
        // Behind a pooler it may be another one the next time.
        self.line.process = self.is_direct.then(|| process.clone());
        Some(process)
    }

    /// The server process of a session behind a pooler that was seen to keep it.
    pub(crate) fn keeps(&mut self, process: &Process) {
        self.line.process = Some(process.clone());
    }

    /// Whether nobody stands between us and the server process.
    pub(crate) fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// The number of its own by which it is known.
    pub(crate) fn tag(&self) -> &str {
        &self.line.tag
    }

    /// The database that it is connected to.
    pub(crate) fn database(&self) -> &Database {
        &self.line.database
    }

    /// What it calls itself.
    pub(crate) fn application(&self) -> &str {
        &self.line.application
    }

    /// Whether it can still be used.
    pub(crate) fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// The major version of the server; 0 where it did not say.
    pub(crate) fn major_version(&self) -> u32 {
        self.connection.as_ref().and_then(PgConnection::server_version_num).unwrap_or(0) / 10_000
    }

    /// Gives it up: what is sent later fails at once.
    pub(crate) fn cut(&mut self) {
        self.connection = None;
    }

    /// The comment that finds the query after it, for [`Self::read`].
    pub(crate) fn comment(&self) -> String {
        self.line.comment()
    }

    /// The connection, what is known of it, and nothing where it was given up.
    fn parts(&mut self) -> std::result::Result<(&mut PgConnection, &Line), Failure> {
        let Self { connection, line, .. } = self;
        let gone = || Failure::Lost("it was already closed".to_owned());
        Ok((connection.as_mut().ok_or_else(gone)?, line))
    }

    /// Keeps a session that is dead from being used again.
    fn seen<T>(&mut self, outcome: std::result::Result<T, Failure>) -> std::result::Result<T, Failure> {
        if matches!(&outcome, Err(Failure::Silent(_))) {
            self.cut();
        }
        outcome
    }

    /// Sends one message and waits for its rows however long that takes: the caller limits the time.
    pub(super) async fn unbounded(&mut self, message: &str) -> std::result::Result<Vec<Row>, Failure> {
        rows(self.parts()?.0, message).await
    }

    /// Sends one message that has the [`Self::comment`], and returns all rows that come back.
    pub(crate) async fn read(&mut self, message: &str) -> std::result::Result<Vec<Row>, Failure> {
        let (connection, line) = self.parts()?;
        let outcome = line.bounded(message.len(), By::Tag, rows(connection, message)).await;
        self.seen(outcome)
    }

    /// Sends one message and returns all rows that come back.
    pub(crate) async fn rows(&mut self, message: &str) -> std::result::Result<Vec<Row>, Failure> {
        let (connection, line) = self.parts()?;
        let outcome = line.bounded(message.len(), By::Process, rows(connection, message)).await;
        self.seen(outcome)
    }

    /// Sends one message and returns what each of its statements answered, with the names of the columns.
    pub(crate) async fn results(&mut self, message: &str) -> std::result::Result<Vec<Answer>, Failure> {
        let (answers, failure) = self.attempt(message).await;
        failure.map_or(Ok(answers), Err)
    }

    /// The same, with the answers up to a failure.
    pub(crate) async fn attempt(&mut self, message: &str) -> (Vec<Answer>, Option<Failure>) {
        let Ok((connection, line)) = self.parts() else {
            return (Vec::new(), self.parts().err());
        };
        let work = async { Ok(attempt(connection, message).await) };
        let outcome = line.bounded(message.len(), By::Process, work).await;
        self.seen(outcome).unwrap_or_else(|failure| (Vec::new(), Some(failure)))
    }

    /// Sends one message and gives on what its statements answer, while the server goes on working.
    pub(crate) async fn each(&mut self, message: &str, take: impl FnMut(Part<'_>)) -> std::result::Result<(), Failure> {
        let (connection, line) = self.parts()?;
        let by = if message.contains(&line.comment()) { By::Tag } else { By::Process };
        let outcome = line.bounded(message.len(), by, each(connection, message, take)).await;
        self.seen(outcome)
    }

    /// Sends one message whose rows do not matter.
    pub(crate) async fn send(&mut self, message: &str) -> std::result::Result<(), Failure> {
        self.rows(message).await.map(drop)
    }

    /// Sends one message and returns what the server answers, as it comes.
    ///
    /// Answers arrive in blocks: a server collects some kilobytes before it sends them.
    pub(crate) fn replies(
        &mut self,
        message: String,
    ) -> impl Stream<Item = std::result::Result<Reply, Failure>> + Unpin + '_ {
        let reply = |answer| {
            std::future::ready(match answer {
                Ok(Either::Left(_)) => Some(Ok(Reply::Statement)),
                Ok(Either::Right(row)) => marker(&row).map(|marker| Ok(Reply::Marker(marker))),
                Err(error) => Some(Err(Failure::from(error))),
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

    /// Sends `before` and runs `work` in a transaction that the driver knows of, so that a `begin`
    /// inside it is a savepoint; where it ends well, `finish` is sent and all of it is committed.
    /// Returns what the statements of `finish` answered.
    pub(crate) async fn in_transaction<T>(
        &mut self,
        before: &str,
        work: impl AsyncFnOnce(&mut PgConnection) -> std::result::Result<(), T>,
        finish: &str,
    ) -> std::result::Result<std::result::Result<Vec<Answer>, T>, Failure> {
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
        // The settings below deallocate what was prepared; the driver has to forget it first.
        transaction.clear_cached_statements().await?;
        let (answers, failure) = attempt(&mut transaction, finish).await;
        if let Some(failure) = failure {
            return Err(failure);
        }
        transaction.commit().await?;
        Ok(Ok(answers))
    }

    /// Forgets what a failed migration left behind on this side, then sends `after`.
    ///
    /// Where this fails the connection is gone, and what was left behind with it.
    pub(crate) async fn recover(&mut self, after: &str) {
        let Ok((connection, line)) = self.parts() else { return };
        let clear = async { Ok(connection.clear_cached_statements().await?) };
        let cleared = line.bounded(0, By::Process, clear).await;
        let _ = self.seen(cleared);
        let _ = self.send(after).await;
    }

    /// Ends a transaction in which a read waited in vain for a lock, and sees who had it.
    pub(crate) async fn in_the_way(&mut self, table: Option<&QualifiedName>) -> Vec<Holder> {
        holder::in_the_way(self, table).await
    }

    /// Gives back what the session holds on the server, whatever state its transaction is in, and says goodbye; whether the
    /// server said that it has it back.
    pub(crate) async fn give_back(mut self) -> bool {
        let limit = Limits::of(&self.line.database).question;
        let sent = timeout(limit, self.unbounded("ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all()")).await;
        self.close().await;
        matches!(sent, Ok(Ok(_)))
    }

    /// Says goodbye. A connection that is already gone needs none, and one that is dead is not waited for.
    pub(crate) async fn close(self) {
        // Nothing is lost when this fails: the server notices that the socket is closed.
        if let Some(connection) = self.connection {
            leave(connection).await;
        }
    }
}

/// A number that no other session has, in hexadecimal.
fn tag() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// Whether a server, or a pooler, may have refused a connection for the settings in its start-up packet. Where it was for
/// something else, the next attempt says so.
fn is_about_settings(error: &Error) -> bool {
    // A password, a role, a database, a right, too many connections, a server that starts or stops.
    let others = ["28P01", "28000", "3D000", "42501", "53300", "57P01", "57P02", "57P03"];
    error.sqlstate().is_some_and(|sqlstate| !others.contains(&sqlstate))
}

/// Sends one message and returns all rows that come back.
async fn rows(connection: &mut PgConnection, message: &str) -> std::result::Result<Vec<Row>, Failure> {
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

/// Sends one message and returns what its statements answered, up to a failure.
async fn attempt(connection: &mut PgConnection, message: &str) -> (Vec<Answer>, Option<Failure>) {
    let mut all: Vec<Answer> = Vec::new();
    let mut answer = Answer::default();
    let outcome = each(connection, message, |part| match part {
        Part::Row(columns, row) => {
            if answer.columns.is_empty() {
                answer.columns.clone_from(columns);
            }
            answer.rows.push(kept(row));
        }
        Part::End(count) => all.push(Answer { count, ..std::mem::take(&mut answer) }),
    });
    let failure = outcome.await.err();
    (all, failure)
}

/// Sends one message and gives on what its statements answer, as it comes.
async fn each(
    connection: &mut PgConnection,
    message: &str,
    mut take: impl FnMut(Part<'_>),
) -> std::result::Result<(), Failure> {
    let mut columns: Vec<Arc<str>> = Vec::new();
    let mut answers = sqlx::raw_sql(AssertSqlSafe(message)).fetch_many(connection);
    while let Some(part) = answers.next().await {
        match part? {
            Either::Left(done) => {
                columns.clear();
                take(Part::End(done.rows_affected()));
            }
            Either::Right(row) => {
                if columns.is_empty() {
                    columns.extend(row.columns().iter().map(|column| Arc::from(column.name())));
                }
                let text = |at| row.try_get_unchecked::<Cell<'_>, _>(at);
                let cells: Vec<Cell<'_>> = (0..row.len()).map(text).collect::<std::result::Result<_, _>>()?;
                take(Part::Row(&columns, &cells));
            }
        }
    }
    Ok(())
}
