//! Migrations without a transaction: statement by statement, with the progress recorded.
//!
//! A row `started` is committed before anything runs. A statement that can share a
//! transaction with its progress row does; what cannot (an index built concurrently) is
//! looked up in the catalogs when a run was interrupted between the two.

use std::time::Instant;

use super::drive::Broken;
use super::execute::{Executor, outcome, record_done};
use super::explain::{self, At};
use super::message::own_timeouts;
use super::options::Progress;
use super::plan::Step;
use crate::db::Failure;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, Place};
use crate::ledger::{Event, Record, Since};
use crate::source::Script;
use crate::sql::{Class, IndexName, Statement};

/// Back to the role that logged in, for the rest of the transaction: the ledger is ours to write.
pub(super) const OURSELVES: &str = "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE;";

/// Runs a script statement by statement, from where it was left.
pub(super) async fn run(run: &mut Executor<'_>, step: &Step, script: &Script) -> Result<()> {
    let begin = Instant::now();
    let (started, done) = match &step.resume {
        Some(unfinished) => (unfinished.id, unfinished.done),
        None => (start(run, step, script).await?, 0),
    };
    prepare_session(run, step, script, done).await?;
    let mut at = done;
    if step.resume.is_some() && at < script.statements().len() && is_done_already(run, step, script, at).await? {
        progress(run, step, at).await?;
        at += 1;
    }
    while at < script.statements().len() {
        if run.options.cancel.is_cancelled() {
            return Err(explain::interrupted(step));
        }
        run.options.observer.hear(&Progress::Statement(step, at + 1, script.statements().len()));
        run_statement(run, step, script, at).await?;
        at += 1;
    }
    let record = run.writer.insert(&Record { since: Since::Row(started), ..outcome(step, script, run.options) });
    let finish = format!("BEGIN; {} {record} COMMIT;", run.settings.isolate());
    run.record(step, &finish).await?;
    record_done(&mut run.report, run.options, step, begin.elapsed());
    Ok(())
}

/// Writes the row `started` and returns its number.
async fn start(run: &mut Executor<'_>, step: &Step, script: &Script) -> Result<i64> {
    let id = run.writer.next_id();
    let record = run.writer.insert(&Record { event: Event::Started, ..outcome(step, script, run.options) });
    run.record(step, &record).await?;
    Ok(id)
}

/// Sets the script's own timeouts, and repeats what its first statements set for the session.
async fn prepare_session(run: &mut Executor<'_>, step: &Step, script: &Script, done: usize) -> Result<()> {
    let mut settings = own_timeouts(script, "");
    let before = script.statements().iter().take(done).filter(|statement| statement.class == Class::Session);
    settings.extend(before.map(|statement| format!("{};", &script.text()[statement.span.clone()])));
    if settings.is_empty() { Ok(()) } else { run.record(step, &settings.join(" ")).await }
}

/// Runs one statement and records it; tries again where a lock was in the way.
async fn run_statement(run: &mut Executor<'_>, step: &Step, script: &Script, at: usize) -> Result<()> {
    let statement = &script.statements()[at];
    let text = &script.text()[statement.span.clone()];
    for tries in 1.. {
        // An index that is built or dropped concurrently waits for old transactions on purpose,
        // and nobody has to wait behind it: the lock timeout is for the others.
        let patient = matches!(statement.class, Class::CreateIndexConcurrently | Class::DropIndexConcurrently)
            && script.directives().lock_timeout.is_none();
        if patient {
            run.record(step, "SET lock_timeout TO 0;").await?;
        }
        let (message, head) = match statement.class {
            Class::Plain => {
                let record = progress_record(run, step, at);
                (format!("BEGIN; {text}\n; {OURSELVES} {record} COMMIT;"), "BEGIN; ")
            }
            _ => (text.to_owned(), ""),
        };
        let outcome = run.lines.drive(message.clone(), step, run.options, &mut |_| {}).await;
        if patient && outcome.is_ok() {
            let back = run.settings.sql();
            run.record(step, &back).await?;
        }
        match outcome {
            Ok(()) => return finish_statement(run, step, script, at).await,
            Err(broken) => {
                let place = position(&broken, &message, head);
                if statement.class == Class::Plain {
                    // The progress row went with its statement.
                    let unwritten = run.writer.next_id() - 1;
                    run.writer.resume_after(unwritten - 1);
                    if !broken.failure.is_lost() {
                        run.record(step, "ROLLBACK;").await?;
                    }
                    if run.try_again(step, &broken, tries).await {
                        continue;
                    }
                }
                return Err(failed(
                    run,
                    step,
                    script,
                    At { statement: at, byte: place.map(|n| n + statement.span.start) },
                    broken,
                )
                .await);
            }
        }
    }
    Ok(())
}

/// The byte of the statement that the server means.
fn position(broken: &Broken, message: &str, head: &str) -> Option<usize> {
    let Failure::Server(refusal) = &broken.failure else { return None };
    let byte = message.char_indices().nth(refusal.position?.checked_sub(1)?)?.0;
    byte.checked_sub(head.len())
}

/// After a statement that could not share a transaction: is it really done? Then record it.
async fn finish_statement(run: &mut Executor<'_>, step: &Step, script: &Script, at: usize) -> Result<()> {
    let statement = &script.statements()[at];
    if statement.class == Class::Plain {
        return Ok(());
    }
    if statement.class == Class::CreateIndexConcurrently
        && let Some((false, index)) = look_up(run, step, script, statement).await?
    {
        let why = format!("the index {index} exists but is not valid");
        let record = failed_record(run, step, at, &why);
        run.record(step, &record).await?;
        return Err(invalid_index(step, script, statement, &index));
    }
    progress(run, step, at).await
}

