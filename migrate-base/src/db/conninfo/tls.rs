//! Interprets `sslmode` and the certificates of a connection.
//!
//! The driver's modes have the same names as libpq's, but not the same meaning: in libpq `require` verifies if there is
//! a root certificate, and `prefer` and `allow` try twice. See
//! <https://www.postgresql.org/docs/current/libpq-ssl.html>.

use std::path::{Path, PathBuf};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{Conninfo, files, wrong};
use crate::codes;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;

/// How connections are encrypted, and what is verified.
pub(super) struct Tls {
    /// The ways in which a host is tried, in order.
    pub(super) modes: Vec<PgSslMode>,
    root: Option<Root>,
    /// Our certificate and its key.
    own: Option<(PathBuf, PathBuf)>,
}

enum Root {
    System,
    File(PathBuf),
}

impl Tls {
    pub(super) fn of(conninfo: &Conninfo) -> Result<Self> {
        let root = conninfo.some("sslrootcert");
        let mode = match conninfo.get("sslmode") {
            None if root == Some("system") => "verify-full",
            None => "prefer",
            Some(mode) => mode,
        };
        let is_strict = matches!(mode, "require" | "verify-ca" | "verify-full");
        if !is_strict && !matches!(mode, "disable" | "allow" | "prefer") {
            return Err(conninfo.wrong_value("sslmode", "disable, allow, prefer, require, verify-ca or verify-full"));
        }
        if root == Some("system") && mode != "verify-full" {
            return Err(wrong("`sslrootcert=system` cannot be used with a weaker mode than verify-full")
                .help("write `sslmode=verify-full`, or leave out `sslmode`"));
        }
        if mode == "disable" {
            return Ok(Self { modes: vec![PgSslMode::Disable], root: None, own: None });
        }
        let root = find_root(root, mode)?;
        let own = match own(conninfo, is_strict) {
            Ok(own) => own,
            // As with libpq: if encryption is optional, an invalid certificate leads to an unencrypted connection.
            Err(_) if !is_strict => return Ok(Self { modes: vec![PgSslMode::Disable], root: None, own: None }),
            Err(error) => return Err(error),
        };
        let verifying = if root.is_some() { PgSslMode::VerifyCa } else { PgSslMode::Require };
        let modes = match mode {
            "allow" => vec![PgSslMode::Disable, verifying],
            "prefer" if root.is_some() => vec![verifying, PgSslMode::Disable],
            "prefer" => vec![PgSslMode::Prefer, PgSslMode::Disable],
            "require" => vec![verifying],
            "verify-ca" => vec![PgSslMode::VerifyCa],
            _ => vec![PgSslMode::VerifyFull],
        };
        Ok(Self { modes, root, own })
    }

    /// Checks `hostaddr`: the driver compares the name in the server's certificate with the address to which it
    /// connects.
    pub(super) fn check_name(&self, name: Option<&str>, at: &str) -> Result<()> {
        if !matches!(self.modes[..], [PgSslMode::VerifyFull]) || name == Some(at) {
            return Ok(());
        }
        Err(wrong(
            "`hostaddr` is not supported together with `sslmode=verify-full`: the driver verifies the name that it \
             connects to",
        )
        .help("leave out `hostaddr`, or use `sslmode=verify-ca` with your own root certificate"))
    }

    /// Without a client certificate, the driver would still use the one that these variables name.
    pub(super) fn check_variables(&self) -> Result<()> {
        let is_encrypted = self.modes.iter().any(|mode| !matches!(mode, PgSslMode::Disable));
        let is_set = |name: &&&str| std::env::var_os(name).is_some();
        match ["PGSSLCERT", "PGSSLKEY"].iter().find(is_set).filter(|_| is_encrypted && self.own.is_none()) {
            Some(name) => Err(wrong(format!("the variable {name} is set, but no client certificate is used"))
                .note("the driver would use it anyway")
                .help(format!("unset {name}"))),
            None => Ok(()),
        }
    }

