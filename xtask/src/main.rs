//! The executable: the command line, with the Rust migrations of this repository.

#[path = "../../migrations/mod.rs"]
mod migrations;

fn main() -> std::process::ExitCode {
    migrate_cli::main(migrations::all())
}
