//! A report with something of everything, and its expected output in each format: the files in the folder beside
//! this one. `.ci/run` validates the SARIF file against the official schema.

use std::path::Path;
use std::time::Duration;

use migrate_base::codes::Code;
use migrate_base::finding::{Finding, Place, Severity};
use migrate_base::lock_mode::LockMode;
use migrate_review::consumer::SafeOrder;
use migrate_test::proof::{ProofBasis, WithoutRows};

use super::{
    CheckResult, CiReport, DiagramColumn, DiagramFate, DiagramTable, MigrationOrder, MigrationResult, ReportScope,
    ResultMark, StrongestLock,
};

const UP: &str = "\
ALTER TABLE orders DROP COLUMN fax;
ALTER TABLE orders
    ADD COLUMN \"weird | name\" numeric(12, 2);
";

/// Compares with the file of this name. `UPDATE_SAMPLES=1` writes it instead.
#[track_caller]
pub(super) fn check(name: &str, text: String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/sample").join(name);
    let text = text.replace(&format!("\"{}\"", env!("CARGO_PKG_VERSION")), "\"0.0.0\"").trim_end().to_owned() + "\n";
    if std::env::var_os("UPDATE_SAMPLES").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(text == expected, "{} is not what it was; UPDATE_SAMPLES=1 rewrites it:\n{text}", file.display());
}

/// A report with one check that found this.
pub(super) fn with(findings: Vec<Finding>) -> CiReport {
    CiReport { checks: vec![looked("lint", "1 new migration", 3, findings)], ..CiReport::default() }
}

pub(super) fn report() -> CiReport {
    CiReport {
        base: Some("origin/main at 1a2b3c4".to_owned()),
        checks: vec![
            looked("files", "11 migrations", 2, vec![]),
            looked("edited", "9 released migrations are as they were", 14, vec![]),
            looked("lint", "2 new migrations, 24 rules", 4, findings()),
            looked("proof", "2 new migrations, 5 laws", 1830, vec![lossy()]),
            CheckResult {
                skipped: Some("no environment is named in `[released]`".to_owned()),
                ..looked("released", "", 0, vec![])
            },
            looked("role", "roundtrip may do everything", 21, vec![note()]),
        ],
        scope: ReportScope::New(migrations().len()),
        migrations: migrations(),
        orders: migrations().into_iter().take(1).map(ordered).collect(),
        difference: vec![
            "column public.orders.fax: only before".to_owned(),
            "column public.orders.weird | name: only after".to_owned(),
            "table public.parcels: only after".to_owned(),
        ],
        tables: vec![orders(), parcels()],
        elapsed: Duration::from_millis(2411),
    }
}

fn looked(name: &'static str, summary: &str, ms: u64, findings: Vec<Finding>) -> CheckResult {
    CheckResult {
        name,
        summary: summary.to_owned(),
        skipped: None,
        lost: false,
        findings,
        elapsed: Duration::from_millis(ms),
    }
}

fn findings() -> Vec<Finding> {
    let file = "migrations/20260301120000_drop_fax.up.sql";
    let part = |needle: &str| {
        let at = UP.find(needle).unwrap();
        Place::within(file, UP.into(), at..at + needle.len())
    };
    vec![
        Finding::new(
            Code::new("drop-column", Severity::Error),
            "the column orders.fax is dropped while <billing> still reads it",
        )
        .at(part("DROP COLUMN fax").labelled("read by consumers/billing.sql"))
        .note("SELECT `fax` | `phone`\nFROM orders")
        .help("stop reading it first, or put `-- migrate: allow drop-column REASON` at the head of the file"),
        Finding::new(
            Code::new("odd-name", Severity::Warning),
            "100% of the callers must quote the name \"weird | name\"",
        )
        .at(part("ADD COLUMN \"weird | name\" numeric(12, 2)"))
        .help("call it weird_name"),
    ]
}

fn lossy() -> Finding {
    Finding::new(Code::new("data", Severity::Error), "12 of 12 values of orders.fax are gone after the rollback")
        .at(Place::file("migrations/20260301120000_drop_fax.down.sql"))
        .help("declare it: `-- migrate: lossy REASON`")
}

fn note() -> Finding {
    Finding::new(Code::new("superuser", Severity::Note), "roundtrip is a superuser; a deploy needs less")
}

fn migrations() -> Vec<MigrationResult> {
    let held = |mode, table: &str| Some(StrongestLock { mode, table: table.to_owned() });
    vec![
        MigrationResult {
            version: "20260301120000".parse().unwrap(),
            name: "drop_fax".to_owned(),
            applied: ResultMark::Yes,
            rolled_back: ResultMark::Yes,
            reapplied: ResultMark::Yes,
            data: ResultMark::No,
            rests: rests(41, 4),
            lock: held(LockMode::AccessExclusive, "public.orders"),
            lock_down: held(LockMode::AccessExclusive, "public.orders"),
            rewritten: vec!["public.orders".to_owned()],
            elapsed: Duration::from_micros(12_400),
        },
        MigrationResult {
            version: "20260302080000".parse().unwrap(),
            name: "create_parcels".to_owned(),
            applied: ResultMark::Yes,
            rolled_back: ResultMark::Declared,
            reapplied: ResultMark::Unknown,
            data: ResultMark::Unknown,
            rests: ProofBasis::default(),
            lock: held(LockMode::ShareRowExclusive, "public.orders"),
            lock_down: None,
            rewritten: vec![],
            elapsed: Duration::from_micros(3_100),
        },
    ]
}

fn rests(tables: usize, without: usize) -> ProofBasis {
    let one =
        |n| WithoutRows { table: format!("public.part_{n}"), why: "violates check constraint \"code\"".to_owned() };
    ProofBasis { tables, without: (1..=without).map(one).collect(), ..ProofBasis::default() }
}

fn ordered(judged: MigrationResult) -> MigrationOrder {
    MigrationOrder { version: judged.version, name: judged.name, order: SafeOrder::DeployFirst }
}

fn column(name: &str, kind: &str, is_key: bool, fate: DiagramFate) -> DiagramColumn {
    DiagramColumn { name: name.to_owned(), kind: kind.to_owned(), is_key, fate }
}

fn orders() -> DiagramTable {
    DiagramTable {
        name: "public.orders".to_owned(),
        fate: DiagramFate::Changed,
        columns: vec![
            column("id", "bigint", true, DiagramFate::Same),
            column("placed_at", "timestamp with time zone", false, DiagramFate::Same),
            column("fax", "text", false, DiagramFate::Dropped),
            column("weird | name", "numeric(12,2)", false, DiagramFate::Added),
        ],
        references: vec![],
    }
}

fn parcels() -> DiagramTable {
    DiagramTable {
        name: "public.parcels".to_owned(),
        fate: DiagramFate::Added,
        columns: vec![
            column("id", "uuid", true, DiagramFate::Added),
            column("order_id", "bigint", false, DiagramFate::Added),
            column("größe", "integer[]", false, DiagramFate::Added),
            column("pk", "\"char\"", false, DiagramFate::Added),
        ],
        references: vec![("public.orders".to_owned(), "order_id".to_owned())],
    }
}
