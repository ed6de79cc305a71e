//! Migrations written in Rust take part in the chain like the others.

use migrate_core::{
    BoxFuture, CodeError, CodeMigration, CodeMigrations, Database, ErrorKind, Migrator, PgConnection, RunPolicy,
    Target, Version,
};
use migrate_test::TestDatabase;
use sqlx::Connection;

use crate::support::{ChainFolder, column, connect, events, quick, version};

/// Runs its statement on the way up; the way down drops its table.
struct TableMigration(&'static str);

impl CodeMigration for TableMigration {
    fn version(&self) -> Version {
        version(2)
    }

    fn up<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async move {
            sqlx::query("CREATE TABLE made (n int)").execute(&mut *connection).await?;
            sqlx::query("SET search_path TO nowhere").execute(&mut *connection).await?;
            // A nested transaction is a savepoint: it cannot end the one that writes the ledger.
            let mut inside = connection.begin().await?;
            sqlx::query("INSERT INTO public.made VALUES ($1)").bind(7).execute(&mut *inside).await?;
            inside.commit().await?;
            match self.0 {
                "fail" => Err("it does not want to".into()),
                "panic" => panic!("it cannot"),
                "sql" => Ok(sqlx::query("SELECT 1/0").execute(&mut *connection).await.map(drop)?),
                _ => Ok(()),
            }
        })
    }

    fn down<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async move { Ok(sqlx::query("DROP TABLE made").execute(&mut *connection).await.map(drop)?) })
    }
}

fn chain() -> ChainFolder {
    let chain = ChainFolder::new(&[
        (1, "before", "CREATE TABLE before ();", "DROP TABLE before;"),
        (3, "after", "CREATE TABLE after AS SELECT * FROM made;", "DROP TABLE after;"),
    ]);
    std::fs::write(chain.path().join(format!("{}_told.rs", version(2))), "//! in this file").unwrap();
    chain
}

async fn runner(database: &TestDatabase, code: CodeMigrations) -> Migrator {
    Migrator::open(Database::from(database.options()), chain().set(), code, quick()).await.unwrap()
}

#[tokio::test]
async fn it_goes_up_and_down_in_its_place() {
    let database = TestDatabase::create().await.unwrap();
    let mut runner = runner(&database, CodeMigrations::none().with(TableMigration(""))).await;
    for _ in 0..2 {
        runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
        let mut db = connect(&database).await;
        assert_eq!(column(&mut db, "SELECT n FROM after").await, ["7"]);
        runner.run(&Target::Zero, RunPolicy::default()).await.unwrap();
    }
    let mut db = connect(&database).await;
    assert_eq!(
        events(&mut db).await[..6],
        ["applied 1", "applied 2", "applied 3", "rolled_back 3", "rolled_back 2", "rolled_back 1"]
    );
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn whatever_goes_wrong_in_it_keeps_nothing_of_it() {
    for (told, message) in [
        ("fail", "it does not want to"),
        ("panic", "it panicked: it cannot"),
        ("sql", "division by zero (SQLSTATE 22012)"),
    ] {
        let database = TestDatabase::create().await.unwrap();
        let mut runner = runner(&database, CodeMigrations::none().with(TableMigration(told))).await;
        let error = runner.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.findings()[0].code.as_str()), (ErrorKind::Code, "code-failed"));
        assert!(error.to_string().contains(message), "{error}");
        let mut db = connect(&database).await;
        assert_eq!(events(&mut db).await, ["applied 1"]);
        assert_eq!(column(&mut db, "SELECT to_regclass('made')").await, ["NULL"]);
        database.drop_now().await.unwrap();
    }
}

#[tokio::test]
async fn an_executable_without_it_says_so_before_anything_runs() {
    let database = TestDatabase::create().await.unwrap();
    let error =
        runner(&database, CodeMigrations::none()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.findings()[0].code.as_str()), (ErrorKind::Plan, "no-code"));
    database.drop_now().await.unwrap();
}
