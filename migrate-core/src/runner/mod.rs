//! The engine: read the state, plan, take the lock, check again, run, record.
//!
//! `plan` and `message` are pure. `run` sends, `recover` deals with what a failed run left, `rehearse` does the same as
//! `run` on a shadow database, and `runbook` writes it for people. A [`Migrator`] is the way in. It prints nothing: it
//! reports through an [`Observer`] and in a [`RunReport`].

mod message;
mod options;
mod plan;
mod recover;
mod rehearse;
mod run;
mod runbook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use migrate_base::db::{self, Database, LockKeys, ReadOnlySession, Session, pooler};
use migrate_base::error::{Error, ErrorKind, Result};

use crate::ledger::{self, HistoryEntry};
use crate::runner::plan::newer;
use crate::runner::recover::refusal;
use crate::runner::run::{open, surround};
use crate::source::{MigrationSet, Version};

pub use futures_util::future::BoxFuture;
pub use options::{CancelHandle, CommittedStep, Observer, Options, Progress, RunReport, RunningStep, SilentObserver};
pub use plan::adoption::{AdoptedMigration, Adoption};
pub use plan::obstacle::MODIFIED;
pub use plan::state::{AdoptedLedger, AppliedMigration, LedgerState, UnfinishedMigration};
pub use plan::status::{AppliedStatus, PendingStatus, Status};
pub use plan::{DownFrom, Plan, PlanStep, RunPolicy, StepWork, Target};
pub use recover::resolve::{Resolution, StatementTrace, UnfinishedReport};
pub use rehearse::stepwise::{StatementResult, StepwiseRehearsal};
pub use rehearse::{Rehearsal, TextRows, WrittenTables};
pub use run::code::{CodeError, CodeMigration, CodeMigrations};
pub use run::engine::{MigrationEngine, applied_by};
pub use run::seed;
pub use runbook::{Contact, Runbook, page};

/// Decides whether to plan again after a stale plan.
///
/// Another run must have written to the ledger each time; otherwise no other run was faster, and trying again is
/// pointless.
#[derive(Debug, Default)]
pub struct StaleRetry {
    /// The newest row that the last plan saw, and how many plans saw it.
    seen: (i64, u32),
    tries: u32,
}

/// How often the ledger may change while we find out whose run is unfinished.
const LOOKS: usize = 5;

/// How often a plan may be stale, and how often while the ledger does not change.
const STALE: (u32, u32) = (100, 3);

impl StaleRetry {
    /// Whether the error of a plan is a reason to plan again.
    pub fn may(&mut self, plan: &Plan, error: &Error) -> bool {
        let is_stale =
            error.kind() == ErrorKind::Stale && RunReport::of(error).is_none_or(|report| report.done.is_empty());
        self.tries += 1;
        self.seen = if self.seen.0 == plan.newest() { (plan.newest(), self.seen.1 + 1) } else { (plan.newest(), 1) };
        is_stale && self.tries < STALE.0 && self.seen.1 < STALE.1
    }
}

/// Reads the ledger of a database, plans, and runs.
///
/// It keeps one connection of its own. While it runs something, it holds a second one for the lock.
#[derive(Debug)]
pub struct Migrator {
    database: Database,
    set: MigrationSet,
    code: CodeMigrations,
    options: Options,
    session: Option<Session>,
    /// The state of the ledger when it was opened, for the first caller.
    first: Option<Result<LedgerState>>,
}

impl Migrator {
    /// Connects to the database of a URL, with the defaults of [`Options`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the text is not a URL, [`ErrorKind::Connection`] if the server cannot be reached
    /// or refuses the connection.
    pub async fn connect(url: &str, set: MigrationSet) -> Result<Self> {
        Self::open(Database::parse(url)?, set, CodeMigrations::none(), Options::default()).await
    }

    /// Connects to a database; `code` has the migrations of the set that are written in Rust.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] if the server cannot be reached or refuses the connection.
    pub async fn open(database: Database, set: MigrationSet, code: CodeMigrations, options: Options) -> Result<Self> {
        let opening = async |options: &Options| Ok((open::connect(&database, options).await?, None));
        Self::assemble(&database, std::future::ready(Ok(set)), opening, code, options).await
    }

