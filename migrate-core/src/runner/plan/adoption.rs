//! What taking over the ledger of another tool would record, or every reason against it.

use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::regular;

use super::state::LedgerState;
use super::{obstacle, others};
use crate::foreign::{self, ForeignChecksum, ForeignLedger, ForeignMatch, ForeignRow};
use crate::source::{Migration, MigrationSet, Version, unreadable_file};

/// The rows that taking over the ledger of another tool adds to ours.
#[derive(Debug)]
#[non_exhaustive]
pub struct Adoption {
    /// The ledger that is taken over, as it was when this was planned.
    pub ledger: ForeignLedger,
    /// The migrations to record as applied.
    pub taken: Vec<AdoptedMigration>,
    /// The migrations that were adopted before and that the other tool has rolled back since.
    pub given_back: Vec<Version>,
    /// How many migrations of the folder the other tool has applied.
    pub applied: usize,
    /// The newest version that is applied after that.
    pub newest: Option<Version>,
    /// The repeatable migrations that ran in another form than they have now. They are not taken over, and run again.
    pub changed: Vec<Version>,
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
        let mut findings: Vec<Finding> = locked(ledger).into_iter().chain(of_another(ledger, state)).collect();
        findings.extend(state.unfinished().map(|one| obstacle::unfinished(set, one)));
        findings.extend(ledger.failed().map(|row| failed(ledger, row)));
        findings.extend(without_file(ledger, &matched, set, state));
        let given_back = state.adopted().map_or(Vec::new(), |adopted| others::reverted(ledger, state, adopted));
        let is_ours = |version: &Version| state.get(version).is_some() && !given_back.contains(version);
        let is_theirs = |version: &Version| matched.has(version) && !state.was_rolled_back(version);
        let is_applied = |version: &Version| is_theirs(version) || is_ours(version);
        let newest = set.iter().rev().map(|one| one.version()).find(|version| is_applied(version)).cloned();
        let between = set.iter().filter(|one| newest.as_ref().is_some_and(|newest| one.version() < newest));
        findings.extend(between.filter(|one| !is_applied(one.version())).map(|one| gap(ledger, one, state)));
        let new = matched.applied.iter().filter(|(one, _)| match one.version().is_repeatable() {
            // What ran here is known.
            true => state.repeated(one).is_none(),
            // What was rolled back here is not applied, whatever the other tool still says.
            false => state.get(one.version()).is_none() && !state.was_rolled_back(one.version()),
        });
        let ran_otherwise = set.repeatables().iter().filter(|one| state.ran_as_it_is(one) == Some(false));
        let mut changed: Vec<Version> = ran_otherwise.map(|one| one.version().clone()).collect();
        let mut taken = Vec::new();
        for (migration, row) in new {
            let compared = compare(ledger, row, migration);
            if compared.is_err() && migration.version().is_repeatable() {
                changed.push(migration.version().clone());
                continue;
            }
            let checksum = compared.unwrap_or_else(|finding| {
                findings.push(*finding);
                ForeignChecksum::Differs
            });
            // Each of them has its own key, whichever row stands for it.
            let key = migration.captured().map_or(&*row.key, |from| &*from.key);
            let note = ledger.note(row, key);
            taken.push(AdoptedMigration { migration: migration.clone(), row: (*row).clone(), checksum, note });
        }
        let (ledger, applied) = (ledger.clone(), matched.applied.len());
        if findings.is_empty() {
            Ok(Self { ledger, taken, given_back, applied, newest, changed })
        } else {
            Err(findings)
        }
    }

    /// Whether nothing would be recorded.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.given_back.is_empty()
    }
}

/// A ledger can be adopted from one other ledger only.
fn of_another(ledger: &ForeignLedger, state: &LedgerState) -> Option<Finding> {
    let adopted = state.adopted().filter(|adopted| (&adopted.table, adopted.tool) != (&ledger.table, ledger.tool))?;
    let (tool, name) = (adopted.tool.name(), adopted.table.plain());
    Some(
        Finding::new(codes::OTHER_LEDGER_SEVERAL, format!("this ledger was adopted from {name}, the ledger of {tool}"))
            .help(format!("name the other one in the environment: `other_ledgers`, and give `--from {name}`")),
    )
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
    let finding = finding.note(format!("the row is in {}", ledger.table.plain()));
    finding.help(format!("finish or undo it, and repair the ledger with {}", others::with_command(ledger.tool)))
}

/// Rows that match no file; one finding for all of them if none matches.
fn without_file(
    ledger: &ForeignLedger,
    matched: &ForeignMatch<'_>,
    set: &MigrationSet,
    state: &LedgerState,
) -> Vec<Finding> {
    let tool = ledger.tool.name();
    let folder = set.folder().display();
    // What was taken over before may have been squashed since.
    let is_known =
        |row: &ForeignRow| state.adopted().is_some_and(|adopted| adopted.versions.values().any(|key| *key == row.key));
    let unknown: Vec<&ForeignRow> = matched.unknown.iter().copied().filter(|row| !is_known(row)).collect();
    if matched.applied.is_empty() && !unknown.is_empty() {
        let keys: Vec<&str> = unknown.iter().take(SHOWN).map(|row| &*row.key).collect();
        let finding = Finding::new(
            codes::OTHER_LEDGER_NO_FILE,
            format!("no migration of {tool} has a file in {folder}: {} applied", unknown.len()),
        );
        return vec![
            finding
                .note(format!("the ledger {} has {}", ledger.table.plain(), keys.join(", ")))
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
            .note(format!("the row is in {}", ledger.table.plain()))
            .help("restore the file from the history of the repository, or use the checkout that has it")
    };
    unknown.iter().map(one).collect()
}

const SHOWN: usize = 5;

fn gap(ledger: &ForeignLedger, migration: &Migration, state: &LedgerState) -> Finding {
    let tool = ledger.tool.name();
    if state.was_rolled_back(migration.version()) {
        let title = migration.version().title(migration.name());
        return Finding::new(
            codes::OTHER_LEDGER_GAP,
            format!("{title} was rolled back here, and {tool} has applied newer ones"),
        )
        .at(Place::file(migration.path()))
        .help(format!("roll the newer ones back with {tool}, apply this one again here, then let {tool} go on"));
    }
    Finding::new(
        codes::OTHER_LEDGER_GAP,
        format!("{tool} has not applied {}_{}, but it has applied newer ones", migration.version(), migration.name()),
    )
    .at(Place::file(migration.path()))
    .help(format!("apply it with {tool} first, or give it a version after all applied ones"))
}

fn compare(ledger: &ForeignLedger, row: &ForeignRow, migration: &Migration) -> Result<ForeignChecksum, Box<Finding>> {
    // The file of a converted migration is no longer the one that was applied.
    let recorded = row.checksum.as_deref().filter(|_| migration.was().is_none() && migration.captured().is_none());
    let Some(recorded) = recorded else { return Ok(ForeignChecksum::NotKept) };
    let path = migration.path();
    let bytes = regular::read(path).map_err(|error| Box::new(unreadable_file(path, &error)))?;
    match foreign::compare(ledger.tool, recorded, migration, &bytes) {
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
