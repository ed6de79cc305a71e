//! Connection parameters as in libpq: a connection string, a service, the environment, and defaults, in this order.
//!
//! This module interprets each parameter and reads the files that they name; it opens no connection. The driver's own
//! URL parser is not used: it differs from libpq in important ways, and ignores unknown parameters.

mod files;
mod place;
mod table;
mod text;
mod tls;

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::codes;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;

pub(super) use place::{HostPlace, Places, SessionWanted};
pub(crate) use text::encode;
use text::{ENCODE, Unreadable};

/// How an environment variable is looked up.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The parameters of a connection, from wherever they were given.
pub(super) struct Conninfo {
    given: BTreeMap<&'static str, Given>,
    /// The value of `PGGEQO`, which has no parameter.
    geqo: Option<String>,
}

struct Given {
    value: String,
    origin: Origin,
}

/// The source of a parameter.
#[derive(Clone, PartialEq, Eq)]
enum Origin {
    Text,
    Service(String),
    /// The environment variable with this name.
    Variable(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text => f.write_str("the database URL"),
            Self::Service(name) => write!(f, "service {name}"),
            Self::Variable(name) => write!(f, "the variable {name}"),
        }
    }
}

impl Conninfo {
    /// Reads a connection string and adds the parameters from the environment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`], without repeating any of the text.
    pub(super) fn read(text: &str) -> Result<Self> {
        Self::read_in(text, &|name| std::env::var_os(name))
    }

    /// The same with a different environment.
    fn read_in(text: &str, environment: Lookup<'_>) -> Result<Self> {
        let written = text::read(text).map_err(unreadable)?;
        let mut conninfo = Self { given: BTreeMap::new(), geqo: variable(environment, "PGGEQO")? };
        for (keyword, value) in written.pairs {
            conninfo.given.insert(keyword, Given { value, origin: Origin::Text });
        }
        conninfo.complete(environment)?;
        conninfo.decide(environment)?;
        Ok(conninfo)
    }

    /// Reads the parameters from the environment alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for unsupported parameters.
    pub(super) fn of_environment() -> Result<Self> {
        Self::read("postgres://")
    }

    /// Adds parameters from a service and the environment, unless they were given before.
    fn complete(&mut self, environment: Lookup<'_>) -> Result<()> {
        let service = match self.get("service") {
            Some(name) => Some(name.to_owned()),
            None => variable(environment, "PGSERVICE")?.filter(|name| !name.is_empty()),
        };
        if let Some(name) = service {
            for (keyword, value) in files::service(&name, environment)? {
                self.given.entry(keyword).or_insert(Given { value, origin: Origin::Service(name.clone()) });
            }
        }
        let has_mode = self.given.contains_key("sslmode");
        for parameter in table::PARAMETERS.iter().filter(|one| !one.keyword.is_empty() && !one.variable.is_empty()) {
            if parameter.keyword == "requiressl" || self.given.contains_key(parameter.keyword) {
                continue;
            }
            if let Some(value) = variable(environment, parameter.variable)? {
                self.given.insert(parameter.keyword, Given { value, origin: Origin::Variable(parameter.variable) });
            }
        }
        let requires = variable(environment, "PGREQUIRESSL")?.is_some_and(|value| value.starts_with('1'));
        if requires && !has_mode && !self.given.contains_key("sslmode") {
            let (value, origin) = ("require".to_owned(), Origin::Variable("PGREQUIRESSL"));
            self.given.insert("sslmode", Given { value, origin });
        }
        Ok(())
    }

