//! `explain` knows exactly the codes that exist, and each is one that a source reports.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use migrate_base::codes;
use migrate_review::lint;

use crate::rust_source::{TESTS, Token, rust_files, source_files, tokens};
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
    let files = source_files();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let tokens = tokens(text.split(TESTS).next().unwrap());
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

/// The tokens of all tests of this repository: of their own files, and of the modules in the sources.
fn tokens_of_tests() -> Vec<Token> {
    let (mut files, mut all) = (Vec::new(), Vec::new());
    for folder in sources() {
        rust_files(&folder, &mut files);
        let tests = folder.with_file_name("tests");
        if tests.is_dir() {
            rust_files(&tests, &mut files);
        }
    }
    // This file has codes that it makes up.
    files.retain(|file| !file.ends_with("it/explain.rs"));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let is_test = file.ends_with("tests.rs") || !file.components().any(|part| part.as_os_str() == "src");
        match text.split_once(TESTS) {
            _ if is_test => all.extend(tokens(&text)),
            Some((_, tests)) => all.extend(tokens(tests)),
            None => {}
        }
    }
    all
}

/// Every text in which a test can name a code: constants as codes, literals, and the findings that tests read from
/// files.
fn texts_of_tests() -> Vec<String> {
    let all = tokens_of_tests();
    let constants = all.windows(3).filter(|part| [word(&part[0]), word(&part[1])] == ["codes", "::"]);
    let constants = constants.map(|part| word(&part[2]).to_lowercase().replace('_', "-"));
    let literals = all.iter().enumerate().filter_map(|(at, token)| match token {
        // A single word is also the name of a command, a key or a table: it is a code where a code is expected.
        Token::Text(text) if !text.contains(|c: char| !c.is_ascii_lowercase()) && !is_asked_for(&all[..at]) => None,
        Token::Text(text) => Some(text.clone()),
        Token::Word(_) | Token::Sign(_) => None,
    });
    let mut texts: Vec<String> = constants.chain(literals).collect();
    let cases = fs::read_dir(root().join("xtask/tests/it/consume/cases")).unwrap();
    let mut expected: Vec<PathBuf> = cases.map(|case| case.unwrap().path().join("expected.txt")).collect();
    expected.push(root().join("migrate-core/src/runner/plan/cases.txt"));
    for file in expected {
        texts.extend(fs::read_to_string(file).unwrap().lines().map(str::to_owned));
    }
    texts
}

/// Whether a literal after these tokens stands where a code does: after an exit code, after `code`, or first in a
/// call of a function that takes one.
fn is_asked_for(before: &[Token]) -> bool {
    let last = |n: usize| before.len().checked_sub(n).map_or("", |at| word(&before[at]));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let takes_code = ["found", "refused", "failed", "check", "is_code"];
    match [last(3), last(2), last(1)] {
        ["(", exit, ","] => is_number(exit),
        [_, function, "("] => takes_code.contains(&function),
        ["code", "]" | "=" | ")", ","] | ["code", "=" | "!", "="] | [_, "code", ","] => true,
        _ => last(4) == "as_str" && [last(3), last(2), last(1)] == ["(", ")", ","],
    }
}

/// Whether a text names a code: it is the code, or has it as a message shows it, `error[code]`, or as a test writes it
/// down, `> code file: …` or `file:line code`. A word like `name` in a sentence is no code.
fn names(text: &str, code: &str) -> bool {
    let case = text.strip_prefix("> ").map(|case| case.trim_start_matches("warning "));
    let is_placed = |(place, found): (&str, &str)| found == code && !place.contains(' ') && place.contains(['.', '/']);
    text == code
        || text.contains(&format!("[{code}]"))
        || case.and_then(|case| case.split([':', ' ']).next()) == Some(code)
        || text.split_once(' ').is_some_and(is_placed)
}

/// The rules for SQL have samples, which are tests of their own.
#[test]
fn each_code_is_named_by_a_test() {
    let texts = texts_of_tests();
    let is_named = |code: &str| texts.iter().any(|text| names(text, code));
    let unnamed: Vec<&str> = codes::ALL.iter().map(|code| code.as_str()).filter(|code| !is_named(code)).collect();
    assert!(unnamed.is_empty(), "no test provokes {unnamed:?}: write one, see HACKING.md, \"Add a finding code\"");
}

#[test]
fn a_sentence_does_not_name_a_code() {
    for text in [
        "name",
        "error[name]",
        "see [name] there",
        "> name: it",
        "> name a.sql: it",
        "> warning name: it",
        "a.sql:1 name",
    ] {
        assert!(names(text, "name"), "{text}");
    }
    for text in
        ["a name", "name it", "file-name", "error[file-name]", "> file-name: name", "a.sql:1 the name", "the name"]
    {
        assert!(!names(text, "name"), "{text}");
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
