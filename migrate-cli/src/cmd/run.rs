//! The steps that `migrate`, `rollback` and `redo` share: plan, show or confirm, run, report.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use migrate_base::codes;
use migrate_base::finding::Finding;
use migrate_base::visible;
use migrate_core::runner::StaleRetry;
use migrate_core::{
    CancelHandle, CodeMigrations, Direction, Migrator, Plan, PlanStep, RunPolicy, RunReport, StepWork, Target,
};
use migrate_review::config::renamed;
use serde::Serialize;

use super::watched::RunAssessment;
use crate::brief::Brief;
use crate::cli::RunArgs;
use crate::confirm::{confirm, confirm_loss_of};
use crate::context::{Context, MigratorOptions};
use crate::exit::{Failure, Result};
use crate::invocation::is_typed;
use crate::notify::RunListeners;
use crate::output::style::{self, BOLD, DIM};
use crate::output::{CliOutput, DocumentJson, FindingJson};
use crate::record::Keeper;

/// A migrator with its observer and its cancel switch, ready to change a database.
pub(super) struct Runner<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) migrator: Migrator,
    pub(super) keeper: Arc<Keeper>,
    pub(super) wish: RunOptions,
    /// The webhooks that were notified of the start of the run.
    pub(super) team: Option<RunListeners>,
    /// The folder of the last run record.
    record: Option<PathBuf>,
    /// The warnings of the last plan.
    warnings: Vec<Finding>,
}

/// The options of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct RunOptions {
    pub(super) lock_wait: Option<Duration>,
    pub(super) keep_data: bool,
    pub(super) leave_kept: bool,
    pub(super) reason: Option<String>,
    /// The folder for the run record.
    pub(super) record: Option<PathBuf>,
    /// The finding for an option that was given by its old name.
    pub(super) renamed: Option<Finding>,
}

impl From<&RunArgs> for RunOptions {
    fn from(change: &RunArgs) -> Self {
        let renamed = is_typed("--audit").then(|| renamed("--audit", "--record"));
        let (lock_wait, reason, record) = (change.lock_wait, change.reason.clone(), change.record.clone());
        Self { lock_wait, reason, record, renamed, keep_data: false, leave_kept: false }
    }
}

/// A command in words.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommandWords {
    /// Its name, for the run record.
    pub(super) command: &'static str,
    /// Its verb, such as `Roll back`, for the confirmation prompt.
    pub(super) verb: &'static str,
}

/// The result of a run as JSON.
#[derive(Debug, Serialize)]
pub(super) struct RunJson {
    database: String,
    dry_run: bool,
    /// The newest version that is applied now.
    version: Option<String>,
    /// The costs and obstacles of the run, if the run leaves evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    brief: Option<Brief>,
    /// The folder of the run record.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<PathBuf>,
    done: Vec<DoneStepJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plan: Vec<PlanStepJson>,
    /// The warnings of the plan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<FindingJson>,
    milliseconds: f64,
}

#[derive(Debug, Serialize)]
struct DoneStepJson {
    direction: &'static str,
    version: String,
    name: String,
    milliseconds: f64,
}

#[derive(Debug, Serialize)]
struct PlanStepJson {
    direction: &'static str,
    version: String,
    name: String,
    no_transaction: bool,
    sql: Option<String>,
}

impl<'a> Runner<'a> {
    /// Connects. From here on, Ctrl-C and SIGTERM interrupt the run in an orderly way.
    pub(super) async fn new(context: &'a Context<'a>, code: CodeMigrations, wish: RunOptions) -> Result<Self> {
        context.output.notices(wish.renamed.as_slice());
        let keeper = Arc::new(Keeper::new(context.output.display()));
        let cancel = CancelHandle::new();
        listen(cancel.clone(), context.output.clone());
        let RunOptions { lock_wait, keep_data, leave_kept, reason, .. } = wish.clone();
        let observer = keeper.clone();
        let run = MigratorOptions {
            lock_wait,
            keep_data,
            leave_kept,
            reason,
            observer,
            cancel,
            ..MigratorOptions::reading()
        };
        let migrator = context.migrator(code, run).await?;
        keeper.line_up(migrator.migrations());
        Ok(Self { context, migrator, keeper, wish, team: None, record: None, warnings: Vec::new() })
    }

    /// Plans the way to a target and runs the plan; if another run was faster, plans again.
    pub(super) async fn go(
        &mut self,
        target: &Target,
        policy: RunPolicy,
        change: &RunArgs,
        what: CommandWords,
    ) -> Result<RunReport> {
        let mut again = StaleRetry::default();
        loop {
            let plan = self.migrator.plan(target, policy).await?;
            self.context.output.findings(plan.warnings());
            self.warnings = plan.warnings().to_vec();
            let is_watched = self.is_watched() && !plan.is_empty();
            let looked = if is_watched { Some(self.look(&plan, change.dry_run).await?) } else { None };
            if plan.is_empty() || change.dry_run {
                self.show(&plan, change.dry_run, looked.map(|looked| looked.brief));
                return Ok(RunReport::default());
            }
            // The database may change while the user decides, so the state before the run is read after the
            // confirmation.
            let looked = match looked {
                Some(looked) if !change.yes => Some(looked.forget().await),
                looked => looked,
            };
            self.context.name_commit(&mut self.migrator).await;
            let brief = looked.as_ref().map(|looked| &looked.brief);
            match brief {
                Some(brief) => brief.lines(self.wish.keep_data).iter().for_each(|line| self.context.output.item(line)),
                None => self.warn_of_loss(&plan),
            }
            let destroyed = self.destroyed(&plan, brief).await?;
            if brief.is_none() {
                destroyed.lines().iter().for_each(|line| self.context.output.remark(line));
            }
            let steps = style::count(plan.steps().len(), "migration");
            let question = format!("{} {steps}.", what.verb);
            match destroyed.is_empty() {
                true => confirm(self.context, change.yes, &question)?,
                false => confirm_loss_of(self.context, change.yes, destroyed.is_certain(), &question)?,
            }
            match self.apply(&plan, what.command, looked).await {
                // Without a confirmation, the newer plan is as acceptable as the older one.
                Err(Failure::Core(error)) if !self.context.environment.protected && again.may(&plan, &error) => {}
                outcome => return outcome,
            }
        }
    }

