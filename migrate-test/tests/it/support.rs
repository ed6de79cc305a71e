//! A folder of migrations in one line, a database to run it on, and helpers to inspect the result.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use migrate_core::{CodeMigrations, Database, MigrationSet, Migrator, Observer, Options, Progress};
use migrate_test::TestDatabase;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tempfile::TempDir;

/// A folder with one pair of files for each `(version, name, up, down)`.
pub(crate) struct ChainFolder {
    folder: TempDir,
}

/// The short versions of tests, `1`, `2`, …, as the 14 digits of a file name.
pub(crate) fn version(number: u64) -> migrate_core::Version {
    migrate_core::Version::from(20_250_101_000_000 + number)
}

impl ChainFolder {
    pub(crate) fn new(migrations: &[(u64, &str, &str, &str)]) -> Self {
        let chain = Self { folder: tempfile::tempdir().unwrap() };
        for (number, name, up, down) in migrations {
            chain.write(*number, name, up, down);
        }
        chain
    }

    pub(crate) fn write(&self, number: u64, name: &str, up: &str, down: &str) {
        let stem = format!("{}_{name}", version(number));
        fs::write(self.path().join(format!("{stem}.up.sql")), up).unwrap();
        fs::write(self.path().join(format!("{stem}.down.sql")), down).unwrap();
    }

    pub(crate) fn remove(&self, number: u64, name: &str) {
        for ending in ["up", "down"] {
            fs::remove_file(self.path().join(format!("{}_{name}.{ending}.sql", version(number)))).unwrap();
        }
    }

    pub(crate) fn remove_down(&self, number: u64, name: &str) {
        fs::remove_file(self.path().join(format!("{}_{name}.down.sql", version(number)))).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn set(&self) -> MigrationSet {
        MigrationSet::load(self.path()).unwrap()
    }
}

/// Options that do not make a test wait.
pub(crate) fn quick() -> Options {
    Options { lock_timeout: Duration::from_millis(300), lock_retries: 1, fingerprint: false, ..Options::default() }
}

pub(crate) async fn migrator(database: &TestDatabase, chain: &ChainFolder, options: Options) -> Migrator {
    let address = Database::from(database.options());
    Migrator::open(address, chain.set(), CodeMigrations::none(), options).await.unwrap()
}

/// A separate connection, as a superuser.
pub(crate) async fn connect(database: &TestDatabase) -> PgConnection {
    PgConnection::connect_with(&database.options()).await.unwrap()
}

pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

/// The first column of all rows, as text.
pub(crate) async fn column(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.try_get_unchecked::<Option<String>, _>(0).unwrap().unwrap_or("NULL".into())).collect()
}

/// The events of the ledger in shorthand: `applied 1`, `progress 2 1`.
pub(crate) async fn events(connection: &mut PgConnection) -> Vec<String> {
    let query =
        "SELECT concat_ws(' ', event, version::bigint - 20250101000000, statement) FROM roundtrip.ledger ORDER BY id";
    column(connection, query).await
}

/// Listens to a run and keeps what it reported, as text.
#[derive(Default)]
pub(crate) struct RunListener(Mutex<Vec<String>>);

impl RunListener {
    pub(crate) fn heard(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for RunListener {
    fn hear(&self, progress: &Progress<'_>) {
        let text = match progress {
            Progress::Waiting(holder) => format!("waiting for {holder}"),
            Progress::Begin(steps) => format!("begin {steps}"),
            Progress::Done(step, _) => format!("done {}", step.name),
            Progress::Statement(step, at, all) => format!("statement {} {at}/{all}", step.name),
            Progress::Blocked(step, holders) => format!("blocked {} by {}", step.name, holders[0]),
            Progress::Retry(step, attempt, of, _) => format!("retry {} {attempt}/{of}", step.name),
            Progress::Remark(text) => format!("remark {text}"),
            _ => String::new(),
        };
        self.0.lock().unwrap().push(text);
    }
}

pub(crate) fn listening() -> (Arc<RunListener>, Options) {
    let ear = Arc::new(RunListener::default());
    let options = Options { observer: ear.clone(), ..quick() };
    (ear, options)
}

/// Why no container of this image can be started here, if so: there is no engine, or it does not have the image
/// and cannot pull any.
pub(crate) fn no_container(image: &str) -> Option<String> {
    if let Err(why) = migrate_test::provider::docker::available() {
        return Some(why.to_string());
    }
    let docker = |words: &[&str]| std::process::Command::new("docker").args(words).output().unwrap();
    if docker(&["image", "inspect", image]).status.success() {
        return None;
    }
    let pulled = docker(&["pull", "--quiet", image]);
    (!pulled.status.success()).then(|| String::from_utf8_lossy(&pulled.stderr).into_owned())
}
