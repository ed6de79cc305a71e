//! Connects for a run, waits if necessary for a server that is starting, and reads the ledger. Both can be cancelled.

use std::time::Duration;

use migrate_base::codes;
use migrate_base::db::{Database, Session, SessionFailure, wait};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::Finding;
use migrate_base::ident::QualifiedName;

use crate::foreign::{self, SearchBy};
use crate::ledger::LedgerEntry;
use crate::runner::message::explain;
use crate::runner::options::{CancelHandle, Options, Progress};
use crate::runner::plan::state::LedgerState;

/// Connects according to the options.
pub(in crate::runner) async fn connect(database: &Database, options: &Options) -> Result<Session> {
    let Options { actor, connect_wait, observer, cancel, .. } = options;
    let mut waiting = |why: &str, left: Duration| observer.hear(&Progress::Unreachable(database, why, left));
    tokio::select! {
        biased;
        session = wait::attempt(database, &actor.application, *connect_wait, &mut waiting) => session,
        () = cancel.cancelled() => Err(interrupted(database)),
    }
}

/// The state according to these rows of the ledger; fails if reading them takes too long after a cancellation.
pub(in crate::runner) async fn look(
    reading: impl Future<Output = Result<Option<(Vec<LedgerEntry>, i64)>>>,
    cancel: &CancelHandle,
) -> Result<LedgerState> {
    tokio::select! {
        biased;
        entries = reading => Ok(LedgerState::derive(entries?)),
        () = cancel.impatient() => Err(explain::interrupted_before()),
    }
}

/// Looks for the ledgers of other tools, if this one is empty or was adopted from one, or if something is pending that
/// another tool may have applied.
pub(in crate::runner) async fn look_for_others(
    session: &mut Session,
    state: &mut LedgerState,
    of_others: &[QualifiedName],
    has_pending: bool,
) -> Result<()> {
    let found = match state.adopted() {
        Some(adopted) if of_others.contains(&adopted.table) => return Ok(()),
        Some(adopted) => foreign::ledger_of(session, adopted.tool, &adopted.table).await.map(Vec::from_iter),
        None if state.newest() == 0 => foreign::ledgers(session, of_others, SearchBy::NameOrColumns).await,
        None if has_pending => foreign::ledgers(session, of_others, SearchBy::Name).await,
        None => return Ok(()),
    };
    let found = found.map_err(not_looked)?;
    // An adopted ledger that is empty now says that everything was rolled back.
    let is_adopted = state.adopted().is_some();
    state.set_others(found.into_iter().filter(|ledger| is_adopted || ledger.is_in_use()).collect());
    Ok(())
}

/// The error if nobody can know whether there are ledgers of other tools.
pub(in crate::runner) fn not_looked(failure: SessionFailure) -> Error {
    failure.explain(ErrorKind::Ledger, codes::SESSION, "look for ledgers of other tools")
}

fn interrupted(database: &Database) -> Error {
    let finding = Finding::new(codes::INTERRUPTED, format!("interrupted while connecting to {database}"));
    Error::new(ErrorKind::Cancelled, finding.note("nothing was run"))
}
