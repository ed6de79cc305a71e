//! Constants that a query writes and that the schema refuses: tried one by one in a SELECT of their own, against what is new.
//! The query itself is never run.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_core::Database;
use migrate_core::ident::{catalog_name, plain};
use migrate_core::schema::{Change, Id, Kind, Object, Schema};
use migrate_core::sql::{self, parse};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Expr, Stmt};

use super::describe::{Asker, refusal, text};
use crate::proof::ProofError;

/// Constants that a query writes, and that are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What refuses them: a constraint, or a column of a domain.
    pub by: Arc<Id>,
    /// What that asks for.
    pub definition: String,
    /// The table.
    pub table: String,
    /// The columns and what is written to them: `weight = 0`.
    pub values: String,
    /// Whether the first run is accepted and only the next is not: a key that is written again.
    pub is_later: bool,
}

/// What a statement writes to a table: a row of what is constant in it, by columns.
struct Written {
    schema: Option<String>,
    table: String,
    rows: Vec<Row>,
    /// Whether rows are added that must be new.
    adds: bool,
}

type Row = BTreeMap<String, String>;

/// The constants of a text that something new refuses.
///
/// # Errors
///
/// [`ProofError`] when the server is gone.
pub(super) async fn refused(
    database: &Database,
    schema: &Schema,
    change: &Change,
    texts: &[(usize, Arc<str>)],
) -> Result<BTreeMap<usize, Vec<Refused>>, ProofError> {
    let mut found = BTreeMap::new();
    if texts.is_empty() || !change.objects().any(|(id, before, after)| is_news(id, before, after)) {
        return Ok(found);
    }
    let mut asker = Asker::open(database).await?;
    asker.send("SET default_transaction_read_only TO on; SET statement_timeout TO '5s'").await?;
    for (at, text) in texts {
        let Some(written) = written(text, schema) else { continue };
        let all = asker.refused(schema, change, &written).await?;
        if !all.is_empty() {
            found.insert(*at, all);
        }
    }
    asker.close().await;
    Ok(found)
}

/// Whether something can refuse what was accepted before.
fn is_news(id: &Id, before: Option<&Object>, after: Option<&Object>) -> bool {
    match id.kind {
        Kind::Constraint | Kind::Index => after.is_some() && before != after,
        Kind::Column => before.zip(after).is_some_and(|(old, new)| old.fact("type") != new.fact("type")),
        _ => false,
    }
}

