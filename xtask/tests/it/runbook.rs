//! A runbook that is run with psql has the same result as the command, and refuses to run where it does not
//! fit.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use migrate_base::ident;
use migrate_core::{Database, ours};
use migrate_schema::{self as schema, Schema, SchemaChange, SideNames};
use rstest::rstest;

use crate::support::{ProgramOutput, Project, root, said};

/// The psql that belongs to the server of the tests, or the one of this machine.
pub(crate) fn psql(project: &Project, arguments: &[&str]) -> Command {
    psql_on(project, &project.url(), arguments)
}

/// The same on another server.
pub(crate) fn psql_on(project: &Project, url: &str, arguments: &[&str]) -> Command {
    let beside = std::env::var("ROUNDTRIP_TEST_BINDIR").map(|folder| Path::new(&folder).join("psql"));
    let mut psql = Command::new(beside.ok().filter(|path| path.is_file()).unwrap_or("psql".into()));
    psql.args(["-X", "-v", "actor=ann", "-d", url]).args(arguments);
    psql.current_dir(project.path()).stdin(Stdio::null());
    psql
}

fn with_psql(project: &Project, arguments: &[&str]) -> ProgramOutput {
    said(psql(project, arguments).output().unwrap())
}

/// Writes a script and runs it.
fn by_hand(project: &Project, arguments: &[&str]) -> ProgramOutput {
    project.run(&[&["runbook", "-o", "script.sql"], arguments].concat()).ok();
    with_psql(project, &["-f", "script.sql"])
}

fn schema(project: &Project, ledger: &str) -> Schema {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ledger = ident::QualifiedName::parse(ledger).unwrap();
    let database = Database::from(project.database.options());
    ours::without(runtime.block_on(schema::read(&database)).unwrap(), &ledger)
}

fn ledger(project: &Project, ledger: &str) -> Vec<String> {
    project.query(&format!(
        "SELECT concat_ws('|', id, event, direction, version, name, statement, up_checksum, down_checksum, md5(down_sql), \
         batch, role) FROM {ledger} WHERE event <> 'observed' ORDER BY id"
    ))
}

const LEDGER: &str = "roundtrip.ledger";

/// Both databases are the same as far as migrations are concerned, and the chain is clean.
#[track_caller]
fn same(command: &Project, hand: &Project, of: &str) {
    let change = SchemaChange::between(&schema(command, of), &schema(hand, of));
    let sentences = change.sentences(SideNames { before: "by the command", after: "by hand" });
    assert_eq!(sentences, Vec::<String>::new());
    assert_eq!(ledger(hand, of), ledger(command, of));
}

/// Two projects with the same migrations.
fn twins(make: impl Fn(&Project)) -> (Project, Project) {
    let twins = (Project::new(), Project::new());
    make(&twins.0);
    make(&twins.1);
    twins
}

/// Up and down, once with the command and once by hand, with a comparison after each.
#[track_caller]
fn there_and_back((command, hand): (Project, Project), migrations: u64) {
    command.run(&["migrate", "--to", &version(1)]).ok();
    by_hand(&hand, &["--for", "migrate", "--to", &version(1)]).ok();
    same(&command, &hand, LEDGER);
    for (way, arguments) in
        [("migrate", vec![]), ("rollback", vec!["--to"]), ("migrate", vec!["-n"]), ("rollback", vec!["--all"])]
    {
        let (first, count) = (version(1), migrations.to_string());
        let mut arguments = arguments;
        match (way, arguments.first()) {
            ("rollback", Some(&"--to")) => arguments.push(&first),
            ("migrate", Some(&"-n")) => arguments.push(&count),
            _ => {}
        }
        command.run(&[&[way], arguments.as_slice()].concat()).ok();
        let said = by_hand(&hand, &[&["--for", way], arguments.as_slice()].concat()).ok();
        let is_empty = arguments.first() == Some(&"--all") && way == "rollback";
        let ended = if is_empty { "done: no migration is applied" } else { "done: version" };
        assert!(said.out.contains(ended), "{said:?}");
        same(&command, &hand, LEDGER);
    }
    hand.run(&["migrate"]).ok();
    hand.run(&["status", "--exit-code"]).ok();
    command.end();
    hand.end();
}

