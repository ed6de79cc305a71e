//! Options of the commands that write migrations.

use std::path::PathBuf;

use clap::Args;
use migrate_core::Version;

use super::version;

const NEW: &str = "\
Without a change option, it creates two empty files. With one, it writes the up script in the form that locks least, \
derives the down script, and proves both on a shadow database before it shows them.

A column is NAME:TYPE, followed by its properties, separated by colons:
  id:uuid:pk                   a primary key; a uuid gets a default, a bigint becomes an identity column
  total:decimal:12,2           a type with its arguments
  note:text:null               nullable; columns are NOT NULL otherwise
  state:text:default=new       a default
  status:enum:pending,paid     a new enum type, `order_status` for the table orders
  user_id:references:users     a foreign key; add :cascade, :set-null or :restrict for ON DELETE
  mail:citext:unique  at:timestamptz:index

Examples:
  cargo xtask new add_tracking_number
  cargo xtask new create_orders --table orders id:uuid:pk user_id:references:users \\
      total:decimal:12,2 status:enum:pending,paid --timestamps --index user_id,status
  cargo xtask new add_phone --add-column users.phone:varchar:30:null
  cargo xtask new index_orders --add-index orders.created_at
  cargo xtask new add_refunded --add-enum-value order_status=refunded:paid
  echo 'ALTER TABLE users ADD COLUMN note text;' | cargo xtask new add_note --derive";

#[derive(Debug, Args)]
#[command(after_help = NEW)]
pub(crate) struct NewArgs {
    /// What the migration does, in snake case
    pub(crate) name: String,
    /// The columns of the table
    #[arg(requires = "table", value_name = "COLUMN")]
    pub(crate) columns: Vec<String>,
    /// Create a migration that runs without a transaction
    #[arg(long, conflicts_with = "change")]
    pub(crate) no_transaction: bool,
    /// Create a table with the columns given as COLUMN arguments
    #[arg(long, group = "change", value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// With --table: add created_at and updated_at
    #[arg(long, requires = "table")]
    pub(crate) timestamps: bool,
    /// With --table: add an index on these columns, such as user_id,status
    #[arg(long, requires = "table", value_name = "COLUMNS")]
    pub(crate) index: Vec<String>,
    /// Add a column: table.name:type
    #[arg(long, group = "change", value_name = "COLUMN")]
    pub(crate) add_column: Option<String>,
    /// Drop a column: table.name
    #[arg(long, group = "change", value_name = "COLUMN")]
    pub(crate) drop_column: Option<String>,
    /// Rename a column: table.old=new
    #[arg(long, group = "change", value_name = "OLD=NEW")]
    pub(crate) rename_column: Option<String>,
    /// Add an index, built concurrently: table.column,column
    #[arg(long, group = "change", value_name = "COLUMNS")]
    pub(crate) add_index: Option<String>,
    /// With --add-index: make the index unique
    #[arg(long, requires = "add_index")]
    pub(crate) unique: bool,
    /// Add a foreign key, and validate the existing rows in a separate migration: table.column=other
    #[arg(long, group = "change", value_name = "COLUMN=TABLE")]
    pub(crate) add_foreign_key: Option<String>,
    /// Add a label to an enum, optionally after another label: type=label or type=label:after
    #[arg(long, group = "change", value_name = "TYPE=LABEL")]
    pub(crate) add_enum_value: Option<String>,
    /// Read the up script from standard input
    #[arg(long, group = "change")]
    pub(crate) derive: bool,
    /// Show the files without writing them
    #[arg(long, requires = "change")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "It runs the up script on a shadow database, derives the statements that reverse its changes, \
                        and proves that they do.\n\nExamples:\n  cargo xtask derive\n  \
                        cargo xtask derive 20250224091500 --dry-run")]
pub(crate) struct DeriveArgs {
    /// The migration whose down script is missing or empty [default: all such migrations]
    #[arg(value_parser = version)]
    pub(crate) version: Option<Version>,
    /// Show the down script without writing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace an existing down script
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "A schema is one of\n  migrations            the schema that the migrations produce\n  \
                        migrations@VERSION    the same, up to a version\n  \
                        env:NAME              the database of an environment\n  \
                        file:schema.sql       the schema that a script creates in an empty database\n  \
                        postgres://…          a database\n\nThe exit code is 3 if the schemas differ.\n\nExamples:\n  \
                        cargo xtask diff migrations env:staging\n  \
                        cargo xtask diff env:staging env:production --sql\n  \
                        cargo xtask diff migrations file:schema.sql --write add_invoices")]
