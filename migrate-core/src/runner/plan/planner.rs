//! Making the plan, or finding every reason why nothing can be run.
//!
//! Planning is a pure function of the files, the state and the target. Nothing is read or sent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::Finding;
use migrate_base::sql::StatementClass;

use super::state::{AppliedMigration, LedgerState, UnfinishedMigration};
use super::{DownFrom, Plan, PlanStep, RunPolicy, StepWork, Target, obstacle, others};
use crate::ledger::Direction;
use crate::source::{Migration, MigrationBody, MigrationSet, Script, Version};

/// Makes the plan, or returns every obstacle.
///
/// # Errors
///
/// [`ErrorKind::Plan`] with a finding for each obstacle.
pub(in crate::runner) fn plan(
    set: &MigrationSet,
    state: &LedgerState,
    stored: &BTreeMap<Version, Arc<str>>,
    target: &Target,
    policy: RunPolicy,
    has_code: &dyn Fn(&Version) -> bool,
) -> Result<Plan> {
    let mut planner = Planner {
        set,
        state,
        stored,
        policy,
        has_code,
        steps: vec![],
        warnings: vec![],
        never_run: vec![],
        obstacles: vec![],
    };
    match target {
        Target::Latest | Target::UpTo(_) | Target::Up(_) if set.is_empty() && !policy.allow_empty => {
            planner.obstacles.push(obstacle::no_migrations(set, state));
            planner.obstacles.extend(others::problems(set, state));
        }
        Target::Latest => {
            planner.up(&|_| true, usize::MAX);
            planner.repeat();
        }
        Target::UpTo(version) => {
            if set.get(version).is_none() {
                planner.obstacles.push(obstacle::no_such_version(set, version));
            }
            planner.up(&|migration| migration.version() <= version, usize::MAX);
            planner.not_beyond(version);
            if state.version().is_none_or(|newest| newest <= version) {
                planner.repeat();
            }
        }
        Target::Up(count) => planner.up(&|_| true, *count),
        Target::Down(count) => planner.down(&|_| true, *count, ExplicitTarget::No),
        Target::DownTo(version) => {
            if state.get(version).is_none() {
                planner.obstacles.push(obstacle::not_applied(state, version));
            }
            planner.down(&|applied| applied.version > *version, usize::MAX, ExplicitTarget::Yes);
        }
        Target::Zero => planner.down(&|_| true, usize::MAX, ExplicitTarget::Yes),
    }
    planner.finish()
}

struct Planner<'a> {
    set: &'a MigrationSet,
    state: &'a LedgerState,
    stored: &'a BTreeMap<Version, Arc<str>>,
    policy: RunPolicy,
    has_code: &'a dyn Fn(&Version) -> bool,
    steps: Vec<PlanStep>,
    warnings: Vec<Finding>,
    never_run: Vec<Version>,
    obstacles: Vec<Finding>,
}

/// Whether a rollback target is given by a version or by `--all`, and not by a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ExplicitTarget {
    Yes,
    No,
}

