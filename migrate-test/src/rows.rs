//! The rows of a database as text, and which of them are lost between two reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use migrate_base::ident::{QualifiedName, ident};
use migrate_core::runner::{Rehearsal, WrittenTables};
use migrate_schema::{Id, Kind, Object, Schema};

/// A table by its schema and name, as in the catalog.
pub(crate) type TableName = (String, String);

/// The rows of one table, sorted as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TableContents {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

/// The rows of all tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct DatabaseRows(BTreeMap<TableName, Arc<TableContents>>);

/// A table that had no rows, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithoutRows {
    /// The table: `public.users`.
    pub table: String,
    /// The server's message for the last row that it refused.
    pub why: String,
}

impl fmt::Display for WithoutRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} got no rows: {}", self.table, self.why)
    }
}

/// A loss in one table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowLoss {
    /// The table: `public.users`.
    pub table: String,
    /// The column whose values changed; `None` if whole rows were removed or added.
    pub column: Option<String>,
    /// How many rows are affected.
    pub rows: usize,
    /// How many rows there were before.
    pub of: usize,
    /// One of them as an example: `'+49 30 1' → NULL`.
    pub example: String,
    /// Whether rows were added rather than removed.
    pub came: bool,
}

impl RowLoss {
    /// The data that is lost, as a `lossy` directive names it: `public.users.phone`, or `rows of public.users`.
    pub fn place(&self) -> String {
        match &self.column {
            Some(column) => format!("{}.{column}", self.table),
            None => format!("rows of {}", self.table),
        }
    }

    /// Whether it is about the same table and column as another loss.
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        self.table == other.table && self.column == other.column
    }
}

impl fmt::Display for RowLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, rows, of, example, .. } = self;
        match (&self.column, self.came) {
            (Some(column), _) => {
                write!(f, "{table}.{column}: {rows} of {of} values changed ({example})")
            }
            (None, false) => write!(f, "{table}: {rows} of {of} rows are gone ({example})"),
            (None, true) if *rows == 1 => write!(f, "{table}: 1 row was added ({example})"),
            (None, true) => write!(f, "{table}: {rows} rows were added ({example})"),
        }
    }
}

/// The name under which the rows of a table are kept.
pub(crate) fn table_name(table: &Object) -> TableName {
    (table.id.schema.to_string(), table.id.name.to_string())
}

/// The name of the table that an object is part of, or its own name.
pub(crate) fn holder_name(id: &Id) -> TableName {
    let name = if id.parent.is_empty() { &id.name } else { &id.parent };
    (id.schema.to_string(), name.to_string())
}

/// The tables that hold rows themselves, as objects of the schema.
pub(crate) fn holders(schema: &Schema) -> impl Iterator<Item = &Object> {
    let tables = schema.of_kind(Kind::Table);
    tables.filter(|table| table.fact("partition key").is_none()).map(|table| &**table)
}

impl TableContents {
    /// The values of these columns in each row; NULL if there is no such column.
    fn project(&self, columns: &[String]) -> Vec<Vec<Option<String>>> {
        let at: Vec<Option<usize>> =
            columns.iter().map(|name| self.columns.iter().position(|other| other == name)).collect();
        let values = |row: &Vec<Option<String>>| -> Vec<Option<String>> {
            at.iter().map(|at| at.and_then(|at| row.get(at).cloned().flatten())).collect()
        };
        self.rows.iter().map(values).collect()
    }
}

impl DatabaseRows {
    /// The rows of a table.
    pub(crate) fn table(&self, name: &TableName) -> Option<&TableContents> {
        self.0.get(name).map(|table| &**table)
    }

