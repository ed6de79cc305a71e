//! Unfinished migrations: what the database contains, and the ways to finish or undo them.

use std::sync::Arc;

use migrate_base::codes::{self, Code};
use migrate_base::db::{Session, TextRow};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::QualifiedName;
use migrate_base::sql::{IndexName, StatementClass};

use crate::ledger::{Direction, LedgerEvent, LedgerRow};
use crate::runner::message::leftover::{self, LeftoverObject};
use crate::runner::message::stepwise;
use crate::runner::plan::state::{LedgerState, UnfinishedMigration};
use crate::runner::plan::{self, Plan, PlanStep, StepWork, obstacle};
use crate::runner::{Migrator, RunReport};
use crate::source::{Migration, MigrationBody, Script};

/// How to resolve an unfinished migration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// Run the remaining statements, in the same direction.
    Continue,
    /// The same, starting with this statement, counted from 1: the user must give it if it is unknown whether the
    /// interrupted statement is done.
    ContinueFrom(usize),
    /// Run the script of the other direction, if any statement is done.
    Undo,
    /// The same, if the first statement that is not done is this one, counted from 1.
    UndoFrom(usize),
    /// Run nothing; record it as applied, with the reason.
    Applied(String),
    /// Run nothing; record it as rolled back, with the reason.
    RolledBack(String),
}

/// An unfinished migration, and what the catalogs say about it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UnfinishedReport {
    /// The state according to the ledger.
    pub unfinished: UnfinishedMigration,
    /// The script that was running, if it is unchanged.
    pub script: Option<Arc<Script>>,
    /// What each of its statements left, as far as known.
    pub reality: Vec<StatementTrace>,
    /// The statement, from 1, that commits by itself and may have been done, completely or partly, when the run ended.
    pub uncertain: Option<usize>,
}

impl UnfinishedReport {
    /// Whether undoing it runs the script of the other direction; `from` is the first statement, from 1, that is not
    /// done.
    ///
    /// It does not if nothing is done, or only session settings that are gone with their session.
    pub fn undoing_runs(&self, from: Option<usize>) -> bool {
        let done = from.map_or(self.unfinished.done, |from| from.saturating_sub(1));
        done > 0 && self.script.as_ref().is_none_or(|script| stepwise::has_effect(script, done))
    }
}

/// What one statement of an unfinished script left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatementTrace {
    /// The number of the statement, from 1.
    pub statement: usize,
    /// Its first line.
    pub text: String,
    /// Whether the ledger records it as done.
    pub recorded: bool,
    /// What the catalogs say: "index public.a is valid".
    pub seen: Option<String>,
}

impl Migrator {
    /// Examines the unfinished migration, if there is one. Nothing is written.
    ///
    /// # Errors
    ///
    /// Those of [`Migrator::state`].
    pub async fn unresolved(&mut self) -> Result<Option<UnfinishedReport>> {
        let state = self.state().await?;
        let Some(unfinished) = state.unfinished().cloned() else { return Ok(None) };
        let stored = self.stored_downs(&state).await?;
        let script = plan::script_of(&self.set, &stored, &unfinished);
        let shown = script.clone().or_else(|| file(self.set.get(&unfinished.version)?, unfinished.direction));
        let ledger = self.options.ledger.clone();
        let reality = match &shown {
            Some(script) => look(self.session().await?, script, &unfinished, &ledger).await?,
            None => Vec::new(),
        };
        let is_uncertain = shown.is_some_and(|script| is_uncertain(&script, &unfinished));
        let uncertain = is_uncertain.then_some(unfinished.done + 1);
        Ok(Some(UnfinishedReport { unfinished, script, reality, uncertain }))
    }

    /// Resolves the unfinished migration.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Plan`] when nothing is unfinished or this resolution is impossible, and those of
    /// [`Migrator::apply`].
    pub async fn resolve(&mut self, resolution: &Resolution) -> Result<RunReport> {
        let state = self.state().await?;
        let Some(unresolved) = self.unresolved().await? else {
            return Err(Error::new(ErrorKind::Plan, obstacle::nothing_unfinished()));
        };
        let unfinished = &unresolved.unfinished;
        if let Some(holder) = &unfinished.running {
            return Err(Error::new(ErrorKind::Plan, obstacle::running(&self.set, unfinished, holder)));
        }
        let migration = self.set.get(&unfinished.version).cloned();
        match resolution {
            Resolution::Continue => {
                let step = go_on(unresolved, migration, None)?;
                self.apply(&Plan::of(vec![step], &state)).await
            }
            Resolution::ContinueFrom(from) => {
                let step = go_on(unresolved, migration, Some(*from))?;
                self.apply(&Plan::of(vec![step], &state)).await
            }
            Resolution::Undo => self.undo(unresolved, migration, &state, None).await,
            Resolution::UndoFrom(from) => self.undo(unresolved, migration, &state, Some(*from)).await,
            Resolution::Applied(why) => self.declare(unfinished, Direction::Up, why, state.newest()).await,
            Resolution::RolledBack(why) => self.declare(unfinished, Direction::Down, why, state.newest()).await,
        }
    }

