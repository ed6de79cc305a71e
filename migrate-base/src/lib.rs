//! The foundation of all parts of Roundtrip: names and their quoting, findings and errors, the SQL lexer, and the
//! connection to a server.
//!
//! It prints nothing, and knows nothing about migrations or schemas. Applications use it through `migrate-core`, which
//! exports what they need.
//!
//! Everything that Roundtrip reports is a [`Finding`](finding::Finding): what is wrong, where, why, and what to do. An
//! [`Error`](error::Error) has a kind for programs and findings for people.
//!
//! ```
//! use migrate_base::codes;
//! use migrate_base::error::{Error, ErrorKind};
//! use migrate_base::finding::{Finding, Place};
//!
//! let text = "ALTER TABEL orders;";
//! let place = Place::within("migrations/1_orders.up.sql", text.into(), 6..11).labelled("not a keyword");
//! let finding = Finding::new(codes::STATEMENT_FAILED, "syntax error").at(place).help("write TABLE");
//! let error = Error::new(ErrorKind::Statement, finding).with_sqlstate("42601");
//!
//! assert_eq!(error.to_string(), "migrations/1_orders.up.sql:1:7: syntax error");
//! assert_eq!(error.findings()[0].help, ["write TABLE"]);
//! ```
//!
//! [`sql`] splits scripts as psql does, and [`ident`] quotes names as the server does.
//!
//! ```
//! use migrate_base::ident::QualifiedName;
//!
//! assert_eq!(QualifiedName::new("public", "Order items").to_string(), "\"public\".\"Order items\"");
//! ```
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
