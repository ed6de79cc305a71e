//! The queries of an `.sql` file: one or many, with the names that sqlc, yesql, HugSQL, aiosql and pgtyped give them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use migrate_base::codes::{self, Code};
use migrate_base::finding::{Finding, Place, Severity};
use migrate_base::sql::lex::lex;
use migrate_base::sql::{Flaw, FlawKind, split};
use squawk_lexer::TokenKind;

use super::placeholder::{self, RewrittenText};
use super::{Query, QueryOrigin, RepositoryPlace};
use crate::consumer::ParameterStyle;

/// Reads the queries of a file; a query without a name is named after its place.
pub(super) fn read(path: &Path, text: &Arc<str>, style: Option<ParameterStyle>) -> (Vec<Query>, Vec<Finding>) {
    let mut script =
        QueryFileReader { path, text, style, line: (0, 1), expands: false, queries: Vec::new(), problems: Vec::new() };
    let names = annotations(text);
    let first = names.first().map_or(text.len(), |(span, ..)| span.start);
    script.part(0..first, None);
    for (at, (span, name, expands)) in names.iter().enumerate() {
        let end = names.get(at + 1).map_or(text.len(), |(next, ..)| next.start);
        script.expands = *expands;
        if script.part(span.end..end, Some(name)) == 0 {
            let place = Place::within(path, text.clone(), span.clone());
            let finding = Finding::new(codes::QUERY_EMPTY, format!("there is no query after the name {name}"));
            script.problems.push(finding.at(place).help("write the query below the comment, or remove the comment"));
        }
    }
    (script.queries, script.problems)
}

/// Whether a server can describe a statement without running it.
pub(super) fn is_query(statement: &str) -> bool {
    let mut words = placeholder::words(statement).map(|(_, span)| &statement[span]);
    let first = words.find(|word| *word != "(");
    let kinds = ["select", "insert", "update", "delete", "merge", "with", "values", "table", "call", "copy"];
    first.is_some_and(|word| kinds.iter().any(|kind| word.eq_ignore_ascii_case(kind)))
}

struct QueryFileReader<'a> {
    path: &'a Path,
    text: &'a Arc<str>,
    style: Option<ParameterStyle>,
    /// A byte of the file, and its line: each line is counted only once.
    line: (usize, usize),
    /// Whether the queries being read are named in sqlc's way.
    expands: bool,
    queries: Vec<Query>,
    problems: Vec<Finding>,
}

impl QueryFileReader<'_> {
    /// Reads a part of the file whose first query has this name; returns the number of statements.
    fn part(&mut self, part: Range<usize>, name: Option<&str>) -> usize {
        let (statements, flaws) = split(&self.text[part.clone()]);
        let moved = |span: &Range<usize>| part.start + span.start..part.start + span.end;
        // A query needs no semicolon: the readers of these files split them at the names.
        let flaws: Vec<Flaw> = flaws.into_iter().filter(|flaw| flaw.kind != FlawKind::UnterminatedStatement).collect();
        let told = flaws.iter().map(|flaw| describe(flaw.kind).at(self.place(moved(&flaw.span))));
        let told: Vec<Finding> = told.collect();
        self.problems.extend(told);
        for (at, statement) in statements.iter().enumerate() {
            let span = moved(&statement.span);
            // A statement reported as broken is not reported again by the server.
            let inside = |flaw: &Flaw| flaw.span.start < statement.span.end && statement.span.start < flaw.span.end;
            if flaws.iter().any(inside) {
                continue;
            }
            let name = match (name, at) {
                (Some(name), 0) => name.to_owned(),
                (Some(name), _) => format!("{name} ({})", at + 1),
                (None, _) => format!("{}:{}", self.path.display(), self.line_of(span.start)),
            };
            if is_query(&self.text[span.clone()]) {
                self.query(name, span);
            } else {
                self.problems.push(
                    note(codes::NOT_A_QUERY, "this statement is not a query, so it is not checked")
                        .at(self.place(first_line(self.text, span))),
                );
            }
        }
        statements.len()
    }

    fn query(&mut self, name: String, span: Range<usize>) {
        let RewrittenText { text, pieces } = placeholder::rewrite(&self.text[span.clone()], self.style);
        let pieces = pieces.into_iter().map(|(own, there)| (own, there + span.start)).collect();
        let line = self.line_of(span.start);
        let origin = QueryOrigin { path: self.path.to_owned(), text: self.text.clone(), span, pieces };
        let found = Some(RepositoryPlace { file: self.path.display().to_string(), line: Some(line) });
        self.queries.push(Query { name, text: text.into(), origin, calls: None, found, expands: self.expands });
    }

    fn line_of(&mut self, byte: usize) -> usize {
        let (from, line) = if self.line.0 <= byte { self.line } else { (0, 1) };
        self.line = (byte, line + self.text[from..byte].matches('\n').count());
        self.line.1
    }

    fn place(&self, span: Range<usize>) -> Place {
        Place::within(self.path, self.text.clone(), span)
    }
}

