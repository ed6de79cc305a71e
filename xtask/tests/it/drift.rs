//! A database that was changed by hand: what differs, since when, who did it, and what can be done about it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{ProgramOutput, Project, said};

/// An environment `staging` with two migrations applied.
fn project(more: &str) -> Project {
    let project = Project::new();
    project.migration(1, "orders", "CREATE TABLE orders (id int PRIMARY KEY, status text);", "DROP TABLE orders;");
    let up = "ALTER TABLE orders ADD total numeric(10,2); CREATE TABLE parcel (id int);";
    project.migration(2, "totals", up, "DROP TABLE parcel; ALTER TABLE orders DROP total;");
    let file = format!("{more}\n[environments.staging]\ndatabase = \"env:TEST_DATABASE_URL\"\n");
    project.write("migrate.toml", file);
    project.run_bare(&["migrate", "--env", "staging"]).ok();
    project
}

fn drift(project: &Project, more: &[&str]) -> ProgramOutput {
    project.run_bare(&[&["drift", "--env", "staging"], more].concat())
}

#[track_caller]
fn found(said: &ProgramOutput) -> Value {
    assert_eq!(said.code, 3, "{said:?}");
    said.json()["differences"].clone()
}

/// The difference about this object.
#[track_caller]
fn about<'a>(differences: &'a Value, object: &str) -> &'a Value {
    let all = differences.as_array().unwrap();
    all.iter().find(|one| one["object"] == object).unwrap_or_else(|| panic!("{object}: {differences:#}"))
}

#[test]
fn what_no_migration_made_is_found_with_the_migration_that_knows_the_object() {
    let project = project("");
    let clean = drift(&project, &[]).ok();
    assert!(clean.out.contains("no drift"), "{clean:?}");
    project.query("CREATE TABLE stray (id int PRIMARY KEY, note text); ALTER TABLE orders ALTER total TYPE numeric(12,2); DROP TABLE parcel");
    let said = drift(&project, &["--format", "json"]);
    let all = found(&said);
    assert_eq!(all.as_array().unwrap().len(), 3, "{all:#}");
    let stray = about(&all, "table public.stray");
    assert_eq!((&stray["what"], &stray["made_by"]), (&"extra".into(), &Value::Null));
    let total = about(&all, "column public.orders.total");
    assert_eq!((&total["what"], &total["made_by"]), (&"changed".into(), &"20250101000002".into()));
    assert_eq!(total["sentences"][0], "column public.orders.total: numeric(10,2) → numeric(12,2)");
    let parcel = about(&all, "table public.parcel");
    assert_eq!((&parcel["what"], &parcel["made_by"]), (&"missing".into(), &"20250101000002".into()));
    let text = drift(&project, &[]);
    assert_eq!(text.code, 3);
    assert!(text.out.contains("made by 20250101000002_totals"), "{text:?}");
    assert!(text.out.contains("table public.stray: only in staging") && text.out.contains("3 differences"), "{text:?}");
    project.end();
}

#[test]
fn the_statements_bring_it_back() {
    let project = project("");
    project.query("CREATE TABLE stray (id int); ALTER TABLE orders ALTER total TYPE numeric(12,2); DROP TABLE parcel; CREATE INDEX hand ON orders (status)");
    let said = drift(&project, &["--sql"]);
    assert_eq!(said.code, 3, "{said:?}");
    project.query(&said.out);
    drift(&project, &[]).ok();
    project.end();
}

#[test]
fn the_ledgers_own_things_are_no_drift() {
    let project = project("");
    project.run_bare(&["audit", "install", "--env", "staging"]).ok();
    project.query("INSERT INTO orders VALUES (1, 'new', 2)");
    project.run_bare(&["rollback", "--env", "staging", "--keep-data"]).ok();
    assert_ne!(project.query("SELECT count(*) FROM roundtrip.ledger_kept"), ["0"]);
    drift(&project, &[]).ok();
    project.end();
}

