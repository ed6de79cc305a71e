//! Layouts with the up and down scripts in one file, separated by markers: dbmate, goose, sql-migrate.

use std::collections::BTreeMap;
use std::path::Path;

use migrate_base::codes;
use migrate_base::error::Result;
use migrate_base::finding::{Finding, Place};

use super::{Draft, Layout, Part, Version, entries, read};

/// The meaning of a marker line.
enum Mark {
    Up {
        outside: bool,
    },
    Down {
        outside: bool,
    },
    /// The whole file runs without a transaction.
    Outside,
    /// A marker that has no effect here.
    Other,
}

/// The tool whose markers a text has.
pub(super) fn mark_of(text: &str) -> Option<Layout> {
    text.lines().find_map(|line| {
        let (tool, _) = body(line)?;
        Some(tool)
    })
}

/// The tool of a marker, and its words.
fn body(line: &str) -> Option<(Layout, &str)> {
    let comment = line.trim().strip_prefix("--")?.trim_start();
    if let Some(rest) = comment.strip_prefix("+goose") {
        return Some((Layout::Goose, rest.trim()));
    }
    if let Some(rest) = comment.strip_prefix("+migrate") {
        return Some((Layout::SqlMigrate, rest.trim()));
    }
    let rest = comment.strip_prefix("migrate:")?;
    (rest.starts_with("up") || rest.starts_with("down")).then_some((Layout::Dbmate, rest.trim()))
}

fn mark(layout: Layout, line: &str) -> Option<Mark> {
    let (_, words) = body(line).filter(|(tool, _)| *tool == layout)?;
    let lower = words.to_ascii_lowercase();
    let outside = lower.contains("transaction:false") || lower.contains("notransaction");
    Some(match lower.split_whitespace().next().unwrap_or_default() {
        "up" => Mark::Up { outside },
        "down" => Mark::Down { outside },
        "no" if lower.contains("transaction") => Mark::Outside,
        _ => Mark::Other,
    })
}

pub(super) fn files(layout: Layout, folder: &Path, findings: &mut Vec<Finding>) -> Result<Vec<Draft>> {
    let mut drafts = Vec::new();
    let mut files = entries(folder, findings)?;
    files.retain(|(name, _)| name.ends_with(".sql"));
    let mut numbers = Numbers::of(files.iter().map(|(name, _)| name.as_str()));
    for (file, path) in files {
        let Some(text) = read(&path, findings) else { continue };
        let stem = file.trim_end_matches(".sql");
        let digits = digits(stem);
        let version = match layout {
            Layout::SqlMigrate => Some(numbers.take(digits)),
            _ => digits.parse().ok(),
        };
        let Some(version) = version else {
            let finding = Finding::new(codes::FILE_NAME, format!("`{file}` does not begin with a version"));
            findings.push(finding.at(Place::file(&path)).help("name it `<digits>_<anything>.sql`"));
            continue;
        };
        let name = stem[digits.len()..].trim_start_matches(['_', '-']).to_owned();
        match split(layout, &path, &text) {
            Some((up, down)) => drafts.push(Draft { version, name, up, down }),
            None => {
                let finding =
                    Finding::new(codes::NO_MARKER, format!("this file has no {layout} marker for the up script"));
                findings
                    .push(finding.at(Place::file(&path)).help("name the tool that wrote it: `layout` in migrate.toml"));
            }
        }
    }
    Ok(drafts)
}

/// The digits at the start of a name.
fn digits(name: &str) -> &str {
    &name[..name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len())]
}

/// The versions of the files of sql-migrate, which identifies a file by its whole name. It runs files in the order of
/// their numbers, files with the same number in the order of their names, and files without a number last.
struct Numbers {
    /// Whether any file has a number.
    any: bool,
    /// How many files of each number were counted.
    taken: BTreeMap<Version, usize>,
}

impl Numbers {
    fn of<'a>(mut names: impl Iterator<Item = &'a str>) -> Self {
        Self { any: names.any(|name| !digits(name).is_empty()), taken: BTreeMap::new() }
    }

    /// The version of the next file: its number, and for a later file with the same number its position among them.
    fn take(&mut self, digits: &str) -> Version {
        let number = digits.parse().unwrap_or_else(|_| match self.any {
            // It accepts no greater number than this one.
            true => Version::from(i64::MAX.cast_unsigned()),
            false => Version::from(self.taken.len() as u64 + 1),
        });
        let before = self.taken.entry(number.clone()).or_default();
        let version = if *before == 0 { number } else { number.with(*before) };
        *before += 1;
        version
    }
}

/// The two parts of a file, each with the rest replaced by blanks.
fn split(layout: Layout, path: &Path, text: &str) -> Option<(Part, Option<Part>)> {
    let part = || Part { path: path.to_owned(), text: String::with_capacity(text.len()), no_transaction: false };
    let (mut up, mut down) = (part(), part());
    let mut inside: Option<bool> = None;
    let (mut has_up, mut has_down, mut all_outside) = (false, false, false);
    for line in text.split_inclusive('\n') {
        let blank = blank(line);
        match mark(layout, line) {
            Some(Mark::Up { outside }) => {
                (inside, has_up) = (Some(true), true);
                up.no_transaction |= outside;
            }
            Some(Mark::Down { outside }) => {
                (inside, has_down) = (Some(false), true);
                down.no_transaction |= outside;
            }
            Some(Mark::Outside) => all_outside = true,
            Some(Mark::Other) => {}
            None => {
                up.text.push_str(if inside == Some(true) { line } else { &blank });
                down.text.push_str(if inside == Some(false) { line } else { &blank });
                continue;
            }
        }
        up.text.push_str(&blank);
        down.text.push_str(&blank);
    }
    up.no_transaction |= all_outside;
    down.no_transaction |= all_outside;
    has_up.then(|| (up, has_down.then_some(down)))
}

/// The same number of blank bytes, with the same line breaks.
fn blank(line: &str) -> String {
    line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_places() {
        let text = "-- +goose NO TRANSACTION\n-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;\n";
        let (up, down) = split(Layout::Goose, Path::new("x"), text).unwrap();
        assert_eq!(up.text.len(), text.len());
        assert_eq!(up.text.find("SELECT 1;"), text.find("SELECT 1;"));
        assert_eq!(up.text.trim(), "SELECT 1;");
        let down = down.unwrap();
        assert_eq!((down.text.trim(), down.no_transaction, up.no_transaction), ("SELECT 2;", true, true));
    }

    #[test]
    fn each_tool_has_its_markers() {
        let up = |layout, line| matches!(mark(layout, line), Some(Mark::Up { outside: true }));
        assert!(up(Layout::Dbmate, "-- migrate:up transaction:false"));
        assert!(up(Layout::SqlMigrate, "-- +migrate Up notransaction"));
        assert_eq!(mark_of("-- a\n-- +migrate Up\n"), Some(Layout::SqlMigrate));
        assert_eq!(mark_of("-- migrate: lossy x\nSELECT 1;"), None);
    }
}
