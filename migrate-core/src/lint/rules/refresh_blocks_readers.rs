//! `refresh-blocks-readers`: a materialized view is refreshed while nobody can read it.

use squawk_syntax::ast::Stmt;

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};
use crate::lint::script::targets;

pub(super) const RULE: Rule = rule(
    "refresh-blocks-readers",
    Class::Locks,
    Severity::Warning,
    include_str!("../pages/refresh-blocks-readers.md"),
    check,
);

fn check(subject: &Subject<'_>, parsed: &Parsed<'_>) -> Vec<Hit> {
    let blocks = |stmt: &Stmt| match stmt {
        Stmt::Refresh(it) => it.concurrently_token().is_none(),
        _ => false,
    };
    let statements = parsed.statements.iter().filter(|(_, stmt)| blocks(stmt));
    let in_use = statements.filter(|(_, stmt)| targets(stmt).iter().any(|target| subject.in_use(parsed, target)));
    let hit = |span: &std::ops::Range<usize>| {
        Hit::new(span.clone(), "nobody can read the view while it is refreshed")
            .help("REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on the view")
    };
    in_use.map(|(span, _)| hit(span)).collect()
}
