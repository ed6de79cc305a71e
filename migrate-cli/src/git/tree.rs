//! The files of a folder: as they are now, and as they were at a commit.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use migrate_test::provider::child::{ChildEnvironment, command};

use super::ask;

/// Files by their paths in the folder, with `/`.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The files of the folder at a commit whose path in the folder is wanted; `None` if git fails. A folder that did not
/// exist then had no files.
pub(crate) fn files_like(folder: &Path, commit: &str, wanted: &dyn Fn(&str) -> bool) -> Option<Files> {
    let listed = ask(folder, &["ls-tree", "-r", "-z", commit, "."])?;
    let entry = |line: &str| {
        let (head, path) = line.split_once('\t')?;
        let mut words = head.split(' ').skip(1);
        (words.next() == Some("blob")).then_some(())?;
        Some((words.next()?.to_owned(), path.to_owned()))
    };
    let entries = listed.split('\0').filter_map(entry);
    let entries: Vec<(String, String)> = entries.filter(|(_, path)| wanted(path)).collect();
    let contents = contents(folder, entries.iter().map(|(id, _)| id.clone()).collect())?;
    Some(entries.into_iter().map(|(_, path)| path).zip(contents).collect())
}

/// The contents of objects, in one process.
fn contents(folder: &Path, ids: Vec<String>) -> Option<Vec<Vec<u8>>> {
    if ids.is_empty() {
        return Some(Vec::new());
    }
    let mut git = command("git", ChildEnvironment::Git);
    git.arg("-C").arg(folder).args(["cat-file", "--batch"]);
    let mut child = git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut input = child.stdin.take()?;
    let count = ids.len();
    // Both pipes have small buffers, so one process has to read while the other writes.
    let writer = std::thread::spawn(move || ids.iter().all(|id| writeln!(input, "{id}").is_ok()));
    let mut all = Vec::new();
    child.stdout.take()?.read_to_end(&mut all).ok()?;
    writer.join().ok().filter(|written| *written)?;
    child.wait().ok().filter(std::process::ExitStatus::success)?;
    let mut rest = &all[..];
    let mut contents = Vec::with_capacity(count);
    for _ in 0..count {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let size: usize = std::str::from_utf8(&rest[..end]).ok()?.rsplit(' ').next()?.parse().ok()?;
        let body = rest.get(end + 1..end + 1 + size)?;
        contents.push(body.to_vec());
        rest = rest.get(end + 2 + size..)?;
    }
    Some(contents)
}

/// The files of the folder as they are now. Files that cannot be read are skipped; loading the folder reports them.
pub(crate) fn files_here(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    // A symbolic link may lead back to a parent folder.
    let mut seen = BTreeSet::new();
    while let Some((at, prefix)) = folders.pop() {
        for entry in std::fs::read_dir(at).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), format!("{prefix}{}", entry.file_name().to_string_lossy()));
            if path.is_dir() {
                let is_new = path.canonicalize().is_ok_and(|real| seen.insert(real));
                folders.extend(is_new.then(|| (path, format!("{name}/"))));
            } else if let Ok(bytes) = migrate_base::regular::read(&path) {
                files.insert(name, bytes);
            }
        }
    }
    files
}
