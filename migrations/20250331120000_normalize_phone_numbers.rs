//! Brings the phone numbers of users into one form, `+4930123456`, so that they can be dialled.
//!
//! It is written in Rust because the rules are those of the application, not of SQL: the same
//! function formats a number when a user types one. What was typed is kept beside it, so that
//! the way back loses nothing.

use migrate_core::runner::BoxFuture;
use migrate_core::{CodeError, CodeMigration, PgConnection, Version};

/// The migration.
pub(crate) struct NormalizePhoneNumbers;

impl CodeMigration for NormalizePhoneNumbers {
    fn version(&self) -> Version {
        Version::from(20_250_331_120_000)
    }

    fn up<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async move {
            sqlx::query("ALTER TABLE users ADD COLUMN phone_as_typed text").execute(&mut *connection).await?;
            sqlx::query("UPDATE users SET phone_as_typed = phone WHERE phone IS NOT NULL")
                .execute(&mut *connection)
                .await?;
            let typed: Vec<(i64, String)> =
                sqlx::query_as("SELECT id, phone FROM users WHERE phone IS NOT NULL ORDER BY id")
                    .fetch_all(&mut *connection)
                    .await?;
            for (id, phone) in typed {
                let dialled = normalize(&phone);
                sqlx::query("UPDATE users SET phone = $1 WHERE id = $2")
                    .bind(dialled)
                    .bind(id)
                    .execute(&mut *connection)
                    .await?;
            }
            Ok(())
        })
    }

    fn down<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async move {
            sqlx::query("UPDATE users SET phone = phone_as_typed WHERE phone_as_typed IS NOT NULL")
                .execute(&mut *connection)
                .await?;
            sqlx::query("ALTER TABLE users DROP COLUMN phone_as_typed").execute(&mut *connection).await?;
            Ok(())
        })
    }
}

/// A number with its country code and nothing but digits; one without a country code is German.
fn normalize(typed: &str) -> String {
    let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
    match typed.trim_start() {
        international if international.starts_with('+') => format!("+{digits}"),
        _ => match digits.strip_prefix("00") {
            Some(international) => format!("+{international}"),
            None => format!("+49{}", digits.trim_start_matches('0')),
        },
    }
}
