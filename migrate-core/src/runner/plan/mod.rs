//! The plan: what to run, and for which state of the ledger.

pub(super) mod adoption;
pub(super) mod newer;
pub(super) mod obstacle;
pub(super) mod others;
mod planner;
pub(super) mod state;
pub(super) mod status;

use std::sync::Arc;

use migrate_base::finding::Finding;
pub(super) use planner::plan;
pub(super) use planner::script_of;

use crate::ledger::Direction;
use crate::runner::plan::state::{LedgerState, UnfinishedMigration};
use crate::source::{Migration, Script, Version};

/// How far to go.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// Up to the newest migration.
    Latest,
    /// Up to and including this version.
    UpTo(Version),
    /// This many migrations up.
    Up(usize),
    /// This many migrations down, the most recently applied first.
    Down(usize),
    /// Down until this version is the newest applied one.
    DownTo(Version),
    /// Down to an empty ledger.
    Zero,
}

/// Which down script to run if the file and the ledger have different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DownFrom {
    /// The one that was stored when the migration was applied: it matches what was applied.
    #[default]
    Ledger,
    /// The one in the folder.
    Files,
}

/// What a plan may do. Begin with `..RunPolicy::default()`: later versions add fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunPolicy {
    /// Apply migrations that are older than the newest applied one.
    pub allow_out_of_order: bool,
    /// Which down script to run if there are two.
    pub down_from: DownFrom,
    /// Accept a database with migrations that are newer than everything in the folder: this program is older than the
    /// database. Nothing newer is changed. A missing older migration is still an error.
    pub allow_newer: bool,
    /// Accept a folder without migrations.
    pub allow_empty: bool,
}

/// The steps to run, in order, and the state of the ledger for which they were planned.
#[derive(Debug, Clone)]
pub struct Plan {
    steps: Vec<PlanStep>,
    warnings: Vec<Finding>,
    never_run: Vec<Version>,
    newest: i64,
    has_ledger: bool,
    version: Option<Version>,
}

/// One script to run.
#[derive(Debug, Clone)]
pub struct PlanStep {
    /// Up or down.
    pub direction: Direction,
    /// The version of the migration.
    pub version: Version,
    /// The name of the migration.
    pub name: String,
    /// What to run.
    pub work: StepWork,
    /// The migration's files, if they exist.
    pub migration: Option<Arc<Migration>>,
    /// The part that is already done.
    pub resume: Option<UnfinishedMigration>,
    /// The first statement to run, from 0, if the user gave it because it cannot be determined.
    pub(in crate::runner) from: Option<usize>,
    /// The unfinished migration in the other direction that it undoes.
    pub(in crate::runner) undoes: Option<UnfinishedMigration>,
}

impl PlanStep {
    /// A step that starts at the beginning of its script.
    pub(in crate::runner) fn new(
        direction: Direction,
        (version, name): (Version, String),
        work: StepWork,
        migration: Option<Arc<Migration>>,
    ) -> Self {
        Self { direction, version, name, work, migration, resume: None, from: None, undoes: None }
    }
}

/// What a step runs.
#[derive(Debug, Clone)]
pub enum StepWork {
    /// An SQL script.
    Sql(Arc<Script>),
    /// A Rust function that was registered for the version.
    Code,
}

impl Plan {
    /// The steps, in execution order.
    pub fn steps(&self) -> &[PlanStep] {
        &self.steps
    }

    /// Warnings to show before it runs.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The migrations that it rolls back although they were never run here, only recorded as applied.
    pub fn never_run(&self) -> &[Version] {
        &self.never_run
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The newest row of the ledger that the plan was made for.
    pub fn newest(&self) -> i64 {
        self.newest
    }

    /// The newest version that was applied when the plan was made.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Whether there was a ledger when the plan was made.
    pub(in crate::runner) fn has_ledger(&self) -> bool {
        self.has_ledger
    }

    /// A plan with these steps for this state, made by `resolve` outside the usual rules.
    pub(in crate::runner) fn of(steps: Vec<PlanStep>, state: &LedgerState) -> Self {
        let (newest, has_ledger, version) = (state.newest(), state.has_ledger(), state.version().cloned());
        Self { steps, warnings: Vec::new(), never_run: Vec::new(), newest, has_ledger, version }
    }
}

impl PlanStep {
    /// Whether it runs statement by statement, each committed separately.
    pub fn no_transaction(&self) -> bool {
        matches!(&self.work, StepWork::Sql(script) if script.directives().no_transaction)
    }

    /// The script that it runs, if it is SQL.
    pub(in crate::runner) fn script(&self) -> Option<&Script> {
        match &self.work {
            StepWork::Sql(script) => Some(script),
            StepWork::Code => None,
        }
    }
}

#[cfg(test)]
mod tests;
