//! What a command may remove, because git can bring it back.

use std::path::{Path, PathBuf};

use migrate_base::codes;

use crate::exit::{Failure, Result};
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
