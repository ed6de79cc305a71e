//! The folders of other tools: detected by their form, read as they are, and proven like our own.

use std::fs;

use migrate_core::{CodeMigrations, Layout};
use migrate_test::proof::{self, Law, Proof, Verdict};
use rstest::rstest;

const UP: &str = "CREATE TABLE t (id integer PRIMARY KEY);";
const DOWN: &str = "DROP TABLE t;";

#[rstest]
#[case(Layout::Sqlx, &[("0001_Make t.up.sql", UP), ("0001_Make t.down.sql", DOWN),
    ("0002_index.up.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY t_i ON t (id);"), ("0002_index.down.sql", "DROP INDEX t_i;"), ("README.md", "x")])]
#[case(Layout::GolangMigrate, &[("000001_make.up.sql", "BEGIN;\nCREATE TABLE t (id integer PRIMARY KEY);\nCOMMIT"), ("000001_make.down.sql", DOWN),
    ("000002_index.up.sql", "CREATE INDEX CONCURRENTLY t_i ON t (id);"), ("000002_index.down.sql", "DROP INDEX t_i")])]
#[case(Layout::Diesel, &[("2020-01-01-000000_make/up.sql", UP), ("2020-01-01-000000_make/down.sql", DOWN),
    ("2020-01-02-000000_index/up.sql", "CREATE INDEX CONCURRENTLY t_i ON t (id);"), ("2020-01-02-000000_index/down.sql", "DROP INDEX t_i;"),
    ("2020-01-02-000000_index/metadata.toml", "run_in_transaction = false"), ("README.md", "x"), ("aside.sql", "SELECT 1;")])]
#[case(Layout::Dbmate, &[("20200101_make.sql", "-- migrate:up\nCREATE TABLE t (id integer PRIMARY KEY);\n-- migrate:down\nDROP TABLE t;"),
    ("20200102_index.sql", "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY t_i ON t (id);\n-- migrate:down\nDROP INDEX t_i;")])]
#[case(Layout::Goose, &[("1_make.sql", "-- +goose Up\n-- +goose StatementBegin\nCREATE TABLE t (id integer PRIMARY KEY);\n-- +goose StatementEnd\n-- +goose Down\nDROP TABLE t;"),
    ("2_index.sql", "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY t_i ON t (id);\n-- +goose Down\nDROP INDEX CONCURRENTLY t_i;")])]
#[case(Layout::SqlMigrate, &[("1-make.sql", "-- +migrate Up\nCREATE TABLE t (id integer PRIMARY KEY);\n-- +migrate Down\nDROP TABLE t;"),
    ("2-index.sql", "-- +migrate Up notransaction\nCREATE INDEX CONCURRENTLY t_i ON t (id);\n-- +migrate Down\nDROP INDEX t_i;")])]
#[case(Layout::Flyway, &[("V1__Make_t.sql", UP), ("U1__Make_t.sql", DOWN), ("V1.1__index.sql", "CREATE INDEX t_i ON t (id);"),
    ("U1.1__index.sql", "DROP INDEX t_i;"), ("R__views.sql", "SELECT 1;")])]
#[tokio::test]
async fn a_chain_of_another_tool_is_proven(#[case] layout: Layout, #[case] files: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    assert_eq!(Layout::detect(folder.path()), layout);
    let set = layout.load(folder.path()).unwrap();
    assert_eq!(set.len(), 2);
    let report = proof::prove(&set, &CodeMigrations::none(), &Proof::default(), &mut |_| {}).await.unwrap();
    for proven in &report.migrations {
        for law in [Law::Identity, Law::Reapply, Law::Path] {
            assert!(matches!(proven.laws[&law], Verdict::Holds), "{} {law}: {:?}", proven.name, proven.laws[&law]);
        }
    }
}