    /// Passes the certificates to the driver.
    pub(super) fn certify(&self, options: PgConnectOptions) -> PgConnectOptions {
        let options = match &self.root {
            Some(Root::File(file)) => options.ssl_root_cert(file),
            // Use only what the system trusts, and nothing that the driver reads from the environment.
            Some(Root::System) => options.ssl_root_cert_from_pem(Vec::new()),
            None => options,
        };
        match &self.own {
            Some((certificate, key)) => options.ssl_client_cert(certificate).ssl_client_key(key),
            None => options,
        }
    }
}

/// The root certificates: the configured ones, or those in the usual place, if they exist.
fn find_root(named: Option<&str>, mode: &str) -> Result<Option<Root>> {
    let is_strict = matches!(mode, "require" | "verify-ca" | "verify-full");
    let file = match named {
        Some("system") => return Ok(Some(Root::System)),
        Some(file) => Some(PathBuf::from(file)),
        None => files::home().map(|home| home.join(".postgresql/root.crt")),
    };
    match file {
        Some(file) if file.is_file() => Ok(Some(Root::File(file))),
        Some(file) if named.is_some() && is_strict => Err(missing("the root certificate", &file).help(
            "correct `sslrootcert` (or PGSSLROOTCERT); `sslrootcert=system` uses the certificates that the system \
             trusts",
        )),
        _ if mode.starts_with("verify") => {
            Err(tls(format!("sslmode={mode} needs a root certificate, but there is none"))
                .help(
                    "add `sslrootcert=system` to the URL for the certificates that the system trusts, or \
                     `sslrootcert=FILE`",
                )
                .help("without it, libpq (and therefore psql) looks for ~/.postgresql/root.crt"))
        }
        _ => Ok(None),
    }
}

/// The client certificate and its key, if there is one.
fn own(conninfo: &Conninfo, is_strict: bool) -> Result<Option<(PathBuf, PathBuf)>> {
    let usual = |name: &str| files::home().map(|home| home.join(".postgresql").join(name));
    let named = conninfo.some("sslcert").map(PathBuf::from);
    let certificate = match named {
        _ if conninfo.some("sslcertmode") == Some("disable") => None,
        // As with libpq: a missing certificate is ignored, and the connection is encrypted without it.
        Some(file) if !is_strict && is_missing(&file) => None,
        Some(file) if !file.is_file() => {
            return Err(missing("the client certificate", &file).help("correct `sslcert` (or PGSSLCERT)"));
        }
        Some(file) => Some(file),
        None => usual("postgresql.crt").filter(|file| file.is_file()),
    };
    let Some(certificate) = certificate else { return Ok(None) };
    let key = conninfo.some("sslkey").map(PathBuf::from).or_else(|| usual("postgresql.key"));
    let key = key.filter(|key| key.is_file()).ok_or_else(|| {
        tls(format!("the client certificate {} has no private key", certificate.display()))
            .help("give it in `sslkey` (or PGSSLKEY)")
    })?;
    if !files::is_private(&key) {
        return Err(tls(format!("other users can read the private key {}", key.display()))
            .help(format!("chmod 600 {}", key.display())));
    }
    if std::fs::read_to_string(&key).is_ok_and(|text| text.contains("ENCRYPTED")) {
        return Err(tls(format!("the private key {} is encrypted, which the driver does not support", key.display()))
            .help("decrypt it into a file that only you can read: openssl pkey -in KEY -out NEW"));
    }
    Ok(Some((certificate, key)))
}

fn is_missing(file: &Path) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    file.metadata().is_err_and(|error| matches!(error.kind(), NotFound | NotADirectory))
}

fn tls(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Connection, Finding::new(codes::TLS, message))
}

fn missing(what: &str, file: &Path) -> Error {
    tls(format!("{what} {} does not exist", file.display()))
}
