//! `rebase`: give new migrations versions newer than those on the base branch.

use migrate_base::codes;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use migrate_core::{CodeMigrations, Layout, Version};
use serde::Serialize;

use crate::checks::CheckInput;
use crate::cli::RebaseArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::files;
use crate::output::style::{self, BOLD, DIM, GOOD, paint};
use crate::output::{DocumentJson, TextTable};
use crate::released::{ReleasedBranch, stems_of};

#[derive(Serialize)]
struct RebaseJson {
    base: String,
    dry_run: bool,
    renamed: Vec<RenamedMigrationJson>,
}

#[derive(Serialize)]
struct RenamedMigrationJson {
    from: String,
    to: String,
    name: String,
}

pub(crate) fn run(context: &Context<'_>, code: CodeMigrations, options: &RebaseArgs) -> Result<Exit> {
    if context.layout != Layout::default() {
        return Err(Failure::usage(
            codes::LAYOUT,
            "migrations can be renumbered only in folders with the roundtrip layout",
        ));
    }
    let ground = CheckInput::survey(context, code, options.base.as_deref(), false)?;
    if let Err(error) = &ground.set
        && error.findings().iter().any(|finding| finding.code != codes::VERSION_TWICE)
    {
        return Err(Failure::Core(migrate_core::Error::of(error.kind(), error.findings().to_vec())));
    }
    let released = ground.released.as_ref().map_err(|why| {
        Failure::usage(codes::NO_BASE, format!("there is no base branch to follow: {why}"))
            .help("name a branch with --base REF")
    })?;
    let output = context.output;
    let mut document = RebaseJson { base: released.base.title(), dry_run: options.dry_run, renamed: Vec::new() };
    let all = stems_of(&context.migrations);
    let moved = moved(released, &all, &files::latest());
    if let Err(error) = &ground.set
        && are_shared(&all, moved.as_ref())
    {
        // All of them are already on the base branch, so none of them is the new one.
        return Err(Failure::Core(migrate_core::Error::of(error.kind(), error.findings().to_vec())));
    }
    let Some(moved) = moved else {
        output.line(format!("the new migrations already follow those of {}", document.base));
        output.document(&DocumentJson::new("rebase", &context.name, document));
        return Ok(Exit::Done);
    };
    let stays = all.difference(&moved).map(|(version, _)| version.clone()).max();
    let newest = released.newest().into_iter().chain(stays).max();
    let now = files::at(SystemTime::now());
    let mut version = newest.map(|newest| files::after(&newest)).filter(|next| *next > now).unwrap_or(now);
    let mut table = TextTable::default();
    for (from, name) in &moved {
        let to = version.clone();
        let is_shared = all.iter().filter(|(version, _)| version == from).count() > 1;
        if !options.dry_run {
            rename(&context.migrations, (from, name), &to, is_shared)?;
        }
        let word = if options.dry_run { "would be" } else { "is now" };
        table.row(vec![(BOLD, from.to_string()), (DIM, word.to_owned()), (GOOD, to.to_string()), (BOLD, name.clone())]);
        document.renamed.push(RenamedMigrationJson { from: from.to_string(), to: to.to_string(), name: name.clone() });
        version = files::after(&version);
    }
    table.lines().into_iter().for_each(|line| output.line(format!("  {line}")));
    let count = style::count(document.renamed.len(), "migration");
    match options.dry_run {
        true => output.next("run it without --dry-run to rename the files"),
        false => {
            output.line(format!("\n{} to follow {}", paint(BOLD, format!("{count} renumbered")), document.base));
            output.next(match document.renamed.len() {
                1 => "if a database has applied it under its old version, roll it back there first, with the old files",
                _ => {
                    "if a database has applied them under their old versions, roll them back there first, with the old \
                     files"
                }
            });
        }
    }
    output.document(&DocumentJson::new("rebase", &context.name, document));
    Ok(Exit::Done)
}

/// The new migrations that get other versions: the first one that is older than the newest one on the base branch,
/// shares its version with another one, or has a version in the future, and all new ones after it, because they may
/// depend on it.
fn moved(
    released: &ReleasedBranch,
    all: &BTreeSet<(Version, String)>,
    latest: &Version,
) -> Option<BTreeSet<(Version, String)>> {
    let newest = released.newest();
    let is_new = |(version, words): &&(Version, String)| !released.has(version, words);
    let is_shared = |version: &Version| all.iter().filter(|(other, _)| other == version).count() > 1;
    let is_wrong = |(version, _): &&(Version, String)| {
        newest.as_ref().is_some_and(|newest| version <= newest)
            || is_shared(version)
            || files::is_ahead(version, latest)
    };
    let (first, _) = all.iter().filter(is_new).find(is_wrong)?;
    Some(all.iter().filter(is_new).filter(|(version, _)| version >= first).cloned().collect())
}

/// Whether two migrations would still share a version, or nothing is moved at all.
fn are_shared(all: &BTreeSet<(Version, String)>, moved: Option<&BTreeSet<(Version, String)>>) -> bool {
    let Some(moved) = moved else { return true };
    let stay: Vec<&Version> = all.difference(moved).map(|(version, _)| version).collect();
    stay.windows(2).any(|two| two.first() == two.last())
}

/// Gives all files of a migration another version, and updates the index of Rust migrations. If another migration has
/// the same version, only occurrences with this name are changed.
fn rename(folder: &Path, (from, name): (&Version, &str), to: &Version, is_shared: bool) -> Result<()> {
    let begins = format!("{from}_{name}.");
    let entries = fs::read_dir(folder).map_err(|error| files::cannot(folder, &error))?;
    for entry in entries.flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = file.strip_prefix(&begins) else { continue };
        let path = folder.join(format!("{to}_{name}.{rest}"));
        fs::rename(entry.path(), &path).map_err(|error| files::cannot(&path, &error))?;
    }
    // The version also occurs in the index of Rust migrations, and in the file of a Rust migration itself.
    let sources =
        fs::read_dir(folder).map_err(|error| files::cannot(folder, &error))?.flatten().map(|entry| entry.path());
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name == "mod.rs" || (name.starts_with(&format!("{to}_")) && name.ends_with(".rs"))
    };
    for path in sources.filter(ours) {
        let Ok(text) = migrate_base::regular::read_to_string(&path) else { continue };
        let changed = match is_shared && path.ends_with("mod.rs") {
            true => text.replace(&format!("{from}_{name}"), &format!("{to}_{name}")),
            false => text.replace(from.as_str(), to.as_str()).replace(&grouped(from), &grouped(to)),
        };
        if changed != text {
            fs::write(&path, changed).map_err(|error| files::cannot(&path, &error))?;
        }
    }
    Ok(())
}

/// A version as it is written in Rust code: `20_250_331_120_000`.
fn grouped(version: &Version) -> String {
    let digits = version.as_str().as_bytes();
    let groups: Vec<String> =
        digits.rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    groups.join("_")
}
