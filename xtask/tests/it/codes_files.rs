//! The codes of files: a folder, a migration, a seed or a script of a shadow database that is not what it should be.
//! The place is shown, nothing is run, and no file is changed.

use std::fs;
use std::os::unix::fs::symlink;

use crate::codes::{ProjectState, failed, found, help, is_at, refused, refused_by};
use crate::repository::Repository;
use crate::support::{Project, said};

/// A project with one good migration that is not applied yet.
fn project() -> Project {
    let project = Project::new();
    project.migration(1, "good", "CREATE TABLE good (id int);\n", "DROP TABLE good;\n");
    project
}

#[test]
fn a_folder_that_is_not_a_chain_is_refused_before_anything_runs() {
    type Spoil = fn(&Project);
    let cases: [(&str, &str, Spoil); 6] = [
        ("folder-inside", "migrations/old", |project| fs::create_dir(project.path().join("migrations/old")).unwrap()),
        ("file-unreadable", "_gone.up.sql", |project| {
            project.migration(2, "gone", "SELECT 1;\n", "SELECT 1;\n");
            let path = project.path().join("migrations/20250101000002_gone.up.sql");
            fs::remove_file(&path).unwrap();
            symlink("nowhere.sql", path).unwrap();
        }),
        ("file-unreadable", "_gone.down.sql", |project| {
            project.migration(2, "gone", "SELECT 1;\n", "SELECT 1;\n");
            let path = project.path().join("migrations/20250101000002_gone.down.sql");
            fs::remove_file(&path).unwrap();
            symlink("nowhere.sql", path).unwrap();
        }),
        ("down-unexpected", "_never.down.sql", |project| {
            project.migration(2, "never", "-- migrate: irreversible it is a test\nSELECT 1;\n", "SELECT 1;\n");
        }),
        ("both-kinds", "_two.up.sql", |project| {
            project.migration(2, "two", "SELECT 1;\n", "SELECT 1;\n");
            project.write("migrations/20250101000002_two.rs", "//! The same in Rust.\n");
        }),
        ("verify-not-one", "_checked.verify.sql:2:3", |project| {
            project.migration(2, "checked", "SELECT 1;\n", "SELECT 1;\n");
            let queries = "SELECT 1 WHERE false;\n  SELECT 2 WHERE false;\n";
            project.write("migrations/20250101000002_checked.verify.sql", queries);
        }),
    ];
    for (code, place, spoil) in cases {
        let project = project();
        spoil(&project);
        // A command that only reads reports the same.
        for command in ["migrate", "status", "rollback"] {
            let finding = refused(&project, &[command], (3, code, place));
            assert_ne!(help(&finding), "", "{code}");
        }
        project.end();
    }
}

#[test]
fn a_folder_of_another_tool_that_is_not_a_chain_is_refused_before_anything_runs() {
    for (layout, marker) in [("dbmate", "-- migrate:up"), ("goose", "-- +goose Up"), ("sql-migrate", "-- +migrate Up")]
    {
        let project = Project::new();
        project.write("migrations/20250101000001_good.sql", format!("{marker}\nCREATE TABLE good ();\n"));
        project.write("migrations/20250101000002_bad.sql", "CREATE TABLE bad ();\n");
        let migrate = ["migrate", "--layout", layout];
        let finding = refused(&project, &migrate, (3, "no-marker", "20250101000002_bad.sql"));
        assert!(finding["message"].as_str().unwrap().contains(layout), "{finding:#}");
        fs::remove_file(project.path().join("migrations/20250101000002_bad.sql")).unwrap();
        symlink("nowhere.sql", project.path().join("migrations/20250101000002_gone.sql")).unwrap();
        refused(&project, &migrate, (3, "file-unreadable", "20250101000002_gone.sql"));
        project.end();
    }
}

/// A seed is run completely or not at all.
#[test]
fn a_seed_that_cannot_be_run_leaves_no_row() {
    let project = project();
    project.run(&["migrate"]).ok();
    project.write("latin.sql", b"INSERT INTO good VALUES (1); -- \xfc\n");
    project.write("empty.sql", "-- Later.\n");
    let rows = "INSERT INTO good VALUES (1);\nINSERT INTO good VALUES (2), ('x');\n";
    project.write("wrong.sql", rows);
    for (file, exit, code, place) in [
        ("nowhere.sql", 3, "seed-unreadable", "nowhere.sql"),
        ("migrations", 3, "seed-unreadable", "migrations"),
        ("latin.sql", 3, "seed-unreadable", "latin.sql"),
        ("empty.sql", 3, "seed-empty", "empty.sql"),
        ("wrong.sql", 1, "seed-failed", "wrong.sql:2:31"),
    ] {
        refused(&project, &["seed", file], (exit, code, place));
        assert_eq!(project.query("SELECT count(*) FROM good"), ["0"], "{code}");
    }
    project.end();
}

