//! A network that swallows everything without an error: a run still ends, reports what is known, and leaves
//! nothing behind.

use std::time::{Duration, Instant};

use migrate_base::db::{Keepalive, ReadOnlySession};
use migrate_core::runner::Rehearsal;
use migrate_core::{
    BoxFuture, CancelHandle, CodeError, CodeMigration, CodeMigrations, Database, ErrorKind, Migrator, Options,
    RunPolicy, RunReport, Target, Version,
};
use migrate_test::TestDatabase;
use rstest::rstest;
use sqlx::PgConnection;

use crate::proxy::Proxy;
use crate::support::{ChainFolder, column, connect, events, quick, version};

/// What stops responding while a migration runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SilentPeer {
    /// Everything, and new connections too.
    Network,
    /// Both connections of the run; a new one succeeds.
    Both,
    /// The connection that runs the statements.
    Worker,
    /// The connection that holds the lock.
    Lock,
}

impl SilentPeer {
    fn fall(self, proxy: &Proxy) {
        match self {
            Self::Network => proxy.go_dark(),
            Self::Both => proxy.silence(|_| true),
            Self::Worker => proxy.silence(|application| application == "roundtrip"),
            Self::Lock => proxy.silence(|application| application == "roundtrip lock"),
        }
    }
}

/// An address through a proxy, with short timeouts.
fn through(proxy: &Proxy, database: &TestDatabase) -> Database {
    let keepalive = Keepalive { user_timeout: Some(Duration::from_secs(1)), ..Keepalive::default() };
    Database::from(proxy.options(database)).patience(Duration::from_secs(2)).keepalive(keepalive)
}

fn chain(seconds: u32) -> ChainFolder {
    ChainFolder::new(&[
        (1, "before", "CREATE TABLE before ();", "DROP TABLE before;"),
        (2, "slow", &format!("CREATE TABLE slow (); SELECT pg_sleep({seconds});"), "DROP TABLE slow;"),
    ])
}

async fn migrator(address: Database, chain: &ChainFolder, options: Options) -> Migrator {
    Migrator::open(address, chain.set(), CodeMigrations::none(), options).await.unwrap()
}

async fn until(db: &mut PgConnection, condition: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    while column(db, &format!("SELECT {condition}")).await != ["t"] {
        assert!(Instant::now() < end, "it never came to this: {condition}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const SLEEPS: &str =
    "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())";
const NO_LOCKS: &str = "NOT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                        WHERE l.locktype = 'advisory' AND d.datname = current_database())";

/// Runs a chain whose second migration sleeps for this long, and silences the network meanwhile; `press` also
/// interrupts the run. Returns how it ended, after which time, and what the ledger contained then.
async fn run(silent: SilentPeer, seconds: u32, press: bool) -> (migrate_core::Result<usize>, Duration, Vec<String>) {
    let database = TestDatabase::create().await.unwrap();
    let proxy = Proxy::start(&database);
    let cancel = CancelHandle::new();
    let chain = chain(seconds);
    let options = Options { cancel: cancel.clone(), ..quick() };
    let mut runner = migrator(through(&proxy, &database), &chain, options).await;
    let mut db = connect(&database).await;
    let begin = async {
        until(&mut db, SLEEPS).await;
        silent.fall(&proxy);
        if press {
            cancel.cancel();
        }
        Instant::now()
    };
    let both = async { tokio::join!(runner.run(&Target::Latest, RunPolicy::default()), begin) };
    let (outcome, since) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("the run hangs");
    let took = since.elapsed();
    proxy.light_up();
    if silent != SilentPeer::Network {
        until(&mut db, NO_LOCKS).await;
    }
    let events = events(&mut db).await;
    if silent != SilentPeer::Network && !press {
        // Nothing blocks the next run.
        let options = Options { lock_wait: Duration::from_secs(2), ..quick() };
        let mut next = migrator(through(&proxy, &database), &chain, options).await;
        next.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    }
    database.drop_now().await.unwrap();
    (outcome.map(|report| report.done.len()), took, events)
}

#[rstest]
#[case::network(SilentPeer::Network, 600)]
#[case::both(SilentPeer::Both, 2)]
#[case::worker(SilentPeer::Worker, 2)]
#[tokio::test]
async fn a_run_that_gets_no_answer_any_more_ends_and_says_so(#[case] silent: SilentPeer, #[case] seconds: u32) {
    let (outcome, took, events) = run(silent, seconds, false).await;
    let error = outcome.unwrap_err();
    assert_eq!(
        (error.kind(), error.findings()[0].code.as_str()),
        (ErrorKind::Connection, "connection-dead"),
        "{error}"
    );
    let text = format!("{:?}", error.findings());
    assert!(text.contains("20250101000002_slow") && text.contains("ledger") && text.contains("xtask status"), "{text}");
    assert!(RunReport::of(&error).unwrap().done.len() <= 1, "what is known to be committed");
    assert!(took < Duration::from_secs(20), "{took:?}");
    let committed: &[&str] = if seconds < 600 { &["applied 1", "applied 2"] } else { &["applied 1"] };
    assert_eq!(events, committed, "the ledger tells");
}

#[tokio::test]
async fn a_run_of_which_only_the_lock_is_silent_ends_well() {
    let (outcome, took, _) = run(SilentPeer::Lock, 3, false).await;
    assert_eq!(outcome.unwrap(), 2);
    assert!(took < Duration::from_secs(12), "{took:?}");
}

#[rstest]
#[case::network(SilentPeer::Network)]
#[case::both(SilentPeer::Both)]
#[case::worker(SilentPeer::Worker)]
#[case::lock(SilentPeer::Lock)]
#[tokio::test]
async fn an_interruption_is_served_whatever_is_silent(#[case] silent: SilentPeer) {
    let (outcome, took, events) = run(silent, 600, true).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(events, ["applied 1"]);
}

#[tokio::test]
async fn a_statement_that_is_silent_for_long_is_not_cut_off() {
    let database = TestDatabase::create().await.unwrap();
    let proxy = Proxy::start(&database);
    let mut runner = migrator(through(&proxy, &database), &chain(4), quick()).await;
    assert_eq!(runner.run(&Target::Latest, RunPolicy::default()).await.unwrap().done.len(), 2);
    let mut reader = ReadOnlySession::open(&through(&proxy, &database)).await.unwrap();
    let rows = reader.ask("sleep", "SELECT 7 FROM (SELECT pg_sleep(4)) s").await.unwrap();
    assert_eq!(rows, [[Some("7".to_owned())]]);
    database.drop_now().await.unwrap();
}

/// Sends nothing to the server for a while, in the middle of its transaction.
struct SlowMigration;

impl CodeMigration for SlowMigration {
    fn version(&self) -> Version {
        version(3)
    }

    fn up<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async move {
            sqlx::query("CREATE TABLE thought ()").execute(&mut *connection).await?;
            tokio::time::sleep(Duration::from_secs(4)).await;
            Ok(sqlx::query("CREATE TABLE acted ()").execute(connection).await.map(drop)?)
        })
    }

    fn down<'a>(&'a self, _: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async { Ok(()) })
    }
}

