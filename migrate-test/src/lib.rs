//! The proof that migrations can be undone, and the PostgreSQL servers that it runs on.
//!
//! [`suite!`] creates one test per migration of a folder. [`fixtures`] provides databases for the tests of an
//! application. [`proof`] contains the laws themselves. The server is the first one available of: an address
//! that is given, the PostgreSQL binaries on this machine, Docker.
//!
//! # A test with a database
//!
//! Each test gets its own copy of a database with all migrations applied, which is dropped after it. Copies are made
//! from a template, so that the chain is applied only once. If a test fails, its database is kept for half an hour.
//!
//! ```no_run
//! # #[cfg(feature = "rstest")]
//! # mod example {
//! use migrate_test::{TestDatabase, fixtures::migrated_db};
//! use rstest::rstest;
//! use sqlx::{Connection, PgConnection};
//!
//! #[rstest]
//! #[tokio::test]
//! async fn an_order_needs_a_user(#[future(awt)] migrated_db: TestDatabase) {
//!     let mut connection = PgConnection::connect_with(&migrated_db.options()).await.unwrap();
//!     let order = sqlx::query("INSERT INTO orders (total) VALUES (1)").execute(&mut connection).await;
//!     assert!(order.is_err());
//! }
//! # }
//! ```
//!
//! # The proof as a test suite
//!
//! ```no_run
//! // tests/migrations.rs; in Cargo.toml: [[test]] name = "migrations", harness = false
//! # #[cfg(feature = "suite")]
//! migrate_test::suite!("../migrations");
//! ```
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)
)]

mod error;
mod random;

pub mod provider;

pub mod engine;
mod ephemeral;
mod managed;

mod generate;
mod rows;

pub mod consume;
pub mod observe;
pub mod owner;
pub mod proof;
pub mod shape;

#[cfg(feature = "rstest")]
pub mod fixtures;
#[cfg(feature = "suite")]
mod suite;

pub use ephemeral::{
    EphemeralServer, ReplaySettings, Setup, TestDatabase, clear, limit_statements, migrated, server, statement_limit,
    use_server, use_source,
};
pub use error::ServerError;
pub use managed::{Endpoint, ManagedServer, ProviderChoice, ServerProgress, ServerStatus};
pub use migrate_core::CodeMigrations;
pub use rows::RowLoss;
#[cfg(feature = "suite")]
pub use suite::suite;
