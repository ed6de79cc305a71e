//! Combines files into migrations, and reports what is missing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};

use super::files::FileRole;
use super::load::{FileContent, MigrationFile};
use super::script::version_of;
use super::{Checksum, Migration, MigrationBody, Script, Version};

/// The files of one version.
struct VersionFiles<'n> {
    version: Version,
    name: &'n str,
    /// The file that was found first.
    first: PathBuf,
    up: Option<Arc<Script>>,
    down: Option<Arc<Script>>,
    fixture: Option<Arc<Script>>,
    verify: Option<Arc<Script>>,
    code: Option<(PathBuf, Checksum)>,
}

/// Combines files into migrations. The files are sorted by name, and therefore by version.
pub(super) fn assemble(pieces: Vec<MigrationFile<'_>>, findings: &mut Vec<Finding>) -> Vec<Arc<Migration>> {
    let mut migrations = Vec::with_capacity(pieces.len() / 2 + 1);
    let mut last: Option<VersionFiles<'_>> = None;
    for MigrationFile { version, name, part, text, findings: of_head } in pieces {
        findings.extend(of_head);
        let found = match last.take() {
            Some(found) if found.version == version && found.name != name => {
                findings.push(duplicate(text.path(), &found.first));
                last = Some(found);
                continue;
            }
            Some(found) if found.version == version => found,
            before => {
                migrations.extend(before.and_then(|found| found.build(findings)).map(Arc::new));
                VersionFiles::new(version, name, text.path().to_owned())
            }
        };
        last = Some(found.with(part, text));
    }
    migrations.extend(last.and_then(|found| found.build(findings)).map(Arc::new));
    migrations
}

impl FileContent {
    fn path(&self) -> &Path {
        match self {
            Self::Sql(script) => script.path(),
            Self::Rust(path, _) => path,
        }
    }
}

impl<'n> VersionFiles<'n> {
    fn new(version: Version, name: &'n str, first: PathBuf) -> Self {
        Self { version, name, first, up: None, down: None, fixture: None, verify: None, code: None }
    }

    fn with(mut self, part: FileRole, text: FileContent) -> Self {
        match (part, text) {
            (_, FileContent::Rust(path, checksum)) => self.code = Some((path, checksum)),
            (FileRole::Down, FileContent::Sql(script)) => self.down = Some(script),
            (FileRole::Fixture, FileContent::Sql(script)) => self.fixture = Some(script),
            (FileRole::Verify, FileContent::Sql(script)) => self.verify = Some(script),
            (FileRole::Up | FileRole::Code, FileContent::Sql(script)) => self.up = Some(script),
        }
        self
    }

    /// Creates a migration from the files. If that is impossible, there is no migration that could be checked later, so
    /// the scripts are checked here.
    fn build(self, findings: &mut Vec<Finding>) -> Option<Migration> {
        if let Some(wrong) = self.wrong() {
            findings.push(wrong);
            let scripts = [self.up, self.down, self.fixture, self.verify];
            scripts.iter().flatten().for_each(|script| findings.extend_from_slice(script.findings()));
            return None;
        }
        let Self { version, name, up, down, fixture, verify, code, .. } = self;
        let body = match (up, code) {
            (Some(up), _) => {
                findings.extend(unpaired(&up, down.as_deref()));
                MigrationBody::Sql { up, down }
            }
            (None, code) => code.map(|(path, checksum)| MigrationBody::code(path, checksum))?,
        };
        Some(Migration { version, name: name.into(), body, is_up_only: false, fixture, verify })
    }

    /// Why the files are not one migration.
    fn wrong(&self) -> Option<Finding> {
        match (&self.up, &self.code) {
            (Some(_), None) => None,
            (None, Some(_)) if self.down.is_none() => None,
            (Some(up), Some((code, _))) => Some(
                Finding::new(codes::BOTH_KINDS, "a migration is written in SQL or in Rust, not both")
                    .at(Place::file(up.path()))
                    .note(format!("the other file is {}", code.display()))
                    .help("give one of them a different version"),
            ),
            (None, _) => Some(self.up_missing()),
        }
    }

    fn up_missing(&self) -> Finding {
        let Self { version, name, first, down, code, .. } = self;
        let path =
            down.as_ref().map(|script| script.path()).or(code.as_ref().map(|(path, _)| &**path)).unwrap_or(first);
        Finding::new(codes::UP_MISSING, format!("migration {version} has no up script"))
            .at(Place::file(path))
            .help(format!("write {version}_{name}.up.sql next to it, or remove the file"))
    }
}

/// Whether an up script and its down script match.
fn unpaired(up: &Script, down: Option<&Script>) -> Option<Finding> {
    match (down, &up.directives().irreversible) {
        (None, None) => Some(
            Finding::new(codes::DOWN_MISSING, "this up script has no down script")
                .at(Place::file(up.path()))
                .help("write the .down.sql file next to it")
                .help(format!("or generate and prove it: `cargo xtask derive {}`", version_of(up.path())))
                .help("or say why there is none: `-- migrate: irreversible REASON` at the head of the up script"),
        ),
        (Some(down), Some(_)) => Some(
            Finding::new(codes::DOWN_UNEXPECTED, "a migration that is declared irreversible has a down script")
                .at(Place::file(down.path()))
                .help("remove the directive from the up script, or remove the down script"),
        ),
        _ => None,
    }
}

fn duplicate(path: &Path, first: &Path) -> Finding {
    twice(path, first).help(
        "give the one that was written last a newer version: run `cargo xtask rebase --base COMMIT` with a commit that \
         has only the other one",
    )
}

/// The finding for two migrations with the same version.
pub(super) fn twice(path: &Path, first: &Path) -> Finding {
    Finding::new(codes::VERSION_TWICE, "two migrations have the same version")
        .at(Place::file(path))
        .note(format!("the other one is {}", first.display()))
}
