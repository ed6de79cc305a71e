//! The command line: every command and every option, with its help.

mod author;
mod check;
mod consumers;
mod drift;
mod operate;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use migrate_core::{Layout, Version};

pub(crate) use author::{AdoptArgs, BaselineArgs, DeriveArgs, DiffArgs, NewArgs, SquashArgs};
pub(crate) use check::{CheckArgs, CiArgs, ExplainArgs, LintArgs, RebaseArgs, VerifyArgs};
pub(crate) use consumers::{
    ConsumersCaptureArgs, ConsumersCheckArgs, ConsumersCommand, ConsumersExportArgs, ConsumersUsesArgs,
};
pub(crate) use drift::{AuditCommand, DriftArgs};
pub(crate) use operate::{
    DbCommand, DownFromArg, EnsureArgs, HistoryArgs, KeptCommand, MigrateArgs, NotifyCommand, RedoArgs, ResolveArgs,
    RollbackArgs, RunArgs, RunbookArgs, ScriptedCommand, SeedArgs, StatusArgs,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; the message says what was kept
  2  wrong usage or configuration; nothing was run
  3  the command found something: problems, or pending migrations with `status --exit-code`";

/// PostgreSQL schema migrations that can be rolled back, with a ledger and a proof.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// The environment, by its name in migrate.toml [default: development, or none where --database gives a URL]
    // There is no default here: a database given only by --database is not a development database.
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// The database, instead of the environment's: auto, local, docker:IMAGE, env:VARIABLE or postgres://…
    // Parsed later: clap's own error message would repeat the value, and with it a password.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// The migrations folder, instead of the one in migrate.toml
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) migrations: Option<PathBuf>,
    /// The tool whose file layout to read, if it is not ours: sqlx, goose, flyway and others, see docs/FORMATS.md
    #[arg(long, global = true, value_name = "TOOL", value_parser = layout)]
    pub(crate) layout: Option<Layout>,
    /// The configuration file, instead of the migrate.toml in this folder or in a folder above it
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The output format: text for people, json for programs (docs/FORMATS.md)
    #[arg(long, global = true, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Format,
    /// Wait for a server that is still starting; 30s if TIME is omitted
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "30s",
          value_name = "TIME", value_parser = time)]
    pub(crate) wait: Option<Duration>,
    /// When to use colours; auto means on a terminal
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Color,
    /// Print only problems
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print more details
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
    /// Create the up and down scripts of a new migration
    New(NewArgs),
    /// Apply pending migrations
    Migrate(MigrateArgs),
    /// Roll back the last applied migrations
    Rollback(RollbackArgs),
    /// Roll back the last applied migrations and reapply them
    Redo(RedoArgs),
    /// Show which migrations are applied, pending, modified, missing or unfinished
    Status(StatusArgs),
    /// Fail unless a version is applied: for the startup of an application or a deployment step
    Ensure(EnsureArgs),
    /// Show who did what, when, from where, and how long it took
    History(HistoryArgs),
    /// Prove that migrations apply, roll back and reapply without losing data
    Verify(VerifyArgs),
    /// Check for files that are misnamed, misplaced, or edited after they were applied
    Check(CheckArgs),
    /// Check for dangerous SQL
    Lint(LintArgs),
    /// Run every check that a change has to pass before it is merged
    Ci(CiArgs),
    /// Track the services that share the database, and find the queries that a change breaks
    #[command(after_help = "Examples:\n  cargo xtask consumers list\n  cargo xtask consumers check\n  \
                            cargo xtask consumers uses shipments.tracking_number")]
    Consumers {
        #[command(subcommand)]
        command: ConsumersCommand,
    },
    /// Explain what a finding means, why it matters, and how to fix it
    Explain(ExplainArgs),
    /// Give new migrations versions newer than those on the base branch
    Rebase(RebaseArgs),
    /// List, restore or purge the data that rollbacks kept
    #[command(after_help = "Examples:\n  cargo xtask kept\n  cargo xtask kept restore 20250224091500\n  \
                            cargo xtask kept purge --env production")]
    Kept {
        #[command(subcommand)]
        command: Option<KeptCommand>,
    },
    /// Test the webhooks that notify the team about runs
    #[command(after_help = "Example:\n  cargo xtask notify test --env production")]
    Notify {
        #[command(subcommand)]
        command: NotifyCommand,
    },
    /// Compare a database with its migrations: show what differs, since when, and who changed it
    Drift(DriftArgs),
    /// Record every DDL command in a database, and show the records
    #[command(after_help = "Examples:\n  cargo xtask audit --env staging\n  \
                            cargo xtask audit install --env staging\n  \
                            cargo xtask audit show --env staging --since 2h")]
    Audit {
        #[command(subcommand)]
        command: Option<AuditCommand>,
    },
    /// Finish or undo a migration that stopped halfway
    Resolve(ResolveArgs),
    /// Write what `rollback` or `migrate` would run as a psql script that you can run by hand
    Runbook(RunbookArgs),
    /// Generate the down script from the up script, and prove it
    Derive(DeriveArgs),
    /// Show the difference between two schemas, in words, as SQL or as a migration
    Diff(DiffArgs),
    /// Take over the ledger of another migration tool: its applied migrations are not run again
    Adopt(AdoptArgs),
    /// Capture an existing database as the first migration, proven to be identical
    Baseline(BaselineArgs),
    /// Replace the oldest migrations of the chain with one proven baseline
    Squash(SquashArgs),
    /// Load seed data into a development database
    Seed(SeedArgs),
    /// Start, stop and connect to the managed database server
    #[command(
        subcommand,
        after_help = "Examples:\n  cargo xtask db up\n  cargo xtask db psql\n  \
                                        cargo xtask db down"
    )]
    Db(DbCommand),
    /// Check the whole setup, and report what is wrong
    #[command(after_help = "Examples:\n  cargo xtask doctor\n  cargo xtask doctor --env staging")]
    Doctor,
    /// Print the completion script for a shell
    #[command(after_help = "Examples:\n  \
                            cargo xtask completions bash > ~/.local/share/bash-completion/completions/roundtrip\n  \
                            cargo xtask completions fish > ~/.config/fish/completions/roundtrip.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

