//! `completions`: the completion script of a shell.

use clap::CommandFactory;

use crate::cli::Cli;
use crate::exit::{Exit, Result};
use crate::invocation;
use crate::output::Output;

pub(crate) fn run(output: &Output, shell: clap_complete::Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), invocation::name(), &mut script);
    output.verbatim(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
