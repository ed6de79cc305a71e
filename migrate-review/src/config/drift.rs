//! Differences that do not count as drift.

use std::path::Path;

use migrate_base::codes;
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};
use migrate_core::drift::{NotARule, Rule};
use serde::Deserialize;
use toml::Spanned;

use super::redact;

/// Objects that are ignored when a database is compared with its migrations.
#[derive(Debug, Clone, Default)]
pub struct Drift {
    /// The rules: `"table public.tmp_*"`.
    pub ignore: Vec<Rule>,
}

/// The section as in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    ignore: Vec<Spanned<String>>,
}

impl Written {
    /// Reads the rules in a file with this text; the error points at the invalid rule and not at the whole list.
    pub(super) fn read(self, path: &Path, text: &str) -> Result<Drift> {
        let rule = |written: Spanned<String>| {
            written.get_ref().parse().map_err(|NotARule(why)| {
                let place = Place::within(path, redact(text).into(), written.span());
                let finding = Finding::new(codes::CONFIG, why).at(place).help("docs/FORMATS.md describes the rules");
                Error::new(ErrorKind::Configuration, finding)
            })
        };
        Ok(Drift { ignore: self.ignore.into_iter().map(rule).collect::<Result<_>>()? })
    }
}
