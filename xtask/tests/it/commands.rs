//! Each command: what it does, what it prints to a pipe, and its output for programs.

use crate::support::Project;

fn two() -> Project {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    project.migration(2, "b", "CREATE TABLE b (id int);\n", "DROP TABLE b;\n");
    project
}

#[test]
fn migrate_rollback_and_redo_print_a_line_for_each() {
    let project = two();
    let up = project.run(&["migrate"]).ok();
    let lines: Vec<&str> = up.out.lines().collect();
    assert!(lines[0].starts_with("  applied      20250101000001  a  ") && lines[0].ends_with(" ms"), "{up:?}");
    assert!(lines[3].starts_with("2 migrations applied in "), "{up:?}");
    assert!(lines[5].starts_with("next "), "{up:?}");
    assert!(!up.out.contains('\u{1b}'), "no colours in a pipe: {up:?}");
    let again = project.run(&["migrate"]).ok();
    assert_eq!(again.out.lines().count(), 1);
    assert!(again.out.starts_with("nothing to do"));
    project.run(&["redo"]).ok();
    assert_eq!(project.query("SELECT event FROM roundtrip.ledger WHERE event <> 'observed'").len(), 4);
    let down = project.run(&["rollback", "--all", "--format", "json"]).ok().json();
    assert_eq!(
        (&down["done"][0]["name"], &down["done"][1]["name"], &down["version"]),
        (&"b".into(), &"a".into(), &serde_json::Value::Null)
    );
    project.end();
}

