//! The managed server of a project: created by the first command that needs it, kept until it is destroyed, and
//! started again if it does not run.

mod endpoint;
mod make;
mod start;

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

pub use endpoint::Endpoint;
use endpoint::{FORMAT, Provider};

use crate::error::ServerError;
use crate::provider::account::Account;
use crate::provider::cluster::{private_folder, remove, write_private};

/// The provider of a managed server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderChoice {
    /// The first available of: binaries, then Docker.
    Auto,
    /// The PostgreSQL binaries on this machine.
    Local,
    /// A container of this image, or of one that is available locally.
    Docker(Option<String>),
}

/// The managed server of a project. It is identified by the project's folder; nothing is opened before
/// [`ManagedServer::up`].
#[derive(Debug, Clone)]
pub struct ManagedServer {
    home: PathBuf,
    name: String,
    source: ProviderChoice,
    account: Option<Account>,
}

/// What happens while a managed server is started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerProgress {
    /// A new server is being created, with this provider.
    Making(String),
    /// It is being started.
    Starting,
    /// Its previous port is in use; it gets this one.
    OtherPort(u16),
    /// It accepts connections at this address.
    Running(String),
}

impl fmt::Display for ServerProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Making(with) => write!(f, "creating a development server with {with}"),
            Self::Starting => f.write_str("starting the development server"),
            Self::OtherPort(port) => write!(f, "its port is in use by another program; it gets port {port}"),
            Self::Running(at) => write!(f, "the development server runs at {at}"),
        }
    }
}

/// What a managed server is, and whether it runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Whether it accepts connections.
    pub running: bool,
    /// Its provider, in words.
    pub provider: String,
    /// Its address, if it was ever created.
    pub endpoint: Option<Endpoint>,
    /// Why this provider was chosen.
    pub why: Vec<String>,
}

impl ManagedServer {
    /// The managed server of a project folder.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoAccount`] for root on a machine without an account for servers.
    pub fn new(project: &Path, source: ProviderChoice) -> Result<Self, ServerError> {
        let project = project.canonicalize().unwrap_or_else(|_| project.to_owned());
        let label = project.file_name().map_or("project".to_owned(), |name| name.to_string_lossy().into_owned());
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
        let label: String = label.chars().map(safe).take(24).collect();
        let name = format!("{label}-{:08x}", make::fnv(project.to_string_lossy().as_bytes()));
        Self::at(&make::base()?.join(name), source)
    }

    /// The managed server in this folder.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoAccount`] for root on a machine without an account for servers.
    pub fn at(home: &Path, source: ProviderChoice) -> Result<Self, ServerError> {
        let name = home.file_name().map_or("roundtrip".to_owned(), |name| name.to_string_lossy().into_owned());
        Ok(Self { home: home.to_owned(), name, source, account: Account::for_servers()? })
    }

    /// The folder with its data.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its address when it ran last. No process is started and no connection is opened: the caller finds out by
    /// connecting whether the address is still valid, and calls [`ManagedServer::up`] if it is not.
    pub fn recorded(&self) -> Option<Endpoint> {
        let text = fs::read_to_string(self.state_file()).ok()?;
        let endpoint: Endpoint = serde_json::from_str(&text).ok()?;
        let fits = match (&self.source, &endpoint.provider) {
            (ProviderChoice::Auto, _)
            | (ProviderChoice::Local, Provider::Local { .. })
            | (ProviderChoice::Docker(None), Provider::Docker { .. }) => true,
            (ProviderChoice::Docker(Some(wanted)), Provider::Docker { image }) => wanted == image,
            _ => false,
        };
        (endpoint.format == FORMAT && fits).then_some(endpoint)
    }

    /// Creates the server if there is none, and starts it if it does not run. Concurrent calls are safe.
    ///
    /// # Errors
    ///
    /// [`ServerError`] with the reason why it is not available.
    pub async fn up(&self, progress: &mut dyn FnMut(ServerProgress)) -> Result<Endpoint, ServerError> {
        let _lock = self.lock()?;
        if let Some(endpoint) = self.recorded() {
            if self.answers(&endpoint).await {
                return Ok(endpoint);
            }
            progress(ServerProgress::Starting);
            return self.start(endpoint, progress).await;
        }
        let endpoint = self.make(progress)?;
        self.start(endpoint, progress).await
    }

    /// Creates the database if it is missing; returns whether it was.
    ///
    /// # Errors
    ///
    /// [`ServerError::Refused`] with the server's message.
    pub async fn ensure_database(&self, endpoint: &Endpoint, name: &str) -> Result<bool, ServerError> {
        let refused = |error: sqlx::Error| ServerError::refused(format!("create database {name}"), &error);
        let mut connection = PgConnection::connect_with(&endpoint.options("postgres")).await.map_err(refused)?;
        let create = format!("CREATE DATABASE {}", migrate_base::ident::ident(name));
        let made = sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await;
        // Closing is a courtesy; nothing depends on it.
        let _ = connection.close().await;
        match made {
            Ok(_) => Ok(true),
            // 42P04 is duplicate_database; 23505 occurs if two processes create it at the same moment.
            Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P04" | "23505")) => {
                Ok(false)
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// Stops it; the data stays. `false` if it was not running.
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
    /// [`ServerError`] when it cannot be stopped, or its folder cannot be removed.
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
    /// Currently none; a future provider may have to query a service that does not answer.
    pub async fn status(&self) -> Result<ServerStatus, ServerError> {
        let endpoint = self.recorded();
        let running = match &endpoint {
            Some(endpoint) => self.answers(endpoint).await,
            None => false,
        };
        let (provider, why) = match &endpoint {
            Some(endpoint) => (endpoint.provider.to_string(), Vec::new()),
            None => match self.choose() {
                Ok((provider, why)) => (format!("not created yet; it would use {provider}"), why),
                Err(error) => ("not created yet".to_owned(), vec![error.to_string()]),
            },
        };
        Ok(ServerStatus { running, provider, endpoint, why })
    }

    async fn answers(&self, endpoint: &Endpoint) -> bool {
        match PgConnection::connect_with(&endpoint.options("postgres")).await {
            Ok(connection) => connection.close().await.is_ok(),
            Err(_) => false,
        }
    }

    fn state_file(&self) -> PathBuf {
        self.home.join("state.json")
    }

    /// Writes its address to the state file, atomically.
    fn record(&self, endpoint: &Endpoint) -> Result<(), ServerError> {
        let path = self.state_file();
        let text = serde_json::to_string_pretty(endpoint).map_err(std::io::Error::from);
        let text = text.map_err(ServerError::io(&path, "written"))?;
        let beside = path.with_extension("json.new");
        write_private(&beside, &text, None)?;
        fs::rename(&beside, &path).map_err(ServerError::io(&path, "written"))
    }

    /// Prevents other processes from starting or stopping it at the same time.
    fn lock(&self) -> Result<File, ServerError> {
        private_folder(&self.home, self.account.as_ref())?;
        let path = self.home.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(ServerError::io(&path, "written"))?;
        file.lock().map_err(ServerError::io(&path, "locked"))?;
        Ok(file)
    }
}
