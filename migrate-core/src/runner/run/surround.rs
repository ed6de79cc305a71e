//! The SQL around a script: it saves data before a rollback removes it, and restores the data when the migration is
//! applied again.

use std::collections::BTreeSet;

use migrate_base::codes;
use migrate_base::db::{Session, SessionFailure};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::literal;
use migrate_base::sql::{StatementClass, tokens};

use super::execute::Executor;
use crate::kept::{self, Purge, ReapplyAnalysis, SurroundingSql};
use crate::ledger::Direction;
use crate::runner::message::explain;
use crate::runner::plan::{Plan, PlanStep, StepWork};
use crate::runner::{Migrator, Options};
use crate::source::{Script, Version};

impl Executor<'_> {
    /// Sends SQL that changes kept data, and ends the run.
    async fn finish_kept(mut self, sql: &str, what: &str) -> Result<()> {
        let sent = self.lines.worker.send(&format!("BEGIN; {sql} COMMIT;")).await;
        let (_, released) = self.finish(false).await;
        sent.map_err(|failure| refused(failure, what))?;
        released
    }
}

/// The SQL around the script of a step; `kept` are the versions with kept data that is not restored yet.
pub(in crate::runner) fn around(options: &Options, kept: &BTreeSet<Version>, step: &PlanStep) -> SurroundingSql {
    let ledger = &options.ledger;
    match (step.direction, &step.work) {
        (Direction::Down, StepWork::Sql(script)) if options.keep_data => {
            // A script outside a transaction either removes no data or is refused: there is nothing to try.
            let script = if step.no_transaction() { "" } else { script.text() };
            kept::keep(ledger, &step.version, &step.name, script, &again(step))
        }
        (Direction::Up, _) if kept.contains(&step.version) => kept::bring_back(ledger, &step.version),
        _ => SurroundingSql::default(),
    }
}

/// What is known of the up script that would be applied again after a down script.
fn again(step: &PlanStep) -> ReapplyAnalysis<'_> {
    match step.migration.as_ref().map(|migration| migration.up_script()) {
        Some(Some(script)) => ReapplyAnalysis::of(script),
        Some(None) => ReapplyAnalysis::unknown("it is written in Rust"),
        None => ReapplyAnalysis::unknown("its file is missing"),
    }
}

impl Migrator {
    /// Restores what the last rollback of a version kept; the version must be applied. Values that the rollback only
    /// changed stay as they are: only while the migration is being applied can it be seen whether somebody has changed
    /// them since.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Plan`] when the version is not applied or no data is kept for it; [`ErrorKind::Statement`] when the
    /// data no longer fits.
    pub async fn restore_kept(&mut self, version: &Version) -> Result<()> {
        let state = self.state().await?;
        if state.get(version).is_none() {
            let finding = Finding::new(codes::NOT_APPLIED, format!("migration {version} is not applied"))
                .help("`cargo xtask migrate` applies it and restores the kept data");
            return Err(Error::new(ErrorKind::Plan, finding));
        }
        let executor = self.prepare(state.newest(), true).await?;
        if !executor.kept.contains(version) {
            executor.finish(false).await.1?;
            return Err(Error::new(ErrorKind::Plan, nothing_kept(version)));
        }
        let sql = kept::restore(&executor.options.ledger, version);
        executor.finish_kept(&sql, "restore the kept data").await
    }

    /// Drops copies permanently.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Statement`] when the server refuses.
    pub async fn purge_kept(&mut self, which: &Purge) -> Result<()> {
        let state = self.state().await?;
        let executor = self.prepare(state.newest(), state.has_ledger()).await?;
        let sql = kept::purge(&executor.options.ledger, which);
        executor.finish_kept(&sql, "purge the kept data").await
    }
}

/// Whether a script contains only statements that never remove data: index statements, `VACUUM` and similar. A
/// statement that is not recognized as one of them could do anything.
fn is_upkeep(script: &Script) -> bool {
    use StatementClass::TableMaintenance;
    use StatementClass::{
        CreateIndexConcurrently, DropIndexConcurrently, Maintenance, Plain, ReindexConcurrently, Session,
    };
    let is_of_index = |text: &str| {
        let words = tokens(text);
        let is = |at: usize, word: &str| words.get(at).is_some_and(|other| other.eq_ignore_ascii_case(word));
        (is(0, "drop") && is(1, "index")) || (is(0, "create") && is(1 + usize::from(is(1, "unique")), "index"))
    };
    script.statements().iter().all(|statement| match statement.class {
        CreateIndexConcurrently | DropIndexConcurrently | ReindexConcurrently | Session => true,
        Maintenance | TableMaintenance => true,
        Plain => is_of_index(&script.text()[statement.span.clone()]),
        _ => false,
    })
}

/// A finding for each step whose lost data cannot be kept: those that are not one script in one transaction.
pub(in crate::runner) fn cannot_keep(plan: &Plan) -> Vec<Finding> {
    let steps = plan.steps().iter().filter(|step| step.direction == Direction::Down);
    let why = |step: &PlanStep| match &step.work {
        StepWork::Code => Some("it is written in Rust"),
        StepWork::Sql(script) if step.no_transaction() && !is_upkeep(script) => {
            Some("it does not run in a transaction")
        }
        StepWork::Sql(_) => None,
    };
    let refused = steps.filter_map(|step| {
        let finding = Finding::new(
            codes::CANNOT_KEEP,
            format!("the data that {} removes cannot be kept: {}", explain::title(step), why(step)?),
        );
        let place = match &step.work {
            StepWork::Sql(script) => Some(Place::file(script.path())),
            StepWork::Code => step.migration.as_ref().map(|migration| Place::file(migration.path())),
        };
        Some(
            finding
                .at(place)
                .help("copy the data by hand, then roll back this migration alone and without --keep-data"),
        )
    });
    refused.collect()
}

/// The versions with kept data that is not restored yet, read from `registry`.
pub(in crate::runner) async fn kept_versions(worker: &mut Session, registry: &str) -> Result<BTreeSet<Version>> {
    let query = format!(
        "BEGIN READ ONLY; SET LOCAL lock_timeout TO '3s'; \
         SELECT DISTINCT version FROM {registry} WHERE restored_at IS NULL; COMMIT"
    );
    let rows = match worker.rows(&query).await {
        Err(failure) if failure.is_lock_timeout() => Err(failure.with_holders(worker.in_the_way(None).await)),
        rows => rows,
    };
    let rows = rows.map_err(|failure| refused(failure, "look for kept data"))?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next()??.parse().ok()).collect())
}

/// The condition that a registry exists.
pub(in crate::runner) fn registry_exists(registry: &str) -> String {
    format!("pg_catalog.to_regclass({}) IS NOT NULL", literal(registry))
}

fn nothing_kept(version: &Version) -> Finding {
    Finding::new(codes::NOTHING_KEPT, format!("no data is kept for migration {version}"))
        .help("`cargo xtask kept` lists the kept data")
}

fn refused(failure: SessionFailure, what: &str) -> Error {
    failure
        .explain(ErrorKind::Statement, codes::KEPT_DATA, what)
        .help("`cargo xtask kept` lists the kept data; the copies are ordinary tables, which you can query")
}