pub(crate) fn version(number: u64) -> String {
    (20_250_101_000_000 + number).to_string()
}

fn copy(from: &Path, project: &Project, without: &str) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(without) {
            fs::copy(&path, project.path().join("migrations").join(name)).unwrap();
        }
    }
}

#[test]
fn the_reference_set_goes_up_and_down_by_hand() {
    let root = root();
    let (command, hand) = twins(|project| copy(&root.join("migrations"), project, ".rs"));
    command.run(&["migrate"]).ok();
    by_hand(&hand, &["--for", "migrate"]).ok();
    same(&command, &hand, LEDGER);
    command.run(&["rollback", "-n", "2"]).ok();
    by_hand(&hand, &["-n", "2", "--reason", "it's broken"]).ok();
    same(&command, &hand, LEDGER);
    command.run(&["rollback", "--all"]).ok();
    by_hand(&hand, &["--all"]).ok();
    same(&command, &hand, LEDGER);
    let row = "SELECT concat_ws('|', actor, host IS NOT NULL, application, tool, note) FROM roundtrip.ledger WHERE note LIKE '%broken' LIMIT 1";
    let tool = concat!("psql runbook of roundtrip ", env!("CARGO_PKG_VERSION"));
    assert_eq!(hand.query(row), [format!("ann|t|roundtrip runbook|{tool}|runbook: it's broken")]);
    command.end();
    hand.end();
}

#[rstest]
#[case::variables_of_psql(
    "CREATE TABLE t AS SELECT ':HOST' AS a, (ARRAY[1,2,3])[1:2] AS b, 1::text AS c, ':''USER''' AS d; CREATE VIEW v AS SELECT (ARRAY[1,2])[1:part] FROM (SELECT 2 AS part) p;",
    "DROP VIEW v; DROP TABLE t;"
)]
#[case::backslashes_and_quotes(
    "CREATE TABLE \"a\\b'c:HOST\" (x text DEFAULT E'\\\\''\\n', y text DEFAULT 'C:\\dir\\'); COMMENT ON TABLE \"a\\b'c:HOST\" IS 'it''s \\q {who} $run$';",
    "DROP TABLE \"a\\b'c:HOST\"; -- \\q at the end, without a line break"
)]
#[case::dollar_quotes(
    "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $run$ BEGIN RETURN $$;\\echo :HOST$$; END $run$; CREATE FUNCTION g() RETURNS int LANGUAGE sql AS $run1$ SELECT 1; $run1$;",
    "DROP FUNCTION f(); DROP FUNCTION g();"
)]
#[case::bodies_with_semicolons(
    "CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;
     CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM t WHERE a = 1; DELETE FROM t WHERE a = 2);",
    "DROP FUNCTION f(); DROP TABLE t;"
)]
#[case::strings_that_do_not_conform(
    "SET standard_conforming_strings = off; SET escape_string_warning = off; CREATE TABLE t (a text DEFAULT 'a\\\\b');",
    "DROP TABLE t;"
)]
#[case::settings_that_leak(
    "CREATE SCHEMA s; SET search_path = s; SET ROLE pg_monitor; SET timezone = 'Asia/Tokyo'; RESET ROLE; CREATE TABLE t (a int); SET SESSION AUTHORIZATION pg_monitor;",
    "SET search_path = s; DROP TABLE t; DROP SCHEMA s; SET lock_timeout = 1; SET client_encoding = latin1;"
)]
#[case::times_of_the_session(
    "CREATE TABLE t AS SELECT '2024-03-01 00:00'::timestamptz::text AS at; ALTER TABLE t ADD b timestamptz DEFAULT '2024-01-02 03:04';",
    "DROP TABLE t;"
)]
#[case::words_of_other_alphabets(
    "CREATE TABLE \"größe\" (\"名前\" text DEFAULT 'ü𝄞'); /* /* ; */ \\q :HOST */ COMMENT ON TABLE \"größe\" IS 'a\u{d}b \u{1b}[31m :{?HOST} \u{1}';",
    "DROP TABLE \"größe\";"
)]
#[case::without_a_transaction(
    "-- migrate: no-transaction\n-- migrate: lock-timeout 1s\nSET search_path = public, pg_catalog;\nCREATE TABLE t (a int);\nCREATE INDEX CONCURRENTLY t_a ON t (a);\nSET ROLE pg_read_all_data;\nRESET ROLE;\nVACUUM t;\nDO $$ BEGIN INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2); END $$;\nREINDEX INDEX CONCURRENTLY t_a;",
    "-- migrate: no-transaction\nDROP INDEX CONCURRENTLY t_a;\nSET timezone = 'Asia/Tokyo';\nDROP TABLE t;"
)]
#[case::what_new_sessions_begin_with(
    "CREATE SCHEMA s; DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = s, public', current_database()); END $$; SELECT set_config('app.user', 'x', false);",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET search_path', current_database()); END $$; DROP SCHEMA s CASCADE;"
)]
fn what_is_written_by_hand_is_what_the_command_does(#[case] up: &str, #[case] down: &str) {
    let twins = twins(|project| {
        project.migration(1, "first", "CREATE TABLE first (id int PRIMARY KEY);", "DROP TABLE first;");
        project.migration(2, "it", up, down);
        project.migration(3, "third", "CREATE TABLE third (id int);", "DROP TABLE third;");
    });
    there_and_back(twins, 2);
}

