//! Statements that read or write all rows of a table while they block other sessions. The table of locks decides; the
//! findings have squawk's codes, which are well known.

use std::ops::Range;

use migrate_base::lock_mode::LockMode;
use squawk_linter::Rule as Theirs;
use squawk_syntax::ast::{self, AlterTableAction, Stmt};

use super::partitioned::instead;
use super::script::ParsedScript;
use super::{LintSubject, RuleHit};
use crate::locks::{AlteredTable, PlacedWork, RowWork, ScriptContext, StatementLock, WorkCause, efforts};
use crate::tree::Savepoints;
use crate::tree::{StatementTarget, span, targets};

/// The codes of squawk that are about such work. If the schema is known, the table of locks alone decides about them.
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

const CONCURRENTLY: &str = "use CREATE INDEX CONCURRENTLY, in a migration without a transaction";

/// A lock that an earlier statement of the transaction took, at a place in the script.
struct EarlierLock {
    at: usize,
    wanted: StatementLock,
    line: usize,
}

/// The findings of squawk, without those where no rows are read or written, and with those that squawk missed.
pub(super) fn decided(
    subject: &LintSubject<'_>,
    parsed: &ParsedScript,
    theirs: Vec<(Theirs, RuleHit)>,
) -> Vec<(Theirs, RuleHit)> {
    let ours = found(subject, parsed);
    let is_near = |one: &Range<usize>, other: &Range<usize>| one.start < other.end && other.start < one.end;
    let statement = |at: usize| parsed.statements.iter().find(|(span, _)| span.contains(&at));
    let kept = |(code, hit): &(Theirs, RuleHit)| {
        if !DECIDED.contains(code) || subject.before.is_none() {
            return true;
        }
        let of_table = statement(hit.span.start).is_none_or(|(_, stmt)| is_known(subject, parsed, stmt));
        !of_table || ours.iter().any(|(own, place, _)| own == code && is_near(place, &hit.span))
    };
    let mut all: Vec<(Theirs, RuleHit)> = theirs.into_iter().filter(kept).collect();
    for (code, place, hit) in &ours {
        // The same place under two codes, such as a column that is also a key, is one finding.
        let is_there = all.iter().any(|(known, hit)| DECIDED.contains(known) && is_near(&hit.span, place));
        if !is_there {
            all.push((*code, hit.clone()));
        }
    }
    all
}

/// Whether the table of a statement is in the schema before the script.
fn is_known(subject: &LintSubject<'_>, parsed: &ParsedScript, stmt: &Stmt) -> bool {
    let known = subject.known(parsed, span(stmt).start);
    let mut about = targets(stmt).into_iter();
    about.any(|target| matches!(target, StatementTarget::Relation(name) if known.relation(&name).is_some()))
}

fn found(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<(Theirs, Range<usize>, RuleHit)> {
    let (mut held, mut all, mut savepoints) = (Vec::<EarlierLock>::new(), Vec::new(), Savepoints::default());
    for (at, stmt) in &parsed.statements {
        if let Some(undone) = savepoints.take(at.start, stmt) {
            held.retain(|one| !undone.contains(&one.at));
        }
        let (known, wanted) = (subject.known(parsed, at.start), subject.wanted(parsed, stmt));
        let line = migrate_base::finding::line_column(&parsed.text, at.start).0;
        match stmt {
            Stmt::AlterTable(alter) => all.extend(of_table(subject, parsed, &known, alter, &wanted, &held)),
            Stmt::AlterDomain(_) => all.extend(of_domain(&wanted, at)),
            Stmt::CreateIndex(it) if it.concurrently_token().is_none() && works(&known, &wanted) => {
                let hit =
                    RuleHit::new(span(it), "every row is read to build the index, while nobody can write the table")
                        .help(instead(subject, parsed, stmt).unwrap_or(CONCURRENTLY));
                all.push((Theirs::RequireConcurrentIndexCreation, at.clone(), hit));
            }
            _ => {}
        }
        if parsed.transaction {
            held.extend(wanted.into_iter().map(|wanted| EarlierLock { at: at.start, wanted, line }));
        }
    }
    all
}

/// What the actions of an `ALTER TABLE` do with the rows of a table that is in use. A table that the script creates has
/// no rows yet, whatever its foreign keys refer to.
fn of_table(
    subject: &LintSubject<'_>,
    parsed: &ParsedScript,
    known: &ScriptContext<'_>,
    alter: &ast::AlterTable,
    wanted: &[StatementLock],
    held: &[EarlierLock],
) -> Vec<(Theirs, Range<usize>, RuleHit)> {
    let Some(table) = AlteredTable::of(known, alter).filter(|one| subject.is_released(parsed, &one.table)) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for action in alter.actions() {
        let mut efforts: Vec<PlacedWork> = Vec::new();
        for (_, effort) in table.efforts(known, &action) {
            // Work that is repeated on a partition is reported once, with the heavier work.
            match efforts.iter_mut().find(|one| one.place == effort.place && one.cause == effort.cause) {
                Some(one) => one.work = one.work.max(effort.work),
                None => efforts.push(effort),
            }
        }
        for effort in efforts {
            let is_blocking = is_blocked(wanted, held, effort.work);
            all.extend(is_blocking.then(|| of_effort(&action, effort, wanted, held)).flatten());
        }
    }
    all
}

fn works(known: &ScriptContext<'_>, wanted: &[StatementLock]) -> bool {
    wanted.iter().any(|one| one.work > RowWork::Nothing && known.is_in_the_way(&one.table, one.mode))
}

/// Whether rows are read or written under a lock that blocks writers, taken by this statement or an earlier one.
fn is_blocked(wanted: &[StatementLock], held: &[EarlierLock], work: RowWork) -> bool {
    let worked = wanted.iter().filter(|one| one.work > RowWork::Nothing);
    work > RowWork::Nothing && worked.clone().any(|one| one.mode >= LockMode::Share || holder(one, held).is_some())
}

/// Whether an earlier statement holds a lock on the table that blocks writers.
fn holder<'a>(one: &StatementLock, held: &'a [EarlierLock]) -> Option<&'a EarlierLock> {
    held.iter().find(|held| held.wanted.table == one.table && held.wanted.mode >= LockMode::Share)
}

