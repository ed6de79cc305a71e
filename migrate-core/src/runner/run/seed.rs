//! Development data: a script that is run unchanged, in one transaction, and not recorded.

use std::path::Path;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::db::{AnswerPart, SessionFailure, pooler};
use migrate_base::error::{Error, ErrorKind, Result};
use migrate_base::finding::{Finding, Place};
use migrate_base::regular;
use migrate_base::sql::{self, Statement};

use super::pulse::ProgressTimer;
use crate::runner::Migrator;
use crate::runner::message::locate;
use crate::source::normalise;

/// Runs a script of development data, completely or not at all, and returns how many statements it has.
///
/// # Errors
///
/// [`ErrorKind::Files`] for a file that cannot be read, is empty, or contains something that a script must not contain;
/// [`ErrorKind::Statement`] with the place of a statement that the server refuses.
pub async fn run(migrator: &mut Migrator, file: &Path) -> Result<usize> {
    let text = regular::read(file).map_err(|error| unreadable(file, &error.to_string()))?;
    let text = String::from_utf8(text).map_err(|_| unreadable(file, "it is not UTF-8"))?;
    let text: Arc<str> = sql::without_guards(&normalise(&text)).into();
    let (statements, flaws) = sql::split(&text);
    let mut findings = sql::refused(file, &text, &statements, &flaws, true);
    if statements.is_empty() && flaws.is_empty() {
        findings.push(
            Finding::new(codes::SEED_EMPTY, "the seed has no statement")
                .at(Place::file(file))
                .help("write INSERT statements in it, or name another file: `cargo xtask seed FILE`"),
        );
    }
    if !findings.is_empty() {
        return Err(Error::of(ErrorKind::Files, findings));
    }
    let observer = migrator.options.observer.clone();
    let session = migrator.session().await?;
    // So that a dead connection can be distinguished from work that takes long.
    pooler::identify(session).await?;
    let mut pulse = ProgressTimer::start();
    let message = format!("{BEGIN}{text}\n;COMMIT;");
    let mut done = 0usize;
    let outcome = {
        let count = |part: AnswerPart<'_>| done += usize::from(matches!(part, AnswerPart::End(_)));
        let mut sending = std::pin::pin!(session.each(&message, count));
        loop {
            tokio::select! {
                biased;
                outcome = &mut sending => break outcome,
                () = pulse.due() => pulse.tell_of_seed(statements.len(), &*observer),
            }
        }
    };
    // The script may have left anything in the session: a failed transaction, settings, locks.
    if let Some(session) = migrator.session.take() {
        session.give_back().await;
    }
    match outcome {
        Ok(()) => Ok(statements.len()),
        Err(failure) => Err(refused(file, &text, &statements, &message, done.saturating_sub(1), failure)),
    }
}

const BEGIN: &str = "BEGIN;";

fn unreadable(file: &Path, why: &str) -> Error {
    let help = "write this file, name another one with `seed` in migrate.toml, or pass it: `cargo xtask seed FILE`";
    let finding = Finding::new(codes::SEED_UNREADABLE, format!("the seed cannot be read: {why}"));
    Error::new(ErrorKind::Files, finding.at(Place::file(file)).help(help))
}

fn refused(
    file: &Path,
    text: &Arc<str>,
    statements: &[Statement],
    message: &str,
    done: usize,
    failure: SessionFailure,
) -> Error {
    let byte = locate::byte(&failure, message).and_then(|byte| byte.checked_sub(BEGIN.len()));
    let span = match (byte, statements.get(done)) {
        (Some(byte), _) => byte..byte + 1,
        (None, Some(statement)) => statement.span.clone(),
        (None, None) => 0..0,
    };
    let error = failure.explain(ErrorKind::Statement, codes::SEED_FAILED, "run the seed");
    error.at(Place::within(file, text.clone(), span)).note("nothing of the seed was kept")
}
