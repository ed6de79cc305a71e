//! Fixtures for `#[rstest]`: a server, an empty database, a migrated database.
//!
//! ```no_run
//! use migrate_test::TestDatabase;
//! use migrate_test::fixtures::migrated_db;
//! use rstest::rstest;
//!
//! #[rstest]
//! #[tokio::test]
//! async fn an_order_needs_a_user(#[future(awt)] migrated_db: TestDatabase) {
//!     let options = migrated_db.options(); // of sqlx; `url()` is for other drivers
//! }
//! ```
//!
//! The chain comes from the `migrate.toml` in the folder of the test's package or in a folder above it. Every
//! test gets its own copy of the database and opens its own connections in its own runtime: tests share only
//! addresses. For a chain with migrations written in Rust, use [`migrated`], which takes them
//! as an argument.
//!
//! A fixture that fails panics, as tests do.

#![allow(clippy::panic, reason = "a fixture has no other way to fail its test")]

use std::path::PathBuf;
use std::sync::Arc;

use migrate_core::{CodeMigrations, Migration, MigrationSet};
use migrate_review::config::Config;
use rstest::fixture;

use crate::ephemeral::{EphemeralServer, Setup, TestDatabase, migrated};

/// The server that all tests of this process use.
#[fixture]
pub async fn server() -> &'static EphemeralServer {
    crate::server().await.unwrap_or_else(|error| panic!("{error}\n{}", error.help().join("\n")))
}

/// An empty database.
#[fixture]
pub async fn empty_db() -> TestDatabase {
    // It includes what `[shadow]` sets up, if a migrate.toml does so.
    let package = package();
    if let Ok(setup) = Config::load(None, &package).and_then(|config| Setup::load(&config)) {
        setup.begin();
    }
    TestDatabase::create().await.unwrap_or_else(|error| panic!("{error}\n{}", error.help().join("\n")))
}

/// A database with all migrations applied.
#[fixture]
pub async fn migrated_db() -> TestDatabase {
    at(None).await
}

/// A database migrated up to and including this version: `#[with("20250224091500")]`.
#[fixture]
pub async fn database_at(#[default("0")] version: &str) -> TestDatabase {
    at(Some(version)).await
}

async fn at(version: Option<&str>) -> TestDatabase {
    let chain = chain();
    let end = match version {
        None => chain.len(),
        Some("0") => 0,
        Some(version) => chain
            .iter()
            .position(|migration| migration.version().as_str() == version)
            .map_or_else(|| panic!("there is no migration {version}"), |at| at + 1),
    };
    let database = migrated(&chain[..end], &CodeMigrations::none(), true).await;
    database.unwrap_or_else(|error| panic!("{error}"))
}

fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// The chain of the package under test.
fn chain() -> Vec<Arc<Migration>> {
    let package = package();
    let set = Config::load(None, &package).and_then(|config| {
        config.shadow_limit.into_iter().for_each(crate::limit_statements);
        Setup::load(&config)?.begin();
        MigrationSet::load(config.migrations)
    });
    let set = set.unwrap_or_else(|error| panic!("{error}"));
    assert!(!set.is_empty(), "{}", set.why_empty());
    set.iter().cloned().collect()
}
