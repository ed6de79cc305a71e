//! One server for all processes of a test run, and for later runs.
//!
//! Its folder has a name that every process can find. The first user starts the server, later ones join it, and
//! a small shell ends it when the last user is gone, however that one ended. The data stays, in memory if there
//! is room: the next start takes a moment, and databases that were kept as templates are still there.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::error::ServerError;
use crate::provider::account::{Account, run_as};
use crate::provider::binaries::Binaries;
use crate::provider::child::{ChildEnvironment, shell};
use crate::provider::cluster::{Cluster, SUPERUSER, private_folder, remove, write_private};
use crate::random;

const SUPERVISOR: &str = include_str!("supervise.sh");
/// How long a server outlives its last user: longer than the time between two test binaries.
const LINGER: Duration = Duration::from_secs(5);
/// How long a server runs on after a law was broken, so that the database can be inspected.
pub(super) const KEEP: Duration = Duration::from_secs(30 * 60);

/// Durability is off: the data may be lost if the machine crashes.
pub(super) const SETTINGS: [(&str, &str); 7] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "200"),
    ("autovacuum", "off"),
    ("max_wal_size", "256MB"),
    ("wal_level", "logical"),
];

/// The right to use a shared server; it ends with this value, or with the process.
#[derive(Debug)]
pub(super) struct Lease {
    /// The folder of the server, and of the servers for single databases.
    pub(super) home: PathBuf,
    pub(super) cluster: Cluster,
    /// While it is open, the shell at the other end keeps the server running.
    _alive: File,
    /// Whether this process started the server, rather than joined it.
    pub(super) started: bool,
}

impl Lease {
    /// Joins the server of these binaries, or starts it if it does not run.
    pub(super) async fn take(binaries: Binaries) -> Result<Self, ServerError> {
        let account = Account::for_servers()?;
        let home = folder(&binaries, account.as_ref())?;
        // Processes that come at the same time wait here until the server is ready.
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(home.join("lock"));
        let lock = lock.map_err(ServerError::io(&home, "locked"))?;
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
        let lock = lock.map_err(|error| std::io::Error::other(error.to_string())).and_then(|locked| locked);
        let _lock = lock.map_err(ServerError::io(&home, "locked"))?;
        let cluster = Cluster {
            data: home.join("data"),
            sockets: home.join("s"),
            log: home.join("server.log"),
            binaries,
            account,
        };
        super::own::sweep(&home, &cluster).await;
        let (alive, started) = match join(&home, &cluster).await? {
            Some(alive) => (alive, false),
            None => (start(&home, &cluster).await?, true),
        };
        Ok(Self { cluster, home, _alive: alive, started })
    }

    /// How to connect to one of its databases, as a superuser.
    pub(super) fn options(&self, database: &str) -> PgConnectOptions {
        options(&self.cluster.sockets, database)
    }

    /// Keeps the server running for a while after its last user, for a database that was kept.
    pub(super) fn linger(&self) {
        // The shell measures the time itself, from when the text of this file changes. If the file cannot be
        // written, the database goes with the server, a little early.
        let _ = fs::write(self.home.join("keep"), format!("{}\n", random::hex(8)));
    }
}

pub(super) fn options(sockets: &Path, database: &str) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass().socket(sockets).port(5432);
    options.username(SUPERUSER).database(database).ssl_mode(PgSslMode::Disable)
}

/// The folder for the server of these binaries: the same for every process of this user.
fn folder(binaries: &Binaries, account: Option<&Account>) -> Result<PathBuf, ServerError> {
    let user = rustix::process::geteuid();
    let digest = Sha256::digest(format!("2 {} {}", binaries.folder.display(), binaries.version).as_bytes());
    let key: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let shared = memory().join(format!("roundtrip-test-{}-{key}", user.as_raw()));
    let _ = private_folder(&shared, account);
    // Other users may write to the parent folder: a folder that is not ours, or open to others, is not used.
    let owner = account.map_or(user.as_raw(), Account::uid);
    let is_ours = fs::symlink_metadata(&shared)
        .is_ok_and(|found| found.is_dir() && found.uid() == owner && found.mode() & 0o077 == 0);
    if is_ours {
        return Ok(shared);
    }
    let own = memory().join(format!("roundtrip-test-{}-{}", std::process::id(), random::hex(8)));
    private_folder(&own, account).map(|()| own)
}

