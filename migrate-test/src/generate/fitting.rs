//! Rows that satisfy what a migration is going to require. The keys and checks that it adds are put on the
//! tables while these are filled, so that the server itself refuses rows that would not fit.

use std::sync::Arc;

use migrate_base::ident::{QualifiedName, ident};
use migrate_core::runner::Rehearsal;
use migrate_schema::{Id, Kind, Object, Schema};

use super::spec::{ForeignKey, TableSpec};
use super::{TRY, attempt};

/// What was added to the tables.
pub(crate) struct AddedConstraints {
    /// The schema including it.
    pub(crate) schema: Schema,
    drops: Vec<String>,
}

impl AddedConstraints {
    /// Adds to the tables and domains of `before` what `after` has in addition, as far as possible.
    pub(crate) async fn put(rehearsal: &mut Rehearsal, before: &Schema, after: &Schema) -> migrate_core::Result<Self> {
        rehearsal.query(TRY).await?;
        let mut required = Self { schema: before.clone(), drops: Vec::new() };
        let new = after.objects().filter(|object| before.get(&object.id) != Some(object));
        let mut wanted: Vec<(u8, Arc<Object>)> =
            new.filter_map(|object| Some((rank(object, before)?, object.clone()))).collect();
        // A foreign key needs the unique key that it references.
        wanted.sort_by_key(|(rank, _)| *rank);
        for (at, (_, object)) in wanted.into_iter().enumerate() {
            let (put, drop) = commands(&object, before, at);
            let unmatched = unmatched(&object, before, at);
            for put in [put].into_iter().chain(unmatched) {
                let answer = rehearsal.query(&attempt(&put)).await?.1;
                if answer.into_iter().flatten().next().flatten().is_some_and(|error| error.is_empty()) {
                    required.drops.push(drop);
                    required.schema = required.schema.with([object]);
                    break;
                }
            }
        }
        Ok(required)
    }

    /// Removes it again.
    pub(crate) async fn remove(self, rehearsal: &mut Rehearsal) -> migrate_core::Result<()> {
        let drops = self.drops.into_iter().rev().collect::<String>();
        if drops.is_empty() { Ok(()) } else { rehearsal.query_all(&drops).await.map(drop) }
    }
}

/// Whether an object restricts the existing rows, and after which other objects it must be added. NOT NULL does
/// not count: a migration can fill a column itself.
fn rank(object: &Object, before: &Schema) -> Option<u8> {
    let id = &object.id;
    let definition = object.fact("definition")?;
    let known = |kind| before.get(&Id::named(kind, &id.schema, &id.parent)).is_some();
    match (id.kind, definition) {
        _ if !known(Kind::Table) && !known(Kind::Domain) => None,
        (Kind::Index, text) => text.starts_with("CREATE UNIQUE").then_some(0),
        (Kind::Constraint, text) if text.starts_with("FOREIGN KEY") => Some(2),
        (Kind::Constraint, text) if text.starts_with("NOT NULL") => None,
        (Kind::Constraint, _) => Some(1),
        _ => None,
    }
}

/// The command that allows only rows which a foreign key ignores: nothing else fits if the referenced column or
/// table does not exist before the migration. `None` if every row would be refused.
fn unmatched(object: &Object, before: &Schema, at: usize) -> Option<String> {
    let definition = object.fact("definition")?;
    let key = ForeignKey::parse(definition)?;
    let table = before.get(&Id::named(Kind::Table, &object.id.schema, &object.id.parent))?;
    if !TableSpec::of(before, table).optional(&key) {
        return None;
    }
    let nulls = key.columns.iter().map(|column| format!("{} IS NULL", ident(column))).collect::<Vec<_>>();
    let word = if definition.contains(" MATCH FULL") { " AND " } else { " OR " };
    let (table, name) = (QualifiedName::new(&*table.id.schema, &*table.id.name), put_name(at));
    Some(format!("ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({})", nulls.join(word)))
}

/// A name for what is added, which conflicts with no other name.
fn put_name(at: usize) -> String {
    ident(&format!("roundtrip_{at}"))
}

/// The command that adds it, and the one that removes it.
fn commands(object: &Object, before: &Schema, at: usize) -> (String, String) {
    let id = &object.id;
    let definition = object.fact("definition").unwrap_or_default();
    if id.kind == Kind::Index {
        return (definition.to_owned(), format!("DROP INDEX {};", QualifiedName::new(&*id.schema, &*id.name)));
    }
    let (parent, name) = (QualifiedName::new(&*id.schema, &*id.parent), put_name(at));
    let is_domain = before.get(&Id::named(Kind::Domain, &id.schema, &id.parent)).is_some();
    let what = if is_domain { "DOMAIN" } else { "TABLE" };
    let put = format!("ALTER {what} {parent} ADD CONSTRAINT {name} {definition}");
    (put, format!("ALTER {what} {parent} DROP CONSTRAINT {name};"))
}