/// Records that a statement is done, in a transaction of its own.
async fn progress(run: &mut Executor<'_>, step: &Step, at: usize) -> Result<()> {
    let record = progress_record(run, step, at);
    run.record(step, &format!("BEGIN; {OURSELVES} {record} COMMIT;")).await
}

fn progress_record(run: &mut Executor<'_>, step: &Step, at: usize) -> String {
    let record = Record::of(Event::Progress, step.direction, step.version.as_str(), &step.name);
    run.writer.insert(&Record { statement: Some(at + 1), ..record })
}

fn failed_record(run: &mut Executor<'_>, step: &Step, at: usize, why: &str) -> String {
    let record = Record::of(Event::Failed, step.direction, step.version.as_str(), &step.name);
    let record = run.writer.insert(&Record { statement: Some(at + 1), note: Some(why), ..record });
    format!("BEGIN; {OURSELVES} {record} COMMIT;")
}

/// Whether the first statement that is not recorded is done all the same.
///
/// What can share a transaction with its record is not. An index tells for itself; one that
/// is half built is removed, so that it can be built again.
async fn is_done_already(run: &mut Executor<'_>, step: &Step, script: &Script, at: usize) -> Result<bool> {
    let statement = &script.statements()[at];
    match statement.class {
        Class::CreateIndexConcurrently => match look_up(run, step, script, statement).await? {
            Some((true, _)) => Ok(true),
            Some((false, index)) => {
                run.options.observer.hear(&Progress::Remark(&format!("removing the half-built index {index}")));
                run.record(step, "SET lock_timeout TO 0;").await?;
                run.record(step, &format!("DROP INDEX CONCURRENTLY {index}")).await?;
                let back = run.settings.sql();
                run.record(step, &back).await.map(|()| false)
            }
            None => Ok(false),
        },
        Class::DropIndexConcurrently => {
            let name = IndexName::of(&script.text()[statement.span.clone()]);
            Ok(name.is_some() && look_up(run, step, script, statement).await?.is_none())
        }
        _ => Ok(false),
    }
}

/// Asks the catalogs about the index of a statement: whether it is valid, and its quoted name.
async fn look_up(
    run: &mut Executor<'_>,
    step: &Step,
    script: &Script,
    statement: &Statement,
) -> Result<Option<(bool, String)>> {
    let Some(index) = IndexName::of(&script.text()[statement.span.clone()]) else { return Ok(None) };
    let rows = run.lines.worker.rows(&index.query).await;
    let rows = rows.map_err(|failure| {
        failure.explain(
            ErrorKind::Statement,
            "index",
            &format!("look up index {} of {}", index.name, explain::title(step)),
        )
    })?;
    Ok(rows.into_iter().next().and_then(|row| {
        let mut row = row.into_iter();
        Some((row.next()?? == "t", row.next()??))
    }))
}

/// Records the failure, unless nothing is left of the migration, and tells what is really there.
async fn failed(run: &mut Executor<'_>, step: &Step, script: &Script, at: At, broken: Broken) -> Error {
    let (cancelled, lost) = (broken.cancelled, broken.failure.is_lost());
    let why = broken.failure.why().to_owned();
    let statement = &script.statements()[at.statement];
    let error = explain::refused(step, at, broken);
    if cancelled || lost {
        // An interrupted migration is taken up by the next run; that needs no further row.
        return error;
    }
    let isolate = run.settings.isolate();
    if let Err(second) = run.record(step, &format!("BEGIN; {isolate} COMMIT;")).await {
        return error.note(format!("the failure could not be recorded: {second}"));
    }
    let left = match statement.class {
        Class::CreateIndexConcurrently => look_up(run, step, script, statement).await.ok().flatten(),
        _ => None,
    };
    let nothing_left = at.statement == 0 && left.is_none() && statement.class != Class::MayCommit;
    let mut record = failed_record(run, step, at.statement, &why);
    if nothing_left {
        let back = step.direction.reverse();
        let undone = Record::of(Event::Resolved, back, step.version.as_str(), &step.name);
        let undone = Record { note: Some("nothing of it was kept"), ..undone };
        record.push_str(&run.writer.insert(&undone));
    }
    let recorded = run.record(step, &record).await;
    let error = match left {
        Some((false, index)) => {
            error.note(format!("the index {index} was left behind half built: it is not used, and slows writes"))
        }
        _ => error,
    };
    let error = match recorded {
        Err(second) => error.note(format!("the failure could not be recorded: {second}")),
        Ok(()) => error,
    };
    match nothing_left {
        true => error.note("nothing of this migration was kept"),
        false => error
            .note(format!("{} of its {} statements are done and stay done", at.statement, script.statements().len()))
            .help(format!("`cargo xtask resolve {}` shows the ways out: go on, or undo", step.version)),
    }
}

fn invalid_index(step: &Step, script: &Script, statement: &Statement, index: &str) -> Error {
    let place = Place::within(script.path(), script.text().clone(), statement.span.clone());
    Error::new(
        ErrorKind::Statement,
        Finding::error("invalid-index", format!("the index {index} exists but is not valid"))
            .at(place)
            .note("IF NOT EXISTS took a half-built index, left by an earlier attempt, for the real one")
            .help(format!("`cargo xtask resolve {} --continue` removes it and builds it again", step.version)),
    )
}
