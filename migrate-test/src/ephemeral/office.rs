//! The connections on which databases are created and dropped. A thread holds them as long as the process
//! lives: every caller has its own runtime, and a connection belongs to the runtime that opened it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use migrate_core::runner::BoxFuture;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{EphemeralServer, server};
use crate::error::ServerError;

type RowsResult = Result<Vec<String>, sqlx::Error>;

/// What the thread does.
enum Job {
    /// A statement, and what its caller waits for.
    Statement(String, StatementCallback),
    /// Other work, on its own connection.
    Work(Box<dyn FnOnce(PgConnectOptions) -> BoxFuture<'static, ()> + Send>),
}

/// What the caller waits for.
enum StatementCallback {
    /// The outcome.
    Outcome(Box<dyn FnOnce(RowsResult) + Send>),
    /// That the statement has been sent. The server completes it even if this process ends.
    Told(Box<dyn FnOnce() + Send>),
}

/// The first column of the result of a statement, on the server that this process uses.
pub(super) async fn ask(sql: &str) -> Result<Vec<String>, ServerError> {
    let (answer, answered) = oneshot::channel();
    let waits = StatementCallback::Outcome(Box::new(move |outcome| drop(answer.send(outcome))));
    send(server().await?, Job::Statement(sql.to_owned(), waits));
    answered.await.unwrap_or(Err(sqlx::Error::WorkerCrashed)).map_err(|error| cannot(&error))
}

/// Sends a statement to that server without waiting for its completion. If a DROP DATABASE fails, the database
/// is left to the sweep of a later process.
pub(super) async fn tell(server: &EphemeralServer, sql: String) {
    // The caller waits for the other end to be dropped, which also happens if the thread is gone.
    let (told, heard) = oneshot::channel::<()>();
    send(server, Job::Statement(sql, StatementCallback::Told(Box::new(|| drop(told)))));
    let _ = heard.await;
}

/// The same for a caller that may be inside of a runtime and cannot await.
pub(super) fn tell_blocking(server: &EphemeralServer, sql: String) {
    let (told, heard) = std::sync::mpsc::channel::<()>();
    send(server, Job::Statement(sql, StatementCallback::Told(Box::new(|| drop(told)))));
    let _ = heard.recv();
}

/// Runs a statement on that server to completion, for a caller that may be inside of a runtime and cannot
/// handle a failure.
pub(super) fn run_blocking(server: &EphemeralServer, sql: String) {
    let (answer, answered) = std::sync::mpsc::channel::<()>();
    send(server, Job::Statement(sql, StatementCallback::Outcome(Box::new(|_| drop(answer)))));
    let _ = answered.recv();
}

/// Runs work on the thread until it is done or the process ends. The work receives the address of the server.
pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(
    server: &EphemeralServer,
    work: impl FnOnce(PgConnectOptions) -> F + Send + 'static,
) {
    send(server, Job::Work(Box::new(move |options| Box::pin(work(options)))));
}

/// Runs a statement on another server, on a connection of its own.
pub(super) async fn administer(server: &PgConnectOptions, sql: &str) -> Result<(), ServerError> {
    let mut connection = open(server).await?;
    let done = rows(&mut connection, sql).await;
    let _ = connection.close().await;
    done.map(drop).map_err(|error| cannot(&error))
}

/// Opens a separate connection.
pub(super) async fn open(server: &PgConnectOptions) -> Result<PgConnection, ServerError> {
    PgConnection::connect_with(server).await.map_err(|error| cannot(&error))
}

pub(super) fn cannot(error: &sqlx::Error) -> ServerError {
    ServerError::refused("prepare a database for tests", error)
}

fn send(server: &EphemeralServer, job: Job) {
    static JOBS: OnceLock<mpsc::UnboundedSender<Job>> = OnceLock::new();
    let jobs = JOBS.get_or_init(|| {
        let (sender, receiver) = mpsc::unbounded_channel();
        let options = server.options("postgres");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(serve(options, receiver)))
        });
        sender
    });
    // If the thread is gone, the caller sees that the other end is closed.
    let _ = jobs.send(job);
}

/// Runs all jobs concurrently: a job that waits for sessions to end does not delay the creation of other
/// databases.
async fn serve(options: PgConnectOptions, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let (free, permits) = (Arc::default(), Arc::new(Semaphore::new(MOST_UNWATCHED)));
    while let Some(job) = jobs.recv().await {
        let (options, free, permits) = (options.clone(), Arc::clone(&free), Arc::clone(&permits));
        tokio::spawn(async move {
            match job {
                Job::Statement(sql, StatementCallback::Outcome(answer)) => {
                    answer(run(&options, &free, &sql, || ()).await)
                }
                Job::Statement(sql, StatementCallback::Told(told)) => {
                    let _permit = permits.acquire().await;
                    drop(run(&options, &free, &sql, told).await);
                }
                Job::Work(work) => work(options).await,
            }
        });
    }
}

/// Runs a statement on a free connection, or on a new one, and reports when the statement has been sent.
async fn run(
    options: &PgConnectOptions,
    free: &Mutex<Vec<PgConnection>>,
    sql: &str,
    told: impl FnOnce(),
) -> RowsResult {
    let all = || free.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = all().pop();
    let (was_kept, mut told) = (kept.is_some(), Some(told));
    let mut connection = match kept {
        Some(connection) => connection,
        None => undisturbed(options).await?,
    };
    let mut outcome = after_first(rows(&mut connection, sql), &mut told).await;
    // The server process of the connection ended while it was unused.
    if was_kept && has_ended(&outcome) {
        connection = undisturbed(options).await?;
        outcome = after_first(rows(&mut connection, sql), &mut told).await;
    }
    // After an error the server may have more to send.
    if outcome.is_ok() && all().len() < MOST_KEPT {
        all().push(connection);
        return outcome;
    }
    let _ = connection.close().await;
    outcome
}

/// Opens a connection whose statement runs to its end even if this process exits first. The server cancels the
/// statements of other connections about a second after their client is gone, and a busy machine takes longer to drop a
/// database.
async fn undisturbed(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    rows(&mut connection, "SET client_connection_check_interval TO 0").await?;
    Ok(connection)
}

/// Calls `then` after the first poll of a future that is not complete by then: it has sent a short message.
async fn after_first<F: Future>(future: F, then: &mut Option<impl FnOnce()>) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let poll = future.as_mut().poll(context);
        if poll.is_pending()
            && let Some(then) = then.take()
        {
            then();
        }
        poll
    })
    .await
}

/// How many statements may run concurrently without a caller that waits for them: each has its own connection.
const MOST_UNWATCHED: usize = 4;

/// How many idle connections are kept: other clients need connections as well.
const MOST_KEPT: usize = 3;

/// Whether a connection is no longer usable: there was no answer, or the server said that it is ending.
fn has_ended(outcome: &RowsResult) -> bool {
    let Err(error) = outcome else { return false };
    error
        .as_database_error()
        .is_none_or(|error| error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08")))
}

/// The first column of the result of a statement.
pub(super) async fn rows(connection: &mut PgConnection, sql: &str) -> RowsResult {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?;
    Ok(rows.iter().filter_map(|row| row.try_get_unchecked::<Option<String>, _>(0).ok().flatten()).collect())
}
