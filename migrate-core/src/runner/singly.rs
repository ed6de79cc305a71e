//! The messages of a migration without a transaction, pure: a run sends them, and a runbook writes them down.

use super::execute::outcome;
use super::left;
use super::message::{Settings, own_timeouts};
use super::options::Options;
use super::plan::Step;
use crate::kept::Aside;
use crate::ledger::{Direction, Event, Record, Since, Writer};
use crate::source::{Checksum, Script};
use crate::sql::{Class, is_local_setting};

/// Back to the role that logged in, for the rest of the transaction: the ledger is ours to write.
pub(super) const OURSELVES: &str = "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE;";

/// Waits for a lock as long as it takes.
pub(super) const PATIENTLY: &str = "SET lock_timeout TO 0;";

/// The row `started`, with what comes before an up; a down takes nothing away, so what belongs around it is done here.
pub(super) fn started(writer: &mut Writer, step: &Step, script: &Script, options: &Options, aside: &Aside) -> String {
    let record = writer.insert(&Record { event: Event::Started, ..outcome(step, script, options) });
    let after = if step.direction == Direction::Down { &aside.after[..] } else { "" };
    format!("BEGIN; {} {after} {record} COMMIT;", aside.before)
}

/// The script's own timeouts, and again what its first statements set for the session; may be empty.
pub(super) fn prepare(script: &Script, done: usize) -> String {
    let mut settings = own_timeouts(script, "");
    let before = script.statements().iter().take(done).filter(|statement| statement.class == Class::Session);
    settings.extend(before.map(|statement| format!("{};", &script.text()[statement.span.clone()])));
    settings.join(" ")
}

/// What its first statements set for the transaction that they are in; may be empty.
pub(super) fn local(script: &Script, done: usize) -> String {
    let texts = script.statements().iter().take(done).map(|statement| &script.text()[statement.span.clone()]);
    texts.filter(|text| is_local_setting(text)).map(|text| format!("{text};")).collect()
}

/// Whether the first `done` statements did anything that outlives their session.
pub(super) fn has_effect(script: &Script, done: usize) -> bool {
    script.statements().iter().take(done).any(|statement| statement.class != Class::Session)
}

/// What the statements from `done` up to `first` set for the session; may be empty.
pub(super) fn between(script: &Script, done: usize, first: usize) -> String {
    let skipped = script.statements().iter().take(first).skip(done);
    let settings = skipped.filter(|statement| statement.class == Class::Session);
    settings.map(|statement| format!("{};", &script.text()[statement.span.clone()])).collect()
}

/// The rows that say that nothing is left of a script whose first statement failed: the migration is where it was before.
pub(super) fn given_up(writer: &mut Writer, step: &Step) -> String {
    let of = |event, direction| Record::of(event, direction, step.version.as_str(), &step.name);
    let back = step.direction.reverse();
    let Some(undoes) = &step.undoes else {
        let undone = Record { note: Some("nothing of it was kept"), ..of(Event::Resolved, back) };
        return writer.insert(&undone);
    };
    // The way back of an unfinished one: that one is unfinished as before.
    let started = Record {
        up_checksum: undoes.up_checksum.as_ref().map(Checksum::as_str),
        down_checksum: undoes.down_checksum.as_ref().map(Checksum::as_str),
        note: Some("the way back failed at its first statement, and nothing of it was kept"),
        ..of(Event::Started, back)
    };
    let mut rows = writer.insert(&started);
    if undoes.done > 0 {
        rows += &writer.insert(&Record { statement: Some(undoes.done), ..of(Event::Progress, back) });
    }
    if let Some((statement, why)) = &undoes.failed {
        rows += &writer.insert(&Record { statement: Some(*statement), note: Some(why), ..of(Event::Failed, back) });
    }
    rows
}

/// Whether a statement waits for locks without a limit.
///
/// What runs concurrently waits for old transactions on purpose, and nobody has to wait for it meanwhile: the lock timeout
/// is for the others.
pub(super) fn is_patient(script: &Script, at: usize) -> bool {
    left::is_concurrent(script.statements()[at].class) && script.directives().lock_timeout.is_none()
}

/// One statement, with the row that records it where the two can share a transaction; and what stands before its text.
pub(super) fn statement(writer: &mut Writer, step: &Step, script: &Script, at: usize) -> (String, &'static str) {
    let statement = &script.statements()[at];
    let text = &script.text()[statement.span.clone()];
    match statement.class {
        Class::Plain => {
            let record = progress_record(writer, step, at);
            (format!("BEGIN; {text}\n; {OURSELVES} {record} COMMIT;"), "BEGIN; ")
        }
        _ => (text.to_owned(), ""),
    }
}

/// The row that says that a statement is done, in a transaction of its own.
pub(super) fn progress(writer: &mut Writer, step: &Step, at: usize) -> String {
    let record = progress_record(writer, step, at);
    format!("BEGIN; {OURSELVES} {record} COMMIT;")
}

fn progress_record(writer: &mut Writer, step: &Step, at: usize) -> String {
    let record = Record::of(Event::Progress, step.direction, step.version.as_str(), &step.name);
    writer.insert(&Record { statement: Some(at + 1), ..record })
}

/// The row that says that all of it is done, and the session as it was before.
pub(super) fn ended(
    writer: &mut Writer,
    step: &Step,
    script: &Script,
    options: &Options,
    settings: &Settings,
    started: i64,
    aside: &Aside,
) -> String {
    let record = writer.insert(&Record { since: Since::Row(started), ..outcome(step, script, options) });
    let after = if step.direction == Direction::Up { &aside.after[..] } else { "" };
    format!("BEGIN; {} {after} {record} COMMIT;", settings.isolate())
}
