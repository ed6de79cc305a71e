//! A throw-away server for tests, and databases on it.
//!
//! It comes from the first that serves: the one that `ROUNDTRIP_TEST_SERVER` names, the
//! PostgreSQL binaries of this machine, Docker. The processes that run side by side, and those
//! that come soon after, share one.

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
mod template;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use migrate_core::config::DatabaseSource;
use migrate_core::runner::Rehearsal;
use migrate_core::{CodeMigrations, Database};
use sqlx::postgres::PgConnectOptions;
use tokio::sync::OnceCell;

use crate::error::ServerError;
use crate::provider::binaries::{Binaries, OLDEST};
#[cfg(not(feature = "testcontainers"))]
use crate::provider::throwaway::Throwaway;

pub(crate) use apart::{own_where, suited, watched};
pub use database::TestDatabase;
pub(crate) use owner::ROLE;
pub use replay::Replay;
pub use setup::Setup;
pub(crate) use template::{chain_key, is_large, keep_owned, keeps_owned, owned, refused, statements};
pub use template::{clear, migrated};

/// A server for tests, while this process uses it.
#[derive(Debug)]
pub struct EphemeralServer {
    address: Address,
    why: String,
}

#[derive(Debug)]
enum Address {
    Shared(shared::Lease),
    #[cfg(feature = "testcontainers")]
    Container(Box<container::Container>),
    #[cfg(not(feature = "testcontainers"))]
    Container(Box<Throwaway>),
    Given(Box<Database>),
}

/// The variable that says where the server comes from, in the words of `migrate.toml`.
pub(crate) const SERVER: &str = "ROUNDTRIP_TEST_SERVER";
/// The variable that says which binaries of this machine are taken.
pub(crate) const BINDIR: &str = "ROUNDTRIP_TEST_BINDIR";
/// The variable with the folder in which a shared server keeps its data.
pub(crate) const FOLDER: &str = "ROUNDTRIP_TEST_DIR";

static THE_SERVER: OnceCell<EphemeralServer> = OnceCell::const_new();

/// The server that all tests of this process use; the first that asks joins or starts it.
///
/// Only its address is shared. Every test opens its own connections, in its own runtime.
///
/// # Errors
///
/// [`ServerError`] with why there is none.
pub async fn server() -> Result<&'static EphemeralServer, ServerError> {
    THE_SERVER.get_or_try_init(EphemeralServer::start).await
}

/// Takes the server of this source for all databases of this process; `who` asks for it. Too late where there is one already.
///
/// # Errors
///
/// [`ServerError`] when it cannot be had.
pub async fn use_source(source: &DatabaseSource, who: &str) -> Result<(), ServerError> {
    THE_SERVER.get_or_try_init(|| EphemeralServer::of(source, who)).await.map(drop)
}

/// Makes a server that was found elsewhere the one that all databases of this process are made
/// on; `why` says so to whoever asks. Too late where there is one already. An address with several hosts, or several ways
/// to one, is [settled](Database::settled) before.
pub fn use_server(server: impl Into<Database>, why: impl Into<String>) {
    let _ = THE_SERVER.set(EphemeralServer { address: Address::Given(Box::new(server.into())), why: why.into() });
}

static LIMIT: OnceLock<Duration> = OnceLock::new();

/// Lets every statement that this process rehearses run for this long, in place of [`Rehearsal::LIMIT`]; zero is for ever.
/// Who says it first is heard.
pub fn limit_statements(limit: Duration) {
    let _ = LIMIT.set(limit);
}

/// How long a statement may run that this process rehearses.
pub fn statement_limit() -> Duration {
    LIMIT.get().copied().unwrap_or(Rehearsal::LIMIT)
}

/// The mark of this process, with which the names of what it makes on the server end.
pub(crate) async fn mark() -> Result<&'static str, ServerError> {
    owner::mark(server().await?).await
}

/// A session for migrations, on a database that is thrown away.
pub(crate) async fn rehearsal(database: Database, code: &CodeMigrations) -> migrate_core::Result<Rehearsal> {
    Rehearsal::open_limited(database, code.clone(), statement_limit()).await
}