/// Three migrations with one table each, applied.
pub(crate) fn three() -> Project {
    let project = Project::new();
    for (number, name) in [(1, "a"), (2, "b"), (3, "c")] {
        project.migration(number, name, &format!("CREATE TABLE {name} (id int);"), &format!("DROP TABLE {name};"));
    }
    project.run(&["migrate"]).ok();
    project
}

pub(crate) fn tables(project: &Project) -> Vec<String> {
    project
        .query("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1")
}

#[track_caller]
pub(crate) fn refused(said: &ProgramOutput, why: &str) {
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains(why) && said.err.contains("Nothing was run"), "{why}: {said:?}");
}

#[test]
fn it_does_not_run_where_it_does_not_fit() {
    let (project, other) = (three(), three());
    project.run(&["runbook", "-n", "2", "-o", "script.sql"]).ok();
    let script = project.path().join("script.sql");
    let elsewhere = with_psql(&other, &["-f", script.to_str().unwrap()]);
    refused(&elsewhere, "this is the database");
    refused(&with_psql(&project, &["-v", "part=2", "-f", "script.sql"]), "nothing of this script has run yet");

    project.run(&["rollback"]).ok();
    refused(&with_psql(&project, &["-f", "script.sql"]), "part 1 of 2 is done already");
    project.run(&["migrate"]).ok();
    refused(&with_psql(&project, &["-f", "script.sql"]), "the ledger has changed since");
    project.query("DROP SCHEMA roundtrip CASCADE");
    refused(&with_psql(&project, &["-f", "script.sql"]), "the ledger has changed since");
    assert_eq!(tables(&project), ["a", "b", "c"]);
    assert_eq!(tables(&other), ["a", "b", "c"]);
    project.end();
    other.end();
}

