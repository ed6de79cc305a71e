//! `completions`: the completion script of a shell.

use clap::CommandFactory;

use crate::cli::Cli;
use crate::exit::{Exit, Result};

pub(crate) fn run(shell: clap_complete::Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "xtask", &mut script);
    // A reader that went away is no error.
    let _ = std::io::Write::write_all(&mut std::io::stdout().lock(), &script);
    Ok(Exit::Done)
}
