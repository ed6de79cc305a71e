//! A shadow server for tests, and databases on it.
//!
//! It is the first available of: the server that `ROUNDTRIP_TEST_SERVER` names, the PostgreSQL binaries on this
//! machine, Docker. Processes that run at the same time, and those that start soon after, share one server.

mod apart;
#[cfg(feature = "testcontainers")]
mod container;
mod database;
mod office;
mod own;
mod owner;
mod replay;
mod saved;
mod setup;
mod shared;
mod statement_log;
mod template;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use migrate_core::runner::Rehearsal;
use migrate_core::{CodeMigrations, Database};
use migrate_review::config::DatabaseSource;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::OnceCell;

use crate::error::ServerError;
use crate::provider::binaries::{Binaries, OLDEST};
#[cfg(not(feature = "testcontainers"))]
use crate::provider::throwaway::ShadowContainer;

pub(crate) use apart::{own_where, suited, watched};
pub use database::TestDatabase;
pub(crate) use owner::ROLE;
pub use replay::ReplaySettings;
pub use setup::Setup;
pub(crate) use statement_log::{LoggedMessage, StatementLog};
pub(crate) use template::{chain_key, is_large, keep_owned, keeps_owned, owned, refused, statements};
pub use template::{clear, migrated};

/// A server for tests, while this process uses it.
#[derive(Debug)]
pub struct EphemeralServer {
    address: ServerHandle,
    why: String,
}

#[derive(Debug)]
enum ServerHandle {
    Shared(shared::Lease),
    #[cfg(feature = "testcontainers")]
    Container(Box<container::TestContainer>),
    #[cfg(not(feature = "testcontainers"))]
    Container(Box<ShadowContainer>),
    Given(Box<Database>),
}

/// The variable that says where the server comes from, in the same form as in `migrate.toml`.
pub(crate) const SERVER: &str = "ROUNDTRIP_TEST_SERVER";
/// The variable that says which binaries on this machine are used.
pub(crate) const BINDIR: &str = "ROUNDTRIP_TEST_BINDIR";
/// The variable for the folder in which a shared server keeps its data.
pub(crate) const FOLDER: &str = "ROUNDTRIP_TEST_DIR";

static THE_SERVER: OnceCell<EphemeralServer> = OnceCell::const_new();

/// The server that all tests of this process use. The first caller joins or starts it.
///
/// Only its address is shared. Every test opens its own connections, in its own runtime.
///
/// # Errors
///
/// [`ServerError`] with the reason why there is none.
pub async fn server() -> Result<&'static EphemeralServer, ServerError> {
    THE_SERVER.get_or_try_init(EphemeralServer::start).await
}

/// Uses the server of this source for all databases of this process; `who` names what requests it. Has no
/// effect if the process already has a server.
///
/// # Errors
///
/// [`ServerError`] when it is not available.
pub async fn use_source(source: &DatabaseSource, who: &str) -> Result<(), ServerError> {
    THE_SERVER.get_or_try_init(|| EphemeralServer::of(source, who)).await.map(drop)
}

/// Uses an existing server for all databases of this process; `why` is the explanation for users. Has no effect
/// if the process already has a server. An address with several hosts, or several ways to one host, must be
/// [settled](Database::settled) before.
pub fn use_server(server: impl Into<Database>, why: impl Into<String>) {
    let _ = THE_SERVER.set(EphemeralServer { address: ServerHandle::Given(Box::new(server.into())), why: why.into() });
}

static LIMIT: OnceLock<Duration> = OnceLock::new();

/// Sets the time limit for every statement that this process rehearses, instead of [`Rehearsal::LIMIT`]; zero
/// means no limit. The first call wins.
pub fn limit_statements(limit: Duration) {
    let _ = LIMIT.set(limit);
}

/// The time limit for statements that this process rehearses.
pub fn statement_limit() -> Duration {
    LIMIT.get().copied().unwrap_or(Rehearsal::LIMIT)
}

/// The mark of this process: the suffix of the names of everything that it creates on the server.
pub(crate) async fn mark() -> Result<&'static str, ServerError> {
    owner::mark(server().await?).await
}

/// A session for migrations, on a shadow database.
pub(crate) async fn rehearsal(database: Database, code: &CodeMigrations) -> migrate_core::Result<Rehearsal> {
    Rehearsal::open_limited(database, code.clone(), statement_limit()).await
}