#[test]
fn it_does_not_run_beside_another_run() {
    let project = three();
    project.migration(4, "slow", "SELECT pg_sleep(600);", "SELECT 1;");
    project.write("migrate.toml", "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nlock_wait = \"300ms\"\n");
    project.run_bare(&["runbook", "--env", "live", "-n", "2", "-o", "script.sql"]).ok();
    let mut runner =
        project.command(&["migrate", "--env", "live"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let sleeping = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    while project.query(sleeping).is_empty() {}
    let said = with_psql(&project, &["-f", "script.sql"]);
    refused(&said, "another run holds the migration lock: pid");
    assert!(said.err.contains("roundtrip lock"), "{said:?}");
    // The reverse: a run waits for a script.
    project.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'");
    runner.wait().unwrap();
    let text = fs::read_to_string(project.path().join("script.sql")).unwrap();
    project.write("slow.sql", text.replacen("\n-- part 1 of 2", "\nSELECT pg_sleep(600);\n-- part 1 of 2", 1));
    let mut slow = psql(&project, &["-f", "slow.sql"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while project.query(sleeping).is_empty() {}
    let said = project.run_bare(&["rollback", "--env", "live"]);
    assert!(said.code == 1 && said.err.contains("lock-held") && said.err.contains("roundtrip runbook"), "{said:?}");
    slow.kill().unwrap();
    slow.wait().unwrap();
    assert_eq!(tables(&project), ["a", "b", "c"]);
    project.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'");
    project.run_bare(&["rollback", "--env", "live", "-n", "2"]).ok();
    project.end();
}

const LOCKED: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = \
                      (SELECT oid FROM pg_database WHERE datname = current_database())";

#[test]
fn what_was_done_before_a_failure_stays_and_the_rest_goes_on() {
    let projects = [three(), three()];
    for (at, project) in projects.iter().enumerate() {
        project.query("CREATE VIEW in_the_way AS SELECT id FROM b");
        let said = by_hand(project, &["--all"]);
        assert!(said.code == 3 && said.err.contains("in_the_way"), "{said:?}");
        assert_eq!(tables(project), ["a", "b"]);
        // The server needs a moment to notice that psql is gone.
        while project.query(LOCKED) != ["0"] {}
        let status = project.run(&["status", "--format", "json"]).ok().json();
        assert_eq!(status["version"], version(2), "{status}");
        refused(&with_psql(project, &["-f", "script.sql"]), "part 1 of 3 is done already");
        project.query("DROP VIEW in_the_way");
        match at {
            0 => drop(with_psql(project, &["-v", "part=2", "-f", "script.sql"]).ok()),
            _ => drop(project.run(&["rollback", "--all"]).ok()),
        }
        refused(&with_psql(project, &["-f", "script.sql"]), "all parts of this script are done already");
        assert_eq!(tables(project), Vec::<String>::new());
    }
    let [by_hand, by_command] = &projects;
    let of_all = "SELECT concat_ws('|', id, event, version) FROM roundtrip.ledger ORDER BY id";
    assert_eq!(by_hand.query(of_all), by_command.query(of_all));
    projects.into_iter().for_each(Project::end);
}

#[test]
fn a_half_applied_migration_goes_on_by_hand_or_by_the_command() {
    for by_command in [false, true] {
        let project = Project::new();
        let up = "-- migrate: no-transaction\nSET search_path = public;\nCREATE TABLE t (a int);\nINSERT INTO t VALUES (1), (1);\n\
                  CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a);\nCREATE INDEX CONCURRENTLY t_b ON t (a);";
        project.migration(1, "it", up, "-- migrate: no-transaction\nDROP TABLE t;");
        let said = by_hand(&project, &["--for", "migrate"]);
        assert!(said.code == 3 && said.err.contains("could not create unique index"), "{said:?}");
        let status = project.run(&["status", "--format", "json"]).json();
        assert_eq!(status["unfinished"]["statements_done"], 3, "{status}");
        project.query("DELETE FROM t");
        if by_command {
            project.run(&["migrate"]).ok();
        } else {
            let refused = project.run(&["runbook", "--for", "migrate"]);
            assert!(refused.code == 3 && refused.err.contains("runbook-unfinished"), "{refused:?}");
            project.query("DROP INDEX t_a");
            refused_part(&project, "parts 1 to 5 of 8");
            with_psql(&project, &["-v", "part=6", "-f", "script.sql"]).ok();
        }
        assert_eq!(project.query("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid"), ["2"]);
        assert_eq!(
            project.query("SELECT string_agg(event, ' ' ORDER BY id) FROM roundtrip.ledger WHERE id > 1"),
            ["progress progress progress progress progress applied"]
        );
        project.run(&["status", "--exit-code"]).ok();
        project.run(&["rollback"]).ok();
        project.end();
    }
}

#[track_caller]
fn refused_part(project: &Project, done: &str) {
    refused(&with_psql(project, &["-f", "script.sql"]), done);
}

#[test]
fn a_ledger_with_an_odd_name_is_the_same_by_hand() {
    let name = "\"my \"\"ops:HOST\".\"led'ger\\x {lock}\"";
    let (command, hand) = twins(|project| {
        project.migration(1, "a", "CREATE TABLE a (id int);", "DROP TABLE a;");
        project.migration(2, "b", "-- migrate: no-transaction\nCREATE TABLE b (id int);", "DROP TABLE b;");
        let entry = "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nfingerprint = false\n";
        project.write("migrate.toml", format!("{entry}ledger = '''{name}'''\n"));
    });
    for (way, arguments) in [("migrate", &[] as &[&str]), ("rollback", &["--all"]), ("migrate", &["-n", "1"])] {
        command.run_bare(&[&[way, "--env", "live"], arguments].concat()).ok();
        hand.run_bare(&[&["runbook", "--for", way, "--env", "live", "-o", "script.sql"], arguments].concat()).ok();
        with_psql(&hand, &["-f", "script.sql"]).ok();
        same(&command, &hand, name);
    }
    command.end();
    hand.end();
}

#[test]
fn data_are_kept_and_brought_back_by_hand() {
    let project = three();
    project.query("INSERT INTO c SELECT * FROM generate_series(1, 5)");
    by_hand(&project, &["--keep-data"]).ok();
    assert_eq!(tables(&project), ["a", "b"]);
    by_hand(&project, &["--for", "migrate"]).ok();
    assert_eq!(project.query("SELECT count(*) FROM c"), ["5"]);
    by_hand(&project, &["--keep-data"]).ok();
    project.run(&["migrate"]).ok();
    assert_eq!(project.query("SELECT count(*) FROM c"), ["5"]);
    project.end();
}

#[test]
fn what_cannot_be_written_down_is_said() {
    let project = Project::new();
    copy(&root().join("migrations"), &project, "mod.rs");
    project.run(&["migrate"]).ok();
    let said = project.run(&["runbook", "-n", "4"]);
    assert!(said.code == 3 && said.err.contains("runbook-code") && said.out.is_empty(), "{said:?}");
    let said = project.run(&["runbook", "-n", "1", "--format", "json"]).ok().json();
    assert_eq!(
        (&said["for"], &said["parts"], &said["version_before"]),
        (&"rollback".into(), &1.into(), &"20250407084500".into())
    );
    assert!(said["script"].as_str().unwrap().contains("part 1 of 1"), "{said}");
    let said = project.run(&["runbook", "--for", "migrate"]);
    assert!(said.code == 3 && said.err.contains("runbook-empty"), "{said:?}");
    project.end();
}

#[test]
fn it_gives_way_to_the_traffic_and_writes_the_same_to_a_pipe() {
    let project = three();
    project.migration(
        4,
        "odd",
        "SELECT '\u{1b}[31m';",
        "SELECT '\u{1b}[31m'; DROP TABLE b CASCADE; CREATE TABLE b (id int);",
    );
    project.run(&["migrate"]).ok();
    project
        .write("migrate.toml", "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nlock_timeout = \"200ms\"\n");
    project.run_bare(&["runbook", "--env", "live", "-n", "2", "-o", "script.sql"]).ok();
    let piped = project.run_bare(&["runbook", "--env", "live", "-n", "2"]).ok().out;
    assert_eq!(piped, fs::read_to_string(project.path().join("script.sql")).unwrap());
    let holder = project.hold("BEGIN; LOCK TABLE b");
    let said = with_psql(&project, &["-f", "script.sql"]);
    assert!(said.code == 3 && said.err.contains("lock timeout"), "{said:?}");
    drop(holder);
    with_psql(&project, &["-f", "script.sql"]).ok();
    assert_eq!(tables(&project), ["a", "b"]);
    project.end();
}

#[test]
fn a_drill_practises_on_throw_away_databases() {
    let project = three();
    let before = ledger(&project, LEDGER);
    let drill = project.run(&["runbook", "-n", "2", "--drill", "--format", "json"]).ok().json();
    assert_eq!((&drill["holds"], &drill["parts"], &drill["version"]), (&true.into(), &2.into(), &version(3).into()));
    project.migration(4, "odd", "CREATE TABLE d (id int);", "DROP TABLE nothing;");
    let up = project.run(&["runbook", "--for", "migrate", "-n", "1", "--reason", "it's it", "--drill"]).ok();
    let same = r"--for migrate -n 1 --reason='it'\''s it' -o FILE";
    assert!(up.out.contains("holds") && up.out.contains(same), "{up:?}");
    project.run(&["migrate"]).ok();
    let odd = project.run(&["runbook", "--drill"]);
    assert!(odd.code == 1 && odd.err.contains("runbook-drill") && odd.err.contains("nothing"), "{odd:?}");
    assert_eq!(ledger(&project, LEDGER)[..3], before[..], "the environment was only read");
    assert_eq!(tables(&project), ["a", "b", "c", "d"]);
    project.end();
}
