//! What would be lost: rows, and values that are there, counted in the database that would lose them.

use super::{Count, number};
use crate::db::Reader;
use crate::error::Result;
use crate::ident::{QualifiedName, ident, literal};

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

/// Counts what tables and columns hold. Tables of more than `exact` rows, and those that the role may not read, are estimated.
///
/// # Errors
///
/// [`crate::ErrorKind::Connection`] when the connection is lost, or the server refuses a query.
pub async fn losses(reader: &mut Reader, wanted: &[(QualifiedName, Vec<String>)], exact: u64) -> Result<Vec<Counted>> {
    let mut all = Vec::new();
    for (table, columns) in wanted {
        let known = reader.ask("look at a table", &estimate(table, columns)).await?;
        let Some(row) = known.first() else { continue };
        let (rows, is_readable) = (number(row, 0).unwrap_or(0), row.get(1).and_then(Option::as_deref) == Some("t"));
        let counts = if rows <= exact && is_readable {
            let lists: String = columns.iter().map(|column| format!(", count({})", ident(column))).collect();
            let counted = reader.ask("count rows", &format!("SELECT count(*){lists} FROM {table}")).await?;
            counted
                .first()
                .map(|row| (0..=columns.len()).map(|at| Count::Exact(number(row, at).unwrap_or(0))).collect())
        } else {
            let values = (0..columns.len()).map(|at| Count::Estimated(number(row, at + 2).unwrap_or(rows)));
            Some([Count::Estimated(rows)].into_iter().chain(values).collect::<Vec<_>>())
        };
        let counts: Vec<Count> = counts.unwrap_or_default();
        let Some((rows, values)) = counts.split_first() else { continue };
        let columns =
            columns.iter().zip(values).map(|(column, values)| ColumnLoss { column: column.clone(), values: *values });
        all.push(Counted { table: table.clone(), rows: *rows, columns: columns.collect() });
    }
    Ok(all)
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
    // A partitioned table has no rows of its own; where nobody looked yet, its files say how many there can be.
    format!(
        "SELECT known.rows, known.readable{values} FROM (SELECT CASE WHEN sum(c.reltuples) > 0 AND min(c.reltuples) >= 0 THEN \
         sum(c.reltuples) ELSE sum(pg_catalog.pg_relation_size(c.oid)) / 64 END::bigint AS rows, \
         pg_catalog.has_table_privilege(min(t.oid::bigint)::oid, 'SELECT') AS readable FROM pg_catalog.pg_class t \
         JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace, \
         LATERAL (SELECT t.oid UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(t.oid) p WHERE p.isleaf) AS part \
         JOIN pg_catalog.pg_class c ON c.oid = part.oid WHERE n.nspname = {} AND t.relname = {} AND t.relkind IN ('r', 'p')) AS known \
         WHERE known.rows IS NOT NULL",
        literal(table.schema()),
        literal(table.name())
    )
}
