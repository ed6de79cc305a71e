//! `migrate.toml`: the location of the migrations, and their environments.
//!
//! This module reads the file and the process environment, and opens no connection. The code that provides servers
//! interprets `auto` and `docker:`.

mod contacts;
mod drift;
mod engine;
mod environment;
mod judgement;
mod notify;
mod shadow;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use migrate_base::codes;
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};
use migrate_base::regular;
use migrate_base::suggest;
use migrate_base::visible;
use migrate_core::Layout;
use migrate_core::runner::Contact;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use crate::consumer::{ConsumerDeclaration, WrittenDeclaration, is_name, misnamed};
use crate::toml_file::wrong;

pub use crate::database_source::{DatabaseSource, NotASource, redact};
pub use drift::DriftConfig;
pub use engine::{ChainListing, EngineConfig, EnginePreset};
pub use environment::Environment;
pub use judgement::{LintConfig, LockPolicy, RowsWanted, RuleSeverity};
pub use notify::{Hook, HookEvent, HookFormat, SecretText};
pub use shadow::ShadowSetup;

/// The name of the file, which is searched for in the current folder and its parents.
pub const FILE_NAME: &str = "migrate.toml";

/// The contents of `migrate.toml`, with defaults for missing keys.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The file, if there is one.
    pub path: Option<PathBuf>,
    /// The folder of the project: that of the file, or the current one.
    pub project: PathBuf,
    /// The folder of migrations.
    pub migrations: PathBuf,
    /// The tool that wrote the files, if configured.
    pub layout: Option<Layout>,
    /// Files that the tool of the layout would run and that are left out on purpose, as paths below the folder.
    pub skip: Vec<String>,
    /// Files of other tools that are an up script as a whole, whatever a remark in them looks like.
    pub whole: Vec<String>,
    /// The values of placeholders in the files of other tools; `env:NAME` stands for a variable.
    pub placeholders: BTreeMap<String, String>,
    /// The other tool that runs the migrations, if there is one.
    pub engine: Option<EngineConfig>,
    /// The branch with the released migrations, if configured.
    pub base: Option<String>,
    /// The severities of the rules for SQL.
    pub lint: LintConfig,
    /// What a migration may do to a database that is in use.
    pub policy: LockPolicy,
    /// How long a statement may run on a shadow database, if `[environments.shadow]` sets it; zero means no limit.
    pub shadow_limit: Option<Duration>,
    /// What every shadow database starts with.
    pub shadow: ShadowSetup,
    /// Who is notified of runs, by name.
    pub notify: BTreeMap<String, Hook>,
    /// Differences that do not count as drift.
    pub drift: DriftConfig,
    /// Who to call, in order.
    pub contacts: Vec<Contact>,
    /// The consumers that share the database, by name.
    pub consumers: BTreeMap<String, ConsumerDeclaration>,
    /// A finding for each key that was renamed and is given by its old name, which still works.
    pub renamed: Vec<Finding>,
    environments: BTreeMap<String, Environment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    migrations: Option<PathBuf>,
    #[serde(default, deserialize_with = "layout")]
    layout: Option<Layout>,
    #[serde(default)]
    skip: Vec<String>,
    #[serde(default)]
    whole: Vec<String>,
    #[serde(default)]
    placeholders: BTreeMap<String, String>,
    engine: Option<EngineConfig>,
    base: Option<String>,
    #[serde(default)]
    lint: LintConfig,
    #[serde(default)]
    policy: LockPolicy,
    #[serde(default)]
    notify: BTreeMap<String, Spanned<Hook>>,
    #[serde(default)]
    drift: drift::DriftSection,
    #[serde(default)]
    contacts: contacts::Contacts,
    #[serde(default)]
    consumers: BTreeMap<Spanned<String>, WrittenDeclaration>,
    #[serde(default)]
    shadow: ShadowSetup,
    #[serde(default)]
    environments: BTreeMap<String, Environment>,
}

