//! Migrations without a transaction: recorded progress, failures, and how to resolve them.

use migrate_core::runner::Resolution;
use migrate_core::{ErrorKind, Migrator, Policy, Target};
use migrate_test::TestDatabase;
use sqlx::PgConnection;

use crate::support::{Chain, column, connect, events, execute, migrator, quick, version};

const NO: &str = "-- migrate: no-transaction\n";

/// A table with a duplicate value, and a unique index that is built on it concurrently.
fn failing() -> Chain {
    let up = format!(
        "{NO}CREATE TABLE made (id int);\nINSERT INTO made VALUES (1);\nCREATE UNIQUE INDEX CONCURRENTLY i ON t (id);\nINSERT INTO made VALUES (2);"
    );
    let down = format!("{NO}DROP INDEX CONCURRENTLY IF EXISTS i;\nDROP TABLE made;");
    Chain::new(&[
        (1, "t", "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1);", "DROP TABLE t;"),
        (2, "index", &up, &down),
    ])
}

async fn fail(database: &TestDatabase, chain: &Chain) -> (Migrator, PgConnection) {
    let mut runner = migrator(database, chain, quick()).await;
    let error = runner.run(&Target::Latest, Policy::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.sqlstate()), (ErrorKind::Statement, Some("23505")));
    let finding = &error.findings()[0];
    assert_eq!(finding.place.as_ref().unwrap().line_column(), Some((4, 1)), "{finding}");
    let notes = finding.notes.join("\n");
    assert!(
        notes.contains("public.i was left behind half built") && notes.contains("2 of its 4 statements are done"),
        "{notes}"
    );
    (runner, connect(database).await)
}

const FAILED: [&str; 5] = ["applied 1", "started 2", "progress 2 1", "progress 2 2", "failed 2 3"];