    /// The rows of the other tables.
    pub(crate) fn without(mut self, is_left_out: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|(schema, name), _| !is_left_out(&format!("{schema}.{name}")));
        self
    }

    /// The total number of rows.
    pub(crate) fn count(&self) -> usize {
        self.0.values().map(|table| table.rows.len()).sum()
    }

    /// The rows that an up script left unchanged, without the columns that it dropped or changed. Values that
    /// the script filled in itself are not included: they may be a time, or a number from a sequence.
    pub(crate) fn kept(&self, after: &Self, changed: &[RowLoss]) -> Self {
        let both = self.0.iter().filter_map(|(name, before)| Some((name, before, after.0.get(name)?)));
        let kept = both.map(|(name, before, after)| {
            let shown = format!("{}.{}", name.0, name.1);
            let is_changed = |column: &String| {
                changed.iter().any(|loss| loss.table == shown && loss.column.as_ref() == Some(column))
            };
            let shared = |column: &&String| after.columns.contains(column) && !is_changed(column);
            let columns: Vec<String> = before.columns.iter().filter(shared).cloned().collect();
            let mut there = after.project(&columns);
            let mut rows = before.project(&columns);
            rows.retain(|row| there.iter().position(|other| other == row).map(|at| there.swap_remove(at)).is_some());
            (name.clone(), Arc::new(TableContents { columns, rows }))
        });
        Self(kept.collect())
    }

    /// Reads what may have changed; `schema` is the current schema.
    pub(crate) async fn refresh(
        &mut self,
        rehearsal: &mut Rehearsal,
        schema: &Schema,
        touched: &WrittenTables,
    ) -> migrate_core::Result<()> {
        let mut old = std::mem::take(&mut self.0);
        let mut unread = Vec::new();
        for table in holders(schema) {
            let name = table_name(table);
            let is_touched = match touched {
                WrittenTables::Unknown => true,
                WrittenTables::Tables(tables) => {
                    tables.iter().any(|one| one.schema() == name.0 && one.name() == name.1)
                }
            };
            match old.remove(&name).filter(|_| !is_touched) {
                Some(known) => drop(self.0.insert(name, known)),
                None => unread.push((name, columns(schema, table))),
            }
        }
        self.read(rehearsal, unread).await
    }

    async fn read(
        &mut self,
        rehearsal: &mut Rehearsal,
        tables: Vec<(TableName, Vec<String>)>,
    ) -> migrate_core::Result<()> {
        // A table without columns can still have rows.
        let select = |(name, columns): &(TableName, Vec<String>)| {
            let columns: Vec<String> = columns.iter().map(|column| ident(column)).collect();
            let columns = if columns.is_empty() { "''".to_owned() } else { columns.join(", ") };
            format!("SELECT {columns} FROM ONLY {};", QualifiedName::new(&name.0, &name.1))
        };
        let empty = if tables.len() > MANY { empty(rehearsal).await? } else { BTreeSet::new() };
        let (empty, tables): (Vec<_>, Vec<_>) = tables.into_iter().partition(|(name, _)| empty.contains(name));
        let without = |(name, columns)| (name, Arc::new(TableContents { columns, rows: Vec::new() }));
        self.0.extend(empty.into_iter().map(without));
        if tables.is_empty() {
            return Ok(());
        }
        let answers = rehearsal.query_all(&tables.iter().map(select).collect::<String>()).await?;
        for ((name, columns), (_, mut rows)) in tables.into_iter().zip(answers) {
            rows.sort();
            self.0.insert(name, Arc::new(TableContents { columns, rows }));
        }
        Ok(())
    }

    /// What was there before and no longer is, table by table.
    pub(crate) fn losses(&self, after: &Self) -> Vec<RowLoss> {
        let mut losses = Vec::new();
        for (name, before) in &self.0 {
            let shown = format!("{}.{}", name.0, name.1);
            match after.0.get(name) {
                Some(after) if Arc::ptr_eq(after, before) || after == before => {}
                Some(after) => losses.extend(compare(&shown, before, after)),
                None if before.rows.is_empty() => {}
                None => losses.push(RowLoss {
                    table: shown,
                    column: None,
                    rows: before.rows.len(),
                    of: before.rows.len(),
                    example: "the table is gone".to_owned(),
                    came: false,
                }),
            }
        }
        losses
    }
}

/// Up to this many tables are queried one by one, without first asking which are empty.
const MANY: usize = 8;

/// The tables that have never had a row: their files have no pages.
async fn empty(rehearsal: &mut Rehearsal) -> migrate_core::Result<BTreeSet<TableName>> {
    let query = "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_am m ON m.oid = c.relam \
         WHERE c.relkind = 'r' AND c.oid >= 16384 AND m.amname = 'heap' AND pg_catalog.pg_relation_size(c.oid) = 0";
    let name = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().flatten();
        Some((cells.next()?, cells.next()?))
    };
    Ok(rehearsal.query(query).await?.1.into_iter().filter_map(name).collect())
}

fn columns(schema: &Schema, table: &Object) -> Vec<String> {
    let mut columns: Vec<_> = schema.children(&table.id, Kind::Column).collect();
    // Sorted by name: the position of a column is not compared.
    columns.sort_by(|a, b| a.id.name.cmp(&b.id.name));
    columns.into_iter().map(|column| column.id.name.to_string()).collect()
}

