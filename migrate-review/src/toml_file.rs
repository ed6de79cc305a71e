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
        _ => (kinds(&message).unwrap_or(message), "docs/FORMATS.md describes the file".to_owned()),
    };
    let finding = Finding::new(codes::CONFIG, redact(&what)).help(help);
    let shown: Arc<str> = redact(text).into();
    let place = error.span().map_or(Place::file(path), |span| Place::within(path, shown, span));
    Error::new(ErrorKind::Configuration, finding.at(place))
}

/// The message about a value of a wrong kind, in the words of TOML instead of those of serde.
fn kinds(message: &str) -> Option<String> {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    let (got, wanted) = rest.split_once(", expected ")?;
    let got = match got.split([' ', '`', '"']).next()? {
        "integer" | "floating" => "a number",
        "string" => "a string",
        "boolean" => "a boolean",
        "sequence" => "an array",
        "map" => "a table",
        _ => return None,
    };
    let wanted = match wanted {
        "a string" | "path string" => "a string in quotes",
        "a sequence" => "an array, such as [\"a\", \"b\"],",
        "a boolean" => "`true` or `false`",
        "u32" | "u64" | "usize" => "a whole number of 0 or more",
        "a map" => "a table",
        wanted if wanted.starts_with("struct ") => "a table",
        _ => return None,
    };
    Some(format!("this is {got}, but {wanted} is needed"))
}

#[cfg(test)]
mod tests {
    use super::kinds;

    #[test]
    fn a_value_of_a_wrong_kind_is_told_in_the_words_of_toml() {
        let told = |message: &str| kinds(message).unwrap_or_default();
        let array = told("invalid type: string \"x, expected y\", expected a sequence");
        assert_eq!(array, "");
        let array = told("invalid type: string \"x\", expected a sequence");
        assert_eq!(array, "this is a string, but an array, such as [\"a\", \"b\"], is needed");
        let path = told("invalid type: boolean `true`, expected path string");
        assert_eq!(path, "this is a boolean, but a string in quotes is needed");
        let whole = told("invalid value: integer `-1`, expected u32");
        assert_eq!(whole, "this is a number, but a whole number of 0 or more is needed");
        assert_eq!(
            told("invalid type: integer `3`, expected struct Environment"),
            "this is a number, but a table is needed"
        );
    }
}
