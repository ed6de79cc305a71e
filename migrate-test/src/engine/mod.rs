//! Chains that another tool runs: its commands are driven step by step on shadow databases.
//!
//! Nothing is taken on trust: after each command, the ledger of the tool has to have moved by just one migration. A
//! tool that did not read the address of the shadow database is found out by that.

mod capture;
mod chain;
mod command;
mod files;
mod listing;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_core::foreign::{self, ForeignTool};
use migrate_core::runner::{MigrationEngine, applied_by};
use migrate_core::{BoxFuture, Database, Direction, Error, ErrorKind, Migration, Version};
use migrate_review::config::{Config, EngineConfig};
use migrate_schema::Object;

use crate::error::ProofError;
use crate::random;

pub use capture::{CapturedStep, capture, differences};
pub use chain::{EngineChain, of_project};

/// What the commands of a tool have to do.
const USES_URL: &str = "the commands in [engine] run in the folder of migrate.toml, and have to use the database in \
                        DATABASE_URL, which is a shadow database";

/// Another tool, with the chain that it runs.
#[derive(Debug)]
struct ToolEngine {
    driver: EngineDriver,
    /// The keys of the chain, the oldest first, each with its version and its file.
    steps: Vec<EngineStep>,
    /// Whether the command for a migration also applies everything before it, in its app if keys have one.
    jumps: bool,
}

/// A migration of the other tool.
#[derive(Debug, Clone)]
struct EngineStep {
    key: String,
    /// The target of its rollback command, if that is not one step back.
    target: String,
    /// The keys that it comes after, if that is not just the one before it.
    after: Option<Vec<String>>,
    version: Version,
    file: Option<PathBuf>,
    /// Other files of it: what rolls it back.
    beside: Vec<PathBuf>,
}

impl EngineStep {
    /// One that is not known yet.
    fn unknown() -> Self {
        Self {
            key: String::new(),
            target: String::new(),
            after: None,
            version: Version::from(0),
            file: None,
            beside: Vec::new(),
        }
    }

    /// The app of a key such as `shop.0002_cents`; empty if it has none.
    fn app(&self) -> &str {
        self.key.split_once('.').map_or("", |(app, _)| app)
    }
}

/// The commands of a tool, and its ledger.
#[derive(Debug, Clone)]
struct EngineDriver {
    config: EngineConfig,
    /// Where the commands run: the folder of `migrate.toml`.
    project: PathBuf,
    /// The folder of the migrations.
    folder: PathBuf,
    /// The folder of this process: paths below it are shown without it.
    here: PathBuf,
    /// The tool whose ledger is read, if it is a known one.
    tool: Option<&'static ForeignTool>,
    /// Distinguishes this process from others.
    stamp: String,
}

impl EngineDriver {
    fn of(config: &Config, engine: &EngineConfig) -> Self {
        let tool = engine.preset.and_then(|preset| ForeignTool::named(preset.tool));
        let project = std::path::absolute(&config.project).unwrap_or_else(|_| config.project.clone());
        let folder = std::path::absolute(&config.migrations).unwrap_or_else(|_| config.migrations.clone());
        let here = std::env::current_dir().unwrap_or_default();
        Self { config: engine.clone(), project, folder, here, tool, stamp: random::hex(8) }
    }

    /// A path as it is shown to users.
    fn shown(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.here).unwrap_or(path).to_owned()
    }

    /// The keys of the migrations that the tool has applied in a database. Before the first, there may be no ledger.
    async fn applied(&self, database: &Database, is_begun: bool) -> Result<BTreeSet<String>, Error> {
        match (&self.config.applied, self.tool) {
            (Some(query), _) => {
                let rows = match database.ask("read the ledger of the engine", query).await {
                    // Before the first migration, there may be no ledger and no schema for it.
                    Err(error) if !is_begun && matches!(error.sqlstate(), Some("42P01" | "3F000")) => Vec::new(),
                    Err(error) if matches!(error.sqlstate(), Some("42P01" | "3F000")) => {
                        return Err(error.help(USES_URL).help("or correct the query `applied` in [engine]"));
                    }
                    rows => rows?,
                };
                Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
            }
            (None, Some(tool)) => applied_by(tool, self.config.ledger.as_ref(), database).await,
            (None, None) => Ok(BTreeSet::new()),
        }
    }

    /// Whether the ledger has only the newest migration.
    fn has_only_newest(&self) -> bool {
        self.config.applied.is_none() && self.tool.is_some_and(ForeignTool::has_only_newest)
    }
}