    /// Refuses unsupported parameters.
    fn decide(&self, environment: Lookup<'_>) -> Result<()> {
        for parameter in table::PARAMETERS {
            let (value, origin) = match self.given.get(parameter.keyword) {
                Some(given) => (given.value.clone(), given.origin.clone()),
                None if parameter.keyword.is_empty() => match variable(environment, parameter.variable)? {
                    Some(value) => (value, Origin::Variable(parameter.variable)),
                    None => continue,
                },
                None => continue,
            };
            if let Some((why, instead)) = parameter.refuses(&value) {
                let what = match &origin {
                    Origin::Variable(name) => format!("the variable {name}"),
                    origin => format!("`{}` of {origin}", parameter.keyword),
                };
                return Err(wrong(format!("{what} is not supported: {why}")).help(instead));
            }
        }
        self.refuse_two_options(environment)
    }

    /// The driver uses `PGOPTIONS` whatever the URL says, which libpq does not.
    fn refuse_two_options(&self, environment: Lookup<'_>) -> Result<()> {
        let own = self.given.get("options").filter(|given| !matches!(given.origin, Origin::Variable(_)));
        let (Some(own), Some(variable)) = (own, variable(environment, "PGOPTIONS")?) else { return Ok(()) };
        if variable.is_empty() || own.value == variable {
            return Ok(());
        }
        let why = format!("{} and the variable PGOPTIONS give different options", own.origin);
        Err(wrong(why).help("unset PGOPTIONS, or leave out `options`"))
    }

    /// The value of a parameter.
    fn get(&self, keyword: &str) -> Option<&str> {
        self.given.get(keyword).map(|given| given.value.as_str())
    }

    /// The value of a parameter, if it is not empty.
    fn some(&self, keyword: &str) -> Option<&str> {
        self.get(keyword).filter(|value| !value.is_empty())
    }

    /// The error for an invalid value, which is not repeated.
    fn wrong_value(&self, keyword: &str, expected: &str) -> Error {
        let message = match self.given.get(keyword).map(|given| &given.origin) {
            Some(Origin::Variable(name)) => format!("the variable {name} has an invalid value"),
            Some(origin @ Origin::Service(_)) => format!("`{keyword}` of {origin} has an invalid value"),
            _ => format!("the database URL is not valid: `{keyword}` has an invalid value"),
        };
        wrong(message).help(format!("write {expected}"))
    }
}

/// The value of an environment variable.
fn variable(environment: Lookup<'_>, name: &str) -> Result<Option<String>> {
    let value = environment(name).map(OsString::into_string).transpose();
    value.map_err(|_| wrong(format!("the variable {name} is not UTF-8")))
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, Finding::new(codes::DATABASE_URL, message))
}

fn unreadable(why: Unreadable) -> Error {
    match why {
        Unreadable::Foreign => wrong("the database is not a postgres:// URL")
            .help("write it as postgres://user@host:5432/database, with special characters percent-encoded"),
        Unreadable::Because(why, help) => wrong(format!("the database URL is not valid: {why}")).help(help),
        Unreadable::Doubtful => wrong(
            "the database URL is not valid: it has special characters that are not percent-encoded",
        )
        .note(
            "it has an @ twice, or after a /, ? or #; the URL is not shown, because any part of it may be the password",
        )
        .help(ENCODE)
        .help(
            "this command does it without showing the password: read -rs PASSWORD; export PASSWORD; python3 -c \
             'import os, urllib.parse; print(urllib.parse.quote(os.environ[\"PASSWORD\"], safe=\"\"))' > encoded",
        )
        .help("or leave the password out of the URL, and put it in PGPASSWORD or in the password file (~/.pgpass)"),
    }
}

/// Percent-decodes a part of a URL.
pub(super) fn decoded(text: &str) -> Option<String> {
    text::decode(text).ok()
}

/// The places of the secrets in a connection string; `None` if the text is not a connection string.
pub fn secrets(text: &str) -> Option<Vec<std::ops::Range<usize>>> {
    text::read(text).ok().map(|written| written.secrets)
}

/// Whether a text looks like a connection string; it may still be invalid.
pub fn is_connection_string(text: &str) -> bool {
    text::after_scheme(text).is_some() || !matches!(text::read(text), Err(Unreadable::Foreign))
}

