//! `rebase`: gives new migrations versions behind those of the base branch.

use std::fs;
use std::path::{Path, PathBuf};

use migrate_core::source::Layout;
use migrate_core::{CodeMigrations, Version};
use serde::Serialize;

use crate::checks::Ground;
use crate::cli::Rebase;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::files;
use crate::output::style::{self, BOLD, DIM, GOOD, paint};
use crate::output::{Document, Table};
use crate::released::misplaced;

#[derive(Serialize)]
struct RebaseJson {
    base: String,
    dry_run: bool,
    renamed: Vec<RenamedJson>,
}

#[derive(Serialize)]
struct RenamedJson {
    from: String,
    to: String,
    name: String,
}

pub(crate) fn run(context: &Context<'_>, code: CodeMigrations, options: &Rebase) -> Result<Exit> {
    if context.layout != Layout::default() {
        return Err(Failure::usage("layout", "only a folder of Roundtrip can be renumbered"));
    }
    let ground = Ground::survey(context, code, options.base.as_deref(), false)?;
    let set = ground
        .set
        .as_ref()
        .map_err(|error| Failure::Core(migrate_core::Error::of(error.kind(), error.findings().to_vec())))?;
    let released = ground.released.as_ref().map_err(|why| {
        Failure::usage("no-base", format!("there is nothing to come behind: {why}"))
            .help("name a branch with --base REF")
    })?;
    let output = context.output;
    let wrong = misplaced(released, set, &ground.new);
    let first = set
        .iter()
        .find(|one| wrong.iter().any(|finding| finding.place.as_ref().is_some_and(|place| place.path() == one.path())));
    let mut document = RebaseJson { base: released.base.title(), dry_run: options.dry_run, renamed: Vec::new() };
    let Some(first) = first else {
        output.line(format!("the new migrations come behind those of {} already", document.base));
        output.document(&Document::new("rebase", &context.name, document));
        return Ok(Exit::Done);
    };
    // Those behind the first one go along, for they may stand on it.
    let moved = set.iter().filter(|one| ground.new.contains(one.version()) && one.version() >= first.version());
    let newest = released.tip.keys().filter_map(|name| name.split('_').next()?.parse::<Version>().ok()).max();
    let mut version = files::next_version(&context.migrations)?;
    if let Some(newest) = newest.filter(|newest| *newest >= version) {
        version = files::after(&newest);
    }
    let mut table = Table::default();
    for migration in moved {
        let (from, to) = (migration.version().clone(), version.clone());
        if !options.dry_run {
            rename(&context.migrations, &from, &to)?;
        }
        let word = if options.dry_run { "would be" } else { "is now" };
        table.row(vec![
            (BOLD, from.to_string()),
            (DIM, word.to_owned()),
            (GOOD, to.to_string()),
            (BOLD, migration.name().to_owned()),
        ]);
        document.renamed.push(RenamedJson {
            from: from.to_string(),
            to: to.to_string(),
            name: migration.name().to_owned(),
        });
        version = files::after(&version);
    }
    table.lines().into_iter().for_each(|line| output.line(format!("  {line}")));
    let count = style::count(document.renamed.len(), "migration");
    match options.dry_run {
        true => output.next("without --dry-run they are renamed"),
        false => {
            output.line(format!("\n{} behind {}", paint(BOLD, format!("{count} renumbered")), document.base));
            output.next(
                "a database that has them under their old versions rolls them back first, with the files as they were",
            );
        }
    }
    output.document(&Document::new("rebase", &context.name, document));
    Ok(Exit::Done)
}

/// Gives all files of a migration another version; the index of Rust migrations follows.
fn rename(folder: &Path, from: &Version, to: &Version) -> Result<()> {
    let begins = format!("{from}_");
    let entries = fs::read_dir(folder).map_err(|error| files::cannot(folder, &error))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(&begins) else { continue };
        let path = folder.join(format!("{to}_{rest}"));
        fs::rename(entry.path(), &path).map_err(|error| files::cannot(&path, &error))?;
    }
    // The version also stands in the index of Rust migrations, and in the file of one itself.
    let sources =
        fs::read_dir(folder).map_err(|error| files::cannot(folder, &error))?.flatten().map(|entry| entry.path());
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name == "mod.rs" || (name.starts_with(&format!("{to}_")) && name.ends_with(".rs"))
    };
    for path in sources.filter(ours) {
        let Ok(text) = migrate_core::regular::read_to_string(&path) else { continue };
        let changed = text.replace(from.as_str(), to.as_str()).replace(&grouped(from), &grouped(to));
        if changed != text {
            fs::write(&path, changed).map_err(|error| files::cannot(&path, &error))?;
        }
    }
    Ok(())
}

/// A version as Rust code has it: `20_250_331_120_000`.
fn grouped(version: &Version) -> String {
    let digits = version.as_str().as_bytes();
    let groups: Vec<String> =
        digits.rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    groups.join("_")
}
