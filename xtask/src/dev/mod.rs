//! The chores of this repository: `cargo xtask dev`.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod artefacts;
mod book;
mod cli;
mod documents;
mod split;
mod tools;
mod validate;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use xshell::{Shell, cmd};

use cli::{BookQuestion, Chore, DevCli};

/// A chore fails with a message for the maintainer who runs it.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Runs a chore; the arguments are those after `dev`.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = DevCli::parse_from(std::iter::once(OsString::from("dev")).chain(arguments));
    match chore(cli.chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn chore(chore: Chore) -> Result {
    match chore {
        Chore::Artefacts { target } => artefacts::run(&repository()?, target),
        Chore::Bench { arguments } => {
            let sh = repository()?;
            Ok(tools::cargo(&sh).args(["run", "--release", "-p", "bench", "--"]).args(arguments).run()?)
        }
        Chore::Book { question: None } => book::run(),
        Chore::Book { question: Some(BookQuestion::Supports { .. }) } => Ok(()),
        Chore::Documents => documents::run(&repository()?),
        Chore::Regress { arguments } => {
            // In the folder of the caller, because the arguments are paths.
            let (sh, root) = (Shell::new()?, root()?);
            Ok(cmd!(sh, "python3 {root}/ci/regress.py {arguments...}").run()?)
        }
        Chore::Split { tools, count, seed } => split::run(&repository()?, &std::path::absolute(tools)?, count, seed),
        Chore::Validate { tools } => validate::run(&repository()?, &std::path::absolute(tools)?),
    }
}

/// A shell in the root of this repository.
fn repository() -> Result<Shell> {
    let sh = Shell::new()?;
    sh.change_dir(root()?);
    Ok(sh)
}

/// The folder of this repository. An executable that was copied elsewhere has none.
fn root() -> Result<&'static Path> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().filter(|root| root.join("ci/regress.py").is_file());
    root.ok_or_else(|| "a chore needs the repository in which this executable was built".into())
}
