//! Layouts with the up and down scripts in one file, separated by markers: dbmate, goose, sql-migrate, node-pg-migrate
//! and tern.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::error::Result;
use migrate_base::finding::{Finding, Place};
use migrate_base::suggest;

use super::listing::{FolderEntry, FolderListing};
use super::{ForeignMigration, ForeignScript, Layout, Version, placeholder, unread};

/// The meaning of a marker line.
enum MarkerKind<'t> {
    Up {
        outside: bool,
    },
    Down {
        outside: bool,
    },
    /// The whole file runs without a transaction.
    Outside,
    /// Variables are replaced from here on, or no longer.
    Variables(bool),
    /// A marker that has no effect here.
    Other,
    /// Something that the tool does not know either.
    Unknown(&'t str),
}

/// The line of tern between the two scripts.
const TERN: &str = "---- create above / drop below ----";

/// The tool whose markers a text has.
pub(super) fn mark_of(text: &str) -> Option<Layout> {
    text.lines().find_map(|line| {
        let (tool, words) = body(line)?;
        let is_known = !matches!(kind(tool, words), MarkerKind::Unknown(_) | MarkerKind::Other);
        (is_known || tool != Layout::Dbmate).then_some(tool)
    })
}

/// The tool of a marker, and its words.
fn body(line: &str) -> Option<(Layout, &str)> {
    if line.contains(TERN) {
        return Some((Layout::Tern, "down"));
    }
    // Most tools want their markers at the beginning of a line; elsewhere they are text of a script.
    let comment = line.strip_prefix("--").map(|rest| rest.trim().trim_start_matches(['-', ' ', '\t']));
    if let Some(found) = comment.and_then(at_the_beginning) {
        return Some(found);
    }
    let comment = line.trim_start().strip_prefix("--")?.trim_start_matches(['-', ' ', '\t']);
    let lower = comment.to_ascii_lowercase();
    let mut words = lower.split_whitespace();
    match (words.next(), words.next()) {
        (Some("up"), Some(word)) if word.starts_with("migration") => Some((Layout::NodePgMigrate, "up")),
        (Some("down"), Some(word)) if word.starts_with("migration") => Some((Layout::NodePgMigrate, "down")),
        _ => None,
    }
}

/// The same for a comment at the beginning of a line.
fn at_the_beginning(comment: &str) -> Option<(Layout, &str)> {
    if let Some(rest) = comment.strip_prefix("+goose") {
        return Some((Layout::Goose, rest.trim()));
    }
    if let Some(rest) = comment.strip_prefix("+migrate") {
        return Some((Layout::SqlMigrate, rest.trim()));
    }
    if let Some(rest) = comment.strip_prefix("migrate:").filter(|rest| rest.starts_with(|c: char| c.is_alphabetic())) {
        return Some((Layout::Dbmate, rest.trim()));
    }
    None
}

fn mark(layout: Layout, line: &str) -> Option<MarkerKind<'_>> {
    let (_, words) = body(line).filter(|(tool, _)| *tool == layout)?;
    Some(kind(layout, words))
}

fn kind(layout: Layout, words: &str) -> MarkerKind<'_> {
    let lower = words.to_ascii_lowercase();
    let outside = lower.contains("transaction:false") || lower.contains("notransaction");
    let mut parts = lower.split_whitespace();
    match (parts.next().unwrap_or_default(), parts.next()) {
        ("up", _) => MarkerKind::Up { outside },
        ("down", _) => MarkerKind::Down { outside },
        ("no", Some("transaction")) => MarkerKind::Outside,
        ("envsub", Some(state @ ("on" | "off"))) if layout == Layout::Goose => MarkerKind::Variables(state == "on"),
        ("statementbegin" | "statementend", _) => MarkerKind::Other,
        // Our own directives begin with the same word as the markers of dbmate.
        (word, _) if layout == Layout::Dbmate && suggest::nearest(word, ["up", "down"]).is_none() => MarkerKind::Other,
        _ => MarkerKind::Unknown(words),
    }
}

/// Files that are not SQL, by their endings, which the tool runs as well.
fn is_code(layout: Layout, file: &str) -> bool {
    match layout {
        Layout::Goose => file.ends_with(".go") && !file.ends_with("_test.go") && !digits(file).is_empty(),
        Layout::NodePgMigrate => {
            [".js", ".ts", ".mjs", ".cjs", ".mts", ".cts"].iter().any(|end| file.ends_with(end))
                && !file.ends_with(".d.ts")
                && !digits(file).is_empty()
        }
        _ => false,
    }
}

