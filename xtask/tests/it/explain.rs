//! `explain` knows exactly the codes that exist, and each is one that a source reports.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use migrate_base::codes;
use migrate_review::lint;

use crate::rust_source::{Token, rust_files, tokens};
use crate::support::{root, said, sources};

fn explain(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    said(command.arg("explain").args(arguments).output().unwrap()).ok().out
}

/// The entries of the executable, with the theme of each.
fn entries() -> Vec<serde_json::Value> {
    let json: serde_json::Value = serde_json::from_str(&explain(&["--format", "json"])).unwrap();
    json["codes"].as_array().unwrap().clone()
}

fn code_of(entry: &serde_json::Value) -> &str {
    entry["code"].as_str().unwrap()
}

/// The codes of rules for SQL: their pages have their own test.
fn rules() -> BTreeSet<&'static str> {
    lint::rules().map(|rule| rule.code.as_str()).collect()
}

/// Whether a text has the form of a code.
fn is_code(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.split('-').all(is_part)
}

/// The tokens of each source file up to its tests, with its path.
fn tokens_of_sources() -> Vec<(PathBuf, Vec<Token>)> {
    let mut files = Vec::new();
    sources().iter().for_each(|folder| rust_files(folder, &mut files));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let tokens = tokens(text.split("#[cfg(test)]\nmod ").next().unwrap());
        (path, tokens)
    };
    let only_for_tests = |path: &Path| path.ends_with("tests.rs") || path.ends_with("sample.rs");
    files.into_iter().filter(|path| !only_for_tests(path)).map(read).collect()
}

fn word(token: &Token) -> &str {
    match token {
        Token::Word(text) | Token::Text(text) | Token::Sign(text) => text,
    }
}

#[test]
fn every_code_is_reported_by_a_source_and_explained() {
    let mut named = BTreeSet::new();
    for (_, tokens) in tokens_of_sources() {
        for part in tokens.windows(3) {
            if word(&part[0]) == "codes" && word(&part[1]) == "::" {
                named.insert(word(&part[2]).to_lowercase().replace('_', "-"));
            }
        }
    }
    let never: Vec<&str> = codes::ALL.iter().map(|code| code.as_str()).filter(|code| !named.contains(*code)).collect();
    assert!(never.is_empty(), "nothing reports {never:?} any more: remove them from the table and from the pages");
    let entries = entries();
    let explained: BTreeSet<&str> = entries.iter().map(code_of).collect();
    let known: BTreeSet<&str> = codes::ALL.iter().map(|code| code.as_str()).chain(rules()).collect();
    assert_eq!(explained, known);
}

#[test]
fn codes_are_made_in_their_table_and_in_the_rules_for_sql_only() {
    let mut makers = BTreeSet::new();
    for (path, tokens) in tokens_of_sources() {
        if tokens.windows(3).any(|part| [word(&part[0]), word(&part[1]), word(&part[2])] == ["Code", "::", "new"]) {
            makers.insert(path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/"));
        }
    }
    let expected =
        ["migrate-base/src/codes.rs", "migrate-review/src/lint/rules/mod.rs", "migrate-review/src/lint/squawk.rs"];
    assert_eq!(makers, expected.map(str::to_owned).into());
}

#[test]
fn entries_are_complete_and_their_codes_unique() {
    let entries = entries();
    let mut seen = BTreeSet::new();
    let rules = rules();
    for entry in &entries {
        let code = code_of(entry);
        assert!(seen.insert(code), "{code} has two entries");
        assert!(is_code(code), "{code}");
        if rules.contains(code) {
            continue;
        }
        let (title, text) = (entry["title"].as_str().unwrap(), entry["text"].as_str().unwrap());
        assert!(!title.is_empty() && !title.ends_with('.'), "{code}: {title:?} is no title");
        assert!(text.chars().count() >= 120, "{code} says too little: {text:?}");
        let wide = [title].into_iter().chain(text.lines()).find(|line| line.chars().count() > 115);
        assert_eq!(wide, None, "{code} has a line of more than 115 characters");
    }
}

#[test]
fn the_document_of_all_codes_is_up_to_date() {
    let path = root().join("docs/CODES.md");
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there.replace("\r\n", "\n") == explain(&["--markdown"]),
        "docs/CODES.md is not what `explain` says; renew it with\n\n    cargo xtask explain --markdown > docs/CODES.md\n"
    );
}
