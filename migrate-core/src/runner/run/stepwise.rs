//! Migrations without a transaction: they run stepwise, and their progress is recorded.
//!
//! A row `started` is committed before anything runs. A statement that can share a transaction with its progress row
//! does so; for others (such as an index built concurrently), the catalogs are queried if a run was interrupted between
//! the two: see [`leftover`](crate::runner::message::leftover).

use std::collections::BTreeSet;
use std::time::Instant;

use migrate_base::codes;
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};
use migrate_base::sql::{IndexName, Statement, StatementClass};

use super::execute::{Executor, record_done};
use super::pulse::MessageSteps;
use super::surround;
use crate::ledger::{LedgerEvent, LedgerRow};
use crate::runner::message::leftover::{self, LEFT_BEHIND, LeftoverObject, NOT_VALID};
use crate::runner::message::locate::{FailurePart, FailurePlace};
use crate::runner::message::stepwise::{self, OURSELVES, PATIENTLY};
use crate::runner::message::{MessageFailure, explain};
use crate::runner::options::Progress;
use crate::runner::plan::{PlanStep, obstacle};
use crate::source::Script;

/// Runs a script statement by statement, from where it stopped.
pub(in crate::runner) async fn run(run: &mut Executor<'_>, step: &PlanStep, script: &Script) -> Result<()> {
    let begin = Instant::now();
    let (started, done) = match &step.resume {
        Some(unfinished) => (unfinished.id, unfinished.done),
        None => (start(run, step, script).await?, 0),
    };
    prepare_session(run, step, script, done).await?;
    let mut at = match &step.resume {
        Some(_) => take_up(run, step, script, done).await?,
        None => done,
    };
    while at < script.statements().len() {
        if run.options.cancel.is_cancelled() {
            return Err(explain::interrupted(step));
        }
        run.options.observer.hear(&Progress::Statement(step, at + 1, script.statements().len()));
        run_statement(run, step, script, at).await?;
        at += 1;
    }
    let aside = surround::around(run.options, &run.kept, step);
    let ended = stepwise::ended(&mut run.writer, step, script, run.options, &run.settings, started, &aside);
    send(run, step, &ended).await?;
    record_done(&mut run.report, run.options, step, begin.elapsed());
    Ok(())
}

/// Settles what an interrupted run left; returns the first statement to run.
async fn take_up(run: &mut Executor<'_>, step: &PlanStep, script: &Script, done: usize) -> Result<usize> {
    let is_done = run.settle(step, script, done).await?;
    let first = match (step.from, is_done) {
        (Some(from), _) => from,
        (None, Some(is_done)) => done + usize::from(is_done),
        (None, None) => return Err(leftover::may_be_done(step, script, done, "--continue")),
    };
    if first > done {
        progress(run, step, first - 1).await?;
        let settings = stepwise::between(script, done, first);
        if !settings.is_empty() {
            run.record(step, &settings).await?;
        }
    }
    Ok(first)
}

/// Writes the row `started` and returns its number.
async fn start(run: &mut Executor<'_>, step: &PlanStep, script: &Script) -> Result<i64> {
    let id = run.writer.next_id();
    let aside = surround::around(run.options, &run.kept, step);
    let record = stepwise::started(&mut run.writer, step, script, run.options, &aside);
    send(run, step, &record).await?;
    Ok(id)
}

/// Sends a row with the SQL around the script; retries if a lock is not available.
async fn send(run: &mut Executor<'_>, step: &PlanStep, sql: &str) -> Result<()> {
    for tries in 1.. {
        let Err(broken) = run.lines.drive(sql.to_owned(), &MessageSteps::of(step), run.options, &mut |_| {}).await
        else {
            break;
        };
        if broken.failure.is_taken(&run.options.ledger) {
            return Err(Error::new(ErrorKind::Stale, obstacle::stale()));
        }
        if !broken.failure.is_lost() {
            run.record(step, "ROLLBACK;").await?;
        }
        if !run.try_again(step, &broken, tries).await {
            return Err(explain::refused(step, FailurePart::Before.into(), broken));
        }
    }
    Ok(())
}

/// Sets the script's own timeouts, and repeats the session settings of its first statements.
async fn prepare_session(run: &mut Executor<'_>, step: &PlanStep, script: &Script, done: usize) -> Result<()> {
    let settings = stepwise::prepare(script, done);
    if settings.is_empty() { Ok(()) } else { run.record(step, &settings).await }
}

/// Runs one statement and records it; retries if a lock is not available.
async fn run_statement(run: &mut Executor<'_>, step: &PlanStep, script: &Script, at: usize) -> Result<()> {
    let statement = &script.statements()[at];
    if leftover::is_concurrent(statement.class) {
        return run_concurrent(run, step, script, at).await;
    }
    for tries in 1.. {
        let (message, head) = stepwise::statement(&mut run.writer, step, script, at);
        let Err(broken) =
            run.lines.drive(message.clone(), &MessageSteps::statement(step, at), run.options, &mut |_| {}).await
        else {
            break;
        };
        let place = FailurePlace::apart(&broken.failure, &message, head.len(), script, at);
        if statement.class == StatementClass::Plain {
            // The progress row was rolled back with its statement.
            let unwritten = run.writer.next_id() - 1;
            run.writer.resume_after(unwritten - 1);
            if !broken.failure.is_lost() {
                run.record(step, "ROLLBACK;").await?;
            }
            if run.try_again(step, &broken, tries).await {
                continue;
            }
        }
        return Err(failed(run, step, script, at, place, broken, None).await);
    }
    match statement.class {
        StatementClass::Plain => Ok(()),
        _ => progress(run, step, at).await,
    }
}