impl Planner<'_> {
    fn finish(self) -> Result<Plan> {
        if !self.obstacles.is_empty() {
            return Err(Error::of(ErrorKind::Plan, self.obstacles));
        }
        let (newest, has_ledger) = (self.state.newest(), self.state.has_ledger());
        let (warnings, never_run, version) = (self.warnings, self.never_run, self.state.version().cloned());
        Ok(Plan { steps: self.steps, warnings, never_run, newest, has_ledger, version })
    }

    fn up(&mut self, wanted: &dyn Fn(&Migration) -> bool, count: usize) {
        let (problems, warnings) = obstacle::compare(self.set, self.state, self.policy.allow_newer);
        self.obstacles.extend(problems);
        self.warnings.extend(warnings);
        self.resume(None);
        let newest = self.state.version();
        let started = self.steps.iter().find(|step| step.direction == Direction::Up).map(|step| step.version.clone());
        let pending = self.set.iter().filter(|migration| {
            self.state.get(migration.version()).is_none() && started.as_ref() != Some(migration.version())
        });
        let left = count.saturating_sub(usize::from(started.is_some()));
        for migration in pending.filter(|migration| wanted(migration)).take(left) {
            if let Some(newest) = newest.filter(|newest| migration.version() < newest)
                && !self.policy.allow_out_of_order
            {
                self.obstacles.push(obstacle::out_of_order(self.set, self.state, migration, newest));
                continue;
            }
            let work = match migration.body() {
                MigrationBody::Sql { up, .. } => StepWork::Sql(up.clone()),
                MigrationBody::Code { .. } => StepWork::Code,
            };
            self.code_is_here(migration.version(), &work);
            self.push(Direction::Up, migration.version(), migration.name(), work, None);
        }
    }

    /// Runs the repeatable migrations that have to, if nothing is pending after the other steps. An older program does
    /// not put back what a newer one made.
    fn repeat(&mut self) {
        if self.state.version().is_some_and(|newest| obstacle::is_newer(self.set, newest)) {
            return;
        }
        let is_planned = |version: &Version| {
            self.steps.iter().any(|step| step.direction == Direction::Up && step.version == *version)
        };
        if self.set.iter().any(|one| self.state.get(one.version()).is_none() && !is_planned(one.version())) {
            return;
        }
        // A step that was rolled back before the others may have removed what they made.
        let undoes = self.steps.iter().any(|step| step.direction == Direction::Down);
        for one in self.set.repeatables().iter().filter(|one| undoes || self.state.is_due(one)) {
            if let Some(script) = one.up_script() {
                self.push(Direction::Up, one.version(), one.name(), StepWork::Sql(script.clone()), None);
            }
        }
    }

    /// `migrate` never rolls back: if newer migrations of the folder are applied, doing nothing was not what the user
    /// wanted.
    fn not_beyond(&mut self, version: &Version) {
        let is_beyond =
            |applied: &&AppliedMigration| applied.version > *version && self.set.get(&applied.version).is_some();
        let beyond = self.state.applied().rfind(is_beyond);
        if let Some(beyond) = beyond.filter(|_| self.steps.is_empty() && self.obstacles.is_empty()) {
            self.obstacles.push(obstacle::beyond_target(beyond, version));
        }
    }

    fn down(&mut self, wanted: &dyn Fn(&AppliedMigration) -> bool, count: usize, named: ExplicitTarget) {
        // What another tool applied on top would lose what it was built on.
        if self.state.adopted().is_some() {
            self.obstacles.extend(others::problems(self.set, self.state));
        }
        self.resume(Some(Direction::Down));
        let started = self.steps.first().map(|step| step.version.clone());
        let left = count.saturating_sub(usize::from(started.is_some()));
        let mut applied: Vec<&AppliedMigration> = self
            .state
            .applied()
            .filter(|applied| wanted(applied) && started.as_ref() != Some(&applied.version))
            .collect();
        applied.sort_by_key(|applied| std::cmp::Reverse(applied.id));
        for applied in applied.into_iter().take(left) {
            if applied.was_never_run() && named == ExplicitTarget::No {
                self.obstacles.push(obstacle::never_run(self.state, applied, self.steps.len()));
                break;
            }
            if applied.was_never_run() {
                self.warnings.push(obstacle::undoes_never_run(applied));
                self.never_run.push(applied.version.clone());
            }
            match self.way_down(applied) {
                Ok(work) => {
                    self.code_is_here(&applied.version, &work);
                    self.push(Direction::Down, &applied.version, &applied.name, work, None);
                }
                Err(finding) => self.obstacles.push(*finding),
            }
        }
    }

    /// What rolls back an applied migration: the stored script, or the one in the folder.
    fn way_down(&mut self, applied: &AppliedMigration) -> std::result::Result<StepWork, Box<Finding>> {
        // A migration from before a squash is rolled back by its own down script, whatever replaces it now.
        let is_squashed = obstacle::squashed(self.set, self.state, applied).is_some();
        let migration = self.set.get(&applied.version).filter(|_| !is_squashed);
        if matches!(migration.map(|m| m.body()), Some(MigrationBody::Code { .. })) {
            return Ok(StepWork::Code);
        }
        let file = migration.and_then(|m| m.down_script());
        let stored = self.stored.get(&applied.version);
        match (file, stored) {
            (Some(file), Some(stored)) if file.text() != stored => {
                self.warnings.push(obstacle::two_downs(file, applied, self.policy.down_from));
                Ok(StepWork::Sql(match self.policy.down_from {
                    DownFrom::Files => file.clone(),
                    DownFrom::Ledger => recorded(applied, stored),
                }))
            }
            (Some(file), _) => Ok(StepWork::Sql(file.clone())),
            (None, Some(stored)) => Ok(StepWork::Sql(recorded(applied, stored))),
            (None, None) => Err(Box::new(obstacle::no_way_down(migration.map(|m| &**m), applied))),
        }
    }

    /// Resumes an interrupted migration if that is certain to be right.
    fn resume(&mut self, only: Option<Direction>) {
        let Some(unfinished) = self.state.unfinished() else { return };
        let certain = unfinished.failed.is_none() && only.is_none_or(|direction| direction == unfinished.direction);
        // If it is running now, the lock makes us wait; after that the plan is stale.
        let is_running = unfinished.running.is_some();
        let takes_up = |script: &Arc<Script>| certain && (is_running || is_certain(script, unfinished.done));
        match self.script_of(unfinished).filter(takes_up) {
            Some(script) => {
                let work = StepWork::Sql(script);
                let (version, name) = (&unfinished.version, &unfinished.name);
                self.push(unfinished.direction, version, name, work, Some(unfinished.clone()));
                if unfinished.direction == Direction::Down && only.is_none() {
                    self.again(&unfinished.version);
                }
            }
            None => self.obstacles.push(obstacle::unfinished(self.set, unfinished)),
        }
    }

    /// A migration whose interrupted rollback is finished first is pending after that.
    fn again(&mut self, version: &Version) {
        if let Some(MigrationBody::Sql { up, .. }) = self.set.get(version).map(|m| m.body()) {
            let name = self.set.get(version).map_or("", |m| m.name());
            self.push(Direction::Up, version, name, StepWork::Sql(up.clone()), None);
        }
    }

    /// The script that an unfinished migration was running, if it is unchanged.
    fn script_of(&self, unfinished: &UnfinishedMigration) -> Option<Arc<Script>> {
        script_of(self.set, self.stored, unfinished)
    }

    fn code_is_here(&mut self, version: &Version, work: &StepWork) {
        if matches!(work, StepWork::Code) && !(self.has_code)(version) {
            self.obstacles.push(obstacle::no_code(self.set, version));
        }
    }

    fn push(
        &mut self,
        direction: Direction,
        version: &Version,
        name: &str,
        work: StepWork,
        resume: Option<UnfinishedMigration>,
    ) {
        let migration = self.set.get(version).cloned();
        let step = PlanStep::new(direction, (version.clone(), name.to_owned()), work, migration);
        self.steps.push(PlanStep { resume, ..step });
    }
}