#[rstest]
#[case::well(false)]
#[case::dark(true)]
#[tokio::test]
async fn code_that_thinks_is_not_cut_off_unless_nothing_answers(#[case] is_dark: bool) {
    let database = TestDatabase::create().await.unwrap();
    let proxy = Proxy::start(&database);
    let chain = chain(0);
    std::fs::write(chain.path().join(format!("{}_thinks.rs", version(3))), "").unwrap();
    let code = CodeMigrations::none().with(SlowMigration);
    let mut runner = Migrator::open(through(&proxy, &database), chain.set(), code, quick()).await.unwrap();
    let mut db = connect(&database).await;
    let begin = async {
        until(&mut db, "to_regclass('roundtrip.ledger') IS NOT NULL").await;
        let thinks = "EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                      AND application_name = 'roundtrip' AND state = 'idle in transaction')";
        until(&mut db, thinks).await;
        if is_dark {
            proxy.go_dark();
        }
    };
    let both = async { tokio::join!(runner.run(&Target::Latest, RunPolicy::default()), begin).0 };
    let outcome = tokio::time::timeout(Duration::from_secs(40), both).await.expect("the run hangs");
    assert_eq!(
        outcome.map(|report| report.done.len()).map_err(|error| error.findings()[0].code.as_str()),
        match is_dark {
            true => Err("connection-dead"),
            false => Ok(3),
        }
    );
    database.drop_now().await.unwrap();
}

#[rstest]
#[case::network(true)]
#[case::connection(false)]
#[tokio::test]
async fn a_look_at_the_ledger_that_gets_no_answer_ends(#[case] is_dark: bool) {
    let database = TestDatabase::create().await.unwrap();
    let proxy = Proxy::start(&database);
    let mut runner = migrator(through(&proxy, &database), &chain(0), quick()).await;
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    runner.status().await.unwrap();
    if is_dark {
        proxy.go_dark()
    } else {
        proxy.silence(|_| true)
    }
    let look = async { (runner.status().await.map(drop), runner.history().await.map(drop)) };
    let (status, history) = tokio::time::timeout(Duration::from_secs(30), look).await.expect("the look hangs");
    let error = status.unwrap_err();
    assert_eq!(
        (error.kind(), error.findings()[0].code.as_str()),
        (ErrorKind::Connection, "connection-dead"),
        "{error}"
    );
    // The next attempt uses a new connection.
    assert_eq!(history.is_ok(), !is_dark);
    database.drop_now().await.unwrap();
}

