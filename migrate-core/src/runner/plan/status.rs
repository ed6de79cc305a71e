//! Compares files and ledger, for display.

use migrate_base::finding::{Finding, Severity};

use super::state::{LedgerState, UnfinishedMigration};
use super::{obstacle, others};
use crate::source::{MigrationSet, Version};

/// The status of a chain.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// The newest applied version.
    pub version: Option<Version>,
    /// The applied migrations, oldest first.
    pub applied: Vec<AppliedStatus>,
    /// The pending migrations, oldest first.
    pub pending: Vec<PendingStatus>,
    /// The migration that started but did not finish.
    pub unfinished: Option<UnfinishedMigration>,
    /// All problems, errors before warnings.
    pub problems: Vec<Finding>,
    /// Whether the database has a ledger.
    pub has_ledger: bool,
}

/// An applied migration.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AppliedStatus {
    /// Its version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// When it was applied, in UTC, as RFC 3339.
    pub at: String,
    /// Who applied it.
    pub by: String,
    /// Whether its up script has changed since it was applied.
    pub modified: bool,
    /// Whether its down script has changed since it was applied.
    pub down_modified: bool,
    /// Whether its file is missing.
    pub missing: bool,
    /// Whether it is newer than everything in the folder.
    pub newer: bool,
    /// Whether it was only recorded as applied, and never run here.
    pub never_run: bool,
}

/// A pending migration.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PendingStatus {
    /// Its version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// Whether it is older than an applied migration.
    pub out_of_order: bool,
}

impl Status {
    /// Compares files and ledger; with `allow_newer`, a database that is newer than the folder is a warning.
    pub(in crate::runner) fn of(set: &MigrationSet, state: &LedgerState, allow_newer: bool) -> Self {
        if set.is_empty() {
            return Self::of_nothing(set, state);
        }
        let (mut problems, mut warnings) = obstacle::compare(set, state, allow_newer);
        let unfinished = state.unfinished().cloned();
        match unfinished.as_ref().map(|one| (obstacle::unfinished(set, one), &one.running)) {
            // A running migration needs no action.
            Some((finding, Some(_))) => warnings.insert(0, finding.with_severity(Severity::Warning)),
            Some((finding, None)) => problems.push(finding),
            None => {}
        }
        let newest = state.version().cloned();
        let mut pending = Vec::new();
        for migration in set.iter().filter(|migration| state.get(migration.version()).is_none()) {
            let later = newest.as_ref().filter(|newest| migration.version() < newest);
            problems.extend(later.map(|newest| obstacle::out_of_order(set, state, migration, newest)));
            let (version, name) = (migration.version().clone(), migration.name().to_owned());
            pending.push(PendingStatus { version, name, out_of_order: later.is_some() });
        }
        problems.extend(warnings);
        let due = set.repeatables().iter().filter(|one| state.is_due(one));
        pending.extend(due.map(|one| PendingStatus {
            version: one.version().clone(),
            name: one.name().to_owned(),
            out_of_order: false,
        }));
        let applied = applied(set, state);
        Self { version: newest, applied, pending, unfinished, problems, has_ledger: state.has_ledger() }
    }

    /// The folder has no migrations: nothing else is reported. This is an error if migrations are applied.
    fn of_nothing(set: &MigrationSet, state: &LedgerState) -> Self {
        let is_fresh = state.applied().next().is_none();
        let nothing = obstacle::no_migrations(set, state);
        let severity = if is_fresh { Severity::Warning } else { Severity::Error };
        let mut problems = vec![nothing.with_severity(severity)];
        problems.extend(others::problems(set, state));
        let unfinished = state.unfinished().cloned();
        let as_severe = |one: &UnfinishedMigration| match one.running {
            Some(_) => obstacle::unfinished(set, one).with_severity(Severity::Warning),
            None => obstacle::unfinished(set, one),
        };
        problems.extend(unfinished.as_ref().map(as_severe));
        let (version, has_ledger) = (state.version().cloned(), state.has_ledger());
        Self { version, applied: applied(set, state), pending: Vec::new(), unfinished, problems, has_ledger }
    }
}

fn applied(set: &MigrationSet, state: &LedgerState) -> Vec<AppliedStatus> {
    let settled = set.repeatables().iter().filter(|one| !state.is_due(one)).filter_map(|one| state.repeated(one));
    let repeated = settled.chain(state.repeated_without_file(set));
    state
        .applied()
        .chain(repeated)
        .map(|applied| {
            let is_squashed = obstacle::squashed(set, state, applied).is_some();
            let file = set.get(&applied.version).filter(|_| !is_squashed);
            let up = file.map(|migration| migration.up_checksum());
            let down = file.and_then(|migration| migration.down_script()).map(|script| script.checksum());
            AppliedStatus {
                version: applied.version.clone(),
                name: applied.name.clone(),
                at: applied.at.clone(),
                by: applied.by.clone(),
                modified: up.is_some() && applied.up_checksum.is_some() && applied.up_checksum.as_ref() != up,
                down_modified: down.is_some()
                    && applied.down_checksum.is_some()
                    && applied.down_checksum.as_ref() != down,
                missing: file.is_none() && !is_squashed,
                newer: file.is_none()
                    && !is_squashed
                    && !applied.version.is_repeatable()
                    && obstacle::is_newer(set, &applied.version),
                never_run: applied.was_never_run(),
            }
        })
        .collect()
}
