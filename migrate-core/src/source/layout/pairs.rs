//! Layouts with a file for each script in one folder: sqlx, golang-migrate, Supabase, Atlas and postgrator.

use std::collections::BTreeMap;
use std::path::Path;

use migrate_base::codes;
use migrate_base::error::Result;
use migrate_base::finding::{Finding, Place};

use super::listing::FolderListing;
use super::{ForeignMigration, ForeignScript, Layout, Version, assemble, unread};

/// The parts of a file name.
pub(super) struct ForeignFileName {
    pub(super) version: Version,
    pub(super) name: String,
    pub(super) up: bool,
    /// Whether it is a single file, without a down script.
    pub(super) alone: bool,
}

/// `20240101_Add users.up.sql`: any number of digits, then anything.
pub(super) fn pair(file: &str) -> Option<ForeignFileName> {
    let stem = file.strip_suffix(".sql")?;
    let (stem, up, alone) = match (stem.strip_suffix(".up"), stem.strip_suffix(".down")) {
        (Some(stem), _) => (stem, true, false),
        (None, Some(stem)) => (stem, false, false),
        (None, None) => (stem, true, true),
    };
    let (digits, name) = stem.split_once('_').unwrap_or((stem, ""));
    Some(ForeignFileName { version: digits.parse().ok()?, name: name.to_owned(), up, alone })
}

/// `001.do.add-users.sql`, `001.undo.add-users.sql`, of any language.
pub(super) fn action(file: &str) -> Option<ForeignFileName> {
    let (digits, rest) = file.split_once('.')?;
    let (action, rest) = rest.split_once('.')?;
    let up = match action {
        "do" => true,
        "undo" => false,
        _ => return None,
    };
    let name = rest.rsplit_once('.').map_or("", |(name, _)| name);
    Some(ForeignFileName { version: digits.parse().ok()?, name: name.to_owned(), up, alone: false })
}

/// Which tool uses such names: sqlx counts with four digits or uses a timestamp; golang-migrate uses six digits or any
/// number of digits, and always has a direction in the name.
pub(super) fn pair_tool<'a>(names: impl Iterator<Item = &'a str>) -> Layout {
    let pairs: Vec<(usize, ForeignFileName)> =
        names.filter_map(|name| Some((name.find(|c: char| !c.is_ascii_digit())?, pair(name)?))).collect();
    match pairs.iter().all(|(digits, found)| found.alone || matches!(digits, 4 | 14)) {
        _ if pairs.is_empty() => Layout::Roundtrip,
        true => Layout::Sqlx,
        false => Layout::GolangMigrate,
    }
}

/// The migrations of these tools. Files that are not SQL are ignored, because the tools ignore them too, except that
/// postgrator also runs JavaScript.
pub(super) fn pairs(layout: Layout, listing: &mut FolderListing<'_>) -> Result<Vec<ForeignMigration>> {
    let (parse, form): (fn(&str) -> Option<ForeignFileName>, &str) = match layout {
        Layout::Postgrator => (action, "name it `<digits>.do.<anything>.sql` or `<digits>.undo.<anything>.sql`"),
        Layout::Supabase | Layout::Atlas => (pair, "name it `<digits>_<anything>.sql`"),
        _ => (pair, "name it `<digits>_<anything>.up.sql` or `.down.sql`"),
    };
    let mut files = listing.entries()?;
    files.retain(|(file, _)| file.ends_with(".sql") || (layout == Layout::Postgrator && action(file).is_some()));
    let mut sorted = FilePairs::default();
    for (file, path) in files {
        let Some(name) = parse(&file) else {
            listing.misnamed(&path, format!("`{file}` is not a migration file name"), form);
            continue;
        };
        // golang-migrate passes over a file without a direction.
        if layout == Layout::GolangMigrate && name.alone {
            continue;
        }
        if !file.ends_with(".sql") {
            if name.up {
                sorted.ups.extend(listing.code(name.version, name.name, path));
            }
            continue;
        }
        let Some(mut script) = listing.script(&path) else { continue };
        script.no_transaction = outside(layout, &script.text);
        if layout == Layout::Atlas {
            listing.findings.extend(of_atlas(&path, &script.text));
        }
        sorted.add(name, script);
    }
    Ok(sorted.combined(&mut listing.findings))
}

