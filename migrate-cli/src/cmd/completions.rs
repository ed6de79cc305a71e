//! `completions`: print the completion script for a shell.

use clap::CommandFactory;
use serde::Serialize;

use crate::cli::Cli;
use crate::exit::{Exit, Result};
use crate::invocation;
use crate::output::{CliOutput, DocumentJson};

#[derive(Serialize)]
struct CompletionsJson {
    shell: String,
    script: String,
}

pub(crate) fn run(output: &CliOutput, environment: &str, shell: clap_complete::Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), invocation::name(), &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match output.is_json() {
        true => {
            let document = CompletionsJson { shell: shell.to_string(), script };
            output.document(&DocumentJson::new("completions", environment, document));
        }
        false => output.verbatim(&script),
    }
    Ok(Exit::Done)
}