/// A procedure that commits can be called in a separate message, which is what golang-migrate sends.
#[tokio::test]
async fn a_procedure_that_commits_is_called_outside_of_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let make = "CREATE PROCEDURE fill() LANGUAGE plpgsql AS 'BEGIN COMMIT; END';";
    let files = [
        ("1_make.up", make),
        ("1_make.down", "DROP PROCEDURE fill()"),
        ("2_call.up", "CALL fill();"),
        ("2_call.down", ""),
    ];
    for (name, text) in files {
        fs::write(folder.path().join(format!("{name}.sql")), text).unwrap();
    }
    let set = Layout::detect(folder.path()).load(folder.path()).unwrap();
    let report = proof::prove(&set, &CodeMigrations::none(), &Proof::default(), &mut |_| {}).await.unwrap();
    let broken: Vec<_> = report.migrations.iter().filter(|one| one.laws[&Law::Identity].is_broken()).collect();
    assert!(broken.is_empty(), "{:?}", broken[0].laws[&Law::Identity]);
}

#[test]
fn a_migration_without_a_down_is_irreversible() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("1_make.sql"), UP).unwrap();
    let set = Layout::Sqlx.load(folder.path()).unwrap();
    assert!(set.last().unwrap().irreversible().unwrap().contains("sqlx"));
}

#[test]
fn a_misnamed_file_among_ours_is_still_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["20250101000000_a.up.sql", "20250101000000_a.down.sql", "20250102_b.up.sql"];
    for name in names {
        fs::write(folder.path().join(name), UP).unwrap();
    }
    assert_eq!(Layout::detect(folder.path()), Layout::Roundtrip);
    assert!(Layout::Roundtrip.load(folder.path()).is_err());
}

/// sql-migrate identifies a file by its whole name: the number only orders files, and several may share it.
#[rstest]
#[case(&["20230222172540-one-1.sql", "20230222172540-one-2.sql", "3_first.sql"],
    &[("3", "first"), ("20230222172540", "one-1"), ("20230222172540.1", "one-2")])]
#[case(&["2024-01-03.0-a.sql", "2024-01-03.1-b.sql", "2024-01-02.0-c.sql", "last.sql", "02025_x.sql", "also last.sql"],
    &[("2024", "01-02.0-c"), ("2024.1", "01-03.0-a"), ("2024.2", "01-03.1-b"), ("02025", "x"),
      ("9223372036854775807", "also last"), ("9223372036854775807.1", "last")])]
#[case(&["b.sql", "a.sql", "c.sql"], &[("1", "a"), ("2", "b"), ("3", "c")])]
#[tokio::test]
async fn files_of_one_number_are_a_chain(#[case] files: &[&str], #[case] expected: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    for (n, name) in files.iter().enumerate() {
        let text =
            format!("-- +migrate Up\nCREATE TABLE t{n} (id int PRIMARY KEY);\n-- +migrate Down\nDROP TABLE t{n};\n");
        fs::write(folder.path().join(name), text).unwrap();
    }
    let set = Layout::SqlMigrate.load(folder.path()).unwrap();
    let found: Vec<(&str, &str)> = set.iter().map(|one| (one.version().as_str(), one.name())).collect();
    assert_eq!(found, expected);
    let report = proof::prove(&set, &CodeMigrations::none(), &Proof::default(), &mut |_| {}).await.unwrap();
    let broken: Vec<_> = report.migrations.iter().filter(|one| one.laws[&Law::Identity].is_broken()).collect();
    assert!(broken.is_empty(), "{:?}", broken[0].laws[&Law::Identity]);
}

#[test]
fn files_of_a_tool_that_keeps_its_versions_are_not_rebased() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["1_a.sql", "1_b.sql"] {
        fs::write(folder.path().join(name), "-- +goose Up\nSELECT 1;\n").unwrap();
    }
    let error = Layout::Goose.load(folder.path()).unwrap_err();
    let [finding] = error.findings() else { panic!("{:?}", error.findings()) };
    assert_eq!(finding.code.as_str(), "version-twice");
    assert!(finding.help.iter().all(|help| !help.contains("rebase")), "{:?}", finding.help);
}
