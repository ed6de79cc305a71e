//! Parts of JSON documents that several commands have in common.

use migrate_core::audit::DdlRecord;
use migrate_schema::ddl::DdlStage;
use migrate_test::proof::ProofBasis;
use migrate_test::shape::{DifferenceScript, LeftOut};
use serde::Serialize;

/// The evidence behind the data law and the path law.
#[derive(Debug, Serialize)]
pub(crate) struct RestsJson {
    tables: usize,
    with_rows: usize,
    without: Vec<WithoutRowsJson>,
    idle: Vec<String>,
    narrowed: Vec<String>,
    own_rows: Vec<String>,
    moves: usize,
}

#[derive(Debug, Serialize)]
struct WithoutRowsJson {
    table: String,
    why: String,
}

impl From<&ProofBasis> for RestsJson {
    fn from(rests: &ProofBasis) -> Self {
        let without = rests.without.iter();
        let without = without.map(|one| WithoutRowsJson { table: one.table.clone(), why: one.why.clone() }).collect();
        Self {
            tables: rests.tables,
            with_rows: rests.with_rows(),
            without,
            idle: rests.idle.clone(),
            narrowed: rests.narrowed.clone(),
            own_rows: rests.own.clone(),
            moves: rests.moves,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct LeftOutJson {
    object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    why: String,
    with: Vec<String>,
}

pub(crate) fn left_out_json(one: &LeftOut) -> LeftOutJson {
    LeftOutJson {
        object: one.object.to_string(),
        part: one.part.as_deref().map(str::to_owned),
        why: one.why.clone(),
        with: one.with.iter().map(ToString::to_string).collect(),
    }
}

#[derive(Serialize)]
pub(crate) struct SqlJson {
    pub(crate) proven: bool,
    statements: Vec<SqlStatementJson>,
    uncovered: Vec<String>,
    left_out: Vec<LeftOutJson>,
    remaining: Vec<String>,
}

#[derive(Serialize)]
struct SqlStatementJson {
    stage: &'static str,
    sql: String,
    hazards: Vec<String>,
}

pub(crate) fn sql_json(difference: &DifferenceScript) -> SqlJson {
    let statements = difference.ddl.statements.iter().map(|one| SqlStatementJson {
        stage: stage(one.stage),
        sql: one.text.clone(),
        hazards: one.hazards.iter().map(|hazard| format!("{}: {}", hazard.parts().0, hazard.parts().1)).collect(),
    });
    let failed = difference.failed.iter().map(|(statement, why)| format!("{why}: {}", statement.text));
    SqlJson {
        proven: difference.is_proven(),
        statements: statements.collect(),
        uncovered: difference.ddl.uncovered.iter().map(|gap| format!("{gap}: {}", gap.why)).collect(),
        left_out: difference.left_out.iter().map(left_out_json).collect(),
        remaining: failed.chain(difference.remaining.iter().cloned()).collect(),
    }
}

/// A record as JSON.
#[derive(Serialize)]
pub(crate) struct DdlRecordJson {
    at: String,
    transaction: u64,
    session_role: String,
    set_role: Option<String>,
    application: Option<String>,
    client: Option<String>,
    event: String,
    command: String,
    object_type: Option<String>,
    object: Option<String>,
    statement: Option<String>,
    migration: Option<String>,
}

impl From<DdlRecord> for DdlRecordJson {
    fn from(record: DdlRecord) -> Self {
        Self {
            at: record.at,
            transaction: record.transaction,
            session_role: record.session_role,
            set_role: record.set_role,
            application: record.application,
            client: record.client,
            event: record.event,
            command: record.command,
            object_type: record.object_type,
            object: record.object,
            statement: record.statement,
            migration: record.migration,
        }
    }
}

fn stage(stage: DdlStage) -> &'static str {
    match stage {
        DdlStage::Main => "main",
        DdlStage::Concurrent => "concurrent",
        DdlStage::Validate => "validate",
    }
}
