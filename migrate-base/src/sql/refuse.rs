//! What a migration cannot contain, reported before any of it runs.

use std::path::Path;
use std::sync::Arc;

use super::dumped::is_guard;
use super::{Class, Flaw, FlawKind, Statement};
use crate::codes;
use crate::finding::{Finding, Place};

/// The findings for one script: the parts that are not SQL, and the statements that cannot run the way the script is
/// run.
pub fn refused(
    path: &Path,
    text: &Arc<str>,
    statements: &[Statement],
    flaws: &[Flaw],
    transaction: bool,
) -> Vec<Finding> {
    let place = |span: &std::ops::Range<usize>| Place::within(path, text.clone(), span.clone());
    let flaws = flaws.iter().map(|flaw| describe(flaw.kind, &text[flaw.span.clone()]).at(place(&flaw.span)));
    let statements = statements.iter().filter_map(|statement| {
        let finding = refuse(statement.class, transaction)?;
        Some(finding.at(place(&statement.span)))
    });
    flaws.chain(statements).collect()
}

/// Why a statement of this class cannot be part of a script, if it cannot.
fn refuse(class: Class, transaction: bool) -> Option<Finding> {
    match class {
        Class::CopyWithClient => Some(
            Finding::new(codes::COPY_CLIENT, "COPY with the client's data cannot be part of a migration")
                .note("no client runs with the migration that could send or receive the rows")
                .help("write the rows as INSERT statements"),
        ),
        Class::TransactionControl if transaction => Some(
            Finding::new(codes::TRANSACTION_CONTROL, "a transactional migration cannot begin or end a transaction")
                .note("it runs in its own transaction, together with its row in the ledger")
                .help("remove the statement, or put `-- migrate: no-transaction` at the head of the file"),
        ),
        Class::TransactionControl => Some(
            Finding::new(codes::TRANSACTION_CONTROL, "a no-transaction migration cannot begin or end a transaction")
                .note("each of its statements is committed on its own, so that its progress can be recorded")
                .help("move the statements that belong in one transaction to a migration without the directive"),
        ),
        class if transaction && class.needs_no_transaction() => Some(
            Finding::new(codes::NEEDS_NO_TRANSACTION, "this statement cannot run inside a transaction")
                .note("PostgreSQL refuses it in a transaction block, and this migration runs in one")
                .help("put `-- migrate: no-transaction` on its own line at the head of the file"),
        ),
        _ => None,
    }
}

/// The finding for what makes a script uncertain.
fn describe(kind: FlawKind, line: &str) -> Finding {
    match kind {
        FlawKind::UnterminatedQuote(what) => {
            Finding::new(codes::UNTERMINATED_QUOTE, format!("this {what} never ends")).help(format!("close the {what}"))
        }
        FlawKind::UnterminatedStatement => {
            Finding::new(codes::UNTERMINATED_STATEMENT, "the last statement does not end with a semicolon")
                .note("a file that was cut off looks the same, so it is not run")
                .help("add the missing `;`, or the missing rest")
        }
        FlawKind::OpenParenthesis => {
            Finding::new(codes::OPEN_PARENTHESIS, "this parenthesis is never closed").help("add the missing `)`")
        }
        FlawKind::MetaCommand => meta_command(line),
    }
}

/// The finding for a line that is a psql command.
fn meta_command(line: &str) -> Finding {
    let name = line.split_whitespace().next().unwrap_or_default();
    let help = match name {
        _ if is_guard(line) => "remove the line: pg_dump writes it to protect psql, and it creates nothing",
        "\\connect" | "\\c" => "remove the line: everything runs in the database that is migrated or compared",
        "\\i" | "\\ir" | "\\include" | "\\include_relative" => "replace the line with the SQL of that file",
        _ => "remove the line, or write it as SQL",
    };
    Finding::new(codes::META_COMMAND, format!("`{name}` is a command of psql, not SQL"))
        .note("psql itself runs commands with a backslash; the server does not know them")
        .help(help)
}
