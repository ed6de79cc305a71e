//! A database that is newer than the folder: an older program finds it after a deploy was rolled back.

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::QualifiedName;

use super::obstacle::applied_then;
use super::others;
use super::state::{AppliedMigration, LedgerState};
use crate::source::{MigrationSet, Version};

/// Another possible reason for a migration in the ledger that is unknown here.
pub(in crate::runner) const OTHER_SERVICE: &str =
    "does another service write to this ledger? then give each service its own: `ledger` in migrate.toml";

/// The error for applied migrations that are newer than everything in the folder; there is at least one.
pub(in crate::runner) fn refused(set: &MigrationSet, state: &LedgerState, newer: &[&AppliedMigration]) -> Finding {
    let message = match newer {
        [one] => format!("the file of applied migration {}_{} is missing", one.version, one.name),
        _ => {
            let versions = newer.iter().map(|applied| applied.version.to_string());
            format!("the files of {} applied migrations are missing: {}", newer.len(), others::list(versions))
        }
    };
    let mut finding = Finding::new(codes::MISSING_FILE, message).note(ahead(set, newer));
    if let Some(first) = newer.first() {
        let file = set.folder().join(format!("{}_{}.up.sql", first.version, first.name));
        finding = finding.at(Place::file(file)).note(applied_then(first));
    }
    let finding = finding.help("is this checkout or image older than the database? then update it");
    let newest = set.iter().rev().map(|migration| migration.version()).find(|version| state.get(version).is_some());
    let finding = match newest {
        Some(version) => finding.help(format!(
            "or roll back the database: `cargo xtask rollback --to {version}`; the ledger has the down scripts"
        )),
        None => finding,
    };
    finding
        .help(
            "or accept the newer migrations in this older program: `allow_newer = true` in the environment, or \
             `--allow-newer` with `migrate`, `status` and `runbook`",
        )
        .help(OTHER_SERVICE)
}

/// The warning for such migrations when they are accepted.
pub(in crate::runner) fn accepted(set: &MigrationSet, newer: &[&AppliedMigration]) -> Finding {
    Finding::new(codes::NEWER_DATABASE, ahead(set, newer))
        .note("newer migrations are accepted here and left alone; the migrations of this program are compared as usual")
}

/// How much newer the database is.
fn ahead(set: &MigrationSet, newer: &[&AppliedMigration]) -> String {
    let migrations = if newer.len() == 1 { "1 migration".to_owned() } else { format!("{} migrations", newer.len()) };
    let at = newer.last().map_or("", |applied| applied.version.as_str());
    let here = set.last().map_or("nothing", |last| last.version().as_str());
    format!("the database is {migrations} newer than this folder: it is at {at}, and the newest file here is {here}")
}

/// Checks that the ledger has the version that an application needs.
pub(in crate::runner) fn ensure(state: &LedgerState, version: &Version, ledger: &QualifiedName) -> Result<(), Finding> {
    if state.get(version).is_some() {
        return Ok(());
    }
    let ledger = ledger.plain();
    let newest = match state.version() {
        _ if !state.has_ledger() => format!("this database has no ledger {ledger}"),
        None => format!("the ledger {ledger} has no applied migration"),
        Some(newest) => format!("the newest applied migration in the ledger {ledger} is {newest}"),
    };
    Err(Finding::new(codes::BEHIND, format!("the database is not at version {version}"))
        .note(newest)
        .help("migrate it before the application starts: `cargo xtask migrate`"))
}
