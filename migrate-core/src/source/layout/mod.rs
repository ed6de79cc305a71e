//! Reads the migration folders of other tools.
//!
//! Each layout only determines which files belong to which migration and which bytes of them are its up script and its
//! down script; the rest of a shared file is replaced by blanks, so that lines and columns stay the same. Other inputs
//! of a tool (callbacks, placeholders, seeds) are not read: see docs/FORMATS.md.

mod files;
mod marked;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};
use migrate_base::regular;

pub(crate) use files::diesel_version;

use super::load::{self, decode};
use super::{Migration, MigrationBody, MigrationSet, Script, Version, assemble, odd};

/// The tool whose files a folder contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Layout {
    /// Ours: `<14 digits>_<snake_case>.up.sql` and `.down.sql`, and nothing else.
    #[default]
    Roundtrip,
    /// sqlx: `<digits>_<anything>.up.sql` and `.down.sql`, or `.sql` alone.
    Sqlx,
    /// golang-migrate: the same pairs, sent without a transaction around them.
    GolangMigrate,
    /// diesel: folders with `up.sql`, `down.sql` and a `metadata.toml`.
    Diesel,
    /// dbmate: single files with `-- migrate:up` and `-- migrate:down`.
    Dbmate,
    /// goose: single files with `-- +goose Up` and `-- +goose Down`.
    Goose,
    /// sql-migrate: single files with `-- +migrate Up` and `-- +migrate Down`.
    SqlMigrate,
    /// Flyway: `V1.2__name.sql` and `U1.2__name.sql`.
    Flyway,
}

const WORDS: [(Layout, &str); 8] = [
    (Layout::Roundtrip, "roundtrip"),
    (Layout::Sqlx, "sqlx"),
    (Layout::GolangMigrate, "golang-migrate"),
    (Layout::Diesel, "diesel"),
    (Layout::Dbmate, "dbmate"),
    (Layout::Goose, "goose"),
    (Layout::SqlMigrate, "sql-migrate"),
    (Layout::Flyway, "flyway"),
];

/// How many files of a folder are examined to detect its tool.
const LOOKED_AT: usize = 1000;

/// A text that is not the name of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotALayout;

impl Layout {
    /// The names of all layouts.
    pub fn names() -> Vec<&'static str> {
        WORDS.iter().map(|(_, word)| *word).collect()
    }

    /// Detects which tool wrote a folder, from the file names and the first lines of the files.
    ///
    /// If most file names follow our pattern, the folder is ours: a misnamed file in it is a mistake. In a folder with
    /// thousands of files, the first ones that the folder lists are enough.
    pub fn detect(folder: &Path) -> Self {
        let Ok(entries) = fs::read_dir(folder) else { return Self::Roundtrip };
        let (mut sql, mut others) = (Vec::new(), Vec::new());
        for entry in entries.flatten().take(LOOKED_AT) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".sql") { sql.push((name, entry.path())) } else { others.push(entry.path()) }
        }
        let ours = sql.iter().filter(|(name, _)| super::files::parse(name).is_ok()).count();
        if others.iter().filter(|path| path.join("up.sql").is_file()).count() > sql.len() {
            return Self::Diesel;
        }
        if ours * 2 > sql.len() || sql.is_empty() {
            return Self::Roundtrip;
        }
        if sql.iter().any(|(name, _)| files::flyway(name).is_some_and(|found| found.up)) {
            return Self::Flyway;
        }
        let said = sql.iter().find_map(|(_, path)| marked::mark_of(&regular::read_to_string(path).ok()?));
        match said {
            Some(layout) => layout,
            None => files::pair_tool(sql.iter().map(|(name, _)| name.as_str())),
        }
    }

    /// Reads a folder of this layout, and checks its files.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Files`] with one finding for each problem in the folder.
    pub fn load(self, folder: impl AsRef<Path>) -> Result<MigrationSet> {
        self.load_by(folder.as_ref(), |folder| MigrationSet::load(folder))
    }

    /// Reads a folder of this layout for a migrator; see [`MigrationSet::read`]. The files of other tools are checked
    /// at once, because what is sent of them depends on their statements.
    ///
    /// # Errors
    ///
    /// Those of [`MigrationSet::read`], or of [`Layout::load`] for another tool's folder.
    pub fn read(self, folder: impl AsRef<Path>) -> Result<MigrationSet> {
        self.load_by(folder.as_ref(), |folder| MigrationSet::read(folder))
    }

    fn load_by(self, folder: &Path, ours: impl FnOnce(&Path) -> Result<MigrationSet>) -> Result<MigrationSet> {
        let mut findings = Vec::new();
        let mut drafts = match self {
            Self::Roundtrip => return ours(folder),
            Self::Diesel => files::folders(folder, &mut findings)?,
            Self::Flyway => files::versioned(folder, &mut findings)?,
            Self::Sqlx | Self::GolangMigrate => files::pairs(folder, &mut findings)?,
            Self::Dbmate | Self::Goose | Self::SqlMigrate => marked::files(self, folder, &mut findings)?,
        };
        drafts.sort_by(|a, b| a.version.cmp(&b.version));
        for pair in drafts.windows(2).filter(|pair| pair[0].version == pair[1].version) {
            let twice = assemble::twice(&pair[1].up.path, &pair[0].up.path);
            findings.push(twice.help(format!(
                "rename the one that is not applied to any database: {self} identifies migrations by version"
            )));
        }
        let migrations = drafts.into_iter().map(|draft| Arc::new(self.finish(draft, &mut findings))).collect();
        match findings.is_empty() {
            true => Ok(MigrationSet::of(migrations, folder, self)),
            false => Err(Error::of(ErrorKind::Files, findings)),
        }
    }

    fn finish(self, draft: ForeignMigration, findings: &mut Vec<Finding>) -> Migration {
        let wraps = !matches!(self, Self::GolangMigrate);
        let mut up = Script::foreign(draft.up, wraps, findings);
        let down = draft.down.map(|part| Arc::new(Script::foreign(part, wraps, findings)));
        let is_up_only = down.is_none() && up.directives.irreversible.is_none();
        if is_up_only {
            up.directives.irreversible = Some(format!("there is no down script in the {self} files"));
        }
        let body = MigrationBody::Sql { up: Arc::new(up), down };
        Migration { version: draft.version, name: draft.name.into(), body, is_up_only, fixture: None, verify: None }
    }
}

