//! The one table of locks: which form of a statement takes which lock on which relations.
//!
//! Every row was read from `pg_locks` (see `tests/it/locks` of migrate-test, which holds it against the server), on each
//! supported version. What the lock of an index keeps others from is the use of its table: a row names the stronger.

use crate::lock_mode::LockMode::{self, *};

/// What a relation is to a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// What the statement names.
    Target,
    /// Partitions and children of the target.
    Child,
    /// What the target is a partition of.
    Parent,
    /// The other table of `ATTACH`, `DETACH`, `INHERIT`.
    Other,
    /// The default partition of the target, which must not hold rows of a new one.
    Default,
    /// What foreign keys in the statement refer to.
    Referenced,
    /// The other side of foreign keys that the statement removes or checks again.
    Partner,
    /// What goes along by CASCADE.
    Dependent,
    /// What the statement only reads.
    Source,
}

/// A form of a statement that takes locks of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    AddColumn,
    DropColumn,
    AlterDefault,
    AlterColumn,
    AlterIdentity,
    ColumnStatistics,
    AddConstraint,
    AddKey,
    AddForeignKey,
    DropConstraint,
    ValidateConstraint,
    AlterConstraint,
    Trigger,
    TableSettings,
    Storage,
    StrongStorage,
    OwnTable,
    Rename,
    Attach,
    Detach,
    DetachConcurrently,
    DetachFinalize,
    Inherit,
    NoInherit,
    SplitPartition,
    CreateIndex,
    CreateIndexConcurrently,
    DropIndex,
    DropIndexConcurrently,
    RenameIndex,
    IndexStorage,
    StrongIndexStorage,
    AttachIndex,
    Reindex,
    ReindexConcurrently,
    Vacuum,
    VacuumFull,
    Analyze,
    Cluster,
    Refresh,
    RefreshConcurrently,
    Truncate,
    DropRelation,
    DropTrigger,
    CreateTrigger,
    CreateStatistics,
    Comment,
    CommentOnPart,
    Publish,
    Write,
    Read,
    ReadForUpdate,
    OwnSequence,
    Like,
    InheritNew,
    PartitionNew,
    ReferNew,
    DomainCheck,
    TypeChange,
}

