//! What git knows about the checkout: the commit, and whether migrations differ from it.

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
