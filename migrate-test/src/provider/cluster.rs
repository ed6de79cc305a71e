//! A data folder and the server on it: create, start, detect, stop.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::time::sleep;

use super::account::{Account, run_as};
use super::binaries::Binaries;
use super::{last_lines, output};
use crate::error::ServerError;

/// The superuser of a new cluster.
pub const SUPERUSER: &str = "postgres";

/// A statement ends soon after its client was killed. Only Linux can check a socket for this; other systems
/// refuse the setting.
#[cfg(target_os = "linux")]
const NOTICES_LOST_CLIENT: [(&str, &str); 1] = [("client_connection_check_interval", "1s")];
#[cfg(not(target_os = "linux"))]
const NOTICES_LOST_CLIENT: [(&str, &str); 0] = [];

/// A data folder, with what is needed to run a server on it.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The binaries that made it.
    pub binaries: Binaries,
    /// The data folder.
    pub data: PathBuf,
    /// The folder of its sockets; only its owner and root can enter it.
    pub sockets: PathBuf,
    /// The file with the server's output.
    pub log: PathBuf,
    /// The account that runs it, if we are root.
    pub account: Option<Account>,
}

impl Cluster {
    /// Creates the data folder atomically: a run that is killed halfway leaves only a folder beside it, which
    /// the next run replaces.
    ///
    /// Over TCP a client needs the password. The private socket is protected by its folder.
    ///
    /// # Errors
    ///
    /// [`ServerError::Program`] with the message of `initdb`, [`ServerError::Io`] for the folders.
    pub fn init(&self, password: &str) -> Result<(), ServerError> {
        self.init_with(password, &[])
    }

    /// The same with more arguments for `initdb`.
    pub(crate) fn init_with(&self, password: &str, more: &[&str]) -> Result<(), ServerError> {
        let unfinished = self.data.with_extension("unfinished");
        remove(&unfinished)?;
        private_folder(&unfinished, self.account.as_ref())?;
        let secret = unfinished.with_extension("secret");
        write_private(&secret, password, self.account.as_ref())?;
        let attempt = |locale: &str| {
            let mut initdb = self.binaries.program("initdb");
            initdb.arg("-D").arg(&unfinished).arg("--pwfile").arg(&secret).arg(format!("--username={SUPERUSER}"));
            initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--no-sync"]);
            initdb.arg(format!("--locale={locale}")).args(more);
            run_as(&mut initdb, self.account.as_ref());
            output(&mut initdb, Duration::from_secs(120))
        };
        // Not every machine has the locale C.UTF-8, but all have C.
        let made = attempt("C.UTF-8").or_else(|error| match &error {
            ServerError::Program { why, .. } if why.contains("locale") => {
                remove(&unfinished)?;
                private_folder(&unfinished, self.account.as_ref())?;
                attempt("C")
            }
            _ => Err(error),
        });
        let _ = fs::remove_file(&secret);
        made?;
        fs::rename(&unfinished, &self.data).map_err(ServerError::io(&self.data, "put in place"))
    }

