//! Options of the commands that run migrations, and of those that look at a database.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use migrate_core::Version;

use super::{number, time, version};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask migrate\n  cargo xtask migrate --dry-run\n  \
                        cargo xtask migrate --env production --to 20250224091500 --yes")]
pub(crate) struct Migrate {
    /// Stop when this version is applied
    #[arg(long, value_name = "VERSION", value_parser = version, conflicts_with = "count")]
    pub(crate) to: Option<Version>,
    /// Apply only the next N
    #[arg(short = 'n', long, value_name = "N", value_parser = number)]
    pub(crate) count: Option<usize>,
    /// Apply everything that is pending (this is the default)
    #[arg(long, conflicts_with_all = ["to", "count"])]
    pub(crate) all: bool,
    /// Apply migrations that are older than the newest applied one
    #[arg(long)]
    pub(crate) allow_out_of_order: bool,
    /// Accept a database that is newer than this folder: leave alone what is newer, and warn
    #[arg(long)]
    pub(crate) allow_newer: bool,
    /// Leave what a rollback kept where it is, also when its migration is applied again
    #[arg(long)]
    pub(crate) leave_kept: bool,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask rollback\n  cargo xtask rollback -n 2 --dry-run\n  \
                        cargo xtask rollback --to 20250217143000\n  \
                        cargo xtask rollback -n 1 --keep-data --env production --reason 'INC-4711: orders are not saved'")]
pub(crate) struct Rollback {
    /// Stop when this version is the newest that is applied
    #[arg(long, value_name = "VERSION", value_parser = version, conflicts_with_all = ["count", "all"])]
    pub(crate) to: Option<Version>,
    /// Undo the last N [default: 1]
    #[arg(short = 'n', long, value_name = "N", value_parser = number, conflicts_with = "all")]
    pub(crate) count: Option<usize>,
    /// Undo everything
    #[arg(long)]
    pub(crate) all: bool,
    /// Which down to run where the file and the ledger differ
    #[arg(long, value_name = "SOURCE", default_value = "ledger")]
    pub(crate) down_from: DownFrom,
    /// Copy aside what is destroyed; the next apply brings it back
    #[arg(long)]
    pub(crate) keep_data: bool,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask runbook --env production -o rollback.sql\n  \
                        cargo xtask runbook --env production -n 2 --keep-data --reason 'INC-4711' -o rollback.sql\n  \
                        cargo xtask runbook --env production --for migrate -o migrate.sql\n  \
                        cargo xtask runbook --env production -n 2 --drill\n  \
                        cargo xtask runbook --page --env production -o docs/ROLLBACK_RUNBOOK.md")]
pub(crate) struct Runbook {
    /// The command that the script stands for
    #[arg(long = "for", value_name = "COMMAND", default_value = "rollback")]
    pub(crate) way: Way,
    /// Stop at this version, as the command does
    #[arg(long, value_name = "VERSION", value_parser = version, conflicts_with_all = ["count", "all"])]
    pub(crate) to: Option<Version>,
    /// Only the last N, or the next N [default: 1 for rollback, all for migrate]
    #[arg(short = 'n', long, value_name = "N", value_parser = number, conflicts_with = "all")]
    pub(crate) count: Option<usize>,
    /// Everything
    #[arg(long)]
    pub(crate) all: bool,
    /// Which down to write where the file and the ledger differ
    #[arg(long, value_name = "SOURCE", default_value = "ledger")]
    pub(crate) down_from: DownFrom,
    /// Copy aside what a rollback destroys
    #[arg(long)]
    pub(crate) keep_data: bool,
    /// Leave what a rollback kept where it is, also when its migration is applied again
    #[arg(long)]
    pub(crate) leave_kept: bool,
    /// Apply migrations that are older than the newest applied one
    #[arg(long)]
    pub(crate) allow_out_of_order: bool,
    /// Accept a database that is newer than this folder
    #[arg(long)]
    pub(crate) allow_newer: bool,
    /// Why this is done: for the ledger
    #[arg(long, value_name = "WHY")]
    pub(crate) reason: Option<String>,
    /// Practise on a throw-away database: run the script with psql, and compare with what the command does
    #[arg(long, conflicts_with = "page")]
    pub(crate) drill: bool,
    /// The page for the team of this project, instead of a script; it needs no database
    #[arg(long, conflicts_with_all = ["to", "count", "all", "keep_data", "leave_kept", "allow_out_of_order", "allow_newer", "reason"])]
    pub(crate) page: bool,
    /// The file to write, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// The command that a script stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// What `rollback` would run
    Rollback,
    /// What `migrate` would run
    Migrate,
}

impl Way {
    /// The name of the command.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Migrate => "migrate",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DownFrom {
    /// The one that was stored when the migration was applied
    Ledger,
    /// The one in the folder
    Files,
}

#[derive(Debug, Args)]
pub(crate) struct Redo {
    /// Undo and apply the last N
    #[arg(short = 'n', long, value_name = "N", value_parser = number, default_value_t = 1)]
    pub(crate) count: usize,
    /// Copy aside what is destroyed in between, and bring it back
    #[arg(long)]
    pub(crate) keep_data: bool,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Change {
    /// Show the SQL that would run, and touch nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask, also in a protected environment
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// How long to wait for another run to end, instead of what migrate.toml says
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) lock_wait: Option<Duration>,
    /// Why this is done: for the ledger, the audit record and whoever is told
    #[arg(long, value_name = "WHY")]
    pub(crate) reason: Option<String>,
    /// The folder for a record of what was there before, what was done, and what is there after
    #[arg(long, value_name = "DIR")]
    pub(crate) audit: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Notify {
    /// Send a message that says that nothing happened, and show what each receiver answers
    #[command(
        after_help = "Examples:\n  cargo xtask notify test --env production\n  cargo xtask notify test team --print"
    )]
    Test {
        /// One webhook, by its name in migrate.toml [default: all that hear of the environment]
        name: Option<String>,
        /// Show what would be sent, and send nothing
        #[arg(long)]
        print: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Exit with 3 when migrations are pending, or there is none at all
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Accept a database that is newer than this folder
    #[arg(long)]
    pub(crate) allow_newer: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "It only reads, and newer versions may be applied as well. It exits with 3 where the version is not applied.\n\n\
                  Examples:\n  cargo xtask ensure 20250224091500 --env production\n  \
                  cargo xtask ensure --database env:DATABASE_URL --wait=1min"
)]
pub(crate) struct Ensure {
    /// The version that has to be applied [default: the newest in the folder]
    #[arg(value_parser = version)]
    pub(crate) version: Option<Version>,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// Show only the last N events
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) count: Option<usize>,
}

