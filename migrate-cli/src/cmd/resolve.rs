//! `resolve`: show what an unfinished migration left, and finish or undo it.

use migrate_base::codes;
use migrate_core::runner::{Resolution, UnfinishedReport};
use migrate_core::{CodeMigrations, RunReport};
use serde::Serialize;

use super::run::{RunOptions, Runner};
use super::status::AttemptJson;
use crate::cli::ResolveArgs;
use crate::confirm::{confirm, confirm_loss};
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::style::{self, BAD, BOLD, DIM, GOOD};
use crate::output::{DocumentJson, TextTable, printer};

#[derive(Serialize)]
struct ResolveJson {
    #[serde(flatten)]
    attempt: AttemptJson,
    script_unchanged: bool,
    uncertain_statement: Option<usize>,
    statements: Vec<ResolveStatementJson>,
    resolved: bool,
}

#[derive(Serialize)]
struct ResolveStatementJson {
    statement: usize,
    text: String,
    recorded: bool,
    seen: Option<String>,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &ResolveArgs) -> Result<Exit> {
    if options.from.is_some() && !options.go_on && !options.undo {
        return Err(Failure::usage(codes::USAGE, "--from needs --continue or --undo"));
    }
    let mut runner = Runner::new(context, code, RunOptions::default()).await?;
    let output = context.output;
    let Some(unresolved) = runner.migrator.unresolved().await? else {
        output.line("nothing to do: no migration is unfinished");
        output.document(&DocumentJson::new("resolve", &context.name, serde_json::json!({ "unfinished": null })));
        return Ok(Exit::Done);
    };
    let unfinished = &unresolved.unfinished;
    if let Some(version) = options.version.as_ref().filter(|version| **version != unfinished.version) {
        let message = format!(
            "migration {version} is not unfinished; the unfinished one is {}_{}",
            unfinished.version, unfinished.name
        );
        return Err(Failure::usage(codes::NOT_UNFINISHED, message));
    }
    show(context, &unresolved);
    let Some(way) = way(options, &unresolved, context) else {
        if unfinished.running.is_none() {
            ways_out(context, &unresolved);
        }
        output.document(&DocumentJson::new("resolve", &context.name, json(&unresolved, false)));
        return Ok(Exit::Found);
    };
    let runs_back = match way {
        // An unfinished undo cannot be undone itself; that is refused later.
        _ if unfinished.undoes.is_some() => None,
        Resolution::Undo => Some(unresolved.undoing_runs(None)),
        Resolution::UndoFrom(from) => Some(unresolved.undoing_runs(Some(from))),
        _ => None,
    };
    if let Some(runs_back) = runs_back.filter(|_| unfinished.running.is_none() && !unresolved.reality.is_empty()) {
        output.line(undoing(&unresolved, runs_back));
    }
    match runs_back {
        // Undoing a whole migration destroys what a rollback would destroy.
        Some(true) => confirm_loss(context, options.yes, "Resolve it as asked.")?,
        _ => confirm(context, options.yes, "Resolve it as asked.")?,
    }
    context.name_commit(&mut runner.migrator).await;
    let RunReport { done, elapsed, .. } = runner.migrator.resolve(&way).await?;
    output.line(match done.len() {
        0 => format!("\n{BOLD}recorded{BOLD:#}; nothing was run"),
        _ => format!("\n{BOLD}resolved{BOLD:#} in {}", style::time(elapsed)),
    });
    output.next("`cargo xtask status` shows what is applied");
    output.document(&DocumentJson::new("resolve", &context.name, json(&unresolved, true)));
    runner.close().await;
    Ok(Exit::Done)
}

fn way(options: &ResolveArgs, unresolved: &UnfinishedReport, context: &Context<'_>) -> Option<Resolution> {
    let applied = options.mark_applied.clone().map(Resolution::Applied);
    let rolled_back = options.mark_rolled_back.clone().map(Resolution::RolledBack);
    let is_asked = options.go_on || options.undo;
    let from = options.from.or_else(|| unresolved.uncertain.filter(|_| is_asked).and_then(|at| ask(context, at)));
    let go_on = options.go_on.then(|| from.map_or(Resolution::Continue, Resolution::ContinueFrom));
    let undo = options.undo.then(|| from.map_or(Resolution::Undo, Resolution::UndoFrom));
    applied.or(rolled_back).or(go_on).or(undo)
}

/// Asks on a terminal whether a statement that commits by itself was done; returns the first statement that is not
/// done.
fn ask(context: &Context<'_>, statement: usize) -> Option<usize> {
    use std::io::{BufRead, IsTerminal};
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() || context.output.is_json() {
        return None;
    }
    // A terminal that cannot be written to or read from gives no answer; the error says how to give one as an option.
    printer::ask(&format!(
        "Statement {statement} may have been done completely or partly. Count it as done? [yes/no] "
    ));
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    match answer.trim() {
        "yes" | "y" => Some(statement + 1),
        "no" | "n" => Some(statement),
        _ => None,
    }
}

