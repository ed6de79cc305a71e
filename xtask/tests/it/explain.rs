//! `explain` knows exactly the codes that exist: the sources are searched for what they can report.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use migrate_review::lint;

use crate::support::{root, said, sources};

/// The calls that take a code, and the position of that argument. A function in a file with a parameter
/// `code: &'static str` is another such call, in that file.
const CALLS: [(&[&str], usize); 6] = [
    (&["Finding", "::", "error"], 0),
    (&["Finding", "::", "warning"], 0),
    (&["Finding", "::", "note"], 0),
    (&["Failure", "::", "usage"], 0),
    (&["Failure", "::", "failed"], 0),
    (&[".", "explain"], 1),
];

/// Ways to pass a code that is not a literal: the literals are found where these are built.
const INDIRECT: [&str; 4] = ["code", "code(", "rule.code", "fault.code"];

/// Entries whose code is in no source, each with its reason. Currently there are none.
const WITHOUT_SOURCE: [&str; 0] = [];

/// A word, a literal or a sign of Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

/// A list of tokens, and methods to search it.
struct Source {
    path: PathBuf,
    tokens: Vec<Token>,
}

/// What a source has for tests: the tokens, and the modules that are separate files.
struct OnlyTests {
    tokens: Vec<Token>,
    files: Vec<PathBuf>,
}

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
    lint::rules().map(|rule| rule.code).collect()
}

/// Tokenizes Rust as far as needed: comments are left out, literals are one token.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut all = Vec::new();
    let mut at = 0;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    while at < chars.len() {
        let rest = &chars[at..];
        let begins = |words: &str| words.chars().enumerate().all(|(n, c)| rest.get(n) == Some(&c));
        if begins("//") {
            at += rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
        } else if begins("/*") {
            at += block_comment(rest);
        } else if let Some((length, hashes)) = raw_string(rest) {
            let inner = &rest[length.start..length.end];
            all.push(Token::Text(inner.iter().collect()));
            at += length.end + 1 + hashes;
        } else if rest[0] == '"' || begins("b\"") || begins("c\"") {
            let start = if rest[0] == '"' { 1 } else { 2 };
            let mut end = start;
            while rest[end] != '"' {
                end += if rest[end] == '\\' { 2 } else { 1 };
            }
            all.push(Token::Text(rest[start..end].iter().collect()));
            at += end + 1;
        } else if rest[0] == '\'' {
            // A character literal, or a lifetime.
            match rest {
                [_, '\\', ..] => at += 3 + rest[3..].iter().position(|c| *c == '\'').unwrap() + 1,
                [_, _, '\'', ..] => at += 3,
                _ => at += 1 + rest[1..].iter().position(|c| !is_word(*c)).unwrap(),
            }
        } else if is_word(rest[0]) {
            let end = rest.iter().position(|c| !is_word(*c)).unwrap_or(rest.len());
            all.push(Token::Word(rest[..end].iter().collect()));
            at += end;
        } else if begins("::") {
            all.push(Token::Sign("::".to_owned()));
            at += 2;
        } else {
            if !rest[0].is_whitespace() {
                all.push(Token::Sign(rest[0].to_string()));
            }
            at += 1;
        }
    }
    all
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
}