    async fn apply(&mut self, plan: &Plan, command: &'static str, looked: Option<RunAssessment>) -> Result<RunReport> {
        if let Some(looked) = looked {
            self.begin(command, plan, looked).await?;
        }
        let begin = Instant::now();
        let outcome = self.migrator.apply(plan).await.map_err(Failure::from);
        self.keeper.end_display();
        if let Some(ended) = self.end(plan, &outcome, begin.elapsed()).await {
            self.show_end(&ended);
            self.record = ended.folder;
        }
        outcome
    }

    fn warn_of_loss(&self, plan: &Plan) {
        for step in plan.steps().iter().filter(|step| step.direction == Direction::Down) {
            if let Some(reason) = step.migration.as_ref().and_then(|migration| migration.lossy()) {
                let loss = style::paint(style::WARN, "data loss");
                self.context
                    .output
                    .remark(format!("{loss} when rolling back {}_{}: {reason}", step.version, step.name));
            }
        }
    }

    /// Shows what would run, and what is known about its costs.
    fn show(&self, plan: &Plan, dry_run: bool, brief: Option<Brief>) {
        if !dry_run {
            return;
        }
        let output = self.context.output;
        if let Some(brief) = &brief {
            brief.lines(self.wish.keep_data).iter().for_each(|line| output.item(line));
        }
        for step in plan.steps().iter().filter(|_| brief.is_none()) {
            let mode = if step.no_transaction() { ", stepwise" } else { "" };
            let (title, direction) = (step.version.title(&step.name), step.direction);
            output.line(format!("{BOLD}-- {title}, {direction}{mode}{BOLD:#}"));
            output.quoted(sql(step).map_or("-- written in Rust\n".to_owned(), |sql| format!("{}\n", sql.trim_end())));
        }
        let count = style::count(plan.steps().len(), "migration");
        output.line(format!("{DIM}dry run: {count} would run; nothing was changed{DIM:#}"));
        output.document(&DocumentJson::new(
            "dry-run",
            &self.context.name,
            RunJson { brief, ..self.json(None, Some(plan), None) },
        ));
    }

    /// The JSON document of the run.
    pub(super) fn json(&self, report: Option<&RunReport>, plan: Option<&Plan>, version: Option<String>) -> RunJson {
        let steps = plan.map(Plan::steps).unwrap_or_default().iter();
        let plan_json = steps.map(|step| PlanStepJson {
            direction: step.direction.as_str(),
            version: step.version.to_string(),
            name: step.name.clone(),
            no_transaction: step.no_transaction(),
            sql: sql(step).map(str::to_owned),
        });
        let done = report.map(|report| report.done.as_slice()).unwrap_or_default().iter();
        let done_json = done.map(|done| DoneStepJson {
            direction: done.direction.as_str(),
            version: done.version.clone(),
            name: done.name.clone(),
            milliseconds: style::milliseconds(done.elapsed),
        });
        RunJson {
            database: self.migrator.database().to_string(),
            dry_run: plan.is_some(),
            version,
            brief: None,
            record: self.record.clone(),
            done: done_json.collect(),
            plan: plan_json.collect(),
            warnings: self.warnings.iter().map(FindingJson::from).collect(),
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
        format!("\n{BOLD}{count} {word}{BOLD:#} in {time}, on {}", visible::line(&self.migrator.database().to_string()))
    }

    pub(super) async fn close(self) {
        self.migrator.close().await;
    }
}

fn sql(step: &PlanStep) -> Option<&str> {
    match &step.work {
        StepWork::Sql(script) => Some(script.text()),
        StepWork::Code => None,
    }
}

/// Cancels the run on Ctrl-C or SIGTERM; a second Ctrl-C ends the process immediately.
fn listen(cancel: CancelHandle, output: CliOutput) {
    tokio::spawn(async move {
        asked_to_stop().await;
        cancel.cancel();
        output.interrupting();
        asked_to_stop().await;
        std::process::exit(130);
    });
}

/// Does work that is given up on Ctrl-C or SIGTERM. What it started ends with it.
pub(super) async fn unless_stopped<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        outcome = work => outcome,
        () = asked_to_stop() => Err(Failure::failed(codes::INTERRUPTED, "interrupted; nothing was changed")),
    }
}

#[cfg(unix)]
pub(super) async fn asked_to_stop() {
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
pub(super) async fn asked_to_stop() {
    drop(tokio::signal::ctrl_c().await);
}
