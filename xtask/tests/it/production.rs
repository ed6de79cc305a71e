//! A protected environment: the cost of a run is shown before it, and its effect is recorded after it, however
//! it ended.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;

use crate::support::{ProgramOutput, Project, said};

/// Two migrations with rows in what they created; the environment is protected and keeps records.
pub(crate) fn project(second_down: &str) -> Project {
    let project = Project::new();
    project.migration(1, "orders", "CREATE TABLE orders (id int PRIMARY KEY, status text);", "DROP TABLE orders;");
    let up = "ALTER TABLE orders ADD note text; CREATE TABLE parcel (id int);";
    project.migration(2, "parcels", up, second_down);
    project.write(
        "migrate.toml",
        "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nprotected = true\nrecord = \"audit\"\nlock_timeout = \"200ms\"\nlock_retries = 0\n",
    );
    project.run_bare(&["migrate", "--env", "live", "--yes"]).ok();
    project.query("INSERT INTO orders SELECT n, 'new', CASE WHEN n <= 3 THEN 'x' END FROM generate_series(1, 10) n");
    project.query("INSERT INTO parcel VALUES (1), (2)");
    project
}

pub(crate) const BACK: &str = "DROP TABLE parcel; ALTER TABLE orders DROP note;";
pub(crate) const ROLLBACK: [&str; 6] = ["rollback", "--env", "live", "--yes", "--reason", "INC-1: it is broken"];

pub(crate) fn rollback(project: &Project, more: &[&str]) -> ProgramOutput {
    project.run_bare(&[&ROLLBACK, more].concat())
}

/// The folders of the records of rollbacks, the oldest first.
pub(crate) fn records(project: &Project) -> Vec<PathBuf> {
    let entries = fs::read_dir(project.path().join("audit")).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.to_string_lossy().contains("-live-rollback"));
    folders.sort();
    folders
}

fn record(project: &Project) -> Value {
    let folder = records(project).pop().unwrap();
    serde_json::from_slice(&fs::read(folder.join("record.json")).unwrap()).unwrap()
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}: still not so");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const SLEEPING: &str = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";

/// A rollback that sleeps on the server.
fn sleeping(project: &Project) -> Child {
    let child = project.command(&ROLLBACK).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("it sleeps", || !project.query(SLEEPING).is_empty());
    child
}

/// What two steps drop is reported once, with the first; a materialized view that is not populated blocks
/// nothing.
#[test]
fn what_is_gone_is_not_told_again() {
    let project = project(BACK);
    project.query("CREATE MATERIALIZED VIEW unfilled AS SELECT id FROM orders WITH NO DATA");
    project.migration(3, "slim", "ALTER TABLE orders DROP note, DROP status;", "ALTER TABLE orders ADD status text;");
    let again = "ALTER TABLE orders DROP COLUMN IF EXISTS note; DROP MATERIALIZED VIEW unfilled;";
    project.migration(4, "slimmer", again, "SELECT 1;");
    project.query(
        "DROP MATERIALIZED VIEW unfilled; CREATE MATERIALIZED VIEW unfilled AS SELECT id FROM orders WITH NO DATA",
    );
    let shown = project.run_bare(&["migrate", "--env", "live", "--dry-run"]).ok();
    assert_eq!(shown.out.matches("values of note").count(), 1, "{}", shown.out);
    assert_eq!(shown.out.matches("values of status").count(), 1, "{}", shown.out);
    project.run_bare(&["migrate", "--env", "live", "--yes"]).ok();
    assert_eq!(project.query("SELECT count(*)::text FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped"), ["1"]);
    project.end();
}