#[tokio::test]
async fn a_failed_concurrent_index_is_reported_and_continued() {
    let database = TestDatabase::create().await.unwrap();
    let chain = failing();
    let (mut runner, mut db) = fail(&database, &chain).await;
    assert_eq!(events(&mut db).await, FAILED);
    // Nothing continues before somebody has decided.
    let error = runner.run(&Target::Latest, Policy::default()).await.unwrap_err();
    assert_eq!(error.findings()[0].code.as_str(), "unfinished");
    let unresolved = runner.unresolved().await.unwrap().unwrap();
    let seen: Vec<_> = unresolved.reality.iter().map(|reality| (reality.recorded, reality.seen.clone())).collect();
    let half = Some("index public.i exists but is not valid: half built".to_owned());
    assert_eq!(seen, [(true, None), (true, None), (false, half), (false, None)]);

    execute(&mut db, "DELETE FROM t WHERE ctid IN (SELECT max(ctid) FROM t)").await;
    runner.resolve(&Resolution::Continue).await.unwrap();
    assert_eq!(column(&mut db, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass").await, ["t"]);
    assert_eq!(column(&mut db, "SELECT id FROM made ORDER BY id").await, ["1", "2"]);
    assert_eq!(events(&mut db).await[5..], ["progress 2 3", "progress 2 4", "applied 2"]);
    assert!(runner.unresolved().await.unwrap().is_none());
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_failed_migration_is_undone() {
    let database = TestDatabase::create().await.unwrap();
    let chain = failing();
    let (mut runner, mut db) = fail(&database, &chain).await;
    runner.resolve(&Resolution::Undo).await.unwrap();
    assert_eq!(column(&mut db, "SELECT to_regclass('made'), to_regclass('i')").await, ["NULL"]);
    let status = runner.status().await.unwrap();
    assert_eq!((status.applied.len(), status.pending.len(), status.problems.len()), (1, 1, 0));
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn what_was_done_by_hand_is_recorded_with_its_reason() {
    let database = TestDatabase::create().await.unwrap();
    let chain = failing();
    let (mut runner, mut db) = fail(&database, &chain).await;
    runner.resolve(&Resolution::Applied("made the index by hand".into())).await.unwrap();
    assert_eq!(
        column(&mut db, "SELECT note FROM roundtrip.ledger WHERE event = 'resolved'").await,
        ["made the index by hand"]
    );
    assert_eq!(runner.state().await.unwrap().version(), Some(&version(2)));
    assert!(runner.run(&Target::Latest, Policy::default()).await.unwrap().done.is_empty());
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_first_statement_that_fails_leaves_nothing_to_resolve() {
    let database = TestDatabase::create().await.unwrap();
    let chain = Chain::new(&[(1, "bad", &format!("{NO}SELECT 1/0;\nSELECT 1;"), "SELECT 1;")]);
    // A setting ends with its session.
    for first in ["SELECT 1/0;", "SELEC 1;", "SET search_path = public;\nSELECT 1/0;"] {
        chain.write(1, "bad", &format!("{NO}{first}\nSELECT 1;"), "SELECT 1;");
        let mut runner = migrator(&database, &chain, quick()).await;
        let error = runner.run(&Target::Latest, Policy::default()).await.unwrap_err();
        assert!(error.findings()[0].notes.iter().any(|note| note == "nothing of this migration was kept"), "{error:?}");
        assert_eq!(runner.status().await.unwrap().problems.len(), 0);
    }
    chain.write(1, "bad", &format!("{NO}SELECT 1;"), "SELECT 1;");
    let mut runner = migrator(&database, &chain, quick()).await;
    assert_eq!(runner.run(&Target::Latest, Policy::default()).await.unwrap().done.len(), 1);
    database.drop_now().await.unwrap();
}

/// A runner that was killed leaves the event `started` and some rows of progress. Whether or not the next
/// statement was done, the next run finishes and does nothing twice.
#[tokio::test]
async fn a_killed_run_is_taken_up_from_every_point() {
    let up = format!(
        "{NO}CREATE TABLE log (n int);\nINSERT INTO log VALUES (1);\nCREATE INDEX CONCURRENTLY i ON log (n);\nINSERT INTO log VALUES (2);\nDROP INDEX CONCURRENTLY i;\nINSERT INTO log VALUES (3);"
    );
    // What the server had done when the runner died, beyond what is recorded.
    let beyond = [
        (0, ""),
        (1, ""),
        (2, ""),
        (2, "CREATE INDEX i ON log (n)"),
        (2, "CREATE INDEX i ON log (n); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass"),
        (3, ""),
        (4, ""),
        (4, "DROP INDEX i"),
        (5, ""),
        (6, ""),
    ];
    let effect = [
        "CREATE TABLE log (n int);",
        "INSERT INTO log VALUES (1);",
        "CREATE INDEX i ON log (n);",
        "INSERT INTO log VALUES (2);",
        "DROP INDEX i;",
        "INSERT INTO log VALUES (3);",
    ];
    for (done, more) in beyond {
        let database = TestDatabase::create().await.unwrap();
        let chain =
            Chain::new(&[(1, "first", "SELECT 1;", "SELECT 1;"), (2, "steps", &up, &format!("{NO}DROP TABLE log;"))]);
        migrator(&database, &chain, quick()).await.run(&Target::Up(1), Policy::default()).await.unwrap();
        let mut db = connect(&database).await;
        let checksum = chain.set().get(&version(2)).unwrap().up_checksum().to_string();
        let columns = "id, event, direction, version, name, statement, up_checksum, batch, tool";
        let mut rows = format!(
            "INSERT INTO roundtrip.ledger ({columns}) VALUES (2, 'started', 'up', '{}', 'steps', NULL, '{checksum}', 2, 'killed');",
            version(2)
        );
        for n in 1..=done {
            rows.push_str(effect[n - 1]);
            rows.push_str(&format!("INSERT INTO roundtrip.ledger ({columns}) VALUES ({}, 'progress', 'up', '{}', 'steps', {n}, NULL, 2, 'killed');", n + 2, version(2)));
        }
        execute(&mut db, &rows).await;
        execute(&mut db, more).await;
        let mut runner = migrator(&database, &chain, quick()).await;
        runner.run(&Target::Latest, Policy::default()).await.unwrap();
        assert_eq!(column(&mut db, "SELECT n FROM log ORDER BY n").await, ["1", "2", "3"], "{done} {more}");
        assert_eq!(column(&mut db, "SELECT to_regclass('i')").await, ["NULL"], "{done} {more}");
        assert_eq!(runner.status().await.unwrap().problems.len(), 0);
        database.drop_now().await.unwrap();
    }
}

#[tokio::test]
async fn an_index_that_exists_half_built_is_not_taken_for_a_good_one() {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    execute(&mut db, "CREATE TABLE t (id int); CREATE INDEX i ON t (id); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass").await;
    let up = format!("{NO}CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (id);");
    let chain = Chain::new(&[(1, "i", &up, &format!("{NO}DROP INDEX CONCURRENTLY i;"))]);
    let mut runner = migrator(&database, &chain, quick()).await;
    let error = runner.run(&Target::Latest, Policy::default()).await.unwrap_err();
    assert_eq!(error.findings()[0].code.as_str(), "invalid-index");
    runner.resolve(&Resolution::Continue).await.unwrap();
    assert_eq!(column(&mut db, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass").await, ["t"]);
    database.drop_now().await.unwrap();
}