#[test]
#[cfg(unix)]
fn git_is_asked_where_something_is_written_and_not_before() {
    use std::os::unix::fs::PermissionsExt;
    let project = two();
    std::fs::create_dir(project.path().join("bin")).unwrap();
    let asked = project.path().join("asked");
    let git = project.write("bin/git", format!("#!/bin/sh\necho asked >> '{}'\nexit 1\n", asked.display()));
    std::fs::set_permissions(git, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", project.path().join("bin").display(), std::env::var("PATH").unwrap());
    let asks = |arguments: &[&str]| {
        let all = [&["--env", "development", "--database", "env:TEST_DATABASE_URL"], arguments].concat();
        let output = project.command(&all).env("PATH", &path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        std::fs::remove_file(&asked).is_ok()
    };
    assert!(!asks(&["migrate", "--dry-run"]) && !asks(&["status"]));
    assert!(asks(&["migrate"]));
    assert!(!asks(&["migrate"]) && !asks(&["status"]) && !asks(&["history"]));
    assert!(asks(&["rollback"]));
    project.end();
}

#[test]
fn a_dry_run_shows_the_sql_and_touches_nothing() {
    let project = two();
    let shown = project.run(&["migrate", "--dry-run", "--to", "20250101000001_a"]).ok();
    assert!(shown.out.contains("CREATE TABLE a (id int);") && !shown.out.contains("CREATE TABLE b"), "{shown:?}");
    assert_eq!(project.query("SELECT nspname FROM pg_namespace WHERE nspname = 'roundtrip'"), Vec::<String>::new());
    project.run(&["migrate"]).ok();
    let shown = project.run(&["rollback", "-n", "2", "--dry-run", "--format", "json"]).ok().json();
    assert_eq!(shown["plan"][1]["sql"], "DROP TABLE a;\n");
    assert_eq!(project.query("SELECT count(*) FROM roundtrip.ledger WHERE event = 'rolled_back'"), ["0"]);
    project.end();
}

#[test]
fn status_tells_people_and_programs_where_the_chain_stands() {
    let project = two();
    project.run(&["migrate", "-n", "1"]).ok();
    let status = project.run(&["status", "--format", "json"]).ok().json();
    assert_eq!(
        (&status["format"], &status["environment"], &status["version"]),
        (&1.into(), &"development".into(), &"20250101000001".into())
    );
    assert_eq!(
        (&status["applied"][0]["name"], &status["pending"][0]["version"]),
        (&"a".into(), &"20250101000002".into())
    );
    assert_eq!(status["problems"], serde_json::json!([]));
    assert_eq!(project.run(&["status", "--exit-code"]).code, 3);
    project.run(&["migrate"]).ok();
    assert_eq!(project.run(&["status", "--exit-code"]).code, 0);
    project.migration(1, "a", "CREATE TABLE a (id bigint);", "DROP TABLE a;");
    let modified = project.run(&["status"]);
    assert_eq!(modified.code, 3);
    assert!(
        modified.out.contains("modified  20250101000001")
            && modified.err.contains("Migration file was modified after being applied."),
        "{modified:?}"
    );
    project.end();
}

#[test]
fn history_tells_who_when_from_where_and_how_long() {
    let project = two();
    let mut migrate = project.command(&["migrate", "--env", "development", "--database", "env:TEST_DATABASE_URL"]);
    migrate.env("GITHUB_ACTOR", "ann").env("HOSTNAME", "build-7").env("GITHUB_SHA", "0123456789abcdef");
    crate::support::said(migrate.output().unwrap()).ok();
    let shown = project.run(&["history"]).ok();
    let first = shown.out.lines().next().unwrap();
    for fact in ["applied", "20250101000001_a", " ms", "ann (role postgres)", "build-7", "012345678"] {
        assert!(first.contains(fact), "{fact}: {first}");
    }
    let events = project.run(&["history", "--format", "json", "-n", "1"]).ok().json();
    assert_eq!(
        (&events["events"][0]["commit"], &events["events"][0]["role"]),
        (&"0123456789abcdef".into(), &"postgres".into())
    );
    assert!(events["events"][0]["milliseconds"].is_number());
    project.end();
}

#[test]
fn a_protected_environment_asks_and_in_a_pipe_needs_yes() {
    let project = two();
    project.write("migrate.toml", "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nprotected = true\n");
    for refused in [&["migrate"][..], &["seed"], &["db", "down"]] {
        let said = project.run_bare(&[refused, &["--env", "live"]].concat());
        assert_eq!(said.code, 2, "{said:?}");
    }
    assert_eq!(project.query("SELECT nspname FROM pg_namespace WHERE nspname = 'roundtrip'"), Vec::<String>::new());
    project.run_bare(&["migrate", "--env", "live", "--dry-run"]).ok();
    project.run_bare(&["migrate", "--env", "live", "--yes"]).ok();
    assert_eq!(project.query("SELECT count(fingerprint) FROM roundtrip.ledger"), ["1"]);
    assert_eq!(project.run_bare(&["rollback", "--env", "live", "--format", "json"]).code, 2);
    project.end();
}

#[test]
fn new_makes_a_pair_that_asks_to_be_filled() {
    let project = two();
    let made = project.run_bare(&["new", "Add Tracking-number"]).ok();
    assert_eq!(made.out.matches("created").count(), 2);
    let names: Vec<String> = std::fs::read_dir(project.path().join("migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("_add_tracking_number."))
        .collect();
    assert_eq!(names.len(), 2);
    let refused = project.run(&["migrate"]);
    assert_eq!((refused.code, refused.err.matches("this file has no statement").count()), (3, 2), "{refused:?}");
    assert_eq!(project.run_bare(&["new", "ü"]).code, 2);
    project.end();
}

#[test]
fn seeding_is_one_transaction_and_points_at_its_mistakes() {
    let project = two();
    std::fs::create_dir(project.path().join("seeds")).unwrap();
    project.write("seeds/development.sql", "INSERT INTO a VALUES (1);\nINSERT INTO b VALUES ('x');\n");
    let early = project.run(&["seed"]);
    assert!(early.code == 1 && early.err.contains("is pending"), "{early:?}");
    project.run(&["migrate"]).ok();
    let wrong = project.run(&["seed"]);
    assert!(wrong.code == 1 && wrong.err.contains("development.sql:2:23"), "{wrong:?}");
    assert_eq!(project.query("SELECT count(*) FROM a"), ["0"]);
    project.write("seeds/development.sql", "INSERT INTO a VALUES (1);\n");
    project.run(&["seed"]).ok();
    assert_eq!(project.query("SELECT count(*) FROM a"), ["1"]);
    project.end();
}

#[test]
fn resolve_shows_what_is_there_and_takes_one_way_out() {
    let project = two();
    let up =
        "-- migrate: no-transaction\nINSERT INTO a VALUES (1), (1);\nCREATE UNIQUE INDEX CONCURRENTLY i ON a (id);\n";
    project.migration(3, "c", up, "-- migrate: no-transaction\nDROP INDEX CONCURRENTLY IF EXISTS i;\nDELETE FROM a;\n");
    let failed = project.run(&["migrate"]);
    assert!(failed.code == 1 && failed.err.contains("resolve 20250101000003"), "{failed:?}");
    let shown = project.run(&["resolve"]);
    assert_eq!(shown.code, 3);
    assert!(shown.out.contains("half built") && shown.out.contains("--continue"), "{shown:?}");
    assert_eq!(project.run(&["status", "--format", "json"]).json()["unfinished"]["failed_statement"], 2);
    assert_eq!(project.run(&["resolve", "20250101000001", "--undo"]).code, 2);
    project.run(&["resolve", "20250101000003", "--undo"]).ok();
    assert_eq!(project.query("SELECT count(*) FROM a"), ["0"]);
    assert!(project.run(&["resolve"]).ok().out.starts_with("nothing to do"));
    project.end();
}

#[test]
fn the_managed_database_starts_by_itself_and_is_handled_by_db() {
    let project = two();
    assert!(project.run_bare(&["db", "status"]).ok().out.starts_with("stopped"));
    project.run_bare(&["migrate"]).ok();
    let url = project.run_bare(&["db", "url"]).ok().out;
    assert!(url.starts_with("postgres://postgres:") && url.trim_end().ends_with("/development"), "{url}");
    let counted = project.run_bare(&["db", "psql", "--", "-Atc", "SELECT count(*) FROM roundtrip.ledger"]).ok();
    assert_eq!(counted.out.trim(), "2");
    project.run_bare(&["db", "down"]).ok();
    assert_eq!(project.run_bare(&["status", "--format", "json"]).ok().json()["applied"].as_array().unwrap().len(), 2);
    assert!(project.run_bare(&["db", "down", "--destroy"]).ok().out.starts_with("stopped, and deleted"));
    let nothing = project.run_bare(&["db", "down", "--destroy"]).ok();
    assert_eq!(nothing.out, "nothing to do: there is no server\n");
    assert!(!project.path().join("home").read_dir().is_ok_and(|mut left| left.next().is_some()));
    project.end();
}

#[test]
fn doctor_help_and_completions_answer() {
    let project = two();
    let doctor = project.run(&["doctor"]).ok();
    assert!(doctor.out.contains("migrations    2 in migrations"), "{doctor:?}");
    let help = project.run_bare(&["--help"]).ok();
    assert!(help.out.contains("Exit codes:") && help.out.contains("cargo xtask"), "{help:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = project.run_bare(&["completions", shell]).ok().out;
        assert!(script.contains("rollback") && !script.contains("--audit") && !script.contains("-l audit"), "{shell}");
    }
    project.end();
}
