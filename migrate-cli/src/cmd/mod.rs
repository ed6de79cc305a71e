//! The commands, one file each: each takes the arguments and returns an exit code.

mod adopt;
mod audit;
mod baseline;
mod capture;
mod check;
pub(crate) mod ci;
mod completions;
mod consumers;
mod convert;
mod db;
mod derive;
mod diff;
mod doctor;
mod drift;
mod ensure;
mod explain;
mod history;
mod kept;
mod lint;
mod losing;
mod migrate;
mod new;
mod notify;
mod rebase;
mod redo;
mod replace;
mod resolve;
mod rollback;
mod run;
mod runbook;
mod seed;
mod squash;
mod status;
mod upto;
mod verify;
mod watched;

use migrate_core::CodeMigrations;

use crate::cli::{Cli, Command};
use crate::context::{Context, DEVELOPMENT};
use crate::exit::{Exit, Result};
use crate::output::CliOutput;

/// Runs the command.
pub(crate) async fn run(cli: &Cli, code: CodeMigrations, output: &CliOutput) -> Result<Exit> {
    if let Command::Completions { shell } = &cli.command {
        return completions::run(output, cli.global.env.as_deref().unwrap_or(DEVELOPMENT), *shell);
    }
    if let Command::Explain(options) = &cli.command {
        return explain::run(output, cli.global.env.as_deref().unwrap_or(DEVELOPMENT), options);
    }
    if let Command::Doctor = &cli.command {
        return doctor::run(&cli.global, code, output).await;
    }
    let context = Context::new(&cli.global, output)?;
    match &cli.command {
        Command::New(options) => new::run(&context, code, options).await,
        Command::Migrate(options) => migrate::run(&context, code, options).await,
        Command::Rollback(options) => rollback::run(&context, code, options).await,
        Command::Redo(options) => redo::run(&context, code, options).await,
        Command::Status(options) => status::run(&context, code, options).await,
        Command::Ensure(options) => ensure::run(&context, code, options).await,
        Command::History(options) => history::run(&context, code, options).await,
        Command::Kept { command } => kept::run(&context, code, command.as_ref()).await,
        Command::Notify { command } => notify::run(&context, command).await,
        Command::Drift(options) => drift::run(&context, code, options).await,
        Command::Audit { command } => audit::run(&context, command.as_ref()).await,
        Command::Resolve(options) => resolve::run(&context, code, options).await,
        Command::Runbook(options) => runbook::run(&context, code, options).await,
        Command::Verify(options) => verify::run(&context, code, options).await,
        Command::Check(options) => check::run(&context, code, options).await,
        Command::Lint(options) => lint::run(&context, code, options).await,
        Command::Ci(options) => ci::run(&context, code, options).await,
        Command::Consumers { command } => consumers::run(&context, code, command).await,
        Command::Rebase(options) => rebase::run(&context, code, options),
        Command::Derive(options) => derive::run(&context, code, options).await,
        Command::Diff(options) => diff::run(&context, code, options).await,
        Command::Adopt(options) => adopt::run(&context, code, options).await,
        Command::Baseline(options) => baseline::run(&context, code, options).await,
        Command::Squash(options) => squash::run(&context, code, options).await,
        Command::Seed(options) => seed::run(&context, code, options).await,
        Command::Db(command) => db::run(&context, command).await,
        Command::Doctor | Command::Completions { .. } | Command::Explain(_) => Ok(Exit::Done),
    }
}
