//! Reads the entries and the texts of another tool's folder, and collects what is wrong with them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use migrate_base::codes;
use migrate_base::error::Result;
use migrate_base::finding::{Finding, Place};
use migrate_base::regular;

use super::{Checksum, ForeignBody, ForeignMigration, ForeignScript, MigrationFolder, Version, placeholder};
use crate::source::load::{self, decode};
use crate::source::odd;

/// A folder that is being read.
pub(super) struct FolderListing<'f> {
    pub(super) folder: &'f MigrationFolder,
    pub(super) findings: Vec<Finding>,
    /// The names in `skip` that were met.
    skipped: BTreeSet<String>,
}

/// An entry of a folder: its name, and its path.
pub(super) type FolderEntry = (String, PathBuf);

impl<'f> FolderListing<'f> {
    pub(super) fn new(folder: &'f MigrationFolder) -> Self {
        Self { folder, findings: Vec::new(), skipped: BTreeSet::new() }
    }

    /// The entries of the folder, sorted by name, without hidden ones and those that are skipped.
    pub(super) fn entries(&mut self) -> Result<Vec<FolderEntry>> {
        let folder = self.folder;
        self.entries_of(&folder.path)
    }

    /// The same for a folder inside it. An entry whose name cannot be displayed is a finding.
    pub(super) fn entries_of(&mut self, folder: &Path) -> Result<Vec<FolderEntry>> {
        let entries = fs::read_dir(folder).map_err(|error| load::no_folder(folder, &error))?;
        let mut names = Vec::new();
        for entry in entries.flatten() {
            if let Some(finding) = odd::name(folder, &entry.file_name()) {
                self.findings.push(finding);
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && !self.is_skipped(&entry.path()) {
                names.push((name, entry.path()));
            }
        }
        names.sort();
        Ok(names)
    }

    /// The files below the folder, at any depth, sorted by path.
    pub(super) fn files_below(&mut self) -> Result<Vec<FolderEntry>> {
        let (mut files, mut folders) = (Vec::new(), vec![self.folder.path.clone()]);
        while let Some(folder) = folders.pop() {
            for (name, path) in self.entries_of(&folder)? {
                if path.is_dir() { folders.push(path) } else { files.push((name, path)) }
            }
        }
        files.sort_by(|a, b| a.1.cmp(&b.1));
        Ok(files)
    }

    fn is_skipped(&mut self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.folder.path).unwrap_or(path).to_string_lossy().replace('\\', "/");
        let is_skipped = self.folder.skip.contains(&below);
        if is_skipped {
            self.skipped.insert(below);
        }
        is_skipped
    }

    /// The text of a file, normalised.
    pub(super) fn text(&mut self, path: &Path) -> Option<String> {
        let bytes = regular::read(path).map_err(|error| load::unreadable_file(path, &error));
        let text = bytes.and_then(|bytes| decode(path, &bytes).map_err(|finding| *finding));
        text.map_err(|finding| self.findings.push(finding)).ok().map(|text| text.to_string())
    }

    /// A whole file as a script; `None` if it is skipped or cannot be read.
    pub(super) fn script(&mut self, path: &Path) -> Option<ForeignScript> {
        if self.is_skipped(path) {
            return None;
        }
        let text = self.text(path)?;
        Some(ForeignScript { path: path.to_owned(), text, raw: None, no_transaction: false })
    }

    /// A file in another language, which only the tool can run; `None` if it cannot be read.
    pub(super) fn code(&mut self, version: Version, name: String, path: PathBuf) -> Option<ForeignMigration> {
        let checksum = Checksum::of(&self.text(&path)?);
        Some(ForeignMigration { version, name, body: ForeignBody::Code(path, checksum), from: None })
    }

    /// Replaces the placeholders of a script; its checksum stays that of the text with them.
    pub(super) fn fill(&mut self, script: &mut ForeignScript, by: placeholder::Filling) {
        let raw = std::mem::take(&mut script.text);
        script.text = by(&script.path, raw.clone(), &self.folder.placeholders, &mut self.findings);
        script.raw = Some(raw);
    }

    /// The text of the file with this ending after the name of another, if there is one.
    pub(super) fn text_beside(&mut self, path: &Path, ending: &str) -> Option<String> {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let path = PathBuf::from(name);
        if path.is_file() { self.text(&path) } else { None }
    }

    /// Adds the finding for a name that does not fit.
    pub(super) fn misnamed(&mut self, path: &Path, what: String, form: &str) {
        self.findings.push(Finding::new(codes::FILE_NAME, what).at(Place::file(path)).help(form));
    }

    /// Adds a finding for each name in `skip` that is not in the folder.
    pub(super) fn check_skips(&mut self) {
        let folder = self.folder;
        let unknown = folder.skip.iter().filter(|name| !self.skipped.contains(*name));
        let finding = |name: &String| {
            Finding::new(codes::SKIP_UNKNOWN, format!("`skip` names {name}, which is not in the folder"))
                .at(Place::file(&folder.path))
                .help("correct the path, which is relative to the folder, or remove it from `skip` in migrate.toml")
        };
        let findings: Vec<Finding> = unknown.map(finding).collect();
        self.findings.extend(findings);
    }
}
