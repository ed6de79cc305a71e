//! What taking over the ledger of another tool would record, or every reason against it.

use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::regular;

use super::others::{self, table};
use super::state::LedgerState;
use crate::foreign::{self, ForeignChecksum, ForeignLedger, ForeignMatch, ForeignRow};
use crate::ledger::LedgerEvent;
use crate::source::{Migration, MigrationSet, Version};

/// The rows that taking over the ledger of another tool adds to ours.
#[derive(Debug)]
#[non_exhaustive]
pub struct Adoption {
    /// The migrations to record as applied.
    pub taken: Vec<AdoptedMigration>,
    /// The migrations that were adopted before and that the other tool has rolled back since.
    pub given_back: Vec<Version>,
    /// The newest version that is applied after that.
    pub newest: Option<Version>,
}

/// A migration that is taken over.
#[derive(Debug)]
#[non_exhaustive]
pub struct AdoptedMigration {
    /// The migration.
    pub migration: Arc<Migration>,
    /// The row of the other tool.
    pub row: ForeignRow,
    /// Whether its checksum is that of the file.
    pub checksum: ForeignChecksum,
    /// The note for our ledger.
    pub note: String,
}

impl Adoption {
    /// Plans the adoption of a ledger.
    ///
    /// # Errors
    ///
    /// A finding for each reason against it: a failed migration, a lock that is held, a row without a file, a file
    /// between applied ones that is not applied, a file whose checksum differs.
    pub fn plan(ledger: &ForeignLedger, set: &MigrationSet, state: &LedgerState) -> Result<Self, Vec<Finding>> {
        if let Err(rows) = &ledger.rows {
            return Err(vec![others::unreadable(ledger, rows)]);
        }
        let matched = ledger.matched(set);
        let mut findings: Vec<Finding> = locked(ledger).into_iter().collect();
        findings.extend(ledger.failed().map(|row| failed(ledger, row)));
        findings.extend(without_file(ledger, &matched, set));
        let is_applied = |version: &Version| matched.has(version) || is_ours(state, version);
        let newest = set.iter().rev().map(|one| one.version()).find(|version| is_applied(version)).cloned();
        let between = set.iter().filter(|one| newest.as_ref().is_some_and(|newest| one.version() < newest));
        findings.extend(between.filter(|one| !is_applied(one.version())).map(|one| gap(ledger, one)));
        let new = matched.applied.iter().filter(|(one, _)| state.get(one.version()).is_none());
        let mut taken = Vec::new();
        for (migration, row) in new {
            let checksum = compare(ledger, row, migration).unwrap_or_else(|finding| {
                findings.push(*finding);
                ForeignChecksum::Differs
            });
            let note = ledger.note(row);
            taken.push(AdoptedMigration { migration: migration.clone(), row: (*row).clone(), checksum, note });
        }
        let given_back = reverted(&matched, state);
        if findings.is_empty() { Ok(Self { taken, given_back, newest }) } else { Err(findings) }
    }

    /// Whether nothing would be recorded.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.given_back.is_empty()
    }
}

/// Whether we applied a version ourselves, so that the other tool need not have it.
fn is_ours(state: &LedgerState, version: &Version) -> bool {
    let is_adopted = state.adopted().is_some_and(|adopted| adopted.versions.contains(version));
    state.get(version).is_some_and(|applied| !is_adopted || applied.event != LedgerEvent::Baselined)
}

/// The adopted migrations that the other tool has rolled back, the newest first.
fn reverted(matched: &ForeignMatch<'_>, state: &LedgerState) -> Vec<Version> {
    let Some(adopted) = state.adopted() else { return Vec::new() };
    let gone = adopted.versions.iter().filter(|version| state.get(version).is_some() && !is_ours(state, version));
    gone.filter(|version| !matched.has(version)).rev().cloned().collect()
}

