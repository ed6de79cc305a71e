//! A server for a single database. A chain that creates roles, or changes other objects that exist once per
//! server, is tested on a server of its own, and nothing of it remains.
//!
//! A data folder is created once and copied. The copy runs on a private socket, without durability. The server
//! ends with its owner, however the owner ends: a small shell waits at the other end of a pipe. Its folder is
//! locked while the owner lives, so that the next process knows which folders are no longer needed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use migrate_base::ident::ident;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;

use super::office::administer;
use super::saved::{copy, evict, is_whole, touch};
use super::shared::{KEEP, Lease, SETTINGS, fifo, options};
use crate::error::ServerError;
use crate::provider::account::run_as;
use crate::provider::child::{ChildEnvironment, shell};
use crate::provider::cluster::{Cluster, private_folder, remove, write_private};
use crate::random;

const KEEPER: &str = include_str!("own.sh");
/// The prefixes of the folders of such servers, and of the folders with data to copy.
pub(super) const FOLDER: &str = "o-";
pub(super) const SAVED: &str = "t-";
/// The data that every server begins with: one empty database in addition to those that every server has.
const FRESH: &str = "fresh";
/// The name of that database.
pub(super) const DATABASE: &str = "test";
/// How many servers may outlive their owners: each has its own processes and memory.
const MOST_KEPT: usize = 4;

/// How long a server may take to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server for a single database, on a data folder.
#[derive(Debug)]
pub(super) struct OwnServer {
    folder: PathBuf,
    cluster: Cluster,
    running: Option<ServerShell>,
    /// Locked while this value exists.
    _lock: File,
    is_kept: bool,
}

/// The shell that runs the server, and the pipe that tells the shell that the owner is alive.
#[derive(Debug)]
struct ServerShell {
    shell: Child,
    pipe: ChildStdin,
}

impl OwnServer {
    /// A server with one empty database.
    pub(super) async fn fresh(lease: &Lease) -> Result<Self, ServerError> {
        static ONE_MAKES: Mutex<()> = Mutex::const_new(());
        let saved = lease.home.join(FRESH);
        {
            let _one = ONE_MAKES.lock().await;
            if !is_whole(&saved) {
                make(lease, &saved).await?;
            }
        }
        Self::of(lease, &saved).await
    }

    /// A server on a copy of saved data, if there is any.
    pub(super) async fn saved(lease: &Lease, name: &str) -> Option<Self> {
        let saved = lease.home.join(format!("{SAVED}{name}"));
        if !is_whole(&saved) {
            return None;
        }
        touch(&saved);
        // If another process removes the data at this moment, it is created again.
        Self::of(lease, &saved).await.ok()
    }

    /// Saves the data under a name, for later servers. The server is stopped and started again.
    pub(super) async fn save(&mut self, lease: &Lease, name: &str) -> Result<(), ServerError> {
        let saved = lease.home.join(format!("{SAVED}{name}"));
        let unfinished = lease.home.join(format!("{FOLDER}{}", random::hex(8)));
        self.stop().await?;
        let copied = copy(self.cluster.data.clone(), unfinished.join("data"), self.cluster.account.clone()).await;
        if copied.is_ok() {
            touch(&unfinished);
            // If another process was faster, its data is just as good.
            let _ = fs::rename(&unfinished, &saved);
        }
        let _ = remove(&unfinished);
        evict(&lease.home);
        self.start().await
    }

    /// Another server on a copy of the current data. This server is stopped and started again.
    pub(super) async fn copy(&mut self, lease: &Lease) -> Result<Self, ServerError> {
        self.stop().await?;
        let copied = Self::prepared(lease, Some(&self.cluster.data)).await;
        self.start().await?;
        let mut copied = copied?;
        copied.start().await?;
        Ok(copied)
    }

    async fn of(lease: &Lease, saved: &Path) -> Result<Self, ServerError> {
        let mut own = Self::prepared(lease, Some(&saved.join("data"))).await?;
        own.start().await?;
        Ok(own)
    }

