//! Brings the phone numbers of users into one form, `+4930123456`, so that they can be dialled.
//!
//! It is written in Rust because the rules are those of the application, not of SQL: the same
//! function formats a number when a user types one. What was typed is kept beside it, so that
//! the way back loses nothing.

use migrate_core::{BoxFuture, CodeError, CodeMigration, PgConnection, Version};

/// The migration.
pub(crate) struct NormalizePhoneNumbers;

impl CodeMigration for NormalizePhoneNumbers {
    fn version(&self) -> Version {
        Version::from(20_250_331_120_000)
    }

    fn up<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async move {
            let before = "ALTER TABLE users ADD COLUMN phone_as_typed text;
                          ALTER TABLE users DISABLE TRIGGER users_touch_updated_at";
            sqlx::raw_sql(before).execute(&mut *connection).await?;
            let typed: Vec<(i64, String)> =
                sqlx::query_as("SELECT id, phone FROM users WHERE phone IS NOT NULL ORDER BY id")
                    .fetch_all(&mut *connection)
                    .await?;
            for (id, phone) in typed {
                let Some(dialled) = normalize(&phone) else { continue };
                sqlx::query("UPDATE users SET phone = $1, phone_as_typed = phone WHERE id = $2")
                    .bind(dialled)
                    .bind(id)
                    .execute(&mut *connection)
                    .await?;
            }
            // The users did not change anything, so their rows keep the time of their last change.
            let after = "ALTER TABLE users ENABLE TRIGGER users_touch_updated_at";
            sqlx::raw_sql(after).execute(&mut *connection).await?;
            Ok(())
        })
    }

    fn down<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async move {
            sqlx::raw_sql("ALTER TABLE users DISABLE TRIGGER users_touch_updated_at").execute(&mut *connection).await?;
            let typed: Vec<(i64, Option<String>, String)> = sqlx::query_as(
                "SELECT id, phone, phone_as_typed FROM users WHERE phone_as_typed IS NOT NULL ORDER BY id",
            )
            .fetch_all(&mut *connection)
            .await?;
            // A number that was changed since is newer than what had been typed, and stays.
            for (id, _, typed) in typed.into_iter().filter(|(_, phone, typed)| *phone == normalize(typed)) {
                sqlx::query("UPDATE users SET phone = $1 WHERE id = $2")
                    .bind(typed)
                    .bind(id)
                    .execute(&mut *connection)
                    .await?;
            }
            let after = "ALTER TABLE users ENABLE TRIGGER users_touch_updated_at;
                         ALTER TABLE users DROP COLUMN phone_as_typed";
            sqlx::raw_sql(after).execute(&mut *connection).await?;
            Ok(())
        })
    }
}

/// A number with its country code and nothing but digits; one without a country code is German.
/// None where there is no digit to dial.
fn normalize(typed: &str) -> Option<String> {
    let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
    let (country, number) = match typed.trim_start() {
        international if international.starts_with('+') => ("", digits.as_str()),
        _ => match digits.strip_prefix("00") {
            Some(international) => ("", international),
            None => ("49", digits.trim_start_matches('0')),
        },
    };
    (!number.is_empty()).then(|| format!("+{country}{number}"))
}
