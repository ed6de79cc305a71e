//! The engine: look, plan, take the lock, look again, run, record.
//!
//! [`State`] and [`Plan`] are pure values; [`Migrator`] is the only type that changes a
//! database. It prints nothing: what happens is told to an [`Observer`] and in a [`RunReport`].

mod adopt;
mod aside;
mod code;
mod drive;
mod execute;
mod explain;
mod message;
mod obstacle;
mod options;
mod outside;
mod paced;
mod plan;
mod rehearse;
mod resolve;
mod runbook;
pub mod seed;
mod singly;
mod state;
mod status;
mod stepwise;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crate::db::{Database, Guard, LockKeys, Reader, Session, pooler};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;
use crate::ident::{QualifiedName, ident, literal};
use crate::kept;
use crate::ledger::{self, HistoryEntry, Writer};
use crate::schema;
use crate::source::{MigrationSet, Version};

use drive::Lines;
use execute::Executor;
use message::Settings;

pub use code::{CodeError, CodeMigration, CodeMigrations};
pub use futures_util::future::BoxFuture;
pub use obstacle::MODIFIED;
pub use options::{Cancel, Done, Observer, Options, Progress, RunReport, Silent};
pub use paced::{Pace, Paced};
pub use plan::{DownFrom, Plan, Policy, Step, Target, Work};
pub use rehearse::{Rehearsal, Rows, Touched};
pub use resolve::{Reality, Resolution, Unresolved};
pub use runbook::{Runbook, page};
pub use state::{Applied, State, Unfinished};
pub use status::{AppliedStatus, PendingStatus, Status};

/// Looks at a database and changes it: the one type that does.
///
/// It keeps one connection, which belongs to it alone. While it runs something it holds a
/// second one for the lock.
#[derive(Debug)]
pub struct Migrator {
    database: Database,
    set: MigrationSet,
    code: CodeMigrations,
    options: Options,
    session: Option<Session>,
}

impl Migrator {
    /// Connects to the database of a URL, with the defaults of [`Options`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a URL that is none, [`ErrorKind::Connection`] for a
    /// server that cannot be reached or does not let us in.
    pub async fn connect(url: &str, set: MigrationSet) -> Result<Self> {
        Self::open(Database::parse(url)?, set, CodeMigrations::none(), Options::default()).await
    }

    /// Connects to a database; `code` has the migrations of the set that are written in Rust.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] for a server that cannot be reached or does not let us in.
    pub async fn open(database: Database, set: MigrationSet, code: CodeMigrations, options: Options) -> Result<Self> {
        Self::open_while(database, std::future::ready(Ok(set)), code, options).await
    }

    /// The same, while the migrations are still being read, so that one does not wait for the other.
    ///
    /// # Errors
    ///
    /// Those of [`Migrator::open`] and of `loading`, which come first.
    pub async fn open_while(
        database: Database,
        loading: impl Future<Output = Result<MigrationSet>>,
        code: CodeMigrations,
        options: Options,
    ) -> Result<Self> {
        let (set, session) = tokio::join!(loading, Session::connect(&database, &options.actor.application));
        Ok(Self { set: set?, session: Some(session?), database, code, options })
    }

    /// The migrations that it knows.
    pub fn migrations(&self) -> &MigrationSet {
        &self.set
    }

    /// The database that it talks to.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// How its runs behave.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Reads the ledger. Nothing is written, also where there is no ledger yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ledger`] when the role may not read it, or it cannot be understood.
    pub async fn state(&mut self) -> Result<State> {
        let name = self.options.ledger.clone();
        Ok(State::derive(ledger::entries(self.session().await?, &name).await?))
    }

    /// Compares the ledger with the files. Nothing is written.
    ///
    /// # Errors
    ///
    /// Those of [`Migrator::state`].
    pub async fn status(&mut self) -> Result<Status> {
        let state = self.state().await?;
        Ok(Status::of(&self.set, &state))
    }

    /// Everything that the ledger remembers, oldest first. Nothing is written.
    ///
    /// # Errors
    ///
    /// Those of [`Migrator::state`].
    pub async fn history(&mut self) -> Result<Vec<HistoryEntry>> {
        let name = self.options.ledger.clone();
        ledger::history(self.session().await?, &name).await
    }

    /// Plans what has to be run to get to the target. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Plan`] with every obstacle between the files, the ledger and the target.
    pub async fn plan(&mut self, target: &Target, policy: Policy) -> Result<Plan> {
        let state = self.state().await?;
        let stored = self.stored_downs(&state).await?;
        plan::plan(&self.set, &state, &stored, target, policy, &|version| self.code.get(version).is_some())
    }

