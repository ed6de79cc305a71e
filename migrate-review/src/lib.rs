//! What Roundtrip checks before a migration is merged or run: the rules for SQL, the locks that statements take, what a
//! script removes, the services that share the database, and the project configuration that says what matters.
//!
//! It reads files and, on request, a database. It changes nothing and prints nothing.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)
)]

pub mod config;
pub mod consumer;
mod database_source;
pub mod draft;
pub mod effect;
pub mod evidence;
pub mod lint;
pub mod locks;
pub mod parse;
mod toml_file;
pub mod tree;
