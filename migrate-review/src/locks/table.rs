//! The table of locks: which form of a statement takes which lock on which relations.
//!
//! Every row was read from `pg_locks` (see `tests/it/locks` of migrate-test, which compares it with the server) on
//! PostgreSQL 15 and 18, the oldest and the newest supported version; the versions between them are not tested. A lock
//! on an index restricts the use of its table; a row names the stronger lock.

use migrate_base::lock_mode::LockMode::{self, *};

/// The role of a relation in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
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
pub(super) enum Form {
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
type Row = (Form, u32, &'static [(Role, LockMode)]);

/// The table. If versions differ, a form has several rows.
static TABLE: [Row; 71] = {
    use Role::*;
    [
        (Form::AddColumn, 0, &[(Target, AccessExclusive), (Child, AccessExclusive), (Referenced, ShareRowExclusive)]),
        (
            Form::DropColumn,
            0,
            &[
                (Target, AccessExclusive),
                (Child, AccessExclusive),
                (Partner, AccessExclusive),
                (Dependent, AccessExclusive),
            ],
        ),
        (Form::AlterDefault, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::AlterColumn, 0, &[(Target, AccessExclusive), (Child, AccessExclusive), (Partner, AccessExclusive)]),
        (Form::AlterIdentity, 0, &[(Target, AccessExclusive)]),
        (Form::ColumnStatistics, 0, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (Form::AddConstraint, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        // The index is built on each partition, as CREATE INDEX does.
        (Form::AddKey, 0, &[(Target, AccessExclusive), (Child, Share)]),
        (Form::AddKey, 18, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        // Children that are not partitions have their own keys and checks, but PostgreSQL 18 reads them.
        (Form::AddOwnKey, 0, &[(Target, AccessExclusive)]),
        (Form::AddOwnKey, 18, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::AddOwnCheck, 0, &[(Target, AccessExclusive)]),
        (Form::AddOwnCheck, 18, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (
            Form::AddForeignKey,
            0,
            &[(Target, ShareRowExclusive), (Child, ShareRowExclusive), (Referenced, ShareRowExclusive)],
        ),
        (Form::AddOwnForeignKey, 0, &[(Target, ShareRowExclusive), (Referenced, ShareRowExclusive)]),
        (
            Form::AddOwnForeignKey,
            18,
            &[(Target, ShareRowExclusive), (Child, ShareRowExclusive), (Referenced, ShareRowExclusive)],
        ),
        (Form::DropConstraint, 0, &[(Target, AccessExclusive), (Child, AccessExclusive), (Partner, AccessExclusive)]),
        (
            Form::ValidateConstraint,
            0,
            &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive), (Partner, RowShare)],
        ),
        (Form::AlterConstraint, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (
            Form::EnforceConstraint,
            0,
            &[(Target, AccessExclusive), (Child, AccessExclusive), (Partner, AccessExclusive)],
        ),
        (Form::Trigger, 0, &[(Target, ShareRowExclusive), (Child, ShareRowExclusive)]),
        (Form::TableSettings, 0, &[(Target, ShareUpdateExclusive)]),
        (Form::Storage, 0, &[(Target, ShareUpdateExclusive)]),
        (Form::StrongStorage, 0, &[(Target, AccessExclusive)]),
        (Form::OwnTable, 0, &[(Target, AccessExclusive)]),
        (Form::Rename, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::Attach, 0, &[(Target, ShareUpdateExclusive), (Other, AccessExclusive), (Default, AccessExclusive)]),
        (Form::Detach, 0, &[(Target, AccessExclusive), (Other, AccessExclusive), (Default, AccessExclusive)]),
        (Form::DetachConcurrently, 0, &[(Target, ShareUpdateExclusive), (Other, AccessExclusive)]),
        (Form::DetachFinalize, 0, &[(Target, ShareUpdateExclusive), (Other, AccessExclusive)]),
        (Form::Inherit, 0, &[(Target, AccessExclusive), (Other, ShareUpdateExclusive)]),
        (Form::NoInherit, 0, &[(Target, AccessExclusive), (Other, AccessShare)]),
        (Form::SplitPartition, 0, &[(Target, AccessExclusive), (Other, AccessExclusive)]),
        (Form::CreateIndex, 0, &[(Target, Share), (Child, Share)]),
        (Form::CreateIndexConcurrently, 0, &[(Target, ShareUpdateExclusive)]),
        (Form::DropIndex, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::DropIndexConcurrently, 0, &[(Target, ShareUpdateExclusive)]),
        (Form::RenameIndex, 0, &[(Target, ShareUpdateExclusive)]),
        (Form::IndexStorage, 0, &[(Target, ShareUpdateExclusive)]),
        (Form::StrongIndexStorage, 0, &[(Target, AccessExclusive)]),
        (Form::AttachIndex, 0, &[(Target, ShareUpdateExclusive), (Other, AccessExclusive)]),
        // SHARE on the table and ACCESS EXCLUSIVE on its indexes, which every query has to open.
        (Form::Reindex, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::ReindexConcurrently, 0, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (Form::Vacuum, 0, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (Form::VacuumFull, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::Analyze, 0, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        // Before 18, the rows of children that are not partitions are only read for the statistics of their parent.
        (Form::AnalyzeParent, 0, &[(Target, ShareUpdateExclusive), (Child, AccessShare)]),
        (Form::AnalyzeParent, 18, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (Form::Cluster, 0, &[(Target, AccessExclusive)]),
        (Form::Refresh, 0, &[(Target, AccessExclusive), (Source, AccessShare)]),
        (Form::RefreshConcurrently, 0, &[(Target, Exclusive), (Source, AccessShare)]),
        (Form::Truncate, 0, &[(Target, AccessExclusive), (Child, AccessExclusive), (Dependent, AccessExclusive)]),
        (
            Form::DropRelation,
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
        (Form::DropTrigger, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::CreateTrigger, 0, &[(Target, ShareRowExclusive), (Child, ShareRowExclusive), (Referenced, AccessShare)]),
        (Form::CreateStatistics, 0, &[(Target, ShareUpdateExclusive)]),
        (Form::Comment, 0, &[(Target, ShareUpdateExclusive)]),
        (Form::CommentOnPart, 0, &[(Target, AccessShare)]),
        (Form::Publish, 0, &[(Target, ShareUpdateExclusive), (Child, ShareUpdateExclusive)]),
        (Form::Write, 0, &[(Target, RowExclusive), (Source, AccessShare)]),
        (Form::Read, 0, &[(Source, AccessShare)]),
        (Form::ReadForUpdate, 0, &[(Target, RowShare), (Source, AccessShare)]),
        (Form::OwnSequence, 0, &[(Target, AccessShare)]),
        (Form::Like, 0, &[(Target, AccessShare)]),
        (Form::InheritNew, 0, &[(Target, ShareUpdateExclusive)]),
        (Form::PartitionNew, 0, &[(Target, AccessExclusive), (Default, AccessExclusive)]),
        (Form::ReferNew, 0, &[(Target, ShareRowExclusive)]),
        (Form::DomainCheck, 0, &[(Target, Share)]),
        // The statement names its lock mode; this is the default.
        (Form::Lock, 0, &[(Target, AccessExclusive), (Child, AccessExclusive)]),
        (Form::Sequence, 0, &[(Target, ShareRowExclusive)]),
        (Form::StrongSequence, 0, &[(Target, AccessExclusive)]),
    ]
};

impl Form {
    /// The locks that the form takes on a server of a major version.
    pub(super) fn locks(self, major: u32) -> &'static [(Role, LockMode)] {
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
        assert_eq!(forms, Form::StrongSequence as usize + 1);
    }
}
