//! The settings of the session that a statement changes, read from its tokens: search path and time zone.

use migrate_base::ident::catalog_name;
use migrate_base::sql::{quoted, tokens};

use super::ScriptChange;

/// `SET`, `RESET`, `DISCARD ALL`, and `SELECT set_config(…)`.
pub(super) fn read(text: &str) -> Vec<ScriptChange> {
    let words = tokens(text.trim_end().trim_end_matches(';'));
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    // `SET SESSION CHARACTERISTICS` is none of these.
    let rest: Vec<&str> =
        lower.iter().map(String::as_str).filter(|word| !matches!(*word, "local" | "session")).collect();
    let values = |skip: usize| words[words.len().saturating_sub(rest.len().saturating_sub(skip))..].to_vec();
    match rest.as_slice() {
        ["set", "time", "zone", ..] => vec![ScriptChange::Utc(is_utc(&values(3)))],
        ["set", "timezone", "=" | "to", ..] => vec![ScriptChange::Utc(is_utc(&values(3)))],
        ["set", "search_path", "=" | "to", ..] => vec![ScriptChange::Path(path(&values(3)))],
        ["set", "schema", _] => vec![ScriptChange::Path(path(&values(2)))],
        ["reset", "all"] | ["discard", "all"] => vec![ScriptChange::Utc(true), ScriptChange::Path(None)],
        ["reset", "timezone"] | ["reset", "time", "zone"] => vec![ScriptChange::Utc(true)],
        ["reset", "search_path"] => vec![ScriptChange::Path(None)],
        [.., "(", "'search_path'", ",", _, ",", _, ")"] if lower.iter().any(|word| word == "set_config") => {
            let value = words.get(words.len() - 4).and_then(|value| quoted(value));
            let names =
                value.as_deref().map(|value| value.split(',').filter_map(|one| catalog_name(one.trim())).collect());
            vec![ScriptChange::Path(names)]
        }
        _ => Vec::new(),
    }
}

/// The names of time zones that are always UTC, and those for the zone that a migration starts with.
fn is_utc(values: &[&str]) -> bool {
    let value = values.concat().trim_matches('\'').to_ascii_lowercase();
    matches!(value.as_str(), "default" | "local" | "utc" | "etc/utc" | "gmt" | "etc/gmt" | "uct" | "zulu" | "0")
}

/// The schemas of a list, as names or as literals; `DEFAULT` means the setting of the session.
fn path(values: &[&str]) -> Option<Vec<String>> {
    if matches!(values, [word] if word.eq_ignore_ascii_case("default")) {
        return None;
    }
    let names = values.iter().filter_map(|value| match value.starts_with('\'') {
        true => quoted(value).map(|text| text.into_owned()),
        false => catalog_name(value),
    });
    Some(names.filter(|name| !name.is_empty()).collect())
}
