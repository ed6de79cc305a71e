//! The statements that blocks and routines run, including texts that they build from literals.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use migrate_base::ident::{literal, plain};
use migrate_base::sql::quoted;
use squawk_syntax::ast::{self, AstNode, Stmt};
use squawk_syntax::plpgsql::Plpgsql;
use squawk_syntax::{SyntaxNode, SyntaxToken};

use super::routine::called_in;
use super::turns::{BodyLoop, turns};
use super::{ObjectName, span};

/// The content of a block or a routine.
pub(crate) struct CodeBody {
    pub(crate) inner: Vec<BodyStatement>,
    /// The functions that its expressions call.
    pub(crate) called: Vec<(Range<usize>, ObjectName)>,
    pub(crate) turns: Vec<BodyLoop>,
    pub(crate) has_errors: bool,
}

impl CodeBody {
    pub(crate) fn of(stmt: &Stmt) -> Option<Self> {
        let (code, sql, own) = match stmt {
            Stmt::Do(it) => (it.plpgsql(), None, None),
            Stmt::CreateFunction(it) => (it.plpgsql(), it.sql_body(), it.body()),
            Stmt::CreateProcedure(it) => (it.plpgsql(), it.sql_body(), it.body()),
            _ => return None,
        };
        if let Some(body) = code {
            let has_errors = !body.errors().is_empty();
            return Some(Self { inner: statements(&body), called: called_in(&body), turns: turns(&body), has_errors });
        }
        let inner = match (sql, own) {
            (Some(body), _) => {
                let one = |stmt: Stmt| {
                    let (first, last) = ends(stmt.syntax())?;
                    let (start, end) =
                        (body.source_range(first.text_range()).start(), body.source_range(last.text_range()).end());
                    let (place, sql) = (usize::from(start)..usize::from(end), body.text().get(span(&stmt))?);
                    Some(BodyStatement { sql: Some((place.start, bare(sql))), place })
                };
                body.tree().stmts().filter_map(one).collect()
            }
            (None, Some(body)) => {
                let one = |stmt: Stmt| {
                    let (place, skipped) =
                        (span(&stmt), span(&stmt).start - usize::from(stmt.syntax().text_range().start()));
                    let text = stmt.syntax().text().to_string();
                    Some(BodyStatement { sql: Some((place.start, bare(text.get(skipped..)?))), place })
                };
                body.syntax().children().filter_map(Stmt::cast).filter_map(one).collect()
            }
            (None, None) => return None,
        };
        Some(Self { inner, called: Vec::new(), turns: Vec::new(), has_errors: false })
    }
}

/// A statement of a body.
pub(crate) struct BodyStatement {
    /// Its place in the body, or the place of the command that runs it.
    pub(crate) place: Range<usize>,
    /// Its text, and where that begins in the file; `None` if it cannot be read.
    pub(crate) sql: Option<(usize, String)>,
}

/// The statements of a body.
fn statements(body: &Plpgsql) -> Vec<BodyStatement> {
    let constants = constants(body);
    let read = |node: &SyntaxNode, sql: String| {
        let place = place(body, node);
        BodyStatement { sql: Some((place.start, sql)), place }
    };
    let dynamic = |node: &SyntaxNode, query: Option<ast::PlpgsqlExpr>| BodyStatement {
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
            // The replacement is as long as the word.
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
            all.push(BodyStatement { place: place(body, &node), sql: None });
        }
    }
    all
}

/// A variable that never changes its value after its declaration.
struct BodyConstant {
    value: String,
    literal: ast::Literal,
}

/// Constants by their names.
type BodyConstants = BTreeMap<String, BodyConstant>;

/// The variables of a body that are declared once, with literals, and only read.
fn constants(body: &Plpgsql) -> BodyConstants {
    let (mut constants, mut names) = (BodyConstants::new(), BTreeSet::new());
    for variable in body.syntax().descendants().filter_map(ast::PlpgsqlVarDecl::cast) {
        let Some(name) = variable.name().map(|name| lower(name.syntax())) else { continue };
        let init = variable.init().and_then(|init| init.expr());
        let text = init.and_then(|init| text(&init, &BodyConstants::new()));
        match text.filter(|_| !names.contains(&name)) {
            Some((value, literal)) => _ = constants.insert(name.clone(), BodyConstant { value, literal }),
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

pub(crate) fn lower(node: &SyntaxNode) -> String {
    node.text().to_string().trim().to_ascii_lowercase()
}

/// Where a node of a body is in the file, without leading space and comments.
pub(crate) fn place(body: &Plpgsql, node: &SyntaxNode) -> Range<usize> {
    let (first, last) = ends(node)
        .map_or((node.text_range(), node.text_range()), |(first, last)| (first.text_range(), last.text_range()));
    usize::from(body.source_range(first).start())..usize::from(body.source_range(last).end())
}

/// The first and the last token of a node, without leading space and comments.
fn ends(node: &SyntaxNode) -> Option<(SyntaxToken, SyntaxToken)> {
    let mut tokens = node.descendants_with_tokens().filter_map(|one| one.into_token());
    Some((tokens.find(|token| !token.kind().is_trivia())?, node.last_token()?))
}

/// A text that is executed, and the place that it gets: where its first literal begins.
fn dynamic(body: &Plpgsql, query: &ast::PlpgsqlExpr, constants: &BodyConstants) -> Option<(usize, String)> {
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

/// The value of an expression that consists of literals, and the first of these literals.
fn text(query: &ast::PlpgsqlExpr, constants: &BodyConstants) -> Option<(String, ast::Literal)> {
    let value = value(&query.syntax().descendants().find_map(ast::Expr::cast)?, constants)?;
    let first = query.syntax().descendants().find_map(|node| match ast::Expr::cast(node)? {
        ast::Expr::Literal(literal) => Some(literal),
        ast::Expr::NameRef(name) => constants.get(&lower(name.syntax())).map(|constant| constant.literal.clone()),
        _ => None,
    });
    Some((value, first?))
}

/// The value of an expression that consists of literals and constants.
fn value(expr: &ast::Expr, constants: &BodyConstants) -> Option<String> {
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

/// What `format` makes of a template; `None` if the template contains more than `%I`, `%L` and `%s`, with or without a
/// position.
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

/// A statement without its `INTO` variables.
pub(crate) fn without_into(stmt: &SyntaxNode) -> String {
    let start = stmt.text_range().start();
    let mut text = stmt.text().to_string();
    for into in stmt.descendants().filter(|node| ast::PlpgsqlIntoClause::can_cast(node.kind())) {
        let range = into.text_range() - start;
        let range = usize::from(range.start())..usize::from(range.end());
        let blank: String = text[range.clone()].chars().map(|_| ' ').collect();
        // Only if the text keeps its length.
        if blank.len() == range.len() {
            text.replace_range(range, &blank);
        }
    }
    let text = text.trim_start();
    text.trim_end().trim_end_matches(';').to_owned()
}

fn trimmed(node: &SyntaxNode) -> String {
    bare(&node.text().to_string())
}

fn bare(statement: &str) -> String {
    statement.trim().trim_end_matches(';').to_owned()
}