pub(crate) struct DiffArgs {
    /// The schema to start from
    pub(crate) from: String,
    /// The schema to reach
    pub(crate) to: String,
    /// Show the statements that turn the first schema into the second, proven on a shadow database
    #[arg(long, conflicts_with = "write")]
    pub(crate) sql: bool,
    /// Write these statements as a migration with this name, with a down script
    #[arg(long, value_name = "NAME")]
    pub(crate) write: Option<String>,
    /// Treat a dropped and an added table or column as a rename: schema.table.old=new
    #[arg(long, value_name = "OLD=NEW")]
    pub(crate) rename: Vec<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Reads the ledger of the other tool, finds the file of each of its rows, verifies the checksums that \
                  the tool keeps, and compares the schema with what the migrations make. Only --yes records anything. \
                  The old ledger is never changed.\n\nExamples:\n  \
                  cargo xtask adopt --env production\n  \
                  cargo xtask adopt --env production --yes\n  \
                  cargo xtask adopt --from goose:public.versions --yes\n  \
                  cargo xtask adopt --convert --layout goose --yes\n  \
                  cargo xtask adopt --capture db/migrations"
)]
pub(crate) struct AdoptArgs {
    /// The ledger to take over: a tool, a table, or a tool with a table of another name, such as goose:public.versions
    #[arg(long, value_name = "TOOL")]
    pub(crate) from: Option<String>,
    /// Record the migrations as applied
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Turn the folder of the other tool into ours instead; no database is touched, and nothing is pending afterwards
    #[arg(long, conflicts_with_all = ["from", "without_comparison"])]
    pub(crate) convert: bool,
    /// Write the chain of the tool in [engine] as SQL into this folder instead: what the tool sends, step by step
    #[arg(long, value_name = "DIR", conflicts_with_all = ["from", "without_comparison", "convert", "yes"])]
    pub(crate) capture: Option<PathBuf>,
    /// Do not compare the schema, because the chain has migrations that only the other tool can run
    #[arg(long)]
    pub(crate) without_comparison: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Without --mark, the database is only read.\n\nExamples:\n  \
                        cargo xtask baseline --env production\n  \
                        cargo xtask baseline --env production --data countries,currencies\n  \
                        cargo xtask baseline --mark --env production")]
pub(crate) struct BaselineArgs {
    /// The name of the migration
    #[arg(long, default_value = "baseline_schema", value_name = "NAME")]
    pub(crate) name: String,
    /// Tables whose rows to include, such as countries,currencies
    #[arg(long, value_name = "TABLES", value_delimiter = ',')]
    pub(crate) data: Vec<String>,
    /// Show what would be captured without writing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Record the baseline as applied in the ledger of the environment without running it, if the schemas match
    #[arg(long, conflicts_with_all = ["data", "dry_run"])]
    pub(crate) mark: bool,
    /// With --mark: the last migration that the database already has, instead of the first one
    #[arg(long, value_name = "VERSION", value_parser = version, requires = "mark")]
    pub(crate) to: Option<Version>,
    /// Do not ask for confirmation, even in a protected environment
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Environments that have applied all squashed migrations stay as they are and can still roll back, \
                  because their ledger holds the down scripts. New environments get the baseline. An environment that \
                  has applied only some of them has to apply the rest first.\n\nExample:\n  \
                  cargo xtask squash --to 20250407084500"
)]
pub(crate) struct SquashArgs {
    /// The last migration to include in the baseline
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(crate) to: Version,
    /// The name of the baseline
    #[arg(long, default_value = "baseline_schema", value_name = "NAME")]
    pub(crate) name: String,
    /// Prove the baseline without changing any file
    #[arg(long)]
    pub(crate) dry_run: bool,
}
