//! The audit: event triggers that record who changed a database and how. They record every DDL command, including those
//! that no migration ran.
//!
//! The audit is a table in the schema of the ledger. It must not affect the recorded commands: recording waits for no
//! lock, and a failure in it is rolled back and ignored. [`crate::drift`] interprets the rows for a difference.

mod list;

use migrate_base::codes;
use migrate_base::db::{Database, Session, SessionFailure};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::Finding;
use migrate_base::ident::{QualifiedName, ident, literal};
use migrate_base::template::fill;

pub use list::{DdlFilter, DdlRecord, list};

/// The maximum length of a name before the server truncates it.
const LONGEST: usize = 63;

/// The state of the audit of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditState {
    /// Whether both event triggers exist and are enabled.
    pub on: bool,
    /// Whether the table with the records exists.
    pub has_records: bool,
    /// Whether this role may read it.
    pub readable: bool,
}

/// The name of an object that belongs to the audit of a ledger, truncated as by the server.
fn named(begin: &str, ending: &str) -> String {
    let room = begin.floor_char_boundary(LONGEST.saturating_sub(ending.len()).min(begin.len()));
    format!("{}{ending}", &begin[..room])
}

/// The audit table of a ledger, in the same schema.
pub fn table(ledger: &QualifiedName) -> QualifiedName {
    QualifiedName::new(ledger.schema(), named(ledger.name(), "_ddl"))
}

/// The other objects of the audit: the sequence, the function that records, and the function that protects the table.
const PARTS: [&str; 3] = ["_ddl_id_seq", "_ddl_record", "_ddl_append_only"];

/// The event triggers. They are in no schema, so their names start with the schema of the ledger.
const TRIGGERS: [&str; 2] = ["_ddl_command", "_ddl_drop"];

fn trigger(ledger: &QualifiedName, ending: &str) -> String {
    named(&format!("{}_{}", ledger.schema(), ledger.name()), ending)
}

/// Whether a table, function or sequence is part of the audit of a ledger.
pub(crate) fn is_ours(ledger: &QualifiedName, schema: &str, name: &str) -> bool {
    let is_part = || PARTS.iter().any(|ending| *name == named(ledger.name(), ending));
    schema == ledger.schema() && (name == table(ledger).name() || is_part())
}

/// Whether an event trigger is one of ours.
pub(crate) fn is_our_trigger(ledger: &QualifiedName, name: &str) -> bool {
    TRIGGERS.iter().any(|ending| name == trigger(ledger, ending))
}

/// Fills the names of a ledger into a script.
fn script(text: &str, ledger: &QualifiedName) -> String {
    let beside = |ending: &str| QualifiedName::new(ledger.schema(), named(ledger.name(), ending)).to_string();
    let [sequence, record, guard] = PARTS.map(beside);
    let [on_command, on_drop] = TRIGGERS.map(|ending| ident(&trigger(ledger, ending)));
    let table = table(ledger).to_string();
    let names = [
        ("table_name", literal(&table)),
        ("ledger_name", literal(&ledger.to_string())),
        ("sequence", sequence),
        ("record", record),
        ("guard", guard),
        ("on_command", on_command),
        ("on_drop", on_drop),
        ("grant", literal(&format!("GRANT SELECT ON {} TO %I", table.replace('%', "%%")))),
        ("table", table),
    ];
    fill(text, &names)
}

/// Checks whether the audit is on. Nothing is written.
///
/// # Errors
///
/// [`ErrorKind::Connection`] when the server cannot be reached, or refuses the query.
pub async fn recording(database: &Database, ledger: &QualifiedName) -> Result<AuditState> {
    let names = TRIGGERS.map(|ending| literal(&trigger(ledger, ending))).join(", ");
    let table = literal(&table(ledger).to_string());
    let query = format!(
        "SELECT (SELECT pg_catalog.count(*) = {} FROM pg_catalog.pg_event_trigger \
         WHERE evtname IN ({names}) AND evtenabled IN ('O', 'A')), \
         pg_catalog.to_regclass({table}) IS NOT NULL, coalesce(pg_catalog.has_schema_privilege({}, 'USAGE') \
         AND pg_catalog.has_table_privilege(pg_catalog.to_regclass({table}), 'SELECT'), false)",
        TRIGGERS.len(),
        // The schema may not exist either: checking a privilege on a NULL OID is not an error.
        format_args!("pg_catalog.to_regnamespace({})", literal(&ident(ledger.schema()))),
    );
    let rows = database.ask("check whether the audit is on", &query).await?;
    let is = |at: usize| rows.first().and_then(|row| row.get(at)?.as_deref()) == Some("t");
    Ok(AuditState { on: is(0), has_records: is(1), readable: is(2) })
}

