//! The codes of runs that end early: what was committed before stays, what was not is not recorded, and the next run
//! goes on from there.

use crate::codes::{answered, failed, help, refused, refused_by};
use crate::support::{ProgramOutput, Project, said};

/// The rows of the ledger in shorthand: `applied 1`, `progress 2 1`.
fn events(project: &Project) -> Vec<String> {
    project.query(
        "SELECT concat_ws(' ', event, right(version, 14)::bigint - 20250101000000, statement) FROM roundtrip.ledger \
         WHERE event <> 'observed' ORDER BY id",
    )
}

fn programs(project: &Project, arguments: &[&str]) -> ProgramOutput {
    project.run(&[arguments, &["--format", "json"]].concat())
}

/// A migration without a transaction whose index cannot be built, because a value is there twice.
fn unfinished() -> Project {
    let project = Project::new();
    project.migration(1, "t", "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1);\n", "DROP TABLE t;\n");
    project.migration(
        2,
        "index",
        "-- migrate: no-transaction\nSELECT 1;\nCREATE UNIQUE INDEX CONCURRENTLY i ON t (id);\n",
        "-- migrate: no-transaction\nDROP INDEX CONCURRENTLY IF EXISTS i;\n",
    );
    assert_eq!(project.run(&["migrate"]).code, 1);
    project
}

const LEFT: [&str; 4] = ["applied 1", "started 2", "progress 2 1", "failed 2 2"];

#[test]
fn another_migration_than_the_unfinished_one_is_not_resolved() {
    let project = unfinished();
    for version in ["20250101000001", "20250101000009"] {
        for way in [&[][..], &["--continue"], &["--undo"], &["--mark-applied", "by hand"]] {
            let resolve = [&["resolve", version][..], way].concat();
            let finding = refused(&project, &resolve, (2, "not-unfinished", ""));
            assert!(finding["message"].as_str().unwrap().contains("20250101000002_index"), "{finding:#}");
        }
    }
    project.run(&["resolve", "20250101000002", "--undo"]).ok();
    project.end();
}

/// A statement to go on from is named only where something goes on.
#[test]
fn a_statement_to_go_on_from_needs_a_way_to_go() {
    let project = unfinished();
    for way in [&[][..], &["--mark-applied", "by hand"]] {
        let resolve = [&["resolve", "--from", "2"][..], way].concat();
        let finding = refused(&project, &resolve, (2, "usage", ""));
        assert!(finding["message"].as_str().unwrap().contains("--from"), "{finding:#}");
    }
    project.run(&["resolve", "--undo"]).ok();
    project.end();
}

/// While one person is asked, another one resolves it.
#[test]
fn what_somebody_else_has_resolved_meanwhile_is_left_alone() {
    let project = unfinished();
    project.write("migrate.toml", "[environments.live]\ndatabase = \"env:TEST_DATABASE_URL\"\nprotected = true\n");
    let command = project.command(&["resolve", "--undo", "--env", "live", "--color", "never"]);
    let meanwhile = || drop(project.run_bare(&["resolve", "--undo", "--env", "live", "--yes"]).ok());
    let (code, shown) = answered(command, "Type live to continue: ", meanwhile, "live");
    assert!(code == 3 && shown.contains("error[nothing-unfinished]"), "{shown}");
    assert_eq!(events(&project)[..4], LEFT);
    assert_eq!(events(&project)[4..], ["started 2", "progress 2 1", "rolled_back 2"], "it was undone once");
    project.end();
}

