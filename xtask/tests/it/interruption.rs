//! Runs that end early: killed, or asked to stop.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Project, said};

/// Migrations of every kind, each of which writes its number once. They are fast enough to be killed anywhere,
/// and slow enough for the kill to hit.
fn project() -> Project {
    let project = Project::new();
    project.migration(0, "log", "CREATE TABLE log (n int);", "DROP TABLE log;");
    for n in 1..=24u64 {
        let insert = format!("INSERT INTO log VALUES ({n});");
        let (up, down) = match n % 4 {
            0 => (
                format!(
                    "-- migrate: no-transaction\n{insert}\nCREATE INDEX CONCURRENTLY i_{n} ON log (n);\nSELECT pg_sleep(0.002);\nINSERT INTO log VALUES (-{n});"
                ),
                format!(
                    "-- migrate: no-transaction\nDROP INDEX CONCURRENTLY i_{n};\nDELETE FROM log WHERE abs(n) = {n};"
                ),
            ),
            _ => (
                format!("{insert} SELECT pg_sleep(0.002); CREATE TABLE t_{n} ();"),
                format!("DROP TABLE t_{n}; DELETE FROM log WHERE n = {n};"),
            ),
        };
        project.migration(n, &format!("m_{n}"), &up, &down);
    }
    project
}

/// Whatever is killed at any time: the next run continues, nothing is lost, nothing runs twice.
#[test]
fn a_killed_run_is_finished_by_the_next() {
    let whole = project();
    whole.run(&["migrate"]).ok();
    let expected = whole.query("SELECT n FROM log ORDER BY n");
    assert_eq!(expected.len(), 24 + 6);
    whole.end();

    // Every kill comes a little later after the start than the previous one, in both directions.
    let project = project();
    let mut kills = 0;
    for (direction, goal) in [(&["migrate"][..], "25"), (&["rollback", "--all"][..], "0"), (&["migrate"][..], "25")] {
        for attempt in 0u64.. {
            let arguments = [direction, &["--env", "development", "--database", "env:TEST_DATABASE_URL"]].concat();
            let mut child = project.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(8 + attempt * 3));
            if child.try_wait().unwrap().is_some_and(|status| status.success()) {
                break;
            }
            kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
            child.wait().unwrap();
            kills += 1;
            assert!(attempt < 200, "it never ends");
        }
        let applied = "SELECT count(*) FROM (SELECT DISTINCT ON (version) event FROM roundtrip.ledger \
                       WHERE event IN ('applied', 'rolled_back') ORDER BY version, id DESC) s WHERE event = 'applied'";
        assert_eq!(project.query(applied), [goal]);
        if goal == "25" {
            assert_eq!(project.query("SELECT n FROM log ORDER BY n"), expected);
            let twice = "SELECT version FROM roundtrip.ledger WHERE event = 'applied' GROUP BY version, batch HAVING count(*) > 1";
            assert_eq!(project.query(twice), Vec::<String>::new());
            assert_eq!(project.query("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), ["0"]);
        }
    }
    assert!(kills > 10, "only {kills} runs were killed");
    project.end();
}

#[test]
fn ctrl_c_and_sigterm_cancel_on_the_server_and_say_where_the_chain_stands() {
    for signal in [Signal::INT, Signal::TERM] {
        let project = Project::new();
        project.migration(1, "quick", "CREATE TABLE quick ();", "DROP TABLE quick;");
        project.migration(2, "slow", "SELECT pg_sleep(600);", "SELECT 1;");
        // One of the two for programs.
        let is_json = signal == Signal::TERM;
        let format = if is_json { "json" } else { "text" };
        let mut command = project.command(&["migrate", "--database", "env:TEST_DATABASE_URL", "--format", format]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let sleeping = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
        while project.query(sleeping).is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let said = said(child.wait_with_output().unwrap());
        assert_eq!(said.code, 1, "{said:?}");
        if is_json {
            let events = said.err.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            assert!(events.into_iter().any(|event| event["progress"] == "interrupting"), "{said:?}");
        } else {
            assert!(
                said.err.contains("interrupted at migration 20250101000002_slow")
                    && said.err.contains("1 migration committed"),
                "{said:?}"
            );
        }
        assert_eq!(project.query(sleeping), Vec::<String>::new());
        assert_eq!(project.query("SELECT event FROM roundtrip.ledger"), ["applied"]);
        project.end();
    }
}

/// A runner is killed inside of a `CALL` that commits: the command says what may have been done, and its own
/// hints, pasted as they stand, resolve it.
#[test]
fn a_call_that_may_have_been_done_is_asked_for_and_its_hint_can_be_pasted() {
    let project = Project::new();
    let procedure = "CREATE TABLE log (n int); CREATE PROCEDURE work() LANGUAGE plpgsql AS \
        $$ BEGIN INSERT INTO log VALUES (1); COMMIT; PERFORM pg_sleep(600); INSERT INTO log VALUES (2); END $$;";
    project.migration(1, "log", procedure, "DROP PROCEDURE work; DROP TABLE log;");
    let up = "-- migrate: no-transaction\nSELECT 1;\nCALL work();\nINSERT INTO log VALUES (3);";
    project.migration(2, "work", up, "DELETE FROM log;");
    let mut command = project.command(&["migrate", "--database", "env:TEST_DATABASE_URL"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let sleeping = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    while project.query(sleeping).is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    // While it runs, nobody is advised to use `resolve`, which refuses.
    let status = project.run(&["status"]).ok();
    assert!(status.out.contains("running") && status.err.contains("statement 2 of 3"), "{status:?}");
    assert!(!status.err.contains("xtask resolve"), "{status:?}");
    let json = project.run(&["status", "--format", "json"]).ok().json();
    assert!(json["unfinished"]["running"].as_str().unwrap().starts_with("pid "), "{json}");
    for arguments in [&["rollback"][..], &["resolve", "--undo"]] {
        let said = project.run(arguments);
        assert!(said.code != 0 && said.err.contains("error[running]"), "{said:?}");
    }

    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    project.query(&format!("SELECT pg_terminate_backend(pid::int, 10000) FROM ({sleeping}) AS s (pid)"));
    let said = project.run(&["resolve", "--continue"]);
    assert!(said.code != 0 && said.err.contains("error[may-be-done]"), "{said:?}");
    assert_eq!(project.query("SELECT n FROM log"), ["1"], "nothing was run");
    let hints: Vec<&str> = said.err.split('`').filter(|hint| hint.starts_with("cargo xtask resolve")).collect();
    assert_eq!(hints.len(), 2, "{said:?}");
    assert!(project.run(&["resolve"]).out.contains(hints[1]), "the ways out have it as well");
    // It is pasted as it stands.
    let words: Vec<&str> = hints[1].split(' ').skip(2).collect();
    project.run_bare(&words).ok();
    assert_eq!(project.query("SELECT n FROM log ORDER BY n"), ["1", "3"]);
    project.run(&["status"]).ok();
    project.end();
}
