//! The server's answers while it processes a message, and the data of a ledger row among them.

use std::time::Duration;

use sqlx::{Column, Row as _};

/// The name of the column that distinguishes a ledger row from rows that a migration selects.
pub const MARKER: &str = "roundtrip_ledger_id";

/// An answer of the server while it processes a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// One more statement of the message is done.
    Statement,
    /// A ledger row was written, but not yet committed.
    Marker(LedgerMarker),
}

/// The server's answer about a ledger row that it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerMarker {
    /// The number of the row.
    pub(crate) id: i64,
    /// When the message with it arrived at the server, as the time of day.
    pub(crate) sent_at: Duration,
    /// When it was written, as the time of day.
    pub at: Duration,
}

impl LedgerMarker {
    /// How long the work before this row took; it started at `before` or with its message.
    pub fn elapsed(self, before: Option<Duration>) -> Duration {
        let since = |begin: Duration| (self.at + DAY).saturating_sub(begin).as_micros() % DAY.as_micros();
        let shortest = before.map_or(since(self.sent_at), |before| since(before).min(since(self.sent_at)));
        Duration::from_micros(u64::try_from(shortest).unwrap_or(0))
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a ledger row, unless it is a row that a migration selects.
pub(super) fn marker(row: &sqlx::postgres::PgRow) -> Option<LedgerMarker> {
    if row.len() != 3 || row.column(0).name() != MARKER {
        return None;
    }
    let text = |at| row.try_get_unchecked::<&str, _>(at).ok();
    Some(LedgerMarker { id: text(0)?.parse().ok()?, sent_at: time_of_day(text(1)?)?, at: time_of_day(text(2)?)? })
}

/// The time of day in `2026-11-24 02:16:16.123456+00`.
fn time_of_day(timestamp: &str) -> Option<Duration> {
    let (_, time) = timestamp.split_once(' ')?;
    let mut parts = time.trim_end_matches("+00").split(':');
    let hours: u64 = parts.next()?.parse().ok()?;
    let minutes: u64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some(Duration::from_secs(hours * 3600 + minutes * 60) + Duration::try_from_secs_f64(seconds).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_time_counts_from_the_row_before_also_over_midnight() {
        let at = |text| time_of_day(text).unwrap();
        let marker = LedgerMarker { id: 1, sent_at: at("2026-11-24 23:59:58+00"), at: at("2026-11-25 00:00:01.5+00") };
        assert_eq!(marker.elapsed(None), Duration::from_millis(3500));
        assert_eq!(marker.elapsed(Some(at("2026-11-25 00:00:01+00"))), Duration::from_millis(500));
    }
}
