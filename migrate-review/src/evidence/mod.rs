//! What a database contains before and after a run: the schema, the rows, the sizes, and the other sessions.
//!
//! Everything is read in read-only transactions, and what a role may not count is estimated. The caller decides what
//! follows from it, and where it is kept.

mod loss;

use std::time::Duration;

use migrate_base::db::{ReadOnlySession, TextRow};
use migrate_base::error::Result;
use migrate_base::ident::{QualifiedName, literal};
use migrate_base::template::fill;
use migrate_core::{kept, ours};
use migrate_schema::{self as schema, Schema};

pub use loss::{ColumnLossCount, LossRequest, TableLossCount, losses};

/// A number of rows: counted, or taken from the statistics of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowCount {
    /// Counted.
    Exact(u64),
    /// Estimated, because the table is large or may not be read.
    Estimated(u64),
}

/// A table with its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationSize {
    /// The table.
    pub table: QualifiedName,
    /// How many rows it has.
    pub rows: RowCount,
    /// The bytes that it takes on disk, including its indexes.
    pub bytes: u64,
}

/// The contents of a database at one moment.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The time in UTC by the clock of the server, as RFC 3339.
    pub at: String,
    /// The schema, without the ledger.
    pub schema: Schema,
    /// The tables and materialized views with rows of their own, by name.
    pub tables: Vec<RelationSize>,
    /// The bytes that the database takes on disk.
    pub bytes: u64,
}

/// What a run would meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerSituation {
    /// The version of the server.
    pub version: String,
    /// Whether the server is a replica, or accepts no writes.
    pub read_only: bool,
    /// The other sessions: application, role, number of sessions.
    pub sessions: Vec<(String, String, u64)>,
    /// Transactions that have been open for a long time, oldest first.
    pub long: Vec<LongTransaction>,
    /// The servers and subscribers that are connected and replay the writes of this server.
    pub replicas: Replicas,
    /// Replication slots that nobody reads, with the bytes of WAL that the server keeps for each.
    pub idle_slots: Vec<(String, u64)>,
    /// Indexes that are not valid.
    pub invalid_indexes: Vec<String>,
    /// The bytes that the database takes on disk. A server does not report how much is free.
    pub bytes: u64,
    /// Whether the role may write to the ledger, if there is one.
    pub may_record: bool,
    /// The schema in which unqualified names are created, if the role may not create anything there.
    pub closed_schema: Option<String>,
}

/// The replicas of a server, and how far the slowest of them is behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replicas {
    /// How many are connected.
    pub count: u64,
    /// How many bytes of WAL the slowest one still has to replay; `None` if there is no replica, or the role may not
    /// see it.
    pub bytes: Option<u64>,
    /// How many seconds at least it is behind, by the last measurement; `None` if there is no reliable value.
    pub seconds: Option<u64>,
}

/// A transaction that is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongTransaction {
    /// The process id on the server.
    pub pid: u32,
    /// The role.
    pub role: String,
    /// Its application name.
    pub application: String,
    /// How many seconds it has been open.
    pub seconds: u64,
    /// Its state: `active`, `idle in transaction`.
    pub state: String,
    /// The first word of its query.
    pub word: String,
}

const TABLES: &str = include_str!("tables.sql");
const SESSIONS: &str = include_str!("sessions.sql");
const LONG: &str = include_str!("long.sql");
const SERVER: &str = include_str!("server.sql");
const REPLICAS: &str = include_str!("replicas.sql");
const SLOTS: &str = include_str!("slots.sql");
/// The end of the WAL that a server has, including a server that only receives it.
const END: &str = "CASE WHEN pg_catalog.pg_is_in_recovery() \
                   THEN coalesce(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()) \
                   ELSE pg_catalog.pg_current_wal_lsn() END";

/// How many tables are counted in one message.
const TOGETHER: usize = 200;
/// The assumed minimum size of a row, in bytes: without statistics, the file size divided by this is the number of
/// rows.
const ROW_BYTES: u64 = 64;

impl RowCount {
    /// The number, counted or estimated.
    pub fn number(self) -> u64 {
        let (Self::Exact(n) | Self::Estimated(n)) = self;
        n
    }

    /// Whether it was counted.
    pub fn is_exact(self) -> bool {
        matches!(self, Self::Exact(_))
    }
}

/// `8`, or `about 12,000,000`.
impl std::fmt::Display for RowCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.number().to_string();
        let groups: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
        let about = if self.is_exact() { "" } else { "about " };
        write!(f, "{about}{}", groups.join(","))
    }
}

/// Reads what a database contains. Tables with at most `exact` rows are counted.
///
/// # Errors
///
/// [`migrate_base::error::ErrorKind::Connection`] when the connection is lost, or the server refuses a query.
pub async fn take(reader: &mut ReadOnlySession, ledger: &QualifiedName, exact: u64) -> Result<Evidence> {
    let schema = ours::without(schema::read_with(reader).await?, ledger);
    take_of(reader, ledger, exact, schema).await
}

