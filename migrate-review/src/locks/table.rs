//! The table of locks: which form of a statement takes which lock on which relations.
//!
//! Every row was read from `pg_locks` (see `tests/it/locks` of migrate-test, which compares it with the server) on
//! PostgreSQL 15 and 18, the oldest and the newest supported version; the versions between them are not tested. A lock
//! on an index restricts the use of its table; a row names the stronger lock.

use migrate_base::lock_mode::LockMode::{self, *};

/// The role of a relation in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RelationRole {
    /// The relation that the statement names.
    Target,
    /// Partitions and children of the target.
    Child,
    /// The table that the target is a partition of.
    Parent,
    /// The other table of `ATTACH`, `DETACH`, `INHERIT`.
    Other,
    /// The default partition of the target, which must not contain rows of a new partition.
    Default,
    /// The tables that foreign keys in the statement reference.
    Referenced,
    /// The other side of foreign keys that the statement removes or rechecks.
    Partner,
    /// What CASCADE removes too.
    Dependent,
    /// What the statement only reads.
    Source,
}

/// A form of a statement with its own set of locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatementForm {
    AddColumn,
    DropColumn,
    AlterDefault,
    AlterColumn,
    AlterIdentity,
    ColumnStatistics,
    AddConstraint,
    AddKey,
    AddOwnKey,
    AddOwnCheck,
    AddForeignKey,
    AddOwnForeignKey,
    DropConstraint,
    ValidateConstraint,
    AlterConstraint,
    EnforceConstraint,
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
    AnalyzeParent,
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
    Lock,
    Sequence,
    StrongSequence,
}

