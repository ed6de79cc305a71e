//! `key-runs-out`: the key of a new table is a number that runs out at two billion, or earlier.

use std::ops::Range;

use squawk_syntax::ast::{self, AstNode, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::tree::span;

pub(super) const RULE: LintRule =
    rule("key-runs-out", RuleClass::Design, Severity::Warning, include_str!("../pages/key-runs-out.md"), check);

/// The names of integer types that are too short to number rows forever.
const SHORT: [&str; 10] =
    ["int", "integer", "int4", "serial", "serial4", "smallint", "int2", "smallserial", "serial2", "pg_catalog.int4"];

fn check(_: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let tables = parsed.statements.iter().filter_map(|(_, stmt)| match stmt {
        Stmt::CreateTable(it) => it.table_arg_list(),
        _ => None,
    });
    tables.filter_map(|arguments| counted(&arguments)).collect()
}

/// A column that numbers itself, is the whole primary key, and has a short type.
fn counted(arguments: &ast::TableArgList) -> Option<RuleHit> {
    let columns =
        arguments.args().filter_map(|one| if let ast::TableArg::Column(column) = one { Some(column) } else { None });
    let short = |column: &ast::Column| -> Option<(Range<usize>, String)> {
        let kind = column.ty()?;
        let word = kind.syntax().text().to_string().trim().to_ascii_lowercase();
        let text = column.syntax().text().to_string().to_ascii_lowercase();
        let counts = word.contains("serial") || text.contains("identity") || text.contains("nextval");
        let is_key = column.syntax().descendants().any(|node| ast::PrimaryKeyConstraint::can_cast(node.kind()))
            || alone(arguments, column);
        (SHORT.contains(&word.as_str()) && counts && is_key).then(|| (span(&kind), word))
    };
    let (place, word) = columns.filter_map(|column| short(&column)).next()?;
    let most = if word.starts_with("small") || word.ends_with('2') { "32,767" } else { "2,147,483,647" };
    let hit =
        RuleHit::new(place, format!("this key ends at {most}, and every attempt to insert a row uses up a number"))
            .help("use bigint: it takes four bytes more and does not run out");
    Some(hit)
}

/// Whether a column alone is the primary key, declared after the columns.
fn alone(arguments: &ast::TableArgList, column: &ast::Column) -> bool {
    let Some(name) = column.name().map(|name| name.syntax().text().to_string()) else { return false };
    let mut keys = arguments.args().filter_map(|one| match one {
        ast::TableArg::TableConstraint(ast::TableConstraint::PrimaryKeyConstraint(it)) => {
            Some(it.syntax().text().to_string())
        }
        _ => None,
    });
    keys.any(|text| {
        text.split_once('(').is_some_and(|(_, list)| list.trim_end_matches([')', ' ']).trim() == name.trim())
    })
}
