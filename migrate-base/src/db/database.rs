//! The address of a database, and how to connect to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::conninfo::{Conninfo, HostPlace, HostPlaces, SessionWanted};
use super::{Keepalive, connect};
use crate::error::Result;

/// The address of a database, with the credentials: one host, or a list of hosts.
///
/// It never shows its password: not in `Debug`, not in its text.
#[derive(Clone)]
pub struct Database {
    pub(super) places: Arc<HostPlaces>,
    pub(super) patience: Duration,
    pub(super) keepalive: Keepalive,
}

impl Database {
    /// The driver's options for its first host. If there may be several hosts, or several ways to connect to one, call
    /// [`Database::settled`] first.
    pub fn options(&self) -> &PgConnectOptions {
        &self.first().options
    }

    /// Reads a connection string of libpq: `host=… dbname=…`, or
    /// `postgres://user@host:port/database?sslmode=verify-full&sslrootcert=system`.
    ///
    /// It has the same meaning as in libpq. What it leaves out is taken from a service, the `PG*` variables and the
    /// password file, as in psql; unsupported parameters are refused by name. See
    /// <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>.
    ///
    /// # Errors
    ///
    /// [`crate::error::ErrorKind::Configuration`] if the text is not a connection string,
    /// [`crate::error::ErrorKind::Connection`] if it names a certificate that does not exist. The message never repeats
    /// the text, because it may contain a password.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self::at(Conninfo::read(text)?.places()?))
    }

    /// The database that the `PG*` variables and the files of libpq describe.
    ///
    /// # Errors
    ///
    /// Those of [`Database::parse`].
    pub fn from_environment() -> Result<Self> {
        Ok(Self::at(Conninfo::of_environment()?.places()?))
    }

    fn at(places: HostPlaces) -> Self {
        let keepalive = places.keepalive;
        Self { places: Arc::new(places), patience: Duration::from_secs(10), keepalive }
    }

    /// Connects once, and returns the database reduced to the host and the way that succeeded.
    ///
    /// # Errors
    ///
    /// [`crate::error::ErrorKind::Connection`] if none succeeds.
    pub async fn settled(&self) -> Result<Self> {
        if self.is_settled() {
            return Ok(self.clone());
        }
        let connected = connect::connect(self, "roundtrip", &[]).await?;
        connect::leave(connected.connection).await;
        Ok(connected.database)
    }

    /// Whether there is one host and one way to connect to it.
    fn is_settled(&self) -> bool {
        matches!(&*self.places.all, [place] if place.modes.len() == 1) && self.places.wanted == SessionWanted::Any
    }

    /// Returns the database reduced to this host and this way.
    pub(super) fn narrowed(&self, place: &HostPlace, mode: PgSslMode) -> Self {
        if self.is_settled() {
            return self.clone();
        }
        let options = place.options.clone().ssl_mode(mode);
        let place = HostPlace { options, modes: vec![mode], open_passfile: place.open_passfile.clone() };
        let places = HostPlaces { all: vec![place], wanted: SessionWanted::Any, ..(*self.places).clone() };
        Self { places: Arc::new(places), ..self.clone() }
    }

    /// Sets how long to wait for a connection, instead of ten seconds; `connect_timeout` in the URL takes precedence.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how a dead network is detected.
    pub fn keepalive(mut self, keepalive: Keepalive) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// The application name of its sessions, if the URL or the environment gives one.
    pub fn application_name(&self) -> Option<&str> {
        self.places.application.as_deref()
    }

    /// Whether it is reached over a network and not through a local socket.
    pub(super) fn is_remote(&self) -> bool {
        self.places
            .all
            .iter()
            .any(|place| place.options.get_socket().is_none() && !place.options.get_host().starts_with('/'))
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        let options = self.options();
        options.get_database().unwrap_or_else(|| options.get_username())
    }

    /// The role that logs in.
    pub fn user(&self) -> &str {
        self.options().get_username()
    }

    /// The host, or the folder of the socket, with the port; all hosts, if there are several.
    pub fn host(&self) -> String {
        self.places.all.iter().map(HostPlace::host).collect::<Vec<_>>().join(",")
    }

    /// Another database on the same server.
    pub fn named(&self, database: &str) -> Self {
        let mut places = (*self.places).clone();
        for place in &mut places.all {
            place.options = place.options.clone().database(database);
        }
        Self { places: Arc::new(places), ..self.clone() }
    }

    fn first(&self) -> &HostPlace {
        // There is always one; see `Conninfo::addresses`.
        &self.places.all[0]
    }
}

impl From<PgConnectOptions> for Database {
    fn from(options: PgConnectOptions) -> Self {
        Self::at(HostPlaces {
            all: vec![HostPlace::of(options)],
            wanted: SessionWanted::Any,
            is_shuffled: false,
            timeout: None,
            application: None,
            keepalive: Keepalive::default(),
        })
    }
}

/// Writes user, host and database, and no password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}/{}", self.user(), self.host(), self.name())
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_password_is_never_shown() {
        let database = Database::parse("postgres://ann:s3cret@db.example:6432/shop?sslmode=require").unwrap();
        assert_eq!(database.to_string(), "ann@db.example:6432/shop");
        assert!(!format!("{database:?}").contains("s3cret"));
        assert_eq!(database.shown_url(), "postgres://ann@db.example:6432/shop?sslmode=require");
    }

    #[test]
    fn a_wrong_url_is_explained_without_repeating_it() {
        for url in [
            "mysql://ann:s3cret@h/d",
            "postgres://ann:s3cret@h:notaport/d",
            "postgres://ann:s3cret@h/d?sslmod=require",
            "postgres://ann:s3cret@h/d?sslmode=s3cret2",
            "ann:s3cret",
        ] {
            let error = Database::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            let all = format!("{:?}", error.findings());
            assert!(!all.contains("s3cret") && !all.contains("notaport"), "{all}");
        }
    }

    #[test]
    fn a_url_that_is_written_is_read_as_the_same() {
        for url in [
            "postgres://ann:p%40%3A%2F%25s@[::1]:7/d%20b?sslmode=require&options=-c%20a.b%3Dc%5C%20d",
            "postgres://o%27x%40y@%2Ftmp%2Fa%20b:5/d%2Fe",
            "postgres://ann@db:5432/d?sslmode=disable",
        ] {
            let database = Database::parse(url).unwrap();
            assert_eq!(database.url_with_password(), url);
        }
        // The same for the driver's own options, whatever they contain.
        let options = PgConnectOptions::new_without_pgpass().host("::1").port(7).username("a b@c").database("d");
        let database = Database::from(options.password("p@\u{e9}%41").ssl_mode(PgSslMode::Disable));
        assert_eq!(database.url_with_password(), "postgres://a%20b%40c:p%40%C3%A9%2541@[::1]:7/d?sslmode=disable");
    }

    #[test]
    fn lists_are_read() {
        let database = Database::parse("postgres://ann@a,[::1]:7,/d?connect_timeout=3&keepalives_idle=9").unwrap();
        assert!(database.host().starts_with("a:5432,[::1]:7,/"), "{}", database.host());
        assert_eq!(database.places.timeout, Some(Duration::from_secs(3)));
        assert_eq!(database.keepalive.idle, Some(Duration::from_secs(9)));
        for wrong in ["postgres://a,b/d?port=1,2,3", "postgres://a,b/d?hostaddr=::1", "postgres://a/d?hostaddr=b"] {
            assert_eq!(Database::parse(wrong).unwrap_err().kind(), ErrorKind::Configuration, "{wrong}");
        }
    }
}