/// The table.
static TABLE: [(Form, &[(Role, LockMode)]); 59] = {
    use Role::*;
    [
        (Form::AddColumn, &[(Target, AccessExclusive), (Child, AccessExclusive), (Referenced, ShareRowExclusive)]),
        (Form::DropColumn, &[(Target, AccessExclusive), (Child, AccessExclusive), (Partner, AccessExclusive)]),
        (Form::AlterDefault, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::AlterColumn, &[(Target, AccessExclusive), (Child, AccessExclusive), (Partner, AccessExclusive)]),
        (Form::AlterIdentity, &[(Target, AccessExclusive)]),
        (Form::ColumnStatistics, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (Form::AddConstraint, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        // The index is built on each partition, as CREATE INDEX does.
        (Form::AddKey, &[(Target, AccessExclusive), (Child, Share)]),
        (
            Form::AddForeignKey,
            &[(Target, ShareRowExclusive), (Child, ShareRowExclusive), (Referenced, ShareRowExclusive)],
        ),
        (Form::DropConstraint, &[(Target, AccessExclusive), (Child, AccessExclusive), (Partner, AccessExclusive)]),
        (
            Form::ValidateConstraint,
            &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive), (Partner, RowShare)],
        ),
        (Form::AlterConstraint, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::Trigger, &[(Target, ShareRowExclusive), (Child, ShareRowExclusive)]),
        (Form::TableSettings, &[(Target, ShareUpdateExclusive)]),
        (Form::Storage, &[(Target, ShareUpdateExclusive)]),
        (Form::StrongStorage, &[(Target, AccessExclusive)]),
        (Form::OwnTable, &[(Target, AccessExclusive)]),
        (Form::Rename, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::Attach, &[(Target, ShareUpdateExclusive), (Other, AccessExclusive), (Default, AccessExclusive)]),
        (Form::Detach, &[(Target, AccessExclusive), (Other, AccessExclusive), (Default, AccessExclusive)]),
        (Form::DetachConcurrently, &[(Target, ShareUpdateExclusive), (Other, AccessExclusive)]),
        (Form::DetachFinalize, &[(Target, ShareUpdateExclusive), (Other, AccessExclusive)]),
        (Form::Inherit, &[(Target, AccessExclusive), (Other, ShareUpdateExclusive)]),
        (Form::NoInherit, &[(Target, AccessExclusive), (Other, AccessShare)]),
        (Form::SplitPartition, &[(Target, AccessExclusive), (Other, AccessExclusive)]),
        (Form::CreateIndex, &[(Target, Share), (Child, Share)]),
        (Form::CreateIndexConcurrently, &[(Target, ShareUpdateExclusive)]),
        (Form::DropIndex, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::DropIndexConcurrently, &[(Target, ShareUpdateExclusive)]),
        (Form::RenameIndex, &[(Target, ShareUpdateExclusive)]),
        (Form::IndexStorage, &[(Target, ShareUpdateExclusive)]),
        (Form::StrongIndexStorage, &[(Target, AccessExclusive)]),
        (Form::AttachIndex, &[(Target, AccessExclusive), (Other, AccessExclusive)]),
        // SHARE on the table and ACCESS EXCLUSIVE on its indexes, which every query has to open.
        (Form::Reindex, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::ReindexConcurrently, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (Form::Vacuum, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (Form::VacuumFull, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::Analyze, &[(Target, ShareUpdateExclusive), (Child, AccessShare)]),
        (Form::Cluster, &[(Target, AccessExclusive)]),
        (Form::Refresh, &[(Target, AccessExclusive), (Source, AccessShare)]),
        (Form::RefreshConcurrently, &[(Target, Exclusive), (Source, AccessShare)]),
        (Form::Truncate, &[(Target, AccessExclusive), (Child, AccessExclusive), (Dependent, AccessExclusive)]),
        (
            Form::DropRelation,
            &[
                (Target, AccessExclusive),
                (Child, AccessExclusive),
                (Parent, AccessExclusive),
                (Default, AccessExclusive),
                (Partner, AccessExclusive),
                (Dependent, AccessExclusive),
            ],
        ),
        (Form::DropTrigger, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::CreateTrigger, &[(Target, ShareRowExclusive), (Child, ShareRowExclusive), (Referenced, AccessShare)]),
        (Form::CreateStatistics, &[(Target, ShareUpdateExclusive)]),
        (Form::Comment, &[(Target, ShareUpdateExclusive)]),
        (Form::CommentOnPart, &[(Target, AccessShare)]),
        (Form::Publish, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (Form::Write, &[(Target, RowExclusive), (Source, AccessShare)]),
        (Form::Read, &[(Source, AccessShare)]),
        (Form::ReadForUpdate, &[(Target, RowShare), (Source, AccessShare)]),
        (Form::OwnSequence, &[(Target, AccessShare)]),
        (Form::Like, &[(Target, AccessShare)]),
        (Form::InheritNew, &[(Target, ShareUpdateExclusive)]),
        (Form::PartitionNew, &[(Target, AccessExclusive), (Default, AccessExclusive)]),
        (Form::ReferNew, &[(Target, ShareRowExclusive)]),
        (Form::DomainCheck, &[(Target, Share)]),
        (Form::TypeChange, &[(Target, AccessExclusive)]),
    ]
};

impl Form {
    /// What it takes.
    pub(super) fn locks(self) -> &'static [(Role, LockMode)] {
        TABLE.iter().find(|(form, _)| *form == self).map(|(_, locks)| *locks).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_one_row() {
        for (form, locks) in &TABLE {
            assert_eq!(TABLE.iter().filter(|(other, _)| other == form).count(), 1, "{form:?}");
            assert!(!locks.is_empty(), "{form:?}");
        }
        assert_eq!(TABLE.len(), Form::TypeChange as usize + 1);
    }
}
