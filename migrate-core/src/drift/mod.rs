//! Drift: what a database has that no migration created, and what it lacks; by object, with the time and the author as
//! far as known.
//!
//! This module does no I/O: the expected schema, the actual schema, the ledger and the audit are passed as values.

mod blame;
mod fill;
mod keep;
mod names;
mod outside;
mod pending;
mod rule;
mod since;
mod steps;
mod update;

use std::sync::Arc;

use migrate_schema::ddl::unowned;
use migrate_schema::{Id, Object, Schema, SchemaChange, SideNames};

pub use blame::who;
pub use fill::fill;
pub use names::PendingRenames;
pub(crate) use outside::{ExistenceFault, ReportedName, culprit, made_by, may_make};
pub use pending::{ChangeState, PendingChange, SchemaTriple};
pub use rule::{IgnoreRule, NotARule};
pub(crate) use since::belongs;
pub use since::{ChangePeriod, FingerprintHistory, usual_owner};
pub use steps::{ManualSteps, PendingStep};

/// The kind of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriftKind {
    /// The object exists, but no migration created it.
    Extra,
    /// Migrations created the object, but it does not exist.
    Missing,
    /// The object exists, but differs from what migrations created.
    Changed,
}

/// A difference between the expected and the actual schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriftDifference {
    /// The object; parts of it that were added or removed with it are not listed separately.
    pub object: Arc<Id>,
    /// The kind of the difference.
    pub what: DriftKind,
    /// The differences, one sentence per fact.
    pub sentences: Vec<String>,
}

impl DriftKind {
    /// Its name, for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extra => "extra",
            Self::Missing => "missing",
            Self::Changed => "changed",
        }
    }
}

/// The expected schema, in which ignored objects count as correct.
pub fn expected(made: Schema, there: &Schema, is_left_out: impl Fn(&Object) -> bool) -> Schema {
    made.as_in(there, is_left_out)
}

/// The differences, ignoring owners; `title` is the name of the database.
pub fn differences(expected: &Schema, there: &Schema, title: &str) -> Vec<DriftDifference> {
    let change = change(expected, there);
    let sides = SideNames { before: "in the migrations", after: &format!("in {title}") };
    let what = |id: &Id| match (expected.get(id), there.get(id)) {
        (None, _) => DriftKind::Extra,
        (_, None) => DriftKind::Missing,
        _ => DriftKind::Changed,
    };
    let by_object = change.by_object(sides).into_iter();
    by_object.map(|(object, sentences)| DriftDifference { what: what(&object), object, sentences }).collect()
}

fn change(expected: &Schema, there: &Schema) -> SchemaChange {
    SchemaChange::between(&unowned(expected), &unowned(there))
}
