//! `verify`: what it takes, what it tells people and programs, how it ends.

use std::process::Command;

use crate::support::{Project, said};

const LAWS: [&str; 5] = ["data", "declared", "identity", "path", "reapply"];

fn broken() -> Project {
    let project = Project::new();
    project.migration(1, "base", "CREATE TABLE t (id int PRIMARY KEY);\n", "DROP TABLE t;\n");
    project.migration(2, "leave_type", "CREATE TYPE s AS ENUM ('a');\n", "SELECT 1;\n");
    project.migration(3, "after", "ALTER TABLE t ADD COLUMN a int;\n", "ALTER TABLE t DROP COLUMN a;\n");
    project
}

#[test]
fn programs_get_a_verdict_for_each_law_and_the_chain_goes_on() {
    let project = broken();
    let said = project.run(&["verify", "--all", "--format", "json"]);
    assert_eq!(said.code, 3, "{said:?}");
    let json = said.json();
    let migrations = json["migrations"].as_array().unwrap();
    let names: Vec<&str> = migrations.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["base", "leave_type", "after"]);
    for one in migrations {
        let laws: Vec<&str> = one["laws"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(laws, LAWS);
    }
    let identity = &migrations[1]["laws"]["identity"];
    assert_eq!(identity["verdict"], "broken");
    assert_eq!(identity["story"]["difference"][0], "type public.s: only after rollback");
    assert!(migrations[1]["laws"]["reapply"]["story"]["findings"][0]["file"].as_str().unwrap().ends_with(".up.sql"));
    assert_eq!(migrations[2]["laws"]["data"]["verdict"], "holds");
    project.end();
}

#[test]
fn people_get_a_table_and_the_story() {
    let project = broken();
    let said = project.run(&["verify", "20250101000002"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.out.contains("leave_type  BROKEN"), "{said:?}");
    assert!(
        said.out.contains("type public.s: only after rollback") && said.out.contains("_leave_type.down.sql"),
        "{said:?}"
    );
    assert!(said.out.contains("psql 'postgres"), "{said:?}");
    project.run(&["verify", "20250101000003"]).ok();
    let unknown = project.run(&["verify", "7"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    project.end();
}

#[test]
fn what_the_base_branch_has_is_left_alone() {
    let project = broken();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(arguments).current_dir(project.path());
        assert!(git.output().unwrap().status.success(), "{arguments:?}");
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "migrations"]);
    git(&["commit", "--quiet", "-m", "a"]);
    let nothing = project.run(&["verify"]).ok();
    assert!(nothing.out.contains("--all"), "{nothing:?}");
    git(&["checkout", "--quiet", "-b", "work"]);
    project.migration(4, "new", "CREATE TABLE n ();\n", "DROP TABLE n;\n");
    let new = project.run(&["verify", "--format", "json"]).ok().json();
    assert_eq!(new["migrations"].as_array().unwrap().len(), 1);
    assert_eq!(new["migrations"][0]["name"], "new");
    project.end();
}

/// A server that is given by an address of the driver's form, with a password and with what only the driver knows.
#[test]
fn the_address_of_a_kept_database_is_one_for_psql() {
    let project = Project::new();
    project.migration(1, "leaves", "CREATE TABLE t (id int); CREATE TABLE left_over (id int);", "DROP TABLE t;");
    let mut command = project.command(&["verify", "--all", "--format", "json"]);
    let said = said(command.env("ROUNDTRIP_TEST_SERVER", project.url()).output().unwrap());
    let kept: Vec<String> = said.json()["migrations"][0]["kept"]
        .as_array()
        .unwrap()
        .iter()
        .map(|url| url.as_str().unwrap().to_owned())
        .collect();
    assert!(!kept.is_empty(), "{said:?}");
    for url in &kept {
        let mut psql = Command::new("psql");
        psql.args([url, "-XAtc", "SELECT count(*) FROM pg_class WHERE relname = 'left_over'"]);
        let seen = crate::support::said(psql.output().unwrap()).ok();
        assert_eq!(seen.out.trim(), "1", "{url}: {seen:?}");
        let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
        project.query_on(
            &project.database.options().database("postgres"),
            &format!("DROP DATABASE \"{name}\" WITH (FORCE)"),
        );
    }
    project.end();
}
