//! `concurrent-if-not-exists`: an index whose build failed half way counts as existing.

use squawk_syntax::ast::Stmt;

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};

pub(super) const RULE: LintRule = rule(
    "concurrent-if-not-exists",
    RuleClass::Breaks,
    Severity::Error,
    include_str!("../pages/concurrent-if-not-exists.md"),
    check,
);

fn check(_: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let hides = |stmt: &Stmt| match stmt {
        Stmt::CreateIndex(it) => it.concurrently_token().is_some() && it.if_not_exists().is_some(),
        _ => false,
    };
    let hit = |span: &std::ops::Range<usize>| {
        RuleHit::new(span.clone(), "IF NOT EXISTS accepts an invalid index in place of the one you want")
            .note("a concurrent build that fails leaves an INVALID index, which no query uses")
            .help("remove IF NOT EXISTS: `cargo xtask resolve` handles what a failed build leaves")
    };
    parsed.statements.iter().filter(|(_, stmt)| hides(stmt)).map(|(span, _)| hit(span)).collect()
}
