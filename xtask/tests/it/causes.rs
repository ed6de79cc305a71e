//! One cause is one finding, advice is given where it helps, and what was found before a proof was interrupted
//! is reported.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::repository::Repository;
use crate::support::{ProgramOutput, Project, said};

/// The codes of all findings of a report that stop a merge, and the status of each check in words.
fn errors(said: &ProgramOutput) -> Vec<String> {
    let json = said.json();
    let checks = json["checks"].as_array().unwrap();
    let findings = checks.iter().flat_map(|check| check["findings"].as_array().unwrap());
    let errors = findings.filter(|finding| finding["severity"] == "error");
    errors.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

fn check(said: &ProgramOutput, name: &str) -> serde_json::Value {
    let json = said.json();
    json["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).cloned().unwrap()
}

#[test]
fn an_up_script_that_fails_is_one_finding_with_its_place() {
    let repository = Repository::branched();
    repository.0.migration(
        3,
        "city",
        "ALTER TABLE shops ADD COLUMN city txt;\n",
        "ALTER TABLE shops DROP COLUMN city;\n",
    );
    repository.0.migration(4, "after", "CREATE TABLE after_it (id bigint PRIMARY KEY);\n", "DROP TABLE after_it;\n");
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    assert_eq!((said.code, errors(&said)), (3, vec!["up-fails".to_owned()]), "{said:?}");
    let finding = &check(&said, "proof")["findings"][0];
    assert!(finding["message"].as_str().unwrap().contains("type \"txt\" does not exist"), "{finding}");
    assert_eq!((&finding["line"], &finding["column"]), (&1.into(), &35.into()), "{finding}");
    assert!(check(&said, "proof")["summary"].as_str().unwrap().contains("1 not checked"), "{said:?}");
    for blind in ["released", "role"] {
        assert!(check(&said, blind)["skipped"].is_string(), "{blind}: {said:?}");
    }
    assert!(!said.out.contains("rebase") && !said.out.contains("rolling back must restore"), "{said:?}");
    let verify = repository.0.run_bare(&["verify"]);
    assert_eq!(verify.code, 3, "{verify:?}");
    assert_eq!(verify.out.matches("error[").count(), 1, "{verify:?}");
    assert!(
        verify.out.contains("error[up-fails]") && verify.out.contains("1 migration after it not checked"),
        "{verify:?}"
    );
    repository.0.end();
}

#[test]
fn a_down_script_that_fails_is_one_finding_and_to_drop_everything_is_no_advice() {
    let repository = Repository::branched();
    let up = "CREATE TABLE a (id bigint PRIMARY KEY);\nCREATE TABLE b (a_id bigint REFERENCES a);\n";
    repository.0.migration(3, "pair", up, "DROP TABLE a;\nDROP TABLE b;\n");
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    assert_eq!((said.code, errors(&said)), (3, vec!["down-fails".to_owned()]), "{said:?}");
    assert!(!said.out.contains("CASCADE") && said.out.contains("derive 20250101000003 --dry-run"), "{said:?}");
    repository.0.end();
}

#[test]
fn a_loss_can_be_declared_and_a_leftover_cannot() {
    let repository = Repository::branched();
    repository.0.migration(
        3,
        "drop",
        "ALTER TABLE shops DROP COLUMN name;\n",
        "ALTER TABLE shops ADD COLUMN name text;\n",
    );
    repository.0.migration(4, "row", "INSERT INTO shops VALUES (-77);\n", "SELECT 1;\n");
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    let found = check(&said, "proof")["findings"].as_array().unwrap().clone();
    let help = |version: &str| {
        let ours = found.iter().filter(|finding| finding["file"].as_str().is_some_and(|file| file.contains(version)));
        ours.map(|finding| finding["help"].to_string()).collect::<Vec<_>>()
    };
    let (lost, left) = (help("000003_drop.down"), help("000004_row"));
    assert!(lost.len() == 1 && lost[0].contains("lossy REASON") && !lost[0].contains("derive"), "{found:?}");
    assert!(left.len() == 1 && !left[0].contains("lossy") && !left[0].contains("derive"), "{found:?}");
    repository.0.end();
}

#[test]
fn a_directive_that_is_not_right_is_pointed_at_where_it_stands() {
    let repository = Repository::branched();
    let (up, lossy) = ("CREATE INDEX names ON shops (name);\n", "-- migrate: lossy it is a test\n");
    repository.0.migration(3, "below", up, &format!("{lossy}DROP INDEX names;\n"));
    repository.0.migration(4, "above", &format!("{lossy}{}", up.replace("names", "n")), "DROP INDEX n;\n");
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    let found = check(&said, "proof")["findings"].as_array().unwrap().clone();
    let declared = found.iter().filter(|finding| finding["code"] == "law-declared");
    let files: Vec<String> = declared.map(|finding| finding["file"].to_string()).collect();
    let is_at = |place: &str| files.iter().any(|file| file.contains(place));
    assert!(files.len() == 2 && is_at("_below.down.sql") && is_at("_above.up.sql"), "{found:?}");
    repository.0.end();
}

/// What an owner may do who is a member of the roles that a migration names.
#[test]
fn members_of_roles_need_no_superuser() {
    let repository = Repository::branched();
    let role = format!("app_{}", std::process::id());
    let up = format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role}; END IF; END $$;\n\
         ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT SELECT ON TABLES TO PUBLIC;\n\
         CREATE TABLE theirs (id bigint PRIMARY KEY);\nALTER TABLE theirs OWNER TO {role};\n"
    );
    let down = format!(
        "DROP TABLE theirs;\nALTER DEFAULT PRIVILEGES FOR ROLE {role} REVOKE SELECT ON TABLES FROM PUBLIC;\nDROP ROLE {role};\n"
    );
    repository.0.migration(3, "roles", &up, &down);
    repository.0.migration(
        4,
        "after",
        "ALTER TABLE shops ADD COLUMN city text;\n",
        "ALTER TABLE shops DROP COLUMN city;\n",
    );
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    let role = check(&said, "role");
    assert!(role["findings"].as_array().unwrap().is_empty(), "{role}");
    assert!(role["summary"].as_str().unwrap().contains("member"), "{role}");
    repository.0.end();
}

