//! The runbook: what a run would send, as a script for `psql`, for when a run has to be done by hand.
//!
//! The messages are those of the runner, created by the same functions; [`parts`] puts them in order, and [`psql`]
//! writes them with the guards and the lock of a run. Nothing is written to the database.

mod names;
mod page;
mod parts;
mod psql;

use std::collections::BTreeSet;
use std::time::Duration;

use migrate_base::codes;
use migrate_base::db::{LockKeys, SessionFailure};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::QualifiedName;

use crate::kept;
use crate::ledger::{Actor, Direction};
use crate::runner::Migrator;
use crate::runner::message::{SessionSettings, explain};
use crate::runner::plan::state::LedgerState;
use crate::runner::plan::{Plan, PlanStep, StepWork};
use crate::runner::run::prepare::schema_exists;
use crate::runner::run::surround;
use crate::source::Version;

pub use page::{Contact, page};
use parts::RunbookParts;

/// A script for `psql` that does exactly what a plan says.
#[derive(Debug, Clone)]
pub struct Runbook {
    database: String,
    role: String,
    ledger: QualifiedName,
    keys: LockKeys,
    patience: Duration,
    /// The newest row for which the plan was made; `None` if there is no ledger.
    newest: Option<i64>,
    before: Option<Version>,
    after: Option<Version>,
    steps: Vec<String>,
    losses: Vec<String>,
    reason: Option<String>,
    tool: String,
    parts: RunbookParts,
}

/// Facts that only the database knows.
struct RunbookContext {
    database: String,
    role: String,
    on_linux: bool,
    has_schema: bool,
    kept: BTreeSet<Version>,
}

impl Runbook {
    /// The database that it is for.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The newest applied version at its start.
    pub fn before(&self) -> Option<&Version> {
        self.before.as_ref()
    }

    /// The newest applied version after it.
    pub fn after(&self) -> Option<&Version> {
        self.after.as_ref()
    }

    /// The number of its parts; each is committed with a row in the ledger, and the next run of the script can start
    /// after it.
    pub fn parts(&self) -> usize {
        self.parts.count
    }

    /// The script.
    pub fn psql(&self) -> String {
        psql::write(self)
    }
}

impl Migrator {
    /// Writes a script of what [`Migrator::apply`] would do with a plan. Nothing is written to the database.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Plan`] with a finding for each step that cannot be in a script; [`ErrorKind::Connection`] when the
    /// server cannot be queried.
    pub async fn runbook(&mut self, plan: &Plan) -> Result<Runbook> {
        let mut refused: Vec<Finding> = plan.steps().iter().filter_map(cannot_write).collect();
        if self.options.keep_data {
            refused.extend(surround::cannot_keep(plan));
        }
        if !refused.is_empty() {
            return Err(Error::of(ErrorKind::Plan, refused));
        }
        let state = self.state().await?;
        let there = self.look_there().await?;
        let options = &self.options;
        let settings = SessionSettings {
            lock_timeout: options.lock_timeout,
            statement_timeout: options.statement_timeout,
            notices_lost_client: there.on_linux,
        };
        let actor = Actor {
            application: "roundtrip runbook".to_owned(),
            tool: format!("psql runbook of {}", options.actor.tool),
            ..options.actor.clone()
        };
        let note = options.reason.as_ref().map_or("runbook".to_owned(), |why| format!("runbook: {why}"));
        let noted = crate::runner::Options { reason: Some(note), actor, ..options.clone() };
        let parts = RunbookParts::of(plan, &noted, &settings, &there);
        Ok(Runbook {
            database: there.database,
            role: there.role,
            ledger: options.ledger.clone(),
            keys: LockKeys::of(&options.ledger),
            patience: options.lock_wait,
            newest: plan.has_ledger().then_some(plan.newest()),
            before: state.version().cloned(),
            after: version_after(&state, plan),
            steps: plan.steps().iter().map(|step| format!("{}: {}", step.direction, explain::title(step))).collect(),
            losses: plan.steps().iter().filter_map(loss).collect(),
            reason: options.reason.clone(),
            tool: options.actor.tool.clone(),
            parts,
        })
    }

    /// Reads facts that only the database knows, in a read-only transaction.
    async fn look_there(&mut self) -> Result<RunbookContext> {
        let (ledger, restores) = (self.options.ledger.clone(), self.options.restore_kept);
        let registry = kept::registry(&ledger).to_string();
        let cannot =
            |failure: SessionFailure| failure.explain(ErrorKind::Connection, codes::SESSION, "query the database");
        let session = self.session().await?;
        let question = format!(
            "BEGIN READ ONLY; {} SELECT pg_catalog.current_database(), SESSION_USER, \
             pg_catalog.strpos(pg_catalog.version(), 'linux') > 0, {}, {}",
            session.comment(),
            schema_exists(&ledger),
            surround::registry_exists(&registry)
        );
        let row = session.read(&question).await.map_err(cannot)?.into_iter().next().unwrap_or_default();
        let cell = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let kept = match restores && cell(4) == "t" {
            true => surround::kept_versions(session, &registry).await?,
            false => BTreeSet::new(),
        };
        session.send("COMMIT").await.map_err(cannot)?;
        let (on_linux, has_schema) = (cell(2) == "t", cell(3) == "t");
        Ok(RunbookContext { database: cell(0), role: cell(1), on_linux, has_schema, kept })
    }
}

/// Why a step cannot be in a script, if so.
fn cannot_write(step: &PlanStep) -> Option<Finding> {
    let title = explain::title(step);
    if step.resume.is_some() {
        let finding = Finding::new(codes::RUNBOOK_UNFINISHED, format!("{title} started but did not finish"))
            .note("what remains to be done depends on the catalogs at that moment, which a script cannot query")
            .help(format!("`cargo xtask resolve {}` finishes it", step.version))
            .help("by hand: see docs/ROLLBACK_RUNBOOK.md, the section on half-applied migrations");
        return Some(finding);
    }
    match &step.work {
        StepWork::Sql(_) => None,
        StepWork::Code => Some(
            Finding::new(codes::RUNBOOK_CODE, format!("{title} is written in Rust, which psql cannot run"))
                .at(step.migration.as_ref().map(|migration| Place::file(migration.path())))
                .help("run it with the command: `cargo xtask rollback` or `cargo xtask migrate`")
                .help("or end the script before it, with -n or --to"),
        ),
    }
}

/// The data that a step removes permanently, if declared.
fn loss(step: &PlanStep) -> Option<String> {
    let migration = step.migration.as_ref().filter(|_| step.direction == Direction::Down)?;
    Some(format!("{}: {}", explain::title(step), migration.lossy()?))
}

/// The newest applied version after a plan has run.
fn version_after(state: &LedgerState, plan: &Plan) -> Option<Version> {
    let mut applied: BTreeSet<Version> = state.applied().map(|one| one.version.clone()).collect();
    for step in plan.steps().iter().filter(|step| !step.version.is_repeatable()) {
        match step.direction {
            Direction::Up => drop(applied.insert(step.version.clone())),
            Direction::Down => drop(applied.remove(&step.version)),
        }
    }
    applied.pop_last()
}
