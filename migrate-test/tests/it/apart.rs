//! Chains that change what exists once for a server: roles, memberships, settings of the system.

use std::sync::Arc;

use migrate_core::schema::{Change, Surroundings, Watcher};
use migrate_core::source::Migration;
use migrate_core::{CodeMigrations, Database};
use migrate_test::proof::{Law, Proof, Report, Verdict, prove};
use migrate_test::{TestDatabase, migrated};
use sqlx::{Connection, PgConnection};

use crate::support::{Chain, column, connect, execute};

const ROLE: &str = "rt_apart_app";

async fn proven(chain: &Chain) -> Report {
    let proof = Proof { keep: false, ..Proof::default() };
    prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap()
}

fn told(report: &Report) -> Vec<String> {
    let verdicts =
        report.migrations.iter().flat_map(|one| one.laws.iter().map(move |(law, verdict)| (one, law, verdict)));
    let broken = verdicts.filter_map(|(one, law, verdict)| match verdict {
        Verdict::Broken(story) => Some(format!("{} {law}: {:?} {:?}", one.name, story.lines(), one.notes)),
        _ => None,
    });
    broken.collect()
}

/// The roles with such a name on the server that all processes share.
async fn roles_of_all(like: &str) -> Vec<String> {
    let server = migrate_test::server().await.unwrap();
    let mut db = PgConnection::connect_with(&server.options("postgres")).await.unwrap();
    column(&mut db, &format!("SELECT rolname FROM pg_roles WHERE starts_with(rolname, '{like}')")).await
}

fn with_roles() -> Chain {
    let chain = Chain::new(&[]);
    chain.write(1, "base", "CREATE TABLE base (id int);", "DROP TABLE base;");
    chain.write(
        2,
        "roles",
        &format!(
            "CREATE ROLE {ROLE}; CREATE ROLE {ROLE}_group; GRANT {ROLE}_group TO {ROLE} WITH ADMIN OPTION; \
             ALTER ROLE {ROLE} SET search_path = app; COMMENT ON ROLE {ROLE} IS 'a'; GRANT SELECT ON base TO {ROLE};"
        ),
        &format!("DROP OWNED BY {ROLE}; DROP ROLE {ROLE}; DROP ROLE {ROLE}_group;"),
    );
    chain.write(3, "after", "CREATE TABLE later (id int);", "DROP TABLE later;");
    chain.write(
        4,
        "grant",
        &format!("GRANT SELECT ON later TO {ROLE};"),
        &format!("REVOKE SELECT ON later FROM {ROLE};"),
    );
    chain
}

#[tokio::test]
async fn a_chain_that_makes_roles_is_proven_again_and_again_and_nothing_of_it_stays() {
    let chain = with_roles();
    let (first, second) = tokio::join!(proven(&chain), proven(&chain));
    let third = proven(&chain).await;
    for report in [first, second, third] {
        assert!(report.holds(), "{:?}", told(&report));
        assert!(report.migrations.iter().all(|one| matches!(one.laws[&Law::Path], Verdict::Holds)));
    }
    assert_eq!(roles_of_all(ROLE).await, [""; 0]);
    // What is kept of a chain is kept with its roles.
    for _ in 0..2 {
        let all: Vec<Arc<Migration>> = chain.set().iter().cloned().collect();
        let database = migrated(&all, &CodeMigrations::none(), true).await.unwrap();
        let mut db = connect(&database).await;
        let roles =
            column(&mut db, &format!("SELECT rolname FROM pg_roles WHERE rolname LIKE '{ROLE}%' ORDER BY 1")).await;
        assert_eq!(roles, [ROLE.to_owned(), format!("{ROLE}_group")]);
    }
}

