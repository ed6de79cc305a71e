//! Liquibase's formatted SQL: files with changesets, each with its own rollback.
//!
//! See <https://docs.liquibase.com/concepts/changelogs/sql-format.html>. The files are read in the order of
//! `includeAll`. A changeset has the version `NUMBER.POSITION`: the first number in the name of its file, and its place
//! in the file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::error::Result;
use migrate_base::finding::{Finding, Place};

use super::listing::FolderListing;
use super::marked::blank;
use super::{ForeignMigration, ForeignScript, Layout, Version, placeholder, unread};
use crate::source::CapturedMigration;

/// The first line of a file.
const HEAD: &str = "liquibase formatted sql";
/// Directives inside a changeset, which are no part of its script. Any other comment is.
const DIRECTIVES: [&str; 7] =
    ["changeset", "comment", "rollback", "validCheckSum", "tagDatabase", "ignoreLines", "property"];
/// Endings of files in which a changelog may name an order of its own.
const CHANGELOGS: [&str; 4] = [".xml", ".yaml", ".yml", ".json"];
const FORM: &str = "name it `<digits>_<anything>.sql`: the number is the first part of the versions of its changesets";

/// A changeset, with the lines of its file that are its own.
struct Changeset<'t> {
    author: &'t str,
    id: &'t str,
    attributes: &'t str,
    up: String,
    down: Option<String>,
}

/// Whether a text is formatted SQL.
pub(super) fn is_formatted(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    directive(first).is_some_and(|words| words.to_ascii_lowercase().starts_with(HEAD))
}

/// The words of a comment that may be a directive: they follow the dashes at the beginning of a line.
fn directive(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("--").map(str::trim)
}

/// The rest of a directive with this name.
fn named<'t>(line: &'t str, name: &str) -> Option<&'t str> {
    let words = directive(line)?;
    let head = words.get(..name.len()).filter(|head| head.eq_ignore_ascii_case(name))?;
    let rest = &words[head.len()..];
    rest.chars().next().is_none_or(|next| next.is_whitespace() || next == ':').then_some(rest)
}

pub(super) fn files(listing: &mut FolderListing<'_>) -> Result<Vec<ForeignMigration>> {
    let mut drafts = Vec::new();
    for (name, path) in listing.files_below()? {
        if CHANGELOGS.iter().any(|end| name.ends_with(end)) {
            let what =
                "it may name changesets, or an order of the files; without it, they run in the order of their names";
            listing.findings.push(unread::not_run(Layout::Liquibase, &path, what));
        }
        if !name.ends_with(".sql") {
            continue;
        }
        let Some(number) = number(&name) else {
            listing.misnamed(&path, format!("`{name}` has no number"), FORM);
            continue;
        };
        let Some(text) = listing.text(&path) else { continue };
        if !is_formatted(&text) {
            let finding = Finding::new(codes::NO_MARKER, "this file does not begin with `--liquibase formatted sql`");
            let finding = finding.at(Place::file(&path));
            listing.findings.push(finding.help("name the tool that wrote it: `layout` in migrate.toml"));
            continue;
        }
        let text: Arc<str> = text.into();
        listing.findings.extend(refused(&path, &text));
        for (at, changeset) in changesets(&text).into_iter().enumerate() {
            drafts.extend(migration(listing, &name, &path, (&number, at + 1), changeset));
        }
    }
    listing.findings.extend(same_keys(&drafts));
    Ok(drafts)
}

/// The findings for changesets that the ledger cannot tell apart: where a file lies is not compared.
fn same_keys(drafts: &[ForeignMigration]) -> Vec<Finding> {
    let mut known: BTreeMap<&str, &Path> = BTreeMap::new();
    let mut findings = Vec::new();
    for (key, path) in drafts.iter().filter_map(|draft| Some((draft.from.as_ref()?.key.as_str(), draft.path()))) {
        if let Some(other) = known.insert(key, path) {
            let message = format!("the changeset {key} is also in {}", other.display());
            let finding = Finding::new(codes::VERSION_TWICE, message).at(Place::file(path));
            findings.push(
                finding.help("rename the one that is not applied to any database: its file, its id or its author"),
            );
        }
    }
    findings
}

