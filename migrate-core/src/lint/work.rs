//! Statements that read or write all rows of a table while others are kept from it: what the table of locks says of them,
//! under the codes by which such findings are known.

use std::ops::Range;

use squawk_linter::Rule as Theirs;
use squawk_syntax::ast::{AlterTableAction, Stmt};

use super::script::{Named, Parsed, Target, span, targets};
use super::{Hit, Subject};
use crate::lock_mode::LockMode;
use crate::locks::{Cause, Effort, Known, Wanted, Work, efforts};

/// The codes of squawk that are about such work. Where the schema is known, the table of locks alone decides on them.
const DECIDED: [Theirs; 8] = [
    Theirs::ConstraintMissingNotValid,
    Theirs::AddingForeignKeyConstraint,
    Theirs::DisallowedUniqueConstraint,
    Theirs::AddingSerialPrimaryKeyField,
    Theirs::AddingFieldWithDefault,
    Theirs::AddingNotNullableField,
    Theirs::ChangingColumnType,
    Theirs::RequireConcurrentIndexCreation,
];

/// A lock that an earlier statement of the transaction took.
struct Held {
    wanted: Wanted,
    line: usize,
}

/// What squawk found, with what is no work taken out and what it missed put in.
pub(super) fn decided(subject: &Subject<'_>, parsed: &Parsed, theirs: Vec<(Theirs, Hit)>) -> Vec<(Theirs, Hit)> {
    let ours = found(subject, parsed);
    let is_near = |one: &Range<usize>, other: &Range<usize>| one.start < other.end && other.start < one.end;
    let statement = |at: usize| parsed.statements.iter().find(|(span, _)| span.contains(&at));
    let kept = |(code, hit): &(Theirs, Hit)| {
        if !DECIDED.contains(code) || subject.before.is_none() {
            return true;
        }
        let of_table = statement(hit.span.start).is_none_or(|(_, stmt)| is_known(subject, parsed, stmt));
        !of_table || ours.iter().any(|(own, place, _)| own == code && is_near(place, &hit.span))
    };
    let mut all: Vec<(Theirs, Hit)> = theirs.into_iter().filter(kept).collect();
    for (code, place, hit) in &ours {
        // The same under two codes, such as a key that is also a column, is one finding.
        let is_there = all.iter().any(|(known, hit)| DECIDED.contains(known) && is_near(&hit.span, place));
        if !is_there {
            all.push((*code, hit.clone()));
        }
    }
    all
}

/// Whether the table of a statement is one of the schema before the script.
fn is_known(subject: &Subject<'_>, parsed: &Parsed, stmt: &Stmt) -> bool {
    let known = subject.known(parsed);
    let mut about = targets(stmt).into_iter();
    about.any(|target| matches!(target, Target::Relation(name) if known.relation(&name).is_some()))
}

fn found(subject: &Subject<'_>, parsed: &Parsed) -> Vec<(Theirs, Range<usize>, Hit)> {
    let (known, mut held, mut all) = (subject.known(parsed), Vec::<Held>::new(), Vec::new());
    for (at, stmt) in &parsed.statements {
        let wanted = subject.wanted(parsed, stmt);
        let line = crate::finding::line_column(&parsed.text, at.start).0;
        match stmt {
            Stmt::AlterTable(alter) => {
                let table = alter.table_relation_name().and_then(|name| name.table_name_ref());
                let Some(table) = table.and_then(|name| super::script::named(&name)) else { continue };
                // A table that the script makes has no rows yet, whatever its keys refer to.
                let in_use = subject.uses(parsed, &table);
                for action in alter.actions().filter(|_| in_use) {
                    for effort in efforts(&known, &table, &action, parsed.is_utc(at.start)) {
                        let is_blocking = is_blocked(&wanted, &held, effort.work);
                        all.extend(is_blocking.then(|| of_effort(&action, effort, &wanted, &held)).flatten());
                    }
                }
            }
            Stmt::AlterDomain(_) => all.extend(of_domain(&wanted, at)),
            Stmt::CreateIndex(it) if it.concurrently_token().is_none() && works(&known, &wanted) => {
                let hit = Hit::new(span(it), "every row is read to build the index, while nobody can write the table")
                    .help("CREATE INDEX CONCURRENTLY, in a migration without a transaction");
                all.push((Theirs::RequireConcurrentIndexCreation, at.clone(), hit));
            }
            _ => {}
        }
        if parsed.transaction {
            held.extend(wanted.into_iter().map(|wanted| Held { wanted, line }));
        }
    }
    all
}

fn works(known: &Known<'_>, wanted: &[Wanted]) -> bool {
    wanted.iter().any(|one| one.work > Work::Nothing && known.is_in_the_way(&one.table, one.mode))
}

