//! `unbatched-change`: one statement changes all rows of a table that is in use.

use squawk_syntax::ast::Stmt;

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};
use crate::lint::script::targets;

pub(super) const RULE: Rule =
    rule("unbatched-change", Class::Locks, Severity::Warning, include_str!("../pages/unbatched-change.md"), check);

fn check(subject: &Subject<'_>, parsed: &Parsed<'_>) -> Vec<Hit> {
    let everything = |stmt: &Stmt| match stmt {
        Stmt::Update(it) => it.where_clause_or_current_of().is_none().then_some("UPDATE"),
        Stmt::Delete(it) => it.where_clause_or_current_of().is_none().then_some("DELETE"),
        _ => None,
    };
    let hit = |(span, stmt): &(std::ops::Range<usize>, Stmt)| {
        let word = everything(stmt)?;
        targets(stmt).iter().any(|target| subject.in_use(parsed, target)).then(|| {
            Hit::new(span.clone(), format!("this {word} changes every row in one transaction"))
                .note("it locks each row until it is done, and leaves as many dead ones behind")
                .help("change some thousand rows at a time, in a migration without a transaction")
        })
    };
    parsed.statements.iter().filter_map(hit).collect()
}
