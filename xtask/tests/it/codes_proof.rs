//! The codes of the proof and of the checks beside it: what a migration breaks, in which file, and what one cause is
//! not also called.

use serde_json::Value;

use crate::codes::{ProjectState, found, help, is_at};
use crate::repository::Repository;
use crate::support::{ProgramOutput, Project};

/// Proves a chain whose last migration has this up script and this down script. The proof has servers of its own.
fn prove(base: &str, up: &str, down: &str, more: &[(&str, &str)]) -> ProgramOutput {
    let project = Project::new();
    project.migration(1, "base", base, "DROP TABLE t;\n");
    project.migration(2, "change", up, down);
    for (ending, text) in more {
        project.write(&format!("migrations/20250101000002_change.{ending}"), text);
    }
    let before = ProjectState::of(&project);
    let said = project.run(&["verify", "--all", "--format", "json"]);
    assert_eq!(ProjectState::of(&project), before, "a proof changed something");
    project.end();
    said
}

fn verdict(said: &ProgramOutput, law: &str) -> Value {
    said.json()["migrations"][1]["laws"][law]["verdict"].clone()
}

const BASE: &str = "CREATE TABLE t (id int PRIMARY KEY);\n";

/// Nothing is left in the schema by the rollback, but a row is, and the second time the up script sees it.
#[test]
fn a_migration_that_does_something_else_the_second_time_is_found() {
    let up = "DO $$ BEGIN IF EXISTS (SELECT FROM t) THEN CREATE TABLE again (); END IF; END $$;\nINSERT INTO t SELECT count(*) FROM t;\n";
    let said = prove(BASE, up, "SELECT 1;\n", &[]);
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!((verdict(&said, "identity"), verdict(&said, "reapply")), ("holds".into(), "broken".into()));
    let finding = found(&said, "law-reapply");
    is_at(&finding, "_change.down.sql");
    assert!(finding["notes"].to_string().contains("table public.again"), "{finding:#}");
}

/// It is the third time that differs, so only a walk shows it.
#[test]
fn a_migration_that_does_something_else_on_a_walk_is_found() {
    let up = "DO $$ BEGIN INSERT INTO t VALUES ((SELECT count(*) FROM t)); \
              IF (SELECT count(*) > 2 FROM t) THEN CREATE TABLE oops (); END IF; END $$;\n";
    let said = prove(BASE, up, "SELECT 1;\n", &[]);
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!((verdict(&said, "identity"), verdict(&said, "reapply")), ("holds".into(), "holds".into()));
    let finding = found(&said, "law-path");
    is_at(&finding, "_change.down.sql");
    assert!(finding["notes"].to_string().contains("table public.oops"), "{finding:#}");
}

/// A warning: with other values the laws hold.
#[test]
fn a_rollback_that_fails_on_some_values_is_a_warning() {
    let base = "CREATE TABLE t (id serial PRIMARY KEY, n int NOT NULL);\n";
    let up = "ALTER TABLE t ALTER n TYPE bigint USING n::bigint * 2;\n";
    let said = prove(base, up, "ALTER TABLE t ALTER n TYPE int USING (n::int / 2);\n", &[]).ok();
    let finding = found(&said, "down-fails-on-values");
    is_at(&finding, "_change.down.sql:1:1");
    assert_eq!((&finding["severity"], verdict(&said, "data")), (&"warning".into(), "holds".into()), "{finding:#}");
}

/// A check that does not run has checked nothing, so it is no success.
#[test]
fn a_check_that_does_not_run_is_no_success() {
    let check = "-- The name of a later version.\nSELECT id\n  FROM t WHERE nmae = '';\n";
    let (up, down) = ("ALTER TABLE t ADD name text;\n", "ALTER TABLE t DROP name;\n");
    let said = prove(BASE, up, down, &[("verify.sql", check)]);
    assert_eq!(said.code, 3, "{said:?}");
    let finding = found(&said, "verify-failed");
    is_at(&finding, "_change.verify.sql:3:16");
    assert!(finding["message"].as_str().unwrap().contains("nmae"), "{finding:#}");
    // The same check with the right name.
    prove(BASE, up, down, &[("verify.sql", &check.replace("nmae", "name"))]).ok();
}

/// The outcome of `ci` on a branch with one more migration.
fn ci(repository: &Repository) -> ProgramOutput {
    let before = ProjectState::of(&repository.0);
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    assert_eq!(ProjectState::of(&repository.0), before, "ci changed something");
    said
}

fn check(said: &ProgramOutput, name: &str) -> Value {
    let json = said.json();
    json["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone()
}

#[test]
fn an_index_that_nothing_can_use_is_found_unless_a_reason_is_given() {
    let repository = Repository::branched();
    let up = "CREATE TABLE p (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);\n\
              CREATE TABLE p_all PARTITION OF p DEFAULT;\nCREATE INDEX p_at ON ONLY p (at);\n";
    repository.0.migration(3, "parts", up, "DROP TABLE p;\n");
    let said = ci(&repository);
    assert_eq!((said.code, &check(&said, "locks")["failed"]), (3, &true.into()), "{said:?}");
    let finding = found(&said, "index-invalid");
    is_at(&finding, "_parts.up.sql:3:1");
    assert!(finding["message"].as_str().unwrap().contains("public.p_at"), "{finding:#}");
    assert!(help(&finding).contains("-- migrate: allow index-invalid REASON"), "{finding:#}");
    let allowed = format!("-- migrate: allow index-invalid the next one attaches the parts\n{up}");
    repository.0.migration(3, "parts", &allowed, "DROP TABLE p;\n");
    let said = ci(&repository);
    assert_eq!(
        (&found(&said, "index-invalid")["severity"], &check(&said, "locks")["failed"]),
        (&"note".into(), &false.into())
    );
    repository.0.end();
}

/// The down script of a released migration cannot be changed any more, and is not proven again. The check `role` rolls
/// back all of the chain, so it sees what is left.
#[test]
fn what_a_released_migration_leaves_behind_is_found() {
    let repository = Repository::new();
    let up = "DO $$ BEGIN IF to_regclass('first') IS NULL THEN CREATE TABLE first (); ELSE CREATE TABLE second (); END IF; END $$;\n";
    repository.0.migration(3, "marks", up, "DROP TABLE IF EXISTS second;\n");
    repository.commit("marks");
    repository.git(&["checkout", "--quiet", "-b", "topic"]);
    repository.0.migration(
        4,
        "city",
        "ALTER TABLE shops ADD COLUMN city text;\n",
        "ALTER TABLE shops DROP COLUMN city;\n",
    );
    let said = ci(&repository);
    assert_eq!((said.code, &check(&said, "role")["failed"]), (3, &true.into()), "{said:?}");
    assert_eq!(check(&said, "proof")["failed"], false, "{said:?}");
    for (code, table) in [("left-behind", "public.first"), ("reapplied-differs", "public.second")] {
        let finding = found(&said, code);
        assert!(finding["notes"].to_string().contains(table), "{finding:#}");
        assert_eq!(finding["severity"], "error", "{finding:#}");
    }
    repository.0.end();
    // Of a new migration, the proof says so, with the file, and `role` does not say it again.
    let repository = Repository::branched();
    repository.0.migration(3, "marks", up, "DROP TABLE IF EXISTS second;\n");
    let said = ci(&repository);
    assert_eq!((said.code, &check(&said, "proof")["failed"]), (3, &true.into()), "{said:?}");
    assert_eq!(check(&said, "role")["findings"], serde_json::json!([]), "{said:?}");
    repository.0.end();
}
