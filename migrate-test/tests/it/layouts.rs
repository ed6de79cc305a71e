//! The folders of other tools: detected by their form, read as they are, and proven like our own.

use std::fs;
use std::path::Path;

use migrate_core::{CodeMigrations, Layout, MigrationFolder};
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
    ("U1.1__index.sql", "DROP INDEX t_i;"), ("flyway.conf", "x")])]
#[case(Layout::Flyway, &[("V1__Make_t.sql", UP), ("U1__Make_t.sql", DOWN), ("2024/V1.1__index.sql", "CREATE INDEX t_i ON t (id);"),
    ("2024/undo/U1.1__index.sql", "DROP INDEX t_i;")])]
#[case(Layout::NodePgMigrate, &[("1700000000000_make.sql", "-- Up Migration\nCREATE TABLE t (id integer PRIMARY KEY);\n-- Down Migration\nDROP TABLE t;"),
    ("1700000000001_index.sql", "CREATE INDEX t_i ON t (id);\n---- Down Migration\nDROP INDEX t_i;")])]
#[case(Layout::Tern, &[("001_make.sql", "CREATE TABLE t (id integer PRIMARY KEY);\n---- create above / drop below ----\nDROP TABLE t;"),
    ("002_index.sql", "---- tern: disable-tx ----\nCREATE INDEX CONCURRENTLY t_i ON t (id);\n---- create above / drop below ----\nDROP INDEX t_i;")])]
#[case(Layout::Postgrator, &[("001.do.make.sql", UP), ("001.undo.make.sql", DOWN), ("002.do.sql", "CREATE INDEX t_i ON t (id);"),
    ("002.undo.sql", "DROP INDEX t_i;")])]
#[case(Layout::Yoyo, &[("0001.make.sql", UP), ("0001.make.rollback.sql", DOWN),
    ("0002.index.sql", "-- index\n-- depends: 0001.make\n-- transactional: false\nCREATE INDEX CONCURRENTLY t_i ON t (id);"),
    ("0002.index.rollback.sql", "DROP INDEX t_i;"), ("README.md", "x")])]
#[case(Layout::Liquibase, &[("db.changelog-1.0.sql", "--liquibase formatted sql\n\n--changeset ann:make\nCREATE TABLE t (id integer PRIMARY KEY);\n--rollback DROP TABLE t;\n\n\
    --changeset ann:index runInTransaction:false\n--comment: an index\nCREATE INDEX CONCURRENTLY t_i ON t (id);\n/* liquibase rollback\nDROP INDEX t_i;\n*/\n\n\
    --changeset bob:elsewhere dbms:mysql\nCREATE TABLE m (id int) ENGINE=x;\n"), ("notes.txt", "x")])]
#[case(Layout::Sqitch, &[("sqitch.plan", "%syntax-version=1.0.0\n%project=x\n\nmake 2024-01-01T00:00:00Z Ann <a@x>\n@v1 2024-01-01T00:00:01Z Ann <a@x>\nindex [make] 2024-01-02T00:00:00Z Ann <a@x>\n"),
    ("deploy/make.sql", "BEGIN;\nCREATE TABLE t (id integer PRIMARY KEY);\nCOMMIT;"), ("revert/make.sql", "BEGIN;\nDROP TABLE t;\nCOMMIT;"),
    ("deploy/index.sql", "CREATE INDEX t_i ON t (id);"), ("revert/index.sql", "DROP INDEX t_i;"), ("verify/make.sql", "SELECT id FROM t WHERE false;")])]
#[tokio::test]
async fn a_chain_of_another_tool_is_proven(#[case] layout: Layout, #[case] files: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    assert_eq!(Layout::detect(folder.path()), layout);
    let set = MigrationFolder::new(folder.path(), layout).load().unwrap();
    assert_eq!(set.len(), 2);
    let report = proof::prove(&set, &CodeMigrations::none(), &Proof::default(), &mut |_| {}).await.unwrap();
    for proven in &report.migrations {
        for law in [Law::Identity, Law::Reapply, Law::Path] {
            assert!(matches!(proven.laws[&law], Verdict::Holds), "{} {law}: {:?}", proven.name, proven.laws[&law]);
        }
    }
}

/// Tools without down scripts: their chains are read and applied, and nobody says that anything was declared.
#[rstest]
#[case(Layout::Prisma, &[("20240101000000_make/migration.sql", UP), ("20240102000000_index/migration.sql", "CREATE INDEX t_i ON t (id);"),
    ("migration_lock.toml", "provider = \"postgresql\"")])]
