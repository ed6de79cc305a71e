//! A database that only `--database` names: its purpose is unknown, so it is not treated as a development
//! database.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Project;

fn project() -> Project {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    project.migration(2, "b", "CREATE TABLE b (id int);\n", "DROP TABLE b;\n");
    std::fs::create_dir(project.path().join("seeds")).unwrap();
    project.write("seeds/development.sql", "INSERT INTO a VALUES (1);\nINSERT INTO b VALUES (1);\n");
    project
}

#[test]
fn it_gets_no_seed_and_no_hint_to_it_and_its_fingerprint_is_recorded() {
    let project = project();
    let name = project.query("SELECT current_database()").remove(0);
    let migrated = project.run_unnamed(&["migrate"]).ok();
    assert!(!migrated.out.contains("seed"), "{migrated:?}");
    assert_eq!(project.query("SELECT count(fingerprint) FROM roundtrip.ledger"), ["1"]);
    assert_eq!(project.run_unnamed(&["status", "--format", "json"]).ok().json()["environment"], name.as_str());
    let refused = project.run_unnamed(&["seed"]);
    assert!(refused.code == 2 && refused.err.contains("not-development"), "{refused:?}");
    assert_eq!(project.run_unnamed(&["seed", "seeds/development.sql"]).code, 2);
    assert_eq!(project.query("SELECT count(*) FROM a"), ["0"]);
    // If the environment is named, the address only replaces its own.
    project.run(&["seed"]).ok();
    assert_eq!(project.query("SELECT count(*) FROM a"), ["1"]);
    project.end();
}

#[test]
fn a_rollback_there_that_destroys_data_needs_a_yes_and_no_other_does() {
    let project = project();
    project.run_unnamed(&["migrate"]).ok();
    // The tables are still empty.
    project.run_unnamed(&["rollback"]).ok();
    project.run_unnamed(&["redo"]).ok();
    project.run_unnamed(&["migrate"]).ok();
    project.query("INSERT INTO b VALUES (1), (2)");
    for command in [&["rollback"][..], &["rollback", "--all"], &["redo"], &["rollback", "--format", "json"]] {
        let refused = project.run_unnamed(command);
        assert_eq!(refused.code, 2, "{refused:?}");
        let text = format!("{}{}", refused.out, refused.err);
        assert!(text.contains("needs-yes") && text.contains("--env development"), "{refused:?}");
    }
    let told = project.run_unnamed(&["rollback"]);
    assert!(told.err.contains("would be lost: public.b: 2 rows"), "{told:?}");
    assert_eq!(project.query("SELECT count(*) FROM b"), ["2"]);
    project.run_unnamed(&["rollback", "--dry-run"]).ok();
    project.run_unnamed(&["rollback", "--keep-data"]).ok();
    project.run_unnamed(&["migrate"]).ok();
    assert_eq!(project.query("SELECT count(*) FROM b"), ["2"]);
    project.run_unnamed(&["rollback", "--yes"]).ok();
    project.end();
}

/// A deploy job has nobody to ask, and what it finishes was confirmed when it began.
#[test]
fn an_interrupted_rollback_is_finished_by_the_next_migrate_without_a_question() {
    let project = Project::new();
    project.migration(1, "log", "CREATE TABLE log (n int); CREATE TABLE pause (s int);", "DROP TABLE log, pause;");
    let down = "-- migrate: no-transaction\nDELETE FROM log;\nSELECT pg_sleep(s) FROM pause;";
    project.migration(2, "rows", "INSERT INTO log VALUES (1), (2);", down);
    project.run_unnamed(&["migrate"]).ok();
    project.query("INSERT INTO pause VALUES (600)");
    let mut rollback = project.command(&["rollback", "--yes", "--database", "env:TEST_DATABASE_URL"]);
    let mut child = rollback.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let sleeping = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    while project.query(sleeping).is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    project.query("UPDATE pause SET s = 0");
    project.run_unnamed(&["migrate"]).ok();
    assert_eq!(project.query("SELECT count(*) FROM log"), ["2"]);
    project.end();
}

#[test]
fn the_settings_of_the_project_hold_for_it_and_those_of_an_environment_that_is_named_too() {
    let project = project();
    project.write(
        "migrate.toml",
        "[environments.development]\nledger = \"svc.ledger\"\nfingerprint = false\n\n\
         [environments.live]\ndatabase = \"env:NOT_SET\"\nledger = \"live.ledger\"\nprotected = true\n",
    );
    project.run_unnamed(&["migrate"]).ok();
    assert_eq!(project.query("SELECT count(fingerprint) FROM svc.ledger"), ["1"]);
    let live = ["--env", "live", "--database", "env:TEST_DATABASE_URL"];
    assert_eq!(project.run_bare(&[&["migrate"][..], &live].concat()).code, 2, "it is protected");
    let status = project.run_bare(&[&["status", "--format", "json"][..], &live].concat()).ok().json();
    assert_eq!((&status["environment"], &status["has_ledger"]), (&"live".into(), &false.into()));
    project.end();
}
