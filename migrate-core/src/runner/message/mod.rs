//! Messages: several migrations in one message, each in its own transaction.
//!
//! A simple query message may contain many statements. If one fails, the server discards the rest of the message, so
//! nothing runs after a failure; and it answers statement by statement, so it is known which one failed. One message
//! instead of five per migration is most of what a client can save. See
//! <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT>.

pub(super) mod explain;
pub(super) mod leftover;
pub(super) mod locate;
pub(super) mod session_effect;
pub(super) mod stepwise;

use std::time::Duration;

use migrate_base::db::{LockHolder, SessionFailure};
use migrate_base::sql::outlives_reset;

use crate::kept::SurroundingSql;
use crate::ledger::{Direction, LedgerEvent, LedgerRow};
use crate::runner::message::locate::FailurePart;
use crate::runner::options::Options;
use crate::runner::plan::PlanStep;
use crate::source::Script;

/// The statements that reset a session to its state after login.
///
/// `DISCARD ALL` does the same but must be the only statement of its message. Constraints come first: a deferred
/// trigger has to fire with the settings of its own migration.
const ISOLATE: [&str; 9] = [
    "SET CONSTRAINTS ALL IMMEDIATE;",
    "RESET SESSION AUTHORIZATION;",
    "RESET ROLE;",
    "RESET ALL;",
    "CLOSE ALL;",
    "DEALLOCATE ALL;",
    "UNLISTEN *;",
    "DISCARD SEQUENCES;",
    "DISCARD TEMP;",
];

/// The settings that every migration starts with.
#[derive(Debug, Clone)]
pub(in crate::runner) struct SessionSettings {
    pub(in crate::runner) lock_timeout: Duration,
    pub(in crate::runner) statement_timeout: Duration,
    /// Whether the server can detect a lost client while it works.
    pub(in crate::runner) notices_lost_client: bool,
}

impl SessionSettings {
    /// The statements that apply them to the session.
    pub(in crate::runner) fn sql(&self) -> String {
        let mut sql = format!(
            "SET lock_timeout TO {}; SET statement_timeout TO {};",
            self.lock_timeout.as_millis(),
            self.statement_timeout.as_millis()
        );
        if self.notices_lost_client {
            sql.push_str(" SET client_connection_check_interval TO 1000;");
        }
        sql
    }

    /// The statements that undo everything that a migration did to its session, then apply these settings again.
    pub(in crate::runner) fn isolate(&self) -> String {
        format!("{} {}", ISOLATE.join(" "), self.sql())
    }
}

/// The statements for the timeouts in which a script differs from the session.
pub(in crate::runner) fn own_timeouts(script: &Script, scope: &str) -> Vec<String> {
    let directives = script.directives();
    let set =
        |name: &str, value: Option<Duration>| value.map(|value| format!("SET {scope}{name} TO {};", value.as_millis()));
    let timeouts =
        [set("lock_timeout", directives.lock_timeout), set("statement_timeout", directives.statement_timeout)];
    timeouts.into_iter().flatten().collect()
}

/// Whether the next script needs a new session, because no statement can reset the old one to the state of a new one.
pub(in crate::runner) fn needs_fresh_session(step: &PlanStep) -> bool {
    step.script().is_none_or(|script| outlives_reset(script.text()))
}

/// The ledger row that records that a step is done.
pub(in crate::runner) fn outcome<'a>(step: &'a PlanStep, script: &'a Script, options: &'a Options) -> LedgerRow<'a> {
    let event = match step.direction {
        Direction::Up if step.version.is_repeatable() => LedgerEvent::Repeated,
        Direction::Up => LedgerEvent::Applied,
        Direction::Down => LedgerEvent::RolledBack,
    };
    let record = match &step.migration {
        Some(migration) => LedgerRow {
            down_checksum: match step.direction {
                Direction::Down => Some(script.checksum().as_str()),
                Direction::Up => migration.down_script().map(|down| down.checksum().as_str()),
            },
            ..LedgerRow::with_files(event, step.direction, migration)
        },
        None => LedgerRow {
            down_checksum: Some(script.checksum().as_str()),
            ..LedgerRow::of(event, step.direction, step.version.as_str(), &step.name)
        },
    };
    LedgerRow { note: options.reason.as_deref(), ..record }
}

/// How a message failed.
#[derive(Debug)]
pub(in crate::runner) struct MessageFailure {
    pub(in crate::runner) failure: SessionFailure,
    /// Whether it was cancelled on request.
    pub(in crate::runner) cancelled: bool,
    /// The sessions that were last seen blocking it.
    pub(in crate::runner) blockers: Vec<LockHolder>,
}

