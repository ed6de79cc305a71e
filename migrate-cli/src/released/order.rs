//! New migrations in the wrong place: the base branch has newer ones, or one with the same version.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_core::{Layout, MigrationSet, Version};

use super::ReleasedBranch;
use crate::files::is_ahead;

/// The new migrations that are older than the newest one on the base branch, or that share a version with another one.
pub(crate) fn misplaced(
    released: &ReleasedBranch,
    set: &MigrationSet,
    new: &BTreeSet<Version>,
    layout: Layout,
) -> Vec<Finding> {
    let version = |name: &String| Some((name.split('_').next()?.parse::<Version>().ok()?, name.clone()));
    // A migration is identified by its up script, not by its other files.
    let is_main = |name: &&String| ![".down.sql", ".fixture.sql", ".verify.sql"].iter().any(|end| name.ends_with(end));
    let there: Vec<(Version, String)> = released.tip.keys().filter(is_main).filter_map(version).collect();
    let Some((newest, newest_file)) = there.iter().max() else { return Vec::new() };
    let at_fork = |version: &Version| released.fork.keys().any(|name| name.starts_with(&format!("{version}_")));
    let mut findings = Vec::new();
    // A migration that existed when this branch began is edited, not new.
    for version in new.iter().filter(|version| !at_fork(version)) {
        let Some(migration) = set.get(version) else { continue };
        let stem = format!("{version}_{}.", migration.name());
        // sql-migrate lets several files have the same number.
        let taken = there
            .iter()
            .find(|(other, file)| layout != Layout::SqlMigrate && other == version && !file.starts_with(&stem));
        let finding = match taken {
            Some((_, file)) => Finding::new(
                codes::VERSION_TAKEN,
                format!("{} has another migration with this version", released.base.name),
            )
            .note(format!("the other one is {file}")),
            None if version < newest => Finding::new(
                codes::OUT_OF_ORDER,
                format!("this migration is older than the newest one on {}", released.base.name),
            )
            .note(format!("the newest one there is {newest_file}"))
            .note("an environment that has the newer one would apply this one after it, a new environment before it"),
            None => continue,
        };
        findings.push(finding.at(Place::file(migration.path())).help(match layout {
            Layout::Roundtrip => "`cargo xtask rebase` gives it a newer version",
            _ => "give it a newer version, if no database has applied it yet",
        }));
    }
    findings
}

/// The migrations whose version is in the future: every later migration has to come after them.
pub(crate) fn ahead(set: &MigrationSet, latest: &Version) -> Vec<Finding> {
    let all = set.iter().filter(|migration| is_ahead(migration.version(), latest));
    let found = all.map(|migration| {
        Finding::new(codes::VERSION_AHEAD, format!("the version {} is in the future", migration.version()))
            .at(Place::file(migration.path()))
            .note("every migration that is written until then has to come after it")
            .help("if no database has applied it yet, `cargo xtask rebase` gives it the current time")
    });
    found.collect()
}

/// Explains a version that two migrations share: which of them is new, and which one is on the base branch.
pub(crate) fn twice(released: &ReleasedBranch, folder: &Path, findings: Vec<Finding>) -> Vec<Finding> {
    let mut stems: BTreeMap<Version, BTreeSet<String>> = BTreeMap::new();
    for (version, words) in stems_of(folder) {
        stems.entry(version).or_default().insert(words);
    }
    let mut told = BTreeSet::new();
    let explain = |finding: Finding| {
        let name = finding.place.as_ref().and_then(|place| place.path().file_name()?.to_str().map(str::to_owned));
        let version = name.as_deref().and_then(|name| name.split_once('_')?.0.parse::<Version>().ok());
        let Some(version) = version.filter(|_| finding.code == codes::VERSION_TWICE) else { return Some(finding) };
        // One for each version, and not for each file.
        if !told.insert(version.clone()) {
            return None;
        }
        let words = stems.remove(&version).unwrap_or_default();
        let (theirs, ours): (Vec<_>, Vec<_>) = words.into_iter().partition(|words| released.has(&version, words));
        let (Some(own), Some(other)) = (ours.first(), theirs.first()) else { return Some(finding) };
        let base = &released.base.name;
        Some(
            Finding::new(codes::VERSION_TWICE, finding.message)
                .at(Place::file(folder.join(format!("{version}_{own}.up.sql"))))
                .note(format!("yours is {version}_{own}; {base} has {version}_{other}"))
                .help("`cargo xtask rebase` gives yours another version"),
        )
    };
    findings.into_iter().filter_map(explain).collect()
}

/// The versions in a folder with the roundtrip layout, with the names after them.
pub(crate) fn stems_of(folder: &Path) -> BTreeSet<(Version, String)> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let stem = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let (version, rest) = name.split_once('_')?;
        let (words, ending) = rest.split_once('.')?;
        let is_ours = ["up.sql", "down.sql", "rs", "fixture.sql", "verify.sql"].contains(&ending);
        Some((version.parse().ok()?, words.to_owned())).filter(|_| is_ours)
    };
    names.filter_map(stem).collect()
}