/// The same with a schema that has already been read: without the ledger.
///
/// # Errors
///
/// Those of [`take`].
pub async fn take_of(
    reader: &mut ReadOnlySession,
    ledger: &QualifiedName,
    exact: u64,
    schema: Schema,
) -> Result<Evidence> {
    let looks = [("read the state of the server", server(ledger)), ("read the tables", TABLES.to_owned())];
    let mut answers = reader.ask_each(&looks).await?.into_iter();
    let (server, rows) = (answers.next().unwrap_or_default(), answers.next().unwrap_or_default());
    let known: Vec<TableStatistics> =
        rows.iter().filter_map(known).filter(|known| !is_ours(ledger, &known.table)).collect();
    let countable = known.iter().enumerate().filter(|(_, known)| known.is_readable && known.likely() <= exact);
    let countable: Vec<(usize, &TableStatistics)> = countable.collect();
    let mut tables: Vec<RelationSize> = known.iter().map(TableStatistics::estimated).collect();
    for part in countable.chunks(TOGETHER) {
        let queries = part.iter().map(|(at, known)| format!("SELECT {at}, count(*) FROM ONLY {}", known.table));
        let counted = reader.ask_for_all("count rows", &queries.collect::<Vec<_>>().join(" UNION ALL ")).await?;
        for row in counted.into_iter().flatten() {
            if let (Some(at), Some(count)) = (number(&row, 0), number(&row, 1))
                && let Some(table) = usize::try_from(at).ok().and_then(|at| tables.get_mut(at))
            {
                table.rows = RowCount::Exact(count);
            }
        }
    }
    let first = server.first();
    Ok(Evidence {
        at: first.and_then(|row| text(row, 2)).unwrap_or_default(),
        schema,
        tables,
        bytes: first.and_then(|row| number(row, 3)).unwrap_or(0),
    })
}

/// Reads what a run would meet. A transaction that has been open for `long` may be in the way.
///
/// # Errors
///
/// Those of [`take`].
pub async fn situation(
    reader: &mut ReadOnlySession,
    ledger: &QualifiedName,
    long: Duration,
) -> Result<ServerSituation> {
    let end = [("end", END.to_owned())];
    let looks = [
        ("read the state of the server", server(ledger)),
        ("list the sessions", SESSIONS.to_owned()),
        ("list the open transactions", fill(LONG, &[("long", long.as_secs().to_string())])),
        ("read the progress of replicas", fill(REPLICAS, &end)),
        ("read the replication slots", fill(SLOTS, &end)),
    ];
    let mut answers = reader.ask_each(&looks).await?.into_iter();
    let [server, sessions, long, replicas, slots] = std::array::from_fn(|_| answers.next().unwrap_or_default());
    let yes = |row: &TextRow, at: usize| row.get(at).and_then(Option::as_deref) == Some("t");
    let session = |row: &TextRow| Some((text(row, 0)?, text(row, 1)?, number(row, 2)?));
    let open = |row: &TextRow| {
        Some(LongTransaction {
            pid: number(row, 0).and_then(|pid| u32::try_from(pid).ok())?,
            role: text(row, 1)?,
            application: text(row, 2)?,
            seconds: number(row, 3)?,
            state: text(row, 4)?,
            word: text(row, 5)?,
        })
    };
    let counted =
        |row: &TextRow| Replicas { count: number(row, 0).unwrap_or(0), bytes: number(row, 1), seconds: number(row, 2) };
    let Some(first) = server.first() else { return Ok(ServerSituation::default()) };
    Ok(ServerSituation {
        version: text(first, 0).unwrap_or_default(),
        read_only: yes(first, 1) || yes(first, 8),
        sessions: sessions.iter().filter_map(session).collect(),
        long: long.iter().filter_map(open).collect(),
        replicas: replicas.first().map(counted).unwrap_or_default(),
        idle_slots: slots.iter().filter_map(|row| Some((text(row, 0)?, number(row, 1)?))).collect(),
        invalid_indexes: text(first, 4).map(|list| list.split(", ").map(str::to_owned).collect()).unwrap_or_default(),
        bytes: number(first, 3).unwrap_or(0),
        may_record: yes(first, 5),
        closed_schema: text(first, 6).filter(|_| !yes(first, 7)),
    })
}

fn server(ledger: &QualifiedName) -> String {
    fill(SERVER, &[("schema", literal(ledger.schema())), ("table", literal(ledger.name()))])
}

/// Whether a table is the ledger, or belongs to it.
fn is_ours(ledger: &QualifiedName, table: &QualifiedName) -> bool {
    table == ledger || kept::is_ours(ledger, table.schema(), table.name())
}

/// A table with the server's statistics.
struct TableStatistics {
    table: QualifiedName,
    /// Negative if the table was never analyzed.
    tuples: i64,
    heap: u64,
    bytes: u64,
    is_readable: bool,
}

impl TableStatistics {
    /// Roughly how many rows it can have at most.
    fn likely(&self) -> u64 {
        let by_size = self.heap / ROW_BYTES;
        u64::try_from(self.tuples).map_or(by_size, |tuples| tuples.max(by_size.min(tuples.saturating_mul(4) + 1000)))
    }

    fn estimated(&self) -> RelationSize {
        let rows = u64::try_from(self.tuples).unwrap_or(self.heap / ROW_BYTES);
        RelationSize { table: self.table.clone(), rows: RowCount::Estimated(rows), bytes: self.bytes }
    }
}

fn known(row: &TextRow) -> Option<TableStatistics> {
    Some(TableStatistics {
        table: QualifiedName::new(text(row, 0)?, text(row, 1)?),
        tuples: row.get(2)?.as_deref()?.parse().ok()?,
        heap: number(row, 3)?,
        bytes: number(row, 4)?,
        is_readable: row.get(5)?.as_deref() == Some("t"),
    })
}

fn text(row: &[Option<String>], at: usize) -> Option<String> {
    row.get(at)?.clone()
}

fn number(row: &[Option<String>], at: usize) -> Option<u64> {
    row.get(at)?.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let shown = [RowCount::Exact(0), RowCount::Exact(999), RowCount::Exact(1234), RowCount::Estimated(12_000_000)]
            .map(|one| one.to_string());
        assert_eq!(shown, ["0", "999", "1,234", "about 12,000,000"]);
    }
}
