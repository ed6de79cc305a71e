//! The session that holds a blocking lock.

use super::{Session, TextRow};
use crate::ident::{QualifiedName, literal};
use crate::template::fill;

/// A session that holds a lock that we wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHolder {
    /// The server process.
    pub pid: i32,
    /// Its application name, if visible to us.
    pub application: Option<String>,
    /// The role that logged in, if visible to us.
    pub role: Option<String>,
    /// Its client address; `None` if it is a local socket or not visible.
    pub client: Option<String>,
    /// When it connected, in UTC.
    pub since: Option<String>,
    /// Its current or last query, if visible to us.
    pub query: Option<String>,
}

/// Writes `pid 4711 (deploy, role ann, from 10.0.0.7, since 12:01:02)`.
impl std::fmt::Display for LockHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pid {}", self.pid)?;
        let mut facts = Vec::new();
        facts.extend(self.application.clone().filter(|name| !name.is_empty()));
        facts.extend(self.role.as_ref().map(|role| format!("role {role}")));
        facts.extend(self.client.as_ref().map(|client| format!("from {client}")));
        facts.extend(self.since.as_ref().map(|since| format!("since {since} UTC")));
        if facts.is_empty() { Ok(()) } else { write!(f, " ({})", facts.join(", ")) }
    }
}

/// The columns that describe a session of `pg_stat_activity`, in the order of [`LockHolder::read`].
pub(super) const WHO: &str = "a.pid, a.application_name, a.usename, host(a.client_addr), \
                              to_char(a.backend_start AT TIME ZONE 'UTC', 'HH24:MI:SS'), left(a.query, 200)";

impl LockHolder {
    /// Reads the columns of [`WHO`].
    pub(super) fn read(row: TextRow) -> Option<Self> {
        let mut row = row.into_iter();
        let pid = row.next()??.parse().ok()?;
        let mut next = || row.next().flatten();
        Some(Self {
            pid,
            application: next(),
            role: next(),
            client: next(),
            since: next(),
            query: next().filter(|query| !query.is_empty() && !query.starts_with("<insufficient")),
        })
    }

    /// The advice to remove the blocking session.
    pub(crate) fn ending(&self) -> String {
        format!("wait until it has finished, or end it: SELECT pg_terminate_backend({});", self.pid)
    }
}

/// Ends a transaction in which a read waited for a lock until its timeout, and finds who held the lock, while the
/// holder still exists. Only an exclusive lock blocks a reader; inserting a row is also blocked by locks that exclude
/// writers.
pub(super) async fn in_the_way(session: &mut Session, table: Option<&QualifiedName>) -> Vec<LockHolder> {
    let only = table.map_or(String::new(), |table| {
        format!("AND n.nspname = {} AND c.relname = {}", literal(table.schema()), literal(table.name()))
    });
    let query = fill(include_str!("in_the_way.sql"), &[("who", WHO.to_owned()), ("only", only)]);
    let query = format!("ROLLBACK; {query}");
    let rows = session.rows(&query).await.unwrap_or_default();
    rows.into_iter().filter_map(LockHolder::read).collect()
}
