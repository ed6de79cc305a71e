//! Programs and databases of different ages, folders without migrations, and migrations that were never run
//! here.

use crate::repository::Repository;
use crate::support::{ProgramOutput, Project};

const FIRST: &str = "20250101000001";
const SECOND: &str = "20250101000002";
const THIRD: &str = "20250101000003";

#[track_caller]
fn says(said: &ProgramOutput, parts: &[&str]) {
    let text = format!("{}{}", said.out, said.err);
    for part in parts {
        assert!(text.contains(part), "{part}: {said:?}");
    }
}

fn table(project: &Project, number: u64, name: &str) {
    project.migration(number, name, &format!("CREATE TABLE {name} (id int);\n"), &format!("DROP TABLE {name};\n"));
}

fn remove(project: &Project, number: u64, name: &str) {
    for ending in ["up", "down"] {
        let file = format!("migrations/{}_{name}.{ending}.sql", 20_250_101_000_000 + number);
        std::fs::remove_file(project.path().join(file)).unwrap();
    }
}

/// The folder of an older image: the database also has `b` and `c`.
fn older() -> Project {
    let project = Project::new();
    for (number, name) in [(1, "a"), (2, "b"), (3, "c")] {
        table(&project, number, name);
    }
    project.run(&["migrate"]).ok();
    remove(&project, 2, "b");
    remove(&project, 3, "c");
    project
}

#[test]
fn an_older_program_is_refused_with_the_ways_out_and_accepted_where_that_is_asked_for() {
    let project = older();
    for command in [&["migrate"][..], &["migrate", "--to", FIRST], &["status"], &["status", "--exit-code"]] {
        let refused = project.run(command);
        assert_eq!(refused.code, 3, "{refused:?}");
        let back = format!("`cargo xtask rollback --to {FIRST} --env");
        says(&refused, &["missing-file", SECOND, THIRD, "2 migrations newer", &back, "--allow-newer", "`ledger`"]);
    }
    for command in [&["migrate"][..], &["migrate", "--to", FIRST], &["status", "--exit-code"]] {
        let accepted = project.run(&[command, &["--allow-newer"]].concat()).ok();
        says(&accepted, &["warning[newer-database]", "2 migrations newer", THIRD, FIRST]);
    }
    let json = project.run(&["migrate", "--allow-newer", "--format", "json"]).ok().json();
    assert_eq!((&json["warnings"][0]["code"], &json["version"]), (&"newer-database".into(), &THIRD.into()));
    let json = project.run(&["status", "--allow-newer", "--format", "json"]).ok().json();
    assert_eq!((&json["applied"][1]["newer"], &json["applied"][0]["newer"]), (&true.into(), &false.into()));
    project.write("migrate.toml", "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nallow_newer = true\n");
    for command in ["migrate", "status", "doctor"] {
        says(&project.run_bare(&[command, "--env", "live"]), &["2 migrations newer"]);
    }
    project.run_bare(&["migrate", "--env", "live"]).ok();
    assert_eq!(project.query("SELECT count(*) FROM roundtrip.ledger WHERE event = 'applied'"), ["3"]);
    project.end();
}

#[test]
fn a_hole_and_what_is_pending_below_newer_ones_stay_errors() {
    let project = older();
    table(&project, 3, "c");
    let hole = project.run(&["migrate", "--allow-newer"]);
    assert_eq!(hole.code, 3, "{hole:?}");
    says(&hole, &["error[missing-file]", SECOND, "does another service write to this ledger?"]);
    remove(&project, 3, "c");
    let between = "migrations/20250101120000_late";
    project.write(&format!("{between}.up.sql"), "CREATE TABLE late (id int);\n");
    project.write(&format!("{between}.down.sql"), "DROP TABLE late;\n");
    project.run(&["rollback", "--to", SECOND]).ok();
    let early = project.run(&["migrate", "--allow-newer"]);
    // The folder's newest migration is now newer than the database, so `b` is a gap.
    says(&early, &["error[missing-file]"]);
    for ending in ["up", "down"] {
        std::fs::remove_file(project.path().join(format!("{between}.{ending}.sql"))).unwrap();
    }
    project.run(&["rollback", "--to", FIRST]).ok();
    table(&project, 2, "b");
    table(&project, 3, "c");
    project.run(&["migrate", "-n", "1"]).ok();
    project.query("INSERT INTO roundtrip.ledger SELECT * FROM roundtrip.ledger WHERE false");
    remove(&project, 3, "c");
    project.run(&["rollback", "--all"]).ok();
    project.run(&["migrate", "--to", FIRST]).ok();
    table(&project, 3, "c");
    remove(&project, 2, "b");
    project.run(&["migrate"]).ok();
    remove(&project, 3, "c");
    table(&project, 2, "b");
    let below = project.run(&["migrate", "--allow-newer"]);
    assert_eq!(below.code, 3, "{below:?}");
    says(&below, &["error[out-of-order]"]);
    project.end();
}

