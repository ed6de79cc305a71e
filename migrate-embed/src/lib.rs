//! Compiles a folder of migrations into an executable.
//!
//! You need one line in the build script and one line where the chain is used:
//!
//! ```no_run
//! // build.rs, in `main`
//! migrate_embed::folder("migrations");
//! ```
//!
//! ```text
//! let set = MigrationSet::embedded(migrate_core::embedded!())?;
//! ```
//!
//! The second line needs `migrate-core`, which this crate does not use; the user guide has both as a compiled example.
//!
//! This is a separate crate without dependencies, so that a build script does not have to build a database driver
//! first. It only lists files; `migrate-core` interprets them and reports problems, in the same words as for a folder
//! at run time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Embeds all files of `folder`, a path relative to the package, and tells cargo to embed them again when a file is
/// added, changed or removed.
///
/// # Panics
///
/// Panics outside a build script, and when the folder cannot be read: a build must not continue without the migrations
/// that it should embed.
pub fn folder(folder: impl AsRef<Path>) {
    let variable =
        |name: &str| PathBuf::from(env::var_os(name).unwrap_or_else(|| panic!("{name} is set for build scripts only")));
    let folder = variable("CARGO_MANIFEST_DIR").join(folder);
    let files = list(&folder).unwrap_or_else(|error| panic!("{} cannot be embedded: {error}", folder.display()));
    // Cargo compares the modification time of the folder itself, which changes when a file is added or removed.
    println!("cargo::rerun-if-changed={}", folder.display());
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let target = variable("OUT_DIR").join("embedded_migrations.rs");
    fs::write(&target, source(&files))
        .unwrap_or_else(|error| panic!("{} cannot be written: {error}", target.display()));
}

/// All files of a folder, in order; `mod.rs` and hidden files are not migrations.
fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') && name != "mod.rs" {
            // Reading a FIFO could block forever.
            if !fs::metadata(&path)?.is_file() {
                return Err(std::io::Error::other(format!("{} is not a regular file", path.display())));
            }
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The Rust expression with the name and the bytes of each file.
fn source(files: &[PathBuf]) -> String {
    let mut source = String::from("&[\n");
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // Writing to a String cannot fail.
        let _ = writeln!(source, "    ({name:?}, include_bytes!({:?}) as &[u8]),", file.display().to_string());
    }
    source.push_str("]\n");
    source
}