/// The first number in the name of a file, which may have several parts: `db.changelog-1.2.sql`.
fn number(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".sql").unwrap_or(name);
    let begin = stem.find(|char: char| char.is_ascii_digit())?;
    let end =
        stem[begin..].find(|char: char| !(char.is_ascii_digit() || char == '.')).map_or(stem.len(), |at| begin + at);
    Some(stem[begin..end].trim_end_matches('.').to_owned())
}

fn migration(
    listing: &mut FolderListing<'_>,
    file: &str,
    path: &Path,
    (number, at): (&str, usize),
    changeset: Changeset<'_>,
) -> Option<ForeignMigration> {
    // What is meant for another database is not run in this one, and not recorded.
    if attribute(changeset.attributes, "dbms").is_some_and(is_elsewhere) || is(changeset.attributes, "ignore", "true") {
        return None;
    }
    let Ok(version) = format!("{number}.{at}").parse::<Version>() else {
        listing.misnamed(path, format!("`{number}` in `{file}` is not a version"), FORM);
        return None;
    };
    let outside = is(changeset.attributes, "runInTransaction", "false");
    let mut script = |text: String| {
        let mut script = ForeignScript { path: path.to_owned(), text, raw: None, no_transaction: outside };
        listing.fill(&mut script, placeholder::fill_braces);
        script
    };
    let (up, down) = (script(changeset.up), changeset.down.map(&mut script));
    let logical = attribute(changeset.attributes, "logicalFilePath").unwrap_or(file);
    let logical = logical.rsplit('/').next().unwrap_or(logical);
    let key = format!("{logical}::{}::{}", changeset.id, changeset.author);
    let migration = ForeignMigration::sql(version, changeset.id.to_owned(), up, down);
    let from = CapturedMigration { tool: Layout::Liquibase.to_string(), key, after: None };
    Some(ForeignMigration { from: Some(from), ..migration })
}

/// Whether a list of databases leaves PostgreSQL out: `mysql, h2`, `!postgresql`.
fn is_elsewhere(databases: &str) -> bool {
    let lower = databases.to_ascii_lowercase();
    let mut names = lower.split(',').map(str::trim);
    let is_named = names.clone().any(|name| name == "postgresql" || name == "all");
    names.clone().any(|name| name == "!postgresql") || !(is_named || names.any(|name| name.starts_with('!')))
}

/// The value of an attribute, which may be quoted: `runInTransaction:false`, `dbms:"mysql, h2"`.
fn attribute<'t>(attributes: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = attributes.trim_start();
    while let Some((key, value)) = rest.split_once(':') {
        let quote = value.chars().next().filter(|char| ['"', '\''].contains(char));
        let (value, after) = match quote {
            Some(quote) => value[1..].split_once(quote)?,
            None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after.trim_start();
    }
    None
}

fn is(attributes: &str, name: &str, value: &str) -> bool {
    attribute(attributes, name).is_some_and(|said| said.eq_ignore_ascii_case(value))
}