#[test]
fn the_price_is_shown_before_and_the_effect_after() {
    let project = project(BACK);
    let refused = project.run_bare(&["rollback", "--env", "live", "--yes"]);
    assert_eq!((refused.code, refused.err.contains("needs-reason")), (2, true), "{refused:?}");
    let dry = project.run_bare(&["rollback", "--env", "live", "--dry-run"]).ok();
    for part in [
        "DROP TABLE parcel",
        "destructive",
        "parcel: 2 rows",
        "3 values of note, in 10 rows",
        "access exclusive",
        "fix forward",
    ] {
        assert!(dry.out.contains(part), "{part}: {}", dry.out);
    }
    let dry = project.run_bare(&["rollback", "--env", "live", "--dry-run", "--format", "json"]).ok().json();
    assert_eq!(dry["brief"]["losses"][1]["columns"][0]["values"], serde_json::json!({ "number": 3, "exact": true }));
    assert_eq!(records(&project), Vec::<PathBuf>::new(), "nothing was run, nothing is on record");

    let said = rollback(&project, &["--format", "json"]).ok().json();
    let record = record(&project);
    assert!(said["record"].as_str().unwrap().contains("-live-rollback"));
    assert_eq!((&record["outcome"], &record["reason"]), (&"done".into(), &"INC-1: it is broken".into()));
    assert_eq!(
        (&record["version_before"], &record["version_after"]),
        (&"20250101000002".into(), &"20250101000001".into())
    );
    let difference = record["difference"].to_string();
    assert!(
        difference.contains("column public.orders.note") && difference.contains("table public.parcel"),
        "{difference}"
    );
    assert_eq!(record["before"]["tables"]["public.orders"]["rows"]["number"], 10);
    assert_eq!((&record["rows"][0]["table"], &record["rows"][0]["after"]), (&"public.parcel".into(), &Value::Null));
    assert_eq!(
        (&record["ledger"][0]["event"], &record["ledger"][0]["note"]),
        (&"rolled_back".into(), &"INC-1: it is broken".into())
    );
    let folder = records(&project).pop().unwrap();
    for (file, has_parcel) in [("before.json", true), ("after.json", false)] {
        assert_eq!(fs::read_to_string(folder.join(file)).unwrap().contains("parcel"), has_parcel);
    }
    let page = fs::read_to_string(folder.join("record.md")).unwrap();
    assert!(page.starts_with("# rollback of live: done") && page.contains("INC-1"), "{page}");
    project.end();
}

#[test]
fn what_is_in_the_way_is_shown_before() {
    let project = project(BACK);
    project.query("CREATE INDEX half ON orders (status)");
    project.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'half'::regclass");
    let shop = project.hold("SET application_name TO shop");
    let said = project.run_bare(&["rollback", "--env", "live", "--dry-run"]).ok();
    for part in ["connected  1 × shop", "the index public.half is invalid", "accepts writes", "size       "] {
        assert!(said.out.contains(part), "{part}: {said:?}");
    }
    drop(shop);
    project.migration(3, "more", "CREATE TABLE more ();", "DROP TABLE more;");
    let said = project.run_bare(&["migrate", "--env", "live", "--dry-run"]).ok();
    assert!(said.out.contains("the index public.half is invalid"), "a migrate has the same evidence: {said:?}");
    project.end();
}

#[test]
fn a_server_that_takes_no_writes_is_told_before_anything_is_asked() {
    let project = project(BACK);
    project.query(&format!("ALTER DATABASE {} SET default_transaction_read_only TO on", project.database.name()));
    let said = rollback(&project, &[]);
    assert!((said.code, said.err.contains("error[read-only]")) == (1, true), "{said:?}");
    assert_eq!((records(&project), project.query("SELECT count(*) FROM parcel")), (vec![], vec!["2".to_owned()]));
    let dry = project.run_bare(&["rollback", "--env", "live", "--dry-run"]).ok();
    assert!(dry.out.contains("read-only"), "one may look: {dry:?}");
    project.end();
}

#[test]
fn data_that_are_kept_come_back() {
    let project = project(BACK);
    rollback(&project, &["--keep-data"]).ok();
    let listed = project.run_bare(&["kept", "--env", "live", "--format", "json"]).ok().json();
    assert_eq!((&listed["kept"][1]["relation"], &listed["kept"][1]["rows"]), (&"public.parcel".into(), &2.into()));
    project.run_bare(&["migrate", "--env", "live", "--yes"]).ok();
    assert_eq!(project.query("SELECT count(note) || ' ' || (SELECT count(*) FROM parcel) FROM orders"), ["3 2"]);
    let shown = project.run_bare(&["kept", "--env", "live"]).ok().out;
    let is_restored = |line: &&str| line.contains("restored") && line.contains("ledger_kept");
    assert_eq!(shown.lines().filter(is_restored).count(), 2, "{shown}");
    assert_eq!(project.run_bare(&["kept", "purge", "--env", "live"]).code, 2, "it is protected");
    project.run_bare(&["kept", "purge", "--env", "live", "--yes"]).ok();
    assert!(project.run_bare(&["kept", "--env", "live"]).ok().out.contains("no data is kept"));
    project.end();
}

