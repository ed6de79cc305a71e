//! `migrate.toml`: where the migrations are, and the environments they run in.
//!
//! It reads the file and the process environment, and opens no connection. What `auto` and
//! `docker:` mean is left to whoever provides servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::duration;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, Place};
use crate::ident::QualifiedName;
use crate::source::Layout;
use crate::suggest;

/// The name of the file, looked for in the present folder and those above it.
pub const FILE_NAME: &str = "migrate.toml";

/// What `migrate.toml` says, with defaults for what it leaves out.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file, where there is one.
    pub path: Option<PathBuf>,
    /// The folder of the project: that of the file, or the present one.
    pub project: PathBuf,
    /// The folder of migrations.
    pub migrations: PathBuf,
    /// Which tool's files they are, where that is said.
    pub layout: Option<Layout>,
    environments: BTreeMap<String, Environment>,
}

/// One environment: a database, and how to treat it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Environment {
    /// Where the database is.
    #[serde(deserialize_with = "source")]
    pub database: DatabaseSource,
    /// The table that remembers everything.
    #[serde(deserialize_with = "qualified")]
    pub ledger: QualifiedName,
    /// Whether to ask before anything is changed, and to refuse seeds.
    pub protected: bool,
    /// How long a statement waits for a lock.
    #[serde(deserialize_with = "time")]
    pub lock_timeout: Duration,
    /// How often a migration that got no lock is tried again.
    pub lock_retries: u32,
    /// How long a statement may run; zero lets it run for ever.
    #[serde(deserialize_with = "time")]
    pub statement_timeout: Duration,
    /// How long to wait for another run to end.
    #[serde(deserialize_with = "time")]
    pub lock_wait: Duration,
    /// How long to wait for a connection.
    #[serde(deserialize_with = "time")]
    pub connect_timeout: Duration,
    /// Whether to record the schema's fingerprint after each run.
    pub fingerprint: bool,
    /// The file with development data, relative to the file that names it.
    pub seed: Option<PathBuf>,
}

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    migrations: Option<PathBuf>,
    #[serde(default, deserialize_with = "layout")]
    layout: Option<Layout>,
    #[serde(default)]
    environments: BTreeMap<String, Environment>,
}

impl Default for Environment {
    fn default() -> Self {
        let options = crate::runner::Options::default();
        Self {
            database: DatabaseSource::Auto,
            ledger: options.ledger,
            protected: false,
            lock_timeout: options.lock_timeout,
            lock_retries: options.lock_retries,
            statement_timeout: options.statement_timeout,
            lock_wait: options.lock_wait,
            connect_timeout: Duration::from_secs(10),
            fingerprint: options.fingerprint,
            seed: None,
        }
    }
}

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

impl Config {
    /// Reads the given file, or the one that is found in `folder` or above it; without one,
    /// everything has its default.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] with line and column for a file that cannot be understood.
    pub fn load(file: Option<&Path>, folder: &Path) -> Result<Self> {
        let found = || folder.ancestors().map(|above| above.join(FILE_NAME)).find(|path| path.is_file());
        let Some(path) = file.map(Path::to_owned).or_else(found) else {
            let (project, migrations) = (folder.to_owned(), folder.join("migrations"));
            return Ok(Self { path: None, project, migrations, layout: None, environments: BTreeMap::new() });
        };
        let text = fs::read_to_string(&path).map_err(|error| {
            let finding = Finding::error("config-unreadable", format!("the configuration cannot be read: {error}"))
                .at(Place::file(&path))
                .help("check the path after --config");
            Error::new(ErrorKind::Configuration, finding)
        })?;
        let File { migrations, layout, mut environments } =
            toml::from_str(&text).map_err(|error| wrong(&path, &text, &error))?;
        let project = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        for environment in environments.values_mut() {
            environment.seed = environment.seed.take().map(|seed| project.join(seed));
        }
        let migrations = project.join(migrations.unwrap_or_else(|| "migrations".into()));
        Ok(Self { path: Some(path), project, migrations, layout, environments })
    }

