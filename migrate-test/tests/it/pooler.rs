//! A pooler between us and the server: one that keeps sessions is fine, one that does not is refused.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use migrate_core::{CodeMigrations, Database, ErrorKind, Migrator, Policy, Target};
use migrate_test::TestDatabase;
use migrate_test::provider::account::{Account, run_as};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::support::{Chain, column, connect, quick};

/// A pgbouncer of the test's own, in front of the test's database.
struct Pooler {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Pooler {
    /// Starts it; `None` on a machine without pgbouncer.
    async fn start(database: &TestDatabase, mode: &str) -> Option<Self> {
        let program =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| Path::new(path).exists())?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = database.options();
        let host = server.get_socket().map_or(server.get_host().to_owned(), |socket| socket.display().to_string());
        let folder = tempfile::tempdir().unwrap();
        let account = Account::for_servers().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let config = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n{name} = host={host} port={} dbname={name} user={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = any\npool_mode = {mode}\nunix_socket_dir =\n\
             ignore_startup_parameters = extra_float_digits,search_path\n",
            server.get_port(),
            server.get_username(),
            name = database.name(),
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        command.arg("-q").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        run_as(&mut command, account.as_ref());
        let pooler = Self { process: command.spawn().unwrap(), port, _folder: folder };
        let end = Instant::now() + Duration::from_secs(20);
        while let Err(error) = PgConnection::connect_with(&pooler.options(database)).await {
            assert!(Instant::now() < end, "pgbouncer does not answer: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(pooler)
    }

    fn options(&self, database: &TestDatabase) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port);
        options.username("anybody").database(database.name()).ssl_mode(PgSslMode::Disable)
    }
}

/// Runs a chain of one through a pooler; `None` on a machine without pgbouncer.
async fn run_through(mode: &str, database: &TestDatabase) -> Option<migrate_core::Result<usize>> {
    let Some(pooler) = Pooler::start(database, mode).await else {
        eprintln!("NOT TESTED: pgbouncer is not installed");
        return None;
    };
    let chain = Chain::new(&[(1, "a", "CREATE TABLE a ();", "DROP TABLE a;")]);
    let address = Database::from(pooler.options(database));
    let mut migrator = Migrator::open(address, chain.set(), CodeMigrations::none(), quick()).await.unwrap();
    Some(migrator.run(&Target::Latest, Policy::default()).await.map(|report| report.done.len()))
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_refused_and_keeps_no_lock() {
    let database = TestDatabase::create().await.unwrap();
    if let Some(outcome) = run_through("transaction", &database).await {
        let error = outcome.unwrap_err();
        assert_eq!((error.kind(), error.findings()[0].code), (ErrorKind::Lock, "pooler"), "{error}");
        assert!(!error.findings()[0].help.is_empty());
        let mut db = connect(&database).await;
        let locks = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                     WHERE l.locktype = 'advisory' AND d.datname = current_database()";
        assert_eq!(column(&mut db, locks).await, ["0"]);
        assert_eq!(column(&mut db, "SELECT to_regclass('a')").await, ["NULL"]);
    }
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_pooler_in_session_mode_is_fine() {
    let database = TestDatabase::create().await.unwrap();
    if let Some(outcome) = run_through("session", &database).await {
        assert_eq!(outcome.unwrap(), 1);
    }
    database.drop_now().await.unwrap();
}