#[tokio::test]
async fn a_role_that_is_put_together_when_it_runs_is_none_of_the_shared_server() {
    let up = "DO $$ DECLARE what text := 'ROLE'; BEGIN EXECUTE 'CREATE ' || what || ' rt_hides_dynamic'; END $$;";
    // The text does not even show that anything is made.
    let hidden = "DO $$ BEGIN EXECUTE 'SELECT 1; ' || reverse('ETAERC') || ' ' || reverse('ELOR') || ' rt_hides_hidden'; END $$;";
    let back =
        |name: &str| format!("DO $$ BEGIN EXECUTE 'SELECT 1; ' || reverse('ELOR PORD') || ' rt_hides_{name}'; END $$;");
    for (up, name) in [(up, "dynamic"), (hidden, "hidden")] {
        let chain =
            Chain::new(&[(1, "base", "CREATE TABLE base (id int);", "DROP TABLE base;"), (2, name, up, &back(name))]);
        let mut heard = Vec::new();
        let proof = Proof { keep: false, ..Proof::default() };
        let mut hear = |one: &migrate_test::proof::Proven| heard.push((one.name.clone(), one.holds()));
        let report = prove(&chain.set(), &CodeMigrations::none(), &proof, &mut hear).await.unwrap();
        assert!(report.holds(), "{:?}", told(&report));
        assert_eq!(heard, [("base".to_owned(), true), (name.to_owned(), true)]);
    }
    assert_eq!(roles_of_all("rt_hides").await, [""; 0]);
}

#[tokio::test]
async fn a_role_that_a_down_forgets_breaks_identity_and_nothing_else_is_blamed() {
    let chain = Chain::new(&[]);
    chain.write(1, "forgets", &format!("CREATE ROLE {ROLE}_forgotten; CREATE TABLE a (id int);"), "DROP TABLE a;");
    chain.write(2, "after", "CREATE TABLE b (id int);", "DROP TABLE b;");
    let report = proven(&chain).await;
    let identity = &report.migrations[0].laws[&Law::Identity];
    assert_eq!(identity.story().unwrap().difference, [format!("role {ROLE}_forgotten: only after rollback")]);
    assert!(report.migrations[1].holds(), "{:?}", told(&report));
}

#[tokio::test]
async fn the_database_has_the_name_that_its_chain_has_for_it() {
    let up = format!("CREATE ROLE {ROLE}_c; GRANT CONNECT ON DATABASE \"Rt Shop\" TO {ROLE}_c;");
    let down = format!("REVOKE CONNECT ON DATABASE \"Rt Shop\" FROM {ROLE}_c; DROP ROLE {ROLE}_c;");
    let chain = Chain::new(&[(1, "named", &up, &down)]);
    let report = proven(&chain).await;
    assert!(report.holds(), "{:?}", told(&report));
}

