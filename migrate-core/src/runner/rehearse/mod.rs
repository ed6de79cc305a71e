//! Runs migrations on a shadow database: the same messages, transactions and settings as in a run, without lock and
//! ledger.

mod bundle;
mod guard;
mod limit;
mod statement;
pub(super) mod stepwise;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use migrate_base::codes;
use migrate_base::db::{Database, IDENTITY, Session, SessionFailure, StatementAnswer, pooler};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::QualifiedName;
use migrate_base::sql::split;

use crate::ledger::Direction;
use crate::runner::message::{MessageFailure, SessionSettings, locate, needs_fresh_session, own_timeouts};
use crate::runner::plan::{PlanStep, StepWork};
use crate::runner::rehearse::limit::SessionLimit;
use crate::runner::rehearse::stepwise::StepwiseRehearsal;
use crate::runner::run::code::CodeMigrations;
use crate::source::{Migration, MigrationBody, Script};

/// Runs migrations on a shadow database.
#[derive(Debug)]
pub struct Rehearsal {
    database: Database,
    pub(in crate::runner) code: CodeMigrations,
    pub(in crate::runner) session: Session,
    pub(in crate::runner) settings: SessionSettings,
    pub(in crate::runner) limit: SessionLimit,
    /// The query that runs before each transaction ends.
    pub(in crate::runner) guard: &'static str,
    /// How many rows each statement of the last script returned or changed.
    counts: Vec<u64>,
    /// The tables that the last script read or wrote.
    used: Option<Vec<QualifiedName>>,
}

/// Which tables a script may have written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrittenTables {
    /// Unknown, because it ran outside a transaction.
    Unknown,
    /// The tables on which it held a lock stronger than for reading when it ended.
    Tables(Vec<QualifiedName>),
}

/// The result of a statement as text: the column names and the rows.
pub type TextRows = (Vec<String>, Vec<Vec<Option<String>>>);

const APPLICATION: &str = "roundtrip rehearsal";

/// There are no other sessions to wait for, so a statement that waits this long waits for itself.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The tables that the transaction has locked, and whether the lock is stronger than for reading, and those that it
/// read in a subtransaction that was rolled back: such a subtransaction releases its locks. The query runs last, and
/// all other locks are held until the end.
const LOCKED: &str = "SELECT n.nspname, c.relname, bool_or(u.written) FROM ( \
    SELECT l.relation AS oid, l.mode NOT IN ('AccessShareLock', 'RowShareLock') AS written FROM pg_catalog.pg_locks l \
    WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid() AND l.relation >= 16384 \
    UNION ALL \
    SELECT coalesce(i.indrelid, s.oid), false FROM pg_catalog.pg_class s \
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = s.oid \
    WHERE s.oid >= 16384 AND s.relkind IN ('r', 'i') AND pg_catalog.pg_stat_get_xact_numscans(s.oid) > 0) u \
    JOIN pg_catalog.pg_class c ON c.oid = u.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' GROUP BY 1, 2;";

/// How many statements go into one transaction: each of its locks takes a slot in a table of limited size.
const STATEMENTS: usize = 500;

impl Rehearsal {
    /// How long a statement may run by default.
    pub const LIMIT: Duration = Duration::from_secs(60);

    /// Connects; `code` has the migrations that are written in Rust. A statement may run for [`Rehearsal::LIMIT`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the server cannot be reached.
    pub async fn open(database: Database, code: CodeMigrations) -> Result<Self> {
        Self::open_limited(database, code, Self::LIMIT).await
    }

    /// The same with a different limit for each statement; zero means no limit.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the server cannot be reached.
    pub async fn open_limited(database: Database, code: CodeMigrations, limit: Duration) -> Result<Self> {
        let (session, settings, backend) = connect(&database, limit).await?;
        let limit = SessionLimit { database: database.clone(), backend, each: limit };
        Ok(Self { database, code, session, settings, limit, guard: "", counts: Vec::new(), used: None })
    }

