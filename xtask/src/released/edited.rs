//! Files that are not what they were when they were released or applied.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use migrate_core::finding::{Finding, Place, Severity};
use migrate_core::runner::{AppliedStatus, MODIFIED};
use migrate_core::{MigrationSet, Version};

use super::{Released, Standing, text};
use crate::git::{self, Files};

/// What happened to a released file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Edit {
    /// It has another text.
    Modified(String),
    /// It is not there.
    Removed(String),
    /// It has another name.
    Renamed(String, String),
}

/// Everything that was edited, against the base branch and against what the ledgers of environments say.
pub(crate) fn edited(
    folder: &Path,
    released: Option<&Released>,
    set: Option<&MigrationSet>,
    standings: &[Standing],
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
    // A migration that never reached the base branch may have been applied all the same.
    for (version, is_down, whom) in differing(standings) {
        if told.contains(&(version.clone(), is_down)) {
            continue;
        }
        let Some(migration) = set.and_then(|set| set.get(&version)) else { continue };
        let down = migration.down_script().map(|script| script.path()).filter(|_| is_down);
        let path = down.unwrap_or_else(|| migration.path());
        let finding = Finding::error(code(is_down), sentence(is_down)).at(Place::file(path));
        let finding = whom.into_iter().fold(finding, Finding::note);
        let finding = finding.help("`cargo xtask new NAME` makes a new migration for what is to change");
        findings.push(allowed(finding, is_down, set, Some(&version)).help(
            "or roll it back there while its old down is in the ledger: `cargo xtask rollback --env NAME`, then apply it again",
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

/// Compares the files of the base with those that are here; what a squash replaced is no edit.
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

/// Whether a file is a part of what is applied: what only the proof reads may change.
fn counts(name: &str) -> bool {
    let aside = [".fixture.sql", ".verify.sql", "mod.rs"].iter().any(|end| name.ends_with(end));
    let file = name.rsplit('/').next().unwrap_or(name);
    !aside && !file.starts_with('.') && (name.ends_with(".sql") || name.ends_with(".rs"))
}

fn is_down(name: &str) -> bool {
    name.ends_with(".down.sql") || name.ends_with("/down.sql")
}

/// The version at the beginning of a name, also of a folder of diesel's.
fn version(name: &str) -> Option<Version> {
    let first = name.split(['_', '/']).next()?;
    first.trim_start_matches('V').replace('-', "").parse().ok()
}

fn code(is_down: bool) -> &'static str {
    if is_down { "down-edited" } else { "migration-edited" }
}

fn sentence(is_down: bool) -> String {
    match is_down {
        false => MODIFIED.to_owned(),
        true => format!("{MODIFIED} (It is the down that is another one.)"),
    }
}

/// What happened, with where it is released, since which commit it is another one, and the ways out.
fn describe(folder: &Path, edit: &Edit, released: Option<&Released>, here: &Files, is_down: bool) -> Finding {
    let name = edit.name();
    let path = folder.join(name);
    let Some(Released { base, fork, .. }) = released else { return Finding::error(code(is_down), MODIFIED) };
    let finding = match edit {
        Edit::Modified(_) => {
            let (was, now) = (fork.get(name).map(|b| text(b)), here.get(name).map(|b| text(b)));
            let place = place(&path, &was.unwrap_or_default(), now.unwrap_or_default());
            Finding::error(code(is_down), sentence(is_down))
                .at(place.labelled(format!("another text on {}", base.name)))
        }
        Edit::Removed(_) => Finding::error("migration-removed", "Migration file was removed after being applied.")
            .at(Place::file(&path)),
        Edit::Renamed(_, to) => {
            let message = format!("Migration file was renamed after being applied: it is {to} now.");
            Finding::error("migration-renamed", message).at(Place::file(&path))
        }
    };
    let added = git::last_touch(folder, &base.fork, name);
    let finding = match added {
        Some(commit) => finding.note(format!("{} has it since {commit}", base.name)),
        None => finding.note(format!("{} has it", base.name)),
    };
    let touched = git::last_touch(folder, &format!("{}..HEAD", base.fork), name);
    let finding = match touched {
        Some(commit) => finding.note(format!("it is another one since {commit}")),
        None => finding.note("the change is not committed yet"),
    };
    let short = &base.fork[..base.fork.len().min(9)];
    finding
        .help(format!("`git checkout {short} -- {}` brings back what was applied", path.display()))
        .help("`cargo xtask new NAME` makes a new migration for what is to change")
}

/// The first line that is another one.
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

/// Where a version is applied, when and by whom.
fn applied_on(standings: &[Standing], version: Option<&Version>) -> Vec<String> {
    let Some(version) = version else { return Vec::new() };
    let on = standings.iter().filter_map(|one| Some((one, one.applied.get(version)?)));
    on.map(|(one, applied)| said(&one.name, applied)).collect()
}

fn said(environment: &str, applied: &AppliedStatus) -> String {
    let day = applied.at.split(['.', '+']).next().unwrap_or(&applied.at).trim_end_matches('Z').replace('T', " ");
    format!("applied on {environment} at {day} UTC by {}", applied.by)
}

/// What is applied nowhere can still be changed, where the ledgers can say so; a down can be allowed to change.
fn weigh(finding: Finding, edit: &Edit, standings: &[Standing], is_down: bool, set: Option<&MigrationSet>) -> Finding {
    let version = version(edit.name());
    let reached: Vec<&Standing> = standings.iter().filter(|one| one.unreachable.is_none()).collect();
    let is_applied =
        reached.iter().any(|one| version.as_ref().is_some_and(|version| one.applied.contains_key(version)));
    if !reached.is_empty() && !is_applied && reached.len() == standings.len() {
        let names: Vec<&str> = reached.iter().map(|one| one.name.as_str()).collect();
        let finding = Finding { severity: Severity::Warning, ..finding };
        return finding.note(format!(
            "the ledger of {} does not have it, so it can still be changed",
            names.join(" and that of ")
        ));
    }
    match edit {
        Edit::Modified(_) => allowed(finding, is_down, set, version.as_ref()),
        _ => finding,
    }
}

/// A down that says why it is another one is told and stops nothing: what runs is the one in the ledger.
fn allowed(finding: Finding, is_down: bool, set: Option<&MigrationSet>, version: Option<&Version>) -> Finding {
    let script = set.zip(version).and_then(|(set, version)| set.get(version)?.down_script()).filter(|_| is_down);
    let Some(script) = script else { return finding };
    match script.directives().allow.iter().find(|(rule, _)| rule == "down-edited") {
        Some((_, reason)) => Finding { severity: Severity::Note, ..finding }.note(format!("allowed: {reason}")),
        None => finding
            .note("where it is applied, rollback runs the down of the ledger, not this one")
            .help("a down that was wrong may be mended: `-- migrate: allow down-edited REASON` at its head"),
    }
}

/// The versions of which a ledger has another up or down, each with where.
fn differing(standings: &[Standing]) -> Vec<(Version, bool, Vec<String>)> {
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
