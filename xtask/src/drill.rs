//! A drill: the script of a runbook is run with psql on a throw-away database, beside another one that the command changes.

use std::process::Stdio;
use std::time::{Duration, Instant};

use migrate_core::ledger::HistoryEntry;
use migrate_core::schema::{self, Change, Schema, Sides};
use migrate_core::{CodeMigrations, Database, MigrationSet, Migrator, Options, Policy, Target, Version};
use migrate_test::provider::child::{Needs, command};
use migrate_test::{Replay, TestDatabase, statement_limit};

use crate::exit::{Failure, Result};

/// What a drill has shown.
pub(crate) struct Drill {
    /// How many parts the script had.
    pub(crate) parts: usize,
    /// How long psql took for it.
    pub(crate) by_hand: Duration,
    /// How long the command took for the same.
    pub(crate) by_command: Duration,
    /// What is different afterwards; nothing, if all is well.
    pub(crate) differences: Vec<String>,
}

/// What is practised: a chain, from where, and which way.
pub(crate) struct Exercise {
    pub(crate) set: MigrationSet,
    pub(crate) code: CodeMigrations,
    pub(crate) options: Options,
    /// The version of the environment.
    pub(crate) from: Option<Version>,
    pub(crate) target: Target,
    pub(crate) policy: Policy,
}

impl Exercise {
    /// Does it, on two databases that are dropped afterwards. A server for them has to be found already.
    pub(crate) async fn drill(&self) -> Result<Drill> {
        loop {
            match self.once().await {
                // The chain makes a schema itself that the environment has.
                Err(Failure::Core(error)) if Replay::give_way(&error) => {}
                outcome => return outcome,
            }
        }
    }

    async fn once(&self) -> Result<Drill> {
        let chain: Vec<_> = self.set.iter().cloned().collect();
        let mut hand = TestDatabase::for_chain(&chain).await?;
        let mut migrator = self.migrator(&hand).await?;
        if let Some(version) = &self.from {
            migrator.run(&Target::UpTo(version.clone()), self.policy).await?;
        }
        migrator.close().await;
        let command = hand.copy().await?;
        let outcome = self.compare(&hand, &command).await;
        hand.drop_now().await?;
        command.drop_now().await?;
        outcome
    }

    async fn compare(&self, hand: &TestDatabase, command: &TestDatabase) -> Result<Drill> {
        let mut by_hand = self.migrator(hand).await?;
        let plan = by_hand.plan(&self.target, self.policy).await?;
        let book = by_hand.runbook(&plan).await?;
        let begin = Instant::now();
        psql(&hand.url(), &book.psql())?;
        let took = begin.elapsed();
        let mut by_command = self.migrator(command).await?;
        let report = by_command.run(&self.target, self.policy).await?;
        let mut differences = self.schemas(hand, command).await?;
        let rows = [by_hand.history().await?, by_command.history().await?]
            .map(|history| history.iter().map(row).collect::<Vec<_>>());
        if rows[0] != rows[1] {
            differences.push("the rows of the ledger are not the same".to_owned());
        }
        // What follows finds the ledger that it expects.
        by_hand.run(&Target::Latest, self.policy).await?;
        by_hand.close().await;
        by_command.close().await;
        Ok(Drill { parts: book.parts(), by_hand: took, by_command: report.elapsed, differences })
    }

    async fn migrator(&self, database: &TestDatabase) -> Result<Migrator> {
        // Zero is for ever; on a shadow database no statement runs for ever.
        let own = self.options.statement_timeout;
        let statement_timeout = if own.is_zero() { statement_limit() } else { own };
        let options = Options { fingerprint: false, statement_timeout, ..self.options.clone() };
        Ok(Migrator::open(Database::from(database.options()), self.set.clone(), self.code.clone(), options).await?)
    }

    async fn schemas(&self, hand: &TestDatabase, command: &TestDatabase) -> Result<Vec<String>> {
        let (by_hand, by_command) = (self.schema(hand).await?, self.schema(command).await?);
        let change = Change::between(&by_command, &by_hand);
        Ok(change.sentences(Sides { before: "by the command", after: "by hand" }))
    }

    async fn schema(&self, database: &TestDatabase) -> Result<Schema> {
        let schema = schema::read(&Database::from(database.options())).await?;
        Ok(schema.without(&self.options.ledger))
    }
}

/// A row of the ledger without who and when.
fn row(entry: &HistoryEntry) -> impl PartialEq + use<> {
    let HistoryEntry { id, event, direction, version, statement, batch, up_checksum, down_checksum, .. } =
        entry.clone();
    (id, event, direction, version, statement, batch, up_checksum, down_checksum)
}

/// Runs a script with psql.
fn psql(url: &str, script: &str) -> Result<()> {
    let cannot = |what: &str, error: std::io::Error| Failure::failed("psql", format!("{what}: {error}"));
    let file = tempfile::NamedTempFile::new().map_err(|error| cannot("the script cannot be written", error))?;
    std::fs::write(file.path(), script).map_err(|error| cannot("the script cannot be written", error))?;
    let (address, password) = migrate_core::db::without_password(url)?;
    let mut psql = command("psql", Needs::Nothing);
    psql.args(["-X", "-d", &address, "-f"]).arg(file.path()).stdin(Stdio::null());
    psql.envs(password.map(|password| ("PGPASSWORD", password)));
    let output = psql.output().map_err(|error| {
        cannot("psql cannot be started", error)
            .help("install the PostgreSQL client, 15 or newer; a drill is run with it")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::failed("runbook-drill", format!("the script stopped: {said}")).help(
        "do not run it anywhere else; `cargo xtask rollback --env development` on your own database shows whether the down is at fault",
    ))
}