    /// Finishes or removes what the interrupted statement left, then runs the script of the other direction; if no
    /// statement is done, there is nothing to undo, and nothing is run.
    async fn undo(
        &mut self,
        unresolved: UnfinishedReport,
        migration: Option<Arc<Migration>>,
        state: &LedgerState,
        from: Option<usize>,
    ) -> Result<RunReport> {
        let unfinished = unresolved.unfinished.clone();
        if unfinished.undoes.is_some() {
            // Continuing, which is the usual advice, needs the script that was running.
            let code = if unresolved.script.is_some() { codes::NO_WAY_BACK } else { codes::CHANGED_SINCE };
            return Err(closed(&unfinished, migration.as_deref(), code));
        }
        let back = unfinished.direction.reverse();
        // Check that there is a script for undoing before anything is changed.
        let way_back = turn_back(&unfinished, migration.clone());
        let script = unresolved.script.or_else(|| file(migration.as_deref()?, unfinished.direction));
        // Statements that are done now stay done, so that script is needed then.
        let way_back = match &script {
            Some(script) if stepwise::has_effect(script, unfinished.done) => Ok(way_back?),
            _ => way_back,
        };
        let done = match &script {
            Some(script) => self.settled(&unfinished, migration, script, state, from).await?,
            // It cannot be determined what its statement left.
            None => return Err(closed(&unfinished, migration.as_deref(), codes::CHANGED_SINCE)),
        };
        // Session settings are gone with their session.
        if done == 0 || script.is_some_and(|script| !stepwise::has_effect(&script, done)) {
            return self.declare(&unfinished, back, "nothing of it was done; nothing was run", state.newest()).await;
        }
        let mut step = way_back?;
        step.undoes = Some(UnfinishedMigration { done, ..unfinished });
        self.apply(&Plan::of(vec![step], state)).await
    }

    /// Settles the interrupted statement, and returns how many statements are done then.
    async fn settled(
        &mut self,
        unfinished: &UnfinishedMigration,
        migration: Option<Arc<Migration>>,
        script: &Arc<Script>,
        state: &LedgerState,
        from: Option<usize>,
    ) -> Result<usize> {
        let from = from.map(|from| first(unfinished, script, from)).transpose()?;
        let identity = (unfinished.version.clone(), unfinished.name.clone());
        let step = PlanStep::new(unfinished.direction, identity, StepWork::Sql(script.clone()), migration);
        let step = PlanStep { resume: Some(unfinished.clone()), ..step };
        let mut executor = self.prepare(state.newest(), true).await?;
        let mut settled = executor.settle_apart(&step, script, unfinished.done).await;
        // If it was announced that nothing runs, nothing is run.
        let is_unannounced = from.is_none() && matches!(settled, Ok(Some(true)));
        let was_nothing = !stepwise::has_effect(script, unfinished.done);
        if is_unannounced && was_nothing && stepwise::has_effect(script, unfinished.done + 1) {
            let row = stepwise::progress(&mut executor.writer, &step, unfinished.done);
            settled = match executor.record(&step, &row).await {
                Ok(()) => Err(leftover::is_done_after_all(&step, script, unfinished.done)),
                Err(error) => Err(error),
            };
        }
        executor.finish(false).await.1?;
        match (from, settled?) {
            (Some(from), _) => Ok(from),
            (None, Some(is_done)) => Ok(unfinished.done + usize::from(is_done)),
            (None, None) => Err(leftover::may_be_done(&step, script, unfinished.done, "--undo")),
        }
    }

