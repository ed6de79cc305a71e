//! Chains that change what exists once per server: roles, memberships, system settings.

use std::collections::BTreeSet;
use std::sync::Arc;

use migrate_core::runner::Rehearsal;
use migrate_core::{CodeMigrations, Database, Direction, Migration};
use migrate_schema::{self as schema, SchemaChange, Surroundings, Watcher, ddl};
use migrate_test::proof::{Law, MigrationProof, Proof, ProofReport, Verdict, prove};
use migrate_test::{TestDatabase, migrated};
use sqlx::{Connection, PgConnection};

use crate::support::{ChainFolder, column, connect, execute, version};

const ROLE: &str = "rt_apart_app";

async fn proven(chain: &ChainFolder) -> ProofReport {
    let proof = Proof { keep: false, ..Proof::default() };
    prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap()
}

fn told(report: &ProofReport) -> Vec<String> {
    let verdicts =
        report.migrations.iter().flat_map(|one| one.laws.iter().map(move |(law, verdict)| (one, law, verdict)));
    let broken = verdicts.filter_map(|(one, law, verdict)| match verdict {
        Verdict::Broken(story) => Some(format!("{} {law}: {:?} {:?}", one.name, story.lines(), one.notes)),
        _ => None,
    });
    broken.collect()
}

/// The roles that match this pattern on the server that all processes share.
async fn roles_of_all(like: &str) -> Vec<String> {
    let server = migrate_test::server().await.unwrap();
    let mut db = PgConnection::connect_with(&server.options("postgres")).await.unwrap();
    column(&mut db, &format!("SELECT rolname FROM pg_roles WHERE starts_with(rolname, '{like}')")).await
}

fn with_roles() -> ChainFolder {
    let chain = ChainFolder::new(&[]);
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
    // A template of a chain is kept together with the chain's roles.
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
    // The text does not even show that anything is created.
    let hidden = "DO $$ BEGIN EXECUTE 'SELECT 1; ' || reverse('ETAERC') || ' ' || reverse('ELOR') || ' rt_hides_hidden'; END $$;";
    let back =
        |name: &str| format!("DO $$ BEGIN EXECUTE 'SELECT 1; ' || reverse('ELOR PORD') || ' rt_hides_{name}'; END $$;");
    for (up, name) in [(up, "dynamic"), (hidden, "hidden")] {
        let chain = ChainFolder::new(&[
            (1, "base", "CREATE TABLE base (id int);", "DROP TABLE base;"),
            (2, name, up, &back(name)),
        ]);
        let mut heard = Vec::new();
        let proof = Proof { keep: false, ..Proof::default() };
        let mut hear = |one: &migrate_test::proof::MigrationProof| heard.push((one.name.clone(), one.holds()));
        let report = prove(&chain.set(), &CodeMigrations::none(), &proof, &mut hear).await.unwrap();
        assert!(report.holds(), "{:?}", told(&report));
        assert_eq!(heard, [("base".to_owned(), true), (name.to_owned(), true)]);
    }
    assert_eq!(roles_of_all("rt_hides").await, [""; 0]);
}

/// Statements that change the server, and objects that they need.
const SPARED: [&str; 9] = [
    "CREATE ROLE rt_spared_new",
    "ALTER ROLE rt_spared CREATEDB",
    "ALTER ROLE rt_spared RENAME TO rt_spared_other",
    "ALTER ROLE rt_spared SET work_mem = '1MB'",
    "GRANT rt_spared TO rt_spared_group",
    "GRANT SET ON PARAMETER log_statement TO rt_spared",
    "COMMENT ON ROLE rt_spared IS 'x'",
    "DROP ROLE rt_spared_group",
    "DO $$ BEGIN PERFORM pg_replication_origin_create('rt_spared'); EXCEPTION WHEN division_by_zero THEN NULL; END $$",
];

