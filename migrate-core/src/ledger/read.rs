//! Reads the ledger: in one message, in a read-only transaction, even if there is none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use migrate_base::codes;
use migrate_base::db::{Session, SessionFailure, TextRow};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::Finding;
use migrate_base::ident::{QualifiedName, literal};

use super::rights::{self, LedgerAccess};
use super::{HistoryEntry, LedgerEntry};
use crate::source::{Checksum, Version};

/// The rows that determine the present state, oldest first, and the number of the newest row of any kind; `None` if
/// there is no ledger.
pub(crate) async fn entries(session: &mut Session, ledger: &QualifiedName) -> Result<Option<(Vec<LedgerEntry>, i64)>> {
    // Notes may be long, and the state needs only some of them.
    let columns = "id, event, direction, version, name, statement, up_checksum, down_checksum, at, \
                   coalesce(actor, role), CASE WHEN event IN ('failed', 'baselined', 'rolled_back') THEN note END";
    let Some(rows) = select(session, ledger, columns, "").await? else { return Ok(None) };
    let newest = rows.last().and_then(|row| row.first()?.as_deref()?.parse().ok()).unwrap_or(0);
    let about_migrations = rows.into_iter().filter(|row| row.get(3).is_some_and(Option::is_some));
    let entries = about_migrations.map(|row| entry(row).map_err(|what| unreadable(ledger, &what)));
    Ok(Some((entries.collect::<Result<_>>()?, newest)))
}

/// The number of the newest row: 0 for an empty ledger, `None` if there is no ledger.
pub(crate) async fn newest(session: &mut Session, ledger: &QualifiedName) -> Result<Option<i64>> {
    let only_newest = format!("WHERE id = (SELECT max(id) FROM {ledger})");
    let Some(rows) = select(session, ledger, "id", &only_newest).await? else { return Ok(None) };
    let newest = rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
    Ok(Some(newest.unwrap_or(0)))
}

/// The query for the newest applied version, for scripts; it returns one row or none.
pub(crate) fn newest_applied(ledger: &QualifiedName) -> String {
    format!(
        "SELECT l.version FROM {ledger} l WHERE l.direction = 'up' AND l.event IN ('applied', 'baselined', 'resolved') \
         AND NOT EXISTS (SELECT FROM {ledger} d WHERE d.version = l.version AND d.id > l.id AND d.direction = 'down' \
         AND d.event IN ('rolled_back', 'resolved')) \
         ORDER BY pg_catalog.string_to_array(l.version, '.')::pg_catalog.numeric[] DESC LIMIT 1"
    )
}

/// The ledger's rows after the row `after`, oldest first; empty if there is no ledger.
pub(crate) async fn history(session: &mut Session, ledger: &QualifiedName, after: i64) -> Result<Vec<HistoryEntry>> {
    let columns = "id, event, direction, version, name, statement, batch, at, \
         CASE WHEN event IN ('applied', 'rolled_back', 'repeated') THEN round(1000 * extract(epoch FROM at - CASE \
             WHEN lag(event) OVER oldest_first IN ('started', 'progress') THEN sent_at \
             ELSE greatest(sent_at, lag(at) OVER oldest_first) END), 3) END, \
         role, actor, host, application, git_commit, tool, up_checksum, down_checksum, fingerprint, note";
    // The duration of the first of them depends on the row before it.
    let from = format!("WHERE id >= {after} WINDOW oldest_first AS (ORDER BY id)");
    let rows = select(session, ledger, columns, &from).await?.unwrap_or_default();
    let events = rows.into_iter().map(|row| event(row).map_err(|what| unreadable(ledger, &what)));
    let is_before = |event: &Result<HistoryEntry>| event.as_ref().is_ok_and(|event| event.id <= after);
    events.skip_while(is_before).collect()
}

/// The down scripts that were stored when these versions were last applied.
pub(crate) async fn down_scripts(
    session: &mut Session,
    ledger: &QualifiedName,
    versions: &[&Version],
) -> Result<BTreeMap<Version, Arc<str>>> {
    let list = versions.iter().map(|version| literal(version.as_str())).collect::<Vec<_>>().join(", ");
    let condition = format!("WHERE version IN ({list}) AND down_sql IS NOT NULL");
    let rows = select(session, ledger, "version, down_sql", &condition).await?;
    let pairs = rows.unwrap_or_default().into_iter().filter_map(|row| {
        let mut row = row.into_iter();
        Some((row.next()??.parse().ok()?, row.next()??.into()))
    });
    Ok(pairs.collect())
}

