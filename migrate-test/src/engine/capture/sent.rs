//! What of the messages of a tool was committed, as plain statements in their order.

use std::collections::BTreeMap;

use migrate_base::ident::literal;
use migrate_base::sql::lex::words;
use migrate_base::sql::{split, tokens};

use crate::ephemeral::LoggedMessage;

/// A transaction that is open in a session.
#[derive(Default)]
struct OpenTransaction {
    /// The statements of the transaction, by their positions among all.
    statements: Vec<usize>,
    /// The savepoints, with the number of statements before each.
    savepoints: Vec<(String, usize)>,
    /// Whether a statement failed: until it goes back to a savepoint, nothing can be committed any more.
    has_failed: bool,
}

/// What a statement does to the transaction of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TransactionStep {
    Begin,
    /// And whether another transaction begins at once.
    Commit(bool),
    Rollback(bool),
    Savepoint(String),
    BackTo(String),
    Release(String),
    /// Any other statement.
    Work,
}

/// The statements that were committed, without those that control transactions.
pub(super) fn committed(messages: &[LoggedMessage]) -> Vec<String> {
    let mut log = CommitLog::default();
    for message in messages {
        log.take(message);
    }
    // A session that ended without a COMMIT changed nothing.
    let open: Vec<u32> = log.open.keys().copied().collect();
    open.into_iter().for_each(|session| log.rollback(session));
    log.all.into_iter().flatten().collect()
}

#[derive(Default)]
struct CommitLog {
    /// The statements, without those that were undone.
    all: Vec<Option<String>>,
    open: BTreeMap<u32, OpenTransaction>,
}

impl CommitLog {
    fn take(&mut self, message: &LoggedMessage) {
        let session = message.session;
        let (statements, _) = split(&message.text);
        let steps: Vec<(TransactionStep, &str)> = statements
            .iter()
            .map(|statement| &message.text[statement.span.clone()])
            .map(|text| (step(text), text))
            .collect();
        if message.failed {
            self.failed(session, &steps);
            return;
        }
        for (step, text) in steps {
            self.go(session, step, text, &message.parameters);
        }
    }

    /// One of the statements failed, and it is not known which. What a message without BEGIN and COMMIT of its own did
    /// is undone; after a COMMIT inside of it, what came before is kept.
    fn failed(&mut self, session: u32, steps: &[(TransactionStep, &str)]) {
        let is_end = |step: &TransactionStep| matches!(step, TransactionStep::Commit(_) | TransactionStep::Rollback(_));
        let kept = steps.iter().rposition(|(step, _)| is_end(step));
        // A COMMIT that is alone, or last, is what failed: a deferred constraint.
        if let Some(last) = kept.filter(|last| last + 1 < steps.len()) {
            for (step, text) in &steps[..=last] {
                self.go(session, step.clone(), text, &[]);
            }
            return;
        }
        match steps {
            [(step, _)] if is_end(step) => self.rollback(session),
            _ => {
                if let Some(transaction) = self.open.get_mut(&session) {
                    transaction.has_failed = true;
                } else if steps.iter().any(|(step, _)| *step == TransactionStep::Begin) {
                    self.open.insert(session, OpenTransaction { has_failed: true, ..OpenTransaction::default() });
                }
            }
        }
    }

    fn go(&mut self, session: u32, step: TransactionStep, text: &str, parameters: &[Option<String>]) {
        match step {
            TransactionStep::Begin => drop(self.open.entry(session).or_default()),
            TransactionStep::Commit(more) => {
                match self.open.get(&session).is_some_and(|transaction| transaction.has_failed) {
                    // The server answers ROLLBACK.
                    true => self.rollback(session),
                    false => drop(self.open.remove(&session)),
                }
                self.chain(session, more);
            }
            TransactionStep::Rollback(more) => {
                self.rollback(session);
                self.chain(session, more);
            }
            TransactionStep::Savepoint(name) => {
                if let Some(transaction) = self.open.get_mut(&session) {
                    transaction.savepoints.push((name, transaction.statements.len()));
                }
            }
            TransactionStep::BackTo(name) => {
                if let Some(transaction) = self.open.get_mut(&session) {
                    transaction.back_to(&name, &mut self.all);
                }
            }
            TransactionStep::Release(name) => {
                if let Some(transaction) = self.open.get_mut(&session)
                    && let Some(at) = transaction.savepoints.iter().rposition(|(known, _)| *known == name)
                {
                    transaction.savepoints.truncate(at);
                }
            }
            TransactionStep::Work => {
                if let Some(transaction) = self.open.get_mut(&session) {
                    transaction.statements.push(self.all.len());
                }
                self.all.push(Some(with_values(text, parameters)));
            }
        }
    }

    fn chain(&mut self, session: u32, more: bool) {
        if more {
            self.open.insert(session, OpenTransaction::default());
        }
    }

    fn rollback(&mut self, session: u32) {
        let gone = self.open.remove(&session).unwrap_or_default();
        gone.statements.into_iter().for_each(|at| self.all[at] = None);
    }
}

impl OpenTransaction {
    /// Undoes what came after a savepoint, which stays.
    fn back_to(&mut self, name: &str, all: &mut [Option<String>]) {
        let Some(at) = self.savepoints.iter().rposition(|(known, _)| known == name) else { return };
        let keep = self.savepoints[at].1;
        self.savepoints.truncate(at + 1);
        self.statements.drain(keep..).for_each(|gone| all[gone] = None);
        self.has_failed = false;
    }
}