/// The position of the text of `r#"…"#`, and the number of hashes.
fn raw_string(rest: &[char]) -> Option<(std::ops::Range<usize>, usize)> {
    let prefix = match rest {
        ['r', '"' | '#', ..] => 1,
        ['b' | 'c', 'r', '"' | '#', ..] => 2,
        _ => return None,
    };
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    let start = prefix + hashes + 1;
    if rest.get(start - 1) != Some(&'"') {
        return None;
    }
    let closes = |at: &usize| rest[*at] == '"' && rest[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    Some((start..(start..rest.len()).find(closes)?, hashes))
}

/// Whether a text has the form of a code.
fn is_code(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.split('-').all(is_part)
}

impl Source {
    fn is(&self, at: usize, word: &str) -> bool {
        matches!(self.tokens.get(at), Some(Token::Word(found) | Token::Sign(found)) if found == word)
    }

    fn follows(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.is(at + n, word))
    }

    /// The token after the bracket that closes the one at this position.
    fn behind(&self, open: usize) -> usize {
        let mut depth = 0;
        for at in open..self.tokens.len() {
            match &self.tokens[at] {
                Token::Sign(sign) if ["(", "[", "{"].contains(&sign.as_str()) => depth += 1,
                Token::Sign(sign) if [")", "]", "}"].contains(&sign.as_str()) => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at + 1;
            }
        }
        self.tokens.len()
    }

    /// The positions of the arguments between the bracket at this position and its closing bracket.
    fn arguments(&self, open: usize) -> Vec<std::ops::Range<usize>> {
        let end = self.behind(open) - 1;
        let (mut all, mut start, mut at) = (Vec::new(), open + 1, open + 1);
        while at < end {
            if self.is(at, ",") {
                all.push(start..at);
                start = at + 1;
            }
            let opens = ["(", "[", "{"].iter().any(|sign| self.is(at, sign));
            at = if opens { self.behind(at) } else { at + 1 };
        }
        all.push(start..end);
        all
    }

    /// Separates what is compiled only for tests.
    fn without_tests(mut self) -> (Self, OnlyTests) {
        let marked = ["#", "[", "cfg", "(", "test", ")", "]"];
        let (mut files, mut tokens) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < self.tokens.len() {
            if !self.follows(at, &marked) {
                at += 1;
                continue;
            }
            let ends = |at: &usize| self.is(*at, "{") || self.is(*at, ";");
            let end = (at + marked.len()..self.tokens.len()).find(ends).unwrap();
            if self.is(end, ";") && self.is(end - 2, "mod") {
                let Token::Word(name) = &self.tokens[end - 1] else { unreachable!() };
                let folder = match self.path.file_stem().unwrap().to_str().unwrap() {
                    "mod" | "lib" | "main" => self.path.parent().unwrap().to_owned(),
                    stem => self.path.with_file_name(stem),
                };
                files.extend([folder.join(format!("{name}.rs")), folder.join(name)]);
            }
            let end = if self.is(end, "{") { self.behind(end) } else { end + 1 };
            tokens.extend(self.tokens.drain(at..end));
        }
        (self, OnlyTests { tokens, files })
    }

    /// The functions of this file that take a code, and the position of that argument.
    fn helpers(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for at in 0..self.tokens.len() {
            let Some(Token::Word(name)) = self.tokens.get(at + 1).filter(|_| self.is(at, "fn")) else { continue };
            let Some(open) = (at + 2..self.tokens.len()).find(|at| self.is(*at, "(")) else { continue };
            let parameters = self.arguments(open);
            // A lifetime is not a token, so this is `code: &'static str`.
            let takes = |one: &std::ops::Range<usize>| self.follows(one.start, &["code", ":", "&", "str"]);
            if let Some(place) = parameters.iter().position(takes) {
                let is_method = parameters.first().is_some_and(|first| self.is(first.end - 1, "self"));
                all.insert(name.clone(), place - usize::from(is_method));
            }
        }
        all
    }

    /// The codes that are passed to a call, and calls whose code is passed in a way that is not understood.
    fn given(&self, codes: &mut BTreeSet<String>, odd: &mut Vec<String>) {
        let helpers = self.helpers();
        for at in 0..self.tokens.len() {
            let call = CALLS.iter().find(|(words, _)| self.follows(at, words) && self.is(at + words.len(), "("));
            let helper = match &self.tokens[at] {
                Token::Word(name) if self.is(at + 1, "(") => helpers.get(name),
                _ => None,
            };
            let is_defined = at > 0 && self.is(at - 1, "fn");
            let (open, place) = match (call, helper) {
                (Some((words, place)), _) => (at + words.len(), *place),
                (None, Some(place)) if !is_defined => (at + 1, *place),
                _ => continue,
            };
            // Another function may have the same name: it has fewer arguments, or no code among them.
            let Some(argument) = self.arguments(open).get(place).cloned() else { continue };
            match &self.tokens[argument.start..argument.end] {
                [Token::Text(text)] if is_code(text) => drop(codes.insert(text.clone())),
                _ if call.is_none() => {}
                given => {
                    let words: String = given.iter().map(|token| token.word()).collect();
                    let is_known = |form: &&str| words == **form || (form.ends_with('(') && words.starts_with(*form));
                    if !INDIRECT.iter().any(is_known) {
                        odd.push(format!("{}: {words}", self.path.display()));
                    }
                }
            }
        }
    }

    /// The codes that are selected: what a function `code` returns, what a variable `code` is built from, and
    /// the field of a finding that is constructed directly.
    fn chosen(&self, codes: &mut BTreeSet<String>) {
        for at in 0..self.tokens.len() {
            let end = if self.follows(at, &["fn", "code", "("]) {
                let body = (at..self.tokens.len()).find(|at| self.is(*at, "{")).unwrap();
                self.behind(body)
            } else if self.follows(at, &["let", "code", "="]) {
                let mut end = at;
                while !self.is(end, ";") {
                    end = if self.is(end, "{") || self.is(end, "(") { self.behind(end) } else { end + 1 };
                }
                end
            } else if self.follows(at, &["Finding", "{"]) {
                let field = (at..self.behind(at + 1)).find(|at| self.follows(*at, &["code", ":"]));
                field.map_or(at, |field| field + 3)
            } else {
                continue;
            };
            let texts = self.tokens[at..end].iter().filter_map(|token| match token {
                Token::Text(text) if is_code(text) => Some(text.clone()),
                _ => None,
            });
            codes.extend(texts);
        }
    }
}

