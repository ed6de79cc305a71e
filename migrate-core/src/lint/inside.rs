//! What stands inside of `DO` blocks, put where it can be read: statements, and texts that the block runs.
//!
//! The text of a script is copied with every block replaced by the statements in it, each at its own place, so that a place
//! in the copy is the same place in the file. What is put together at run time from more than literals cannot be read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use squawk_syntax::ast::{self, AstNode, Stmt};
use squawk_syntax::plpgsql::Plpgsql;
use squawk_syntax::{SyntaxNode, SyntaxToken};

use super::script::span;
use crate::ident::{literal, plain};
use crate::sql::{parse, quoted, without_deep};

/// A script with its blocks unfolded.
#[derive(Debug, Clone)]
pub(crate) struct Unfolded {
    /// The text; as long as that of the script.
    pub(crate) text: String,
    /// The statements that cannot be read.
    pub(crate) unread: Vec<Unread>,
}

/// A statement that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    /// Where it is in the file.
    pub(crate) place: Range<usize>,
    /// Whether it is too deep to be parsed, so that there are blanks in its place; otherwise it is built at run time.
    pub(crate) is_deep: bool,
}

impl From<Range<usize>> for Unread {
    fn from(place: Range<usize>) -> Self {
        Self { place, is_deep: false }
    }
}

/// Unfolds the blocks of a text.
pub(crate) fn unfold(text: &str) -> Unfolded {
    let (readable, deep) = without_deep(text);
    let unread = deep.into_iter().map(|place| Unread { place, is_deep: true }).collect();
    let mut unfolded = Unfolded { text: readable.into_owned(), unread };
    // Most scripts have none, and are not parsed for it.
    if !unfolded.text.as_bytes().windows(2).any(|pair| pair.eq_ignore_ascii_case(b"do")) {
        return unfolded;
    }
    let mut bytes = unfolded.text.as_bytes().to_vec();
    for stmt in parse(&unfolded.text).tree().stmts() {
        let Stmt::Do(block) = &stmt else { continue };
        let place = span(block);
        for byte in bytes[place.clone()].iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        let Some(body) = block.plpgsql() else {
            unfolded.unread.push(place.into());
            continue;
        };
        let mut found = statements(&body);
        found.sort_by_key(|one| one.sql.as_ref().map_or(one.place.start, |(at, _)| *at));
        let (mut free, mut last) = (place.start, None);
        for Inner { place: own, sql } in found {
            match sql {
                // A text that is run twice stands there once.
                Some(sql) if last.as_ref() == Some(&sql) => {}
                Some((at, sql)) if at >= free && at + sql.len() < place.end => {
                    let end = at + sql.len();
                    bytes[at..end].copy_from_slice(sql.as_bytes());
                    bytes[end] = b';';
                    free = end + 1;
                    last = Some((at, sql));
                }
                _ => unfolded.unread.push(own.into()),
            }
        }
        if !body.errors().is_empty() && unfolded.unread.is_empty() {
            unfolded.unread.push(place.into());
        }
    }
    if let Ok(text) = String::from_utf8(bytes) {
        unfolded.text = text;
    }
    unfolded
}

/// A statement of a body.
struct Inner {
    /// Where the body has it, or the command that runs it.
    place: Range<usize>,
    /// Its text, and where that begins in the file; nothing for one that cannot be read.
    sql: Option<(usize, String)>,
}