/// The part of a span that is on its first line.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let length = text[span.clone()].lines().next().map_or(0, str::len);
    span.start..span.start + length
}

/// The comments that name the query after them, and whether they are sqlc's.
fn annotations(text: &str) -> Vec<(Range<usize>, &str, bool)> {
    let mut all = Vec::new();
    for (kind, span) in lex(text, 0) {
        if !matches!(kind, TokenKind::LineComment | TokenKind::BlockComment { terminated: true }) {
            continue;
        }
        let line = text[..span.start].rfind('\n').map_or(0, |line| line + 1);
        if text[line..span.start].trim().is_empty()
            && let Some((name, is_sqlc)) = annotated(&text[span.clone()])
        {
            all.push((span, name, is_sqlc));
        }
    }
    all
}

/// The name that a comment gives: `-- name: GetOrder :one`, `-- name: get-order^`, `-- :name get-order :? :1`,
/// `/* @name GetOrder */`.
fn annotated(comment: &str) -> Option<(&str, bool)> {
    let inner = comment.trim_start_matches("/*").trim_end_matches("*/").trim_start_matches('-');
    let line = inner.lines().map(|line| line.trim().trim_start_matches('*').trim()).find(|line| !line.is_empty())?;
    let heads = [":name ", "@name ", "name:"];
    let (head, rest) = heads.iter().find_map(|head| Some((*head, line.strip_prefix(head)?.trim())))?;
    let end = rest.find(|c: char| c.is_whitespace() || c == '(').unwrap_or(rest.len());
    let (name, more) = rest.split_at(end);
    let name = name.trim_end_matches(['^', '!', '$', '*', '#', '<', ':']);
    let more = more.trim();
    let is_annotation = more.is_empty() || more.starts_with([':', '(', '^', '!', '$', '*', '#']);
    (is_annotation && !name.is_empty()).then_some((name, head == "name:" && more.starts_with(':')))
}

fn note(code: Code, message: impl Into<String>) -> Finding {
    Finding::new(code, message).with_severity(Severity::Note)
}

