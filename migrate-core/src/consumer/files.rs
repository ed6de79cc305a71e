//! Which files a consumer has. Whatever cannot be looked at is told; links to folders are not followed, so none leads
//! round in a circle.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Said;
use crate::finding::{Finding, Place};
use crate::regular;
use crate::source::decode;

/// A file that is larger than this holds no queries.
const LARGEST: u64 = 64 << 20;

/// The files with one of these endings that a text means: a file, a folder with all below it, or a pattern.
pub(super) fn meant(
    base: &Path,
    said: &Said,
    fits: fn(&str) -> bool,
    problems: &mut Vec<Finding>,
) -> BTreeSet<PathBuf> {
    let path = base.join(&said.text);
    let wrong = |message: String| Finding::error("consumer-source", message).at(said.place.clone());
    if path.is_file() {
        return BTreeSet::from([path]);
    }
    let mut files = BTreeSet::new();
    if path.is_dir() {
        below(&path, fits, &mut files, problems);
    } else if said.text.contains(['*', '?', '[']) {
        let Some(pattern) = pattern(base, &said.text) else {
            problems.push(wrong(format!("`{}` begins at a folder whose name is not UTF-8", said.text)));
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
                problems.push(wrong(format!("`{}` is no pattern: {}", said.text, error.msg)));
                return files;
            }
        }
    } else {
        problems.push(wrong(format!("there is no file and no folder {}", path.display())).help(RELATIVE));
        return files;
    }
    if files.is_empty() {
        problems.push(wrong(format!("`{}` matches no file with queries", said.text)).help(RELATIVE));
    }
    files
}

/// The pattern from the present folder; only what was written is a pattern, and not the folder that it begins at.
fn pattern(base: &Path, text: &str) -> Option<String> {
    if base.as_os_str().is_empty() || Path::new(text).is_absolute() {
        return Some(text.to_owned());
    }
    Some(format!("{}/{text}", glob::Pattern::escape(base.to_str()?)))
}

const RELATIVE: &str =
    "a path begins at the folder of the file that names it; `**` stands for any folders, `*` for a part of a name";

/// All files below a folder whose name fits.
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
            let finding = Finding::warning("consumer-source", "a link to a folder is not followed");
            problems.push(finding.at(Place::file(&path)).help("name the folder that it leads to"));
        } else if fits(&name) && !name.starts_with('.') {
            files.insert(path);
        }
    }
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<Arc<str>, Box<Finding>> {
    let wrong = |message: String| Box::new(Finding::error("consumer-file", message).at(Place::file(path)));
    let metadata = fs::metadata(path).map_err(|error| Box::new(unreadable(path, &error)))?;
    if metadata.is_file() && metadata.len() > LARGEST {
        return Err(wrong(format!("this file has {} MB, and is not read", metadata.len() >> 20)));
    }
    let bytes = regular::read(path).map_err(|error| Box::new(unreadable(path, &error)))?;
    decode(path, &bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Finding {
    Finding::error("consumer-file", format!("this cannot be read: {error}"))
        .at(Place::file(path))
        .help("check its permissions, and where links lead")
}
