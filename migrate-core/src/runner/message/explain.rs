//! Explains a statement that the server refused: file, line, caret, reason, next step.

use migrate_base::codes;
use migrate_base::db::SessionFailure;
use migrate_base::error::{Error, ErrorKind};
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::catalog_name;
use migrate_base::sql::lex::words;

use super::locate::{FailurePart, FailurePlace};
use super::{MessageFailure, stepwise};
use crate::ledger::Direction;
use crate::runner::plan::{PlanStep, StepWork};
use crate::source::Script;

/// Creates the error for a script that failed.
pub(in crate::runner) fn refused(step: &PlanStep, at: FailurePlace, broken: MessageFailure) -> Error {
    let MessageFailure { failure, cancelled, blockers } = broken;
    let lost = failure.is_lost();
    let refusal = match failure {
        SessionFailure::Server(refusal) if !cancelled && !lost => refusal,
        SessionFailure::Server(_) if cancelled => return interrupted(step),
        SessionFailure::Silent(why) => return dead(step, cancelled, why),
        lost => {
            let doing = format!("run {}", title(step));
            let error = lost.explain(ErrorKind::Connection, codes::CONNECTION_LOST, &doing);
            return error.help("`cargo xtask status` shows the state of the chain");
        }
    };
    let code = match refusal.sqlstate.as_str() {
        "55P03" => codes::LOCK_TIMEOUT,
        "RT002" => codes::CANNOT_KEEP,
        "RT003" => codes::KEPT_DATA,
        _ => codes::STATEMENT_FAILED,
    };
    let mut finding = Finding::new(code, refusal.message.clone());
    if let StepWork::Sql(script) = &step.work {
        finding = finding.at(place(script, at)).note(count(step, script, at));
    }
    finding.notes.extend(refusal.detail.clone());
    finding.notes.extend(refusal.context.as_ref().map(|context| format!("in {}", context.replace('\n', ", in "))));
    finding.notes.push(format!("SQLSTATE {}", refusal.sqlstate));
    for holder in &blockers {
        let query = holder.query.as_ref().map(|query| format!(": {query}")).unwrap_or_default();
        finding.notes.push(format!("blocked by {holder}{query}"));
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
fn dead(step: &PlanStep, cancelled: bool, why: String) -> Error {
    let title = title(step);
    let (kind, what) = match cancelled {
        true => (ErrorKind::Cancelled, format!("interrupted at {title}, while the connection to the server is dead")),
        false => (ErrorKind::Connection, format!("lost the connection to the server during {title}")),
    };
    let answer = match step.no_transaction() {
        true => {
            "the ledger shows how far it got; the statement that was running may be done although the ledger has no \
             row for it"
        }
        false => "the ledger shows it: a migration and its ledger row are committed together or not at all",
    };
    let finding = Finding::new(codes::CONNECTION_DEAD, what)
        .note(why)
        .note("everything committed before is safe; it is unknown whether this migration was committed")
        .note(answer)
        .help(
            "when the server is reachable again, check the state of the chain with `cargo xtask status`, then run the \
             command again",
        );
    Error::new(kind, finding)
}

/// Says which other steps were in a message whose answers are lost; `last` is its last step.
pub(in crate::runner) fn together(last: &PlanStep) -> String {
    format!(
        "it was sent in one message with the steps after it, up to {}: the server may have reached any of them",
        title(last)
    )
}

/// The failure when a cancelled run has waited long enough.
pub(in crate::runner) fn no_patience() -> SessionFailure {
    SessionFailure::Silent("the run was interrupted, and the server does not answer".to_owned())
}

/// The error of a run that was cancelled before its first step.
pub(in crate::runner) fn interrupted_before() -> Error {
    let finding = Finding::new(codes::INTERRUPTED, "interrupted before the first migration started")
        .note("nothing was run")
        .help("`cargo xtask status` shows the state of the chain");
    Error::new(ErrorKind::Cancelled, finding)
}

/// The error of a run that was cancelled.
pub(in crate::runner) fn interrupted(step: &PlanStep) -> Error {
    let what = match step.no_transaction() {
        true => {
            "the statements that are done are committed and recorded; the next run continues from there, or tells you \
             what to decide"
        }
        false => "nothing of this migration was kept",
    };
    let finding = Finding::new(codes::INTERRUPTED, format!("interrupted at {}", title(step)))
        .note(what)
        .note("the statement was cancelled on the server, and the lock is released")
        .help("`cargo xtask status` shows the state of the chain");
    Error::new(ErrorKind::Cancelled, finding)
}

/// The migration and its direction, in words.
pub(in crate::runner) fn title(step: &PlanStep) -> String {
    let what = if step.direction == Direction::Up { "migration" } else { "the rollback of" };
    format!("{what} {}", step.version.title(&step.name))
}

fn count(step: &PlanStep, script: &Script, at: FailurePlace) -> String {
    let (all, title) = (script.statements().len(), title(step));
    match at.part {
        FailurePart::Before => {
            format!("before the first statement of {title}, while its transaction was being prepared")
        }
        FailurePart::Kept => format!("before {title}, while kept data was being handled"),
        FailurePart::Statement(n) => format!("statement {} of {all} of {title}", n + 1),
        FailurePart::End => {
            format!("at the end of {title}, where deferred constraints are checked and the ledger is written")
        }
        FailurePart::Unknown => format!("in {title}; the server did not say where"),
    }
}

fn place(script: &Script, at: FailurePlace) -> Place {
    let (text, statements) = (script.text(), script.statements());
    let statement = match at.part {
        FailurePart::Statement(n) => statements.get(n),
        FailurePart::End => statements.last(),
        FailurePart::Before | FailurePart::Kept | FailurePart::Unknown => None,
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

/// The end of the word that starts at a byte.
fn word_end(text: &str, byte: usize) -> usize {
    let rest = text.get(byte..).unwrap_or_default();
    let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    byte + word.max(1).min(rest.len().max(1))
}

/// Whether statements before the failed one stay done, so that a corrected script would differ from the one that
/// started.
fn stays(step: &PlanStep, at: FailurePlace) -> bool {
    match (&step.work, at.part) {
        (StepWork::Sql(script), FailurePart::Statement(n)) => step.no_transaction() && stepwise::has_effect(script, n),
        _ => false,
    }
}

/// Whether the advice for this error is to correct the file.
fn is_for_the_file(sqlstate: &str) -> bool {
    let names = ["42P01", "42703", "42704", "42883", "3F000"];
    let there = ["42P07", "42710", "42701", "42P06", "42723"];
    sqlstate == "42601" || names.contains(&sqlstate) || there.contains(&sqlstate)
}

/// The same advice when statements are already done that the corrected file would run again.
fn undo_first(sqlstate: &str, step: &PlanStep) -> Option<String> {
    let version = &step.version;
    let cause = match sqlstate {
        "42601" => "",
        "42P07" | "42710" | "42701" | "42P06" | "42723" => "an object with this name already exists: remove it; or ",
        _ => "create what it depends on; or ",
    };
    let is_way_back = step.undoes.is_some() || step.resume.as_ref().is_some_and(|resume| resume.undoes.is_some());
    match (is_way_back, step.direction) {
        // The undo of an unfinished migration can only be continued.
        (true, _) => None,
        (false, Direction::Up) => Some(format!(
            "{cause}undo what is done with `cargo xtask resolve {version} --undo`, correct the file, and migrate again"
        )),
        (false, Direction::Down) => Some(format!(
            "{cause}undo what is done with `cargo xtask resolve {version} --undo`, correct the file, and roll back \
             again"
        )),
    }
}

/// What to do about a syntax error.
fn syntax(sqlstate: &str, message: &str) -> Option<String> {
    let is_placeholder = ["\"$\"", "\"{\"", "\":\"", "\"%\"", "\"@\""].iter().any(|sign| message.ends_with(sign));
    match sqlstate {
        "42601" if is_placeholder => Some(
            "write the value itself: the script is sent to the server unchanged, and placeholders of other tools are \
             not replaced"
                .to_owned(),
        ),
        "42601" => Some("correct the statement and run the command again".to_owned()),
        _ => None,
    }
}

/// What to do about a column that is added NOT NULL to a table with rows: they cannot be filled before.
fn added_column(sqlstate: &str, message: &str, step: &PlanStep, at: FailurePlace) -> Option<String> {
    let (StepWork::Sql(script), FailurePart::Statement(n), "23502") = (&step.work, at.part, sqlstate) else {
        return None;
    };
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

fn advice(sqlstate: &str, step: &PlanStep) -> Option<String> {
    let advice = match sqlstate {
        "25001" | "2D000" => "put `-- migrate: no-transaction` on a line of its own at the head of the file",
        "55P03" => {
            "run it when there is less traffic, end the blocking session, or put `-- migrate: lock-timeout 10s` in \
             the file"
        }
        "40P01" => "another session took the same locks in a different order; run it again when there is less traffic",
        "57014" => {
            "the statement ran longer than its timeout, or somebody cancelled it; \
             `-- migrate: statement-timeout 10min` gives it more time"
        }
        "42501" => {
            "the role that runs migrations must own what it changes: log in as the owner, or make the role a member \
             (GRANT owner TO role)"
        }
        "42P07" | "42710" | "42701" | "42P06" | "42723" => {
            "an object with this name already exists: correct the migration, or remove the object"
        }
        "42P01" | "42703" | "42704" | "42883" | "3F000" if step.direction == Direction::Up => {
            "correct the name, or create the missing object in an earlier migration"
        }
        "23502" if step.direction == Direction::Up => {
            "give the existing rows a value before the column requires one: UPDATE … SET … WHERE … IS NULL"
        }
        "23503" | "23514" if step.direction == Direction::Up => {
            "first correct the rows that violate the constraint, or add it NOT VALID and validate it later"
        }
        "2BP01" => "first drop the objects that depend on it, in the same script",
        "RT002" => "copy the data by hand, then roll back without --keep-data",
        "RT003" => "apply it with --leave-kept, which leaves the copies where they are: `cargo xtask kept` shows where",
        "53100" => "the server's disk is full; free some space, then run it again",
        "25006" => "this server is a standby or read-only; use the address of the primary",
        _ => return None,
    };
    Some(advice.to_owned())
}

/// Says how to give a shadow database what production has without any migration: roles, types and settings (42704),
/// schemas, tables, functions; and the packages of extensions (58P01 up to PostgreSQL 15.2, 0A000 since).
pub(in crate::runner) fn missing(error: Error) -> Error {
    match error.sqlstate() {
        Some("42704" | "3F000" | "42P01" | "42883") => error.help(
            "if it exists before the first migration, create it in a `setup` script ([shadow] in migrate.toml); \
             session settings go into `settings` there",
        ),
        Some("0A000" | "58P01") if error.to_string().contains("extension \"") => error.help(
            "if production has it, use a shadow server that has it too: set `database` in [environments.shadow] of \
             migrate.toml, or set ROUNDTRIP_TEST_BINDIR to the binaries of such a server",
        ),
        _ => error,
    }
}