#[test]
fn a_seed_is_for_an_unprotected_database_with_the_newest_schema() {
    let project = project();
    project.write("rows.sql", "INSERT INTO good VALUES (1);\n");
    let finding = refused(&project, &["seed", "rows.sql"], (1, "pending", ""));
    assert!(finding["message"].as_str().unwrap().contains("20250101000001_good"), "{finding:#}");
    project.run(&["migrate"]).ok();
    project.write("migrate.toml", "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nprotected = true\n");
    for command in [&["seed", "rows.sql"][..], &["db", "down"], &["db", "down", "--destroy"]] {
        let finding = refused(&project, &[command, &["--env", "live"]].concat(), (2, "protected", ""));
        assert!(finding["message"].as_str().unwrap().starts_with("live is protected"), "{finding:#}");
    }
    assert_eq!(project.query("SELECT count(*) FROM good"), ["0"]);
    // The environments of a project have one managed server.
    project.write("migrate.toml", "[environments.staging]\ndatabase = \"local\"\nprotected = true\n");
    for command in [&["db", "down"][..], &["db", "down", "--destroy"]] {
        let json = [command, &["--format", "json"]].concat();
        let finding = refused_by(&project, (2, "protected", ""), || project.run_bare(&json));
        assert!(finding["message"].as_str().unwrap().starts_with("staging is protected"), "{finding:#}");
    }
    project.end();
}

#[test]
fn a_script_for_shadow_databases_that_cannot_be_run_is_pointed_at() {
    let project = project();
    project.write("migrate.toml", "[shadow]\nsetup = [\"nowhere.sql\"]\n");
    let unreadable = refused(&project, &["verify", "--all"], (2, "shadow-setup", "migrate.toml"));
    assert!(unreadable["message"].as_str().unwrap().contains("nowhere.sql"), "{unreadable:#}");
    project.write("migrate.toml", "[shadow]\nsetup = [\"host.sql\"]\n");
    project.write("host.sql", "CREATE SCHEMA host;\nCREATE TABLE host.users (id nosuchtype);\n");
    let refused = refused(&project, &["verify", "--all"], (1, "shadow-setup", "host.sql:2:29"));
    assert!(refused["message"].as_str().unwrap().contains("nosuchtype"), "{refused:#}");
    project.end();
}

#[test]
fn a_schema_file_that_cannot_be_read_is_no_empty_schema() {
    let project = project();
    project.write("latin.sql", b"CREATE TABLE a (b int); -- \xfc\n");
    for file in ["file:nowhere.sql", "file:latin.sql", "file:migrations"] {
        for sides in [["migrations", file], [file, "migrations"]] {
            let finding = refused(&project, &[&["diff"][..], &sides].concat(), (2, "schema-unreadable", ""));
            assert!(finding["message"].as_str().unwrap().contains(&file[5..]), "{finding:#}");
        }
    }
    project.end();
}

#[test]
fn a_rule_that_does_not_exist_is_not_given_a_weight() {
    let project = project();
    project.write("migrate.toml", "[lint]\nban-drop-colum = \"error\"\n");
    let said = project.run(&["lint", "--all", "--no-server", "--format", "json"]);
    assert_eq!(said.code, 3, "{said:?}");
    let finding = found(&said, "lint-unknown");
    is_at(&finding, "migrate.toml");
    assert_eq!(
        (finding["severity"].as_str(), help(&finding).as_str()),
        (Some("error"), "did you mean ban-drop-column?")
    );
    project.end();
}

#[test]
fn a_file_that_cannot_be_written_leaves_nothing_behind() {
    let project = project();
    project.write("file", "it is not a folder\n");
    for arguments in [&["new", "more", "--migrations", "file/migrations"][..], &["ci", "--sarif", "nowhere/ci.sarif"]] {
        let finding = refused(&project, arguments, (1, "file-unwritable", ""));
        assert_ne!(help(&finding), "", "{finding:#}");
    }
    project.end();
}

/// Only the layout of this tool can be read from memory; the files of others are written to a temporary folder. Without
/// one, nothing is known about the base branch, and no check that needs it passes.
#[test]
fn a_temporary_folder_that_cannot_be_made_is_told() {
    let repository = Repository::branched();
    repository.0.write("migrations/20250101000003_more.up.sql", "CREATE TABLE more ();\n");
    repository.0.write("migrations/20250101000003_more.down.sql", "DROP TABLE more;\n");
    let run = |check: &str| {
        let mut command = repository.0.command(&[check, "--layout", "sqlx", "--format", "json"]);
        said(command.env("TMPDIR", repository.0.path().join("nowhere")).output().unwrap())
    };
    let finding = refused_by(&repository.0, (2, "temporary-folder", ""), || run("lint"));
    assert!(help(&finding).contains("TMPDIR"), "{finding:#}");
    // What could be checked was checked, and the rest is no success.
    let before = ProjectState::of(&repository.0);
    let ci = run("ci");
    assert_eq!((ci.code, ProjectState::of(&repository.0)), (1, before), "{ci:?}");
    let checks = ci.json()["checks"].as_array().unwrap().clone();
    let code = |name: &str| {
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        check["findings"][0]["code"].as_str().map(str::to_owned)
    };
    assert_eq!(code("released").as_deref(), Some("temporary-folder"), "{ci:?}");
    assert_eq!(code("proof"), None, "{ci:?}");
    repository.0.end();
}

#[test]
fn a_code_that_does_not_exist_is_not_explained() {
    let project = Project::new();
    for (code, near) in [("down-mising", "down-missing"), ("qqqqqqqqqqqq", "lists the codes")] {
        let said = project.run_bare(&["explain", code, "--format", "json"]);
        let finding = failed(&said, (2, "unknown-code", ""));
        assert!(help(&finding).contains(near), "{finding:#}");
    }
    project.end();
}
