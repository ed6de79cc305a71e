//! The migrations of this folder that are written in Rust. Each has its own file here.

#[path = "20250331120000_normalize_phone_numbers.rs"]
mod normalize_phone_numbers;

use migrate_core::CodeMigrations;

/// All of them, for the command line and for tests.
pub(crate) fn all() -> CodeMigrations {
    CodeMigrations::none().with(normalize_phone_numbers::NormalizePhoneNumbers)
}