/// What a statement does to the transaction of its session.
fn step(statement: &str) -> TransactionStep {
    let words: Vec<String> = tokens(statement).iter().take(6).map(|word| folded(word)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let last =
        |rest: &[&str]| rest.iter().rfind(|word| !["savepoint", ";"].contains(word)).map(|word| (*word).to_owned());
    let is_chain = |rest: &[&str]| rest.windows(2).any(|two| two == ["and", "chain"]);
    match words.as_slice() {
        ["begin", ..] | ["start", "transaction", ..] => TransactionStep::Begin,
        ["rollback" | "abort", rest @ ..] => match rest.iter().position(|word| *word == "to") {
            Some(at) => last(&rest[at + 1..]).map_or(TransactionStep::Work, TransactionStep::BackTo),
            None => TransactionStep::Rollback(is_chain(rest)),
        },
        ["commit" | "end", rest @ ..] => TransactionStep::Commit(is_chain(rest)),
        ["savepoint", name, ..] => TransactionStep::Savepoint((*name).to_owned()),
        ["release", rest @ ..] => last(rest).map_or(TransactionStep::Work, TransactionStep::Release),
        _ => TransactionStep::Work,
    }
}

/// A word as the server reads it: in lower case, unless it is quoted.
pub(super) fn folded(word: &str) -> String {
    match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
        Some(name) => name.replace("\"\"", "\""),
        None => word.to_lowercase(),
    }
}

/// The statement with the values of its parameters.
fn with_values(text: &str, values: &[Option<String>]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut end = 0;
    for (_, span) in words(text) {
        let number = text[span.clone()].strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        let Some(value) = number.and_then(|number| values.get(number.checked_sub(1)?)) else { continue };
        filled.push_str(&text[end..span.start]);
        filled.push_str(&value.as_ref().map_or_else(|| "NULL".to_owned(), |value| literal(value)));
        end = span.end;
    }
    filled.push_str(&text[end..]);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(messages: &[(u32, &str, bool)]) -> Vec<String> {
        let message = |(session, text, failed): &(u32, &str, bool)| LoggedMessage {
            session: *session,
            text: (*text).to_owned(),
            parameters: Vec::new(),
            failed: *failed,
        };
        committed(&messages.iter().map(message).collect::<Vec<_>>())
    }

    #[test]
    fn only_what_was_committed_counts() {
        let sent = [
            (1, "BEGIN", false),
            (1, "a", false),
            (2, "START TRANSACTION ISOLATION LEVEL SERIALIZABLE", false),
            (2, "gone", false),
            (1, "SAVEPOINT s1", false),
            (1, "undone", false),
            (1, "ROLLBACK TO SAVEPOINT \"s1\"", false),
            (1, "b; c", false),
            (1, "RELEASE SAVEPOINT s1", false),
            (2, "ROLLBACK", false),
            (3, "alone", false),
            (3, "refused", true),
            (1, "COMMIT", false),
            (4, "BEGIN; never", false),
        ];
        assert_eq!(of(&sent), ["a", "b", "c", "alone"]);
    }

    /// As the server does it: after an error, a transaction can only be rolled back, whatever its last word is.
    #[test]
    fn a_transaction_that_failed_is_not_committed() {
        let ok = |text| (1, text, false);
        let bad = |text| (1, text, true);
        assert_eq!(of(&[ok("BEGIN"), ok("a"), bad("b"), ok("COMMIT"), ok("c")]), ["c"]);
        // A deferred constraint: the next transaction is another one.
        assert_eq!(of(&[ok("BEGIN"), ok("a"), bad("COMMIT"), ok("BEGIN"), ok("b"), ok("COMMIT")]), ["b"]);
        let back = [ok("BEGIN"), ok("a"), ok("SAVEPOINT s"), bad("b"), ok("ROLLBACK TO s"), ok("c"), ok("COMMIT")];
        assert_eq!(of(&back), ["a", "c"]);
        // What a message committed before it failed is kept, and nothing of one that ends at once.
        assert_eq!(of(&[bad("BEGIN; a; COMMIT; b; c")]), ["a"]);
        assert_eq!(of(&[bad("a; b"), ok("c")]), ["c"]);
        assert_eq!(of(&[bad("BEGIN; a; b"), ok("c"), ok("COMMIT"), ok("d")]), ["d"]);
    }

    #[test]
    fn savepoints_of_one_name_and_chains_are_told_apart() {
        let all = |text: &str| of(&text.split("; ").map(|text| (1, text, false)).collect::<Vec<_>>());
        assert_eq!(all("BEGIN; a; SAVEPOINT s; b; SAVEPOINT s; c; ROLLBACK TO s; COMMIT"), ["a", "b"]);
        assert_eq!(all("BEGIN; a; SAVEPOINT s; b; SAVEPOINT s; c; RELEASE s; d; ROLLBACK TO s; COMMIT"), ["a"]);
        assert_eq!(all("BEGIN; a; COMMIT AND CHAIN; b; ROLLBACK"), ["a"]);
        assert_eq!(all("BEGIN; a; ROLLBACK AND CHAIN; b; COMMIT; c"), ["b", "c"]);
        assert_eq!(all("SAVEPOINT s; a; ROLLBACK WORK"), ["a"]);
    }

    #[test]
    fn parameters_are_written_in_their_places() {
        let values = [Some("it's".to_owned()), None, Some("5".to_owned())];
        let text = "UPDATE t SET a = $1, b = $2 WHERE c = $3 AND d = '$1' AND e = $4";
        let filled = "UPDATE t SET a = 'it''s', b = NULL WHERE c = '5' AND d = '$1' AND e = $4";
        assert_eq!(with_values(text, &values), filled);
    }
}