#[test]
fn what_does_not_come_back_is_told_and_not_purged_with_the_rest() {
    let project = project(BACK);
    // The table is accessible to everybody before the rows can be restored, so it is unknown whose rows it
    // contains.
    let up = "-- migrate: no-transaction\nCREATE TABLE state (id serial PRIMARY KEY, name text UNIQUE);\n\
              INSERT INTO state (name) VALUES ('new'), ('old');";
    project.migration(3, "state", up, "DROP TABLE state;");
    project.run_bare(&["migrate", "--env", "live", "--yes"]).ok();
    project.query("UPDATE state SET id = id + 10");
    rollback(&project, &["-n", "2", "--keep-data"]).ok();
    let said = project.run_bare(&["migrate", "--env", "live", "--yes"]).ok();
    assert!(said.err.contains("kept: 12 rows"), "{said:?}");
    assert!(said.err.contains("kept from public.state, 0 came back; the copy is roundtrip.ledger_kept_"), "{said:?}");
    project.run_bare(&["kept", "purge", "--env", "live", "--yes"]).ok();
    let listed = project.run_bare(&["kept", "--env", "live", "--format", "json"]).ok().json();
    let nothing = project.run_bare(&["kept", "purge", "--env", "live", "--yes"]).ok();
    let why = "nothing to do: no copy was restored completely; 1 copy was not: --all drops it too";
    assert!(nothing.out.contains(why), "{nothing:?}");
    let left: Vec<_> = listed["kept"].as_array().unwrap().iter().map(|copy| &copy["relation"]).collect();
    assert_eq!(left, ["public.state"]);
    project.end();
}

#[test]
fn what_is_not_known_to_be_kept_is_listed_as_not_kept() {
    let project = project(BACK);
    let up = "-- migrate: no-transaction\nDO $$ BEGIN EXECUTE 'UPDATE' || ' orders SET status = NULL'; COMMIT; END $$;";
    project.migration(3, "old", up, "SELECT 1;");
    project.run_bare(&["migrate", "--env", "live", "--yes"]).ok();
    rollback(&project, &["--keep-data"]).ok();
    let shown = project.run_bare(&["kept", "--env", "live"]).ok().out;
    assert!(shown.contains("it does not run in a transaction") && shown.contains("not kept"), "{shown}");
    assert!(!shown.contains("restores the data"), "{shown}");
    project.end();
}

#[test]
fn a_failure_in_the_middle_leaves_a_complete_record() {
    let project = project(BACK);
    project.query("CREATE VIEW in_the_way AS SELECT id FROM orders");
    let said = rollback(&project, &["--all"]);
    assert_eq!(said.code, 1, "{said:?}");
    let record = record(&project);
    assert_eq!(record["outcome"], "failed");
    assert_eq!(
        (&record["done"], &record["not_done"]),
        (&serde_json::json!(["20250101000002"]), &serde_json::json!(["20250101000001"]))
    );
    assert_eq!(record["error"][0]["code"], "statement-failed");
    assert_eq!(record["version_after"], "20250101000001");
    assert_eq!(record["rows"][0]["table"], "public.parcel");
    assert_eq!(record["ledger"].as_array().unwrap().len(), 1);
    project.end();
}

