//! A run that leaves evidence: it is assessed before the confirmation, recorded from start to end, and reported to the
//! team.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use migrate_base::codes;
use migrate_base::db::ReadOnlySession;
use migrate_core::{ErrorKind, Plan, RunReport, ours};
use migrate_review::config::HookEvent;
use migrate_review::evidence;
use migrate_schema::{self as schema, Schema};

use super::run::Runner;
use crate::brief::Brief;
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::notify::{self, Notice, RunListeners};
use crate::output::style::{self, BOLD, DIM, WARN};
use crate::output::{FindingJson, printer};
use crate::record::{DatabaseState, RecordFolder, RunRecord, RunStart};

/// How long to try to reach a server that went away during a run, and the pause between two attempts.
const AGAIN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(500));

/// The assessment before a run.
pub(super) struct RunAssessment {
    pub(super) brief: Brief,
    /// The schema and the connection that read it, as long as they are recent.
    now: Option<(ReadOnlySession, Schema)>,
}

impl RunAssessment {
    /// Discards what was read. After a while, the state of the database has to be read again.
    pub(super) async fn forget(mut self) -> Self {
        if let Some((reader, _)) = self.now.take() {
            reader.close().await;
        }
        self
    }
}

/// The end of a run, as the run record has it.
pub(super) struct FinalRecord {
    pub(super) record: RunRecord,
    /// The folder of the run record, if it could be written.
    pub(super) folder: Option<PathBuf>,
}

