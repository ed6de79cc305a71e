//! What git knows about the checkout: the commit, and whether migrations differ from it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// The commit of the checkout that holds `folder`, with `-dirty` where files in it differ
/// from the commit; `None` without git or outside of a checkout.
pub(crate) fn commit(folder: &Path) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(["--no-optional-locks", "status", "--porcelain=v2", "--branch", "--", "."]);
    let output = git.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    let commit = text.lines().find_map(|line| line.strip_prefix("# branch.oid "))?;
    if commit == "(initial)" {
        return None;
    }
    let dirty = text.lines().any(|line| !line.starts_with('#'));
    Some(if dirty { format!("{commit}-dirty") } else { commit.to_owned() })
}

/// Whether git keeps this file.
pub(crate) fn tracks(file: &Path) -> bool {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = file.file_name() else { return false };
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(["ls-files", "--error-unmatch", "--"]).arg(name);
    git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The names of the files in `folder` that are the same as where the branch began; `None`
/// without git, or where the base cannot be found.
///
/// The base is the given one, or the first of the usual names that there is.
pub(crate) fn unchanged(folder: &Path, base: Option<&str>) -> Option<BTreeSet<String>> {
    let usual = ["origin/HEAD", "origin/main", "origin/master", "main", "master"];
    let bases: Vec<&str> = base.map_or(usual.to_vec(), |base| vec![base]);
    let fork = bases.iter().find_map(|base| ask(folder, &["merge-base", "HEAD", base]))?;
    let fork = fork.trim();
    let there = ask(folder, &["ls-tree", "--name-only", "-z", fork, "."])?;
    let changed = ask(folder, &["diff", "--name-only", "--relative", "-z", fork, "--", "."])?;
    let names =
        |text: &str| text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect::<BTreeSet<_>>();
    Some(&names(&there) - &names(&changed))
}

/// What git answers, where it can.
fn ask(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).arg("--no-optional-locks").args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    let output = git.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
