//! Whether an expression has the same value for all rows of a statement: what functions promise, and which SQL
//! functions the server inlines.

use std::collections::BTreeSet;

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, FuncOption, Stmt};

use super::place::ScriptContext;
use crate::parse::parse;
use crate::tree::ObjectName;
use crate::tree::named;

/// The functions of PostgreSQL that return the same value for a whole statement, from `pg_proc`.
const STEADY: &str = include_str!("functions.txt");

/// How many nested function calls are followed.
const DEEPEST: usize = 8;

/// Whether a server expression may have another value for each row.
pub(super) fn text_is_volatile(known: &ScriptContext<'_>, expression: &str) -> bool {
    calls_volatile(known, parse(&format!("SELECT {expression}")).tree().syntax())
}

/// Whether a node calls a function that may return another value for each row.
pub(super) fn calls_volatile(known: &ScriptContext<'_>, node: &SyntaxNode) -> bool {
    calls(known, node, 0, &mut BTreeSet::new())
}

/// The same, with some functions known to be steady.
fn calls(known: &ScriptContext<'_>, node: &SyntaxNode, depth: usize, steady: &mut BTreeSet<ObjectName>) -> bool {
    let calls = node.descendants().filter_map(ast::CallExpr::cast);
    let mut names = calls.filter_map(|call| named(&call.expr()?));
    names.any(|name| {
        let found = !steady.contains(&name) && is_volatile(known, &name, depth, steady);
        steady.extend((!found).then_some(name));
        found
    })
}

/// Whether a function may return another value for each row. An unknown function may.
fn is_volatile(known: &ScriptContext<'_>, name: &ObjectName, depth: usize, steady: &mut BTreeSet<ObjectName>) -> bool {
    let own = known.own_functions(name);
    let of_schema = known.functions(name).into_iter().filter_map(|one| one.fact("definition"));
    let all: Vec<&str> = own.into_iter().chain(of_schema).collect();
    match all.is_empty() {
        true => !STEADY.lines().any(|one| one == name.name),
        false => depth > DEEPEST || !all.iter().all(|text| is_steady(known, text, depth, steady)),
    }
}

/// Whether the definition of a function promises it, or the server sees it when it inlines the body.
fn is_steady(known: &ScriptContext<'_>, definition: &str, depth: usize, steady: &mut BTreeSet<ObjectName>) -> bool {
    let tree = parse(definition).tree();
    let Some(Stmt::CreateFunction(function)) = tree.stmts().next() else { return false };
    let options: Vec<FuncOption> = function.option_list().into_iter().flat_map(|list| list.options()).collect();
    let promises = |one: &FuncOption| match one {
        FuncOption::VolatilityFuncOption(it) => !matches!(it, ast::VolatilityFuncOption::Volatile(_)),
        _ => false,
    };
    options.iter().any(promises)
        || inlined(&function, &options).is_some_and(|body| !calls(known, &body, depth + 1, steady))
}

/// The body of an SQL function that the server inlines: a single expression.
fn inlined(function: &ast::CreateFunction, options: &[FuncOption]) -> Option<SyntaxNode> {
    let has_parameters = function.param_list().is_some_and(|list| list.params().next().is_some());
    let is_fenced = options.iter().any(|one| match one {
        FuncOption::SecurityDefinerFuncOption(_) | FuncOption::SetFuncOption(_) => true,
        // A strict function is inlined only sometimes.
        FuncOption::StrictFuncOption(_) | FuncOption::ReturnsNullOnNullInputFuncOption(_) => has_parameters,
        _ => false,
    });
    (!is_fenced).then_some(())?;
    match function.body() {
        Some(ast::RoutineBody::ReturnStmt(it)) => Some(it.syntax().clone()),
        Some(_) => None,
        None => {
            let body = function.sql_body()?.tree();
            let stmts: Vec<Stmt> = body.stmts().collect();
            let [Stmt::Select(select)] = stmts.as_slice() else { return None };
            let clause = select.select_clause()?;
            let has_more = select.syntax().children().any(|node| node != *clause.syntax());
            let is_one = clause.target_list().is_some_and(|list| list.targets().count() == 1);
            let has_query = clause.syntax().descendants().any(|node| ast::Select::can_cast(node.kind()));
            (is_one && !has_more && !has_query).then(|| clause.syntax().clone())
        }
    }
}
