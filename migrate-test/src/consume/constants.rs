//! Constants that a query writes and that the schema refuses. Each is tested in a separate SELECT against the
//! new rules. The query itself is never run.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_base::ident::plain;
use migrate_base::sql;
use migrate_core::Database;
use migrate_schema::{Id, Kind, Object, Schema, SchemaChange};

use super::describe::{QueryInspector, refusal, text};
use super::news::{key, rules};
use super::written::{ConstantRow, ConstantValue, WriteStatement, is_null};
use crate::error::ProofError;

/// Constants that a query writes, and that are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedConstant {
    /// What refuses them: a constraint, or a column of a domain type.
    pub by: Arc<Id>,
    /// The definition of the rule.
    pub definition: String,
    /// The table.
    pub table: String,
    /// The columns and the values written to them: `weight = 0`.
    pub values: String,
    /// When it refuses them.
    pub when: RefusedWhen,
}

/// When constants are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedWhen {
    /// Whenever they are written.
    Always,
    /// Unless a trigger or rule of the table changes the row.
    Unchanged,
    /// Not in the first run, but in the next: the same key is written again.
    Again,
}

/// What can refuse values that were accepted before: a constraint, a unique index, or a column with another
/// type.
pub(super) struct NewRules<'a>(Vec<(&'a Id, &'a Object, Option<String>)>);

impl<'a> NewRules<'a> {
    pub(super) fn of(change: &'a SchemaChange) -> Self {
        let rules = rules(change).into_iter().map(|(id, after, _)| (id, after, None));
        let retyped = change.objects().filter_map(|(id, before, after)| {
            let new = after.filter(|_| id.kind == Kind::Column)?;
            let ty = new.fact("type")?;
            let is_other = match before {
                Some(old) => old.fact("type") != Some(ty),
                // For rows that do not name a new column, only a domain can refuse its value.
                None => ty.contains('.'),
            };
            is_other.then(|| (id, new, Some(ty.to_owned())))
        });
        Self(rules.chain(retyped).collect())
    }

    /// The tables and domains that these belong to.
    pub(super) fn parents(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(id, ..)| &*id.parent)
    }
}

/// The constants in texts that a new rule refuses, by the number of the text.
///
/// # Errors
///
/// [`ProofError`] when the server is gone.
pub(super) async fn refused(
    database: &Database,
    schema: &Schema,
    news: &NewRules<'_>,
    texts: &[(usize, &WriteStatement)],
) -> Result<BTreeMap<usize, Vec<RefusedConstant>>, ProofError> {
    let mut found = BTreeMap::new();
    if texts.is_empty() || news.0.is_empty() {
        return Ok(found);
    }
    let mut asker = QueryInspector::open(database).await?;
    asker.send("SET default_transaction_read_only TO on; SET statement_timeout TO '5s'").await?;
    for (at, written) in texts {
        let all = asker.refused(schema, news, written).await?;
        if !all.is_empty() {
            found.insert(*at, all);
        }
    }
    asker.close().await;
    Ok(found)
}