#[test]
fn migrate_to_a_version_that_the_database_is_past_is_an_error_of_its_own() {
    let project = Project::new();
    table(&project, 1, "a");
    table(&project, 2, "b");
    project.run(&["migrate"]).ok();
    let past = project.run(&["migrate", "--to", FIRST]);
    assert_eq!(past.code, 3, "{past:?}");
    says(&past, &["error[beyond-target]", SECOND, &format!("`cargo xtask rollback --to {FIRST} --env")]);
    let json = project.run(&["migrate", "--to", FIRST, "--format", "json"]);
    assert_eq!((json.code, &json.json()["error"]["findings"][0]["code"]), (3, &"beyond-target".into()));
    assert_eq!(project.run(&["migrate", "--to", FIRST, "--dry-run"]).code, 3);
    project.run(&["migrate", "--to", SECOND]).ok();
    project.end();
}

#[test]
fn a_version_can_be_ensured_by_whoever_may_only_read() {
    let project = Project::new();
    table(&project, 1, "a");
    table(&project, 2, "b");
    project
        .write("migrate.toml", "[environments.own]\ndatabase = \"env:TEST_DATABASE_URL\"\nledger = \"svc.ledger\"\n");
    let none = project.run_bare(&["ensure", FIRST, "--env", "own"]);
    assert_eq!(none.code, 3, "{none:?}");
    says(&none, &["error[behind]", "no ledger svc.ledger"]);
    project.run_bare(&["migrate", "--env", "own", "-n", "1"]).ok();
    says(&project.run_bare(&["ensure", FIRST, "--env", "own"]).ok(), &[FIRST, "is applied"]);
    let newest = project.run_bare(&["ensure", "--env", "own"]);
    assert_eq!(newest.code, 3, "{newest:?}");
    says(&newest, &[SECOND, "the newest applied migration in the ledger svc.ledger is 20250101000001"]);
    assert_eq!(project.run_unnamed(&["ensure", FIRST]).code, 3, "the ledger of the environment is not the default one");
    // An application without a folder of migrations can query it too, as a read-only role.
    let url = project.url();
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    let role = format!("reader_of_{name}");
    project.query(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD '{}'; GRANT USAGE ON SCHEMA svc TO {role}; GRANT SELECT ON svc.ledger TO {role}",
        crate::support::SECRET
    ));
    std::fs::remove_dir_all(project.path().join("migrations")).unwrap();
    let mut command = project.command(&["ensure", FIRST, "--env", "own", "--format", "json"]);
    let own = format!("postgres:{}@", crate::support::SECRET);
    command.env("TEST_DATABASE_URL", url.replacen(&own, &format!("{role}:{}@", crate::support::SECRET), 1));
    let said = crate::support::said(command.output().unwrap()).ok().json();
    assert_eq!(
        (&said["command"], &said["ensured"], &said["version"]),
        (&"ensure".into(), &FIRST.into(), &FIRST.into())
    );
    project.query(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    project.end();
}

