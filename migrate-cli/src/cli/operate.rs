//! Options of the commands that run migrations or look at a database.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use migrate_core::Version;

use super::{number, time, version};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask migrate\n  cargo xtask migrate --dry-run\n  \
                        cargo xtask migrate --env production --to 20250224091500 --yes")]
pub(crate) struct MigrateArgs {
    /// Stop after applying this version
    #[arg(long, value_name = "VERSION", value_parser = version, conflicts_with = "count")]
    pub(crate) to: Option<Version>,
    /// Apply only the next N
    #[arg(short = 'n', long, value_name = "N", value_parser = number)]
    pub(crate) count: Option<usize>,
    /// Apply all pending migrations (this is the default)
    #[arg(long, conflicts_with_all = ["to", "count"])]
    pub(crate) all: bool,
    /// Apply migrations that are older than the newest applied one
    #[arg(long)]
    pub(crate) allow_out_of_order: bool,
    /// Accept a database that is newer than this folder: leave its newer migrations alone, and warn
    #[arg(long)]
    pub(crate) allow_newer: bool,
    /// Do not restore the data that a rollback kept when its migration is reapplied
    #[arg(long)]
    pub(crate) leave_kept: bool,
    #[command(flatten)]
    pub(crate) change: RunArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask rollback\n  cargo xtask rollback -n 2 --dry-run\n  \
                        cargo xtask rollback --to 20250217143000\n  \
                        cargo xtask rollback -n 1 --keep-data --env production --reason 'INC-4711: orders are not \
                        saved'")]
pub(crate) struct RollbackArgs {
    /// Roll back until this version is the newest applied one
    #[arg(long, value_name = "VERSION", value_parser = version, conflicts_with_all = ["count", "all"])]
    pub(crate) to: Option<Version>,
    /// Roll back the last N [default: 1]
    #[arg(short = 'n', long, value_name = "N", value_parser = number, conflicts_with = "all")]
    pub(crate) count: Option<usize>,
    /// Roll back everything
    #[arg(long)]
    pub(crate) all: bool,
    /// Which down script to run if the file and the ledger differ
    #[arg(long, value_name = "SOURCE", default_value = "ledger")]
    pub(crate) down_from: DownFromArg,
    /// Keep a copy of the data that the rollback destroys, to restore it when the migration is reapplied
    #[arg(long)]
    pub(crate) keep_data: bool,
    #[command(flatten)]
    pub(crate) change: RunArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask runbook --env production -o rollback.sql\n  \
                        cargo xtask runbook --env production -n 2 --keep-data --reason 'INC-4711' -o rollback.sql\n  \
                        cargo xtask runbook --env production --for migrate -o migrate.sql\n  \
                        cargo xtask runbook --env production -n 2 --drill\n  \
                        cargo xtask runbook --page --env production -o docs/ROLLBACK_RUNBOOK.md")]
pub(crate) struct RunbookArgs {
    /// The command that the script replaces
    #[arg(long = "for", value_name = "COMMAND", default_value = "rollback")]
    pub(crate) way: ScriptedCommand,
    /// Stop at this version, as --to of the command does
    #[arg(long, value_name = "VERSION", value_parser = version, conflicts_with_all = ["count", "all"])]
    pub(crate) to: Option<Version>,
    /// Only the last N (rollback) or the next N (migrate) [default: 1 for rollback, all for migrate]
    #[arg(short = 'n', long, value_name = "N", value_parser = number, conflicts_with = "all")]
    pub(crate) count: Option<usize>,
    /// All migrations
    #[arg(long)]
    pub(crate) all: bool,
    /// Which down script to write if the file and the ledger differ
    #[arg(long, value_name = "SOURCE", default_value = "ledger")]
    pub(crate) down_from: DownFromArg,
    /// Keep a copy of the data that a rollback destroys
    #[arg(long)]
    pub(crate) keep_data: bool,
    /// Do not restore the data that a rollback kept when its migration is reapplied
    #[arg(long)]
    pub(crate) leave_kept: bool,
    /// Apply migrations that are older than the newest applied one
    #[arg(long)]
    pub(crate) allow_out_of_order: bool,
    /// Accept a database that is newer than this folder
    #[arg(long)]
    pub(crate) allow_newer: bool,
    /// The reason, recorded in the ledger
    #[arg(long, value_name = "WHY")]
    pub(crate) reason: Option<String>,
    /// Rehearse on a shadow database: run the script with psql, and compare the result with that of the command
    #[arg(long, conflicts_with = "page")]
    pub(crate) drill: bool,
    /// Write a page for your team instead of a script; this needs no database
    #[arg(long, conflicts_with_all = ["to", "count", "all", "keep_data", "leave_kept", "allow_out_of_order",
                                      "allow_newer", "reason"])]
    pub(crate) page: bool,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// The command that a script replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScriptedCommand {
    /// What `rollback` would run
    Rollback,
    /// What `migrate` would run
    Migrate,
}

