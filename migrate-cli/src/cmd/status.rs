//! `status`: what is applied, pending, modified, missing, unfinished or out of order.

use migrate_base::codes;
use migrate_base::finding::Severity;
use migrate_core::runner::Status as Standing;
use migrate_core::{AppliedStatus, CodeMigrations, PendingStatus, UnfinishedMigration};
use serde::Serialize;

use crate::cli::StatusArgs;
use crate::context::{Context, MigratorOptions};
use crate::exit::{Exit, Result};
use crate::output::style::{self, BAD, BOLD, DIM, GOOD, PLAIN, WARN};
use crate::output::{DocumentJson, FindingJson, TextTable};

#[derive(Serialize)]
struct StatusJson {
    database: String,
    version: Option<String>,
    has_ledger: bool,
    applied: Vec<AppliedMigrationJson>,
    pending: Vec<PendingMigrationJson>,
    unfinished: Option<UnfinishedMigrationJson>,
    problems: Vec<FindingJson>,
}

#[derive(Serialize)]
struct AppliedMigrationJson {
    version: String,
    name: String,
    at: String,
    by: String,
    modified: bool,
    down_modified: bool,
    missing: bool,
    newer: bool,
    never_run: bool,
}

#[derive(Serialize)]
struct PendingMigrationJson {
    version: String,
    name: String,
    out_of_order: bool,
}

#[derive(Serialize)]
struct UnfinishedMigrationJson {
    #[serde(flatten)]
    attempt: AttemptJson,
    at: String,
    by: String,
}

/// The progress of an unfinished migration.
#[derive(Serialize)]
pub(super) struct AttemptJson {
    version: String,
    name: String,
    direction: &'static str,
    statements_done: usize,
    failed_statement: Option<usize>,
    error: Option<String>,
    /// The session that is running it now.
    running: Option<String>,
}

impl From<&UnfinishedMigration> for AttemptJson {
    fn from(one: &UnfinishedMigration) -> Self {
        let (failed_statement, error) = one.failed.clone().unzip();
        Self {
            version: one.version.to_string(),
            name: one.name.clone(),
            direction: one.direction.as_str(),
            statements_done: one.done,
            failed_statement,
            error,
            running: one.running.as_ref().map(ToString::to_string),
        }
    }
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &StatusArgs) -> Result<Exit> {
    let mut migrator = context.migrator(code, MigratorOptions::reading()).await?;
    let status = migrator.status_with(context.policy(options.allow_newer)).await?;
    let database = migrator.database().to_string();
    migrator.close().await;
    show(context, &status, &database);
    context.output.document(&DocumentJson::new("status", &context.name, json(&status, database)));
    let wrong = status.problems.iter().any(|problem| problem.severity == Severity::Error);
    // Nothing is known about a folder without migrations, so a script must not continue.
    let is_nothing = status.problems.iter().any(|problem| problem.code == codes::NO_MIGRATIONS);
    let waiting = options.exit_code && (!status.pending.is_empty() || is_nothing);
    Ok(if wrong || waiting { Exit::Found } else { Exit::Done })
}

fn show(context: &Context<'_>, status: &Standing, database: &str) {
    let output = context.output;
    if output.is_json() {
        return;
    }
    let mut table = TextTable::default();
    for applied in &status.applied {
        let (style, word) = match applied {
            AppliedStatus { newer: true, .. } => (WARN, "newer"),
            AppliedStatus { missing: true, .. } => (BAD, "missing"),
            AppliedStatus { modified: true, .. } => (BAD, "modified"),
            AppliedStatus { down_modified: true, .. } => (WARN, "down modified"),
            _ => (GOOD, "applied"),
        };
        let when = format!("{} by {}", style::moment(&applied.at), applied.by);
        table.row([
            (style, word.to_owned()),
            (BOLD, applied.version.to_string()),
            (PLAIN, applied.name.clone()),
            (DIM, when),
        ]);
    }
    for pending in &status.pending {
        let unfinished = status.unfinished.as_ref().filter(|one| one.version == pending.version);
        let (style, word) = match (pending, unfinished) {
            (_, Some(one)) if one.running.is_some() => (WARN, "running"),
            (_, Some(_)) => (BAD, "unfinished"),
            (PendingStatus { out_of_order: true, .. }, _) => (BAD, "out of order"),
            _ => (WARN, "pending"),
        };
        table.row([(style, word.to_owned()), (BOLD, pending.version.to_string()), (PLAIN, pending.name.clone())]);
    }
    output.lines(&table.lines());
    output.findings(&status.problems);
    let (applied, pending, problems) = (status.applied.len(), status.pending.len(), status.problems.len());
    let summary = format!("\n{applied} applied, {pending} pending, {}", style::count(problems, "problem"));
    output.line(format!("{BOLD}{summary}{BOLD:#} in {} ({database})", context.name));
    if problems == 0 && pending > 0 {
        output.next(
            "`cargo xtask migrate` applies the pending migrations; `cargo xtask migrate --dry-run` shows their SQL",
        );
    }
}

fn json(status: &Standing, database: String) -> StatusJson {
    let applied = status.applied.iter().map(|applied| AppliedMigrationJson {
        version: applied.version.to_string(),
        name: applied.name.clone(),
        at: applied.at.clone(),
        by: applied.by.clone(),
        modified: applied.modified,
        down_modified: applied.down_modified,
        missing: applied.missing,
        newer: applied.newer,
        never_run: applied.never_run,
    });
    let pending = status.pending.iter().map(|pending| PendingMigrationJson {
        version: pending.version.to_string(),
        name: pending.name.clone(),
        out_of_order: pending.out_of_order,
    });
    let unfinished = status.unfinished.as_ref().map(|one| UnfinishedMigrationJson {
        attempt: AttemptJson::from(one),
        at: one.at.clone(),
        by: one.by.clone(),
    });
    StatusJson {
        database,
        version: status.version.as_ref().map(ToString::to_string),
        has_ledger: status.has_ledger,
        applied: applied.collect(),
        pending: pending.collect(),
        unfinished,
        problems: status.problems.iter().map(FindingJson::from).collect(),
    }
}
