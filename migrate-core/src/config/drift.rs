//! What is no drift.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::redact;
use crate::drift::{NotARule, Rule};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, Place};

/// Objects that do not count when a database is compared with its migrations.
#[derive(Debug, Clone, Default)]
pub struct Drift {
    /// Which ones: `"table public.tmp_*"`.
    pub ignore: Vec<Rule>,
}

/// The same as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    ignore: Vec<Spanned<String>>,
}

impl Written {
    /// Reads the rules of a file with this text; one that is none is pointed at, and not the list that it is in.
    pub(super) fn read(self, path: &Path, text: &str) -> Result<Drift> {
        let rule = |written: Spanned<String>| {
            written.get_ref().parse().map_err(|NotARule(why)| {
                let place = Place::within(path, redact(text).into(), written.span());
                let finding = Finding::error("config", why).at(place).help("docs/FORMATS.md describes the rules");
                Error::new(ErrorKind::Configuration, finding)
            })
        };
        Ok(Drift { ignore: self.ignore.into_iter().map(rule).collect::<Result<_>>()? })
    }
}