impl ScriptedCommand {
    /// The name of the command.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Migrate => "migrate",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DownFromArg {
    /// The script stored when the migration was applied
    Ledger,
    /// The script in the folder
    Files,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask redo\n  cargo xtask redo -n 2 --keep-data")]
pub(crate) struct RedoArgs {
    /// Roll back and reapply the last N
    #[arg(short = 'n', long, value_name = "N", value_parser = number, default_value_t = 1)]
    pub(crate) count: usize,
    /// Keep a copy of the data that the rollback destroys, and restore it
    #[arg(long)]
    pub(crate) keep_data: bool,
    #[command(flatten)]
    pub(crate) change: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// Show the SQL that would run without running it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask for confirmation, even in a protected environment
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// How long to wait for another run to end, instead of the time in migrate.toml
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) lock_wait: Option<Duration>,
    /// The reason, recorded in the ledger and the run record and sent with notifications
    #[arg(long, value_name = "WHY")]
    pub(crate) reason: Option<String>,
    /// The folder for the run record: the state before, what was done, and the state after
    // Its old name, which this release still accepts, is an alias: it is not in the help, nor in completions.
    #[arg(long, value_name = "DIR", alias = "audit")]
    pub(crate) record: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NotifyCommand {
    /// Send a test message, and show how each webhook responds
    #[command(
        after_help = "Examples:\n  cargo xtask notify test --env production\n  cargo xtask notify test team --print"
    )]
    Test {
        /// The name of a webhook in migrate.toml [default: all webhooks of the environment]
        name: Option<String>,
        /// Show what would be sent without sending it
        #[arg(long)]
        print: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask status\n  cargo xtask status --env production --exit-code")]
pub(crate) struct StatusArgs {
    /// Exit with 3 if migrations are pending or there are no migrations
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Accept a database that is newer than this folder
    #[arg(long)]
    pub(crate) allow_newer: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "It only reads the database. Newer versions may be applied as well. The exit code is 3 if the version \
                  is not applied.\n\nExamples:\n  cargo xtask ensure 20250224091500 --env production\n  \
                  cargo xtask ensure --database env:DATABASE_URL --wait=1min"
)]
pub(crate) struct EnsureArgs {
    /// The version that must be applied [default: the newest in the folder]
    #[arg(value_parser = version)]
    pub(crate) version: Option<Version>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask history\n  cargo xtask history --env production -n 20")]
pub(crate) struct HistoryArgs {
    /// Show only the last N events
    #[arg(short = 'n', long, value_name = "N", value_parser = number)]
    pub(crate) count: Option<usize>,
}

#[derive(Debug, Args)]
#[command(after_help = "Without --continue, --undo, --mark-applied or --mark-rolled-back, it only shows the actual \
                        state.\n\nExamples:\n  cargo xtask resolve\n  \
                        cargo xtask resolve 20250303101500 --continue\n  \
                        cargo xtask resolve 20250303101500 --mark-applied 'INC-4711: finished by hand'")]
pub(crate) struct ResolveArgs {
    /// The unfinished migration; it fails if another one is unfinished
    #[arg(value_parser = version)]
    pub(crate) version: Option<Version>,
    /// Run the remaining statements
    #[arg(long = "continue", group = "way")]
    pub(crate) go_on: bool,
    /// Run the script of the opposite direction; if no statement is done, run nothing
    #[arg(long, group = "way")]
    pub(crate) undo: bool,
    /// The number of the first statement that is not done, if only you can know it: after a statement that commits by
    /// itself
    #[arg(long, value_name = "STATEMENT", conflicts_with_all = ["mark_applied", "mark_rolled_back"])]
    pub(crate) from: Option<usize>,
    /// Run nothing; record the migration as applied, with this reason
    #[arg(long, value_name = "REASON", group = "way")]
    pub(crate) mark_applied: Option<String>,
    /// Run nothing; record the migration as rolled back, with this reason
    #[arg(long, value_name = "REASON", group = "way")]
    pub(crate) mark_rolled_back: Option<String>,
    /// Do not ask for confirmation, even in a protected environment
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask seed\n  cargo xtask seed seeds/development.sql")]
pub(crate) struct SeedArgs {
    /// The SQL file [default: the one in migrate.toml, or seeds/ENVIRONMENT.sql]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Start the managed server, and create the database
    #[command(after_help = "Example:\n  cargo xtask db up")]
    Up,
    /// Stop the managed server; its data stays
    #[command(after_help = "Examples:\n  cargo xtask db down\n  cargo xtask db down --destroy")]
    Down {
        /// Delete the data too
        #[arg(long)]
        destroy: bool,
    },
    /// Show where the managed server is, and why this server was chosen
    #[command(after_help = "Example:\n  cargo xtask db status")]
    Status,
    /// Print the URL of the database, with its password
    #[command(after_help = "Example:\n  cargo xtask db url --env staging")]
    Url,
    /// Open psql on the database
    #[command(after_help = "Examples:\n  cargo xtask db psql\n  cargo xtask db psql -- -c 'SELECT 1'")]
    Psql {
        /// Arguments for psql
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeptCommand {
    /// List the kept data, and whether it was restored (this is the default)
    #[command(after_help = "Example:\n  cargo xtask kept list --env production")]
    List,
    /// Restore the data that the last rollback of an applied migration kept
    #[command(after_help = "Example:\n  cargo xtask kept restore 20250224091500 --env production")]
    Restore {
        /// The migration
        #[arg(value_parser = version)]
        version: Version,
        /// Do not ask for confirmation, even in a protected environment
        #[arg(short, long)]
        yes: bool,
    },
    /// Drop the copies that were restored completely, those of one migration, or all of them
    #[command(after_help = "Examples:\n  cargo xtask kept purge\n  cargo xtask kept purge 20250224091500\n  \
                            cargo xtask kept purge --all")]
    Purge {
        /// Only the copies of this migration
        #[arg(value_parser = version)]
        version: Option<Version>,
        /// Also copies that were not restored, or only in part
        #[arg(long, conflicts_with = "version")]
        all: bool,
        /// Do not ask for confirmation, even in a protected environment
        #[arg(short, long)]
        yes: bool,
    },
}
