//! A separate database for each test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use migrate_base::ident::{ident, literal};
use migrate_core::{Database, Migration};
use sqlx::Connection;
use sqlx::postgres::PgConnectOptions;

use super::apart::{self, DatabasePlacement};
use super::office::{self, administer, cannot};
use super::own::{self, OwnServer};
use super::replay::ReplaySettings;
use super::setup::Setup;
use super::shared::Lease;
use super::statement_log::StatementLog;
use super::{EphemeralServer, owner, server, template};
use crate::error::ServerError;
use crate::provider::throwaway::ShadowContainer;
use crate::random;

/// The prefix of the names of all test databases.
pub(super) const PREFIX: &str = "test_";

/// How long a server may take to read its settings again.
const RELOADED: std::time::Duration = std::time::Duration::from_secs(10);

/// A separate database for a test.
///
/// It is dropped with this value, or soon after; [`TestDatabase::drop_now`] waits until it is dropped. If the
/// value is dropped because the test failed, the database is kept, and the output of the test says how to
/// connect to it.
#[derive(Debug)]
pub struct TestDatabase {
    place: DatabaseHost,
    name: String,
    /// Whether the database is dropped with this value.
    ends: bool,
}

/// Where a database is located.
#[derive(Debug)]
enum DatabaseHost {
    /// On the shared server.
    Shared(&'static EphemeralServer),
    /// On a server of its own.
    Own(Box<OwnServer>),
    Container(Box<ShadowContainer>),
}

impl TestDatabase {
    /// Creates an empty database on the server that this process uses, or one with what `[shadow]` sets up.
    ///
    /// # Errors
    ///
    /// [`ServerError`] when there is no server, or it refuses.
    pub async fn create() -> Result<Self, ServerError> {
        let apart = apart::for_migrations(&[]).await?;
        if apart.is_own {
            return Box::pin(Self::apart(&apart)).await;
        }
        Self::create_shared().await
    }

