//! Between a plan and its steps: the lock, the fence, the settings and the ledger of a run, and the end of the run.

use std::collections::BTreeSet;

use migrate_base::codes;
use migrate_base::db::{Database, Fence, Guard, IDENTITY, LockKeys, Process, Session, SessionFailure, pooler};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::Finding;
use migrate_base::ident::{QualifiedName, ident, literal};
use migrate_schema as schema;
use tokio::time::timeout;

use super::drive::RunConnections;
use super::execute::Executor;
use super::surround;
use crate::ledger::rights::{self, LedgerAccess};
use crate::ledger::{self, Direction, LedgerWriter};
use crate::runner::Migrator;
use crate::runner::message::{SessionSettings, explain};
use crate::runner::options::{LEAVING, Options, Progress, RunReport};
use crate::runner::plan::obstacle;
use crate::source::Version;
use crate::{kept, ours};

impl Migrator {
    /// Takes the lock, sets the fence, checks the ledger again, and creates it if there is none.
    ///
    /// Whatever happens in between, everything taken is released. Before a step has started, cancellation needs no
    /// message to the server: it closes the connections, which releases what they hold.
    pub(in crate::runner) async fn prepare(&mut self, newest: i64, has_ledger: bool) -> Result<Executor<'_>> {
        let cancel = self.options.cancel.clone();
        tokio::select! {
            biased;
            executor = self.take(newest, has_ledger) => executor,
            () = cancel.cancelled() => Err(explain::interrupted_before()),
        }
    }

    async fn take(&mut self, newest: i64, has_ledger: bool) -> Result<Executor<'_>> {
        self.session().await?;
        let Self { database, code, options, session, .. } = self;
        // The session of a run is never reused: it is closed at the end, with everything it holds.
        let Some(mut worker) = session.take() else { return Err(Error::new(ErrorKind::Connection, obstacle::stale())) };
        let RunPreparation { settings, process, has_kept, has_event_triggers } = settings(&mut worker, options).await?;
        let mut lines = RunConnections::take(worker, process, options).await?;
        let writer = LedgerWriter::new(options.ledger.clone(), newest, &options.actor);
        match ready(&mut lines.worker, options, database, &settings, &writer, (newest, has_ledger, has_kept)).await {
            Ok(kept) => {
                let report = RunReport::default();
                Ok(Executor { lines, writer, settings, options, code, kept, report, has_event_triggers })
            }
            Err(error) => {
                // The first error is the one to report.
                let _ = lines.give_back().await;
                Err(error)
            }
        }
    }
}

impl RunConnections {
    /// Takes the lock and sets the fence, or neither.
    async fn take(mut worker: Session, process: Process, options: &Options) -> Result<Self> {
        let (keys, patience) = (LockKeys::of(&options.ledger), options.lock_wait);
        let mut waiting = |holder: &_| options.observer.hear(&Progress::Waiting(holder));
        let application = &options.actor.application;
        let guard = match Guard::take(&mut worker, &process, application, keys, patience, &mut waiting).await {
            Ok(guard) => guard,
            Err(error) => {
                worker.close().await;
                return Err(error);
            }
        };
        match guard.fence(&mut worker, process.clone(), patience, &mut waiting).await {
            Ok(fence) => Ok(Self { worker, guard, fence, scout: None, is_cut_off: false, lock_lost: false }),
            Err(error) => {
                // A pooler would keep the lock after its connection is closed.
                let (mut scout, database) = (None, worker.database().clone());
                let (is_back, _) = tokio::join!(worker.give_back(), guard.release(&mut scout));
                if !is_back {
                    // The lost answer may have been that the fence is set.
                    let _ = timeout(LEAVING, Fence::of(process).end(&database, &mut scout)).await;
                }
                if let Some(scout) = scout {
                    scout.close().await;
                }
                Err(error)
            }
        }
    }
}

