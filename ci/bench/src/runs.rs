//! What is timed: whole processes, each on a database of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use migrate_test::EphemeralServer;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::runtime::Runtime;
use xshell::{Shell, cmd};

use crate::client::client;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The rows of the table, and what each is compared with.
pub(crate) const TABLE: [(&str, &[&str]); 13] = [
    ("limit: one message", &[]),
    ("psql: apply", &["limit: one message"]),
    ("psql: roll back", &[]),
    ("psql: select 1", &[]),
    ("apply", &["limit: one message", "psql: apply", "sqlx: apply"]),
    ("nothing to do", &["psql: select 1", "sqlx: nothing to do"]),
    ("status", &["psql: select 1"]),
    ("roll back all", &["psql: roll back", "sqlx: roll back"]),
    ("re-apply", &["psql: apply"]),
    ("sqlx: apply", &["psql: apply"]),
    ("sqlx: nothing to do", &["psql: select 1"]),
    ("sqlx: roll back", &["psql: roll back"]),
    ("sqlx: re-apply", &["psql: apply"]),
];

/// The server, the built executable and the peers that are here.
pub(crate) struct Bench {
    runtime: Runtime,
    server: EphemeralServer,
    ours: PathBuf,
    sqlx: bool,
}

impl Bench {
    /// Builds the executable and starts a server in memory, without durability.
    pub(crate) fn new() -> Result<Self> {
        let shell = Shell::new()?;
        cmd!(shell, "cargo build --quiet --release -p xtask").run()?;
        let ours = std::env::current_exe()?.with_file_name("xtask");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let server = runtime.block_on(EphemeralServer::start())?;
        let sqlx = cmd!(shell, "sqlx --version").quiet().ignore_stderr().read().is_ok();
        if !sqlx {
            println!("sqlx-cli is not installed, so it is not measured");
        }
        Ok(Self { runtime, server, ours, sqlx })
    }

    /// Waits for something on this benchmark's runtime.
    pub(crate) fn wait<T, E: std::error::Error + 'static>(
        &self,
        work: impl Future<Output = std::result::Result<T, E>>,
    ) -> Result<T> {
        Ok(self.runtime.block_on(work)?)
    }

    /// The URL of a database.
    pub(crate) fn url(&self, name: &str) -> String {
        self.server.url(name)
    }

    /// The built executable.
    pub(crate) fn ours(&self) -> Command {
        Command::new(&self.ours)
    }

    /// A command of ours on a database of the server, for the migrations of a folder.
    pub(crate) fn ours_on(&self, name: &str, folder: &Path) -> Command {
        self.aimed(self.ours(), name, folder)
    }

    /// The same for another build of it.
    pub(crate) fn aimed(&self, mut ours: Command, name: &str, folder: &Path) -> Command {
        // Nobody is to be asked whether the rows may go.
        ours.args(["--env", "development", "--database"]).arg(self.server.url(name)).arg("--migrations").arg(folder);
        ours
    }

    /// Times everything once.
    pub(crate) fn round(&self, folder: &Path) -> Result<Vec<(&'static str, Duration)>> {
        let mut times = Vec::new();
        let scripts = tempfile::tempdir()?;
        let script = |ending: &str| -> Result<PathBuf> {
            let path = scripts.path().join(ending);
            std::fs::write(&path, crate::chain::psql_script(folder, ending)?)?;
            Ok(path)
        };
        times.push(("limit: one message", self.on_fresh(|name| self.one_message(folder, name))?));
        self.on_fresh(|name| {
            times.push(("psql: apply", timed(self.psql(name).arg("-f").arg(script(".up.sql")?))?));
            times.push(("psql: roll back", timed(self.psql(name).arg("-f").arg(script(".down.sql")?))?));
            times.push(("psql: select 1", timed(self.psql(name).args(["-c", "SELECT 1"]))?));
            Ok(())
        })?;
        self.on_fresh(|name| {
            let commands: [(&'static str, &[&str]); 5] = [
                ("apply", &["migrate"]),
                ("nothing to do", &["migrate"]),
                ("status", &["status"]),
                ("roll back all", &["rollback", "--all"]),
                ("re-apply", &["migrate"]),
            ];
            for (what, arguments) in commands {
                times.push((what, timed(self.ours_on(name, folder).args(arguments))?));
            }
            Ok(())
        })?;
        if self.sqlx {
            self.on_fresh(|name| {
                let commands: [(&'static str, &[&str]); 4] = [
                    ("sqlx: apply", &["run"]),
                    ("sqlx: nothing to do", &["run"]),
                    ("sqlx: roll back", &["revert", "--target-version", "0"]),
                    ("sqlx: re-apply", &["run"]),
                ];
                for (what, arguments) in commands {
                    let mut sqlx = Command::new("sqlx");
                    sqlx.arg("migrate")
                        .args(arguments)
                        .arg("--source")
                        .arg(folder)
                        .arg("-D")
                        .arg(self.server.url(name));
                    times.push((what, timed(&mut sqlx)?));
                }
                Ok(())
            })?;
        }
        Ok(times)
    }

    /// Runs something on a database that is made for it and dropped after it.
    pub(crate) fn on_fresh<T>(&self, work: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        let name = "bench";
        self.administer(&format!("CREATE DATABASE {name} TEMPLATE template0"))?;
        let outcome = work(name);
        self.administer(&format!("DROP DATABASE {name} WITH (FORCE)"))?;
        outcome
    }

    fn administer(&self, sql: &str) -> Result<()> {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect_with(&self.server.options("postgres")).await?;
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
            Ok(connection.close().await?)
        })
    }

    /// The limit: a few lines of a driver, one message, one transaction.
    fn one_message(&self, folder: &Path, name: &str) -> Result<Duration> {
        let message = crate::chain::one_message(folder)?;
        let begin = Instant::now();
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect_with(&self.server.options(name)).await?;
            sqlx::raw_sql(AssertSqlSafe(message)).execute(&mut connection).await?;
            connection.close().await
        })?;
        Ok(begin.elapsed())
    }

    /// psql on a database of the server, without what a user has set.
    pub(crate) fn psql(&self, name: &str) -> Command {
        let mut psql = client("psql");
        psql.args(["-qX", "-v", "ON_ERROR_STOP=1", "-d"]).arg(self.server.url(name));
        psql
    }
}

/// The time of a whole process; one that fails stops the benchmark.
pub(crate) fn timed(command: &mut Command) -> Result<Duration> {
    let begin = Instant::now();
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output()?;
    let elapsed = begin.elapsed();
    match output.status.success() {
        true => Ok(elapsed),
        false => Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}