#[test]
fn a_lock_timeout_is_on_record_and_nothing_is_gone() {
    let project = project("SELECT pg_sleep(0); DROP TABLE parcel; ALTER TABLE orders DROP note;");
    let holder = project.hold("BEGIN; LOCK TABLE orders");
    let said = rollback(&project, &["--keep-data"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("lock-timeout"), "{said:?}");
    let record = record(&project);
    assert_eq!((&record["outcome"], &record["error"][0]["code"]), (&"failed".into(), &"lock-timeout".into()));
    assert_eq!(record["not_done"], serde_json::json!(["20250101000002"]));
    assert_eq!(project.query("SELECT count(*) FROM parcel"), ["2"]);
    drop(holder);
    project.end();
}

#[test]
fn a_killed_run_leaves_a_record_that_says_so_and_can_be_given_again() {
    let project = project(
        "SELECT pg_sleep(CASE WHEN count(*) = 2 THEN 600 ELSE 0 END) FROM parcel; DROP TABLE parcel; ALTER TABLE orders DROP note;",
    );
    let mut child = sleeping(&project);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    let left = record(&project);
    assert_eq!((&left["outcome"], &left["not_done"]), (&"running".into(), &serde_json::json!(["20250101000002"])));
    assert_eq!(left["before"]["tables"]["public.parcel"]["rows"]["number"], 2);
    let page = fs::read_to_string(records(&project)[0].join("record.md")).unwrap();
    assert!(page.contains("its process was killed") && page.contains("DROP TABLE parcel"), "{page}");
    until("the server notices", || project.query(SLEEPING).is_empty());
    assert_eq!(project.query("SELECT count(*) FROM parcel"), ["2"]);
    project.query("DELETE FROM parcel WHERE id = 1");
    rollback(&project, &[]).ok();
    assert_eq!((records(&project).len(), &record(&project)["outcome"]), (2, &"done".into()));
    project.end();
}

#[test]
fn where_no_record_can_be_written_nothing_is_run() {
    let project = project(BACK);
    let in_the_way = project.write("a-file", "");
    let said = rollback(&project, &["--record", in_the_way.to_str().unwrap()]);
    assert_eq!((said.code, said.err.contains("audit-unwritable")), (1, true), "{said:?}");
    assert_eq!(project.query("SELECT count(*) FROM parcel"), ["2"]);
    project.end();
}

/// What the disk does when it is full: the folder accepts nothing more while the run is in progress.
#[test]
fn where_the_record_cannot_be_ended_it_is_shown_and_the_outcome_stays() {
    let project = project("SELECT pg_sleep(1); DROP TABLE parcel; ALTER TABLE orders DROP note;");
    let child = sleeping(&project);
    let folder = records(&project).pop().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    let said = said(child.wait_with_output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("audit-unwritable") && said.err.contains("# rollback of live: done"), "{said:?}");
    assert_eq!(project.query("SELECT count(*) FROM pg_class WHERE relname = 'parcel'"), ["0"]);
    project.end();
}

#[test]
fn of_two_people_at_once_one_rolls_back_and_the_other_is_told() {
    let project = project("SELECT pg_sleep(1); DROP TABLE parcel; ALTER TABLE orders DROP note;");
    let first = sleeping(&project);
    let second = rollback(&project, &[]);
    let first = said(first.wait_with_output().unwrap());
    assert_eq!((first.code, second.code), (0, 1), "{first:?} {second:?}");
    assert!(second.err.contains("error[stale-plan]"), "{second:?}");
    let outcomes: Vec<String> = records(&project)
        .iter()
        .map(|folder| {
            serde_json::from_slice::<Value>(&fs::read(folder.join("record.json")).unwrap()).unwrap()["outcome"]
                .to_string()
        })
        .collect();
    assert_eq!(outcomes, ["\"done\"", "\"failed\""]);
    assert_eq!(project.query("SELECT count(*) FROM roundtrip.ledger WHERE event = 'rolled_back'"), ["1"]);
    project.end();
}

#[test]
fn a_role_with_too_few_rights_is_told_before_and_after() {
    let project = project(BACK);
    let role = format!("weak_{}", std::process::id());
    project.query(&format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA roundtrip TO {role}; GRANT SELECT, INSERT ON roundtrip.ledger TO {role};
         GRANT SELECT ON orders TO {role};"
    ));
    let url =
        project.url().replacen("postgres:", &format!("{role}:"), 2).replacen(&format!("{role}://"), "postgres://", 1);
    let mut command = project.command(&ROLLBACK);
    let said = said(command.env("TEST_DATABASE_URL", url).output().unwrap());
    assert_eq!(said.code, 1, "{said:?}");
    for told in ["public.orders belongs to another role", "may not create objects in the schema public"] {
        assert!(said.out.contains(told), "{told}: {said:?}");
    }
    let record = record(&project);
    assert_eq!((&record["outcome"], &record["actor"]["role"]), (&"failed".into(), &role.as_str().into()));
    assert_eq!(record["plan"]["losses"][0]["rows"]["exact"], false, "what may not be read is estimated: {record}");
    assert_eq!(project.query("SELECT count(*) FROM parcel"), ["2"]);
    project.query(&format!("DROP OWNED BY {role}; DROP ROLE {role};"));
    project.end();
}

