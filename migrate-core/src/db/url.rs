//! An address as a URL that psql and everything else on libpq takes, and that comes to the same place.
//!
//! The driver's own URL has parameters that only the driver knows, and psql refuses those.

use std::fmt::Write as _;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::Database;

/// The parameters that the driver does not tell by a method of their own.
const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

impl Database {
    /// The address as a URL for libpq, without the password.
    pub fn shown_url(&self) -> String {
        libpq_url(&self.options, None)
    }

    /// The same with the password, where there is one: for programs. It is shown to nobody, unless it is that of a database
    /// which is thrown away and protects nothing.
    pub fn url_with_password(&self) -> String {
        let password = self.options.to_url_lossy().password().map(str::to_owned);
        libpq_url(&self.options, password.as_deref())
    }
}

/// Writes the URL; the password is already encoded.
fn libpq_url(options: &PgConnectOptions, password: Option<&str>) -> String {
    let password = password.map(|password| format!(":{password}")).unwrap_or_default();
    let host = match options.get_socket() {
        Some(folder) => encoded(&folder.to_string_lossy()),
        // An address of IPv6 stands in brackets.
        None if options.get_host().contains(':') => format!("[{}]", options.get_host().trim_matches(['[', ']'])),
        None => encoded(options.get_host()),
    };
    let user = encoded(options.get_username());
    let database = encoded(options.get_database().unwrap_or_else(|| options.get_username()));
    let mut url = format!("postgres://{user}{password}@{host}:{}/{database}", options.get_port());
    let mode = match options.get_ssl_mode() {
        // That is what libpq takes where nothing is said.
        PgSslMode::Prefer => None,
        PgSslMode::Disable => Some("disable"),
        PgSslMode::Allow => Some("allow"),
        PgSslMode::Require => Some("require"),
        PgSslMode::VerifyCa => Some("verify-ca"),
        PgSslMode::VerifyFull => Some("verify-full"),
    };
    // The driver's own URL is made for a name that it can write in every case.
    let known = options.clone().host("localhost").username("user").database("database").to_url_lossy();
    let files = known.query_pairs().filter(|(key, _)| FILES.contains(&&**key));
    let files = files.filter_map(|(key, value)| Some((key.into_owned(), value.strip_prefix("file: ")?.to_owned())));
    let mode = mode.map(|mode| ("sslmode".to_owned(), mode.to_owned()));
    let startup = options.get_options().map(|given| ("options".to_owned(), given.to_owned()));
    for (at, (key, value)) in mode.into_iter().chain(files).chain(startup).enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(url, "{}{key}={}", if at == 0 { '?' } else { '&' }, encoded(&value));
    }
    url
}

/// A part of a URL, with everything encoded that could mean something there.
fn encoded(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(options: PgConnectOptions) -> Database {
        Database::from(options)
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
        assert_eq!(Database::parse(&safe).unwrap().user(), "a b@c");
    }

    #[test]
    fn an_address_of_ipv6_stands_in_brackets() {
        let options = PgConnectOptions::new_without_pgpass().username("a").database("d").host("::1");
        assert_eq!(database(options).shown_url(), "postgres://a@[::1]:5432/d");
    }
}
