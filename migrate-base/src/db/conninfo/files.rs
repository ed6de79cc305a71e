//! The files that libpq reads: services and passwords.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use super::text::{self, ConnectionStringError};
use super::{EnvironmentLookup, variable, wrong};
use crate::error::Result;

/// The parameters of a service, from the user's file or the system's file.
///
/// See <https://www.postgresql.org/docs/current/libpq-pgservice.html>.
pub(super) fn service(name: &str, environment: EnvironmentLookup<'_>) -> Result<Vec<(&'static str, String)>> {
    let own = match variable(environment, "PGSERVICEFILE")? {
        Some(file) => Some(PathBuf::from(file)),
        None => home().map(|home| home.join(".pg_service.conf")),
    };
    let of_system = match variable(environment, "PGSYSCONFDIR")? {
        Some(folder) => vec![PathBuf::from(folder)],
        // The locations of PostgreSQL's packages on Debian and on Red Hat, and of a manual build.
        None => ["/etc/postgresql-common", "/etc/sysconfig/pgsql", "/usr/local/pgsql/etc"].map(PathBuf::from).to_vec(),
    };
    let files = own.into_iter().chain(of_system.into_iter().map(|folder| folder.join("pg_service.conf")));
    for file in files.filter(|file| file.is_file()) {
        if let Some(found) = section(name, &file)? {
            return Ok(found);
        }
    }
    Err(wrong(format!("there is no service {name}"))
        .help("services are sections of ~/.pg_service.conf or of the file that PGSERVICEFILE names"))
}

fn section(name: &str, file: &Path) -> Result<Option<Vec<(&'static str, String)>>> {
    let at = |n: usize| format!("{}:{}", file.display(), n + 1);
    let text = fs::read_to_string(file)
        .map_err(|error| wrong(format!("the service file {} cannot be read: {error}", file.display())))?;
    let mut found: Option<Vec<(&'static str, String)>> = None;
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            found = (section.strip_suffix(']') == Some(name)).then(Vec::new);
            continue;
        }
        let Some(found) = &mut found else { continue };
        if line.starts_with("ldap:") {
            return Err(wrong(format!("{}: looking up a service in LDAP is not supported", at(n)))
                .help("write its parameters here instead"));
        }
        let Some((keyword, value)) = line.split_once('=') else {
            return Err(wrong(format!("{}: a line of a service must be name=value", at(n))));
        };
        if keyword == "service" {
            return Err(wrong(format!("{}: a service cannot refer to another service", at(n))));
        }
        match text::known(keyword, n) {
            Ok(keyword) if found.iter().all(|(one, _)| *one != keyword) => found.push((keyword, value.to_owned())),
            Ok(_) => {}
            Err(ConnectionStringError::Because(_, help)) => {
                return Err(wrong(format!("{}: not a parameter of libpq", at(n))).help(help));
            }
            Err(_) => return Err(wrong(format!("{}: not a parameter", at(n)))),
        }
    }
    Ok(found)
}

/// The password for a connection from a file. As with libpq, a file that other users may read is not used.
///
/// See <https://www.postgresql.org/docs/current/libpq-pgpass.html>.
pub(super) fn password(file: &Path, host: &str, port: u16, database: &str, user: &str) -> Option<String> {
    if !fs::metadata(file).is_ok_and(|about| about.is_file() && !others_may_read(&about)) {
        return None;
    }
    let bytes = fs::read(file).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let port = port.to_string();
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line;
        [host, &port, database, user].iter().all(|wanted| is_next(&mut rest, wanted)).then(|| unescaped(rest))
    })
}

/// Whether a password file exists but is not used because other users may read it.
pub(super) fn is_open(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|about| about.is_file() && others_may_read(&about))
}

/// Whether the next field matches; removes it from the line.
fn is_next(line: &mut &str, wanted: &str) -> bool {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let ends = *c == ':' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let Some((end, _)) = end else { return false };
    let field = &line[..end];
    *line = &line[end + 1..];
    field == "*" || unescaped(field) == wanted
}

fn unescaped(field: &str) -> String {
    let mut chars = field.chars();
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    text
}

#[cfg(unix)]
fn others_may_read(about: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn others_may_read(_: &Metadata) -> bool {
    false
}

/// Whether a private key is protected as libpq requires: no other user may read it, or it belongs to root and its group
/// may read it.
#[cfg(unix)]
pub(super) fn is_private(key: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(key).is_ok_and(|about| {
        let others = if about.uid() == 0 { 0o027 } else { 0o077 };
        about.mode() & others == 0
    })
}

#[cfg(not(unix))]
pub(super) fn is_private(_: &Path) -> bool {
    true
}

pub(super) fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_password_file_is_read_as_libpq_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = "#h:1:d:u:no\nh:1:d\nh:1:d\\:e:u:a\\:b\\\\c\nlocalhost:*:*:u: spaces \n*:*:*:*:rest\n";
        fs::write(file.path(), lines).unwrap();
        let find = |host: &str, database: &str, user: &str| password(file.path(), host, 1, database, user);
        assert_eq!(find("h", "d:e", "u").as_deref(), Some("a:b\\c"));
        assert_eq!(find("localhost", "d", "u").as_deref(), Some(" spaces "));
        assert_eq!(find("x", "y", "z").as_deref(), Some("rest"));
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(find("x", "y", "z"), None);
    }
}
