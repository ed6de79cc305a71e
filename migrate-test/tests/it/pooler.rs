//! A pooler between us and the server: one with session pooling is accepted, others are refused.

use migrate_base::db::Reader;
use migrate_core::{CodeMigrations, Database, ErrorKind, Migrator, Policy, Target};
use migrate_test::TestDatabase;
use rstest::rstest;
use sqlx::{Connection, PgConnection};

use crate::pgbouncer::Pooler;
use crate::support::{Chain, column, connect, execute, quick};

/// Runs a chain with one migration through a pooler that has `idle` server connections available, and checks
/// what it leaves in them; `None` on a machine without pgbouncer.
async fn run_through(mode: &str, idle: usize, database: &TestDatabase) -> Option<migrate_core::Result<usize>> {
    let pooler = Pooler::start(database, mode).await?;
    let mut held = Vec::new();
    for _ in 0..idle {
        let mut connection = PgConnection::connect_with(&pooler.options(database)).await.unwrap();
        execute(&mut connection, "BEGIN").await;
        held.push(connection);
    }
    for mut connection in held {
        execute(&mut connection, "COMMIT").await;
        connection.close().await.unwrap();
    }
    let chain = Chain::new(&[(1, "a", "CREATE TABLE a ();", "DROP TABLE a;")]);
    let address = Database::from(pooler.options(database));
    let mut migrator = Migrator::open(address, chain.set(), CodeMigrations::none(), quick()).await.unwrap();
    let mut reader = Reader::open(migrator.database()).await.unwrap();
    let looked = migrator.refuse_pooler(&mut reader).await;
    reader.close().await;
    let outcome = migrator.run(&Target::Latest, Policy::default()).await.map(|report| report.done.len());
    let code = |error: &migrate_core::Error| error.findings()[0].code.as_str();
    assert_eq!(
        looked.as_ref().err().map(code),
        outcome.as_ref().err().map(code),
        "{mode}: a look tells what a run would"
    );
    // A pooler that keeps sessions resets them when a client disconnects; others pass them on as they are.
    let mut next = PgConnection::connect_with(&pooler.options(database)).await.unwrap();
    let left = "SELECT name || ' ' || setting FROM pg_settings WHERE name IN ('lock_timeout', 'statement_timeout') AND setting <> '0'";
    for _ in 0..idle {
        assert_eq!(column(&mut next, left).await, Vec::<String>::new(), "{mode}: strangers run with our settings");
    }
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                 WHERE l.locktype = 'advisory' AND d.datname = current_database()";
    while outcome.is_ok() && column(&mut next, locks).await != ["0"] {}
    assert_eq!(column(&mut next, locks).await, ["0"], "{mode}: a lock is left with a stranger");
    Some(outcome)
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_refused_and_keeps_no_lock_and_no_setting() {
    for (mode, idle) in
        [("transaction", 1), ("transaction\nserver_round_robin = 1", 2), ("transaction\nserver_round_robin = 1", 3)]
    {
        let database = TestDatabase::create().await.unwrap();
        if let Some(outcome) = run_through(mode, idle, &database).await {
            let error = outcome.unwrap_err();
            assert_eq!(
                (error.kind(), error.findings()[0].code.as_str()),
                (ErrorKind::Lock, "pooler"),
                "{mode}: {error}"
            );
            assert!(!error.findings()[0].help.is_empty());
            let mut db = connect(&database).await;
            assert_eq!(column(&mut db, "SELECT to_regclass('a')").await, ["NULL"]);
        }
        database.drop_now().await.unwrap();
    }
}

/// The pooled connections of a busy application; like all clients, they take whatever is free.
async fn busy(pooler: &Pooler, database: &TestDatabase, clients: usize) -> Vec<tokio::task::JoinHandle<()>> {
    let mut tasks = Vec::new();
    for n in 0..clients {
        let mut connection = PgConnection::connect_with(&pooler.options(database)).await.unwrap();
        tasks.push(tokio::spawn(async move {
            let work = format!("SELECT count(*) FROM pg_class, generate_series(1, {})", 1 + n * 3);
            loop {
                column(&mut connection, &work).await;
                tokio::time::sleep(std::time::Duration::from_millis(1 + n as u64)).await;
            }
        }));
    }
    tasks
}

#[rstest]
#[case::options_refused("transaction\ndefault_pool_size = 5", 40)]
#[case::options_ignored(
    "transaction\ndefault_pool_size = 5\nignore_startup_parameters = options,extra_float_digits",
    40
)]
#[case::in_turns("transaction\nserver_round_robin = 1", 10)]
#[case::statements("statement", 10)]
#[case::one_process("transaction\ndefault_pool_size = 1", 5)]
#[tokio::test]
async fn a_busy_pooler_in_transaction_mode_is_always_refused_and_is_left_nothing(
    #[case] mode: &str,
    #[case] runs: usize,
) {
    let database = TestDatabase::create().await.unwrap();
    let Some(pooler) = Pooler::start(&database, mode).await else { return };
    let clients = busy(&pooler, &database, 6).await;
    let chain = Chain::new(&[(1, "a", "CREATE TABLE a ();", "DROP TABLE a;")]);
    let mut db = connect(&database).await;
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                 WHERE l.locktype = 'advisory' AND d.datname = current_database()";
    for n in 0..runs {
        let address = Database::from(pooler.options(&database));
        let mut runner = Migrator::open(address, chain.set(), CodeMigrations::none(), quick()).await.unwrap();
        let error = runner.run(&Target::Latest, Policy::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.findings()[0].code.as_str()), (ErrorKind::Lock, "pooler"), "run {n}: {error}");
        assert_eq!(column(&mut db, locks).await, ["0"], "run {n}");
    }
    assert_eq!(column(&mut db, "SELECT to_regclass('a'), to_regnamespace('roundtrip')").await, ["NULL"]);
    clients.iter().for_each(tokio::task::JoinHandle::abort);
    drop(pooler);
    database.drop_now().await.unwrap();
}

