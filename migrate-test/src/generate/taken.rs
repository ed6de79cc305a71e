//! Rows for the statements of scripts, so that each statement finds rows to select and change.

use std::collections::BTreeSet;

use migrate_base::ident::QualifiedName;
use migrate_core::runner::WrittenTables;
use migrate_schema::Object;

use super::context::FillContext;
use super::group::RowGroup;
use super::spec::lineage;
use crate::rows::TableName;

/// How often rows for statements are tried, and the distance of their numbers from those of existing rows.
const ATTEMPTS: u32 = 4;
const APART: u32 = 500;
/// The maximum number of such rows in a table for one migration: a script can have thousands of statements.
const MOST: usize = 80;

/// Inserts rows into a table that the statements of scripts select and change: some for each statement,
/// together with those of other tables that the statement reads. Rows that are refused are tried again, plainer
/// in all other respects. Nothing else depends on these rows.
pub(super) async fn put(
    place: &mut FillContext<'_>,
    object: &Object,
    is_open: &dyn Fn(&TableName) -> bool,
) -> migrate_core::Result<()> {
    let (schema, mut known) = (place.schema, BTreeSet::new());
    let names = lineage(schema, object);
    let aims = place.uses.aims(&names).filter_map(|aim| RowGroup::of(schema, object, aim, is_open));
    let groups: Vec<RowGroup> = aims.filter(|group| known.insert(group.texts())).take(MOST).collect();
    let mut open: Vec<&RowGroup> =
        groups.iter().flat_map(|group| std::iter::repeat_n(group, group.rows)).take(MOST).collect();
    for attempt in 1..=ATTEMPTS {
        if open.is_empty() {
            break;
        }
        let tried = open.iter().zip(0..).map(|(group, nth)| group.draw(place, nth, attempt, APART)).collect();
        let answers = place.attempt_all(tried).await?;
        open = open.into_iter().zip(answers).filter_map(|(group, refusal)| refusal.map(|_| group)).collect();
    }
    let tables: BTreeSet<TableName> = groups.iter().flat_map(RowGroup::tables).collect();
    if tables.is_empty() {
        return Ok(());
    }
    let touched = tables.iter().map(|(schema, name)| QualifiedName::new(schema, name)).collect();
    place.rows.refresh(place.rehearsal, schema, &WrittenTables::Tables(touched)).await.map(drop)
}
