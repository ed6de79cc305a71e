//! The managed server of a project: made by the first command that needs it, kept until it
//! is destroyed, started again when it does not run.

use std::fmt;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::error::ServerError;
use crate::provider::account::Account;
use crate::provider::binaries::Binaries;
use crate::provider::cluster::{Cluster, SUPERUSER, private_folder, remove, write_private};
use crate::provider::docker::{self, Container};
use crate::random;

/// What a managed server is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The first that serves: binaries, then Docker.
    Auto,
    /// The PostgreSQL binaries of this machine.
    Local,
    /// A container of this image, or of one that is there.
    Docker(Option<String>),
}

/// The managed server of a project. It is named by the project's folder; nothing is opened
/// before [`Managed::up`].
#[derive(Debug, Clone)]
pub struct Managed {
    home: PathBuf,
    name: String,
    source: Source,
    account: Option<Account>,
}

/// What happens while a managed server is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A new one is made: with what.
    Making(String),
    /// It is started.
    Starting,
    /// The port that it had is taken; it gets this one.
    OtherPort(u16),
    /// It accepts connections, at this address.
    Running(String),
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Making(with) => write!(f, "making a development server with {with}"),
            Self::Starting => f.write_str("starting the development server"),
            Self::OtherPort(port) => write!(f, "its port is taken by another program; it gets port {port}"),
            Self::Running(at) => write!(f, "the development server runs at {at}"),
        }
    }
}

/// Where a managed server can be reached. Its password is never shown, except in [`Endpoint::url`].
#[derive(Clone, Serialize, Deserialize)]
pub struct Endpoint {
    format: u32,
    provider: Provider,
    port: u16,
    password: String,
    server_version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Provider {
    Local { sockets: PathBuf, binaries: PathBuf },
    Docker { image: String },
}

/// What a managed server is, and whether it runs.
#[derive(Debug, Clone)]
pub struct Status {
    /// Whether it accepts connections.
    pub running: bool,
    /// What it is made of, in words.
    pub provider: String,
    /// Where it is, if it was ever made.
    pub endpoint: Option<Endpoint>,
    /// Why it is made of this, and not of something else.
    pub why: Vec<String>,
}

const FORMAT: u32 = 1;
const READY: Duration = Duration::from_secs(60);
/// Development data survives a crash of the server; the last half second may not survive one
/// of the machine, and commits are several times quicker for it.
const SETTINGS: [(&str, &str); 2] = [("synchronous_commit", "off"), ("max_connections", "200")];

impl Managed {
    /// The managed server of a project folder.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoAccount`] for root on a machine without an account for servers.
    pub fn new(project: &Path, source: Source) -> Result<Self, ServerError> {
        let project = project.canonicalize().unwrap_or_else(|_| project.to_owned());
        let label = project.file_name().map_or("project".to_owned(), |name| name.to_string_lossy().into_owned());
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
        let label: String = label.chars().map(safe).take(24).collect();
        let name = format!("{label}-{:08x}", fnv(project.to_string_lossy().as_bytes()));
        Self::at(&base()?.join(name), source)
    }

    /// The managed server that lives in this folder.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoAccount`] for root on a machine without an account for servers.
    pub fn at(home: &Path, source: Source) -> Result<Self, ServerError> {
        let name = home.file_name().map_or("roundtrip".to_owned(), |name| name.to_string_lossy().into_owned());
        Ok(Self { home: home.to_owned(), name, source, account: Account::for_servers()? })
    }

    /// The folder with its data.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where it was when it ran last. No process is started and no connection made: whoever
    /// connects finds out whether that is still so, and calls [`Managed::up`] when it is not.
    pub fn recorded(&self) -> Option<Endpoint> {
        let text = fs::read_to_string(self.state_file()).ok()?;
        let endpoint: Endpoint = serde_json::from_str(&text).ok()?;
        let fits = match (&self.source, &endpoint.provider) {
            (Source::Auto, _)
            | (Source::Local, Provider::Local { .. })
            | (Source::Docker(None), Provider::Docker { .. }) => true,
            (Source::Docker(Some(wanted)), Provider::Docker { image }) => wanted == image,
            _ => false,
        };
        (endpoint.format == FORMAT && fits).then_some(endpoint)
    }