    /// The environment with this name; `development` and `shadow` are always there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a name that is not in the file.
    pub fn environment(&self, name: &str) -> Result<Environment> {
        if let Some(environment) = self.environments.get(name) {
            return Ok(environment.clone());
        }
        if BUILT_IN.contains(&name) {
            // Nobody asks who changed the schema of a laptop.
            return Ok(Environment { fingerprint: false, ..Environment::default() });
        }
        let known = self.names();
        let finding = Finding::error("no-environment", format!("there is no environment {name}"));
        let finding = match suggest::nearest(name, known.iter().map(String::as_str)) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("the environments are {}", known.join(", "))),
        };
        let finding = match &self.path {
            Some(path) => {
                finding.at(Place::file(path)).help(format!("add it: [environments.{name}] with its database"))
            }
            None => finding.help(format!("write a {FILE_NAME} with [environments.{name}], or give --database URL")),
        };
        Err(Error::new(ErrorKind::Configuration, finding))
    }

    /// The names of all environments.
    pub fn names(&self) -> Vec<String> {
        let built_in = BUILT_IN.iter().filter(|name| !self.environments.contains_key(**name));
        built_in.map(|name| (*name).to_owned()).chain(self.environments.keys().cloned()).collect()
    }
}

const BUILT_IN: [&str; 2] = ["development", "shadow"];

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

/// A file that cannot be understood, with the place and, for a misspelt key, the right one.
fn wrong(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let message = error.message().trim().replace('\n', ", ");
    let (what, help) = match message.split_once(", expected ") {
        Some((what, expected)) if what.starts_with("unknown field") => {
            let word = what.split('`').nth(1).unwrap_or_default();
            let near = suggest::nearest(word, expected.split('`').skip(1).step_by(2));
            let help = near.map_or(format!("expected {expected}"), |near| format!("did you mean `{near}`?"));
            (what.replace("unknown field", "unknown key"), help)
        }
        _ => (message, "docs/FORMATS.md describes the file".to_owned()),
    };
    let finding = Finding::error("config", redact(&what)).help(help);
    let shown: std::sync::Arc<str> = redact(text).into();
    let place = error.span().map_or(Place::file(path), |span| Place::within(path, shown, span));
    Error::new(ErrorKind::Configuration, finding.at(place))
}

fn source<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<DatabaseSource, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| de::Error::custom(format!("this is no database: write {}", DatabaseSource::FORMS)))
}

fn layout<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Layout>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |_| de::Error::custom(format!("the layouts are {}", Layout::names().join(", ")));
    text.parse().map(Some).map_err(wrong)
}

fn qualified<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<QualifiedName, D::Error> {
    let text = String::deserialize(deserializer)?;
    QualifiedName::parse(&text)
        .ok_or_else(|| de::Error::custom("the ledger is named with its schema: roundtrip.ledger"))
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration::parse(&text).ok_or_else(|| de::Error::custom("a time is a number with its unit: 250ms, 3s, 10min, 1h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn message(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, text).unwrap();
        let error = Config::load(Some(&path), folder.path()).unwrap_err();
        let finding = &error.findings()[0];
        let (line, column) = finding.place.as_ref().unwrap().line_column().unwrap();
        format!("{line}:{column} {} ({})", finding.message, finding.help.join("; "))
    }

    #[test]
    fn mistakes_are_pointed_at() {
        assert_eq!(
            message("[environments.staging]\nprotectd = true\n"),
            "2:1 unknown key `protectd` (did you mean `protected`?)"
        );
        assert!(
            message("[environments.a]\nlock_timeout = \"5\"\n").starts_with("2:16 a time is a number with its unit")
        );
        assert!(message("[environments.a]\ndatabase = \"mysql://x\"\n").starts_with("2:12 this is no database"));
    }

    #[test]
    fn a_password_in_a_broken_file_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, "[environments.a]\ndatabase = \"postgres://u:s3cret@h/d\nx").unwrap();
        let error = Config::load(Some(&path), folder.path()).unwrap_err();
        let (text, ..) = error.findings()[0].place.as_ref().unwrap().source().unwrap();
        assert!(text.contains("postgres://u:******@h/d"), "{text}");
        assert!(!error.to_string().contains("s3cret"));
    }

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