fn describe(kind: FlawKind) -> Finding {
    let wrong = |message: String| Finding::new(codes::CONSUMER_SQL, message);
    match kind {
        FlawKind::UnterminatedQuote(what) => {
            wrong(format!("this {what} never ends, so the queries after it cannot be separated"))
                .help(format!("close the {what}"))
        }
        FlawKind::OpenParenthesis => wrong("this parenthesis is never closed".to_owned()).help("add the missing `)`"),
        FlawKind::MetaCommand => wrong("a psql command is not a query".to_owned())
            .note("psql itself runs commands with a backslash; the server does not know them")
            .help("remove the line, or write it as SQL"),
        FlawKind::UnterminatedStatement => {
            wrong("the last statement is not terminated".to_owned()).help("add the missing `;`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and texts, then the places and codes of problems.
    fn said(text: &str) -> (Vec<String>, Vec<String>) {
        let (queries, problems) = read(Path::new("q.sql"), &text.into(), None);
        let queries = queries.iter().map(|query| format!("{}: {}", query.name, query.text));
        let problems = problems.iter().map(|one| format!("{} {}", one.place.as_ref().unwrap(), one.code.as_str()));
        (queries.collect(), problems.collect())
    }

    #[track_caller]
    fn check(text: &str, queries: &[&str], problems: &[&str]) {
        let (found, wrong) = said(text);
        assert_eq!(found, queries);
        assert_eq!(wrong, problems);
    }

    #[test]
    fn queries_have_the_names_that_their_tools_give_them() {
        check(
            "-- name: GetOrder :one\nSELECT @id;\n\n-- name: ListOrders :many\n-- all of them\nSELECT 2;",
            &["GetOrder: SELECT $1", "ListOrders: SELECT 2"],
            &[],
        );
        check(
            "-- name: get-order^\nSELECT :id\n\n-- name: pay!\nUPDATE a SET b = :c\n",
            &["get-order: SELECT $1", "pay: UPDATE a SET b = $1"],
            &[],
        );
        check("-- :name get-order :? :1\n-- :doc one\nSELECT 1", &["get-order: SELECT 1"], &[]);
        check(
            "/* @name GetOrder */\nSELECT :id!;\n/*\n * @name B\n * @param x\n */\nSELECT 2;",
            &["GetOrder: SELECT $1", "B: SELECT 2"],
            &[],
        );
        check("-- name: f(a, b)$\nSELECT 1", &["f: SELECT 1"], &[]);
    }

    #[test]
    fn without_a_name_the_place_is_the_name() {
        check("SELECT 1;\n\n(SELECT 2);", &["q.sql:1: SELECT 1", "q.sql:3: (SELECT 2)"], &[]);
        check("-- the name: it is said below\nSELECT 1 -- name: no\n;", &["q.sql:2: SELECT 1"], &[]);
    }

    #[test]
    fn what_is_no_query_is_told_with_its_place() {
        check(
            "SET a = 1;\nSELECT 1;\n  CREATE TABLE a (\nb int);",
            &["q.sql:2: SELECT 1"],
            &["q.sql:1:1 not-a-query", "q.sql:3:3 not-a-query"],
        );
        check("-- name: a :one\n-- name: b :one\nSELECT 1", &["b: SELECT 1"], &["q.sql:1:1 query-empty"]);
        check(
            "SELECT 1;\n\\gset\nSELECT 'a;",
            &["q.sql:1: SELECT 1"],
            &["q.sql:2:1 consumer-sql", "q.sql:3:8 consumer-sql"],
        );
        check("-- name: a :one\nSELECT (1;\n-- name: b :one\nSELECT 2", &["b: SELECT 2"], &["q.sql:2:8 consumer-sql"]);
    }

    #[test]
    fn a_part_of_a_query_is_found_in_its_file() {
        let text: Arc<str> = "-- name: a :one\nSELECT :long_name,\n  missing FROM t;".into();
        let (queries, _) = read(Path::new("q.sql"), &text, None);
        let query = &queries[0];
        let at = query.text.find("missing").unwrap();
        let place = query.part(at..at + 7);
        assert_eq!(place.to_string(), "q.sql:3:3");
        let (text, span, _) = place.source().unwrap();
        assert_eq!(&text[span], "missing");
        let parameter = query.part(7..9);
        let (text, span, _) = parameter.source().unwrap();
        assert_eq!(&text[span], ":long_name");
    }

    proptest::proptest! {
        /// For any file, nothing panics, and each query lies inside it.
        #[test]
        fn any_text_is_read(text in "(-- name: [a-z :^]{0,6}\n|[-a-z:?@%'\"$;()\\\\/* \nü]{0,12}|select ){0,8}") {
            let text: Arc<str> = text.into();
            let (queries, _) = read(Path::new("q.sql"), &text, None);
            for query in queries {
                proptest::prop_assert!(text.get(query.origin.span.clone()).is_some());
                let whole = query.part(0..query.text.len());
                let (_, span, _) = whole.source().unwrap();
                proptest::prop_assert_eq!(span, query.origin.span.clone());
            }
        }
    }
}