/// What Liquibase would do that we cannot: each attribute and each directive.
fn refused(path: &Path, text: &Arc<str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut begin = 0;
    for line in text.split_inclusive('\n') {
        let span = begin..begin + line.trim_end().len();
        begin += line.len();
        let what = if let Some((_, _, attributes)) = head(line) {
            let is = |name: &str, value: &str| is(attributes, name, value);
            let has = |names: &[&str]| names.iter().any(|name| attribute(attributes, name).is_some());
            match () {
                () if is("runOnChange", "true") || is("runAlways", "true") => Some("it runs again"),
                () if has(&["context", "contexts", "contextFilter", "labels"]) => Some("it runs only in some contexts"),
                () if is("failOnError", "false") => Some("it may fail and go on"),
                () if attribute(attributes, "endDelimiter").is_some_and(|end| end != ";") => {
                    Some("its statements do not end with a semicolon")
                }
                () => None,
            }
        } else if named(line, "rollback").is_some_and(|rest| rest.to_ascii_lowercase().contains("changesetid:")) {
            Some("its rollback is another changeset")
        } else if ["preconditions", "precondition-sql-check", "precondition-table-exists", "precondition-view-exists"]
            .iter()
            .any(|name| named(line, name).is_some())
        {
            Some("it runs only under a condition")
        } else if named(line, HEAD).is_some_and(|rest| !rest.trim().is_empty()) {
            Some("an option of the whole file")
        } else if named(line, "property").is_some() {
            Some("values of placeholders are read from `[placeholders]` in migrate.toml")
        } else if named(line, "ignoreLines").is_some() || named(line, "include").is_some() {
            Some("it changes what is read")
        } else {
            None
        };
        findings.extend(what.map(|what| {
            Finding::new(codes::FOREIGN_INPUT, format!("liquibase reads this line, and Roundtrip cannot: {what}"))
                .at(Place::within(path, text.clone(), span))
                .help("write the changeset without it, or leave the file out on purpose: `skip` in migrate.toml")
        }));
    }
    findings
}

/// Author, id and attributes, if a line begins a changeset.
fn head(line: &str) -> Option<(&str, &str, &str)> {
    let rest = named(line, "changeset")?.trim_start();
    let word = |text: &'_ str, end: char| -> Option<(usize, usize, usize)> {
        let quote = text.chars().next().filter(|char| ['"', '\''].contains(char));
        match quote {
            Some(quote) => {
                let close = text[1..].find(quote)? + 1;
                Some((1, close, close + 1))
            }
            None => {
                let close = text.find(|char: char| char == end || (end == ' ' && char.is_whitespace()));
                let close = close.unwrap_or(text.len());
                Some((0, close, close))
            }
        }
    };
    let (from, to, next) = word(rest, ':')?;
    let author = rest[from..to].trim();
    let rest = rest[next..].trim_start().strip_prefix(':')?.trim_start();
    let (from, to, next) = word(rest, ' ')?;
    let id = &rest[from..to];
    (!author.is_empty() && !id.is_empty()).then(|| (author, id, rest[next..].trim()))
}

/// The changesets of a file; the rest of it is blank in each of their scripts, so that lines and columns stay the same.
fn changesets(text: &str) -> Vec<Changeset<'_>> {
    let mut all: Vec<Changeset<'_>> = Vec::new();
    let (mut in_block, mut begin) = (false, 0);
    for line in text.split_inclusive('\n') {
        let at = begin;
        begin += line.len();
        if let Some((author, id, attributes)) = head(line) {
            let blank: String = text[..at].split_inclusive('\n').map(blank).collect();
            all.push(Changeset { author, id, attributes, up: blank, down: None });
        }
        let Some(current) = all.last_mut() else { continue };
        let is_block = line.trim().to_ascii_lowercase().starts_with("/* liquibase rollback");
        let down = match () {
            () if is_block => Some(String::new()),
            () if in_block && line.trim().ends_with("*/") => {
                Some(line.trim_end().strip_suffix("*/").unwrap_or_default().to_owned())
            }
            () if in_block => Some(line.trim_end_matches('\n').to_owned()),
            () => named(line, "rollback").map(|sql| sql.strip_prefix(':').unwrap_or(sql)).map(|sql| {
                match sql.trim().to_ascii_lowercase().as_str() {
                    // There is nothing to roll back.
                    "empty" | "not required" => String::new(),
                    _ => blank_before(line, sql),
                }
            }),
        };
        in_block = (in_block || is_block) && !line.trim().ends_with("*/");
        let is_directive = DIRECTIVES.iter().any(|name| named(line, name).is_some());
        let is_up = down.is_none() && !is_directive;
        current.up.push_str(&if is_up { line.to_owned() } else { blank(line) });
        match down {
            Some(sql) => {
                let before = || text[..at].split_inclusive('\n').map(blank).collect();
                let script = current.down.get_or_insert_with(before);
                script.push_str(&sql);
                script.push_str(&blank(&line[sql.len().min(line.len())..]));
            }
            None => {
                if let Some(script) = &mut current.down {
                    script.push_str(&blank(line));
                }
            }
        }
    }
    all
}