impl Token {
    fn word(&self) -> &str {
        match self {
            Self::Word(text) | Self::Text(text) | Self::Sign(text) => text,
        }
    }
}

pub(crate) fn rust_files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs") {
            all.push(path);
        }
    }
}

/// The sources of all crates, and the tests in them.
fn sources_and_tests() -> (Vec<Source>, Vec<OnlyTests>) {
    let mut files = Vec::new();
    for folder in sources() {
        rust_files(&folder, &mut files);
    }
    let source = |path: PathBuf| Source { tokens: tokens(&fs::read_to_string(&path).unwrap()), path }.without_tests();
    let (mut sources, mut tests): (Vec<Source>, Vec<OnlyTests>) = files.into_iter().map(source).unzip();
    let modules: Vec<PathBuf> = tests.iter().flat_map(|one| one.files.clone()).collect();
    let is_test = |one: &mut Source| modules.iter().any(|test| one.path.starts_with(test));
    tests.extend(sources.extract_if(.., is_test).map(|one| OnlyTests { tokens: one.tokens, files: Vec::new() }));
    (sources, tests)
}

/// Every code that the sources can report, except those of the rules for SQL.
fn codes() -> (BTreeSet<String>, Vec<String>) {
    let (mut codes, mut odd) = (BTreeSet::new(), Vec::new());
    for source in sources_and_tests().0 {
        source.given(&mut codes, &mut odd);
        source.chosen(&mut codes);
    }
    codes.extend(lint::ELSEWHERE.iter().map(|code| (*code).to_owned()));
    codes.retain(|code| !rules().contains(code.as_str()));
    (codes, odd)
}

