//! `[shadow]`: what every shadow database starts with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

/// What every shadow database starts with, before the first migration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShadowSetup {
    /// The SQL files to run, in order, relative to the file that names them.
    #[serde(deserialize_with = "one_or_more")]
    pub setup: Vec<PathBuf>,
    /// The settings of its sessions.
    #[serde(deserialize_with = "settings")]
    pub settings: BTreeMap<String, String>,
}

impl ShadowSetup {
    pub(super) fn below(mut self, project: &Path) -> Self {
        self.setup = self.setup.into_iter().map(|path| project.join(path)).collect();
        self
    }
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "`setup` is a file or a list of files")]
    enum SetupFiles {
        One(PathBuf),
        More(Vec<PathBuf>),
    }
    Ok(match SetupFiles::deserialize(deserializer)? {
        SetupFiles::One(path) => vec![path],
        SetupFiles::More(paths) => paths,
    })
}

/// Setting values as people write them: numbers and booleans as well as strings.
fn settings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "the value of a setting is a string, a number, true or false")]
    enum SettingValue {
        Text(String),
        Number(i64),
        Fraction(f64),
        Truth(bool),
    }
    let written = BTreeMap::<String, SettingValue>::deserialize(deserializer)?;
    let text = |written| match written {
        SettingValue::Text(text) => text,
        SettingValue::Number(number) => number.to_string(),
        SettingValue::Fraction(number) => number.to_string(),
        SettingValue::Truth(truth) => truth.to_string(),
    };
    Ok(written.into_iter().map(|(name, value)| (name, text(value))).collect())
}
