//! Replaces files by others: only what git can bring back, and never so that a failure loses something.

use std::fs;
use std::path::{Path, PathBuf};

use migrate_base::codes;

use crate::exit::{Failure, Result};
use crate::files::{self, FileDraft};
use crate::git;
use crate::output::style;

/// Refuses to remove what git cannot bring back. Outside a checkout, nobody expects that it can.
pub(super) fn refuse_uncommitted(folder: &Path, old: &[PathBuf]) -> Result<()> {
    let Some(committed) = git::committed(folder) else { return Ok(()) };
    let name = |path: &PathBuf| path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let lacking: Vec<String> = old.iter().map(name).filter(|name| !committed.contains(name)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let what = style::count(lacking.len(), "file");
    let verb = if lacking.len() == 1 { "is" } else { "are" };
    let message = format!("{what} that this removes {verb} not in git as {verb} now");
    let failure = Failure::usage(codes::NOT_COMMITTED, message);
    Err(lacking.into_iter().fold(failure, Failure::note).help("commit them first; after that, git can bring them back"))
}

/// Writes the new files beside the old ones first, so that nothing is lost if a step fails.
pub(super) fn replace(folder: &Path, drafts: &[FileDraft], old: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let hidden = |name: &str| folder.join(format!(".{name}"));
    for (name, text) in drafts {
        let path = hidden(name);
        fs::write(&path, text).map_err(|error| files::cannot(&path, &error))?;
    }
    for path in old {
        fs::remove_file(path).map_err(|error| files::cannot(path, &error))?;
        // A folder of its own, if nothing else is in it.
        let parent = path.parent().filter(|parent| *parent != folder);
        parent.into_iter().for_each(|parent| drop(fs::remove_dir(parent)));
    }
    let mut created = Vec::new();
    for (name, _) in drafts {
        let path = folder.join(name);
        fs::rename(hidden(name), &path).map_err(|error| files::cannot(&path, &error))?;
        created.push(path);
    }
    Ok(created)
}
