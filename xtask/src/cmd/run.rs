//! What `migrate`, `rollback` and `redo` share: plan, show or ask, run, tell.

use std::sync::Arc;
use std::time::Duration;

use migrate_core::ledger::Direction;
use migrate_core::runner::{Step, Work};
use migrate_core::{Cancel, CodeMigrations, ErrorKind, Migrator, Plan, Policy, RunReport, Target};
use serde::Serialize;

use crate::cli::Change;
use crate::context::{Context, Run, confirm};
use crate::exit::{Failure, Result};
use crate::output::style::{self, BOLD, DIM};
use crate::output::{Display, Document};

/// A migrator with its display and its switch, ready to change something.
pub(super) struct Runner<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) migrator: Migrator,
    display: Arc<Display>,
}

/// The result of a run, for programs.
#[derive(Debug, Serialize)]
pub(super) struct RunJson {
    database: String,
    dry_run: bool,
    /// The newest version that is applied now.
    version: Option<String>,
    done: Vec<DoneJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plan: Vec<PlanJson>,
    milliseconds: f64,
}

#[derive(Debug, Serialize)]
struct DoneJson {
    direction: &'static str,
    version: String,
    name: String,
    milliseconds: f64,
}

#[derive(Debug, Serialize)]
struct PlanJson {
    direction: &'static str,
    version: String,
    name: String,
    no_transaction: bool,
    sql: Option<String>,
}

impl<'a> Runner<'a> {
    /// Connects; from here on Ctrl-C and SIGTERM interrupt the run in good order.
    pub(super) async fn new(
        context: &'a Context<'a>,
        code: CodeMigrations,
        lock_wait: Option<Duration>,
    ) -> Result<Self> {
        let display = context.output.display(name_width(context));
        let cancel = Cancel::new();
        listen(cancel.clone());
        let run = Run { changes: true, lock_wait, observer: display.clone(), cancel };
        let migrator = context.migrator(code, run).await?;
        Ok(Self { context, migrator, display })
    }

    /// Plans the way to a target; after somebody else was faster, plans again.
    pub(super) async fn go(
        &mut self,
        target: &Target,
        policy: Policy,
        change: &Change,
        what: &str,
    ) -> Result<RunReport> {
        loop {
            let plan = self.migrator.plan(target, policy).await?;
            self.context.output.findings(plan.warnings());
            if plan.is_empty() || change.dry_run {
                self.show(&plan, change.dry_run);
                return Ok(RunReport::default());
            }
            self.warn_of_loss(&plan);
            confirm(self.context, change.yes, &format!("{what} {}.", style::count(plan.steps().len(), "migration")))?;
            match self.apply(&plan).await {
                // With nobody to ask, the newer plan is as good as the older one was.
                Err(Failure::Core(error))
                    if error.kind() == ErrorKind::Stale && !self.context.environment.protected => {}
                outcome => return outcome,
            }
        }
    }

    async fn apply(&mut self, plan: &Plan) -> Result<RunReport> {
        let outcome = self.migrator.apply(plan).await;
        self.display.end();
        Ok(outcome?)
    }

    fn warn_of_loss(&self, plan: &Plan) {
        for step in plan.steps().iter().filter(|step| step.direction == Direction::Down) {
            if let Some(reason) = step.migration.as_ref().and_then(|migration| migration.lossy()) {
                let loss = style::paint(style::WARN, "data is lost");
                self.context.output.remark(format!("{loss} by rolling back {}_{}: {reason}", step.version, step.name));
            }
        }
    }

    /// Shows the SQL of a plan.
    fn show(&self, plan: &Plan, dry_run: bool) {
        if !dry_run {
            return;
        }
        let output = self.context.output;
        for step in plan.steps() {
            let mode = if step.no_transaction() { ", each statement on its own" } else { "" };
            let (version, name, direction) = (&step.version, &step.name, step.direction);
            output.line(format!("{BOLD}-- {version}_{name}, {direction}{mode}{BOLD:#}"));
            output.line(sql(step).map_or("-- written in Rust\n".to_owned(), |sql| format!("{}\n", sql.trim_end())));
        }
        let count = style::count(plan.steps().len(), "migration");
        output.line(format!("{DIM}dry run: {count} would run; nothing was touched{DIM:#}"));
        output.document(&Document::new("dry-run", &self.context.name, self.json(None, Some(plan), None)));
    }

    /// The document of what was done.
    pub(super) fn json(&self, report: Option<&RunReport>, plan: Option<&Plan>, version: Option<String>) -> RunJson {
        let steps = plan.map(Plan::steps).unwrap_or_default().iter();
        let plan_json = steps.map(|step| PlanJson {
            direction: step.direction.as_str(),
            version: step.version.to_string(),
            name: step.name.clone(),
            no_transaction: step.no_transaction(),
            sql: sql(step).map(str::to_owned),
        });
        let done = report.map(|report| report.done.as_slice()).unwrap_or_default().iter();
        let done_json = done.map(|done| DoneJson {
            direction: done.direction.as_str(),
            version: done.version.clone(),
            name: done.name.clone(),
            milliseconds: style::milliseconds(done.elapsed),
        });
        RunJson {
            database: self.migrator.database().to_string(),
            dry_run: plan.is_some(),
            version,
            done: done_json.collect(),
            plan: plan_json.collect(),
            milliseconds: report.map_or(0.0, |report| style::milliseconds(report.elapsed)),
        }
    }

    /// The newest version that is applied now.
    pub(super) async fn version(&mut self) -> Result<Option<String>> {
        Ok(self.migrator.state().await?.version().map(ToString::to_string))
    }

    /// `7 migrations applied in 31 ms, on ann@host/shop`.
    pub(super) fn total(&self, report: &RunReport, word: &str) -> String {
        let count = style::count(report.done.len(), "migration");
        let time = style::time(report.elapsed);
        format!("\n{BOLD}{count} {word}{BOLD:#} in {time}, on {}", self.migrator.database())
    }

    pub(super) async fn close(self) {
        self.migrator.close().await;
    }
}

fn sql(step: &Step) -> Option<&str> {
    match &step.work {
        Work::Sql(script) => Some(script.text()),
        Work::Code => None,
    }
}

/// How wide the longest name of the folder is, so that times line up.
fn name_width(context: &Context<'_>) -> usize {
    let names = std::fs::read_dir(&context.migrations).into_iter().flatten().flatten();
    let length = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let stem = name.split('.').next().unwrap_or_default();
        stem.split_once('_').map_or(0, |(_, words)| words.chars().count())
    };
    names.map(length).max().unwrap_or(0).min(60)
}

/// Presses the switch on Ctrl-C or SIGTERM; a second Ctrl-C ends the process at once.
fn listen(cancel: Cancel) {
    tokio::spawn(async move {
        asked_to_stop().await;
        cancel.cancel();
        anstream::eprintln!("interrupting: the running statement is cancelled; press Ctrl-C again to leave at once");
        asked_to_stop().await;
        std::process::exit(130);
    });
}

#[cfg(unix)]
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() {
    drop(tokio::signal::ctrl_c().await);
}