/// Starts the audit. If it is already on, its functions and triggers are replaced, and the records stay.
///
/// # Errors
///
/// [`ErrorKind::Ledger`] if there is no ledger, or the role lacks the privilege: event triggers require a superuser.
pub async fn install(database: &Database, ledger: &QualifiedName, application: &str) -> Result<()> {
    let exists = format!("SELECT pg_catalog.to_regclass({}) IS NOT NULL", literal(&ledger.to_string()));
    let found = database.ask("look for the ledger", &exists).await?;
    if found.first().and_then(|row| row.first()?.as_deref()) != Some("t") {
        let finding = Finding::new(
            codes::NO_LEDGER,
            format!("the ledger {ledger} does not exist yet, and the audit is stored in its schema"),
        )
        .help(
            "`cargo xtask migrate` creates it; if the database already has its schema, use \
             `cargo xtask baseline --mark`",
        );
        return Err(Error::new(ErrorKind::Ledger, finding));
    }
    change(database, application, &script(include_str!("install.sql"), ledger), "start the audit").await
}

/// Stops the audit; `purge` also drops the records.
///
/// # Errors
///
/// [`ErrorKind::Ledger`] if the role lacks the privilege.
pub async fn uninstall(database: &Database, ledger: &QualifiedName, application: &str, purge: bool) -> Result<()> {
    let mut sql = script(include_str!("uninstall.sql"), ledger);
    if purge {
        sql += &script("DROP TABLE IF EXISTS {table}; DROP FUNCTION IF EXISTS {guard}();", ledger);
    }
    change(database, application, &sql, "stop the audit").await
}

async fn change(database: &Database, application: &str, script: &str, doing: &str) -> Result<()> {
    let mut session = Session::connect(database, application).await?;
    // A command that is being recorded locks the table for a moment; do not wait for a longer lock.
    let message =
        format!("BEGIN; SET LOCAL lock_timeout = '3s'; SET LOCAL search_path = pg_catalog; {script}\nCOMMIT;");
    let sent = session.read(&format!("{} {message}", session.comment())).await;
    session.close().await;
    sent.map(drop).map_err(|failure| refused(failure, doing))
}

fn refused(failure: SessionFailure, doing: &str) -> Error {
    let may_not = failure.is("42501");
    let code = if may_not { codes::AUDIT_REFUSED } else { codes::AUDIT_FAILED };
    let error = failure.explain(ErrorKind::Ledger, code, doing);
    if !may_not {
        return error;
    }
    error
        .note(
            "only superusers can create event triggers; some hosting services also allow their administrators to do so",
        )
        .note(
            "without the audit, drift is still found, and the fingerprints in the ledger limit when it happened, but \
             not who caused it or how",
        )
        .help_instead(
            "run it once as a superuser, with --database; from then on the DDL of every role is recorded, and no role \
             needs additional privileges",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_is_told_from_what_is_not() {
        let ledger = QualifiedName::new("ops", "ledger");
        let ours = |name: &str| is_ours(&ledger, "ops", name);
        assert!(ours("ledger_ddl") && ours("ledger_ddl_id_seq") && ours("ledger_ddl_record"));
        assert!(!ours("ledger_ddl_x") && !ours("ledger") && !is_ours(&ledger, "public", "ledger_ddl"));
        assert!(is_our_trigger(&ledger, "ops_ledger_ddl_drop") && !is_our_trigger(&ledger, "ledger_ddl_drop"));
    }

    #[test]
    fn names_are_as_long_as_a_server_keeps_them() {
        let ledger = QualifiedName::new("ü".repeat(31), "l".repeat(63));
        assert_eq!(table(&ledger).name().len(), LONGEST);
        assert!(trigger(&ledger, TRIGGERS[0]).len() <= LONGEST);
        for text in [include_str!("install.sql"), include_str!("uninstall.sql")] {
            let filled = script(text, &QualifiedName::new("my \"ops\"", "led'ger"));
            for name in ["table", "ledger_name", "sequence", "record", "guard", "on_command", "on_drop", "grant"] {
                assert!(!filled.contains(&format!("{{{name}")), "{name}: {filled}");
            }
        }
    }
}