/// Joins a server that runs; `None` if there is none.
async fn join(home: &Path, cluster: &Cluster) -> Result<Option<File>, ServerError> {
    let end = Instant::now() + Duration::from_secs(60);
    while cluster.running().is_some() && home.join("alive").exists() && Instant::now() < end {
        let alive = arrive(home)?;
        if fs::metadata(home.join("stopping")).is_ok_and(|word| word.len() > 0) {
            // The shell is about to end the server, or has seen us and will not.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        if !is_supervised(home) {
            supervise(home, cluster)?;
        }
        return Ok(Some(alive));
    }
    Ok(None)
}

/// Starts the server. Creates its data first if there is none that can be used.
async fn start(home: &Path, cluster: &Cluster) -> Result<File, ServerError> {
    cluster.stop().await?;
    for left in ["stopping", "seen", "keep", "alive", "pause", "supervisor.pid"] {
        let _ = fs::remove_file(home.join(left));
    }
    if Cluster::data_major(&cluster.data) == Some(cluster.binaries.major) && run(cluster).await.is_ok() {
        // The existing data can be used.
    } else {
        cluster.stop().await?;
        remove(&cluster.data)?;
        cluster.init(&random::hex(32))?;
        run(cluster).await?;
    }
    for name in ["alive", "pause"] {
        fifo(&home.join(name), cluster.account.as_ref())?;
    }
    let alive = arrive(home)?;
    supervise(home, cluster)?;
    super::database::sweep(&options(&cluster.sockets, "postgres")).await?;
    Ok(alive)
}

async fn run(cluster: &Cluster) -> Result<(), ServerError> {
    let mut child = cluster.start(None, &SETTINGS)?;
    cluster.wait(&mut child, &options(&cluster.sockets, "postgres"), Duration::from_secs(30)).await
}

/// Creates a FIFO. The shell waits on one that nobody writes to if it has no other way to wait.
pub(super) fn fifo(path: &Path, account: Option<&Account>) -> Result<(), ServerError> {
    let made = rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0);
    made.map_err(|error| ServerError::io(path, "created")(error.into()))?;
    account.map_or(Ok(()), |account| account.own(path))
}

/// Opens the FIFO and writes to it. It is opened for reading and writing, so that opening does not block.
fn arrive(home: &Path) -> Result<File, ServerError> {
    let fifo = home.join("alive");
    let mut alive = OpenOptions::new().read(true).write(true).open(&fifo).map_err(ServerError::io(&fifo, "opened"))?;
    alive.write_all(b"\n").map_err(ServerError::io(&fifo, "written"))?;
    Ok(alive)
}

/// Starts the shell, which outlives this process by a moment.
fn supervise(home: &Path, cluster: &Cluster) -> Result<(), ServerError> {
    let server = cluster.running().map_or("0".to_owned(), |pid| pid.as_raw_nonzero().to_string());
    let script = home.join("supervise.sh");
    write_private(&script, SUPERVISOR, cluster.account.as_ref())?;
    let mut shell = shell(ChildEnvironment::Nothing, &[])?;
    shell.arg(&script).arg(home).args([&server, &LINGER.as_secs().to_string(), &KEEP.as_secs().to_string()]);
    shell.args(["kill", "-INT", &server]);
    run_as(&mut shell, cluster.account.as_ref());
    // It gets its own process group: Ctrl-C in the terminal is meant for the tests, not for it.
    shell.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let failed = |why: std::io::Error| ServerError::Program { program: "/bin/sh".to_owned(), why: why.to_string() };
    let child = shell.spawn().map_err(failed)?;
    write_private(&home.join("supervisor.pid"), &child.id().to_string(), cluster.account.as_ref())
}

/// Whether the shell that ends the server is running.
fn is_supervised(home: &Path) -> bool {
    let pid = fs::read_to_string(home.join("supervisor.pid")).ok().and_then(|text| text.trim().parse().ok());
    pid.and_then(Pid::from_raw).is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// The folder that `ROUNDTRIP_TEST_DIR` names; else a folder in memory if there is one with enough room; else
/// the folder for temporary files.
fn memory() -> PathBuf {
    if let Some(folder) = std::env::var_os(super::FOLDER).filter(|folder| !folder.is_empty()) {
        return folder.into();
    }
    let shared = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(shared).is_ok_and(|stat| stat.f_bavail * stat.f_frsize > 512 << 20);
    let probe = shared.join(format!(".roundtrip-{}", std::process::id()));
    let writable = room && fs::write(&probe, "").is_ok() && fs::remove_file(&probe).is_ok();
    if writable { shared.to_owned() } else { std::env::temp_dir() }
}
