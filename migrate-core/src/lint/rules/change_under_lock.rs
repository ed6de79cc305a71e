//! `change-under-lock`: rows are changed while the transaction holds a lock that keeps others out.

use squawk_syntax::ast::{self, AlterTableAction, AstNode, Stmt};

use super::{Class, Hit, Parsed, Rule, Severity, Subject, rule};
use crate::finding::line_column;
use crate::lint::script::{named, targets};

pub(super) const RULE: Rule =
    rule("change-under-lock", Class::Locks, Severity::Error, include_str!("../pages/change-under-lock.md"), check);

fn check(subject: &Subject<'_>, parsed: &Parsed<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut locked = None;
    if !parsed.transaction {
        return hits;
    }
    for (span, stmt) in &parsed.statements {
        let in_use =
            || targets(stmt).iter().any(|target| subject.in_use(parsed, target)) || fills(subject, parsed, stmt);
        match locked {
            Some((line, what)) if changes_rows(stmt) && in_use() => {
                let message = format!("rows are changed while the lock of the {what} in line {line} is held");
                let note =
                    "the lock is held until the transaction ends, so everybody waits as long as the change takes";
                hits.push(
                    Hit::new(span.clone(), message)
                        .note(note)
                        .help("move the change of rows to a migration of its own"),
                );
            }
            None => {
                locked = locks(stmt).filter(|_| in_use()).map(|what| (line_column(parsed.text, span.start).0, what));
            }
            Some(_) => {}
        }
    }
    hits
}

/// What takes a lock that keeps writers out, or everybody.
fn locks(stmt: &Stmt) -> Option<&'static str> {
    match stmt {
        Stmt::AlterTable(it) => it.actions().any(|action| is_heavy(&action)).then_some("ALTER TABLE"),
        Stmt::DropTable(_) => Some("DROP TABLE"),
        Stmt::DropIndex(_) => Some("DROP INDEX"),
        Stmt::CreateIndex(it) if it.concurrently_token().is_none() => Some("CREATE INDEX"),
        Stmt::CreateTrigger(_) => Some("CREATE TRIGGER"),
        Stmt::DropTrigger(_) => Some("DROP TRIGGER"),
        Stmt::Truncate(_) => Some("TRUNCATE"),
        Stmt::Lock(_) => Some("LOCK TABLE"),
        _ => None,
    }
}

/// Whether an action takes more than `SHARE UPDATE EXCLUSIVE`.
/// See <https://www.postgresql.org/docs/current/sql-altertable.html>.
fn is_heavy(action: &AlterTableAction) -> bool {
    match action {
        AlterTableAction::ValidateConstraint(_)
        | AlterTableAction::ClusterOn(_)
        | AlterTableAction::SetWithoutCluster(_) => false,
        AlterTableAction::AttachPartition(_) | AlterTableAction::SetOptions(_) | AlterTableAction::ResetOptions(_) => {
            false
        }
        AlterTableAction::AlterColumn(it) => !matches!(
            it.option(),
            Some(
                ast::AlterColumnOption::SetStatistics(_)
                    | ast::AlterColumnOption::SetOptions(_)
                    | ast::AlterColumnOption::SetOptionsList(_)
                    | ast::AlterColumnOption::ResetOptions(_)
            )
        ),
        _ => true,
    }
}

/// Whether rows of a table that is in use are copied, to wherever that is.
fn fills(subject: &Subject<'_>, parsed: &Parsed<'_>, stmt: &Stmt) -> bool {
    let mut read = stmt.syntax().descendants().filter_map(ast::RelationNameRef::cast).filter_map(|name| named(&name));
    matches!(stmt, Stmt::Insert(_)) && read.any(|name| subject.uses(parsed, &name))
}

fn changes_rows(stmt: &Stmt) -> bool {
    match stmt {
        Stmt::Update(_) | Stmt::Delete(_) | Stmt::Merge(_) => true,
        // A few rows that are written out are quick.
        Stmt::Insert(it) => match it.insert_source() {
            Some(ast::InsertSource::SelectVariant(source)) => !matches!(source, ast::SelectVariant::Values(_)),
            _ => false,
        },
        _ => false,
    }
}
