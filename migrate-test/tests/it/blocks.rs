//! Which statements cannot run in a transaction block, according to the server and according to a run.

use migrate_base::sql::{StatementClass, split};
use migrate_core::{RunPolicy, Target};
use migrate_test::TestDatabase;
use sqlx::{AssertSqlSafe, Executor};

use crate::support::{ChainFolder, column, connect, execute, migrator, quick};

const NO: &str = "-- migrate: no-transaction\n";

/// A partitioned table and a plain one.
const TABLES: &str = "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); \
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9); CREATE TABLE t (id int PRIMARY KEY); \
    ALTER TABLE t CLUSTER ON t_pkey;";
const SUBSCRIPTION: &str = "CREATE SUBSCRIPTION rt_block CONNECTION 'host=/nowhere dbname=x' PUBLICATION q";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockSupport {
    /// Never in a block.
    Never,
    /// Not in a block, depending on an object that the text does not name.
    NotHere,
    /// In a block.
    Can,
}

fn table() -> Vec<(String, BlockSupport)> {
    use BlockSupport::{Can, Never, NotHere};
    let with = |options: &str| format!("{SUBSCRIPTION} WITH ({options})");
    let mut all = vec![
        (SUBSCRIPTION.to_owned(), Never),
        (with("connect"), Never),
        (with("copy_data = off, slot_name = x"), Never),
        (with("connect = false"), Can),
        (with("CONNECT = 'OFF', enabled = 0"), Can),
        (with("connect = 0, slot_name = NONE"), Can),
        (with("\"create_slot\" = false"), Can),
    ];
    let texts = [
        ("REINDEX TABLE p", NotHere),
        ("REINDEX (VERBOSE) INDEX p_pkey", NotHere),
        ("REINDEX TABLE t", Can),
        ("REINDEX (CONCURRENTLY off) INDEX t_pkey", Can),
        ("REINDEX (CONCURRENTLY) TABLE t", Never),
        ("REINDEX INDEX CONCURRENTLY p_pkey", Never),
        ("REINDEX SCHEMA public", Never),
        ("CLUSTER p USING p_pkey", NotHere),
        ("CLUSTER (VERBOSE) p USING p_pkey", NotHere),
        ("CLUSTER t USING t_pkey", Can),
        ("CLUSTER VERBOSE t", Can),
        ("CLUSTER", Never),
        ("CLUSTER VERBOSE", Never),
        ("ALTER DATABASE rt_no_such SET TABLESPACE pg_default", Never),
        ("CREATE DATABASE rt_block", Never),
        ("DROP DATABASE IF EXISTS rt_no_such", Never),
        ("CREATE TABLESPACE rt_block LOCATION '/nowhere'", Never),
        ("DROP TABLESPACE IF EXISTS rt_no_such", Never),
        ("ALTER SYSTEM RESET work_mem", Never),
        ("VACUUM t", Never),
        ("DISCARD ALL", Never),
        ("CREATE INDEX CONCURRENTLY ON t (id)", Never),
        ("ALTER SUBSCRIPTION rt_on REFRESH PUBLICATION", Never),
        ("ALTER SUBSCRIPTION rt_on ADD PUBLICATION r", Never),
        ("ALTER SUBSCRIPTION rt_on SET PUBLICATION r WITH (refresh = off)", Can),
        ("ALTER SUBSCRIPTION rt_on DISABLE", Can),
        ("DROP SUBSCRIPTION rt_on", NotHere),
        ("DROP SUBSCRIPTION rt_off", Can),
    ];
    all.extend(texts.map(|(text, says)| (text.to_owned(), says)));
    all
}

/// For each statement, the server agrees with what the text implies before anything is run.
#[tokio::test]
async fn what_cannot_run_in_a_block_is_known_from_its_text_or_left_to_the_server() {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    execute(&mut db, TABLES).await;
    // A subscription that is enabled has a slot to drop. Its server does not exist, so nothing ever comes of
    // it.
    let on = SUBSCRIPTION.replace("rt_block", "rt_on");
    let off = SUBSCRIPTION.replace("rt_block", "rt_off");
    execute(&mut db, &format!("{on} WITH (connect = false); {off} WITH (connect = false, slot_name = NONE)")).await;
    execute(&mut db, "ALTER SUBSCRIPTION rt_on ENABLE").await;
    for (text, says) in table() {
        execute(&mut db, "BEGIN").await;
        let refused = db.execute(AssertSqlSafe(text.as_str())).await.err();
        execute(&mut db, "ROLLBACK").await;
        let code = refused.as_ref().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
        assert_eq!(code.as_deref() == Some("25001"), says != BlockSupport::Can, "{text}: {refused:?}");
        let class = split(&format!("{text};")).0[0].class;
        assert_eq!(class.needs_no_transaction(), says == BlockSupport::Never, "{text}: {class:?}");
        assert!(
            says != BlockSupport::NotHere || class != StatementClass::Plain,
            "{text}: it is sent alone where nothing else is said"
        );
    }
    execute(&mut db, "ALTER SUBSCRIPTION rt_on DISABLE; ALTER SUBSCRIPTION rt_on SET (slot_name = NONE);").await;
    execute(&mut db, "DROP SUBSCRIPTION rt_on; DROP SUBSCRIPTION rt_off;").await;
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn they_run_alone_in_a_migration_without_a_transaction() {
    let database = TestDatabase::create().await.unwrap();
    let other = format!("rt_block_{}", std::process::id());
    let up = format!(
        "{NO}REINDEX TABLE p;\nREINDEX INDEX p_pkey;\nCLUSTER p USING p_pkey;\nCREATE DATABASE {other};\n\
         ALTER DATABASE {other} SET TABLESPACE pg_default;\nDROP DATABASE {other};\n\
         {SUBSCRIPTION} WITH (connect = false, slot_name = NONE);\nDROP SUBSCRIPTION rt_block;"
    );
    let inside = format!(
        "REINDEX TABLE t;\nCLUSTER t;\n{SUBSCRIPTION} WITH (connect = false, slot_name = NONE);\nDROP SUBSCRIPTION rt_block;"
    );
    let chain = ChainFolder::new(&[
        (1, "tables", TABLES, "DROP TABLE p, t;"),
        (2, "alone", &up, "SELECT 1;"),
        (3, "inside", &inside, "SELECT 1;"),
    ]);
    let mut runner = migrator(&database, &chain, quick()).await;
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    let mut db = connect(&database).await;
    assert_eq!(column(&mut db, "SELECT count(*) FROM pg_subscription WHERE subname = 'rt_block'").await, ["0"]);
    database.drop_now().await.unwrap();
}
