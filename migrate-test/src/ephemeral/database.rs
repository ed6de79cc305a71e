//! A database of its own for a test.

use std::sync::atomic::{AtomicU32, Ordering};

use migrate_core::ident::{ident, literal};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::{EphemeralServer, server};
use crate::error::ServerError;
use crate::random;

/// How the names of all databases of tests begin.
const PREFIX: &str = "test_";

/// A database of its own for a test.
///
/// It is dropped with this value. Where that happens because the test failed it is kept, and
/// the output of the test says how to connect to it.
#[derive(Debug)]
pub struct TestDatabase {
    server: &'static EphemeralServer,
    name: String,
    /// Whether it goes with this value.
    ends: bool,
}

impl TestDatabase {
    /// Makes an empty one on the server that this process uses.
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
        let mut office = Office::open(&server().await?.options("postgres")).await?;
        let copy = Self::copy_in(&mut office, template).await;
        office.close().await;
        copy
    }

    /// The same on a connection that is there already.
    pub(super) async fn copy_in(office: &mut Office, template: &str) -> Result<Self, ServerError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = server().await?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}_{count}_{}", std::process::id(), random::hex(6));
        // To copy files is cheaper than to log every block of them.
        let (new, template) = (ident(&name), ident(template));
        let sql = format!("CREATE DATABASE {new} TEMPLATE {template} STRATEGY file_copy");
        office.ask(&sql).await?;
        Ok(Self { server, name, ends: true })
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

    /// Leaves it to be looked at, and tells where it is, as a URL that psql takes and that has no password
    /// but a container's: a server of ours lives on for half an hour after its last user.
    pub fn keep(mut self) -> String {
        self.ends = false;
        self.server.linger();
        self.server.shown_url(&self.name)
    }

    /// Drops it, also when somebody is still connected.
    ///
    /// # Errors
    ///
    /// [`ServerError::Refused`] with what the server said.
    pub async fn drop_now(mut self) -> Result<(), ServerError> {
        self.ends = false;
        let sql = format!("DROP DATABASE {} WITH (FORCE)", ident(&self.name));
        administer(&self.server.options("postgres"), &sql).await
    }

    /// Gives it another name, under which it stays; nobody may be connected.
    pub(super) async fn rename(mut self, name: &str) -> Result<(), ServerError> {
        let sql = format!("ALTER DATABASE {} RENAME TO {}", ident(&self.name), ident(name));
        administer(&self.server.options("postgres"), &sql).await?;
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
            self.server.linger();
            eprintln!("the database of this test is kept for 30 minutes: psql '{}'", self.server.shown_url(&self.name));
            return;
        }
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(&self.name));
        let options = self.server.options("postgres");
        // A thread of its own, for the present one may be inside of a runtime. What cannot be
        // dropped now goes when the server is started the next time.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(administer(&options, &sql)))
        });
        let _ = thread.join();
    }
}

/// Runs a statement on the server, on a connection of its own.
pub(super) async fn administer(server: &PgConnectOptions, sql: &str) -> Result<(), ServerError> {
    let mut office = Office::open(server).await?;
    let done = office.ask(sql).await;
    office.close().await;
    done.map(drop)
}

/// A connection to the database from which others are made.
pub(super) struct Office(PgConnection);

impl Office {
    pub(super) async fn open(server: &PgConnectOptions) -> Result<Self, ServerError> {
        PgConnection::connect_with(server).await.map(Self).map_err(|error| cannot(&error))
    }

    /// The first column of what a statement returns.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<Vec<String>, ServerError> {
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.0).await.map_err(|error| cannot(&error))?;
        Ok(rows.iter().filter_map(|row| row.try_get_unchecked::<Option<String>, _>(0).ok().flatten()).collect())
    }

    /// Says goodbye; nothing depends on it.
    pub(super) async fn close(self) {
        let _ = self.0.close().await;
    }
}

fn cannot(error: &sqlx::Error) -> ServerError {
    ServerError::refused("prepare a database for tests", error)
}

/// Drops what processes left behind that were killed. A server that has just been started has no user.
pub(super) async fn sweep(server: &PgConnectOptions) -> Result<(), ServerError> {
    let left = format!("SELECT datname FROM pg_database WHERE starts_with(datname, {})", literal(PREFIX));
    let mut office = Office::open(server).await?;
    for name in office.ask(&left).await? {
        office.ask(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(&name))).await?;
    }
    office.close().await;
    Ok(())
}
