//! How many rows the tables of an environment have, according to its statistics.

use std::collections::BTreeMap;

use migrate_base::ident::QualifiedName;

use crate::context::Context;

const QUERY: &str = "SELECT n.nspname, c.relname, greatest(c.reltuples, 0)::bigint FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm') AND c.oid >= 16384";

/// Reads the statistics of an environment; nothing is written. `Err` says why they could not be read.
pub(super) async fn of(context: &Context<'_>, name: &str) -> Result<BTreeMap<QualifiedName, u64>, String> {
    let why =
        |failure: crate::exit::Failure| failure.findings().first().map(|one| one.message.clone()).unwrap_or_default();
    let database = context.other(name).and_then(|other| other.database()).map_err(why)?;
    let rows = database.ask("read the table sizes", QUERY).await.map_err(|error| why(error.into()))?;
    let row = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().flatten();
        Some((QualifiedName::new(cells.next()?, cells.next()?), cells.next()?.parse().ok()?))
    };
    Ok(rows.into_iter().filter_map(row).collect())
}
