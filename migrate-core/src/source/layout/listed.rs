//! Layouts with a list that gives the order: Drizzle's journal and sqitch's plan.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::error::Result;
use migrate_base::finding::{Finding, Place};
use serde_json::Value;

use super::listing::FolderListing;
use super::{ForeignMigration, Version};

/// Where Drizzle keeps its list, below the folder.
pub(super) const JOURNAL: &str = "meta/_journal.json";
/// The file with sqitch's plan.
pub(super) const PLAN: &str = "sqitch.plan";

/// The migrations of Drizzle: those in its journal, in its order.
pub(super) fn drizzle(listing: &mut FolderListing<'_>) -> Result<Vec<ForeignMigration>> {
    let path = listing.folder.path.join(JOURNAL);
    let Some(text) = listing.text(&path) else { return Ok(Vec::new()) };
    let journal: Option<Value> = serde_json::from_str(&text).ok();
    let entries = journal.as_ref().and_then(|journal| journal.get("entries")?.as_array());
    let Some(entries) = entries else {
        listing.findings.push(unlisted(&path, "the journal of Drizzle has no list `entries`"));
        return Ok(Vec::new());
    };
    let mut drafts = Vec::new();
    for entry in entries {
        let Some(tag) = entry.get("tag").and_then(Value::as_str).filter(|tag| is_plain(tag)) else {
            listing.findings.push(unlisted(&path, "an entry in the journal of Drizzle has no name `tag`"));
            continue;
        };
        let (digits, words) = tag.split_once('_').unwrap_or((tag, ""));
        let file = listing.folder.path.join(format!("{tag}.sql"));
        let Ok(version) = digits.parse::<Version>() else {
            listing.misnamed(&file, format!("`{tag}` does not begin with a number"), "name it `<digits>_<name>.sql`");
            continue;
        };
        if let Some(up) = listing.script(&file) {
            drafts.push(ForeignMigration::sql(version, words.to_owned(), up, None));
        }
    }
    Ok(drafts)
}

/// Whether a name is one part of a path.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\\']) && name != ".."
}

fn unlisted(path: &Path, what: &str) -> Finding {
    Finding::new(codes::FILE_NAME, what)
        .at(Place::file(path))
        .help("restore the file from the history of the repository")
}

/// A change in the plan of sqitch.
struct PlannedChange {
    name: String,
    /// The time at which it was planned, as digits.
    time: String,
    /// The tags after it, up to the next change of this name.
    tags: Vec<String>,
    line: std::ops::Range<usize>,
}

/// The migrations of sqitch, in the order of the plan. The version is the time at which a change was planned.
pub(super) fn sqitch(listing: &mut FolderListing<'_>) -> Result<Vec<ForeignMigration>> {
    let path = listing.folder.path.join(PLAN);
    let Some(text) = listing.text(&path) else { return Ok(Vec::new()) };
    let text: Arc<str> = text.into();
    let changes = changes(&path, &text, &mut listing.findings);
    let mut drafts: Vec<ForeignMigration> = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        // A change that was reworked later keeps its older scripts under the name of a tag between the two.
        let is_reworked = changes[at + 1..].iter().any(|later| later.name == change.name);
        let deploy = listing.folder.path.join("deploy");
        let tagged = change.tags.iter().rev().map(|tag| format!("{}@{tag}.sql", change.name));
        let tagged = tagged.filter(|_| is_reworked).find(|file| deploy.join(file).is_file());
        let file = tagged.unwrap_or_else(|| format!("{}.sql", change.name));
        let Ok(version) = change.time.parse::<Version>() else { continue };
        let version = match drafts.iter().filter(|draft| is_at(&draft.version, &change.time)).count() {
            0 => version,
            before => version.with(before),
        };
        if drafts.last().is_some_and(|last| last.version > version) {
            let place = Place::within(&path, text.clone(), change.line.clone());
            let finding =
                Finding::new(codes::VERSION_ORDER, "this change is planned at an older time than the one before it");
            listing.findings.push(
                finding
                    .at(place)
                    .note("the version of a change is its time, and versions give the order")
                    .help("correct the time, if the change is not deployed anywhere yet"),
            );
        }
        let folder = listing.folder.path.clone();
        let Some(up) = listing.script(&folder.join("deploy").join(&file)) else { continue };
        let revert = folder.join("revert").join(&file);
        let down = if revert.is_file() { listing.script(&revert) } else { None };
        drafts.push(ForeignMigration::sql(version, change.name.clone(), up, down));
    }
    Ok(drafts)
}

/// Whether a version was made from this time.
fn is_at(version: &Version, time: &str) -> bool {
    version.as_str().split('.').next() == Some(time)
}

/// The changes of a plan: `name [requires] 2024-01-01T00:00:00Z Name <address> # note`.
fn changes(path: &Path, text: &Arc<str>, findings: &mut Vec<Finding>) -> Vec<PlannedChange> {
    let mut changes: Vec<PlannedChange> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let span = start..start + line.trim_end().len();
        start += line.len();
        let line = line.trim();
        if let Some(tag) = line.strip_prefix('@') {
            let tag = tag.split_whitespace().next().unwrap_or_default();
            let mut seen = BTreeSet::new();
            let newest = changes.iter_mut().rev().filter(|change| seen.insert(change.name.clone()));
            newest.for_each(|change| change.tags.push(tag.to_owned()));
            continue;
        }
        if line.is_empty() || line.starts_with(['%', '#']) {
            continue;
        }
        let name = line.split_whitespace().next().unwrap_or_default();
        let is_time = |word: &&str| word.len() == TIME.len() && word.ends_with('Z') && word.contains('T');
        let time = line.split_whitespace().find(is_time).unwrap_or_default();
        let digits: String = time.chars().filter(char::is_ascii_digit).collect();
        if digits.len() != 14 || !name.split('/').all(is_plain) {
            let finding = Finding::new(codes::FILE_NAME, "this line of the plan is not a change with its time");
            let place = Place::within(path, text.clone(), span);
            findings.push(finding.at(place).help(format!("write it as sqitch does: `name {TIME} Name <address>`")));
            continue;
        }
        changes.push(PlannedChange { name: name.to_owned(), time: digits, tags: Vec::new(), line: span });
    }
    changes
}

/// A time as sqitch writes it.
const TIME: &str = "2024-01-01T00:00:00Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_changes_with_times_and_the_tags_after_them() {
        let plan = "%syntax-version=1.0.0\n%project=shop\n\nusers 2024-01-01T00:00:00Z Ann <a@x> # first\n\
                    orders [users] 2024-01-02T03:04:05Z Ann <a@x>\n@v1 2024-01-03T00:00:00Z Ann <a@x>\n\
                    users [users@v1] 2024-02-01T00:00:00Z Ann <a@x>\nbad line\n";
        let mut findings = Vec::new();
        let changes = changes(Path::new("sqitch.plan"), &plan.into(), &mut findings);
        let shown: Vec<String> =
            changes.iter().map(|one| format!("{} {} {}", one.name, one.time, one.tags.join("+"))).collect();
        assert_eq!(shown, ["users 20240101000000 v1", "orders 20240102030405 v1", "users 20240201000000 "]);
        assert_eq!(findings.len(), 1);
    }
}
