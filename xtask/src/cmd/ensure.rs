//! `ensure`: fails unless a version is applied.

use migrate_core::{CodeMigrations, MigrationSet};
use serde::Serialize;

use crate::cli::Ensure;
use crate::context::{Context, Run};
use crate::exit::{Exit, Result};
use crate::output::Document;
use crate::output::style::BOLD;

#[derive(Serialize)]
struct EnsureJson {
    database: String,
    /// The version that had to be applied, and is.
    ensured: String,
    /// The newest version that is applied.
    version: Option<String>,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &Ensure) -> Result<Exit> {
    // An application need not bring its migrations along to ask for a version.
    let (wanted, set) = match &options.version {
        Some(version) => (version.clone(), MigrationSet::default()),
        None => {
            let set = context.chain()?;
            let newest = set.last().map(|last| last.version().clone());
            let Some(newest) = newest else { return Err(context.no_migrations(&set)) };
            (newest, set)
        }
    };
    let mut migrator = context.migrator(code, Run { set: Some(set), ..Run::reading() }).await?;
    let ensured = migrator.ensure(&wanted).await;
    let version = migrator.state().await?.version().map(ToString::to_string);
    let database = migrator.database().to_string();
    migrator.close().await;
    ensured?;
    let newest = version.as_deref().unwrap_or_default();
    context.output.line(format!("{BOLD}{wanted}{BOLD:#} is applied on {database}; the newest is {newest}"));
    let document = EnsureJson { database, ensured: wanted.to_string(), version };
    context.output.document(&Document::new("ensure", &context.name, document));
    Ok(Exit::Done)
}
