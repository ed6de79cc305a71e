//! The cost of looking at a schema: it is proportional to what changed. Measured in pages that the server
//! reads, never in time.

use migrate_core::Database;
use migrate_schema::{Surroundings, Watcher};
use migrate_test::TestDatabase;
use sqlx::{Connection, PgConnection};

use crate::support::{column, connect, execute};

const LOOKS: usize = 5;

/// A database with this many tables, each with a key, an index and a comment, and the objects of an extension.
async fn with_tables(count: usize) -> TestDatabase {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    let tables = format!(
        "CREATE EXTENSION btree_gist; DO $$ BEGIN FOR n IN 1..{count} LOOP \
         EXECUTE format('CREATE TABLE t_%s (id bigint PRIMARY KEY, a text, b text CHECK (b <> ''''), UNIQUE (a, b))', n); \
         EXECUTE format('COMMENT ON TABLE t_%s IS ''a table''', n); END LOOP; END $$;"
    );
    execute(&mut db, &tables).await;
    db.close().await.unwrap();
    database
}

/// How many pages the server reads while tables are created one by one, with or without a look after each.
async fn pages(base: &TestDatabase, looks: usize) -> i64 {
    let database = TestDatabase::copy_of(base.name()).await.unwrap();
    let address = Database::from(database.options());
    let before = read_so_far(&database).await;
    let mut watcher = Watcher::open(&address).await.unwrap();
    let mut around = Surroundings::open(&address, false).await.unwrap();
    let mut db = connect(&database).await;
    for n in 0..LOOKS {
        execute(&mut db, &format!("CREATE TABLE new_{n} (id bigint PRIMARY KEY, a int REFERENCES new_{n})")).await;
        if n < looks {
            assert!(!watcher.look().await.unwrap().is_empty());
            around.look().await.unwrap();
        }
    }
    db.close().await.unwrap();
    watcher.close().await;
    around.close().await;
    let read = read_so_far(&database).await - before;
    database.drop_now().await.unwrap();
    read
}

/// The pages that were read in a database, after all sessions on it have ended: they report what they did at
/// that time.
async fn read_so_far(database: &TestDatabase) -> i64 {
    let mut db = PgConnection::connect_with(&database.options().database("postgres")).await.unwrap();
    let name = database.name();
    let query = format!(
        "SET statement_timeout TO '60s'; DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_stat_activity WHERE datname = '{name}') LOOP \
         PERFORM pg_sleep(0.005); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$; \
         SELECT (blks_hit + blks_read)::text FROM pg_stat_database WHERE datname = '{name}'"
    );
    let read = column(&mut db, &query).await.remove(0);
    db.close().await.unwrap();
    read.parse().unwrap()
}

/// How many pages the catalogs of a database have, including their indexes.
async fn catalogs(database: &TestDatabase) -> i64 {
    let mut db = connect(database).await;
    let query =
        "SELECT sum(pg_relation_size(oid) / 8192)::text FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace";
    let pages = column(&mut db, query).await.remove(0);
    db.close().await.unwrap();
    pages.parse().unwrap()
}

#[tokio::test]
async fn a_look_reads_the_catalogs_once_and_what_changed() {
    for count in [10, 1000] {
        let base = with_tables(count).await;
        let each = (pages(&base, LOOKS).await - pages(&base, 0).await) / LOOKS as i64;
        let all = catalogs(&base).await;
        // Describing one table reads some hundred pages, and the first look also plans each query.
        assert!(each < all + 2500, "{count} tables: a look reads {each} pages, the catalogs have {all}");
        base.drop_now().await.unwrap();
    }
}