/// A migration that only a superuser may run leaves no foreign-owned object on which the next migration fails.
#[test]
fn what_needs_a_superuser_is_said_of_the_migration_that_does() {
    let repository = Repository::branched();
    let up =
        "CREATE FUNCTION one(cstring) RETURNS integer LANGUAGE internal AS 'int4in';\nCREATE TABLE mine (id bigint);\n";
    repository.0.migration(3, "function", up, "DROP TABLE mine;\nDROP FUNCTION one(cstring);\n");
    repository.0.migration(4, "after", "ALTER TABLE mine ADD COLUMN a text;\n", "ALTER TABLE mine DROP COLUMN a;\n");
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    let found = check(&said, "role")["findings"].as_array().unwrap().clone();
    let codes: Vec<&str> = found.iter().map(|finding| finding["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["needs-superuser"], "{found:?}");
    repository.0.end();
}

#[test]
fn files_without_downs_are_no_declaration() {
    let repository = Repository::new();
    fs::create_dir(repository.0.path().join("db")).unwrap();
    repository.0.write("db/V1__init.sql", "CREATE TABLE first (id bigint PRIMARY KEY);\n");
    repository.commit("flyway");
    repository.git(&["checkout", "--quiet", "-b", "topic"]);
    repository.0.write("db/V2__more.sql", "CREATE TABLE second (id bigint PRIMARY KEY, first_id bigint NOT NULL);\n");
    let said = repository.0.run_bare(&["ci", "--base", "main", "--migrations", "db", "--format", "json"]);
    assert_eq!(errors(&said), Vec::<String>::new(), "{said:?}");
    let notes = check(&said, "proof")["findings"].as_array().unwrap().clone();
    assert!(notes.iter().any(|note| note["code"] == "up-only" && note["severity"] == "note"), "{notes:?}");
    let verify = repository.0.run_bare(&["verify", "--all", "--migrations", "db", "--format", "json"]).ok().json();
    for proven in verify["migrations"].as_array().unwrap() {
        assert_eq!(
            (&proven["laws"]["identity"]["verdict"], &proven["laws"]["declared"]["verdict"]),
            (&"skipped".into(), &"holds".into())
        );
    }
    repository.0.end();
}

/// A chain in which one migration kills the shadow server, as a machine without memory does.
fn deadly(project: &Project) {
    for number in 1..=30 {
        let table = format!("t{number}");
        project.migration(
            number,
            &table,
            &format!("CREATE TABLE {table} (id int);\n"),
            &format!("DROP TABLE {table};\n"),
        );
    }
    let kill = "COPY (SELECT 1) TO PROGRAM 'kill -9 $(head -n 1 postmaster.pid)';\nSELECT pg_sleep(5);\n";
    project.migration(25, "t25", kill, "SELECT 1;\n");
}

/// Runs it with its own shadow server.
fn on_its_own(project: &Project, arguments: &[&str]) -> ProgramOutput {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = project.command(arguments);
    command.env("ROUNDTRIP_TEST_DIR", folder.path()).env("ROUNDTRIP_TEST_SERVER", "local");
    said(command.output().unwrap())
}

#[test]
fn what_was_proven_before_the_server_was_lost_is_kept() {
    let project = Project::new();
    deadly(&project);
    let said = on_its_own(&project, &["verify", "--all", "--format", "json"]);
    assert_eq!(said.code, 1, "{said:?}");
    let json = said.json();
    let proven = json["migrations"].as_array().unwrap();
    assert!((20..25).contains(&proven.len()) && proven.iter().all(|one| one["holds"] == true), "{said:?}");
    assert_eq!((&json["holds"], &json["error"]["exit_code"]), (&false.into(), &1.into()), "{said:?}");
    assert!(!json["error"]["findings"].as_array().unwrap().is_empty());
    let lines: Vec<serde_json::Value> = said.err.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told: Vec<_> =
        lines.iter().filter(|line| line["progress"] == "proven").map(|line| &line["migration"]).collect();
    assert_eq!(told, proven.iter().collect::<Vec<_>>(), "each is written as soon as it is proven");
    let text = on_its_own(&project, &["verify", "--all"]);
    assert!(text.code == 1 && text.out.contains("t20") && text.err.contains("of 30 migrations"), "{text:?}");
    project.end();
}

#[test]
fn reports_are_written_when_the_server_was_lost() {
    let project = Project::new();
    deadly(&project);
    let said = on_its_own(&project, &["ci", "--format", "json", "--junit", "junit.xml", "--markdown", "report.md"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(said.json()["failed"], true);
    for file in ["junit.xml", "report.md"] {
        assert!(fs::read_to_string(project.path().join(file)).unwrap().contains("proof"), "{file}");
    }
    project.end();
}

#[test]
fn what_was_proven_before_an_interruption_is_kept() {
    let project = Project::new();
    deadly(&project);
    project.migration(25, "t25", "SELECT pg_sleep(50);\n", "SELECT 1;\n");
    let mut command = project.command(&["verify", "--all", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"proven\"")), "a result before the end");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    lines.for_each(drop);
    let said = said(child.wait_with_output().unwrap());
    let json = said.json();
    assert_eq!(json["error"]["findings"][0]["code"], "interrupted", "{said:?}");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(!json["migrations"].as_array().unwrap().is_empty() && json["holds"] == false, "{said:?}");
    project.end();
}