    /// From now on, refuses everything that writes to an object shared by the whole server, such as roles, because the
    /// server has other users. Such a transaction is rolled back, so that nobody sees anything of it.
    pub fn spare_server(&mut self) {
        self.guard = guard::GUARD;
    }

    /// Whether something was refused because it is shared by the whole server.
    pub fn is_of_server(error: &Error) -> bool {
        guard::is_of_server(error)
    }

    /// Runs one migration, and returns which tables it may have written to.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Statement`] and [`ErrorKind::Code`] with the place of the failure; [`ErrorKind::Plan`] for a
    /// migration without this direction.
    pub async fn run(&mut self, migration: &Arc<Migration>, direction: Direction) -> Result<WrittenTables> {
        self.counts.clear();
        self.used = None;
        let step = step(migration, direction)?;
        let script = match &step.work {
            StepWork::Sql(script) if !step.no_transaction() && !limit::is_lifted_by(script) => script,
            _ => return self.apart(step).await.map(|()| WrittenTables::Unknown),
        };
        // Otherwise reads of earlier transactions whose statistics are not flushed yet would count for this one.
        self.query("SELECT pg_catalog.pg_stat_force_next_flush()").await?;
        let last = format!("{} {LOCKED}", self.guard());
        let outcome = self.bundle(&[(&step, script)], &last).await.map_err(|(_, error)| error).map(|answers| {
            // BEGIN and the settings of the script come before it.
            let head = 1 + own_timeouts(script, "LOCAL ").len();
            let own = answers.iter().skip(head).take(script.statements().len());
            self.counts = own.map(|answer| answer.count).collect();
            let (used, touched) = locked(answers);
            self.used = Some(used);
            touched
        });
        if needs_fresh_session(&step) || outcome.is_err() {
            self.renew().await?;
        }
        outcome
    }

