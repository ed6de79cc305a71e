//! Rust sources as the tests of this repository read them: files, and tokens.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::sources;

/// How a source begins the module with its tests, which is the last part of it.
pub(crate) const TESTS: &str = "#[cfg(test)]\nmod tests {";

/// A word, a literal or a sign of Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

pub(crate) fn rust_files(folder: &Path, all: &mut Vec<PathBuf>) {
    files_ending(folder, "rs", all);
}

/// The source files of all crates, with the tests inside them.
pub(crate) fn source_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    sources().iter().for_each(|folder| rust_files(folder, &mut files));
    files
}

/// The files in a folder and below it that have this ending.
pub(crate) fn files_ending(folder: &Path, ending: &str, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_ending(&path, ending, all);
        } else if path.extension().is_some_and(|end| end == ending) {
            all.push(path);
        }
    }
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

#[test]
fn sources_are_read_as_rust() {
    let text = r##"
        // comment("a")
        /* /* nested("b") */ block("c") */
        let quote: &'a str = ['"', '\'', '\u{feff}', 'x'];
        raw(r#"d "quoted" d"#, "e \" e");
    "##;
    let texts: Vec<String> = tokens(text)
        .into_iter()
        .filter_map(|token| match token {
            Token::Text(text) => Some(text),
            Token::Word(_) | Token::Sign(_) => None,
        })
        .collect();
    assert_eq!(texts, ["d \"quoted\" d", "e \\\" e"]);
}