#[case(Layout::Drizzle, &[("meta/_journal.json", r#"{"entries": [{"idx": 0, "when": 1, "tag": "0000_make"}, {"idx": 1, "when": 2, "tag": "0001_index"}]}"#),
    ("0000_make.sql", "CREATE TABLE t (id integer PRIMARY KEY);\n--> statement-breakpoint\nSELECT 1;"), ("0001_index.sql", "CREATE INDEX t_i ON t (id)"), ("0002_not_listed.sql", "x")])]
#[case(Layout::GraphileMigrate, &[("committed/000001.sql", "--! Previous: -\n--! Hash: sha1:x\n\nCREATE TABLE t (id integer PRIMARY KEY);"),
    ("committed/000002-index.sql", "--! Previous: sha1:x\n--! no-transaction\nCREATE INDEX CONCURRENTLY t_i ON t (id);"), ("current.sql", "x")])]
#[case(Layout::Supabase, &[("supabase/migrations/20240101000000_make.sql", UP), ("supabase/migrations/20240102000000_index.sql", "CREATE INDEX t_i ON t (id);")])]
#[case(Layout::Atlas, &[("20240101000000_make.sql", UP), ("20240102000000.sql", "-- atlas:txmode none\n\nCREATE INDEX CONCURRENTLY t_i ON t (id);"), ("atlas.sum", "h1:x")])]
#[case(Layout::Refinery, &[("V1__make.sql", UP), ("U2__index.sql", "CREATE INDEX t_i ON t (id);"), ("mod.rs", "")])]
#[tokio::test]
async fn a_chain_without_down_scripts_is_applied(#[case] layout: Layout, #[case] files: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    let inside = folder.path().join("supabase/migrations");
    let path = if inside.is_dir() { inside } else { folder.path().to_owned() };
    assert_eq!(Layout::detect(&path), layout);
    let set = MigrationFolder::new(&path, layout).load().unwrap();
    assert!(set.len() == 2 && set.iter().all(|one| one.is_up_only()), "{set:?}");
    let report = proof::prove(&set, &CodeMigrations::none(), &Proof::default(), &mut |_| {}).await.unwrap();
    for proven in &report.migrations {
        assert!(proven.laws.values().all(|verdict| !verdict.is_broken()), "{}: {:?}", proven.name, proven.laws);
    }
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// The findings of a folder, as codes with file names.
fn findings(folder: &MigrationFolder) -> Vec<String> {
    let error = folder.load().unwrap_err();
    let one = |finding: &migrate_core::Finding| {
        let path = finding.place.as_ref().map(|place| place.path().strip_prefix(&folder.path).unwrap_or(place.path()));
        format!("{} {}", finding.code.as_str(), path.unwrap_or(Path::new("")).display())
    };
    error.findings().iter().map(one).collect()
}

/// What Liquibase reads and we cannot is named with its line.
#[test]
fn a_changeset_that_needs_liquibase_is_named() {
    let head = "--liquibase formatted sql\n";
    for (text, line) in [
        ("--changeset a:1 runOnChange:true\nSELECT 1;\n", 2),
        ("--changeset a:1 context:test\nSELECT 1;\n", 2),
        ("--changeset a:1 endDelimiter:GO\nSELECT 1 GO\n", 2),
        ("--changeset a:1\n--preconditions onFail:MARK_RAN\nSELECT 1;\n", 3),
        ("--changeset a:1\nSELECT 1;\n--rollback changesetId:0 changesetAuthor:a\n", 4),
        ("--property name:x value:y\n--changeset a:1\nSELECT 1;\n", 2),
        ("--changeset a:1 runAlways:\"TRUE\"\nSELECT 1;\n", 2),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("1_a.sql", &format!("{head}{text}"))]);
        let error = MigrationFolder::new(folder.path(), Layout::Liquibase).load().unwrap_err();
        let [finding] = error.findings() else { panic!("{text}: {error}") };
        let place = finding.place.as_ref().unwrap().line_column();
        assert_eq!((finding.code.as_str(), place), ("foreign-input", Some((line, 1))), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("changelog.sql", head), ("1_a.sql", "SELECT 1;"), ("master.yaml", "databaseChangeLog:")]);
    let found = findings(&MigrationFolder::new(folder.path(), Layout::Liquibase));
    assert_eq!(found, ["no-marker 1_a.sql", "file-name changelog.sql", "foreign-input master.yaml"]);
}

