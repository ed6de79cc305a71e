//! The connections on which databases are made and dropped. A thread has them for as long as the process lives: whoever
//! needs a database has a runtime of his own, and a connection belongs to the one that opened it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::sync::{mpsc, oneshot};

use super::{EphemeralServer, server};
use crate::error::ServerError;

type Outcome = Result<Vec<String>, sqlx::Error>;

/// A statement, and who waits for its outcome.
struct Job {
    sql: String,
    answer: Box<dyn FnOnce(Outcome) + Send>,
}

/// The first column of what a statement returns on the server that this process uses.
pub(super) async fn ask(sql: &str) -> Result<Vec<String>, ServerError> {
    let (answer, answered) = oneshot::channel();
    send(server().await?, sql.to_owned(), Box::new(move |outcome| drop(answer.send(outcome))));
    answered.await.unwrap_or(Err(sqlx::Error::WorkerCrashed)).map_err(|error| cannot(&error))
}

/// Runs a statement on that server, for somebody who may be inside of a runtime and cannot wait as others do.
pub(super) fn run_blocking(server: &EphemeralServer, sql: String) {
    let (answer, answered) = std::sync::mpsc::sync_channel(1);
    send(server, sql, Box::new(move |outcome| drop(answer.send(outcome))));
    // What fails here is made up for by the next run, which sweeps.
    let _ = answered.recv();
}

/// Runs a statement on another server, on a connection of its own.
pub(super) async fn administer(server: &PgConnectOptions, sql: &str) -> Result<(), ServerError> {
    let mut connection = open(server).await?;
    let done = rows(&mut connection, sql).await;
    let _ = connection.close().await;
    done.map(drop).map_err(|error| cannot(&error))
}

/// A connection of one's own.
pub(super) async fn open(server: &PgConnectOptions) -> Result<PgConnection, ServerError> {
    PgConnection::connect_with(server).await.map_err(|error| cannot(&error))
}

pub(super) fn cannot(error: &sqlx::Error) -> ServerError {
    ServerError::refused("prepare a database for tests", error)
}

fn send(server: &EphemeralServer, sql: String, answer: Box<dyn FnOnce(Outcome) + Send>) {
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
    if let Err(mpsc::error::SendError(job)) = jobs.send(Job { sql, answer }) {
        (job.answer)(Err(sqlx::Error::WorkerCrashed));
    }
}

/// Does all jobs side by side: one that waits for sessions to end keeps nobody from making a database.
async fn serve(options: PgConnectOptions, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let free = Arc::default();
    while let Some(Job { sql, answer }) = jobs.recv().await {
        let (options, free) = (options.clone(), Arc::clone(&free));
        tokio::spawn(async move { answer(work(&options, &free, &sql).await) });
    }
}

async fn work(options: &PgConnectOptions, free: &Mutex<Vec<PgConnection>>, sql: &str) -> Outcome {
    let all = || free.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = all().pop();
    let was_kept = kept.is_some();
    let mut connection = match kept {
        Some(connection) => connection,
        None => PgConnection::connect_with(options).await?,
    };
    let mut outcome = rows(&mut connection, sql).await;
    // Its server process ended while nobody used it.
    if was_kept && has_ended(&outcome) {
        connection = PgConnection::connect_with(options).await?;
        outcome = rows(&mut connection, sql).await;
    }
    if !has_ended(&outcome) && all().len() < MOST_KEPT {
        all().push(connection);
        return outcome;
    }
    let _ = connection.close().await;
    outcome
}

/// How many connections wait for more to do: others want to connect as well.
const MOST_KEPT: usize = 3;

/// Whether a connection is of no use any more: nobody answered, or the server said that it ends.
fn has_ended(outcome: &Outcome) -> bool {
    let Err(error) = outcome else { return false };
    error
        .as_database_error()
        .is_none_or(|error| error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08")))
}

/// The first column of what a statement returns.
pub(super) async fn rows(connection: &mut PgConnection, sql: &str) -> Outcome {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?;
    Ok(rows.iter().filter_map(|row| row.try_get_unchecked::<Option<String>, _>(0).ok().flatten()).collect())
}
