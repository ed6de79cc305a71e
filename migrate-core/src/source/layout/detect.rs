//! Detects which tool wrote a folder, from the names in it and the first lines of its files.

use std::fs;
use std::path::{Path, PathBuf};

use migrate_base::regular;

use super::{Layout, flyway, liquibase, listed, marked, numbered, pairs};
use crate::source::files;

/// How many files of a folder are examined.
const LOOKED_AT: usize = 1000;

/// The layout of a folder; ours if nothing speaks for another.
///
/// If most file names follow our pattern, the folder is ours: a misnamed file in it is a mistake. In a folder with
/// thousands of files, the first ones that the folder lists are enough.
pub(super) fn detect(folder: &Path) -> Layout {
    if folder.join(listed::PLAN).is_file() {
        return Layout::Sqitch;
    }
    if folder.join(listed::JOURNAL).is_file() {
        return Layout::Drizzle;
    }
    let Ok(entries) = fs::read_dir(folder) else { return Layout::Roundtrip };
    let (mut sql, mut others) = (Vec::new(), Vec::new());
    for entry in entries.flatten().take(LOOKED_AT) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".sql") { sql.push((name, entry.path())) } else { others.push((name, entry.path())) }
    }
    sql.sort();
    let ours = sql.iter().filter(|(name, _)| files::parse(name).is_ok()).count();
    let folders_with = |file: &str| others.iter().filter(|(_, path)| path.join(file).is_file()).count();
    if folders_with("up.sql") > sql.len() {
        return Layout::Diesel;
    }
    if folders_with("migration.sql") > sql.len() {
        return Layout::Prisma;
    }
    if folder.join("committed").is_dir() || (folder.ends_with("committed") && !sql.is_empty()) {
        return Layout::GraphileMigrate;
    }
    if ours * 2 > sql.len() || sql.is_empty() {
        return Layout::Roundtrip;
    }
    of_files(folder, &sql, &others)
}

/// The layout of a folder of files that are not ours.
fn of_files(folder: &Path, sql: &[(String, PathBuf)], others: &[(String, PathBuf)]) -> Layout {
    if folder.join("atlas.sum").is_file() {
        return Layout::Atlas;
    }
    let is_in_supabase = folder.canonicalize().ok().is_some_and(|path| path.ends_with("supabase/migrations"));
    if is_in_supabase {
        return Layout::Supabase;
    }
    if sql.iter().any(|(name, _)| flyway::versioned(name).is_some_and(|found| found.up)) {
        // refinery compiles its files into a program.
        let is_rust = others.iter().any(|(name, _)| name.ends_with(".rs"));
        return if is_rust { Layout::Refinery } else { Layout::Flyway };
    }
    if sql.iter().all(|(name, _)| pairs::action(name).is_some()) {
        return Layout::Postgrator;
    }
    if numbered::is_yoyo(sql) {
        return Layout::Yoyo;
    }
    let has_direction = |name: &str| name.ends_with(".up.sql") || name.ends_with(".down.sql");
    if sql.iter().all(|(name, _)| has_direction(name)) {
        return pairs::pair_tool(sql.iter().map(|(name, _)| name.as_str()));
    }
    let is_formatted = |path: &PathBuf| regular::read_to_string(path).is_ok_and(|text| liquibase::is_formatted(&text));
    if sql.iter().any(|(_, path)| is_formatted(path)) {
        return Layout::Liquibase;
    }
    let said = sql.iter().find_map(|(_, path)| marked::mark_of(&regular::read_to_string(path).ok()?));
    match said {
        Some(layout) => layout,
        None => pairs::pair_tool(sql.iter().map(|(name, _)| name.as_str())),
    }
}
