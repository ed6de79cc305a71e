//! `refresh-blocks-readers`: nobody can read a materialized view while it is refreshed.

use migrate_base::lock_mode::LockMode;
use squawk_syntax::ast::Stmt;

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};

pub(super) const RULE: LintRule = rule(
    "refresh-blocks-readers",
    RuleClass::Locks,
    Severity::Warning,
    include_str!("../pages/refresh-blocks-readers.md"),
    check,
);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let statements = parsed.statements.iter().filter(|(_, stmt)| matches!(stmt, Stmt::Refresh(_)));
    let blocks = |stmt: &Stmt| subject.wanted(parsed, stmt).iter().any(|one| one.mode == LockMode::AccessExclusive);
    let hit = |span: &std::ops::Range<usize>| {
        RuleHit::new(span.clone(), "nobody can read the view while it is refreshed")
            .help("use REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on the view")
    };
    statements.filter(|(_, stmt)| blocks(stmt)).map(|(span, _)| hit(span)).collect()
}
