//! Rows for the statements of scripts: each finds some that it takes and changes.

use std::collections::BTreeSet;

use migrate_core::ident::QualifiedName;
use migrate_core::runner::Touched;
use migrate_core::schema::Object;

use super::Place;
use super::group::Group;
use super::spec::lineage;
use crate::rows::TableName;

/// How often rows that statements take are tried, and how far apart their numbers are from those of the rows that are there.
const ATTEMPTS: u32 = 4;
const APART: u32 = 500;
/// A table gets no more of them for one migration: a script can have thousands of statements.
const MOST: usize = 80;

/// Puts rows into a table that the statements of scripts take and change, some for each, with those of other tables that they
/// read beside them; those that are refused are tried again, plainer in all else, and are nothing that others depend on.
pub(super) async fn put(
    place: &mut Place<'_>,
    object: &Object,
    is_open: &dyn Fn(&TableName) -> bool,
) -> migrate_core::Result<()> {
    let (schema, mut known) = (place.schema, BTreeSet::new());
    let names = lineage(schema, object);
    let aims = place.uses.aims(&names).filter_map(|aim| Group::of(schema, object, aim, is_open));
    let groups: Vec<Group> = aims.filter(|group| known.insert(group.texts())).take(MOST).collect();
    let mut open: Vec<&Group> =
        groups.iter().flat_map(|group| std::iter::repeat_n(group, group.rows)).take(MOST).collect();
    for attempt in 1..=ATTEMPTS {
        if open.is_empty() {
            break;
        }
        let tried = open.iter().zip(0..).map(|(group, nth)| group.draw(place, nth, attempt, APART)).collect();
        let answers = place.attempt_all(tried).await?;
        open = open.into_iter().zip(answers).filter_map(|(group, refusal)| refusal.map(|_| group)).collect();
    }
    let tables: BTreeSet<TableName> = groups.iter().flat_map(Group::tables).collect();
    if tables.is_empty() {
        return Ok(());
    }
    let touched = tables.iter().map(|(schema, name)| QualifiedName::new(schema, name)).collect();
    place.rows.refresh(place.rehearsal, schema, &Touched::Tables(touched)).await.map(drop)
}
