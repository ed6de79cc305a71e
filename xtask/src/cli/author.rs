//! Options of the commands that write migrations.

use clap::Args;
use migrate_core::Version;

use super::version;

const NEW: &str = "\
Without a change it makes two empty files. With one it writes the up in the form that locks least,
derives the down, and proves both on a throw-away database before it shows them.

A column is NAME:TYPE, then what else there is to say, with colons between:
  id:uuid:pk                   a primary key; a uuid gets its default, a bigint counts
  total:decimal:12,2           a type with its arguments
  note:text:null               it may be null; otherwise NOT NULL
  state:text:default=new       a default
  status:enum:pending,paid     an enum of its own, `order_status` for the table orders
  user_id:references:users     the key of another table; then :cascade, :set-null or :restrict
  mail:citext:unique  at:timestamptz:index

Examples:
  cargo xtask new add_tracking_number
  cargo xtask new create_orders --table orders id:uuid:pk user_id:references:users \\
      total:decimal:12,2 status:enum:pending,paid --timestamps --index user_id,status
  cargo xtask new add_phone --add-column users.phone:varchar:30:null
  cargo xtask new index_orders --add-index orders.created_at
  cargo xtask new add_refunded --add-enum-value order_status=refunded:paid
  echo 'ALTER TABLE users ADD COLUMN note text;' | cargo xtask new add_note --derive";

/// Options of every command that changes a database.
#[derive(Debug, Args)]
#[command(after_help = NEW)]
pub(crate) struct New {
    /// What the migration does, in snake case
    pub(crate) name: String,
    /// The columns of the table
    #[arg(requires = "table", value_name = "COLUMN")]
    pub(crate) columns: Vec<String>,
    /// Make a migration that runs without a transaction
    #[arg(long, conflicts_with = "change")]
    pub(crate) no_transaction: bool,
    /// Make a table with the columns that follow the name
    #[arg(long, group = "change", value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// With --table: created_at and updated_at
    #[arg(long, requires = "table")]
    pub(crate) timestamps: bool,
    /// With --table: an index on these columns, such as user_id,status
    #[arg(long, requires = "table", value_name = "COLUMNS")]
    pub(crate) index: Vec<String>,
    /// Add a column: table.name:type
    #[arg(long, group = "change", value_name = "COLUMN")]
    pub(crate) add_column: Option<String>,
    /// Drop a column: table.name
    #[arg(long, group = "change", value_name = "COLUMN")]
    pub(crate) drop_column: Option<String>,
    /// Give a column another name: table.old=new
    #[arg(long, group = "change", value_name = "OLD=NEW")]
    pub(crate) rename_column: Option<String>,
    /// Add an index, built while the table is used: table.column,column
    #[arg(long, group = "change", value_name = "COLUMNS")]
    pub(crate) add_index: Option<String>,
    /// With --add-index: no two rows may have the same values
    #[arg(long, requires = "add_index")]
    pub(crate) unique: bool,
    /// Add a foreign key, and check the rows that are there in a migration of its own: table.column=other
    #[arg(long, group = "change", value_name = "COLUMN=TABLE")]
    pub(crate) add_foreign_key: Option<String>,
    /// Add a label to an enum, behind another one: type=label or type=label:after
    #[arg(long, group = "change", value_name = "TYPE=LABEL")]
    pub(crate) add_enum_value: Option<String>,
    /// Take the SQL of the up from standard input
    #[arg(long, group = "change")]
    pub(crate) derive: bool,
    /// Show the files, and write nothing
    #[arg(long, requires = "change")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "The up is run on a throw-away database; what it changed is turned round, run, and proven.\n\n\
                        Examples:\n  cargo xtask derive\n  cargo xtask derive 20250224091500 --dry-run")]
pub(crate) struct Derive {
    /// The migration whose down is missing or empty; all of them, if none is named
    #[arg(value_parser = version)]
    pub(crate) version: Option<Version>,
    /// Show the down, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace a down that is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "A schema is one of\n  migrations            what the migrations lead to\n  \
                        migrations@VERSION    the same, up to a version\n  \
                        env:NAME              the database of an environment\n  \
                        file:schema.sql       what a script makes on an empty database\n  \
                        postgres://…          a database\n\nThe exit code is 3 where they differ.\n\nExamples:\n  \
                        cargo xtask diff migrations env:staging\n  cargo xtask diff env:staging env:production --sql\n  \
                        cargo xtask diff migrations file:schema.sql --write add_invoices")]
pub(crate) struct Diff {
    /// The schema to begin with
    pub(crate) from: String,
    /// The schema to come to
    pub(crate) to: String,
    /// Show the statements that lead from the first one to the second, proven on a throw-away database
    #[arg(long, conflicts_with = "write")]
    pub(crate) sql: bool,
    /// Write them as a migration of this name, with its down
    #[arg(long, value_name = "NAME")]
    pub(crate) write: Option<String>,
    /// A table or column that got another name, instead of one that went and one that came: schema.table.old=new
    #[arg(long, value_name = "OLD=NEW")]
    pub(crate) rename: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "The database is only read. Examples:\n  cargo xtask baseline --env production\n  \
                        cargo xtask baseline --env production --data countries,currencies\n  \
                        cargo xtask baseline --mark --env production")]
pub(crate) struct Baseline {
    /// What the migration is called
    #[arg(long, default_value = "baseline_schema", value_name = "NAME")]
    pub(crate) name: String,
    /// Tables whose rows are part of it, such as countries,currencies
    #[arg(long, value_name = "TABLES", value_delimiter = ',')]
    pub(crate) data: Vec<String>,
    /// Show what would be captured, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Record it in the ledger of the environment without running it, after comparing
    #[arg(long, conflicts_with_all = ["data", "dry_run"])]
    pub(crate) mark: bool,
    /// With --mark: the last migration that the database has already, instead of the first one
    #[arg(long, value_name = "VERSION", value_parser = version, requires = "mark")]
    pub(crate) to: Option<Version>,
    /// Do not ask, also in a protected environment
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Environments that have all of the squashed migrations stay as they are, and can still go back: their \
                        ledger holds the downs. New ones get the baseline. One that has only some of them is told to \
                        catch up first.\n\nExample:\n  cargo xtask squash --to 20250407084500"
)]
pub(crate) struct Squash {
    /// The last migration that becomes a part of the baseline
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(crate) to: Version,
    /// What the baseline is called
    #[arg(long, default_value = "baseline_schema", value_name = "NAME")]
    pub(crate) name: String,
    /// Prove it, and change no file
    #[arg(long)]
    pub(crate) dry_run: bool,
}
