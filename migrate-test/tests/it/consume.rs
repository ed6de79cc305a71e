//! Queries along a chain: privileges of roles, what is checked again, and the cost of a long chain without
//! changes.

use std::sync::Arc;

use migrate_core::{CodeMigrations, MigrationSet};
use migrate_review::consumer::PrepareAnswer;
use migrate_test::consume::{ChainAnswers, ConsumerQueries, follow};

/// Writes a chain of up scripts, and follows these queries along all but the first of them.
async fn along(ups: &[&str], texts: &[&str], roles: &[&str]) -> ChainAnswers {
    let folder = tempfile::tempdir().unwrap();
    for (n, up) in ups.iter().enumerate() {
        let text = format!("-- migrate: irreversible a test\n{up}\n");
        std::fs::write(folder.path().join(format!("2025010100000{n}_step.up.sql")), text).unwrap();
    }
    let set = MigrationSet::load(folder.path()).unwrap();
    let chain: Vec<_> = set.iter().cloned().collect();
    let texts = texts.iter().map(|text| Arc::from(*text)).collect();
    let asked = ConsumerQueries { texts, roles: roles.iter().map(|role| (*role).to_owned()).collect() };
    follow(&chain[..1], &chain[1..], &CodeMigrations::none(), &asked).await.unwrap()
}

#[tokio::test]
async fn a_right_that_a_role_loses_is_seen() {
    let role = format!("billing_{}", std::process::id());
    let make = format!(
        "CREATE TABLE t (id bigint); CREATE TABLE u (id bigint); CREATE ROLE {role}; GRANT SELECT ON t, u TO {role};"
    );
    let course = along(
        &[
            &make,
            &format!("REVOKE SELECT ON t FROM {role};"),
            "DROP TABLE u;",
            &format!("DROP OWNED BY {role}; DROP ROLE {role};"),
        ],
        &["SELECT id FROM t"],
        &[&role],
    )
    .await;
    let lost: Vec<_> = course.steps[0].lost.iter().map(|right| right.join(" ")).collect();
    assert_eq!(lost, [format!("{role} public t SELECT")]);
    assert_eq!(course.steps[0].reach[&0].tables[0].rights, ["SELECT"]);
    assert!(course.steps[1].lost.is_empty(), "what is gone has no rights");
}

#[tokio::test]
async fn what_a_step_cannot_touch_is_what_it_was() {
    let texts = ["SELECT a FROM t", "SELECT b FROM u", "SELECT 1 FROM gone", "INSERT INTO t (a) VALUES ($1)"];
    let make = "CREATE TABLE t (a integer); CREATE TABLE u (b integer);";
    let course = along(&[make, "ALTER TABLE t ALTER COLUMN a TYPE text;"], &texts, &[]).await;
    let answers = |at: usize| (&course.base[at], &course.steps[0].answers[at]);
    let (was, is) = answers(1);
    assert!(Arc::ptr_eq(was, is), "nothing of u changed");
    let (was, is) = answers(0);
    assert_ne!(was, is);
    assert!(matches!(&**answers(2).0, PrepareAnswer::Refused(why) if why.sqlstate == "42P01" && why.at == Some(14)));
    assert_eq!(course.steps[0].differences.keys().collect::<Vec<_>>(), [&0, &3]);
}

#[tokio::test]
async fn what_is_of_a_type_that_changes_is_asked_about_again() {
    let texts =
        ["SELECT a FROM t", "SELECT f()", "SELECT g FROM g()", "SELECT b FROM u", "SELECT x FROM v", "SELECT 'b'::d"];
    let make = "CREATE TYPE s AS ENUM ('a', 'b'); CREATE DOMAIN d AS s; CREATE TABLE t (a s[]); CREATE TABLE u (b integer); \
                CREATE FUNCTION f() RETURNS d LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE VIEW v AS SELECT a AS x FROM t; \
                CREATE FUNCTION g() RETURNS SETOF t LANGUAGE plpgsql AS 'BEGIN RETURN; END';";
    let course = along(&[make, "ALTER TYPE s RENAME VALUE 'b' TO 'c';"], &texts, &[]).await;
    let asked = |at: &usize| !Arc::ptr_eq(&course.base[*at], &course.steps[0].answers[*at]);
    assert_eq!((0..texts.len()).filter(asked).collect::<Vec<_>>(), [0, 1, 2, 4, 5]);
    assert_eq!(course.steps[0].differences.keys().collect::<Vec<_>>(), [&5]);
}
