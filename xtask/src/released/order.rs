//! New migrations that come too late: the base branch has newer ones, or one with the same version.

use std::collections::BTreeSet;

use migrate_core::finding::{Finding, Place};
use migrate_core::{MigrationSet, Version};

use super::Released;

/// The new migrations that are older than the newest one of the base branch, or that share a version with another one.
pub(crate) fn misplaced(released: &Released, set: &MigrationSet, new: &BTreeSet<Version>) -> Vec<Finding> {
    let version = |name: &String| Some((name.split('_').next()?.parse::<Version>().ok()?, name.clone()));
    // A migration is named by its up, and not by a check or a fixture of it.
    let is_main = |name: &&String| ![".down.sql", ".fixture.sql", ".verify.sql"].iter().any(|end| name.ends_with(end));
    let there: Vec<(Version, String)> = released.tip.keys().filter(is_main).filter_map(version).collect();
    let Some((newest, newest_file)) = there.iter().max() else { return Vec::new() };
    let at_fork = |version: &Version| released.fork.keys().any(|name| name.starts_with(&format!("{version}_")));
    let mut findings = Vec::new();
    // What was there when this branch began is edited, not new.
    for version in new.iter().filter(|version| !at_fork(version)) {
        let Some(migration) = set.get(version) else { continue };
        let stem = format!("{version}_{}.", migration.name());
        let taken = there.iter().find(|(other, file)| other == version && !file.starts_with(&stem));
        let finding = match taken {
            Some((_, file)) => Finding::error(
                "version-taken",
                format!("{} has another migration with this version", released.base.name),
            )
            .note(format!("the other one is {file}")),
            None if version < newest => Finding::error(
                "out-of-order",
                format!("this migration is older than the newest one on {}", released.base.name),
            )
            .note(format!("the newest one there is {newest_file}"))
            .note("an environment that has the newer one would get this one behind it, and a new one before it"),
            None => continue,
        };
        findings.push(
            finding.at(Place::file(migration.path())).help("`cargo xtask rebase` gives it a version behind that"),
        );
    }
    findings
}
