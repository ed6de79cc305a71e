//! Finds the place of a failure from the server's message: which statement, and which byte of its file.
//!
//! The server refuses a message with a syntax error before it runs anything of it, so the statement that was running is
//! not the wrong one: the position decides. For all other errors the position only refines what the answers tell, and
//! if the two disagree, it is not shown.

use migrate_base::db::{InnerPosition, SessionFailure};
use migrate_base::sql::byte_of_position;

use super::Message;
use crate::source::Script;

/// Which part of a migration failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runner) enum FailurePart {
    /// What we send before the script: its transaction and its timeouts.
    Before,
    /// What we send before or after the script to handle kept data.
    Kept,
    /// A statement of the script, from 0.
    Statement(usize),
    /// What we send after the script.
    End,
    /// The server refused the whole script and did not say where.
    Unknown,
}

/// The place of a failure in a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runner) struct FailurePlace {
    pub(in crate::runner) part: FailurePart,
    /// The byte of the script, if the server named one.
    pub(in crate::runner) byte: Option<usize>,
}

impl From<FailurePart> for FailurePlace {
    fn from(part: FailurePart) -> Self {
        Self { part, byte: None }
    }
}

impl FailurePlace {
    /// A byte of a script, with the statement that contains it.
    fn byte(script: &Script, byte: usize) -> Self {
        Self { part: FailurePart::Statement(statement(script, byte)), byte: Some(byte) }
    }

    /// The statement `n`, sent separately in `message`, where its text starts at the byte `start`.
    pub(in crate::runner) fn apart(
        failure: &SessionFailure,
        message: &str,
        start: usize,
        script: &Script,
        n: usize,
    ) -> Self {
        let span = &script.statements()[n].span;
        let byte = byte(failure, message).and_then(|byte| byte.checked_sub(start)).map(|byte| byte + span.start);
        // The semicolon that we put after it corresponds to the one in the file.
        let byte = byte.filter(|byte| span.start <= *byte && *byte <= span.end + "\n;".len());
        let byte = byte.map(|byte| byte.min(span.end));
        // The positions of a prepared statement refer to the message that prepared it.
        let is_prepared = script.text()[span.clone()].get(..7).is_some_and(|word| word.eq_ignore_ascii_case("execute"));
        let byte = byte.filter(|_| !is_prepared);
        Self { part: FailurePart::Statement(n), byte: byte.or_else(|| inside(failure, script, n)) }
    }
}

/// The byte of a message that the server refers to: the server counts characters from 1, over the whole message.
pub(in crate::runner) fn byte(failure: &SessionFailure, message: &str) -> Option<usize> {
    let SessionFailure::Server(refusal) = failure else { return None };
    byte_of_position(message, refusal.position?)
}

/// Which script of a message failed, and where.
///
/// `part` and `answers` count what the server has answered: the committed scripts, and the finished statements of the
/// next one.
pub(in crate::runner) fn in_message(
    failure: &SessionFailure,
    message: &Message,
    scripts: &[&Script],
    part: usize,
    answers: usize,
) -> Option<(usize, FailurePlace)> {
    let script = scripts.get(part)?;
    let counted = message.parts.get(part)?.at(answers, script.statements().len());
    let position = byte(failure, &message.sql).and_then(|byte| message.locate(byte));
    if part == 0 && answers == 0 && !failure.is_lost() {
        // Nothing was run: the whole message was refused.
        return Some(match position {
            Some((part, Ok(byte))) => (part, FailurePlace::byte(scripts.get(part)?, byte)),
            Some((part, Err(ours))) => (part, ours.into()),
            None if matches!(failure, SessionFailure::Server(_)) => (0, FailurePart::Unknown.into()),
            None => (0, counted.into()),
        });
    }
    let FailurePart::Statement(running) = counted else { return Some((part, counted.into())) };
    let byte = match position {
        Some((found, Ok(byte))) if found == part && statement(script, byte) == running => Some(byte),
        _ => inside(failure, script, running),
    };
    Some((part, FailurePlace { part: counted, byte }))
}

/// The statement that contains a byte: the last one that starts at or before it.
fn statement(script: &Script, byte: usize) -> usize {
    script.statements().partition_point(|statement| statement.span.start <= byte).saturating_sub(1)
}

/// The byte of a query or body inside a statement: in an anonymous block, or in a function that the statement creates.
/// The query must occur there exactly once, and no other function may have sent it.
fn inside(failure: &SessionFailure, script: &Script, n: usize) -> Option<usize> {
    let SessionFailure::Server(refusal) = failure else { return None };
    let InnerPosition { at, query } = refusal.inner.as_ref()?;
    let span = script.statements().get(n)?.span.clone();
    let text = &script.text()[span.clone()];
    let mut frames = refusal.context.iter().flat_map(|context| context.lines());
    let frame = frames.find(|frame| frame.contains("PL/pgSQL function") || frame.starts_with("SQL function"));
    let begins = |word: &str| text.get(..word.len()).is_some_and(|first| first.eq_ignore_ascii_case(word));
    // A body with a syntax error has no frame of its own.
    let is_of_block = frame.is_none_or(|frame| frame.contains("inline_code_block"));
    if !(begins("create") || begins("do") && is_of_block) {
        return None;
    }
    let mut found = text.match_indices(&**query);
    let (start, _) = found.next().filter(|_| found.next().is_none())?;
    let byte = byte_of_position(query, *at)?;
    Some(span.start + start + byte)
}
