//! `lock-table`: a migration locks a table explicitly.

use migrate_base::lock_mode::LockMode;
use squawk_syntax::ast::Stmt;

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};

pub(super) const RULE: LintRule =
    rule("lock-table", RuleClass::Locks, Severity::Warning, include_str!("../pages/lock-table.md"), check);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let mut hits = Vec::new();
    for (span, stmt) in parsed.statements.iter().filter(|(_, stmt)| matches!(stmt, Stmt::Lock(_))) {
        let mode = subject.wanted(parsed, stmt).iter().map(|one| one.mode).max();
        if let Some(mode) = mode.filter(|mode| *mode >= LockMode::Share) {
            let hit =
                RuleHit::new(span.clone(), format!("this lock blocks {} until the transaction ends", mode.blocks()))
                    .help("let the statement that needs the lock take it, or lock rows");
            hits.push(hit);
        }
    }
    hits
}
