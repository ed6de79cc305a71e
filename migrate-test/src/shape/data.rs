//! The rows of selected tables, as statements.

use std::time::Duration;

use migrate_base::codes;
use migrate_base::finding::Finding;
use migrate_base::ident::{QualifiedName, ident, literal, plain};
use migrate_core::runner::Rehearsal;
use migrate_core::{CodeMigrations, Database, Error, ErrorKind};
use migrate_schema::{Described, Id, Kind, Object};

use crate::proof::ProofError;

/// The rows of a table, and the next values of its sequences.
#[derive(Debug)]
pub struct TableData {
    /// The table.
    pub table: Id,
    /// The statements that insert its rows; they come right after the one that creates the table.
    pub inserts: Vec<String>,
    /// The statements that set its sequences, at the end.
    pub sequences: Vec<String>,
    /// How many rows.
    pub rows: usize,
}

/// How many rows go into one statement.
const ROWS: usize = 500;

/// Reads the rows of tables, in the order of their keys, and writes nothing.
///
/// # Errors
///
/// [`ProofError`] for a table that does not exist, or rows that may not be read.
pub async fn table_data(
    database: Database,
    source: &Described,
    tables: &[String],
) -> Result<Vec<TableData>, ProofError> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let found = tables.iter().map(|name| find(source, name)).collect::<Result<Vec<_>, _>>()?;
    // This is not a shadow database: it may have many rows.
    let mut session = Rehearsal::open_limited(database, CodeMigrations::none(), Duration::ZERO).await?;
    session.query("SET default_transaction_read_only TO on").await?;
    let mut all = Vec::new();
    for table in found {
        all.push(read(&mut session, source, table).await?);
    }
    session.close().await;
    Ok(all)
}

/// The tables that have rows, each with its schema.
///
/// # Errors
///
/// [`ProofError`] when they may not be read.
pub async fn tables_with_rows(session: &mut Rehearsal, source: &Described) -> Result<Vec<String>, ProofError> {
    let tables =
        source.schema.objects().filter(|one| one.id.kind == Kind::Table && one.fact("partition key").is_none());
    let names: Vec<String> = tables.map(|one| format!("{}.{}", ident(&one.id.schema), ident(&one.id.name))).collect();
    if names.is_empty() {
        return Ok(names);
    }
    let queries = names.iter().map(|name| format!("SELECT EXISTS (SELECT FROM ONLY {name});"));
    let answers = session.query_all(&queries.collect::<String>()).await?;
    let has = |(_, rows): &(Vec<String>, Vec<Vec<Option<String>>>)| {
        rows.first().and_then(|row| row.first()?.as_deref()) == Some("t")
    };
    Ok(names.into_iter().zip(answers).filter(|(_, answer)| has(answer)).map(|(name, _)| name).collect())
}

fn find<'a>(source: &'a Described, name: &str) -> Result<&'a Object, Error> {
    let wanted = QualifiedName::parse(name);
    let is_it = |object: &&Object| match &wanted {
        Some(name) => *object.id.schema == *name.schema() && *object.id.name == *name.name(),
        None => *object.id.name == *name.trim(),
    };
    let tables: Vec<&Object> =
        source.schema.objects().map(|object| &**object).filter(|o| o.id.kind == Kind::Table).collect();
    let mut found = tables.iter().copied().filter(is_it);
    match (found.next(), found.next()) {
        (Some(table), None) => Ok(table),
        (None, _) => {
            let near = migrate_base::suggest::nearest(name, tables.iter().map(|table| &*table.id.name));
            let finding = Finding::new(codes::NO_SUCH_TABLE, format!("there is no table {name}"));
            Err(Error::new(
                ErrorKind::Configuration,
                match near {
                    Some(near) => finding.help(format!("did you mean {near}?")),
                    None => finding,
                },
            ))
        }
        (Some(_), Some(_)) => {
            let finding = Finding::new(codes::TWO_TABLES, format!("there is more than one table {name}"));
            Err(Error::new(ErrorKind::Configuration, finding.help("write it with its schema: --data shop.countries")))
        }
    }
}

async fn read(session: &mut Rehearsal, source: &Described, table: &Object) -> Result<TableData, ProofError> {
    let mut columns: Vec<_> =
        source.schema.children(&table.id, Kind::Column).filter(|one| one.fact("generated").is_none()).collect();
    columns.sort_by_key(|column| column.position);
    let name = format!("{}.{}", ident(&table.id.schema), ident(&table.id.name));
    let values: Vec<String> =
        columns.iter().map(|one| format!("quote_nullable({}::text)", ident(&one.id.name))).collect();
    let order: Vec<String> = key(source, table).iter().map(|name| ident(name)).collect();
    let order = if order.is_empty() { "1".to_owned() } else { order.join(", ") };
    let query =
        format!("SELECT '(' || concat_ws(', ', {}) || ')' FROM ONLY {name} ORDER BY {order}", values.join(", "));
    let (_, rows) = session.query(&query).await?;
    let rows: Vec<String> = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    let list = columns.iter().map(|one| plain(&one.id.name)).collect::<Vec<_>>().join(", ");
    let name = format!("{}.{}", plain(&table.id.schema), plain(&table.id.name));
    let always = columns.iter().any(|one| one.fact("identity") == Some("always"));
    let overriding = if always { " OVERRIDING SYSTEM VALUE" } else { "" };
    let insert =
        |rows: &[String]| format!("INSERT INTO {name} ({list}){overriding} VALUES\n    {}", rows.join(",\n    "));
    let counted = columns.iter().filter(|one| {
        one.fact("identity").is_some() || one.fact("default").is_some_and(|value| value.starts_with("nextval("))
    });
    let sequences = counted.map(|one| {
        let column = plain(&one.id.name);
        let sequence = format!("pg_get_serial_sequence({}, {})", literal(&name), literal(&one.id.name));
        format!("SELECT setval({sequence}, max({column})) FROM {name} HAVING max({column}) IS NOT NULL")
    });
    Ok(TableData {
        table: (*table.id).clone(),
        inserts: rows.chunks(ROWS).map(insert).collect(),
        sequences: sequences.collect(),
        rows: rows.len(),
    })
}

/// The columns of the primary key.
fn key(source: &Described, table: &Object) -> Vec<String> {
    let mut constraints = source.schema.children(&table.id, Kind::Constraint);
    let definition = constraints.find_map(|one| one.fact("definition")?.strip_prefix("PRIMARY KEY ("));
    definition.map(names).unwrap_or_default()
}

/// The names in a list, up to the closing parenthesis.
pub(super) fn names(list: &str) -> Vec<String> {
    let (mut rest, mut names) = (list, Vec::new());
    while let Some((name, after)) = migrate_base::ident::first_name(rest) {
        names.push(name);
        rest = after.strip_prefix(", ").unwrap_or("");
    }
    names
}
