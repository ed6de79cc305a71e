//! Options of the commands about services that share the database.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Consumers {
    /// Look for queries that the new migrations break, and say in which order to deploy
    Check(ConsumersCheck),
    /// Say who reads and who writes a table or a column, also through views and functions
    Uses(ConsumersUses),
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
