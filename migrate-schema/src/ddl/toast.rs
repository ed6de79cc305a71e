//! Settings for TOAST values: the server forgets them as long as no column can have such values.

use super::fate::PartFate;
use super::host::PartHosts;
use super::name::qualified;
use super::order::{GraphNode, PartAction};
use super::{DdlContext, DdlStatement, alter};
use crate::depend::SchemaPart;
use crate::object::{Kind, Object};

/// The statements for these settings, once all columns of the table exist.
pub(super) fn given(sides: &DdlContext<'_>, table: &Object) -> Vec<DdlStatement> {
    let Some(now) = table.fact("toast options") else { return Vec::new() };
    let part = SchemaPart::object(&table.id);
    let old = sides.before.schema.get(&table.id).filter(|_| sides.fates.get(&part) == PartFate::Altered);
    let was = old.map(|old| old.fact("toast options")).filter(|was| *was != Some(now));
    let what = || format!("TABLE {}", qualified(&table.id));
    was.and_then(|was| alter::storage(&what(), "toast.", was, Some(now))).unwrap_or_default()
}

/// The order constraints for that.
pub(super) fn edges(sides: &DdlContext<'_>, hosts: &PartHosts) -> Vec<(GraphNode, GraphNode)> {
    let tables = sides.after.schema.objects().filter(|table| !given(sides, table).is_empty());
    let pairs = tables.flat_map(|table| {
        let columns = sides
            .after
            .schema
            .children(&table.id, Kind::Column)
            .map(|column| hosts.made(&SchemaPart::object(&column.id)));
        let then = (PartAction::Give, SchemaPart::object(&table.id));
        [(PartAction::Make, SchemaPart::object(&table.id))]
            .into_iter()
            .chain(columns)
            .map(move |first| (first, then.clone()))
    });
    pairs.collect()
}
