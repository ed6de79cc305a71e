//! Reading a folder, or files that were compiled in, into a [`MigrationSet`].
//!
//! Both ways end in the same function, so an embedded chain is the chain of its folder.
//! Every problem of every file is reported, not the first one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{self, Part as FilePart};
use super::layout::Part;
use super::{Body, Checksum, Layout, Migration, MigrationSet, Script, Version, directive, normalise, odd};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, Place};
use crate::regular;
use crate::sql::{self, Class, FlawKind, Statement};

/// A file that was compiled into the executable: its name without a folder, and its bytes.
pub type EmbeddedFile = (&'static str, &'static [u8]);

/// The name of a migration and the files that were found for it.
struct Found {
    name: String,
    parts: BTreeMap<FilePart, (PathBuf, Arc<str>)>,
}

impl MigrationSet {
    /// Reads all migrations of a folder.
    ///
    /// Hidden files (those whose name begins with a dot) are left alone, and so is `mod.rs`,
    /// which gathers the migrations written in Rust. Every other file has to be part of a
    /// migration.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Files`] with one finding for each problem of the folder: a name that fits
    /// no pattern, two migrations of one version, an up without a down, an unknown directive,
    /// and whatever else keeps a file from being run.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(folder, &[])
    }

    /// The same as if the folder also had these files, by name and text: migrations that are
    /// tried before they are written. A folder that is not there yet is an empty one.
    ///
    /// # Errors
    ///
    /// Those of [`MigrationSet::load`].
    pub fn load_with(folder: impl AsRef<Path>, drafts: &[(String, String)]) -> Result<Self> {
        let folder = folder.as_ref();
        let entries = match fs::read_dir(folder) {
            Err(error) if drafts.is_empty() || error.kind() != std::io::ErrorKind::NotFound => {
                return Err(no_folder(folder, &error));
            }
            entries => entries.into_iter().flatten(),
        };
        let mut files = Vec::new();
        let mut findings = Vec::new();
        for entry in entries {
            if let Some(finding) = entry.as_ref().ok().and_then(|entry| odd::name(folder, &entry.file_name())) {
                findings.push(finding);
                continue;
            }
            match entry.and_then(|entry| read(&entry)) {
                Ok(file) => files.extend(file),
                Err(error) => findings.push(unreadable(folder, &error)),
            }
        }
        let is_drafted = |name: &str| drafts.iter().any(|(draft, _)| draft == name);
        files.retain(|(name, _)| !is_drafted(name));
        files.extend(drafts.iter().map(|(name, text)| (name.clone(), Content::Bytes(Cow::Borrowed(text.as_bytes())))));
        files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let migrations = assemble(folder, &files, findings)?;
        Ok(Self::of(migrations, folder, Layout::Roundtrip))
    }

    /// Reads migrations that were compiled into the executable by `migrate-embed`.
    ///
    /// # Errors
    ///
    /// The same as [`MigrationSet::load`] for a folder with these files.
    pub fn embedded(files: &[EmbeddedFile]) -> Result<Self> {
        let mut files: Vec<(String, Content<'_>)> = files
            .iter()
            .filter(|(name, _)| is_migration(name))
            .map(|(name, bytes)| ((*name).to_owned(), Content::Bytes(Cow::Borrowed(bytes))))
            .collect();
        files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let folder = Path::new("migrations");
        let migrations = assemble(folder, &files, Vec::new())?;
        Ok(Self { migrations, folder: folder.to_owned(), empty: None })
    }
}

