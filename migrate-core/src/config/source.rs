//! Where a database is, and how a URL is shown without its password.

use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;

/// Where a database is, as it is written in `migrate.toml` or after `--database`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseSource {
    /// A managed server, from the first that serves.
    Auto,
    /// A managed server from the PostgreSQL binaries of this machine.
    Local,
    /// A managed server in a container of this image, or of a fitting one.
    Docker(Option<String>),
    /// A URL in an environment variable.
    Variable(String),
    /// A URL.
    Url(String),
}

/// A text that names no database source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotASource;

impl FromStr for DatabaseSource {
    type Err = NotASource;

    fn from_str(text: &str) -> std::result::Result<Self, NotASource> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "local" => Ok(Self::Local),
            None if text == "docker" => Ok(Self::Docker(None)),
            Some(("docker", image)) if !image.is_empty() => Ok(Self::Docker(Some(image.to_owned()))),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Variable(name.to_owned())),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Ok(Self::Url(text.to_owned())),
            _ => Err(NotASource),
        }
    }
}

impl DatabaseSource {
    /// The forms that are understood, for messages and help.
    pub const FORMS: &str = "auto, local, docker, docker:IMAGE, env:VARIABLE or postgres://…";

    /// The URL, where the source is one; a variable is looked up in the process environment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a variable that is not set or is empty.
    pub fn url(&self) -> Result<Option<String>> {
        match self {
            Self::Url(url) => Ok(Some(url.clone())),
            Self::Variable(name) => match std::env::var(name).ok().filter(|value| !value.is_empty()) {
                Some(url) => Ok(Some(url)),
                None => Err(Error::new(
                    ErrorKind::Configuration,
                    Finding::error("variable-unset", format!("the environment variable {name} is not set"))
                        .note("the database of this environment is `env:` and its name")
                        .help(format!("export {name}=postgres://user:password@host/database")),
                )),
            },
            Self::Auto | Self::Local | Self::Docker(_) => Ok(None),
        }
    }

    /// Whether the source is a URL with a password written into it.
    pub fn holds_password(&self) -> bool {
        matches!(self, Self::Url(url) if redact(url) != *url)
    }
}

/// Hides the password of every URL in a text, and keeps the length of the text.
pub fn redact(text: &str) -> String {
    let mut shown = text.to_owned();
    let mut from = 0;
    while let Some(at) = shown[from..].find("://").map(|n| from + n + 3) {
        let stop = |c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?' | '#');
        let authority = shown[at..].find(stop).map_or(shown.len(), |n| at + n);
        // The last @ ends the user's part: an unescaped one may stand in the password.
        if let Some(host) = shown[at..authority].rfind('@').map(|n| at + n)
            && let Some(colon) = shown[at..host].find(':').map(|n| at + n)
            && colon + 1 < host
        {
            let stars = "*".repeat(host - colon - 1);
            shown.replace_range(colon + 1..host, &stars);
        }
        from = at;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_source_is_read() {
        let docker = |image: &str| DatabaseSource::Docker(Some(image.to_owned()));
        assert_eq!("docker:postgres:17".parse(), Ok(docker("postgres:17")));
        assert_eq!("env:STAGING".parse(), Ok(DatabaseSource::Variable("STAGING".into())));
        for wrong in ["", "Auto", "env:", "postgres:x", "localhost"] {
            assert_eq!(wrong.parse::<DatabaseSource>(), Err(NotASource), "{wrong}");
        }
    }

    #[test]
    fn redaction_keeps_the_length() {
        let text = "a postgres://u:p@ss@h/d b https://h:1/x";
        assert_eq!(redact(text), "a postgres://u:****@h/d b https://h:1/x");
    }
}