/// Whether there is a script to use: the one that was running, or a corrected one if no statement of it is done.
fn has_script(unresolved: &UnfinishedReport) -> bool {
    unresolved.script.is_some() || (unresolved.unfinished.done == 0 && !unresolved.reality.is_empty())
}

/// What undoing will do, in words.
fn undoing(unresolved: &UnfinishedReport, runs_back: bool) -> String {
    let (done, of) = (unresolved.unfinished.done, unresolved.reality.len());
    match runs_back {
        false => "no statement is done: cleaning up what the interrupted one left, and running nothing else".to_owned(),
        true => format!(
            "running the whole script of the opposite direction, although only {done} of {of} statements are done: the \
             changes of the others are not there"
        ),
    }
}

fn show(context: &Context<'_>, unresolved: &UnfinishedReport) {
    let one = &unresolved.unfinished;
    let output = context.output;
    if let Some(holder) = &one.running {
        output.quoted(format!("{BOLD}running now{BOLD:#}: {holder}"));
    }
    output.line(format!(
        "{BOLD}{}_{}{BOLD:#} started at {} by {}, {}",
        one.version,
        one.name,
        style::moment(&one.at),
        one.by,
        one.direction
    ));
    let failed = one.failed.as_ref();
    let mut table = TextTable::default();
    for reality in &unresolved.reality {
        let (style, word) = match failed {
            _ if reality.recorded => (GOOD, "done"),
            Some((statement, _)) if *statement == reality.statement => (BAD, "failed"),
            _ => (DIM, "not recorded"),
        };
        table.row([
            (DIM, format!("  {}", reality.statement)),
            (style, word.to_owned()),
            (style::PLAIN, reality.text.chars().take(70).collect()),
            (BOLD, reality.seen.clone().unwrap_or_default()),
        ]);
    }
    output.lines(&table.lines());
    if let Some((statement, why)) = failed {
        output.quoted(format!("statement {statement} failed: {why}"));
    }
}

fn ways_out(context: &Context<'_>, unresolved: &UnfinishedReport) {
    let version = &unresolved.unfinished.version;
    let output = context.output;
    let way = |way: &str, what: &str| output.line(format!("  cargo xtask resolve {version} {way}\n      {what}"));
    if !has_script(unresolved) {
        let what = if unresolved.reality.is_empty() { "missing" } else { "not the one that was running" };
        output.line(format!(
            "\nThe script of this migration is {what}. Restore the file as it was, then `cargo xtask resolve \
             {version}` shows how to continue; or choose one:"
        ));
        // The script of the opposite direction runs as a whole, whatever this one contains now.
        let is_open = !unresolved.reality.is_empty() && unresolved.unfinished.undoes.is_none();
        if is_open && unresolved.uncertain.is_none() {
            way("--undo", "runs the whole script of the opposite direction, as it is in the folder");
        }
        output.line(format!("  cargo xtask resolve {version} --mark-applied REASON"));
        way("--mark-rolled-back REASON", "run nothing, and record what you have done by hand");
        return;
    }
    output.line("\nFix the cause, then choose one:");
    match unresolved.uncertain {
        Some(at) => {
            way(&format!("--continue --from {at}"), &format!("runs statement {at} again, and those after it"));
            way(
                &format!("--continue --from {}", at + 1),
                &format!("counts statement {at} as done, and runs those after it"),
            );
        }
        None => way("--continue", "runs the remaining statements; a half-built index is dropped and rebuilt"),
    }
    match (unresolved.unfinished.undoes.is_some(), unresolved.uncertain) {
        (true, _) => {}
        (false, Some(at)) => {
            way(&format!("--undo --from {at}"), &format!("rolls back, if statement {at} was not done"));
            way(&format!("--undo --from {}", at + 1), &format!("rolls back, if statement {at} was done"));
        }
        (false, None) if unresolved.unfinished.done == 0 => {
            way("--undo", "cleans up what the interrupted statement left, and runs nothing else: no statement is done");
        }
        (false, None) => way("--undo", "runs the whole script of the opposite direction"),
    }
    output.line(format!("  cargo xtask resolve {version} --mark-applied REASON"));
    way("--mark-rolled-back REASON", "run nothing, and record what you have done by hand");
}

fn json(unresolved: &UnfinishedReport, resolved: bool) -> ResolveJson {
    let statements = unresolved.reality.iter().map(|reality| ResolveStatementJson {
        statement: reality.statement,
        text: reality.text.clone(),
        recorded: reality.recorded,
        seen: reality.seen.clone(),
    });
    ResolveJson {
        attempt: AttemptJson::from(&unresolved.unfinished),
        script_unchanged: unresolved.script.is_some(),
        uncertain_statement: unresolved.uncertain,
        statements: statements.collect(),
        resolved,
    }
}
