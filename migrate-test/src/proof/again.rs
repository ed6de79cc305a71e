//! Copies existing rows to another database, and remembers what they imply for rows that are drawn later.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_base::ident::{QualifiedName, ident, literal};
use migrate_core::runner::Rehearsal;
use migrate_schema::{Fact, Kind, Object, Schema, SchemaChange};

use crate::generate::{TRY, attempt};
use crate::rows::{DatabaseRows, TableName, holder_name, holders, table_name};

/// The positions of the sequences of a database.
pub(super) struct SequenceCounters(Vec<[String; 3]>);

impl SequenceCounters {
    pub(super) async fn read(rehearsal: &mut Rehearsal) -> migrate_core::Result<Self> {
        let query =
            "SELECT schemaname, sequencename, last_value FROM pg_catalog.pg_sequences WHERE last_value IS NOT NULL";
        let (_, rows) = rehearsal.query(query).await?;
        let cells = |row: Vec<Option<String>>| row.into_iter().flatten().collect::<Vec<_>>().try_into().ok();
        Ok(Self(rows.into_iter().filter_map(cells).collect()))
    }

    /// Sets the sequences that also exist here to these positions.
    async fn put(&self, rehearsal: &mut Rehearsal) -> migrate_core::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let value =
            |[schema, name, last]: &[String; 3]| format!("({}, {}, {last}::bigint)", literal(schema), literal(name));
        let values: Vec<String> = self.0.iter().map(value).collect();
        let set = format!(
            "SELECT pg_catalog.setval(c.oid::pg_catalog.regclass, v.last) FROM (VALUES {}) AS v (schema, name, last) \
             JOIN pg_catalog.pg_namespace n ON n.nspname = v.schema \
             JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = v.name AND c.relkind = 'S'",
            values.join(", ")
        );
        rehearsal.query(&set).await.map(drop)
    }
}

/// Makes these the rows of all tables, without firing triggers, and sets the sequences accordingly.
pub(super) async fn exactly(
    rehearsal: &mut Rehearsal,
    schema: &Schema,
    rows: &DatabaseRows,
    counters: &SequenceCounters,
) -> migrate_core::Result<()> {
    let mut texts = vec!["SET LOCAL session_replication_role TO replica".to_owned()];
    texts.extend(
        holders(schema)
            .map(|table| format!("DELETE FROM ONLY {}", QualifiedName::new(&*table.id.schema, &*table.id.name))),
    );
    texts.extend(holders(schema).flat_map(|table| inserts(schema, table, rows)));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    rehearsal.statements(&texts).await.map_err(|(_, error)| error)?;
    counters.put(rehearsal).await
}

/// Inserts those rows that the tables accept, with all keys and checks in force. Referenced rows are inserted
/// first. Returns the tables that did not accept all of their rows.
pub(super) async fn that_fit(
    rehearsal: &mut Rehearsal,
    schema: &Schema,
    rows: &DatabaseRows,
    wanted: &dyn Fn(&TableName) -> bool,
) -> migrate_core::Result<BTreeSet<TableName>> {
    rehearsal.query(TRY).await?;
    let tables = holders(schema).map(|table| (table_name(table), table)).filter(|(name, _)| wanted(name));
    let of = |(name, table): (TableName, &Object)| {
        inserts(schema, table, rows).into_iter().map(move |insert| (name.clone(), insert)).collect::<Vec<_>>()
    };
    let mut left: Vec<(TableName, String)> = tables.flat_map(of).collect();
    while !left.is_empty() {
        let commands: String = left.iter().map(|(_, insert)| attempt(insert)).collect();
        let answers = rehearsal.query_all(&commands).await?;
        let is_refused = |answer: &(Vec<String>, Vec<Vec<Option<String>>>)| {
            answer.1.iter().flatten().flatten().next().is_some_and(|error| !error.is_empty())
        };
        let refused: Vec<_> =
            left.iter().zip(&answers).filter(|(_, answer)| is_refused(answer)).map(|(one, _)| one.clone()).collect();
        // A row that references a later one is accepted in the next round.
        if refused.len() == left.len() {
            break;
        }
        left = refused;
    }
    Ok(left.into_iter().map(|(name, _)| name).collect())
}

/// Removes the rows that have NULL where the next schema does not allow it, unless other rows reference them.
pub(super) async fn without_nulls(
    rehearsal: &mut Rehearsal,
    before: &Schema,
    after: &Schema,
) -> migrate_core::Result<()> {
    rehearsal.query(TRY).await?;
    let delete = |((schema, table), column): &(TableName, String)| {
        attempt(&format!("DELETE FROM {} WHERE {} IS NULL", QualifiedName::new(schema, table), ident(column)))
    };
    let commands: String = required(before, after).iter().map(delete).collect();
    if commands.is_empty() { Ok(()) } else { rehearsal.query_all(&commands).await.map(drop) }
}

/// The columns that are nullable in one schema and not in the next.
pub(super) fn required(before: &Schema, after: &Schema) -> BTreeSet<(TableName, String)> {
    let is_new = |one: &&Arc<Object>| {
        let was = before.get(&one.id).is_some_and(|was| was.fact("not null").is_none());
        one.id.kind == Kind::Column && was && one.fact("not null").is_some()
    };
    after.objects().filter(is_new).map(|one| column(one)).collect()
}

