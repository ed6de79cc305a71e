//! `lock-table`: a migration locks a table by hand.

use squawk_syntax::ast::{AstNode, Stmt};

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};
use crate::lint::script::targets;
use crate::lock_mode::LockMode;

pub(super) const RULE: Rule =
    rule("lock-table", Class::Locks, Severity::Warning, include_str!("../pages/lock-table.md"), check);

fn check(subject: &Subject<'_>, parsed: &Parsed<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (span, stmt) in &parsed.statements {
        let Stmt::Lock(lock) = stmt else { continue };
        // Without one the lock is the strongest.
        let said = lock.lock_mode_clause().and_then(|clause| clause.lock_mode());
        let said = said.and_then(|mode| mode.syntax().text().to_string().trim().parse().ok());
        let mode = said.unwrap_or(LockMode::AccessExclusive);
        let in_use = targets(stmt).iter().any(|target| subject.in_use(parsed, target));
        if in_use && mode >= LockMode::Share {
            let hit = Hit::new(span.clone(), format!("this lock blocks {} until the transaction ends", mode.blocks()))
                .help("leave the lock to the statement that needs it, or lock rows");
            hits.push(hit);
        }
    }
    hits
}
