//! The registry of kept data: its table, and the rows in it.

use migrate_base::db::Database;
use migrate_base::error::Result;
use migrate_base::ident::{QualifiedName, ident, literal};

/// The registry of kept data for a ledger, in the same schema.
pub(crate) fn registry(ledger: &QualifiedName) -> QualifiedName {
    QualifiedName::new(ledger.schema(), format!("{}_kept", ledger.name()))
}

/// Whether a table is the registry of a ledger, or one of its copies.
pub fn is_ours(ledger: &QualifiedName, schema: &str, table: &str) -> bool {
    let rest = table.strip_prefix(ledger.name()).and_then(|rest| rest.strip_prefix("_kept"));
    let is_number = |rest: &str| rest.strip_prefix('_').is_some_and(|n| n.parse::<u64>().is_ok());
    schema == ledger.schema() && rest.is_some_and(|rest| rest.is_empty() || is_number(rest))
}

/// What a rollback copied from one table or sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptCopy {
    /// The version of the migration that was rolled back.
    pub version: String,
    /// Its name.
    pub name: String,
    /// When, in UTC, as RFC 3339.
    pub at: String,
    /// The table or sequence, with its name at that time, quoted if necessary.
    pub relation: String,
    /// What it lost: `rows`, `values of a, b`, `rows and values`; or `sequence`.
    pub what: String,
    /// The table with the copy; `None` for a sequence.
    pub store: Option<QualifiedName>,
    /// How many rows the copy has.
    pub rows: u64,
    /// The size of the copy on disk, in bytes.
    pub bytes: u64,
    /// When it was restored, and how many rows of it.
    pub restored: Option<(String, u64)>,
}

impl KeptCopy {
    /// Whether it was restored completely.
    pub fn is_whole(&self) -> bool {
        self.restored.as_ref().is_some_and(|(_, rows)| *rows >= self.rows)
    }
}

/// All kept data, oldest first. Nothing is written.
///
/// # Errors
///
/// [`crate::ErrorKind::Connection`] when the server cannot be reached, or refuses a query.
pub async fn list(database: &Database, ledger: &QualifiedName) -> Result<Vec<KeptCopy>> {
    let registry = registry(ledger);
    let exists = format!("SELECT pg_catalog.to_regclass({}) IS NOT NULL", literal(&registry.to_string()));
    let found = database.ask("look for kept data", &exists).await?;
    if found.first().and_then(|row| row.first()?.as_deref()) != Some("t") {
        return Ok(Vec::new());
    }
    let moment =
        |column: &str| format!("pg_catalog.to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
    let query = format!(
        "SELECT version, name, {}, relation, what, store, rows, \
         coalesce(pg_catalog.pg_total_relation_size(\
         pg_catalog.to_regclass({} || '.' || pg_catalog.quote_ident(store))), 0), \
         {}, restored FROM {registry} ORDER BY id",
        moment("at"),
        literal(&ident(ledger.schema())),
        moment("restored_at"),
    );
    let rows = database.ask("list kept data", &query).await?;
    Ok(rows.into_iter().filter_map(|row| kept(row, ledger)).collect())
}

fn kept(row: Vec<Option<String>>, ledger: &QualifiedName) -> Option<KeptCopy> {
    let mut cells = row.into_iter();
    let mut next = move || cells.next().flatten();
    let (version, name, at, relation, what) = (next()?, next()?, next()?, next()?, next()?);
    let store = next().map(|store| QualifiedName::new(ledger.schema(), store));
    let (rows, bytes) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let restored = next().zip(next().and_then(|count| count.parse().ok()));
    Some(KeptCopy { version, name, at, relation, what, store, rows, bytes, restored })
}