#[tokio::test]
async fn whatever_changes_a_server_that_others_use_is_refused_and_leaves_nothing() {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    // If this test failed before, these roles still exist.
    let made = "DROP ROLE IF EXISTS rt_spared, rt_spared_group; CREATE ROLE rt_spared; CREATE ROLE rt_spared_group;";
    execute(&mut db, made).await;
    let state = "SELECT concat_ws(' ', r.rolname, r.rolcreatedb, shobj_description(r.oid, 'pg_authid'), \
        (SELECT count(*) FROM pg_auth_members m WHERE m.member = r.oid), \
        (SELECT s.setconfig::text FROM pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0), \
        (SELECT p.paracl::text FROM pg_parameter_acl p WHERE p.parname = 'log_statement')) \
        FROM pg_roles r WHERE r.rolname LIKE 'rt\\_spared%' \
        UNION ALL SELECT roname FROM pg_replication_origin WHERE roname LIKE 'rt\\_spared%' ORDER BY 1";
    let before = column(&mut db, state).await;
    let mut rehearsal = Rehearsal::open(Database::from(database.options()), CodeMigrations::none()).await.unwrap();
    rehearsal.spare_server();
    let own = "CREATE TABLE t (a int); GRANT SELECT ON t TO rt_spared; ALTER TABLE t OWNER TO rt_spared; \
        DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.x = 1', current_database()); \
        EXECUTE format('COMMENT ON DATABASE %I IS NULL', current_database()); END $$;";
    let chain = ChainFolder::new(&[(1, "own", own, "DROP TABLE t;")]);
    for (at, statement) in (0..).zip(SPARED) {
        chain.write(2 + 2 * at, "inside", &format!("{statement};"), "SELECT 1;");
        chain.write(3 + 2 * at, "outside", &format!("-- migrate: no-transaction\n{statement};"), "SELECT 1;");
    }
    for migration in chain.set().iter() {
        let outcome = rehearsal.run(migration, Direction::Up).await;
        let is_refused = outcome.as_ref().is_err_and(Rehearsal::is_of_server);
        assert_eq!(is_refused, migration.name() != "own", "{outcome:?}: {}", migration.up_script().unwrap().text());
        assert_eq!(column(&mut db, state).await, before);
        if is_refused {
            let climbed = rehearsal.climb(std::slice::from_ref(migration)).await;
            assert!(climbed.as_ref().is_err_and(Rehearsal::is_of_server), "{climbed:?}");
            assert_eq!(column(&mut db, state).await, before);
        }
    }
    rehearsal.close().await;
    execute(&mut db, "DROP OWNED BY rt_spared; DROP ROLE rt_spared; DROP ROLE rt_spared_group;").await;
}

#[tokio::test]
async fn a_role_that_somebody_else_makes_during_a_proof_stays() {
    let chain = ChainFolder::new(&[
        (1, "base", "CREATE TABLE base (id int);", "DROP TABLE base;"),
        (2, "slow", "SELECT pg_sleep(0.3); CREATE TABLE slow (id int);", "DROP TABLE slow; SELECT pg_sleep(0.3);"),
    ]);
    let server = migrate_test::server().await.unwrap();
    let mut db = PgConnection::connect_with(&server.options("postgres")).await.unwrap();
    let others = async {
        for n in 0..12 {
            execute(&mut db, &format!("CREATE ROLE rt_others_{n}")).await;
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        }
    };
    let (report, ()) = tokio::join!(proven(&chain), others);
    assert!(report.holds(), "{:?}", told(&report));
    assert_eq!(roles_of_all("rt_others_").await.len(), 12);
    let dropped: String = (0..12).map(|n| format!("DROP ROLE rt_others_{n};")).collect();
    execute(&mut db, &dropped).await;
}

#[tokio::test]
async fn a_tablespace_has_its_data_with_its_server_wherever_it_is_to_be() {
    let chain = ChainFolder::new(&[]);
    let up = "-- migrate: no-transaction\nCREATE TABLESPACE rt_space LOCATION '/nowhere/at/all';";
    chain.write(1, "space", up, "-- migrate: no-transaction\nDROP TABLESPACE rt_space;");
    chain.write(2, "table", "CREATE TABLE a (id int) TABLESPACE rt_space;", "DROP TABLE a;");
    for n in 3..7 {
        chain.write(n, "later", &format!("CREATE TABLE t{n} (id int);"), &format!("DROP TABLE t{n};"));
    }
    for only in [None, Some(BTreeSet::from([version(6)]))] {
        let proof = Proof { keep: false, only, ..Proof::default() };
        let report = prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
        assert!(report.holds(), "{:?}", told(&report));
    }
    let forgets = ChainFolder::new(&[(1, "space", up, "SELECT 1;")]);
    let report = proven(&forgets).await;
    let story = report.migrations[0].laws[&Law::Identity].story().unwrap();
    assert_eq!(story.difference, ["tablespace rt_space: only after rollback"]);
}

