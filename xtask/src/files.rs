//! The files of new migrations: their versions, their names, and writing them without ever overwriting one.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use migrate_core::Version;

use crate::exit::{Failure, Result};

/// A file that is not written yet: its name, and its text.
pub(crate) type Draft = (String, String);

/// The pair of a migration.
pub(crate) fn pair(version: &Version, name: &str, up: String, down: String) -> [Draft; 2] {
    [(format!("{version}_{name}.up.sql"), up), (format!("{version}_{name}.down.sql"), down)]
}

/// Writes files into the folder of migrations, which is made where it is missing.
pub(crate) fn write(folder: &Path, drafts: &[Draft]) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    let mut written = Vec::new();
    for (name, text) in drafts {
        let path = folder.join(name);
        // `create_new` never overwrites, also when two people are this fast.
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| cannot(&path, &error))?;
        written.push(path);
    }
    Ok(written)
}

/// The present second in UTC, or the second after the newest migration where that is later.
pub(crate) fn next_version(folder: &Path) -> Result<Version> {
    let now = format_rfc3339_seconds(SystemTime::now()).to_string();
    let now: String = now.chars().filter(char::is_ascii_digit).collect();
    let now: u64 = now.parse().map_err(|_| Failure::failed("clock", "the clock of this machine cannot be read"))?;
    // A folder with problems can still get a new migration: its names are all that matters here.
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let versions = names.filter_map(|entry| entry.file_name().to_string_lossy().split('_').next()?.parse().ok());
    let newest = versions.filter(|version| *version < 100_000_000_000_000u64).max().unwrap_or(0);
    Ok(Version::from(now.max(newest + 1)))
}

/// The version of a migration that comes right behind this one.
pub(crate) fn after(version: &Version) -> Version {
    Version::from(version.as_str().parse::<u64>().unwrap_or(0) + 1)
}

/// The name as the file needs it: words in lower case with underscores between them.
pub(crate) fn snake_case(name: &str) -> Result<String> {
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

pub(crate) fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind::{AlreadyExists, NotFound, PermissionDenied, StorageFull};
    let failure = Failure::failed("file-unwritable", format!("{} cannot be written: {error}", path.display()));
    match error.kind() {
        AlreadyExists => {
            failure.help("it is there already, and nothing is overwritten: remove it, or take another name")
        }
        NotFound => failure.help("make the folder first"),
        PermissionDenied => failure.help("check the permissions of the folder"),
        StorageFull => failure.help("make room on the disk"),
        _ => failure.help("check the folder, and the room on its disk"),
    }
}
