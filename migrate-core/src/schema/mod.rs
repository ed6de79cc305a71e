//! The shape of a database. For now: one digest of all of it, by which it can be told whether,
//! and between which two runs, a schema was changed by something else than migrations.

use crate::ident::literal;

/// The query that computes the fingerprint of the database's schema: one row with one text,
/// `v1:sha256:<hex>`. It expects `search_path` to be `pg_catalog`.
pub(crate) fn fingerprint_query(ledger_schema: &str) -> String {
    include_str!("fingerprint.sql").replace("{schema}", &literal(ledger_schema))
}