/// What refuses to be removed is named, with the statement to do it by hand; nothing is recorded before it is done.
#[test]
fn what_cannot_be_cleaned_away_stays_unfinished() {
    let project = unfinished();
    assert_eq!(events(&project), LEFT);
    project.query(
        "CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no index goes'; END $$; \
         CREATE EVENT TRIGGER guard ON ddl_command_start WHEN TAG IN ('DROP INDEX') EXECUTE FUNCTION guard()",
    );
    for way in ["--continue", "--undo"] {
        let finding = refused(&project, &["resolve", way], (1, "half-done", ""));
        assert!(finding["message"].as_str().unwrap().contains("no index goes"), "{finding:#}");
        let by_hand = help(&finding);
        assert!(by_hand.contains("DROP INDEX CONCURRENTLY") && by_hand.contains("public.i"), "{finding:#}");
    }
    assert_eq!(events(&project), LEFT);
    project.query("DROP EVENT TRIGGER guard; DELETE FROM t WHERE ctid IN (SELECT max(ctid) FROM t)");
    project.run(&["resolve", "--continue"]).ok();
    assert_eq!(project.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"), ["t"]);
    project.end();
}

/// The executable has one migration in Rust, which changes a table that is not there.
#[test]
fn a_migration_in_rust_that_fails_leaves_nothing_of_itself() {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    project.write("migrations/20250331120000_normalize_phone_numbers.rs", "//! In Rust.\n");
    let said = programs(&project, &["migrate"]);
    let finding = failed(&said, (1, "code-failed", "20250331120000_normalize_phone_numbers.rs"));
    assert!(finding["message"].as_str().unwrap().contains("SQLSTATE 42P01"), "{finding:#}");
    assert_eq!(said.json()["done"], serde_json::json!(["20250101000001"]));
    assert_eq!(events(&project), ["applied 1"]);
    // Again, nothing of it is kept.
    refused(&project, &["migrate"], (1, "code-failed", "20250331120000_normalize_phone_numbers.rs"));
    project.end();
}

/// Somebody ends the session that works.
#[test]
fn a_connection_that_is_lost_leaves_what_was_committed() {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    let up = "CREATE TABLE b (id int);\nSELECT pg_terminate_backend(pg_backend_pid());\n";
    project.migration(2, "b", up, "DROP TABLE b;\n");
    project.migration(3, "c", "CREATE TABLE c (id int);\n", "DROP TABLE c;\n");
    let said = programs(&project, &["migrate"]);
    let finding = failed(&said, (1, "connection-lost", ""));
    assert!(finding["message"].as_str().unwrap().contains("20250101000002_b"), "{finding:#}");
    assert_eq!(events(&project), ["applied 1"]);
    assert_eq!(project.query("SELECT coalesce(to_regclass('b'), to_regclass('c'))"), ["NULL"]);
    project.migration(2, "b", "CREATE TABLE b (id int);\n", "DROP TABLE b;\n");
    project.run(&["migrate"]).ok();
    assert_eq!(events(&project), ["applied 1", "applied 2", "applied 3"]);
    project.end();
}

/// Somebody ends the session that holds the lock. The migration waits until the run has looked for its lock on another
/// connection twice, so the run knows the answer to its first question.
#[test]
fn a_run_that_lost_its_lock_stops_after_the_migration_that_runs() {
    let project = Project::new();
    let up = "SET LOCAL statement_timeout TO '1min';
        CREATE TABLE a (id int);
        DO $$
        DECLARE
            ours constant name := current_setting('application_name');
            begun timestamptz;
            asked timestamptz;
            first timestamptz;
        BEGIN
            PERFORM pg_terminate_backend(pid, 60000) FROM pg_locks
            WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
            begun := clock_timestamp();
            LOOP
                PERFORM pg_stat_clear_snapshot();
                SELECT max(query_start) INTO asked FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_start > begun
                  AND query ~ 'pg_locks';
                first := coalesce(first, asked);
                EXIT WHEN asked > first;
                PERFORM pg_sleep(0.01);
            END LOOP;
        END $$;\n";
    project.migration(1, "a", up, "DROP TABLE a;\n");
    project.migration(2, "b", "-- migrate: no-transaction\nCREATE TABLE b (id int);\n", "DROP TABLE b;\n");
    let said = programs(&project, &["migrate"]);
    let finding = failed(&said, (1, "lock-lost", ""));
    assert!(help(&finding).contains("status"), "{finding:#}");
    assert_eq!(said.json()["done"], serde_json::json!(["20250101000001"]));
    assert_eq!(events(&project), ["applied 1"]);
    project.run(&["migrate"]).ok();
    assert_eq!(project.query("SELECT to_regclass('b') IS NOT NULL"), ["t"]);
    project.end();
}

#[test]
fn a_ledger_that_cannot_be_made_keeps_everything_from_running() {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    // Another object has the name of the ledger.
    project.query("CREATE SCHEMA roundtrip; CREATE TYPE roundtrip.ledger AS ENUM ('x')");
    let taken = refused(&project, &["migrate"], (1, "ledger-create", ""));
    assert!(taken["message"].as_str().unwrap().contains("\"ledger\" already exists"), "{taken:#}");
    project.query("DROP SCHEMA roundtrip CASCADE");

    let role = format!("role_of_{}", project.query("SELECT current_database()").remove(0));
    project.query(&format!("CREATE ROLE {role} LOGIN"));
    let migrate = || {
        let arguments = ["migrate", "--env", "development", "--database", "env:TEST_DATABASE_URL", "--format", "json"];
        let url = project.database.url().replacen("postgres@", &format!("{role}@"), 1);
        said(project.command(&arguments).env("TEST_DATABASE_URL", url).output().unwrap())
    };
    let finding = refused_by(&project, (1, "ledger-create", ""), migrate);
    // What the help says, pasted as it stands, leads on.
    let ways = help(&finding);
    assert!(ways.contains(&format!("CREATE SCHEMA \"roundtrip\" AUTHORIZATION \"{role}\";")), "{finding:#}");
    project.query(&format!("CREATE SCHEMA roundtrip; GRANT USAGE ON SCHEMA roundtrip TO {role}"));
    let finding = refused_by(&project, (1, "ledger-create", ""), migrate);
    let grant = help(&finding).rsplit(": ").next().unwrap().to_owned();
    project.query(&format!("{grant} GRANT CREATE ON SCHEMA public TO {role};"));
    migrate().ok();
    assert_eq!(events(&project), ["applied 1"]);
    project.query(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    project.end();
}

/// A ledger that is not understood is neither an empty one nor a reason to guess.
#[test]
fn a_ledger_that_cannot_be_read_keeps_everything_from_running() {
    let project = Project::new();
    project.migration(1, "a", "CREATE TABLE a (id int);\n", "DROP TABLE a;\n");
    project.query("CREATE SCHEMA roundtrip; CREATE TABLE roundtrip.ledger (of_somebody_else text)");
    let commands = ["status", "history", "migrate", "rollback", "resolve"];
    for command in commands {
        let finding = refused(&project, &[command], (1, "ledger-unreadable", ""));
        assert!(finding["message"].as_str().unwrap().contains("\"id\" does not exist"), "{finding:#}");
        assert!(help(&finding).contains("`ledger` in migrate.toml"), "{finding:#}");
    }
    project.query("DROP SCHEMA roundtrip CASCADE");
    project.run(&["migrate"]).ok();
    // A newer version has events that this one does not know.
    let columns = "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = 'roundtrip.ledger'::regclass \
                   AND attnum > 0 AND attname NOT IN ('id', 'event') AND attgenerated = ''";
    let columns = project.query(columns).remove(0);
    project.query(&format!(
        "INSERT INTO roundtrip.ledger (id, event, {columns}) SELECT id + 100, 'invented', {columns} FROM roundtrip.ledger \
         WHERE event = 'applied'"
    ));
    // Whoever only wants to see the rows sees them.
    project.run(&["history"]).ok();
    for command in commands.into_iter().filter(|command| *command != "history") {
        let finding = refused(&project, &[command], (1, "ledger-unreadable", ""));
        assert!(finding["message"].as_str().unwrap().contains("invented"), "{finding:#}");
        assert!(help(&finding).contains("newer version"), "{finding:#}");
    }
    project.end();
}
