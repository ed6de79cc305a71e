//! The executable for any project whose migrations are all in SQL.

fn main() -> std::process::ExitCode {
    migrate_cli::main(migrate_core::CodeMigrations::none())
}
