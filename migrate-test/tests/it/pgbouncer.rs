//! A pgbouncer for a single test. The tests of the command line include this file as well.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use migrate_test::TestDatabase;
use migrate_test::provider::account::{Account, run_as};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

/// A pgbouncer for a single test, in front of the test's database.
pub(crate) struct Pooler {
    process: Child,
    pub(crate) port: u16,
    _folder: TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Pooler {
    /// Starts it in a mode, which may be followed by more settings; `None` on a machine without pgbouncer.
    pub(crate) async fn start(database: &TestDatabase, mode: &str) -> Option<Self> {
        let Some(program) =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| Path::new(path).exists())
        else {
            eprintln!("NOT TESTED: pgbouncer is not installed");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = database.options();
        let host = server.get_socket().map_or(server.get_host().to_owned(), |socket| socket.display().to_string());
        let folder = tempfile::tempdir().unwrap();
        let account = Account::for_servers().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let config = folder.path().join("pgbouncer.ini");
        // The last value wins: a test may have its own settings.
        let (mode, more) = mode.split_once('\n').unwrap_or((mode, ""));
        let text = format!(
            "[databases]\n{name} = host={host} port={} dbname={name} user={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = any\npool_mode = {mode}\nunix_socket_dir =\n\
             ignore_startup_parameters = extra_float_digits,search_path\n{more}\n",
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

    pub(crate) fn options(&self, database: &TestDatabase) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port);
        options.username("anybody").database(database.name()).ssl_mode(PgSslMode::Disable)
    }
}
