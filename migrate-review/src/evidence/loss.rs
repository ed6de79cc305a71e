//! Counts the rows and values that would be lost, in the database that would lose them.

use std::collections::BTreeMap;

use migrate_base::db::ReadOnlySession;
use migrate_base::error::Result;
use migrate_base::ident::{QualifiedName, ident, literal};
use migrate_base::template::fill;

use super::{RowCount, TOGETHER, number};

const ESTIMATE: &str = include_str!("estimate.sql");
const NULLS: &str = include_str!("nulls.sql");

/// The counted loss of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableLossCount {
    /// The table.
    pub table: QualifiedName,
    /// How many rows it has.
    pub rows: RowCount,
    /// The columns that lose their values; empty means that rows are lost.
    pub columns: Vec<ColumnLossCount>,
}

/// The loss of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnLossCount {
    /// The column.
    pub column: String,
    /// How many rows have a value in it.
    pub values: RowCount,
}

/// A table, and the columns that lose their values; empty if the table loses rows.
pub type LossRequest = (QualifiedName, Vec<String>);

/// What the statistics say about one table.
struct LossEstimate {
    rows: u64,
    is_countable: bool,
    /// The existing columns among the requested ones, each with the fraction of rows that have a value in it.
    columns: Vec<(String, f64)>,
}

/// Counts what tables and columns hold. A column that does not exist is left out; `None` stands for a table that does
/// not exist, or has none of the columns. Tables with more than `exact` rows are estimated, and so are those that the
/// role may not read or that somebody has locked.
///
/// However many tables there are, all estimates take one message and the counts take few. Each table is counted once,
/// however many of its columns are requested, and however often.
///
/// # Errors
///
/// [`migrate_base::error::ErrorKind::Connection`] when the connection is lost, or the server refuses a query.
pub async fn losses(
    reader: &mut ReadOnlySession,
    wanted: &[LossRequest],
    exact: u64,
) -> Result<Vec<Option<TableLossCount>>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let (tables, places) = by_table(wanted);
    let known = estimates(reader, &tables).await?;
    let mut counted: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for group in groups(&known, exact) {
        counted.extend(count_all(reader, &tables, &known, &group).await?);
    }
    let one = |((table, columns), at): (&LossRequest, &usize)| {
        let known = known.get(at)?;
        let count = |n: usize, share: f64| match counted.get(at) {
            Some(counts) => counts.get(n).copied().map(RowCount::Exact),
            // The number of rows is far below the limit up to which an f64 represents every integer.
            None => Some(RowCount::Estimated((known.rows as f64 * share).round() as u64)),
        };
        let loss = |column: &String| {
            let n = known.columns.iter().position(|(name, _)| name == column)?;
            Some(ColumnLossCount { column: column.clone(), values: count(n + 1, known.columns[n].1)? })
        };
        let there: Vec<ColumnLossCount> = columns.iter().filter_map(loss).collect();
        // Without columns this would mean that rows are lost.
        let is_there = columns.is_empty() || !there.is_empty();
        is_there.then_some(TableLossCount { table: table.clone(), rows: count(0, 1.0)?, columns: there })
    };
    Ok(wanted.iter().zip(&places).map(one).collect())
}

/// Each table once, with all its requested columns; and for each request, the index of its table.
fn by_table(wanted: &[LossRequest]) -> (Vec<LossRequest>, Vec<usize>) {
    let mut tables: Vec<LossRequest> = Vec::new();
    let mut places: BTreeMap<&QualifiedName, usize> = BTreeMap::new();
    let mut each = Vec::with_capacity(wanted.len());
    for (table, columns) in wanted {
        let at = *places.entry(table).or_insert(tables.len());
        if at == tables.len() {
            tables.push((table.clone(), Vec::new()));
        }
        for column in columns {
            if !tables[at].1.contains(column) {
                tables[at].1.push(column.clone());
            }
        }
        each.push(at);
    }
    (tables, each)
}