/// A line with blanks in place of what comes before its SQL.
fn blank_before(line: &str, sql: &str) -> String {
    let end = line.trim_end().len();
    format!("{}{}", " ".repeat(end - sql.trim_end().len()), sql.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changesets_keep_their_places() {
        let text = "--liquibase formatted sql\n\n--changeset ann:1 runInTransaction:false\n--comment: a\nSELECT 1;\n\
                    --rollback SELECT 2;\n--rollback SELECT 3;\n-- changeset \"bob b\":two words:x\nSELECT 4;\n\
                    /* liquibase rollback\n  SELECT 5;\n*/\n--changeset c:3\n-- a remark\nSELECT 6; -- rollback of a\n\
                    --rollback empty\n";
        let all = changesets(text);
        let told: Vec<_> = all.iter().map(|one| (one.author, one.id, one.attributes)).collect();
        assert_eq!(told, [("ann", "1", "runInTransaction:false"), ("bob b", "two", "words:x"), ("c", "3", "")]);
        let words = |script: &str| script.split_whitespace().collect::<Vec<_>>().join(" ");
        let ups: Vec<_> = all.iter().map(|one| words(&one.up)).collect();
        assert_eq!(ups, ["SELECT 1;", "SELECT 4;", "-- a remark SELECT 6; -- rollback of a"]);
        let downs: Vec<_> = all.iter().map(|one| words(one.down.as_deref().unwrap())).collect();
        assert_eq!(downs, ["SELECT 2; SELECT 3;", "SELECT 5;", ""]);
        for (one, at) in all.iter().zip(["SELECT 1", "SELECT 4", "SELECT 6"]) {
            assert_eq!(one.up.find(at), text.find(at));
        }
        assert_eq!(all[0].down.as_ref().unwrap().find("SELECT 3"), text.find("SELECT 3"));
        assert_eq!(all[1].down.as_ref().unwrap().find("SELECT 5"), text.find("SELECT 5"));
    }

    #[test]
    fn numbers_and_lines_are_recognised() {
        let is = |name: &str| number(name);
        assert_eq!(is("db.changelog-1.2.sql").as_deref(), Some("1.2"));
        assert_eq!(
            (is("001_a.sql").as_deref(), is("20240101000000_a2.sql").as_deref()),
            (Some("001"), Some("20240101000000"))
        );
        assert_eq!(is("changelog.sql"), None);
        assert!(
            is_formatted("\n-- Liquibase formatted SQL\n") && !is_formatted("SELECT 1;\n--liquibase formatted sql")
        );
        assert!(named("--rollback", "rollback").is_some() && named("--rollbacks x", "rollback").is_none());
        assert_eq!(attribute("a:b dbms:\"mysql, h2\" c:d", "DBMS"), Some("mysql, h2"));
        assert_eq!(attribute("a:b dbms:\"mysql, h2\" c:d", "c"), Some("d"));
        assert!(is_elsewhere("mysql, h2") && is_elsewhere("!PostgreSQL"));
        assert!(!is_elsewhere("mysql, PostgreSQL") && !is_elsewhere("!mysql"));
        assert_eq!(head("--changeset a : b"), Some(("a", "b", "")));
        assert!(head("--changeset ab").is_none() && head("--changesets a:b").is_none());
    }
}
