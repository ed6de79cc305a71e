//! Which locks statements take on tables, by the manual. The shadow observes; this is for databases that cannot be tried on.
//!
//! See <https://www.postgresql.org/docs/current/explicit-locking.html> and the notes of `ALTER TABLE`.

use squawk_syntax::ast::{self, AlterColumnOption, AlterTableAction, AstNode, Stmt};

use crate::lint::Named;
use crate::lint::script::{Target, named, targets};
use crate::lock_mode::LockMode;

/// A lock that a statement wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The table.
    pub table: Named,
    /// The lock.
    pub mode: LockMode,
}

/// The locks of a statement on relations that may be there already.
pub(super) fn wanted(stmt: &Stmt) -> Vec<Wanted> {
    let on = |mode: LockMode| {
        let tables = targets(stmt).into_iter().filter_map(|target| match target {
            Target::Relation(table) => Some(Wanted { table, mode }),
            Target::Index(_) | Target::Other(_) => None,
        });
        tables.collect::<Vec<_>>()
    };
    use LockMode::{AccessExclusive, Exclusive, RowExclusive, Share, ShareRowExclusive, ShareUpdateExclusive};
    match stmt {
        Stmt::AlterTable(it) => {
            let mode = it.actions().map(|action| of_action(&action)).max().unwrap_or(AccessExclusive);
            on(mode).into_iter().chain(referenced(it.syntax())).collect()
        }
        Stmt::CreateTable(it) => referenced(it.syntax()),
        Stmt::DropTable(_) | Stmt::Truncate(_) | Stmt::DropView(_) | Stmt::DropMaterializedView(_) => {
            on(AccessExclusive)
        }
        Stmt::DropTrigger(_) | Stmt::Cluster(_) | Stmt::AlterView(_) | Stmt::AlterMaterializedView(_) => {
            on(AccessExclusive)
        }
        Stmt::CreateIndex(it) => on(if it.concurrently_token().is_some() { ShareUpdateExclusive } else { Share }),
        Stmt::CreateTrigger(_) => on(ShareRowExclusive),
        Stmt::Refresh(it) => on(if it.concurrently_token().is_some() { Exclusive } else { AccessExclusive }),
        Stmt::Insert(_) | Stmt::Update(_) | Stmt::Delete(_) | Stmt::Merge(_) => on(RowExclusive),
        Stmt::Vacuum(_) => on(ShareUpdateExclusive),
        Stmt::Lock(_) | Stmt::Reindex(_) => on(AccessExclusive),
        _ => Vec::new(),
    }
}

fn of_action(action: &AlterTableAction) -> LockMode {
    match action {
        AlterTableAction::ValidateConstraint(_) | AlterTableAction::ClusterOn(_) => LockMode::ShareUpdateExclusive,
        AlterTableAction::SetWithoutCluster(_) | AlterTableAction::AttachPartition(_) => LockMode::ShareUpdateExclusive,
        AlterTableAction::SetOptions(_) | AlterTableAction::ResetOptions(_) => LockMode::ShareUpdateExclusive,
        AlterTableAction::EnableTrigger(_) | AlterTableAction::DisableTrigger(_) => LockMode::ShareRowExclusive,
        AlterTableAction::AddConstraint(it)
            if matches!(it.constraint(), Some(ast::Constraint::ForeignKeyConstraint(_))) =>
        {
            LockMode::ShareRowExclusive
        }
        AlterTableAction::AlterColumn(it) => match it.option() {
            Some(
                AlterColumnOption::SetStatistics(_)
                | AlterColumnOption::SetOptions(_)
                | AlterColumnOption::ResetOptions(_),
            ) => LockMode::ShareUpdateExclusive,
            _ => LockMode::AccessExclusive,
        },
        _ => LockMode::AccessExclusive,
    }
}

/// The tables that foreign keys of a statement name.
fn referenced(node: &squawk_syntax::SyntaxNode) -> Vec<Wanted> {
    let keys = node.descendants().filter(|node| {
        ast::ForeignKeyConstraint::can_cast(node.kind()) || ast::ReferencesConstraint::can_cast(node.kind())
    });
    let tables = keys.filter_map(|key| key.descendants().find_map(ast::TableNameRef::cast));
    tables.filter_map(|table| Some(Wanted { table: named(&table)?, mode: LockMode::ShareRowExclusive })).collect()
}
