//! Captures what a tool sends: each migration as the statements that its shadow server received.
//!
//! Two databases go up the chain, one without rows and one with generated rows. What a migration sends only to the
//! second, after it has read rows, it computes in code; that is reported, because no script can contain it.

mod judge;
mod replay;
mod sent;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use migrate_core::runner::MigrationEngine;
use migrate_core::{CapturedMigration, Direction, Migration, Version};
use migrate_review::effect::changes_rows;
use migrate_schema::Schema;

use super::{EngineChain, ToolEngine};
use crate::ephemeral::{StatementLog, own_where};
use crate::error::{ProofError, ServerError};
use crate::proof::{FilledDatabase, RowKind, WatchedDatabase};
use crate::rows::DatabaseRows;

use judge::{SentJudge, SentStatement};
pub use replay::differences;

/// A migration of a tool as SQL.
#[derive(Debug)]
#[non_exhaustive]
pub struct CapturedStep {
    /// Its place in the chain.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// The migration of the tool that it is.
    pub from: CapturedMigration,
    /// Its file; the folder of the chain if it has none of its own there.
    pub file: PathBuf,
    /// What it sends to be applied.
    pub up: Vec<String>,
    /// What it sends to be rolled back, if that restores the schema.
    pub down: Option<Vec<String>>,
    /// Why there is no such rollback.
    pub no_down: Option<String>,
    /// What it declares: that it loses data, that it cannot be rolled back.
    pub lossy: Option<String>,
    /// Why it cannot be rolled back, if it declares that.
    pub irreversible: Option<String>,
    /// What it sends in addition if tables have rows, because it computes that in code.
    pub computed: Vec<String>,
    /// Why something may be missing.
    pub notes: Vec<String>,
    /// The schema that it makes, and the rows that the chain inserts.
    schema: Schema,
    rows: DatabaseRows,
}

/// A database on the way up the chain, with its log.
struct Recorded<T> {
    database: T,
    log: StatementLog,
}

/// What a migration sent.
#[derive(Default)]
struct SentScript {
    statements: Vec<String>,
    reads: bool,
    copies: bool,
}

/// Captures a chain. `hear` receives each migration before it is run.
///
/// # Errors
///
/// [`ProofError`] when there is no server with a log, or when a migration cannot be applied to an empty database.
pub async fn capture(chain: &EngineChain, hear: &mut dyn FnMut(&Migration)) -> Result<Vec<CapturedStep>, ProofError> {
    let Some(engine) = chain.engine.clone() else { return Ok(Vec::new()) };
    own_where(true, Box::pin(Recorder { chain, engine, all: chain.set.iter().cloned().collect() }.all(hear))).await
}

struct Recorder<'a> {
    chain: &'a EngineChain,
    engine: Arc<ToolEngine>,
    all: Vec<Arc<Migration>>,
}