    /// Makes it where there is none, starts it where it does not run. Several at once are safe.
    ///
    /// # Errors
    ///
    /// [`ServerError`] with why it cannot be had.
    pub async fn up(&self, progress: &mut dyn FnMut(Progress)) -> Result<Endpoint, ServerError> {
        let _lock = self.lock()?;
        if let Some(endpoint) = self.recorded() {
            if self.answers(&endpoint).await {
                return Ok(endpoint);
            }
            progress(Progress::Starting);
            return self.start(endpoint, progress).await;
        }
        let endpoint = self.make(progress)?;
        self.start(endpoint, progress).await
    }

    /// Makes the database, if it is missing; says whether it was.
    ///
    /// # Errors
    ///
    /// [`ServerError::Refused`] with what the server said.
    pub async fn ensure_database(&self, endpoint: &Endpoint, name: &str) -> Result<bool, ServerError> {
        let refused = |error: sqlx::Error| refused(format!("make database {name}"), &error);
        let mut connection = PgConnection::connect_with(&endpoint.options("postgres")).await.map_err(refused)?;
        let create = format!("CREATE DATABASE {}", migrate_core::ident::ident(name));
        let made = sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await;
        // Closing says goodbye; nothing depends on it.
        let _ = connection.close().await;
        match made {
            Ok(_) => Ok(true),
            // 42P04 duplicate_database; 23505 when two make it at the same moment.
            Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P04" | "23505")) => {
                Ok(false)
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// Stops it; the data stays. `false` where it did not run.
    ///
    /// # Errors
    ///
    /// [`ServerError`] when it cannot be stopped.
    pub async fn down(&self) -> Result<bool, ServerError> {
        if !self.home.exists() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        let Some(endpoint) = self.recorded() else { return Ok(false) };
        match &endpoint.provider {
            Provider::Local { .. } => self.cluster(&endpoint)?.stop().await,
            Provider::Docker { .. } if self.container().running()? => self.container().stop().map(|()| true),
            Provider::Docker { .. } => Ok(false),
        }
    }

    /// Stops it and deletes its data.
    ///
    /// # Errors
    ///
    /// [`ServerError`] when it cannot be stopped, or its folder not be removed.
    pub async fn destroy(&self) -> Result<(), ServerError> {
        self.down().await?;
        if let Some(Endpoint { provider: Provider::Local { sockets, .. }, .. }) = self.recorded() {
            remove(&sockets)?;
        }
        if let Some(Endpoint { provider: Provider::Docker { .. }, .. }) = self.recorded() {
            self.container().remove()?;
        }
        remove(&self.home)
    }

    /// What it is, and whether it runs.
    ///
    /// # Errors
    ///
    /// None today; a provider may have to ask somebody who does not answer.
    pub async fn status(&self) -> Result<Status, ServerError> {
        let endpoint = self.recorded();
        let running = match &endpoint {
            Some(endpoint) => self.answers(endpoint).await,
            None => false,
        };
        let (provider, why) = match &endpoint {
            Some(endpoint) => (endpoint.provider.to_string(), Vec::new()),
            None => match self.choose() {
                Ok((provider, why)) => (format!("not made yet; it would be {provider}"), why),
                Err(error) => ("not made yet".to_owned(), vec![error.to_string()]),
            },
        };
        Ok(Status { running, provider, endpoint, why })
    }

    /// Chooses what it is made of, and says why nothing before it was taken.
    fn choose(&self) -> Result<(Provider, Vec<String>), ServerError> {
        let mut tried = Vec::new();
        if matches!(self.source, Source::Auto | Source::Local) {
            match Binaries::find(None) {
                Ok(found) => return Ok((Provider::Local { sockets: self.sockets(), binaries: found.folder }, tried)),
                Err(why) => tried.extend(why),
            }
        }
        if let Source::Docker(_) | Source::Auto = &self.source {
            match docker::available() {
                Ok(()) => {
                    let image = match &self.source {
                        Source::Docker(Some(image)) => image.clone(),
                        _ => docker::image()?,
                    };
                    return Ok((Provider::Docker { image }, tried));
                }
                Err(why) => tried.push(why),
            }
        }
        Err(ServerError::NoProvider { tried })
    }

    /// Makes a new one, up to the point where it can be started.
    fn make(&self, progress: &mut dyn FnMut(Progress)) -> Result<Endpoint, ServerError> {
        let (provider, _) = self.choose()?;
        progress(Progress::Making(provider.to_string()));
        let password = random::password().map_err(ServerError::io("/dev/urandom", "read"))?;
        let mut endpoint = Endpoint { format: FORMAT, provider, port: 0, password, server_version: String::new() };
        if let Provider::Local { binaries, .. } = &endpoint.provider {
            let found = Binaries::probe(binaries).map_err(|why| ServerError::NoProvider { tried: vec![why] })?;
            endpoint.server_version = found.version;
            // Without a state file a data folder is one that nobody knows the password of.
            remove(&self.home.join("data"))?;
            self.cluster(&endpoint)?.init(&endpoint.password)?;
        }
        Ok(endpoint)
    }

    async fn start(&self, mut endpoint: Endpoint, progress: &mut dyn FnMut(Progress)) -> Result<Endpoint, ServerError> {
        match endpoint.provider.clone() {
            Provider::Local { .. } => self.start_local(&mut endpoint, progress).await?,
            Provider::Docker { image } => {
                self.container().start(&image, &endpoint.password)?;
                endpoint.port = self.container().port()?;
                self.record(&endpoint)?;
                self.wait_for_container(&endpoint).await?;
            }
        }
        endpoint.server_version = version(&endpoint).await?;
        self.record(&endpoint)?;
        progress(Progress::Running(endpoint.display()));
        Ok(endpoint)
    }

    /// Starts the server on the data folder; one that was killed may have left processes that
    /// are still ending, so the first refusals are not the last word.
    async fn start_local(
        &self,
        endpoint: &mut Endpoint,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ServerError> {
        let cluster = self.cluster(endpoint)?;
        let begin = Instant::now();
        loop {
            let port = free_port(endpoint.port)?;
            if endpoint.port != 0 && port != endpoint.port {
                progress(Progress::OtherPort(port));
            }
            endpoint.port = port;
            self.record(endpoint)?;
            let mut child = cluster.start(Some(port), &SETTINGS)?;
            let outcome = cluster.wait(&mut child, &endpoint.options("postgres"), READY).await;
            let Err(error) = outcome else { return Ok(()) };
            let passing = matches!(&error, ServerError::Died { why, .. }
                if why.contains("shared memory") || why.contains("lock file") || why.contains("could not bind"));
            if !passing || begin.elapsed() > Duration::from_secs(15) {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn wait_for_container(&self, endpoint: &Endpoint) -> Result<(), ServerError> {
        let begin = Instant::now();
        loop {
            let why = match PgConnection::connect_with(&endpoint.options("postgres")).await {
                Ok(connection) => {
                    // Being able to connect is all that was asked.
                    let _ = connection.close().await;
                    return Ok(());
                }
                Err(error) => error.to_string(),
            };
            if begin.elapsed() > READY || !self.container().running()? {
                let why = format!("{why}; {}", self.container().log_tail());
                return Err(ServerError::NotReady { waited: begin.elapsed(), why });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn answers(&self, endpoint: &Endpoint) -> bool {
        match PgConnection::connect_with(&endpoint.options("postgres")).await {
            Ok(connection) => connection.close().await.is_ok(),
            Err(_) => false,
        }
    }

    fn cluster(&self, endpoint: &Endpoint) -> Result<Cluster, ServerError> {
        let Provider::Local { sockets, binaries } = &endpoint.provider else {
            return Err(ServerError::NoProvider { tried: vec!["it is a container".to_owned()] });
        };
        let data = self.home.join("data");
        let major = Cluster::data_major(&data);
        let recorded = Binaries::probe(binaries).ok().filter(|found| major.is_none_or(|major| major == found.major));
        let binaries = match (recorded, major) {
            (Some(found), _) => found,
            (None, major) => Binaries::find(major).map_err(|tried| match major {
                Some(major) => ServerError::OtherVersion { data: data.clone(), major },
                None => ServerError::NoProvider { tried },
            })?,
        };
        let (sockets, log) = (sockets.clone(), self.home.join("server.log"));
        Ok(Cluster { binaries, data, sockets, log, account: self.account.clone() })
    }

    fn container(&self) -> Container {
        Container { name: format!("roundtrip-{}", self.name) }
    }

    /// The folder of the sockets: beside the data, or somewhere shorter where that is too long
    /// for a socket's path (107 bytes on Linux, 103 on macOS).
    fn sockets(&self) -> PathBuf {
        let beside = self.home.join("sockets");
        let length = beside.as_os_str().len() + "/.s.PGSQL.65535.lock".len();
        if length < 100 {
            beside
        } else {
            PathBuf::from(format!("/tmp/roundtrip-{:08x}", fnv(self.home.as_os_str().as_encoded_bytes())))
        }
    }

    fn state_file(&self) -> PathBuf {
        self.home.join("state.json")
    }

    /// Writes where it is, in one piece.
    fn record(&self, endpoint: &Endpoint) -> Result<(), ServerError> {
        let path = self.state_file();
        let text = serde_json::to_string_pretty(endpoint).map_err(std::io::Error::from);
        let text = text.map_err(ServerError::io(&path, "written"))?;
        let beside = path.with_extension("json.new");
        write_private(&beside, &text, None)?;
        fs::rename(&beside, &path).map_err(ServerError::io(&path, "written"))
    }

    /// Keeps other processes from starting or stopping it at the same time.
    fn lock(&self) -> Result<File, ServerError> {
        private_folder(&self.home, self.account.as_ref())?;
        let path = self.home.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(ServerError::io(&path, "written"))?;
        file.lock().map_err(ServerError::io(&path, "locked"))?;
        Ok(file)
    }
}

impl Endpoint {
    /// How to connect to one of its databases.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().username(SUPERUSER).port(self.port).database(database);
        match &self.provider {
            Provider::Local { sockets, .. } => options.socket(sockets).ssl_mode(PgSslMode::Disable),
            Provider::Docker { .. } => options.host("127.0.0.1").password(&self.password).ssl_mode(PgSslMode::Disable),
        }
    }

    /// The URL of one of its databases over loopback, with the password.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Where it is, without the password.
    pub fn display(&self) -> String {
        format!("127.0.0.1:{} (PostgreSQL {}, {})", self.port, self.server_version, self.provider)
    }

    /// The version of the server.
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// The variables by which psql and its kin find one of its databases.
    pub fn psql_environment(&self, database: &str) -> Vec<(&'static str, String)> {
        let host = match &self.provider {
            Provider::Local { sockets, .. } => sockets.display().to_string(),
            Provider::Docker { .. } => "127.0.0.1".to_owned(),
        };
        vec![
            ("PGHOST", host),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", SUPERUSER.to_owned()),
            ("PGPASSWORD", self.password.clone()),
            ("PGDATABASE", database.to_owned()),
        ]
    }

    /// The psql that came with the server's binaries.
    pub fn psql_program(&self) -> Option<PathBuf> {
        let Provider::Local { binaries, .. } = &self.provider else { return None };
        Some(binaries.join("psql")).filter(|psql| psql.is_file())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.display())
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { binaries, .. } => write!(f, "binaries in {}", binaries.display()),
            Self::Docker { image } => write!(f, "Docker, image {image}"),
        }
    }
}

/// The port that is wanted if it is free, else one that is.
fn free_port(wanted: u16) -> Result<u16, ServerError> {
    let free = TcpListener::bind(("127.0.0.1", wanted)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    let port = free.and_then(|listener| listener.local_addr()).map(|address| address.port());
    port.map_err(ServerError::io("127.0.0.1", "listened at"))
}

async fn version(endpoint: &Endpoint) -> Result<String, ServerError> {
    let doing = || "tell its version".to_owned();
    let mut connection =
        PgConnection::connect_with(&endpoint.options("postgres")).await.map_err(|error| refused(doing(), &error))?;
    let version =
        sqlx::query_scalar::<_, String>("SELECT current_setting('server_version')").fetch_one(&mut connection).await;
    // Closing says goodbye; nothing depends on it.
    let _ = connection.close().await;
    let version = version.map_err(|error| refused(doing(), &error))?;
    Ok(version.split(' ').next().unwrap_or_default().to_owned())
}

/// The server's own sentence, not the driver's.
pub(crate) fn refused(doing: String, error: &sqlx::Error) -> ServerError {
    let why = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    ServerError::Refused { doing, why }
}

/// The folder in which managed servers live.
fn base() -> Result<PathBuf, ServerError> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(home) = from("ROUNDTRIP_HOME") {
        return Ok(home);
    }
    if rustix::process::geteuid().is_root() {
        // The account that runs the server cannot enter root's home.
        return Ok(PathBuf::from("/var/lib/roundtrip"));
    }
    let home = from("XDG_DATA_HOME").or_else(|| from("HOME").map(|home| home.join(".local/share")));
    Ok(home.unwrap_or_else(std::env::temp_dir).join("roundtrip"))
}

/// FNV-1a: a hash that is the same in every run and every version.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