#[tokio::test]
async fn a_setting_with_which_no_server_starts_does_not_end_the_proof() {
    let chain = ChainFolder::new(&[]);
    chain.write(
        1,
        "library",
        "-- migrate: no-transaction\nALTER SYSTEM SET shared_preload_libraries = 'rt_no_such_library';",
        "-- migrate: no-transaction\nALTER SYSTEM RESET shared_preload_libraries;",
    );
    for n in 2..7 {
        chain.write(n, "later", &format!("CREATE TABLE t{n} (id int);"), &format!("DROP TABLE t{n};"));
    }
    for _ in 0..2 {
        let proof = Proof { keep: false, only: Some(BTreeSet::from([version(6)])), ..Proof::default() };
        let report = prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
        assert!(report.holds(), "{:?}", told(&report));
    }
}

#[tokio::test]
async fn a_role_that_a_down_forgets_breaks_identity_and_nothing_else_is_blamed() {
    let chain = ChainFolder::new(&[]);
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
    let chain = ChainFolder::new(&[(1, "named", &up, &down)]);
    let report = proven(&chain).await;
    assert!(report.holds(), "{:?}", told(&report));
}

/// Statements, and their inverses.
const PAIRS: [(&str, &str); 49] = [
    ("CREATE ROLE r", "DROP ROLE r"),
    ("ALTER ROLE s CREATEDB", "ALTER ROLE s NOCREATEDB"),
    ("ALTER ROLE s CONNECTION LIMIT 3", "ALTER ROLE s CONNECTION LIMIT -1"),
    ("ALTER ROLE s PASSWORD 'x'", "ALTER ROLE s PASSWORD NULL"),
    ("ALTER ROLE s VALID UNTIL '2030-01-01'", "ALTER ROLE s VALID UNTIL 'infinity'"),
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
    ("CREATE TABLESPACE a LOCATION ''", "DROP TABLESPACE a"),
    ("ALTER TABLESPACE b SET (seq_page_cost = 2)", "ALTER TABLESPACE b RESET (seq_page_cost)"),
    ("ALTER EXTENSION lo ADD MATERIALIZED VIEW m", "ALTER EXTENSION lo DROP MATERIALIZED VIEW m"),
    ("ALTER EXTENSION lo DROP FUNCTION lo_manage()", "ALTER EXTENSION lo ADD FUNCTION lo_manage()"),
    ("ALTER FUNCTION lo_manage() OWNER TO t", "ALTER FUNCTION lo_manage() OWNER TO CURRENT_USER"),
    ("ALTER DOMAIN lo OWNER TO t", "ALTER DOMAIN lo OWNER TO CURRENT_USER"),
];

#[tokio::test]
async fn whatever_changes_around_a_schema_is_seen_and_taken_back() {
    let maker = ChainFolder::new(&[(1, "a", "CREATE ROLE s;", "DROP ROLE s;")]);
    let all: Vec<Arc<Migration>> = maker.set().iter().cloned().collect();
    let database = TestDatabase::for_chain(&all).await.unwrap();
    let mut db = connect(&database).await;
    let before = "CREATE ROLE s; CREATE ROLE t; CREATE ROLE u; GRANT s TO u; SELECT lo_from_bytea(4712, 'abc'); \
                  CREATE MATERIALIZED VIEW m AS SELECT 1; CREATE EXTENSION lo; \
                  CREATE SUBSCRIPTION sub CONNECTION 'dbname=x' PUBLICATION p WITH (connect = off, streaming = off, slot_name = NONE)";
    execute(&mut db, before).await;
    execute(&mut db, "SET allow_in_place_tablespaces TO on").await;
    execute(&mut db, "CREATE TABLESPACE b LOCATION ''").await;
    let mut around = Surroundings::open(&Database::from(database.options()), true).await.unwrap();
    let mut watcher = Watcher::open(&Database::from(database.options())).await.unwrap();
    for (there, back) in PAIRS {
        execute(&mut db, there).await;
        let seen = [around.look().await.unwrap(), watcher.look().await.unwrap()];
        let sentences: usize = seen.iter().map(|change| change.objects().count()).sum();
        // Each change belongs to one of the two, so that it is not reported twice.
        assert_eq!(seen.iter().filter(|change| !change.is_empty()).count(), 1, "{there}: {sentences} objects");
        execute(&mut db, back).await;
        let [of_server, of_schema] = seen;
        let left = of_server.then(&around.look().await.unwrap()).then(&of_schema).then(&watcher.look().await.unwrap());
        assert!(left.is_empty(), "{there}, {back}: {left}");
        assert!(around.look().await.unwrap().is_empty());
    }
    watcher.close().await;
    // No part of a password is read.
    execute(&mut db, "ALTER ROLE s PASSWORD 'hunter2'").await;
    let seen: SchemaChange = around.look().await.unwrap();
    assert_eq!(seen.to_string(), "role s: password none → set");
    execute(&mut db, "ALTER ROLE ALL SET work_mem = '1MB'").await;
    assert_eq!(around.look().await.unwrap().to_string(), "parameter work_mem (of all roles): only after");
    execute(&mut db, "ALTER SUBSCRIPTION sub CONNECTION 'dbname=x password=hunter2-s3cret'").await;
    let seen: SchemaChange = around.look().await.unwrap();
    assert!(!seen.is_empty() && !seen.to_string().contains("s3cret"), "{seen}");
    execute(&mut db, "DROP SUBSCRIPTION sub").await;
    around.close().await;
}

