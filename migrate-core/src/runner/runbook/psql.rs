//! Writes a runbook as a `psql` script.
//!
//! Each message is dollar-quoted, and `\gexec` sends it to the server unchanged, in one piece, as the runner does. psql
//! changes nothing in such a quote: `:name`, backslashes and semicolons have no meaning in it.

use std::fmt::Write as _;

use migrate_base::ident::{ident, literal};
use migrate_base::template::fill;
use migrate_base::visible;

use super::parts::{RollbackSave, RunbookItem};
use super::{Runbook, names};
use crate::ledger::{self, USERS};

/// The script of a runbook.
pub(super) fn write(book: &Runbook) -> String {
    let tag = tag(book);
    let mut script = head(book);
    script += include_str!("begin.psql");
    script += &who();
    script += &guards(book);
    script += &blockers(book);
    script += &lock(book, &tag);
    script += &versions(book);
    for item in &book.parts.items {
        script += &step(book, item, &tag);
    }
    script + &end(book)
}

/// The header comment.
fn head(book: &Runbook) -> String {
    let at = |version: &Option<crate::Version>| match version {
        Some(version) => format!("version {version}"),
        None => "the state before the first migration".to_owned(),
    };
    let mut lines = vec![
        format!("Runbook for the database {}, written by {}.", book.database, book.tool),
        format!("It takes the database from {} to {}:", at(&book.before), at(&book.after)),
    ];
    lines.extend(book.steps.iter().map(|step| format!("  {step}")));
    lines.extend(book.losses.iter().map(|loss| format!("DATA IS LOST by {loss}")));
    if book.parts.items.iter().any(|item| item.save.is_some()) {
        lines.push(
            "What it destroys is not saved, unless you run it with -v save=1: every table that it names is then"
                .to_owned(),
        );
        lines.push(
            "copied to the schema saved_VERSION first. Drop that schema when nobody needs it any more.".to_owned(),
        );
    }
    lines.extend(book.reason.iter().map(|reason| format!("Why: {reason}")));
    let mut text = String::new();
    for line in lines {
        text += &comment(&line);
    }
    text + "--\n"
}

/// Who runs it: the first of the usual variables that is set, unless `-v actor=…` is given.
fn who() -> String {
    let mut text = String::from("\\if :{?actor}\n\\else\n");
    for variable in USERS.iter().rev() {
        let _ = writeln!(text, "\\getenv actor {variable}");
    }
    text + include_str!("who.psql")
}

/// Checks for the right program, session and database.
fn guards(book: &Runbook) -> String {
    let (database, role) = (literal(&book.database), literal(&book.role));
    let is_here = format!("WHERE pg_catalog.current_database() <> {database}");
    let wrong = format!(
        "pg_catalog.format('this is the database %s, but the runbook is for %s', pg_catalog.current_database(), \
         {database})"
    );
    let standby = "WHERE pg_catalog.pg_is_in_recovery()";
    let other = format!("WHERE SESSION_USER <> {role}");
    let settings = "FROM pg_catalog.pg_settings WHERE (name, reset_val) IN (('client_encoding', 'UTF8'), \
                    ('TimeZone', 'UTC'), ('DateStyle', 'ISO, MDY')) HAVING pg_catalog.count(*) < 3";
    let texts = [
        "\n-- Guards: the right program, database and server.\n".to_owned(),
        refuse(
            "'psql is older than this script'",
            "'Use psql 15 or newer.'",
            &format!("WHERE {} < 150000", ":VERSION_NUM"),
        ),
        refuse(
            "'the session has different settings than a run'",
            "'Connect to the server itself, not to a pooler.'",
            settings,
        ),
        refuse(&wrong, "'Nothing was run. Connect to the right database.'", &is_here),
        refuse("'this server is a standby'", "'Nothing was run. Connect to the primary.'", standby),
        warn(
            &format!(
                "pg_catalog.format('you are %s, but this was written for %s: what it creates belongs to you', \
                 SESSION_USER, {role})"
            ),
            &other,
        ),
    ];
    texts.concat()
}