fn column(one: &Object) -> (TableName, String) {
    ((one.id.schema.to_string(), one.id.parent.to_string()), one.id.name.to_string())
}

/// The statements that insert the rows of a table, one per row.
fn inserts(schema: &Schema, table: &Object, rows: &DatabaseRows) -> Vec<String> {
    let Some(rows) = rows.table(&table_name(table)) else { return Vec::new() };
    let is_own = |column: &String| {
        schema.children(&table.id, Kind::Column).any(|one| *one.id.name == **column && one.fact("generated").is_none())
    };
    let own: Vec<usize> = (0..rows.columns.len()).filter(|at| is_own(&rows.columns[*at])).collect();
    let target = QualifiedName::new(&*table.id.schema, &*table.id.name);
    if own.is_empty() {
        return vec![format!("INSERT INTO {target} DEFAULT VALUES"); rows.rows.len()];
    }
    let names: Vec<String> = own.iter().map(|at| ident(&rows.columns[*at])).collect();
    let head = format!("INSERT INTO {target} ({}) OVERRIDING SYSTEM VALUE VALUES", names.join(", "));
    let value = |cell: Option<&Option<String>>| match cell {
        Some(Some(text)) => literal(text),
        _ => "NULL".to_owned(),
    };
    let row = |row: &Vec<Option<String>>| {
        let values: Vec<String> = own.iter().map(|at| value(row.get(*at))).collect();
        format!("{head} ({})", values.join(", "))
    };
    rows.rows.iter().map(row).collect()
}

/// The columns that a migration filled: rows that are drawn later have no NULL in them either.
#[derive(Debug, Default, Clone)]
pub(super) struct FilledColumns(BTreeSet<(TableName, String)>);

impl FilledColumns {
    /// Remembers the columns that had a NULL before an up script and have none after it. Forgets those that
    /// have one again.
    pub(super) fn learn(&mut self, schema: &Schema, before: &DatabaseRows, after: &DatabaseRows) {
        for table in holders(schema) {
            let name = table_name(table);
            let (Some(old), Some(new)) = (before.table(&name), after.table(&name)) else { continue };
            if old == new || new.rows.is_empty() {
                continue;
            }
            let has_null = |rows: &crate::rows::TableContents, column: &String| {
                let at = rows.columns.iter().position(|one| one == column);
                at.is_some_and(|at| rows.rows.iter().any(|row| row.get(at).is_some_and(Option::is_none)))
            };
            for column in &new.columns {
                let place = (name.clone(), column.clone());
                match (has_null(old, column), has_null(new, column)) {
                    (_, true) => drop(self.0.remove(&place)),
                    (true, false) => drop(self.0.insert(place)),
                    (false, false) => {}
                }
            }
        }
    }

    /// Adds the columns that are nullable in one schema and not in the next.
    pub(super) fn require(&mut self, before: &Schema, after: &Schema) {
        self.0.extend(required(before, after));
    }

    /// The schema with these columns marked as NOT NULL.
    pub(super) fn of(&self, schema: &Schema) -> Schema {
        let is_filled = |one: &&Arc<Object>| {
            one.id.kind == Kind::Column && one.fact("not null").is_none() && self.0.contains(&column(one))
        };
        let strict = |one: &Arc<Object>| {
            let mut object = (**one).clone();
            object.facts.push(Fact { name: "not null".into(), value: "true".into() });
            Arc::new(object)
        };
        let strict: Vec<Arc<Object>> = schema.objects().filter(is_filled).map(strict).collect();
        if strict.is_empty() { schema.clone() } else { schema.clone().with(strict) }
    }
}

/// The tables whose columns may have other values from now on: a column changed its type or nullability, or a
/// key or check was changed.
pub(super) fn freed(up: &SchemaChange, schema: &Schema) -> BTreeSet<TableName> {
    let mut freed = BTreeSet::new();
    let mut types: BTreeSet<&str> = BTreeSet::new();
    for (id, before, after) in up.objects() {
        let Some(before) = before else { continue };
        let is_other = |fact: &str| after.is_some_and(|after| before.fact(fact) != after.fact(fact));
        match id.kind {
            Kind::Column if is_other("type") || is_other("not null") => {}
            Kind::Constraint | Kind::Index if after.is_none() || is_other("definition") => {}
            Kind::Type | Kind::Domain => drop(types.insert(&id.name)),
            _ => continue,
        }
        freed.insert((id.schema.to_string(), id.parent.to_string()));
    }
    let has = |one: &Arc<Object>, name: &&str| one.fact("type").is_some_and(|of| of.contains(name));
    let is_typed = |one: &&Arc<Object>| one.id.kind == Kind::Column && types.iter().any(|name| has(one, name));
    freed.extend(schema.objects().filter(is_typed).map(|one| column(one).0));
    freed
}

/// The tables that differ between two schemas.
pub(super) fn changed(before: &Schema, after: &Schema) -> BTreeSet<TableName> {
    SchemaChange::between(before, after).objects().map(|(id, ..)| holder_name(id)).collect()
}