/// A row: the form, the first major version that it is valid for, and the locks.
type LockRow = (StatementForm, u32, &'static [(RelationRole, LockMode)]);

/// The table. If versions differ, a form has several rows.
static TABLE: [LockRow; 71] = {
    use RelationRole::*;
    [
        (
            StatementForm::AddColumn,
            0,
            &[(Target, AccessExclusive), (Child, AccessExclusive), (Referenced, ShareRowExclusive)],
        ),
        (
            StatementForm::DropColumn,
            0,
            &[
                (Target, AccessExclusive),
                (Child, AccessExclusive),
                (Partner, AccessExclusive),
                (Dependent, AccessExclusive),
            ],
        ),
        (StatementForm::AlterDefault, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (
            StatementForm::AlterColumn,
            0,
            &[(Target, AccessExclusive), (Child, AccessExclusive), (Partner, AccessExclusive)],
        ),
        (StatementForm::AlterIdentity, 0, &[(Target, AccessExclusive)]),
        (StatementForm::ColumnStatistics, 0, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (StatementForm::AddConstraint, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        // The index is built on each partition, as CREATE INDEX does.
        (StatementForm::AddKey, 0, &[(Target, AccessExclusive), (Child, Share)]),
        (StatementForm::AddKey, 18, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        // Children that are not partitions have their own keys and checks, but PostgreSQL 18 reads them.
        (StatementForm::AddOwnKey, 0, &[(Target, AccessExclusive)]),
        (StatementForm::AddOwnKey, 18, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (StatementForm::AddOwnCheck, 0, &[(Target, AccessExclusive)]),
        (StatementForm::AddOwnCheck, 18, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (
            StatementForm::AddForeignKey,
            0,
            &[(Target, ShareRowExclusive), (Child, ShareRowExclusive), (Referenced, ShareRowExclusive)],
        ),
        (StatementForm::AddOwnForeignKey, 0, &[(Target, ShareRowExclusive), (Referenced, ShareRowExclusive)]),
        (
            StatementForm::AddOwnForeignKey,
            18,
            &[(Target, ShareRowExclusive), (Child, ShareRowExclusive), (Referenced, ShareRowExclusive)],
        ),
        (
            StatementForm::DropConstraint,
            0,
            &[(Target, AccessExclusive), (Child, AccessExclusive), (Partner, AccessExclusive)],
        ),
        (
            StatementForm::ValidateConstraint,
            0,
            &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive), (Partner, RowShare)],
        ),
        (StatementForm::AlterConstraint, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (
            StatementForm::EnforceConstraint,
            0,
            &[(Target, AccessExclusive), (Child, AccessExclusive), (Partner, AccessExclusive)],
        ),
        (StatementForm::Trigger, 0, &[(Target, ShareRowExclusive), (Child, ShareRowExclusive)]),
        (StatementForm::TableSettings, 0, &[(Target, ShareUpdateExclusive)]),
        (StatementForm::Storage, 0, &[(Target, ShareUpdateExclusive)]),
        (StatementForm::StrongStorage, 0, &[(Target, AccessExclusive)]),
        (StatementForm::OwnTable, 0, &[(Target, AccessExclusive)]),
        (StatementForm::Rename, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (
            StatementForm::Attach,
            0,
            &[(Target, ShareUpdateExclusive), (Other, AccessExclusive), (Default, AccessExclusive)],
        ),
        (StatementForm::Detach, 0, &[(Target, AccessExclusive), (Other, AccessExclusive), (Default, AccessExclusive)]),
        (StatementForm::DetachConcurrently, 0, &[(Target, ShareUpdateExclusive), (Other, AccessExclusive)]),
        (StatementForm::DetachFinalize, 0, &[(Target, ShareUpdateExclusive), (Other, AccessExclusive)]),
        (StatementForm::Inherit, 0, &[(Target, AccessExclusive), (Other, ShareUpdateExclusive)]),
        (StatementForm::NoInherit, 0, &[(Target, AccessExclusive), (Other, AccessShare)]),
        (StatementForm::SplitPartition, 0, &[(Target, AccessExclusive), (Other, AccessExclusive)]),
        (StatementForm::CreateIndex, 0, &[(Target, Share), (Child, Share)]),
        (StatementForm::CreateIndexConcurrently, 0, &[(Target, ShareUpdateExclusive)]),
        (StatementForm::DropIndex, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (StatementForm::DropIndexConcurrently, 0, &[(Target, ShareUpdateExclusive)]),
        (StatementForm::RenameIndex, 0, &[(Target, ShareUpdateExclusive)]),
        (StatementForm::IndexStorage, 0, &[(Target, ShareUpdateExclusive)]),
        (StatementForm::StrongIndexStorage, 0, &[(Target, AccessExclusive)]),
        (StatementForm::AttachIndex, 0, &[(Target, ShareUpdateExclusive), (Other, AccessExclusive)]),
        // SHARE on the table and ACCESS EXCLUSIVE on its indexes, which every query has to open.
        (StatementForm::Reindex, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (StatementForm::ReindexConcurrently, 0, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (StatementForm::Vacuum, 0, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (StatementForm::VacuumFull, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (StatementForm::Analyze, 0, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        // Before 18, the rows of children that are not partitions are only read for the statistics of their parent.
        (StatementForm::AnalyzeParent, 0, &[(Target, ShareUpdateExclusive), (Child, AccessShare)]),
        (StatementForm::AnalyzeParent, 18, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (StatementForm::Cluster, 0, &[(Target, AccessExclusive)]),
        (StatementForm::Refresh, 0, &[(Target, AccessExclusive), (Source, AccessShare)]),
        (StatementForm::RefreshConcurrently, 0, &[(Target, Exclusive), (Source, AccessShare)]),
        (
            StatementForm::Truncate,
            0,
            &[(Target, AccessExclusive), (Child, AccessExclusive), (Dependent, AccessExclusive)],
        ),
        (
            StatementForm::DropRelation,
            0,
            &[
                (Target, AccessExclusive),
                (Child, AccessExclusive),
                (Parent, AccessExclusive),
                (Default, AccessExclusive),
                (Partner, AccessExclusive),
                (Dependent, AccessExclusive),
            ],
        ),
        (StatementForm::DropTrigger, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (
            StatementForm::CreateTrigger,
            0,
            &[(Target, ShareRowExclusive), (Child, ShareRowExclusive), (Referenced, AccessShare)],
        ),
        (StatementForm::CreateStatistics, 0, &[(Target, ShareUpdateExclusive)]),
        (StatementForm::Comment, 0, &[(Target, ShareUpdateExclusive)]),
        (StatementForm::CommentOnPart, 0, &[(Target, AccessShare)]),
        (StatementForm::Publish, 0, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (StatementForm::Write, 0, &[(Target, RowExclusive), (Source, AccessShare)]),
        (StatementForm::Read, 0, &[(Source, AccessShare)]),
        (StatementForm::ReadForUpdate, 0, &[(Target, RowShare), (Source, AccessShare)]),
        (StatementForm::OwnSequence, 0, &[(Target, AccessShare)]),
        (StatementForm::Like, 0, &[(Target, AccessShare)]),
        (StatementForm::InheritNew, 0, &[(Target, ShareUpdateExclusive)]),
        (StatementForm::PartitionNew, 0, &[(Target, AccessExclusive), (Default, AccessExclusive)]),
        (StatementForm::ReferNew, 0, &[(Target, ShareRowExclusive)]),
        (StatementForm::DomainCheck, 0, &[(Target, Share)]),
        // The statement names its lock mode; this is the default.
        (StatementForm::Lock, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (StatementForm::Sequence, 0, &[(Target, ShareRowExclusive)]),
        (StatementForm::StrongSequence, 0, &[(Target, AccessExclusive)]),
    ]
};

impl StatementForm {
    /// The locks that the form takes on a server of a major version.
    pub(super) fn locks(self, major: u32) -> &'static [(RelationRole, LockMode)] {
        let rows = TABLE.iter().filter(|(form, since, _)| *form == self && *since <= major);
        rows.max_by_key(|(_, since, _)| *since).map(|(_, _, locks)| *locks).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_one_row_for_each_version() {
        for (form, since, locks) in &TABLE {
            let same = TABLE.iter().filter(|(other, at, _)| other == form && at == since);
            assert_eq!(same.count(), 1, "{form:?}");
            assert!(!locks.is_empty() && !form.locks(15).is_empty(), "{form:?}");
        }
        let forms = TABLE.iter().filter(|(_, since, _)| *since == 0).count();
        assert_eq!(forms, StatementForm::StrongSequence as usize + 1);
    }
}
