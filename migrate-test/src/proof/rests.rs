//! The basis of a verdict: a proof over no rows is not a proof.

use migrate_schema::Schema;

use crate::rows::{DatabaseRows, WithoutRows, holders, table_name};

/// The basis of the law of data (the tables as they were when the up script ran) and of the law of the path
/// (steps of walks).
///
/// All tables of the schema before the up script count if they can hold rows: ordinary tables and partitions,
/// but not partitioned tables, which hold no rows of their own, nor foreign tables. The origin of the rows does
/// not matter: the chain, a fixture, or the generator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProofBasis {
    /// How many tables there were.
    pub tables: usize,
    /// The tables that had no rows, by name.
    pub without: Vec<WithoutRows>,
    /// The statements that should change rows but changed none: their effect on rows is not proven.
    pub idle: Vec<String>,
    /// The columns or tables that had only plain values, because the migration refuses others.
    pub narrowed: Vec<String>,
    /// The tables that had only the rows which the chain itself inserts, because others are refused.
    pub own: Vec<String>,
    /// How many steps of walks, up or down, included the migration.
    pub moves: usize,
}

impl ProofBasis {
    /// The basis for a database with these rows; `unfilled` says why the generator failed.
    pub(super) fn on(schema: &Schema, rows: &DatabaseRows, unfilled: &[WithoutRows]) -> Self {
        let mut rests = Self::default();
        for table in holders(schema) {
            rests.tables += 1;
            let name = table_name(table);
            if rows.table(&name).is_some_and(|rows| !rows.rows.is_empty()) {
                continue;
            }
            let table = format!("{}.{}", name.0, name.1);
            let why = unfilled.iter().find(|one| one.table == table).map(|one| one.why.clone());
            let why = why.unwrap_or_else(|| "a row was accepted, but was not there afterwards".to_owned());
            rests.without.push(WithoutRows { table, why });
        }
        rests
    }

    /// How many tables had rows.
    pub fn with_rows(&self) -> usize {
        self.tables.saturating_sub(self.without.len())
    }

    /// `37 of 41 tables had rows`, how many statements changed none, and where values were plain or no rows
    /// were added; `None` if there was no table.
    pub fn words(&self) -> Option<String> {
        let noun = if self.tables == 1 { "table" } else { "tables" };
        let tables = (self.tables > 0).then(|| format!("{} of {} {noun} had rows", self.with_rows(), self.tables))?;
        let idle = match self.idle.len() {
            0 => String::new(),
            1 => ", 1 statement changed no rows".to_owned(),
            more => format!(", {more} statements changed no rows"),
        };
        let few = |what: &str, of: &[String]| match of {
            [] => String::new(),
            [one] => format!(", only {what} in {one}"),
            [one, more @ ..] => format!(", only {what} in {one} and {} more", more.len()),
        };
        let (plain, own) = (few("plain values", &self.narrowed), few("the chain's own rows", &self.own));
        Some(format!("{tables}{idle}{plain}{own}"))
    }

    /// `14 steps`; `None` if no walk included it.
    pub fn walked(&self) -> Option<String> {
        match self.moves {
            0 => None,
            1 => Some("1 step".to_owned()),
            moves => Some(format!("{moves} steps")),
        }
    }
}
