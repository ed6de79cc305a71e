//! Deriving a down script: how much work it takes, and that it moves back what was moved.

use migrate_core::{CodeMigrations, MigrationSet};
use migrate_test::shape;
use rstest::rstest;

use crate::support::{ChainFolder, version};

/// Up scripts that take different paths through the proof.
#[rstest]
#[case::nothing_is_lost("ALTER TABLE t1 ADD COLUMN a int; CREATE INDEX t2_b ON t2 (b);")]
#[case::something_is_lost("ALTER TABLE t1 DROP COLUMN b; DROP TABLE t0;")]
#[case::rows_are_refused("ALTER TABLE t1 ALTER COLUMN b TYPE date USING b::date;")]
#[tokio::test]
async fn walks_lead_over_the_new_migration_only(#[case] up: &str) {
    let mut steps = Vec::new();
    for below in [2, 6] {
        let tables: Vec<(String, String)> = (0..=below)
            .map(|at| (format!("CREATE TABLE t{at} (id int PRIMARY KEY, b text);"), format!("DROP TABLE t{at};")))
            .collect();
        let mut chain: Vec<(u64, &str, &str, &str)> =
            (1..).zip(&tables).map(|(number, (up, down))| (number, "table", up.as_str(), down.as_str())).collect();
        chain.push((100, "change", up, ""));
        let chain = ChainFolder::new(&chain);
        let down = format!("{}_change.down.sql", version(100));
        let load = |text: &str| MigrationSet::load_with(chain.path(), &[(down.clone(), text.to_owned())]);
        let mut phases = 0;
        let hear = &mut |_: &str| phases += 1;
        let derived = shape::derive(&load, &CodeMigrations::none(), &version(100), hear).await.unwrap();
        assert!(derived.is_proven(), "{:?}", derived.proven.laws);
        // All steps are over this migration.
        assert_eq!(derived.steps, derived.proven.rests.moves);
        assert!((2..=20).contains(&derived.steps), "{} steps", derived.steps);
        assert!((2..=3).contains(&phases), "{phases} phases");
        steps.push(derived.steps);
    }
    assert_eq!(steps[0], steps[1], "the length of the chain below is of no matter");
}

#[tokio::test]
async fn what_only_the_server_knows_of_the_order_is_found_out() {
    let chain = ChainFolder::new(&[
        (
            1,
            "views",
            "CREATE MATERIALIZED VIEW z_last AS SELECT 1 AS n;
             CREATE FUNCTION hidden() RETURNS bigint LANGUAGE plpgsql AS $$
                 DECLARE n bigint;
                 BEGIN EXECUTE 'SELECT count(*) FROM public.z' || '_last' INTO n; RETURN n; END $$;
             CREATE MATERIALIZED VIEW a_first AS SELECT hidden() AS n;",
            "DROP MATERIALIZED VIEW a_first; DROP FUNCTION hidden; DROP MATERIALIZED VIEW z_last;",
        ),
        (2, "no_views", "DROP MATERIALIZED VIEW a_first; DROP MATERIALIZED VIEW z_last;", ""),
    ]);
    let down = format!("{}_no_views.down.sql", version(2));
    let load = |text: &str| MigrationSet::load_with(chain.path(), &[(down.clone(), text.to_owned())]);
    let derived = shape::derive(&load, &CodeMigrations::none(), &version(2), &mut |_| {}).await.unwrap();
    assert!(derived.is_proven(), "{:?}", derived.proven.laws);
}

const BASE: &str =
    "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TYPE a.mood AS ENUM ('x', 'y'); CREATE TYPE a.pair AS (l int, r int);
    CREATE DOMAIN a.pos AS int CONSTRAINT pos_c CHECK (VALUE > 0);
    CREATE TABLE a.t (id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, m a.mood, p a.pos, CHECK (id > 0));
    CREATE INDEX t_i ON a.t (m); CREATE STATISTICS a.st ON id, n FROM a.t;
    CREATE TRIGGER tg BEFORE UPDATE ON a.t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
    CREATE VIEW a.v AS SELECT id, m FROM a.t; CREATE MATERIALIZED VIEW a.mv AS SELECT id FROM a.t;
    CREATE SEQUENCE a.s; CREATE TABLE a.u (id int PRIMARY KEY DEFAULT nextval('a.s'));
    CREATE FUNCTION a.f(x a.mood) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE PROCEDURE a.p() LANGUAGE sql AS 'SELECT 1'; CREATE AGGREGATE a.agg(int) (SFUNC = int4pl, STYPE = int);
    CREATE TABLE a.a_table_whose_name_is_as_long_as_the_server_allows_a_name_to_be (id int);
    CREATE SCHEMA c; CREATE TABLE c.w (id serial PRIMARY KEY);
    CREATE OPERATOR a.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);";

