//! Lists the recorded commands, with those that our own runs executed.

use migrate_base::db::ReadOnlySession;
use migrate_base::error::Result;
use migrate_base::ident::{QualifiedName, literal};
use migrate_base::template::fill;

use super::table;

/// A DDL command, and one object of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DdlRecord {
    /// When it finished, in UTC, as RFC 3339.
    pub at: String,
    /// The transaction.
    pub transaction: u64,
    /// The role that logged in.
    pub session_role: String,
    /// The role set by `SET ROLE`, if any.
    pub set_role: Option<String>,
    /// The application name of the session.
    pub application: Option<String>,
    /// The address of the client; `None` for a local socket.
    pub client: Option<String>,
    /// `ddl_command_end`, `sql_drop`; `install` and `uninstall` for the audit itself.
    pub event: String,
    /// The command tag: `ALTER TABLE`.
    pub command: String,
    /// The kind of object.
    pub object_type: Option<String>,
    /// The object with its schema, quoted if necessary; `None` for `GRANT`.
    pub object: Option<String>,
    /// The message of the client; `None` if it may contain a password.
    pub statement: Option<String>,
    /// The migration that executed it: `20250224091500_add_tracking_number`.
    pub migration: Option<String>,
}

impl DdlRecord {
    /// Who executed it, and with which program: `role ann as owner, psql, from 10.0.0.7`.
    pub fn by(&self) -> String {
        let set_role = self.set_role.as_deref().map(|role| format!(" as {role}")).unwrap_or_default();
        let application = self.application.as_deref().filter(|name| !name.is_empty());
        let application = application.map(|name| format!(", {name}")).unwrap_or_default();
        let client =
            self.client.as_deref().map_or_else(|| "on the server itself".to_owned(), |at| format!("from {at}"));
        format!("role {}{set_role}{application}, {client}", self.session_role)
    }
}

/// Selects records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DdlFilter {
    /// Only those about an object with this name, with or without its schema, or about a part of it.
    pub object: Option<String>,
    /// Only those since this time, as RFC 3339.
    pub since: Option<String>,
    /// Only this many, the last ones.
    pub count: Option<usize>,
}

impl DdlFilter {
    /// The newest records, as many as are searched to find out who did something.
    pub fn recent() -> Self {
        Self { count: Some(20_000), ..Self::default() }
    }
}

/// The records, oldest first. The table must exist and be readable, and there must be a ledger.
///
/// # Errors
///
/// [`crate::ErrorKind::Connection`] when the server cannot be reached, or refuses the query.
pub async fn list(reader: &mut ReadOnlySession, ledger: &QualifiedName, filter: &DdlFilter) -> Result<Vec<DdlRecord>> {
    let rows = reader.ask("read the audit", &query(ledger, filter)).await?;
    Ok(rows.into_iter().filter_map(record).collect())
}

fn query(ledger: &QualifiedName, filter: &DdlFilter) -> String {
    let mut conditions = vec!["true".to_owned()];
    if let Some(object) = &filter.object {
        let name = literal(object);
        conditions.push(format!(
            "(d.object = {name} OR pg_catalog.right(d.object, pg_catalog.length({name}) + 1) = '.' || {name} \
             OR pg_catalog.strpos(d.object, {name} || '.') > 0 OR pg_catalog.strpos(d.object, 'on ' || {name}) > 0)"
        ));
    }
    conditions.extend(filter.since.as_ref().map(|since| format!("d.at >= {}::timestamptz", literal(since))));
    let limit = filter.count.map_or(String::new(), |count| format!("LIMIT {count}"));
    let names = [
        ("ledger", ledger.to_string()),
        ("table", table(ledger).to_string()),
        ("conditions", conditions.join(" AND ")),
        ("limit", limit),
    ];
    fill(include_str!("list.sql"), &names)
}

fn record(row: Vec<Option<String>>) -> Option<DdlRecord> {
    let mut cells = row.into_iter();
    let mut next = move || cells.next().flatten();
    let (at, transaction, session_role) = (next()?, next()?.parse().ok()?, next()?);
    let (set_role, application, client) = (next(), next(), next());
    let (event, command) = (next()?, next()?);
    let (object_type, object, statement, migration) = (next(), next(), next(), next());
    Some(DdlRecord {
        at,
        transaction,
        session_role,
        set_role,
        application,
        client,
        event,
        command,
        object_type,
        object,
        statement,
        migration,
    })
}