#[tokio::test]
async fn a_subscription_is_applied_again_under_another_number() {
    let up = "-- migrate: no-transaction\nCREATE SUBSCRIPTION rt_sub CONNECTION 'dbname=x' PUBLICATION p WITH (connect = off, slot_name = NONE);";
    let down = "-- migrate: no-transaction\nDROP SUBSCRIPTION rt_sub;";
    let chain = ChainFolder::new(&[(1, "subscribes", up, down)]);
    let report = proven(&chain).await;
    assert!(report.holds(), "{:?}", told(&report));
}

#[tokio::test]
async fn a_position_that_a_script_sets_is_part_of_identity_and_one_that_follows_rows_is_not() {
    let chain = ChainFolder::new(&[]);
    let base = "CREATE TABLE t (id serial PRIMARY KEY); CREATE SEQUENCE s; \
        CREATE TABLE r (id serial, restart bool); CREATE TABLE i (id int GENERATED BY DEFAULT AS IDENTITY);";
    let cases = [
        ("base", base, "DROP TABLE t, r, i; DROP SEQUENCE s;"),
        ("sets", "SELECT setval('s', 100);", "SELECT 1;"),
        ("sets_back", "ALTER SEQUENCE s RESTART WITH 500;", "SELECT setval('s', 100);"),
        (
            "follows",
            "INSERT INTO t (id) VALUES (-70); SELECT setval('t_id_seq', (SELECT greatest(max(id), 1) FROM t));",
            "DELETE FROM t WHERE id = -70;",
        ),
        ("column", "INSERT INTO r (restart) VALUES (true);", "DELETE FROM r;"),
        (
            "of_another",
            "INSERT INTO r (restart) VALUES (true); SELECT setval(pg_get_serial_sequence('t', 'id'), 1, false);",
            "DELETE FROM r; SELECT setval('t_id_seq', (SELECT greatest(max(id), 1) FROM t));",
        ),
        ("down_sets", "ALTER TABLE t ADD a int;", "ALTER TABLE t DROP a; SELECT setval('t_id_seq', 777);"),
        ("of_column", "ALTER TABLE i ALTER id RESTART WITH 7;", "SELECT 1;"),
        ("of_column_back", "ALTER TABLE i ALTER id RESTART WITH 9;", "ALTER TABLE i ALTER COLUMN id RESTART WITH 7;"),
    ];
    for (at, (name, up, down)) in (1..).zip(cases) {
        chain.write(at, name, up, down);
    }
    let report = proven(&chain).await;
    let is_broken = |one: &&MigrationProof| one.laws[&Law::Identity].is_broken();
    let broken: Vec<&str> = report.migrations.iter().filter(is_broken).map(|one| &*one.name).collect();
    assert_eq!(broken, ["sets", "down_sets", "of_column"], "{:?}", told(&report));
    let story = report.migrations[1].laws[&Law::Identity].story().unwrap();
    assert!(story.difference[0].starts_with("position of sequence public.s"), "{story:?}");
}