/// Prepares a session that has the lock for running a plan, and returns the versions with kept data.
async fn ready(
    worker: &mut Session,
    options: &Options,
    database: &Database,
    settings: &SessionSettings,
    writer: &LedgerWriter,
    (newest, has_ledger, has_kept): (i64, bool, bool),
) -> Result<BTreeSet<Version>> {
    // Only now, because a pooler in transaction mode would pass the settings on to its next client.
    worker.send(&settings.sql()).await.map_err(unprepared)?;
    let now = ledger::newest(worker, &options.ledger).await?;
    if now.unwrap_or(0) != newest || (now.is_some() && !has_ledger) {
        return Err(Error::new(ErrorKind::Stale, obstacle::stale()));
    }
    if now.is_none() {
        create_ledger(worker, options, writer, database).await?;
    }
    match has_kept && options.restore_kept {
        true => surround::kept_versions(worker, &kept::registry(&options.ledger).to_string()).await,
        false => Ok(BTreeSet::new()),
    }
}

impl Executor<'_> {
    /// Records the schema's fingerprint after a successful run, and releases the lock.
    pub(in crate::runner) async fn finish(mut self, well: bool) -> (RunReport, Result<()>) {
        let asked = well && self.options.fingerprint && !self.report.done.is_empty();
        if asked && self.observe().await.is_err() {
            let remark = "the schema's fingerprint could not be recorded";
            self.options.observer.hear(&Progress::Remark(remark));
        }
        self.tell_what_is_back().await;
        let released = self.lines.give_back().await;
        (self.report, released)
    }

    /// Reports how much of the kept data was restored for the migrations that were applied again.
    async fn tell_what_is_back(&mut self) {
        let done = self.report.done.iter().filter(|done| done.direction == Direction::Up);
        let is_kept = |version: &str| self.kept.iter().any(|kept| kept.as_str() == version);
        let versions: Vec<&str> = done.map(|done| &*done.version).filter(|version| is_kept(version)).collect();
        if versions.is_empty() {
            return;
        }
        let ledger = &self.options.ledger;
        let told = match self.lines.worker.rows(&kept::up::restored::question(ledger, &versions)).await {
            Ok(rows) => kept::up::restored::sentences(ledger, rows),
            Err(_) => {
                vec!["could not read how much of the kept data was restored: `cargo xtask kept` shows it".to_owned()]
            }
        };
        told.iter().for_each(|sentence| self.options.observer.hear(&Progress::Remark(sentence)));
    }

    /// Records the fingerprint of the present schema.
    async fn observe(&mut self) -> std::result::Result<(), SessionFailure> {
        let schema = ours::without(schema::read_on(&mut self.lines.worker).await?, &self.options.ledger);
        let observe = self.writer.observe(&schema.fingerprint());
        self.report.schema = Some(schema);
        self.lines.worker.send(&observe).await
    }
}

/// What is known about a session before it has the lock.
struct RunPreparation {
    /// The settings of a run on this server.
    settings: SessionSettings,
    /// The server process of the session.
    process: Process,
    /// Whether any data was ever kept.
    has_kept: bool,
    /// Whether event triggers run in the database.
    has_event_triggers: bool,
}

