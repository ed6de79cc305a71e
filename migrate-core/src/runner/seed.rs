//! Development data: a script that is run as it is, in one transaction, and not recorded.

use std::path::Path;
use std::sync::Arc;

use super::Migrator;
use crate::db::{Failure, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, Place};
use crate::source::normalise;
use crate::sql::{self, Statement};

/// Runs a script of development data, all of it or nothing, and says how many statements it has.
///
/// # Errors
///
/// [`ErrorKind::Files`] for a file that cannot be read or holds what no script can hold,
/// [`ErrorKind::Statement`] with its place for a statement that the server refuses.
pub async fn run(migrator: &mut Migrator, file: &Path) -> Result<usize> {
    let text = std::fs::read(file).map_err(|error| unreadable(file, &error.to_string()))?;
    let text = String::from_utf8(text).map_err(|_| unreadable(file, "it is not UTF-8"))?;
    let text: Arc<str> = normalise(&text).into();
    let (statements, flaws) = sql::split(&text);
    let findings = sql::refused(file, &text, &statements, &flaws, true);
    if !findings.is_empty() {
        return Err(Error::of(ErrorKind::Files, findings));
    }
    let session = migrator.session().await?;
    let message = format!("{BEGIN}{text}\n;COMMIT;");
    let mut done = 0usize;
    let outcome = session.each(&message, |part| done += usize::from(matches!(part, Part::End))).await;
    // Nobody knows what the script left in the session: a transaction that failed, settings, locks.
    if let Some(session) = migrator.session.take() {
        session.give_back().await;
    }
    match outcome {
        Ok(()) => Ok(statements.len()),
        Err(failure) => Err(refused(file, &text, &statements, done.saturating_sub(1), failure)),
    }
}

const BEGIN: &str = "BEGIN;";

fn unreadable(file: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::Files,
        Finding::error("seed-unreadable", format!("the seed cannot be read: {why}")).at(Place::file(file)).help(
            "write seeds/<environment>.sql, name another file in migrate.toml, or give it: `cargo xtask seed FILE`",
        ),
    )
}

fn refused(file: &Path, text: &Arc<str>, statements: &[Statement], done: usize, failure: Failure) -> Error {
    let position = match &failure {
        Failure::Server(refusal) => refusal.position,
        Failure::Lost(_) | Failure::Silent(_) => None,
    };
    let byte = position.and_then(|at| text.char_indices().nth(at.checked_sub(1 + BEGIN.len())?)).map(|(byte, _)| byte);
    let span = match (byte, statements.get(done)) {
        (Some(byte), _) => byte..byte + 1,
        (None, Some(statement)) => statement.span.clone(),
        (None, None) => 0..0,
    };
    let error = failure.explain(ErrorKind::Statement, "seed-failed", "run the seed");
    error.at(Place::within(file, text.clone(), span)).note("nothing of the seed was kept")
}