    /// A locked folder, with a copy of this data.
    async fn prepared(lease: &Lease, data: Option<&Path>) -> Result<Self, ServerError> {
        let folder = lease.home.join(format!("{FOLDER}{}", random::hex(8)));
        let account = lease.cluster.account.clone();
        let lock = {
            let _guard = guard(&lease.home).await?;
            private_folder(&folder, account.as_ref())?;
            let lock = open(&folder.join("lock"))?;
            lock.lock().map_err(ServerError::io(&folder, "locked"))?;
            lock
        };
        let cluster = Cluster {
            data: folder.join("data"),
            sockets: folder.join("s"),
            log: folder.join("server.log"),
            ..lease.cluster.clone()
        };
        fifo(&folder.join("pause"), account.as_ref())?;
        let own = Self { folder, cluster, running: None, _lock: lock, is_kept: false };
        if let Some(data) = data {
            copy(data.to_owned(), own.cluster.data.clone(), account).await?;
        }
        Ok(own)
    }

    /// Starts the server. Settings from `ALTER SYSTEM` do not take effect by this start, just as they did not
    /// where they were written: a migration can request a library that shadow servers do not have.
    async fn start(&mut self) -> Result<(), ServerError> {
        let (written, aside) = (self.cluster.data.join("postgresql.auto.conf"), self.folder.join("auto.conf"));
        let is_aside = fs::rename(&written, &aside).is_ok();
        let started = self.start_as_made().await;
        if is_aside {
            fs::rename(&aside, &written).map_err(ServerError::io(&written, "put in place"))?;
        }
        started.map_err(|error| match error {
            // The log is removed with the folder.
            ServerError::Died { why, .. } => ServerError::Program { program: "postgres".to_owned(), why },
            other => other,
        })
    }

    async fn start_as_made(&mut self) -> Result<(), ServerError> {
        let postgres = self.cluster.command(None, &SETTINGS)?;
        let mut shell = shell(ChildEnvironment::Nothing, &[])?;
        shell.args(["-c", KEEPER, "roundtrip-server"]).arg(&self.folder).arg(KEEP.as_secs().to_string());
        shell.arg(postgres.get_program()).args(postgres.get_args());
        run_as(&mut shell, self.cluster.account.as_ref());
        // It gets its own process group: Ctrl-C in the terminal is meant for the owner, not for it.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let failed = |why: String| ServerError::Program { program: "/bin/sh".to_owned(), why };
        let mut shell = shell.spawn().map_err(|error| failed(error.to_string()))?;
        let pipe = shell.stdin.take().ok_or_else(|| failed("its standard input is missing".to_owned()))?;
        let running = self.running.insert(ServerShell { shell, pipe });
        let address = options(&self.cluster.sockets, "postgres");
        self.cluster.wait(&mut running.shell, &address, Duration::from_secs(30)).await
    }

    /// Stops the server in a way that leaves data that can be copied.
    async fn stop(&mut self) -> Result<(), ServerError> {
        let Some(ServerShell { mut shell, mut pipe }) = self.running.take() else { return Ok(()) };
        // If nothing reads the pipe, the server has already ended.
        let _ = pipe.write_all(b"stop\n");
        if !has_ended(&mut shell, PATIENCE).await {
            // It did not end in time, so it is forced to.
            self.cluster.stop().await?;
            if !has_ended(&mut shell, PATIENCE).await {
                let why = format!("it did not stop within {} s", PATIENCE.as_secs());
                return Err(ServerError::Program { program: "postgres".to_owned(), why });
            }
        }
        drop(pipe);
        Ok(())
    }

    /// The file of its log.
    pub(super) fn log(&self) -> &Path {
        &self.cluster.log
    }

    /// How to connect to one of its databases, as a superuser.
    pub(super) fn options(&self, database: &str) -> PgConnectOptions {
        options(&self.cluster.sockets, database)
    }

    /// Keeps it running for half an hour after its owner ends.
    pub(super) fn keep(&mut self) {
        let until = since_1970() + KEEP.as_secs() + 60;
        // If this cannot be written, the server ends a little early.
        let _ = write_private(&self.folder.join("keep"), &until.to_string(), self.cluster.account.as_ref());
        if let Some(running) = &mut self.running {
            let _ = running.pipe.write_all(b"keep\n");
        }
        self.is_kept = true;
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let Some(ServerShell { mut shell, pipe }) = self.running.take() else {
            let _ = remove(&self.folder);
            return;
        };
        // The shell waits for the end of the pipe; it removes the folder, if it can.
        drop(pipe);
        if !self.is_kept {
            let folder = self.folder.clone();
            std::thread::spawn(move || {
                let _ = shell.wait();
                let _ = remove(&folder);
            });
        }
    }
}

