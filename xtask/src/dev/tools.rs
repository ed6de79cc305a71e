//! Programs that chores need: of Python packages, installed once, and of this workspace.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use xshell::{Cmd, Shell, cmd};

use super::Result;

/// How the names of folders begin that chores make in a folder for tools.
pub(super) const MADE: &str = "roundtrip-";

/// Cargo, without what an outer `cargo run` says about its package. The build script of ring depends on that, so ring
/// and every crate above it would be built again.
pub(super) fn cargo<'s>(sh: &'s Shell) -> Cmd<'s> {
    let of_package = |name: &OsStr| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    };
    let names = std::env::vars_os().map(|(name, _)| name).filter(|name| of_package(name));
    names.fold(cmd!(sh, "cargo"), Cmd::env_remove)
}

/// Whether a command succeeds; its output is not shown.
pub(super) fn succeeds(command: Cmd<'_>) -> bool {
    command.quiet().ignore_stdout().ignore_stderr().run().is_ok()
}

/// Removes a folder that a chore made in a folder for tools. Anything else is not ours to remove.
///
/// # Errors
///
/// If the folder exists and its name does not say that a chore made it.
pub(super) fn remove_made(sh: &Shell, folder: &Path) -> Result {
    let is_made = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(MADE));
    if sh.path_exists(folder) && !is_made {
        return Err(format!("{} is in the way: remove it, or name another folder for tools", folder.display()).into());
    }
    Ok(sh.remove_path(folder)?)
}

/// The programs of a virtual environment that has this module. It is made if the module is missing.
pub(super) fn python(sh: &Shell, folder: &Path, module: &str, requirement: &str) -> Result<PathBuf> {
    let programs = folder.join("bin");
    let import = format!("import {module}");
    if !succeeds(cmd!(sh, "{programs}/python -c {import}")) {
        remove_made(sh, folder)?;
        cmd!(sh, "python3 -m venv {folder}").run()?;
        cmd!(sh, "{programs}/pip install --quiet {requirement}").run()?;
    }
    Ok(programs)
}

/// Builds an executable with `cargo build` and these arguments, and returns where it is.
pub(super) fn built(sh: &Shell, arguments: &[&str]) -> Result<PathBuf> {
    let build = cargo(sh).args(["build", "--quiet", "--message-format", "json-render-diagnostics"]);
    let messages = build.args(arguments).read()?;
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    };
    let found = messages.lines().rev().find_map(executable);
    found.ok_or_else(|| format!("cargo built no executable: {arguments:?}").into())
}
