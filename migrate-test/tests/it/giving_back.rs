//! Whatever a run took, it releases, however it ends; and no two parties wait for each other.

use std::time::Duration;

use migrate_core::{
    BoxFuture, CancelHandle, CodeError, CodeMigration, CodeMigrations, Database, ErrorKind, Migrator, Options,
    PgConnection, RunPolicy, Target, Version,
};
use migrate_test::TestDatabase;
use rstest::rstest;

use crate::support::{ChainFolder, column, connect, execute, migrator, quick, version};

const LOCK: i64 = 6_640_134_922_425_552_076;
const LOCKS: &str = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                     WHERE l.locktype = 'advisory' AND d.datname = current_database()";

fn chain(length: u64) -> ChainFolder {
    let chain = ChainFolder::new(&[]);
    for n in 1..=length {
        chain.write(n, &format!("t_{n}"), &format!("CREATE TABLE t_{n} ();"), &format!("DROP TABLE t_{n};"));
    }
    chain
}

#[tokio::test]
async fn runners_with_other_checkouts_and_other_targets_all_come_to_an_end() {
    let (old, new) = (chain(4), chain(8));
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    for round in 0..20 {
        let runs = [
            (&new, Target::Latest),
            (&old, Target::Latest),
            (&new, Target::Up(1)),
            (&old, Target::Up(1)),
            (&new, Target::Down(1)),
            (&old, Target::Down(1)),
            (&new, Target::Up(1)),
            (&new, Target::Up(2)),
        ]
        .map(|(chain, target)| {
            let database = &database;
            let old = &old;
            async move {
                let options = Options { lock_wait: Duration::from_secs(20), ..quick() };
                let mut runner = migrator(database, chain, options).await;
                let outcome = runner.run(&target, RunPolicy::default()).await;
                (runner, outcome, std::ptr::eq(chain, old))
            }
        });
        let all = tokio::time::timeout(Duration::from_secs(30), futures_util::future::join_all(runs)).await;
        let all = all.expect("runners wait for each other");
        for (_, outcome, is_old) in &all {
            let Err(error) = outcome else { continue };
            // An old checkout may find the database newer than its folder; all other runners succeed.
            assert!(*is_old && error.kind() == ErrorKind::Plan, "round {round}: {error:?}");
        }
        // The runners still exist.
        assert_eq!(column(&mut db, LOCKS).await, ["0"], "round {round}");
    }
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn an_application_that_keeps_its_migrator_is_in_nobodys_way() {
    let database = TestDatabase::create().await.unwrap();
    let chain = chain(5);
    let options = || Options { lock_wait: Duration::from_secs(20), ..quick() };
    let starts = (0..6).map(|_| async {
        let mut runner = migrator(&database, &chain, options()).await;
        runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
        runner
    });
    let mut serving = futures_util::future::join_all(starts).await;
    chain.write(6, "next", "CREATE TABLE next ();", "DROP TABLE next;");
    let mut deploy = migrator(&database, &chain, Options { lock_wait: Duration::ZERO, ..quick() }).await;
    assert_eq!(deploy.run(&Target::Latest, RunPolicy::default()).await.unwrap().done.len(), 1);
    for runner in &mut serving {
        runner.status().await.unwrap();
    }
    database.drop_now().await.unwrap();
}

/// A way for a run to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RunEnding {
    Well,
    Stale,
    FailedStatement,
    FailedAtCommit,
    Apart,
    Cancelled,
    Dropped,
    LockHeld,
    FenceHeld,
    Obstacle,
    CodeFails,
    CodePanics,
    NoLedger,
    KeptUnreadable,
    Resolved,
    Adopted,
    LockLost,
    WorkerEnded,
    Seeded,
    SeedFails,
}

struct FailingMigration(RunEnding);

impl CodeMigration for FailingMigration {
    fn version(&self) -> Version {
        version(2)
    }

    fn up<'a>(&'a self, _: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async move {
            assert_ne!(self.0, RunEnding::CodePanics, "it cannot");
            Err("it does not want to".into())
        })
    }

    fn down<'a>(&'a self, _: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async { Ok(()) })
    }
}

const SLEEPS: &str = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";

