//! The finding for a folder without migrations: what it contains instead, and where the right folder may be.
//!
//! Only names are examined, and only a few levels deep: this is a hint, and it must be cheap and must not hang.

use std::fs;
use std::path::{Path, PathBuf};

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};

use super::layout::named_like;
use super::{Layout, files};

/// How many names are shown, and how many entries of a folder are examined.
const SHOWN: usize = 5;
const LOOKED_AT: usize = 2000;
/// How deep to search for a likely folder, and in how many folders.
const DEEP: usize = 2;
const FOLDERS: usize = 200;
/// Folders with third-party content.
const FOREIGN: [&str; 3] = ["node_modules", "target", "vendor"];

/// The finding for a folder that was read as this layout and has no migration.
pub(super) fn nothing(folder: &Path, layout: Layout) -> Finding {
    let finding = Finding::new(codes::NO_MIGRATIONS, format!("no migrations in {}", folder.display()))
        .at(Place::file(folder))
        .note(holds(folder, layout));
    let finding = match other_layout(folder, layout) {
        Some(other) => finding.help(format!("the file names are those of another layout: use `--layout {other}`")),
        None => finding,
    };
    let likely = likely(folder);
    let finding = likely.iter().take(SHOWN).fold(finding, |finding, (path, layout, count)| {
        let option = if *layout == Layout::Roundtrip { String::new() } else { format!(" --layout {layout}") };
        let files = if *count == 1 { "1 migration".to_owned() } else { format!("{count} migrations") };
        finding
            .help(format!("{} has {files} and may be the right folder: use `--migrations {0}{option}`", path.display()))
    });
    finding
        .help("is the folder missing from an image or a mount? check its contents where this runs")
        .help("`cargo xtask new NAME` creates the first migration")
}

/// The same if no folder is known: the migrations were embedded, or created by a program.
pub(super) fn nothing_embedded() -> Finding {
    Finding::new(codes::NO_MIGRATIONS, "this program has no migrations")
        .note("it was given an empty set of migrations")
        .help(
            "name the right folder in `migrate_embed::folder`, or allow an empty set: \
             `Policy { allow_empty: true, .. }`",
        )
}

/// The content of the folder, in a sentence.
fn holds(folder: &Path, layout: Layout) -> String {
    let names = names(folder);
    let (mut files, mut folders, mut hidden) = (Vec::new(), Vec::new(), 0);
    for (name, path) in &names {
        match (name.starts_with('.'), path.is_dir()) {
            (true, _) => hidden += 1,
            (false, true) => folders.push(format!("{name}/")),
            (false, false) => files.push(name.clone()),
        }
    }
    let hidden_too = if hidden > 0 { format!(", except for {hidden} hidden") } else { String::new() };
    let all: Vec<String> = files.into_iter().chain(folders).collect();
    if all.is_empty() {
        return format!("the folder is empty{hidden_too}");
    }
    let more = all.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    format!("it contains {shown}{more}{hidden_too}, but no migration of the layout {layout}")
}

/// The layout of the folder itself, if it is a different one.
fn other_layout(folder: &Path, layout: Layout) -> Option<Layout> {
    let (found, _) = count(folder)?;
    (found != layout).then_some(found)
}

/// Subfolders with files that are named like migrations; the one with the most first.
fn likely(folder: &Path) -> Vec<(PathBuf, Layout, usize)> {
    let mut found = Vec::new();
    let mut left = FOLDERS;
    let mut level = vec![folder.to_owned()];
    for _ in 0..DEEP {
        let below = level.iter().flat_map(|folder| folders(folder)).collect::<Vec<_>>();
        for path in below.iter().take(left) {
            found.extend(count(path).map(|(layout, count)| (path.clone(), layout, count)));
        }
        left = left.saturating_sub(below.len());
        level = below;
    }
    found.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    found
}

/// How many migrations the names in a folder make, and the layout of most of them.
fn count(folder: &Path) -> Option<(Layout, usize)> {
    let names = names(folder);
    let in_folders = names.iter().filter(|(_, path)| path.join("up.sql").is_file()).count();
    let of = |layout: Layout| names.iter().filter(|(name, _)| named_like(layout, name)).count();
    let ours = names.iter().filter(|(name, _)| name.ends_with(".up.sql") && files::parse(name).is_ok()).count();
    let counted = [
        (Layout::Roundtrip, ours),
        (Layout::Flyway, of(Layout::Flyway)),
        (Layout::Sqlx, of(Layout::Sqlx)),
        (Layout::Diesel, in_folders),
    ];
    // The first of those with the highest count: our names match sqlx as well.
    counted.into_iter().rev().max_by_key(|(_, count)| *count).filter(|(_, count)| *count > 0)
}

/// The folders in a folder, without irrelevant ones.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let is_meant = |name: &str| !name.starts_with('.') && !FOREIGN.contains(&name);
    names(folder).into_iter().filter(|(name, path)| is_meant(name) && path.is_dir()).map(|(_, path)| path).collect()
}

fn names(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(LOOKED_AT);
    let mut names: Vec<(String, PathBuf)> =
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{MigrationFolder, MigrationSet};

    #[test]
    fn an_empty_chain_says_what_is_there_instead_and_where_the_right_folder_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let told = |layout: Layout| {
            let set: MigrationSet = MigrationFolder::new(folder.path(), layout).load().unwrap();
            assert!(set.is_empty());
            let finding = set.why_empty();
            format!("{}; {}; {}", finding.message, finding.notes.join("; "), finding.help.join("; "))
        };
        fs::write(at(".keep"), "").unwrap();
        let empty = told(Layout::Roundtrip);
        assert!(empty.starts_with("no migrations in ") && empty.contains("empty, except for 1 hidden"), "{empty}");
        fs::create_dir_all(at("db/migrations")).unwrap();
        fs::write(at("README.md"), "x").unwrap();
        fs::write(at("db/migrations/0001_a.up.sql"), "SELECT 1").unwrap();
        for layout in [Layout::Flyway, Layout::Sqlx] {
            let told = told(layout);
            let right = format!("--migrations {} --layout sqlx", at("db/migrations").display());
            assert!(told.contains("README.md, db/") && told.contains(&right), "{told}");
        }
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("V1__a.sql"), "SELECT 1").unwrap();
        let told = MigrationFolder::new(other.path(), Layout::Diesel).load().unwrap().why_empty().help.join("; ");
        assert!(told.contains("use `--layout flyway`"), "{told}");
    }
}