/// Whether a process has ended, or ends within this time.
async fn has_ended(process: &mut Child, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    // If its state cannot be queried, it has ended.
    while let Ok(None) = process.try_wait() {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    true
}

/// Creates the data that every server begins with.
async fn make(lease: &Lease, saved: &Path) -> Result<(), ServerError> {
    let mut own = OwnServer::prepared(lease, None).await?;
    // Small WAL segments, so that little is copied.
    own.cluster.init_with(&random::hex(32), &["--wal-segsize=1"])?;
    own.start().await?;
    let made = format!("CREATE DATABASE {} TEMPLATE template0 STRATEGY file_copy", ident(DATABASE));
    administer(&own.options("postgres"), &made).await?;
    own.stop().await?;
    let unfinished = lease.home.join(format!("{FOLDER}{}", random::hex(8)));
    private_folder(&unfinished, own.cluster.account.as_ref())?;
    fs::rename(&own.cluster.data, unfinished.join("data")).map_err(ServerError::io(&unfinished, "put in place"))?;
    match fs::rename(&unfinished, saved) {
        // Another process was faster.
        Err(_) if is_whole(saved) => remove(&unfinished),
        outcome => outcome.map_err(ServerError::io(saved, "put in place")),
    }
}

pub(super) fn since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The folders with this prefix.
pub(super) fn named(home: &Path, prefix: &'static str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(home).into_iter().flatten().flatten();
    entries.filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix)).map(|entry| entry.path())
}

/// Removes the folders of servers whose owners are gone, and ends what still runs there. What cannot be removed
/// now is left to the next process.
pub(super) async fn sweep(home: &Path, cluster: &Cluster) {
    let Ok(_guard) = guard(home).await else { return };
    let kept = kept(home);
    for folder in named(home, FOLDER).filter(|folder| !kept.contains(folder)) {
        let lock = folder.join("lock");
        // A copy in progress has no lock yet; no copy takes more than a few minutes.
        let is_new = || age(&folder) < Duration::from_secs(600);
        let is_held = match OpenOptions::new().write(true).open(&lock) {
            Ok(lock) => matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
            Err(_) => is_new(),
        };
        if !is_held {
            let left = Cluster { data: folder.join("data"), sockets: folder.join("s"), ..cluster.clone() };
            let _ = left.stop().await;
            let _ = remove(&folder);
        }
    }
}

/// The folders of the servers that outlive their owners: the newest ones.
fn kept(home: &Path) -> Vec<PathBuf> {
    let mut all: Vec<(u64, PathBuf)> =
        named(home, FOLDER).filter_map(|folder| Some((kept_until(&folder)?, folder))).collect();
    all.sort();
    all.into_iter().rev().take(MOST_KEPT).map(|(_, folder)| folder).collect()
}

/// When a server that outlives its owner ends, in seconds since 1970.
fn kept_until(folder: &Path) -> Option<u64> {
    let until = fs::read_to_string(folder.join("keep")).ok()?.trim().parse().ok()?;
    (until > since_1970()).then_some(until)
}

fn age(folder: &Path) -> Duration {
    let made = fs::metadata(folder).and_then(|meta| meta.modified()).ok();
    made.and_then(|made| made.elapsed().ok()).unwrap_or_default()
}

/// Prevents other processes from sweeping a folder that is not locked yet.
async fn guard(home: &Path) -> Result<File, ServerError> {
    let lock = open(&home.join("own.lock"))?;
    let locked = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
    let locked = locked.map_err(|error| std::io::Error::other(error.to_string())).and_then(|locked| locked);
    locked.map_err(ServerError::io(home, "locked"))
}

fn open(path: &Path) -> Result<File, ServerError> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    file.map_err(ServerError::io(path, "locked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_servers_outlive_their_owners() {
        let home = std::env::temp_dir().join(format!("roundtrip-kept-{}", random::hex(8)));
        let minutes = [7, 3, 9, 1, 8, 5];
        for later in minutes {
            let folder = home.join(format!("{FOLDER}{later}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("keep"), (since_1970() + later * 60).to_string()).unwrap();
        }
        for (name, keep) in [("over", "1"), ("no-number", "x")] {
            let folder = home.join(format!("{FOLDER}{name}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("keep"), keep).unwrap();
        }
        let expected: Vec<PathBuf> = [9, 8, 7, 5].iter().map(|later| home.join(format!("{FOLDER}{later}"))).collect();
        assert_eq!(kept(&home), expected);
        fs::remove_dir_all(&home).unwrap();
    }
}