/// Splits a connection string into one without its password, and the password.
///
/// # Errors
///
/// [`ErrorKind::Configuration`], without repeating any of the text.
pub fn without_password(text: &str) -> Result<(String, Option<String>)> {
    let written = text::read(text).map_err(unreadable)?;
    let password =
        written.pairs.iter().rev().find(|(keyword, _)| *keyword == "password").map(|(_, value)| value.clone());
    let mut bare = text.to_owned();
    for cut in written.cuts.iter().rev() {
        bare.replace_range(cut.clone(), "");
    }
    if bare.contains("://") && !written.cuts.is_empty() {
        // A separator with nothing after it.
        bare.truncate(bare.trim_end_matches(['?', '&']).len());
    }
    Ok((bare, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_password_is_taken_out() {
        let bare = |text: &str| without_password(text).map(|(bare, password)| (bare, password.unwrap_or_default()));
        let own = |bare: &str, password: &str| (bare.to_owned(), password.to_owned());
        for (text, expected) in [
            ("postgres://h/d?password=a&password=b", own("postgres://h/d", "b")),
            ("postgres://h/d?password=a&user=u&password=b", own("postgres://h/d?user=u", "b")),
            ("postgres://h/d?user=u&password=a&password=b", own("postgres://h/d?user=u", "b")),
            ("postgres://ann:a@h/d?password=b", own("postgres://ann@h/d", "b")),
        ] {
            assert_eq!(bare(text).unwrap(), expected, "{text}");
        }
    }

    /// The meaning of a URL with these environment variables, or why it is refused.
    fn read(url: &str, variables: &[(&str, &str)]) -> std::result::Result<Conninfo, String> {
        let lookup =
            |name: &str| variables.iter().find(|(one, _)| *one == name).map(|(_, value)| OsString::from(value));
        Conninfo::read_in(url, &lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn the_text_comes_before_the_service_and_the_service_before_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("services");
        std::fs::write(&file, "# ours\n[shop]\nhost=of.service\nport=7\n[other]\nport=9\n").unwrap();
        let file = file.to_str().unwrap();
        let variables = [("PGSERVICEFILE", file), ("PGSERVICE", "shop"), ("PGPORT", "8"), ("PGUSER", "ann")];
        let conninfo = read("postgres:///?host=of.text", &variables).unwrap();
        let all = ["host", "port", "user"].map(|keyword| conninfo.get(keyword).unwrap());
        assert_eq!(all, ["of.text", "7", "ann"]);
        let other = read("postgres:///?service=other", &variables).unwrap();
        assert_eq!((other.get("port"), other.get("host")), (Some("9"), None));
        let none = read("postgres:///?service=none", &variables).err().unwrap();
        assert!(none.contains("there is no service none"), "{none}");
        assert_eq!(read("postgres://", &[("PGREQUIRESSL", "1")]).unwrap().get("sslmode"), Some("require"));
    }

    #[test]
    fn what_is_not_honoured_is_refused_by_its_name_and_the_text_hides_the_variable() {
        for (url, variables, expected) in [
            ("postgres://h/d?channel_binding=require", &[][..], "`channel_binding` of the database URL"),
            ("postgres://h/d", &[("PGCHANNELBINDING", "require")], "the variable PGCHANNELBINDING"),
            ("postgres://h/d?sslcrl=x", &[], "`sslcrl`"),
            ("postgres://h/d", &[("PGTZ", "Asia/Tokyo")], "PGTZ"),
            ("postgres://h/d?options=-cgeqo%3Doff", &[("PGOPTIONS", "-c geqo=on")], "PGOPTIONS"),
        ] {
            let error = read(url, variables).err().unwrap();
            assert!(error.contains(expected), "{url}: {error}");
        }
        assert!(read("postgres://h/d?channel_binding=prefer", &[("PGCHANNELBINDING", "require")]).is_ok());
        assert!(read("postgres://h/d?sslcrl=", &[("PGSSLCRL", "x"), ("PGTZ", "UTC")]).is_ok());
    }
}
