//! The executable: the command line, with the Rust migrations of this repository, and its chores.

mod dev;
#[path = "../../migrations/mod.rs"]
mod migrations;

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(first) if first == "dev" => dev::run(arguments),
        _ => migrate_cli::main(migrations::all()),
    }
}