/// Flyway can be told another prefix, so a file without one is no file to pass over; two folders may be for two
/// databases.
#[test]
fn a_flyway_file_that_is_not_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[("V1__a.sql", "SELECT 1;"), ("all/20220803__b.sql", "SELECT 2;"), ("dev/V1__c.sql", "SELECT 3;")],
    );
    let mut read = MigrationFolder::new(folder.path(), Layout::Flyway);
    assert_eq!(findings(&read), ["file-name all/20220803__b.sql", "version-twice dev/V1__c.sql"]);
    read.skip = ["all", "dev"].map(str::to_owned).to_vec();
    assert_eq!(read.load().unwrap().len(), 1);
    // Without any, the prefix is empty.
    read.skip = ["V1__a.sql", "dev"].map(str::to_owned).to_vec();
    assert_eq!(read.load().unwrap().last().unwrap().version().as_str(), "20220803");
}

/// What a tool would run and we cannot is named, each file of it, unless it is left out on purpose.
#[rstest]
#[case(Layout::Flyway, &["afterMigrate.sql", "2024/beforeEachMigrate__x.sql", "B5__base.sql"], "V1__a.sql")]
#[case(Layout::Yoyo, &["post-apply.sql"], "0001.a.sql")]
fn what_the_tool_would_run_is_named(#[case] layout: Layout, #[case] files: &[&str], #[case] plain: &str) {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<(&str, &str)> = files.iter().chain([&plain]).map(|name| (*name, "SELECT 1;")).collect();
    write(folder.path(), &all);
    let mut read = MigrationFolder::new(folder.path(), layout);
    let mut expected: Vec<String> = files.iter().map(|name| format!("foreign-input {name}")).collect();
    expected.sort();
    let mut found = findings(&read);
    found.sort();
    assert_eq!(found, expected);
    read.skip = files.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(read.load().unwrap().len(), 1);
    read.skip.push("gone.sql".to_owned());
    assert_eq!(findings(&read), ["skip-unknown "]);
}

/// A migration in another language has its place in the chain, and the chain stops there.
#[rstest]
#[case(Layout::Goose, &[("1_a.sql", "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 1;"), ("2_b.go", "package x"), ("2_b_test.go", "x"), ("3_c.sql", "-- +goose Up\nSELECT 1;")], "Go")]
#[case(Layout::Flyway, &[("V1__a.sql", "SELECT 1;"), ("V2__b.java", "x"), ("V3__c.sql", "SELECT 1;")], "Java")]
#[case(Layout::NodePgMigrate, &[("1_a.sql", "-- Up Migration\nSELECT 1;"), ("2_b.ts", "x"), ("2_b.d.ts", "x"), ("3_c.sql", "SELECT 1;")], "TypeScript")]
#[case(Layout::Yoyo, &[("1.a.sql", "SELECT 1;"), ("2.b.py", "x"), ("3.c.sql", "SELECT 1;")], "Python")]
#[case(Layout::Postgrator, &[("1.do.a.sql", "SELECT 1;"), ("2.do.b.js", "x"), ("3.do.c.sql", "SELECT 1;")], "JavaScript")]
#[tokio::test]
async fn the_chain_stops_at_another_language(
    #[case] layout: Layout,
    #[case] files: &[(&str, &str)],
    #[case] language: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    let set = MigrationFolder::new(folder.path(), layout).load().unwrap();
    assert_eq!(set.iter().map(|one| one.language()).collect::<Vec<_>>(), [None, Some(language), None]);
    let database = migrate_test::TestDatabase::create().await.unwrap();
    let mut migrator = migrate_core::Migrator::connect(&database.url(), set.clone()).await.unwrap();
    let error = migrator.run(&migrate_core::Target::Latest, migrate_core::RunPolicy::default()).await.unwrap_err();
    let told = error.findings().iter().map(|one| one.message.clone()).collect::<Vec<_>>().join("; ");
    assert!(told.contains(&format!("written in {language}, and the chain stops there")), "{told}");
    assert!(!migrator.state().await.unwrap().has_ledger());
    let first = migrate_core::Target::UpTo(set.iter().next().unwrap().version().clone());
    migrator.run(&first, migrate_core::RunPolicy::default()).await.unwrap();
    assert_eq!(migrator.state().await.unwrap().applied().count(), 1);
    migrator.close().await;
    database.drop_now().await.unwrap();
}