/// The statements of a body.
fn statements(body: &Plpgsql) -> Vec<Inner> {
    let constants = constants(body);
    let read = |node: &SyntaxNode, sql: String| {
        let place = place(body, node);
        Inner { sql: Some((place.start, sql)), place }
    };
    let dynamic = |node: &SyntaxNode, query: Option<ast::PlpgsqlExpr>| Inner {
        place: place(body, node),
        sql: query.and_then(|query| dynamic(body, &query, &constants)),
    };
    let mut all = Vec::new();
    for node in body.syntax().descendants() {
        if let Some(it) = ast::PlpgsqlExecSqlStmt::cast(node.clone()) {
            all.extend(it.stmt().map(|stmt| read(stmt.syntax(), without_into(stmt.syntax()))));
        } else if let Some(it) = ast::PlpgsqlForQueryStmt::cast(node.clone()) {
            all.extend(it.query().map(|stmt| read(stmt.syntax(), without_into(stmt.syntax()))));
        } else if ast::PlpgsqlPerformStmt::can_cast(node.kind()) || ast::PlpgsqlCallStmt::can_cast(node.kind()) {
            let text = trimmed(&node);
            // As long as the word that it replaces.
            let text = match text.get(..7).filter(|word| word.eq_ignore_ascii_case("perform")) {
                Some(_) => format!("SELECT {}", &text[7..]),
                None => text,
            };
            all.push(read(&node, text));
        } else if let Some(it) = ast::PlpgsqlDynExecuteStmt::cast(node.clone()) {
            all.push(dynamic(&node, it.query()));
        } else if let Some(it) = ast::PlpgsqlForDynStmt::cast(node.clone()) {
            all.push(dynamic(&node, it.query()));
        } else if ast::PlpgsqlDoStmt::can_cast(node.kind()) {
            all.push(Inner { place: place(body, &node), sql: None });
        }
    }
    all
}

/// A variable that has one value from its declaration on.
struct Constant {
    value: String,
    literal: ast::Literal,
}

/// Constants by their names.
type Constants = BTreeMap<String, Constant>;

/// The variables of a body that are declared once, with literals, and are only read.
fn constants(body: &Plpgsql) -> Constants {
    let (mut constants, mut names) = (Constants::new(), BTreeSet::new());
    for variable in body.syntax().descendants().filter_map(ast::PlpgsqlVarDecl::cast) {
        let Some(name) = variable.name().map(|name| lower(name.syntax())) else { continue };
        let init = variable.init().and_then(|init| init.expr());
        let text = init.and_then(|init| text(&init, &Constants::new()));
        match text.filter(|_| !names.contains(&name)) {
            Some((value, literal)) => _ = constants.insert(name.clone(), Constant { value, literal }),
            None => _ = constants.remove(&name),
        }
        names.insert(name);
    }
    let is_read = |token: &SyntaxToken| {
        let parents = token.parent_ancestors().map(|node| node.kind());
        parents.into_iter().any(|kind| ast::PlpgsqlExpr::can_cast(kind) || ast::PlpgsqlVarName::can_cast(kind))
    };
    let tokens = body.syntax().descendants_with_tokens().filter_map(|one| one.into_token());
    for token in tokens.filter(|token| !token.kind().is_trivia() && !is_read(token)) {
        constants.remove(&token.text().to_ascii_lowercase());
    }
    constants
}

fn lower(node: &SyntaxNode) -> String {
    node.text().to_string().trim().to_ascii_lowercase()
}

/// Where a node of a body is in the file, without the space and the comments before it.
fn place(body: &Plpgsql, node: &SyntaxNode) -> Range<usize> {
    let mut tokens = node.descendants_with_tokens().filter(|one| one.as_token().is_some());
    let first = tokens.find(|token| !token.kind().is_trivia()).map_or(node.text_range(), |token| token.text_range());
    let last = node.last_token().map_or(node.text_range(), |token| token.text_range());
    usize::from(body.source_range(first).start())..usize::from(body.source_range(last).end())
}

/// A text that is run, and where it is put: where its first literal begins.
fn dynamic(body: &Plpgsql, query: &ast::PlpgsqlExpr, constants: &Constants) -> Option<(usize, String)> {
    let (sql, first) = text(query, constants)?;
    let literal = first.syntax().text().to_string();
    let quote = literal.find(['\'', '$']).map_or(0, |at| match literal[at..].strip_prefix('$') {
        Some(rest) => at + 2 + rest.find('$').unwrap_or(0),
        None => at + 1,
    });
    let lead = sql.len() - sql.trim_start().len();
    let at = usize::from(body.source_range(first.syntax().text_range()).start()) + quote + lead;
    Some((at, sql.trim().trim_end_matches(';').to_owned()))
}

/// The value of an expression that is made of literals, and the first of them.
fn text(query: &ast::PlpgsqlExpr, constants: &Constants) -> Option<(String, ast::Literal)> {
    let value = value(&query.syntax().descendants().find_map(ast::Expr::cast)?, constants)?;
    let first = query.syntax().descendants().find_map(|node| match ast::Expr::cast(node)? {
        ast::Expr::Literal(literal) => Some(literal),
        ast::Expr::NameRef(name) => constants.get(&lower(name.syntax())).map(|constant| constant.literal.clone()),
        _ => None,
    });
    Some((value, first?))
}

