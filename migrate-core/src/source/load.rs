//! Reads a folder, or embedded files, into a [`MigrationSet`].
//!
//! Both use the same function, so an embedded chain is identical to the chain of its folder. All problems of all files
//! are reported, not only the first one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};
use migrate_base::{parallel, regular};

use super::files::{self, FileRole};
use super::script::Script;
use super::{Checksum, Layout, Migration, MigrationSet, Version, assemble, normalise, odd, unreadable};

/// An embedded file: its name without a folder, and its bytes.
pub type EmbeddedFile = (&'static str, &'static [u8]);

impl MigrationSet {
    /// Reads all migrations of a folder, and checks them.
    ///
    /// Hidden files (those whose name starts with a dot) are ignored, and so is `mod.rs`, which collects the migrations
    /// written in Rust. Every other file must be part of a migration.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Files`] with one finding for each problem in the folder: an invalid name, two migrations with the
    /// same version, an up script without a down script, an unknown directive, and anything else that prevents a file
    /// from being run.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(folder, &[])
    }

    /// Like [`MigrationSet::load`], as if the folder also had these files, by name and text: migrations that are tried
    /// before they are written. A folder that does not exist yet counts as empty.
    ///
    /// # Errors
    ///
    /// Those of [`MigrationSet::load`].
    pub fn load_with(folder: impl AsRef<Path>, drafts: &[(String, String)]) -> Result<Self> {
        let (set, findings) = gather(folder.as_ref(), drafts)?;
        set.checked(findings)
    }

    /// Like [`MigrationSet::load`], for a [`Migrator`](crate::Migrator), which reads the ledger first: the statements
    /// of a file are parsed only when they are needed. A file that is recorded in the ledger in its present form was
    /// accepted when it was applied, and the migrator checks all others.
    ///
    /// # Errors
    ///
    /// Those of [`MigrationSet::load`] about the names, the encoding, the directives or the pairs of the files.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let (set, findings) = gather(folder.as_ref(), &[])?;
        if findings.is_empty() { Ok(set) } else { set.checked(findings) }
    }

    /// Reads migrations that were embedded in the executable by `migrate-embed`.
    ///
    /// # Errors
    ///
    /// The same as [`MigrationSet::load`] for a folder with these files.
    pub fn embedded(files: &[EmbeddedFile]) -> Result<Self> {
        Self::of_files(Path::new("migrations"), files.iter().copied())
    }

    /// The migrations that a folder with these files would have: their names and their bytes.
    ///
    /// # Errors
    ///
    /// Those of [`MigrationSet::load`].
    pub fn of_files<'f>(folder: &Path, files: impl Iterator<Item = (&'f str, &'f [u8])>) -> Result<Self> {
        let files = files.filter(|(name, _)| is_migration(name));
        let mut files: Vec<CandidateFile<'_>> = files
            .map(|(name, bytes)| CandidateFile { name: name.to_owned(), content: FileSource::Bytes(bytes) })
            .collect();
        let (migrations, findings) = put_together(folder, &mut files, Vec::new());
        Self::new(migrations, folder, None).checked(findings)
    }

    /// Returns the set if there are no findings and no problem with any statement.
    fn checked(self, mut findings: Vec<Finding>) -> Result<Self> {
        findings.extend(self.findings(|_| true));
        if findings.is_empty() {
            return Ok(self);
        }
        findings.sort_by(|a, b| a.place.as_ref().map(Place::path).cmp(&b.place.as_ref().map(Place::path)));
        Err(Error::of(ErrorKind::Files, findings))
    }
}

