//! `redo`: undo the last migrations and apply the same ones again.

use migrate_core::{CodeMigrations, Policy, RunReport, Target};

use super::run::{Runner, What, Wish};
use crate::cli::{Change, Redo};
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::output::Document;

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &Redo) -> Result<Exit> {
    let wish = Wish { keep_data: options.keep_data, ..(&options.change).into() };
    let mut runner = Runner::new(context, code, wish).await?;
    let what = |verb| What { command: "redo", verb };
    // The edited file is what is tried here, so its down goes with it.
    let policy = Policy { allow_out_of_order: true, ..context.policy(false) };
    let down =
        runner.go(&Target::Down(options.count), policy, &options.change, what("Roll back and apply again")).await?;
    let output = context.output;
    if options.change.dry_run {
        runner.close().await;
        return Ok(Exit::Done);
    }
    let agreed = Change { yes: true, ..options.change.clone() };
    let up = match down.done.iter().filter_map(|done| done.version.parse().ok()).max() {
        Some(newest) => runner.go(&Target::UpTo(newest), policy, &agreed, what("Apply")).await?,
        None => RunReport::default(),
    };
    let elapsed = down.elapsed + up.elapsed;
    let report = RunReport { done: down.done.into_iter().chain(up.done).collect(), elapsed };
    if report.done.is_empty() {
        output.line(format!("nothing to do: nothing is applied on {}", runner.migrator.database()));
    } else {
        output.line(
            runner.total(&RunReport { done: report.done[report.done.len() / 2..].to_vec(), elapsed }, "done again"),
        );
    }
    if output.is_json() {
        let version = runner.version().await?;
        output.document(&Document::new("redo", &context.name, runner.json(Some(&report), None, version)));
    }
    runner.close().await;
    Ok(Exit::Done)
}