    /// Runs a plan: takes the lock, looks again, runs each step, records it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Stale`] when the ledger is not the one that the plan was made for;
    /// [`ErrorKind::Lock`] when another run does not end in time; [`ErrorKind::Statement`],
    /// [`ErrorKind::Code`] and [`ErrorKind::Cancelled`] with the report of what was committed.
    pub async fn apply(&mut self, plan: &Plan) -> Result<RunReport> {
        if plan.is_empty() {
            return Ok(RunReport::default());
        }
        let refused = if self.options.keep_data { aside::cannot_keep(plan) } else { Vec::new() };
        if !refused.is_empty() {
            return Err(Error::of(ErrorKind::Plan, refused));
        }
        let begin = Instant::now();
        let mut executor = self.prepare(plan.newest(), plan.has_ledger()).await?;
        executor.options.observer.hear(&Progress::Begin(plan.steps().len()));
        let outcome = executor.run(plan).await;
        let (mut report, released) = executor.finish(outcome.is_ok()).await;
        report.elapsed = begin.elapsed();
        match outcome.and(released) {
            Ok(()) => Ok(report),
            Err(error) => Err(self.tell_of_others(error.with_report(report)).await),
        }
    }

    /// Plans and runs; plans again when another run was faster.
    ///
    /// # Errors
    ///
    /// Those of [`Migrator::plan`] and [`Migrator::apply`].
    pub async fn run(&mut self, target: &Target, policy: Policy) -> Result<RunReport> {
        loop {
            let plan = self.plan(target, policy).await?;
            match self.apply(&plan).await {
                Err(error) if error.kind() == ErrorKind::Stale && error.report().is_none_or(|r| r.done.is_empty()) => {}
                outcome => return outcome,
            }
        }
    }

    /// Fails unless this version is applied; for the start of an application. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Behind`] when it is not applied.
    pub async fn ensure_at_least(database: Database, version: &Version) -> Result<()> {
        let mut migrator =
            Self::open(database, MigrationSet::default(), CodeMigrations::none(), Options::default()).await?;
        let state = migrator.state().await?;
        migrator.close().await;
        if state.get(version).is_some() {
            return Ok(());
        }
        let newest = state.version().map_or("nothing is applied".to_owned(), |v| format!("the newest applied is {v}"));
        Err(Error::new(
            ErrorKind::Behind,
            Finding::error("behind", format!("the database is not at version {version}"))
                .note(newest)
                .help("migrate it before the application starts"),
        ))
    }

    /// Fails where nothing can be run, because the address leads through a connection pooler in transaction mode; `reader` is
    /// another open connection to the same database. A run looks again. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Lock`] with what to do instead; [`ErrorKind::Connection`] when a connection is lost.
    pub async fn refuse_pooler(&mut self, reader: &mut Reader) -> Result<()> {
        pooler::look(self.session().await?, &mut reader.session).await
    }

    /// Says goodbye to the server.
    pub async fn close(mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    async fn session(&mut self) -> Result<&mut Session> {
        let session = match self.session.take() {
            Some(session) => session,
            None => Session::connect(&self.database, &self.options.actor.application).await?,
        };
        Ok(self.session.insert(session))
    }

    /// The stored down scripts that the folder does not have, or has in another form.
    async fn stored_downs(&mut self, state: &State) -> Result<BTreeMap<Version, Arc<str>>> {
        let differs = |version: &Version, recorded: &Option<crate::source::Checksum>| {
            let file = self.set.get(version).and_then(|migration| migration.down_script());
            recorded.is_some() && recorded.as_ref() != file.map(|script| script.checksum())
        };
        let applied = state.applied().filter(|applied| differs(&applied.version, &applied.down_checksum));
        let unfinished = state.unfinished().filter(|one| differs(&one.version, &one.down_checksum));
        let versions: Vec<Version> =
            applied.map(|applied| &applied.version).chain(unfinished.map(|one| &one.version)).cloned().collect();
        if versions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let name = self.options.ledger.clone();
        ledger::down_scripts(self.session().await?, &name, &versions.iter().collect::<Vec<_>>()).await
    }

    /// Takes the lock, raises the fence, looks at the ledger again, and makes it where there is none.
    async fn prepare(&mut self, newest: i64, has_ledger: bool) -> Result<Executor<'_>> {
        self.session().await?;
        let Self { database, code, options, session, .. } = self;
        let Some(mut worker) = session.take() else { return Err(Error::new(ErrorKind::Connection, obstacle::stale())) };
        let keys = LockKeys::of(&options.ledger);
        let observer = options.observer.clone();
        let mut waiting = |holder: &_| observer.hear(&Progress::Waiting(holder));
        let application = &options.actor.application;
        let (settings, pid, has_kept) = settings(&mut worker, options).await?;
        let guard = Guard::take(database, application, keys, pid, options.lock_wait, &mut waiting).await?;
        let fence = match guard.fence(&mut worker, pid, options.lock_wait, &mut waiting).await {
            Ok(fence) => fence,
            Err(error) => {
                // A pooler would keep the lock when its connection is closed; what cannot be released goes with its session.
                let _ = guard.release().await;
                return Err(error);
            }
        };
        // Only now, for a pooler in transaction mode would give the settings to whoever comes next.
        worker.send(&settings.sql()).await.map_err(unprepared)?;
        let now = ledger::newest(&mut worker, &options.ledger).await?;
        if now.unwrap_or(0) != newest || (now.is_some() && !has_ledger) {
            guard.release().await?;
            *session = Some(worker);
            return Err(Error::new(ErrorKind::Stale, obstacle::stale()));
        }
        let writer = Writer::new(options.ledger.clone(), newest, &options.actor);
        if now.is_none() {
            create_ledger(&mut worker, options, &writer, database).await?;
        }
        let kept = match has_kept && options.restore_kept {
            true => aside::kept_versions(&mut worker, &kept::registry(&options.ledger).to_string()).await?,
            false => BTreeSet::new(),
        };
        let lines = Lines { worker, guard, fence, lock_lost: false };
        Ok(Executor { lines, writer, settings, options, database, code, kept, report: RunReport::default() })
    }
}