/// Reads a folder, together with these files; returns the migrations, and all problems except those of statements.
fn gather(folder: &Path, drafts: &[(String, String)]) -> Result<(MigrationSet, Vec<Finding>)> {
    let entries = match fs::read_dir(folder) {
        Err(error) if drafts.is_empty() || error.kind() != std::io::ErrorKind::NotFound => {
            return Err(no_folder(folder, &error));
        }
        entries => entries.into_iter().flatten(),
    };
    let (mut files, mut findings) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry.map(|entry| CandidateFile::listed(folder, &entry)) {
            Ok(Ok(file)) => files.extend(file),
            Ok(Err(finding)) => findings.push(finding),
            Err(error) => findings.push(unreadable(folder, &error)),
        }
    }
    if let Some(finding) = unreadable::finding(folder, files.iter().map(|file| file.name.as_str())) {
        return Err(Error::new(ErrorKind::Files, finding));
    }
    files.retain(|file| !drafts.iter().any(|(draft, _)| *draft == file.name));
    files.extend(
        drafts
            .iter()
            .map(|(name, text)| CandidateFile { name: name.clone(), content: FileSource::Bytes(text.as_bytes()) }),
    );
    let (migrations, findings) = put_together(folder, &mut files, findings);
    Ok((MigrationSet::of(migrations, folder, Layout::Roundtrip), findings))
}

/// Reads the files and combines them into migrations, in the order of their versions.
fn put_together(
    folder: &Path,
    files: &mut [CandidateFile<'_>],
    mut findings: Vec<Finding>,
) -> (Vec<Arc<Migration>>, Vec<Finding>) {
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut pieces = Vec::with_capacity(files.len());
    let mut unread = BTreeSet::new();
    for (file, taken) in files.iter().zip(parallel::map(files, |file| file.take(folder))) {
        match taken {
            Ok(piece) => pieces.push(piece),
            Err(finding) => {
                findings.push(*finding);
                unread.extend(files::parse(&file.name).ok().map(|(version, _, role)| (version, role)));
            }
        }
    }
    let migrations = assemble::assemble(pieces, &mut findings);
    findings.retain(|finding| !is_only_unread(finding, &unread));
    (migrations, findings)
}

/// Whether a script that is said to be missing is there, but could not be read: that has its own finding.
fn is_only_unread(finding: &Finding, unread: &BTreeSet<(Version, FileRole)>) -> bool {
    let missing = match finding.code {
        codes::UP_MISSING => FileRole::Up,
        codes::DOWN_MISSING => FileRole::Down,
        _ => return false,
    };
    let is_unread = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        files::parse(&name).is_ok_and(|(version, ..)| unread.contains(&(version, missing)))
    };
    finding.place.as_ref().is_some_and(|place| is_unread(place.path()))
}

/// A file that may be part of a migration, before it is read.
struct CandidateFile<'a> {
    name: String,
    content: FileSource<'a>,
}

/// The source of a file's bytes.
enum FileSource<'a> {
    Bytes(&'a [u8]),
    /// A file that its folder lists as a regular one.
    Regular,
    /// Something else, such as a link, which is followed: a folder of links works like a folder of files.
    Other,
    Folder,
}

/// A file that was read: the migration it belongs to, and its role.
pub(super) struct MigrationFile<'n> {
    pub(super) version: Version,
    pub(super) name: &'n str,
    pub(super) part: FileRole,
    pub(super) text: FileContent,
    /// Problems in its head.
    pub(super) findings: Vec<Finding>,
}

/// The content of a file.
pub(super) enum FileContent {
    Sql(Arc<Script>),
    Rust(PathBuf, Checksum),
}

impl CandidateFile<'static> {
    /// An entry of a folder; `None` for an ignored one.
    fn listed(folder: &Path, entry: &fs::DirEntry) -> std::result::Result<Option<Self>, Finding> {
        let name = entry.file_name();
        if let Some(finding) = odd::name(folder, &name) {
            return Err(finding);
        }
        let name = name.to_string_lossy().into_owned();
        if !is_migration(&name) {
            return Ok(None);
        }
        // Most file systems return this with the name, so that no further call is needed for each file.
        let content = match entry.file_type() {
            Ok(kind) if kind.is_file() => FileSource::Regular,
            Ok(kind) if kind.is_dir() => FileSource::Folder,
            _ if entry.path().is_dir() => FileSource::Folder,
            _ => FileSource::Other,
        };
        Ok(Some(Self { name, content }))
    }
}

