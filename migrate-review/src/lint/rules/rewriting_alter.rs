//! `rewriting-alter`: a table that is in use is rewritten to change how it is stored.

use std::ops::Range;

use squawk_syntax::ast::{AlterTableAction, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::lint::work::storage;
use crate::locks::RowWork;

pub(super) const RULE: LintRule =
    rule("rewriting-alter", RuleClass::Locks, Severity::Error, include_str!("../pages/rewriting-alter.md"), check);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let all = parsed.statements.iter().flat_map(|(_, stmt)| storage(subject, parsed, stmt));
    let moved = parsed.statements.iter().filter(|(_, stmt)| moves_all(subject, parsed, stmt));
    let moved = moved.map(|(place, _)| hit(place.clone(), "SET TABLESPACE"));
    let one = |(action, place): (AlterTableAction, Range<usize>)| {
        let what = match action {
            AlterTableAction::SetLogged(_) => "SET LOGGED",
            AlterTableAction::SetUnlogged(_) => "SET UNLOGGED",
            AlterTableAction::SetTablespace(_) => "SET TABLESPACE",
            AlterTableAction::SetAccessMethod(_) => "SET ACCESS METHOD",
            _ => "SET EXPRESSION",
        };
        hit(place, what)
    };
    all.map(one).chain(moved).collect()
}

fn hit(place: Range<usize>, what: &str) -> RuleHit {
    RuleHit::new(place, format!("{what} rewrites the whole table"))
        .note("nobody can read or write the table meanwhile")
        .help("do it while the table is small or unused, or copy the rows to a new table")
}

/// `ALTER … ALL IN TABLESPACE`, if a table that is in use is there.
fn moves_all(subject: &LintSubject<'_>, parsed: &ParsedScript, stmt: &Stmt) -> bool {
    let is_all = match stmt {
        Stmt::AlterTable(it) => it.all_in_tablespace().is_some(),
        Stmt::AlterMaterializedView(it) => it.all_in_tablespace().is_some(),
        _ => false,
    };
    is_all && subject.wanted(parsed, stmt).iter().any(|one| one.work == RowWork::Rewrites)
}
