//! Creates the messages of a migration without a transaction, without I/O: a run sends them, and a runbook contains
//! them.

use migrate_base::sql::{StatementClass, is_local_setting};

use super::{SessionSettings, outcome, own_timeouts};
use crate::kept::SurroundingSql;
use crate::ledger::{Direction, EventStart, LedgerEvent, LedgerRow, LedgerWriter};
use crate::runner::message::leftover;
use crate::runner::options::Options;
use crate::runner::plan::PlanStep;
use crate::source::{Checksum, Script};

/// Switches to the role that logged in for the rest of the transaction, because the ledger is written by that role.
pub(in crate::runner) const OURSELVES: &str = "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE;";

/// Waits for locks without a limit.
pub(in crate::runner) const PATIENTLY: &str = "SET lock_timeout TO 0;";

/// The row `started`, with the SQL that comes before an up script. A down script that runs like this removes no data,
/// so the SQL around it runs here.
pub(in crate::runner) fn started(
    writer: &mut LedgerWriter,
    step: &PlanStep,
    script: &Script,
    options: &Options,
    aside: &SurroundingSql,
) -> String {
    let record = writer.insert(&LedgerRow { event: LedgerEvent::Started, ..outcome(step, script, options) });
    let after = if step.direction == Direction::Down { &aside.after[..] } else { "" };
    format!("BEGIN; {} {after} {record} COMMIT;", aside.before)
}

/// The script's own timeouts, and again the session settings of its first `done` statements; may be empty.
pub(in crate::runner) fn prepare(script: &Script, done: usize) -> String {
    let mut settings = own_timeouts(script, "");
    let before = script.statements().iter().take(done).filter(|statement| statement.class == StatementClass::Session);
    settings.extend(before.map(|statement| format!("{};", &script.text()[statement.span.clone()])));
    settings.join(" ")
}

/// The transaction-local settings of its first statements; may be empty.
pub(in crate::runner) fn local(script: &Script, done: usize) -> String {
    let texts = script.statements().iter().take(done).map(|statement| &script.text()[statement.span.clone()]);
    texts.filter(|text| is_local_setting(text)).map(|text| format!("{text};")).collect()
}

/// Whether the first `done` statements did anything that outlives their session.
pub(in crate::runner) fn has_effect(script: &Script, done: usize) -> bool {
    script.statements().iter().take(done).any(|statement| statement.class != StatementClass::Session)
}

/// The session settings of the statements from `done` to `first`; may be empty.
pub(in crate::runner) fn between(script: &Script, done: usize, first: usize) -> String {
    let skipped = script.statements().iter().take(first).skip(done);
    let settings = skipped.filter(|statement| statement.class == StatementClass::Session);
    settings.map(|statement| format!("{};", &script.text()[statement.span.clone()])).collect()
}

/// The rows that record that nothing remains of a script whose first statement failed: the migration is in the same
/// state as before.
pub(in crate::runner) fn given_up(writer: &mut LedgerWriter, step: &PlanStep) -> String {
    let of = |event, direction| LedgerRow::of(event, direction, step.version.as_str(), &step.name);
    let back = step.direction.reverse();
    let Some(undoes) = &step.undoes else {
        let undone = LedgerRow { note: Some("nothing of it was kept"), ..of(LedgerEvent::Resolved, back) };
        return writer.insert(&undone);
    };
    // This was the undo of an unfinished migration, which is still unfinished.
    let started = LedgerRow {
        up_checksum: undoes.up_checksum.as_ref().map(Checksum::as_str),
        down_checksum: undoes.down_checksum.as_ref().map(Checksum::as_str),
        note: Some("the undo failed at its first statement, and nothing of it was kept"),
        ..of(LedgerEvent::Started, back)
    };
    let mut rows = writer.insert(&started);
    if undoes.done > 0 {
        rows += &writer.insert(&LedgerRow { statement: Some(undoes.done), ..of(LedgerEvent::Progress, back) });
    }
    if let Some((statement, why)) = &undoes.failed {
        rows += &writer.insert(&LedgerRow {
            statement: Some(*statement),
            note: Some(why),
            ..of(LedgerEvent::Failed, back)
        });
    }
    rows
}

/// Whether a statement waits for locks without a limit.
///
/// Concurrent statements wait for old transactions on purpose, and block nobody meanwhile: the lock timeout is for the
/// others.
pub(in crate::runner) fn is_patient(script: &Script, at: usize) -> bool {
    leftover::is_concurrent(script.statements()[at].class) && script.directives().lock_timeout.is_none()
}

/// One statement, with the row that records it if the two can share a transaction; and the text before the statement.
pub(in crate::runner) fn statement(
    writer: &mut LedgerWriter,
    step: &PlanStep,
    script: &Script,
    at: usize,
) -> (String, &'static str) {
    let statement = &script.statements()[at];
    let text = &script.text()[statement.span.clone()];
    match statement.class {
        StatementClass::Plain => {
            let record = progress_record(writer, step, at);
            (format!("BEGIN; {text}\n; {OURSELVES} {record} COMMIT;"), "BEGIN; ")
        }
        _ => (text.to_owned(), ""),
    }
}

/// The row that records that a statement is done, in its own transaction.
pub(in crate::runner) fn progress(writer: &mut LedgerWriter, step: &PlanStep, at: usize) -> String {
    let record = progress_record(writer, step, at);
    format!("BEGIN; {OURSELVES} {record} COMMIT;")
}

fn progress_record(writer: &mut LedgerWriter, step: &PlanStep, at: usize) -> String {
    let record = LedgerRow::of(LedgerEvent::Progress, step.direction, step.version.as_str(), &step.name);
    writer.insert(&LedgerRow { statement: Some(at + 1), ..record })
}

/// The row that records that the migration is done, and the statements that reset the session.
pub(in crate::runner) fn ended(
    writer: &mut LedgerWriter,
    step: &PlanStep,
    script: &Script,
    options: &Options,
    settings: &SessionSettings,
    started: i64,
    aside: &SurroundingSql,
) -> String {
    let record = writer.insert(&LedgerRow { since: EventStart::Row(started), ..outcome(step, script, options) });
    let after = if step.direction == Direction::Up { &aside.after[..] } else { "" };
    format!("BEGIN; {} {after} {record} COMMIT;", settings.isolate())
}