#[test]
fn what_counts_is_what_the_ledger_says_and_files_that_do_not_fit_are_told() {
    let project = project("");
    project.migration(3, "later", "CREATE TABLE later (id int);", "DROP TABLE later;");
    drift(&project, &[]).ok();
    let up = "migrations/20250101000002_totals.up.sql";
    let text = fs::read_to_string(project.path().join(up)).unwrap();
    project.write(up, "CREATE TABLE other (id int);");
    let said = drift(&project, &[]);
    assert!(
        said.code == 3 && said.err.contains("error[modified]") && said.err.contains("the expected schema is unknown"),
        "{said:?}"
    );
    project.write(up, text);
    fs::remove_file(project.path().join("migrations/20250101000001_orders.up.sql")).unwrap();
    fs::remove_file(project.path().join("migrations/20250101000001_orders.down.sql")).unwrap();
    let said = drift(&project, &[]);
    assert!(said.code == 3 && said.err.contains("error[missing-file]"), "{said:?}");
    project.end();
}

#[test]
fn where_there_is_no_ledger_it_says_so() {
    let project = Project::new();
    project.migration(1, "orders", "CREATE TABLE orders (id int);", "DROP TABLE orders;");
    let said = project.run(&["drift"]);
    assert!(
        said.code == 1 && said.err.contains("error[no-ledger]") && said.err.contains("baseline --mark"),
        "{said:?}"
    );
    assert_eq!(project.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'roundtrip'"), ["0"]);
    project.end();
}

#[test]
fn what_is_ignored_is_counted_and_left_alone() {
    let project =
        project("[drift]\nignore = [\"table public.tmp_*\", \"schema scratch\", \"scratch.*\", \"index *.hand\"]\n");
    project.query(
        "CREATE TABLE tmp_a (id serial PRIMARY KEY, t text UNIQUE); CREATE SCHEMA scratch; CREATE TABLE scratch.a (id int);
         CREATE INDEX hand ON orders (status)",
    );
    let said = drift(&project, &["--format", "json"]).ok();
    assert!(said.json()["ignored"].as_u64().unwrap() >= 3, "{said:?}");
    project.query("CREATE TABLE stray (id int)");
    let sql = drift(&project, &["--sql"]);
    assert!(
        sql.out.contains("DROP TABLE public.stray") && !sql.out.contains("tmp_a") && !sql.out.contains("hand"),
        "{sql:?}"
    );
    project.write("migrate.toml", "[drift]\nignore = [\n  \"tabel public.x\",\n]\n");
    let said = project.run(&["drift"]);
    assert!(said.code == 2 && said.err.contains("did you mean `table`?") && said.err.contains(":3:3"), "{said:?}");
    project.end();
}

#[test]
fn fingerprints_bound_the_time() {
    let project = project("[drift]\nignore = [\"table public.tmp_*\"]\n");
    let last = "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') FROM roundtrip.ledger WHERE event = 'observed' ORDER BY id DESC LIMIT 1";
    let first = project.query(last).remove(0);
    project.query("CREATE TABLE stray (id int PRIMARY KEY, note text DEFAULT 'x'); CREATE TABLE tmp_a (id int)");
    let all = found(&drift(&project, &["--format", "json"]));
    let stray = about(&all, "table public.stray");
    assert!(stray["after"].as_str().unwrap().starts_with(&first) && stray["before"].is_null(), "{all:#}");
    project.run_bare(&["redo", "--env", "staging"]).ok();
    let second = project.query(last).remove(0);
    project.query("ALTER TABLE orders ADD by_hand int");
    let all = found(&drift(&project, &["--format", "json"]));
    let stray = about(&all, "table public.stray");
    assert!(stray["after"].as_str().unwrap().starts_with(&first), "{all:#}");
    assert!(stray["before"].as_str().unwrap().starts_with(&second), "{all:#}");
    let column = about(&all, "column public.orders.by_hand");
    assert!(column["after"].as_str().unwrap().starts_with(&second) && column["before"].is_null(), "{all:#}");
    project.end();
}

#[test]
fn the_record_says_who_and_how() {
    let project = project("");
    project.run_bare(&["audit", "install", "--env", "staging"]).ok();
    project.query("SET application_name = 'psql of Ann'; CREATE INDEX hand ON orders (status)");
    project.query("SET application_name = 'psql of Bob'; ALTER TABLE orders ALTER total SET DEFAULT 0");
    project.query("SET application_name = 'psql of Cid'; DROP TABLE parcel");
    project.query("SET application_name = 'psql of Dee'; ALTER TABLE orders ADD late int");
    project.query("SET application_name = 'psql of Eve'; GRANT SELECT ON orders TO PUBLIC");
    project.query("SET application_name = 'psql of Fay'; CREATE TABLE other (late int, status text, total int)");
    let all = found(&drift(&project, &["--format", "json"]));
    let who = |object: &str| about(&all, object)["record"]["application"].clone();
    assert_eq!(who("index public.orders.hand"), "psql of Ann");
    assert_eq!(who("column public.orders.total"), "psql of Bob");
    assert_eq!(who("table public.parcel"), "psql of Cid");
    assert_eq!(who("column public.orders.late"), "psql of Dee");
    assert_eq!(who("table public.orders"), "psql of Eve");
    let text = drift(&project, &[]).out;
    assert!(text.contains("psql of Ann") && text.contains("CREATE INDEX hand ON orders (status)"), "{text}");
    project.end();
}

#[test]
fn a_role_that_may_only_read_is_enough() {
    let project = project("");
    project.run_bare(&["audit", "install", "--env", "staging"]).ok();
    project.query("CREATE TABLE stray (id int)");
    let role = format!("drift_reader_{}", std::process::id());
    project.query(&format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA roundtrip TO {role}; GRANT SELECT ON roundtrip.ledger TO {role}"));
    let url =
        project.url().replacen("postgres:", &format!("{role}:"), 2).replacen(&format!("{role}://"), "postgres://", 1);
    let reading =
        |arguments: &[&str]| said(project.command(arguments).env("TEST_DATABASE_URL", &url).output().unwrap());
    let told = reading(&["drift", "--env", "staging"]);
    assert!(
        told.code == 3 && told.out.contains("table public.stray") && told.out.contains("may not read the audit"),
        "{told:?}"
    );
    let refused = reading(&["audit", "install", "--env", "staging"]);
    assert!(refused.code == 1 && refused.err.contains("error[audit-refused]"), "{refused:?}");
    assert!(reading(&["audit", "--env", "staging"]).ok().out.contains("may not read the record"));
    project.query(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    project.end();
}

#[test]
fn what_was_made_by_hand_becomes_a_migration_that_is_applied_where_it_is_there() {
    let project = project("");
    project.query("CREATE TABLE stray (id int PRIMARY KEY, note text); CREATE INDEX hand ON orders (status)");
    let said = drift(&project, &["--adopt", "hotfix", "--format", "json"]).ok();
    let versions: Vec<String> = said.json()["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|path| path.as_str().unwrap().strip_suffix(".up.sql"))
        .map(|path| path.rsplit('/').next().unwrap().split('_').next().unwrap().to_owned())
        .collect();
    assert_eq!(versions.len(), 2, "an index is built concurrently, in a migration of its own: {said:?}");
    project.query("CREATE TABLE another (id int)");
    let refused = drift(&project, &["--mark", &versions.join(",")]);
    assert!(
        refused.code == 3 && refused.out.contains("table public.another") && refused.out.contains("not marked"),
        "{refused:?}"
    );
    project.query("DROP TABLE another");
    drift(&project, &["--mark", &versions[1]]).code.eq(&2).then_some(()).unwrap();
    drift(&project, &["--mark", &versions.join(",")]).ok();
    assert_eq!(
        project.query("SELECT event FROM roundtrip.ledger WHERE note LIKE 'adopted%'"),
        ["baselined", "baselined"]
    );
    drift(&project, &[]).ok();
    assert_eq!(project.run_bare(&["status", "--env", "staging", "--exit-code"]).ok().code, 0);
    project.run_bare(&["verify", &versions[0], &versions[1]]).ok();
    let refused = project.run_bare(&["rollback", "--env", "staging", "-n", "2"]);
    assert!(refused.code == 3 && refused.err.contains("never-run"), "they were never run here: {refused:?}");
    let before = project.query("SELECT max(version) FROM roundtrip.ledger WHERE event = 'applied'").remove(0);
    project.run_bare(&["rollback", "--env", "staging", "--to", &before]).ok();
    assert_eq!(project.query("SELECT count(*) FROM pg_class WHERE relname IN ('stray', 'hand')"), ["0"]);
    project.end();
}

#[test]
fn a_renamed_table_is_two_differences_and_one_statement() {
    let project = project("");
    project.run_bare(&["audit", "install", "--env", "staging"]).ok();
    project.query("SET application_name = 'psql of Ann'; ALTER TABLE parcel RENAME TO packet");
    let all = found(&drift(&project, &["--format", "json"]));
    for object in ["table public.parcel", "table public.packet"] {
        let record = &about(&all, object)["record"];
        assert_eq!(record["application"], "psql of Ann", "{all:#}");
        assert!(record["statement"].as_str().unwrap().contains("RENAME TO packet"), "{all:#}");
    }
    project.end();
}

/// Our own runs are on record too, and are not to blame.
#[test]
fn a_run_of_ours_is_never_the_one_who_did_it() {
    let project = project("");
    project.run_bare(&["audit", "install", "--env", "staging"]).ok();
    project.run_bare(&["redo", "-n", "2", "--env", "staging"]).ok();
    project.query("SET session_replication_role = replica; DROP TABLE parcel");
    let all = found(&drift(&project, &["--format", "json"]));
    assert_eq!(about(&all, "table public.parcel")["record"], Value::Null, "{all:#}");
    assert!(drift(&project, &[]).out.contains("no audit record"), "a superuser can go past it");
    project.end();
}

/// If these tests run on chosen binaries, the shadow server here is the machine's own, with another version.
#[test]
fn the_version_of_the_throw_away_server_does_not_matter() {
    let project = project("");
    project.query("CREATE VIEW shown AS SELECT o.id, p.id AS parcel FROM orders o JOIN parcel p ON p.id = o.id");
    let looked = |more: &[&str]| {
        let mut command = project.command(&[&["drift", "--env", "staging"], more].concat());
        said(command.env_remove("ROUNDTRIP_TEST_BINDIR").output().unwrap())
    };
    let all = found(&looked(&["--format", "json"]));
    assert_eq!(
        (all.as_array().unwrap().len(), &about(&all, "view public.shown")["what"]),
        (1, &"extra".into()),
        "{all:#}"
    );
    project.query(&looked(&["--sql"]).out);
    looked(&[]).ok();
    // Versions write even a view of one table in different words; that the definitions are equivalent is still
    // recognized.
    project.query("CREATE VIEW brief AS SELECT id FROM orders; CREATE MATERIALIZED VIEW kept AS SELECT id FROM orders");
    let all = found(&looked(&["--format", "json"]));
    assert_eq!(all.as_array().unwrap().len(), 2, "{all:#}");
    project.query("CREATE OR REPLACE VIEW brief AS SELECT abs(id) AS id FROM orders");
    project.migration(7, "brief", "CREATE VIEW brief AS SELECT id FROM orders;", "DROP VIEW brief;");
    let all = found(&looked(&["--format", "json"]));
    assert_eq!(about(&all, "view public.brief")["what"], "extra", "{all:#}");
    project.end();
}

#[test]
fn a_watch_outlives_its_server() {
    let project = project("");
    let mut command = project.command(&["drift", "--env", "staging", "--watch", "50ms"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(out.any(|line| line.unwrap().contains("no drift")));
    project.query("ALTER TABLE roundtrip.ledger RENAME TO away");
    assert!(errors.any(|line| line.unwrap().contains("error[no-ledger]")));
    project.query("ALTER TABLE roundtrip.away RENAME TO ledger; CREATE TABLE stray (id int)");
    assert!(out.any(|line| line.unwrap().contains("drift appeared")));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    project.end();
}

#[test]
fn a_watch_reports_each_turn_and_ends_when_it_is_told_to() {
    let project = project("");
    let mut child = project
        .command(&["drift", "--env", "staging", "--watch", "50ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut until = |word: &str| lines.by_ref().find(|line| line.as_ref().unwrap().contains(word)).unwrap().unwrap();
    until("watching");
    until("no drift");
    project.query("CREATE TABLE stray (id int)");
    until("drift appeared");
    until("table public.stray");
    project.query("CREATE TABLE stray2 (id int)");
    until("drift changed");
    project.query("DROP TABLE stray, stray2");
    until("drift is gone");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    project.end();
}