impl QueryInspector {
    async fn refused(
        &mut self,
        schema: &Schema,
        news: &NewRules<'_>,
        written: &WriteStatement,
    ) -> Result<Vec<RefusedConstant>, ProofError> {
        let Some(table) = written.table(schema) else { return Ok(Vec::new()) };
        let (rows, mut all) = (written.rows(schema, table), Vec::new());
        for (id, after, ty) in &news.0 {
            let definition = after.fact("definition").unwrap_or_default();
            let is_ours = id.schema == table.id.schema && id.parent == table.id.name;
            match id.kind {
                Kind::Constraint if is_ours && definition.starts_with("CHECK") => {
                    for row in &rows {
                        let Some(used) = used(schema, table, row, definition) else { continue };
                        if self.is_false(schema, table, &used, definition).await? {
                            let when = unless_changed(schema, table, written);
                            all.push(RefusedConstant::new(after, definition, table, &used, when));
                            break;
                        }
                    }
                }
                Kind::Constraint | Kind::Index if is_ours => {
                    all.extend(again(schema, table, written, &rows, after));
                }
                Kind::Constraint | Kind::Column => {
                    for (column, of) in columns(schema, table).filter(|(column, ty)| is_of(id, column, ty, table)) {
                        for value in rows.iter().filter_map(|row| row.get(&*column.id.name)) {
                            if self.is_refused(&value.text, of).await? {
                                let used = ConstantRow::from([(column.id.name.to_string(), value.clone())]);
                                let definition = ty.as_deref().unwrap_or(definition);
                                // The value is converted to the type before any trigger sees it.
                                all.push(RefusedConstant::new(after, definition, table, &used, RefusedWhen::Always));
                                break;
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(all)
    }

    /// Whether a check is false for constants.
    async fn is_false(
        &mut self,
        schema: &Schema,
        table: &Object,
        used: &ConstantRow,
        definition: &str,
    ) -> Result<bool, ProofError> {
        let types: BTreeMap<&str, &str> = columns(schema, table).map(|(column, ty)| (&*column.id.name, ty)).collect();
        let value = |(name, value): (&String, &ConstantValue)| {
            let ty = types.get(name.as_str()).copied().unwrap_or("text");
            format!("CAST({} AS {ty}) AS {}", value.text, plain(name))
        };
        let values: Vec<String> = used.iter().map(value).collect();
        let query = format!(
            "SELECT {} FROM (SELECT {}) AS {}",
            condition(definition),
            values.join(", "),
            plain(&table.id.name)
        );
        Ok(self.first(&query).await?.is_some_and(|answer| answer == "f"))
    }

    /// Whether a domain refuses a constant.
    async fn is_refused(&mut self, value: &str, ty: &str) -> Result<bool, ProofError> {
        let query = format!("SELECT CAST({value} AS {ty})");
        match self.tried(&query).await? {
            Ok(_) => Ok(false),
            Err(state) => Ok(state == "23514" || state == "23502"),
        }
    }

    /// The first value of a query; `None` if the query is refused.
    async fn first(&mut self, query: &str) -> Result<Option<String>, ProofError> {
        Ok(self.tried(query).await?.ok())
    }

    async fn tried(&mut self, query: &str) -> Result<Result<String, String>, ProofError> {
        match sqlx::raw_sql(sqlx::AssertSqlSafe(query.to_owned())).fetch_all(&mut self.connection).await {
            Ok(rows) => Ok(Ok(rows.first().map(|row| text(row, 0)).transpose()?.unwrap_or_default())),
            Err(error) => Ok(Err(refusal(error, query)?.sqlstate)),
        }
    }
}

impl RefusedConstant {
    fn new(by: &Object, definition: &str, table: &Object, used: &ConstantRow, when: RefusedWhen) -> Self {
        let told = |(column, value): (&String, &ConstantValue)| {
            let by = if value.is_default { " by default" } else { "" };
            format!("{column} = {}{by}", value.text)
        };
        let values: Vec<String> = used.iter().map(told).collect();
        Self {
            by: by.id.clone(),
            definition: definition.to_owned(),
            table: table.id.name.to_string(),
            values: values.join(", "),
            when,
        }
    }
}

/// The condition of a check, in parentheses.
fn condition(definition: &str) -> &str {
    let text = definition.trim_start_matches("CHECK").trim();
    let text = text.strip_suffix("NOT VALID").unwrap_or(text).trim();
    text.strip_suffix("NO INHERIT").unwrap_or(text).trim()
}

/// The columns that a check refers to, if all of them are constant in a row.
fn used(schema: &Schema, table: &Object, row: &ConstantRow, definition: &str) -> Option<ConstantRow> {
    let words: Vec<&str> = sql::tokens(definition);
    let names = columns(schema, table).map(|(column, _)| column.id.name.to_string());
    let meant = names.filter(|name| words.iter().any(|word| **word == plain(name)));
    let used: Option<ConstantRow> = meant.map(|name| Some((name.clone(), row.get(&name)?.clone()))).collect();
    used.filter(|used| !used.is_empty())
}

/// A key that a statement writes twice, or with the same constants each time, although it must be unique.
fn again(
    schema: &Schema,
    table: &Object,
    written: &WriteStatement,
    rows: &[ConstantRow],
    by: &Object,
) -> Option<RefusedConstant> {
    let columns = key(by).filter(|_| written.adds)?;
    let of_row = |row: &ConstantRow| {
        let values: Option<ConstantRow> =
            columns.iter().map(|name| Some((name.clone(), row.get(name)?.clone()))).collect();
        values.filter(|values| !values.values().any(|value| is_null(&value.text)))
    };
    let keys: Vec<ConstantRow> = rows.iter().filter_map(of_row).collect();
    let twice = (1..keys.len()).find(|at| keys[..*at].contains(&keys[*at])).map(|at| &keys[at]);
    let when = twice.map_or(RefusedWhen::Again, |_| unless_changed(schema, table, written));
    Some(RefusedConstant::new(by, by.fact("definition")?, table, twice.or(keys.first())?, when))
}

/// When a row is refused that reaches its table unchanged. A trigger can change the row, and so can a trigger
/// of a partition.
fn unless_changed(schema: &Schema, table: &Object, written: &WriteStatement) -> RefusedWhen {
    let has_children =
        |own: &Object| own.parents().iter().any(|of| (of.schema(), of.name()) == (&*table.id.schema, &*table.id.name));
    let is_parent = || schema.objects().any(|one| one.id.kind == Kind::Table && has_children(one));
    let is_own = |one: &Object| one.id.schema == table.id.schema && one.id.parent == table.id.name;
    let changing: Vec<&Arc<Object>> = schema.objects().filter(|one| changes_rows(one, written.event)).collect();
    match changing.iter().any(|one| is_own(one)) || !changing.is_empty() && is_parent() {
        true => RefusedWhen::Unchanged,
        false => RefusedWhen::Always,
    }
}

/// Whether a trigger can change a row before it is written, or a rule writes another row.
fn changes_rows(object: &Object, event: &str) -> bool {
    let is_on = !matches!(object.fact("enabled"), Some("no" | "replica"));
    let words = sql::tokens(object.fact("definition").unwrap_or_default());
    let has = |word: &str| words.contains(&word);
    match object.id.kind {
        // `CREATE TRIGGER name BEFORE …`
        Kind::Trigger => is_on && words.get(3) == Some(&"BEFORE") && has(event) && has("ROW"),
        Kind::Rule => is_on && has(event),
        _ => false,
    }
}

/// Whether a change is about a column of this type: its domain has a new constraint, or it got the type.
fn is_of(id: &Id, column: &Object, ty: &str, table: &Object) -> bool {
    match id.kind {
        Kind::Column => id.schema == table.id.schema && id.parent == table.id.name && *id == *column.id,
        _ => ty == format!("{}.{}", plain(&id.schema), plain(&id.parent)) || *ty == plain(&id.parent),
    }
}

/// The columns of a table, with their types.
fn columns<'a>(schema: &'a Schema, table: &'a Object) -> impl Iterator<Item = (&'a Object, &'a str)> {
    schema.children(&table.id, Kind::Column).filter_map(|one| Some((&**one, one.fact("type")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_taken_out_of_its_check() {
        for text in ["CHECK ((a > 0))", "CHECK ((a > 0)) NOT VALID", "CHECK ((a > 0)) NO INHERIT NOT VALID"] {
            assert_eq!(condition(text), "((a > 0))");
        }
    }
}