/// Shows who holds locks on the tables of the plan, if only that is wanted.
fn blockers(book: &Runbook) -> String {
    let names = [("names", names::array(&book.parts.names)), ("schema", literal(book.ledger.schema()))];
    fill(include_str!("blockers.psql"), &names)
}

/// Copies the tables that a rollback names, if that is wanted. The rollback continues in the same transaction, so that
/// no row comes between the two; the warning about that is suppressed.
fn save(book: &Runbook, save: &RollbackSave) -> String {
    let schema = ident(&format!("saved_{}", save.version));
    let end = if save.commits { "COMMIT;" } else { "SET LOCAL client_min_messages TO error;" };
    let names = [
        ("saved_name", literal(&schema)),
        ("saved", schema),
        ("names", names::array(&save.names)),
        ("schema", literal(book.ledger.schema())),
        ("end", end.to_owned()),
    ];
    fill(include_str!("save.psql"), &names)
}

/// Takes both locks of a run and applies its settings, for this session.
fn lock(book: &Runbook, tag: &str) -> String {
    let body = book.keys.polling(book.patience);
    format!(
        "\n-- The migration lock, the same one that the command takes. It is released when the session ends, in \
         whatever way.\n\\echo 'taking the migration lock'\nDO ${tag}$\n{body}${tag}$;\n\n-- How long a statement \
         waits and runs; unlike the command, the script does not retry after a lock timeout.\n{}\n",
        book.parts.settings
    )
}

/// Opens a new session, and checks that nothing has happened meanwhile.
fn reconnect(book: &Runbook, tag: &str) -> String {
    let newest = format!("SELECT pg_catalog.max(id) FROM {}", book.ledger);
    let guard = refuse(
        "'somebody else has written to the ledger'",
        "'What ran so far is committed and recorded. Look at the ledger, then write a new script.'",
        &format!("WHERE ({newest}) <> :newest"),
    );
    format!(
        "\n-- What ran may have changed the settings of new sessions: continue in a new one.\nSELECT ({newest}) AS \
         newest \\gset\n\\connect\n{}{guard}",
        lock(book, tag)
    )
}

/// Checks that the ledger is the one for which the script was written, or that of a run of the script that stopped.
fn versions(book: &Runbook) -> String {
    let Runbook { ledger, newest, parts, .. } = book;
    let (expected, first) = (newest.unwrap_or(-1), newest.unwrap_or(0));
    let none = "(NULL::int, NULL::bigint, NULL::text, NULL::text)".to_owned();
    let rows = parts
        .rows
        .iter()
        .map(|row| format!("({}, {}, '{}', {})", row.part, row.id, row.event.as_str(), literal(&row.version)));
    let rows: Vec<String> = [none].into_iter().chain(rows).collect();
    let version = book.before.as_ref().map_or("NULL".to_owned(), |version| literal(version.as_str()));
    let names = [
        ("rows", rows.join(",\n    ")),
        ("ledger_name", literal(&ledger.to_string())),
        ("ledger", ledger.to_string()),
        ("applied", ledger::newest_applied(ledger)),
        ("version", version),
        ("expected", expected.to_string()),
        ("first", first.to_string()),
        ("made", usize::from(newest.is_none()).to_string()),
        ("count", parts.count.to_string()),
        ("lock", book.keys.lock().to_string()),
        ("work", book.keys.work().to_string()),
    ];
    fill(include_str!("versions.psql"), &names)
}

