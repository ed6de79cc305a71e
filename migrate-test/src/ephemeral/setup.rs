//! What exists before a chain begins: extensions, schemas of the host, roles and settings that are in
//! production without any migration. `[shadow]` in migrate.toml names the scripts and the settings.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::{ident, literal};
use migrate_core::{CodeMigrations, Database, Error, ErrorKind};
use migrate_review::config::Config;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnectOptions;

use super::rehearsal;
use crate::error::ServerError;

/// Scripts and settings that every shadow database begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    scripts: Vec<(PathBuf, Arc<str>)>,
    settings: Vec<(String, String)>,
}

static CURRENT: Mutex<Option<Arc<Setup>>> = Mutex::new(None);

impl Setup {
    /// Reads the scripts that `[shadow]` names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a script that cannot be read, [`ErrorKind::Files`] for one that only
    /// psql can run.
    pub fn load(config: &Config) -> Result<Self, Error> {
        let read = |path: &PathBuf| {
            let text = migrate_base::regular::read_to_string(path).map_err(|error| {
                let finding = Finding::new(codes::SHADOW_SETUP, format!("{} cannot be read: {error}", path.display()))
                    .at(config.path.as_ref().map(Place::file))
                    .help("`setup` in [shadow] names SQL files, relative to migrate.toml");
                Error::new(ErrorKind::Configuration, finding)
            })?;
            Ok((path.clone(), migrate_base::sql::schema_script(path, &text)?))
        };
        let scripts = config.shadow.setup.iter().map(read).collect::<Result<_, Error>>()?;
        let settings = config.shadow.settings.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Self { scripts, settings })
    }

    /// Applies it to every shadow database that this process creates from now on.
    pub fn begin(self) {
        let setup = Some(self).filter(|setup| *setup != Self::default()).map(Arc::new);
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = setup;
    }

    /// Whether shadow databases begin with any scripts.
    pub fn is_there() -> bool {
        Self::current().is_some_and(|setup| !setup.scripts.is_empty())
    }

    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The texts of its scripts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.scripts.iter().map(|(_, text)| &**text)
    }

    /// Distinguishes databases that begin with it from others, as digits.
    pub(super) fn key(&self) -> String {
        let mut digest = Sha256::new();
        let settings = self.settings.iter().flat_map(|(name, value)| [&**name, value]);
        for part in self.texts().chain(["settings"]).chain(settings) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The statements that make its settings those of new sessions of a database.
    pub(super) fn sql(&self, database: &str) -> String {
        let database = ident(database);
        let set = |(name, value): &(String, String)| {
            let name: Vec<String> = name.split('.').map(ident).collect();
            format!("ALTER DATABASE {database} SET {} TO {};", name.join("."), literal(value))
        };
        self.settings.iter().map(set).collect()
    }

    /// Runs the scripts on a new database, as a superuser.
    pub(super) async fn run(&self, database: &PgConnectOptions) -> Result<(), ServerError> {
        let opened = rehearsal(Database::from(database.clone()), &CodeMigrations::none()).await;
        let mut session = opened.map_err(ServerError::Setup)?;
        let mut outcome = Ok(());
        for (path, text) in &self.scripts {
            outcome = session.set_up(path, text).await;
            if outcome.is_err() {
                break;
            }
        }
        session.close().await;
        outcome.map_err(ServerError::Setup)
    }
}
