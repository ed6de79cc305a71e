//! Options of `consumers`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ConsumersCommand {
    /// List all consumers: what is known about each, and how recent it is
    #[command(after_help = "Examples:\n  cargo xtask consumers list\n  cargo xtask consumers list --format json\n\n\
                            Exit code 3: the data of a consumer cannot be read.")]
    List,
    /// Write the queries of a service to a file; run it in the repository of the service
    Export(ConsumersExportArgs),
    /// Add an exported file to the folder of its consumer, or replace the existing one
    #[command(after_help = "Examples:\n  cargo xtask consumers add ../billing/billing.consumer.json\n\n\
                            Exit code 3: the file is damaged, of another kind, or from a newer release; nothing was \
                            written.")]
    Add {
        /// The file that `consumers export` wrote
        file: PathBuf,
    },
    /// Read the queries of a service from pg_stat_statements, without their constants
    Capture(ConsumersCaptureArgs),
    /// Find the queries that the new migrations break, and say in which order to deploy
    Check(ConsumersCheckArgs),
    /// Show who reads and who writes a table or column, directly or through views and functions
    Uses(ConsumersUsesArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask consumers export billing -o billing.consumer.json\n  \
                        cargo xtask consumers export billing --sql 'queries/**/*.sql' --role billing_app -o \
                        billing.consumer.json\n  cargo xtask consumers export shipping --sqlx .sqlx\n\n\
                        It needs no migrations and no database. With --sql, --sqlx, --reads or --writes, it needs no \
                        migrate.toml either.\nExit code 3: a query cannot be read; nothing was written.")]
pub(crate) struct ConsumersExportArgs {
    /// The name of the consumer in migrate.toml or in the folder consumers
    pub(crate) name: String,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// A file, folder or glob pattern with SQL queries
    #[arg(long, value_name = "PATH")]
    pub(crate) sql: Vec<String>,
    /// The folder that `cargo sqlx prepare` writes
    #[arg(long, value_name = "DIR")]
    pub(crate) sqlx: Option<String>,
    /// The role that the service connects as
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<String>,
    /// A table or column that the service reads: orders, orders.status, sales.orders.status
    #[arg(long, value_name = "NAME")]
    pub(crate) reads: Vec<String>,
    /// A table or column that the service writes
    #[arg(long, value_name = "NAME")]
    pub(crate) writes: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask consumers capture billing --env production\n  \
                        cargo xtask consumers capture billing --env production --role billing_app --merge\n\n\
                        It only reads the database. The captured queries contain no constants. It reports what the \
                        connecting role is not allowed to see.")]
pub(crate) struct ConsumersCaptureArgs {
    /// The name of the consumer
    pub(crate) name: String,
    /// Only queries that this role ran [default: the consumer's role, or else all roles except the connecting one]
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<String>,
    /// Keep queries captured earlier that are no longer there, for example after the statistics were reset
    #[arg(long)]
    pub(crate) merge: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A shadow server describes every query before and after each migration that is not yet on the base \
                  branch. To let a migration break a consumer, put `-- migrate: allow consumer:NAME REASON` at the \
                  head of its file.\n\nExamples:\n  cargo xtask consumers check\n  \
                  cargo xtask consumers check --base origin/release"
)]
pub(crate) struct ConsumersCheckArgs {
    /// The branch or commit that has the released migrations
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask consumers uses shipments\n  \
                  cargo xtask consumers uses shipments.tracking_number\n  \
                  cargo xtask consumers uses shop.orders.total")]
pub(crate) struct ConsumersUsesArgs {
    /// The table or column: table, table.column, schema.table or schema.table.column
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}
