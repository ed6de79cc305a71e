//! What is released, and what this checkout adds or changes: new migrations, and edited old ones.
//!
//! The files of the base branch come from git, the applied migrations from the ledgers; the decisions read nothing.

mod edited;
mod environments;
mod order;

use migrate_base::codes;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use migrate_core::source::normalise;
use migrate_core::{Layout, MigrationFolder, MigrationSet, Result as CoreResult, Version};

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::git::{self, BaseBranch, BaseSearch, Files};

pub(crate) use edited::edited;
pub(crate) use environments::{EnvironmentState, environments};
pub(crate) use order::{ahead, misplaced, stems_of, twice};

/// The base branch with the files of its migrations folder.
#[derive(Debug, Clone)]
pub(crate) struct ReleasedBranch {
    /// The branch.
    pub(crate) base: BaseBranch,
    /// The files at the commit where this branch began.
    pub(crate) fork: Files,
    /// The files at its newest commit.
    pub(crate) tip: Files,
    /// The migrations at the fork, once they have been asked for.
    set: OnceLock<(MigrationFolder, MigrationSet)>,
}

impl ReleasedBranch {
    /// Finds the base and reads its migrations; the inner `Err` says why there is nothing to compare with.
    pub(crate) fn of(context: &Context<'_>, named: Option<&str>) -> Result<std::result::Result<Self, String>> {
        Self::find(&context.migrations, named, context.config.base.as_deref(), &|_| true)
    }

    /// The same for a chain that another tool may run.
    pub(crate) fn of_chain(
        context: &Context<'_>,
        set: &MigrationSet,
        named: Option<&str>,
    ) -> Result<std::result::Result<Self, String>> {
        if context.config.engine.is_some() { Self::of_engine(context, set, named) } else { Self::of(context, named) }
    }

    /// The same for the migrations of another tool, which can be anywhere in the project.
    pub(crate) fn of_engine(
        context: &Context<'_>,
        set: &MigrationSet,
        named: Option<&str>,
    ) -> Result<std::result::Result<Self, String>> {
        let names: BTreeSet<String> =
            set.iter().flat_map(|one| one.files()).map(|path| name_in(set.folder(), path)).collect();
        // Removed files count as well.
        let below = name_in(&context.config.project, &context.config.migrations);
        let is_inside = |name: &str| name.strip_prefix(&below).is_some_and(|rest| rest.starts_with('/'));
        let base = context.config.base.as_deref();
        Self::find(&context.config.project, named, base, &|name| names.contains(name) || is_inside(name))
    }

    /// The released files of another tool's migrations that were changed or removed, by the names that they had.
    pub(crate) fn changed_files(&self, set: &MigrationSet) -> Vec<(String, bool)> {
        let names: BTreeSet<String> =
            set.iter().flat_map(|one| one.files()).map(|path| name_in(set.folder(), path)).collect();
        let changed =
            self.fork.iter().filter_map(|(name, there)| match migrate_base::regular::read(set.folder().join(name)) {
                Ok(here) => (names.contains(name) && text(&here) != text(there)).then(|| (name.clone(), false)),
                Err(_) => Some((name.clone(), true)),
            });
        changed.collect()
    }

    fn find(
        folder: &Path,
        named: Option<&str>,
        configured: Option<&str>,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<std::result::Result<Self, String>> {
        // A folder that does not exist yet is in the checkout of its parent.
        let there = folder.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("."));
        let base = match git::find(there, named, configured)? {
            BaseSearch::Base(base) => base,
            BaseSearch::Nothing(why) => return Ok(Err(why)),
        };
        let read =
            |commit: &str| if there == folder { git::files_like(folder, commit, wanted) } else { Some(Files::new()) };
        let fork = read(&base.fork);
        let tip = if base.tip == base.fork { fork.clone() } else { read(&base.tip) };
        match (fork, tip) {
            (Some(fork), Some(tip)) => Ok(Ok(Self { base, fork, tip, set: OnceLock::new() })),
            _ => Err(Failure::usage(codes::NO_BASE, format!("git cannot read the migrations of {}", base.name))
                .help("`git fsck` shows whether the clone is complete, `git fetch` gets what is missing")),
        }
    }

    /// The migrations of the commit where this branch began.
    ///
    /// # Errors
    ///
    /// The errors of loading the folder as it was.
    pub(crate) fn set(&self, folder: &MigrationFolder) -> CoreResult<MigrationSet> {
        if let Some((_, set)) = self.set.get().filter(|(known, _)| known == folder) {
            return Ok(set.clone());
        }
        let set = set_of(&self.fork, folder)?;
        Ok(self.set.get_or_init(|| (folder.clone(), set.clone())).1.clone())
    }

    /// Whether the base branch has a migration with this version and name.
    pub(crate) fn has(&self, version: &Version, words: &str) -> bool {
        let stem = format!("{version}_{words}.");
        self.tip.keys().chain(self.fork.keys()).any(|name| name.starts_with(&stem))
    }

    /// The newest version that the base branch has.
    pub(crate) fn newest(&self) -> Option<Version> {
        self.tip.keys().filter_map(|name| name.split('_').next()?.parse::<Version>().ok()).max()
    }

    /// The versions whose files are new or changed.
    pub(crate) fn new_versions(&self, set: &MigrationSet) -> BTreeSet<Version> {
        let same = |path: &Path| {
            let here = migrate_base::regular::read(path).ok();
            here.zip(self.fork.get(&name_in(set.folder(), path)))
                .is_some_and(|(here, there)| text(&here) == text(there))
        };
        let is_new = |migration: &&std::sync::Arc<migrate_core::source::Migration>| !migration.files().all(same);
        set.iter().chain(set.repeatables()).filter(is_new).map(|migration| migration.version().clone()).collect()
    }
}

/// The name of a file in a folder, as git writes it.
fn name_in(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// Loads files as if they were in this folder.
fn set_of(files: &Files, like: &MigrationFolder) -> CoreResult<MigrationSet> {
    if like.layout == Layout::Roundtrip {
        let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        return MigrationSet::of_files(Path::new("migrations"), files);
    }
    // Only the roundtrip layout can be read from memory.
    let folder = tempfile::tempdir().map_err(unwritable)?;
    for (name, bytes) in files {
        let path = folder.path().join(name);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| std::fs::write(&path, bytes)).map_err(unwritable)?;
    }
    // A file that is left out now may not have been there yet.
    let skip = like.skip.iter().filter(|name| folder.path().join(name).exists()).cloned().collect();
    MigrationFolder { path: folder.path().to_owned(), skip, ..like.clone() }.load()
}

fn unwritable(error: std::io::Error) -> migrate_core::Error {
    let finding = migrate_base::finding::Finding::new(
        codes::TEMPORARY_FOLDER,
        format!("cannot create a temporary folder: {error}"),
    );
    migrate_core::Error::new(
        migrate_core::ErrorKind::Configuration,
        finding.help("check TMPDIR and its free disk space"),
    )
}

/// The text of a file without insignificant differences: a byte order mark, line endings.
fn text(bytes: &[u8]) -> String {
    normalise(&String::from_utf8_lossy(bytes)).into_owned()
}
