//! The SQL around an up script whose rollback kept data: it marks what is there, and restores what was kept.

pub(crate) mod restored;

use migrate_base::ident::{QualifiedName, literal};

use super::{SurroundingSql, block, registry};
use crate::source::Version;

/// What the blocks are made of.
const PARTS: [(&str, &str); 4] = [
    ("seeds", include_str!("seeds.sql")),
    ("update", include_str!("update.sql")),
    ("insert", include_str!("insert.sql")),
    ("resown", include_str!("resown.sql")),
];

/// The SQL around an up script whose rollback kept data.
pub(crate) fn bring_back(ledger: &QualifiedName, version: &Version) -> SurroundingSql {
    let block = |body: &str| block(ledger, body, &PARTS, &[("chosen", chosen(ledger, version))]);
    SurroundingSql { before: block(include_str!("mark.sql")), after: block(include_str!("restore.sql")) }
}

/// The statement that restores the kept data of a version that is already applied.
pub(crate) fn restore(ledger: &QualifiedName, version: &Version) -> String {
    bring_back(ledger, version).after
}

/// The condition for the data that the last rollback of a version kept and that is not restored yet.
fn chosen(ledger: &QualifiedName, version: &Version) -> String {
    let (registry, version) = (registry(ledger), literal(version.as_str()));
    format!(
        "version = {version} AND restored_at IS NULL AND transaction = (\
         SELECT last.transaction FROM {registry} AS last \
         WHERE last.version = {version} AND last.restored_at IS NULL ORDER BY last.id DESC LIMIT 1)"
    )
}
