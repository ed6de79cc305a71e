//! One environment of `migrate.toml`.

use std::path::PathBuf;
use std::time::Duration;

use migrate_base::duration;
use migrate_base::ident::QualifiedName;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::DatabaseSource;

/// One environment: a database and its options.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Environment {
    /// Where the database is.
    #[serde(deserialize_with = "source")]
    pub database: DatabaseSource,
    /// The ledger table.
    #[serde(deserialize_with = "qualified")]
    pub ledger: QualifiedName,
    /// Ledgers of other tools that belong to other applications.
    #[serde(deserialize_with = "qualified_list")]
    pub other_ledgers: Vec<QualifiedName>,
    /// Whether to ask before changes, and to refuse seeds.
    pub protected: bool,
    /// How long a statement waits for a lock.
    #[serde(deserialize_with = "time")]
    pub lock_timeout: Duration,
    /// How often a migration that did not get a lock is retried.
    pub lock_retries: u32,
    /// How long a statement may run; zero means no limit.
    #[serde(deserialize_with = "time")]
    pub statement_timeout: Duration,
    /// How long to wait for another run to finish.
    #[serde(deserialize_with = "time")]
    pub lock_wait: Duration,
    /// How long to wait for a server that cannot be reached yet because it is starting; zero means do not wait.
    #[serde(deserialize_with = "time")]
    pub connect_wait: Duration,
    /// Whether the database may have migrations that are newer than everything in the folder.
    pub allow_newer: bool,
    /// How long to wait for a connection.
    #[serde(deserialize_with = "time")]
    pub connect_timeout: Duration,
    /// Whether to record the schema's fingerprint after each run.
    pub fingerprint: bool,
    /// The folder of run records, relative to the file that names it.
    pub record: Option<PathBuf>,
    /// The same by its old name, which this release still accepts.
    #[serde(rename = "audit")]
    pub(super) old_record: Option<Spanned<PathBuf>>,
    /// Up to how many rows a table is counted for a plan and a run record; larger tables are estimated.
    pub exact_rows: u64,
    /// The file with development data, relative to the file that names it.
    pub seed: Option<PathBuf>,
}

impl Default for Environment {
    fn default() -> Self {
        let options = migrate_core::runner::Options::default();
        Self {
            database: DatabaseSource::Auto,
            ledger: options.ledger,
            other_ledgers: options.other_ledgers,
            protected: false,
            lock_timeout: options.lock_timeout,
            lock_retries: options.lock_retries,
            statement_timeout: options.statement_timeout,
            lock_wait: options.lock_wait,
            connect_wait: options.connect_wait,
            allow_newer: false,
            connect_timeout: Duration::from_secs(10),
            fingerprint: options.fingerprint,
            record: None,
            old_record: None,
            exact_rows: 100_000,
            seed: None,
        }
    }
}

fn source<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<DatabaseSource, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| de::Error::custom(format!("not a database: write {}", DatabaseSource::FORMS)))
}

fn qualified<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<QualifiedName, D::Error> {
    let text = String::deserialize(deserializer)?;
    QualifiedName::parse(&text).ok_or_else(|| de::Error::custom("give the ledger with its schema: roundtrip.ledger"))
}

fn qualified_list<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<QualifiedName>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let name = |text: &String| QualifiedName::parse(text);
    let wrong = || de::Error::custom("give each table with its schema: [\"public.schema_migrations\"]");
    names.iter().map(name).collect::<Option<_>>().ok_or_else(wrong)
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Duration, D::Error> {
    let time = match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => duration::parse(&text),
        toml::Value::Integer(number) => {
            return Err(de::Error::custom(format!("write a time with its unit: \"{number}s\"")));
        }
        _ => None,
    };
    time.ok_or_else(|| de::Error::custom("write a time as a number with its unit: 250ms, 3s, 10min, 1h"))
}