/// A message with one or more scripts.
#[derive(Debug, Default)]
pub(in crate::runner) struct Message {
    pub(in crate::runner) sql: String,
    pub(in crate::runner) parts: Vec<MessagePart>,
}

/// The place of one script in a message.
#[derive(Debug, Clone, Copy)]
pub(in crate::runner) struct MessagePart {
    /// The byte of the message at which its transaction starts.
    begin: usize,
    /// The byte of the message at which the script's text starts.
    start: usize,
    /// The length of the script's text in bytes.
    length: usize,
    /// How many of our own statements precede it.
    pub(in crate::runner) head: usize,
    /// Whether the last of those handles kept data.
    keeps: bool,
}

impl Message {
    /// Adds a script in its own transaction, with the SQL around it and the statement that records it.
    pub(in crate::runner) fn push(&mut self, script: &Script, aside: &SurroundingSql, isolate: &str, record: &str) {
        let timeouts = own_timeouts(script, "LOCAL ");
        let begin = self.sql.len();
        self.sql.push_str("BEGIN; ");
        self.sql.push_str(&timeouts.concat());
        self.sql.push_str(&aside.before);
        let start = self.sql.len();
        self.sql.push_str(script.text());
        // The line break ends a comment at the end of the file.
        for tail in ["\n;", isolate, &aside.after, record, "COMMIT;\n"] {
            self.sql.push_str(tail);
        }
        let keeps = !aside.before.is_empty();
        let (length, head) = (script.text().len(), 1 + timeouts.len() + usize::from(keeps));
        self.parts.push(MessagePart { begin, start, length, head, keeps });
    }

    /// The script that contains a byte of the message, and the byte in it, or the side of the script on which the byte
    /// lies.
    pub(in crate::runner) fn locate(&self, byte: usize) -> Option<(usize, Result<usize, FailurePart>)> {
        let at = self.parts.partition_point(|part| part.begin <= byte).checked_sub(1)?;
        let part = &self.parts[at];
        let inside = match byte.checked_sub(part.start) {
            None => Err(FailurePart::Before),
            Some(byte) if byte <= part.length => Ok(byte),
            Some(_) => Err(FailurePart::End),
        };
        Some((at, inside))
    }
}

