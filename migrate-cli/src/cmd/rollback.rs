//! `rollback`: roll back the last applied migrations.

use migrate_base::codes;
use migrate_core::{CodeMigrations, RunPolicy, Target, Version, runner};

use super::run::{CommandWords, RunOptions, Runner};
use crate::cli::{DownFromArg, RollbackArgs};
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::DocumentJson;

impl From<DownFromArg> for runner::DownFrom {
    fn from(typed: DownFromArg) -> Self {
        match typed {
            DownFromArg::Ledger => Self::Ledger,
            DownFromArg::Files => Self::Files,
        }
    }
}

/// The target of a rollback.
pub(super) fn target(to: Option<&Version>, count: Option<usize>, all: bool) -> Target {
    match to {
        Some(version) => Target::DownTo(version.clone()),
        None if all => Target::Zero,
        None => Target::Down(count.unwrap_or(1)),
    }
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &RollbackArgs) -> Result<Exit> {
    let target = target(options.to.as_ref(), options.count, options.all);
    let policy = RunPolicy { down_from: options.down_from.into(), ..context.policy(false) };
    let change = &options.change;
    if context.environment.protected && change.reason.is_none() && !change.dry_run {
        let name = &context.name;
        return Err(Failure::usage(
            codes::NEEDS_REASON,
            format!("{name} is protected: a rollback there needs a reason"),
        )
        .help("give it with --reason; it goes into the ledger, the run record and the message to the team")
        .help("--dry-run shows what the rollback would do and what it would cost"));
    }
    let mut runner = Runner::new(context, code, RunOptions { keep_data: options.keep_data, ..change.into() }).await?;
    let report = runner.go(&target, policy, change, CommandWords { command: "rollback", verb: "Roll back" }).await?;
    let output = context.output;
    if !change.dry_run {
        if report.done.is_empty() {
            output.line(format!("nothing to do: there is nothing to roll back on {}", runner.migrator.database()));
        } else {
            output.line(runner.total(&report, "rolled back"));
            let (them, migrations) = if report.done.len() == 1 { ("it", "migration") } else { ("them", "migrations") };
            output.next(match options.keep_data {
                true => format!(
                    "`cargo xtask kept` lists the data that was kept; `cargo xtask migrate` reapplies the {migrations} \
                     and restores it"
                ),
                false => format!("`cargo xtask migrate` reapplies {them}, `cargo xtask history` shows what was done"),
            });
        }
        if output.is_json() {
            let version = runner.version().await?;
            output.document(&DocumentJson::new("rollback", &context.name, runner.json(Some(&report), None, version)));
        }
    }
    runner.close().await;
    Ok(Exit::Done)
}
