//! `unread-statement`: a statement is put together when it runs, so nobody can say what it does.

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};

pub(super) const RULE: Rule =
    rule("unread-statement", Class::Locks, Severity::Warning, include_str!("../pages/unread-statement.md"), check);

fn check(_: &Subject<'_>, parsed: &Parsed) -> Vec<Hit> {
    let hit = |span: &std::ops::Range<usize>| {
        Hit::new(span.clone(), "this is put together when it runs, so it was not judged")
            .note("what it locks, rewrites or removes is not in the text of the migration")
            .help("write the statement out, or see what it does with `cargo xtask ci`, which observes it")
    };
    parsed.unread.iter().map(hit).collect()
}