/// One item; it is skipped if the script is started further down.
fn step(book: &Runbook, item: &RunbookItem, tag: &str) -> String {
    if item.reconnects {
        return reconnect(book, tag);
    }
    let mut text = String::from("\n");
    let part = item.until.filter(|_| !item.title.is_empty());
    match part {
        None => text += "-- Settings that the parts below need in their session.\n",
        Some(part) => {
            text += &comment(&format!("part {part} of {}: {}", book.parts.count, item.title));
            text += &item.advice.iter().map(|line| comment(line)).collect::<String>();
            text += &comment(&format!("When the cause is gone, continue here: psql … -v part={part}"));
        }
    }
    if let Some(until) = item.until {
        let _ = writeln!(text, "SELECT :part <= {until} AS is_due \\gset\n\\if :is_due");
    }
    if let Some(part) = part {
        let _ = writeln!(text, "\\echo 'part {part} of {}:' {}", book.parts.count, word(&item.title));
    }
    // The last message is the ledger row; the index must be valid before it is written.
    let check = item.index.as_ref().map(|index| {
        let from = format!("FROM ({}) AS i (is_valid, name) WHERE NOT i.is_valid", index.query);
        let message = "pg_catalog.format('the index %s is not valid', i.name)";
        refuse(message, "pg_catalog.format('DROP INDEX CONCURRENTLY %s; then run this part again.', i.name)", &from)
    });
    text += &item.save.as_ref().map(|wanted| save(book, wanted)).unwrap_or_default();
    for (at, message) in item.messages.iter().enumerate() {
        if at + 1 == item.messages.len() {
            text += check.as_deref().unwrap_or_default();
        }
        text += &send(message, &book.parts.who, tag);
    }
    text + if item.until.is_some() { "\\endif\n" } else { "" }
}

/// The checks at the end, and the release of the lock.
fn end(book: &Runbook) -> String {
    let version = book.after.as_ref().map_or("NULL".to_owned(), |version| literal(version.as_str()));
    let ended = match &book.after {
        Some(version) => format!("done: version {version}"),
        None => "done: no migration is applied".to_owned(),
    };
    let names = [
        ("ended", word(&ended)),
        ("applied", ledger::newest_applied(&book.ledger)),
        ("ledger", book.ledger.to_string()),
        ("version", version),
        ("newest", book.parts.newest.to_string()),
        ("batch", (book.newest.unwrap_or(0) + 1).to_string()),
        ("lock", book.keys.lock().to_string()),
        ("work", book.keys.work().to_string()),
    ];
    fill(include_str!("end.psql"), &names)
}

/// Stops the script if the query returns a row; message and hint are SQL expressions.
fn refuse(message: &str, hint: &str, rest: &str) -> String {
    raise("EXCEPTION", &format!("MESSAGE = %L, HINT = %L; END',\n    {message},\n    {hint}"), rest)
}

/// Prints a warning if the query returns a row, and continues.
fn warn(message: &str, rest: &str) -> String {
    raise("WARNING", &format!("MESSAGE = %L; END',\n    {message}"), rest)
}

fn raise(level: &str, using: &str, rest: &str) -> String {
    let block = format!("pg_catalog.format('BEGIN RAISE {level} USING {using}))");
    format!("SELECT pg_catalog.format('DO %L', {block}\n{rest} \\gexec\n")
}

/// Sends a message unchanged, with the actor and host in place of the placeholder.
fn send(message: &str, who: &str, tag: &str) -> String {
    let quoted: Vec<String> = message.split(who).map(|piece| format!("${tag}${piece}${tag}$")).collect();
    match quoted.as_slice() {
        [one] => format!("SELECT {one} \\gexec\n"),
        several => format!("SELECT pg_catalog.concat({}) \\gexec\n", several.join(", :'who', ")),
    }
}

/// A dollar-quote tag that occurs in none of the messages.
fn tag(book: &Runbook) -> String {
    let polling = book.keys.polling(book.patience);
    let messages = || book.parts.items.iter().flat_map(|item| &item.messages).chain([&polling]);
    let is_free = |tag: &String| !messages().any(|message| message.contains(&format!("${tag}")));
    let candidates = (0u32..).map(|n| if n == 0 { "run".to_owned() } else { format!("run{n}") });
    candidates.into_iter().find(is_free).unwrap_or_default()
}

/// A one-line comment, whatever the text contains: psql would run what follows a line break in a name.
fn comment(text: &str) -> String {
    format!("-- {}\n", visible::line(text))
}

/// An argument of a psql command.
fn word(text: &str) -> String {
    let text = visible::line(text).replace('\\', "\\\\");
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_line_of_its_own() {
        assert_eq!(comment("a\n\\! rm\r\u{1b}[2J"), "-- a\\n\\! rm\\r\\x1b[2J\n");
        assert_eq!(word("it's\n\\q"), "'it''s\\\\n\\\\q'");
    }
}