/// Whether a tool's own comment at the head of a file says that it runs without a transaction.
fn outside(layout: Layout, text: &str) -> bool {
    match layout {
        Layout::Sqlx => text.starts_with("-- no-transaction"),
        Layout::Atlas => text.lines().take_while(|line| line.starts_with("--")).any(|line| {
            line.trim_start_matches('-')
                .trim_start()
                .strip_prefix("atlas:txmode")
                .is_some_and(|mode| mode.trim() == "none")
        }),
        _ => false,
    }
}

/// What Atlas does with a file because of a comment in it, and we do not.
fn of_atlas(path: &Path, text: &str) -> Option<Finding> {
    let words = text.lines().filter_map(|line| line.trim_start_matches('-').trim_start().strip_prefix("atlas:"));
    let what = words.map(str::trim).find_map(|word| match word.split_whitespace().next()? {
        "checkpoint" => Some("it is a checkpoint, which replaces all files before it"),
        "txtar" => Some("it is an archive of several files"),
        "delimiter" => Some("it has a delimiter of its own"),
        _ => None,
    })?;
    Some(unread::not_run(Layout::Atlas, path, what))
}

/// Adds migrations that are not written yet, from names and texts; a down script of one that is there replaces its own.
pub(super) fn add_drafts(folder: &Path, added: &[(String, String)], all: &mut Vec<ForeignMigration>) {
    let mut sorted = FilePairs::default();
    for (file, text) in added {
        let Some(name) = pair(file) else { continue };
        let script = ForeignScript { path: folder.join(file), text: text.clone(), raw: None, no_transaction: false };
        match all.iter_mut().find(|there| !name.up && there.version == name.version) {
            Some(there) => there.set_down(script),
            None => sorted.add(name, script),
        }
    }
    all.extend(sorted.combined(&mut Vec::new()));
}

/// Up scripts, and the down scripts that belong to them.
#[derive(Default)]
pub(super) struct FilePairs {
    pub(super) ups: Vec<ForeignMigration>,
    downs: BTreeMap<Version, Vec<ForeignScript>>,
}

impl FilePairs {
    pub(super) fn add(&mut self, name: ForeignFileName, script: ForeignScript) {
        match name.up {
            true => self.ups.push(ForeignMigration::sql(name.version, name.name, script, None)),
            false => self.downs.entry(name.version).or_default().push(script),
        }
    }

    /// The migrations; a down script without an up script is a finding.
    pub(super) fn combined(mut self, findings: &mut Vec<Finding>) -> Vec<ForeignMigration> {
        for draft in &mut self.ups {
            let mut downs = self.downs.remove(&draft.version).unwrap_or_default().into_iter();
            if let Some(down) = downs.next() {
                let twice = downs.map(|second| assemble::twice(&second.path, &down.path).help("remove one of the two"));
                findings.extend(twice);
                draft.set_down(down);
            }
        }
        for script in self.downs.into_values().flatten() {
            let finding = Finding::new(codes::UP_MISSING, "this down script has no up script");
            let finding = finding.at(Place::file(script.path));
            findings.push(
                finding.help("write the up script next to it, or remove the file").help(
                    "refinery has up scripts named `U1__name.sql`: if it wrote these, set `layout = \"refinery\"`",
                ),
            );
        }
        self.ups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_tools_are_read() {
        let shown =
            |name: Option<ForeignFileName>| name.map(|n| format!("{} {} {} {}", n.version, n.name, n.up, n.alone));
        assert_eq!(shown(pair("1_Add users.up.sql")).as_deref(), Some("1 Add users true false"));
        assert_eq!(shown(pair("0002_x.down.sql")).as_deref(), Some("0002 x false false"));
        assert_eq!(shown(pair("3_alone.sql")).as_deref(), Some("3 alone true true"));
        assert_eq!(shown(pair("readme.sql")), None);
        assert_eq!(shown(action("001.do.add-users.sql")).as_deref(), Some("001 add-users true false"));
        assert_eq!(shown(action("2.undo.sql")).as_deref(), Some("2  false false"));
        assert_eq!(shown(action("001.redo.x.sql")), None);
    }

    #[test]
    fn a_comment_of_the_tool_says_what_runs_outside() {
        assert!(outside(Layout::Sqlx, "-- no-transaction\nSELECT 1;") && !outside(Layout::Sqlx, "SELECT 1;"));
        assert!(outside(Layout::Atlas, "-- a\n-- atlas:txmode none\n\nSELECT 1;"));
        assert!(!outside(Layout::Atlas, "-- atlas:txmode file\nSELECT 1;"));
        assert!(of_atlas(Path::new("x"), "-- atlas:checkpoint\n").is_some() && of_atlas(Path::new("x"), "a").is_none());
    }
}