async fn settings(worker: &mut Session, options: &Options) -> Result<RunPreparation> {
    // Only a server on Linux can check a socket while it works; others refuse the setting.
    let question = format!(
        "{} SELECT {IDENTITY}, pg_catalog.strpos(pg_catalog.version(), 'linux') > 0, {}, \
         pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only') = 'on', \
         EXISTS (SELECT FROM pg_catalog.pg_event_trigger t WHERE t.evtenabled <> 'D'), {}",
        worker.comment(),
        surround::registry_exists(&kept::registry(&options.ledger).to_string()),
        rights::columns(&options.ledger)
    );
    let rows = worker.read(&question).await.map_err(unprepared)?;
    let row = rows.into_iter().next().unwrap_or_default();
    let is = |at: usize| row.get(at).and_then(Option::as_deref) == Some("t");
    let process = row.get(..3).and_then(|identity| worker.recognise(identity));
    let process = process.ok_or_else(pooler::no_process)?;
    let (is_standby, is_read_only) = (is(5), is(6));
    if is_standby || is_read_only {
        return Err(read_only(is_standby));
    }
    let lacking = row.get(8..).and_then(|rights| rights::lacking(&options.ledger, LedgerAccess::Writing, rights));
    if let Some((told, grant)) = lacking {
        return Err(unwritable(told, &grant));
    }
    let settings = SessionSettings {
        lock_timeout: options.lock_timeout,
        statement_timeout: options.statement_timeout,
        notices_lost_client: is(3),
    };
    Ok(RunPreparation { settings, process, has_kept: is(4), has_event_triggers: is(7) })
}

/// Nothing can be run if nothing can be written; this is detected before anything is taken.
fn read_only(is_standby: bool) -> Error {
    let finding = Finding::new(codes::READ_ONLY, "this database accepts no writes");
    let finding = match is_standby {
        true => finding
            .note("the server is a standby: it only replays what the primary writes")
            .help("use the address of the primary"),
        false => finding
            .note(
                "its transactions are read-only: default_transaction_read_only is on, for the server, the database or \
                 the role",
            )
            .help("use the address of the primary, or a role that may write"),
    };
    Error::new(ErrorKind::Ledger, finding.note("nothing was run")).with_sqlstate("25006")
}

fn unwritable(told: String, grant: &str) -> Error {
    let finding =
        Finding::new(codes::LEDGER_UNWRITABLE, "cannot write to the ledger").note(told).note("nothing was run");
    Error::new(ErrorKind::Ledger, finding.help(format!("grant the missing rights: {grant}"))).with_sqlstate("42501")
}

fn unprepared(failure: SessionFailure) -> Error {
    failure.explain(ErrorKind::Connection, codes::SESSION, "prepare a session")
}

/// Creates the ledger and, if necessary, its schema.
async fn create_ledger(
    worker: &mut Session,
    options: &Options,
    writer: &LedgerWriter,
    database: &Database,
) -> Result<()> {
    let ledger = &options.ledger;
    let schema = ident(ledger.schema());
    let cannot = |failure: SessionFailure, has_schema: bool| {
        let refused = failure.is("42501");
        let error = failure.explain(ErrorKind::Ledger, codes::LEDGER_CREATE, &format!("create the ledger {ledger}"));
        if !refused {
            return error;
        }
        let (name, user) = (ident(database.name()), ident(database.user()));
        if has_schema {
            return error
                .help_instead(format!("let the role create it: GRANT USAGE, CREATE ON SCHEMA {schema} TO {user};"));
        }
        error
            .help_instead(format!("let the role create schemas: GRANT CREATE ON DATABASE {name} TO {user};"))
            .help(format!("or create the schema for the role: CREATE SCHEMA {schema} AUTHORIZATION {user};"))
    };
    let question = format!("SELECT {}", schema_exists(ledger));
    let found = worker.rows(&question).await.map_err(|failure| cannot(failure, false))?;
    let has_schema = found.first().and_then(|row| row.first()?.as_deref()) == Some("t");
    worker.send(&creation(ledger, writer, has_schema)).await.map_err(|failure| cannot(failure, has_schema))
}

/// The condition that the ledger's schema exists.
pub(in crate::runner) fn schema_exists(ledger: &QualifiedName) -> String {
    format!("EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = {})", literal(ledger.schema()))
}

/// The message that creates the ledger.
pub(in crate::runner) fn creation(ledger: &QualifiedName, writer: &LedgerWriter, has_schema: bool) -> String {
    let schema = if has_schema { String::new() } else { format!("CREATE SCHEMA {};", ident(ledger.schema())) };
    format!("BEGIN; {schema} {} COMMIT;", writer.create())
}
