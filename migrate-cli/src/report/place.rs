//! The places of findings for other systems: relative to the root of the repository, with `/`.

use std::path::{Component, MAIN_SEPARATOR, Path, PathBuf};

use migrate_base::finding::{Finding, Place};

use super::Report;

/// The part of a file that a finding is about; lines and columns are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) line: usize,
    /// In characters.
    pub(super) column: usize,
    pub(super) end_line: usize,
    /// The column after the last character.
    pub(super) end_column: usize,
}

/// The part of the file; `None` for the whole file.
pub(super) fn region(place: &Place) -> Option<Region> {
    let ((line, column), (end_line, end_column)) = (place.line_column()?, place.end_line_column()?);
    Some(Region { line, column, end_line, end_column })
}

/// The path of the file as it is written in a report.
pub(super) fn path(place: &Place) -> String {
    place.path().to_string_lossy().replace(MAIN_SEPARATOR, "/")
}

/// `migrations/20250217143000_create_orders_table.up.sql:3`.
pub(super) fn file_line(place: &Place) -> String {
    match place.line_column() {
        Some((line, _)) => format!("{}:{line}", path(place)),
        None => path(place),
    }
}

impl Report {
    /// The same report with paths relative to the root of the repository.
    ///
    /// The paths of findings are relative to the current folder, as users type them. Both folders are absolute.
    /// A file outside the repository keeps its path, because there is no better one.
    pub(crate) fn rooted(mut self, repository: &Path, present: &Path) -> Self {
        for finding in self.checks.iter_mut().flat_map(|check| &mut check.findings) {
            root(finding, repository, present);
        }
        self
    }
}

fn root(finding: &mut Finding, repository: &Path, present: &Path) {
    let Some(place) = finding.place.take() else { return };
    let whole = plain(&present.join(place.path()));
    let place = match whole.strip_prefix(plain(repository)) {
        Ok(below) => {
            let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            place.renamed(parts.join("/"))
        }
        Err(_) => place,
    };
    finding.place = Some(place);
}

/// A path without `.` and `..`, computed from the text alone, because the file may not exist.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use migrate_base::codes::Code;
    use migrate_base::finding::Severity;

    use super::*;
    use crate::report::sample;

    #[test]
    fn paths_begin_at_the_repository() {
        let rooted = |typed: &str| {
            let finding = Finding::new(Code::new("code", Severity::Error), "message").at(Place::file(typed));
            let report = sample::with(vec![finding]).rooted(Path::new("/src/shop"), Path::new("/src/shop/db"));
            report.findings().filter_map(|finding| finding.place.as_ref()).map(path).collect::<String>()
        };
        assert_eq!(rooted("migrations/1_a.up.sql"), "db/migrations/1_a.up.sql");
        assert_eq!(rooted("../migrations/./1_a.up.sql"), "migrations/1_a.up.sql");
        assert_eq!(rooted("/src/shop/migrate.toml"), "migrate.toml");
        assert_eq!(rooted("/etc/passwd"), "/etc/passwd");
        assert_eq!(rooted("../../other"), "../../other");
    }

    #[test]
    fn a_region_ends_behind_its_last_character() {
        let place = Place::within("a.sql", "ab\nüü x".into(), 3..8);
        assert_eq!(region(&place), Some(Region { line: 2, column: 1, end_line: 2, end_column: 4 }));
        assert_eq!(region(&Place::file("a.sql")), None);
    }
}
