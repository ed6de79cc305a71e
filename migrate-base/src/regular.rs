//! Reads files that a user names: regular files only, following links.
//!
//! Reading a FIFO could block forever, a device may never end, and a server accepts no statement of a gigabyte.

use std::fs::{self, File, FileType};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// The size limit for files: PostgreSQL accepts no longer message.
///
/// See `MaxAllocSize` in PostgreSQL's memutils.h.
const LARGEST: u64 = (1 << 30) - 1;

/// Larger than most scripts, in bytes.
const USUAL: usize = 8 << 10;

/// Reads a regular file, or the file that a link leads to.
///
/// # Errors
///
/// Returns the errors of the file system. For a folder, a FIFO, a socket, a device or a file of a gigabyte or more, the
/// error says what it is.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let metadata = fs::metadata(path).map_err(|error| nowhere(path, error))?;
    if !metadata.is_file() {
        return Err(Error::other(format!("it is {}, but only regular files are read", kind(metadata.file_type()))));
    }
    if metadata.len() > LARGEST {
        return Err(too_large(metadata.len()));
    }
    to_the_end(File::open(path)?, Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0)))
}

/// Like [`read`], for a file that its folder lists as a regular one: nothing has to be checked before it is opened, and
/// only a long file is asked for its size.
///
/// # Errors
///
/// Those of [`read`].
pub fn read_listed(path: &Path) -> Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::with_capacity(USUAL);
    Read::by_ref(&mut file).take(USUAL as u64).read_to_end(&mut bytes)?;
    if bytes.len() < USUAL {
        return Ok(bytes);
    }
    match file.metadata()?.len() {
        size if size > LARGEST => Err(too_large(size)),
        _ => to_the_end(file, bytes),
    }
}

/// Reads the rest of a file: it may have grown since, or may not report its size, as files in /proc.
fn to_the_end(file: File, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    file.take(LARGEST + 1 - bytes.len() as u64).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= LARGEST => Ok(bytes),
        _ => Err(too_large(LARGEST)),
    }
}

fn too_large(bytes: u64) -> Error {
    Error::other(format!("it has {} MB, but a server accepts less than 1024 MB", bytes >> 20))
}

/// Reads the text of a regular file.
///
/// # Errors
///
/// Those of [`read`], and [`ErrorKind::InvalidData`] for bytes that are not UTF-8.
pub fn read_to_string(path: impl AsRef<Path>) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// What to do about a file that could not be read.
pub fn help(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => "check its permissions",
        ErrorKind::NotFound | ErrorKind::NotADirectory => "correct the link or the path",
        ErrorKind::InvalidData => "save it as UTF-8",
        _ => "replace it with a regular file, or move it elsewhere",
    }
}

/// Names the target of a dangling link; the file system only says that something is missing.
fn nowhere(path: &Path, error: Error) -> Error {
    match fs::read_link(path) {
        Ok(target) if error.kind() == ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, format!("it is a link to {}, which does not exist", target.display()))
        }
        _ => error,
    }
}

#[cfg(unix)]
fn kind(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    }
}

#[cfg(not(unix))]
fn kind(kind: FileType) -> &'static str {
    if kind.is_dir() { "a folder" } else { "something else" }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_regular_files_are_read_and_the_rest_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "SELECT 1").unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("nothing"), at("dangling")).unwrap();
        symlink(at("loop"), at("loop")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        // Sparse: it takes no disk space.
        File::create(at("huge")).unwrap().set_len(1 << 34).unwrap();
        let why = |path: &Path| read(path).unwrap_err().to_string();
        assert_eq!(
            (read(at("file")).unwrap(), read_to_string(at("link")).unwrap()),
            (b"SELECT 1".into(), "SELECT 1".into())
        );
        assert_eq!(why(&at("dangling")), format!("it is a link to {}, which does not exist", at("nothing").display()));
        assert!(why(&at("loop")).contains("symbolic links"), "{}", why(&at("loop")));
        assert!(why(&at("socket")).starts_with("it is a socket"));
        assert!(why(folder.path()).starts_with("it is a folder"));
        assert!(why(Path::new("/dev/zero")).starts_with("it is a device"));
        assert!(why(&at("huge")).starts_with("it has 16384 MB"));
        let listed = |name: &str| read_listed(&at(name));
        assert!(listed("huge").unwrap_err().to_string().starts_with("it has 16384 MB"));
        assert!(listed("dangling").is_err() && listed("file").unwrap() == b"SELECT 1");
        for length in [0, 1, USUAL - 1, USUAL, USUAL + 1, 3 * USUAL] {
            fs::write(at("long"), "x".repeat(length)).unwrap();
            assert_eq!(listed("long").unwrap().len(), length);
        }
    }
}
