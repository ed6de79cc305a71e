//! Failures of a server or of the connection to it, in terms of this library.
//!
//! The driver's own text about a server error is never shown.

use std::io::ErrorKind as Io;
use std::time::Duration;

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use super::conninfo::HostPlace;
use super::{LockHolder, pooler};
use crate::codes::{self, Code};
use crate::error::{Error, ErrorKind};
use crate::finding::Finding;
use crate::ident::QualifiedName;

/// Why a message to the server failed.
#[derive(Debug)]
pub enum SessionFailure {
    /// The server refused something and said why.
    Server(Box<ServerRefusal>),
    /// The connection is gone.
    Lost(String),
    /// The connection is given up because it is silent and the server no longer works for it.
    Silent(String),
}

/// An `ErrorResponse` of the server.
///
/// See <https://www.postgresql.org/docs/current/protocol-error-fields.html>.
#[derive(Debug, Default)]
pub struct ServerRefusal {
    /// The code of the error class: `42P01`.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// The detail message, if any.
    pub detail: Option<String>,
    /// The hint, if any.
    pub hint: Option<String>,
    /// What the server was doing, innermost first: "PL/pgSQL function f() line 3 at RAISE".
    pub context: Option<String>,
    /// Characters from 1, over the text that was sent.
    pub position: Option<usize>,
    /// The same for a query that the server ran internally, such as one in a function.
    pub inner: Option<InnerPosition>,
    /// The schema, the table and the constraint that it is about.
    pub about: [Option<String>; 3],
    /// The sessions that held the lock that was waited for, if queried.
    pub holders: Vec<LockHolder>,
}

/// A place in a query that a function sent.
#[derive(Debug)]
pub struct InnerPosition {
    /// Characters from 1.
    pub at: usize,
    /// The text of that query.
    pub query: String,
}

impl From<sqlx::Error> for SessionFailure {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => match error.try_downcast::<PgDatabaseError>() {
                Ok(error) => Self::Server(Box::new(ServerRefusal::from(&*error))),
                Err(error) => Self::Lost(error.message().to_owned()),
            },
            sqlx::Error::Io(error) => Self::Lost(error.to_string()),
            sqlx::Error::Protocol(why) => Self::Lost(why),
            sqlx::Error::Tls(why) => Self::Lost(format!("TLS: {why}")),
            other => Self::Lost(other.to_string()),
        }
    }
}

impl ServerRefusal {
    /// The server's hint, unless it suggests to drop everything that depends on an object.
    pub fn advice(&self) -> Option<String> {
        self.hint.clone().filter(|hint| !hint.contains("CASCADE"))
    }
}

impl From<&PgDatabaseError> for ServerRefusal {
    fn from(error: &PgDatabaseError) -> Self {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let (position, inner) = match error.position() {
            Some(PgErrorPosition::Original(at)) => (Some(at), None),
            Some(PgErrorPosition::Internal { position: at, query }) => {
                (None, Some(InnerPosition { at, query: query.to_owned() }))
            }
            None => (None, None),
        };
        Self {
            sqlstate: error.code().to_owned(),
            message: error.message().to_owned(),
            detail: own(error.detail()),
            hint: own(error.hint()),
            context: own(error.r#where()),
            position,
            inner,
            about: [own(error.schema()), own(error.table()), own(error.constraint())],
            holders: Vec::new(),
        }
    }
}

impl SessionFailure {
    /// The message of the server or of the connection.
    pub fn why(&self) -> &str {
        match self {
            Self::Server(refusal) => &refusal.message,
            Self::Lost(why) | Self::Silent(why) => why,
        }
    }

