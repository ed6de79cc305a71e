//! `truncate`: all rows of a table that is in use are thrown away.

use squawk_syntax::ast::Stmt;

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};
use crate::lint::script::{span, targets};

pub(super) const RULE: Rule =
    rule("truncate", Class::Breaks, Severity::Error, include_str!("../pages/truncate.md"), check);

fn check(subject: &Subject<'_>, parsed: &Parsed) -> Vec<Hit> {
    let truncates = |stmt: &Stmt| {
        matches!(stmt, Stmt::Truncate(_))
            && targets(stmt).iter().any(|target| subject.in_use(parsed, span(stmt).start, target))
    };
    let hit = |span: &std::ops::Range<usize>| {
        Hit::new(span.clone(), "TRUNCATE throws all rows away, and no rollback of the migration brings them back")
            .note("nobody can read or write the table until the transaction ends")
            .help("if they may go, say so: `-- migrate: lossy REASON`, and allow this rule")
    };
    parsed.statements.iter().filter(|(_, stmt)| truncates(stmt)).map(|(span, _)| hit(span)).collect()
}