/// Whether a file has the name of an up script in a layout with separate up scripts.
pub(super) fn named_like(layout: Layout, name: &str) -> bool {
    let found = match layout {
        Layout::Flyway => files::flyway(name),
        _ => files::pair(name),
    };
    found.is_some_and(|found| found.up)
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WORDS.iter().find(|(layout, _)| layout == self).map_or("", |(_, word)| word))
    }
}

impl FromStr for Layout {
    type Err = NotALayout;

    fn from_str(text: &str) -> std::result::Result<Self, NotALayout> {
        WORDS.iter().find(|(_, word)| *word == text).map(|(layout, _)| *layout).ok_or(NotALayout)
    }
}

/// A migration as found by a layout.
struct ForeignMigration {
    version: Version,
    name: String,
    up: ForeignScript,
    down: Option<ForeignScript>,
}

/// One direction of it: the text that is sent, at the same positions as in the file.
pub(super) struct ForeignScript {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) no_transaction: bool,
}

impl ForeignScript {
    fn whole(path: &Path, findings: &mut Vec<Finding>) -> Option<Self> {
        let text = read(path, findings)?;
        Some(Self { path: path.to_owned(), text, no_transaction: false })
    }
}

/// The text of a file, normalised.
fn read(path: &Path, findings: &mut Vec<Finding>) -> Option<String> {
    let unreadable = |error: std::io::Error| {
        Finding::new(codes::FILE_UNREADABLE, format!("the file cannot be read: {error}"))
            .at(Place::file(path))
            .help(regular::help(&error))
    };
    let text =
        regular::read(path).map_err(unreadable).and_then(|bytes| decode(path, &bytes).map_err(|finding| *finding));
    text.map_err(|finding| findings.push(finding)).ok().map(|text| text.to_string())
}

/// The entries of a folder, sorted by name. An entry whose name cannot be displayed is a finding.
fn entries(folder: &Path, findings: &mut Vec<Finding>) -> Result<Vec<(String, PathBuf)>> {
    let entries = fs::read_dir(folder).map_err(|error| load::no_folder(folder, &error))?;
    let mut is_plain = |entry: &fs::DirEntry| {
        let odd = odd::name(folder, &entry.file_name());
        let is_plain = odd.is_none();
        findings.extend(odd);
        is_plain
    };
    let mut names: Vec<(String, PathBuf)> = entries
        .flatten()
        .filter(|entry| is_plain(entry))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect();
    names.retain(|(name, _)| !name.starts_with('.'));
    names.sort();
    Ok(names)
}