    /// The SQLSTATE, if the server answered.
    pub(crate) fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Server(refusal) => Some(&refusal.sqlstate),
            Self::Lost(_) | Self::Silent(_) => None,
        }
    }

    /// Whether the server answered with this SQLSTATE.
    pub fn is(&self, sqlstate: &str) -> bool {
        self.sqlstate() == Some(sqlstate)
    }

    /// Whether retrying in a new transaction may help: a lock timeout or a deadlock.
    pub fn is_lock_conflict(&self) -> bool {
        self.is("55P03") || self.is("40P01")
    }

    /// Whether another session wrote the ledger row that we were about to write.
    ///
    /// Our message can also violate a key of another table, at its `COMMIT` at the latest.
    pub fn is_taken(&self, ledger: &QualifiedName) -> bool {
        let Self::Server(refusal) = self else { return false };
        let [schema, table, constraint] = &refusal.about;
        let is_ledger = schema.as_deref() == Some(ledger.schema()) && table.as_deref() == Some(ledger.name());
        // The ledger has one key and no other constraint; an error that code merely raises names no constraint.
        refusal.sqlstate == "23505" && is_ledger && constraint.is_some()
    }

    /// Whether a pooler in statement mode refused a transaction; only a pooler sends this error.
    pub fn is_statement_pooling(&self) -> bool {
        self.is("08P01") && self.why().contains("statement pooling")
    }

    /// Whether a lock timeout expired.
    pub fn is_lock_timeout(&self) -> bool {
        self.is("55P03")
    }

    /// Adds the sessions that held the lock.
    pub fn with_holders(mut self, holders: Vec<LockHolder>) -> Self {
        if let Self::Server(refusal) = &mut self {
            refusal.holders = holders;
        }
        self
    }

    /// Whether the session is gone: the connection broke, or the server ended it.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Silent(_) => true,
            // 57P01 admin_shutdown, 57P02 crash_shutdown, 57P03 cannot_connect_now, 57P05 idle_session_timeout,
            // 25P03 idle_in_transaction_session_timeout, 25P04 transaction_timeout (PostgreSQL 17).
            Self::Server(refusal) => {
                matches!(&*refusal.sqlstate, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04")
            }
        }
    }

    /// Creates an error of this kind that says what was being done: `doing` completes the sentence "cannot …".
    pub fn explain(self, kind: ErrorKind, code: Code, doing: &str) -> Error {
        if self.is_statement_pooling() {
            return pooler::of_mode("statement");
        }
        let lost = self.is_lost();
        match self {
            Self::Server(refusal) if !lost => {
                let mut finding = Finding::new(code, format!("cannot {doing}: {}", refusal.message));
                finding.notes.extend(refusal.detail.clone());
                finding.notes.push(format!("SQLSTATE {}", refusal.sqlstate));
                for holder in &refusal.holders {
                    let query = holder.query.as_ref().map(|query| format!(": {query}")).unwrap_or_default();
                    finding.notes.push(format!("blocked by {holder}{query}"));
                }
                finding.help.extend(refusal.holders.first().map(LockHolder::ending));
                finding.help.extend(refusal.advice());
                finding.help.extend(help(&refusal.sqlstate).map(str::to_owned));
                Error::new(kind, finding).with_sqlstate(refusal.sqlstate)
            }
            Self::Silent(why) => Error::new(
                ErrorKind::Connection,
                Finding::new(codes::CONNECTION_DEAD, format!("cannot {doing}: the connection to the server is dead"))
                    .note(why)
                    .note(
                        "it is unknown whether the server executed the last message; the ledger has what was committed",
                    )
                    .help(
                        "when the server is reachable again, check the state of the chain with `cargo xtask status`, \
                         then run the command again",
                    ),
            ),
            lost => Error::new(
                ErrorKind::Connection,
                Finding::new(codes::CONNECTION_LOST, format!("cannot {doing}: the connection to the server is gone"))
                    .note(lost.why().to_owned())
                    .help("everything committed before is safe; run the command again when the server is back"),
            ),
        }
    }
}

/// Advice for any statement that a server refuses.
fn help(sqlstate: &str) -> Option<&'static str> {
    match sqlstate {
        "25006" => Some("this server is a standby, or its transactions are read-only: use the address of the primary"),
        "42501" => Some("the role that logged in lacks a privilege: let the owner GRANT it, or log in as the owner"),
        _ => None,
    }
}