/// Selects from the ledger in order; `None` if there is no ledger.
async fn select(
    session: &mut Session,
    ledger: &QualifiedName,
    columns: &str,
    condition: &str,
) -> Result<Option<Vec<TextRow>>> {
    let message = format!(
        "BEGIN READ ONLY; SET LOCAL search_path TO pg_catalog; SET LOCAL lock_timeout TO '{}s'; \
         {} SELECT {columns} FROM {ledger} {condition} ORDER BY id; COMMIT",
        PATIENCE.as_secs(),
        session.comment()
    );
    match session.read(&message).await {
        Ok(rows) => Ok(Some(rows)),
        Err(failure) if failure.is_lock_timeout() => {
            let holders = session.in_the_way(Some(ledger)).await;
            Err(locked(failure.with_holders(holders), ledger))
        }
        Err(failure) => {
            // An error leaves the transaction open; a lost connection has none.
            // 42P01 undefined_table, 3F000 invalid_schema_name: nothing was ever recorded here.
            let is_missing = failure.is("42P01") || failure.is("3F000");
            let ended = if failure.is_lost() { Ok(()) } else { session.send("ROLLBACK").await };
            match ended {
                Err(second) if second.is_statement_pooling() => return Err(cannot(second, ledger, None)),
                Ok(()) if is_missing => return Ok(None),
                // The connection was lost in between: report that, and not that there is no ledger.
                Err(second) if is_missing && second.is_lost() => return Err(cannot(second, ledger, None)),
                _ => {}
            }
            let lacking = match failure.is("42501") {
                true => rights::ask(session, ledger, LedgerAccess::Reading).await,
                false => None,
            };
            Err(cannot(failure, ledger, lacking))
        }
    }
}

/// How long reading the ledger waits for an exclusive lock.
const PATIENCE: Duration = Duration::from_secs(3);

fn locked(failure: SessionFailure, ledger: &QualifiedName) -> Error {
    let seconds = PATIENCE.as_secs();
    let error = failure.explain(
        ErrorKind::Ledger,
        codes::LEDGER_LOCKED,
        &format!("read the ledger {ledger} within {seconds} s"),
    );
    error.note(
        "a migration run never takes such a lock on the ledger; VACUUM FULL, LOCK TABLE, ALTER TABLE and DROP TABLE do",
    )
}

fn cannot(failure: SessionFailure, ledger: &QualifiedName, lacking: Option<(String, String)>) -> Error {
    // 42703 undefined_column: the table is something else.
    let is_foreign = failure.is("42703");
    let error = failure.explain(ErrorKind::Ledger, codes::LEDGER_UNREADABLE, &format!("read the ledger {ledger}"));
    match lacking {
        None if is_foreign => error.help(IS_IT_ONE),
        Some((told, grant)) => error.note(told).help_instead(format!("grant the missing rights: {grant}")),
        None => error,
    }
}

const IS_IT_ONE: &str = "is the table really a Roundtrip ledger? `ledger` in migrate.toml names it";

fn unreadable(ledger: &QualifiedName, what: &str) -> Error {
    Error::new(
        ErrorKind::Ledger,
        Finding::new(codes::LEDGER_UNREADABLE, format!("the ledger {ledger} has an invalid row: {what}"))
            .help("a newer version of Roundtrip may have written it: use that version")
            .help(IS_IT_ONE),
    )
}

/// Reads the columns of [`entries`].
fn entry(row: TextRow) -> std::result::Result<LedgerEntry, String> {
    let mut row = row.into_iter();
    let mut next = move || row.next().flatten();
    let required = |what: &str, value: Option<String>| value.ok_or_else(|| format!("{what} is missing"));
    let id = number("id", next())?.ok_or("id is missing")?;
    let event = required("event", next())?.parse().map_err(|e: super::entry::UnknownWord| format!("event {}", e.0))?;
    let direction = match required("direction", next())?.as_str() {
        "up" => super::Direction::Up,
        "down" => super::Direction::Down,
        other => return Err(format!("direction {other}")),
    };
    let version = required("version", next())?;
    Ok(LedgerEntry {
        id,
        event,
        direction,
        version: Version::recorded(&version).map_err(|_| format!("version {version}"))?,
        name: required("name", next())?,
        statement: number("statement", next())?,
        up_checksum: next().map(Checksum::recorded),
        down_checksum: next().map(Checksum::recorded),
        at: rfc3339(&required("at", next())?),
        by: required("role", next())?,
        note: next(),
    })
}

/// Reads the columns of [`history`].
fn event(row: TextRow) -> std::result::Result<HistoryEntry, String> {
    let mut row = row.into_iter();
    let mut next = move || row.next().flatten();
    Ok(HistoryEntry {
        id: number("id", next())?.ok_or("id is missing")?,
        event: next().ok_or("event is missing")?,
        direction: next(),
        version: next(),
        name: next(),
        statement: number("statement", next())?,
        batch: number("batch", next())?.ok_or("batch is missing")?,
        at: rfc3339(&next().ok_or("at is missing")?),
        milliseconds: number("duration", next())?,
        role: next().ok_or("role is missing")?,
        actor: next(),
        host: next(),
        application: next(),
        commit: next(),
        tool: next().ok_or("tool is missing")?,
        up_checksum: next(),
        down_checksum: next(),
        fingerprint: next(),
        note: next(),
    })
}

fn number<T: std::str::FromStr>(what: &str, text: Option<String>) -> std::result::Result<Option<T>, String> {
    text.map(|text| text.parse().map_err(|_| format!("{what} {text}"))).transpose()
}

/// Converts the server's `2026-11-24 02:16:16.123+00` to RFC 3339; our sessions use UTC.
fn rfc3339(text: &str) -> String {
    text.replacen(' ', "T", 1).replacen("+00", "Z", 1)
}