#[tokio::test]
async fn a_sequence_that_a_rollback_makes_again_stands_where_it_stood() {
    let base = "CREATE TABLE t (id serial PRIMARY KEY); CREATE SEQUENCE s MAXVALUE 20;";
    let drop = "ALTER TABLE t ALTER id DROP DEFAULT; DROP SEQUENCE t_id_seq;";
    let again =
        "CREATE SEQUENCE t_id_seq AS int OWNED BY t.id; ALTER TABLE t ALTER id SET DEFAULT nextval('t_id_seq');";
    let identity = format!("{drop} ALTER TABLE t ALTER id ADD GENERATED BY DEFAULT AS IDENTITY;");
    let serial = format!("ALTER TABLE t ALTER id DROP IDENTITY; {again}");
    let follows = "SELECT setval('t_id_seq', (SELECT max(id) FROM t));";
    for (up, down, holds) in [
        (drop.to_owned(), again.to_owned(), false),
        (drop.to_owned(), format!("{again} {follows}"), true),
        (format!("-- migrate: lossy nobody counts any more\n{drop}"), again.to_owned(), true),
        (identity.clone(), serial.clone(), false),
        (identity, format!("{serial} {follows}"), true),
        ("DROP SEQUENCE s;".to_owned(), "CREATE SEQUENCE s MAXVALUE 20;".to_owned(), false),
        ("ALTER SEQUENCE s RENAME TO z;".to_owned(), "ALTER SEQUENCE z RENAME TO s;".to_owned(), true),
        ("ALTER SEQUENCE s OWNED BY t.id;".to_owned(), "ALTER SEQUENCE s OWNED BY NONE;".to_owned(), true),
    ] {
        let chain = ChainFolder::new(&[(1, "base", base, "DROP TABLE t; DROP SEQUENCE s;"), (2, "drop", &up, &down)]);
        let report = proven(&chain).await;
        let broken = told(&report);
        assert_eq!(report.holds(), holds, "{up} / {down}: {broken:?}");
        if !holds {
            let story = report.migrations[1].laws[&Law::Identity].story().unwrap();
            assert!(story.difference[0].starts_with("position of sequence public."), "{story:?}");
        }
    }
}

#[tokio::test]
async fn a_foreign_key_that_is_not_checked_any_more_is_seen_and_can_be_undone() {
    let base = "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int REFERENCES p, UNIQUE (id) DEFERRABLE);";
    let ways = [
        ("ALTER TABLE c DISABLE TRIGGER ALL;", "ALTER TABLE c ENABLE TRIGGER ALL;"),
        ("ALTER TABLE p DISABLE TRIGGER ALL;", "ALTER TABLE p ENABLE TRIGGER ALL;"),
    ];
    for (up, down) in ways {
        for (down, holds) in [(down, true), ("SELECT 1;", false)] {
            let chain = ChainFolder::new(&[(1, "base", base, "DROP TABLE c, p;"), (2, "off", up, down)]);
            let report = proven(&chain).await;
            assert_eq!(report.holds(), holds, "{up} / {down}: {:?}", told(&report));
        }
        // Statements can be written from each state to the other.
        let states = ["".to_owned(), base.to_owned(), format!("{base}{up}")];
        for (from, to) in [(0, 2), (1, 2), (2, 1)] {
            let databases = [TestDatabase::create().await.unwrap(), TestDatabase::create().await.unwrap()];
            for (database, at) in databases.iter().zip([from, to]) {
                execute(&mut connect(database).await, &states[at]).await;
            }
            let [before, after] = databases.each_ref().map(|one| Database::from(one.options()));
            let wanted = schema::describe(&after).await.unwrap();
            let ddl = ddl::between(&schema::describe(&before).await.unwrap(), &wanted, ddl::DdlStyle::Whole);
            let script = ddl.script(ddl::DdlStage::Main);
            execute(&mut connect(&databases[0]).await, &script).await;
            let left = SchemaChange::between(&schema::read(&before).await.unwrap(), &wanted.schema);
            assert!(left.is_empty(), "{script}\n{left}");
        }
    }
}

#[tokio::test]
async fn what_hides_the_name_of_its_database_is_part_of_identity() {
    let up = "CREATE TABLE t (id int); \
              DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$; \
              DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = app, public', current_database()); END $$;";
    let chain = ChainFolder::new(&[(1, "forgets", up, "DROP TABLE t;")]);
    let report = proven(&chain).await;
    let story = report.migrations[0].laws[&Law::Identity].story().expect("it is broken");
    let text = story.difference.join("\n");
    assert!(text.contains("the database: grants") && text.contains("the database: settings"), "{text}");
}
