//! Migrations without a transaction: statement by statement, with the progress recorded.
//!
//! A row `started` is committed before anything runs. A statement that can share a
//! transaction with its progress row does; what cannot (an index built concurrently) is
//! looked up in the catalogs when a run was interrupted between the two.

use std::time::Instant;

use super::drive::Broken;
use super::execute::{Executor, record_done};
use super::explain::{self, At};
use super::options::Progress;
use super::plan::Step;
use super::singly::{self, OURSELVES, PATIENTLY};
use super::{aside, obstacle};
use crate::db::Failure;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, Place};
use crate::ledger::{Event, Record};
use crate::source::Script;
use crate::sql::{Class, IndexName, Statement};

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
    let aside = aside::around(run.options, &run.kept, step);
    let ended = singly::ended(&mut run.writer, step, script, run.options, &run.settings, started, &aside);
    send(run, step, &ended).await?;
    record_done(&mut run.report, run.options, step, begin.elapsed());
    Ok(())
}

/// Writes the row `started` and returns its number.
async fn start(run: &mut Executor<'_>, step: &Step, script: &Script) -> Result<i64> {
    let id = run.writer.next_id();
    let aside = aside::around(run.options, &run.kept, step);
    let record = singly::started(&mut run.writer, step, script, run.options, &aside);
    send(run, step, &record).await?;
    Ok(id)
}

/// Sends a row with what goes around the script, again where a lock was in the way.
async fn send(run: &mut Executor<'_>, step: &Step, sql: &str) -> Result<()> {
    for tries in 1.. {
        let Err(broken) = run.lines.drive(sql.to_owned(), step, run.options, &mut |_| {}).await else { break };
        if broken.failure.is_taken(&run.options.ledger) {
            return Err(Error::new(ErrorKind::Stale, obstacle::stale()));
        }
        if !broken.failure.is_lost() {
            run.record(step, "ROLLBACK;").await?;
        }
        if !run.try_again(step, &broken, tries).await {
            return Err(explain::refused(step, At { statement: explain::BEFORE, byte: None }, broken));
        }
    }
    Ok(())
}

/// Sets the script's own timeouts, and repeats what its first statements set for the session.
async fn prepare_session(run: &mut Executor<'_>, step: &Step, script: &Script, done: usize) -> Result<()> {
    let settings = singly::prepare(script, done);
    if settings.is_empty() { Ok(()) } else { run.record(step, &settings).await }
}

/// Runs one statement and records it; tries again where a lock was in the way.
async fn run_statement(run: &mut Executor<'_>, step: &Step, script: &Script, at: usize) -> Result<()> {
    let statement = &script.statements()[at];
    for tries in 1.. {
        let patient = singly::is_patient(script, at);
        if patient {
            run.record(step, PATIENTLY).await?;
        }
        let (message, head) = singly::statement(&mut run.writer, step, script, at);
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
    let record = singly::progress(&mut run.writer, step, at);
    run.record(step, &record).await
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
                run.record(step, PATIENTLY).await?;
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
