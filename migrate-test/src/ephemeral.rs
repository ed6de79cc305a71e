//! A throw-away server for tests, and databases on it.
//!
//! One server serves all tests of a process. It lives in memory where there is room, keeps
//! nothing durable, and ends with the process however that ends: a small shell waits at the
//! other end of a pipe that only this process holds open.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use migrate_core::ident::ident;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

use crate::error::ServerError;
use crate::managed::refused;
use crate::provider::account::{Account, run_as};
use crate::provider::binaries::Binaries;
use crate::provider::cluster::{Cluster, SUPERUSER, private_folder};
use crate::random;

/// A server that ends with this process.
#[derive(Debug)]
pub struct EphemeralServer {
    address: Address,
    /// While this end of the pipe is open, the shell at the other end lets the server live.
    _lifeline: Option<ChildStdin>,
}

#[derive(Debug, Clone)]
enum Address {
    Socket(PathBuf),
    Given(Box<PgConnectOptions>),
}

/// What durability costs is not paid: the data never outlives the process.
const SETTINGS: [(&str, &str); 6] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "100"),
    ("autovacuum", "off"),
    ("max_wal_size", "256MB"),
];

/// Stops the server and removes its folder when standard input ends.
const SUPERVISOR: &str = "cat >/dev/null; kill -QUIT \"$1\" 2>/dev/null; \
     n=0; while kill -0 \"$1\" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done; rm -rf \"$2\"";

/// The server that all tests of this process share; it is started by the first that asks.
///
/// Only its address is shared. Every test opens its own connections, in its own runtime.
///
/// # Errors
///
/// [`ServerError`] with why there is none.
pub async fn server() -> Result<&'static EphemeralServer, ServerError> {
    static SERVER: OnceCell<EphemeralServer> = OnceCell::const_new();
    SERVER.get_or_try_init(EphemeralServer::start).await
}

impl EphemeralServer {
    /// Starts one: the server of `ROUNDTRIP_TEST_SERVER` if that is set, else the binaries in
    /// `ROUNDTRIP_TEST_BINDIR`, else the newest binaries of this machine.
    ///
    /// # Errors
    ///
    /// [`ServerError`] with why it cannot be had.
    pub async fn start() -> Result<Self, ServerError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(url) = variable("ROUNDTRIP_TEST_SERVER") {
            let options =
                url.parse().map_err(|error| refused("be found by ROUNDTRIP_TEST_SERVER".to_owned(), &error))?;
            return Ok(Self { address: Address::Given(Box::new(options)), _lifeline: None });
        }
        let binaries = match variable("ROUNDTRIP_TEST_BINDIR") {
            Some(folder) => Binaries::probe(Path::new(&folder)).map_err(|why| vec![why]),
            None => Binaries::find(None),
        };
        Self::local(binaries.map_err(|tried| ServerError::NoProvider { tried })?).await
    }

    async fn local(binaries: Binaries) -> Result<Self, ServerError> {
        let account = Account::for_servers()?;
        let home = memory().join(format!("roundtrip-test-{}-{}", std::process::id(), random::hex(8)));
        private_folder(&home, account.as_ref())?;
        let (data, sockets, log) = (home.join("data"), home.join("s"), home.join("server.log"));
        let cluster = Cluster { binaries, data, sockets: sockets.clone(), log, account };
        cluster.init(&random::hex(32))?;
        let mut child = cluster.start(None, &SETTINGS)?;
        let lifeline = supervise(child.id(), &home, cluster.account.as_ref())?;
        let server = Self { address: Address::Socket(sockets), _lifeline: Some(lifeline) };
        cluster.wait(&mut child, &server.options("postgres"), Duration::from_secs(30)).await?;
        Ok(server)
    }

    /// How to connect to one of its databases, as a superuser.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        match &self.address {
            Address::Socket(folder) => {
                let options = PgConnectOptions::new_without_pgpass().socket(folder).port(5432);
                options.username(SUPERUSER).database(database).ssl_mode(PgSslMode::Disable)
            }
            Address::Given(options) => (**options).clone().database(database),
        }
    }

    /// The same as a URL, for programs.
    pub fn url(&self, database: &str) -> String {
        use sqlx::ConnectOptions;
        match &self.address {
            Address::Socket(folder) => {
                let folder = folder.display().to_string().replace('/', "%2F");
                format!("postgres://{SUPERUSER}@{folder}:5432/{database}")
            }
            Address::Given(_) => self.options(database).to_url_lossy().to_string(),
        }
    }
}

/// Starts the shell that outlives us by a moment, and returns our end of its pipe.
fn supervise(server: u32, home: &Path, account: Option<&Account>) -> Result<ChildStdin, ServerError> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", SUPERVISOR, "roundtrip-test", &server.to_string()]).arg(home);
    run_as(&mut shell, account);
    // A process group of its own: Ctrl-C in the terminal is for the tests, not for it.
    shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let failed = |why: String| ServerError::Program { program: "/bin/sh".to_owned(), why };
    let mut child = shell.spawn().map_err(|error| failed(error.to_string()))?;
    let mut pipe = child.stdin.take().ok_or_else(|| failed("it has no standard input".to_owned()))?;
    pipe.write_all(b"\n").map_err(|error| failed(error.to_string()))?;
    Ok(pipe)
}

/// A folder in memory where there is one with room, else the one for temporary files.
fn memory() -> PathBuf {
    let shared = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(shared).is_ok_and(|stat| stat.f_bavail * stat.f_frsize > 512 << 20);
    let probe = shared.join(format!(".roundtrip-{}", std::process::id()));
    let writable = room && fs::write(&probe, "").is_ok() && fs::remove_file(&probe).is_ok();
    if writable { shared.to_owned() } else { std::env::temp_dir() }
}

/// A database of its own for a test.
#[derive(Debug)]
pub struct TestDatabase {
    server: &'static EphemeralServer,
    name: String,
}

impl TestDatabase {
    /// Makes an empty one on the server that this process shares.
    ///
    /// # Errors
    ///
    /// [`ServerError`] when there is no server, or it refuses.
    pub async fn create() -> Result<Self, ServerError> {
        Self::copy_of("template0").await
    }

    /// Makes one that is a copy of another, to which nobody may be connected.
    ///
    /// # Errors
    ///
    /// Those of [`TestDatabase::create`].
    pub async fn copy_of(template: &str) -> Result<Self, ServerError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = server().await?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{count}_{}", std::process::id(), random::hex(6));
        let database = Self { server, name };
        let (new, template) = (ident(&database.name), ident(template));
        database.administer(&format!("CREATE DATABASE {new} TEMPLATE {template}")).await?;
        Ok(database)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to connect to it, as a superuser.
    pub fn options(&self) -> PgConnectOptions {
        self.server.options(&self.name)
    }

    /// The same as a URL, for programs.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Drops it, also when somebody is still connected.
    ///
    /// # Errors
    ///
    /// [`ServerError::Refused`] with what the server said.
    pub async fn drop_now(self) -> Result<(), ServerError> {
        self.administer(&format!("DROP DATABASE {} WITH (FORCE)", ident(&self.name))).await
    }

    async fn administer(&self, sql: &str) -> Result<(), ServerError> {
        let doing = || format!("prepare test database {}", self.name);
        let connected = PgConnection::connect_with(&self.server.options("postgres")).await;
        let mut connection = connected.map_err(|error| refused(doing(), &error))?;
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
        // Closing says goodbye; nothing depends on it.
        let _ = connection.close().await;
        done.map(drop).map_err(|error| refused(doing(), &error))
    }
}
