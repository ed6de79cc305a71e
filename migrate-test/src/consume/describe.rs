//! Queries, described by the server: prepared, inspected, and never run.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use migrate_base::ident::QualifiedName;
use migrate_base::sql::byte_of_position;
use migrate_core::Database;
use migrate_review::consumer::{PrepareAnswer, PrepareRefusal, QueryDescription, ResultColumn};
use sqlx::postgres::{PgColumn, PgDatabaseError, PgErrorPosition, PgStatement, PgTypeInfo};
use sqlx::{
    AssertSqlSafe, Column as _, Connection, Either, Executor, PgConnection, Row, SqlSafeStr, Statement as _, TypeInfo,
};

use super::copied::asked_as;
use crate::error::ProofError;
use crate::error::ServerError;

/// How many statements stay prepared before the server is told to forget them.
const KEPT: usize = 250;

/// A connection for questions about queries.
pub(super) struct QueryInspector {
    pub(super) connection: PgConnection,
}

/// A column of a table: the oid of the table, and the number of the column.
type ColumnAddress = (u32, i16);

/// The meaning of the oids in descriptions.
#[derive(Default)]
struct OidNames {
    types: HashMap<u32, String>,
    columns: HashMap<ColumnAddress, (QualifiedName, String, bool)>,
}

/// Describes each of these texts, in order, on two connections: the server works on one while the answer of the
/// other is in transit.
///
/// # Errors
///
/// [`ProofError`] when the server is gone. A text that is refused is not an error.
pub(super) async fn describe(database: &Database, texts: &[Arc<str>]) -> Result<Vec<PrepareAnswer>, ProofError> {
    let half = |texts: &[Arc<str>]| {
        let (database, texts) = (database.clone(), texts.to_vec());
        async move {
            if texts.is_empty() {
                return Ok(Vec::new());
            }
            let mut asker = QueryInspector::open(&database).await?;
            let answers = asker.describe(&texts).await;
            asker.close().await;
            answers
        }
    };
    let (first, second) = texts.split_at(texts.len().div_ceil(2));
    let (first, second) = tokio::join!(half(first), half(second));
    let mut all = first?;
    all.extend(second?);
    Ok(all)
}

impl QueryInspector {
    pub(super) async fn open(database: &Database) -> Result<Self, ProofError> {
        // Prepared statements are dropped explicitly; the driver's cache would cost one message for each.
        let options = database.options().clone().statement_cache_capacity(0).application_name("roundtrip consumers");
        let connection = PgConnection::connect_with(&options).await.map_err(gone)?;
        Ok(Self { connection })
    }

    pub(super) async fn close(self) {
        // Nothing is lost if this fails.
        let _ = self.connection.close().await;
    }

    async fn describe(&mut self, texts: &[Arc<str>]) -> Result<Vec<PrepareAnswer>, ProofError> {
        let mut said: Vec<Result<PgStatement, PrepareRefusal>> = Vec::with_capacity(texts.len());
        for (n, text) in texts.iter().enumerate() {
            let asked = asked_as(text);
            said.push(match self.connection.prepare(AssertSqlSafe(asked.to_string()).into_sql_str()).await {
                Ok(statement) => Ok(statement),
                Err(error) => {
                    let refusal = refusal(error, text)?;
                    // A position in the replacement text is meaningless for the original.
                    Err(PrepareRefusal { at: refusal.at.filter(|_| *asked == **text), ..refusal })
                }
            });
            if n % KEPT == KEPT - 1 {
                self.send("DEALLOCATE ALL").await?;
            }
        }
        let names = self.names(&said).await?;
        Ok(said.into_iter().map(|one| one.map_or_else(PrepareAnswer::Refused, |one| names.answer(&one))).collect())
    }

