//! Commands that must not say, or do, anything that is not true.

use std::process::Stdio;

use crate::repository::Repository;
use crate::support::{Project, said};

fn pending() -> Project {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    project.migration(2, "b", "CREATE TABLE b (id int);\n", "DROP TABLE b;\n");
    project
}

fn two() -> Project {
    let project = pending();
    project.run(&["migrate"]).ok();
    project.query("INSERT INTO b VALUES (7)");
    project
}

#[test]
fn a_redo_undoes_nothing_that_it_cannot_apply_again() {
    let project = two();
    let edited = "migrations/20250101000001_a.up.sql";
    project.write(edited, "CREATE TABLE a (id bigint);\n");
    let refused = project.run(&["redo"]);
    assert!(refused.code == 3 && refused.err.contains("error[modified]"), "{refused:?}");
    project.write(edited, "CREATE TABLE a (id int);\n");
    for ending in ["up", "down"] {
        std::fs::remove_file(project.path().join(format!("migrations/20250101000002_b.{ending}.sql"))).unwrap();
    }
    for command in [&["redo"][..], &["redo", "--yes", "-n", "2"], &["redo", "--dry-run"]] {
        let refused = project.run(command);
        assert!(refused.code == 3 && refused.err.contains("error[missing-file]"), "{refused:?}");
    }
    assert_eq!(project.query("SELECT id FROM b"), ["7"]);
    let unknown = project.run(&["ensure", "20250101000009"]);
    assert!(
        unknown.err.contains("does not have 20250101000009") && !unknown.err.contains("xtask migrate"),
        "{unknown:?}"
    );
    project.end();
}

#[test]
fn none_is_no_number_of_migrations() {
    let project = Project::new();
    for command in ["migrate", "rollback", "redo", "runbook"] {
        let refused = project.run(&[command, "-n", "0"]);
        assert!(refused.code == 2 && refused.err.contains("1 or more"), "{refused:?}");
    }
    project.end();
}

#[test]
fn nothing_to_do_says_why() {
    let project = pending();
    project.run(&["migrate", "-n", "1"]).ok();
    let at = project.run(&["migrate", "--to", "20250101000001"]).ok();
    assert!(at.out.contains("is already at 20250101000001; 1 newer migration is pending"), "{at:?}");
    let off = project.run(&["audit", "uninstall"]).ok();
    assert!(off.out.contains("nothing to do: DDL in") && !off.out.contains("stopped"), "{off:?}");
    project.run(&["audit", "install"]).ok();
    let off = project.run(&["audit", "uninstall", "--purge"]).ok();
    assert!(off.out.contains("recording stopped") && off.out.contains("the records were dropped"), "{off:?}");
    for command in ["history", "audit show"] {
        let none = project.run(&[&command.split(' ').collect::<Vec<_>>()[..], &["-n", "0"]].concat());
        assert!(none.code == 2 && none.err.contains("1 or more"), "{none:?}");
    }
    project.end();
}

/// A next step that leads nowhere is not offered.
#[test]
fn a_next_step_is_one() {
    let project = pending();
    let first = project.run(&["migrate", "-n", "1"]).ok();
    assert!(first.out.contains("migrate --env") && !first.out.contains(" seed"), "{first:?}");
    assert!(project.run(&["doctor"]).ok().out.contains("applies the pending migrations"));
    let second = project.run(&["migrate"]).ok();
    assert!(second.out.contains("db psql") && !second.out.contains(" seed"), "{second:?}");
    assert!(!project.run(&["doctor"]).ok().out.contains("next"));
    let missing = project.run(&["seed"]);
    assert!(missing.err.contains("seeds/development.sql") && missing.err.contains("write this file"), "{missing:?}");
    std::fs::create_dir(project.path().join("seeds")).unwrap();
    project.write("seeds/development.sql", "SELECT 1;");
    project.run(&["rollback"]).ok();
    let third = project.run(&["migrate"]).ok();
    assert!(third.out.contains(" seed"), "{third:?}");
    let proven = project.run(&["verify", "20250101000001"]).ok();
    assert!(!proven.out.contains("migrate") && proven.out.contains("verify 20250101000001 -v"), "{proven:?}");
    assert!(!project.run(&["verify", "20250101000001", "-v"]).ok().out.contains("next"));
    project.end();
}