    /// The major version that created the data folder; `None` if there is no data folder.
    pub fn data_major(data: &Path) -> Option<u32> {
        fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    /// Starts a server and returns its process immediately; see [`Cluster::wait`].
    ///
    /// The process gets its own process group, so that Ctrl-C in a terminal does not reach it.
    ///
    /// # Errors
    ///
    /// [`ServerError::Program`] when the binary cannot be started, [`ServerError::Io`] for the log.
    pub fn start(&self, port: Option<u16>, settings: &[(&str, &str)]) -> Result<Child, ServerError> {
        let mut postgres = self.command(port, settings)?;
        let log = OpenOptions::new().create(true).write(true).truncate(true).open(&self.log);
        let log = log.map_err(ServerError::io(&self.log, "written"))?;
        let errors = log.try_clone().map_err(ServerError::io(&self.log, "written"))?;
        run_as(&mut postgres, self.account.as_ref());
        postgres.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
        let failed =
            |error: std::io::Error| ServerError::Program { program: "postgres".to_owned(), why: error.to_string() };
        postgres.spawn().map_err(failed)
    }

    /// The command that runs a server. Files that a killed server left behind are removed first.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] for the folder of its sockets.
    pub(crate) fn command(&self, port: Option<u16>, settings: &[(&str, &str)]) -> Result<Command, ServerError> {
        private_folder(&self.sockets, self.account.as_ref())?;
        if self.running().is_none() {
            // A killed server leaves its pid file. PostgreSQL removes the file itself, unless the pid belongs
            // to another process by now, or still to the dead one: if nothing reaps processes (as the first
            // process of many containers does not), a dead server keeps its pid.
            let _ = fs::remove_file(self.data.join("postmaster.pid"));
            for left in fs::read_dir(&self.sockets).into_iter().flatten().flatten() {
                let _ = fs::remove_file(left.path());
            }
        }
        let mut postgres = self.binaries.program("postgres");
        postgres.arg("-D").arg(&self.data).arg("-k").arg(&self.sockets);
        match port {
            Some(port) => postgres.args(["-h", "127.0.0.1", "-p"]).arg(port.to_string()),
            None => postgres.args(["-h", ""]),
        };
        for (name, value) in settings.iter().chain(&NOTICES_LOST_CLIENT) {
            postgres.arg("-c").arg(format!("{name}={value}"));
        }
        Ok(postgres)
    }

    /// Waits until a connection is accepted.
    ///
    /// # Errors
    ///
    /// [`ServerError::Died`] with the end of the log as soon as the process ends; [`ServerError::NotReady`]
    /// when the deadline passes.
    pub async fn wait(
        &self,
        child: &mut Child,
        options: &PgConnectOptions,
        deadline: Duration,
    ) -> Result<(), ServerError> {
        let begin = Instant::now();
        let mut pause = Duration::from_millis(4);
        loop {
            let why = match PgConnection::connect_with(options).await {
                Ok(connection) => {
                    // The purpose was only to check that it accepts connections.
                    let _ = connection.close().await;
                    return Ok(());
                }
                Err(error) => error.to_string(),
            };
            if let Ok(Some(_)) = child.try_wait() {
                return Err(ServerError::Died { why: self.log_tail(), log: self.log.clone() });
            }
            if begin.elapsed() > deadline {
                return Err(ServerError::NotReady { waited: deadline, why });
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self) -> String {
        last_lines(&String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()), 5)
    }

    /// The process that runs on the data folder, if there is one. A pid file that a killed server left behind
    /// does not count.
    pub fn running(&self) -> Option<Pid> {
        let file = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let pid = Pid::from_raw(file.lines().next()?.trim().parse().ok()?)?;
        (test_kill_process(pid).is_ok() && is_postgres(pid)).then_some(pid)
    }

    /// Stops the server with a fast shutdown, and with an immediate one if that takes too long; `false` if none
    /// runs.
    ///
    /// # Errors
    ///
    /// [`ServerError::Program`] when it does not end.
    pub async fn stop(&self) -> Result<bool, ServerError> {
        let Some(pid) = self.running() else { return Ok(false) };
        for (signal, patience) in [(Signal::INT, 30), (Signal::QUIT, 10)] {
            // If the signal cannot be sent, the process is gone.
            let _ = kill_process(pid, signal);
            let end = Instant::now() + Duration::from_secs(patience);
            while Instant::now() < end {
                if self.running() != Some(pid) {
                    return Ok(true);
                }
                sleep(Duration::from_millis(5)).await;
            }
        }
        Err(ServerError::Program {
            program: "postgres".to_owned(),
            why: format!("process {} does not end", pid.as_raw_nonzero()),
        })
    }
}

/// Whether a process is alive and a PostgreSQL server. If that cannot be determined, it is assumed.
fn is_postgres(pid: Pid) -> bool {
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    if !Path::new("/proc/self").exists() {
        return true;
    }
    let state = fs::read_to_string(process.join("stat")).unwrap_or_default();
    let ended = state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    !ended && matches!(name.trim(), "postgres" | "postmaster")
}

/// Creates a folder that only its owner can enter, and gives it to the account.
pub(crate) fn private_folder(folder: &Path, account: Option<&Account>) -> Result<(), ServerError> {
    fs::create_dir_all(folder).map_err(ServerError::io(folder, "created"))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(ServerError::io(folder, "protected"))?;
    account.map_or(Ok(()), |account| account.own(folder))
}

/// Writes a file that only its owner can read, and gives it to the account.
pub(crate) fn write_private(path: &Path, text: &str, account: Option<&Account>) -> Result<(), ServerError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file: File = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(ServerError::io(path, "written"))?;
    file.write_all(text.as_bytes()).map_err(ServerError::io(path, "written"))?;
    account.map_or(Ok(()), |account| account.own(path))
}

/// Removes a folder and its contents, if it exists.
pub(crate) fn remove(folder: &Path) -> Result<(), ServerError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ServerError::io(folder, "removed")(error)),
        _ => Ok(()),
    }
}
