//! `resolve`: what an unfinished migration left, and the ways out.

use migrate_core::runner::{Resolution, Unresolved};
use migrate_core::{CodeMigrations, RunReport};
use serde::Serialize;

use super::run::{Runner, Wish};
use super::status::AttemptJson;
use crate::cli::Resolve;
use crate::context::{Context, confirm};
use crate::exit::{Exit, Failure, Result};
use crate::output::style::{self, BAD, BOLD, DIM, GOOD};
use crate::output::{Document, Table};

#[derive(Serialize)]
struct ResolveJson {
    #[serde(flatten)]
    attempt: AttemptJson,
    script_unchanged: bool,
    statements: Vec<StatementJson>,
    resolved: bool,
}

#[derive(Serialize)]
struct StatementJson {
    statement: usize,
    text: String,
    recorded: bool,
    seen: Option<String>,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &Resolve) -> Result<Exit> {
    let mut runner = Runner::new(context, code, Wish::default()).await?;
    let output = context.output;
    let Some(unresolved) = runner.migrator.unresolved().await? else {
        output.line("nothing to do: no migration is unfinished");
        output.document(&Document::new("resolve", &context.name, serde_json::json!({ "unfinished": null })));
        return Ok(Exit::Done);
    };
    let unfinished = &unresolved.unfinished;
    if let Some(version) = options.version.as_ref().filter(|version| **version != unfinished.version) {
        let message = format!("migration {version} is not unfinished; {}_{} is", unfinished.version, unfinished.name);
        return Err(Failure::usage("not-unfinished", message));
    }
    show(context, &unresolved);
    let Some(way) = way(options) else {
        ways_out(context, &unresolved);
        output.document(&Document::new("resolve", &context.name, json(&unresolved, false)));
        return Ok(Exit::Found);
    };
    confirm(context, options.yes, "Resolve it as asked.")?;
    let RunReport { done, elapsed } = runner.migrator.resolve(&way).await?;
    output.line(match done.len() {
        0 => format!("\n{BOLD}recorded{BOLD:#}; nothing was run"),
        _ => format!("\n{BOLD}resolved{BOLD:#} in {}", style::time(elapsed)),
    });
    output.next("`cargo xtask status` shows where the chain stands");
    output.document(&Document::new("resolve", &context.name, json(&unresolved, true)));
    runner.close().await;
    Ok(Exit::Done)
}

fn way(options: &Resolve) -> Option<Resolution> {
    let applied = options.mark_applied.clone().map(Resolution::Applied);
    let rolled_back = options.mark_rolled_back.clone().map(Resolution::RolledBack);
    let go_on = options.go_on.then_some(Resolution::Continue);
    let undo = options.undo.then_some(Resolution::Undo);
    applied.or(rolled_back).or(go_on).or(undo)
}

fn show(context: &Context<'_>, unresolved: &Unresolved) {
    let one = &unresolved.unfinished;
    let output = context.output;
    output.line(format!(
        "{BOLD}{}_{}{BOLD:#} began at {} by {}, {}",
        one.version,
        one.name,
        style::moment(&one.at),
        one.by,
        one.direction
    ));
    let failed = one.failed.as_ref();
    let mut table = Table::default();
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
    for line in table.lines() {
        output.line(line);
    }
    if let Some((statement, why)) = failed {
        output.line(format!("statement {statement} failed: {why}"));
    }
}

fn ways_out(context: &Context<'_>, unresolved: &Unresolved) {
    let version = &unresolved.unfinished.version;
    let output = context.output;
    output.line(format!("\nThe ways out, when the cause is fixed:\n  cargo xtask resolve {version} --continue"));
    output.line("      runs the statements that are left; a half-built index is removed and built again");
    output.line(format!("  cargo xtask resolve {version} --undo"));
    output.line("      runs the script of the other direction");
    output.line(format!("  cargo xtask resolve {version} --mark-applied REASON"));
    output.line(format!("  cargo xtask resolve {version} --mark-rolled-back REASON"));
    output.line("      run nothing, and record what you have done by hand");
}

fn json(unresolved: &Unresolved, resolved: bool) -> ResolveJson {
    let statements = unresolved.reality.iter().map(|reality| StatementJson {
        statement: reality.statement,
        text: reality.text.clone(),
        recorded: reality.recorded,
        seen: reality.seen.clone(),
    });
    ResolveJson {
        attempt: AttemptJson::from(&unresolved.unfinished),
        script_unchanged: unresolved.script.is_some(),
        statements: statements.collect(),
        resolved,
    }
}