    /// Like [`Migrator::open`], while the migrations are still being read, so that neither waits for the other. The
    /// ledger is read at the same time: the first [`LedgerState`] is the one at this moment.
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
        let opening = async |options: &Options| {
            let mut session = open::connect(&database, options).await?;
            let first = open::look(ledger::entries(&mut session, &options.ledger), &options.cancel).await;
            Ok((session, Some(first)))
        };
        Self::assemble(&database, loading, opening, code, options).await
    }

    async fn assemble(
        database: &Database,
        loading: impl Future<Output = Result<MigrationSet>>,
        opening: impl AsyncFnOnce(&Options) -> Result<(Session, Option<Result<LedgerState>>)>,
        code: CodeMigrations,
        mut options: Options,
    ) -> Result<Self> {
        options.actor = options.actor.known();
        // As with libpq, a configured name takes precedence over the name that a program gives itself.
        if let Some(name) = database.application_name() {
            options.actor.application = name.to_owned();
        }
        let (set, opened) = tokio::join!(loading, opening(&options));
        let set = set?;
        let (session, first) = match opened {
            Ok(opened) => opened,
            // Without a ledger it is unknown which files were accepted before, and errors in the files come first.
            Err(error) => return set.check(|_| false).and(Err(error)),
        };
        // Later connections go to the same server, if there is a list of them.
        let database = session.database().clone();
        Ok(Self { set, session: Some(session), database, code, options, first })
    }

    /// The migrations of this migrator.
    pub fn migrations(&self) -> &MigrationSet {
        &self.set
    }

    /// The database that it is connected to.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The options of its runs.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Sets the commit of the files if it was not known when the migrator was opened: rows written from now on contain
    /// it.
    pub fn name_commit(&mut self, commit: String) {
        self.options.actor.commit = Some(commit);
    }

    /// Reads the ledger, and checks the files that it does not contain. Nothing is written, even if there is no ledger
    /// yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ledger`] when the role may not read it or it has an invalid row; [`ErrorKind::Files`] when a file
    /// that was not applied in its present form cannot be run.
    pub async fn state(&mut self) -> Result<LedgerState> {
        let mut state = self.recognised().await?;
        let others = self.options.other_ledgers.clone();
        let has_pending = self.set.iter().any(|migration| state.get(migration.version()).is_none());
        open::look_for_others(self.session().await?, &mut state, &others, has_pending).await?;
        self.set.check(|migration| state.knows(migration))?;
        Ok(state)
    }

    /// The state according to the ledger, with what is running now.
    async fn recognised(&mut self) -> Result<LedgerState> {
        let keys = LockKeys::of(&self.options.ledger);
        let mut state = self.recorded().await?;
        for _ in 0..LOOKS {
            if state.unfinished().is_none() {
                break;
            }
            // An unfinished migration may still be running: the locks of a run show it, because a killed run no longer
            // holds them.
            if let Some(holder) = db::at_work(self.session().await?, keys).await? {
                state.set_running(holder);
                break;
            }
            // It may have ended between the two checks, and another one may have started that was not checked yet.
            let before = state.newest();
            state = self.recorded().await?;
            if state.newest() == before {
                break;
            }
        }
        state.recognise(&self.set);
        Ok(state)
    }

    async fn recorded(&mut self) -> Result<LedgerState> {
        if let Some(first) = self.first.take() {
            return first;
        }
        let (name, cancel) = (self.options.ledger.clone(), self.options.cancel.clone());
        open::look(async { ledger::entries(self.session().await?, &name).await }, &cancel).await
    }

    /// Compares the ledger with the files. Nothing is written.
    ///
    /// # Errors
    ///
    /// Those of [`Migrator::state`].
    pub async fn status(&mut self) -> Result<Status> {
        self.status_with(RunPolicy::default()).await
    }

    /// The same under a policy: what the policy accepts is a warning, not a problem. Nothing is written.
    ///
    /// # Errors
    ///
    /// Those of [`Migrator::state`].
    pub async fn status_with(&mut self, policy: RunPolicy) -> Result<Status> {
        let state = self.state().await?;
        Ok(Status::of(&self.set, &state, policy.allow_newer))
    }

    /// All rows of the ledger, oldest first. Nothing is written.
    ///
    /// # Errors
    ///
    /// Those of [`Migrator::state`].
    pub async fn history(&mut self) -> Result<Vec<HistoryEntry>> {
        self.history_after(0).await
    }

    /// The rows of the ledger after this row, oldest first. Nothing is written.
    ///
    /// # Errors
    ///
    /// Those of [`Migrator::state`].
    pub async fn history_after(&mut self, id: i64) -> Result<Vec<HistoryEntry>> {
        let name = self.options.ledger.clone();
        ledger::history(self.session().await?, &name, id).await
    }

    /// Plans the steps that lead to the target. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Plan`] with every obstacle between the files, the ledger and the target.
    pub async fn plan(&mut self, target: &Target, policy: RunPolicy) -> Result<Plan> {
        let state = self.state().await?;
        let stored = self.stored_downs(&state).await?;
        plan::plan(&self.set, &state, &stored, target, policy, &|version| self.code.get(version).is_some())
    }

    /// Runs a plan: takes the lock, checks the ledger again, runs each step and records it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Stale`] when the ledger has changed since the plan was made; [`ErrorKind::Lock`] when another run
    /// does not finish in time; [`ErrorKind::Statement`], [`ErrorKind::Code`] and [`ErrorKind::Cancelled`] with the
    /// report of what was committed.
    pub async fn apply(&mut self, plan: &Plan) -> Result<RunReport> {
        if plan.is_empty() {
            return Ok(RunReport::default());
        }
        let refused = if self.options.keep_data { surround::cannot_keep(plan) } else { Vec::new() };
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
            Err(error) => {
                let error = refusal::told(error.carrying(report), plan, &self.options, &self.database);
                Err(self.tell_of_others(error).await)
            }
        }
    }

    /// Plans and runs; plans again if another run was faster.
    ///
    /// # Errors
    ///
    /// Those of [`Migrator::plan`] and [`Migrator::apply`].
    pub async fn run(&mut self, target: &Target, policy: RunPolicy) -> Result<RunReport> {
        let mut again = StaleRetry::default();
        loop {
            let plan = self.plan(target, policy).await?;
            for warning in plan.warnings() {
                self.options.observer.hear(&Progress::Remark(&warning.to_string()));
            }
            match self.apply(&plan).await {
                Err(error) if again.may(&plan, &error) => {}
                outcome => return outcome,
            }
        }
    }

    /// Fails unless this version is applied; meant for the start of an application. Nothing is written, and newer
    /// versions may be applied as well.
    ///
    /// The database is a [`Database`] or options of the driver; `options` give the ledger, the application name, and
    /// how long to wait for a server that is still starting.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Behind`] when it is not applied, and those of [`Migrator::open`] and [`Migrator::state`].
    pub async fn ensure_at_least(database: impl Into<Database>, version: &Version, options: &Options) -> Result<()> {
        let (none, code) = (MigrationSet::default(), CodeMigrations::none());
        let mut migrator = Self::open(database.into(), none, code, options.clone()).await?;
        let outcome = migrator.ensure(version).await;
        migrator.close().await;
        outcome
    }

    /// The same on an open connection.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Behind`] when the version is not applied, and those of [`Migrator::state`].
    pub async fn ensure(&mut self, version: &Version) -> Result<()> {
        let state = self.state().await?;
        newer::ensure(&state, version, &self.options.ledger).map_err(|finding| Error::new(ErrorKind::Behind, finding))
    }

    /// Fails if nothing can be run because the address goes through a connection pooler in transaction mode; `reader`
    /// is another open connection to the same database. A run checks again. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Lock`] with what to do instead; [`ErrorKind::Connection`] when a connection is lost.
    pub async fn refuse_pooler(&mut self, reader: &mut ReadOnlySession) -> Result<()> {
        pooler::look(self.session().await?, &mut reader.session).await
    }

    /// Closes the connection.
    pub async fn close(mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    async fn session(&mut self) -> Result<&mut Session> {
        let session = match self.session.take().filter(Session::is_open) {
            Some(session) => session,
            None => Session::connect_marked(&self.database, &self.options.actor.application).await?,
        };
        Ok(self.session.insert(session))
    }

    /// The stored down scripts that the folder does not have, or has in a different form.
    async fn stored_downs(&mut self, state: &LedgerState) -> Result<BTreeMap<Version, Arc<str>>> {
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
}
