//! The ledgers of other migration tools: recognised and read, and never written.
//!
//! A database in which another tool applied migrations looks empty to a new ledger: everything would run again. So
//! before the first migration of a database runs, the runner looks for such a ledger; and everything that compares
//! schemas leaves them out.

mod checksum;
mod find;
mod matching;
mod note;
mod recognise;
mod tools;

use migrate_base::ident::QualifiedName;
use tools::KeyForm;

pub use checksum::ForeignChecksum;
pub(crate) use checksum::compare;
pub(crate) use find::{SearchBy, ledger_of, ledgers};
pub use matching::ForeignMatch;
pub(crate) use note::{AdoptionNote, GIVEN_BACK, adopted_from};
pub use recognise::{is_part_of, without};

/// A migration tool, and what it leaves in a database.
#[derive(Debug, PartialEq, Eq)]
pub struct ForeignTool {
    /// Its name, as an option takes it.
    name: &'static str,
    /// The usual name of the table with its ledger.
    table: &'static str,
    /// The schema of the table, if it is always the same.
    schema: Option<&'static str>,
    /// Columns that the table has.
    columns: &'static [&'static str],
    /// A column by which the table is recognised under another name, together with the other columns.
    mark: Option<&'static str>,
    /// Whether the table has no other columns: its name could be that of any table.
    is_exact: bool,
    /// A table that must exist in the same schema.
    beside: Option<&'static str>,
    /// How a row is matched with a file.
    key: KeyForm,
    /// The query of its rows.
    rows: &'static str,
    /// Whether the ledger has only the newest version.
    only_newest: bool,
    /// Other tables that it creates in the same schema.
    also: &'static [&'static str],
    /// Tables that its migrations create, and that it fills itself whenever it runs.
    fills: &'static [&'static str],
    /// Whether everything in the schema of the table is the tool's.
    owns_schema: bool,
    /// The table that says whether the tool is running, and the query for who it is.
    lock: Option<(&'static str, &'static str)>,
    /// The command of the tool that shows or repairs a failed state.
    repair: &'static str,
}

impl ForeignTool {
    /// The name, in lower case.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether its ledger has only the newest version; all older migrations are applied as well.
    pub fn has_only_newest(&self) -> bool {
        self.only_newest
    }

    /// The schema of its tables, if that is always the same.
    pub fn schema(&self) -> Option<&'static str> {
        self.schema
    }

    /// Whether a table with this name is one that the tool keeps for itself.
    pub fn has_table(&self, name: &str) -> bool {
        self.table == name || self.also.contains(&name)
    }

    /// Whether the tool adds rows to a table whenever it runs, whichever migrations it runs.
    pub fn fills(&self, table: &str) -> bool {
        self.fills.iter().any(|name| table.strip_suffix(name).is_some_and(|schema| schema.ends_with('.')))
    }

    /// Its command that shows or repairs a failed state; empty if there is none.
    pub(crate) fn repair(&self) -> &'static str {
        self.repair
    }

    /// The tool with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        tools::TOOLS.iter().find(|tool| tool.name == name)
    }

    /// The names of all tools.
    pub fn names() -> impl Iterator<Item = &'static str> {
        tools::TOOLS.iter().map(|tool| tool.name)
    }
}

/// The ledger of another tool, as found in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignLedger {
    /// The tool that wrote it.
    pub tool: &'static ForeignTool,
    /// The table.
    pub table: QualifiedName,
    /// Its rows, in the order of application; or why they cannot be read.
    pub rows: Result<Vec<ForeignRow>, UnreadableRows>,
    /// Who holds the lock of the tool, if it has one that can be seen and somebody holds it.
    pub locked_by: Option<String>,
}

/// Why the rows of a ledger cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRows {
    /// What the server said.
    pub why: String,
    /// What kind of reason that is.
    pub cause: UnreadableCause,
    /// The role that tried.
    pub role: String,
}

/// What kind of reason there is that rows cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadableCause {
    /// The role lacks the right.
    Forbidden,
    /// Another session holds a lock on the table.
    Locked,
    /// The table is not what it seems to be.
    Other,
}

/// One migration according to the ledger of another tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRow {
    /// The version, the file name, or whatever the tool identifies a migration by.
    pub key: String,
    /// Its name or description, if it is recorded separately.
    pub name: Option<String>,
    /// Its checksum, as the tool writes it.
    pub checksum: Option<String>,
    /// Its state.
    pub state: ForeignState,
    /// When it was applied, as the tool recorded it.
    pub at: Option<String>,
    /// Who applied it.
    pub by: Option<String>,
}

/// The state of a migration according to another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignState {
    /// It is applied.
    Applied,
    /// It was there when the tool began, and so is everything older.
    Baseline,
    /// It failed, or did not finish.
    Failed,
    /// It was applied, and rolled back later.
    Reverted,
}

impl ForeignLedger {
    /// The applied migrations.
    pub fn applied(&self) -> impl DoubleEndedIterator<Item = &ForeignRow> {
        self.rows.iter().flatten().filter(|row| matches!(row.state, ForeignState::Applied | ForeignState::Baseline))
    }

    /// The migrations that failed or did not finish.
    pub fn failed(&self) -> impl Iterator<Item = &ForeignRow> {
        self.rows.iter().flatten().filter(|row| row.state == ForeignState::Failed)
    }

    /// Whether it has, or may have, migrations.
    pub fn is_in_use(&self) -> bool {
        self.rows.as_ref().map_or(true, |rows| rows.iter().any(|row| row.state != ForeignState::Reverted))
    }
}