impl ToolEngine {
    /// Whether a key is in the chain, and not before the first of these steps.
    fn is_after(&self, key: &str, steps: &[(&Arc<Migration>, &EngineStep)]) -> bool {
        let place = |key: &str| self.steps.iter().position(|step| step.key == key);
        let first = steps.first().and_then(|(_, step)| place(&step.key));
        place(key).zip(first).is_some_and(|(at, first)| at >= first)
    }

    fn has(&self, key: &str) -> bool {
        self.steps.iter().any(|step| step.key == key)
    }

    fn step(&self, version: &Version) -> Option<(usize, &EngineStep)> {
        self.steps.iter().enumerate().find(|(_, step)| step.version == *version)
    }

    /// Applies migrations in a new database: all of them with one command for each app, if the tool can do that.
    async fn go_up(&self, migrations: &[Arc<Migration>], database: &Database) -> Result<(), Error> {
        if !self.jumps {
            for migration in migrations {
                self.go(migration, Direction::Up, database).await?;
            }
            return Ok(());
        }
        let steps: Vec<(&Arc<Migration>, &EngineStep)> =
            migrations.iter().filter_map(|one| Some((one, self.step(one.version())?.1))).collect();
        let is_last = |at: usize| !steps[at + 1..].iter().any(|(_, later)| later.app() == steps[at].1.app());
        for (migration, step) in (0..steps.len()).filter(|at| is_last(*at)).map(|at| steps[at]) {
            let command = command::filled(&self.driver.config.up, step, &[], &self.driver.folder);
            let ended = command::run(&self.driver, &command, database).await;
            ended.map_err(|why| failed(&command, &why, migration.path()))?;
        }
        let wanted: BTreeSet<String> = steps.iter().map(|(_, step)| step.key.clone()).collect();
        let applied = self.driver.applied(database, true).await?;
        let is_there = match self.driver.has_only_newest() {
            true => applied.is_subset(&wanted) && !applied.is_empty(),
            // What comes before them may be there already.
            false => {
                wanted.is_subset(&applied)
                    && applied.iter().all(|key| wanted.contains(key) || !self.is_after(key, &steps))
            }
        };
        match (is_there, steps.last()) {
            (false, Some((migration, step))) => {
                let moved: Vec<&str> = applied.iter().map(String::as_str).collect();
                let command = command::filled(&self.driver.config.up, step, &[], &self.driver.folder);
                Err(another_step(&command, step, Direction::Up, &moved, migration.path()))
            }
            _ => Ok(()),
        }
    }

    /// Runs the command of a migration, and looks at what it did.
    async fn go(&self, migration: &Migration, direction: Direction, database: &Database) -> Result<(), Error> {
        let Some((at, step)) = self.step(migration.version()) else { return Err(unknown(migration)) };
        let config = &self.driver.config;
        let template = match direction {
            Direction::Up => &config.up,
            Direction::Down => config.down.as_ref().ok_or_else(|| no_down(config, migration))?,
        };
        let keys: Vec<&str> = self.steps[..at].iter().map(|step| &*step.key).collect();
        let command = command::filled(template, step, &keys, &self.driver.folder);
        let before = self.driver.applied(database, at > 0).await?;
        let ended = command::run(&self.driver, &command, database).await;
        ended.map_err(|why| failed(&command, &why, migration.path()))?;
        let after = self.driver.applied(database, true).await?;
        let has_moved = match direction {
            Direction::Up => after.contains(&step.key),
            Direction::Down => !after.contains(&step.key),
        };
        // What is not in the chain does not count: Django records the migrations that a squashed one replaces.
        let moved: Vec<&str> =
            before.symmetric_difference(&after).filter(|key| self.has(key)).map(|key| &**key).collect();
        let is_one = match self.driver.has_only_newest() {
            true if direction == Direction::Up => true,
            // Of a ledger with only the newest, what is left has to be what came before.
            true => after.iter().all(|key| keys.contains(&&**key)) && (at == 0) == after.is_empty(),
            false => moved == [&*step.key],
        };
        if has_moved && is_one {
            return Ok(());
        }
        Err(another_step(&command, step, direction, &moved, migration.path()))
    }
}

