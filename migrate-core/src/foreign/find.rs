//! Finds and reads the ledgers of other tools, in read-only transactions.

use std::collections::BTreeSet;
use std::time::Duration;

use migrate_base::db::{Session, SessionFailure, TextRow};
use migrate_base::ident::{QualifiedName, literal};

use super::recognise::tool_of;
use super::tools::TOOLS;
use super::{ForeignLedger, ForeignRow, ForeignState, ForeignTool, UnreadableCause, UnreadableRows};

/// How long reading such a ledger waits for an exclusive lock.
const PATIENCE: Duration = Duration::from_secs(3);

/// How thoroughly to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SearchBy {
    /// Every table is examined: before the first migration of a database.
    NameOrColumns,
    /// Only tables with a usual name, which the server finds by an index.
    Name,
}

/// The ledgers of other tools in this database, with their rows, except those in `others`.
pub(crate) async fn ledgers(
    session: &mut Session,
    others: &[QualifiedName],
    by: SearchBy,
) -> Result<Vec<ForeignLedger>, SessionFailure> {
    let candidates = session.read(&message(session, &candidates(by))).await?;
    let tables: BTreeSet<(&str, &str)> =
        candidates.iter().filter_map(|row| Some((text(row, 0)?, text(row, 1)?))).collect();
    let mut found = Vec::new();
    for row in &candidates {
        let (Some(schema), Some(table), Some(columns)) = (text(row, 0), text(row, 1), text(row, 2)) else { continue };
        let columns: Vec<&str> = columns.split('\n').collect();
        let name = QualifiedName::new(schema, table);
        let tool = tool_of(schema, table, &columns, |beside| tables.contains(&(schema, beside)));
        found.extend(tool.filter(|_| !others.contains(&name)).map(|tool| (tool, name)));
    }
    let mut ledgers = Vec::with_capacity(found.len());
    for (tool, table) in found {
        let has_lock = tool.lock.is_some_and(|(lock, _)| tables.contains(&(table.schema(), lock)));
        ledgers.push(read(session, tool, table, has_lock).await?);
    }
    Ok(ledgers)
}

/// One such ledger; `None` if the table no longer exists.
pub(crate) async fn ledger_of(
    session: &mut Session,
    tool: &'static ForeignTool,
    table: &QualifiedName,
) -> Result<Option<ForeignLedger>, SessionFailure> {
    let lock = tool.lock.map(|(lock, _)| QualifiedName::new(table.schema(), lock));
    let there = session.read(&message(session, &exists(table, lock.as_ref()))).await?;
    match there.first() {
        Some(row) if text(row, 0) == Some("t") => {
            read(session, tool, table.clone(), text(row, 1) == Some("t")).await.map(Some)
        }
        _ => Ok(None),
    }
}

async fn read(
    session: &mut Session,
    tool: &'static ForeignTool,
    table: QualifiedName,
    has_lock: bool,
) -> Result<ForeignLedger, SessionFailure> {
    let query = tool.rows.replace("{t}", &table.to_string());
    let rows = asked(session, &query).await?;
    let rows = rows.map(|rows| rows.into_iter().filter_map(row_of).collect());
    let mut locked_by = None;
    if let Some((lock, query)) = tool.lock.filter(|_| has_lock) {
        let lock = QualifiedName::new(table.schema(), lock);
        let holders = asked(session, &query.replace("{t}", &lock.to_string())).await?;
        let holder = holders.ok().and_then(|rows| rows.into_iter().next());
        locked_by = holder.map(|row| row.into_iter().next().flatten().unwrap_or_default());
    }
    Ok(ForeignLedger { tool, table, rows, locked_by })
}

/// Sends a query; what the server refuses is the answer, and only a lost connection is a failure.
async fn asked(session: &mut Session, query: &str) -> Result<Result<Vec<TextRow>, UnreadableRows>, SessionFailure> {
    match session.read(&message(session, query)).await {
        Ok(rows) => Ok(Ok(rows)),
        Err(failure) if failure.is_lost() => Err(failure),
        Err(failure) => {
            session.send("ROLLBACK").await?;
            let cause = match () {
                () if failure.is("42501") => UnreadableCause::Forbidden,
                () if failure.is_lock_timeout() => UnreadableCause::Locked,
                () => UnreadableCause::Other,
            };
            let role = session.database().user().to_owned();
            Ok(Err(UnreadableRows { why: failure.why().to_owned(), cause, role }))
        }
    }
}

fn message(session: &Session, query: &str) -> String {
    format!(
        "BEGIN READ ONLY; SET LOCAL search_path TO pg_catalog; SET LOCAL row_security TO off; \
         SET LOCAL lock_timeout TO '{}s'; {} {query}; COMMIT",
        PATIENCE.as_secs(),
        session.comment()
    )
}

/// Every table that may be such a ledger, or that tools keep beside one: schema, name, columns. The tables of an
/// extension are not, nor are those of the services of Supabase, whose owners have names of their own.
fn candidates(by: SearchBy) -> String {
    let beside = TOOLS.iter().flat_map(|tool| tool.also.iter().copied().chain(tool.beside));
    let names: BTreeSet<&str> = TOOLS.iter().map(|tool| tool.table).chain(beside).collect();
    let marks: BTreeSet<&str> = TOOLS.iter().filter_map(|tool| tool.mark).collect();
    let list = |words: BTreeSet<&str>| words.into_iter().map(literal).collect::<Vec<_>>().join(", ");
    let by_columns = match by {
        SearchBy::Name => String::new(),
        SearchBy::NameOrColumns => format!(
            " OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ({}))",
            list(marks)
        ),
    };
    format!(
        "SELECT n.nspname, c.relname, (SELECT string_agg(a.attname, chr(10)) FROM pg_attribute a WHERE a.attrelid = \
         c.oid AND a.attnum > 0 AND NOT a.attisdropped) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.oid >= 16384 AND c.relpersistence <> 't' AND \
         pg_get_userbyid(c.relowner) NOT LIKE 'supabase\\_%' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = \
         'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') AND (c.relname IN ({}){by_columns}) \
         ORDER BY 1, 2",
        list(names)
    )
}

/// Whether a table and the lock beside it exist.
fn exists(table: &QualifiedName, lock: Option<&QualifiedName>) -> String {
    let one = |name: &QualifiedName| {
        format!(
            "EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} AND \
             c.relname = {})",
            literal(name.schema()),
            literal(name.name())
        )
    };
    format!("SELECT {}, {}", one(table), lock.map_or("false".to_owned(), one))
}

fn text(row: &TextRow, at: usize) -> Option<&str> {
    row.get(at)?.as_deref()
}

fn row_of(row: TextRow) -> Option<ForeignRow> {
    let mut cells = row.into_iter();
    let mut next = || cells.next().flatten();
    let (key, name, checksum, state, at, by) = (next()?, next(), next(), next(), next(), next());
    let state = match state.as_deref() {
        Some("applied") => ForeignState::Applied,
        Some("baseline") => ForeignState::Baseline,
        Some("reverted") => ForeignState::Reverted,
        _ => ForeignState::Failed,
    };
    Some(ForeignRow { key, name, checksum, state, at, by })
}
