//! The SQL that adds a row to the ledger.

use std::fmt::Write as _;

use migrate_base::db::MARKER;
use migrate_base::ident::{QualifiedName, literal, nullable};
use migrate_base::template::fill;

use super::{Actor, Direction, LedgerEvent};
use crate::source::Migration;

/// The content of a new row; the actor is the same for a whole run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LedgerRow<'a> {
    pub(crate) event: LedgerEvent,
    pub(crate) direction: Direction,
    pub(crate) version: &'a str,
    pub(crate) name: &'a str,
    pub(crate) statement: Option<usize>,
    pub(crate) up_checksum: Option<&'a str>,
    pub(crate) down_checksum: Option<&'a str>,
    pub(crate) down_sql: Option<&'a str>,
    pub(crate) note: Option<&'a str>,
    /// When the event started.
    pub(crate) since: EventStart,
}

/// When an event started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventStart {
    /// With its message, or after the previous row in the same message.
    Message,
    /// With its transaction, which took several messages.
    Transaction,
    /// With this row.
    Row(i64),
}

impl<'a> LedgerRow<'a> {
    /// A row about a migration, without its down script.
    pub(crate) fn of(event: LedgerEvent, direction: Direction, version: &'a str, name: &'a str) -> Self {
        Self {
            event,
            direction,
            version,
            name,
            statement: None,
            up_checksum: None,
            down_checksum: None,
            down_sql: None,
            note: None,
            since: EventStart::Message,
        }
    }

    /// A row about a migration whose files exist.
    pub(crate) fn with_files(event: LedgerEvent, direction: Direction, migration: &'a Migration) -> Self {
        let down = migration.down_script();
        Self {
            up_checksum: Some(migration.up_checksum().as_str()),
            down_checksum: down.map(|script| script.checksum().as_str()),
            down_sql: down.map(|script| &**script.text()).filter(|_| direction == Direction::Up),
            ..Self::of(event, direction, migration.version().as_str(), migration.name())
        }
    }
}

/// Writes the rows of one run: it numbers them, and adds the values that are the same in all of them.
#[derive(Debug)]
pub(crate) struct LedgerWriter {
    ledger: QualifiedName,
    /// The number of the next row.
    next: i64,
    /// The literals of actor, host, application, commit and tool.
    who: String,
    batch: i64,
}

const COLUMNS: &str = "id, event, direction, version, name, statement, up_checksum, down_checksum, down_sql, \
                       note, batch, actor, host, application, git_commit, tool";

impl LedgerWriter {
    /// Creates a writer whose first row comes after the row `newest`.
    pub(crate) fn new(ledger: QualifiedName, newest: i64, actor: &Actor) -> Self {
        let who = format!(
            "{}, {}, {}, {}, {}",
            nullable(actor.user.as_deref()),
            nullable(actor.host.as_deref()),
            literal(&actor.application),
            nullable(actor.commit.as_deref()),
            literal(&actor.tool)
        );
        Self { ledger, next: newest + 1, who, batch: newest + 1 }
    }

    /// Creates a writer for a script that somebody else runs: `who` replaces actor and host.
    pub(crate) fn with_who(ledger: QualifiedName, newest: i64, who: &str, actor: &Actor) -> Self {
        let from = nullable(actor.commit.as_deref());
        let who = format!("{who}, {}, {from}, {}", literal(&actor.application), literal(&actor.tool));
        Self { ledger, next: newest + 1, who, batch: newest + 1 }
    }

    /// The number that the next row will have.
    pub(crate) fn next_id(&self) -> i64 {
        self.next
    }

    /// Continues after the row `newest`, within the same run.
    pub(crate) fn resume_after(&mut self, newest: i64) {
        self.next = newest + 1;
    }

    /// The statement that adds this row, with its semicolon; it returns the row's number and times.
    ///
    /// The number is written explicitly, not taken from a sequence: if another session has written in the meantime, the
    /// primary key makes this statement fail, and with it the transaction.
    pub(crate) fn insert(&mut self, record: &LedgerRow<'_>) -> String {
        let mut sql = String::with_capacity(512 + record.down_sql.map_or(0, str::len));
        let number = |n: Option<usize>| n.map_or("NULL".to_owned(), |n| n.to_string());
        let sent_at = if record.since == EventStart::Message { "" } else { ", sent_at" };
        // Writing to a String cannot fail.
        let _ = write!(
            sql,
            "INSERT INTO {} ({COLUMNS}{sent_at}) VALUES ({}, '{}', '{}', {}, {}, {}, {}, {}, {}, {}, {}, {}",
            self.ledger,
            self.next,
            record.event.as_str(),
            record.direction,
            literal(record.version),
            literal(record.name),
            number(record.statement),
            nullable(record.up_checksum),
            nullable(record.down_checksum),
            nullable(record.down_sql),
            nullable(record.note),
            self.batch,
            self.who,
        );
        let _ = match record.since {
            EventStart::Message => Ok(()),
            EventStart::Transaction => write!(sql, ", pg_catalog.transaction_timestamp()"),
            EventStart::Row(id) => write!(sql, ", (SELECT l.at FROM {} l WHERE l.id = {id})", self.ledger),
        };
        let _ = write!(sql, ") RETURNING id AS {MARKER}, sent_at, at;");
        self.next += 1;
        sql
    }

    /// The statement that records the fingerprint of the schema.
    pub(crate) fn observe(&mut self, fingerprint: &str) -> String {
        let columns = "id, event, fingerprint, batch, actor, host, application, git_commit, tool";
        let sql = format!(
            "INSERT INTO {} ({columns}) SELECT {}, 'observed', {}, {}, {};",
            self.ledger,
            self.next,
            literal(fingerprint),
            self.batch,
            self.who
        );
        self.next += 1;
        sql
    }

    /// The statements that create the ledger.
    pub(crate) fn create(&self) -> String {
        let refuse = QualifiedName::new(self.ledger.schema(), format!("{}_append_only", self.ledger.name()));
        fill(include_str!("create.sql"), &[("ledger", self.ledger.to_string()), ("refuse", refuse.to_string())])
    }
}
