//! The progress of a session, seen from the connection that holds the lock.

use std::time::Duration;

use super::{Fence, Guard, SessionFailure};
use crate::ident::QualifiedName;
use crate::template::fill;

/// The progress of a working session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionProgress {
    /// The newest row of the ledger, if requested and readable.
    pub newest: Option<i64>,
    /// How long the present step has been running: since the newest row was written, or since its message arrived.
    pub elapsed: Option<Duration>,
    /// The server's progress report: `create index on shop.orders, building index: scanning table, 43 %`.
    pub detail: Option<String>,
}

const PROGRESS: &str = include_str!("progress.sql");

impl Guard {
    /// Reads the worker's progress. It does not wait: if the ledger is locked, it fails.
    pub async fn progress(
        &mut self,
        worker: &Fence,
        ledger: Option<&QualifiedName>,
    ) -> Result<SessionProgress, SessionFailure> {
        let newest = match ledger {
            Some(ledger) => format!("(SELECT l.id, l.at FROM {ledger} l ORDER BY l.id DESC LIMIT 1)"),
            None => "(SELECT NULL::bigint AS id, NULL::timestamptz AS at)".to_owned(),
        };
        let query = fill(PROGRESS, &[("newest", newest), ("pid", worker.pid().to_string())]);
        let rows = self.ask(&query).await?;
        let Some(row) = rows.first() else { return Ok(SessionProgress::default()) };
        let cell = |at: usize| row.get(at).and_then(Option::as_deref);
        let seconds = cell(1).and_then(|text| text.parse::<f64>().ok());
        Ok(SessionProgress {
            newest: cell(0).and_then(|id| id.parse().ok()),
            elapsed: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            detail: cell(2).map(|what| sentence(what, cell(3), cell(4), cell(5))),
        })
    }
}

/// `create index on shop.orders, building index: scanning table, 43 %`.
fn sentence(what: &str, relation: Option<&str>, phase: Option<&str>, percent: Option<&str>) -> String {
    let on = relation.map(|relation| format!(" on {relation}")).unwrap_or_default();
    let phase = phase.map(|phase| format!(", {phase}")).unwrap_or_default();
    let percent = percent.map(|percent| format!(", {percent} %")).unwrap_or_default();
    format!("{}{on}{phase}{percent}", what.to_lowercase())
}