/// What the server has granted without the run receiving the answer is released, and not left to a backend
/// without a client.
#[rstest]
#[case::lock("pg_try_advisory_lock(6640134922425552076)", 1)]
#[case::fence("pg_try_advisory_lock(-6527390260889961801)", 1)]
#[case::second_fence("pg_try_advisory_lock(-6527390260889961801)", 2)]
#[tokio::test]
async fn a_lock_whose_answer_is_swallowed_is_given_back(#[case] words: &str, #[case] nth: usize) {
    let database = TestDatabase::create().await.unwrap();
    let proxy = Proxy::start(&database);
    let chain = chain(0);
    // After this migration the run takes a fresh session.
    chain.write(1, "before", "CREATE TABLE before (); SET app.name = 1;", "DROP TABLE before;");
    let mut runner = migrator(through(&proxy, &database), &chain, quick()).await;
    proxy.swallow(words, nth);
    let run = runner.run(&Target::Latest, RunPolicy::default());
    let error = tokio::time::timeout(Duration::from_secs(30), run).await.expect("the run hangs").unwrap_err();
    assert_eq!(
        (error.kind(), error.findings()[0].code.as_str()),
        (ErrorKind::Connection, "connection-dead"),
        "{error}"
    );
    let mut db = connect(&database).await;
    until(&mut db, NO_LOCKS).await;
    database.drop_now().await.unwrap();
}

/// Each of these sends its query on a session that no run has checked before.
#[rstest]
#[case::who_is_at_work("FROM pg_catalog.pg_locks l JOIN")]
#[case::what_is_half_built("pg_index")]
#[tokio::test]
async fn a_look_at_what_is_unfinished_that_gets_no_answer_ends(#[case] words: &str) {
    let database = TestDatabase::create().await.unwrap();
    let proxy = Proxy::start(&database);
    let chain = ChainFolder::new(&[(
        1,
        "half",
        "-- migrate: no-transaction\nCREATE TABLE t (n int);\nINSERT INTO t VALUES (1), (1);\n\
         CREATE UNIQUE INDEX CONCURRENTLY half ON t (n);",
        "DROP TABLE t;",
    )]);
    let mut runner = migrator(through(&proxy, &database), &chain, quick()).await;
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    runner.unresolved().await.unwrap().unwrap();
    proxy.swallow(words, 1);
    let look = tokio::time::timeout(Duration::from_secs(30), runner.unresolved()).await.expect("the look hangs");
    assert_eq!(look.unwrap_err().kind(), ErrorKind::Connection);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_seed_whose_answer_is_swallowed_ends() {
    let database = TestDatabase::create().await.unwrap();
    let proxy = Proxy::start(&database);
    let chain = chain(0);
    let mut runner = migrator(through(&proxy, &database), &chain, quick()).await;
    let seed = chain.path().join("seed");
    std::fs::write(&seed, "CREATE TABLE swallowed ();").unwrap();
    proxy.swallow("TABLE swallowed", 1);
    let run = migrate_core::runner::seed::run(&mut runner, &seed);
    let error = tokio::time::timeout(Duration::from_secs(30), run).await.expect("the seed hangs").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    database.drop_now().await.unwrap();
}

/// Whether there is no statement timeout, or one that cannot take effect: what is sent next does not wait for
/// the statement.
#[rstest]
#[case::without_a_limit(Duration::ZERO)]
#[case::with_a_limit(Duration::from_millis(100))]
#[tokio::test]
async fn a_rehearsal_whose_answer_is_swallowed_ends(#[case] limit: Duration) {
    let database = TestDatabase::create().await.unwrap();
    let proxy = Proxy::start(&database);
    let address = through(&proxy, &database);
    let mut rehearsal = Rehearsal::open_limited(address, CodeMigrations::none(), limit).await.unwrap();
    proxy.swallow("TABLE swallowed", 1);
    let texts = ["CREATE TABLE swallowed ()"];
    let run = tokio::time::timeout(Duration::from_secs(30), rehearsal.statements(&texts));
    run.await.expect("the rehearsal hangs").unwrap_err();
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_host_that_does_not_say_what_it_is_is_waited_for_no_longer_than_any_other() {
    let database = TestDatabase::create().await.unwrap();
    let proxy = Proxy::start(&database);
    let options = proxy.options(&database);
    let url = format!(
        "postgres://{}@127.0.0.1:{}/{}?sslmode=disable&target_session_attrs=read-write",
        options.get_username(),
        options.get_port(),
        database.name()
    );
    proxy.swallow("pg_is_in_recovery", 1);
    let address = Database::parse(&url).unwrap().patience(Duration::from_secs(1));
    let settled = tokio::time::timeout(Duration::from_secs(10), address.settled()).await.expect("it hangs");
    assert_eq!(settled.unwrap_err().findings()[0].code.as_str(), "connection-timeout");
    address.settled().await.unwrap();
    database.drop_now().await.unwrap();
}
