//! Where shadow servers come from, how they are shared, and what remains of them.

use std::collections::BTreeSet;

use migrate_core::{CodeMigrations, RunPolicy, Target};
use migrate_review::config::DatabaseSource;
use migrate_test::{EphemeralServer, TestDatabase, migrated};
use sqlx::{Connection, PgConnection};

use crate::support::{ChainFolder, column, connect, migrator, no_container, quick};

async fn version_of(server: &EphemeralServer) -> String {
    let mut db = PgConnection::connect_with(&server.options("postgres")).await.unwrap();
    column(&mut db, "SHOW server_version").await.remove(0)
}

#[tokio::test]
async fn a_container_serves_where_an_engine_answers() {
    if let Some(why) = no_container("postgres:15") {
        eprintln!("NOT TESTED: {why}");
        return;
    }
    let server =
        EphemeralServer::of(&DatabaseSource::Docker(Some("postgres:15".to_owned())), "this test").await.unwrap();
    assert!(version_of(&server).await.starts_with("15"));
    assert!(server.why().contains("postgres:15"), "{}", server.why());
}

#[tokio::test]
async fn a_second_user_joins_the_same_server() {
    let (first, second) = tokio::join!(EphemeralServer::start(), EphemeralServer::start());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.url("postgres"), second.url("postgres"));
    drop(first);
    assert!(!version_of(&second).await.is_empty(), "it lives while somebody uses it");
}

#[tokio::test]
async fn a_template_is_the_chain_and_follows_its_files() {
    let chain = ChainFolder::new(&[]);
    for n in 1..=5 {
        chain.write(n, &format!("t_{n}"), &format!("CREATE TABLE t_{n} ();"), &format!("DROP TABLE t_{n};"));
    }
    let tables = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND oid >= 16384 \
                  AND relnamespace = 'public'::regnamespace";
    // Created, copied from the template, and run by the runner: three times the same result.
    for _ in 0..2 {
        let all: Vec<_> = chain.set().iter().cloned().collect();
        let database = migrated(&all, &CodeMigrations::none(), true).await.unwrap();
        assert_eq!(column(&mut connect(&database).await, tables).await, ["t_1 t_2 t_3 t_4 t_5"]);
    }
    let plain = TestDatabase::create().await.unwrap();
    migrator(&plain, &chain, quick()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    assert_eq!(column(&mut connect(&plain).await, tables).await, ["t_1 t_2 t_3 t_4 t_5"]);
    chain.write(3, "t_3", "CREATE TABLE other ();", "DROP TABLE other;");
    let all: Vec<_> = chain.set().iter().cloned().collect();
    let database = migrated(&all, &CodeMigrations::none(), true).await.unwrap();
    assert_eq!(column(&mut connect(&database).await, tables).await, ["other t_1 t_2 t_4 t_5"]);
}

#[tokio::test]
async fn several_that_build_one_template_all_get_a_database() {
    let chain = ChainFolder::new(&[]);
    let salt = std::process::id();
    for n in 1..=4 {
        chain.write(n, "t", &format!("CREATE TABLE s_{salt}_{n} ();"), &format!("DROP TABLE s_{salt}_{n};"));
    }
    let all: Vec<_> = chain.set().iter().cloned().collect();
    let code = CodeMigrations::none();
    let made = futures_util::future::join_all((0..6).map(|_| migrated(&all, &code, true))).await;
    let names: BTreeSet<String> = made.iter().map(|one| one.as_ref().unwrap().name().to_owned()).collect();
    assert_eq!(names.len(), 6);
}
