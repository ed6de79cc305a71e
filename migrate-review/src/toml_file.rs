//! What the TOML files of a project have in common: how errors in them are reported.

use std::path::Path;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::error::{Error, ErrorKind};
use migrate_base::finding::{Finding, Place};
use migrate_base::suggest;

use crate::database_source::redact;

/// The error for an invalid file, with the place and, for a misspelt key, the correct key.
pub(crate) fn wrong(path: &Path, text: &str, error: &toml::de::Error) -> Error {
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
    let finding = Finding::new(codes::CONFIG, redact(&what)).help(help);
    let shown: Arc<str> = redact(text).into();
    let place = error.span().map_or(Place::file(path), |span| Place::within(path, shown, span));
    Error::new(ErrorKind::Configuration, finding.at(place))
}
