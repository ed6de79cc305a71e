//! The sequences that a text sets to a position.
//!
//! An explicit position (`setval` with a value, `RESTART WITH`) is one that a rollback has to restore. A position that
//! follows from the existing rows is not.

use super::body::quoted;
use super::lex::words;
use super::server::{has_any, is_any, name};

/// The sequences that texts set to a position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PositionedSequences {
    given: SequenceSet,
    following: SequenceSet,
}

/// Sequences, as named in a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SequenceSet {
    all: Vec<SequenceMention>,
    /// Whether there are more sequences that are not named.
    is_open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SequenceMention {
    Name(String),
    /// The sequence of a column, by the names of the table and the column.
    Of(String, String),
}

impl PositionedSequences {
    /// Whether the texts set no sequence to an explicit position.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Whether the texts may set this sequence to an explicit position; `of` is the column that owns it.
    pub fn may_give(&self, name: &str, of: Option<(&str, &str)>) -> bool {
        self.given.may_mean(name, of)
    }

    /// Whether the texts may set the position of this sequence in any way.
    pub fn may_mean(&self, name: &str, of: Option<(&str, &str)>) -> bool {
        self.may_give(name, of) || self.following.may_mean(name, of)
    }

    /// What several texts do, including the texts that they execute.
    pub fn by<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = Self::default();
        for text in texts.into_iter().filter(|text| may_matter(text)) {
            found.read(text);
        }
        found
    }

    fn read(&mut self, text: &str) {
        let words: Vec<&str> = words(text).map(|(_, span)| &text[span]).collect();
        let is = |at: usize, others: &[&str]| words.get(at).is_some_and(|word| is_any(word, others));
        for at in 0..words.len() {
            if is(at, &["restart"]) && !is(at + 1, &["identity"]) {
                if let Some(sequence) = restarted(&words[..at]) {
                    self.given.add(sequence);
                }
            } else if is(at, &["setval"]) && is(at + 1, &["("]) {
                let arguments = &words[at + 2..];
                let into = if follows(arguments) { &mut self.following } else { &mut self.given };
                into.add(first_argument(arguments));
            } else if let Some(body) = quoted(words[at]).filter(|body| may_matter(body)) {
                self.read(&body);
            }
        }
    }
}

impl SequenceSet {
    fn is_empty(&self) -> bool {
        self.all.is_empty() && !self.is_open
    }

    fn may_mean(&self, name: &str, of: Option<(&str, &str)>) -> bool {
        let is_meant = |one: &SequenceMention| match one {
            SequenceMention::Name(known) => known == name,
            SequenceMention::Of(table, column) => of == Some((table, column)),
        };
        self.is_open || self.all.iter().any(is_meant)
    }

    fn add(&mut self, sequence: Option<SequenceMention>) {
        self.is_open |= sequence.is_none();
        self.all.extend(sequence);
    }
}

fn may_matter(text: &str) -> bool {
    has_any(text, &["setval", "restart"])
}

/// The sequence in `ALTER SEQUENCE … RESTART` or `ALTER TABLE … ALTER … RESTART`, if these words end in such a
/// statement. Anything else that is called `restart` does not count. The inner `None` is a sequence that is not named.
fn restarted(words: &[&str]) -> Option<Option<SequenceMention>> {
    let start = words.iter().rposition(|word| *word == ";").map_or(0, |at| at + 1);
    let is = |at: usize, others: &[&str]| words.get(at).is_some_and(|word| is_any(word, others));
    let at = (start..words.len()).rfind(|at| is(*at, &["alter"]) && is(*at + 1, &["sequence", "table"]))?;
    let mut rest = &words[at + 2..];
    while rest.first().is_some_and(|word| is_any(word, &["if", "exists", "only"])) {
        rest = &rest[1..];
    }
    // The altered object itself has this name.
    let (last, length) = dotted(rest)?;
    let last = name(last);
    if last.is_none() || is(at + 1, &["sequence"]) {
        return Some(last.map(SequenceMention::Name));
    }
    let action = rest[length..].iter().rposition(|word| *word == ",").map_or(length, |comma| length + comma + 1);
    let mut action = &rest[action..];
    for word in ["alter", "column"] {
        match action.first() {
            Some(first) if first.eq_ignore_ascii_case(word) => action = &action[1..],
            _ if word == "alter" => return None,
            _ => {}
        }
    }
    let column = action.first()?;
    Some(last.zip(name(column)).map(|(table, column)| SequenceMention::Of(table, column)))
}

