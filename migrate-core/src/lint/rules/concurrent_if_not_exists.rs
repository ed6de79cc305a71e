//! `concurrent-if-not-exists`: an index that failed half way counts as being there.

use squawk_syntax::ast::Stmt;

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};

pub(super) const RULE: Rule = rule(
    "concurrent-if-not-exists",
    Class::Breaks,
    Severity::Error,
    include_str!("../pages/concurrent-if-not-exists.md"),
    check,
);

fn check(_: &Subject<'_>, parsed: &Parsed) -> Vec<Hit> {
    let hides = |stmt: &Stmt| match stmt {
        Stmt::CreateIndex(it) => it.concurrently_token().is_some() && it.if_not_exists().is_some(),
        _ => false,
    };
    let hit = |span: &std::ops::Range<usize>| {
        Hit::new(span.clone(), "IF NOT EXISTS takes an invalid index for the one that is wanted")
            .note("a concurrent build that fails leaves an INVALID index behind, which no query uses")
            .help("leave IF NOT EXISTS away: `cargo xtask resolve` knows what a failed build left")
    };
    parsed.statements.iter().filter(|(_, stmt)| hides(stmt)).map(|(span, _)| hit(span)).collect()
}
