//! What is too dangerous for the databases of this project.

use std::collections::BTreeMap;

use migrate_base::finding::Severity;
use migrate_base::lock_mode::LockMode;
use serde::{Deserialize, Deserializer, de};

/// The severity of a rule in this project; `None` turns it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleSeverity(pub Option<Severity>);

/// The rules whose severity differs from the default, by code: `ban-char-field = "off"`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct LintConfig {
    /// The severity of each named rule.
    pub rules: BTreeMap<String, RuleSeverity>,
}

/// What a migration may do to existing tables.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LockPolicy {
    /// The strongest lock that it may take on such a table.
    #[serde(deserialize_with = "mode")]
    pub max_lock: Option<LockMode>,
    /// The maximum number of rows of a rewritten table.
    pub no_rewrite: Option<u64>,
    /// Whether waiting for a lock must have a limit.
    pub lock_timeout: bool,
    /// The environment whose tables provide the row counts.
    pub sizes: Option<String>,
    /// Which tables must have rows when a migration is proven.
    pub rows: RowsWanted,
}

/// Which tables must have rows for a proof to count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowsWanted {
    /// Those that the generator can fill; the others are reported.
    #[default]
    Any,
    /// All of them.
    All,
}

impl<'de> Deserialize<'de> for RuleSeverity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        match &*String::deserialize(deserializer)? {
            "error" => Ok(Self(Some(Severity::Error))),
            "warning" => Ok(Self(Some(Severity::Warning))),
            "note" => Ok(Self(Some(Severity::Note))),
            "off" => Ok(Self(None)),
            _ => Err(de::Error::custom("the severity of a rule is \"error\", \"warning\", \"note\" or \"off\"")),
        }
    }
}

fn mode<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<LockMode>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let known = || LockMode::ALL.map(LockMode::as_str).join(", ");
    text.parse().map(Some).map_err(|_| de::Error::custom(format!("the table locks are {}", known())))
}
