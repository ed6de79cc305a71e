//! The command line of Roundtrip, as a library: `cargo xtask …`.
//!
//! It parses arguments, finds the database, calls the other crates, and shows the results. It also decides what is
//! released, in which order to deploy, whether to advise a rollback, and what to ask before a run.
//!
//! Another workspace can use it with an `xtask` of three lines, and the alias `xtask = "run --package xtask --"` in
//! `.cargo/config.toml`:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     migrate_cli::main(migrate_core::CodeMigrations::none())
//! }
//! ```
//!
//! Migrations that are written in Rust are passed to [`main`]. The exit code is an [`Exit`]: its numbers never change.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod brief;
mod checks;
mod cli;
mod cmd;
mod confirm;
mod context;
mod drift;
mod drill;
mod exit;
mod explain;
mod files;
mod form;
mod git;
mod invocation;
mod notify;
mod output;
mod record;
mod released;
mod report;
mod shadow;
mod shared_json;
mod usage;

use migrate_base::codes;
use std::process::ExitCode;

use migrate_core::CodeMigrations;

pub use cli::Cli;
pub use exit::Exit;

/// Runs the command line of this process; `code` has the migrations that are written in Rust.
pub fn main(code: CodeMigrations) -> ExitCode {
    let exit = run(code);
    // If the result could not be printed completely, the command failed.
    if output::printer::is_incomplete() { Exit::Failed.into() } else { exit }
}

fn run(code: CodeMigrations) -> ExitCode {
    let cli = match usage::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    let output = output::CliOutput::new(&cli.global);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(cmd::run(&cli, code, &output)),
        Err(error) => {
            Err(exit::Failure::usage(codes::RUNTIME, format!("this process cannot start a runtime: {error}")))
        }
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit().into()
        }
    }
}
