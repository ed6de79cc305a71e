//! `truncate`: all rows of a table that is in use are removed.

use squawk_syntax::ast::Stmt;

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::tree::{span, targets};

pub(super) const RULE: LintRule =
    rule("truncate", RuleClass::Breaks, Severity::Error, include_str!("../pages/truncate.md"), check);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let truncates = |stmt: &Stmt| {
        matches!(stmt, Stmt::Truncate(_))
            && targets(stmt).iter().any(|target| subject.in_use(parsed, span(stmt).start, target))
    };
    let hit = |span: &std::ops::Range<usize>| {
        RuleHit::new(span.clone(), "TRUNCATE removes all rows, and rolling back the migration does not restore them")
            .note("nobody can read or write the table until the transaction ends")
            .help("if that is intended, add `-- migrate: lossy REASON`, and allow this rule")
    };
    parsed.statements.iter().filter(|(_, stmt)| truncates(stmt)).map(|(span, _)| hit(span)).collect()
}
