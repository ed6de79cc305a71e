//! Keeps the data that a rollback would destroy: it is copied in the rollback's transaction, and restored when the
//! migration is applied again.
//!
//! The SQL here surrounds a script, in the transaction that runs it: `keep` surrounds a down script, `bring_back`
//! an up script. What a down script removes is not guessed from its text: the script is tried in a subtransaction and
//! rolled back, so that a `DO` block or a `CASCADE` cannot hide anything. The runner decides when this is done.

mod down;
mod registry;
pub(crate) mod up;

use migrate_base::ident::{QualifiedName, literal};
use migrate_base::template::fill;

use crate::source::Version;

pub(crate) use down::{ReapplyAnalysis, keep};
pub(crate) use registry::registry;
pub use registry::{KeptCopy, is_ours, list};
pub(crate) use up::{bring_back, restore};

/// The SQL around a script: each string consists of complete statements with semicolons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SurroundingSql {
    /// Before the script.
    pub(crate) before: String,
    /// After the script and before its ledger row, as the role that logged in.
    pub(crate) after: String,
}

/// The settings for converting a value to text and back without loss, and for joining a copy with its table quickly:
/// sorting text is slow.
const SETTINGS: &str = r#"{"DateStyle": "ISO, YMD", "IntervalStyle": "postgres", "bytea_output": "hex",
    "extra_float_digits": "1", "TimeZone": "UTC", "row_security": "off", "search_path": "pg_catalog",
    "work_mem": "64MB", "enable_mergejoin": "off"}"#;

/// A value of the row `t` as text, in a format string inside a literal; the first argument is its column.
const TEXT: &str = "CASE WHEN t.%1$I IS DISTINCT FROM NULL THEN pg_catalog.format(''%%s'', t.%1$I) END";

/// Which copies to drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purge {
    /// Those that were restored completely.
    Restored,
    /// Those of a version.
    Version(Version),
    /// All of them.
    All,
}

/// The statement that drops copies. The registry must exist.
pub(crate) fn purge(ledger: &QualifiedName, which: &Purge) -> String {
    let which = match which {
        Purge::Restored => "restored_at IS NOT NULL AND restored >= rows".to_owned(),
        Purge::Version(version) => format!("version = {}", literal(version.as_str())),
        Purge::All => "true".to_owned(),
    };
    block(ledger, include_str!("purge.sql"), &[], &[("which", which)])
}

/// An anonymous block as a statement, with the names of a ledger and additional names filled in.
fn block(
    ledger: &QualifiedName,
    body: &str,
    parts: &[(&'static str, &str)],
    more: &[(&'static str, String)],
) -> String {
    let registry = registry(ledger);
    let mut names = vec![
        ("settings", literal(SETTINGS)),
        ("registry", registry.to_string()),
        ("registry_name", literal(&registry.to_string())),
        ("schema", literal(ledger.schema())),
        ("text", TEXT.to_owned()),
        ("stored", TEXT.replace("t.", "s.")),
        ("prefix", literal(&format!("{}_", registry.name()))),
        ("ours", literal(&format!("^{}(_kept(_[0-9]+)?)?$", escaped(ledger.name())))),
    ];
    names.extend_from_slice(more);
    // Parts of blocks, which contain names themselves.
    let shared = [
        ("session", include_str!("session.sql")),
        ("live", include_str!("live.sql")),
        ("image", include_str!("image.sql")),
        ("same", include_str!("same.sql")),
    ];
    let parts: Vec<_> = shared.iter().chain(parts).map(|(name, part)| (*name, (*part).to_owned())).collect();
    // Parts contain other parts.
    let body = fill(&fill(body, &parts), &parts);
    format!("DO {};", literal(&fill(&body, &names)))
}

/// A text as a regular expression that matches it and nothing else.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| (!c.is_alphanumeric() && c != '_').then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copies_are_told_from_tables_of_others() {
        let ledger = QualifiedName::new("roundtrip", "ledger");
        let ours = |schema: &str, table: &str| is_ours(&ledger, schema, table);
        assert!(ours("roundtrip", "ledger_kept") && ours("roundtrip", "ledger_kept_12"));
        assert!(!ours("roundtrip", "ledger_kept_x") && !ours("roundtrip", "ledger") && !ours("public", "ledger_kept"));
    }

    #[test]
    fn no_placeholder_is_left() {
        let ledger = QualifiedName::new("my \"ops\"", "led'ger");
        let version: Version = "1".parse().unwrap();
        let around = [
            keep(&ledger, &version, "it's", "SELECT '$x$'", &ReapplyAnalysis::default()),
            bring_back(&ledger, &version),
        ];
        for sql in around.iter().flat_map(|sql| [&sql.before, &sql.after]) {
            for name in [
                "registry", "schema", "prefix", "text", "ours", "live", "settings", "version", "name", "create",
                "script", "chosen", "up", "untried", "tables", "columns", "rows", "reapply", "over", "copy", "seeds",
                "update", "insert", "resown", "stored", "sift", "image", "same", "session",
            ] {
                assert!(!sql.contains(&format!("{{{name}")), "{name} in {sql}");
            }
        }
    }
}