/// Whether it can be determined if the first statement that is not recorded was done nevertheless.
fn is_certain(script: &Script, done: usize) -> bool {
    let next = script.statements().get(done).map(|statement| statement.class);
    !matches!(
        next,
        Some(StatementClass::MayCommit | StatementClass::OutsideTransaction | StatementClass::OfSubscription)
    )
}

/// The script that an unfinished migration was running, if it is unchanged.
pub(in crate::runner) fn script_of(
    set: &MigrationSet,
    stored: &BTreeMap<Version, Arc<str>>,
    unfinished: &UnfinishedMigration,
) -> Option<Arc<Script>> {
    let migration = set.get(&unfinished.version);
    let (file, checksum) = match (unfinished.direction, migration.map(|m| m.body())) {
        (Direction::Up, Some(MigrationBody::Sql { up, .. })) => (Some(up), &unfinished.up_checksum),
        (Direction::Down, Some(MigrationBody::Sql { down, .. })) => (down.as_ref(), &unfinished.down_checksum),
        (direction, _) => {
            (None, if direction == Direction::Up { &unfinished.up_checksum } else { &unfinished.down_checksum })
        }
    };
    if let Some(file) = file.filter(|file| checksum.as_ref() == Some(file.checksum())) {
        return Some(file.clone());
    }
    let stored = stored.get(&unfinished.version).filter(|_| unfinished.direction == Direction::Down)?;
    Some(recorded_script(&unfinished.version, &unfinished.name, stored))
        .filter(|script| checksum.as_ref() == Some(script.checksum()))
}

fn recorded(applied: &AppliedMigration, text: &Arc<str>) -> Arc<Script> {
    recorded_script(&applied.version, &applied.name, text)
}

/// A down script from the ledger, under the name that its file had.
fn recorded_script(version: &Version, name: &str, text: &Arc<str>) -> Arc<Script> {
    let path = PathBuf::from(format!("(ledger) {version}_{name}.down.sql"));
    Arc::new(Script::recorded(path, text.clone()))
}
