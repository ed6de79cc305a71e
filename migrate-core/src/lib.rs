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

pub mod audit;
pub mod drift;
pub mod kept;
pub mod ledger;
pub mod ours;
pub mod runner;
pub mod source;

pub use migrate_base::db::{Database, PgConnection};
pub use migrate_base::error::{Error, ErrorKind, Result};
pub use runner::{
    CancelHandle, CodeError, CodeMigration, CodeMigrations, Migrator, Options, Plan, RunPolicy, RunReport, Target,
};
pub use source::{MigrationSet, Version};

/// The files that `migrate_embed::folder` embedded in this package, for [`MigrationSet::embedded`].
#[macro_export]
macro_rules! embedded {
    () => {
        include!(concat!(env!("OUT_DIR"), "/embedded_migrations.rs"))
    };
}
