//! What a script can do besides running: save what it destroys, and say who blocks it.

use crate::runbook::{psql, tables, three, version};
use crate::support::{ProgramOutput, Project, said};

/// Runs the script of a project with these variables.
fn run(project: &Project, variables: &[&str]) -> ProgramOutput {
    let given = variables.iter().flat_map(|variable| ["-v", variable]);
    let arguments: Vec<&str> = given.chain(["-f", "script.sql"]).collect();
    said(psql(project, &arguments).output().unwrap())
}

fn script(project: &Project, arguments: &[&str]) {
    project.run(&[&["runbook", "-o", "script.sql"], arguments].concat()).ok();
}

#[test]
fn what_a_script_destroys_is_saved_where_that_is_wanted() {
    let project = three();
    project.migration(
        4,
        "loses",
        "CREATE TABLE \"Odd.Name\" (id int); ALTER TABLE a ADD note text;",
        "DO $$ BEGIN DROP TABLE \"Odd.Name\"; END $$; ALTER TABLE A DROP note;",
    );
    project.run(&["migrate"]).ok();
    project.query("INSERT INTO \"Odd.Name\" VALUES (1); INSERT INTO a VALUES (7, 'kept')");
    script(&project, &["-n", "2"]);
    let head = std::fs::read_to_string(project.path().join("script.sql")).unwrap();
    assert!(head.contains("-v save=1"), "{head}");
    let done = run(&project, &["save=1"]).ok();
    assert!(!done.err.contains("transaction in progress"), "{done:?}");
    assert_eq!(tables(&project), ["a", "b"]);
    let copy =
        |number, name: &str| project.query(&format!("SELECT s::text FROM saved_{}.\"{name}\" s", version(number)));
    assert_eq!(copy(4, "public.Odd.Name"), ["(1)"]);
    assert_eq!(copy(4, "public.a"), ["(7,kept)"]);
    assert_eq!(copy(3, "public.c"), Vec::<String>::new());
    // Without the variable nothing is saved; everything else is the same.
    project.query(&format!("DROP SCHEMA saved_{0} CASCADE; DROP SCHEMA saved_{1} CASCADE", version(4), version(3)));
    project.run(&["migrate"]).ok();
    script(&project, &["-n", "2"]);
    run(&project, &[]).ok();
    assert_eq!(project.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'saved%'"), ["0"]);
    project.run(&["migrate"]).ok();
    project.run(&["status", "--exit-code"]).ok();
    // With --keep-data there is nothing to save.
    script(&project, &["--keep-data"]);
    assert!(!std::fs::read_to_string(project.path().join("script.sql")).unwrap().contains("save=1"));
    project.end();
}

#[test]
fn a_way_back_that_fails_leaves_no_copy() {
    let project = three();
    project.query("CREATE VIEW in_the_way AS SELECT * FROM c");
    script(&project, &[]);
    let failed = run(&project, &["save=1"]);
    assert!(failed.code == 3 && failed.err.contains("in_the_way"), "{failed:?}");
    assert_eq!(project.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'saved%'"), ["0"]);
    assert_eq!(project.run(&["status", "--format", "json"]).ok().json()["version"], version(3));
    project.end();
}

#[test]
fn a_way_back_without_a_transaction_is_saved_before_it_begins() {
    let project = Project::new();
    let down = "-- migrate: no-transaction\nDROP INDEX CONCURRENTLY t_a;\nDROP TABLE t;";
    project.migration(1, "it", "CREATE TABLE t (a int); CREATE INDEX t_a ON t (a);", down);
    project.run(&["migrate"]).ok();
    project.query("INSERT INTO t VALUES (5)");
    script(&project, &[]);
    run(&project, &["save=1"]).ok();
    assert_eq!(project.query(&format!("SELECT a FROM saved_{}.\"public.t\"", version(1))), ["5"]);
    project.end();
}

#[test]
fn a_script_says_who_is_in_the_way_after_a_lock_timeout() {
    let project = three();
    project.write("migrate.toml", "[environments.development]\nlock_timeout = \"100ms\"\n");
    script(&project, &[]);
    let other = project.hold("BEGIN; SELECT 'other' FROM b");
    let holder = project.hold("BEGIN; SELECT 'mine' FROM c");
    let failed = run(&project, &[]);
    assert!(failed.code == 3 && failed.err.contains("lock timeout"), "{failed:?}");
    let rows = project.query("SELECT count(*) FROM roundtrip.ledger");
    let shown = run(&project, &["blockers=1"]).ok();
    let (mine, other_one) = (shown.out.find("'mine'").unwrap(), shown.out.find("'other'").unwrap());
    assert!(mine < other_one && shown.out.contains("c AccessShareLock"), "{shown:?}");
    assert_eq!((project.query("SELECT count(*) FROM roundtrip.ledger"), tables(&project).len()), (rows, 3));
    drop((holder, other));
    run(&project, &[]).ok();
    project.end();
}
