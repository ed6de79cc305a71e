//! What of the messages of a tool was committed, as plain statements in their order.

use std::collections::BTreeMap;

use migrate_base::ident::literal;
use migrate_base::sql::lex::words;
use migrate_base::sql::{split, tokens};

use crate::ephemeral::LoggedMessage;

/// A session that is in a transaction.
#[derive(Default)]
struct OpenTransaction {
    /// The statements of the transaction, by their positions among all.
    statements: Vec<usize>,
    /// The savepoints, with the number of statements before each.
    savepoints: Vec<(String, usize)>,
}

/// The statements that were committed, without those that control transactions.
pub(super) fn committed(messages: &[LoggedMessage]) -> Vec<String> {
    let mut all: Vec<Option<String>> = Vec::new();
    let mut open: BTreeMap<u32, OpenTransaction> = BTreeMap::new();
    for message in messages {
        if message.failed {
            // Alone, it changed nothing; in a transaction, ROLLBACK follows.
            continue;
        }
        let (statements, _) = split(&message.text);
        for statement in &statements {
            let text = &message.text[statement.span.clone()];
            let words: Vec<String> = tokens(text).iter().take(4).map(|word| word.to_lowercase()).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words.as_slice() {
                ["begin", ..] | ["start", "transaction", ..] => {
                    open.entry(message.session).or_default();
                }
                ["rollback" | "abort", "to", rest @ ..] | ["rollback", "work" | "transaction", "to", rest @ ..] => {
                    let name = rest.iter().find(|word| **word != "savepoint").copied().unwrap_or_default();
                    if let Some(transaction) = open.get_mut(&message.session) {
                        transaction.back_to(name, &mut all);
                    }
                }
                ["rollback" | "abort", ..] => {
                    let gone = open.remove(&message.session).unwrap_or_default();
                    gone.statements.into_iter().for_each(|at| all[at] = None);
                }
                ["commit" | "end", ..] => drop(open.remove(&message.session)),
                ["savepoint", name, ..] => {
                    if let Some(transaction) = open.get_mut(&message.session) {
                        transaction.savepoints.push(((*name).to_owned(), transaction.statements.len()));
                    }
                }
                ["release", ..] | [] => {}
                _ => {
                    if let Some(transaction) = open.get_mut(&message.session) {
                        transaction.statements.push(all.len());
                    }
                    all.push(Some(with_values(text, &message.parameters)));
                }
            }
        }
    }
    // A session that ended without a COMMIT changed nothing.
    for at in open.into_values().flat_map(|transaction| transaction.statements) {
        all[at] = None;
    }
    all.into_iter().flatten().collect()
}

impl OpenTransaction {
    /// Undoes what came after a savepoint, which stays.
    fn back_to(&mut self, name: &str, all: &mut [Option<String>]) {
        let Some(at) = self.savepoints.iter().rposition(|(known, _)| known == name) else { return };
        let keep = self.savepoints[at].1;
        self.savepoints.truncate(at + 1);
        self.statements.drain(keep..).for_each(|gone| all[gone] = None);
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
            (1, "ROLLBACK TO SAVEPOINT s1", false),
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

    #[test]
    fn parameters_are_written_in_their_places() {
        let values = [Some("it's".to_owned()), None, Some("5".to_owned())];
        let text = "UPDATE t SET a = $1, b = $2 WHERE c = $3 AND d = '$1' AND e = $4";
        assert_eq!(
            with_values(text, &values),
            "UPDATE t SET a = 'it''s', b = NULL WHERE c = '5' AND d = '$1' AND e = $4"
        );
    }
}
