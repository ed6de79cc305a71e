//! PostgreSQL schema migrations: plain SQL files with an up script and a down script, an append-only ledger, and a
//! runner that commits each migration together with its row in the ledger.
//!
//! This library reads files, makes plans, runs them and reports the results. It prints nothing.
//!
//! ```no_run
//! use migrate_core::{MigrationSet, Migrator, Policy, Target};
//!
//! async fn migrate(url: &str) -> Result<(), migrate_core::Error> {
//!     let set = MigrationSet::load("migrations")?;
//!     let mut migrator = Migrator::connect(url, set).await?;
//!     let report = migrator.run(&Target::Latest, Policy::default()).await?;
//!     println!("{} migrations applied", report.done.len());
//!     Ok(())
//! }
//! ```
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)
)]

// Basic types that everything else uses.
pub mod config;
pub mod duration;
pub mod error;
pub mod finding;
pub mod hint;
pub mod ident;
pub mod lock_mode;
mod parallel;
pub mod regular;
pub mod suggest;
mod template;
pub mod visible;

// Text processing without I/O.
pub mod source;
pub mod sql;

// The schema of a database, and common changes to it.
pub mod draft;
pub mod schema;

// Server.
pub mod db;
pub mod ledger;

// Engine.
pub mod runner;

// Features for teams.
pub mod audit;
pub mod consumer;
pub mod drift;
#[cfg(feature = "lint")]
pub mod effect;
pub mod evidence;
pub mod kept;
#[cfg(feature = "lint")]
pub mod lint;
#[cfg(feature = "lint")]
pub mod locks;

pub use db::{Database, PgConnection};
pub use error::{Error, ErrorKind, Result};
pub use runner::{
    Cancel, CodeError, CodeMigration, CodeMigrations, Migrator, Options, Plan, Policy, RunReport, Target,
};
pub use source::{MigrationSet, Version};

/// The files that `migrate_embed::folder` embedded in this package, for [`MigrationSet::embedded`].
#[macro_export]
macro_rules! embedded {
    () => {
        include!(concat!(env!("OUT_DIR"), "/embedded_migrations.rs"))
    };
}
