//! The foundation of all parts of Roundtrip: names and their quoting, findings and errors, the SQL lexer, and the
//! connection to a server.
//!
//! It prints nothing, and knows nothing about migrations or schemas.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)
)]

pub mod codes;
pub mod db;
pub mod duration;
pub mod error;
pub mod finding;
pub mod hint;
pub mod ident;
pub mod lock_mode;
pub mod parallel;
pub mod regular;
pub mod sql;
pub mod suggest;
pub mod template;
pub mod visible;
