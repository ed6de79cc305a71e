//! Rows that a migration adds to existing tables, and the statements that delete them.

use std::collections::{BTreeMap, BTreeSet};

use migrate_base::ident::{first_name, ident, plain};
use migrate_core::runner::Rehearsal;
use migrate_schema::ddl::DdlStatement;
use migrate_schema::{Id, Kind, Object, SchemaDescription};

use super::data::names;
use crate::proof::ProofError;

/// The keys of the rows of each table, if the key does not come from a sequence: its columns, and for each row
/// their literals. A number from a sequence may belong to another row in another database.
#[derive(Debug, Default)]
pub(super) struct RowKeys(BTreeMap<Id, (Vec<String>, BTreeSet<String>)>);

/// A table with more rows is not a lookup table that migrations fill.
const MOST: usize = 1000;

impl RowKeys {
    /// Reads the keys; a table with too many rows is left out.
    pub(super) async fn read(session: &mut Rehearsal, at: &SchemaDescription) -> Result<Self, ProofError> {
        let tables = at.schema.objects().filter(|one| one.id.kind == Kind::Table && one.fact("parents").is_none());
        let tables: Vec<(&Id, Vec<String>)> = tables.filter_map(|one| Some((&*one.id, key(at, one)?))).collect();
        if tables.is_empty() {
            return Ok(Self::default());
        }
        let query = |(id, key): &(&Id, Vec<String>)| {
            let values: Vec<String> = key.iter().map(|name| format!("quote_literal({}::text)", ident(name))).collect();
            let table = format!("{}.{}", ident(&id.schema), ident(&id.name));
            format!("SELECT concat_ws(', ', {}) FROM {table} LIMIT {};", values.join(", "), MOST + 1)
        };
        let answers = session.query_all(&tables.iter().map(query).collect::<String>()).await?;
        let all = tables.into_iter().zip(answers).filter(|(_, (_, rows))| rows.len() <= MOST);
        let rows = |rows: Vec<Vec<Option<String>>>| rows.into_iter().flatten().flatten().collect();
        Ok(Self(all.map(|((id, key), (_, found))| (id.clone(), (key, rows(found)))).collect()))
    }

    /// The statements that delete the rows which were added since; referencing rows come first.
    pub(super) fn removal(&self, later: &Self, at: &SchemaDescription) -> Vec<DdlStatement> {
        let came = later.0.iter().filter_map(|(id, (key, rows))| {
            let (old_key, old) = self.0.get(id)?;
            let new: Vec<&String> = rows.difference(old).collect();
            (old_key == key && !new.is_empty()).then(|| (id, delete(id, key, &new)))
        });
        let mut came: BTreeMap<&Id, String> = came.collect();
        let mut all = Vec::new();
        while let Some(first) = came.keys().find(|id| !came.keys().any(|other| refers(at, other, id))) {
            let first = *first;
            all.extend(came.remove(first).map(DdlStatement::of));
        }
        all.extend(came.into_values().map(DdlStatement::of));
        all
    }
}

/// The columns of a key whose values every INSERT has to specify.
fn key(at: &SchemaDescription, table: &Object) -> Option<Vec<String>> {
    let is_written = |name: &String| {
        let id =
            Id { kind: Kind::Column, parent: table.id.name.clone(), name: name.as_str().into(), ..(*table.id).clone() };
        let drawn = ["default", "identity", "generated"];
        at.schema
            .get(&id)
            .is_some_and(|one| one.fact("not null").is_some() && drawn.iter().all(|by| one.fact(by).is_none()))
    };
    let keys = at.schema.children(&table.id, Kind::Constraint).filter_map(|one| {
        let definition = one.fact("definition")?;
        let list = definition.strip_prefix("PRIMARY KEY (").or_else(|| definition.strip_prefix("UNIQUE ("))?;
        Some(names(list)).filter(|names| !names.is_empty() && names.iter().all(is_written))
    });
    keys.min_by_key(Vec::len)
}

fn delete(table: &Id, key: &[String], rows: &[&String]) -> String {
    let names = key.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ");
    let (open, close) = if key.len() > 1 { ("(", ")") } else { ("", "") };
    let list = rows.iter().map(|row| format!("{open}{row}{close}")).collect::<Vec<_>>().join(", ");
    format!("DELETE FROM {}.{} WHERE {open}{names}{close} IN ({list})", plain(&table.schema), plain(&table.name))
}

/// Whether another table has a foreign key to this one.
fn refers(at: &SchemaDescription, other: &Id, to: &Id) -> bool {
    let names = |definition: &str| {
        let (_, rest) = definition.split_once(" REFERENCES ")?;
        let (schema, rest) = first_name(rest)?;
        let (table, _) = first_name(rest.strip_prefix('.')?)?;
        Some((schema, table))
    };
    let mut keys = at.schema.children(other, Kind::Constraint).filter_map(|one| names(one.fact("definition")?));
    other != to && keys.any(|(schema, table)| *schema == *to.schema && *table == *to.name)
}