/// Puts files together into migrations, in the order of their versions.
fn assemble(folder: &Path, files: &[(String, Content<'_>)], mut findings: Vec<Finding>) -> Result<Vec<Arc<Migration>>> {
    let mut found: BTreeMap<Version, Found> = BTreeMap::new();
    for (name, content) in files {
        match take(folder, name, content) {
            Ok((version, words, part, file)) => {
                let entry =
                    found.entry(version).or_insert_with(|| Found { name: words.to_owned(), parts: BTreeMap::new() });
                if entry.name == words {
                    entry.parts.insert(part, file);
                } else {
                    findings.push(duplicate(&file.0, entry));
                }
            }
            Err(finding) => findings.push(*finding),
        }
    }
    let migrations =
        found.into_iter().filter_map(|(version, found)| build(version, found, &mut findings)).map(Arc::new).collect();
    if findings.is_empty() { Ok(migrations) } else { Err(Error::of(ErrorKind::Files, findings)) }
}

/// What a folder entry holds.
enum Content<'a> {
    Bytes(Cow<'a, [u8]>),
    Folder,
    Unreadable(std::io::Error),
}

fn read(entry: &fs::DirEntry) -> std::io::Result<Option<(String, Content<'static>)>> {
    let name = entry.file_name().to_string_lossy().into_owned();
    if !is_migration(&name) {
        return Ok(None);
    }
    let path = entry.path();
    // A link is followed: a folder of links is a folder of files.
    let content = if fs::metadata(&path).is_ok_and(|meta| meta.is_dir()) {
        Content::Folder
    } else {
        match regular::read(&path) {
            Ok(bytes) => Content::Bytes(Cow::Owned(bytes)),
            Err(error) => Content::Unreadable(error),
        }
    };
    Ok(Some((name, content)))
}

/// Whether a file is looked at: hidden files and the index of Rust migrations are not.
fn is_migration(name: &str) -> bool {
    !name.starts_with('.') && name != "mod.rs"
}

type Taken<'n> = (Version, &'n str, FilePart, (PathBuf, Arc<str>));

/// Reads the name and the text of one file.
fn take<'n>(folder: &Path, name: &'n str, content: &Content<'_>) -> std::result::Result<Taken<'n>, Box<Finding>> {
    let path = folder.join(name);
    let bytes = match content {
        Content::Bytes(bytes) => bytes,
        Content::Folder => {
            let finding = Finding::error("folder-inside", "a folder of migrations cannot hold another folder")
                .at(Place::file(path))
                .help("move it elsewhere, or give it a name that begins with a dot");
            return Err(Box::new(finding));
        }
        Content::Unreadable(why) => {
            let finding = Finding::error("file-unreadable", format!("the file cannot be read: {why}"))
                .at(Place::file(path))
                .help(regular::help(why));
            return Err(Box::new(finding));
        }
    };
    let (version, words, part) = files::parse(name).map_err(|finding| Box::new(finding.at(Place::file(&path))))?;
    let text = decode(&path, bytes)?;
    Ok((version, words, part, (path, text)))
}

/// The text of a file, normalised; bytes that cannot be sent to a server are pointed at.
pub(crate) fn decode(path: &Path, bytes: &[u8]) -> std::result::Result<Arc<str>, Box<Finding>> {
    let wrong = |at: usize, what: &str, help: &str| {
        let text: Arc<str> = String::from_utf8_lossy(bytes).into();
        let before = String::from_utf8_lossy(&bytes[..at]).len();
        let place = Place::within(path, text, before..before + 1);
        Box::new(Finding::error("file-encoding", what).at(place).help(help))
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| wrong(error.valid_up_to(), "the file is not UTF-8 from here on", "save the file as UTF-8"))?;
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(wrong(at, "the file holds a NUL byte here", "remove it; was the file saved as UTF-16?"));
    }
    Ok(normalise(text).into())
}

/// Makes a migration of the files found for a version.
fn build(version: Version, found: Found, findings: &mut Vec<Finding>) -> Option<Migration> {
    let Found { name, mut parts } = found;
    let before = findings.len();
    let mut script =
        |part, findings: &mut Vec<Finding>| parts.remove(&part).map(|(path, text)| Script::read(path, text, findings));
    let (up, down) = (script(FilePart::Up, findings), script(FilePart::Down, findings));
    let (fixture, verify) = (script(FilePart::Fixture, findings), script(FilePart::Verify, findings));
    let (fixture, verify) = (fixture.map(Arc::new), verify.map(Arc::new));
    findings.extend(verify.as_ref().and_then(|script| not_one_query(script)));
    let body = match (up, down, parts.remove(&FilePart::Code)) {
        (None, None, Some((path, text))) => Body::Code { path, checksum: Checksum::of(&text) },
        (Some(up), down, None) => {
            findings.extend(unpaired(&up, down.as_ref()));
            Body::Sql { up: Arc::new(up), down: down.map(Arc::new) }
        }
        (Some(up), _, Some(code)) => {
            findings.push(
                Finding::error("both-kinds", "a migration is written in SQL or in Rust, not in both")
                    .at(Place::file(up.path))
                    .note(format!("the other file is {}", code.0.display()))
                    .help("give one of them a version of its own"),
            );
            return None;
        }
        (None, down, code) => {
            let path = down.map(|script| script.path).or(code.map(|(path, _)| path));
            let path = path.or_else(|| parts.into_values().next().map(|(path, _)| path))?;
            findings.push(
                Finding::error("up-missing", format!("there is no up for migration {version}"))
                    .at(Place::file(path))
                    .help(format!("write {version}_{name}.up.sql beside it, or remove the file")),
            );
            return None;
        }
    };
    (findings.len() == before).then(|| Migration {
        version,
        name: name.into(),
        body,
        is_up_only: false,
        fixture,
        verify,
    })
}

/// What is wrong with a check: it has to be one query, for its rows are what is wrong.
fn not_one_query(script: &Script) -> Option<Finding> {
    let second = script.statements.get(1)?;
    Some(
        Finding::error("verify-not-one", "a check is one query; whatever it returns is what is wrong")
            .at(Place::within(&script.path, script.text.clone(), second.span.clone()))
            .help("join the queries with UNION ALL"),
    )
}

/// What is wrong between an up and its down.
fn unpaired(up: &Script, down: Option<&Script>) -> Option<Finding> {
    match (down, &up.directives.irreversible) {
        (None, None) => Some(
            Finding::error("down-missing", "this up has no down")
                .at(Place::file(&up.path))
                .help("write the .down.sql file beside it")
                .help(format!("or let it be written and proven: `cargo xtask derive {}`", version_of(&up.path)))
                .help("or say why there is none: `-- migrate: irreversible reason` at the head of the up"),
        ),
        (Some(down), Some(_)) => Some(
            Finding::error("down-unexpected", "a migration that is declared irreversible has a down")
                .at(Place::file(&down.path))
                .help("remove the directive from the up, or the down"),
        ),
        _ => None,
    }
}

