//! Unfinished migrations: what is really there, and the ways out.

use std::sync::Arc;

use super::plan::{self, Plan, Step, Work};
use super::state::Unfinished;
use super::{Migrator, RunReport, obstacle};
use crate::db::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, Place};
use crate::ledger::{Direction, Event, Record};
use crate::source::{Body, Migration, Script};
use crate::sql::{Class, IndexName};

/// How an unfinished migration is brought to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Run the statements that are left, in the direction in which it was going.
    Continue,
    /// Run the script of the other direction.
    Undo,
    /// Run nothing; record that it counts as applied, and why.
    Applied(String),
    /// Run nothing; record that it counts as rolled back, and why.
    RolledBack(String),
}

/// An unfinished migration, and what the catalogs say about it.
#[derive(Debug, Clone)]
pub struct Unresolved {
    /// What the ledger says.
    pub unfinished: Unfinished,
    /// The script that was running, if it is still the same.
    pub script: Option<Arc<Script>>,
    /// What each of its statements left, as far as that can be known.
    pub reality: Vec<Reality>,
}

/// What one statement of an unfinished script left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reality {
    /// The number of the statement, from 1.
    pub statement: usize,
    /// Its first line.
    pub text: String,
    /// Whether the ledger says that it is done.
    pub recorded: bool,
    /// What the catalogs say: "index public.a is valid".
    pub seen: Option<String>,
}

impl Migrator {
    /// Looks at the unfinished migration, if there is one. Nothing is written.
    ///
    /// # Errors
    ///
    /// Those of [`Migrator::state`].
    pub async fn unresolved(&mut self) -> Result<Option<Unresolved>> {
        let state = self.state().await?;
        let Some(unfinished) = state.unfinished().cloned() else { return Ok(None) };
        let stored = self.stored_downs(&state).await?;
        let script = plan::script_of(&self.set, &stored, &unfinished);
        let shown = script.clone().or_else(|| file(self.set.get(&unfinished.version)?, unfinished.direction));
        let reality = match shown {
            Some(script) => look(self.session().await?, &script, unfinished.done).await?,
            None => Vec::new(),
        };
        Ok(Some(Unresolved { unfinished, script, reality }))
    }

    /// Brings the unfinished migration to an end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Plan`] when nothing is unfinished or the way out is closed, and those of
    /// [`Migrator::apply`].
    pub async fn resolve(&mut self, resolution: &Resolution) -> Result<RunReport> {
        let state = self.state().await?;
        let Some(unresolved) = self.unresolved().await? else {
            return Err(Error::new(ErrorKind::Plan, obstacle::nothing_unfinished()));
        };
        let migration = self.set.get(&unresolved.unfinished.version).cloned();
        match resolution {
            Resolution::Continue => {
                let step = go_on(unresolved, migration)?;
                self.apply(&Plan::of(vec![step], &state)).await
            }
            Resolution::Undo => {
                let step = turn_back(&unresolved.unfinished, migration)?;
                self.apply(&Plan::of(vec![step], &state)).await
            }
            Resolution::Applied(why) => self.declare(&unresolved.unfinished, Direction::Up, why, state.newest()).await,
            Resolution::RolledBack(why) => {
                self.declare(&unresolved.unfinished, Direction::Down, why, state.newest()).await
            }
        }
    }

    /// Records what an unfinished migration is to count as, under the lock, and runs nothing.
    async fn declare(
        &mut self,
        unfinished: &Unfinished,
        as_if: Direction,
        why: &str,
        newest: i64,
    ) -> Result<RunReport> {
        let migration = self.set.get(&unfinished.version).cloned();
        let mut executor = self.prepare(newest, true).await?;
        let plain = Record::of(Event::Resolved, as_if, unfinished.version.as_str(), &unfinished.name);
        let record = match &migration {
            Some(migration) => Record::with_files(Event::Resolved, as_if, migration),
            None => plain,
        };
        let sql = executor.writer.insert(&Record { note: Some(why), ..record });
        let sent = executor.lines.worker.send(&sql).await;
        let (report, released) = executor.finish(false).await;
        sent.map_err(|failure| failure.explain(ErrorKind::Ledger, "ledger-unwritable", "record the resolution"))?;
        released.map(|()| report)
    }
}