    /// Records an unfinished migration as applied or rolled back, under the lock, and runs nothing.
    async fn declare(
        &mut self,
        unfinished: &UnfinishedMigration,
        as_if: Direction,
        why: &str,
        newest: i64,
    ) -> Result<RunReport> {
        let migration = self.set.get(&unfinished.version).cloned();
        let mut executor = self.prepare(newest, true).await?;
        let plain = LedgerRow::of(LedgerEvent::Resolved, as_if, unfinished.version.as_str(), &unfinished.name);
        let record = match &migration {
            Some(migration) => LedgerRow::with_files(LedgerEvent::Resolved, as_if, migration),
            None => plain,
        };
        let sql = executor.writer.insert(&LedgerRow { note: Some(why), ..record });
        let sent = executor.lines.worker.send(&sql).await;
        let (report, released) = executor.finish(false).await;
        sent.map_err(|failure| failure.explain(ErrorKind::Ledger, codes::LEDGER_UNWRITABLE, "record the resolution"))?;
        released.map(|()| report)
    }
}

/// The step that runs the remaining statements.
fn go_on(unresolved: UnfinishedReport, migration: Option<Arc<Migration>>, from: Option<usize>) -> Result<PlanStep> {
    let UnfinishedReport { unfinished, script, .. } = unresolved;
    // If nothing is recorded as done, a script that was corrected in the meantime may be used.
    let corrected = || file(migration.as_deref().filter(|_| unfinished.done == 0)?, unfinished.direction);
    let Some(script) = script.or_else(corrected) else {
        return Err(closed(&unfinished, migration.as_deref(), codes::CHANGED_SINCE));
    };
    let from = from.map(|from| first(&unfinished, &script, from)).transpose()?;
    let identity = (unfinished.version.clone(), unfinished.name.clone());
    let step = PlanStep::new(unfinished.direction, identity, StepWork::Sql(script.clone()), migration);
    let step = PlanStep { from, resume: Some(unfinished.clone()), ..step };
    if from.is_none() && is_uncertain(&script, &unfinished) {
        return Err(leftover::may_be_done(&step, &script, unfinished.done, "--continue"));
    }
    Ok(step)
}

/// The first statement to run, from 0, as given by the user; one that is recorded as done is not run again.
fn first(unfinished: &UnfinishedMigration, script: &Script, from: usize) -> Result<usize> {
    let (least, most) = (unfinished.done + 1, script.statements().len() + 1);
    if (least..=most).contains(&from) {
        return Ok(from - 1);
    }
    let finding = Finding::new(codes::RESOLVE_FROM, format!("--from {from} is not a statement to continue with"))
        .note(format!("{} statements are recorded as done, and there are {}", unfinished.done, most - 1))
        .help(format!("give a number from {least} to {most}; {most} means the end"));
    Err(Error::new(ErrorKind::Plan, finding))
}

/// Whether the interrupted statement commits by itself, so that the user has to check whether it was done.
fn is_uncertain(script: &Script, unfinished: &UnfinishedMigration) -> bool {
    let next = script.statements().get(unfinished.done).map(|statement| statement.class);
    match next {
        Some(StatementClass::MayCommit) => true,
        Some(StatementClass::OutsideTransaction | StatementClass::OfSubscription) => unfinished.failed.is_none(),
        _ => false,
    }
}

/// The step that runs the script of the other direction.
fn turn_back(unfinished: &UnfinishedMigration, migration: Option<Arc<Migration>>) -> Result<PlanStep> {
    let direction = unfinished.direction.reverse();
    let Some(script) = migration.as_deref().and_then(|migration| file(migration, direction)) else {
        return Err(closed(unfinished, migration.as_deref(), codes::NO_WAY_BACK));
    };
    let identity = (unfinished.version.clone(), unfinished.name.clone());
    Ok(PlanStep::new(direction, identity, StepWork::Sql(script), migration))
}

