//! `audit`: the record of DDL from the command line.

use crate::support::Project;

fn project() -> Project {
    let project = Project::new();
    project.migration(1, "orders", "CREATE TABLE orders (id int, note text);", "DROP TABLE orders;");
    project
}

#[test]
fn it_is_installed_shown_filtered_and_taken_away() {
    let project = project();
    let early = project.run(&["audit", "install"]);
    assert!(early.code == 1 && early.err.contains("error[no-ledger]"), "{early:?}");
    project.run(&["migrate"]).ok();
    assert!(project.run(&["audit"]).ok().out.contains("never recorded"));
    let never = project.run(&["audit", "show"]);
    assert!(never.code == 1 && never.err.contains("error[no-audit]"), "{never:?}");
    project.run(&["audit", "install"]).ok();
    project.query("CREATE TABLE stray (id int); CREATE INDEX by_note ON orders (note)");
    project.migration(2, "parcel", "CREATE TABLE parcel (id int);", "DROP TABLE parcel;");
    project.run(&["migrate"]).ok();
    let shown = project.run(&["audit", "show"]).ok().out;
    assert!(shown.contains("public.stray") && shown.contains("20250101000002_parcel"), "{shown}");
    let of = |more: &[&str]| {
        let said = project.run(&[&["audit", "show", "--format", "json"], more].concat()).ok();
        said.json()["records"].as_array().unwrap().len()
    };
    assert_eq!((of(&["--object", "stray"]), of(&["--object", "public.by_note"]), of(&["--object", "stra"])), (1, 1, 0));
    assert_eq!((of(&["-n", "2"]), of(&["--since", "1h"]) > 3, of(&["--since", "2001-01-01"]) > 3), (2, true, true));
    assert_eq!(project.run(&["audit", "show", "--since", "yesterday"]).code, 2);
    project.run(&["audit", "uninstall"]).ok();
    project.query("CREATE TABLE unseen (id int)");
    assert_eq!(of(&["--object", "unseen"]), 0);
    let status = project.run(&["audit", "status", "--format", "json"]).ok().json();
    assert_eq!((&status["recording"], &status["has_records"]), (&false.into(), &true.into()));
    project.run(&["audit", "uninstall", "--purge"]).ok();
    assert_eq!(project.query("SELECT count(*) FROM pg_class WHERE relname LIKE 'ledger_ddl%'"), ["0"]);
    project.end();
}

#[test]
fn a_protected_environment_is_asked_for() {
    let project = project();
    project.write("migrate.toml", "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nprotected = true\n");
    project.run_bare(&["migrate", "--env", "live", "--yes"]).ok();
    assert_eq!(project.run_bare(&["audit", "install", "--env", "live"]).code, 2);
    project.run_bare(&["audit", "install", "--env", "live", "--yes"]).ok();
    assert_eq!(project.run_bare(&["audit", "uninstall", "--env", "live"]).code, 2);
    project.end();
}