impl MessagePart {
    /// What is running when `answers` statements of the part are done, for a script with `statements` statements.
    pub(in crate::runner) fn at(&self, answers: usize, statements: usize) -> FailurePart {
        match answers.checked_sub(self.head) {
            None if self.keeps && answers + 1 == self.head => FailurePart::Kept,
            None => FailurePart::Before,
            Some(n) if n < statements => FailurePart::Statement(n),
            Some(_) => FailurePart::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A script with or without its own timeouts, with multi-byte characters.
    fn script() -> impl Strategy<Value = Script> {
        ("[a-zü€ ;\n]{1,20}", any::<bool>(), any::<bool>()).prop_map(|(text, lock, statement)| {
            let lock = if lock { "-- migrate: lock-timeout 2s\n" } else { "" };
            let statement = if statement { "-- migrate: statement-timeout 3s\n" } else { "" };
            Script::recorded("a.sql".into(), format!("{lock}{statement}{text}").into())
        })
    }

    proptest! {
        /// Each byte of a message belongs to the script whose transaction contains it: to its text, or before or after
        /// it.
        #[test]
        fn a_byte_of_a_message_is_found_in_its_script(
            scripts in prop::collection::vec((script(), any::<bool>()), 1..5),
        ) {
            let mut message = Message::default();
            let mut begins = Vec::new();
            for (script, keeps) in &scripts {
                let around = |text: &str| if *keeps { text.to_owned() } else { String::new() };
                let aside = SurroundingSql { before: around("SELECT before;"), after: around("SELECT after;") };
                begins.push(message.sql.len());
                message.push(script, &aside, "RESET ALL;", "INSERT;");
            }
            prop_assert_eq!(message.locate(message.sql.len()), Some((scripts.len() - 1, Err(FailurePart::End))));
            for (at, (script, keeps)) in scripts.iter().enumerate() {
                let end = begins.get(at + 1).copied().unwrap_or(message.sql.len());
                let text = &message.sql[begins[at]..end];
                prop_assert!(text.starts_with("BEGIN; ") && text.ends_with("COMMIT;\n"), "{}", text);
                // Our statements precede the script, and none of them is inside it.
                let mut head = "BEGIN; ".to_owned();
                for (name, seconds) in [("lock", 2), ("statement", 3)] {
                    if script.text().contains(&format!("{name}-timeout {seconds}s")) {
                        head += &format!("SET LOCAL {name}_timeout TO {seconds}000;");
                    }
                }
                head += if *keeps { "SELECT before;" } else { "" };
                let start = begins[at] + head.len();
                let rest = text.strip_prefix(&*head);
                prop_assert!(rest.is_some_and(|rest| rest.starts_with(&**script.text())), "{}", text);
                let ours = head.matches(';').count();
                prop_assert_eq!(message.parts[at].head, ours);
                for byte in begins[at]..end {
                    let expected = match byte {
                        byte if byte < start => Err(FailurePart::Before),
                        byte if byte <= start + script.text().len() => Ok(byte - start),
                        _ => Err(FailurePart::End),
                    };
                    prop_assert_eq!(message.locate(byte), Some((at, expected)));
                }
                let part = message.parts[at];
                prop_assert_eq!(part.at(0, 3), FailurePart::Before);
                prop_assert_eq!(part.at(ours - 1, 3), if *keeps { FailurePart::Kept } else { FailurePart::Before });
                let of_script: Vec<FailurePart> = (0..4).map(|n| part.at(ours + n, 3)).collect();
                let [a, b, c] = [0, 1, 2].map(FailurePart::Statement);
                prop_assert_eq!(of_script, [a, b, c, FailurePart::End]);
            }
        }
    }

    #[test]
    fn the_row_of_a_step_has_the_checksums_of_its_files_and_the_reason() {
        let texts = [("1_a.up.sql", "SELECT 1;"), ("1_a.down.sql", "SELECT -1;")]
            .map(|(name, text)| (format!("2025010100000{name}"), text));
        let files = texts.iter().map(|(name, text)| (name.as_str(), text.as_bytes()));
        let set = crate::MigrationSet::of_files(std::path::Path::new("m"), files).unwrap();
        let migration = set.iter().next().unwrap();
        let stored = Script::recorded("(ledger) a.down.sql".into(), "SELECT 'as it was';".into());
        let options = Options { reason: Some("a deploy".to_owned()), ..Options::default() };
        let row = |direction, script: &Script, has_files: bool| {
            let work = crate::StepWork::Sql(std::sync::Arc::new(stored.clone()));
            let named = (migration.version().clone(), migration.name().to_owned());
            let step = PlanStep::new(direction, named, work, has_files.then(|| migration.clone()));
            let row = outcome(&step, script, &options);
            let sums = [row.up_checksum, row.down_checksum].map(|sum| sum.map(str::to_owned));
            (row.event.as_str(), sums, row.down_sql.map(str::to_owned), row.note.map(str::to_owned))
        };
        let (up, down) = (migration.up_script().unwrap(), migration.down_script().unwrap());
        let sum = |script: &Script| Some(script.checksum().as_str().to_owned());
        let reason = || Some("a deploy".to_owned());
        let text = Some("SELECT -1;".to_owned());
        assert_eq!(row(Direction::Up, up, true), ("applied", [sum(up), sum(down)], text, reason()));
        assert_eq!(row(Direction::Down, &stored, true), ("rolled_back", [sum(up), sum(&stored)], None, reason()));
        assert_eq!(row(Direction::Down, &stored, false), ("rolled_back", [None, sum(&stored)], None, reason()));
    }

    #[test]
    fn a_script_in_rust_and_one_that_listens_need_a_session_of_their_own() {
        let needs = |work: crate::StepWork| {
            let version = "20250101000001".parse().unwrap();
            needs_fresh_session(&PlanStep::new(Direction::Up, (version, "a".to_owned()), work, None))
        };
        let sql =
            |text: &str| crate::StepWork::Sql(std::sync::Arc::new(Script::recorded("1_a.up.sql".into(), text.into())));
        assert!(needs(crate::StepWork::Code) && needs(sql("SET SESSION app.a = 'x';")));
        assert!(!needs(sql("CREATE TABLE a (b int);")));
    }

    #[test]
    fn what_a_migration_did_to_its_session_is_undone_before_its_settings_are_set() {
        let settings = SessionSettings {
            lock_timeout: Duration::from_secs(3),
            statement_timeout: Duration::ZERO,
            notices_lost_client: true,
        };
        let set = "SET lock_timeout TO 3000; SET statement_timeout TO 0; SET client_connection_check_interval TO 1000;";
        assert_eq!(settings.sql(), set);
        let isolate = settings.isolate();
        for undone in ["SET CONSTRAINTS ALL IMMEDIATE;", "RESET ROLE;", "RESET ALL;", "DISCARD TEMP;"] {
            assert!(isolate.find(undone).unwrap() < isolate.find(set).unwrap(), "{isolate}");
        }
        assert!(isolate.find("RESET SESSION AUTHORIZATION;").unwrap() < isolate.find("RESET ALL;").unwrap());
        assert!(!SessionSettings { notices_lost_client: false, ..settings }.sql().contains("client_connection"));
    }
}