/// Waits until the run is in its second migration.
async fn asleep(db: &mut PgConnection) {
    while column(db, SLEEPS).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[rstest]
#[tokio::test]
async fn no_lock_is_left_however_a_run_ends(
    #[values(
        RunEnding::Well,
        RunEnding::Stale,
        RunEnding::FailedStatement,
        RunEnding::FailedAtCommit,
        RunEnding::Apart,
        RunEnding::Cancelled,
        RunEnding::Dropped,
        RunEnding::LockHeld,
        RunEnding::FenceHeld,
        RunEnding::Obstacle,
        RunEnding::CodeFails,
        RunEnding::CodePanics,
        RunEnding::NoLedger,
        RunEnding::KeptUnreadable,
        RunEnding::Resolved,
        RunEnding::Adopted,
        RunEnding::LockLost,
        RunEnding::WorkerEnded,
        RunEnding::Seeded,
        RunEnding::SeedFails
    )]
    end: RunEnding,
) {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    let chain = chain(1);
    let write = |up: &str| chain.write(2, "second", up, "SELECT 1;");
    match end {
        RunEnding::FailedStatement => write("SELECT 1/0;"),
        RunEnding::FailedAtCommit => {
            write("CREATE TABLE u (n int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO u VALUES (1), (1);")
        }
        RunEnding::Apart | RunEnding::Resolved => write("-- migrate: no-transaction\nCREATE TABLE x ();\nSELECT 1/0;"),
        RunEnding::Cancelled | RunEnding::Dropped | RunEnding::LockLost | RunEnding::WorkerEnded => {
            write("SELECT pg_sleep(1000);")
        }
        RunEnding::CodeFails | RunEnding::CodePanics => {
            std::fs::write(chain.path().join(format!("{}_second.rs", version(2))), "").unwrap();
        }
        RunEnding::Obstacle => {
            migrator(&database, &chain, quick()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
            chain.write(1, "t_1", "CREATE TABLE other ();", "DROP TABLE other;");
            chain.write(2, "second", "SELECT 1;", "SELECT 1;");
        }
        _ => {}
    }
    let cancel = CancelHandle::new();
    let options = Options { cancel: cancel.clone(), lock_wait: Duration::from_millis(100), ..quick() };
    let code = CodeMigrations::none().with(FailingMigration(end));
    let mut address = Database::from(database.options());
    if end == RunEnding::NoLedger {
        let role = format!("{}_may_not", database.name());
        execute(&mut db, &format!("CREATE ROLE {role} LOGIN")).await;
        address = Database::from(database.options().username(&role));
    }
    let mut runner = Migrator::open(address, chain.set(), code, options).await.unwrap();
    let (latest, policy) = (Target::Latest, RunPolicy::default());
    let holding = format!("SELECT pg_advisory_lock({LOCK})");
    let fencing = "SELECT pg_advisory_lock(-6527390260889961801)";
    let outcome = match end {
        RunEnding::Stale => {
            let plan = runner.plan(&latest, policy).await.unwrap();
            migrator(&database, &chain, quick()).await.run(&latest, policy).await.unwrap();
            runner.apply(&plan).await.map(drop)
        }
        RunEnding::Cancelled | RunEnding::LockLost | RunEnding::WorkerEnded => {
            let press = async {
                asleep(&mut db).await;
                let other = if end == RunEnding::LockLost { "= 'roundtrip lock'" } else { "= 'roundtrip'" };
                if end != RunEnding::Cancelled {
                    execute(&mut db, &format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND application_name {other}")).await;
                }
                if end == RunEnding::LockLost {
                    execute(&mut db, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'roundtrip' AND datname = current_database()").await;
                }
                if end == RunEnding::Cancelled {
                    cancel.cancel();
                }
            };
            tokio::join!(runner.run(&latest, policy), press).0.map(drop)
        }
        RunEnding::Dropped => {
            tokio::select! {
                _ = runner.run(&latest, policy) => unreachable!("it sleeps"),
                () = asleep(&mut db) => {}
            }
            // Nobody is left to close the session: the server notices that, and stops.
            while column(&mut db, LOCKS).await != ["0"] {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        }
        RunEnding::LockHeld | RunEnding::FenceHeld => {
            let key = if end == RunEnding::LockHeld { &*holding } else { fencing };
            execute(&mut db, key).await;
            let outcome = runner.run(&latest, policy).await.map(drop);
            execute(&mut db, "SELECT pg_advisory_unlock_all()").await;
            outcome
        }
        RunEnding::KeptUnreadable => {
            execute(&mut db, "CREATE SCHEMA roundtrip; CREATE TABLE roundtrip.ledger_kept (nothing int)").await;
            runner.run(&latest, policy).await.map(drop)
        }
        RunEnding::Resolved => {
            runner.run(&latest, policy).await.unwrap_err();
            runner.resolve(&migrate_core::runner::Resolution::Applied("by hand".to_owned())).await.map(drop)
        }
        RunEnding::Seeded | RunEnding::SeedFails => {
            let seed = chain.path().join("seed");
            let last = if end == RunEnding::Seeded { "SELECT 1;" } else { "SELECT 1/0;" };
            std::fs::write(&seed, format!("SELECT pg_advisory_lock(7); SET search_path TO nowhere; {last}")).unwrap();
            let outcome = migrate_core::runner::seed::run(&mut runner, &seed).await.map(drop);
            runner.status().await.unwrap();
            outcome
        }
        RunEnding::Adopted => runner.adopt(&version(1), "it is there").await.map(drop),
        _ => runner.run(&latest, policy).await.map(drop),
    };
    assert_eq!(column(&mut db, LOCKS).await, ["0"], "{end:?}: {outcome:?}");
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
    assert_eq!(column(&mut db, open).await, ["0"], "{end:?}: {outcome:?}");
    let ends_well = [RunEnding::Well, RunEnding::Dropped, RunEnding::Resolved, RunEnding::Adopted, RunEnding::Seeded]
        .contains(&end);
    assert_eq!(outcome.is_ok(), ends_well, "{end:?}: {outcome:?}");
    drop(runner);
    let role = format!("DROP ROLE IF EXISTS {}_may_not", database.name());
    execute(&mut db, &role).await;
    database.drop_now().await.unwrap();
}
