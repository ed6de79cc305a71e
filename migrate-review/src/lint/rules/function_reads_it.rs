//! `function-reads-it`: a column or table is dropped or renamed, and the text of a function still has the old name.
//!
//! The server tracks views, defaults and constraints, and refuses the change. It does not know what the text of a
//! function mentions until the function is called.

use std::ops::Range;
use std::sync::Arc;

use migrate_base::sql::lex;
use migrate_schema::{Kind, Object};
use squawk_lexer::TokenKind;
use squawk_syntax::ast::{AlterTableAction, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::lint::script::relation;
use crate::tree::{ObjectName, named, relation_names, span};

pub(super) const RULE: LintRule =
    rule("function-reads-it", RuleClass::Breaks, Severity::Error, include_str!("../pages/function-reads-it.md"), check);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let Some(before) = subject.before else { return Vec::new() };
    let mut hits = Vec::new();
    for (place, table, column) in parsed.statements.iter().flat_map(|(_, stmt)| gone(stmt)) {
        if is_back(subject, &table, column.as_ref()) {
            continue;
        }
        let functions = before.schema.objects().filter(|one| matches!(one.id.kind, Kind::Function | Kind::Procedure));
        let readers = functions.filter(|one| stays(subject, one) && mentions(one, &table, column.as_ref()));
        let readers: Vec<String> = readers.map(|one| one.id.to_string()).collect();
        if !readers.is_empty() {
            let what = column.as_ref().map_or_else(|| table.to_string(), |column| format!("{table}.{}", column.name));
            let hit = RuleHit::new(place, format!("the text of {} still mentions {what}", readers.join(", ")))
                .note("the server does not check the text of a function until the function is called")
                .help("CREATE OR REPLACE the function in the same migration, or before it");
            hits.push(hit);
        }
    }
    hits
}

/// What a statement drops or renames: a table or view, or a column of a table.
fn gone(stmt: &Stmt) -> Vec<(Range<usize>, ObjectName, Option<ObjectName>)> {
    let tables = || relation_names(stmt);
    match stmt {
        Stmt::DropView(it) => tables().map(|name| (span(it), name, None)).collect(),
        Stmt::DropMaterializedView(it) => tables().map(|name| (span(it), name, None)).collect(),
        Stmt::DropTable(it) => tables().map(|name| (span(it), name, None)).collect(),
        Stmt::AlterTable(it) => {
            let Some(table) = tables().next() else { return Vec::new() };
            let gone = it.actions().filter_map(|action| match action {
                AlterTableAction::DropColumn(it) => Some((span(&it), Some(named(&it.column_name_ref()?)?))),
                AlterTableAction::RenameColumn(it) => Some((span(&it), Some(named(&it.column_name_ref()?)?))),
                AlterTableAction::TableRenameTo(it) => Some((span(&it), None)),
                _ => None,
            });
            gone.map(|(place, column)| (place, table.clone(), column)).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether something has this name afterwards: another object that took its place.
fn is_back(subject: &LintSubject<'_>, table: &ObjectName, column: Option<&ObjectName>) -> bool {
    let back = || {
        let table = relation(subject.after?, table)?;
        let Some(column) = column else { return Some(true) };
        Some(subject.after?.schema.children(&table.id, Kind::Column).any(|one| *one.id.name == *column.name))
    };
    back().unwrap_or(false)
}

/// Whether a function is the same afterwards; if that is not known, it is assumed to be.
fn stays(subject: &LintSubject<'_>, function: &Arc<Object>) -> bool {
    subject.after.is_none_or(|after| after.schema.get(&function.id) == Some(function))
}

/// Whether the text of a function contains the name of the table and, if one is given, that of the column.
fn mentions(function: &Object, table: &ObjectName, column: Option<&ObjectName>) -> bool {
    let body = function
        .fact("definition")
        .and_then(|text| text.split_once("\nAS ").or_else(|| text.split_once("\nBEGIN ATOMIC")));
    let Some((_, body)) = body else { return false };
    let body = body.trim_start().trim_start_matches("$function$").trim_start_matches("$procedure$");
    let words: Vec<&str> = lex::words(body)
        .map(|(kind, span)| (kind, &body[span]))
        .filter(|(kind, _)| matches!(kind, TokenKind::Ident | TokenKind::QuotedIdent { .. }))
        .map(|(_, word)| word.trim_matches('"'))
        .collect();
    let has = |name: &str| words.iter().any(|word| word.eq_ignore_ascii_case(name));
    has(&table.name) && column.is_none_or(|column| has(&column.name))
}