pub(super) fn files(layout: Layout, listing: &mut FolderListing<'_>) -> Result<Vec<ForeignMigration>> {
    let mut drafts = Vec::new();
    let mut files: Vec<FolderEntry> = listing.entries()?;
    files.retain(|(name, _)| name.ends_with(".sql") || is_code(layout, name));
    // dbmate passes over a file without a number.
    files.retain(|(name, _)| layout != Layout::Dbmate || !digits(name).is_empty());
    let mut numbers = FileNumbers::of(files.iter().map(|(name, _)| name.as_str()));
    for (file, path) in files {
        let stem = file.rsplit_once('.').map_or(file.as_str(), |(stem, _)| stem);
        let digits = digits(stem);
        let version = match layout {
            Layout::SqlMigrate => Some(numbers.take(digits)),
            _ => digits.parse().ok(),
        };
        let Some(version) = version else {
            listing.misnamed(
                &path,
                format!("`{file}` does not begin with a version"),
                "name it `<digits>_<anything>.sql`",
            );
            continue;
        };
        let name = stem[digits.len()..].trim_start_matches(['_', '-']).to_owned();
        if is_code(layout, &file) {
            drafts.extend(listing.code(version, name, path));
            continue;
        }
        let Some(text) = listing.text(&path) else { continue };
        if layout == Layout::Tern && text.contains("{{") {
            listing.findings.push(unread::not_run(layout, &path, "it is a template"));
            continue;
        }
        if let Some((up, down)) = read_parts(layout, &path, text, listing) {
            drafts.push(ForeignMigration::sql(version, name, up, down));
        }
    }
    Ok(drafts)
}

/// The two parts of a file, with its variables replaced by their values.
fn read_parts(
    layout: Layout,
    path: &Path,
    text: String,
    listing: &mut FolderListing<'_>,
) -> Option<(ForeignScript, Option<ForeignScript>)> {
    let variables = variable_parts(layout, &text);
    let values = &listing.folder.placeholders;
    let raw = if variables.is_empty() { None } else { split(layout, path, &text) };
    let text = match variables.is_empty() {
        true => text,
        false => placeholder::fill_variables(path, text, &variables, values, &mut listing.findings),
    };
    listing.findings.extend(unknown_markers(layout, path, &text));
    let mut parts = split(layout, path, &text);
    if let (Some((up, down)), Some((raw_up, raw_down))) = (&mut parts, raw) {
        up.raw = Some(raw_up.text);
        if let (Some(down), Some(raw)) = (down, raw_down) {
            down.raw = Some(raw.text);
        }
    }
    if parts.is_none() {
        let finding = Finding::new(codes::NO_MARKER, format!("this file has no {layout} marker for the up script"));
        let finding = finding.at(Place::file(path));
        listing.findings.push(finding.help("name the tool that wrote it: `layout` in migrate.toml"));
    }
    parts
}

/// The parts of a text in which variables are replaced.
fn variable_parts(layout: Layout, text: &str) -> Vec<Range<usize>> {
    let (mut parts, mut from, mut at) = (Vec::new(), None, 0);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        match mark(layout, line) {
            Some(MarkerKind::Variables(true)) => from = from.or(Some(at)),
            Some(MarkerKind::Variables(false)) => parts.extend(from.take().map(|from| from..start)),
            _ => {}
        }
    }
    parts.extend(from.map(|from| from..text.len()));
    parts
}

/// Markers that nobody knows: a misspelt one would make both scripts run at once.
fn unknown_markers(layout: Layout, path: &Path, text: &str) -> Vec<Finding> {
    let (mut findings, mut at) = (Vec::new(), 0);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let Some(MarkerKind::Unknown(words)) = mark(layout, line) else { continue };
        let whole: Arc<str> = text.into();
        let place = Place::within(path, whole, start..start + line.trim_end().len());
        let finding = Finding::new(codes::MARKER_UNKNOWN, format!("`{words}` is not a marker of {layout}")).at(place);
        let word = words.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let known = ["up", "down", "statementbegin", "statementend", "envsub", "no"];
        findings.push(match suggest::nearest(&word, known) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("correct it, or remove the line; see the manual of {layout}")),
        });
    }
    findings
}

/// The digits at the start of a name.
fn digits(name: &str) -> &str {
    &name[..name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len())]
}

/// The versions of the files of sql-migrate, which identifies a file by its whole name. It runs files in the order of
/// their numbers, files with the same number in the order of their names, and files without a number last.
struct FileNumbers {
    /// Whether any file has a number.
    any: bool,
    /// How many files of each number were counted.
    taken: BTreeMap<Version, usize>,
}

