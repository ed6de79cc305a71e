//! A schema that another version of PostgreSQL described, in the form that this version would use.

use migrate_core::Database;
use migrate_schema::SchemaDescription;
use migrate_schema::ddl::roles;

use super::baseline::{self, Likeness};
use super::{LeftOut, for_roles, server_version};
use crate::proof::ProofError;

/// A schema in the form of the server for shadow databases.
#[derive(Debug)]
pub struct TranslatedSchema {
    /// The schema, in the wording of that server.
    pub there: SchemaDescription,
    /// What cannot be created on that server, and is left out: objects, and facts of objects.
    pub left_out: Vec<LeftOut>,
    /// The version that described it first, and that of the server, if they differ.
    pub versions: Option<(u32, u32)>,
}

/// Versions express the same view in different words, and know different facts. If `database` has another
/// version than the server for shadow databases, its schema is created there and described again; otherwise it
/// stays as it is.
///
/// # Errors
///
/// [`ProofError`] when there is no server, or the schema cannot be created on it.
pub async fn translated(there: SchemaDescription, database: &Database) -> Result<TranslatedSchema, ProofError> {
    let versions = (server_version(database).await?, server_version(&super::here().await?).await?);
    if versions.0 == versions.1 {
        return Ok(TranslatedSchema { there, left_out: Vec::new(), versions: None });
    }
    for_roles(&roles(&there.schema), Box::pin(made_here(there, versions))).await
}

async fn made_here(there: SchemaDescription, versions: (u32, u32)) -> Result<TranslatedSchema, ProofError> {
    let made = baseline::made(there, &[], Likeness::Translated).await?;
    let (there, left_out) = made.end().await?;
    Ok(TranslatedSchema { there, left_out, versions: Some(versions) })
}
