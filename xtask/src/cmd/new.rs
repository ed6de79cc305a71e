//! `new`: the pair of files of a new migration, ready to edit.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use migrate_core::Version;
use serde::Serialize;

use crate::cli::New;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::Document;
use crate::output::style::{BOLD, GOOD, paint};

#[derive(Serialize)]
struct NewJson {
    version: String,
    name: String,
    files: Vec<PathBuf>,
}

pub(crate) fn run(context: &Context<'_>, options: &New) -> Result<Exit> {
    let name = snake_case(&options.name)?;
    let folder = &context.migrations;
    fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    let version = next_version(folder)?;
    let directive = if options.no_transaction { "-- migrate: no-transaction\n" } else { "" };
    let up = format!("{directive}-- What changes, and why.\n\n");
    let down = format!("{directive}-- Exactly the way back.\n\n");
    let mut files = Vec::new();
    for (ending, text) in [("up", up), ("down", down)] {
        let path = folder.join(format!("{version}_{name}.{ending}.sql"));
        // `create_new` never overwrites, also when two people are this fast.
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| cannot(&path, &error))?;
        files.push(path);
    }
    let output = context.output;
    for path in &files {
        output.line(format!("  {}  {}", paint(GOOD, "created"), paint(BOLD, path.display())));
    }
    output.next("write the SQL into both files, then `cargo xtask verify` proves that it can be undone");
    let document = NewJson { version: version.to_string(), name, files };
    output.document(&Document::new("new", &context.name, document));
    Ok(Exit::Done)
}

/// The present second in UTC, or the second after the newest migration where that is later.
fn next_version(folder: &Path) -> Result<Version> {
    let now = format_rfc3339_seconds(SystemTime::now()).to_string();
    let now: String = now.chars().filter(char::is_ascii_digit).collect();
    let now: u64 = now.parse().map_err(|_| Failure::failed("clock", "the clock of this machine cannot be read"))?;
    // A folder with problems can still get a new migration: its names are all that matters here.
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let versions = names.filter_map(|entry| entry.file_name().to_string_lossy().split('_').next()?.parse().ok());
    let newest = versions.filter(|version| *version < 100_000_000_000_000u64).max().unwrap_or(0);
    Ok(Version::from(now.max(newest + 1)))
}

/// The name as the file needs it: words in lower case with underscores between them.
fn snake_case(name: &str) -> Result<String> {
    let mut words = String::new();
    for c in name.trim().chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' => words.push(c),
            'A'..='Z' => words.push(c.to_ascii_lowercase()),
            ' ' | '-' => words.push('_'),
            other => {
                let message = format!("`{other}` cannot be part of a migration's name");
                return Err(Failure::usage("name", message)
                    .help("use lower-case letters, digits and underscores: add_tracking_number"));
            }
        }
    }
    match words.chars().any(|c| c.is_ascii_alphanumeric()) {
        true => Ok(words),
        false => Err(Failure::usage("name", "a migration needs a name").help("say what it does: add_tracking_number")),
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed("file-unwritable", format!("{} cannot be written: {error}", path.display()))
        .help("check the permissions of the folder")
}
