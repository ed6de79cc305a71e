//! `lock-table`: a migration locks a table explicitly.

use migrate_base::lock_mode::LockMode;
use squawk_syntax::ast::Stmt;

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};

pub(super) const RULE: Rule =
    rule("lock-table", Class::Locks, Severity::Warning, include_str!("../pages/lock-table.md"), check);

fn check(subject: &Subject<'_>, parsed: &Parsed) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (span, stmt) in parsed.statements.iter().filter(|(_, stmt)| matches!(stmt, Stmt::Lock(_))) {
        let mode = subject.wanted(parsed, stmt).iter().map(|one| one.mode).max();
        if let Some(mode) = mode.filter(|mode| *mode >= LockMode::Share) {
            let hit = Hit::new(span.clone(), format!("this lock blocks {} until the transaction ends", mode.blocks()))
                .help("let the statement that needs the lock take it, or lock rows");
            hits.push(hit);
        }
    }
    hits
}
