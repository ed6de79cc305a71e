//! Shadow servers of processes that were killed, and what is kept between runs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::support::{Project, said};

/// A server that nobody else uses, because it has its own folder.
struct PrivateServer {
    project: Project,
    folder: tempfile::TempDir,
}

impl PrivateServer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The account that runs the server must be able to enter.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { project: Project::new(), folder }
    }

    fn verify(&self, which: &str) -> Command {
        let mut command = self.project.command(&["verify", which]);
        command.env("ROUNDTRIP_TEST_DIR", self.folder.path()).env("ROUNDTRIP_TEST_SERVER", "local");
        command
    }

    /// The server's own folder, once it has been started.
    fn home(&self) -> Option<PathBuf> {
        fs::read_dir(self.folder.path()).unwrap().next().map(|entry| entry.unwrap().path())
    }

    /// Joins the server as a user, as `supervise.sh` describes; the server lives until the file is closed.
    fn hold(&self) -> fs::File {
        let fifo = self.home().unwrap().join("alive");
        let mut alive = fs::File::options().read(true).write(true).open(fifo).unwrap();
        alive.write_all(b"\n").unwrap();
        alive
    }

    /// The first column of a query; `None` while there is no server.
    async fn ask(&self, sql: &str) -> Option<Vec<String>> {
        let options = PgConnectOptions::new_without_pgpass().socket(self.home()?.join("s")).username("postgres");
        let mut connection =
            PgConnection::connect_with(&options.database("postgres").ssl_mode(PgSslMode::Disable)).await.ok()?;
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        Some(rows.iter().map(|row| row.try_get_unchecked::<String, _>(0).unwrap()).collect())
    }

    /// Waits for the server to end by itself.
    fn end(self) {
        let home = self.home().unwrap();
        until("the server ends", || !home.join("data/postmaster.pid").exists());
        until("its supervisor ends", || has_ended(&home));
        self.project.end();
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}: still not so");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const DATABASES: &str = "SELECT datname FROM pg_database ORDER BY datname";

#[test]
fn a_killed_process_leaves_no_server_and_no_database() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let private = PrivateServer::new();
    private.project.migration(1, "slow", "SELECT pg_sleep(600);", "SELECT 1;");
    let mut child = private.verify("--all").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let sleeps = "SELECT datname FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    until("the migration sleeps", || {
        runtime.block_on(private.ask(sleeps)).is_some_and(|found| found.iter().any(|name| name.starts_with("test_")))
    });
    let dead = child.id();
    child.kill().unwrap();
    child.wait().unwrap();
    let pid = private.home().unwrap().join("data/postmaster.pid");
    until("the server ends", || !pid.exists());

    private.project.migration(1, "slow", "SELECT 1;", "SELECT 1;");
    let verify = || said(private.verify("--all").output().unwrap()).ok();
    verify();
    let held = private.hold();
    let tests = || {
        let all = runtime.block_on(private.ask(DATABASES)).unwrap();
        all.into_iter().filter(|name| name.starts_with("test_")).collect::<Vec<_>>()
    };
    // A process that ends before it has swept everything leaves the rest to the next one.
    let of_the_dead: Vec<String> = tests().into_iter().filter(|name| name.contains(&format!("_{dead}_"))).collect();
    until("what the dead process left is swept", || {
        verify();
        tests().iter().all(|name| !of_the_dead.contains(name))
    });
    // A process does not wait for its own databases to be dropped either; the server completes that.
    until("no database is left", || tests().is_empty());
    drop(held);
    private.end();
}

#[test]
fn templates_are_kept_and_the_oldest_of_too_many_go() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let private = PrivateServer::new();
    // Enough statements to make a chain worth keeping.
    for n in 1..=6 {
        let tables: Vec<String> = (1..=5).map(|part| format!("t_{n}_{part}")).collect();
        let up: String = tables.iter().map(|table| format!("CREATE TABLE {table} ();")).collect();
        private.project.migration(n, &format!("t_{n}"), &up, &format!("DROP TABLE {};", tables.join(", ")));
    }
    let templates = |private: &PrivateServer| {
        let names = runtime.block_on(private.ask(DATABASES)).unwrap();
        names.into_iter().filter(|name| name.starts_with("roundtrip_")).collect::<Vec<_>>()
    };
    let newest = |private: &PrivateServer| said(private.verify("20250101000006").output().unwrap()).ok();
    newest(&private);
    let made = templates(&private);
    assert!(!made.is_empty());
    // Other templates, which have not been used since.
    let held = private.hold();
    let others: Vec<String> = (0..60).map(|n| format!("CREATE DATABASE roundtrip_1_other_{n};")).collect();
    for other in &others {
        runtime.block_on(private.ask(other)).unwrap();
    }
    private.project.migration(2, "t_2", "CREATE TABLE another ();", "DROP TABLE another;");
    newest(&private);
    drop(held);
    let kept = templates(&private);
    assert!(kept.len() <= 49, "{}", kept.len());
    assert!(made.iter().all(|name| kept.contains(name)), "the ones that were used went: {kept:?}");
    private.end();
}