    /// Queries the meaning of the oids, once for all answers.
    async fn names(&mut self, said: &[Result<PgStatement, PrepareRefusal>]) -> Result<OidNames, ProofError> {
        let mut types = BTreeSet::new();
        let mut tables = BTreeSet::new();
        for statement in said.iter().flatten() {
            types.extend(statement.columns().iter().filter_map(|column| oid(column.type_info())));
            types.extend(parameters(statement).iter().filter_map(oid));
            tables.extend(statement.columns().iter().filter_map(|column| Some(column.relation_id()?.0)));
        }
        let mut names = OidNames::default();
        for row in self
            .rows(&format!("SELECT oid, format_type(oid, NULL) FROM pg_type WHERE oid IN ({})", list(&types)))
            .await?
        {
            names.types.insert(number(&row, 0)?, text(&row, 1)?);
        }
        let query = format!(
            "SELECT a.attrelid, a.attnum, n.nspname, c.relname, a.attname, a.attnotnull FROM pg_attribute a \
             JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE a.attrelid IN ({}) AND NOT a.attisdropped",
            list(&tables)
        );
        for row in self.rows(&query).await? {
            let table = QualifiedName::new(text(&row, 2)?, text(&row, 3)?);
            let column = (table, text(&row, 4)?, text(&row, 5)? == "t");
            names.columns.insert((number(&row, 0)?, number(&row, 1)?), column);
        }
        Ok(names)
    }

    /// Sends statements whose results do not matter.
    pub(super) async fn send(&mut self, sql: &str) -> Result<(), ProofError> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await.map_err(gone)?;
        Ok(())
    }

    /// The rows that all statements return.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<sqlx::postgres::PgRow>, ProofError> {
        sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await.map_err(gone)
    }
}

impl OidNames {
    fn answer(&self, statement: &PgStatement) -> PrepareAnswer {
        PrepareAnswer::Described(QueryDescription {
            columns: statement.columns().iter().map(|column| self.column(column)).collect(),
            parameters: parameters(statement).iter().map(|of| self.of(of)).collect(),
        })
    }

    fn column(&self, column: &PgColumn) -> ResultColumn {
        let address = column.relation_id().zip(column.relation_attribute_no());
        let origin = address.and_then(|(table, number)| self.columns.get(&(table.0, number)));
        ResultColumn {
            name: column.name().to_owned(),
            of: self.of(column.type_info()),
            origin: origin.map(|(table, name, _)| (table.clone(), name.clone())),
            is_filled: origin.is_some_and(|(_, _, filled)| *filled),
        }
    }

    fn of(&self, of: &PgTypeInfo) -> String {
        let known = oid(of).and_then(|oid| self.types.get(&oid));
        known.cloned().unwrap_or_else(|| of.name().to_ascii_lowercase())
    }
}

fn oid(of: &PgTypeInfo) -> Option<u32> {
    of.oid().map(|oid| oid.0)
}

fn parameters(statement: &PgStatement) -> Vec<PgTypeInfo> {
    match statement.parameters() {
        Some(Either::Left(parameters)) => parameters.to_vec(),
        _ => Vec::new(),
    }
}

/// Numbers for `IN (…)`, which must not be empty.
pub(super) fn list(numbers: &BTreeSet<u32>) -> String {
    let all: Vec<String> = std::iter::once(&0).chain(numbers).map(ToString::to_string).collect();
    all.join(", ")
}

/// Why a server refused a text. An error that is not caused by the text is passed on.
pub(super) fn refusal(error: sqlx::Error, text: &str) -> Result<PrepareRefusal, ProofError> {
    let sqlx::Error::Database(error) = error else { return Err(gone(error)) };
    let own = |text: Option<&str>| text.map(str::to_owned);
    let Some(error) = error.try_downcast_ref::<PgDatabaseError>() else {
        return Err(gone(sqlx::Error::Database(error)));
    };
    let at = match error.position() {
        Some(PgErrorPosition::Original(at)) => byte_of_position(text, at),
        _ => None,
    };
    Ok(PrepareRefusal {
        sqlstate: error.code().to_owned(),
        message: error.message().to_owned(),
        detail: own(error.detail()),
        hint: own(error.hint()),
        at,
    })
}

pub(super) fn gone(error: sqlx::Error) -> ProofError {
    ServerError::refused("describe a query", &error).into()
}

/// A cell of a row in text form.
pub(super) fn text(row: &sqlx::postgres::PgRow, at: usize) -> Result<String, ProofError> {
    let cell = row.try_get_unchecked::<Option<String>, _>(at).map_err(gone)?;
    Ok(cell.unwrap_or_default())
}

fn number<T: std::str::FromStr + Default>(row: &sqlx::postgres::PgRow, at: usize) -> Result<T, ProofError> {
    Ok(text(row, at)?.parse().unwrap_or_default())
}