/// What is done, and what takes it back.
const PAIRS: [(&str, &str); 43] = [
    ("CREATE ROLE r", "DROP ROLE r"),
    ("ALTER ROLE s CREATEDB", "ALTER ROLE s NOCREATEDB"),
    ("ALTER ROLE s CONNECTION LIMIT 3", "ALTER ROLE s CONNECTION LIMIT -1"),
    ("ALTER ROLE s PASSWORD 'x'", "ALTER ROLE s PASSWORD NULL"),
    (
        "ALTER ROLE s VALID UNTIL '2030-01-01'",
        "ALTER ROLE s VALID UNTIL 'infinity'; UPDATE pg_authid SET rolvaliduntil = NULL",
    ),
    ("ALTER ROLE s RENAME TO r", "ALTER ROLE r RENAME TO s"),
    ("ALTER ROLE s SET work_mem = '1MB'", "ALTER ROLE s RESET work_mem"),
    ("ALTER ROLE ALL SET work_mem = '1MB'", "ALTER ROLE ALL RESET work_mem"),
    ("ALTER ROLE s IN DATABASE test SET work_mem = '1MB'", "ALTER ROLE s IN DATABASE test RESET work_mem"),
    ("COMMENT ON ROLE s IS 'x'", "COMMENT ON ROLE s IS NULL"),
    ("GRANT s TO t", "REVOKE s FROM t"),
    ("GRANT s TO u WITH ADMIN OPTION", "REVOKE ADMIN OPTION FOR s FROM u"),
    ("GRANT pg_read_all_data TO s", "REVOKE pg_read_all_data FROM s"),
    ("ALTER DATABASE test OWNER TO s", "ALTER DATABASE test OWNER TO postgres"),
    ("ALTER DATABASE test SET app.x = '1'", "ALTER DATABASE test RESET app.x"),
    ("ALTER DATABASE test CONNECTION LIMIT 5", "ALTER DATABASE test CONNECTION LIMIT -1"),
    ("COMMENT ON DATABASE test IS 'x'", "COMMENT ON DATABASE test IS NULL"),
    ("REVOKE CONNECT ON DATABASE test FROM PUBLIC", "GRANT CONNECT ON DATABASE test TO PUBLIC"),
    ("GRANT CREATE ON DATABASE test TO s", "REVOKE CREATE ON DATABASE test FROM s"),
    ("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC", "GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC"),
    ("ALTER LANGUAGE plpgsql OWNER TO s", "ALTER LANGUAGE plpgsql OWNER TO postgres"),
    ("COMMENT ON LANGUAGE plpgsql IS 'x'", "COMMENT ON LANGUAGE plpgsql IS 'PL/pgSQL procedural language'"),
    (
        "REVOKE EXECUTE ON FUNCTION pg_sleep(double precision) FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION pg_sleep(double precision) TO PUBLIC",
    ),
    ("GRANT SELECT ON pg_catalog.pg_authid TO s", "REVOKE SELECT ON pg_catalog.pg_authid FROM s"),
    ("REVOKE USAGE ON TYPE int4 FROM PUBLIC", "GRANT USAGE ON TYPE int4 TO PUBLIC"),
    ("GRANT CREATE ON SCHEMA pg_catalog TO s", "REVOKE CREATE ON SCHEMA pg_catalog FROM s"),
    ("GRANT SET ON PARAMETER log_statement TO s", "REVOKE SET ON PARAMETER log_statement FROM s"),
    ("SELECT lo_from_bytea(4711, 'abc')", "SELECT lo_unlink(4711)"),
    ("GRANT SELECT ON LARGE OBJECT 4712 TO s", "REVOKE SELECT ON LARGE OBJECT 4712 FROM s"),
    ("COMMENT ON LARGE OBJECT 4712 IS 'x'", "COMMENT ON LARGE OBJECT 4712 IS NULL"),
    ("COMMENT ON EXTENSION plpgsql IS 'x'", "COMMENT ON EXTENSION plpgsql IS 'PL/pgSQL procedural language'"),
    ("COMMENT ON FUNCTION now() IS NULL", "COMMENT ON FUNCTION now() IS 'current transaction time'"),
    ("COMMENT ON SCHEMA pg_catalog IS 'x'", "COMMENT ON SCHEMA pg_catalog IS 'system catalog schema'"),
    ("COMMENT ON SCHEMA public IS 'x'", "COMMENT ON SCHEMA public IS 'standard public schema'"),
    ("ALTER FUNCTION now() COST 5", "ALTER FUNCTION now() COST 1"),
    ("ALTER OPERATOR =(int4, int4) SET (RESTRICT = NONE)", "ALTER OPERATOR =(int4, int4) SET (RESTRICT = eqsel)"),
    ("ALTER SUBSCRIPTION sub CONNECTION 'dbname=y'", "ALTER SUBSCRIPTION sub CONNECTION 'dbname=x'"),
    ("ALTER SUBSCRIPTION sub SET (streaming = on)", "ALTER SUBSCRIPTION sub SET (streaming = off)"),
    ("ALTER SUBSCRIPTION sub SET (disable_on_error = on)", "ALTER SUBSCRIPTION sub SET (disable_on_error = off)"),
    ("SELECT lo_put(4712, 0, 'Z')", "SELECT lo_put(4712, 0, 'a')"),
    ("REFRESH MATERIALIZED VIEW m WITH NO DATA", "REFRESH MATERIALIZED VIEW m"),
    ("SELECT pg_replication_origin_create('o')", "SELECT pg_replication_origin_drop('o')"),
    ("ALTER SYSTEM SET work_mem = '1MB'", "ALTER SYSTEM RESET work_mem"),
];

