//! The ledger: append-only, found under every `search_path`, and complete about who did what and why.

use std::time::Duration;

use migrate_base::ident;
use migrate_core::{Actor, ErrorKind, Options, RunPolicy, Target};
use migrate_test::TestDatabase;
use sqlx::AssertSqlSafe;

use crate::support::{ChainFolder, column, connect, events, execute, migrator, quick};

#[tokio::test]
async fn a_row_tells_who_what_from_where_and_from_which_commit() {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[(1, "a", "CREATE TABLE a ();", "-- why it's so \\ \nDROP TABLE a;")]);
    let mut actor = Actor::named("shop");
    actor.user = Some("Ann O'Hara \\ co".into());
    actor.host = Some("build-7".into());
    actor.commit = Some("abc123".into());
    actor.tool = "test 1".into();
    let options = Options { actor, fingerprint: true, ..quick() };
    let mut runner = migrator(&database, &chain, options).await;
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    runner.run(&Target::Zero, RunPolicy::default()).await.unwrap();
    let mut db = connect(&database).await;
    let row = "SELECT concat_ws('|', id, event, direction, version, name, up_checksum ~ '^sha256:', down_checksum ~ '^sha256:', \
               down_sql, batch, role, actor, host, application, git_commit, tool, at >= sent_at) FROM roundtrip.ledger ORDER BY id";
    let rows = column(&mut db, row).await;
    let down = "-- why it's so \\ \nDROP TABLE a;";
    let who = "postgres|Ann O'Hara \\ co|build-7|shop|abc123|test 1|t";
    assert_eq!(rows[0], format!("1|applied|up|20250101000001|a|t|t|{down}|1|{who}"));
    assert_eq!(rows[2], format!("3|rolled_back|down|20250101000001|a|t|t|3|{who}"));
    let prints = column(&mut db, "SELECT fingerprint FROM roundtrip.ledger WHERE event = 'observed' ORDER BY id").await;
    assert_eq!(prints.len(), 2);
    assert!(prints[0].starts_with("v4:sha256:") && prints[0] != prints[1], "{prints:?}");
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn equal_schemas_have_equal_fingerprints_in_different_databases() {
    let chain = ChainFolder::new(&[(
        1,
        "all",
        "CREATE TYPE e AS ENUM ('x', 'y'); CREATE TABLE t (id int PRIMARY KEY, e e DEFAULT 'x' CHECK (e <> 'y')); \
         CREATE INDEX ON t (abs(id)); CREATE VIEW v AS SELECT * FROM t; COMMENT ON TABLE t IS 'c';",
        "DROP VIEW v; DROP TABLE t; DROP TYPE e;",
    )]);
    let mut prints = Vec::new();
    for noise in ["", "CREATE TABLE noise (); DROP TABLE noise;"] {
        let database = TestDatabase::create().await.unwrap();
        let mut db = connect(&database).await;
        execute(&mut db, noise).await;
        let options = Options { fingerprint: true, ..quick() };
        migrator(&database, &chain, options).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
        prints.extend(column(&mut db, "SELECT fingerprint FROM roundtrip.ledger WHERE event = 'observed'").await);
        database.drop_now().await.unwrap();
    }
    assert_eq!(prints.len(), 2);
    assert_eq!(prints[0], prints[1]);
}