/// The value of an expression that is made of literals and constants.
fn value(expr: &ast::Expr, constants: &Constants) -> Option<String> {
    let value = |expr: &ast::Expr| value(expr, constants);
    match expr {
        ast::Expr::Literal(it) => quoted(it.syntax().text().to_string().trim()).map(|text| text.into_owned()),
        ast::Expr::NameRef(it) => constants.get(&lower(it.syntax())).map(|constant| constant.value.clone()),
        ast::Expr::ParenExpr(it) => value(&it.syntax().children().find_map(ast::Expr::cast)?),
        ast::Expr::CastExpr(it) => value(&it.syntax().children().find_map(ast::Expr::cast)?),
        ast::Expr::BinExpr(it) => {
            let sides: Vec<ast::Expr> = it.syntax().children().filter_map(ast::Expr::cast).collect();
            let [left, right] = sides.as_slice() else { return None };
            let operator = it.syntax().text().to_string();
            let between = operator.get(left.syntax().text().to_string().len()..)?;
            between.trim_start().starts_with("||").then_some(())?;
            Some(value(left)? + &value(right)?)
        }
        ast::Expr::CallExpr(it) => {
            let name = lower(it.expr()?.syntax());
            let list = it.arg_list()?;
            let arguments: Vec<ast::Expr> =
                list.args().filter_map(|one| one.syntax().descendants().find_map(ast::Expr::cast)).collect();
            let values = || arguments.iter().map(value).collect::<Option<Vec<String>>>();
            match (name.trim_start_matches("pg_catalog."), arguments.as_slice()) {
                ("format", [_, ..]) => {
                    let values = values()?;
                    formatted(&values[0], &values[1..])
                }
                ("quote_ident", [one]) => Some(plain(&value(one)?)),
                ("quote_literal", [one]) => Some(literal(&value(one)?)),
                ("concat", _) => values().map(|all| all.concat()),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What `format` makes of a template; `None` where it has more in it than `%I`, `%L` and `%s`, each with a place or without.
fn formatted(template: &str, arguments: &[String]) -> Option<String> {
    let mut text = String::new();
    let (mut next, mut letters) = (0, template.chars().peekable());
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let mut place = String::new();
        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
            place.push(digit);
        }
        if !place.is_empty() {
            letters.next_if_eq(&'$')?;
            next = place.parse::<usize>().ok()?.checked_sub(1)?;
        }
        match letters.next()? {
            '%' => text.push('%'),
            kind @ ('I' | 'L' | 's') => {
                let value = arguments.get(next)?;
                next += 1;
                text.push_str(&match kind {
                    'I' => plain(value),
                    'L' => literal(value),
                    _ => value.clone(),
                });
            }
            _ => return None,
        }
    }
    Some(text)
}

/// A statement without the variables that its result goes to.
fn without_into(stmt: &SyntaxNode) -> String {
    let start = stmt.text_range().start();
    let mut text = stmt.text().to_string();
    for into in stmt.descendants().filter(|node| ast::PlpgsqlIntoClause::can_cast(node.kind())) {
        let range = into.text_range() - start;
        let range = usize::from(range.start())..usize::from(range.end());
        let blank: String = text[range.clone()].chars().map(|_| ' ').collect();
        // Only where the text stays as long as it is.
        if blank.len() == range.len() {
            text.replace_range(range, &blank);
        }
    }
    let text = text.trim_start();
    text.trim_end().trim_end_matches(';').to_owned()
}

fn trimmed(node: &SyntaxNode) -> String {
    node.text().to_string().trim().trim_end_matches(';').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str], unread: &[&str]) {
        let unfolded = unfold(text);
        assert_eq!(unfolded.text.len(), text.len());
        let tree = parse(&unfolded.text).tree();
        let found: Vec<String> =
            tree.stmts().map(|stmt| unfolded.text[span(&stmt)].trim_end_matches(';').to_owned()).collect();
        assert_eq!(found, expected);
        let found: Vec<&str> = unfolded.unread.iter().map(|one| &text[one.place.clone()]).collect();
        assert_eq!(found, unread);
    }

    #[test]
    fn statements_of_a_block_keep_their_places() {
        let text = "SELECT 1;\nDO $$\nDECLARE n int;\nBEGIN\n  IF NOT EXISTS (SELECT 1 FROM a) THEN\n    ALTER TABLE ü DROP b;\n  END IF;\n  \
                    PERFORM f(1);\nEND $$;\nSELECT 2;";
        check(text, &["SELECT 1", "ALTER TABLE ü DROP b", "SELECT  f(1)", "SELECT 2"], &[]);
        let at = unfold(text).text.find("ALTER").unwrap();
        assert_eq!(text.find("ALTER"), Some(at));
        check("DO 'BEGIN UPDATE t SET a = ''x''; END';", &["UPDATE t SET a = 'x'"], &[]);
    }

    #[test]
    fn texts_that_are_run_are_read() {
        check("DO $$ BEGIN EXECUTE 'DROP TABLE a'; END $$;", &["DROP TABLE a"], &[]);
        check("DO $$ BEGIN EXECUTE 'DROP ' || 'TABLE a;'; END $$;", &["DROP TABLE a"], &[]);
        check("DO $$ BEGIN EXECUTE $x$DROP TABLE a$x$; END $$;", &["DROP TABLE a"], &[]);
        check("DO $$ BEGIN EXECUTE format('DROP TABLE %I.%2$I', 'a', 'B c'); END $$;", &["DROP TABLE a.\"B c\""], &[]);
        check("DO $$ BEGIN EXECUTE format('UPDATE t SET a = %L', 'x''y'); END $$;", &["UPDATE t SET a = 'x''y'"], &[]);
        check("DO $$ BEGIN EXECUTE 'DROP TABLE ' || n; END $$;", &[], &["EXECUTE 'DROP TABLE ' || n;"]);
        check("DO $$ BEGIN EXECUTE format('DROP TABLE %I', n); END $$;", &[], &["EXECUTE format('DROP TABLE %I', n);"]);
        let rest = "BEGIN EXECUTE format('DROP TABLE %I', t); EXECUTE done; EXECUTE done; END $$;";
        let declared =
            |more: &str| format!("DO $$ DECLARE t text := 'a'; done CONSTANT text := 'DROP TABLE b'; {more}{rest}");
        check(&declared(""), &["DROP TABLE b", "DROP TABLE a"], &[]);
        for other in ["u text := t;", "BEGIN t := 'x'; END;", "BEGIN SELECT 1 INTO t; END;"] {
            let text = declared("").replace(
                "BEGIN EXECUTE",
                &format!("BEGIN {} EXECUTE", if other.starts_with('u') { "" } else { other }),
            );
            let found = unfold(&text);
            assert_eq!(found.unread.is_empty(), other.starts_with('u'), "{other}: {found:?}");
        }
        // What gets longer than its place leaves the next statement where it is.
        let long = "DO $$ DECLARE t text := 'a_name_that_is_much_longer_than_that'; BEGIN EXECUTE format('DROP TABLE %I', t); DROP TABLE b; END $$;";
        check(long, &["DROP TABLE b"], &["EXECUTE format('DROP TABLE %I', t);"]);
        check("DO LANGUAGE plpython3u $$ x $$;", &[], &["DO LANGUAGE plpython3u $$ x $$;"]);
    }

    #[test]
    fn what_is_too_deep_to_be_parsed_is_named_and_the_rest_is_read() {
        let deep = format!("UPDATE t SET a = 'ü' WHERE {};", vec!["id = 1"; 6000].join(" OR "));
        let text = format!("SELECT 1;\n{deep}\nDROP TABLE t;");
        let unfolded = unfold(&text);
        assert_eq!(unfolded.text.len(), text.len());
        let found: Vec<String> =
            parse(&unfolded.text).tree().stmts().map(|stmt| unfolded.text[span(&stmt)].to_owned()).collect();
        assert_eq!(found, ["SELECT 1;", "DROP TABLE t;"]);
        let named: Vec<(&str, bool)> =
            unfolded.unread.iter().map(|one| (&text[one.place.clone()], one.is_deep)).collect();
        assert_eq!(named, [(&*deep, true)]);
    }
}