/// A file that is read as an up script only, and says where its down script begins, is not run.
#[rstest]
#[case(Layout::Sqlx, "1_a.sql", "CREATE TABLE t (a int);\n-- Down Migration\nDROP TABLE t;\n")]
#[case(Layout::Sqlx, "1_a.sql", "CREATE TABLE t (a int);\n---- create above / drop below ----\nDROP TABLE t;\n")]
#[case(Layout::Sqlx, "1_a.sql", "CREATE TABLE t (a int);\n-- //@UNDO\nDROP TABLE t;\n")]
#[case(Layout::Sqlx, "1_a.sql", "-- rambler up\nCREATE TABLE t (a int);\n-- rambler down\nDROP TABLE t;\n")]
#[case(Layout::Sqlx, "1_a.sql", "-- ==== UP ====\nCREATE TABLE t (a int);\n-- ==== DOWN ====\nDROP TABLE t;\n")]
#[case(Layout::Sqlx, "1_a.sql", "-- +goose Up\nCREATE TABLE t (a int);\n-- +goose Down\nDROP TABLE t;\n")]
#[case(Layout::Flyway, "V1__a.sql", "CREATE TABLE t (a int);\n-- rollback\nDROP TABLE t;\n")]
#[case(Layout::Prisma, "1_a/migration.sql", "CREATE TABLE t (a int);\n-- down\nDROP TABLE t;\n")]
fn a_down_script_inside_an_up_script_is_refused(#[case] layout: Layout, #[case] name: &str, #[case] text: &str) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[(name, text)]);
    assert_eq!(findings(&MigrationFolder::new(folder.path(), layout)), [format!("down-inside {name}")]);
}

#[test]
fn a_misspelt_marker_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("1_a.sql", "-- +goose Up\nSELECT 1;\n-- +goose Dwon\nSELECT 2;\n")]);
    let found = findings(&MigrationFolder::new(folder.path(), Layout::Goose));
    assert!(found.contains(&"marker-unknown 1_a.sql".to_owned()), "{found:?}");
}

/// Placeholders get the values of `migrate.toml`; the text that runs has no placeholder left.
#[test]
fn placeholders_have_values() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("V1__a.sql", "SELECT '${env_name}';\n"), ("V2__b.sql", "SELECT 2;\n")]);
    let mut read = MigrationFolder::new(folder.path(), Layout::Flyway);
    assert_eq!(findings(&read), ["placeholder-value V1__a.sql"]);
    read.placeholders.insert("env_name".to_owned(), "prod".to_owned());
    let set = read.load().unwrap();
    assert_eq!(&**set.iter().next().unwrap().up_script().unwrap().text(), "SELECT 'prod';\n");
}

/// A tool that compares versions as text may run them in another order than by number.
#[test]
fn an_order_that_is_not_that_of_the_versions_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("2_b/up.sql", "SELECT 1;"), ("10_c/up.sql", "SELECT 1;"), ("1_a/up.sql", "SELECT 1;")]);
    assert_eq!(findings(&MigrationFolder::new(folder.path(), Layout::Diesel)), ["version-order 2_b/up.sql"]);
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
    let set = MigrationFolder::new(folder.path(), Layout::detect(folder.path())).load().unwrap();
    let report = proof::prove(&set, &CodeMigrations::none(), &Proof::default(), &mut |_| {}).await.unwrap();
    let broken: Vec<_> = report.migrations.iter().filter(|one| one.laws[&Law::Identity].is_broken()).collect();
    assert!(broken.is_empty(), "{:?}", broken[0].laws[&Law::Identity]);
}

#[test]
fn a_migration_without_a_down_is_irreversible() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("1_make.sql"), UP).unwrap();
    let set = MigrationFolder::new(folder.path(), Layout::Sqlx).load().unwrap();
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
    assert!(MigrationFolder::new(folder.path(), Layout::Roundtrip).load().is_err());
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
    let set = MigrationFolder::new(folder.path(), Layout::SqlMigrate).load().unwrap();
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
    let error = MigrationFolder::new(folder.path(), Layout::Goose).load().unwrap_err();
    let [finding] = error.findings() else { panic!("{:?}", error.findings()) };
    assert_eq!(finding.code.as_str(), "version-twice");
    assert!(finding.help.iter().all(|help| !help.contains("rebase")), "{:?}", finding.help);
}
