//! Drift as JSON. The format is stable: see docs/FORMATS.md.

use std::path::PathBuf;

use migrate_core::drift::ChangeState;
use serde::Serialize;

use super::{DriftComparison, PendingParts, TracedDifference};
use crate::shared_json::{DdlRecordJson, LeftOutJson, SqlJson, left_out_json};

/// The document of `drift`.
#[derive(Serialize)]
pub(crate) struct DriftJson {
    database: String,
    version: Option<String>,
    differences: Vec<TracedDifferenceJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pending: Option<PendingPartsJson>,
    notes: Vec<String>,
    /// The repeatable migrations that have to run again: what they make was not compared.
    due: Vec<String>,
    ignored: usize,
    left_out: Vec<LeftOutJson>,
    recording: bool,
    changed_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sql: Option<SqlJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) marked: Vec<String>,
    /// The statements of the marked migrations that a comparison of schemas cannot see.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) not_compared: Vec<String>,
}

/// Which parts of the pending migrations are already there, in the same words as on the terminal.
#[derive(Serialize)]
pub(crate) struct PendingPartsJson {
    versions: Vec<String>,
    by_hand: Vec<String>,
    there: Vec<String>,
    missing: Vec<String>,
    differs: Vec<String>,
    not_compared: Vec<String>,
    others: Vec<String>,
}

impl From<&PendingParts> for PendingPartsJson {
    fn from(partly: &PendingParts) -> Self {
        Self {
            versions: partly.versions.iter().map(ToString::to_string).collect(),
            by_hand: partly.by_hand.clone(),
            there: partly.sentences(ChangeState::There),
            missing: partly.sentences(ChangeState::Missing),
            differs: partly.sentences(ChangeState::Differs),
            not_compared: partly.not_compared.clone(),
            others: partly.others.clone(),
        }
    }
}

/// A difference with its origin.
#[derive(Serialize)]
struct TracedDifferenceJson {
    object: String,
    what: &'static str,
    sentences: Vec<String>,
    made_by: Option<String>,
    altered_by: Option<String>,
    dropped_by: Option<String>,
    after: Option<String>,
    before: Option<String>,
    record: Option<DdlRecordJson>,
}

impl From<&DriftComparison> for DriftJson {
    fn from(look: &DriftComparison) -> Self {
        Self {
            database: look.database.clone(),
            version: look.version.as_ref().map(ToString::to_string),
            differences: look.found.iter().map(TracedDifferenceJson::from).collect(),
            pending: None,
            notes: look.notes.clone(),
            due: look.due.iter().map(ToString::to_string).collect(),
            ignored: look.ignored,
            left_out: look.left_out.iter().map(left_out_json).collect(),
            recording: look.recording.on && look.recording.has_records,
            changed_since: look.changed_since.clone(),
            sql: None,
            files: Vec::new(),
            marked: Vec::new(),
            not_compared: Vec::new(),
        }
    }
}

impl From<&TracedDifference> for TracedDifferenceJson {
    fn from(found: &TracedDifference) -> Self {
        let version = |version: &Option<migrate_core::Version>| version.as_ref().map(ToString::to_string);
        Self {
            object: found.difference.object.to_string(),
            what: found.difference.what.as_str(),
            sentences: found.difference.sentences.clone(),
            made_by: version(&found.origin.made),
            altered_by: version(&found.origin.altered),
            dropped_by: version(&found.origin.dropped),
            after: found.bounds.after.clone(),
            before: found.bounds.before.clone(),
            record: found.record.clone().map(DdlRecordJson::from),
        }
    }
}