impl EphemeralServer {
    /// Uses the server that `ROUNDTRIP_TEST_SERVER` names: `local`, `docker`, `docker:IMAGE`, `env:VARIABLE` or
    /// a URL. If the variable is not set, or is `auto`, the first available of: the binaries in
    /// `ROUNDTRIP_TEST_BINDIR`, the newest binaries on this machine, Docker.
    ///
    /// # Errors
    ///
    /// [`ServerError`] with the reason why it is not available.
    pub async fn start() -> Result<Self, ServerError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let named = variable(SERVER).unwrap_or_else(|| "auto".to_owned());
        let unknown = || ServerError::NotHad {
            who: SERVER.to_owned(),
            why: format!("it is not one of {}", DatabaseSource::FORMS),
        };
        Self::of(&named.parse().map_err(|_| unknown())?, SERVER).await
    }

    /// The server of this source, as [`EphemeralServer::start`] uses it; `who` names what requests it.
    ///
    /// # Errors
    ///
    /// [`ServerError`] when it is not available.
    pub async fn of(source: &DatabaseSource, who: &str) -> Result<Self, ServerError> {
        let asked = || format!("{who} requests it");
        // A server that is named explicitly is used, or it is an error. No other server is used instead.
        let not_had = |why: String| ServerError::NotHad { who: who.to_owned(), why };
        let named = |error| match error {
            ServerError::NoProvider { tried } => not_had(tried.join("; ")),
            other => other,
        };
        match source {
            DatabaseSource::Auto => Self::first_that_serves().await,
            DatabaseSource::Local => {
                let found = binaries().map_err(|tried| not_had(tried.join("; ")))?;
                Self::local(found, asked()).await
            }
            DatabaseSource::Docker(image) => Self::docker(image.as_deref(), asked()).await.map_err(named),
            DatabaseSource::Variable(_) | DatabaseSource::Url(_) => {
                let given = |error: migrate_core::Error| {
                    ServerError::Given(error.note(format!("{who} names the server on which migrations are tested")))
                };
                let url = source.url().map_err(given)?.unwrap_or_default();
                let database = Database::parse(&url).map_err(given)?.settled().await.map_err(given)?;
                Ok(Self { address: ServerHandle::Given(Box::new(database)), why: format!("{who} gives its address") })
            }
        }
    }

    async fn first_that_serves() -> Result<Self, ServerError> {
        let mut tried = vec![format!("{SERVER} is not set")];
        match binaries() {
            // Binaries that are named explicitly are used, or it is an error.
            Err(why) if is_set(BINDIR) => {
                return Err(ServerError::NotHad { who: BINDIR.to_owned(), why: why.join("; ") });
            }
            Ok(found) => return Self::local(found, tried.join("; ")).await,
            Err(why) => tried.extend(why),
        }
        match Self::docker(None, tried.join("; ")).await {
            Err(ServerError::NoProvider { tried: why }) => {
                tried.extend(why);
                Err(ServerError::NoProvider { tried })
            }
            outcome => outcome,
        }
    }

    async fn local(binaries: Binaries, why: String) -> Result<Self, ServerError> {
        let (version, folder) = (binaries.version.clone(), binaries.folder.display().to_string());
        let lease = shared::Lease::take(binaries).await?;
        let how = if lease.started { "started" } else { "joined" };
        let why = format!("{how} PostgreSQL {version} of {folder} ({why})");
        Ok(Self { address: ServerHandle::Shared(lease), why })
    }

    async fn docker(image: Option<&str>, why: String) -> Result<Self, ServerError> {
        #[cfg(feature = "testcontainers")]
        let container = container::TestContainer::take(image).await?;
        #[cfg(not(feature = "testcontainers"))]
        let container = ShadowContainer::start(image).await?;
        let why = format!("a container of {} ({why})", container.image());
        Ok(Self { address: ServerHandle::Container(Box::new(container)), why })
    }

    /// Which server it is, and why the others were not used.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// How to connect to one of its databases, as a superuser.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        match &self.address {
            ServerHandle::Shared(lease) => lease.options(database),
            ServerHandle::Container(container) => container.options(database),
            ServerHandle::Given(given) => given.named(database).options().clone(),
        }
    }

    /// The same as a URL, for programs.
    pub fn url(&self, database: &str) -> String {
        match &self.address {
            // Its sockets have no password: everybody who may open their folder is let in.
            ServerHandle::Shared(_) => Database::from(self.options(database)).shown_url(),
            _ => Database::from(self.options(database)).url_with_password(),
        }
    }

    /// The same for display, to be passed to psql. It contains a password only if the server is a container
    /// that is removed later.
    pub(crate) fn shown_url(&self, database: &str) -> String {
        match &self.address {
            ServerHandle::Container(_) => self.url(database),
            _ => Database::from(self.options(database)).shown_url(),
        }
    }

    /// Whether it is the shared server of this machine: nobody else depends on what is created on it, templates
    /// are still there the next time, and drops may be deferred.
    pub(crate) fn remembers(&self) -> bool {
        matches!(self.address, ServerHandle::Shared(_))
    }

    /// Whether a database can have its own server. A server that is given by its address cannot be started a
    /// second time.
    pub(crate) fn can_be_apart(&self) -> bool {
        !matches!(self.address, ServerHandle::Given(_))
    }

    /// The folder of the shared server, if it runs on this machine.
    fn lease(&self) -> Option<&shared::Lease> {
        match &self.address {
            ServerHandle::Shared(lease) => Some(lease),
            _ => None,
        }
    }

    /// The image of its container, if it is one.
    fn image(&self) -> Option<&str> {
        match &self.address {
            ServerHandle::Container(container) => Some(container.image()),
            _ => None,
        }
    }

    /// Keeps it running for a while, for a database that was kept.
    fn linger(&self) {
        match &self.address {
            ServerHandle::Shared(lease) => lease.linger(),
            ServerHandle::Container(container) => container.watch().keep(),
            ServerHandle::Given(_) => {}
        }
    }
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

fn binaries() -> Result<Binaries, Vec<String>> {
    match std::env::var_os(BINDIR).filter(|folder| !folder.is_empty()) {
        Some(folder) => match Binaries::probe(Path::new(&folder)) {
            Ok(found) if found.major < OLDEST => {
                Err(vec![format!("{} has PostgreSQL {}, older than {OLDEST}", found.folder.display(), found.version)])
            }
            found => found.map_err(|why| vec![why]),
        },
        None => Binaries::find(None),
    }
}
