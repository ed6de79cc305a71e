//! A statement that the server refused, as a story: file, line, caret, why, what now.

use super::drive::Broken;
use super::locate::{At, Where};
use super::plan::{Step, Work};
use super::singly;
use crate::db::Failure;
use crate::error::{Error, ErrorKind};
use crate::finding::{Finding, Place};
use crate::ident::catalog_name;
use crate::ledger::Direction;
use crate::source::Script;
use crate::sql::lex::words;

/// Makes the error for a script that failed.
pub(super) fn refused(step: &Step, at: At, broken: Broken) -> Error {
    let Broken { failure, cancelled, blockers } = broken;
    let lost = failure.is_lost();
    let refusal = match failure {
        Failure::Server(refusal) if !cancelled && !lost => refusal,
        Failure::Server(_) if cancelled => return interrupted(step),
        Failure::Silent(why) => return dead(step, cancelled, why),
        lost => {
            let doing = format!("run {}", title(step));
            let error = lost.explain(ErrorKind::Connection, "connection-lost", &doing);
            return error.help("`cargo xtask status` shows where the chain stands");
        }
    };
    let code = match refusal.sqlstate.as_str() {
        "55P03" => "lock-timeout",
        "RT002" => "cannot-keep",
        "RT003" => "kept-data",
        _ => "statement-failed",
    };
    let mut finding = Finding::error(code, refusal.message.clone());
    if let Work::Sql(script) = &step.work {
        finding = finding.at(place(script, at)).note(count(step, script, at));
    }
    finding.notes.extend(refusal.detail.clone());
    finding.notes.extend(refusal.context.as_ref().map(|context| format!("in {}", context.replace('\n', ", in "))));
    finding.notes.push(format!("SQLSTATE {}", refusal.sqlstate));
    for holder in &blockers {
        let query = holder.query.as_ref().map(|query| format!(": {query}")).unwrap_or_default();
        finding.notes.push(format!("in the way was {holder}{query}"));
    }
    if !step.no_transaction() {
        finding.notes.push("nothing of this migration was kept; what ran before it is committed".to_owned());
    }
    finding.help.extend(refusal.advice());
    let advised = added_column(&refusal.sqlstate, &refusal.message, step, at);
    let advised =
        advised.or_else(|| advice(&refusal.sqlstate, step)).or_else(|| syntax(&refusal.sqlstate, &refusal.message));
    finding.help.extend(match stays(step, at) && is_for_the_file(&refusal.sqlstate) {
        true => undo_first(&refusal.sqlstate, step),
        false => advised,
    });
    Error::new(ErrorKind::Statement, finding).with_sqlstate(refusal.sqlstate)
}

/// The error of a run whose connection is dead.
fn dead(step: &Step, cancelled: bool, why: String) -> Error {
    let title = title(step);
    let (kind, what) = match cancelled {
        true => (ErrorKind::Cancelled, format!("interrupted at {title}, while the connection to the server is dead")),
        false => (ErrorKind::Connection, format!("lost the connection to the server during {title}")),
    };
    let answer = match step.no_transaction() {
        true => "the ledger says how far it came; the statement that was under way may be done without its row",
        false => {
            "the ledger has the answer: a migration and its row in the ledger are committed together, or neither is"
        }
    };
    let finding = Finding::error("connection-dead", what)
        .note(why)
        .note("what was committed before is safe; whether this migration was committed is not known here")
        .note(answer)
        .help("when the server can be reached again, `cargo xtask status` shows where the chain stands; then run the command again");
    Error::new(kind, finding)
}

/// What else was in a message of which the answers are lost; `last` is the last step of it.
pub(super) fn together(last: &Step) -> String {
    format!("it shared a message with what follows it, up to {}: the server may have come to any of them", title(last))
}

/// Whoever wants to leave waited long enough.
pub(super) fn no_patience() -> Failure {
    Failure::Silent("it was interrupted, and the server does not answer".to_owned())
}

/// The error of a run that was stopped on request before its first step.
pub(super) fn interrupted_before() -> Error {
    let finding = Finding::error("interrupted", "interrupted before the first migration began")
        .note("nothing was run")
        .help("`cargo xtask status` shows where the chain stands");
    Error::new(ErrorKind::Cancelled, finding)
}

