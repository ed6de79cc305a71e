//! What is checked when there is nothing to do: one query to the server, and no statement that was accepted
//! before.

use migrate_core::{CodeMigrations, Database, ErrorKind, MigrationSet, Migrator, Policy, Target};
use migrate_test::TestDatabase;

use crate::proxy::Proxy;
use crate::support::{Chain, connect, execute, migrator, quick, version};

fn chain() -> Chain {
    Chain::new(&[
        (1, "a", "CREATE TABLE a ();", "DROP TABLE a;"),
        (2, "b", "CREATE TABLE b ();", "DROP TABLE b;"),
        (3, "c", "CREATE TABLE c ();", "DROP TABLE c;"),
    ])
}

/// A migrator that reads the ledger before it checks statements.
async fn asking(database: Database, chain: &Chain) -> migrate_core::Result<Migrator> {
    Migrator::open(database, MigrationSet::read(chain.path())?, CodeMigrations::none(), quick()).await
}

fn codes(error: &migrate_core::Error) -> Vec<&'static str> {
    error.findings().iter().map(|finding| finding.code.as_str()).collect()
}

#[tokio::test]
async fn nothing_to_do_and_a_status_are_one_question_each() {
    let database = TestDatabase::create().await.unwrap();
    let chain = chain();
    migrator(&database, &chain, quick()).await.run(&Target::Latest, Policy::default()).await.unwrap();
    let proxy = Proxy::start(&database);
    let mut runner = asking(proxy.options(&database).into(), &chain).await.unwrap();
    assert_eq!(proxy.messages(), 0);
    assert!(runner.run(&Target::Latest, Policy::default()).await.unwrap().done.is_empty());
    assert_eq!(proxy.messages(), 1);
    assert_eq!(runner.status().await.unwrap().applied.len(), 3);
    assert_eq!(proxy.messages(), 2);
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn what_the_ledger_has_was_accepted_and_everything_else_is_checked() {
    let database = TestDatabase::create().await.unwrap();
    let chain = chain();
    migrator(&database, &chain, quick()).await.run(&Target::Latest, Policy::default()).await.unwrap();
    // An older version accepted this.
    let flawed = "SELECT 1; SELECT 2";
    chain.write(4, "d", flawed, "SELECT 1;");
    let checksums = |number: u64| {
        let set = MigrationSet::read(chain.path()).unwrap();
        let one = set.get(&version(number)).unwrap();
        (one.up_checksum().to_string(), one.down_script().unwrap().checksum().to_string())
    };
    let pending = async |what: &Target| {
        let mut runner = asking(database.options().into(), &chain).await.unwrap();
        let plan = runner.plan(what, Policy::default()).await.unwrap_err();
        (plan.kind(), codes(&plan), codes(&runner.status().await.unwrap_err()))
    };
    let refused = vec!["unterminated-statement"];
    assert_eq!(pending(&Target::Latest).await, (ErrorKind::Files, refused.clone(), refused.clone()));
    assert_eq!(pending(&Target::Down(1)).await, (ErrorKind::Files, refused.clone(), refused.clone()));
    // Without a ledger, all files are checked, and their errors come before those of the server.
    let nowhere = sqlx::postgres::PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(1);
    assert_eq!(codes(&asking(nowhere.into(), &chain).await.unwrap_err()), refused);
    let mut db = connect(&database).await;
    let (up, down) = checksums(4);
    let row = format!(
        "INSERT INTO roundtrip.ledger (id, event, direction, version, name, up_checksum, down_checksum, batch, tool) \
         SELECT max(id) + 1, 'applied', 'up', '{}', 'd', '{up}', '{down}', max(id) + 1, 'older' FROM roundtrip.ledger",
        version(4)
    );
    execute(&mut db, &row).await;
    let mut runner = asking(database.options().into(), &chain).await.unwrap();
    assert!(runner.plan(&Target::Latest, Policy::default()).await.unwrap().is_empty());
    assert!(runner.status().await.unwrap().problems.is_empty());
    // A file that was edited since then is checked like any other.
    chain.write(2, "b", "CREATE TABLE b (", "DROP TABLE b;");
    assert_eq!(pending(&Target::Latest).await.1, ["open-parenthesis"]);
    chain.write(2, "b", "CREATE TABLE b (n int);", "DROP TABLE b;");
    let mut runner = asking(database.options().into(), &chain).await.unwrap();
    let error = runner.plan(&Target::Latest, Policy::default()).await.unwrap_err();
    assert_eq!((error.kind(), codes(&error)), (ErrorKind::Plan, vec!["modified"]));
    assert!(runner.status().await.unwrap().applied[1].modified);
    database.drop_now().await.unwrap();
}
