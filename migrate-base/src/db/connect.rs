//! Connects as libpq does: host after host, each in the ways that `sslmode` allows, until one satisfies
//! `target_session_attrs`.
//!
//! Every connection of this library is made here. With one host and one way to connect, which is the normal case, no
//! additional message is sent.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::ErrorKind as Io;
use std::time::Duration;

use sqlx::postgres::PgSslMode;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row as _};
use tokio::time::timeout;

use super::conninfo::{HostPlace, SessionWanted};
use super::{Database, failure};
use crate::codes;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;

/// How long closing a connection may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// The query for `target_session_attrs`.
const STATE: &str =
    "SELECT pg_catalog.pg_is_in_recovery()::text, pg_catalog.current_setting('default_transaction_read_only')";

/// A connection, and the database reduced to the host and the way that succeeded.
pub(super) struct Connected {
    pub(super) connection: PgConnection,
    pub(super) database: Database,
}

/// Why a host was not used.
pub(crate) struct Refused {
    error: Error,
    /// Whether another host may be tried.
    goes_on: bool,
}

/// Connects with this application name, and with these settings from the start of the session.
pub(super) async fn connect(database: &Database, application: &str, settings: &[(&str, String)]) -> Result<Connected> {
    let places = &database.places;
    let application = match &places.application {
        // The session of the lock has a name that says so.
        Some(own) if !application.starts_with(own) => {
            format!("{own}{}", application.strip_prefix("roundtrip").unwrap_or_default())
        }
        _ => application.to_owned(),
    };
    let passes: &[SessionWanted] = match places.wanted {
        SessionWanted::PreferStandby => &[SessionWanted::Standby, SessionWanted::Any],
        ref one => std::slice::from_ref(one),
    };
    let mut refused: Vec<Error> = Vec::new();
    for wanted in passes {
        for at in order(places.all.len(), places.is_shuffled) {
            let place = &places.all[at];
            match try_place(database, place, (&application, settings), *wanted).await {
                Ok((connection, mode)) => {
                    return Ok(Connected { connection, database: database.narrowed(place, mode) });
                }
                Err(Refused { error, goes_on }) => {
                    refused.push(error);
                    if !goes_on {
                        return Err(put_together(refused));
                    }
                }
            }
        }
    }
    Err(put_together(refused))
}

/// Tries one host in each allowed way.
async fn try_place(
    database: &Database,
    place: &HostPlace,
    (application, settings): (&str, &[(&str, String)]),
    wanted: SessionWanted,
) -> std::result::Result<(PgConnection, PgSslMode), Refused> {
    let patience = database.places.timeout.unwrap_or(database.patience);
    let mut refused = None;
    for (n, mode) in place.modes.iter().enumerate() {
        let mut options = place.options.clone().application_name(application).ssl_mode(*mode);
        if !settings.is_empty() {
            options = options.options(settings.iter().map(|(name, value)| (*name, value)));
        }
        match timeout(patience, PgConnection::connect_with(&options)).await {
            Ok(Ok(connection)) => return Ok((check(place, connection, wanted, patience).await?, *mode)),
            Ok(Err(error)) => {
                let is_followed = place.modes.get(n + 1).is_some_and(|next| leads_on(place, &error, *next));
                let goes_on = leads_to_another_host(&error);
                let error = failure::connecting(place, error);
                refused = Some(Refused { error: follow(refused, error), goes_on });
                if !is_followed {
                    break;
                }
            }
            Err(_) => {
                let error = failure::no_answer(place, patience);
                refused = Some(Refused { error: follow(refused, error), goes_on: true });
                break;
            }
        }
    }
    Err(refused.unwrap_or_else(|| {
        let finding = Finding::new(codes::CONNECTION, format!("there is no way to connect to {}", place.host()));
        Refused { error: Error::new(ErrorKind::Connection, finding), goes_on: true }
    }))
}

/// The error of a second attempt, with that of the first one if it was different.
fn follow(first: Option<Refused>, error: Error) -> Error {
    match first.map(|first| message(&first.error)) {
        Some(first) if first != message(&error) => error.note(format!("before that: {first}")),
        _ => error,
    }
}