#[tokio::test]
async fn whatever_changes_around_a_schema_is_seen_and_taken_back() {
    let maker = Chain::new(&[(1, "a", "CREATE ROLE s;", "DROP ROLE s;")]);
    let all: Vec<Arc<Migration>> = maker.set().iter().cloned().collect();
    let database = TestDatabase::for_chain(&all).await.unwrap();
    let mut db = connect(&database).await;
    let before = "CREATE ROLE s; CREATE ROLE t; CREATE ROLE u; GRANT s TO u; SELECT lo_from_bytea(4712, 'abc'); \
                  CREATE MATERIALIZED VIEW m AS SELECT 1; \
                  CREATE SUBSCRIPTION sub CONNECTION 'dbname=x' PUBLICATION p WITH (connect = off, streaming = off, slot_name = NONE)";
    execute(&mut db, before).await;
    let mut around = Surroundings::open(&Database::from(database.options()), true).await.unwrap();
    let mut watcher = Watcher::open(&Database::from(database.options())).await.unwrap();
    for (there, back) in PAIRS {
        execute(&mut db, there).await;
        let seen = [around.look().await.unwrap(), watcher.look().await.unwrap()];
        let sentences: usize = seen.iter().map(|change| change.objects().count()).sum();
        // Each belongs to one of the two, so that nobody reads of it twice.
        assert_eq!(seen.iter().filter(|change| !change.is_empty()).count(), 1, "{there}: {sentences} objects");
        execute(&mut db, back).await;
        let [of_server, of_schema] = seen;
        let left = of_server.then(&around.look().await.unwrap()).then(&of_schema).then(&watcher.look().await.unwrap());
        assert!(left.is_empty(), "{there}, {back}: {left}");
        assert!(around.look().await.unwrap().is_empty());
    }
    watcher.close().await;
    // Nothing of a password is read.
    execute(&mut db, "ALTER ROLE s PASSWORD 'hunter2'").await;
    let seen: Change = around.look().await.unwrap();
    assert_eq!(seen.to_string(), "role s: password none → set");
    execute(&mut db, "ALTER SUBSCRIPTION sub CONNECTION 'dbname=x password=hunter2-s3cret'").await;
    let seen: Change = around.look().await.unwrap();
    assert!(!seen.is_empty() && !seen.to_string().contains("s3cret"), "{seen}");
    execute(&mut db, "DROP SUBSCRIPTION sub").await;
    around.close().await;
}

#[tokio::test]
async fn a_subscription_is_applied_again_under_another_number() {
    let up = "-- migrate: no-transaction\nCREATE SUBSCRIPTION rt_sub CONNECTION 'dbname=x' PUBLICATION p WITH (connect = off, slot_name = NONE);";
    let down = "-- migrate: no-transaction\nDROP SUBSCRIPTION rt_sub;";
    let chain = Chain::new(&[(1, "subscribes", up, down)]);
    let report = proven(&chain).await;
    assert!(report.holds(), "{:?}", told(&report));
}

#[tokio::test]
async fn a_position_that_a_script_sets_is_part_of_identity_and_one_that_follows_rows_is_not() {
    let chain = Chain::new(&[]);
    chain.write(
        1,
        "base",
        "CREATE TABLE t (id serial PRIMARY KEY); CREATE SEQUENCE s;",
        "DROP TABLE t; DROP SEQUENCE s;",
    );
    chain.write(2, "sets", "SELECT setval('s', 100);", "SELECT 1;");
    chain.write(3, "sets_back", "ALTER SEQUENCE s RESTART WITH 500;", "SELECT setval('s', 100);");
    chain.write(
        4,
        "follows",
        "INSERT INTO t (id) VALUES (-70); SELECT setval('t_id_seq', (SELECT greatest(max(id), 1) FROM t));",
        "DELETE FROM t WHERE id = -70;",
    );
    let report = proven(&chain).await;
    let broken: Vec<&str> = report.migrations.iter().filter(|one| !one.holds()).map(|one| &*one.name).collect();
    assert_eq!(broken, ["sets"], "{:?}", told(&report));
    let story = report.migrations[1].laws[&Law::Identity].story().unwrap();
    assert!(story.difference[0].starts_with("position of sequence public.s"), "{story:?}");
}

#[tokio::test]
async fn what_hides_the_name_of_its_database_is_part_of_identity() {
    let up = "CREATE TABLE t (id int); \
              DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$; \
              DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = app, public', current_database()); END $$;";
    let chain = Chain::new(&[(1, "forgets", up, "DROP TABLE t;")]);
    let report = proven(&chain).await;
    let story = report.migrations[0].laws[&Law::Identity].story().expect("it is broken");
    let text = story.difference.join("\n");
    assert!(text.contains("the database: grants") && text.contains("the database: settings"), "{text}");
}