    /// Creates a copy of another database, which must have no connections.
    ///
    /// # Errors
    ///
    /// Those of [`TestDatabase::create`].
    pub async fn copy_of(template: &str) -> Result<Self, ServerError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = server().await?;
        let mark = owner::mark(server).await?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}_{count}_{mark}", std::process::id());
        // Copying files is cheaper than logging every block of them.
        let (new, template) = (ident(&name), ident(template));
        office::ask(&format!("CREATE DATABASE {new} TEMPLATE {template} STRATEGY file_copy")).await?;
        let made = Self { place: DatabaseHost::Shared(server), name, ends: true };
        // Settings are not copied with a database.
        let settings = settings(&made.name);
        if !settings.is_empty() {
            office::ask(&settings).await?;
        }
        Ok(made)
    }

    /// Creates a copy of this database, which must have no connections.
    ///
    /// # Errors
    ///
    /// Those of [`TestDatabase::create`]; also, a database in its own container cannot be copied.
    pub async fn copy(&mut self) -> Result<Self, ServerError> {
        let name = self.name.clone();
        match &mut self.place {
            DatabaseHost::Shared(_) => Self::copy_of(&name).await,
            DatabaseHost::Own(own) => {
                let lease = server().await?.lease().ok_or_else(not_copied)?;
                Ok(Self::on_own(own.copy(lease).await?, name))
            }
            DatabaseHost::Container(_) => Err(not_copied()),
        }
    }

    /// Creates an empty database for a chain: with the settings and the schemas of the environment that it is
    /// compared with, and on its own server if the chain needs that.
    ///
    /// # Errors
    ///
    /// Those of [`TestDatabase::create`].
    pub async fn for_chain(chain: &[Arc<Migration>]) -> Result<Self, ServerError> {
        let apart = apart::for_migrations(chain).await?;
        if apart.is_own {
            return Box::pin(Self::apart_for_chain(&apart)).await;
        }
        Self::shared_for_chain().await
    }

    /// The same on the shared server, whatever the chain is.
    pub(super) async fn shared_for_chain() -> Result<Self, ServerError> {
        Self::create_shared().await?.with_schemas().await
    }

    /// The same on a server of its own.
    pub(super) async fn apart_for_chain(apart: &DatabasePlacement) -> Result<Self, ServerError> {
        Self::apart(apart).await?.with_schemas().await
    }

    async fn with_schemas(self) -> Result<Self, ServerError> {
        let schemas = ReplaySettings::current().map(|replay| replay.schemas_sql()).unwrap_or_default();
        if !schemas.is_empty() {
            administer(&self.options(), &schemas).await?;
        }
        Ok(self)
    }

    async fn create_shared() -> Result<Self, ServerError> {
        match Setup::current() {
            Some(setup) => Box::pin(template::set_up(&setup)).await,
            None => Self::copy_of("template0").await,
        }
    }

    /// An empty database, or one with what `[shadow]` sets up, on a server of its own.
    async fn apart(apart: &DatabasePlacement) -> Result<Self, ServerError> {
        match server().await?.lease() {
            Some(lease) => template::apart(lease, apart).await,
            None => Self::in_container(apart).await,
        }
    }

    /// The database on a server of its own.
    pub(super) fn on_own(own: OwnServer, name: String) -> Self {
        Self { place: DatabaseHost::Own(Box::new(own)), name, ends: true }
    }

    /// Gives the database of a new server its settings and the name that the chain expects.
    pub(super) async fn named(own: OwnServer, apart: &DatabasePlacement) -> Result<Self, ServerError> {
        let name = name_of(apart);
        let rename = format!("ALTER DATABASE {} RENAME TO {};", ident(own::DATABASE), ident(&name));
        let rename = if [own::DATABASE, "postgres"].contains(&&*name) { String::new() } else { rename };
        administer(&own.options("postgres"), &(rename + &settings(&name))).await?;
        Ok(Self::on_own(own, name))
    }

    /// The same for a server whose data already includes all that.
    pub(super) fn saved(own: OwnServer, apart: &DatabasePlacement) -> Self {
        Self::on_own(own, name_of(apart))
    }

    async fn in_container(apart: &DatabasePlacement) -> Result<Self, ServerError> {
        let container = ShadowContainer::start(server().await?.image()).await?;
        let name = name_of(apart);
        let options = container.options("postgres");
        if name != "postgres" {
            administer(&options, &format!("CREATE DATABASE {} TEMPLATE template0", ident(&name))).await?;
        }
        administer(&options, &settings(&name)).await?;
        let made = Self { place: DatabaseHost::Container(Box::new(container)), name, ends: true };
        if let Some(setup) = Setup::current() {
            setup.run(&made.options()).await?;
        }
        Ok(made)
    }

    /// Saves the data of its own server under a name, for later servers.
    pub(super) async fn save(&mut self, lease: &Lease, name: &str) -> Result<(), ServerError> {
        match &mut self.place {
            DatabaseHost::Own(own) => own.save(lease, name).await,
            _ => Ok(()),
        }
    }

    /// Whether it has a server of its own, on which nothing else makes changes.
    pub(crate) fn is_apart(&self) -> bool {
        !matches!(self.place, DatabaseHost::Shared(_))
    }

    /// From now on, the server logs every statement that new sessions in this database send; returns the log. It must
    /// have a server of its own, of the binaries on this machine.
    pub(crate) async fn log_statements(&self) -> Result<StatementLog, ServerError> {
        let DatabaseHost::Own(own) = &self.place else { return Err(ServerError::NoLog) };
        let mark = format!("roundtrip-{}", random::hex(8));
        let (options, name) = (self.options(), ident(&self.name));
        administer(&options, &format!("ALTER SYSTEM SET log_line_prefix TO {}", literal(&format!("{mark} %p <%a> "))))
            .await?;
        administer(&options, "SELECT pg_reload_conf()").await?;
        let settings = [("log_statement", "all"), ("lc_messages", "C"), ("log_min_error_statement", "error")];
        let set = |(key, value): (&str, &str)| format!("ALTER DATABASE {name} SET {key} TO {};", literal(value));
        administer(&options, &settings.map(set).concat()).await?;
        // Sessions that begin before the server has read its settings again would be missing in the log.
        let wanted =
            format!("SELECT 1 / (current_setting('log_line_prefix') = {})::int", literal(&format!("{mark} %p <%a> ")));
        let end = std::time::Instant::now() + RELOADED;
        while let Err(error) = administer(&options, &wanted).await {
            if std::time::Instant::now() > end {
                return Err(error);
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Ok(StatementLog::of(own.log().to_owned(), mark))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to connect to it, as a superuser.
    pub fn options(&self) -> PgConnectOptions {
        match &self.place {
            DatabaseHost::Shared(server) => server.options(&self.name),
            DatabaseHost::Own(own) => own.options(&self.name),
            DatabaseHost::Container(container) => container.options(&self.name),
        }
    }

    /// The same as a URL, for programs.
    pub fn url(&self) -> String {
        match &self.place {
            DatabaseHost::Shared(server) => server.url(&self.name),
            DatabaseHost::Own(_) => Database::from(self.options()).shown_url(),
            DatabaseHost::Container(_) => Database::from(self.options()).url_with_password(),
        }
    }

    /// The same for display.
    fn shown_url(&self) -> String {
        match &self.place {
            DatabaseHost::Shared(server) => server.shown_url(&self.name),
            _ => self.url(),
        }
    }

    /// Keeps the database for inspection and returns its URL for psql. The URL contains a password only if the
    /// server is a container. A server of ours keeps running for half an hour after its last user.
    pub fn keep(mut self) -> String {
        self.ends = false;
        self.stay();
        self.shown_url()
    }

    /// Protects it from being swept for half an hour, and keeps the server from ending.
    fn stay(&mut self) {
        match &mut self.place {
            DatabaseHost::Shared(server) => {
                server.linger();
                office::run_blocking(server, owner::keep(&self.name));
            }
            DatabaseHost::Own(own) => own.keep(),
            DatabaseHost::Container(container) => container.watch().keep(),
        }
    }

    /// Drops it, even if somebody is still connected.
    ///
    /// # Errors
    ///
    /// [`ServerError::Refused`] with the server's message.
    pub async fn drop_now(mut self) -> Result<(), ServerError> {
        self.ends = false;
        if self.is_apart() {
            // It is removed with its server.
            return Ok(());
        }
        office::ask(&format!("DROP DATABASE {} WITH (FORCE)", ident(&self.name))).await.map(drop)
    }

    /// The same, but on the shared server of this machine it does not wait for completion: while a session is
    /// still ending, DROP DATABASE takes a tenth of a second.
    pub(crate) async fn let_go(mut self) -> Result<(), ServerError> {
        match self.place {
            DatabaseHost::Shared(server) if server.remembers() => {
                self.ends = false;
                office::tell(server, format!("DROP DATABASE {} WITH (FORCE)", ident(&self.name))).await;
                Ok(())
            }
            _ => self.drop_now().await,
        }
    }

    /// Renames it, so that it is kept. Nobody may be connected.
    pub(super) async fn rename(mut self, name: &str) -> Result<(), ServerError> {
        office::ask(&format!("ALTER DATABASE {} RENAME TO {}", ident(&self.name), ident(name))).await?;
        self.ends = false;
        Ok(())
    }
}

impl Drop for TestDatabase {
    #[expect(clippy::print_stderr, reason = "the output of a failed test is where its database is looked for")]
    fn drop(&mut self) {
        if !self.ends {
            return;
        }
        if std::thread::panicking() {
            self.stay();
            eprintln!("the database of this test is kept for 30 minutes: psql '{}'", self.shown_url());
            return;
        }
        if let DatabaseHost::Shared(server) = self.place {
            let goes = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(&self.name));
            if server.remembers() { office::tell_blocking(server, goes) } else { office::run_blocking(server, goes) }
        }
    }
}

/// The name of a database that has its own server.
fn name_of(apart: &DatabasePlacement) -> String {
    let usable = |name: &&String| !name.starts_with("template");
    apart.name.as_ref().filter(usable).cloned().unwrap_or_else(|| own::DATABASE.to_owned())
}

/// The statements that give a database the settings of the environment, and those of `[shadow]`.
fn settings(database: &str) -> String {
    let replay = ReplaySettings::current().map(|replay| replay.sql(database)).unwrap_or_default();
    replay + &Setup::current().map(|setup| setup.sql(database)).unwrap_or_default()
}

fn not_copied() -> ServerError {
    let why = "a database in its own container cannot be copied; use PostgreSQL binaries on this machine instead";
    ServerError::Program { program: "docker".to_owned(), why: why.to_owned() }
}

/// Drops what killed processes left behind. A server that has just been started has no users.
pub(super) async fn sweep(server: &PgConnectOptions) -> Result<(), ServerError> {
    let left = format!("SELECT datname FROM pg_database WHERE starts_with(datname, {})", literal(PREFIX));
    let mut connection = office::open(server).await?;
    for name in office::rows(&mut connection, &left).await.map_err(|error| cannot(&error))? {
        let dropped = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(&name));
        // A database that cannot be dropped must not prevent anyone from using the server.
        let _ = office::rows(&mut connection, &dropped).await;
    }
    let _ = connection.close().await;
    Ok(())
}
