//! A drill: runs the script of a runbook with psql on a shadow database, and the command on another one, and compares
//! them.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use migrate_base::codes;
use migrate_core::{
    CodeMigrations, Database, HistoryEntry, MigrationSet, Migrator, Options, RunPolicy, Target, Version, ours,
};
use migrate_schema::{self as schema, Schema, SchemaChange, SideNames};
use migrate_test::provider::child::{ChildEnvironment, command};
use migrate_test::{ReplaySettings, TestDatabase, statement_limit};

use crate::exit::{Failure, Result};

/// The result of a drill.
pub(crate) struct Drill {
    /// How many parts the script has.
    pub(crate) parts: usize,
    /// How long psql took.
    pub(crate) by_hand: Duration,
    /// How long the command took.
    pub(crate) by_command: Duration,
    /// The differences afterwards; empty if the results are the same.
    pub(crate) differences: Vec<String>,
}

/// What is rehearsed: a chain, its starting version, and the target.
pub(crate) struct Exercise {
    pub(crate) set: MigrationSet,
    pub(crate) code: CodeMigrations,
    pub(crate) options: Options,
    /// The version of the environment.
    pub(crate) from: Option<Version>,
    /// The repeatable migrations that did not run there in their present form.
    pub(crate) due: BTreeSet<Version>,
    pub(crate) target: Target,
    pub(crate) policy: RunPolicy,
}

impl Exercise {
    /// Runs the drill on two databases that are dropped afterwards. The shadow server must have been found before.
    pub(crate) async fn drill(&self) -> Result<Drill> {
        loop {
            match self.once().await {
                // The chain itself creates a schema that the environment already has.
                Err(Failure::Core(error)) if ReplaySettings::give_way(&error) => {}
                outcome => return outcome,
            }
        }
    }

    async fn once(&self) -> Result<Drill> {
        let chain: Vec<_> = self.set.iter().cloned().collect();
        let mut hand = TestDatabase::for_chain(&chain).await?;
        if let Some(version) = &self.from {
            let start = self.set.cut(version, |version| self.due.contains(version));
            let mut migrator = self.migrator(&hand, &start).await?;
            migrator.run(&Target::Latest, self.policy).await?;
            migrator.close().await;
        }
        let command = hand.copy().await?;
        let outcome = self.compare(&hand, &command).await;
        hand.drop_now().await?;
        command.drop_now().await?;
        outcome
    }

    async fn compare(&self, hand: &TestDatabase, command: &TestDatabase) -> Result<Drill> {
        let mut by_hand = self.migrator(hand, &self.set).await?;
        let plan = by_hand.plan(&self.target, self.policy).await?;
        let book = by_hand.runbook(&plan).await?;
        let begin = Instant::now();
        psql(&hand.url(), &book.psql())?;
        let took = begin.elapsed();
        let mut by_command = self.migrator(command, &self.set).await?;
        let report = by_command.run(&self.target, self.policy).await?;
        let mut differences = self.schemas(hand, command).await?;
        let rows = [by_hand.history().await?, by_command.history().await?]
            .map(|history| history.iter().map(row).collect::<Vec<_>>());
        if rows[0] != rows[1] {
            differences.push("the rows of the ledger differ".to_owned());
        }
        // Later migrations find the ledger that they expect.
        by_hand.run(&Target::Latest, self.policy).await?;
        by_hand.close().await;
        by_command.close().await;
        Ok(Drill { parts: book.parts(), by_hand: took, by_command: report.elapsed, differences })
    }

    async fn migrator(&self, database: &TestDatabase, set: &MigrationSet) -> Result<Migrator> {
        // Zero means no limit; on a shadow database, there is always one.
        let own = self.options.statement_timeout;
        let statement_timeout = if own.is_zero() { statement_limit() } else { own };
        let options = Options { fingerprint: false, statement_timeout, ..self.options.clone() };
        Ok(Migrator::open(Database::from(database.options()), set.clone(), self.code.clone(), options).await?)
    }

    async fn schemas(&self, hand: &TestDatabase, command: &TestDatabase) -> Result<Vec<String>> {
        let (by_hand, by_command) = (self.schema(hand).await?, self.schema(command).await?);
        let change = SchemaChange::between(&by_command, &by_hand);
        Ok(change.sentences(SideNames { before: "by the command", after: "by hand" }))
    }

    async fn schema(&self, database: &TestDatabase) -> Result<Schema> {
        let schema = schema::read(&Database::from(database.options())).await?;
        Ok(ours::without(schema, &self.options.ledger))
    }
}

/// A row of the ledger without actor and time.
fn row(entry: &HistoryEntry) -> impl PartialEq + use<> {
    let HistoryEntry { id, event, direction, version, statement, batch, up_checksum, down_checksum, .. } =
        entry.clone();
    (id, event, direction, version, statement, batch, up_checksum, down_checksum)
}

/// Runs a script with psql.
fn psql(url: &str, script: &str) -> Result<()> {
    let cannot = |what: &str, error: std::io::Error| Failure::failed(codes::PSQL, format!("{what}: {error}"));
    let file = tempfile::NamedTempFile::new().map_err(|error| cannot("the script cannot be written", error))?;
    std::fs::write(file.path(), script).map_err(|error| cannot("the script cannot be written", error))?;
    let (address, password) = migrate_base::db::without_password(url)?;
    let mut psql = command("psql", ChildEnvironment::Nothing);
    psql.args(["-X", "-d", &address, "-f"]).arg(file.path()).stdin(Stdio::null());
    psql.envs(password.map(|password| ("PGPASSWORD", password)));
    let output = psql.output().map_err(|error| {
        cannot("psql cannot be started", error)
            .help("install the PostgreSQL client, 15 or newer, which the drill needs")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::failed(codes::RUNBOOK_DRILL, format!("the script stopped: {said}")).help(
        "do not use the script; `cargo xtask rollback --env development` on your own database shows whether the down \
         script is at fault",
    ))
}
