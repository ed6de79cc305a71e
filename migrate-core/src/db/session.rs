//! One connection of its own, and messages over it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use sqlx::{AssertSqlSafe, Column, Connection, Either, PgConnection, Row as _};

use super::{Database, Failure, connect};
use crate::error::Result;

/// The name of the column that tells a ledger row apart from rows that a migration selects.
pub(crate) const MARKER: &str = "roundtrip_ledger_id";

/// A connection that belongs to one run and is closed, not returned, when the run ends.
#[derive(Debug)]
pub(crate) struct Session {
    connection: PgConnection,
}

/// A row as text; `None` is NULL.
pub(crate) type Row = Vec<Option<String>>;

/// What one statement of a message answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The names of the columns; none where there was no row.
    pub(crate) columns: Vec<Arc<str>>,
    pub(crate) rows: Vec<Row>,
}

/// A part of what a message answers.
pub(crate) enum Part<'a> {
    /// A row of the present statement, with the names of its columns.
    Row(&'a Vec<Arc<str>>, Row),
    /// The statement is done.
    End,
}

/// What the server answers while it works through a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// One more statement of the message is done.
    Statement,
    /// A ledger row was written, but not yet committed.
    Marker(Marker),
}

/// What the server tells about a ledger row that it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    /// The number of the row.
    pub(crate) id: i64,
    /// When the message with it arrived at the server, as the time of day.
    pub(crate) sent_at: Duration,
    /// When it was written, as the time of day.
    pub(crate) at: Duration,
}

impl Marker {
    /// How long the work before this row took, which began at `before` or with its message.
    pub(crate) fn elapsed(self, before: Option<Duration>) -> Duration {
        let since = |begin: Duration| (self.at + DAY).saturating_sub(begin).as_micros() % DAY.as_micros();
        let shortest = before.map_or(since(self.sent_at), |before| since(before).min(since(self.sent_at)));
        Duration::from_micros(u64::try_from(shortest).unwrap_or(0))
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Session {
    /// Connects, waiting for each host as long as the database's patience lasts.
    pub(crate) async fn connect(database: &Database, application: &str) -> Result<Self> {
        let connected = connect::connect(database, application).await?;
        Ok(Self { connection: connected.connection })
    }

    /// Sends one message and returns all rows that come back.
    pub(crate) async fn rows(&mut self, message: &str) -> std::result::Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        let mut answers = sqlx::raw_sql(AssertSqlSafe(message)).fetch_many(&mut self.connection);
        while let Some(answer) = answers.next().await {
            if let Either::Right(row) = answer? {
                let text = |at| row.try_get_unchecked::<Option<String>, _>(at);
                rows.push((0..row.len()).map(text).collect::<std::result::Result<_, _>>()?);
            }
        }
        Ok(rows)
    }

    /// Sends one message and returns what each of its statements answered, with the names of the columns.
    pub(crate) async fn results(&mut self, message: &str) -> std::result::Result<Vec<Answer>, Failure> {
        let (answers, failure) = self.attempt(message).await;
        failure.map_or(Ok(answers), Err)
    }

    /// The same, with the answers up to a failure.
    pub(crate) async fn attempt(&mut self, message: &str) -> (Vec<Answer>, Option<Failure>) {
        attempt(&mut self.connection, message).await
    }

    /// Sends one message and gives on what its statements answer, while the server goes on working.
    pub(crate) async fn each(&mut self, message: &str, take: impl FnMut(Part<'_>)) -> std::result::Result<(), Failure> {
        each(&mut self.connection, message, take).await
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
        let answers = sqlx::raw_sql(AssertSqlSafe(message)).fetch_many(&mut self.connection);
        let replies = answers.filter_map(|answer| {
            std::future::ready(match answer {
                Ok(Either::Left(_)) => Some(Ok(Reply::Statement)),
                Ok(Either::Right(row)) => marker(&row).map(|marker| Ok(Reply::Marker(marker))),
                Err(error) => Some(Err(Failure::from(error))),
            })
        });
        Box::pin(replies)
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
        let mut transaction = self.connection.begin().await?;
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
        let _ = self.connection.clear_cached_statements().await;
        let _ = self.send(after).await;
    }

    /// Says goodbye. A connection that is already gone needs none.
    pub(crate) async fn close(self) {
        // Nothing is lost when this fails: the server notices that the socket is closed.
        let _ = self.connection.close().await;
    }
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
            answer.rows.push(row);
        }
        Part::End => all.push(std::mem::take(&mut answer)),
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
            Either::Left(_) => {
                columns.clear();
                take(Part::End);
            }
            Either::Right(row) => {
                if columns.is_empty() {
                    columns.extend(row.columns().iter().map(|column| Arc::from(column.name())));
                }
                let text = |at| row.try_get_unchecked::<Option<String>, _>(at);
                take(Part::Row(&columns, (0..row.len()).map(text).collect::<std::result::Result<_, _>>()?));
            }
        }
    }
    Ok(())
}

/// What this row tells about the ledger, if it is not a row that a migration selects.
fn marker(row: &sqlx::postgres::PgRow) -> Option<Marker> {
    if row.len() != 3 || row.column(0).name() != MARKER {
        return None;
    }
    let text = |at| row.try_get_unchecked::<&str, _>(at).ok();
    Some(Marker { id: text(0)?.parse().ok()?, sent_at: time_of_day(text(1)?)?, at: time_of_day(text(2)?)? })
}

/// The time of day in `2026-11-24 02:16:16.123456+00`.
fn time_of_day(timestamp: &str) -> Option<Duration> {
    let (_, time) = timestamp.split_once(' ')?;
    let mut parts = time.trim_end_matches("+00").split(':');
    let hours: u64 = parts.next()?.parse().ok()?;
    let minutes: u64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some(Duration::from_secs(hours * 3600 + minutes * 60) + Duration::try_from_secs_f64(seconds).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_time_counts_from_the_row_before_also_over_midnight() {
        let at = |text| time_of_day(text).unwrap();
        let marker = Marker { id: 1, sent_at: at("2026-11-24 23:59:58+00"), at: at("2026-11-25 00:00:01.5+00") };
        assert_eq!(marker.elapsed(None), Duration::from_millis(3500));
        assert_eq!(marker.elapsed(Some(at("2026-11-25 00:00:01+00"))), Duration::from_millis(500));
    }
}