fn of_effort(
    action: &AlterTableAction,
    effort: PlacedWork,
    wanted: &[StatementLock],
    held: &[EarlierLock],
) -> Option<(Theirs, Range<usize>, RuleHit)> {
    let others = match wanted.iter().map(|one| one.mode).max() {
        Some(LockMode::AccessExclusive) => "read or write",
        _ => "write",
    };
    let done = match effort.work {
        RowWork::Rewrites => "is rewritten",
        _ => "is read",
    };
    // Changes of the storage have their own rule.
    let (code, why, help) = described(effort.cause)?;
    let hit = match action {
        AlterTableAction::ValidateConstraint(_) => {
            let line = wanted.iter().find_map(|one| holder(one, held)).map_or(1, |held| held.line);
            RuleHit::new(effort.place.clone(), format!("every row is read while the lock from line {line} is held"))
                .help("validate the constraint in a later migration")
        }
        _ => RuleHit::new(effort.place.clone(), format!("every row {done}{why}, while nobody can {others} the table"))
            .help(help),
    };
    Some((code, effort.place, hit))
}

/// The code for a cause, why the rows are needed, and what to do instead.
fn described(cause: WorkCause) -> Option<(Theirs, &'static str, &'static str)> {
    let described = match cause {
        WorkCause::NewColumn => (
            Theirs::AddingFieldWithDefault,
            " to fill the column",
            "add the column alone, fill it in batches, and then set its default for new rows",
        ),
        WorkCause::NewKey => (
            Theirs::AddingSerialPrimaryKeyField,
            " for the key",
            "add only the column, fill it in batches, build the index with CONCURRENTLY, and then add the key",
        ),
        WorkCause::Check => (
            Theirs::ConstraintMissingNotValid,
            " to prove this",
            "add the CHECK as NOT VALID, and VALIDATE it in a later migration",
        ),
        WorkCause::ForeignKey => (
            Theirs::AddingForeignKeyConstraint,
            " to prove the key",
            "add the key as NOT VALID, and VALIDATE it in a later migration",
        ),
        WorkCause::Unique => (
            Theirs::DisallowedUniqueConstraint,
            " to build the index",
            "build a unique index with CONCURRENTLY first, and add the constraint USING INDEX",
        ),
        WorkCause::NotNull => (
            Theirs::AddingNotNullableField,
            " to check that none is NULL",
            "first add CHECK (… IS NOT NULL) NOT VALID, and validate it in a separate migration",
        ),
        WorkCause::Type => (
            Theirs::ChangingColumnType,
            " for the new type",
            "add a new column of the new type, fill it in batches, and switch the code over to it",
        ),
        WorkCause::Storage => return None,
    };
    Some(described)
}

fn of_domain(wanted: &[StatementLock], at: &Range<usize>) -> Option<(Theirs, Range<usize>, RuleHit)> {
    let tables: Vec<String> = wanted.iter().map(|one| one.table.to_string()).collect();
    let message = format!("every row of {} is read to prove this, while writes are blocked", tables.join(", "));
    let hit = RuleHit::new(at.clone(), message)
        .help("add the CHECK as NOT VALID, and VALIDATE it in a later migration; a CHECK can also replace NOT NULL");
    (!tables.is_empty()).then(|| (Theirs::ConstraintMissingNotValid, at.clone(), hit))
}

/// What an action does with the storage of its table, which has its own rule.
pub(super) fn storage(
    subject: &LintSubject<'_>,
    parsed: &ParsedScript,
    stmt: &Stmt,
) -> Vec<(AlterTableAction, Range<usize>)> {
    let Stmt::AlterTable(alter) = stmt else { return Vec::new() };
    let known = subject.known(parsed, span(stmt).start);
    let Some(table) = AlteredTable::of(&known, alter).filter(|one| subject.is_released(parsed, &one.table)) else {
        return Vec::new();
    };
    let stored = |action: AlterTableAction| {
        let effort =
            efforts(&known, &table.table, &action).into_iter().find(|effort| effort.cause == WorkCause::Storage)?;
        Some((action, effort.place))
    };
    alter.actions().filter_map(stored).collect()
}