impl FileNumbers {
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
fn split(layout: Layout, path: &Path, text: &str) -> Option<(ForeignScript, Option<ForeignScript>)> {
    let part = || ForeignScript {
        path: path.to_owned(),
        text: String::with_capacity(text.len()),
        raw: None,
        no_transaction: false,
    };
    let (mut up, mut down) = (part(), part());
    // These two need no marker for the up script.
    let is_up_first = matches!(layout, Layout::NodePgMigrate | Layout::Tern);
    let mut inside = is_up_first.then_some(true);
    let (mut has_up, mut has_down, mut has_marker) = (is_up_first, false, false);
    let mut all_outside = says_outside(layout, text);
    for line in text.split_inclusive('\n') {
        let blank = blank(line);
        match mark(layout, line) {
            Some(MarkerKind::Up { outside }) => {
                // What stands before the first marker belongs to neither script.
                if !has_marker {
                    up.text = blank_all(&up.text);
                }
                (inside, has_up, has_marker) = (Some(true), true, true);
                up.no_transaction |= outside;
            }
            Some(MarkerKind::Down { outside }) => {
                (inside, has_down, has_marker) = (Some(false), true, true);
                down.no_transaction |= outside;
            }
            Some(MarkerKind::Outside) => all_outside = true,
            Some(MarkerKind::Other | MarkerKind::Variables(_) | MarkerKind::Unknown(_)) => {}
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

/// Whether a comment of tern or node-pg-migrate says that the file runs without a transaction.
fn says_outside(layout: Layout, text: &str) -> bool {
    let mut lines = text.lines().map(|line| line.trim().to_ascii_lowercase());
    match layout {
        Layout::Tern => lines.any(|line| line == "---- tern: disable-tx ----"),
        Layout::NodePgMigrate => lines.any(|line| line == "-- no transaction"),
        _ => false,
    }
}

fn blank_all(text: &str) -> String {
    text.split_inclusive('\n').map(blank).collect()
}

/// The same number of blank bytes, with the same line breaks.
pub(super) fn blank(line: &str) -> String {
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
        let up = |layout, line| matches!(mark(layout, line), Some(MarkerKind::Up { outside: true }));
        assert!(up(Layout::Dbmate, "-- migrate:up transaction:false"));
        assert!(up(Layout::SqlMigrate, "-- +migrate Up notransaction"));
        assert_eq!(mark_of("-- a\n-- +migrate Up\n"), Some(Layout::SqlMigrate));
        assert_eq!(mark_of("-- migrate: lossy x\nSELECT 1;"), None);
        assert_eq!(mark_of("-- migrate:lossy x\nSELECT 1;"), None);
        assert_eq!(mark_of("-- Up Migration\nSELECT 1;"), Some(Layout::NodePgMigrate));
        assert_eq!(mark_of(&format!("SELECT 1;\n{TERN}\n")), Some(Layout::Tern));
        let parts = |layout, text: &str| {
            let (up, down) = split(layout, Path::new("x"), text).unwrap();
            (up.text.trim().to_owned(), down.map(|down| down.text.trim().to_owned()))
        };
        let both = ("SELECT 1;".to_owned(), Some("SELECT 2;".to_owned()));
        assert_eq!(parts(Layout::Tern, &format!("SELECT 1;\n{TERN}\nSELECT 2;")), both);
        assert_eq!(parts(Layout::NodePgMigrate, "SELECT 1;\n---- Down Migration\nSELECT 2;"), both);
        for down in ["-- Down Migration: drop it", "--- down migrations", "-- DOWN MIGRATION:"] {
            assert_eq!(parts(Layout::NodePgMigrate, &format!("SELECT 1;\n{down}\nSELECT 2;")), both, "{down}");
        }
        assert_eq!(
            parts(Layout::NodePgMigrate, "SELECT 0;\n-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 2;"),
            both
        );
        assert_eq!(parts(Layout::NodePgMigrate, "SELECT 1;"), (both.0, None));
    }

    #[test]
    fn a_marker_that_nobody_knows_is_named() {
        let told = |layout, text: &str| {
            let findings = unknown_markers(layout, Path::new("x"), text);
            findings.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
        };
        assert_eq!(told(Layout::Goose, "-- +goose Up\n-- +goose Dwon\n"), ["`Dwon` is not a marker of goose"]);
        assert_eq!(told(Layout::Dbmate, "-- migrate:up\n-- migrate:dwon\n"), ["`dwon` is not a marker of dbmate"]);
        let fine = "-- +goose Up\n-- +goose StatementBegin\n-- +goose ENVSUB ON\n-- +goose NO TRANSACTION\n";
        assert_eq!(told(Layout::Goose, fine), [""; 0]);
        assert_eq!(told(Layout::Dbmate, "-- migrate:up\n-- migrate:lossy it is\n"), [""; 0]);
    }

    #[test]
    fn variables_are_replaced_between_two_markers() {
        let text = "-- +goose Up\n$a\n-- +goose ENVSUB ON\n$b\n-- +goose ENVSUB OFF\n$c\n-- +goose envsub on\n$d";
        let parts: Vec<&str> = variable_parts(Layout::Goose, text).into_iter().map(|part| text[part].trim()).collect();
        assert_eq!(parts, ["$b", "$d"]);
    }
}
