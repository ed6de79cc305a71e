//! `change-under-lock`: rows are changed while the transaction holds a lock that blocks other sessions.

use migrate_base::finding::line_column;
use migrate_base::lock_mode::LockMode;
use migrate_base::sql::tokens;
use squawk_syntax::ast::{self, AstNode, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::tree::Savepoints;
use crate::tree::{named, span, targets};

pub(super) const RULE: LintRule =
    rule("change-under-lock", RuleClass::Locks, Severity::Error, include_str!("../pages/change-under-lock.md"), check);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let mut hits = Vec::new();
    let (mut locked, mut savepoints) = (None::<(usize, usize, String)>, Savepoints::default());
    if !parsed.transaction {
        return hits;
    }
    for (span, stmt) in &parsed.statements {
        if let Some(undone) = savepoints.take(span.start, stmt) {
            locked = locked.filter(|(at, ..)| !undone.contains(at));
        }
        let in_use = || {
            targets(stmt).iter().any(|target| subject.in_use(parsed, span.start, target))
                || fills(subject, parsed, stmt)
        };
        match &locked {
            Some((_, line, what)) if changes_rows(stmt) && in_use() => {
                let message = format!("rows are changed while the lock of {what} in line {line} is held");
                let note =
                    "the lock is held until the transaction ends, so other sessions wait as long as the change takes";
                hits.push(
                    RuleHit::new(span.clone(), message).note(note).help("change the rows in a separate migration"),
                );
            }
            None => {
                let line = || line_column(&parsed.text, span.start).0;
                locked = locks(subject, parsed, stmt).map(|what| (span.start, line(), what));
            }
            Some(_) => {}
        }
    }
    hits
}

/// The first words of a statement that takes a lock that blocks writers, or everybody.
fn locks(subject: &LintSubject<'_>, parsed: &ParsedScript, stmt: &Stmt) -> Option<String> {
    let is_heavy = subject.wanted(parsed, stmt).iter().any(|one| one.mode >= LockMode::Share);
    let text = stmt.syntax().text().to_string();
    let words = tokens(&text).into_iter().take_while(|word| word.chars().all(|c| c.is_ascii_alphabetic()));
    let words = words.filter(|word| !word.eq_ignore_ascii_case("unique"));
    is_heavy.then(|| words.take(2).collect::<Vec<_>>().join(" ").to_ascii_uppercase())
}

/// Whether a statement copies rows of a table that is in use, whatever the destination.
fn fills(subject: &LintSubject<'_>, parsed: &ParsedScript, stmt: &Stmt) -> bool {
    let mut read = stmt.syntax().descendants().filter_map(ast::RelationNameRef::cast).filter_map(|name| named(&name));
    matches!(stmt, Stmt::Insert(_)) && read.any(|name| subject.uses(parsed, span(stmt).start, &name))
}

fn changes_rows(stmt: &Stmt) -> bool {
    match stmt {
        Stmt::Update(_) | Stmt::Delete(_) | Stmt::Merge(_) => true,
        // A few rows written out as VALUES are quick.
        Stmt::Insert(it) => match it.insert_source() {
            Some(ast::InsertSource::SelectVariant(source)) => !matches!(source, ast::SelectVariant::Values(_)),
            _ => false,
        },
        _ => false,
    }
}
