//! Somebody has locked a table: commands that only read do not wait forever, and say who holds the lock.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Project, said};

fn project() -> Project {
    let project = Project::new();
    project.migration(
        1,
        "a",
        "CREATE TABLE a (n int); CREATE VIEW v AS SELECT n FROM a;",
        "DROP VIEW v; DROP TABLE a;",
    );
    project.migration(2, "b", "CREATE TABLE b ();", "DROP TABLE b;");
    project.run(&["migrate", "-n", "1"]).ok();
    project
}

/// Runs commands concurrently while a table is locked; each has to end, and those in `must_name` have to name
/// the holder of the lock.
fn look(project: &Project, table: &str, commands: &[&[&str]]) {
    let lock =
        format!("SET application_name TO 'a forgotten session'; BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
    let holder = project.hold(&lock);
    let pid =
        project.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'a forgotten session' AND datname = current_database()").remove(0);
    let mut children: Vec<_> = commands
        .iter()
        .map(|arguments| {
            let all: Vec<&str> = arguments.iter().copied().chain(["--database", "env:TEST_DATABASE_URL"]).collect();
            let mut command = project.command(&all);
            (arguments, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        })
        .collect();
    let end = Instant::now() + Duration::from_secs(60);
    while children.iter_mut().any(|(_, child)| child.try_wait().unwrap().is_none()) {
        assert!(Instant::now() < end, "somebody waits for the lock on {table}");
        std::thread::sleep(Duration::from_millis(20));
    }
    for (arguments, child) in children {
        let said = said(child.wait_with_output().unwrap());
        let text = format!("{}{}", said.out, said.err);
        assert!(said.code != 0, "{arguments:?}: {said:?}");
        assert!(
            text.contains("a forgotten session") && text.contains(&format!("pid {pid}")),
            "{arguments:?}: {said:?}"
        );
        assert!(text.contains(&format!("pg_terminate_backend({pid})")), "{arguments:?}: {said:?}");
    }
    drop(holder);
}

#[test]
fn a_locked_ledger_keeps_nobody_waiting() {
    let project = project();
    let commands: [&[&str]; 9] = [
        &["status"],
        &["history"],
        &["migrate"],
        &["migrate", "--dry-run"],
        &["rollback"],
        &["doctor"],
        &["drift"],
        &["resolve", "20250101000001"],
        &["baseline", "--mark"],
    ];
    look(&project, "roundtrip.ledger", &commands);
    project.end();
}

#[test]
fn a_locked_table_keeps_nobody_waiting_who_describes_it() {
    let project = project();
    look(&project, "a", &[&["drift"]]);
    project.end();
}
