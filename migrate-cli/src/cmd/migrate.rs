//! `migrate`: apply pending migrations.

use migrate_core::{CodeMigrations, RunPolicy, Target, Version};

use super::run::{CommandWords, RunOptions, Runner};
use crate::cli::MigrateArgs;
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::output::{DocumentJson, style};

/// The target of an upward run.
pub(super) fn target(to: Option<&Version>, count: Option<usize>) -> Target {
    match (to, count) {
        (Some(version), _) => Target::UpTo(version.clone()),
        (None, Some(count)) => Target::Up(count),
        (None, None) => Target::Latest,
    }
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &MigrateArgs) -> Result<Exit> {
    let target = target(options.to.as_ref(), options.count);
    let policy = RunPolicy { allow_out_of_order: options.allow_out_of_order, ..context.policy(options.allow_newer) };
    let wish = RunOptions { leave_kept: options.leave_kept, ..(&options.change).into() };
    let mut runner = Runner::new(context, code, wish).await?;
    let report =
        runner.go(&target, policy, &options.change, CommandWords { command: "migrate", verb: "Apply" }).await?;
    let output = context.output;
    if !options.change.dry_run {
        if report.done.is_empty() {
            output.line(nothing_to_do(&mut runner, options).await?);
        } else {
            output.line(runner.total(&report, "applied"));
            if !output.is_json() {
                output.next(next(&mut runner).await);
            }
        }
        if output.is_json() {
            let version = runner.version().await?;
            output.document(&DocumentJson::new("migrate", &context.name, runner.json(Some(&report), None, version)));
        }
    }
    runner.close().await;
    Ok(Exit::Done)
}

/// Why nothing had to be done.
async fn nothing_to_do(runner: &mut Runner<'_>, options: &MigrateArgs) -> Result<String> {
    let name = runner.migrator.database().to_string();
    if let Some(version) = &options.to {
        let pending = runner.migrator.status().await?.pending.len();
        let verb = if pending == 1 { "is" } else { "are" };
        let newer = style::count(pending, "newer migration");
        if pending > 0 {
            return Ok(format!("nothing to do: {name} is already at {version}; {newer} {verb} pending"));
        }
    }
    Ok(format!("nothing to do: {name} is up to date"))
}

/// The next step after a successful run. The run is over: if nobody can look what is pending, nothing is said about it.
async fn next(runner: &mut Runner<'_>) -> &'static str {
    let context = runner.context;
    if context.is_unnamed || context.environment.protected {
        "`cargo xtask status` shows what is applied; `cargo xtask rollback` rolls back the last migration"
    } else if runner.migrator.status().await.is_ok_and(|status| !status.pending.is_empty()) {
        "`cargo xtask migrate` applies the rest, `cargo xtask status` shows what is pending"
    } else if super::seed::usual_file(context).is_file() {
        "`cargo xtask seed` loads development data, `cargo xtask db psql` opens psql, `cargo xtask new NAME` starts \
         the next change"
    } else {
        "`cargo xtask db psql` opens psql, `cargo xtask new NAME` starts the next change"
    }
}
