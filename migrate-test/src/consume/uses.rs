//! Where a table or a column is used: also through views and functions, as far as the server knows.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_base::ident::{QualifiedName, literal};
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
    let (of, name) = (literal(table.schema()), literal(table.name()));
    let which = column.map_or_else(|| "true".to_owned(), |column| format!("a.attname = {}", literal(column)));
    let word = |name: &str| format!("p.prosrc ~* {}", literal(&format!("\\m{}\\M", escaped(name))));
    let mut words = vec![word(table.name())];
    words.extend(column.map(word));
    let query = format!(
        "WITH RECURSIVE meant AS (SELECT c.oid, a.attnum FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
           JOIN pg_attribute a ON a.attrelid = c.oid WHERE n.nspname = {of} AND c.relname = {name} AND {which}), \
         stands (class, oid) AS ( \
           SELECT d.classid, d.objid FROM pg_depend d JOIN meant m ON d.refclassid = 'pg_class'::regclass AND d.refobjid = m.oid \
             AND d.refobjsubid IN (0, m.attnum) AND (d.refobjsubid = m.attnum OR {}) WHERE d.deptype = 'n' \
           UNION SELECT p.tableoid, p.oid FROM pg_proc p WHERE p.oid >= 16384 AND {} \
           UNION SELECT d.classid, d.objid FROM stands s LEFT JOIN pg_rewrite r ON s.class = 'pg_rewrite'::regclass AND r.oid = s.oid \
             JOIN pg_depend d ON d.deptype = 'n' AND CASE WHEN r.oid IS NOT NULL \
               THEN d.refclassid = 'pg_class'::regclass AND d.refobjid = r.ev_class \
               ELSE d.refclassid = s.class AND d.refobjid = s.oid END) \
         SELECT DISTINCT CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, n.nspname, c.relname, 'yes' \
           FROM stands s JOIN pg_rewrite r ON s.class = 'pg_rewrite'::regclass AND r.oid = s.oid \
           JOIN pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm') JOIN pg_namespace n ON n.oid = c.relnamespace \
         UNION SELECT DISTINCT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, n.nspname, p.proname, \
           CASE WHEN p.prosqlbody IS NOT NULL THEN 'yes' ELSE 'no' END \
           FROM stands s JOIN pg_proc p ON s.class = 'pg_proc'::regclass AND p.oid = s.oid JOIN pg_namespace n ON n.oid = p.pronamespace \
         ORDER BY 1, 2, 3",
        column.is_none(),
        words.join(" AND ")
    );
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
