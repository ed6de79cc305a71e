//! What would be lost: rows, and values that are there, counted in the database that would lose them.

use super::{Count, number};
use crate::db::Reader;
use crate::error::Result;
use crate::ident::{QualifiedName, ident, literal};
use crate::template::fill;

const ESTIMATE: &str = include_str!("estimate.sql");

/// What one table loses, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The table.
    pub table: QualifiedName,
    /// How many rows it has.
    pub rows: Count,
    /// The columns that lose their values; none means that rows go.
    pub columns: Vec<ColumnLoss>,
}

/// What one column loses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnLoss {
    /// The column.
    pub column: String,
    /// How many rows have a value in it.
    pub values: Count,
}

/// Counts what tables and columns hold. Tables of more than `exact` rows, and those that the role may not read or somebody has
/// locked, are estimated.
///
/// # Errors
///
/// [`crate::ErrorKind::Connection`] when the connection is lost, or the server refuses a query.
pub async fn losses(reader: &mut Reader, wanted: &[(QualifiedName, Vec<String>)], exact: u64) -> Result<Vec<Counted>> {
    let mut all = Vec::new();
    for (table, columns) in wanted {
        let known = reader.ask("look at a table", &estimate(table, columns)).await?;
        let Some(row) = known.first() else { continue };
        let (rows, is_countable) = (number(row, 0).unwrap_or(0), row.get(1).and_then(Option::as_deref) == Some("t"));
        let counted = match rows <= exact && is_countable {
            true => {
                reader.ask_for_all("count rows", &count(table, columns)).await?.and_then(|rows| rows.into_iter().next())
            }
            false => None,
        };
        let counts: Vec<Count> = match counted {
            Some(row) => (0..=columns.len()).map(|at| Count::Exact(number(&row, at).unwrap_or(0))).collect(),
            None => {
                let values = (0..columns.len()).map(|at| Count::Estimated(number(row, at + 2).unwrap_or(rows)));
                [Count::Estimated(rows)].into_iter().chain(values).collect()
            }
        };
        let Some((rows, values)) = counts.split_first() else { continue };
        let columns =
            columns.iter().zip(values).map(|(column, values)| ColumnLoss { column: column.clone(), values: *values });
        all.push(Counted { table: table.clone(), rows: *rows, columns: columns.collect() });
    }
    Ok(all)
}

/// The query that counts the rows, and the values in each column.
fn count(table: &QualifiedName, columns: &[String]) -> String {
    let lists: String = columns.iter().map(|column| format!(", count({})", ident(column))).collect();
    format!("SELECT count(*){lists} FROM {table}")
}

/// The query for what the statistics say: rows, whether they may be read, and the values in each column.
fn estimate(table: &QualifiedName, columns: &[String]) -> String {
    let of_column = |column: &String| {
        format!(
            ", (SELECT (known.rows * (1 - s.null_frac))::bigint FROM pg_catalog.pg_stats s WHERE s.schemaname = {} AND \
             s.tablename = {} AND s.attname = {} LIMIT 1)",
            literal(table.schema()),
            literal(table.name()),
            literal(column)
        )
    };
    let values: String = columns.iter().map(of_column).collect();
    let (schema, name) = (literal(table.schema()), literal(table.name()));
    fill(ESTIMATE, &[("values", values), ("schema", schema), ("table", name)])
}