impl EphemeralServer {
    /// Takes the server that `ROUNDTRIP_TEST_SERVER` names: `local`, `docker`, `docker:IMAGE`,
    /// `env:VARIABLE` or a URL. Without it, or with `auto`, the first that serves: the binaries
    /// in `ROUNDTRIP_TEST_BINDIR`, the newest binaries of this machine, Docker.
    ///
    /// # Errors
    ///
    /// [`ServerError`] with why it cannot be had.
    pub async fn start() -> Result<Self, ServerError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let named = variable(SERVER).unwrap_or_else(|| "auto".to_owned());
        let unknown = || ServerError::NotHad {
            who: SERVER.to_owned(),
            why: format!("it is not one of {}", DatabaseSource::FORMS),
        };
        Self::of(&named.parse().map_err(|_| unknown())?, SERVER).await
    }

    /// The server of this source, as [`EphemeralServer::start`] takes it; `who` asks for it.
    ///
    /// # Errors
    ///
    /// [`ServerError`] when it cannot be had.
    pub async fn of(source: &DatabaseSource, who: &str) -> Result<Self, ServerError> {
        let asked = || format!("{who} requests it");
        // What was named is used, or it is an error: nothing else takes its place.
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
                Ok(Self { address: Address::Given(Box::new(database)), why: format!("{who} gives its address") })
            }
        }
    }

    async fn first_that_serves() -> Result<Self, ServerError> {
        let mut tried = vec![format!("{SERVER} is not set")];
        match binaries() {
            // What was named is used, or it is an error.
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
        Ok(Self { address: Address::Shared(lease), why })
    }

    async fn docker(image: Option<&str>, why: String) -> Result<Self, ServerError> {
        #[cfg(feature = "testcontainers")]
        let container = container::Container::take(image).await?;
        #[cfg(not(feature = "testcontainers"))]
        let container = Throwaway::start(image).await?;
        let why = format!("a container of {} ({why})", container.image());
        Ok(Self { address: Address::Container(Box::new(container)), why })
    }

    /// Which server it is, and why the others were not taken.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// How to connect to one of its databases, as a superuser.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        match &self.address {
            Address::Shared(lease) => lease.options(database),
            Address::Container(container) => container.options(database),
            Address::Given(given) => given.named(database).options().clone(),
        }
    }

    /// The same as a URL, for programs.
    pub fn url(&self, database: &str) -> String {
        match &self.address {
            // On its sockets everybody is let in who may open their folder.
            Address::Shared(_) => Database::from(self.options(database)).shown_url(),
            _ => Database::from(self.options(database)).url_with_password(),
        }
    }

    /// The same for people, who give it to psql: with a password only where the server is a container that is thrown away.
    pub(crate) fn shown_url(&self, database: &str) -> String {
        match &self.address {
            Address::Container(_) => self.url(database),
            _ => Database::from(self.options(database)).shown_url(),
        }
    }

    /// Whether it is the shared server of this machine: what is made on it is nobody else's business, templates are there the next
    /// time, and what is to go may go later.
    pub(crate) fn remembers(&self) -> bool {
        matches!(self.address, Address::Shared(_))
    }

    /// Whether a database can have a server of its own: a server that is given by its address cannot be had twice.
    pub(crate) fn can_be_apart(&self) -> bool {
        !matches!(self.address, Address::Given(_))
    }

    /// The folder of the shared server, where it is one of this machine.
    fn lease(&self) -> Option<&shared::Lease> {
        match &self.address {
            Address::Shared(lease) => Some(lease),
            _ => None,
        }
    }

    /// The image that its container is made of, where it is one.
    fn image(&self) -> Option<&str> {
        match &self.address {
            Address::Container(container) => Some(container.image()),
            _ => None,
        }
    }

    /// Lets it live on for a while, for a database that was kept.
    fn linger(&self) {
        match &self.address {
            Address::Shared(lease) => lease.linger(),
            Address::Container(container) => container.watch().keep(),
            Address::Given(_) => {}
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