    /// The statements that returned and changed no row, of the last script that ran in one transaction.
    pub fn idle<'a>(&self, script: &'a Script) -> impl Iterator<Item = &'a str> {
        let text = script.text();
        let counted = script.statements().iter().zip(self.counts.clone());
        counted.filter(|(_, count)| *count == 0).map(|(statement, _)| &text[statement.span.clone()])
    }

    /// The tables that the last script read or wrote and that still exist; `None` if the script failed or ran outside a
    /// transaction, so that they are unknown.
    pub fn used(&self) -> Option<&[QualifiedName]> {
        self.used.as_deref()
    }

    /// Runs a script that inserts rows (a fixture) in one transaction.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Statement`] with the place of the failure.
    pub async fn fixture(&mut self, migration: &Migration, script: &Arc<Script>) -> Result<WrittenTables> {
        let name = format!("{} (its fixture)", migration.name());
        let step =
            PlanStep::new(Direction::Up, (migration.version().clone(), name), StepWork::Sql(script.clone()), None);
        if limit::is_lifted_by(script) {
            return self.apart(step).await.map(|()| WrittenTables::Unknown);
        }
        let last = format!("{} {LOCKED}", self.guard());
        self.bundle(&[(&step, script)], &last).await.map(|answers| locked(answers).1).map_err(|(_, error)| error)
    }

    /// Sends statements of the caller, and returns the rows of the last one as text, with its column names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Statement`] with the server's message.
    pub async fn query(&mut self, sql: &str) -> Result<TextRows> {
        Ok(self.query_all(sql).await?.pop().unwrap_or_default())
    }

    /// The same with the rows of each statement.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Statement`] with the server's message.
    pub async fn query_all(&mut self, sql: &str) -> Result<Vec<TextRows>> {
        let all = self.limit.of(None, sql.matches(';').count() + 1);
        let (answers, failure) = self.attempt(sql, all).await;
        match failure {
            None => Ok(answers.into_iter().map(rows).collect()),
            Some(failure) => {
                let error = failure.explain(ErrorKind::Statement, codes::QUERY, "query the database");
                Err(self.limit.reword(error, None))
            }
        }
    }

    /// Runs statements, several hundred per transaction. Settings at the start apply to all of them.
    ///
    /// # Errors
    ///
    /// The index of the failed statement, from 0, with the server's message; the statements before it may or may not be
    /// done.
    pub async fn statements(&mut self, texts: &[&str]) -> std::result::Result<(), (usize, Error)> {
        let settings = texts.iter().take_while(|text| text.starts_with("SET LOCAL ")).count();
        let (head, rest) = texts.split_at(settings);
        let head: String = head.iter().map(|text| format!("{text};")).collect();
        for (n, bundle) in rest.chunks(STATEMENTS).enumerate() {
            let message = format!("BEGIN;{head}{};\nCOMMIT", bundle.join(";\n"));
            let (answers, failure) = self.attempt(&message, self.limit.of(None, bundle.len() + 2)).await;
            if let Some(failure) = failure {
                // If this fails too, the session is gone, and the next message reports it.
                let _ = self.session.send("ROLLBACK").await;
                let at = n * STATEMENTS + answers.len().saturating_sub(1);
                let error = failure.explain(ErrorKind::Statement, codes::STATEMENT_FAILED, "run a statement");
                let error = self.limit.reword(error, None);
                return Err((at.min(texts.len().saturating_sub(1)), error));
            }
        }
        Ok(())
    }

    /// Runs the check of a migration, and returns its rows, of which there should be none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Statement`] with the place in the file when the query itself is wrong.
    pub async fn check(&mut self, script: &Script) -> Result<TextRows> {
        let (mut answers, failure) = self.attempt(script.text(), self.limit.of(None, 1)).await;
        let Some(failure) = failure else {
            return Ok(rows(answers.pop().unwrap_or_default()));
        };
        let byte = locate::byte(&failure, script.text()).unwrap_or(0);
        let error = failure.explain(ErrorKind::Statement, codes::VERIFY_FAILED, "run the check of a migration");
        let error = error.at(Place::within(script.path(), script.text().clone(), byte..byte + 1));
        Err(self.limit.reword(error, Some(script)))
    }

    /// Runs a script that is not a migration: one that a chain starts with, or one that creates a whole schema.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Statement`] with the place in the file.
    pub async fn set_up(&mut self, path: &Path, text: &Arc<str>) -> Result<()> {
        let (statements, _) = split(text);
        let (answers, failure) = self.attempt(text, self.limit.of(None, statements.len() + 1)).await;
        let Some(failure) = failure else { return Ok(()) };
        let failed = || statements.get(answers.len()).map(|statement| statement.span.start);
        let byte = locate::byte(&failure, text).or_else(failed).unwrap_or(0);
        let error = failure.explain(ErrorKind::Statement, codes::SHADOW_SETUP, "set up a shadow database");
        let end = text[byte..].chars().next().map_or(byte, |first| byte + first.len_utf8());
        let error = error.at(Place::within(path, text.clone(), byte..end));
        Err(self.limit.reword(error, None))
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.session.close().await;
    }

    /// Sends a message that ends within this time, or is cancelled.
    pub(in crate::runner) async fn attempt(
        &mut self,
        message: &str,
        all: Duration,
    ) -> (Vec<StatementAnswer>, Option<SessionFailure>) {
        self.limit.attempt(&mut self.session, message, all).await
    }

    /// Runs a migration statement by statement: one without a transaction, or one in Rust.
    async fn apart(&mut self, step: PlanStep) -> Result<()> {
        let mut stepwise = StepwiseRehearsal::begin(self, step).await?;
        while stepwise.next().is_some() {
            if let Err(error) = stepwise.go("").await {
                stepwise.end("").await?;
                return Err(error);
            }
        }
        stepwise.end("").await.map(drop)
    }

    /// The statement that ends each transaction with the guard query.
    pub(in crate::runner) fn guard(&self) -> String {
        if self.guard.is_empty() { String::new() } else { format!("{};", self.guard) }
    }

    /// Continues in a new session, because the state of the old one is unknown.
    pub(in crate::runner) async fn renew(&mut self) -> Result<()> {
        let (fresh, settings, backend) = connect(&self.database, self.limit.each).await?;
        (self.settings, self.limit.backend) = (settings, backend);
        std::mem::replace(&mut self.session, fresh).close().await;
        Ok(())
    }
}

