//! Nothing hangs: files that are not regular files, statements that do not end, clients that were killed.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{ProgramOutput, Project, said};

/// A migration that never ends if there is a row, and starts with the text `before`.
fn endless(before: &str) -> Project {
    let project = Project::new();
    project.migration(
        1,
        "t",
        "CREATE TABLE t (id int PRIMARY KEY, raw bytea NOT NULL, txt text NOT NULL);",
        "DROP TABLE t;",
    );
    let up = format!("{before}DO $$ BEGIN LOOP UPDATE t SET id = id; EXIT WHEN NOT FOUND; END LOOP; END $$;\n");
    project.migration(2, "fill", &up, "SELECT 1;");
    project
}

#[track_caller]
fn timed_out(said: &ProgramOutput, line: u64) {
    assert_eq!(said.code, 3, "{said:?}");
    let text = said.out.clone() + &said.err;
    assert!(text.contains("rehearsal-timeout") && text.contains("did not finish within 1 s"), "{text}");
    assert!(text.contains(&format!("20250101000002_fill.up.sql:{line}:1")), "{text}");
    assert!(text.contains("statement_timeout = \"10min\"` in [environments.shadow]"), "{text}");
}

#[test]
fn a_statement_that_does_not_end_is_named_and_ended() {
    let project = endless("");
    timed_out(&project.run_bare(&["verify", "--all", "--statement-timeout", "1s"]), 1);
    project.write("migrate.toml", "[environments.shadow]\nstatement_timeout = \"1s\"\n");
    timed_out(&project.run_bare(&["verify", "--all"]), 1);
    // A file that asks for more gets it, but does not run forever.
    project.write("migrate.toml", "");
    let own = endless("-- migrate: statement-timeout 0\n");
    timed_out(&own.run_bare(&["verify", "--all", "--statement-timeout", "1s"]), 2);
    own.end();
    project.end();
}

#[test]
fn a_script_that_lifts_the_timeout_is_ended_all_the_same() {
    // As every dump begins.
    let project = endless("SET statement_timeout = 0;\n");
    timed_out(&project.run_bare(&["verify", "--all", "--statement-timeout", "1s"]), 2);
    // A block that catches its own cancellation is ended as well.
    let up = "SET statement_timeout = 0;\nDO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN END; \
              END LOOP; END $$;\n";
    project.migration(2, "fill", up, "SELECT 1;");
    timed_out(&project.run_bare(&["verify", "--all", "--statement-timeout", "1s"]), 2);
    project.end();
}

#[test]
fn everything_that_is_rehearsed_has_the_limit() {
    let project = Project::new();
    project.write("migrate.toml", "[environments.shadow]\nstatement_timeout = \"1s\"\n");
    project.migration(1, "t", "CREATE TABLE t (id int);", "DROP TABLE t;");
    let endless = "DO $$ BEGIN LOOP END LOOP; END $$;";
    let report = |arguments: &[&str]| {
        let said = project.run_bare(arguments);
        assert_ne!(said.code, 0, "{said:?}");
        said.out + &said.err
    };
    for (name, text) in [
        ("t.fixture.sql", endless),
        ("t.verify.sql", "SELECT 1 FROM pg_sleep(60);"),
        ("t.down.sql", endless),
        ("t.up.sql", endless),
    ] {
        let file = format!("migrations/20250101000001_{name}");
        let before = fs::read(project.path().join(&file)).ok();
        project.write(&file, text);
        let text = report(&["verify", "--all"]);
        assert!(text.contains("rehearsal-timeout") && text.contains(name), "{name}: {text}");
        if name == "t.up.sql" {
            let text = report(&["ci", "--format", "json"]);
            assert!(text.contains("rehearsal-timeout") && text.contains(name), "{text}");
        }
        match before {
            Some(before) => drop(project.write(&file, before)),
            None => fs::remove_file(project.path().join(&file)).unwrap(),
        }
    }
    project.write("schema.sql", endless);
    let text = report(&["diff", "migrations", "file:schema.sql"]);
    assert!(text.contains("rehearsal-timeout") && text.contains("schema.sql"), "{text}");
    project.end();
}

