//! Several runners at once, the lock and its holder, and what blocks a run.

use std::time::Duration;

use migrate_core::{CancelHandle, ErrorKind, Options, RunPolicy, RunReport, Target};
use migrate_test::TestDatabase;

use crate::support::{ChainFolder, column, connect, events, execute, listening, migrator, quick};

const LOCK: i64 = 6_640_134_922_425_552_076;

fn chain(length: u64) -> ChainFolder {
    let chain = ChainFolder::new(&[]);
    for n in 1..=length {
        chain.write(
            n,
            &format!("t_{n}"),
            &format!("CREATE TABLE t_{n} (); INSERT INTO seen DEFAULT VALUES;"),
            &format!("DROP TABLE t_{n};"),
        );
    }
    chain.write(0, "seen", "CREATE TABLE seen (id int GENERATED ALWAYS AS IDENTITY);", "DROP TABLE seen;");
    chain
}

#[tokio::test]
async fn eight_runners_apply_each_migration_once() {
    let database = TestDatabase::create().await.unwrap();
    let chain = chain(40);
    let runs = (0..8).map(|_| async {
        let options = Options { lock_wait: Duration::from_secs(60), ..quick() };
        let mut runner = migrator(&database, &chain, options).await;
        runner.run(&Target::Latest, RunPolicy::default()).await.unwrap().done.len()
    });
    let done = futures_util::future::join_all(runs).await;
    assert_eq!(done.iter().sum::<usize>(), 41, "{done:?}");
    let mut db = connect(&database).await;
    assert_eq!(column(&mut db, "SELECT count(*) FROM seen").await, ["40"]);
    assert_eq!(
        column(&mut db, "SELECT count(*) || ' ' || count(DISTINCT version) FROM roundtrip.ledger").await,
        ["41 41"]
    );
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_run_that_waits_names_the_holder() {
    let database = TestDatabase::create().await.unwrap();
    let mut holder = connect(&database).await;
    execute(&mut holder, &format!("SET application_name TO 'the other deploy'; SELECT pg_advisory_lock({LOCK})")).await;
    let (ear, options) = listening();
    let mut runner = migrator(&database, &chain(1), Options { lock_wait: Duration::from_millis(200), ..options }).await;
    let error = runner.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lock);
    assert!(error.to_string().contains("the other deploy"), "{error}");
    assert!(error.findings()[0].help.iter().any(|help| help.contains("pg_terminate_backend(")));
    assert!(ear.heard().iter().any(|text| text.contains("the other deploy")), "{:?}", ear.heard());
    execute(&mut holder, &format!("SELECT pg_advisory_unlock({LOCK})")).await;
    assert_eq!(runner.run(&Target::Latest, RunPolicy::default()).await.unwrap().done.len(), 2);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn the_lock_is_free_after_every_outcome() {
    let database = TestDatabase::create().await.unwrap();
    let chain = chain(1);
    chain.write(2, "bad", "SELECT 1/0;", "SELECT 1;");
    let mut db = connect(&database).await;
    let free = format!("SELECT pg_try_advisory_lock({LOCK}) AND pg_advisory_unlock({LOCK})");
    let mut runner = migrator(&database, &chain, quick()).await;
    assert!(runner.run(&Target::Latest, RunPolicy::default()).await.is_err());
    assert_eq!(column(&mut db, &free).await, ["t"]);
    let plan = runner.plan(&Target::Zero, RunPolicy::default()).await.unwrap();
    runner.run(&Target::Down(1), RunPolicy::default()).await.unwrap();
    assert_eq!(runner.apply(&plan).await.unwrap_err().kind(), ErrorKind::Stale);
    assert_eq!(column(&mut db, &free).await, ["t"]);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn waiters_do_not_deadlock_an_index_that_is_built_concurrently() {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[
        (1, "t", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 50000) g;", "DROP TABLE t;"),
        (
            2,
            "i",
            "-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (id);",
            "-- migrate: no-transaction\nDROP INDEX CONCURRENTLY i;",
        ),
    ]);
    let runs = (0..4).map(|_| async {
        let mut runner = migrator(&database, &chain, Options { lock_wait: Duration::from_secs(60), ..quick() }).await;
        runner.run(&Target::Latest, RunPolicy::default()).await.unwrap().done.len()
    });
    let all = tokio::time::timeout(Duration::from_secs(60), futures_util::future::join_all(runs)).await.unwrap();
    assert_eq!(all.iter().sum::<usize>(), 2);
    let mut db = connect(&database).await;
    assert_eq!(column(&mut db, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass").await, ["t"]);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_lock_in_the_way_is_waited_for_retried_and_named() {
    let database = TestDatabase::create().await.unwrap();
    let chain = chain(1);
    chain.write(2, "alter", "ALTER TABLE seen ADD COLUMN x int;", "ALTER TABLE seen DROP COLUMN x;");
    let mut other = connect(&database).await;
    migrator(&database, &chain, quick()).await.run(&Target::Up(2), RunPolicy::default()).await.unwrap();
    execute(&mut other, "SET application_name TO 'a long report'; BEGIN; SELECT count(*) FROM seen").await;
    let (ear, options) = listening();
    let mut runner = migrator(&database, &chain, Options { lock_timeout: Duration::from_millis(900), ..options }).await;
    let error = runner.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.sqlstate()), (ErrorKind::Statement, Some("55P03")));
    assert!(error.findings()[0].notes.iter().any(|note| note.contains("a long report")), "{:?}", error.findings());
    assert!(ear.heard().iter().any(|text| text == "retry alter 1/1"), "{:?}", ear.heard());
    // The report is out of the way in time, so the retry finishes the work.
    let unblock = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        execute(&mut other, "COMMIT").await;
    };
    let patient = Options { lock_timeout: Duration::from_millis(200), lock_retries: 20, ..quick() };
    let mut runner = migrator(&database, &chain, patient).await;
    let (report, ()) = tokio::join!(runner.run(&Target::Latest, RunPolicy::default()), unblock);
    assert_eq!(report.unwrap().done.len(), 1);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn an_interrupted_run_keeps_what_was_committed_and_cancels_the_rest() {
    let database = TestDatabase::create().await.unwrap();
    let chain = chain(2);
    chain.write(3, "slow", "SELECT pg_sleep(600);", "SELECT 1;");
    let cancel = CancelHandle::new();
    let mut runner = migrator(&database, &chain, Options { cancel: cancel.clone(), ..quick() }).await;
    let mut db = connect(&database).await;
    let press = async {
        loop {
            let busy = column(
                &mut db,
                "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()",
            )
            .await;
            if !busy.is_empty() {
                break cancel.cancel();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (outcome, ()) = tokio::join!(runner.run(&Target::Latest, RunPolicy::default()), press);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(RunReport::of(&error).unwrap().done.len(), 3);
    assert_eq!(events(&mut db).await, ["applied 0", "applied 1", "applied 2"]);
    let left = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    assert_eq!(column(&mut db, left).await, ["0"]);
    assert_eq!(column(&mut db, &format!("SELECT pg_try_advisory_lock({LOCK})")).await, ["t"]);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_run_whose_session_is_ended_says_what_is_safe() {
    let database = TestDatabase::create().await.unwrap();
    let chain = chain(1);
    chain.write(2, "gone", "SELECT pg_terminate_backend(pg_backend_pid());", "SELECT 1;");
    let mut runner = migrator(&database, &chain, quick()).await;
    let error = runner.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert_eq!(RunReport::of(&error).unwrap().done.len(), 2);
    assert_eq!(runner.state().await.unwrap().applied().count(), 2);
    database.drop_now().await.unwrap();
}