#[test]
fn a_folder_without_migrations_is_never_a_success() {
    let repository = Repository::new();
    let project = &repository.0;
    std::fs::remove_dir_all(project.path().join("migrations")).unwrap();
    std::fs::create_dir_all(project.path().join("migrations/db")).unwrap();
    project.write("migrations/.keep", "");
    project.write("migrations/db/0001_a.up.sql", "CREATE TABLE a (id int);\n");
    project.write("migrations/db/0001_a.down.sql", "DROP TABLE a;\n");
    let commands: [&[&str]; 9] = [
        &["migrate"],
        &["migrate", "--dry-run"],
        &["check"],
        &["lint"],
        &["verify", "--all"],
        &["ci"],
        &["consumers", "check"],
        &["ensure"],
        &["status", "--exit-code"],
    ];
    for layout in [&["--layout", "sqlx"][..], &["--layout", "flyway"]] {
        for command in commands {
            // The checks use a server that --database names as their own.
            let is_check = !["migrate", "ensure", "status"].contains(&command[0]);
            let all = [command, layout].concat();
            let said = if is_check { project.run_bare(&all) } else { project.run(&all) };
            assert_eq!(said.code, 3, "{command:?}: {said:?}");
            says(
                &said,
                &["no-migrations", "no migrations in migrations", "db/", "--migrations migrations/db --layout sqlx"],
            );
        }
    }
    // The first commands in a new project work.
    says(&project.run(&["status", "--layout", "sqlx"]).ok(), &["0 applied, 0 pending", "no-migrations"]);
    std::fs::remove_dir_all(project.path().join("migrations/db")).unwrap();
    let empty = project.run(&["migrate"]);
    assert_eq!(empty.code, 3, "{empty:?}");
    says(&empty, &["the folder is empty", "`cargo xtask new NAME --env"]);
    project.run_bare(&["new", "first"]).ok();
    repository.0.end();
}

/// A database with rows whose baseline was only marked.
fn marked() -> Project {
    let project = Project::new();
    project.query("CREATE TABLE old (id int)");
    project.query("INSERT INTO old VALUES (1), (2)");
    table(&project, 1, "old");
    project.run(&["baseline", "--mark"]).ok();
    project
}

#[test]
fn a_rollback_does_not_undo_what_a_baseline_only_recorded_unless_it_is_named() {
    let project = marked();
    for command in [&["rollback"][..], &["rollback", "-n", "3"], &["redo"], &["rollback", "--dry-run"]] {
        let refused = project.run(command);
        assert_eq!(refused.code, 3, "{refused:?}");
        says(&refused, &["error[never-run]", FIRST, "`cargo xtask rollback --all --env"]);
    }
    table(&project, 2, "new");
    project.run(&["migrate"]).ok();
    let reaches = project.run(&["rollback", "-n", "2"]);
    assert_eq!(reaches.code, 3, "{reaches:?}");
    says(&reaches, &["`cargo xtask rollback -n 1 --env"]);
    project.run(&["redo"]).ok();
    project.run(&["rollback", "-n", "1"]).ok();
    assert_eq!(project.query("SELECT count(*) FROM old"), ["2"]);
    assert_eq!(project.run(&["status", "--format", "json"]).ok().json()["applied"][0]["never_run"], true);
    project.write("migrate.toml", "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nprotected = true\n");
    let shown = project.run_bare(&["rollback", "--env", "live", "--all", "--dry-run"]).ok();
    says(&shown, &["warning[never-run]", "decide by hand"]);
    assert!(!shown.out.contains("roll back\n"), "{shown:?}");
    project.run(&["rollback", "--all"]).ok();
    assert_eq!(project.query("SELECT to_regclass('old')"), ["NULL"]);
    project.end();
}

#[test]
fn a_check_that_could_not_be_made_is_no_success() {
    let repository = Repository::branched();
    let project = &repository.0;
    std::fs::create_dir_all(project.path().join("consumers/billing")).unwrap();
    project.write("consumers/billing/queries.sql", "SELECT id FROM shops;\n");
    project.migration(
        3,
        "broken",
        "ALTER TABLE shops ADD COLUMN city nowhere;\n",
        "ALTER TABLE shops DROP COLUMN city;\n",
    );
    for command in [&["consumers", "check"][..], &["lint"]] {
        let said = project.run_bare(command);
        assert_eq!(said.code, 3, "{command:?}: {said:?}");
        says(&project.run_bare(&[command, &["--format", "json"]].concat()), &["could-not-look", "nowhere"]);
    }
    // If another check reports the cause, it is reported once.
    let ci = project.run_bare(&["ci", "--format", "json"]);
    assert_eq!(ci.code, 3, "{ci:?}");
    let json = ci.json();
    let failed = json["checks"].as_array().unwrap().iter().filter(|check| check["failed"] == true).count();
    assert!(failed > 0 && !ci.out.contains("could-not-look"), "{json}");
    repository.0.end();
}