impl Recorder<'_> {
    async fn all(&self, hear: &mut dyn FnMut(&Migration)) -> Result<Vec<CapturedStep>, ProofError> {
        let (mut bare, mut full) = (self.bare(0).await?, self.full(0).await?);
        let driver = &self.engine.driver;
        let harmless = harmless(&mut bare).await?;
        let judge = SentJudge { tool: driver.tool, ledger: driver.config.ledger.as_ref(), harmless };
        let mut steps = Vec::<CapturedStep>::new();
        for at in 0..self.all.len() {
            hear(&self.all[at]);
            let is_seeded = steps.last().is_some_and(|step| step.rows.count() > 0);
            steps.push(self.step(at, is_seeded, &judge, &mut bare, &mut full).await?);
        }
        bare.database.end().await?;
        full.database.ground.end().await?;
        Ok(steps)
    }

    async fn bare(&self, count: usize) -> Result<Recorded<WatchedDatabase>, ProofError> {
        let (database, log) = WatchedDatabase::recorded(&self.all[..count], &self.chain.code).await?;
        Ok(Recorded { database, log })
    }

    async fn full(&self, count: usize) -> Result<Recorded<FilledDatabase>, ProofError> {
        let database = FilledDatabase::at(&self.all[..count], &self.chain.code, 0).await?;
        let log = database.ground.log_statements().await?;
        Ok(Recorded { database, log })
    }

    async fn step(
        &self,
        at: usize,
        is_seeded: bool,
        judge: &SentJudge<'_>,
        bare: &mut Recorded<WatchedDatabase>,
        full: &mut Recorded<FilledDatabase>,
    ) -> Result<CapturedStep, ProofError> {
        let migration = &self.all[at];
        let before = bare.database.schema().clone();
        bare.log.take().map_err(unreadable)?;
        let up = bare.database.go(migration, Direction::Up).await??;
        let sent = of_log(judge, &mut bare.log)?;
        let after = bare.database.schema().clone();
        let rows = bare.database.all_rows().await?.without(|table| self.engine.fills(table));
        let mut notes = Vec::new();
        if sent.copies {
            notes.push("it copies data from the client, which no script can contain".to_owned());
        }
        let computed = match self.with_rows(at, (&before, &after), judge, full).await? {
            Ok(with_rows) => computed(&sent, &with_rows, is_seeded),
            Err(why) => {
                notes.push(format!("it was not tried with rows: {why}"));
                Vec::new()
            }
        };
        let known = self.engine.step(migration.version());
        let mut step = CapturedStep {
            version: migration.version().clone(),
            name: migration.name().to_owned(),
            from: CapturedMigration {
                tool: self.engine.driver.config.name().to_owned(),
                key: known.map(|(_, step)| step.key.clone()).unwrap_or_default(),
                after: known.and_then(|(_, step)| step.after.clone()),
            },
            file: migration.path().to_owned(),
            up: sent.statements,
            down: None,
            no_down: None,
            lossy: migration.lossy().map(str::to_owned),
            irreversible: migration.irreversible().map(str::to_owned),
            computed,
            notes,
            schema: after,
            rows,
        };
        if step.irreversible.is_none() {
            bare.log.take().map_err(unreadable)?;
            let mut is_back = false;
            match bare.database.go(migration, Direction::Down).await? {
                Ok(down) if up.then(&down).is_empty() => {
                    is_back = true;
                    let sent = of_log(judge, &mut bare.log)?;
                    match sent.reads && sent.statements.iter().any(|statement| changes_rows(statement)) {
                        true => step.no_down = Some("its rollback computes rows in code".to_owned()),
                        false => step.down = Some(sent.statements),
                    }
                }
                Ok(_) => step.no_down = Some("its rollback leaves the schema different".to_owned()),
                Err(error) => step.no_down = Some(format!("its rollback fails: {error}")),
            }
            if is_back && let Err(error) = bare.database.go(migration, Direction::Up).await? {
                is_back = false;
                (step.down, step.no_down) = (None, Some(format!("after its rollback, it cannot be applied: {error}")));
            }
            if !is_back {
                std::mem::replace(bare, self.bare(at + 1).await?).database.end().await?;
            }
        }
        Ok(step)
    }

    /// What a migration sends to a database with rows, or why it cannot be applied there.
    async fn with_rows(
        &self,
        at: usize,
        (before, after): (&Schema, &Schema),
        judge: &SentJudge<'_>,
        full: &mut Recorded<FilledDatabase>,
    ) -> Result<Result<SentScript, String>, ProofError> {
        full.database.rows = DatabaseRows::default();
        let filled = full.database.fill(&self.all[at], before, after, &RowKind::default()).await?;
        if let Err(error) = filled {
            return Ok(Err(error.to_string()));
        }
        full.log.take().map_err(unreadable)?;
        match full.database.ground.run(&self.all[at], Direction::Up).await? {
            Ok(_) => Ok(Ok(of_log(judge, &mut full.log)?)),
            Err(error) => {
                std::mem::replace(full, self.full(at + 1).await?).database.ground.end().await?;
                let first = error.findings().first();
                Ok(Err(first.and_then(|said| said.notes.last().cloned()).unwrap_or_else(|| error.to_string())))
            }
        }
    }
}

/// The functions and the types of the server, and the words of SQL.
async fn harmless(bare: &mut Recorded<WatchedDatabase>) -> Result<BTreeSet<String>, ProofError> {
    let query = "SELECT proname FROM pg_catalog.pg_proc WHERE pronamespace = 'pg_catalog'::pg_catalog.regnamespace \
                 UNION SELECT typname FROM pg_catalog.pg_type WHERE typnamespace = \
                 'pg_catalog'::pg_catalog.regnamespace UNION SELECT word FROM pg_catalog.pg_get_keywords()";
    let (_, rows) = bare.database.ground.rehearsal.query(query).await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// What was sent since the last look at a log.
fn of_log(judge: &SentJudge<'_>, log: &mut StatementLog) -> Result<SentScript, ProofError> {
    let mut script = SentScript::default();
    for statement in sent::committed(&log.take().map_err(unreadable)?) {
        let (what, reads) = judge.judge(&statement);
        script.reads |= reads;
        match what {
            SentStatement::Part => script.statements.push(statement),
            SentStatement::Copies => script.copies = true,
            SentStatement::Aside => {}
        }
    }
    Ok(script)
}

/// What a migration computes: what it sends only if there are rows. If it reads rows that the chain itself inserted,
/// every change of rows that it sends may be computed from them.
fn computed(without: &SentScript, with: &SentScript, is_seeded: bool) -> Vec<String> {
    let known: BTreeSet<&String> = without.statements.iter().collect();
    let new = with.statements.iter().filter(|statement| with.reads && !known.contains(statement));
    let of_seeds = without.statements.iter().filter(|statement| is_seeded && without.reads && changes_rows(statement));
    of_seeds.chain(new).cloned().collect()
}

fn unreadable(error: std::io::Error) -> ServerError {
    ServerError::Program { program: "the log of the shadow server".to_owned(), why: error.to_string() }
}