/// Explains why a connection could not be made, and what to do about it.
pub(super) fn connecting(place: &HostPlace, error: sqlx::Error) -> Error {
    let (host, user) = (place.host(), place.options.get_username());
    let name = place.options.get_database().unwrap_or(user);
    let finding = match error {
        // A certificate that is refused in the handshake appears as invalid data.
        sqlx::Error::Io(error) if error.kind() == Io::InvalidData => no_tls(&host, &error.to_string()),
        sqlx::Error::Io(error) => {
            return Error::new(ErrorKind::Connection, unreachable(&host, &error)).caused_by(error);
        }
        // A proxy in front of a server that is still starting closes the connection at once.
        sqlx::Error::Protocol(why) if why.contains("response from SSLRequest: 0x00") => {
            let error = std::io::Error::new(Io::UnexpectedEof, "the server closed the connection before it answered");
            return Error::new(ErrorKind::Connection, unreachable(&host, &error)).caused_by(error);
        }
        sqlx::Error::Tls(why) => no_tls(&host, &why.to_string()),
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default().into_owned();
            let mut finding = refused(&code, error.message(), user, name, &host).note(format!("SQLSTATE {code}"));
            if code == "28P01" && !place.has_password() {
                finding.message = format!("{host} requires a password for role {user}, and none was given");
            }
            if let Some(file) = place.open_passfile.as_ref().filter(|_| code == "28P01") {
                let file = file.display();
                finding =
                    finding.note(format!("the password file {file} is not used, because other users may read it"));
                finding = finding.help(format!("chmod 600 {file}"));
            }
            return Error::new(ErrorKind::Connection, finding).with_sqlstate(code);
        }
        sqlx::Error::Configuration(why) => {
            Finding::new(codes::CONNECTION, format!("cannot connect to {host}: {why}")).help("check the database URL")
        }
        other => Finding::new(codes::CONNECTION, format!("cannot connect to {host}"))
            .note(other.to_string())
            .help("is a PostgreSQL server listening there, and not something else?"),
    };
    Error::new(ErrorKind::Connection, finding)
}

fn no_tls(host: &str, why: &str) -> Finding {
    Finding::new(codes::TLS, format!("cannot make a TLS connection to {host}: {why}"))
        .help("check sslmode and sslrootcert in the URL (or PGSSLMODE, PGSSLROOTCERT)")
        .help(
            "verify-full needs the host name in the server's certificate, as a subject alternative name, and the root \
             certificate that signed it",
        )
}

fn unreachable(host: &str, error: &std::io::Error) -> Finding {
    let finding = match error.kind() {
        Io::ConnectionRefused => Finding::new(codes::CONNECTION_REFUSED, format!("nothing is listening at {host}")),
        Io::NotFound if host.starts_with('/') => {
            Finding::new(codes::CONNECTION_REFUSED, format!("there is no server socket in {host}"))
        }
        Io::PermissionDenied => {
            Finding::new(codes::CONNECTION_REFUSED, format!("no permission to use {host}: {error}"))
        }
        _ => Finding::new(codes::CONNECTION, format!("{host} cannot be reached: {error}")),
    };
    finding.help("is the server running, and are the host and port correct?")
}

pub(crate) fn refused(code: &str, message: &str, user: &str, name: &str, host: &str) -> Finding {
    match code {
        "28P01" => Finding::new(codes::PASSWORD, format!("{host} does not accept the password of role {user}"))
            .help("give it in PGPASSWORD, in the password file (~/.pgpass), or in the variable that `env:` names"),
        "28000" => Finding::new(codes::NOT_LET_IN, format!("{host} does not let role {user} log in: {message}"))
            .help("does the role exist, may it log in, and does pg_hba.conf have a line for it?"),
        "3D000" => Finding::new(codes::NO_DATABASE, format!("there is no database {name} at {host}"))
            .help(format!("create it first, for example with `createdb {name}`, or correct the name")),
        "42501" => {
            Finding::new(codes::NO_CONNECT, format!("role {user} may not connect to database {name}")).help(format!(
                "grant it: GRANT CONNECT ON DATABASE {} TO {};",
                crate::ident::ident(name),
                crate::ident::ident(user)
            ))
        }
        "53300" => Finding::new(codes::TOO_MANY_CONNECTIONS, format!("{host} has no free connection: {message}"))
            .help("a run needs two connections; close some, or raise max_connections"),
        "57P03" => Finding::new(codes::STARTING, format!("{host} does not accept connections yet: {message}"))
            .help("wait until it has started"),
        _ => Finding::new(codes::CONNECTION, format!("{host} refuses the connection: {message}"))
            .help("check the database URL"),
    }
}

/// The error when there was no answer in time.
pub(super) fn no_answer(place: &HostPlace, patience: Duration) -> Error {
    let seconds = patience.as_secs();
    Error::new(
        ErrorKind::Connection,
        Finding::new(codes::CONNECTION_TIMEOUT, format!("{} did not answer within {seconds} s", place.host()))
            .help("is the host correct, and does a firewall block the connection?"),
    )
}