impl Runner<'_> {
    /// Whether a run leaves evidence: in a protected environment, if a folder for run records is named, or if a webhook
    /// wants to be notified.
    pub(super) fn is_watched(&self) -> bool {
        let Context { config, name, environment, .. } = self.context;
        environment.protected
            || self.record_folder().is_some()
            || notify::hooks(config, name, environment.protected).next().is_some()
    }

    fn record_folder(&self) -> Option<&PathBuf> {
        self.wish.record.as_ref().or(self.context.environment.record.as_ref())
    }

    /// Assesses what the plan would do, for the user's decision. A plan that could not be run is an error; a dry run is
    /// allowed even on a server that accepts no writes.
    pub(super) async fn look(&mut self, plan: &Plan, looks_only: bool) -> Result<RunAssessment> {
        let mut reader = ReadOnlySession::open(self.migrator.database()).await?;
        self.migrator.refuse_pooler(&mut reader).await?;
        let environment = &self.context.environment;
        let schema = ours::without(schema::read_with(&mut reader).await?, &environment.ledger);
        let own = &self.migrator.options().actor.application;
        let (ledger, exact) = (&environment.ledger, environment.exact_rows);
        let brief = Brief::gather(&mut reader, plan, &schema, ledger, exact, own, self.wish.keep_data).await?;
        if brief.situation.read_only && !looks_only {
            return Err(Failure::failed(
                codes::READ_ONLY,
                format!("{} accepts no writes: it is a standby or read-only", self.context.title()),
            )
            .help("give the address of the primary"));
        }
        let looked = RunAssessment { brief, now: Some((reader, schema)) };
        Ok(if looks_only { looked.forget().await } else { looked })
    }

    /// Reads the state of the database, and opens the run record. From here on, there is evidence.
    pub(super) async fn begin(&mut self, command: &'static str, plan: &Plan, looked: RunAssessment) -> Result<()> {
        let RunAssessment { brief, now } = looked;
        let before = match now {
            Some((reader, schema)) => self.state_on(reader, Some(schema)).await?,
            None => self.state(None).await?,
        };
        // The version of the plan is still right, because a plan for another state of the ledger is not run.
        let version = plan.version().map(ToString::to_string);
        let begin = RunStart {
            command,
            environment: &self.context.name,
            database: self.migrator.database(),
            reason: self.wish.reason.as_deref(),
            actor: &self.migrator.options().actor,
            version,
            keeps_data: self.wish.keep_data && plan.steps().iter().any(|step| step.direction.as_str() == "down"),
        };
        let record = RunRecord::begin(begin, brief, before);
        let folder = self.record_folder().map(|parent| RecordFolder::open(parent, &record)).transpose()?;
        let Context { config, name, environment, .. } = self.context;
        let team = RunListeners::of(config, name, environment.protected, &HookEvent::OF_A_RUN);
        team.tell(HookEvent::Start, &Notice::of(&record, HookEvent::Start, folder.as_ref().map(RecordFolder::path)));
        self.team = Some(team);
        self.keeper.keep(record, folder);
        Ok(())
    }

    /// Reads the state of the database after the run, and closes the run record. An error here does not change the
    /// outcome of the run.
    pub(super) async fn end(
        &mut self,
        plan: &Plan,
        outcome: &Result<RunReport>,
        elapsed: Duration,
    ) -> Option<FinalRecord> {
        let (mut record, folder) = self.keeper.take()?;
        let (word, error) = match outcome {
            Ok(_) => ("done", None),
            Err(failure) => (word(failure), Some(failure.findings().iter().map(FindingJson::from).collect())),
        };
        record.end(word, style::milliseconds(elapsed), error);
        let schema = outcome.as_ref().ok().and_then(|report| report.schema.clone());
        if let Err(failure) = self.look_back(plan, &mut record, schema, word == "failed").await {
            let why = failure.findings().first().map(|finding| finding.message.clone()).unwrap_or_default();
            record.remarks.push(format!("the state after the run could not be read: {why}"));
        }
        if let Some(team) = self.team.take() {
            let moment = if outcome.is_ok() { HookEvent::Success } else { HookEvent::Failure };
            team.tell(moment, &Notice::of(&record, moment, folder.as_ref().map(RecordFolder::path)));
            record.remarks.extend(team.end().await);
        }
        let folder = folder.and_then(|folder| match folder.close(&record) {
            Ok(()) => Some(folder.path().to_owned()),
            Err(error) => {
                self.context.output.failure(&Failure::failed(
                    codes::AUDIT_UNWRITABLE,
                    format!(
                        "the end of the run record cannot be written to {}: {error}; it follows here",
                        folder.path().display()
                    ),
                ));
                printer::quoted_err(&record.markdown());
                None
            }
        });
        Some(FinalRecord { record, folder })
    }

    async fn look_back(
        &mut self,
        plan: &Plan,
        record: &mut RunRecord,
        schema: Option<Schema>,
        failed: bool,
    ) -> Result<()> {
        let mut state = self.state(schema).await;
        let end = Instant::now() + AGAIN.0;
        while Instant::now() < end {
            match &state {
                Err(Failure::Core(error)) if failed && error.kind() == ErrorKind::Connection => {
                    tokio::time::sleep(AGAIN.1).await;
                    state = self.state(None).await;
                }
                _ => break,
            }
        }
        let state = state?;
        let history = self.migrator.history_after(plan.newest()).await?;
        let version = self.version().await?;
        record.look_back(state, version, history);
        Ok(())
    }

    /// The current state of the database. A schema that was just read is not read again.
    async fn state(&self, schema: Option<Schema>) -> Result<DatabaseState> {
        let reader = ReadOnlySession::open(self.migrator.database()).await?;
        self.state_on(reader, schema).await
    }

    async fn state_on(&self, mut reader: ReadOnlySession, schema: Option<Schema>) -> Result<DatabaseState> {
        let environment = &self.context.environment;
        let (ledger, exact) = (&environment.ledger, environment.exact_rows);
        let evidence = match schema {
            Some(schema) => evidence::take_of(&mut reader, ledger, exact, schema).await?,
            None => evidence::take(&mut reader, ledger, exact).await?,
        };
        reader.close().await;
        Ok(evidence.into())
    }

    /// Shows what a run changed, after it ended.
    pub(super) fn show_end(&self, ended: &FinalRecord) {
        let output = self.context.output;
        let record = &ended.record;
        let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "empty".to_owned());
        output.line(format!(
            "\n{BOLD}version{BOLD:#}  {} → {}",
            version(&record.version_before),
            version(&record.version_after)
        ));
        for line in &record.difference {
            output.item(format!("  {line}"));
        }
        for change in &record.rows {
            let shown =
                |rows: &Option<crate::record::TableState>| rows.map_or("none".to_owned(), |rows| rows.rows.to_string());
            output.item(format!("  rows of {}: {} → {}", change.table, shown(&change.before), shown(&change.after)));
        }
        for remark in &record.remarks {
            output.remark(style::paint(WARN, remark));
        }
        match &ended.folder {
            Some(folder) => output.line(format!("{BOLD}record{BOLD:#}   {}", folder.join("record.md").display())),
            None if self.record_folder().is_none() => {
                output.line(format!(
                    "{DIM}no run record was written: name a folder for it with --record, or with `record` in \
                     migrate.toml{DIM:#}"
                ));
            }
            None => {}
        }
    }
}

fn word(failure: &Failure) -> &'static str {
    match failure {
        Failure::Core(error) if error.kind() == ErrorKind::Cancelled => "interrupted",
        _ => "failed",
    }
}