/// The error of a run that was stopped on request.
pub(super) fn interrupted(step: &Step) -> Error {
    let what = match step.no_transaction() {
        true => {
            "what its statements did so far is kept and recorded; the next run goes on from there, or says what you have to decide"
        }
        false => "nothing of this migration was kept",
    };
    let finding = Finding::error("interrupted", format!("interrupted at {}", title(step)))
        .note(what)
        .note("the statement was cancelled on the server, and the lock is released")
        .help("`cargo xtask status` shows where the chain stands");
    Error::new(ErrorKind::Cancelled, finding)
}

/// The migration and the way it goes, in words.
pub(super) fn title(step: &Step) -> String {
    let what = if step.direction == Direction::Up { "migration" } else { "the rollback of" };
    format!("{what} {}_{}", step.version, step.name)
}

fn count(step: &Step, script: &Script, at: At) -> String {
    let (all, title) = (script.statements().len(), title(step));
    match at.part {
        Where::Before => format!("before the first statement of {title}, while its transaction is prepared"),
        Where::Kept => format!("before {title}, while kept data are looked after"),
        Where::Statement(n) => format!("statement {} of {all} of {title}", n + 1),
        Where::End => {
            format!("at the end of {title}, where deferred constraints are checked and the ledger is written")
        }
        Where::Unknown => format!("in {title}; the server does not say where"),
    }
}

fn place(script: &Script, at: At) -> Place {
    let (text, statements) = (script.text(), script.statements());
    let statement = match at.part {
        Where::Statement(n) => statements.get(n),
        Where::End => statements.last(),
        Where::Before | Where::Kept | Where::Unknown => None,
    };
    let span = match (at.byte, statement) {
        (Some(byte), _) => byte..word_end(text, byte),
        (None, Some(statement)) => {
            let first_line = text[statement.span.clone()].lines().next().map_or(0, str::len);
            statement.span.start..statement.span.start + first_line
        }
        (None, None) => return Place::file(script.path()),
    };
    Place::within(script.path(), text.clone(), span)
}

/// Where the word that begins at a byte ends.
fn word_end(text: &str, byte: usize) -> usize {
    let rest = text.get(byte..).unwrap_or_default();
    let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    byte + word.max(1).min(rest.len().max(1))
}

/// Whether statements before the failed one stay done, so that a script that is corrected is not the one that began.
fn stays(step: &Step, at: At) -> bool {
    match (&step.work, at.part) {
        (Work::Sql(script), Where::Statement(n)) => step.no_transaction() && singly::has_effect(script, n),
        _ => false,
    }
}

/// Whether the advice is to correct the file.
fn is_for_the_file(sqlstate: &str) -> bool {
    let names = ["42P01", "42703", "42704", "42883", "3F000"];
    let there = ["42P07", "42710", "42701", "42P06", "42723"];
    sqlstate == "42601" || names.contains(&sqlstate) || there.contains(&sqlstate)
}

/// The same advice, where statements are done that the corrected file would run again.
fn undo_first(sqlstate: &str, step: &Step) -> Option<String> {
    let version = &step.version;
    let cause = match sqlstate {
        "42601" => "",
        "42P07" | "42710" | "42701" | "42P06" | "42723" => {
            "an object of this name is there already: remove what is in its way; or "
        }
        _ => "put what it stands on there; or ",
    };
    let is_way_back = step.undoes.is_some() || step.resume.as_ref().is_some_and(|resume| resume.undoes.is_some());
    match (is_way_back, step.direction) {
        // The way back of an unfinished one only goes on.
        (true, _) => None,
        (false, Direction::Up) => Some(format!(
            "{cause}undo what is done with `cargo xtask resolve {version} --undo`, correct the file, and migrate"
        )),
        (false, Direction::Down) => Some(format!(
            "{cause}take back what is done with `cargo xtask resolve {version} --undo`, correct the file, and roll back"
        )),
    }
}