/// The losses of one table: changed values if rows can be matched, otherwise whole rows.
fn compare(table: &str, before: &TableContents, after: &TableContents) -> Vec<RowLoss> {
    let mut left = after.project(&before.columns);
    let mut missing: Vec<&Vec<Option<String>>> = Vec::new();
    for row in &before.rows {
        match left.iter().position(|other| other == row) {
            Some(at) => drop(left.swap_remove(at)),
            None => missing.push(row),
        }
    }
    let of = before.rows.len();
    let mut changed: BTreeMap<usize, (usize, String)> = BTreeMap::new();
    let mut gone: Vec<&Vec<Option<String>>> = Vec::new();
    for row in missing {
        let same = |other: &Vec<Option<String>>| row.iter().zip(other).filter(|(a, b)| a == b).count();
        let best = left.iter().enumerate().max_by_key(|(_, other)| same(other)).filter(|(_, other)| same(other) > 0);
        let Some((at, _)) = best else {
            gone.push(row);
            continue;
        };
        let other = left.swap_remove(at);
        for (at, (a, b)) in row.iter().zip(&other).enumerate().filter(|(_, (a, b))| a != b) {
            let (count, _) = changed.entry(at).or_insert_with(|| (0, differing(a, b)));
            *count += 1;
        }
    }
    let column = |(at, (rows, example)): (usize, (usize, String))| RowLoss {
        table: table.to_owned(),
        column: before.columns.get(at).cloned(),
        rows,
        of,
        example,
        came: false,
    };
    let mut losses: Vec<RowLoss> = changed.into_iter().map(column).collect();
    let whole = |rows: usize, row: &[Option<String>], came: bool| RowLoss {
        table: table.to_owned(),
        column: None,
        rows,
        of,
        example: row.iter().take(4).map(shown).collect::<Vec<_>>().join(", "),
        came,
    };
    losses.extend(gone.first().map(|row| whole(gone.len(), row, false)));
    losses.extend(left.first().map(|row| whole(left.len(), row, true)));
    losses
}

/// Two values as an example; only the ends if they are long and begin alike.
fn differing(before: &Option<String>, after: &Option<String>) -> String {
    let (Some(a), Some(b)) = (before, after) else { return format!("{} → {}", shown(before), shown(after)) };
    let alike = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let skipped = if alike < 20 { 0 } else { alike - 8 };
    let end = |text: &String| Some(text.chars().skip(skipped).collect::<String>());
    let dots = if skipped > 0 { "…" } else { "" };
    format!("{dots}{} → {dots}{}", shown(&end(a)), shown(&end(b)))
}

/// A value as an example: short, and on one line.
fn shown(value: &Option<String>) -> String {
    let Some(text) = value else { return "NULL".to_owned() };
    let text = text.replace('\n', "\\n");
    match text.chars().count() > 30 {
        true => format!("'{}…'", text.chars().take(30).collect::<String>()),
        false => format!("'{text}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: &[&[&str]]) -> TableContents {
        let cell = |text: &&str| (*text != "NULL").then(|| (*text).to_owned());
        TableContents {
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            rows: rows.iter().map(|row| row.iter().map(cell).collect()).collect(),
        }
    }

    fn losses(before: &TableContents, after: &TableContents) -> Vec<String> {
        compare("t", before, after).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_changed_value_is_told_by_its_column() {
        let before = table(&["fax", "id"], &[&["1", "a"], &["2", "b"]]);
        let after = table(&["fax", "id"], &[&["NULL", "a"], &["NULL", "b"]]);
        assert_eq!(losses(&before, &after), ["t.fax: 2 of 2 values changed ('1' → NULL)"]);
    }

    #[test]
    fn rows_that_are_gone_or_came_are_counted() {
        let before = table(&["id"], &[&["a"], &["b"]]);
        assert_eq!(losses(&before, &table(&["id"], &[&["b"]])), ["t: 1 of 2 rows are gone ('a')"]);
        let came = table(&["id"], &[&["a"], &["b"], &["c"]]);
        assert_eq!(losses(&before, &came), ["t: 1 row was added ('c')"]);
    }

    #[test]
    fn the_order_of_rows_and_columns_does_not_count() {
        let before = table(&["a", "b"], &[&["1", "2"], &["3", "4"]]);
        let after = table(&["b", "a"], &[&["4", "3"], &["2", "1"]]);
        assert!(losses(&before, &after).is_empty());
    }
}