impl Config {
    /// Reads the given file, or the one found in `folder` or its parents; without a file, all values have their
    /// defaults.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] with line and column for an invalid file.
    pub fn load(file: Option<&Path>, folder: &Path) -> Result<Self> {
        let found = || folder.ancestors().map(|above| above.join(FILE_NAME)).find(|path| path.is_file());
        let Some(path) = file.map(Path::to_owned).or_else(found) else {
            let (project, migrations) = (folder.to_owned(), folder.join("migrations"));
            return Ok(Self { project, migrations, ..Self::default() });
        };
        let text = regular::read_to_string(&path).map_err(|error| {
            let finding = Finding::new(codes::CONFIG_UNREADABLE, format!("the configuration cannot be read: {error}"))
                .at(Place::file(&path))
                .help(match error.kind() {
                    std::io::ErrorKind::NotFound if file.is_some() => "check the path after --config",
                    _ => regular::help(&error),
                });
            Error::new(ErrorKind::Configuration, finding)
        })?;
        let file: ConfigFile = toml::from_str(&text).map_err(|error| wrong(&path, &text, &error))?;
        let ConfigFile {
            migrations,
            layout,
            skip,
            whole,
            placeholders,
            engine,
            base,
            lint,
            policy,
            notify,
            drift,
            contacts,
            consumers,
            shadow,
            ..
        } = file;
        let mut environments = file.environments;
        let drift = drift.read(&path, &text)?;
        let project = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        let mut found = Vec::new();
        for environment in environments.values_mut() {
            environment.seed = environment.seed.take().map(|seed| project.join(seed));
            if let Some(old) = environment.old_record.take() {
                let place = Place::within(&path, redact(&text).into(), key_before(&text, "audit", old.span()));
                if environment.record.is_some() {
                    let finding =
                        Finding::new(codes::CONFIG, "`audit` is the old name of `record`, which is also given");
                    let finding = finding.at(place).help("remove the line with `audit`");
                    return Err(Error::new(ErrorKind::Configuration, finding));
                }
                found.push(renamed("audit", "record").at(place));
                environment.record = Some(old.into_inner());
            }
            environment.record = environment.record.take().map(|folder| project.join(folder));
        }
        let shadow_limit =
            says_limit(&text).then(|| environments.get(SHADOW).map(|shadow| shadow.statement_timeout)).flatten();
        let migrations = project.join(migrations.unwrap_or_else(|| "migrations".into()));
        let contacts = contacts.0;
        let config = Self {
            migrations,
            layout,
            skip,
            whole,
            placeholders,
            engine,
            base,
            lint,
            policy,
            shadow_limit,
            shadow: shadow.below(&project),
            project,
            drift,
            contacts,
            environments,
            renamed: found,
            ..Self::default()
        };
        let known = config.names();
        for hook in notify.values() {
            let mut heard = hook.get_ref().environments.iter().flatten();
            if let Some(name) = heard.find(|name| !known.contains(name)) {
                let finding = Finding::new(codes::NO_ENVIRONMENT, format!("there is no environment {name}"))
                    .at(Place::within(&path, redact(&text).into(), hook.span()))
                    .help(format!("the environments are {}", known.join(", ")));
                return Err(Error::new(ErrorKind::Configuration, finding));
            }
        }
        let notify = notify.into_iter().map(|(name, hook)| (name, hook.into_inner())).collect();
        let consumers = named(consumers, &path, &text)?;
        Ok(Self { path: Some(path), notify, consumers, ..config })
    }

    /// The environment with this name; `development` and `shadow` always exist.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a name that is not in the file.
    pub fn environment(&self, name: &str) -> Result<Environment> {
        if let Some(environment) = self.environments.get(name) {
            return Ok(environment.clone());
        }
        if BUILT_IN.contains(&name) {
            // Nobody asks who changed the schema on a laptop.
            return Ok(Environment { fingerprint: false, ..Environment::default() });
        }
        let known = self.names();
        // A URL in the wrong place may contain a password.
        let shown = match name {
            "" => "without a name".into(),
            _ if name.contains("//") => "of this name".into(),
            _ => visible::line(name),
        };
        let finding = Finding::new(codes::NO_ENVIRONMENT, format!("there is no environment {shown}"));
        let finding = match suggest::nearest(name, known.iter().map(String::as_str)) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("the environments are {}", known.join(", "))),
        };
        let finding = match &self.path {
            Some(path) => {
                finding.at(Place::file(path)).help(format!("add it as [environments.{}] with its database", key(name)))
            }
            None => {
                finding.help(format!("write a {FILE_NAME} with [environments.{}], or pass --database URL", key(name)))
            }
        };
        Err(Error::new(ErrorKind::Configuration, finding))
    }

    /// The names of all environments.
    pub fn names(&self) -> Vec<String> {
        let built_in = BUILT_IN.iter().filter(|name| !self.environments.contains_key(**name));
        built_in.map(|name| (*name).to_owned()).chain(self.environments.keys().cloned()).collect()
    }
}

const SHADOW: &str = "shadow";
const BUILT_IN: [&str; 2] = ["development", SHADOW];

/// A name as a key of TOML, with quotes if it needs them.
fn key(name: &str) -> Cow<'_, str> {
    let is_bare = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    match name {
        _ if name.is_empty() || name.contains("//") => "NAME".into(),
        _ if name.chars().all(is_bare) => name.into(),
        // A string of JSON is one of TOML, and writing it cannot fail.
        _ => serde_json::to_string(name).unwrap_or_default().into(),
    }
}

/// Whether the file itself sets a limit for shadow databases: the default of an environment is not one.
fn says_limit(text: &str) -> bool {
    let table: Option<toml::Table> = toml::from_str(text).ok();
    let shadow = table.as_ref().and_then(|table| table.get("environments")?.get(SHADOW));
    shadow.is_some_and(|shadow| shadow.get("statement_timeout").is_some())
}

/// The consumers with the places of their declarations; a name must be a valid folder name.
fn named(
    consumers: BTreeMap<Spanned<String>, WrittenDeclaration>,
    path: &Path,
    text: &str,
) -> Result<BTreeMap<String, ConsumerDeclaration>> {
    let shown: std::sync::Arc<str> = redact(text).into();
    let declared = consumers.into_iter().map(|(name, written)| {
        let place = Place::within(path, shown.clone(), name.span());
        let name = name.into_inner();
        match is_name(&name) {
            true => Ok((name, written.at(place, &shown))),
            false => Err(Error::new(ErrorKind::Configuration, misnamed(&name).at(place))),
        }
    });
    declared.collect()
}

/// The place of a key, from that of its value: the key is the last such word before it.
fn key_before(text: &str, key: &str, value: Range<usize>) -> Range<usize> {
    let at = text.get(..value.start).and_then(|before| before.rfind(key));
    at.map_or(value, |at| at..at + key.len())
}

/// The finding for a key or an option that was renamed.
pub fn renamed(old: &str, new: &str) -> Finding {
    Finding::new(codes::CONFIG_RENAMED, format!("`{old}` is now called `{new}`"))
        .note("the old name still works in this release")
        .help(format!("write `{new}`"))
}

fn layout<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Layout>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |_| de::Error::custom(format!("the layouts are {}", Layout::names().join(", ")));
    text.parse().map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests;
