//! Where a managed server can be reached.

use std::fmt;
use std::path::PathBuf;

use migrate_core::Database;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::provider::cluster::SUPERUSER;

pub(super) const FORMAT: u32 = 1;

/// Where a managed server can be reached. Its password is never shown, except in [`Endpoint::url`].
#[derive(Clone, Serialize, Deserialize)]
pub struct Endpoint {
    pub(super) format: u32,
    pub(super) provider: Provider,
    pub(super) port: u16,
    pub(super) password: String,
    pub(super) server_version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Provider {
    Local { sockets: PathBuf, binaries: PathBuf },
    Docker { image: String },
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

    /// The URL of one of its databases on the loopback interface, with the password.
    pub fn url(&self, database: &str) -> String {
        let options = PgConnectOptions::new_without_pgpass().username(SUPERUSER).port(self.port).database(database);
        let options = options.host("127.0.0.1").password(&self.password);
        Database::from(options).url_with_password()
    }

    /// Its address, without the password.
    pub fn display(&self) -> String {
        format!("127.0.0.1:{} (PostgreSQL {}, {})", self.port, self.server_version, self.provider)
    }

    /// The version of the server.
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// The environment variables with which psql and other libpq programs connect to one of its databases.
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

    /// The psql that belongs to the server's binaries.
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
