//! Reads the ledgers of all environments that can be reached. Nothing is written.

use migrate_base::codes;
use std::collections::BTreeMap;

use migrate_core::{AppliedStatus, CodeMigrations, Version};
use migrate_review::config::DatabaseSource;

use crate::context::{Context, MigratorOptions};

/// What is applied in one environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct EnvironmentState {
    /// The environment.
    pub(crate) name: String,
    /// Why its ledger could not be read.
    pub(crate) unreachable: Option<String>,
    /// Whether its address is known here, so that it was tried.
    pub(crate) was_asked: bool,
    /// The migrations applied there.
    pub(crate) applied: BTreeMap<Version, AppliedStatus>,
}

/// Asks every environment with its own address; a managed database belongs only to the developer.
pub(crate) async fn environments(context: &Context<'_>, code: &CodeMigrations) -> Vec<EnvironmentState> {
    let others = context.config.names().into_iter().filter_map(|name| context.other(&name).ok());
    let has_own = |other: &Context<'_>| !other.environment.database.is_managed();
    let asked = others.filter(has_own).map(async |other| match ask(&other, code).await {
        Ok(applied) => EnvironmentState { name: other.name.clone(), unreachable: None, was_asked: true, applied },
        Err(why) => {
            let was_asked = other.environment.database.url().is_ok();
            EnvironmentState { name: other.name.clone(), unreachable: Some(why), was_asked, applied: BTreeMap::new() }
        }
    });
    futures_util::future::join_all(asked).await
}

async fn ask(context: &Context<'_>, code: &CodeMigrations) -> Result<BTreeMap<Version, AppliedStatus>, String> {
    let why = |failure: crate::exit::Failure| {
        let findings = failure.findings();
        let first = findings.first();
        match (&context.environment.database, first.map(|finding| finding.code)) {
            // In most checkouts, the variable is not set, which is fine.
            (DatabaseSource::Variable(name), Some(codes::VARIABLE_UNSET)) => format!("{name} is not set"),
            _ => first.map_or_else(|| "it cannot be reached".to_owned(), |finding| finding.message.clone()),
        }
    };
    let mut migrator = context.migrator(code.clone(), MigratorOptions::reading()).await.map_err(why)?;
    let status = migrator.status().await.map_err(|error| why(error.into()));
    migrator.close().await;
    Ok(status?.applied.into_iter().map(|applied| (applied.version.clone(), applied)).collect())
}