/// The last part of a qualified name at the start of these words, and the number of its words.
fn dotted<'a>(words: &[&'a str]) -> Option<(&'a str, usize)> {
    let dots = words.iter().skip(1).step_by(2).take_while(|word| **word == ".").count();
    Some((words.get(2 * dots)?, 2 * dots + 1))
}

/// The sequence that the first argument of `setval` names.
fn first_argument(arguments: &[&str]) -> Option<SequenceMention> {
    if let Some(text) = quoted(arguments.first()?) {
        return last_name(&text).map(SequenceMention::Name);
    }
    let call = arguments.strip_prefix(&["pg_catalog", "."]).unwrap_or(arguments);
    let [function, "(", table, ",", column, ..] = call else { return None };
    if !is_any(function, &["pg_get_serial_sequence"]) {
        return None;
    }
    // The function parses its first argument as a name and takes its second argument literally.
    Some(SequenceMention::Of(last_name(&quoted(table)?)?, quoted(column)?.into_owned()))
}

/// The name in a text that the server parses as a name: `app.orders_id_seq`.
fn last_name(text: &str) -> Option<String> {
    name(words(text).last().map(|(_, span)| &text[span])?)
}

/// Whether the arguments of a call compute the value from the rows.
fn follows(arguments: &[&str]) -> bool {
    let mut depth = 1;
    let inside = arguments.iter().take_while(|word| {
        depth += i32::from(**word == "(") - i32::from(**word == ")");
        depth > 0
    });
    inside.into_iter().any(|word| is_any(word, &["select", "max", "count"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIAL: (&str, Option<(&str, &str)>) = ("t_a_seq", Some(("t", "a")));
    const OTHER: (&str, Option<(&str, &str)>) = ("another", Some(("u", "a")));

    fn gives(text: &str, (name, of): (&str, Option<(&str, &str)>)) -> bool {
        PositionedSequences::by([text]).may_give(name, of)
    }

    #[test]
    fn a_position_that_a_text_gives_is_told_from_one_that_follows_rows() {
        for text in [
            "SELECT setval('t_a_seq', 100)",
            "SELECT setval('\"t_a_seq\"'::regclass, 100)",
            "ALTER SEQUENCE t_a_seq RESTART",
            "ALTER SEQUENCE IF EXISTS app.T_a_seq INCREMENT 2 RESTART",
            "SELECT 1; DO $$ BEGIN ALTER SEQUENCE t_a_seq RESTART WITH 6; END $$",
            "ALTER TABLE t ALTER a RESTART WITH 5",
            "ALTER TABLE IF EXISTS ONLY app.t ADD b int, ALTER COLUMN a SET INCREMENT BY 2 RESTART WITH 5",
            "SELECT pg_catalog.setval(pg_get_serial_sequence('app.T', 'a'), 7)",
            "DO $$ BEGIN PERFORM setval(pg_catalog.pg_get_serial_sequence('t', 'a'), (7), false); END $$",
        ] {
            assert!(gives(text, SERIAL) && !gives(text, OTHER), "{text}");
        }
        for text in ["SELECT setval(s, 5) FROM x", "DO $$ BEGIN EXECUTE format('ALTER SEQUENCE %I RESTART', s); END $$"]
        {
            assert!(gives(text, SERIAL) && gives(text, OTHER), "{text}");
        }
        for text in [
            "SELECT setval('t_a_seq', (SELECT max(id) FROM t))",
            "SELECT setval('t_a_seq', coalesce(max(id), 1)) FROM t",
        ] {
            let found = PositionedSequences::by([text]);
            assert!(
                found.is_empty() && found.may_mean(SERIAL.0, SERIAL.1) && !found.may_mean(OTHER.0, OTHER.1),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_only_called_so_gives_no_position() {
        for text in [
            "TRUNCATE t RESTART IDENTITY",
            "SELECT nextval('s'); CREATE SEQUENCE s START 5",
            "INSERT INTO t (restart) VALUES (true)",
            "ALTER TABLE t ADD COLUMN restart bool; UPDATE t SET restart = true",
            "ALTER TABLE t ALTER restart SET DEFAULT true",
            "ALTER TABLE restart ADD b int",
            "ALTER SEQUENCE restart INCREMENT 2",
        ] {
            assert!(PositionedSequences::by([text]) == PositionedSequences::default(), "{text}");
        }
    }
}
