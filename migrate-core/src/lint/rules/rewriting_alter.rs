//! `rewriting-alter`: a table that is in use is written anew to store it in another way.

use squawk_syntax::ast::{AlterTableAction, Stmt};

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};
use crate::lint::script::{Target, relation, span, targets};

pub(super) const RULE: Rule =
    rule("rewriting-alter", Class::Locks, Severity::Error, include_str!("../pages/rewriting-alter.md"), check);

fn check(subject: &Subject<'_>, parsed: &Parsed<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (_, stmt) in &parsed.statements {
        let Stmt::AlterTable(alter) = stmt else { continue };
        if is_partitioned(subject, stmt) || !targets(stmt).iter().any(|target| subject.in_use(parsed, target)) {
            continue;
        }
        for action in alter.actions() {
            let (what, place) = match &action {
                AlterTableAction::SetLogged(it) => ("SET LOGGED", span(it)),
                AlterTableAction::SetUnlogged(it) => ("SET UNLOGGED", span(it)),
                AlterTableAction::SetTablespace(it) => ("SET TABLESPACE", span(it)),
                AlterTableAction::SetAccessMethod(it) => ("SET ACCESS METHOD", span(it)),
                _ => continue,
            };
            let hit = Hit::new(place, format!("{what} writes the whole table anew"))
                .note("nobody can read or write the table meanwhile")
                .help("do it where the table is small or nobody uses it, or copy the rows to a new table");
            hits.push(hit);
        }
    }
    hits
}

/// A partitioned table stores nothing itself: what is said of it holds for partitions that come later.
fn is_partitioned(subject: &Subject<'_>, stmt: &Stmt) -> bool {
    targets(stmt).iter().any(|target| match (subject.before, target) {
        (Some(before), Target::Relation(name)) => {
            relation(before, name).is_some_and(|table| table.fact("partition key").is_some())
        }
        _ => false,
    })
}
