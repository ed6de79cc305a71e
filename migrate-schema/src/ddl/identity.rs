//! The sequence of an identity column that stays: it is renamed, or added once the column exists.

use std::sync::Arc;

use migrate_base::ident::plain;

use super::alter::FactDifferences;
use super::fate::{PartFate, PartFates};
use super::name::{parent, qualified};
use super::{DdlStatement, count, inherit, sequence};
use crate::Schema;
use crate::depend::SchemaPart;
use crate::object::{Id, Kind, Object};

/// The first version in which partitions share the sequence of their parent.
const SHARED: u32 = 17;

/// The sequences of identity columns that stay and get a name that no other identity column uses, each before and
/// after.
pub(super) fn renamed(before: &Schema, after: &Schema, fates: &PartFates) -> Vec<(Arc<Object>, Arc<Object>)> {
    let counts = |column: &Object| column.fact("identity").is_some();
    let columns = after.objects().filter(|one| one.id.kind == Kind::Column && counts(one));
    let kept = columns.filter(|column| {
        let stays = matches!(fates.get(&SchemaPart::object(&column.id)), PartFate::Kept | PartFate::Altered);
        stays && before.get(&column.id).is_some_and(|old| counts(old))
    });
    let pairs = kept.filter_map(|column| {
        let [old, new] = [before, after].map(|schema| sequence::identity_sequence(schema, &column.id));
        Some((old?.clone(), new?.clone()))
    });
    let is_free = |new: &Object| before.get(&new.id).is_none_or(|other| !sequence::is_identity(other));
    pairs.filter(|(old, new)| old.id != new.id && old.id.schema == new.id.schema && is_free(new)).collect()
}

/// The statements that rename a sequence and set its parameters.
pub(super) fn statements(before: &Schema, after: &Schema, old: &Object, new: &Object) -> Vec<DdlStatement> {
    let rename = format!("ALTER SEQUENCE {} RENAME TO {}", qualified(&old.id), plain(&new.id.name));
    let counting = count::changed(before, after, &FactDifferences::of(old, new), old, new);
    [DdlStatement::new(rename)].into_iter().chain(counting).collect()
}

/// Whether a column gets its sequence separately: no statement adds an identity column to a table that has tables below
/// it. From PostgreSQL 17 on, partitions get the identity too.
pub(super) fn comes_apart(schema: &Schema, column: &Object) -> bool {
    let shares = |table: &Arc<Object>| table.fact("partition key").is_some() && schema.version() >= SHARED;
    let is_shared = || inherit::table_of(schema, &column.id).is_some_and(shares);
    sequence::counts(schema, column) && !inherit::below(schema, &column.id).is_empty() && !is_shared()
}

/// The column without its sequence.
pub(super) fn uncounted(column: &Object) -> Object {
    let mut column = column.clone();
    column.facts.retain(|fact| &*fact.name != "identity");
    column
}

/// The statement that adds a sequence to an existing column.
pub(super) fn counted(schema: &Schema, column: &Id, how: &str) -> String {
    let generated = sequence::generated(schema, column, how);
    format!("ALTER TABLE {} ALTER COLUMN {} ADD {generated}", parent(column), plain(&column.name))
}
