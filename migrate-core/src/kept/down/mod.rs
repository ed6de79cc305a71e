//! The SQL around a down script: it tries the script, finds what it removes, and copies that.

mod reapply;

use std::collections::BTreeSet;

use migrate_base::ident::{QualifiedName, literal, nullable};
use migrate_base::template::fill;

use super::{SurroundingSql, block, registry};
use crate::source::Version;

pub(crate) use reapply::ReapplyAnalysis;

/// What the blocks are made of.
const PARTS: [(&str, &str); 4] = [
    ("sift", include_str!("sift.sql")),
    ("reapply", include_str!("reapply.sql")),
    ("over", include_str!("over.sql")),
    ("copy", include_str!("copy.sql")),
];

/// The SQL around a down script whose lost data is to be kept, together with the data that its up script overwrites
/// when it is applied reapply.
pub(crate) fn keep(
    ledger: &QualifiedName,
    version: &Version,
    name: &str,
    script: &str,
    reapply: &ReapplyAnalysis<'_>,
) -> SurroundingSql {
    let create = fill(include_str!("../registry.sql"), &[("registry", registry(ledger).to_string())]);
    let names = [
        ("up", nullable(reapply.script)),
        ("untried", nullable(reapply.untried)),
        ("tables", texts(&reapply.tables)),
        ("columns", reapply.columns.as_ref().map_or("NULL".to_owned(), texts)),
        ("rows", reapply.removes.to_string()),
        ("version", literal(version.as_str())),
        ("name", literal(name)),
        ("create", literal(&create)),
        ("script", literal(script)),
    ];
    let block = |body: &str| block(ledger, body, &PARTS, &names);
    SurroundingSql { before: block(include_str!("keep.sql")), after: block(include_str!("judge.sql")) }
}

/// Texts as an SQL array.
fn texts(texts: &BTreeSet<String>) -> String {
    let texts: Vec<String> = texts.iter().map(|text| literal(text)).collect();
    format!("ARRAY[{}]::text[]", texts.join(", "))
}
