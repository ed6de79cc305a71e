//! The statements that a shadow server receives, from its log.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

/// A message from a session, in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggedMessage {
    /// The process of the session.
    pub(crate) session: u32,
    /// The text: one statement, or several if the client sent them in one message.
    pub(crate) text: String,
    /// The values of its parameters, as the server writes them.
    pub(crate) parameters: Vec<Option<String>>,
    /// Whether the server refused it.
    pub(crate) failed: bool,
}

/// The log of a server with a single database, from a position on.
#[derive(Debug)]
pub(crate) struct StatementLog {
    path: PathBuf,
    /// What each record begins with, before the process and the application of the session: the server writes a tab at
    /// the beginning of every other line.
    mark: String,
    position: u64,
}

impl StatementLog {
    /// The log in this file, whose records begin with this mark, the process, and the application of the session.
    pub(super) fn of(path: PathBuf, mark: String) -> Self {
        Self { path, mark, position: 0 }
    }

    /// The messages since the last call.
    pub(crate) fn take(&mut self) -> std::io::Result<Vec<LoggedMessage>> {
        let mut file = std::fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.position))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // A line that is still being written belongs to the next call.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.position += whole as u64;
        Ok(messages(&String::from_utf8_lossy(&bytes[..whole]), &self.mark))
    }
}

/// The beginning of the names of our own sessions.
const OURS: &str = "roundtrip ";

/// A record: the process, the severity, and the text.
type LogRecord<'t> = (u32, &'t str, String);

fn records<'t>(text: &'t str, mark: &str) -> Vec<LogRecord<'t>> {
    let mut records: Vec<LogRecord<'t>> = Vec::new();
    for line in text.split('\n') {
        if let Some(rest) = line.strip_prefix(mark) {
            let head = rest.trim_start().split_once(" <").and_then(|(pid, rest)| {
                let (application, rest) = rest.split_once("> ")?;
                let (severity, text) = rest.split_once(":  ")?;
                let severity = if application.starts_with(OURS) { "ours" } else { severity };
                Some((pid.parse().ok()?, severity, text.to_owned()))
            });
            records.extend(head);
        } else if let (Some(more), Some((_, _, text))) = (line.strip_prefix('\t'), records.last_mut()) {
            text.push('\n');
            text.push_str(more);
        }
    }
    records
}

fn messages(text: &str, mark: &str) -> Vec<LoggedMessage> {
    let mut messages: Vec<LoggedMessage> = Vec::new();
    let mut newest: HashMap<u32, usize> = HashMap::new();
    for (session, severity, text) in records(text, mark) {
        let last = newest.get(&session).and_then(|at| messages.get_mut(*at));
        match (severity, last) {
            ("LOG", _) => {
                if let Some(sent) = sent(&text) {
                    newest.insert(session, messages.len());
                    let (text, parameters) = (sent.to_owned(), Vec::new());
                    messages.push(LoggedMessage { session, text, parameters, failed: false });
                }
            }
            ("DETAIL", Some(last)) if !last.failed => {
                let given = text.strip_prefix("parameters: ").or_else(|| text.strip_prefix("Parameters: "));
                last.parameters.extend(given.map(parameters).unwrap_or_default());
            }
            // What the server refused before it ran it has not been logged yet.
            ("STATEMENT", Some(last)) if last.text == text => last.failed = true,
            ("STATEMENT", _) => {
                newest.insert(session, messages.len());
                messages.push(LoggedMessage { session, text, parameters: Vec::new(), failed: true });
            }
            _ => {}
        }
    }
    messages
}

/// The text of a message: `statement: …` of the simple protocol, `execute NAME: …` of the extended one.
fn sent(text: &str) -> Option<&str> {
    if let Some(statement) = text.strip_prefix("statement: ") {
        return Some(statement);
    }
    let rest = text.strip_prefix("execute ")?;
    // The rest of a result that is fetched in parts.
    let (name, statement) = rest.split_once(": ")?;
    (!name.starts_with("fetch from ")).then_some(statement)
}

/// Reads `$1 = 'a''b', $2 = NULL`.
fn parameters(text: &str) -> Vec<Option<String>> {
    let mut values = Vec::new();
    let mut rest = text;
    while let Some((_, value)) = rest.split_once(" = ") {
        if let Some(quoted) = value.strip_prefix('\'') {
            let (value, after) = migrate_base::ident::quoted(quoted, '\'').unwrap_or((quoted.to_owned(), ""));
            values.push(Some(value));
            rest = after;
        } else {
            values.push(None);
            rest = value.strip_prefix("NULL").unwrap_or_default();
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_with_their_parameters_and_their_failures() {
        let log = "@1 7 <> LOG:  statement: BEGIN\n\
                   @1 7 <psql> LOG:  statement: CREATE TABLE a (\n\t  b text -- @1 7 LOG:  x\n\t)\n\
                   @1 8 <a b> LOG:  execute <unnamed>: UPDATE a SET b = $1, c = $2, d = $3\n\
                   @1 8 <a b> DETAIL:  Parameters: $1 = 'it''s, $2 = ''x''', $2 = NULL, $3 = 'two\n\tlines'\n\
                   @1 9 <roundtrip schema> LOG:  statement: SET search_path TO pg_catalog\n\tSELECT 1\n\
                   @1 7 <> ERROR:  relation \"a\" already exists\n\
                   @1 7 <> STATEMENT:  CREATE TABLE a (\n\t  b text -- @1 7 LOG:  x\n\t)\n\
                   @1 8 <a b> ERROR:  x\n@1 8 <a b> STATEMENT:  SELEC 1\n\
                   other output\n@1 8 <> LOG:  execute fetch from s/c: SELECT 1\n@1 9 <> LOG:  connection received\n";
        let told = messages(log, "@1");
        let texts: Vec<&str> = told.iter().map(|one| one.text.as_str()).collect();
        let create = "CREATE TABLE a (\n  b text -- @1 7 LOG:  x\n)";
        assert_eq!(texts, ["BEGIN", create, "UPDATE a SET b = $1, c = $2, d = $3", "SELEC 1"]);
        let given: Vec<_> = told[2].parameters.iter().map(|one| one.as_deref()).collect();
        assert_eq!(given, [Some("it's, $2 = 'x'"), None, Some("two\nlines")]);
        let failed: Vec<_> = told.iter().map(|one| (one.session, one.failed)).collect();
        assert_eq!(failed, [(7, false), (7, true), (8, false), (8, true)]);
    }
}
