//! What kind of rows are tried if the first ones make a migration fail.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_core::Migration;
use migrate_core::source::Script;
use migrate_schema::Schema;

use crate::generate::{ColumnUses, NarrowedColumns, ValueReach};

/// What kind of rows are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowKind {
    /// How extreme values may be.
    pub(super) reach: ValueReach,
    /// Only rows that satisfy the keys and checks which the migration adds.
    pub(crate) fitting: bool,
    /// Only texts and documents that can be parsed in the way that the migration parses them.
    pub(super) readable: bool,
    /// The names in the statement that refused values: only tables and columns with these names get other
    /// values. `None` if any table or column may be the cause.
    within: Option<StatementNames>,
    /// Includes rows that the statements of the migration select and change.
    pub(super) aimed: bool,
    /// In tables that the migration updates from other tables, only rows that have a match there.
    pub(super) matched: bool,
    /// Includes rows in addition to those that the chain itself inserts into a table.
    pub(super) beside: bool,
    /// Which of the existing rows are drawn again.
    pub(super) redraw: RedrawScope,
}

/// The names in a statement.
pub(crate) type StatementNames = Arc<BTreeSet<String>>;

/// Which rows are drawn again for another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RedrawScope {
    /// Those of tables that the migration changes, if rows that fit are not enough.
    Changed,
    /// Also those of tables that its scripts name: their equal values may be what has to differ.
    Named,
    All,
}

impl Default for RowKind {
    fn default() -> Self {
        let (reach, redraw) = (ValueReach::Extreme, RedrawScope::Changed);
        Self { reach, fitting: false, readable: false, within: None, aimed: true, matched: false, beside: true, redraw }
    }
}

impl RowKind {
    /// What to try after a failure that may be caused by the rows rather than by the migration: a value that
    /// cannot be computed with (class 22, and 0A000 for infinity as an integer), or rows that were already
    /// wrong and are now found to be (23503 foreign key, 23505 unique, 23514 check, 23P01 exclusion). `names`
    /// are the names in the statement that failed.
    pub(crate) fn after(&self, sqlstate: &str, names: Option<StatementNames>, migration: &Migration) -> Option<Self> {
        let next = self.next(sqlstate, migration);
        if !self.is_narrow() {
            return next.map(|next| Self { within: names.filter(|_| next.is_narrow()), ..next });
        }
        let is_of_values = sqlstate.starts_with("22") || sqlstate == "0A000";
        let elsewhere = self.within.is_some() && is_of_values && (next.is_none() || names != self.within);
        if elsewhere { Some(Self { within: None, redraw: RedrawScope::All, ..self.clone() }) } else { next }
    }

    /// In the tables that the chain fills, no rows other than its own.
    pub(crate) fn chains_own() -> Self {
        Self { beside: false, ..Self::default() }
    }

    /// All rows drawn again.
    pub(super) fn redrawn() -> Self {
        Self { redraw: RedrawScope::All, ..Self::default() }
    }

    /// What to try when all other rows have failed.
    pub(super) fn without_others(&self) -> Option<Self> {
        self.beside.then(|| Self { beside: false, ..Self::redrawn() })
    }

    fn next(&self, sqlstate: &str, migration: &Migration) -> Option<Self> {
        let other = || self.clone();
        let plain = self.reach.less().map(|reach| Self { reach, ..other() });
        let readable =
            || Some(Self { readable: true, ..other() }).filter(|_| !self.readable && !read(migration).is_empty());
        let unaimed = || {
            let redraw = if self.redraw == RedrawScope::Changed { RedrawScope::Named } else { self.redraw };
            Some(Self { aimed: false, redraw, ..other() }).filter(|_| self.aimed)
        };
        match sqlstate {
            "23502" if !self.matched && read_for_up(migration).reads_others() => {
                Some(Self { matched: true, ..other() })
            }
            "23503" | "23505" | "23514" | "23P01" if !self.fitting => Some(Self { fitting: true, ..other() }),
            // Values that are not extreme differ in each row.
            "23505" if self.reach != ValueReach::Plain => {
                Some(Self { reach: ValueReach::Plain, redraw: RedrawScope::Named, ..other() })
            }
            "23503" | "23505" | "23514" | "23P01" if self.aimed => unaimed(),
            "23505" if self.redraw != RedrawScope::All => {
                Some(Self { redraw: RedrawScope::All, within: None, ..other() })
            }
            // A number that is too large has nothing to do with texts.
            "22003" | "22012" | "0A000" => plain.or_else(readable).or_else(unaimed),
            // The rows that match the statements may be the ones that cannot be parsed.
            "22P02" | "22007" => readable().or_else(unaimed).or(plain),
            code if code.starts_with("22") => readable().or(plain).or_else(unaimed),
            _ => None,
        }
    }

    /// Whether some columns get plainer values.
    pub(super) fn is_narrow(&self) -> bool {
        self.reach != ValueReach::Extreme || self.readable
    }

    /// Whether plainer values apply only to columns that a statement names.
    pub(super) fn is_within(&self) -> bool {
        self.is_narrow() && self.within.is_some()
    }

    /// The columns of a schema that get plainer values; `None` if there are none.
    pub(super) fn narrowed(&self, schema: &Schema) -> Option<NarrowedColumns> {
        self.is_narrow().then(|| NarrowedColumns::of(schema, self.within.as_deref()))
    }

    /// The note for a migration that fails on the first rows, but not on these.
    pub(crate) fn note(&self, why: &str, migration: &Migration) -> String {
        if Some(self) == Self::default().without_others().as_ref() {
            return format!(
                "it fails on rows other than those that the chain inserts into a table: {why}; proven without them"
            );
        }
        if self.matched {
            return format!("it fails on rows that have no match in another table: {why}; proven without them");
        }
        let taken = "rows that its own WHERE selects";
        match (self.readable.then(|| read(migration).told()), self.aimed) {
            (Some(what), true) => {
                return format!("it fails on text that is not {what}: {why}; proven with text that is");
            }
            (Some(what), false) => {
                return format!("it fails on text that is not {what}, or on {taken}: {why}; proven without them");
            }
            (None, false) => return format!("it fails on {taken}: {why}; proven without them"),
            (None, true) => {}
        }
        let rows = match *self {
            Self { redraw: RedrawScope::Named | RedrawScope::All, .. } => {
                "values that are equal where it needs different ones"
            }
            Self { fitting: true, .. } => "rows that do not meet its requirements",
            Self { reach: ValueReach::Plain, .. } => "values with many digits, or empty values",
            _ => "extreme values",
        };
        format!("it fails on {rows}, but not on others: {why}")
    }
}

/// How the scripts of a migration use the values of columns.
pub(super) fn read(migration: &Migration) -> ColumnUses {
    ColumnUses::of_scripts(&text(migration.up_script()), &text(migration.down_script()))
}

/// The same, but with rows only for the statements of its up script: those of its down script may need others.
pub(super) fn read_for_up(migration: &Migration) -> ColumnUses {
    read(migration).aiming_as(ColumnUses::of_scripts(&text(migration.up_script()), ""))
}

fn text(script: Option<&Arc<Script>>) -> String {
    script.map(|script| script.text().to_string()).unwrap_or_default()
}