/// Regardless of which timeout expires first, ours or the pooler's.
#[rstest]
#[case::ours("session\ndefault_pool_size = 1", 1)]
#[case::that_of_the_pooler("session\ndefault_pool_size = 1\nquery_wait_timeout = 1", 60)]
#[tokio::test]
async fn a_pool_of_one_in_session_mode_is_too_small(#[case] mode: &str, #[case] seconds: u64) {
    let database = TestDatabase::create().await.unwrap();
    let Some(pooler) = Pooler::start(&database, mode).await else { return };
    let chain = Chain::new(&[(1, "a", "CREATE TABLE a ();", "DROP TABLE a;")]);
    let address = Database::from(pooler.options(&database)).patience(std::time::Duration::from_secs(seconds));
    let mut runner = Migrator::open(address, chain.set(), CodeMigrations::none(), quick()).await.unwrap();
    let error = runner.run(&Target::Latest, Policy::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.findings()[0].code.as_str()), (ErrorKind::Connection, "pool-exhausted"), "{error}");
    assert!(format!("{:?}", error.findings()).contains("two connections"), "{error}");
    drop(pooler);
    database.drop_now().await.unwrap();
}

/// If a run takes a fresh session after a migration, it needs no third connection.
#[tokio::test]
async fn a_pool_of_two_in_session_mode_is_enough_also_for_fresh_sessions() {
    let database = TestDatabase::create().await.unwrap();
    let mode = "session\ndefault_pool_size = 2\nserver_round_robin = 1";
    let Some(pooler) = Pooler::start(&database, mode).await else { return };
    let chain = Chain::new(&[
        (1, "a", "SET app.who = 'ann'; CREATE TABLE a ();", "DROP TABLE a;"),
        (2, "b", "CREATE TABLE b ();", "DROP TABLE b;"),
    ]);
    let clients = Database::from(pooler.options(&database)).patience(std::time::Duration::from_secs(3));
    let mut runner = Migrator::open(clients, chain.set(), CodeMigrations::none(), quick()).await.unwrap();
    assert_eq!(runner.run(&Target::Latest, Policy::default()).await.unwrap().done.len(), 2);
    drop(pooler);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_pooler_in_session_mode_is_fine() {
    let database = TestDatabase::create().await.unwrap();
    if let Some(outcome) = run_through("session\nserver_round_robin = 1", 3, &database).await {
        assert_eq!(outcome.unwrap(), 1);
    }
    database.drop_now().await.unwrap();
}