/// What to do about a text that is not SQL.
fn syntax(sqlstate: &str, message: &str) -> Option<String> {
    let is_placeholder = ["\"$\"", "\"{\"", "\":\"", "\"%\"", "\"@\""].iter().any(|sign| message.ends_with(sign));
    match sqlstate {
        "42601" if is_placeholder => Some(
            "write the value itself: the text goes to the server as it is, and placeholders of other tools are not replaced".to_owned(),
        ),
        "42601" => Some("correct the statement and run the command again".to_owned()),
        _ => None,
    }
}

/// What to do about a column that is added NOT NULL to a table with rows: none of them can be filled before.
fn added_column(sqlstate: &str, message: &str, step: &Step, at: At) -> Option<String> {
    let (Work::Sql(script), Where::Statement(n), "23502") = (&step.work, at.part, sqlstate) else { return None };
    let text = &script.text()[script.statements().get(n)?.span.clone()];
    let words: Vec<&str> = words(text).map(|(_, place)| &text[place]).collect();
    let is = |word: &&&str, list: &[&str]| list.iter().any(|one| word.eq_ignore_ascii_case(one));
    let mut added = words.iter().enumerate().filter(|(_, word)| is(word, &["add"])).filter_map(|(at, _)| {
        let name = words[at + 1..].iter().find(|word| !is(word, &["column", "if", "not", "exists"]))?;
        catalog_name(name)
    });
    let is_named = added.any(|name| message.contains(&format!("\"{name}\"")));
    is_named.then(|| "give it a DEFAULT, or add it nullable, fill it, then SET NOT NULL".to_owned())
}

fn advice(sqlstate: &str, step: &Step) -> Option<String> {
    let advice = match sqlstate {
        "25001" | "2D000" => "put `-- migrate: no-transaction` on a line of its own at the head of the file",
        "55P03" => {
            "run it when there is less traffic, end the session in the way, or give the file `-- migrate: lock-timeout 10s`"
        }
        "40P01" => "another session took the same locks in another order; run it again when there is less traffic",
        "57014" => {
            "the statement ran longer than its timeout, or somebody cancelled it; `-- migrate: statement-timeout 10min` gives it longer"
        }
        "42501" => {
            "the role that migrates has to own what it changes: log in as the owner, or let it become one (GRANT owner TO role)"
        }
        "42P07" | "42710" | "42701" | "42P06" | "42723" => {
            "an object of this name is there already: correct the migration, or remove what is in its way"
        }
        "42P01" | "42703" | "42704" | "42883" | "3F000" if step.direction == Direction::Up => {
            "correct the name, or put what it stands on into an earlier migration"
        }
        "23502" if step.direction == Direction::Up => {
            "give the rows that are there a value before the column requires one: UPDATE … SET … WHERE … IS NULL"
        }
        "23503" | "23514" if step.direction == Direction::Up => {
            "correct the rows that do not fit before, or add the constraint NOT VALID and validate it when they do"
        }
        "2BP01" => "drop what depends on it first, in the same script",
        "RT002" => "roll back without --keep-data, after copying by hand what is destroyed",
        "RT003" => "apply it with --leave-kept, which leaves the copies where they are: `cargo xtask kept` says where",
        "53100" => "the server's disk is full; make room, then run it again",
        "25006" => "this server is a standby or read-only; give the address of the primary",
        _ => return None,
    };
    Some(advice.to_owned())
}

/// Says how a shadow database gets what production has without any migration: roles, types and settings (42704),
/// schemas, tables, functions; and the packages of extensions (58P01 up to PostgreSQL 15.2, 0A000 since).
pub(super) fn missing(error: Error) -> Error {
    match error.sqlstate() {
        Some("42704" | "3F000" | "42P01" | "42883") => error.help(
            "if it exists before the first migration, make it in a script that `setup` in [shadow] of migrate.toml names; \
             settings of sessions are in `settings` there",
        ),
        Some("0A000" | "58P01") if error.to_string().contains("extension \"") => error.help(
            "if production has it, use a server that has it too for shadow databases: name one as `database` in \
             [environments.shadow] of migrate.toml, or the binaries of one in ROUNDTRIP_TEST_BINDIR",
        ),
        _ => error,
    }
}
