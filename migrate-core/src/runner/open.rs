//! Connecting for a run, which may wait for a server that is starting, and may be interrupted meanwhile.

use std::time::Duration;

use super::options::{Options, Progress};
use crate::db::{Database, Session, wait};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;

/// Connects as the options say.
pub(super) async fn connect(database: &Database, options: &Options) -> Result<Session> {
    let Options { actor, connect_wait, observer, cancel, .. } = options;
    let mut waiting = |why: &str, left: Duration| observer.hear(&Progress::Unreachable(database, why, left));
    tokio::select! {
        biased;
        session = wait::attempt(database, &actor.application, *connect_wait, &mut waiting) => session,
        () = cancel.cancelled() => Err(interrupted(database)),
    }
}

fn interrupted(database: &Database) -> Error {
    let finding = Finding::error("interrupted", format!("interrupted while connecting to {database}"));
    Error::new(ErrorKind::Cancelled, finding.note("nothing was run"))
}