/// Closes a connection without waiting for a server that does not answer: nothing is lost if this fails.
pub(super) async fn leave(connection: PgConnection) {
    let _ = timeout(GOODBYE, connection.close()).await;
}

/// Checks whether a session satisfies `wanted`; a server that does not report it within `patience` counts as not
/// answering.
async fn check(
    place: &HostPlace,
    mut connection: PgConnection,
    wanted: SessionWanted,
    patience: Duration,
) -> std::result::Result<PgConnection, Refused> {
    if wanted == SessionWanted::Any {
        return Ok(connection);
    }
    let Ok(answer) = timeout(patience, sqlx::raw_sql(AssertSqlSafe(STATE)).fetch_one(&mut connection)).await else {
        return Err(Refused { error: failure::no_answer(place, patience), goes_on: true });
    };
    let row = answer.map_err(|error| Refused { error: failure::connecting(place, error), goes_on: true })?;
    let says = |at: usize, word: &str| row.try_get_unchecked::<&str, _>(at).is_ok_and(|text| text == word);
    let (is_standby, is_read_only) = (says(0, "true"), says(1, "on"));
    let wrong = match wanted {
        SessionWanted::ReadWrite if is_standby || is_read_only => "is read-only",
        SessionWanted::ReadOnly if !is_standby && !is_read_only => "is not read-only",
        SessionWanted::Primary if is_standby => "is a standby",
        SessionWanted::Standby if !is_standby => "is not a standby",
        _ => return Ok(connection),
    };
    leave(connection).await;
    let finding = Finding::new(
        codes::CONNECTION,
        format!("{} {wrong}, but `target_session_attrs` requires a different server", place.host()),
    )
    .help("add the right host to the list in the URL, or leave out `target_session_attrs`");
    Err(Refused { error: Error::new(ErrorKind::Connection, finding), goes_on: true })
}

/// Whether libpq tries the next way after this failure: without TLS if TLS failed, and vice versa if the server refuses
/// this kind of connection.
fn leads_on(place: &HostPlace, error: &sqlx::Error, next: PgSslMode) -> bool {
    match error {
        // libpq does not try another way if it has no password.
        sqlx::Error::Database(error) if error.code().is_some_and(|code| code == "28P01") && !place.has_password() => {
            false
        }
        // 28000 invalid_authorization_specification, 28P01 invalid_password.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("28")),
        _ if !matches!(next, PgSslMode::Disable) => false,
        sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => true,
        sqlx::Error::Io(error) => is_broken(error.kind()),
        _ => false,
    }
}

/// Whether the handshake failed, or the other side closed the connection during it.
fn is_broken(kind: Io) -> bool {
    matches!(
        kind,
        Io::InvalidData
            | Io::UnexpectedEof
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::BrokenPipe
            | Io::NotFound
    )
}

/// Whether libpq tries the next host after this failure: if nothing answers, or the server is starting.
fn leads_to_another_host(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code == "57P03"),
        sqlx::Error::Io(error) => !matches!(error.kind(), Io::InvalidData | Io::UnexpectedEof),
        _ => false,
    }
}

/// The last error, with those of the previous hosts.
fn put_together(mut refused: Vec<Error>) -> Error {
    let Some(last) = refused.pop() else {
        return Error::new(ErrorKind::Configuration, Finding::new(codes::DATABASE_URL, "the database has no host"));
    };
    refused.iter().fold(last, |last, before| last.note(format!("before that: {}", message(before))))
}

fn message(error: &Error) -> String {
    error.findings().first().map(|finding| finding.message.clone()).unwrap_or_default()
}

/// The numbers below `count`, in order or shuffled.
fn order(count: usize, is_shuffled: bool) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    if is_shuffled {
        // Each of these has its own random keys, which is random enough to spread connections.
        all.sort_by_cached_key(|_| RandomState::new().build_hasher().finish());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffled_list_is_complete_and_not_always_the_same() {
        let firsts: std::collections::BTreeSet<usize> = (0..200)
            .map(|_| {
                let mut all = order(3, true);
                let first = all[0];
                all.sort_unstable();
                assert_eq!(all, [0, 1, 2]);
                first
            })
            .collect();
        assert_eq!((firsts.len(), order(3, false)), (3, vec![0, 1, 2]));
    }
}