/// The version at the beginning of a file's name.
fn version_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('_').next().unwrap_or_default().to_owned()
}

impl Script {
    /// Reads one SQL file; what is wrong with it is added to the findings.
    fn read(path: PathBuf, text: Arc<str>, findings: &mut Vec<Finding>) -> Self {
        let (directives, wrong) = directive::read(&path, &text);
        findings.extend(wrong);
        let (statements, flaws) = sql::split(&text);
        findings.extend(sql::refused(&path, &text, &statements, &flaws, !directives.no_transaction));
        if statements.is_empty() && flaws.is_empty() {
            findings.push(
                Finding::error("file-empty", "there is no statement in this file").at(Place::file(&path)).help(
                    match path.to_string_lossy().ends_with(".down.sql") {
                        true => format!(
                            "write it, or let it be written and proven: `cargo xtask derive {}`",
                            version_of(&path)
                        ),
                        false => "write the SQL, or remove the migration".to_owned(),
                    },
                ),
            );
        }
        let checksum = Checksum::of(&text);
        Self { path, text, checksum, statements, directives }
    }

    /// Reads a part of a file that another tool wrote.
    ///
    /// What such tools let pass passes: a last statement without a semicolon, a file without a
    /// statement, `BEGIN` and `COMMIT` of its own; and what the server will refuse in a transaction
    /// is for the server to say, for one such file must not hide the rest of a long chain. With `wraps` the tool puts a transaction
    /// around a file; one that runs as a whole in its own, or that cannot run in one, needs none.
    pub(super) fn foreign(part: Part, wraps: bool, findings: &mut Vec<Finding>) -> Self {
        let Part { path, mut text, no_transaction } = part;
        let own = |class: Class| class == Class::TransactionControl;
        let (statements, flaws) = sql::split(&text);
        if flaws.iter().any(|flaw| flaw.kind == FlawKind::UnterminatedStatement) {
            // A comment may be the last thing in the file.
            text.push_str("\n;");
        }
        let count = statements.iter().filter(|statement| own(statement.class)).count();
        if let [first, .., last] = statements.as_slice()
            && count == 2
            && own(first.class)
            && own(last.class)
        {
            for span in [first.span.clone(), last.span.clone()] {
                let blank = " ".repeat(span.len());
                text.replace_range(span, &blank);
            }
        }
        let text: Arc<str> = text.into();
        let (mut directives, wrong) = directive::read(&path, &text);
        findings.extend(wrong);
        let (statements, flaws) = sql::split(&text);
        // A message of one statement is in no transaction where the tool opens none.
        let commits = |class: Class| class.may_need_no_transaction() && statements.len() == 1;
        let outside = |Statement { class, .. }: &Statement| {
            own(*class) || (!wraps && (class.needs_no_transaction() || commits(*class)))
        };
        directives.no_transaction |= no_transaction || statements.iter().any(outside);
        let refused = sql::refused(&path, &text, &statements, &flaws, !directives.no_transaction);
        let passes = ["transaction-control", "needs-no-transaction"];
        findings.extend(refused.into_iter().filter(|finding| !passes.contains(&finding.code)));
        let checksum = Checksum::of(&text);
        Self { path, text, checksum, statements, directives }
    }

    /// Reads a down script out of a ledger; nothing of it is refused, for it was accepted once.
    pub(crate) fn recorded(path: PathBuf, text: Arc<str>) -> Self {
        Self::read(path, text, &mut Vec::new())
    }
}

fn duplicate(path: &Path, other: &Found) -> Finding {
    let first = other.parts.values().next().map(|(path, _)| path.as_path()).unwrap_or(Path::new(""));
    twice(path, first).help(
        "give the newer one a later version: `cargo xtask rebase --base COMMIT`, with a commit that has only the other one",
    )
}

/// Two migrations have one version.
pub(super) fn twice(path: &Path, first: &Path) -> Finding {
    Finding::error("version-twice", "two migrations have the same version")
        .at(Place::file(path))
        .note(format!("the other one is {}", first.display()))
}

pub(super) fn no_folder(folder: &Path, error: &std::io::Error) -> Error {
    let finding = Finding::error("folder-unreadable", format!("the folder of migrations cannot be read: {error}"))
        .at(Place::file(folder))
        .help("check `migrations` in migrate.toml, or give the folder with --migrations DIR")
        .help("`cargo xtask new NAME` makes the folder and its first migration");
    Error::new(ErrorKind::Files, finding)
}

fn unreadable(folder: &Path, error: &std::io::Error) -> Finding {
    Finding::error("folder-unreadable", format!("the folder of migrations cannot be read: {error}"))
        .at(Place::file(folder))
        .help("check its permissions")
}