/// Runs a statement that can leave something half done, and checks before and after it what is half done.
async fn run_concurrent(run: &mut Executor<'_>, step: &PlanStep, script: &Script, at: usize) -> Result<()> {
    let is_patient = stepwise::is_patient(script, at);
    let before = run.look_left(step, if is_patient { PATIENTLY } else { "" }).await?;
    let (message, head) = stepwise::statement(&mut run.writer, step, script, at);
    if let Err(broken) =
        run.lines.drive(message.clone(), &MessageSteps::statement(step, at), run.options, &mut |_| {}).await
    {
        let place = FailurePlace::apart(&broken.failure, &message, head.len(), script, at);
        return Err(failed(run, step, script, at, place, broken, Some(&before)).await);
    }
    // The timeouts of the run, and those of the script itself.
    let back = match is_patient {
        true => format!("{} {}", run.settings.sql(), stepwise::prepare(script, at + 1)),
        false => String::new(),
    };
    let after = run.look_left(step, &back).await?;
    // With IF NOT EXISTS it may have accepted a half-built index.
    if script.statements()[at].class == StatementClass::CreateIndexConcurrently && !after.is_empty() {
        let named = IndexName::of(&script.text()[script.statements()[at].span.clone()]);
        if let Some(name) = run.half_built(step, named).await? {
            let record = failed_record(run, step, at, &format!("the index {name} {NOT_VALID}"));
            run.record(step, &own(&record)).await?;
            return Err(invalid_index(step, script, &script.statements()[at], &name));
        }
    }
    progress(run, step, at).await
}

/// Records that a statement is done, in its own transaction.
async fn progress(run: &mut Executor<'_>, step: &PlanStep, at: usize) -> Result<()> {
    let record = stepwise::progress(&mut run.writer, step, at);
    run.record(step, &record).await
}

fn failed_record(run: &mut Executor<'_>, step: &PlanStep, at: usize, why: &str) -> String {
    let record = LedgerRow::of(LedgerEvent::Failed, step.direction, step.version.as_str(), &step.name);
    run.writer.insert(&LedgerRow { statement: Some(at + 1), note: Some(why), ..record })
}

/// Our own rows in a transaction.
fn own(rows: &str) -> String {
    format!("BEGIN; {OURSELVES} {rows} COMMIT;")
}

/// Records the failure, unless nothing remains of the migration, and reports the actual state. `before` is what was
/// half done before a statement that may leave more.
async fn failed(
    run: &mut Executor<'_>,
    step: &PlanStep,
    script: &Script,
    at: usize,
    place: FailurePlace,
    broken: MessageFailure,
    before: Option<&BTreeSet<LeftoverObject>>,
) -> Error {
    let (cancelled, lost) = (broken.cancelled, broken.failure.is_lost());
    let mut why = broken.failure.why().to_owned();
    let class = script.statements()[at].class;
    let error = explain::refused(step, place, broken);
    if cancelled || lost {
        // The next run resumes an interrupted migration; that needs no further row.
        return error;
    }
    let isolate = format!("BEGIN; {} COMMIT;", run.settings.isolate());
    let left = match before {
        Some(before) => run
            .look_left(step, &isolate)
            .await
            .map(|after| after.difference(before).cloned().map(|left| left.by(class)).collect()),
        None => run.record(step, &isolate).await.map(|()| Vec::new()),
    };
    let left: Vec<LeftoverObject> = match left {
        Ok(left) => left,
        Err(second) => return error.note(format!("the failure could not be recorded: {second}")),
    };
    if !left.is_empty() {
        let brief: Vec<String> = left.iter().map(LeftoverObject::brief).collect();
        why = format!("{why}{LEFT_BEHIND}{}", brief.join("; "));
    }
    let nothing_left = !stepwise::has_effect(script, at) && left.is_empty() && class != StatementClass::MayCommit;
    let mut record = failed_record(run, step, at, &why);
    if nothing_left {
        record.push_str(&stepwise::given_up(&mut run.writer, step));
    }
    let recorded = run.record(step, &own(&record)).await;
    let error = left.iter().fold(error, |error, left| error.note(left.note()));
    let error = match recorded {
        Err(second) => error.note(format!("the failure could not be recorded: {second}")),
        Ok(()) => error,
    };
    let version = &step.version;
    match (&step.undoes, nothing_left) {
        (None, true) => error.note("nothing of this migration was kept"),
        (Some(undoes), true) => error
            .note(format!("nothing of the undo was kept: {} statements of {version} are still done", undoes.done))
            .help(format!("`cargo xtask resolve {version}` shows what you can do")),
        (None, false) => error
            .note(format!("{at} of its {} statements are done and stay done", script.statements().len()))
            .help(format!("`cargo xtask resolve {version}` shows what you can do: continue, or undo")),
        (Some(_), false) => error
            .note(format!("{at} of the {} statements of the undo are done and stay done", script.statements().len()))
            .help(format!("remove the cause; `cargo xtask resolve {version} --continue` runs the rest of the undo")),
    }
}

fn invalid_index(step: &PlanStep, script: &Script, statement: &Statement, index: &str) -> Error {
    let place = Place::within(script.path(), script.text().clone(), statement.span.clone());
    Error::new(
        ErrorKind::Statement,
        Finding::new(codes::INVALID_INDEX, format!("the index {index} {NOT_VALID}"))
            .at(place)
            .note("IF NOT EXISTS accepted a half-built index that an earlier attempt left behind")
            .help(format!("`cargo xtask resolve {} --continue` removes it and builds it again", step.version)),
    )
}