/// The file in which a running server of this folder identifies itself.
fn postmaster(folder: &std::path::Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.into_iter().find_map(|path| match path.is_dir() {
        true => postmaster(&path),
        false => (path.file_name()? == "postmaster.pid").then_some(path),
    })
}

#[test]
fn a_restart_of_the_server_is_on_record_and_nothing_is_half_done() {
    let project = Project::new();
    // The account that runs the server enters it.
    fs::set_permissions(project.path(), fs::Permissions::from_mode(0o755)).unwrap();
    project.migration(
        1,
        "orders",
        "CREATE TABLE orders (id int); INSERT INTO orders VALUES (1);",
        "DROP TABLE orders;",
    );
    let up = "CREATE TABLE parcel (id int); INSERT INTO parcel VALUES (1), (2);";
    project.migration(2, "parcels", up, "DROP TABLE parcel; SELECT pg_sleep(count(*) * 600) FROM orders;");
    project.write("migrate.toml", "[environments.live]\ndatabase = \"local\"\nprotected = true\nrecord = \"audit\"\n");
    project.run_bare(&["migrate", "--env", "live", "--yes"]).ok();
    let child = project.command(&ROLLBACK).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let url = project.run_bare(&["db", "url", "--env", "live"]).ok().out;
    let options: PgConnectOptions = url.trim().parse().unwrap();
    let asked = |sql: &str| project.query_on(&options, sql);
    until("it sleeps", || !asked(SLEEPING).is_empty());

    let file = postmaster(&project.path().join("home")).unwrap();
    let pid: i32 = fs::read_to_string(&file).unwrap().lines().next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    until("it is down", || !file.exists());
    project.run_bare(&["db", "up", "--env", "live"]).ok();

    let said = said(child.wait_with_output().unwrap());
    assert_eq!(said.code, 1, "{said:?}");
    let left = record(&project);
    assert_eq!((&left["outcome"], &left["done"]), (&"failed".into(), &serde_json::json!([])), "{left}");
    assert_eq!(
        left["after"]["tables"]["public.parcel"]["rows"]["number"], 2,
        "the server was looked for again: {left}"
    );
    assert_eq!(left["difference"], serde_json::json!([]));
    asked("DELETE FROM orders");
    project.run_bare(&ROLLBACK).ok();
    assert_eq!(record(&project)["done"], serde_json::json!(["20250101000002"]));
    let pid: i32 = fs::read_to_string(&file).unwrap().lines().next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    until("it is down", || !file.exists());
    project.end();
}

/// The old names are accepted, do the same, and are reported with the new ones.
#[test]
fn the_old_names_of_the_run_record_still_work() {
    let project = Project::new();
    project.migration(1, "orders", "CREATE TABLE orders ();", "DROP TABLE orders;");
    let records = |folder: &str| fs::read_dir(project.path().join(folder)).map_or(0, Iterator::count);
    let live = |key: &str| format!("[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\n{key} = \"records\"\n");
    let run = |arguments: &[&str]| project.run_bare(&[arguments, &["--env", "live"]].concat()).ok();
    let (note, at) = ("warning[config-renamed]: `audit` is now called `record`", "migrate.toml:3:1");
    project.write("migrate.toml", live("audit"));
    let old = run(&["migrate"]);
    assert!(old.err.contains(note) && old.err.contains(at) && records("records") == 1, "{old:?}");
    let events = run(&["status", "--format", "json"]).err;
    let event: serde_json::Value = serde_json::from_str(&events).unwrap();
    assert_eq!((&event["progress"], &event["finding"]["code"]), (&"notice".into(), &"config-renamed".into()));
    project.write("migrate.toml", live("record"));
    let new = run(&["rollback"]);
    assert!(new.err.is_empty() && records("records") == 2, "{new:?}");
    let folder = project.path().join("other").display().to_string();
    let option = run(&["migrate", "--audit", &folder]);
    let note = "warning[config-renamed]: `--audit` is now called `--record`";
    assert!(option.err.contains(note) && (records("records"), records("other")) == (2, 1), "{option:?}");
    let help = project.run_bare(&["migrate", "--help"]).ok();
    assert!(help.out.contains("--record <DIR>") && !help.out.contains("--audit"), "{help:?}");
    project.end();
}
