//! PostgreSQL servers: one that is kept for development, and throw-away ones for tests.
//!
//! A server comes from the first that serves: an address that is given, the PostgreSQL
//! binaries of this machine, Docker. What runs on it is left to the callers.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)
)]

mod error;
mod random;

pub mod provider;

mod ephemeral;
mod managed;

mod generate;
mod rows;

pub mod proof;

pub use ephemeral::{EphemeralServer, TestDatabase, server};
pub use error::ServerError;
pub use managed::{Endpoint, Managed, Progress, Source, Status};
pub use rows::Loss;