#[derive(Debug, Args)]
#[command(after_help = "Without one of the ways out it only shows what is really there.")]
pub(crate) struct Resolve {
    /// The unfinished migration, to be sure that the right one is meant
    #[arg(value_parser = version)]
    pub(crate) version: Option<Version>,
    /// Run the statements that are left
    #[arg(long = "continue", group = "way")]
    pub(crate) go_on: bool,
    /// Run the script of the other direction; where no statement is done, run nothing
    #[arg(long, group = "way")]
    pub(crate) undo: bool,
    /// The first statement that is not done, where only you can know it: one that commits by itself
    #[arg(long, value_name = "STATEMENT", conflicts_with_all = ["mark_applied", "mark_rolled_back"])]
    pub(crate) from: Option<usize>,
    /// Run nothing; record that it counts as applied, and why
    #[arg(long, value_name = "REASON", group = "way")]
    pub(crate) mark_applied: Option<String>,
    /// Run nothing; record that it counts as rolled back, and why
    #[arg(long, value_name = "REASON", group = "way")]
    pub(crate) mark_rolled_back: Option<String>,
    /// Do not ask, also in a protected environment
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Seed {
    /// The SQL file, instead of the one in migrate.toml or seeds/<environment>.sql
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Start the managed server, and make the database
    Up,
    /// Stop the managed server; its data stays
    Down {
        /// Delete the data as well
        #[arg(long)]
        destroy: bool,
    },
    /// Show where the managed server is, and why it is that one
    Status,
    /// Print the URL of the database, with its password
    Url,
    /// Open psql on the database
    Psql {
        /// Arguments for psql
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Kept {
    /// Show what is kept, and whether it was brought back (this is the default)
    List,
    /// Bring back what the last rollback of an applied migration kept
    Restore {
        /// The migration
        #[arg(value_parser = version)]
        version: Version,
        /// Do not ask, also in a protected environment
        #[arg(short, long)]
        yes: bool,
    },
    /// Drop the copies that came back whole, or those of a migration, or all of them
    Purge {
        /// The migration
        #[arg(value_parser = version)]
        version: Option<Version>,
        /// Also what did not come back, or not all of it
        #[arg(long, conflicts_with = "version")]
        all: bool,
        /// Do not ask, also in a protected environment
        #[arg(short, long)]
        yes: bool,
    },
}