impl MigrationEngine for ToolEngine {
    fn run<'a>(
        &'a self,
        migration: &'a Migration,
        direction: Direction,
        database: &'a Database,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.go(migration, direction, database))
    }

    fn climb<'a>(
        &'a self,
        migrations: &'a [Arc<Migration>],
        database: &'a Database,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.go_up(migrations, database))
    }

    fn owns(&self, object: &Object) -> bool {
        let named = self.driver.config.ledger.as_ref();
        match self.driver.tool {
            Some(tool) => tool.owns(object, named),
            None => named.is_some_and(|ledger| foreign::is_part_of(object, ledger)),
        }
    }

    fn fills(&self, table: &str) -> bool {
        self.driver.tool.is_some_and(|tool| tool.fills(table))
    }
}

/// The chain of the tool that `[engine]` names, and the engine that runs it. A server must have been chosen.
///
/// # Errors
///
/// [`ProofError`] when there is no server, when the tool cannot say what its migrations are, or when it applies nothing
/// in the shadow database.
pub async fn engine_chain(config: &Config, engine: &EngineConfig) -> Result<EngineChain, ProofError> {
    chain::find(EngineDriver::of(config, engine)).await
}

fn unknown(migration: &Migration) -> Error {
    let message = format!("{} is no migration of this engine", migration.name());
    Error::new(ErrorKind::Code, Finding::new(codes::ENGINE_STEP, message).at(Place::file(migration.path())))
}

fn no_down(config: &EngineConfig, migration: &Migration) -> Error {
    let message = format!("[engine] has no `down`, so {} cannot roll a migration back", config.name());
    let finding = Finding::new(codes::ENGINE_FAILED, message).at(Place::file(migration.path()));
    Error::new(ErrorKind::Code, finding.help("`down` in [engine] is the command that rolls the newest migration back"))
}

/// A command that ended with an error, or could not be run.
fn failed(command: &str, why: &command::CommandFailure, file: &Path) -> Error {
    let finding = Finding::new(codes::ENGINE_FAILED, format!("`{command}` {}", why.summary)).at(Place::file(file));
    let finding = why.output.iter().fold(finding, |finding, line| finding.note(line.clone()));
    let finding = match why.is_not_found {
        true => finding.help(
            "activate the environment in which the tool is installed, or write its path in [engine]: `up`, `down`",
        ),
        false => finding,
    };
    let error = Error::new(ErrorKind::Code, finding);
    match why.output.iter().find_map(|line| command::sqlstate(line)) {
        Some(sqlstate) => error.with_sqlstate(sqlstate),
        None => error,
    }
}

/// A command that ended well and did something else.
fn another_step(command: &str, step: &EngineStep, direction: Direction, moved: &[&str], file: &Path) -> Error {
    let wanted = match direction {
        Direction::Up => format!("apply {}", step.key),
        Direction::Down => format!("roll {} back", step.key),
    };
    let finding = Finding::new(codes::ENGINE_STEP, format!("`{command}` was to {wanted}, and did not"));
    let finding = finding.at(Place::file(file));
    let finding = match moved {
        [] => finding.note("the ledger of the shadow database is as it was before").help(USES_URL),
        moved => finding
            .note(format!("in the ledger of the shadow database, this changed: {}", moved.join(", ")))
            .help("the commands in [engine] have to apply, or roll back, one migration at a time"),
    };
    Error::new(ErrorKind::Code, finding)
}
