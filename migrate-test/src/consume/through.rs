//! Views through which tables are written: the server turns a write to a simple view into a write to its table.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use migrate_base::ident::literal;
use migrate_base::template::fill;
use migrate_core::Database;

use super::describe::{QueryInspector, list, text};
use super::values::shown;
use crate::error::ProofError;

/// The target of writes to a view: its table, and for each column of the view the column of the table, by
/// number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WriteTarget {
    pub(super) table: u32,
    pub(super) columns: BTreeMap<i32, i32>,
    /// Whether the calling role needs the privileges on the table, and not the owner of the view.
    pub(super) is_invoker: bool,
}

/// The views through which tables are written, by oid.
pub(super) type UpdatableViews = HashMap<u32, WriteTarget>;

impl QueryInspector {
    /// Those of these relations that are such views, and the views that they use.
    pub(super) async fn through(&mut self, relations: BTreeSet<u32>) -> Result<UpdatableViews, ProofError> {
        let (mut views, mut open) = (UpdatableViews::new(), relations);
        while !open.is_empty() {
            let query = fill(include_str!("through.sql"), &[("relations", list(&open))]);
            let mut found = UpdatableViews::new();
            for row in self.rows(&query).await? {
                let view = text(&row, 0)?.parse().unwrap_or_default();
                let is_invoker = text(&row, 2)? == "true";
                found.extend(
                    shown(&text(&row, 1)?).map(|(table, columns)| (view, WriteTarget { table, columns, is_invoker })),
                );
            }
            open = found.values().map(|one| one.table).filter(|table| !views.contains_key(table)).collect();
            views.extend(found);
        }
        Ok(views)
    }
}

/// The names of the views that depend on tables with these names, also indirectly.
///
/// # Errors
///
/// [`ProofError`] when the server is gone.
pub(super) async fn over(database: &Database, tables: &BTreeSet<String>) -> Result<Vec<String>, ProofError> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = tables.iter().map(|name| literal(name)).collect();
    let query = format!(
        "WITH RECURSIVE standing (oid) AS (SELECT c.oid FROM pg_class c WHERE c.oid >= 16384 AND c.relname IN ({}) \
         UNION SELECT r.ev_class FROM standing s \
         JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid \
         AND d.classid = 'pg_rewrite'::regclass JOIN pg_rewrite r ON r.oid = d.objid) \
         SELECT DISTINCT c.relname FROM standing s JOIN pg_class c ON c.oid = s.oid WHERE c.relkind = 'v'",
        names.join(", ")
    );
    let mut asker = QueryInspector::open(database).await?;
    let rows = asker.rows(&query).await?;
    asker.close().await;
    rows.iter().map(|row| text(row, 0)).collect()
}
