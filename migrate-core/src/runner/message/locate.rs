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

#[cfg(test)]
mod tests {
    use migrate_base::db::ServerRefusal;

    use super::*;
    use crate::runner::message::SurroundingSql;

    const BLOCK: &str = "DO $$ BEGIN PERFORM 1; PERFORM nothing; END $$";

    fn script(text: &str) -> Script {
        Script::recorded("1_a.up.sql".into(), text.into())
    }

    /// The server's answer: the position is that of `at` in `sent`, in characters from 1.
    fn refused(sent: &str, at: Option<&str>) -> SessionFailure {
        let position = at.map(|at| sent[..sent.find(at).unwrap()].chars().count() + 1);
        SessionFailure::Server(Box::new(ServerRefusal { position, ..ServerRefusal::default() }))
    }

    /// Two scripts in a message, each after one statement of ours.
    fn message(scripts: &[&Script]) -> Message {
        let mut message = Message::default();
        for script in scripts {
            let aside = SurroundingSql { before: String::new(), after: String::new() };
            message.push(script, &aside, "RESET ALL;", "INSERT;");
        }
        message
    }

    #[test]
    fn the_position_decides_if_nothing_was_run_and_refines_the_answers_otherwise() {
        let (first, second) = (script("SELECT 'ü';\nSELECT one;\nSELECT two;"), script("SELECT 'ß';\nSELECT three;"));
        let scripts = [&first, &second];
        let message = message(&scripts);
        let found = |failure: &SessionFailure, part, answers| {
            let (part, place) = in_message(failure, &message, &scripts, part, answers)?;
            Some((part, place.part, place.byte.map(|byte| &scripts[part].text()[byte..])))
        };
        let at = |text: &str, part, answers| found(&refused(&message.sql, Some(text)), part, answers);
        let statement = FailurePart::Statement;
        // Nothing was run: the whole message was refused.
        assert_eq!(at("three", 0, 0), Some((1, statement(1), Some("three;"))));
        assert_eq!(at("one", 0, 0), Some((0, statement(1), Some("one;\nSELECT two;"))));
        assert_eq!(at("INSERT", 0, 0), Some((0, FailurePart::End, None)));
        assert_eq!(at("BEGIN", 0, 0), Some((0, FailurePart::Before, None)));
        let silent = refused(&message.sql, None);
        assert_eq!(found(&silent, 0, 0), Some((0, FailurePart::Unknown, None)));
        let lost = || SessionFailure::Lost(String::new());
        assert_eq!(at("SELECT 'ü'", 0, 0), Some((0, statement(0), Some(&*first.text().clone()))));
        assert_eq!(found(&lost(), 0, 0), Some((0, FailurePart::Before, None)));
        // The answers say which statement was running.
        assert_eq!(at("one", 0, 2), Some((0, statement(1), Some("one;\nSELECT two;"))));
        assert_eq!(at("one", 0, 3), Some((0, statement(2), None)));
        assert_eq!(at("one", 1, 2), Some((1, statement(1), None)));
        assert_eq!(at("three", 1, 2), Some((1, statement(1), Some("three;"))));
        assert_eq!(found(&silent, 1, 0), Some((1, FailurePart::Before, None)));
        assert_eq!(found(&silent, 1, 1), Some((1, statement(0), None)));
        assert_eq!(found(&silent, 1, 3), Some((1, FailurePart::End, None)));
        assert_eq!(found(&lost(), 0, 2), Some((0, statement(1), None)));
        assert_eq!(found(&silent, 2, 0), None);
    }

    #[test]
    fn a_statement_that_was_sent_alone_has_a_place_in_its_file() {
        let all = script("SELECT 'ü';\nSELECT one ;\nEXECUTE p(two);");
        let sent =
            |n: usize| format!("SET a TO 'ä'; {}\n; SELECT after", &all.text()[all.statements()[n].span.clone()]);
        let start = "SET a TO 'ä'; ".len();
        let byte = |n: usize, at: &str| {
            let message = sent(n);
            let place = FailurePlace::apart(&refused(&message, Some(at)), &message, start, &all, n);
            assert_eq!(place.part, FailurePart::Statement(n));
            place.byte.map(|byte| &all.text()[byte..])
        };
        assert_eq!(byte(1, "SELECT one"), Some("SELECT one ;\nEXECUTE p(two);"));
        assert_eq!(byte(1, "one"), Some("one ;\nEXECUTE p(two);"));
        // At the end of the statement: our semicolon is the one of the file.
        let end = all.statements()[1].span.end;
        assert_eq!(byte(1, "\n;"), Some(&all.text()[end..]));
        assert_eq!(byte(1, " SELECT after"), Some(&all.text()[end..]));
        assert_eq!((byte(1, "SELECT after"), byte(1, "SET"), byte(2, "two")), (None, None, None));
        let nowhere = FailurePlace::apart(&SessionFailure::Lost(String::new()), &sent(1), start, &all, 1);
        assert_eq!(nowhere.byte, None);
    }

    #[test]
    fn a_query_inside_a_block_has_a_place_if_the_block_sent_it() {
        let all = script(&format!("SELECT 1;\n{BLOCK};\nSELECT nothing;"));
        let of = |n: usize, query: &str, context: Option<&str>| {
            let inner = Some(InnerPosition { at: "PERFORM ".len() + 1, query: query.to_owned() });
            let context = context.map(str::to_owned);
            let failure =
                SessionFailure::Server(Box::new(ServerRefusal { inner, context, ..ServerRefusal::default() }));
            inside(&failure, &all, n).map(|byte| &all.text()[byte..])
        };
        let block = Some("PL/pgSQL function inline_code_block line 1 at PERFORM");
        let place = Some("nothing; END $$;\nSELECT nothing;");
        assert_eq!(of(1, "PERFORM nothing", block), place);
        assert_eq!(of(1, "PERFORM nothing", None), place);
        assert_eq!(of(1, "PERFORM nothing", Some("PL/pgSQL function f() line 1 at PERFORM")), None);
        assert_eq!(of(1, "PERFORM nothing", Some("SQL function \"f\" statement 1")), None);
        assert_eq!(of(1, "PERFORM ", block), None, "it is there twice");
        assert_eq!(of(1, "PERFORM other", block), None);
        assert_eq!(of(2, "SELECT nothing", None), None, "this is no block");
    }
}
