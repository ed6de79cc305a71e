//! Statements that are tried, and the server's objections to them.

use migrate_base::ident::literal;

use super::draw::GeneratedRow;
use super::spec::TableSpec;

/// Creates a function that runs a command and returns the server's objection to it.
pub(crate) const TRY: &str = include_str!("try.sql");

/// The query that tries a statement; its result is empty if the server accepts the statement.
pub(crate) fn attempt(command: &str) -> String {
    format!("SELECT pg_temp.roundtrip_try({});", literal(command))
}

/// The server's objection to a row.
pub(super) struct RowRefusal {
    pub(super) constraint: String,
    pub(super) column: String,
    pub(super) message: String,
}

impl RowRefusal {
    /// Parses the result of the function; `None` if there is no objection.
    pub(super) fn read(answer: &str) -> Option<Self> {
        let mut parts = answer.splitn(3, '\u{1f}').map(str::to_owned);
        let (constraint, column, message) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { constraint, column, message })
    }

    /// The values of a row that can stay: all except those of the columns that the refusal is about.
    pub(super) fn kept(&self, table: &TableSpec, row: &GeneratedRow) -> Option<GeneratedRow> {
        let checks = || table.checks.iter().filter(|(name, _)| !name.is_empty() && *name == self.constraint);
        let key = table.unique.get(&self.constraint);
        let is_meant = |column: &String| {
            let is_in_key = key.is_some_and(|key| key.contains(column));
            is_in_key || *column == self.column || checks().any(|(_, check)| check.mentions(column))
        };
        let kept: GeneratedRow = row.iter().filter(|(column, _)| !is_meant(column)).map(owned).collect();
        (kept.len() < row.len() || row.is_empty()).then_some(kept)
    }
}

/// A column and its value, for another row.
pub(super) fn owned((column, value): (&String, &String)) -> (String, String) {
    (column.clone(), value.clone())
}
