//! What Roundtrip checks before a migration is merged or run: the rules for SQL, the locks that statements take, what a
//! script removes, the services that share the database, and the project configuration that says what matters.
//!
//! It reads files and, on request, a database. It changes nothing and prints nothing.
//!
//! ```
//! use migrate_core::MigrationSet;
//! use migrate_core::ledger::Direction;
//! use migrate_review::config::LintConfig;
//! use migrate_review::lint::{LintSubject, judge};
//!
//! let set = MigrationSet::embedded(&[
//!     ("20250324083000_drop_fax.up.sql", b"ALTER TABLE users DROP COLUMN fax;"),
//!     ("20250324083000_drop_fax.down.sql", b"ALTER TABLE users ADD COLUMN fax text;"),
//! ])?;
//! let script = set.last().and_then(|migration| migration.up_script()).unwrap();
//!
//! // With the schemas before and after it, fewer findings would be wrong.
//! let subject = LintSubject { script, direction: Direction::Up, before: None, after: None, released: None };
//! let findings = judge(&subject, &LintConfig::default());
//! assert_eq!(findings[0].code, "ban-drop-column");
//! assert_eq!(findings[0].place.as_ref().unwrap().line_column(), Some((1, 19)));
//! # Ok::<(), migrate_core::Error>(())
//! ```
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