/// Every text in which a test can name a code: the literals of tests, and the findings that they read from files.
fn texts_of_tests() -> Vec<String> {
    let mut tokens_of_tests: Vec<Token> = sources_and_tests().1.into_iter().flat_map(|one| one.tokens).collect();
    let mut files = Vec::new();
    for folder in sources() {
        let tests = folder.with_file_name("tests");
        if tests.is_dir() {
            rust_files(&tests, &mut files);
        }
    }
    // This file has codes that it makes up.
    files.retain(|file| !file.ends_with("it/explain.rs"));
    assert!(files.len() > 50, "{files:?}");
    tokens_of_tests.extend(files.iter().flat_map(|file| tokens(&fs::read_to_string(file).unwrap())));
    let literals = tokens_of_tests.into_iter().filter_map(|token| match token {
        Token::Text(text) => Some(text),
        _ => None,
    });
    let mut texts: Vec<String> = literals.collect();
    let cases = root().join("xtask/tests/it/consume/cases");
    let mut expected: Vec<PathBuf> =
        fs::read_dir(cases).unwrap().map(|case| case.unwrap().path().join("expected.txt")).collect();
    expected.push(root().join("migrate-core/src/runner/plan/cases.txt"));
    for file in expected {
        texts.extend(fs::read_to_string(file).unwrap().lines().map(str::to_owned));
    }
    texts
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

#[test]
fn every_code_is_explained_and_every_explanation_has_a_code() {
    let (codes, odd) = codes();
    assert!(odd.is_empty(), "this test does not understand how these get their code, see INDIRECT: {odd:#?}");
    assert!(codes.len() > 100, "the sources are not read any more: {codes:?}");
    let entries = entries();
    let explained: BTreeSet<&str> = entries.iter().map(code_of).collect();
    let missing: Vec<&String> = codes.iter().filter(|code| !explained.contains(code.as_str())).collect();
    assert!(missing.is_empty(), "no file in migrate-cli/src/explain has an entry for {missing:?}");
    let rules = rules();
    let stale: Vec<&&str> = explained
        .iter()
        .filter(|code| !codes.contains(**code) && !rules.contains(**code) && !WITHOUT_SOURCE.contains(code))
        .collect();
    assert!(stale.is_empty(), "nothing reports {stale:?} any more: remove their entries in migrate-cli/src/explain");
    assert!(rules.iter().all(|rule| explained.contains(rule)));
}

/// The rules for SQL have samples, which are tests of their own.
#[test]
fn each_code_is_named_by_a_test() {
    let (texts, rules) = (texts_of_tests(), rules());
    let entries = entries();
    let codes = entries.iter().map(code_of).filter(|code| !rules.contains(code));
    let unnamed: Vec<&str> = codes.filter(|code| !texts.iter().any(|text| names(text, code))).collect();
    assert!(unnamed.is_empty(), "no test provokes {unnamed:?}: write one, see HACKING.md, \"Add a finding code\"");
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
fn the_sources_are_read_as_rust() {
    let text = r##"
        // Finding::error("comment", "")
        /* /* Finding::error("nested", "") */ Finding::error("block", "") */
        fn wrong(&self, code: &'static str, why: &str) -> Finding { Finding::error(code, why) }
        fn code(law: Law) -> &'static str { match law { A => "law-a", B => "law-b" } }
        fn f<'a>(c: char) {
            let quote = ['"', '\'', '\u{feff}', 'x'];
            Finding::error(
                "two-lines",
                format!("a, b {}", one(2, 3)),
            );
            let text = r#"Finding::error("raw", "")"#;
            let code = if refusal == "55P03" { "one-way" } else { "other-way" };
            failure.explain(ErrorKind::Plan, "third", "x");
            self.wrong("helped", "x");
            let odd = Finding::error(other(), "x");
            Finding { code: "by-hand", ..other };
        }
        #[cfg(test)]
        mod tests { fn t() { Finding::error("tested", ""); } }
        #[cfg(test)]
        mod sample;
        fn last() { Failure::usage("last", "x") }
    "##;
    let source = Source { path: PathBuf::from("src/report/mod.rs"), tokens: tokens(text) };
    let (source, tests) = source.without_tests();
    let literal = Token::Text("tested".to_owned());
    assert!(tests.tokens.contains(&literal) && !source.tokens.contains(&literal), "{:?}", tests.tokens);
    assert_eq!(tests.files, [Path::new("src/report/sample.rs"), Path::new("src/report/sample")]);
    let (mut codes, mut odd) = (BTreeSet::new(), Vec::new());
    source.given(&mut codes, &mut odd);
    source.chosen(&mut codes);
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    assert_eq!(codes, ["by-hand", "helped", "last", "law-a", "law-b", "one-way", "other-way", "third", "two-lines"]);
    assert_eq!(odd, ["src/report/mod.rs: other()"]);
}