impl Executor<'_> {
    /// Records the schema's fingerprint after a run that went well, and releases the lock.
    ///
    /// The session of the run is closed: nobody knows what a migration left behind in it.
    async fn finish(mut self, well: bool) -> (RunReport, Result<()>) {
        let asked = well && self.options.fingerprint && !self.report.done.is_empty();
        if asked && self.observe().await.is_err() {
            let remark = "the schema's fingerprint could not be recorded";
            self.options.observer.hear(&Progress::Remark(remark));
        }
        let Lines { worker, guard, .. } = self.lines;
        // The worker goes first: while it lives its fence stands.
        worker.close().await;
        let released = guard.release().await;
        (self.report, released)
    }
}

impl Executor<'_> {
    /// Records the fingerprint of the schema as it is now.
    async fn observe(&mut self) -> std::result::Result<(), crate::db::Failure> {
        let schema = schema::read_on(&mut self.lines.worker).await?.without(&self.options.ledger);
        let observe = self.writer.observe(&schema.fingerprint());
        self.lines.worker.send(&observe).await
    }
}

/// The settings of a run on this server, which server process its session has, and whether data were ever kept.
async fn settings(worker: &mut Session, options: &Options) -> Result<(Settings, i32, bool)> {
    // Only a server on Linux can watch a socket while it works, and others refuse the setting.
    let question = format!(
        "SELECT pg_catalog.strpos(pg_catalog.version(), 'linux') > 0, pg_catalog.pg_backend_pid(), {}",
        aside::registry_exists(&kept::registry(&options.ledger).to_string())
    );
    let rows = worker.rows(&question).await.map_err(unprepared)?;
    let cell = |at: usize| rows.first().and_then(|row| row.get(at)?.as_deref());
    let settings = Settings {
        lock_timeout: options.lock_timeout,
        statement_timeout: options.statement_timeout,
        notices_lost_client: cell(0) == Some("t"),
    };
    let pid = cell(1).and_then(|pid| pid.parse().ok()).unwrap_or_default();
    Ok((settings, pid, cell(2) == Some("t")))
}

fn unprepared(failure: crate::db::Failure) -> Error {
    failure.explain(ErrorKind::Connection, "session", "prepare a session")
}

/// Makes the ledger and, where it is missing, its schema.
async fn create_ledger(worker: &mut Session, options: &Options, writer: &Writer, database: &Database) -> Result<()> {
    let ledger = &options.ledger;
    let schema = ident(ledger.schema());
    let cannot = |failure: crate::db::Failure| {
        let refused = failure.is("42501");
        let error = failure.explain(ErrorKind::Ledger, "ledger-create", &format!("make the ledger {ledger}"));
        if !refused {
            return error;
        }
        let (name, user) = (ident(database.name()), ident(database.user()));
        error
            .help(format!("let the role make schemas: GRANT CREATE ON DATABASE {name} TO {user};"))
            .help(format!("or make it for the role: CREATE SCHEMA {schema} AUTHORIZATION {user};"))
    };
    let question = format!("SELECT {}", schema_exists(ledger));
    let found = worker.rows(&question).await.map_err(cannot)?;
    let has_schema = found.first().and_then(|row| row.first()?.as_deref()) == Some("t");
    worker.send(&creation(ledger, writer, has_schema)).await.map_err(cannot)
}

/// The condition that holds where the ledger's schema is there.
fn schema_exists(ledger: &QualifiedName) -> String {
    format!("EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = {})", literal(ledger.schema()))
}

/// The message that makes the ledger.
fn creation(ledger: &QualifiedName, writer: &Writer, has_schema: bool) -> String {
    let schema = if has_schema { String::new() } else { format!("CREATE SCHEMA {};", ident(ledger.schema())) };
    format!("BEGIN; {schema} {} COMMIT;", writer.create())
}
