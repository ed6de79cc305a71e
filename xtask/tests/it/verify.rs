//! `verify`: its options, its output for people and programs, and its exit codes.

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

#[test]
fn a_server_that_is_given_is_not_changed_and_nothing_is_proven_of_what_would() {
    let project = Project::new();
    let role = "rt_given_app";
    let up = format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role}; END IF; END $$;"
    );
    project.migration(1, "base", "CREATE TABLE t (id int);", "DROP TABLE t;");
    project.migration(2, "role", &up, "SELECT 1;");
    let mut command = project.command(&["verify", "--all"]);
    let said = said(command.env("ROUNDTRIP_TEST_SERVER", project.url()).output().unwrap());
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("shared-server") && said.err.contains("roles"), "{said:?}");
    let on = project.database.options().database("postgres");
    assert!(project.query_on(&on, &format!("SELECT rolname FROM pg_roles WHERE rolname = '{role}'")).is_empty());
    project.end();
}

/// A server given by an address in the form of the driver, with a password and with parameters that only the
/// driver knows.
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

/// A proof over no rows is not a proof: the verdict says which tables had rows, and a policy can require all of
/// them.
#[test]
fn a_verdict_says_what_it_rests_on() {
    let project = Project::new();
    let base = "CREATE TABLE good (id int PRIMARY KEY);\nCREATE TABLE sealed (a text NOT NULL CHECK (md5(a) = 'e10adc3949ba59abbe56e057f20f883e'));\n";
    project.migration(1, "base", base, "DROP TABLE good, sealed;\n");
    project.migration(2, "more", "ALTER TABLE good ADD b int;\n", "ALTER TABLE good DROP b;\n");
    project.migration(3, "again", "ALTER TABLE good ADD c int;\n", "ALTER TABLE good DROP c;\n");
    let said = project.run(&["verify", "--all", "--format", "json"]).ok().json();
    let proven = &said["migrations"][1];
    assert_eq!(proven["laws"]["data"]["verdict"], "holds", "{said}");
    assert_eq!(proven["laws"]["data"]["rests"], "1 of 2 tables had rows", "{said}");
    assert_eq!((&proven["rests"]["tables"], &proven["rests"]["with_rows"]), (&2.into(), &1.into()));
    assert_eq!(proven["rests"]["without"][0]["table"], "public.sealed");
    // A table is named once, with the first migration that was proven without a row in it.
    let findings = said["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{said}");
    assert_eq!((&findings[0]["code"], &findings[0]["severity"]), (&"tables-without-rows".into(), &"warning".into()));
    assert!(findings[0]["help"][0].as_str().unwrap().contains("20250101000002_more.fixture.sql"), "{said}");

    let told = project.run(&["verify", "--all"]).ok();
    assert!(
        told.out.contains("holds, 1 of 2 tables had rows") && told.out.contains("public.sealed got no rows"),
        "{told:?}"
    );

    project.write("migrate.toml", "[policy]\nrows = \"all\"\n");
    let refused = project.run(&["verify", "--all", "--format", "json"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert_eq!(refused.json()["findings"][0]["severity"], "error");
    assert_eq!(refused.json()["holds"], false, "{refused:?}");
    let refused = project.run(&["verify", "--all"]);
    assert!(refused.code == 3 && refused.out.contains("as [policy] asks"), "{refused:?}");
    assert!(!refused.out.contains("cargo xtask migrate"), "{refused:?}");
    let checked = project.run(&["ci", "--format", "json", "--junit", "junit.xml", "--markdown", "summary.md"]);
    assert_eq!(checked.code, 3, "{checked:?}");
    let checked = checked.json();
    assert_eq!(checked["migrations"][1]["rests"]["with_rows"], 1, "{checked}");
    let read = |name: &str| std::fs::read_to_string(project.path().join(name)).unwrap();
    assert!(
        read("junit.xml").contains("data holds, 1 of 2 tables had rows")
            && read("junit.xml").contains("tables-without-rows")
    );
    assert!(read("summary.md").contains("yes, 1 of 2 tables had rows"));

    project.write("migrations/20250101000002_more.fixture.sql", "INSERT INTO sealed VALUES ('123456');\n");
    let filled = project.run(&["verify", "20250101000002", "--format", "json"]).ok().json();
    assert_eq!(filled["migrations"][0]["rests"]["with_rows"], 2, "{filled}");
    project.end();
}

/// Quiet mode drops what is right, never what is wrong; and a report shows what was not checked as skipped.
#[test]
fn what_is_wrong_is_said_quietly_and_what_was_not_looked_at_is_skipped() {
    let project = Project::new();
    project.migration(1, "one", "CREATE TABLE one (id int PRIMARY KEY);\n", "DROP TABLE one;\n");
    let quiet = project.run(&["verify", "--all", "-q"]).ok();
    assert_eq!((&*quiet.out, &*quiet.err), ("", ""));
    project.migration(2, "two", "ALTER TABLE nowhere ADD a int;\n", "SELECT 1;\n");
    project.migration(3, "three", "CREATE TABLE three (id int PRIMARY KEY);\n", "DROP TABLE three;\n");
    for command in [&["verify", "--all", "-q"][..], &["ci", "-q", "--junit", "junit.xml"]] {
        let said = project.run(command);
        assert!(said.code == 3 && said.out.contains("error[up-fails]"), "{command:?}: {said:?}");
        assert!(!said.out.contains("20250101000001"), "{command:?}: {said:?}");
    }
    let junit = std::fs::read_to_string(project.path().join("junit.xml")).unwrap();
    let skipped = |check: &str, name: &str| {
        let case =
            junit.split("<testcase").find(|case| case.contains(name) && case.contains(&format!("roundtrip.{check}")));
        case.unwrap_or_else(|| panic!("{check} {name}: {junit}")).contains("<skipped")
    };
    let [one, two, three] = ["20250101000001_one", "20250101000002_two", "20250101000003_three"];
    assert_eq!([one, two, three].map(|name| skipped("proof", name)), [false, false, true], "{junit}");
    assert_eq!([one, two, three].map(|name| skipped("locks", name)), [false, true, true], "{junit}");
    project.end();
}

/// What `derive` cannot write is not promised.
#[test]
fn a_down_is_offered_only_where_it_can_be_derived() {
    for (up, is_offered) in [
        ("ALTER TABLE t ADD a int;", true),
        ("COMMENT ON TABLE t IS 'x';", true),
        ("CREATE ROLE rt_not_derived;", false),
        ("SELECT lo_create(4711);", false),
        ("ALTER SEQUENCE t_id_seq RESTART WITH 50;", false),
    ] {
        let project = Project::new();
        project.migration(1, "t", "CREATE TABLE t (id serial PRIMARY KEY);\n", "DROP TABLE t;\n");
        project.migration(2, "change", &format!("{up}\n"), "SELECT 1;\n");
        let said = project.run_bare(&["verify", "20250101000002"]);
        assert!(said.code == 3 && said.out.contains("law-identity"), "{up}: {said:?}");
        assert_eq!(said.out.contains("cargo xtask derive"), is_offered, "{up}: {said:?}");
        project.end();
    }
}
