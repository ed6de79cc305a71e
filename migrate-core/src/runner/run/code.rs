//! Migrations written in Rust: they are part of the chain like the others, each in one transaction with its row in the
//! ledger.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use migrate_base::codes;
use migrate_base::db::{PgConnection, SessionFailure};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};

use super::engine::MigrationEngine;
use super::execute::{Executor, record_done};
use super::pulse::MessageSteps;
use super::surround;
use crate::ledger::{Direction, EventStart, LedgerEvent, LedgerRow};
use crate::runner::message::locate::FailurePart;
use crate::runner::message::{MessageFailure, explain};
use crate::runner::plan::{PlanStep, obstacle};
use crate::source::{Migration, Version};

/// The error type that a Rust migration may return.
pub type CodeError = Box<dyn std::error::Error + Send + Sync>;

/// A migration written in Rust.
///
/// Both directions run inside the transaction that also writes the ledger: do not commit; `connection.begin()` creates
/// a savepoint.
pub trait CodeMigration: Send + Sync {
    /// The version, which must match the name of its file.
    fn version(&self) -> Version;

    /// Applies the migration.
    fn up<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, std::result::Result<(), CodeError>>;

    /// Rolls the migration back, so that the database is as it was before `up`.
    fn down<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, std::result::Result<(), CodeError>>;
}

/// The migrations that are not written in SQL: those in Rust that are compiled into an executable, or the tool that
/// runs all of them.
#[derive(Clone, Default)]
pub struct CodeMigrations {
    compiled: Vec<Arc<dyn CodeMigration>>,
    engine: Option<Arc<dyn MigrationEngine>>,
}

impl CodeMigrations {
    /// Returns an empty set.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a migration.
    pub fn with(mut self, migration: impl CodeMigration + 'static) -> Self {
        self.compiled.push(Arc::new(migration));
        self
    }

    /// The migration with this version.
    pub fn get(&self, version: &Version) -> Option<&Arc<dyn CodeMigration>> {
        self.compiled.iter().find(|migration| migration.version() == *version)
    }

    /// A chain that another tool runs.
    #[doc(hidden)]
    pub fn run_by(engine: Arc<dyn MigrationEngine>) -> Self {
        Self { compiled: Vec::new(), engine: Some(engine) }
    }

    /// The tool that runs the chain, if it is not Roundtrip.
    #[doc(hidden)]
    pub fn engine(&self) -> Option<&Arc<dyn MigrationEngine>> {
        self.engine.as_ref()
    }
}

impl fmt::Debug for CodeMigrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.compiled.iter().map(|migration| migration.version())).finish()
    }
}

/// Runs one Rust migration in a transaction, together with its row in the ledger.
pub(in crate::runner) async fn run(run: &mut Executor<'_>, step: &PlanStep) -> Result<()> {
    let migration = run.code.get(&step.version).cloned();
    let (Some(code), Some(files)) = (migration, &step.migration) else { return Err(missing(step)) };
    let event = if step.direction == Direction::Up { LedgerEvent::Applied } else { LedgerEvent::RolledBack };
    let begin = std::time::Instant::now();
    for tries in 1.. {
        let record = LedgerRow {
            since: EventStart::Transaction,
            note: run.options.reason.as_deref(),
            ..LedgerRow::with_files(event, step.direction, files)
        };
        let record = run.writer.insert(&record);
        let aside = surround::around(run.options, &run.kept, step);
        let finish = format!("{} {} {record}", run.settings.isolate(), aside.after);
        let (options, direction, code) = (run.options, step.direction, code.clone());
        let course = MessageSteps::of(step);
        let outcome = run.lines.accompany(&course, options, async |worker| {
            let work = async |connection: &mut PgConnection| call(&*code, direction, connection).await;
            worker.in_transaction(&aside.before, work, &finish).await
        });
        match outcome.await {
            Ok(Ok(_)) => {
                record_done(&mut run.report, run.options, step, begin.elapsed());
                return Ok(());
            }
            Ok(Err(why)) => {
                run.lines.worker.recover(&run.settings.isolate()).await;
                return Err(match run.options.cancel.is_cancelled() {
                    true => explain::interrupted(step),
                    false => wrong(step, files.path(), why),
                });
            }
            Err(broken) if broken.failure.is_taken(&run.options.ledger) => {
                return Err(Error::new(ErrorKind::Stale, obstacle::stale()));
            }
            Err(broken) => {
                run.writer.resume_after(run.writer.next_id() - 2);
                run.lines.worker.recover(&run.settings.isolate()).await;
                if !run.try_again(step, &broken, tries).await {
                    return Err(refused(step, broken));
                }
            }
        }
    }
    Ok(())
}

/// Calls the function; a panic in it is treated as an error.
pub(in crate::runner) async fn call(
    code: &dyn CodeMigration,
    direction: Direction,
    connection: &mut PgConnection,
) -> std::result::Result<(), String> {
    let work = match direction {
        Direction::Up => code.up(connection),
        Direction::Down => code.down(connection),
    };
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(describe(error)),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(format!("it panicked: {}", text.unwrap_or_else(|| "without a message".to_owned())))
        }
    }
}

/// Describes an error: for a driver error the server's message, otherwise the error's own text.
fn describe(error: CodeError) -> String {
    match error.downcast::<sqlx::Error>() {
        Ok(error) => match SessionFailure::from(*error) {
            SessionFailure::Server(refusal) => format!("{} (SQLSTATE {})", refusal.message, refusal.sqlstate),
            SessionFailure::Lost(why) | SessionFailure::Silent(why) => why,
        },
        Err(error) => error.to_string(),
    }
}

pub(in crate::runner) fn wrong(step: &PlanStep, path: &std::path::Path, why: String) -> Error {
    let finding = Finding::new(codes::CODE_FAILED, format!("{} returned an error: {why}", explain::title(step)))
        .at(Place::file(path))
        .note("nothing of this migration was kept; what ran before it is committed")
        .help("fix the function, rebuild, and run the command again");
    Error::new(ErrorKind::Code, finding)
}

/// The executable was built without the migration.
pub(in crate::runner) fn missing(step: &PlanStep) -> Error {
    let language = step.migration.as_ref().and_then(|migration| migration.language()).unwrap_or(Migration::RUST);
    let title = explain::title(step);
    let finding = match language {
        Migration::RUST => Finding::new(codes::NO_CODE, format!("this executable does not contain {title}"))
            .help("register it with `CodeMigrations::with` in the executable that runs the chain"),
        _ => {
            Finding::new(codes::NO_CODE, format!("{title} is written in {language}, and only its own tool can run it"))
                .help("`adopt --without-comparison` takes over what that tool did, without comparing the schema")
                .help("or leave it out on purpose: `skip` in migrate.toml")
        }
    };
    Error::new(ErrorKind::Plan, finding)
}

fn refused(step: &PlanStep, broken: MessageFailure) -> Error {
    explain::refused(step, FailurePart::End.into(), broken)
}