/// What was moved comes back unchanged, with its rows and its dependent objects.
#[rstest]
#[case::sequences_go_with_their_table("ALTER TABLE a.t SET SCHEMA b;", &["ALTER TABLE b.t SET SCHEMA a"])]
#[case::types(
    "ALTER TYPE a.mood SET SCHEMA b; ALTER TYPE a.pair SET SCHEMA b; ALTER DOMAIN a.pos SET SCHEMA b;",
    &["ALTER TYPE b.mood SET SCHEMA a", "ALTER TYPE b.pair SET SCHEMA a", "ALTER DOMAIN b.pos SET SCHEMA a"]
)]
#[case::routines(
    "ALTER TYPE a.mood SET SCHEMA b; ALTER FUNCTION a.f SET SCHEMA b; ALTER PROCEDURE a.p() SET SCHEMA b; \
     ALTER AGGREGATE a.agg(int) SET SCHEMA b; ALTER OPERATOR a.=== (int, int) SET SCHEMA b;",
    &[
        "ALTER TYPE b.mood SET SCHEMA a",
        "ALTER FUNCTION b.f(x a.mood) SET SCHEMA a",
        "ALTER PROCEDURE b.p() SET SCHEMA a",
        "ALTER AGGREGATE b.agg(integer) SET SCHEMA a",
        "ALTER OPERATOR b.=== (integer, integer) SET SCHEMA a",
    ]
)]
#[case::relations(
    "ALTER TABLE a.t SET SCHEMA b; ALTER VIEW a.v SET SCHEMA b; ALTER MATERIALIZED VIEW a.mv SET SCHEMA b; \
     ALTER SEQUENCE a.s SET SCHEMA b; ALTER STATISTICS a.st SET SCHEMA b;",
    &[
        "ALTER SEQUENCE b.s SET SCHEMA a",
        "ALTER TABLE b.t SET SCHEMA a",
        "ALTER VIEW b.v SET SCHEMA a",
        "ALTER MATERIALIZED VIEW b.mv SET SCHEMA a",
        "ALTER STATISTICS b.st SET SCHEMA a",
    ]
)]
#[case::a_sequence_that_is_owned_since(
    "ALTER TABLE a.u SET SCHEMA b; ALTER SEQUENCE a.s SET SCHEMA b; ALTER SEQUENCE b.s OWNED BY b.u.id;",
    &["ALTER SEQUENCE b.s OWNED BY NONE", "ALTER SEQUENCE b.s SET SCHEMA a", "ALTER TABLE b.u SET SCHEMA a"]
)]
#[case::the_schema_is_gone(
    "CREATE SCHEMA d; ALTER TABLE c.w SET SCHEMA d; ALTER TABLE d.w RENAME id TO no; DROP SCHEMA c;",
    &["CREATE SCHEMA c", "ALTER TABLE d.w SET SCHEMA c", "ALTER TABLE c.w RENAME COLUMN no TO id", "DROP SCHEMA d"]
)]
#[case::the_schema_is_gone_and_the_other_one_is_not(
    "ALTER TABLE c.w SET SCHEMA a; DROP SCHEMA c;",
    &["CREATE SCHEMA c", "ALTER TABLE a.w SET SCHEMA c"]
)]
#[case::its_place_is_taken(
    "ALTER TABLE a.u SET SCHEMA b; CREATE TABLE a.u (x int);",
    &["ALTER TABLE a.u RENAME TO u__old", "ALTER TABLE b.u SET SCHEMA a", "DROP TABLE a.u__old"]
)]
#[case::its_place_is_taken_and_its_name_is_long(
    "ALTER TABLE a.a_table_whose_name_is_as_long_as_the_server_allows_a_name_to_be SET SCHEMA b;
     CREATE TABLE a.a_table_whose_name_is_as_long_as_the_server_allows_a_name_to_be (x int);",
    &[
        "ALTER TABLE a.a_table_whose_name_is_as_long_as_the_server_allows_a_name_to_be RENAME TO a_table_whose_name_is_as_long_as_the_server_allows_a_name___old",
        "ALTER TABLE b.a_table_whose_name_is_as_long_as_the_server_allows_a_name_to_be SET SCHEMA a",
        "DROP TABLE a.a_table_whose_name_is_as_long_as_the_server_allows_a_name___old",
    ]
)]
#[tokio::test]
async fn what_was_moved_is_moved_back(#[case] up: &str, #[case] expected: &[&str]) {
    let chain = ChainFolder::new(&[(1, "base", BASE, "SELECT 1;"), (2, "move", up, "")]);
    let down = format!("{}_move.down.sql", version(2));
    let load = |text: &str| MigrationSet::load_with(chain.path(), &[(down.clone(), text.to_owned())]);
    let derived = shape::derive(&load, &CodeMigrations::none(), &version(2), &mut |_| ()).await.unwrap();
    assert!(derived.is_proven() && derived.lossy.is_empty(), "{}\n{:?}", derived.text, derived.proven.laws);
    let is_statement = |line: &&str| !line.starts_with("--");
    let found: Vec<&str> = derived.text.lines().filter(is_statement).map(|line| line.trim_end_matches(';')).collect();
    assert_eq!(found, expected);
}
