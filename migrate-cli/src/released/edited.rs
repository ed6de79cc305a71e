//! Files that were changed after they were released or applied.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use migrate_base::codes::{self, Code};
use migrate_base::finding::{Finding, Place, Severity};
use migrate_core::runner::MODIFIED;
use migrate_core::{AppliedStatus, MigrationSet, Version};

use super::{EnvironmentState, ReleasedBranch, text};
use crate::git::{self, Files};

/// What happened to a released file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Edit {
    /// Its text has changed.
    Modified(String),
    /// It was removed.
    Removed(String),
    /// It was renamed.
    Renamed(String, String),
}

/// All edits, compared with the base branch and with the ledgers of environments.
pub(crate) fn edited(
    folder: &Path,
    released: Option<&ReleasedBranch>,
    set: Option<&MigrationSet>,
    standings: &[EnvironmentState],
) -> Vec<Finding> {
    let here = git::files_here(folder);
    let edits = released.map(|released| edits(&released.fork, &here, set)).unwrap_or_default();
    let mut findings = Vec::new();
    let mut told: Vec<(Version, bool)> = Vec::new();
    for edit in &edits {
        let name = edit.name();
        let (version, is_down) = (version(name), is_down(name));
        let applied = applied_on(standings, version.as_ref());
        told.extend(version.map(|version| (version, is_down)));
        let finding = describe(folder, edit, released, &here, is_down);
        findings.push(weigh(applied.into_iter().fold(finding, Finding::note), edit, standings, is_down, set));
    }
    // A migration that never reached the base branch may still have been applied.
    for (version, is_down, whom) in differing(standings) {
        if told.contains(&(version.clone(), is_down)) {
            continue;
        }
        let Some(migration) = set.and_then(|set| set.get(&version)) else { continue };
        let down = migration.down_script().map(|script| script.path()).filter(|_| is_down);
        let path = down.unwrap_or_else(|| migration.path());
        let finding = Finding::new(code(is_down), sentence(is_down)).at(Place::file(path));
        let finding = whom.into_iter().fold(finding, Finding::note);
        let finding = finding.help("`cargo xtask new NAME` creates a new migration for the change");
        findings.push(allowed(finding, is_down, set, Some(&version)).help(
            "or roll it back there, which uses its old down script from the ledger: `cargo xtask rollback --env NAME`; \
             then reapply it",
        ));
    }
    findings
}

impl Edit {
    fn name(&self) -> &str {
        let (Self::Modified(name) | Self::Removed(name) | Self::Renamed(name, _)) = self;
        name
    }
}

/// Compares the files of the base with those of this checkout. A migration that a squash replaced is not an edit.
fn edits(base: &Files, here: &Files, set: Option<&MigrationSet>) -> Vec<Edit> {
    let squashed = |name: &str| {
        let version = version(name);
        let covers = |first: &Version, last: &Version| {
            version.as_ref().is_some_and(|version| first <= version && version <= last)
        };
        set.is_some_and(|set| set.iter().any(|one| one.squashes().is_some_and(|first| covers(first, one.version()))))
    };
    let mut edits = Vec::new();
    for (name, bytes) in base.iter().filter(|(name, _)| counts(name) && !squashed(name)) {
        let was = text(bytes);
        match here.get(name) {
            Some(now) if text(now) == was => {}
            Some(_) => edits.push(Edit::Modified(name.clone())),
            None => {
                let same = |(other, bytes): &(&String, &Vec<u8>)| {
                    !base.contains_key(*other)
                        && is_down(other) == is_down(name)
                        && counts(other)
                        && (version(other) == version(name) || text(bytes) == was)
                };
                edits.push(match here.iter().find(same) {
                    Some((other, _)) => Edit::Renamed(name.clone(), other.clone()),
                    None => Edit::Removed(name.clone()),
                });
            }
        }
    }
    edits
}

/// Whether a file is part of what is applied. A file that only the proof reads may change, and so may a repeatable
/// migration.
fn counts(name: &str) -> bool {
    let aside = [".fixture.sql", ".verify.sql", "mod.rs"].iter().any(|end| name.ends_with(end));
    let file = name.rsplit('/').next().unwrap_or(name);
    !aside && !file.starts_with('.') && !file.starts_with("R__") && (name.ends_with(".sql") || name.ends_with(".rs"))
}

fn is_down(name: &str) -> bool {
    name.ends_with(".down.sql") || name.ends_with("/down.sql")
}

/// The version at the beginning of a file name, or of a folder name of diesel.
fn version(name: &str) -> Option<Version> {
    let first = name.split(['_', '/']).next()?;
    first.trim_start_matches('V').replace('-', "").parse().ok()
}

fn code(is_down: bool) -> Code {
    if is_down { codes::DOWN_EDITED } else { codes::MIGRATION_EDITED }
}

fn sentence(is_down: bool) -> String {
    match is_down {
        false => MODIFIED.to_owned(),
        true => format!("{MODIFIED} (The down script has changed.)"),
    }
}

