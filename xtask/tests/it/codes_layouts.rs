//! The codes of files of other tools.

use std::fs;

use crate::codes::refused;
use crate::support::Project;

/// A folder with these files, and the options to read it as this layout.
fn folder(files: &[(&str, &str)]) -> Project {
    let project = Project::new();
    for (name, text) in files {
        let path = project.path().join("migrations").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    project
}

#[test]
fn what_cannot_be_read_as_the_tool_reads_it_is_refused() {
    let up = "-- +goose Up\nSELECT 1;\n";
    for (layout, file, text, code, at) in [
        (
            "sqlx",
            "1_a.sql",
            "CREATE TABLE t (a int);\n-- Down Migration\nDROP TABLE t;\n",
            "down-inside",
            "migrations/1_a.sql:2:1",
        ),
        (
            "goose",
            "1_a.sql",
            "-- +goose Up\nSELECT 1;\n-- +goose Dwon\nSELECT 2;\n",
            "marker-unknown",
            "migrations/1_a.sql:3:1",
        ),
        ("flyway", "B2__base.sql", "SELECT 1;\n", "foreign-input", "migrations/B2__base.sql"),
        ("flyway", "V1__a.sql", "SELECT '${env_name}';\n", "placeholder-value", "migrations/V1__a.sql:1:9"),
        (
            "goose",
            "1_a.sql",
            "-- +goose Up\n-- +goose ENVSUB ON\nSELECT $REGION;\n",
            "placeholder-value",
            "migrations/1_a.sql:3:8",
        ),
    ] {
        let project = folder(&[(file, text)]);
        let finding = refused(&project, &["migrate", "--layout", layout], (3, code, at));
        assert!(finding["help"].as_array().is_some_and(|help| !help.is_empty()), "{finding:#}");
        assert!(project.query("SELECT nspname::text FROM pg_namespace WHERE nspname = 'roundtrip'").is_empty());
        project.end();
    }
    let project = folder(&[("1_a.sql", up), ("2_b.sql", up)]);
    project.write("migrate.toml", "layout = \"goose\"\nskip = [\"3_c.go\"]\n");
    refused(&project, &["migrate"], (3, "skip-unknown", "migrations"));
    project.end();
    let project = folder(&[("10_c/up.sql", "SELECT 1;"), ("2_b/up.sql", "SELECT 1;")]);
    refused(&project, &["migrate", "--layout", "diesel"], (3, "version-order", "migrations/2_b/up.sql"));
    project.end();
    let project = folder(&[("20240101000000_a.js", "exports.up = () => {};")]);
    refused(&project, &["migrate"], (3, "other-tool", "migrations"));
    project.end();
}

/// A function body with a line that looks like a marker cannot be written in the form of that tool.
#[test]
fn what_could_not_be_read_again_is_not_written() {
    let project = folder(&[]);
    project.write("migrate.toml", "layout = \"goose\"\n");
    project.query(
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT '
-- +goose Down
'; $$",
    );
    let written = project.run(&["baseline"]);
    assert!(written.code != 0 && written.err.contains("could not be read again"), "{written:?}");
    assert_eq!(fs::read_dir(project.path().join("migrations")).unwrap().count(), 0);
    project.end();
}

/// A new migration has the form of the folder, and goes up and down.
#[test]
fn a_new_migration_has_the_form_of_the_folder() {
    for (layout, file, text) in [
        ("goose", "00007_a.sql", "-- +goose Up\nCREATE TABLE t (a int);\n-- +goose Down\nDROP TABLE t;\n"),
        ("dbmate", "20240101000000_a.sql", "-- migrate:up\nCREATE TABLE t (a int);\n-- migrate:down\nDROP TABLE t;\n"),
        ("tern", "001_a.sql", "CREATE TABLE t (a int);\n---- create above / drop below ----\nDROP TABLE t;\n"),
        ("diesel", "2024-01-01-000000_a/up.sql", "CREATE TABLE t (a int);\n"),
        ("flyway", "V1__a.sql", "CREATE TABLE t (a int);\n"),
        ("prisma", "20240101000000_a/migration.sql", "CREATE TABLE t (a int);\n"),
    ] {
        let project = folder(&[(file, text)]);
        project.write("migrate.toml", format!("layout = \"{layout}\"\n"));
        project.run(&["migrate"]).ok();
        project.run(&["new", "add_b", "--add-column", "t.b:text:null"]).ok();
        project.run(&["migrate"]).ok();
        assert_eq!(
            project.query("SELECT attname::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum = 2"),
            ["b"],
            "{layout}"
        );
        assert!(project.run(&["status"]).ok().out.contains("2 applied, 0 pending"), "{layout}");
        project.end();
    }
}

/// Missing down scripts are derived where the tool has files for them, and the chain goes down by them.
#[test]
fn missing_down_scripts_are_written_beside_the_files() {
    for (layout, files, downs) in [
        ("flyway", ["V1__a.sql", "2024/V2__b.sql"], &["U1__a.sql", "2024/U2__b.sql"][..]),
        ("golang-migrate", ["000001_a.up.sql", "000002_b.up.sql"], &["000001_a.down.sql", "000002_b.down.sql"]),
        ("diesel", ["2024-01-01-000000_a/up.sql", "2024-01-02-000000_b/up.sql"], &["2024-01-01-000000_a/down.sql"]),
        ("postgrator", ["001.do.a.sql", "002.do.b.sql"], &["001.undo.a.sql"]),
        ("yoyo", ["0001.a.sql", "0002.b.sql"], &["0001.a.rollback.sql"]),
    ] {
        let project = folder(&[(files[0], "CREATE TABLE t (a int);\n"), (files[1], "ALTER TABLE t ADD b text;\n")]);
        project.write("migrate.toml", format!("layout = \"{layout}\"\n"));
        project.run(&["derive"]).ok();
        assert!(downs.iter().all(|name| project.path().join("migrations").join(name).is_file()), "{layout}");
        project.run(&["migrate"]).ok();
        project.run(&["rollback", "--all", "--yes"]).ok();
        assert!(project.query("SELECT relname::text FROM pg_class WHERE relname = 't'").is_empty(), "{layout}");
        assert!(project.run(&["derive"]).ok().out.contains("nothing to do"), "{layout}");
        project.end();
    }
    let project = folder(&[("20240101000000_a/migration.sql", "CREATE TABLE t (a int);\n")]);
    project.write("migrate.toml", "layout = \"prisma\"\n");
    refused(&project, &["derive"], (2, "layout", ""));
    project.end();
}