#[test]
fn a_killed_client_leaves_no_server_process_and_its_databases_are_swept() {
    let project = endless("");
    let verify = || {
        let mut verify = project.command(&["verify", "--all", "--statement-timeout", "1h"]);
        // A server that keeps running.
        verify.env("ROUNDTRIP_TEST_SERVER", project.url()).stdout(Stdio::null()).stderr(Stdio::null());
        verify
    };
    let mut child = verify().spawn().unwrap();
    let of_child = format!("datname LIKE 'test\\_{}\\_%'", child.id());
    let busy = format!(
        "SELECT datname FROM pg_stat_activity WHERE {of_child} AND state = 'active' AND query LIKE '%LOOP UPDATE%'"
    );
    let databases = format!("SELECT datname FROM pg_database WHERE {of_child}");
    until("the statement runs", || !project.query(&busy).is_empty());
    assert!(!project.query(&databases).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    let sessions = format!("SELECT pid::text FROM pg_stat_activity WHERE {of_child}");
    until("its sessions end", || project.query(&sessions).is_empty());
    // The next processes that use the server sweep as long as they live, and drop nothing that has an owner:
    // the database of this test has one.
    project.migration(2, "fill", "SELECT 1;", "SELECT 1;");
    until("its databases are swept", || {
        said(verify().output().unwrap()).ok();
        project.query(&databases).is_empty()
    });
    assert_eq!(project.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), ["0"]);
    project.end();
}

#[test]
fn what_was_kept_on_purpose_is_not_swept() {
    let project = endless("");
    let kept = project.run_bare(&["verify", "--all", "--statement-timeout", "1s", "--format", "json"]).json();
    let url = kept["migrations"][1]["kept"][0].as_str().unwrap().to_owned();
    let database = url.rsplit('/').next().unwrap();
    project.migration(2, "fill", "SELECT 1;", "SELECT 1;");
    let is_there = |database: &str| {
        !project.query(&format!("SELECT datname FROM pg_database WHERE datname = '{database}'")).is_empty()
    };
    let swept = |database: &str| {
        until("it is swept", || {
            project.run_bare(&["verify", "--all"]).ok();
            !is_there(database)
        });
    };
    // A database of a process that is gone, and that nobody kept.
    let left = format!("test_{}_0_00000000", std::process::id());
    project.query(&format!("CREATE DATABASE {left}"));
    swept(&left);
    assert!(is_there(database));
    // It is swept when its time is over.
    project.query(&format!("COMMENT ON DATABASE {database} IS 'kept until 1'"));
    swept(database);
    project.end();
}

#[test]
fn what_is_no_regular_file_is_named_and_not_waited_for() {
    let project = Project::new();
    project.migration(1, "t", "CREATE TABLE t (id int);", "DROP TABLE t;");
    let folder = project.path().join("migrations");
    let name = "20250101000002_u.up.sql";
    let at = folder.join(name);
    let fifo = |path: &std::path::Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let named = |arguments: &[&str], what: &str, file: &str| {
        let said = project.run_bare(arguments);
        let text = said.out.clone() + &said.err;
        assert!(said.code != 0 && text.contains(what) && text.contains(file), "{arguments:?} {what}: {said:?}");
    };
    for layout in ["roundtrip", "sqlx"] {
        let status = ["check", "--layout", layout];
        fifo(&at);
        named(&status, "it is a FIFO", name);
        fs::remove_file(&at).unwrap();
        let socket = UnixListener::bind(&at).unwrap();
        named(&status, "it is a socket", name);
        drop(socket);
        fs::remove_file(&at).unwrap();
        symlink("nowhere", &at).unwrap();
        named(&status, "it is a link to nowhere", name);
        fs::remove_file(&at).unwrap();
        symlink(name, &at).unwrap();
        named(&status, "symbolic links", name);
        fs::remove_file(&at).unwrap();
        symlink("/dev/zero", &at).unwrap();
        named(&status, "it is a device", name);
        fs::remove_file(&at).unwrap();
        fs::create_dir(&at).unwrap();
        named(&status, "folder", name);
        fs::remove_dir(&at).unwrap();
        fs::File::create(&at).unwrap().set_len(1 << 33).unwrap();
        named(&status, "8192 MB", name);
        fs::remove_file(&at).unwrap();
    }
    let pipe = project.path().join("pipe.sql");
    fifo(&pipe);
    named(&["status", "--config", "pipe.sql"], "it is a FIFO", "pipe.sql");
    named(&["diff", "migrations", "file:pipe.sql"], "it is a FIFO", "pipe.sql");
    project.run(&["migrate"]).ok();
    let said = project.run(&["seed", "pipe.sql"]);
    assert!(said.code != 0 && said.err.contains("it is a FIFO"), "{said:?}");
    fs::create_dir_all(project.path().join("consumers/billing")).unwrap();
    fs::rename(&pipe, project.path().join("consumers/billing/q.sql")).unwrap();
    named(&["consumers", "check"], "it is a FIFO", "q.sql");
    project.end();
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}: still not so");
        std::thread::sleep(Duration::from_millis(50));
    }
}
