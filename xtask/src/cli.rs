//! What can be typed: every command, every option, with its help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use migrate_core::Version;
use migrate_core::source::Layout;

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
pub(crate) struct Global {
    /// The environment, by its name in migrate.toml
    #[arg(short, long, global = true, default_value = "development", value_name = "NAME")]
    pub(crate) env: String,
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
    /// Show who did what, when, from where, and how long it took
    History(History),
    /// Prove that migrations apply, roll back and apply again, with their data
    Verify(Verify),
    /// Bring an unfinished migration to an end
    Resolve(Resolve),
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
#[command(after_help = "Examples:\n  cargo xtask migrate\n  cargo xtask migrate --dry-run\n  \
                        cargo xtask migrate --env production --to 20250224091500 --yes")]
pub(crate) struct Migrate {
    /// Stop when this version is applied
    #[arg(long, value_name = "VERSION", value_parser = version, conflicts_with = "count")]
    pub(crate) to: Option<Version>,
    /// Apply only the next N
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) count: Option<usize>,
    /// Apply everything that is pending (this is the default)
    #[arg(long, conflicts_with_all = ["to", "count"])]
    pub(crate) all: bool,
    /// Apply migrations that are older than the newest applied one
    #[arg(long)]
    pub(crate) allow_out_of_order: bool,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask rollback\n  cargo xtask rollback -n 2 --dry-run\n  \
                        cargo xtask rollback --to 20250217143000")]
pub(crate) struct Rollback {
    /// Stop when this version is the newest that is applied
    #[arg(long, value_name = "VERSION", value_parser = version, conflicts_with_all = ["count", "all"])]
    pub(crate) to: Option<Version>,
    /// Undo the last N [default: 1]
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "all")]
    pub(crate) count: Option<usize>,
    /// Undo everything
    #[arg(long)]
    pub(crate) all: bool,
    /// Which down to run where the file and the ledger differ
    #[arg(long, value_name = "SOURCE", default_value = "ledger")]
    pub(crate) down_from: DownFrom,
    #[command(flatten)]
    pub(crate) change: Change,
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
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    pub(crate) count: usize,
    #[command(flatten)]
    pub(crate) change: Change,
}

/// Options of every command that changes a database.
#[derive(Debug, Args)]
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
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Exit with 3 when migrations are pending
    #[arg(long)]
    pub(crate) exit_code: bool,
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
    /// Run the script of the other direction
    #[arg(long, group = "way")]
    pub(crate) undo: bool,
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
#[command(
    after_help = "Without versions: what the base branch does not have yet.\n\nExamples:\n  cargo xtask verify\n  \
                        cargo xtask verify 20250224091500\n  cargo xtask verify --all"
)]
pub(crate) struct Verify {
    /// The migrations to prove
    #[arg(value_parser = version, value_name = "VERSION")]
    pub(crate) versions: Vec<Version>,
    /// Prove the whole chain
    #[arg(long, conflicts_with = "versions")]
    pub(crate) all: bool,
    /// The branch or commit that has what is proven already
    #[arg(long, value_name = "REF", conflicts_with_all = ["versions", "all"])]
    pub(crate) base: Option<String>,
    /// Forget what was kept of earlier runs first
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Where chance begins: the same seed draws the same rows and walks
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "The up is run on a throw-away database; what it changed is turned round, run, and proven.\n\n\
                        Examples:\n  cargo xtask derive 20250224091500\n  cargo xtask derive 20250224091500 --dry-run")]
pub(crate) struct Derive {
    /// The migration whose down is missing or empty
    #[arg(value_parser = version)]
    pub(crate) version: Version,
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

fn version(text: &str) -> Result<Version, String> {
    // `20250217143000_create_orders_table` is what people copy.
    let digits = text.split('_').next().unwrap_or(text);
    digits.parse().map_err(|_| "a version is a number, as at the beginning of the file name".to_owned())
}

fn layout(text: &str) -> Result<Layout, String> {
    text.parse().map_err(|_| format!("the tools are {}", Layout::names().join(", ")))
}

fn time(text: &str) -> Result<Duration, String> {
    migrate_core::duration::parse(text)
        .ok_or_else(|| "a time is a number with its unit: 250ms, 3s, 10min, 1h".to_owned())
}