impl CandidateFile<'_> {
    /// Reads the name and the text.
    fn take(&self, folder: &Path) -> std::result::Result<MigrationFile<'_>, Box<Finding>> {
        let path = folder.join(&self.name);
        let unreadable = |why: std::io::Error| Box::new(unreadable_file(&path, &why));
        let read;
        let bytes = match self.content {
            FileSource::Bytes(bytes) => bytes,
            FileSource::Regular => {
                read = regular::read_listed(&path).map_err(unreadable)?;
                &read
            }
            FileSource::Other => {
                read = regular::read(&path).map_err(unreadable)?;
                &read
            }
            FileSource::Folder => {
                let finding = Finding::new(codes::FOLDER_INSIDE, "a migrations folder cannot contain another folder")
                    .at(Place::file(path))
                    .help("move it elsewhere, or give it a name that starts with a dot");
                return Err(Box::new(finding));
            }
        };
        let (version, name, part) =
            files::parse(&self.name).map_err(|finding| Box::new(finding.at(Place::file(&path))))?;
        let text = decode(&path, bytes)?;
        let mut findings = Vec::new();
        let text = match part {
            FileRole::Code => FileContent::Rust(path, Checksum::of(&text)),
            _ => FileContent::Sql(Script::of(path, text, &mut findings).into()),
        };
        Ok(MigrationFile { version, name, part, text, findings })
    }
}

/// Whether a file is read: hidden files and the index of Rust migrations are not.
fn is_migration(name: &str) -> bool {
    !name.starts_with('.') && name != "mod.rs"
}

/// The text of a file, normalised; the finding points at bytes that cannot be sent to a server.
pub fn decode(path: &Path, bytes: &[u8]) -> std::result::Result<Arc<str>, Box<Finding>> {
    let wrong = |at: usize, what: &str, help: &str| {
        let text: Arc<str> = String::from_utf8_lossy(bytes).into();
        let before = String::from_utf8_lossy(&bytes[..at]).len();
        let place = Place::within(path, text, before..before + 1);
        Box::new(Finding::new(codes::FILE_ENCODING, what).at(place).help(help))
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| wrong(error.valid_up_to(), "the file is not UTF-8 from here on", "save the file as UTF-8"))?;
    if bytes.contains(&0) {
        let at = bytes.iter().position(|byte| *byte == 0).unwrap_or_default();
        return Err(wrong(at, "the file contains a NUL byte here", "remove it; was the file saved as UTF-16?"));
    }
    Ok(normalise(text).into())
}

pub(super) fn no_folder(folder: &Path, error: &std::io::Error) -> Error {
    let finding = Finding::new(codes::FOLDER_UNREADABLE, format!("the migrations folder cannot be read: {error}"))
        .at(Place::file(folder));
    let finding = match error.kind() {
        std::io::ErrorKind::PermissionDenied => finding.help("check its permissions"),
        std::io::ErrorKind::NotFound => finding
            .help("`cargo xtask new NAME` creates the folder and its first migration")
            .help("`cargo xtask baseline --database URL` writes the schema of an existing database as the first one")
            .help("if the migrations are elsewhere: `migrations` in migrate.toml, or --migrations DIR"),
        _ => finding.help("check `migrations` in migrate.toml, or pass the folder with --migrations DIR"),
    };
    Error::new(ErrorKind::Files, finding)
}

/// The finding for a file that cannot be read.
pub(crate) fn unreadable_file(path: &Path, error: &std::io::Error) -> Finding {
    Finding::new(codes::FILE_UNREADABLE, format!("the file cannot be read: {error}"))
        .at(Place::file(path))
        .help(regular::help(error))
}

fn unreadable(folder: &Path, error: &std::io::Error) -> Finding {
    Finding::new(codes::FOLDER_UNREADABLE, format!("the migrations folder cannot be read: {error}"))
        .at(Place::file(folder))
        .help(match error.kind() {
            std::io::ErrorKind::NotFound => "correct the link or the path",
            _ => "check its permissions",
        })
}
