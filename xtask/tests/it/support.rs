//! A project in a temporary folder, a database, and the executable to run on both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use migrate_test::TestDatabase;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tempfile::TempDir;

/// The password in every address of these tests; it must never be shown.
pub(crate) const SECRET: &str = "hunter2-s3cret";

/// How the command line names the test's database.
const DATABASE: [&str; 2] = ["--database", "env:TEST_DATABASE_URL"];

/// The folder of this repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The sources of all crates of this repository.
pub(crate) fn sources() -> Vec<PathBuf> {
    let folders = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> =
        folders.filter(|folder| folder.join("Cargo.toml").is_file()).map(|folder| folder.join("src")).collect();
    all.sort();
    assert!(all.len() > 4 && all.iter().all(|one| one.is_dir()), "{all:?}");
    all
}

/// A folder with migrations and, if wanted, a migrate.toml.
pub(crate) struct Project {
    folder: TempDir,
    pub(crate) database: TestDatabase,
    runtime: tokio::runtime::Runtime,
}

/// The output of the executable, and its exit code.
#[derive(Debug)]
pub(crate) struct ProgramOutput {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Project {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let database = runtime.block_on(TestDatabase::create()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("migrations")).unwrap();
        Self { folder, database, runtime }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes the two scripts of a migration.
    pub(crate) fn migration(&self, number: u64, name: &str, up: &str, down: &str) {
        let stem = format!("migrations/{}_{name}", 20_250_101_000_000 + number);
        self.write(&format!("{stem}.up.sql"), up);
        self.write(&format!("{stem}.down.sql"), down);
    }

    /// The address of the database, with a password in it.
    pub(crate) fn url(&self) -> String {
        self.database.url().replacen("postgres@", &format!("postgres:{SECRET}@"), 1)
    }

    /// The executable with these arguments, in this folder, with the database in a variable.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command.env("TEST_DATABASE_URL", self.url()).env("ROUNDTRIP_HOME", self.path().join("home"));
        // If a CI system runs these tests, the project of a test is not what it builds.
        let of_ci = ["GITHUB_ACTIONS", "GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"];
        for variable in of_ci.into_iter().chain(["BITBUCKET_PR_DESTINATION_BRANCH", "CHANGE_TARGET"]) {
            command.env_remove(variable);
        }
        command
    }

    /// Runs it on the test's database, as a development database unless another environment is named.
    pub(crate) fn run(&self, arguments: &[&str]) -> ProgramOutput {
        let is_named = arguments.contains(&"--env");
        let environment = ["--env", "development"].into_iter().filter(|_| !is_named);
        let all: Vec<&str> = environment.chain(arguments.iter().copied()).chain(DATABASE).collect();
        self.run_bare(&all)
    }

    /// Runs it on the test's database, whose purpose is not specified.
    pub(crate) fn run_unnamed(&self, arguments: &[&str]) -> ProgramOutput {
        self.run_bare(&[arguments, &DATABASE].concat())
    }

    /// Runs it with only these arguments.
    pub(crate) fn run_bare(&self, arguments: &[&str]) -> ProgramOutput {
        said(self.command(arguments).output().unwrap())
    }

    /// The first column of a query, as text.
    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        self.query_on(&self.database.options(), sql)
    }

    /// Whether the server refuses statements.
    pub(crate) fn refuses(&self, sql: &str) -> bool {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect_with(&self.database.options()).await.unwrap();
            let outcome = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
            connection.close().await.unwrap();
            outcome.is_err()
        })
    }

    /// The same on another database.
    pub(crate) fn query_on(&self, options: &PgConnectOptions, sql: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect_with(options).await.unwrap();
            let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            rows.iter()
                .map(|row| row.try_get_unchecked::<Option<String>, _>(0).unwrap().unwrap_or("NULL".into()))
                .collect()
        })
    }

    /// Waits for something that a test needs from a server.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A connection that has run these statements, and stays open until it is dropped.
    pub(crate) fn hold(&self, sql: &str) -> PgConnection {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect_with(&self.database.options()).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
            connection
        })
    }

    pub(crate) fn end(self) {
        self.runtime.block_on(self.database.drop_now()).unwrap();
    }
}

/// A new terminal: our side of it, and the file that is the other side.
pub(crate) fn terminal() -> (fs::File, PathBuf) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    (fs::File::from(ours), PathBuf::from(name.to_str().unwrap()))
}

pub(crate) fn said(output: Output) -> ProgramOutput {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let said =
        ProgramOutput { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) };
    assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET), "a secret was shown: {said:?}");
    assert!(!said.err.contains("panicked at"), "{said:?}");
    said
}

impl ProgramOutput {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
