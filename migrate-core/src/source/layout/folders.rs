//! Layouts with a folder for each migration: diesel and Prisma.

use migrate_base::error::Result;

use super::listing::FolderListing;
use super::{ForeignMigration, Version};

/// The migrations of diesel, in the order of their versions as text.
pub(super) fn diesel(listing: &mut FolderListing<'_>) -> Result<Vec<ForeignMigration>> {
    let mut drafts = Vec::new();
    let mut folders = listing.entries()?;
    folders.retain(|(_, path)| path.is_dir());
    folders.sort_by_key(|(name, _)| key(name));
    for (name, path) in folders {
        let (time, words) = name.split_once('_').unwrap_or((&name, ""));
        let Some(version) = diesel_version(time) else {
            let form = "name it `<date and time>_<name>/up.sql`";
            listing.misnamed(&path, format!("`{name}` does not begin with a version"), form);
            continue;
        };
        let options = path.join("metadata.toml");
        let is_outside = options.is_file() && listing.text(&options).is_some_and(|text| outside(&text));
        let mut script = |file: &str| {
            let script = listing.script(&path.join(file))?;
            Some(super::ForeignScript { no_transaction: is_outside, ..script })
        };
        let down = if path.join("down.sql").is_file() { script("down.sql") } else { None };
        let Some(up) = script("up.sql") else { continue };
        drafts.push(ForeignMigration::sql(version, words.to_owned(), up, down));
    }
    Ok(drafts)
}

/// What diesel compares: the name up to the first `_`, without dashes.
fn key(name: &str) -> String {
    name.split('_').next().unwrap_or(name).replace('-', "")
}

/// The migrations of Prisma, in the order of their names. Other files beside the folders are not Prisma's migrations.
pub(super) fn prisma(listing: &mut FolderListing<'_>) -> Result<Vec<ForeignMigration>> {
    let mut drafts = Vec::new();
    for (name, path) in listing.entries()?.into_iter().filter(|(_, path)| path.is_dir()) {
        let file = path.join("migration.sql");
        let (digits, words) = name.split_once('_').unwrap_or((&name, ""));
        let Ok(version) = digits.parse::<Version>() else {
            let form = "name it `<date and time>_<name>/migration.sql`";
            listing.misnamed(&path, format!("`{name}` does not begin with a version"), form);
            continue;
        };
        let Some(up) = listing.script(&file) else { continue };
        drafts.push(ForeignMigration::sql(version, words.to_owned(), up, None));
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
    fn a_number_after_the_time_of_diesel_does_not_move_a_folder_after_later_ones() {
        let times = ["2025-01-01-000000", "2025-06-01-000000-0000", "2025-06-01-000000-0001", "2026-01-01-000000"];
        let versions: Vec<Version> = times.iter().filter_map(|time| diesel_version(time)).collect();
        assert!(versions.len() == times.len() && versions.is_sorted(), "{versions:?}");
        assert_eq!(versions[1].as_str(), "20250601000000.0000");
        assert!(["2025-x", "", "日本語日本語"].iter().all(|time| diesel_version(time).is_none()));
    }

    #[test]
    fn diesel_says_what_runs_outside() {
        assert!(outside("run_in_transaction = false"));
        assert!(!outside("run_in_transaction = true") && !outside("") && !outside("%"));
    }
}
