//! What another tool would run and we cannot, and down scripts inside files that are read as an up script.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::sql::lex::lex;
use migrate_base::sql::{Statement, StatementClass};
use squawk_lexer::TokenKind;

use super::{Layout, Script};

/// The finding for a file that the tool of a layout would run.
pub(super) fn not_run(layout: Layout, path: &Path, what: &str) -> Finding {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Finding::new(codes::FOREIGN_INPUT, format!("{layout} runs this file, and Roundtrip cannot: {what}"))
        .at(Place::file(path))
        .help("make it a migration with a version of its own")
        .help(format!(
            "or leave it out on purpose: `skip = [\"{name}\"]` in migrate.toml, with its path below the folder"
        ))
}

/// The finding for a repeatable migration that cannot run in a transaction: if it was killed halfway, somebody would
/// have to finish it by hand, and nothing says how.
pub(super) fn outside_transaction(script: &Script) -> Option<Finding> {
    let message = "a repeatable migration has to run in one transaction, and this statement cannot";
    let needs = |statement: &&Statement| {
        statement.class.needs_no_transaction() || statement.class == StatementClass::TransactionControl
    };
    let finding = Finding::new(codes::NEEDS_NO_TRANSACTION, message).help("give it a version of its own: `V…__….sql`");
    match script.statements().iter().find(needs) {
        Some(statement) => {
            Some(finding.at(Place::within(script.path(), script.text().clone(), statement.span.clone())))
        }
        None => script.directives().no_transaction.then(|| finding.at(Place::file(script.path()))),
    }
}

/// Words of a comment that marks where the down script begins, as tools and people write it.
const DOWN: [&str; 5] = ["down", "downs", "undo", "rollback", "revert"];
/// Words that may stand beside one of those.
const BESIDE: [&str; 13] = [
    "micrate",
    "migration",
    "migrations",
    "migrate",
    "script",
    "sql",
    "goose",
    "rambler",
    "section",
    "part",
    "begin",
    "start",
    "to",
];

/// The finding for a comment that marks a down script, in a text that is read as an up script only, if statements
/// follow it.
pub(super) fn down_inside(layout: Layout, path: &Path, text: &Arc<str>) -> Option<Finding> {
    // Most files have none of the words.
    let lower = text.to_ascii_lowercase();
    if !DOWN.iter().chain(&["drop below"]).any(|word| lower.contains(word)) {
        return None;
    }
    let is_mark = |(kind, span): &(TokenKind, Range<usize>)| is_comment(*kind) && marks_down(&text[span.clone()]);
    let (_, span) = lex(text, 0).find(is_mark)?;
    let is_statement = |kind: TokenKind| !is_comment(kind) && kind != TokenKind::Whitespace;
    let has_more = lex(&text[span.end..], 0).any(|(kind, _)| is_statement(kind));
    has_more.then(|| {
        let message = format!("this line marks a down script, but the whole file is read as the up script of {layout}");
        Finding::new(codes::DOWN_INSIDE, message)
            .at(Place::within(path, text.clone(), span.start..span.start + text[span.clone()].trim_end().len()))
            .note("what follows it would undo the migration as soon as it is applied")
            .help("name the tool that wrote the file: `layout` in migrate.toml, or --layout")
            .help(format!(
                "if the line is only a remark: `whole = [\"{}\"]` in migrate.toml, with the path below the folder",
                path.file_name().unwrap_or_default().to_string_lossy()
            ))
    })
}

fn is_comment(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::LineComment | TokenKind::BlockComment { .. })
}

/// Whether a comment says only that the down script begins.
fn marks_down(comment: &str) -> bool {
    let lower = comment.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if words.starts_with(&["create", "above", "drop", "below"]) {
        return true;
    }
    // `-- DOWN: remove the rows`
    let is_heading = lower.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    if DOWN.iter().any(|word| is_heading.strip_prefix(word).is_some_and(|rest| rest.starts_with(':'))) {
        return true;
    }
    words.iter().filter(|word| DOWN.contains(word)).count() == 1
        && words.iter().all(|word| DOWN.contains(word) || BESIDE.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_that_marks_a_down_script_is_told_from_a_remark() {
        for mark in [
            "-- Down Migration",
            "---- create above / drop below ----",
            "-- //@UNDO",
            "-- rambler down",
            "-- ==== DOWN ====",
            "-- +goose Down",
            "-- migrate:down",
            "-- +migrate Down",
            "--rollback",
            "-- +micrate Down",
            "# --- !Downs",
            "-- DOWN: remove the rows",
            "/* Down */",
        ] {
            assert!(marks_down(mark), "{mark}");
        }
        for remark in ["-- shut down the queue", "-- rollback DROP TABLE a;", "-- breakdown", "-- to", "-- migration"] {
            assert!(!marks_down(remark), "{remark}");
        }
    }

    #[test]
    fn it_counts_only_if_statements_follow_it() {
        let found = |text: &str| down_inside(Layout::Sqlx, Path::new("a.sql"), &text.into()).is_some();
        assert!(found("SELECT 1;\n-- down\nSELECT 2;") && found("-- down\nSELECT 2;"));
        assert!(found("SELECT 1;\n/* down */\nSELECT 2;"));
        assert!(!found("SELECT 1;\n-- down\n-- SELECT 2;\n/* x */"));
        assert!(!found("SELECT '\n-- down\n'; SELECT 2;") && !found("SELECT 1;"));
    }
}
