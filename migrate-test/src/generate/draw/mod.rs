//! Draws one row: first its foreign keys, then each column according to its requirements, then the requirements
//! between columns.

mod reference;
mod requirements;
mod value;

use std::collections::BTreeMap;

use migrate_schema::Schema;
use proptest::test_runner::TestRunner;
use reference::reference;
use requirements::DraftRequirements;
use value::value;

use super::dice::Decks;
use super::expr::Expr;
use super::narrow::ValueNarrowing;
use super::spec::{ColumnSpec, ForeignKey, TableSpec};
use super::typical::ValueReach;
use super::uses::ColumnUses;
use super::values::ValueOptions;
use crate::rows::{DatabaseRows, TableName};

/// The values of a row, as SQL; columns that the server fills are not included.
pub(super) type GeneratedRow = BTreeMap<String, String>;

/// The row to be drawn.
#[derive(Clone, Copy)]
pub(super) struct RowDraft<'a> {
    pub(super) schema: &'a Schema,
    pub(super) rows: &'a DatabaseRows,
    pub(super) table: &'a TableSpec,
    pub(super) uses: &'a ColumnUses,
    pub(super) taste: ValueOptions,
    /// How often rows of this table have been refused.
    pub(super) round: u32,
    /// Whether every column needs a value.
    pub(super) whole: bool,
    /// Whether texts and documents must have a form that can be parsed.
    pub(super) strict: bool,
    /// The columns that get plainer values.
    pub(super) narrow: Option<ValueNarrowing<'a>>,
    pub(super) constants: ConstantPlacement,
    /// Additional conditions on the row.
    pub(super) aim: &'a [Expr],
}

/// Where a row has the constants that its columns are compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ConstantPlacement {
    /// In every other column.
    #[default]
    InTurn,
    Everywhere,
    /// In no column: typical values of the types are used instead.
    Nowhere,
}

impl RowDraft<'_> {
    /// The same for the value of one column.
    fn of(&self, column: &str) -> Self {
        let is_about = |narrow: &ValueNarrowing<'_>| narrow.columns.has(&self.table.name(), column);
        let Some(ValueNarrowing { reach, strict, .. }) = self.narrow.filter(is_about) else { return *self };
        let reach = self.taste.reach.max(reach);
        let (awkward, obedient) = (reach == ValueReach::Extreme, self.taste.obedient || strict);
        Self { taste: ValueOptions { reach, awkward, obedient, ..self.taste }, strict, ..*self }
    }
}

/// Draws a row around the values that it already has.
///
/// `fixed` contains the rows that are created at the same time; the keys of this row may have to reference
/// them.
pub(super) fn draw(
    draft: &RowDraft<'_>,
    runner: &mut TestRunner,
    decks: &mut Decks,
    fixed: &BTreeMap<TableName, GeneratedRow>,
    kept: GeneratedRow,
) -> GeneratedRow {
    let table = draft.table;
    let asked = DraftRequirements::of(draft, decks);
    let drawn_before = fixed.get(&table.name());
    let mut row = drawn_before.cloned().unwrap_or(kept);
    let is_own = |key: &&ForeignKey| key.table == table.name();
    for key in table.keys.iter().filter(|key| !is_own(key)) {
        reference(draft, key, fixed, &asked, &mut row);
    }
    for column in &table.columns {
        // If a foreign key to the table itself can be left empty, possibly only some of its columns are
        // nullable.
        let is_free = |key: &ForeignKey| key.table == table.name() && table.optional(key) && !column.nullable;
        let is_key = table.keys.iter().any(|key| key.columns.contains(&column.name) && !is_free(key));
        if !is_key
            && !row.contains_key(&column.name)
            && let Some(value) = value(&draft.of(&column.name), runner, decks, column, &asked)
        {
            row.insert(column.name.clone(), as_printed(column, value));
        }
    }
    for key in table.keys.iter().filter(is_own) {
        reference(draft, key, fixed, &asked, &mut row);
    }
    if drawn_before.is_none() {
        asked.relate(table, &mut row);
    }
    row
}

/// A document in the form in which jsonb prints it. A migration that converts `json` through jsonb cannot
/// restore the original formatting, and that is not a loss.
fn as_printed(column: &ColumnSpec, value: String) -> String {
    if column.base == "json" && value != "NULL" { format!("{value}::jsonb::json") } else { value }
}
