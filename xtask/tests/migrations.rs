//! The proof of the reference set: each migration is a test of its own name.

#[path = "../../migrations/mod.rs"]
mod migrations;

migrate_test::suite!("../migrations", migrations::all());