/// What ran only on a shadow database was not kept there, and was never a file.
#[test]
fn a_change_that_is_not_written_says_so() {
    let project = pending();
    let nothing = project.run(&["new", "ok", "--derive"]);
    assert!(nothing.err.contains("--> standard input") && nothing.err.contains("nothing was written"), "{nothing:?}");
    let gone = project.run(&["new", "ok", "--drop-column", "a.nix"]);
    assert!(gone.err.contains("nothing was written") && !gone.err.contains("was kept"), "{gone:?}");
    let moved = project.run(&["new", "ok", "--rename-column", "a.id=b.x"]);
    assert!(moved.code == 2 && moved.err.contains("the new name has no dot"), "{moved:?}");
    project.write("schema.sql", "CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE x (id int);");
    let diff = project.run(&["diff", "migrations", "file:schema.sql", "--write", "more"]).ok();
    assert!(diff.out.contains("created  migrations/") && diff.out.contains("_more.up.sql"), "{diff:?}");
    project.end();
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let project = two();
    for command in [&["runbook"][..], &["status", "--format", "json"], &["completions", "bash"], &["--help"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let arguments = [command, &["--env", "development", "--database", "env:TEST_DATABASE_URL"]].concat();
        let mut run = project.command(if command == ["--help"] { command } else { &arguments });
        let failed = said(run.stdout(Stdio::from(full)).stderr(Stdio::piped()).output().unwrap());
        assert!(failed.code == 1 && failed.err.contains("could not be written"), "{command:?}: {failed:?}");
        assert!(!failed.err.contains("undone"), "{failed:?}");
    }
    project.end();
}

#[test]
fn a_rebase_does_not_pass_over_two_versions_that_are_released() {
    let repository = Repository::new();
    repository.0.migration(5, "one", "SELECT 1;\n", "SELECT 1;\n");
    repository.commit("one");
    let before = repository.git(&["rev-parse", "HEAD"]);
    repository.0.migration(5, "other", "SELECT 1;\n", "SELECT 1;\n");
    repository.commit("both");
    let refused = repository.0.run_bare(&["rebase", "--base", "HEAD"]);
    assert!(refused.code == 3 && refused.err.contains("error[version-twice]"), "{refused:?}");
    assert!(refused.err.contains("rebase --base COMMIT"), "{refused:?}");
    repository.0.run_bare(&["rebase", "--base", before.trim()]).ok();
    repository.0.end();
}

#[test]
fn the_doctor_accepts_a_newer_database_where_status_does() {
    let project = two();
    for ending in ["up", "down"] {
        std::fs::remove_file(project.path().join(format!("migrations/20250101000002_b.{ending}.sql"))).unwrap();
    }
    project.write("migrate.toml", "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nallow_newer = true\n");
    project.run_bare(&["status", "--exit-code", "--env", "live"]).ok();
    project.run_bare(&["doctor", "--env", "live"]).ok();
    let drift = project.run_bare(&["drift", "--env", "live"]);
    assert!(drift.err.contains("error[missing-file]") && !drift.err.contains("newer`"), "{drift:?}");
    project.end();
}

#[test]
fn what_is_only_unknown_is_not_called_lost() {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a (id int);\n", "DO $$ BEGIN DROP TABLE a; END $$;\n");
    project.run_unnamed(&["migrate"]).ok();
    let asked = project.run_unnamed(&["rollback"]);
    assert!(asked.code == 2 && asked.err.contains("may destroy data"), "{asked:?}");
    assert!(!asked.err.contains("would be lost") && !asked.err.contains("this destroys"), "{asked:?}");
    project.end();
}

#[test]
fn a_name_does_not_leave_the_comment_of_a_generated_migration() {
    let project = Project::new();
    let name = project.query("SELECT current_database()").remove(0);
    project.query(&format!("CREATE DATABASE \"{name}\nSELECT 1;\""));
    let url = project.url().replacen(&format!("/{name}"), &format!("/{name}%0ASELECT%201%3B"), 1);
    project.query_on(&url.parse().unwrap(), "CREATE TABLE a (id int)");
    let mut command = project.command(&["baseline", "--dry-run", "--database", &url]);
    let shown = said(command.output().unwrap());
    assert!(shown.out.contains("when it was captured") && !shown.out.contains("\nSELECT 1;"), "{shown:?}");
    project.query(&format!("DROP DATABASE \"{name}\nSELECT 1;\""));
    project.end();
}

#[test]
fn the_name_of_an_environment_stays_in_the_heading_of_its_page() {
    let project = Project::new();
    project.write("migrate.toml", "[environments.\"live\\nodd\"]\ndatabase = \"env:TEST_DATABASE_URL\"\n");
    let page = project.run_bare(&["runbook", "--page", "--env", "live\nodd"]).ok();
    assert!(page.out.starts_with("# Rollback runbook: live\\nodd\n") && !page.out.contains("live\nodd"), "{page:?}");
    project.end();
}