/// Opens a session; returns it with its settings and its server process.
async fn connect(database: &Database, limit: Duration) -> Result<(Session, SessionSettings, i32)> {
    let mut session = Session::connect(database, APPLICATION).await?;
    let settings = SessionSettings { lock_timeout: LOCK_TIMEOUT, statement_timeout: limit, notices_lost_client: false };
    // Only a server on Linux can check a socket while it works; others refuse the setting.
    let question = format!(
        "{} SELECT {IDENTITY}, pg_catalog.strpos(pg_catalog.version(), 'linux') > 0, \
         CASE WHEN pg_catalog.strpos(pg_catalog.version(), 'linux') > 0 \
         THEN pg_catalog.set_config('client_connection_check_interval', '1000', false) END;",
        settings.sql()
    );
    let rows = session.rows(&question).await;
    let rows = rows.map_err(|failure| failure.explain(ErrorKind::Connection, codes::SESSION, "prepare a session"))?;
    let row = rows.first().map(Vec::as_slice).unwrap_or_default();
    let process = row.get(..3).and_then(|identity| session.recognise(identity)).ok_or_else(pooler::no_process)?;
    // The settings of a rehearsal must stay in its session, so no pooler that switches processes is in between.
    session.keeps(&process);
    let notices_lost_client = row.get(3).and_then(Option::as_deref) == Some("t");
    Ok((session, SessionSettings { notices_lost_client, ..settings }, process.pid))
}

/// The step of a migration in one direction.
pub(in crate::runner) fn step(migration: &Arc<Migration>, direction: Direction) -> Result<PlanStep> {
    let work = match (migration.body(), direction) {
        (MigrationBody::Sql { up, .. }, Direction::Up) => StepWork::Sql(up.clone()),
        (MigrationBody::Sql { down: Some(down), .. }, Direction::Down) => StepWork::Sql(down.clone()),
        (MigrationBody::Code { .. }, _) => StepWork::Code,
        (MigrationBody::Sql { up, down: None }, Direction::Down) => {
            let finding =
                Finding::new(codes::IRREVERSIBLE, format!("migration {} has no down script", migration.version()))
                    .at(Place::file(up.path()));
            return Err(Error::new(ErrorKind::Plan, finding));
        }
    };
    let (version, name) = (migration.version().clone(), migration.name().to_owned());
    Ok(PlanStep::new(direction, (version, name), work, Some(migration.clone())))
}

pub(in crate::runner) fn broken(failure: SessionFailure) -> MessageFailure {
    MessageFailure { failure, cancelled: false, blockers: Vec::new() }
}

pub(in crate::runner) fn rows(answer: StatementAnswer) -> TextRows {
    (answer.columns.iter().map(ToString::to_string).collect(), answer.rows)
}

/// The tables in the answer before the last, which is the one to COMMIT: all of them, and those that may have been
/// written to.
fn locked(mut answers: Vec<StatementAnswer>) -> (Vec<QualifiedName>, WrittenTables) {
    answers.pop();
    let rows = answers.pop().unwrap_or_default().rows.into_iter();
    let tables = rows.filter_map(|row| {
        let mut cells = row.into_iter().flatten();
        Some((QualifiedName::new(cells.next()?, cells.next()?), cells.next()? == "t"))
    });
    let tables: Vec<(QualifiedName, bool)> = tables.collect();
    let written = tables.iter().filter(|(_, written)| *written).map(|(table, _)| table.clone());
    let touched = WrittenTables::Tables(written.collect());
    (tables.into_iter().map(|(table, _)| table).collect(), touched)
}
