//! The run record: the state before a run, what it did, the state after it, who ran it and why.
//!
//! It is written before anything runs, after every migration, and at the end, however the run ended. A killed run
//! leaves a record that shows it.

mod folder;
mod keeper;
mod markdown;
mod state;

use std::time::SystemTime;

use humantime::format_rfc3339_millis;
use migrate_core::{Actor, HistoryEntry};
use migrate_schema::{SchemaChange, SideNames};
use serde::Serialize;

use crate::brief::Brief;
use crate::output::FindingJson;

pub(crate) use folder::RecordFolder;
pub(crate) use keeper::Keeper;
pub(crate) use state::{DatabaseState, TableState};

/// The version of the format; it changes when a field is removed or changes its meaning.
const FORMAT: u32 = 1;

/// A run record. The format is stable: see docs/FORMATS.md.
#[derive(Debug, Serialize)]
pub(crate) struct RunRecord {
    format: u32,
    /// `running`, `done`, `failed`, or `interrupted`.
    pub(crate) outcome: &'static str,
    pub(crate) command: &'static str,
    pub(crate) environment: String,
    pub(crate) database: String,
    pub(crate) reason: Option<String>,
    pub(crate) actor: ActorJson,
    pub(crate) started: String,
    pub(crate) ended: Option<String>,
    pub(crate) milliseconds: Option<f64>,
    pub(crate) version_before: Option<String>,
    pub(crate) version_after: Option<String>,
    /// Whether the data that it destroyed was kept.
    pub(crate) keeps_data: bool,
    pub(crate) plan: Brief,
    /// The versions that were committed, in order.
    pub(crate) done: Vec<String>,
    /// The versions that were planned but not committed.
    pub(crate) not_done: Vec<String>,
    pub(crate) error: Option<Vec<FindingJson>>,
    pub(crate) before: DatabaseState,
    /// The state after the run; `None` if it could not be read.
    pub(crate) after: Option<DatabaseState>,
    /// The differences of the schema, in sentences.
    pub(crate) difference: Vec<String>,
    /// Tables whose number of rows changed, or that exist only before or after the run.
    pub(crate) rows: Vec<RowsChange>,
    /// The rows that the run wrote into the ledger.
    pub(crate) ledger: Vec<RecordEventJson>,
    /// What could not be determined, sent or written.
    pub(crate) remarks: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ActorJson {
    pub(crate) user: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) role: String,
    pub(crate) commit: Option<String>,
    pub(crate) tool: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct RowsChange {
    pub(crate) table: String,
    pub(crate) before: Option<TableState>,
    pub(crate) after: Option<TableState>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct RecordEventJson {
    pub(crate) id: i64,
    pub(crate) event: String,
    pub(crate) version: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) at: String,
    pub(crate) milliseconds: Option<f64>,
    pub(crate) role: String,
    pub(crate) note: Option<String>,
    pub(crate) fingerprint: Option<String>,
}

/// The facts that are known at the start of a run.
pub(crate) struct RunStart<'a> {
    pub(crate) command: &'static str,
    pub(crate) environment: &'a str,
    pub(crate) database: &'a migrate_core::Database,
    pub(crate) reason: Option<&'a str>,
    pub(crate) actor: &'a Actor,
    pub(crate) version: Option<String>,
    pub(crate) keeps_data: bool,
}

impl RunRecord {
    /// The record of a run that is about to start.
    pub(crate) fn begin(begin: RunStart<'_>, plan: Brief, before: DatabaseState) -> Self {
        let not_done = plan.steps.iter().map(|step| step.version.clone()).collect();
        let Actor { user, host, commit, tool, .. } = begin.actor.clone();
        Self {
            format: FORMAT,
            outcome: "running",
            command: begin.command,
            environment: begin.environment.to_owned(),
            database: begin.database.to_string(),
            reason: begin.reason.map(str::to_owned),
            actor: ActorJson { user, host, role: begin.database.user().to_owned(), commit, tool },
            started: now(),
            ended: None,
            milliseconds: None,
            version_after: begin.version.clone(),
            version_before: begin.version,
            keeps_data: begin.keeps_data,
            plan,
            done: Vec::new(),
            not_done,
            error: None,
            before,
            after: None,
            difference: Vec::new(),
            rows: Vec::new(),
            ledger: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Records that a migration was committed.
    pub(crate) fn step_done(&mut self, version: &str) {
        if let Some(at) = self.not_done.iter().position(|one| one == version) {
            self.not_done.remove(at);
        }
        self.done.push(version.to_owned());
    }

    /// Records how the run ended.
    pub(crate) fn end(&mut self, outcome: &'static str, milliseconds: f64, error: Option<Vec<FindingJson>>) {
        self.outcome = outcome;
        self.ended = Some(now());
        self.milliseconds = Some(milliseconds);
        self.error = error;
    }

    /// Records the state after the run, and the differences from the state before.
    pub(crate) fn look_back(&mut self, after: DatabaseState, version: Option<String>, ledger: Vec<HistoryEntry>) {
        let sides = SideNames { before: "before the run", after: "after the run" };
        self.difference = SchemaChange::between(&self.before.schema, &after.schema).sentences(sides);
        self.rows = state::changes(&self.before, &after);
        self.ledger = ledger.into_iter().map(RecordEventJson::from).collect();
        if self.done.is_empty() && self.version_after != version {
            self.remarks.push(
                "another run changed the database at the same time: the difference is not from this run".to_owned(),
            );
        }
        self.version_after = version;
        self.after = Some(after);
    }
}

fn now() -> String {
    format_rfc3339_millis(SystemTime::now()).to_string()
}

impl From<HistoryEntry> for RecordEventJson {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            id: entry.id,
            event: entry.event,
            version: entry.version,
            name: entry.name,
            at: entry.at,
            milliseconds: entry.milliseconds,
            role: entry.role,
            note: entry.note,
            fingerprint: entry.fingerprint,
        }
    }
}
