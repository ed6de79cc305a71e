//! What git knows about the checkout: the commit, the base branch, and files of other commits.
//!
//! It runs the `git` of this machine and changes nothing. Other modules decide what follows from the answers.

mod base;
mod tree;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use migrate_test::provider::child::{ChildEnvironment, command};

pub(crate) use base::{BaseBranch, BaseSearch, find};
pub(crate) use tree::{Files, files_here, files_like};

/// The commit of the checkout that holds `folder`, with `-dirty` where files in it differ
/// from the commit; `None` without git or outside a checkout.
pub(crate) fn commit(folder: &Path) -> Option<String> {
    let text = ask(folder, &["status", "--porcelain=v2", "--branch", "--", "."])?;
    let commit = text.lines().find_map(|line| line.strip_prefix("# branch.oid "))?;
    if commit == "(initial)" {
        return None;
    }
    let dirty = text.lines().any(|line| !line.starts_with('#'));
    Some(if dirty { format!("{commit}-dirty") } else { commit.to_owned() })
}

/// Whether git tracks this file.
pub(crate) fn tracks(file: &Path) -> bool {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = file.file_name().map(|name| name.to_string_lossy()) else { return false };
    ask(folder, &["ls-files", "--error-unmatch", "--", &*name]).is_some()
}

/// The names in a folder of which the newest commit has the present text; `None` without git or outside a checkout.
pub(crate) fn committed(folder: &Path) -> Option<BTreeSet<String>> {
    root(folder)?;
    let names = |arguments: &[&str]| -> BTreeSet<String> {
        // Without a first commit, nothing is committed.
        let text = ask(folder, arguments).unwrap_or_default();
        text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let there = names(&["ls-tree", "-r", "--name-only", "-z", "HEAD"]);
    let changed = names(&["diff", "--name-only", "-z", "--relative", "--no-renames", "HEAD", "--", "."]);
    Some(&there - &changed)
}

/// The folder at the top of the checkout.
pub(crate) fn root(folder: &Path) -> Option<PathBuf> {
    ask(folder, &["rev-parse", "--show-toplevel"]).map(|path| PathBuf::from(path.trim_end_matches('\n')))
}

/// A commit, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Its abbreviated hash.
    pub(crate) id: String,
    /// Its author.
    pub(crate) author: String,
    /// The day of the commit.
    pub(crate) day: String,
}

impl std::fmt::Display for Commit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}, {})", self.id, self.author, self.day)
    }
}

/// The newest commit of a range that touched a file; `None` if there is none.
pub(crate) fn last_touch(folder: &Path, range: &str, file: &str) -> Option<Commit> {
    let text = ask(folder, &["log", "-1", "--format=%h%x00%an%x00%as", range, "--", file])?;
    let mut parts = text.trim_end_matches('\n').split('\0').map(str::to_owned);
    Some(Commit { id: parts.next().filter(|id| !id.is_empty())?, author: parts.next()?, day: parts.next()? })
}

/// The time of the newest commit that touched one of these paths, in seconds since 1970; `None` if git tracks none of
/// them.
pub(crate) fn touched(folder: &Path, paths: &[PathBuf]) -> Option<u64> {
    let paths: Vec<String> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let arguments = ["log", "-1", "--format=%ct", "--"].into_iter().chain(paths.iter().map(String::as_str));
    ask(folder, &arguments.collect::<Vec<_>>())?.trim().parse().ok()
}

/// The output of a git command, if it succeeds.
fn ask(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = command("git", ChildEnvironment::Git);
    git.arg("-C").arg(folder).arg("--no-optional-locks").args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    let output = git.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
