//! `rollback`: undo what was applied last.

use migrate_core::{CodeMigrations, Policy, Target, runner};

use super::run::Runner;
use crate::cli::{DownFrom, Rollback};
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::output::Document;

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &Rollback) -> Result<Exit> {
    let target = match &options.to {
        Some(version) => Target::DownTo(version.clone()),
        None if options.all => Target::Zero,
        None => Target::Down(options.count.unwrap_or(1)),
    };
    let down_from = match options.down_from {
        DownFrom::Ledger => runner::DownFrom::Ledger,
        DownFrom::Files => runner::DownFrom::Files,
    };
    let policy = Policy { down_from, ..Policy::default() };
    let mut runner = Runner::new(context, code, options.change.lock_wait).await?;
    let report = runner.go(&target, policy, &options.change, "Roll back").await?;
    let output = context.output;
    if !options.change.dry_run {
        if report.done.is_empty() {
            output.line(format!("nothing to do: there is nothing to roll back on {}", runner.migrator.database()));
        } else {
            output.line(runner.total(&report, "rolled back"));
            output.next("`cargo xtask migrate` applies them again, `cargo xtask history` shows what was done");
        }
        if output.is_json() {
            let version = runner.version().await?;
            output.document(&Document::new("rollback", &context.name, runner.json(Some(&report), None, version)));
        }
    }
    runner.close().await;
    Ok(Exit::Done)
}