/// The finding for an edit: where the file is released, which commit changed it, and what to do.
fn describe(folder: &Path, edit: &Edit, released: Option<&ReleasedBranch>, here: &Files, is_down: bool) -> Finding {
    let name = edit.name();
    let path = folder.join(name);
    let Some(ReleasedBranch { base, fork, .. }) = released else { return Finding::new(code(is_down), MODIFIED) };
    let finding = match edit {
        Edit::Modified(_) => {
            let (was, now) = (fork.get(name).map(|b| text(b)), here.get(name).map(|b| text(b)));
            let place = place(&path, &was.unwrap_or_default(), now.unwrap_or_default());
            Finding::new(code(is_down), sentence(is_down)).at(place.labelled(format!("differs from {}", base.name)))
        }
        Edit::Removed(_) => Finding::new(codes::MIGRATION_REMOVED, "Migration file was removed after being applied.")
            .at(Place::file(&path)),
        Edit::Renamed(_, to) => {
            let message = format!("Migration file was renamed after being applied: it is {to} now.");
            Finding::new(codes::MIGRATION_RENAMED, message).at(Place::file(&path))
        }
    };
    let added = git::last_touch(folder, &base.fork, name);
    let finding = match added {
        Some(commit) => finding.note(format!("it is on {} since {commit}", base.name)),
        None => finding.note(format!("it is on {}", base.name)),
    };
    let touched = git::last_touch(folder, &format!("{}..HEAD", base.fork), name);
    let finding = match touched {
        Some(commit) => finding.note(format!("it was changed in {commit}")),
        None => finding.note("the change is not committed yet"),
    };
    let short = &base.fork[..base.fork.len().min(9)];
    finding
        .help(format!("`git checkout {short} -- {}` restores the applied file", path.display()))
        .help("`cargo xtask new NAME` creates a new migration for the change")
}

/// The first line that differs.
fn place(path: &Path, was: &str, now: String) -> Place {
    let same: usize = was
        .split_inclusive('\n')
        .zip(now.split_inclusive('\n'))
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a.len())
        .sum();
    let line = now[same..].split('\n').next().map_or(0, str::len);
    let now: Arc<str> = now.into();
    Place::within(path, now, same..same + line)
}

/// Where a version is applied, when, and by whom.
fn applied_on(standings: &[EnvironmentState], version: Option<&Version>) -> Vec<String> {
    let Some(version) = version else { return Vec::new() };
    let on = standings.iter().filter_map(|one| Some((one, one.applied.get(version)?)));
    on.map(|(one, applied)| said(&one.name, applied)).collect()
}

fn said(environment: &str, applied: &AppliedStatus) -> String {
    let day = applied.at.split(['.', '+']).next().unwrap_or(&applied.at).trim_end_matches('Z').replace('T', " ");
    format!("applied on {environment} at {day} UTC by {}", applied.by)
}

/// A migration that is applied nowhere can still be changed, if all ledgers could be read; a down script can be allowed
/// to change.
fn weigh(
    finding: Finding,
    edit: &Edit,
    standings: &[EnvironmentState],
    is_down: bool,
    set: Option<&MigrationSet>,
) -> Finding {
    let version = version(edit.name());
    let reached: Vec<&EnvironmentState> = standings.iter().filter(|one| one.unreachable.is_none()).collect();
    let is_applied =
        reached.iter().any(|one| version.as_ref().is_some_and(|version| one.applied.contains_key(version)));
    if !reached.is_empty() && !is_applied && reached.len() == standings.len() {
        let names: Vec<&str> = reached.iter().map(|one| one.name.as_str()).collect();
        let finding = finding.with_severity(Severity::Warning);
        return finding
            .note(format!("it is not in the ledger of {}, so it can still be changed", names.join(" or that of ")));
    }
    match edit {
        Edit::Modified(_) => allowed(finding, is_down, set, version.as_ref()),
        _ => finding,
    }
}

/// A down script that gives a reason for its change is only a note, because a rollback runs the one in the ledger.
fn allowed(finding: Finding, is_down: bool, set: Option<&MigrationSet>, version: Option<&Version>) -> Finding {
    let script = set.zip(version).and_then(|(set, version)| set.get(version)?.down_script()).filter(|_| is_down);
    let Some(script) = script else { return finding };
    match script.directives().allow.iter().find(|(rule, _)| codes::DOWN_EDITED == rule.as_str()) {
        Some((_, reason)) => finding.with_severity(Severity::Note).note(format!("allowed: {reason}")),
        None => finding
            .note("where it is applied, rollback runs the down script of the ledger, not this one")
            .help("if you fixed a wrong down script, put `-- migrate: allow down-edited REASON` at its head"),
    }
}

/// The versions whose up or down script differs from that in a ledger, each with the environments.
fn differing(standings: &[EnvironmentState]) -> Vec<(Version, bool, Vec<String>)> {
    let mut all: BTreeMap<(Version, bool), Vec<String>> = BTreeMap::new();
    for standing in standings {
        for applied in standing.applied.values() {
            for (differs, is_down) in [(applied.modified, false), (applied.down_modified, true)] {
                if differs {
                    all.entry((applied.version.clone(), is_down)).or_default().push(said(&standing.name, applied));
                }
            }
        }
    }
    all.into_iter().map(|((version, is_down), whom)| (version, is_down, whom)).collect()
}