fn version(text: &str) -> Result<Version, String> {
    // People copy `20250217143000_create_orders_table`.
    let digits = text.split('_').next().unwrap_or(text);
    digits.parse().map_err(|_| "not a version: write the number at the beginning of the file name".to_owned())
}

/// A version, or the name of a repeatable migration: `R__views`, `R__views.sql`.
fn version_or_repeatable(text: &str) -> Result<Version, String> {
    let stem = text.strip_suffix(".sql").unwrap_or(text).replace(' ', "_");
    Version::recorded(&stem).ok().filter(Version::is_repeatable).map_or_else(|| version(text), Ok)
}

/// A number of migrations, events or commands; zero would mean nothing to do, so it is refused.
fn number(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "write a number of 1 or more".to_owned())
}

fn layout(text: &str) -> Result<Layout, String> {
    text.parse().map_err(|_| format!("not a known tool: write one of {}", Layout::names().join(", ")))
}

fn time(text: &str) -> Result<Duration, String> {
    migrate_base::duration::parse(text)
        .ok_or_else(|| "not a time: write a number with its unit: 250ms, 3s, 10min, 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::Cli;

    /// The commands without examples, below this one.
    fn bare(command: &Command) -> Vec<String> {
        let below = |one: &Command| one.get_subcommands().flat_map(bare).collect::<Vec<_>>();
        let has = |one: &Command| one.get_after_help().is_some_and(|text| text.to_string().contains("Example"));
        let all = command.get_subcommands().filter(|one| one.get_name() != "help");
        all.flat_map(|one| (!has(one)).then(|| one.get_name().to_owned()).into_iter().chain(below(one))).collect()
    }

    #[test]
    fn every_command_has_examples() {
        assert_eq!(bare(&Cli::command()), Vec::<String>::new());
    }
}