/// The step that runs what is left.
fn go_on(unresolved: Unresolved, migration: Option<Arc<Migration>>) -> Result<Step> {
    let Unresolved { unfinished, script, .. } = unresolved;
    // Where nothing is recorded as done, a script that was mended in the meantime is as good.
    let mended = || file(migration.as_deref().filter(|_| unfinished.done == 0)?, unfinished.direction);
    let Some(script) = script.or_else(mended) else {
        return Err(closed(&unfinished, migration.as_deref(), "changed-since"));
    };
    let (version, name) = (unfinished.version.clone(), unfinished.name.clone());
    let direction = unfinished.direction;
    Ok(Step { direction, version, name, work: Work::Sql(script), migration, resume: Some(unfinished) })
}

/// The step that runs the script of the other direction.
fn turn_back(unfinished: &Unfinished, migration: Option<Arc<Migration>>) -> Result<Step> {
    let direction = unfinished.direction.reverse();
    let Some(script) = migration.as_deref().and_then(|migration| file(migration, direction)) else {
        return Err(closed(unfinished, migration.as_deref(), "no-way-back"));
    };
    let (version, name) = (unfinished.version.clone(), unfinished.name.clone());
    Ok(Step { direction, version, name, work: Work::Sql(script), migration, resume: None })
}

fn closed(unfinished: &Unfinished, migration: Option<&Migration>, code: &'static str) -> Error {
    let Unfinished { version, name, done, .. } = unfinished;
    let finding = match code {
        "changed-since" => Finding::error(code, format!("the script of {version}_{name} is not the one that began"))
            .note(format!("{done} of the old statements are done, and it is not known how they fit the new script"))
            .help(format!("put the file back as it was, or undo: `cargo xtask resolve {version} --undo`")),
        _ => Finding::error(code, format!("there is no script that undoes {version}_{name}")),
    };
    let finding = finding.at(migration.map(|migration| Place::file(migration.path()))).help(format!(
        "or bring the database to one side by hand, and say so: \
         `cargo xtask resolve {version} --mark-applied REASON` or `--mark-rolled-back REASON`"
    ));
    Error::new(ErrorKind::Plan, finding)
}

/// The script of a migration for a direction, as it stands in the folder.
fn file(migration: &Migration, direction: Direction) -> Option<Arc<Script>> {
    match (migration.body(), direction) {
        (Body::Sql { up, .. }, Direction::Up) => Some(up.clone()),
        (Body::Sql { down, .. }, Direction::Down) => down.clone(),
        (Body::Code { .. }, _) => None,
    }
}

/// Asks the catalogs about every index that the script makes or removes concurrently.
async fn look(session: &mut Session, script: &Script, done: usize) -> Result<Vec<Reality>> {
    let mut reality = Vec::new();
    for (at, statement) in script.statements().iter().enumerate() {
        let text = &script.text()[statement.span.clone()];
        let concurrent = matches!(statement.class, Class::CreateIndexConcurrently | Class::DropIndexConcurrently);
        let seen = match IndexName::of(text).filter(|_| concurrent) {
            Some(index) => {
                let rows = session.rows(&index.query).await;
                let rows = rows.map_err(|failure| {
                    failure.explain(ErrorKind::Statement, "index", &format!("look up index {}", index.name))
                })?;
                Some(match rows.first().map(Vec::as_slice) {
                    Some([Some(valid), Some(name)]) if valid == "t" => format!("index {name} is there and valid"),
                    Some([_, Some(name)]) => format!("index {name} is there, but not valid: half built"),
                    _ => format!("there is no index {}", index.name),
                })
            }
            None => None,
        };
        let first_line = text.lines().next().unwrap_or_default().to_owned();
        reality.push(Reality { statement: at + 1, text: first_line, recorded: at < done, seen });
    }
    Ok(reality)
}
