//! Writes an address as a URL that psql and everything else based on libpq understands, and that leads to the same
//! place.
//!
//! The driver's own URL has parameters that only the driver knows, which psql refuses.

use std::fmt::Write as _;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::Database;
use super::conninfo::{decoded, encode};

/// The parameters for which the driver has no method.
const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

impl Database {
    /// The address of its first host as a URL for libpq, without the password.
    pub fn shown_url(&self) -> String {
        libpq_url(self.options(), None)
    }

    /// The same with the password, if there is one: for programs. It is not shown to anybody, except for a shadow
    /// database, where it protects nothing.
    pub fn url_with_password(&self) -> String {
        libpq_url(self.options(), self.password().as_deref())
    }

    fn password(&self) -> Option<String> {
        let url = self.options().clone().host("localhost").username("user").to_url_lossy();
        url.password().and_then(decoded).filter(|password| !password.is_empty())
    }

    /// The address of its first host, with the password, in the variables that programs read: `DATABASE_URL`, and those
    /// of libpq.
    ///
    /// The URL of a socket has everything in parameters, which is the form that SQLAlchemy, node-postgres and others
    /// have in common with libpq.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let options = self.options();
        let mut variables = vec![
            ("PGPORT", options.get_port().to_string()),
            ("PGUSER", self.user().to_owned()),
            ("PGDATABASE", self.name().to_owned()),
        ];
        // A socket is protected by its folder.
        let password = if options.get_socket().is_some() { None } else { self.password() };
        variables.extend(password.map(|password| ("PGPASSWORD", password)));
        let (host, url) = match options.get_socket() {
            Some(folder) => {
                let folder = folder.to_string_lossy().into_owned();
                let [name, host, user] = [self.name(), &folder, self.user()].map(encode);
                let port = options.get_port();
                (folder, format!("postgresql:///{name}?host={host}&port={port}&user={user}"))
            }
            None => (options.get_host().to_owned(), self.url_with_password().replacen("postgres:", "postgresql:", 1)),
        };
        variables.extend([("PGHOST", host), ("DATABASE_URL", url)]);
        variables
    }
}

/// Writes the URL.
fn libpq_url(options: &PgConnectOptions, password: Option<&str>) -> String {
    let password = password.map(|password| format!(":{}", encode(password))).unwrap_or_default();
    let socket = options.get_socket().map(|folder| folder.to_string_lossy());
    let host = match &socket {
        Some(folder) => encode(folder),
        // An IPv6 address is written in brackets.
        None if options.get_host().contains(':') => format!("[{}]", options.get_host().trim_matches(['[', ']'])),
        None => encode(options.get_host()),
    };
    let user = encode(options.get_username());
    let database = encode(options.get_database().unwrap_or_else(|| options.get_username()));
    let mut url = format!("postgres://{user}{password}@{host}:{}/{database}", options.get_port());
    let mode = match options.get_ssl_mode() {
        // There is no TLS on a local socket.
        _ if socket.is_some() => None,
        // This is libpq's default.
        PgSslMode::Prefer => None,
        PgSslMode::Disable => Some("disable"),
        PgSslMode::Allow => Some("allow"),
        PgSslMode::Require => Some("require"),
        PgSslMode::VerifyCa => Some("verify-ca"),
        PgSslMode::VerifyFull => Some("verify-full"),
    };
    // The driver's own URL is created with names that it can always write.
    let known = options.clone().host("localhost").username("user").database("database").to_url_lossy();
    let files = known.query_pairs().filter_map(|(key, value)| {
        let key = FILES.into_iter().find(|file| *file == key)?;
        match value.strip_prefix("file: ") {
            Some(file) => Some((key, file.to_owned())),
            // An empty list of root certificates means those of the system.
            None if key == "sslrootcert" && value.is_empty() => Some((key, "system".to_owned())),
            None => None,
        }
    });
    let files = files.filter(|_| mode.is_some_and(|mode| mode != "disable"));
    let startup = options.get_options().map(|given| ("options", given.to_owned()));
    let mode = mode.map(|mode| ("sslmode", mode.to_owned()));
    for (at, (key, value)) in mode.clone().into_iter().chain(files).chain(startup).enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(url, "{}{key}={}", if at == 0 { '?' } else { '&' }, encode(&value));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(options: PgConnectOptions) -> Database {
        Database::from(options)
    }

    #[test]
    fn programs_find_the_address_in_variables() {
        let value = |options: PgConnectOptions, name: &str| {
            let variables = database(options).variables();
            variables.into_iter().find(|(one, _)| *one == name).map(|(_, value)| value)
        };
        let options = || PgConnectOptions::new_without_pgpass().username("me").database("shop").port(7);
        let socket = || options().password("of another server").socket("/tmp/a b");
        let url = value(socket(), "DATABASE_URL");
        assert_eq!(url.as_deref(), Some("postgresql:///shop?host=%2Ftmp%2Fa%20b&port=7&user=me"));
        assert_eq!((value(socket(), "PGHOST").as_deref(), value(socket(), "PGPASSWORD")), (Some("/tmp/a b"), None));
        let host = || options().host("localhost").password("p@");
        assert_eq!(value(host(), "DATABASE_URL").as_deref(), Some("postgresql://me:p%40@localhost:7/shop"));
        assert_eq!(value(host(), "PGHOST").as_deref(), Some("localhost"));
        assert_eq!(value(host(), "PGPASSWORD").as_deref(), Some("p@"));
    }

    #[test]
    fn a_url_has_what_libpq_knows_and_nothing_else() {
        let options =
            PgConnectOptions::new_without_pgpass().username("a b@c").password("p:/?").database("x?y/z").port(5);
        let socket = database(options.clone().socket("/tmp/a b"));
        assert_eq!(socket.shown_url(), "postgres://a%20b%40c@%2Ftmp%2Fa%20b:5/x%3Fy%2Fz");
        assert_eq!(socket.url_with_password(), "postgres://a%20b%40c:p%3A%2F%3F@%2Ftmp%2Fa%20b:5/x%3Fy%2Fz");
        let safe = options.host("h").ssl_mode(PgSslMode::VerifyFull).ssl_root_cert("/a b.pem");
        let safe = database(safe).shown_url();
        assert_eq!(safe, "postgres://a%20b%40c@h:5/x%3Fy%2Fz?sslmode=verify-full&sslrootcert=%2Fa%20b.pem");
        let plain = socket.shown_url();
        assert_eq!(Database::parse(&plain).unwrap().user(), "a b@c");
    }

    #[test]
    fn an_address_of_ipv6_stands_in_brackets() {
        let options = PgConnectOptions::new_without_pgpass().username("a").database("d").host("::1");
        assert_eq!(database(options).shown_url(), "postgres://a@[::1]:5432/d");
    }
}
