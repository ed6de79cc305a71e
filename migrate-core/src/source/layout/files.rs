//! Layouts with separate files for up and down scripts: sqlx, golang-migrate, diesel, Flyway.

use std::collections::BTreeMap;
use std::path::Path;

use migrate_base::codes;
use migrate_base::error::Result;
use migrate_base::finding::{Finding, Place};

use super::{ForeignMigration, ForeignScript, Layout, Version, entries, read};

/// The parts of a file name.
pub(super) struct ForeignFileName {
    pub(super) version: Version,
    pub(super) name: String,
    pub(super) up: bool,
    /// Whether it is a single file, without a down script.
    alone: bool,
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

/// `V1.2__Add_users.sql`, `U1.2__Add_users.sql`; an underscore in the version is a dot.
pub(super) fn flyway(file: &str) -> Option<ForeignFileName> {
    let stem = file.strip_suffix(".sql")?;
    let up = match stem.chars().next()? {
        'V' => true,
        'U' => false,
        _ => return None,
    };
    let (version, name) = stem[1..].split_once("__")?;
    Some(ForeignFileName { version: version.replace('_', ".").parse().ok()?, name: name.to_owned(), up, alone: false })
}

/// The migrations of sqlx and golang-migrate. Files that are not SQL are ignored.
pub(super) fn pairs(folder: &Path, findings: &mut Vec<Finding>) -> Result<Vec<ForeignMigration>> {
    let form = "name it `<digits>_<anything>.up.sql` or `.down.sql`";
    together(folder, findings, pair, form, |_| false)
}

/// The migrations of Flyway. Repeatable migrations (`R__…`) and callbacks are not part of the chain.
pub(super) fn versioned(folder: &Path, findings: &mut Vec<Finding>) -> Result<Vec<ForeignMigration>> {
    let form = "name it `V<version>__<anything>.sql` or `U<version>__<anything>.sql`";
    let aside = |name: &str| name.starts_with("R__") || name.starts_with("before") || name.starts_with("after");
    together(folder, findings, flyway, form, aside)
}

fn together(
    folder: &Path,
    findings: &mut Vec<Finding>,
    parse: impl Fn(&str) -> Option<ForeignFileName>,
    form: &str,
    aside: impl Fn(&str) -> bool,
) -> Result<Vec<ForeignMigration>> {
    let mut ups: Vec<ForeignMigration> = Vec::new();
    let mut downs: BTreeMap<Version, ForeignScript> = BTreeMap::new();
    for (file, path) in entries(folder, findings)? {
        if !file.ends_with(".sql") || aside(&file) {
            continue;
        }
        let Some(name) = parse(&file) else {
            let finding = Finding::new(codes::FILE_NAME, format!("`{file}` is not a migration file name"));
            findings.push(finding.at(Place::file(&path)).help(form));
            continue;
        };
        let Some(mut part) = ForeignScript::whole(&path, findings) else { continue };
        // sqlx's own directive, on the first line.
        part.no_transaction = part.text.starts_with("-- no-transaction");
        match (name.up, name.alone) {
            (true, _) => ups.push(ForeignMigration { version: name.version, name: name.name, up: part, down: None }),
            (false, _) => drop(downs.insert(name.version, part)),
        }
    }
    for draft in &mut ups {
        draft.down = downs.remove(&draft.version);
    }
    for part in downs.into_values() {
        let finding = Finding::new(codes::UP_MISSING, "this down script has no up script").at(Place::file(part.path));
        findings.push(finding.help("write the up script next to it, or remove the file"));
    }
    Ok(ups)
}

/// The migrations of diesel: one folder each.
pub(super) fn folders(folder: &Path, findings: &mut Vec<Finding>) -> Result<Vec<ForeignMigration>> {
    let mut drafts = Vec::new();
    for (name, path) in entries(folder, findings)?.into_iter().filter(|(_, path)| path.is_dir()) {
        let (time, words) = name.split_once('_').unwrap_or((&name, ""));
        let Some(version) = diesel_version(time) else {
            let finding = Finding::new(codes::FILE_NAME, format!("`{name}` does not begin with a version"));
            findings.push(finding.at(Place::file(&path)).help("name it `<date and time>_<name>/up.sql`"));
            continue;
        };
        let options = path.join("metadata.toml");
        let alone = options.is_file() && read(&options, findings).is_some_and(|text| outside(&text));
        let part = |file: &str, findings: &mut Vec<Finding>| {
            Some(ForeignScript { no_transaction: alone, ..ForeignScript::whole(&path.join(file), findings)? })
        };
        let down = if path.join("down.sql").is_file() { part("down.sql", findings) } else { None };
        let Some(up) = part("up.sql", findings) else { continue };
        drafts.push(ForeignMigration { version, name: words.to_owned(), up, down });
    }
    Ok(drafts)
}

/// How many digits diesel writes for a date and a time.
const TIME: usize = 14;

/// The version of a diesel folder: `2025-01-01-000000`, possibly with a number after it. Diesel compares these as text,
/// so what follows the time is a separate part.
pub(crate) fn diesel_version(time: &str) -> Option<Version> {
    let digits = time.replace('-', "");
    let text = match digits.split_at_checked(TIME) {
        Some((time, number)) if !number.is_empty() => format!("{time}.{number}"),
        _ => digits,
    };
    text.parse().ok()
}

/// Whether diesel's options contain `run_in_transaction = false`.
fn outside(options: &str) -> bool {
    let table: Option<toml::Table> = toml::from_str(options).ok();
    table.and_then(|table| table.get("run_in_transaction")?.as_bool()) == Some(false)
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
        assert_eq!(shown(flyway("V1_2__Add_users.sql")).as_deref(), Some("1.2 Add_users true false"));
        assert_eq!(shown(flyway("U10__x.sql")).as_deref(), Some("10 x false false"));
        assert_eq!(shown(flyway("R__views.sql")), None);
    }

    #[test]
    fn a_number_after_the_time_of_diesel_does_not_move_a_folder_after_later_ones() {
        let times = ["2025-01-01-000000", "2025-06-01-000000-0000", "2025-06-01-000000-0001", "2026-01-01-000000"];
        let versions: Vec<Version> = times.iter().filter_map(|time| diesel_version(time)).collect();
        assert!(versions.len() == times.len() && versions.is_sorted(), "{versions:?}");
        assert_eq!(versions[1].as_str(), "20250601000000.0000");
        assert!(
            diesel_version("2025-x").is_none()
                && diesel_version("").is_none()
                && diesel_version("日本語日本語").is_none()
        );
    }

    #[test]
    fn diesel_says_what_runs_outside() {
        assert!(outside("run_in_transaction = false"));
        assert!(!outside("run_in_transaction = true") && !outside("") && !outside("%"));
    }
}
