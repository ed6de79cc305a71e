//! The files of a consumer. A path that cannot be read is reported; links to folders are not followed, so there are no
//! cycles.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place, Severity};
use migrate_base::regular;
use migrate_core::source::decode;

use crate::consumer::PlacedText;

/// A larger file contains no queries.
const LARGEST: u64 = 64 << 20;

/// The files with one of these endings that a path refers to: a file, a folder with everything below it, or a pattern.
pub(super) fn meant(
    base: &Path,
    said: &PlacedText,
    fits: fn(&str) -> bool,
    problems: &mut Vec<Finding>,
) -> BTreeSet<PathBuf> {
    let path = base.join(&said.text);
    let wrong = |message: String| Finding::new(codes::CONSUMER_SOURCE, message).at(said.place.clone());
    if path.is_file() {
        return BTreeSet::from([path]);
    }
    let mut files = BTreeSet::new();
    if path.is_dir() {
        below(&path, fits, &mut files, problems);
    } else if said.text.contains(['*', '?', '[']) {
        let Some(pattern) = pattern(base, &said.text) else {
            problems.push(wrong(format!("`{}` starts in a folder whose name is not UTF-8", said.text)));
            return files;
        };
        match glob::glob(&pattern) {
            Ok(found) => {
                for entry in found {
                    match entry {
                        Ok(path) if path.is_file() => drop(files.insert(path)),
                        Ok(_) => {}
                        Err(error) => problems.push(unreadable(error.path(), error.error())),
                    }
                }
            }
            Err(error) => {
                problems.push(wrong(format!("`{}` is not a pattern: {}", said.text, error.msg)));
                return files;
            }
        }
    } else {
        problems.push(wrong(format!("there is no file or folder {}", path.display())).help(RELATIVE));
        return files;
    }
    if files.is_empty() {
        problems.push(wrong(format!("`{}` matches no files with queries", said.text)).help(RELATIVE));
    }
    files
}

/// The pattern from the current folder; only the written part is a pattern, not the folder that it starts in.
fn pattern(base: &Path, text: &str) -> Option<String> {
    if base.as_os_str().is_empty() || Path::new(text).is_absolute() {
        return Some(text.to_owned());
    }
    Some(format!("{}/{text}", glob::Pattern::escape(base.to_str()?)))
}

const RELATIVE: &str = "a path is relative to the file that names it; `**` matches any folders, `*` a part of a name";

/// All files below a folder whose names match.
pub(super) fn below(folder: &Path, fits: fn(&str) -> bool, files: &mut BTreeSet<PathBuf>, problems: &mut Vec<Finding>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return problems.push(unreadable(folder, &error)),
    };
    for entry in entries {
        let (path, kind) = match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
            Ok(found) => found,
            Err(error) => {
                problems.push(unreadable(folder, &error));
                continue;
            }
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if kind.is_dir() {
            below(&path, fits, files, problems);
        } else if kind.is_symlink() && path.is_dir() {
            let finding = Finding::new(codes::CONSUMER_SOURCE, "a link to a folder is not followed")
                .with_severity(Severity::Warning);
            problems.push(finding.at(Place::file(&path)).help("name the folder that it points to"));
        } else if fits(&name) && !name.starts_with('.') {
            files.insert(path);
        }
    }
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<Arc<str>, Box<Finding>> {
    let wrong = |message: String| Box::new(Finding::new(codes::CONSUMER_FILE, message).at(Place::file(path)));
    let metadata = fs::metadata(path).map_err(|error| Box::new(unreadable(path, &error)))?;
    if metadata.is_file() && metadata.len() > LARGEST {
        return Err(wrong(format!("this file has {} MB, which is too large to read", metadata.len() >> 20)));
    }
    let bytes = regular::read(path).map_err(|error| Box::new(unreadable(path, &error)))?;
    decode(path, &bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Finding {
    Finding::new(codes::CONSUMER_FILE, format!("cannot read this file: {error}"))
        .at(Place::file(path))
        .help(regular::help(error))
}