#[test]
fn a_killed_process_leaves_nothing_of_the_servers_that_its_databases_had() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let private = PrivateServer::new();
    private.project.migration(1, "role", "CREATE ROLE rt_killed; SELECT pg_sleep(600);", "DROP ROLE rt_killed;");
    let mut child = private.verify("--all").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let own = |private: &PrivateServer| -> Vec<PathBuf> {
        let entries = private.home().into_iter().flat_map(|home| fs::read_dir(home).into_iter().flatten().flatten());
        entries.map(|entry| entry.path()).filter(|path| name_of(path).starts_with("o-")).collect()
    };
    until("the migration sleeps", || {
        let sleeps = "SELECT pid::text FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        own(&private)
            .iter()
            .any(|folder| runtime.block_on(ask_in(&folder.join("s"), sleeps)).is_some_and(|found| !found.is_empty()))
    });
    let pids: Vec<PathBuf> = own(&private).iter().map(|folder| folder.join("data/postmaster.pid")).collect();
    assert!(!pids.is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    until("their servers end", || pids.iter().all(|pid| !pid.exists()));
    // What could not be removed is removed by the next process.
    private.project.migration(1, "role", "CREATE ROLE rt_killed;", "DROP ROLE rt_killed;");
    said(private.verify("--all").output().unwrap()).ok();
    until("their folders are gone", || own(&private).is_empty());
    let roles = runtime.block_on(private.ask("SELECT rolname FROM pg_roles WHERE rolname = 'rt_killed'"));
    assert!(roles.is_none_or(|roles| roles.is_empty()));
    private.end();
}

/// Runs the script that ends a shared server with an empty `PATH`: it ends the server after its last user, and
/// not before.
#[test]
fn the_shell_that_ends_a_server_needs_no_other_program() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrate-test/src/ephemeral/supervise.sh");
    for shell in ["/bin/sh", "/bin/bash"].into_iter().filter(|shell| Path::new(shell).exists()) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["alive", "pause"] {
            let made = Command::new("mkfifo").arg(folder.path().join(name)).status().unwrap();
            assert!(made.success());
        }
        let alive = folder.path().join("alive");
        let mut held = fs::File::options().read(true).write(true).open(&alive).unwrap();
        held.write_all(b"\n").unwrap();
        let mut server = Command::new("/bin/sleep").arg("600").spawn().unwrap();
        let mut ends = Command::new(shell);
        ends.arg(script).arg(folder.path()).args([&server.id().to_string(), "1", "2"]);
        ends.args(["kill", "-TERM", &server.id().to_string()]).env("PATH", "/nowhere").stdin(Stdio::null());
        ends.stdout(Stdio::null()).stderr(Stdio::null());
        let mut ends = ends.spawn().unwrap();
        std::thread::sleep(Duration::from_secs(3));
        assert!(server.try_wait().unwrap().is_none(), "{shell} ended a server that is used");
        drop(held);
        until("the server ends", || server.try_wait().unwrap().is_some());
        assert!(ends.wait().unwrap().success());
        assert!(has_ended(folder.path()), "{shell}");
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The first column of a query on the server with its sockets here; `None` while there is none.
async fn ask_in(sockets: &Path, sql: &str) -> Option<Vec<String>> {
    let options = PgConnectOptions::new_without_pgpass().socket(sockets).username("postgres");
    let mut connection =
        PgConnection::connect_with(&options.database("postgres").ssl_mode(PgSslMode::Disable)).await.ok()?;
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.ok()?;
    connection.close().await.ok()?;
    Some(rows.iter().map(|row| row.try_get_unchecked::<String, _>(0).unwrap()).collect())
}

/// Whether the shell that ended a server has nothing more to do.
fn has_ended(home: &Path) -> bool {
    fs::read_to_string(home.join("supervisor.pid")).is_ok_and(|pid| pid.is_empty())
}
