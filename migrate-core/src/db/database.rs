//! Where a database is, and how to get in.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::Keepalive;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;
use crate::suggest;

/// The address of a database, with what is needed to get in.
///
/// It never shows its password: not in `Debug`, not in [`Database::to_string`].
#[derive(Clone)]
pub struct Database {
    pub(super) options: PgConnectOptions,
    pub(super) patience: Duration,
    pub(super) keepalive: Keepalive,
}

/// The parameters of a connection URL that are understood.
const PARAMETERS: [&str; 16] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];

impl Database {
    /// How the driver connects to it.
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Reads a connection URL, `postgres://user@host:port/database?sslmode=verify-full`.
    ///
    /// What the URL leaves out comes from the `PG*` variables and the password file, as with
    /// psql. See <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] when it is no such URL. The message never repeats the URL,
    /// for it may hold a password.
    pub fn parse(url: &str) -> Result<Self> {
        let wrong = |why: String| {
            Error::new(
                ErrorKind::Configuration,
                Finding::error("database-url", why)
                    .help("write it as postgres://user@host:5432/database; special characters are percent-encoded"),
            )
        };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(wrong("the database is not given as a postgres:// URL".to_owned()));
        }
        let query = url.split_once('?').map_or("", |(_, query)| query);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let key = pair.split_once('=').map_or(pair, |(key, _)| key);
            if !PARAMETERS.contains(&key) && !key.starts_with("options") {
                let meant = suggest::nearest(key, PARAMETERS);
                let meant = meant.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
                return Err(wrong(format!("the database URL has an unknown parameter `{key}`{meant}")));
            }
        }
        let options = PgConnectOptions::from_str(url).map_err(|error| match error {
            sqlx::Error::Configuration(why) => wrong(format!("the database URL cannot be read: {why}")),
            _ => wrong("the database URL cannot be read".to_owned()),
        })?;
        Ok(Self::from(options))
    }

    /// The database that the `PG*` variables and the password file describe.
    pub fn from_environment() -> Self {
        Self::from(PgConnectOptions::new())
    }

    /// Waits this long for a connection, instead of ten seconds.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Finds out in this way that a network is dead.
    pub fn keepalive(mut self, keepalive: Keepalive) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// Whether the way to it is a network, and not a socket of this machine.
    pub(super) fn is_remote(&self) -> bool {
        self.options.get_socket().is_none() && !self.options.get_host().starts_with('/')
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        self.options.get_database().unwrap_or_else(|| self.options.get_username())
    }

    /// The role that logs in.
    pub fn user(&self) -> &str {
        self.options.get_username()
    }

    /// The host, or the folder of the socket, with the port.
    pub fn host(&self) -> String {
        match self.options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        }
    }

    /// Another database of the same server.
    pub fn named(&self, database: &str) -> Self {
        Self { options: self.options.clone().database(database), ..self.clone() }
    }
}

impl From<PgConnectOptions> for Database {
    fn from(options: PgConnectOptions) -> Self {
        let options = options
            // A pooler refuses start-up parameters that it does not track; this one changes nothing here.
            .extra_float_digits(None)
            .statement_cache_capacity(16)
            .disable_statement_logging();
        Self { options, patience: Duration::from_secs(10), keepalive: Keepalive::default() }
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

    #[test]
    fn a_password_is_never_shown() {
        let database = Database::parse("postgres://ann:s3cret@db.example:6432/shop?sslmode=require").unwrap();
        assert_eq!(database.to_string(), "ann@db.example:6432/shop");
        assert!(!format!("{database:?}").contains("s3cret"));
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
            assert!(!error.to_string().contains("s3cret@"), "{error}");
        }
    }
}
