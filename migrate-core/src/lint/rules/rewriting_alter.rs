//! `rewriting-alter`: a table that is in use is rewritten to store it in another way.

use squawk_syntax::ast::AlterTableAction;

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};
use crate::lint::work::storage;

pub(super) const RULE: Rule =
    rule("rewriting-alter", Class::Locks, Severity::Error, include_str!("../pages/rewriting-alter.md"), check);

fn check(subject: &Subject<'_>, parsed: &Parsed) -> Vec<Hit> {
    let all = parsed.statements.iter().flat_map(|(_, stmt)| storage(subject, parsed, stmt));
    let hit = |(action, place): (AlterTableAction, std::ops::Range<usize>)| {
        let what = match action {
            AlterTableAction::SetLogged(_) => "SET LOGGED",
            AlterTableAction::SetUnlogged(_) => "SET UNLOGGED",
            AlterTableAction::SetTablespace(_) => "SET TABLESPACE",
            AlterTableAction::SetAccessMethod(_) => "SET ACCESS METHOD",
            _ => "SET EXPRESSION",
        };
        Hit::new(place, format!("{what} rewrites the whole table"))
            .note("nobody can read or write the table meanwhile")
            .help("do it where the table is small or nobody uses it, or copy the rows to a new table")
    };
    all.map(hit).collect()
}