/// What the statistics say about tables and their columns, by the index of the table.
async fn estimates(reader: &mut ReadOnlySession, tables: &[LossRequest]) -> Result<BTreeMap<usize, LossEstimate>> {
    let name = |text: &str| format!("{}::pg_catalog.name", literal(text));
    let table =
        |(at, (table, _)): (usize, &LossRequest)| format!("({at}, {}, {})", name(table.schema()), name(table.name()));
    let named: Vec<String> = tables.iter().enumerate().map(table).collect();
    let columns = tables.iter().enumerate().flat_map(|(at, (table, columns))| {
        let of_table = format!("{}, {}", name(table.schema()), name(table.name()));
        columns.iter().enumerate().map(move |(n, column)| format!("({at}, {n}, {of_table}, {})", name(column)))
    });
    let columns: Vec<String> = columns.collect();
    let mut queries = vec![("read the statistics of tables", fill(ESTIMATE, &[("wanted", named.join(", "))]))];
    if !columns.is_empty() {
        queries.push(("read the statistics of columns", fill(NULLS, &[("wanted", columns.join(", "))])));
    }
    let mut answers = reader.ask_each(&queries).await?.into_iter();
    let place = |row: &[Option<String>], cell| number(row, cell).and_then(|at| usize::try_from(at).ok());
    let known = answers.next().unwrap_or_default().into_iter().filter_map(|row| {
        let is_countable = row.get(2).and_then(Option::as_deref) == Some("t");
        let rows = number(&row, 1).unwrap_or(0);
        Some((place(&row, 0)?, LossEstimate { rows, is_countable, columns: Vec::new() }))
    });
    let mut known: BTreeMap<usize, LossEstimate> = known.collect();
    for row in answers.next().unwrap_or_default() {
        let (Some(at), Some(n)) = (place(&row, 0), place(&row, 1)) else { continue };
        if let (Some(known), Some(column)) = (known.get_mut(&at), tables.get(at).and_then(|(_, all)| all.get(n))) {
            // Without statistics, every row may have a value.
            let nulls = row.get(2).and_then(|cell| cell.as_deref()?.parse::<f64>().ok()).unwrap_or(0.0);
            known.columns.push((column.clone(), 1.0 - nulls));
        }
    }
    Ok(known)
}

/// The tables to count in one message: those that can be counted, and only as many as take the time of one large table.
fn groups(known: &BTreeMap<usize, LossEstimate>, exact: u64) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut rows = 0;
    for (at, one) in known.iter().filter(|(_, one)| one.is_countable && one.rows <= exact) {
        match groups.last_mut().filter(|group| group.len() < TOGETHER && rows + one.rows <= exact) {
            Some(group) => group.push(*at),
            None => {
                groups.push(vec![*at]);
                rows = 0;
            }
        }
        rows += one.rows;
    }
    groups
}

/// Counts tables in one message; if one of them cannot be counted, counts each in its own message.
async fn count_all(
    reader: &mut ReadOnlySession,
    tables: &[LossRequest],
    known: &BTreeMap<usize, LossEstimate>,
    group: &[usize],
) -> Result<Vec<(usize, Vec<u64>)>> {
    let query = |at: &usize| Some(count(*at, &tables.get(*at)?.0, &known.get(at)?.columns));
    let queries: Vec<String> = group.iter().filter_map(query).collect();
    let mut counted = Vec::new();
    if let Some(rows) = reader.ask_for_all("count rows", &queries.join(" UNION ALL ")).await? {
        counted = rows;
    } else if queries.len() > 1 {
        for query in &queries {
            counted.extend(reader.ask_for_all("count rows", query).await?.unwrap_or_default());
        }
    }
    let read = |row: Vec<Option<String>>| {
        let counts = row.get(1)?.as_deref()?.trim_matches(['{', '}']);
        Some((usize::try_from(number(&row, 0)?).ok()?, counts.split(',').filter_map(|one| one.parse().ok()).collect()))
    };
    Ok(counted.into_iter().filter_map(read).collect())
}

/// The query that counts the rows, and the values in each column.
fn count(at: usize, table: &QualifiedName, columns: &[(String, f64)]) -> String {
    let lists: String = columns.iter().map(|(column, _)| format!(", count({})", ident(column))).collect();
    format!("SELECT {at}, ARRAY[count(*){lists}] FROM {table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_once_however_often_it_is_asked_for() {
        let wanted = |table: &str, columns: &[&str]| {
            (QualifiedName::new("public", table), columns.iter().map(|&column| column.to_owned()).collect())
        };
        let asked = [wanted("a", &["x"]), wanted("b", &[]), wanted("a", &[]), wanted("a", &["y", "x"])];
        assert_eq!(by_table(&asked), (vec![wanted("a", &["x", "y"]), wanted("b", &[])], vec![0, 1, 0, 0]));
    }

    #[test]
    fn what_is_counted_together_takes_no_longer_than_one_large_table() {
        let known = |rows, is_countable| LossEstimate { rows, is_countable, columns: Vec::new() };
        let all =
            [known(60, true), known(30, true), known(20, true), known(101, true), known(5, false), known(80, true)];
        let known: BTreeMap<usize, LossEstimate> = all.into_iter().enumerate().collect();
        assert_eq!(groups(&known, 100), [vec![0, 1], vec![2, 5]]);
    }
}
