//! The files of new migrations: their versions and names, and writing them without ever overwriting a file.

use migrate_base::codes;
use migrate_base::visible;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_seconds;
use migrate_core::Version;

use crate::exit::{Failure, Result};

/// A file that is not yet written: its name and its text.
pub(crate) type FileDraft = (String, String);

/// The two files of a migration.
pub(crate) fn pair(version: &Version, name: &str, up: String, down: String) -> [FileDraft; 2] {
    [(format!("{version}_{name}.up.sql"), up), (format!("{version}_{name}.down.sql"), down)]
}

/// The current second in UTC, or the second after the newest migration if that is later.
pub(crate) fn next_version(folder: &Path) -> Result<Version> {
    let newest = versions(folder).max();
    let now = at(SystemTime::now());
    Ok(newest.map(|newest| after(&newest)).filter(|next| *next > now).unwrap_or(now))
}

/// The versions in the file names of a folder. Even a folder with problems can get a new migration.
fn versions(folder: &Path) -> impl Iterator<Item = Version> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let version = |entry: fs::DirEntry| entry.file_name().to_string_lossy().split('_').next()?.parse().ok();
    names.filter_map(version).filter(|version: &Version| version.as_str().len() <= DIGITS)
}

/// How many digits a version in the roundtrip layout has.
pub(crate) const DIGITS: usize = 14;

/// How far a clock may be ahead of another one, or a time zone ahead of UTC.
const TOLERANCE: Duration = Duration::from_secs(24 * 60 * 60);

/// The latest version that can come from a clock.
pub(crate) fn latest() -> Version {
    at(SystemTime::now() + TOLERANCE)
}

/// The newest version of a folder that is later than that.
pub(crate) fn ahead(folder: &Path, latest: &Version) -> Option<Version> {
    versions(folder).filter(|version| is_ahead(version, latest)).max()
}

/// Whether a version is a time in the future.
pub(crate) fn is_ahead(version: &Version, latest: &Version) -> bool {
    version.as_str().len() == DIGITS && version > latest
}

/// A time as a version, in UTC.
pub(crate) fn at(time: SystemTime) -> Version {
    let digits: String = format_rfc3339_seconds(time).to_string().chars().filter(char::is_ascii_digit).collect();
    // The text consists of digits, so it always parses.
    digits.parse().unwrap_or_else(|_| Version::from(0))
}

/// The next version: the next second, if the version is a time.
pub(crate) fn after(version: &Version) -> Version {
    let digits = version.as_str();
    let next = time_of(digits).map(|time| at(time + Duration::from_secs(1)));
    next.unwrap_or_else(|| Version::from(digits.parse::<u64>().unwrap_or(0) + 1))
}

fn time_of(digits: &str) -> Option<SystemTime> {
    let part = |range: std::ops::Range<usize>| digits.get(range);
    let (date, time) = ((part(0..4)?, part(4..6)?, part(6..8)?), (part(8..10)?, part(10..12)?, part(12..14)?));
    let text = format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, time.0, time.1, time.2);
    humantime::parse_rfc3339(&text).ok().filter(|_| digits.len() == DIGITS)
}

/// The name in the form for a file: lower-case words separated by underscores.
pub(crate) fn snake_case(name: &str) -> Result<String> {
    let mut words = String::new();
    for c in name.trim().chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' => words.push(c),
            'A'..='Z' => words.push(c.to_ascii_lowercase()),
            ' ' | '-' => words.push('_'),
            other => {
                let message = format!("`{}` cannot be part of a migration's name", visible::line(&other.to_string()));
                return Err(Failure::usage(codes::NAME, message)
                    .help("use lower-case letters, digits and underscores: add_tracking_number"));
            }
        }
    }
    let wrong =
        |message: String| Err(Failure::usage(codes::NAME, message).help("say what it does: add_tracking_number"));
    match words.chars().any(|c| c.is_ascii_lowercase()) {
        _ if words.len() > LONGEST => wrong(format!("the name of a migration has at most {LONGEST} characters")),
        true => Ok(words),
        false if words.chars().any(|c| c.is_ascii_digit()) => wrong(format!(
            "`{}` is a number, not a name; the version of a migration is the current time, and is not given",
            name.trim()
        )),
        false => wrong("a migration needs a name".to_owned()),
    }
}

/// File systems allow 255 bytes, part of which the version and the longest ending need.
const LONGEST: usize = 200;

pub(crate) fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind::{AlreadyExists, NotFound, PermissionDenied, StorageFull};
    let failure = Failure::failed(codes::FILE_UNWRITABLE, format!("{} cannot be written: {error}", path.display()));
    match error.kind() {
        AlreadyExists => {
            failure.help("the file already exists, and nothing is overwritten: remove it, or use another name")
        }
        NotFound => failure.help("create the folder first"),
        PermissionDenied => failure.help("check the permissions of the folder"),
        StorageFull => failure.help("free some disk space"),
        _ => failure.help("check the folder and the free disk space"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn the_next_version_is_a_time_again() {
        for (from, to) in [
            ("20250101120000", "20250101120001"),
            ("20250131235959", "20250201000000"),
            ("20241231235959", "20250101000000"),
            ("20250101000060", "20250101000100"),
            ("20251399000000", "20251399000001"),
            ("7", "8"),
        ] {
            assert_eq!(after(&version(from)), version(to), "{from}");
        }
    }

    #[test]
    fn only_a_time_that_has_not_come_is_ahead() {
        let latest = version("20250102000000");
        let told = ["20990101000000", "20250102000001", "20250102000000", "20250101000000", "999"]
            .map(|one| is_ahead(&version(one), &latest));
        assert_eq!(told, [true, true, false, false, false]);
    }

    #[test]
    fn a_name_says_something() {
        assert_eq!(snake_case(" Add 2FA-tokens").unwrap(), "add_2fa_tokens");
        let message = |name: &str| snake_case(name).unwrap_err().findings()[0].message.clone();
        assert_eq!(message("a\nb"), "`\\n` cannot be part of a migration's name");
        for wrong in ["2", "20250101", "", "_", "a.sql", "a/b", &"x".repeat(300)] {
            assert!(snake_case(wrong).is_err(), "{wrong}");
        }
    }
}