fn locked(ledger: &ForeignLedger) -> Option<Finding> {
    let holder = ledger.locked_by.as_deref()?;
    let tool = ledger.tool.name();
    let by = if holder.is_empty() { String::new() } else { format!(" by {holder}") };
    let finding = Finding::new(codes::OTHER_LEDGER_LOCKED, format!("the ledger of {tool} is locked{by}"));
    Some(
        finding
            .note("a run is under way, or was killed")
            .help(format!("wait until it has finished; if nothing runs: `{}`", ledger.tool.repair())),
    )
}

fn failed(ledger: &ForeignLedger, row: &ForeignRow) -> Finding {
    let tool = ledger.tool.name();
    let finding = Finding::new(
        codes::OTHER_LEDGER_FAILED,
        format!("according to {tool}, migration {} failed or did not finish", row.key),
    );
    let finding = finding.note(format!("the row is in {}", table(&ledger.table)));
    let repair = ledger.tool.repair();
    let command = if repair.is_empty() { String::new() } else { format!(": `{repair}`") };
    finding.help(format!("finish or undo it, and repair the ledger with {tool}{command}"))
}

/// Rows that match no file; one finding for all of them if none matches.
fn without_file(ledger: &ForeignLedger, matched: &ForeignMatch<'_>, set: &MigrationSet) -> Vec<Finding> {
    let tool = ledger.tool.name();
    let folder = set.folder().display();
    if matched.applied.is_empty() && !matched.unknown.is_empty() {
        let keys: Vec<&str> = matched.unknown.iter().take(SHOWN).map(|row| &*row.key).collect();
        let finding = Finding::new(
            codes::OTHER_LEDGER_NO_FILE,
            format!("no migration of {tool} has a file in {folder}: {} applied", matched.unknown.len()),
        );
        return vec![
            finding
                .note(format!("the ledger {} has {}", table(&ledger.table), keys.join(", ")))
                .help(format!("is this the folder of {tool}? give it with --migrations DIR"))
                .help(
                    "if its migrations are not SQL: `cargo xtask baseline --migrations DIR` captures the schema as \
                     the first migration of an empty folder",
                ),
        ];
    }
    let one = |row: &&ForeignRow| {
        let finding = Finding::new(
            codes::OTHER_LEDGER_NO_FILE,
            format!("{tool} applied {}, which has no file in {folder}", row.key),
        );
        finding
            .note(format!("the row is in {}", table(&ledger.table)))
            .help("restore the file from the history of the repository, or use the checkout that has it")
    };
    matched.unknown.iter().map(one).collect()
}

const SHOWN: usize = 5;

fn gap(ledger: &ForeignLedger, migration: &Migration) -> Finding {
    let tool = ledger.tool.name();
    Finding::new(
        codes::OTHER_LEDGER_GAP,
        format!("{tool} has not applied {}_{}, but it has applied newer ones", migration.version(), migration.name()),
    )
    .at(Place::file(migration.path()))
    .help(format!("apply it with {tool} first, or give it a version after all applied ones"))
}

fn compare(ledger: &ForeignLedger, row: &ForeignRow, migration: &Migration) -> Result<ForeignChecksum, Box<Finding>> {
    let Some(recorded) = row.checksum.as_deref() else { return Ok(ForeignChecksum::NotKept) };
    let path = migration.path();
    let bytes = regular::read(path).map_err(|error| {
        let finding = Finding::new(codes::FILE_UNREADABLE, format!("the file cannot be read: {error}"));
        Box::new(finding.at(Place::file(path)).help(regular::help(&error)))
    })?;
    match foreign::compare(ledger.tool, recorded, &bytes) {
        ForeignChecksum::Differs => {
            let tool = ledger.tool.name();
            let finding =
                Finding::new(codes::OTHER_LEDGER_CHECKSUM, format!("the file was changed after {tool} applied it"));
            let finding = finding.at(Place::file(path)).note(format!(
                "{tool} recorded the checksum {}{}",
                recorded,
                row.at.as_ref().map_or(String::new(), |at| format!(" at {at}"))
            ));
            Err(Box::new(finding.help("put the file back as it was, and write a new migration for the change")))
        }
        checksum => Ok(checksum),
    }
}
