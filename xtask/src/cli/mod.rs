//! What can be typed: every command, every option, with its help.

mod author;
mod check;
mod consumers;
mod drift;
mod operate;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use migrate_core::Version;
use migrate_core::source::Layout;

pub(crate) use author::{Baseline, Derive, Diff, New, Squash};
pub(crate) use check::{Check, Ci, Explain, Lint, Rebase, Verify};
pub(crate) use consumers::{Capture, Consumers, ConsumersCheck, ConsumersUses, Export};
pub(crate) use drift::{Audit, Drift};
pub(crate) use operate::{
    Change, Db, DownFrom, Ensure, History, Kept, Migrate, Notify, Redo, Resolve, Rollback, Runbook, Seed, Status, Way,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; the message says what was kept
  2  wrong usage or configuration; nothing was run
  3  the command found something: problems, or pending migrations with `status --exit-code`";

/// PostgreSQL schema migrations with a ledger, a way back, and a proof.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The environment, by its name in migrate.toml [default: development, or none where --database gives a URL]
    // Without a default here: a database that is only named by --database is no development database.
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// The database, instead of the environment's: auto, local, docker:IMAGE, env:VARIABLE or postgres://…
    // A text, parsed later: a parser's own message repeats the value, and with it a password.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// The folder of migrations, instead of the one in migrate.toml
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) migrations: Option<PathBuf>,
    /// Which tool's files they are: roundtrip, sqlx, golang-migrate, diesel, dbmate, goose, sql-migrate or flyway
    #[arg(long, global = true, value_name = "TOOL", value_parser = layout)]
    pub(crate) layout: Option<Layout>,
    /// The configuration, instead of the migrate.toml in this folder or above it
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What the output is for: people or programs (docs/FORMATS.md)
    #[arg(long, global = true, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Format,
    /// Wait for a server that is still starting [default: 30s, where no time is given]
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "30s", value_name = "TIME",
          value_parser = time)]
    pub(crate) wait: Option<Duration>,
    /// Colours: on a terminal, always or never
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Color,
    /// Say only what is wrong
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the pair of files of a new migration, ready to edit
    New(New),
    /// Apply what is pending
    Migrate(Migrate),
    /// Undo what was applied last
    Rollback(Rollback),
    /// Undo what was applied last, and apply it again
    Redo(Redo),
    /// Show what is applied, pending, modified, missing or unfinished
    Status(Status),
    /// Fail unless a version is applied: for the start of an application, or a step of a deploy
    Ensure(Ensure),
    /// Show who did what, when, from where, and how long it took
    History(History),
    /// Prove that migrations apply, roll back and apply again, with their data
    Verify(Verify),
    /// Look for files that are misnamed, misplaced, or edited after they were applied
    Check(Check),
    /// Look for dangerous SQL
    Lint(Lint),
    /// Make every check that a change has to pass before it is merged
    Ci(Ci),
    /// Know the services that share the database, and which of their queries a change breaks
    Consumers {
        #[command(subcommand)]
        command: Consumers,
    },
    /// Say what a finding means, why it matters, and how it is mended
    Explain(Explain),
    /// Give new migrations versions behind those of the base branch
    Rebase(Rebase),
    /// List, bring back or purge the data that rollbacks kept
    Kept {
        #[command(subcommand)]
        command: Option<Kept>,
    },
    /// Try the webhooks that tell the team of runs
    Notify {
        #[command(subcommand)]
        command: Notify,
    },
    /// Compare a database with what its migrations make of it: what differs, since when, and who did it
    Drift(Drift),
    /// Record every DDL command of a database, and show what was recorded
    Audit {
        #[command(subcommand)]
        command: Option<Audit>,
    },
    /// Bring an unfinished migration to an end
    Resolve(Resolve),
    /// Write what a rollback or a migrate would run as a script for psql, to run it by hand
    Runbook(Runbook),
    /// Write the down of a migration from what its up does, and prove it
    Derive(Derive),
    /// Show the difference of two schemas, in words, as SQL or as a migration
    Diff(Diff),
    /// Capture an existing database as the first migration, proven equal
    Baseline(Baseline),
    /// Put one proven baseline in the place of a long beginning of the chain
    Squash(Squash),
    /// Fill a development database with data
    Seed(Seed),
    /// Start, stop and reach the managed database
    #[command(subcommand)]
    Db(Db),
    /// Look at the whole set-up and say what is wrong with it
    Doctor,
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

fn version(text: &str) -> Result<Version, String> {
    // `20250217143000_create_orders_table` is what people copy.
    let digits = text.split('_').next().unwrap_or(text);
    digits.parse().map_err(|_| "a version is a number, as at the beginning of the file name".to_owned())
}

/// How many migrations: none would be nothing to do, which nobody asks for.
fn number(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a number of migrations is 1 or more".to_owned())
}

fn layout(text: &str) -> Result<Layout, String> {
    text.parse().map_err(|_| format!("the tools are {}", Layout::names().join(", ")))
}

fn time(text: &str) -> Result<Duration, String> {
    migrate_core::duration::parse(text)
        .ok_or_else(|| "a time is a number with its unit: 250ms, 3s, 10min, 1h".to_owned())
}