fn closed(unfinished: &UnfinishedMigration, migration: Option<&Migration>, code: Code) -> Error {
    let UnfinishedMigration { version, name, done, .. } = unfinished;
    let finding = match code {
        codes::CHANGED_SINCE if migration.is_none() => {
            Finding::new(code, format!("the file of {version}_{name} is missing"))
                .note(format!("without it, it is unknown what its statement {} left behind", done + 1))
                .help("restore the file as it was, and run the command again")
        }
        codes::CHANGED_SINCE => {
            let finding = Finding::new(code, format!("the script of {version}_{name} has changed since it started"))
                .note(format!(
                    "{done} statements of the old script are done, and it is unknown how they fit the new script"
                ))
                .help("restore the file as it was, and run the command again");
            // An undo cannot be undone.
            match unfinished.undoes {
                None => finding.help(format!(
                    "or undo: `cargo xtask resolve {version} --undo` runs the whole script of the other direction"
                )),
                Some(_) => finding,
            }
        }
        _ if unfinished.undoes.is_some() => {
            Finding::new(code, format!("undoing {version}_{name} is itself unfinished"))
                .note(format!(
                    "{done} statements of the undo are done; undoing the undo would run the whole script again on \
                     what is half undone"
                ))
                .help(format!("remove the cause, then `cargo xtask resolve {version} --continue`"))
        }
        _ => {
            let finding = Finding::new(code, format!("there is no script that undoes {version}_{name}"));
            if migration.is_some() {
                finding
            } else {
                finding.help("restore its file as it was, and run the command again")
            }
        }
    };
    let finding = finding.at(migration.map(|migration| Place::file(migration.path()))).help(format!(
        "or finish or undo it in the database by hand, and record that: \
         `cargo xtask resolve {version} --mark-applied REASON` or `--mark-rolled-back REASON`"
    ));
    Error::new(ErrorKind::Plan, finding)
}

/// The script of a migration for a direction, as it is in the folder.
fn file(migration: &Migration, direction: Direction) -> Option<Arc<Script>> {
    match (migration.body(), direction) {
        (MigrationBody::Sql { up, .. }, Direction::Up) => Some(up.clone()),
        (MigrationBody::Sql { down, .. }, Direction::Down) => down.clone(),
        (MigrationBody::Code { .. }, _) => None,
    }
}

/// Queries the catalogs about every index that the script creates or drops concurrently, and about what the next
/// statement left half done.
async fn look(
    session: &mut Session,
    script: &Script,
    unfinished: &UnfinishedMigration,
    ledger: &QualifiedName,
) -> Result<Vec<StatementTrace>> {
    let mut reality = Vec::new();
    for (at, statement) in script.statements().iter().enumerate() {
        let text = &script.text()[statement.span.clone()];
        let is_index =
            matches!(statement.class, StatementClass::CreateIndexConcurrently | StatementClass::DropIndexConcurrently);
        let index = IndexName::of(text).filter(|_| is_index);
        let is_next = at == unfinished.done;
        let seen = match index {
            Some(index) => {
                let rows = ask(session, script, at, &index.query).await?;
                Some(match rows.first().map(Vec::as_slice) {
                    Some([Some(valid), Some(name)]) if valid == "t" => format!("index {name} exists and is valid"),
                    Some([_, Some(name)]) if statement.class == StatementClass::DropIndexConcurrently => {
                        format!("index {name} exists but is not valid: half dropped")
                    }
                    Some([_, Some(name)]) => format!("index {name} exists but is not valid: half built"),
                    _ => format!("there is no index {}", index.name),
                })
            }
            None if is_next && leftover::is_concurrent(statement.class) => {
                let rows = ask(session, script, at, &leftover::look_since(ledger, &unfinished.version)).await?;
                let seen: Vec<String> =
                    rows.into_iter().filter_map(LeftoverObject::of).map(|left| left.seen()).collect();
                (!seen.is_empty()).then(|| seen.join("; "))
            }
            None if is_next && is_uncertain(script, unfinished) => {
                Some("may have been done, completely or partly: it commits by itself".to_owned())
            }
            None => None,
        };
        let first_line = text.lines().next().unwrap_or_default().to_owned();
        reality.push(StatementTrace { statement: at + 1, text: first_line, recorded: at < unfinished.done, seen });
    }
    Ok(reality)
}

/// Queries with the settings of the script: those that the statements before this one set for the session, as far as
/// they may be repeated.
async fn ask(session: &mut Session, script: &Script, at: usize, query: &str) -> Result<Vec<TextRow>> {
    let settings = stepwise::prepare(script, at);
    let query = format!("{} {}", session.comment(), query.trim_end_matches(';'));
    let outcome = match settings.is_empty() {
        true => session.read(&query).await,
        false => {
            let seen =
                session.read(&format!("{} BEGIN READ ONLY; {settings} {query}; ROLLBACK;", session.comment())).await;
            match seen {
                Err(failure) if !failure.is_lost() => {
                    match session.read(&format!("{} ROLLBACK", session.comment())).await {
                        Ok(_) => session.read(&query).await,
                        Err(failure) => Err(failure),
                    }
                }
                seen => seen,
            }
        }
    };
    outcome.map_err(|failure| failure.explain(ErrorKind::Statement, codes::INDEX, "see what the database contains"))
}
