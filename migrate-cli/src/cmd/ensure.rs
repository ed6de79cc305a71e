//! `ensure`: fail unless a version is applied.

use migrate_core::{CodeMigrations, Error, ErrorKind, MigrationSet, Version};
use serde::Serialize;

use crate::cli::EnsureArgs;
use crate::context::{Context, MigratorOptions};
use crate::exit::{Exit, Result};
use crate::output::DocumentJson;
use crate::output::style::BOLD;

#[derive(Serialize)]
struct EnsureJson {
    database: String,
    /// The required version, which is applied.
    ensured: String,
    /// The newest applied version.
    version: Option<String>,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &EnsureArgs) -> Result<Exit> {
    // An application that asks for a version does not need the migrations.
    let (wanted, set) = match &options.version {
        Some(version) => (version.clone(), MigrationSet::default()),
        None => {
            let set = context.chain()?;
            let newest = set.last().map(|last| last.version().clone());
            let Some(newest) = newest else { return Err(context.no_migrations(&set)) };
            (newest, set)
        }
    };
    let mut migrator = context.migrator(code, MigratorOptions { set: Some(set), ..MigratorOptions::reading() }).await?;
    let ensured = migrator.ensure(&wanted).await;
    let version = migrator.state().await?.version().map(ToString::to_string);
    let database = migrator.database().to_string();
    migrator.close().await;
    ensured.map_err(|error| not_here(context, options, error))?;
    let newest = version.as_deref().unwrap_or_default();
    context
        .output
        .line(format!("{BOLD}{wanted}{BOLD:#} is applied on {database}; the newest applied version is {newest}"));
    let document = EnsureJson { database, ensured: wanted.to_string(), version };
    context.output.document(&DocumentJson::new("ensure", &context.name, document));
    Ok(Exit::Done)
}

/// Replaces the next step if the folder does not have the version, because `migrate` would not help. A folder without
/// migrations belongs to an application.
fn not_here(context: &Context<'_>, options: &EnsureArgs, error: Error) -> Error {
    let is_missing = |version: &Version| {
        let set = context.chain();
        set.is_ok_and(|set| !set.is_empty() && set.get(version).is_none())
    };
    let Some(version) = options.version.as_ref().filter(|version| is_missing(version)) else { return error };
    if error.kind() != ErrorKind::Behind {
        return error;
    }
    let mut findings = error.findings().to_vec();
    for finding in &mut findings {
        finding.help = vec![format!(
            "the folder {} does not have {version} either: check the version, and whether this checkout is up to date",
            context.migrations.display()
        )];
    }
    Error::of(error.kind(), findings)
}
