//! A report as JSON: the body of the document that `--format json` prints. The format is stable: see docs/FORMATS.md.

use serde::Serialize;

use super::{CheckResult, CiReport, DiagramColumn, DiagramTable, MigrationOrder, MigrationResult, StrongestLock};
use crate::output::FindingJson;
use crate::output::style::milliseconds;
use crate::shared_json::RestsJson;

/// The body of the document of `ci`.
#[derive(Debug, Serialize)]
pub(crate) struct CiJson {
    base: Option<String>,
    failed: bool,
    checks: Vec<CiCheckJson>,
    migrations: Vec<MigrationResultJson>,
    orders: Vec<MigrationOrderJson>,
    difference: Vec<String>,
    tables: Vec<TableJson>,
    milliseconds: f64,
}

#[derive(Debug, Serialize)]
struct CiCheckJson {
    name: &'static str,
    summary: String,
    skipped: Option<String>,
    failed: bool,
    findings: Vec<FindingJson>,
    milliseconds: f64,
}

#[derive(Debug, Serialize)]
struct MigrationResultJson {
    version: String,
    name: String,
    applied: &'static str,
    rolled_back: &'static str,
    reapplied: &'static str,
    data: &'static str,
    rests: RestsJson,
    lock: Option<StrongestLockJson>,
    lock_down: Option<StrongestLockJson>,
    rewritten: Vec<String>,
    milliseconds: f64,
}

#[derive(Debug, Serialize)]
struct MigrationOrderJson {
    version: String,
    name: String,
    verdict: &'static str,
}

#[derive(Debug, Serialize)]
struct StrongestLockJson {
    mode: &'static str,
    table: String,
}

#[derive(Debug, Serialize)]
struct TableJson {
    name: String,
    fate: &'static str,
    columns: Vec<ColumnJson>,
    references: Vec<ReferenceJson>,
}

#[derive(Debug, Serialize)]
struct ColumnJson {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    key: bool,
    fate: &'static str,
}

#[derive(Debug, Serialize)]
struct ReferenceJson {
    table: String,
    columns: String,
}

impl From<&MigrationOrder> for MigrationOrderJson {
    fn from(ordered: &MigrationOrder) -> Self {
        let MigrationOrder { version, name, order } = ordered;
        Self { version: version.to_string(), name: name.clone(), verdict: order.as_str() }
    }
}

impl From<&CiReport> for CiJson {
    fn from(report: &CiReport) -> Self {
        Self {
            base: report.base.clone(),
            failed: report.failed(),
            checks: report.checks.iter().map(CiCheckJson::from).collect(),
            migrations: report.migrations.iter().map(MigrationResultJson::from).collect(),
            orders: report.orders.iter().map(MigrationOrderJson::from).collect(),
            difference: report.difference.clone(),
            tables: report.tables.iter().map(TableJson::from).collect(),
            milliseconds: milliseconds(report.elapsed),
        }
    }
}

impl From<&CheckResult> for CiCheckJson {
    fn from(check: &CheckResult) -> Self {
        Self {
            name: check.name,
            summary: check.summary.clone(),
            skipped: check.skipped.clone(),
            failed: check.failed(),
            findings: check.findings.iter().map(FindingJson::from).collect(),
            milliseconds: milliseconds(check.elapsed),
        }
    }
}

impl From<&MigrationResult> for MigrationResultJson {
    fn from(judged: &MigrationResult) -> Self {
        let held = |held: &StrongestLock| StrongestLockJson { mode: held.mode.as_str(), table: held.table.clone() };
        Self {
            version: judged.version.to_string(),
            name: judged.name.clone(),
            applied: judged.applied.as_str(),
            rolled_back: judged.rolled_back.as_str(),
            reapplied: judged.reapplied.as_str(),
            data: judged.data.as_str(),
            rests: RestsJson::from(&judged.rests),
            lock: judged.lock.as_ref().map(held),
            lock_down: judged.lock_down.as_ref().map(held),
            rewritten: judged.rewritten.clone(),
            milliseconds: milliseconds(judged.elapsed),
        }
    }
}

impl From<&DiagramTable> for TableJson {
    fn from(table: &DiagramTable) -> Self {
        let column = |column: &DiagramColumn| ColumnJson {
            name: column.name.clone(),
            kind: column.kind.clone(),
            key: column.is_key,
            fate: column.fate.as_str(),
        };
        let reference =
            |(table, columns): &(String, String)| ReferenceJson { table: table.clone(), columns: columns.clone() };
        Self {
            name: table.name.clone(),
            fate: table.fate.as_str(),
            columns: table.columns.iter().map(column).collect(),
            references: table.references.iter().map(reference).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::DocumentJson;
    use crate::report::sample;

    #[test]
    fn the_sample() {
        let document = DocumentJson::new("ci", "development", CiJson::from(&sample::report()));
        sample::check("report.json", serde_json::to_string_pretty(&document).unwrap());
    }
}