impl Asker {
    async fn refused(
        &mut self,
        schema: &Schema,
        change: &Change,
        written: &Written,
    ) -> Result<Vec<Refused>, ProofError> {
        let Some(table) = written.object(schema) else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for (id, before, after) in change.objects().filter(|(id, before, after)| is_news(id, *before, *after)) {
            let Some(after) = after else { continue };
            let definition = after.fact("definition").unwrap_or_default();
            let is_ours = id.schema == table.id.schema && id.parent == table.id.name;
            match id.kind {
                Kind::Constraint
                    if is_ours && definition.starts_with("CHECK") && !definition.ends_with("NOT ENFORCED") =>
                {
                    for row in &written.rows {
                        let Some(used) = used(schema, table, row, definition) else { continue };
                        if self.is_false(schema, table, &used, definition).await? {
                            all.push(Refused::new(after, definition, table, &used, false));
                            break;
                        }
                    }
                }
                Kind::Constraint | Kind::Index if is_ours && written.adds => all.extend(again(table, written, after)),
                Kind::Constraint | Kind::Column => {
                    for (column, ty) in columns(schema, table).filter(|(column, ty)| is_of(id, column, ty, table)) {
                        let values = written.rows.iter().filter_map(|row| row.get(&*column.id.name));
                        for value in values {
                            if self.is_refused(value, ty).await? {
                                let used = Row::from([(column.id.name.to_string(), value.clone())]);
                                let definition = if before.is_some() { ty } else { definition };
                                all.push(Refused::new(after, definition, table, &used, false));
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
        used: &Row,
        definition: &str,
    ) -> Result<bool, ProofError> {
        let types: BTreeMap<&str, &str> = columns(schema, table).map(|(column, ty)| (&*column.id.name, ty)).collect();
        let value = |(name, value): (&String, &String)| {
            let ty = types.get(name.as_str()).copied().unwrap_or("text");
            format!("CAST({value} AS {ty}) AS {}", plain(name))
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

    /// The first value of a query; nothing for one that is refused.
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

impl Refused {
    fn new(by: &Object, definition: &str, table: &Object, used: &Row, is_later: bool) -> Self {
        let values: Vec<String> = used.iter().map(|(column, value)| format!("{column} = {value}")).collect();
        Self {
            by: by.id.clone(),
            definition: definition.to_owned(),
            table: table.id.name.to_string(),
            values: values.join(", "),
            is_later,
        }
    }
}

/// The condition of a check, in parentheses.
fn condition(definition: &str) -> &str {
    let text = definition.trim_start_matches("CHECK").trim();
    let text = text.strip_suffix("NOT VALID").unwrap_or(text).trim();
    text.strip_suffix("NO INHERIT").unwrap_or(text).trim()
}

/// The columns that a check speaks of, where all of them are constant in a row.
fn used(schema: &Schema, table: &Object, row: &Row, definition: &str) -> Option<Row> {
    let words: Vec<&str> = sql::words(definition);
    let names = columns(schema, table).map(|(column, _)| column.id.name.to_string());
    let meant = names.filter(|name| words.iter().any(|word| **word == plain(name)));
    let used: Option<Row> = meant.map(|name| Some((name.clone(), row.get(&name)?.clone()))).collect();
    used.filter(|used| !used.is_empty())
}

/// A key that a statement writes with the same constants each time, and that is to be there once.
fn again(table: &Object, written: &Written, key: &Object) -> Option<Refused> {
    let definition = key.fact("definition")?;
    let list = match key.id.kind {
        Kind::Constraint if definition.starts_with("UNIQUE (") || definition.starts_with("PRIMARY KEY (") => definition,
        // Equality alone is what a key asks for.
        Kind::Constraint if definition.starts_with("EXCLUDE ") => definition,
        Kind::Index if definition.starts_with("CREATE UNIQUE INDEX ") => definition.split_once(" USING ")?.1,
        _ => return None,
    };
    let is_partial = sql::words(list).iter().any(|word| word.eq_ignore_ascii_case("where"));
    let columns = key_columns(list).filter(|_| !is_partial)?;
    let key_of = |row: &Row| {
        let values: Option<Row> = columns.iter().map(|name| Some((name.clone(), row.get(name)?.clone()))).collect();
        values.filter(|values| !values.values().any(|value| value.eq_ignore_ascii_case("null")))
    };
    let used = written.rows.iter().find_map(key_of)?;
    let is_twice = written.rows.iter().filter_map(key_of).filter(|other| *other == used).count() > 1;
    Some(Refused::new(key, definition, table, &used, !is_twice))
}

/// The columns of a key that asks for nothing but equality.
fn key_columns(list: &str) -> Option<Vec<String>> {
    let (_, rest) = list.split_once('(')?;
    let words = sql::words(rest);
    let end = words.iter().position(|word| *word == ")").filter(|end| !words[..*end].contains(&"("))?;
    let column = |words: &[&str]| {
        let with = words.iter().position(|word| word.eq_ignore_ascii_case("with"));
        let is_equal = with.is_none_or(|at| words.get(at + 1) == Some(&"="));
        catalog_name(words.first()?).filter(|_| is_equal)
    };
    words[..end].split(|word| *word == ",").map(column).collect()
}

/// Whether what changed is about a column of this type: its domain has a new constraint, or it got the type.
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

impl Written {
    fn object<'a>(&self, schema: &'a Schema) -> Option<&'a Object> {
        let is_it = |one: &&Object| {
            one.id.kind == Kind::Table
                && *one.id.name == *self.table
                && self.schema.as_ref().map_or(&*one.id.schema == "public", |schema| *one.id.schema == **schema)
        };
        schema.objects().map(|one| &**one).find(is_it)
    }
}

/// What the one statement of a text writes.
fn written(text: &str, schema: &Schema) -> Option<Written> {
    match parse(text).tree().stmts().next()? {
        Stmt::Insert(it) => {
            let name = it.relation_name_ref()?.syntax().text().to_string();
            let adds = it.on_conflict_clause().is_none();
            let mut written = Written { adds, ..named(&name)? };
            let ast::InsertSource::SelectVariant(ast::SelectVariant::Values(values)) = it.insert_source()? else {
                return None;
            };
            let columns: Vec<String> = match it.column_target_list() {
                Some(list) => names(list.syntax()),
                None => {
                    columns(schema, written.object(schema)?).map(|(column, _)| column.id.name.to_string()).collect()
                }
            };
            let rows = values.syntax().descendants().filter_map(ast::Row::cast);
            written.rows = rows.map(|row| constants(&columns, row.exprs())).collect();
            Some(written)
        }
        Stmt::Update(it) => {
            let name = it.relation_name()?.relation_name_ref()?.syntax().text().to_string();
            let sets = it.set_clause()?.syntax().descendants().filter_map(ast::SetSingleColumn::cast);
            let set = |one: ast::SetSingleColumn| {
                let column = names(one.syntax()).into_iter().next()?;
                let value = one.syntax().children().find_map(ast::SetExpr::cast)?;
                Some((
                    column,
                    constant(
                        &Expr::cast(value.syntax().clone())
                            .or_else(|| value.syntax().children().find_map(Expr::cast))?,
                    )?,
                ))
            };
            Some(Written { rows: vec![sets.filter_map(set).collect()], ..named(&name)? })
        }
        _ => None,
    }
}

fn named(name: &str) -> Option<Written> {
    let name = migrate_core::lint::Named::parse(name)?;
    Some(Written { schema: name.schema, table: name.name, rows: Vec::new(), adds: false })
}

fn names(node: &SyntaxNode) -> Vec<String> {
    let names = node.descendants().filter_map(ast::ColumnNameRef::cast);
    names.filter_map(|name| Some(migrate_core::lint::Named::parse(&name.syntax().text().to_string())?.name)).collect()
}

fn constants(columns: &[String], values: impl Iterator<Item = Expr>) -> Row {
    columns.iter().zip(values).filter_map(|(column, value)| Some((column.clone(), constant(&value)?))).collect()
}

/// The text of a constant: a literal, with a sign or a cast.
fn constant(expr: &Expr) -> Option<String> {
    let text = expr.syntax().text().to_string().trim().to_owned();
    let inner = || expr.syntax().children().find_map(Expr::cast);
    match expr {
        Expr::Literal(_) => {
            (!text.starts_with('$') || text.starts_with("$$")).then_some(())?;
            (!text.eq_ignore_ascii_case("default")).then_some(text)
        }
        Expr::ParenExpr(_) => constant(&inner()?),
        Expr::PrefixExpr(_) if text.starts_with(['-', '+']) => constant(&inner()?).map(|_| text),
        Expr::CastExpr(_) => constant(&inner()?).map(|_| text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_read_as_they_are_written() {
        let rows = |text: &str| written(text, &Schema::default()).map(|found| (found.table, found.rows, found.adds));
        let row = |all: &[(&str, &str)]| all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Row>();
        let found = rows(
            "INSERT INTO app.t (a, \"B\", c, d, e) VALUES (-1, 'x'::text, $1, now(), DEFAULT), (2, NULL, 3, 4, 5)",
        );
        let expected = [
            row(&[("a", "-1"), ("B", "'x'::text")]),
            row(&[("a", "2"), ("B", "NULL"), ("c", "3"), ("d", "4"), ("e", "5")]),
        ];
        assert_eq!(found, Some(("t".to_owned(), expected.into(), true)));
        let found = rows("UPDATE t SET a = 0, b = b + 1 WHERE id = $1");
        assert_eq!(found, Some(("t".to_owned(), vec![row(&[("a", "0")])], false)));
        assert_eq!(rows("INSERT INTO t (a) SELECT 1"), None);
    }

    #[test]
    fn a_condition_is_taken_out_of_its_check() {
        for text in ["CHECK ((a > 0))", "CHECK ((a > 0)) NOT VALID", "CHECK ((a > 0)) NO INHERIT NOT VALID"] {
            assert_eq!(condition(text), "((a > 0))");
        }
    }
}
