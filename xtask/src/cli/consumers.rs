//! Options of `consumers`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Consumers {
    /// Show all consumers: what was read of them, and how fresh that is
    #[command(after_help = "Examples:\n  cargo xtask consumers list\n  cargo xtask consumers list --format json\n\n\
                            Exit code 3: something of a consumer cannot be read.")]
    List,
    /// Write the queries of a service into one file, in its own repository
    Export(Export),
    /// Put such a file into the folder of its consumer, or refresh the one that is there
    #[command(after_help = "Examples:\n  cargo xtask consumers add ../billing/billing.consumer.json\n\n\
                            Exit code 3: the file is damaged, of another kind or newer; nothing was written.")]
    Add {
        /// What `consumers export` wrote
        file: PathBuf,
    },
    /// Read the queries of a service from pg_stat_statements, without values
    Capture(Capture),
    /// Look for queries that the new migrations break, and say in which order to deploy
    Check(ConsumersCheck),
    /// Say who reads and who writes a table or a column, also through views and functions
    Uses(ConsumersUses),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask consumers export billing -o billing.consumer.json\n  \
                        cargo xtask consumers export billing --sql 'queries/**/*.sql' --role billing_app -o billing.consumer.json\n  \
                        cargo xtask consumers export shipping --sqlx .sqlx\n\n\
                        It needs no migrations and no database. With --sql, --sqlx, --reads or --writes it needs no migrate.toml.\n\
                        Exit code 3: a query cannot be read, and nothing was written.")]
pub(crate) struct Export {
    /// The consumer, by its name in migrate.toml or in the folder consumers
    pub(crate) name: String,
    /// The file to write; without it the document is printed
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Files, folders or patterns with queries in SQL
    #[arg(long, value_name = "PATH")]
    pub(crate) sql: Vec<String>,
    /// The folder that `cargo sqlx prepare` writes
    #[arg(long, value_name = "DIR")]
    pub(crate) sqlx: Option<String>,
    /// The role as which the service connects
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<String>,
    /// A table or a column that it reads: orders, orders.status, sales.orders.status
    #[arg(long, value_name = "NAME")]
    pub(crate) reads: Vec<String>,
    /// A table or a column that it writes
    #[arg(long, value_name = "NAME")]
    pub(crate) writes: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask consumers capture billing --env production\n  \
                        cargo xtask consumers capture billing --env production --role billing_app --merge\n\n\
                        It only reads. The texts have no values, and what the role may not see is told.")]
pub(crate) struct Capture {
    /// The consumer
    pub(crate) name: String,
    /// Only what this role has asked [default: the consumer's role, else all roles but the one that looks]
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<String>,
    /// Keep what was captured before and is not there any more, as after a restart of the statistics
    #[arg(long)]
    pub(crate) merge: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Every query is described by a throw-away server before and behind each migration that the base branch does not \
                  have. `-- migrate: allow consumer:NAME REASON` at the head of one lets a consumer break.\n\nExamples:\n  \
                  cargo xtask consumers check\n  cargo xtask consumers check --base origin/release"
)]
pub(crate) struct ConsumersCheck {
    /// The branch or commit that has what is released
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo xtask consumers uses shipments\n  cargo xtask consumers uses shipments.tracking_number\n  \
                        cargo xtask consumers uses shop.orders.total"
)]
pub(crate) struct ConsumersUses {
    /// The table or column: table, table.column, schema.table or schema.table.column
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}
