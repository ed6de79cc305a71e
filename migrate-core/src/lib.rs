//! PostgreSQL schema migrations: plain SQL files with an up script and a down script, an append-only ledger, and a
//! runner that commits each migration together with its row in the ledger.
//!
//! This library reads files, makes plans, runs them and reports the results. It prints nothing.
//!
//! # At the start of an application
//!
//! If several instances start at once, one migrates and the others wait for it.
//!
//! ```no_run
//! use migrate_core::{MigrationSet, Migrator, RunPolicy, Target};
//!
//! async fn migrate(url: &str) -> migrate_core::Result<()> {
//!     let set = MigrationSet::load("migrations")?;
//!     let mut migrator = Migrator::connect(url, set).await?;
//!     let report = migrator.run(&Target::Latest, RunPolicy::default()).await?;
//!     println!("{} migrations applied", report.done.len());
//!     Ok(())
//! }
//! ```
//!
//! With the crate `migrate-embed` (the package `roundtrip-embed`), [`embedded!`] and [`MigrationSet::embedded`] take
//! the migrations from the executable instead. [`Migrator::ensure_at_least`] only checks: it fails unless a version
//! is applied.
//!
//! # Progress
//!
//! An [`Observer`] hears what a run does while it runs.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use migrate_core::{CodeMigrations, Database, MigrationSet, Migrator, Observer, Options, Progress};
//! use migrate_core::{RunPolicy, Target};
//!
//! struct Log;
//!
//! impl Observer for Log {
//!     fn hear(&self, progress: &Progress<'_>) {
//!         match progress {
//!             Progress::Done(step, elapsed) => eprintln!("{} took {elapsed:?}", step.version),
//!             Progress::Waiting(_) => eprintln!("waiting for another run"),
//!             Progress::Remark(text) => eprintln!("{text}"),
//!             _ => {}
//!         }
//!     }
//! }
//!
//! async fn migrate(url: &str, set: MigrationSet) -> migrate_core::Result<()> {
//!     let options = Options { observer: Arc::new(Log), ..Options::default() };
//!     let mut migrator = Migrator::open(Database::parse(url)?, set, CodeMigrations::none(), options).await?;
//!     migrator.run(&Target::Latest, RunPolicy::default()).await?;
//!     Ok(())
//! }
//! ```
//!
//! # Cancel
//!
//! A [`CancelHandle`] ends a run from elsewhere. The running statement is cancelled on the server, what was committed
//! stays, and the error has the report of it.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use migrate_core::{CodeMigrations, Database, ErrorKind, MigrationSet, Migrator, Options};
//! use migrate_core::{RunPolicy, RunReport, Target};
//!
//! async fn at_most_a_minute(database: Database, set: MigrationSet) -> migrate_core::Result<()> {
//!     let options = Options::default();
//!     let cancel = options.cancel.clone();
//!     tokio::spawn(async move {
//!         tokio::time::sleep(Duration::from_secs(60)).await;
//!         cancel.cancel();
//!     });
//!     let mut migrator = Migrator::open(database, set, CodeMigrations::none(), options).await?;
//!     match migrator.run(&Target::Latest, RunPolicy::default()).await {
//!         Err(error) if error.kind() == ErrorKind::Cancelled => {
//!             let done = RunReport::of(&error).map_or(0, |report| report.done.len());
//!             eprintln!("cancelled after {done} migrations");
//!             Ok(())
//!         }
//!         outcome => outcome.map(drop),
//!     }
//! }
//! ```
//!
//! # Errors
//!
//! An [`Error`] has a kind, which says what to do, and findings, each with a code that never changes. If the server
//! refused a statement, it also has the server's SQLSTATE.
//!
//! ```
//! use migrate_core::{Error, ErrorKind, MigrationSet};
//!
//! fn may_try_again(error: &Error) -> bool {
//!     match error.kind() {
//!         ErrorKind::Connection | ErrorKind::Lock => true,
//!         // A deadlock, or a serialization failure.
//!         ErrorKind::Statement => matches!(error.sqlstate(), Some("40P01" | "40001")),
//!         _ => false,
//!     }
//! }
//!
//! let error = MigrationSet::load("no/such/folder").unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::Files);
//! assert_eq!(error.findings()[0].code, "folder-unreadable");
//! assert!(!may_try_again(&error));
//! ```
//!
//! # A migration in Rust
//!
//! The folder has a file such as `20250331120000_hash_tokens.rs`; the executable has the code. Both directions run in
//! the transaction that also writes the ledger.
//!
//! ```
//! use migrate_core::{BoxFuture, CodeError, CodeMigration, CodeMigrations, PgConnection, Version};
//!
//! struct HashTokens;
//!
//! impl CodeMigration for HashTokens {
//!     fn version(&self) -> Version {
//!         Version::from(20_250_331_120_000)
//!     }
//!
//!     fn up<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
//!         Box::pin(async move {
//!             sqlx::query("UPDATE tokens SET digest = sha256(plain)").execute(connection).await?;
//!             Ok(())
//!         })
//!     }
//!
//!     fn down<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
//!         Box::pin(async move {
//!             sqlx::query("UPDATE tokens SET digest = NULL").execute(connection).await?;
//!             Ok(())
//!         })
//!     }
//! }
//!
//! // For `Migrator::open`, and for `migrate_cli::main`.
//! let code = CodeMigrations::none().with(HashTokens);
//! assert!(code.get(&HashTokens.version()).is_some());
//! ```
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)
)]

// What the other crates of Roundtrip use. An application finds what it needs at the root.
#[doc(hidden)]
pub mod audit;
#[doc(hidden)]
pub mod drift;
#[doc(hidden)]
pub mod foreign;
#[doc(hidden)]
pub mod kept;
#[doc(hidden)]
pub mod ledger;
#[doc(hidden)]
pub mod ours;
#[doc(hidden)]
pub mod runner;
#[doc(hidden)]
pub mod source;

pub use ledger::{Actor, Direction, HistoryEntry, LedgerEvent};
pub use migrate_base::db::{Database, PgConnection};
pub use migrate_base::error::{Error, ErrorKind, Exit, Result};
pub use migrate_base::finding::{Code, Finding, Place, Severity};
pub use migrate_base::ident::QualifiedName;
pub use runner::{
    AppliedMigration, AppliedStatus, BoxFuture, CancelHandle, CodeError, CodeMigration, CodeMigrations, CommittedStep,
    DownFrom, LedgerState, Migrator, Observer, Options, PendingStatus, Plan, PlanStep, Progress, RunPolicy, RunReport,
    RunningStep, SilentObserver, Status, StepWork, Target, UnfinishedMigration,
};
pub use source::{CapturedMigration, EmbeddedFile, Layout, Migration, MigrationFolder, MigrationSet, Version};

/// The files that `migrate_embed::folder` embedded in this package, for [`MigrationSet::embedded`].
#[macro_export]
macro_rules! embedded {
    () => {
        include!(concat!(env!("OUT_DIR"), "/embedded_migrations.rs"))
    };
}
