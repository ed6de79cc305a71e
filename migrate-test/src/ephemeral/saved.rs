//! The data folders that are saved for later servers: copied, counted, removed.

use std::fs;
use std::path::{Path, PathBuf};

use super::own::{FOLDER, SAVED, named, since_1970};
use crate::error::ServerError;
use crate::provider::account::Account;
use crate::provider::cluster::{Cluster, private_folder, remove};
use crate::random;

/// How many data folders of chains are kept.
const MOST: usize = 8;

/// Whether a folder has all of its data; it gets its name when it is complete.
pub(super) fn is_whole(saved: &Path) -> bool {
    Cluster::data_major(&saved.join("data")).is_some()
}

/// Records when saved data was used.
pub(super) fn touch(saved: &Path) {
    // Without this, the data is among the first to be removed.
    let _ = fs::write(saved.join("used"), since_1970().to_string());
}

fn used(saved: &Path) -> u64 {
    fs::read_to_string(saved.join("used")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Removes the saved data that has not been used for the longest time, while there is too much.
pub(super) fn evict(home: &Path) {
    let mut all: Vec<(u64, PathBuf)> = named(home, SAVED).map(|saved| (used(&saved), saved)).collect();
    all.sort();
    for (_, saved) in all.iter().rev().skip(MOST) {
        // What cannot be removed now is removed the next time.
        let _ = discard(home, saved);
    }
}

/// Removes saved data. Another process may be copying it: the folder is renamed first, so that its copy fails
/// completely and never has only half of the files.
fn discard(home: &Path, saved: &Path) -> Result<(), ServerError> {
    let nameless = home.join(format!("{FOLDER}{}", random::hex(8)));
    match fs::rename(saved, &nameless) {
        Ok(()) => remove(&nameless),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ServerError::io(saved, "removed")(error)),
    }
}

/// Removes all saved data of chains; returns how many folders there were.
pub(super) fn clear(home: &Path) -> Result<usize, ServerError> {
    let all: Vec<PathBuf> = named(home, SAVED).collect();
    all.iter().try_for_each(|saved| discard(home, saved))?;
    Ok(all.len())
}

/// Copies a data folder of a server that is not running. If the file system supports it, the copy shares its
/// blocks.
pub(super) async fn copy(from: PathBuf, to: PathBuf, account: Option<Account>) -> Result<(), ServerError> {
    let copied = tokio::task::spawn_blocking(move || copy_folder(&from, &to, account.as_ref())).await;
    copied.map_err(|error| ServerError::Program { program: "copy".to_owned(), why: error.to_string() })?
}

fn copy_folder(from: &Path, to: &Path, account: Option<&Account>) -> Result<(), ServerError> {
    private_folder(to, account)?;
    for entry in fs::read_dir(from).map_err(ServerError::io(from, "read"))? {
        let entry = entry.map_err(ServerError::io(from, "read"))?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(ServerError::io(&path, "read"))?;
        if kind.is_dir() {
            copy_folder(&path, &copy, account)?;
        } else if kind.is_file() {
            fs::copy(&path, &copy).map_err(ServerError::io(&copy, "written"))?;
            account.map_or(Ok(()), |account| account.own(&copy))?;
        } else if kind.is_symlink() {
            // A tablespace in a folder outside: two servers cannot share it, and a copy without it is
            // incomplete.
            let why = "it points outside the data folder; a tablespace of a shadow database must keep its data inside";
            return Err(ServerError::io(&path, "copied")(std::io::Error::other(why)));
        }
    }
    Ok(())
}
