//! Where a table or a column is used: also through views and functions, as far as the server knows.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_base::ident::{QualifiedName, literal};
use migrate_base::template::fill;
use migrate_core::source::Migration;
use migrate_core::{CodeMigrations, Database};
use migrate_review::consumer::QueryDependencies;

use super::describe::{QueryInspector, describe, text};
use super::reach::reach;
use crate::ephemeral::migrated;
use crate::error::ProofError;

/// What queries use on one schema, and what depends on a table or column there.
#[derive(Debug, Clone, Default)]
pub struct QueryUses {
    /// What each text uses; `None` if it cannot be prepared, or is not a query.
    pub reach: Vec<Option<QueryDependencies>>,
    /// What depends on the table or column, directly or indirectly.
    pub standing: Vec<DependentObject>,
}

/// An object that depends on a table or column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DependentObject {
    /// Its kind: `view`, `materialized view`, `function`, `procedure`.
    pub kind: String,
    /// Its name.
    pub name: QualifiedName,
    /// Whether the server tracks the dependency; otherwise the names occur in the text of a function.
    pub is_known: bool,
}

/// What texts use, and what depends on this table or column, on the schema that the migrations create.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration does not apply.
pub async fn uses(
    migrations: &[Arc<Migration>],
    code: &CodeMigrations,
    texts: &[Arc<str>],
    table: &QualifiedName,
    column: Option<&str>,
) -> Result<QueryUses, ProofError> {
    let database = migrated(migrations, code, true).await?;
    let address = Database::from(database.options());
    let answers = describe(&address, texts).await?;
    let texts: Vec<_> = texts.iter().cloned().zip(answers.into_iter().map(Arc::new)).collect();
    let reach = reach(&address, &texts).await?;
    let standing = standing(&address, table, column).await?;
    database.let_go().await?;
    Ok(QueryUses { reach, standing })
}

/// From `pg_depend`, and for functions with a text body from their words.
async fn standing(
    database: &Database,
    table: &QualifiedName,
    column: Option<&str>,
) -> Result<Vec<DependentObject>, ProofError> {
    let mut asker = QueryInspector::open(database).await?;
    let which = column.map_or_else(|| "true".to_owned(), |column| format!("a.attname = {}", literal(column)));
    let word = |name: &str| format!("p.prosrc ~* {}", literal(&format!("\\m{}\\M", escaped(name))));
    let mut words = vec![word(table.name())];
    words.extend(column.map(word));
    let names = [
        ("schema", literal(table.schema())),
        ("table", literal(table.name())),
        ("which", which),
        ("is_whole", column.is_none().to_string()),
        ("words", words.join(" AND ")),
    ];
    let query = fill(include_str!("standing.sql"), &names);
    let mut all = BTreeSet::new();
    for row in asker.rows(&query).await? {
        let name = QualifiedName::new(text(&row, 1)?, text(&row, 2)?);
        all.insert(DependentObject { kind: text(&row, 0)?, name, is_known: text(&row, 3)? == "yes" });
    }
    asker.close().await;
    Ok(all.into_iter().collect())
}

/// A name, escaped for a regular expression.
fn escaped(name: &str) -> String {
    let special = |c: char| if c.is_alphanumeric() || c == '_' { c.to_string() } else { format!("\\{c}") };
    name.chars().map(special).collect()
}

/// Displays it as `view public.open_shipments`.
impl std::fmt::Display for DependentObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}.{}", self.kind, self.name.schema(), self.name.name())
    }
}
