//! The schemas that chains lead to. A process reads each one once, however many callers need it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use migrate_core::source::MigrationBody;
use migrate_core::{CodeMigrations, Migration};
use migrate_schema::SchemaDescription;
use tokio::sync::OnceCell;

use super::ShadowDatabase;
use crate::ephemeral::{chain_key, migrated};
use crate::proof::ProofError;

/// A schema, once it has been read.
type SchemaCell = Arc<OnceCell<Arc<SchemaDescription>>>;

/// How many are remembered: a check needs the schema of the released migrations, and that of the new ones.
const MOST: usize = 4;

static KNOWN: Mutex<VecDeque<(String, SchemaCell)>> = Mutex::new(VecDeque::new());

/// The schema that migrations lead to when applied in this order to an empty database.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or a migration does not apply.
pub async fn leads_to(
    migrations: &[Arc<Migration>],
    code: &CodeMigrations,
) -> Result<Arc<SchemaDescription>, ProofError> {
    // The text of a migration in Rust does not say what it does.
    if migrations.iter().any(|one| matches!(one.body(), MigrationBody::Code { .. })) {
        return read(migrations, code).await;
    }
    known(chain_key(migrations)).get_or_try_init(|| read(migrations, code)).await.cloned()
}

fn known(key: String) -> SchemaCell {
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = all.iter().find(|(one, _)| *one == key) {
        return known.clone();
    }
    let known = SchemaCell::default();
    all.truncate(MOST - 1);
    all.push_front((key, known.clone()));
    known
}

async fn read(migrations: &[Arc<Migration>], code: &CodeMigrations) -> Result<Arc<SchemaDescription>, ProofError> {
    let mut shadow = ShadowDatabase::on(migrated(migrations, code, true).await?, code.clone()).await?;
    let described = shadow.describe().await?;
    shadow.end().await?;
    Ok(Arc::new(described))
}
