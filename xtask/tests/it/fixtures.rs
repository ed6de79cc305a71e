//! The fixtures for tests of applications, on the reference set of this workspace.

use migrate_test::fixtures::{database_at, empty_db, server};
use migrate_test::{EphemeralServer, TestDatabase};
use rstest::rstest;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

async fn one(database: &TestDatabase, sql: &str) -> String {
    let mut connection = PgConnection::connect_with(&database.options()).await.unwrap();
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
    let text = row.try_get_unchecked::<String, _>(0).unwrap();
    connection.close().await.unwrap();
    text
}

const COLUMNS: &str = "SELECT count(*)::text FROM information_schema.columns WHERE column_name = 'tracking_number'";

#[rstest]
#[tokio::test]
async fn a_database_stands_at_its_version(
    #[future(awt)]
    #[with("20250224091500")]
    database_at: TestDatabase,
) {
    assert_eq!(one(&database_at, COLUMNS).await, "1");
}

#[rstest]
#[tokio::test]
async fn the_version_before_does_not_have_it(
    #[future(awt)]
    #[with("20250217143000")]
    database_at: TestDatabase,
) {
    assert_eq!(one(&database_at, COLUMNS).await, "0");
}

#[rstest]
#[tokio::test]
async fn an_empty_database_is_empty_and_goes_with_its_test(
    #[future(awt)] empty_db: TestDatabase,
    #[future(awt)] server: &'static EphemeralServer,
) {
    assert_eq!(one(&empty_db, "SELECT count(*)::text FROM pg_class WHERE oid >= 16384").await, "0");
    let name = empty_db.name().to_owned();
    drop(empty_db);
    let mut connection = PgConnection::connect_with(&server.options("postgres")).await.unwrap();
    // The statement has been sent; its effect is seen soon after.
    for tries in 0.. {
        let left = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(&name);
        if left.fetch_optional(&mut connection).await.unwrap().is_none() {
            break;
        }
        assert!(tries < 1000, "{name} is still there");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
