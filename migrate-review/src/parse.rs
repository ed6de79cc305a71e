//! The parser, for texts of any length.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;

use migrate_base::sql::lex::words;
use squawk_syntax::{Parse, SourceFile};

/// How deep a text can be to be parsed on the current stack, to be dropped on it, and to be parsed at all.
const SHALLOW: usize = 100;
const DROPPED: usize = 1_000;
const DEEPEST: usize = 20_000;
/// The most stack that one level takes.
const LEVEL: usize = 8 << 10;

/// Parses a text.
///
/// The parser recurses for each operator of `a OR b OR …`, so a long expression gets its own stack. A longer one is not
/// parsed: its tree has an error and no statement.
pub fn parse(text: &str) -> Parse<SourceFile> {
    match depth(text) {
        depth if depth <= SHALLOW => SourceFile::parse(text),
        depth if depth <= DROPPED => with_stack(text, depth),
        depth if depth <= DEEPEST => kept(text, depth),
        _ => SourceFile::parse("("),
    }
}

/// Parses a deep text once and keeps its tree, because dropping it would take as much stack.
fn kept(text: &str, depth: usize) -> Parse<SourceFile> {
    static TREES: Mutex<BTreeMap<String, Parse<SourceFile>>> = Mutex::new(BTreeMap::new());
    let mut trees = TREES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(tree) = trees.get(text) {
        return tree.clone();
    }
    let tree = with_stack(text, depth);
    trees.insert(text.to_owned(), tree.clone());
    tree
}

fn with_stack(text: &str, depth: usize) -> Parse<SourceFile> {
    let stack = thread::Builder::new().stack_size(depth * LEVEL + (1 << 20));
    let parsed = thread::scope(|scope| stack.spawn_scoped(scope, || SourceFile::parse(text)).ok()?.join().ok());
    parsed.unwrap_or_else(|| SourceFile::parse("("))
}

/// The statements of a text that are nested too deeply to be parsed, and the text with blanks in their place.
pub(crate) fn without_deep(text: &str) -> (Cow<'_, str>, Vec<Range<usize>>) {
    // A text has no more words than bytes.
    if text.len() <= DEEPEST {
        return (Cow::Borrowed(text), Vec::new());
    }
    let ends = words(text).filter(|(_, span)| &text[span.clone()] == ";").map(|(_, span)| span.end).chain([text.len()]);
    let (mut readable, mut deep, mut start) = (text.to_owned(), Vec::new(), 0);
    for end in ends {
        let statement = &text[start..end];
        if depth(statement) > DEEPEST {
            let blank = |c: char| if c == '\n' { "\n".to_owned() } else { " ".repeat(c.len_utf8()) };
            readable.replace_range(start..end, &statement.chars().map(blank).collect::<String>());
            deep.push(start + statement.len() - statement.trim_start().len()..end);
        }
        start = end;
    }
    (Cow::Owned(readable), deep)
}

/// The maximum recursion depth of the parser: the words of an expression, with those around it.
fn depth(text: &str) -> usize {
    let (mut around, mut here, mut deepest) = (Vec::new(), 0, 0);
    for (_, span) in words(text) {
        match &text[span] {
            "(" | "[" => {
                around.push(here);
                here += 1;
            }
            ")" | "]" => here = around.pop().unwrap_or(0) + 1,
            "," => here = around.last().map_or(0, |before| before + 1),
            ";" => {
                around.clear();
                here = 0;
            }
            _ => here += 1,
        }
        deepest = deepest.max(here);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_not_deep_and_a_chain_is() {
        let list = vec!["(1, 'a', now())"; 5000].join(", ");
        assert!(depth(&format!("INSERT INTO t (a, b, c) VALUES {list};")) < 20);
        assert!(depth(&vec!["a = 1"; 1000].join(" OR ")) >= 1000);
        assert!(depth(&"(".repeat(1000)) >= 1000);
    }

    #[test]
    fn no_text_is_too_long_to_be_parsed() {
        let where_clause = |count: usize| vec!["a = 1"; count].join(" OR ");
        let statements = |text: &str| parse(text).tree().stmts().count();
        assert_eq!(statements(&format!("DELETE FROM t WHERE {};", where_clause(2_000))), 1);
        assert_eq!(statements(&format!("SELECT {}1{};", "(".repeat(2_000), ")".repeat(2_000))), 1);
        assert_eq!(statements(&format!("SELECT {};", vec!["1"; 9_000].join("+"))), 1);
        for text in [where_clause(100_000), "(".repeat(1_000_000), "CASE ".repeat(100_000), "NOT ".repeat(100_000)] {
            assert!(!parse(&format!("SELECT {text};")).errors().is_empty());
        }
    }
}
