//! The privileges of a role on the ledger, and the statement that grants missing ones.

use migrate_base::db::Session;
use migrate_base::ident::{QualifiedName, literal, plain};

/// The required access to an existing ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LedgerAccess {
    /// To read it.
    Reading,
    /// To read it, and to add rows.
    Writing,
}

/// Query columns that show what the present role lacks: the role, and whether it has each privilege; all true if there
/// is no ledger.
pub(crate) fn columns(ledger: &QualifiedName) -> String {
    let (schema, table) = (literal(ledger.schema()), literal(ledger.name()));
    let has = |what: &str| {
        format!(
            "coalesce((SELECT {what} FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_class c \
             ON c.relnamespace = n.oid AND c.relname = {table} WHERE n.nspname = {schema}), true)"
        )
    };
    let table_right = |right: &str| has(&format!("pg_catalog.has_table_privilege(c.oid, '{right}')"));
    format!(
        "current_user, {}, {}, {}",
        has("pg_catalog.has_schema_privilege(n.oid, 'USAGE')"),
        table_right("SELECT"),
        table_right("INSERT")
    )
}

/// The missing privileges, as a sentence and as statements to run; `row` starts with [`columns`].
pub(crate) fn lacking(
    ledger: &QualifiedName,
    wanted: LedgerAccess,
    row: &[Option<String>],
) -> Option<(String, String)> {
    let role = row.first()?.as_deref()?;
    let has = |at: usize| row.get(at).and_then(Option::as_deref) != Some("f");
    let rights: Vec<&str> = [("SELECT", has(2)), ("INSERT", has(3) || wanted == LedgerAccess::Reading)]
        .into_iter()
        .filter_map(|(right, has)| (!has).then_some(right))
        .collect();
    let (schema, to) = (plain(ledger.schema()), plain(role));
    let table = ledger.plain();
    let mut told = Vec::new();
    let mut grants = Vec::new();
    if !has(1) {
        told.push(format!("USAGE on the schema {schema}"));
        grants.push(format!("GRANT USAGE ON SCHEMA {schema} TO {to};"));
    }
    if !rights.is_empty() {
        told.push(format!("{} on the table {table}", rights.join(" and ")));
        grants.push(format!("GRANT {} ON {table} TO {to};", rights.join(", ")));
    }
    (!told.is_empty()).then(|| (format!("the role {role} lacks {}", told.join(" and ")), grants.join(" ")))
}

/// Queries what the present role lacks, after it was refused something. Returns `None` if that cannot be queried.
pub(crate) async fn ask(
    session: &mut Session,
    ledger: &QualifiedName,
    wanted: LedgerAccess,
) -> Option<(String, String)> {
    let rows = session.rows(&format!("SELECT {}", columns(ledger))).await.ok()?;
    lacking(ledger, wanted, rows.first()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_that_is_missing_is_granted() {
        let ledger = QualifiedName::new("ops", "Ledger");
        let told = |cells: [&str; 3], wanted| {
            let row: Vec<_> = ["ann"].into_iter().chain(cells).map(|cell| Some(cell.to_owned())).collect();
            lacking(&ledger, wanted, &row)
        };
        let own = |told: &str, grant: &str| Some((told.to_owned(), grant.to_owned()));
        assert_eq!(told(["t", "t", "f"], LedgerAccess::Reading), None);
        assert_eq!(
            told(["f", "f", "f"], LedgerAccess::Reading),
            own(
                "the role ann lacks USAGE on the schema ops and SELECT on the table ops.\"Ledger\"",
                "GRANT USAGE ON SCHEMA ops TO ann; GRANT SELECT ON ops.\"Ledger\" TO ann;"
            )
        );
        assert_eq!(
            told(["t", "f", "f"], LedgerAccess::Writing),
            own(
                "the role ann lacks SELECT and INSERT on the table ops.\"Ledger\"",
                "GRANT SELECT, INSERT ON ops.\"Ledger\" TO ann;"
            )
        );
    }
}
