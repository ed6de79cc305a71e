//! Renames that the user specifies, because a difference cannot detect them.

use migrate_base::codes;
use migrate_base::finding::Finding;
use migrate_base::ident::{first_name, plain};
use migrate_core::{Error, ErrorKind};
use migrate_schema::Described;
use migrate_schema::ddl::{Ddl, Statement, roles};

use super::{Shadow, baseline, for_roles, role_guard};
use crate::proof::ProofError;

/// The schema with the new names of these tables and columns, `schema.table=new` or `schema.table.column=new`,
/// and the statements for the renames.
///
/// # Errors
///
/// [`ProofError`] for a pair in another form, one that names no object, or one that cannot be renamed.
pub async fn renamed(from: Described, pairs: &[String]) -> Result<(Described, Vec<Statement>), ProofError> {
    if pairs.is_empty() {
        return Ok((from, Vec::new()));
    }
    let statements = pairs.iter().map(|pair| statement(pair)).collect::<Result<Vec<_>, _>>()?;
    for_roles(&roles(&from.schema), Box::pin(renamed_by(from, statements))).await
}

async fn renamed_by(from: Described, statements: Vec<Statement>) -> Result<(Described, Vec<Statement>), ProofError> {
    let first = baseline(from).await?;
    let mut shadow = Shadow::blank().await?;
    shadow.rehearsal().query(&role_guard(&first.roles)).await?;
    shadow.run(&first.up).await.map_err(|(_, error)| error)?;
    let ddl = Ddl { statements, uncovered: Vec::new() };
    shadow.run(&ddl).await.map_err(|(_, error)| error)?;
    let described = shadow.describe().await?;
    shadow.end().await?;
    Ok((described, ddl.statements))
}

fn statement(pair: &str) -> Result<Statement, Error> {
    let names = || {
        let (schema, rest) = first_name(pair)?;
        let (table, rest) = first_name(rest.strip_prefix('.')?)?;
        let (column, rest) = match rest.strip_prefix('.') {
            Some(rest) => first_name(rest).map(|(column, rest)| (Some(column), rest))?,
            None => (None, rest),
        };
        let (new, rest) = first_name(rest.strip_prefix('=')?)?;
        rest.is_empty().then_some((schema, table, column, new))
    };
    let Some((schema, table, column, new)) = names() else {
        let finding = Finding::new(codes::RENAME, format!("`{pair}` is not a rename"))
            .help("write schema.table.column=new_name, or schema.table=new_name");
        return Err(Error::new(ErrorKind::Configuration, finding));
    };
    let table = format!("{}.{}", plain(&schema), plain(&table));
    let what = column.map_or("RENAME".to_owned(), |column| format!("RENAME COLUMN {}", plain(&column)));
    Ok(Statement::of(format!("ALTER TABLE {table} {what} TO {}", plain(&new))))
}