/// Whether rows are read or written under a lock that keeps writers out, of this statement or of an earlier one.
fn is_blocked(wanted: &[Wanted], held: &[Held], work: Work) -> bool {
    let worked = wanted.iter().filter(|one| one.work > Work::Nothing);
    work > Work::Nothing && worked.clone().any(|one| one.mode >= LockMode::Share || holder(one, held).is_some())
}

/// Whether an earlier statement holds a lock on the table that keeps writers out.
fn holder<'a>(one: &Wanted, held: &'a [Held]) -> Option<&'a Held> {
    held.iter().find(|held| held.wanted.table == one.table && held.wanted.mode >= LockMode::Share)
}

fn of_effort(
    action: &AlterTableAction,
    effort: Effort,
    wanted: &[Wanted],
    held: &[Held],
) -> Option<(Theirs, Range<usize>, Hit)> {
    let others = match wanted.iter().map(|one| one.mode).max() {
        Some(LockMode::AccessExclusive) => "read or write",
        _ => "write",
    };
    let done = match effort.work {
        Work::Rewrites => "is rewritten",
        _ => "is read",
    };
    let message = |why: &str| format!("every row {done}{why}, while nobody can {others} the table");
    let (code, why, help) = match effort.cause {
        Cause::NewColumn => (
            Theirs::AddingFieldWithDefault,
            " to fill the column",
            "add the column without what fills it, fill it in parts, and set its default for new rows",
        ),
        Cause::NewKey => (
            Theirs::AddingSerialPrimaryKeyField,
            " for the key",
            "add the column alone, fill it in parts, build the index with CONCURRENTLY, and make it the key",
        ),
        Cause::Check if matches!(action, AlterTableAction::ValidateConstraint(_)) => {
            let line = wanted.iter().find_map(|one| holder(one, held)).map_or(1, |held| held.line);
            let message = format!("every row is read while the lock of line {line} is held");
            let hit = Hit::new(effort.place.clone(), message).help("validate the constraint in a later migration");
            return Some((Theirs::ConstraintMissingNotValid, effort.place, hit));
        }
        Cause::Check => (
            Theirs::ConstraintMissingNotValid,
            " to prove this",
            "add the CHECK as NOT VALID, and VALIDATE it in a later migration",
        ),
        Cause::ForeignKey => (
            Theirs::AddingForeignKeyConstraint,
            " to prove the key",
            "add the key as NOT VALID, and VALIDATE it in a later migration",
        ),
        Cause::Unique => (
            Theirs::DisallowedUniqueConstraint,
            " to build the index",
            "build a unique index with CONCURRENTLY first, and add the constraint USING INDEX",
        ),
        Cause::NotNull => (
            Theirs::AddingNotNullableField,
            " to see that none is NULL",
            "first add CHECK (… IS NOT NULL) NOT VALID, and validate it in a migration of its own",
        ),
        Cause::Type => (
            Theirs::ChangingColumnType,
            " for the new type",
            "add a new column of the new type, fill it in parts, and let the code go over to it",
        ),
        // A rule of its own says this.
        Cause::Storage => return None,
    };
    Some((code, effort.place.clone(), Hit::new(effort.place, message(why)).help(help)))
}

fn of_domain(wanted: &[Wanted], at: &Range<usize>) -> Option<(Theirs, Range<usize>, Hit)> {
    let tables: Vec<String> = wanted.iter().map(|one| one.table.to_string()).collect();
    let message = format!("every row of {} is read to prove this, while nobody can write there", tables.join(", "));
    let hit = Hit::new(at.clone(), message)
        .help("add the CHECK as NOT VALID, and VALIDATE it in a later migration; NOT NULL can be such a check too");
    (!tables.is_empty()).then(|| (Theirs::ConstraintMissingNotValid, at.clone(), hit))
}

/// What an action does with the rows of its table, where that has a rule of its own.
pub(super) fn storage<'a>(
    subject: &'a Subject<'_>,
    parsed: &'a Parsed,
    stmt: &'a Stmt,
) -> impl Iterator<Item = (AlterTableAction, Range<usize>)> + 'a {
    let table = match stmt {
        Stmt::AlterTable(alter) => alter.table_relation_name().and_then(|name| name.table_name_ref()),
        _ => None,
    };
    let table: Option<Named> = table.and_then(|name| super::script::named(&name));
    let table = table.filter(|table| subject.uses(parsed, table));
    let actions = match stmt {
        Stmt::AlterTable(alter) => alter.actions().collect(),
        _ => Vec::new(),
    };
    let known = subject.known(parsed);
    actions.into_iter().filter_map(move |action| {
        let all = efforts(&known, table.as_ref()?, &action, true);
        let effort = all.into_iter().find(|effort| effort.cause == Cause::Storage)?;
        Some((action, effort.place))
    })
}