#[tokio::test]
async fn nothing_can_change_a_row() {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[(1, "a", "CREATE TABLE a ();", "DROP TABLE a;")]);
    migrator(&database, &chain, quick()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    let mut db = connect(&database).await;
    for change in
        ["UPDATE roundtrip.ledger SET name = 'x'", "DELETE FROM roundtrip.ledger", "TRUNCATE roundtrip.ledger"]
    {
        let error = sqlx::raw_sql(AssertSqlSafe(change)).execute(&mut db).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{change}: {error}");
    }
    assert_eq!(events(&mut db).await, ["applied 1"]);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_search_path_that_hides_the_ledger_changes_nothing() {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    // A schema with the same name as the ledger's table, functions that shadow the server's, and a path that
    // puts them first, also for every new session.
    let trap = "CREATE SCHEMA trap; CREATE TABLE trap.ledger (id int); \
                CREATE FUNCTION trap.max(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'; \
                CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT '-infinity'::timestamptz$$;";
    execute(&mut db, trap).await;
    let name = ident::ident(database.name());
    execute(&mut db, &format!("ALTER DATABASE {name} SET search_path TO trap, pg_catalog")).await;
    let chain = ChainFolder::new(&[
        (
            1,
            "a",
            "CREATE SCHEMA data; SET search_path TO data, trap; CREATE TABLE a ();",
            "DROP TABLE data.a; DROP SCHEMA data;",
        ),
        (2, "b", "CREATE TABLE trap.b ();", "DROP TABLE trap.b;"),
    ]);
    let mut runner = migrator(&database, &chain, quick()).await;
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    assert!(runner.run(&Target::Latest, RunPolicy::default()).await.unwrap().done.is_empty());
    runner.run(&Target::Zero, RunPolicy::default()).await.unwrap();
    assert_eq!(
        events(&mut connect(&database).await).await,
        ["applied 1", "applied 2", "rolled_back 2", "rolled_back 1"]
    );
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_ledger_can_have_any_name() {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[(1, "a", "CREATE TABLE a ();", "DROP TABLE a;")]);
    let options = Options { ledger: ident::QualifiedName::new("Ops \"x\"", "the ledger"), ..quick() };
    let mut runner = migrator(&database, &chain, options).await;
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    assert_eq!(runner.history().await.unwrap().len(), 1);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_role_that_may_not_make_the_ledger_is_told_what_to_grant() {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    execute(&mut db, "DROP ROLE IF EXISTS rt_weak; CREATE ROLE rt_weak LOGIN").await;
    let address = migrate_core::Database::from(database.options().username("rt_weak"));
    let chain = ChainFolder::new(&[(1, "a", "CREATE TABLE a ();", "DROP TABLE a;")]);
    let mut runner = migrate_core::Migrator::open(address, chain.set(), Default::default(), quick()).await.unwrap();
    let error = runner.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.sqlstate()), (ErrorKind::Ledger, Some("42501")));
    assert!(error.findings()[0].help[0].contains("GRANT CREATE ON DATABASE"), "{error:?}");
    database.drop_now().await.unwrap();
}

/// Our literals equal those of the server, for every text that a server can store.
#[tokio::test]
async fn literals_are_those_of_quote_literal() {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let texts = prop_oneof!["[-'\\\\a$\" \n;üé😀]{0,12}", any::<String>()];
    for _ in 0..300 {
        let text = texts.new_tree(&mut runner).unwrap().current().replace('\0', "");
        let (theirs, nullable): (String, String) = sqlx::query_as("SELECT quote_literal($1), quote_nullable($1)")
            .bind(&text)
            .fetch_one(&mut db)
            .await
            .unwrap();
        assert_eq!(
            ident::literal(&text),
            if text.contains('\\') { format!(" {}", theirs.trim_start()) } else { theirs }
        );
        assert_eq!(ident::nullable(Some(&text)).trim_start(), nullable.trim_start());
        let back =
            column(&mut db, &format!("SET standard_conforming_strings = off; SELECT {}; ", ident::literal(&text)))
                .await;
        assert_eq!(back, [text]);
        execute(&mut db, "SET standard_conforming_strings = on").await;
    }
    assert_eq!(ident::nullable(None), "NULL");
    database.drop_now().await.unwrap();
}

/// Somebody has locked the ledger: commands that only read do not wait forever, and name the holder of the
/// lock.
#[tokio::test]
async fn a_ledger_that_is_locked_is_not_waited_for_and_its_holder_is_named() {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[(1, "a", "CREATE TABLE a ();", "DROP TABLE a;")]);
    let mut runner = migrator(&database, &chain, quick()).await;
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    let mut holder = connect(&database).await;
    let lock =
        "SET application_name TO 'a forgotten session'; BEGIN; LOCK TABLE roundtrip.ledger IN ACCESS EXCLUSIVE MODE";
    execute(&mut holder, lock).await;
    let pid = column(&mut holder, "SELECT pg_backend_pid()").await.remove(0);
    let check = |error: migrate_core::Error, what: &str| {
        let finding = &error.findings()[0];
        assert_eq!((finding.code.as_str(), error.sqlstate()), ("ledger-locked", Some("55P03")), "{what}: {error}");
        let named = |note: &String| {
            note.contains("a forgotten session") && note.contains(&pid) && note.contains("pg_backend_pid")
        };
        assert!(finding.notes.iter().any(named), "{what}: {finding:?}");
        assert!(finding.help.iter().any(|help| help.contains(&format!("pg_terminate_backend({pid})"))), "{finding:?}");
    };
    let mut others = [migrator(&database, &chain, quick()).await, migrator(&database, &chain, quick()).await];
    let [other, third] = &mut others;
    let (target, policy) = (Target::Down(1), RunPolicy::default());
    let looks = async { tokio::join!(runner.status(), other.history(), third.run(&target, policy)) };
    let (status, history, run) =
        tokio::time::timeout(Duration::from_secs(60), looks).await.expect("it waits without end");
    check(status.unwrap_err(), "status");
    check(history.unwrap_err(), "history");
    check(run.unwrap_err(), "rollback");
    execute(&mut holder, "COMMIT").await;
    runner.status().await.unwrap();
    database.drop_now().await.unwrap();
}
