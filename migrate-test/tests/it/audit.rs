//! The record of DDL: it records what everybody does, and no DDL ever fails because of it.

use migrate_base::db::ReadOnlySession;
use migrate_base::ident::QualifiedName;
use migrate_core::audit::{self, DdlFilter, DdlRecord};
use migrate_core::{Database, RunPolicy, Target, ours};
use migrate_schema as schema;
use migrate_test::TestDatabase;
use sqlx::PgConnection;

use crate::support::{ChainFolder, column, connect, execute, migrator, quick};

const CHAIN: [(u64, &str, &str, &str); 1] =
    [(1, "orders", "CREATE TABLE orders (id int PRIMARY KEY, note text);", "DROP TABLE orders;")];

fn ledger() -> QualifiedName {
    QualifiedName::new("roundtrip", "ledger")
}

/// A migrated database whose DDL is recorded.
async fn recorded() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&CHAIN);
    let mut migrator = migrator(&database, &chain, quick()).await;
    migrator.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    migrator.close().await;
    audit::install(&Database::from(database.options()), &ledger(), "test").await.unwrap();
    let connection = connect(&database).await;
    (database, connection)
}

async fn records(database: &TestDatabase) -> Vec<DdlRecord> {
    let mut reader = ReadOnlySession::open(&Database::from(database.options())).await.unwrap();
    let records = audit::list(&mut reader, &ledger(), &DdlFilter::default()).await.unwrap();
    reader.close().await;
    records
}

/// `CREATE TABLE public.a`, for each row after those of the installation.
async fn shorthand(database: &TestDatabase) -> Vec<String> {
    let records = records(database).await.into_iter().filter(|one| one.event != "install");
    records.map(|one| format!("{} {}", one.command, one.object.unwrap_or_default())).collect()
}

#[tokio::test]
async fn it_says_who_did_what_and_how() {
    let (database, mut ann) = recorded().await;
    let role = format!("audit_ann_{}", std::process::id());
    execute(
        &mut ann,
        &format!("CREATE ROLE {role}; GRANT ALL ON SCHEMA public TO {role}; SET application_name = 'psql of Ann'"),
    )
    .await;
    execute(&mut ann, &format!("SET ROLE {role}")).await;
    execute(&mut ann, "CREATE TABLE by_hand (id int)").await;
    execute(&mut ann, "RESET ROLE; DROP TABLE by_hand").await;
    execute(&mut ann, "CREATE TABLE kept AS SELECT 1 AS one").await;
    execute(
        &mut ann,
        "BEGIN; SAVEPOINT s; ALTER TABLE orders ADD total int; ROLLBACK TO s; ALTER TABLE orders ADD price int; COMMIT",
    )
    .await;
    let records = records(&database).await;
    let made = records.iter().find(|one| one.object.as_deref() == Some("public.by_hand")).unwrap();
    assert_eq!((made.session_role.as_str(), made.set_role.as_deref()), ("postgres", Some(&*role)));
    assert_eq!(made.application.as_deref(), Some("psql of Ann"));
    assert_eq!(
        (made.command.as_str(), made.statement.as_deref()),
        ("CREATE TABLE", Some("CREATE TABLE by_hand (id int)"))
    );
    assert_eq!(made.migration, None);
    let said = shorthand(&database).await;
    assert!(said.contains(&"DROP TABLE public.by_hand".to_owned()), "{said:?}");
    assert!(said.contains(&"CREATE TABLE AS public.kept".to_owned()), "{said:?}");
    assert_eq!(said.iter().filter(|one| **one == "ALTER TABLE public.orders").count(), 1, "{said:?}");
    execute(&mut ann, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn our_own_runs_are_told_from_the_rest() {
    let (database, mut other) = recorded().await;
    let chain = ChainFolder::new(&CHAIN);
    chain.write(2, "parcels", "CREATE TABLE parcels (id int);", "DROP TABLE parcels;");
    let concurrently = "-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY by_note ON orders (note);";
    chain.write(3, "by_note", concurrently, "DROP INDEX by_note;");
    let mut migrator = migrator(&database, &chain, quick()).await;
    migrator.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    migrator.close().await;
    execute(&mut other, "CREATE TABLE stray (id int)").await;
    let records = records(&database).await;
    let of = |object: &str| records.iter().find(|one| one.object.as_deref() == Some(object)).unwrap().migration.clone();
    assert_eq!(of("public.parcels").as_deref(), Some("20250101000002_parcels"));
    assert_eq!(of("public.by_note").as_deref(), Some("20250101000003_by_note"));
    assert_eq!(of("public.stray"), None);
}

#[tokio::test]
async fn every_kind_of_ddl_goes_on_under_it() {
    let (database, mut all) = recorded().await;
    execute(
        &mut all,
        "CREATE TEMP TABLE passing (id serial PRIMARY KEY); CREATE INDEX ON passing (id); DROP TABLE passing",
    )
    .await;
    assert_eq!(shorthand(&database).await, Vec::<String>::new(), "what is temporary is nobody's business");
    for sql in [
        "CREATE TABLE parted (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (10)",
        "ALTER TABLE parted DETACH PARTITION part CONCURRENTLY",
        "CREATE INDEX CONCURRENTLY by_note ON orders (note)",
        "REINDEX INDEX CONCURRENTLY by_note",
        "DROP INDEX CONCURRENTLY by_note",
        "CREATE MATERIALIZED VIEW counted AS SELECT 1 AS one",
        "CREATE UNIQUE INDEX ON counted (one)",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY counted",
        "SELECT * INTO copied FROM orders",
        "CREATE TYPE mood AS ENUM ('sad')",
        "ALTER TYPE mood ADD VALUE 'glad'",
        "CREATE EXTENSION plpgsql_check_nothing_of_the_kind",
        "GRANT SELECT ON orders TO PUBLIC",
        "COMMENT ON TABLE orders IS 'it''s'",
        "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DO $$ BEGIN EXECUTE 'CREATE TABLE hidden (id int)'; EXCEPTION WHEN OTHERS THEN RAISE; END $$",
        "SET search_path = ''; CREATE TABLE public.pathless (id int); RESET search_path",
        "CREATE SCHEMA pgx; CREATE FUNCTION pgx.now() RETURNS int LANGUAGE sql RETURN 1",
        "SET search_path = pgx, pg_catalog; CREATE TABLE public.shadowed (id int); RESET search_path",
        "ALTER TABLE orders ALTER id TYPE bigint",
        "CREATE SCHEMA doomed CREATE TABLE a (id int) CREATE VIEW b AS SELECT id FROM a",
        "DROP SCHEMA doomed CASCADE",
    ] {
        let is_wrong_by_itself = sql.contains("nothing_of_the_kind");
        let outcome = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut all).await;
        assert_eq!(outcome.is_err(), is_wrong_by_itself, "{sql}: {outcome:?}");
    }
    let said = shorthand(&database).await;
    for wanted in [
        "CREATE INDEX public.by_note",
        "DROP INDEX public.by_note",
        "SELECT INTO public.copied",
        "CREATE TABLE public.hidden",
        "CREATE TABLE public.pathless",
        "CREATE TABLE public.shadowed",
        "GRANT ",
        "DROP SCHEMA doomed",
        "DROP SCHEMA doomed.b",
    ] {
        assert!(said.iter().any(|one| one == wanted), "{wanted}: {said:#?}");
    }
}

/// Everything that can be wrong with the record, in ways that would make the application's DDL fail if anything
/// could.
#[tokio::test]
async fn nothing_that_is_wrong_with_the_record_reaches_the_application() {
    for wrong in [
        "DROP TABLE roundtrip.ledger_ddl",
        "ALTER TABLE roundtrip.ledger_ddl RENAME TO elsewhere",
        "ALTER TABLE roundtrip.ledger_ddl RENAME COLUMN command TO other",
        "ALTER SEQUENCE roundtrip.ledger_ddl_id_seq MAXVALUE 2 RESTART 2",
        "ALTER TABLE roundtrip.ledger_ddl ADD CHECK (statement IS NULL) NOT VALID",
        "CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''boom''; END';
         CREATE TRIGGER boom BEFORE INSERT ON roundtrip.ledger_ddl FOR EACH ROW EXECUTE FUNCTION boom()",
        "ALTER TABLE roundtrip.ledger_ddl ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        "DROP TABLE roundtrip.ledger_ddl; CREATE VIEW roundtrip.ledger_ddl AS SELECT 1 AS one",
        "ALTER SCHEMA roundtrip RENAME TO moved",
        "DROP SCHEMA roundtrip CASCADE",
        "DROP FUNCTION roundtrip.ledger_ddl_record() CASCADE",
        "DROP OWNED BY CURRENT_USER RESTRICT",
    ] {
        let (database, mut owner) = recorded().await;
        let outcome = sqlx::raw_sql(sqlx::AssertSqlSafe(wrong)).execute(&mut owner).await;
        assert!(outcome.is_ok() || wrong.starts_with("DROP OWNED"), "{wrong}: {outcome:?}");
        let role = format!("audit_app_{}", std::process::id());
        let make = format!(
            "DROP ROLE IF EXISTS {role}; CREATE ROLE {role}; GRANT ALL ON SCHEMA public TO {role}; SET ROLE {role}"
        );
        execute(&mut owner, &make).await;
        execute(&mut owner, "CREATE TABLE mine (id int); ALTER TABLE mine ADD b int; DROP TABLE mine").await;
        execute(
            &mut owner,
            "BEGIN; CREATE TABLE mine (id int); SAVEPOINT s; DROP TABLE mine; ROLLBACK TO s; COMMIT; DROP TABLE mine",
        )
        .await;
        execute(&mut owner, &format!("RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")).await;
        drop(owner);
        database.drop_now().await.unwrap();
    }
}

#[tokio::test]
async fn it_waits_for_nobody() {
    let (database, mut app) = recorded().await;
    let mut holder = connect(&database).await;
    execute(&mut holder, "BEGIN; LOCK TABLE roundtrip.ledger_ddl").await;
    // A wait of any length would trigger the application's own timeout.
    execute(
        &mut app,
        "SET statement_timeout = '5s'; SET lock_timeout = '1min'; CREATE TABLE quick (id int); DROP TABLE quick",
    )
    .await;
    assert_eq!(column(&mut app, "SHOW lock_timeout").await, ["1min"]);
    execute(&mut holder, "COMMIT").await;
    execute(&mut app, "CREATE TABLE later (id int)").await;
    assert_eq!(shorthand(&database).await, ["CREATE TABLE public.later"]);
}

/// The owner of the schema can replace our table by another one. Triggers on that table must not run as a
/// superuser.
#[tokio::test]
async fn a_table_in_the_place_of_ours_is_left_alone() {
    let (database, mut all) = recorded().await;
    let role = format!("audit_mallory_{}", std::process::id());
    execute(&mut all, &format!("CREATE ROLE {role}; ALTER SCHEMA roundtrip OWNER TO {role}; GRANT ALL ON SCHEMA public TO {role}; SET ROLE {role}")).await;
    execute(
        &mut all,
        "DROP TABLE roundtrip.ledger_ddl;
         CREATE TABLE roundtrip.ledger_ddl (set_role text, application text, client text, event text, command text,
            object_type text, schema text, object text, statement text);
         CREATE TABLE who (name text);
         CREATE FUNCTION grab() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.who VALUES (current_user); RETURN NEW; END';
         CREATE TRIGGER grab BEFORE INSERT ON roundtrip.ledger_ddl FOR EACH ROW EXECUTE FUNCTION grab();
         CREATE TABLE bait (id int);",
    )
    .await;
    assert_eq!(column(&mut all, "SELECT name FROM who").await, Vec::<String>::new());
    execute(&mut all, &format!("RESET ROLE; DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
    drop(database);
}

#[tokio::test]
async fn it_is_no_part_of_the_schema() {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&CHAIN);
    let mut migrator = migrator(&database, &chain, quick()).await;
    migrator.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    migrator.close().await;
    let address = Database::from(database.options());
    let before = ours::without(schema::read(&address).await.unwrap(), &ledger());
    audit::install(&address, &ledger(), "test").await.unwrap();
    audit::install(&address, &ledger(), "test").await.unwrap();
    let during = ours::without(schema::read(&address).await.unwrap(), &ledger());
    assert_eq!(before.fingerprint(), during.fingerprint());
    assert!(audit::recording(&address, &ledger()).await.unwrap().on);
    audit::uninstall(&address, &ledger(), "test", false).await.unwrap();
    let recording = audit::recording(&address, &ledger()).await.unwrap();
    assert!(!recording.on && recording.has_records && recording.readable);
    audit::uninstall(&address, &ledger(), "test", true).await.unwrap();
    let mut connection = connect(&database).await;
    let left = "SELECT relname FROM pg_class WHERE relname LIKE 'ledger_ddl%' UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'ledger_ddl%'";
    assert_eq!(column(&mut connection, left).await, Vec::<String>::new());
}

#[tokio::test]
async fn records_are_only_added_and_hold_no_passwords() {
    let (database, mut all) = recorded().await;
    execute(&mut all, "CREATE FOREIGN DATA WRAPPER far; CREATE SERVER there FOREIGN DATA WRAPPER far").await;
    execute(&mut all, "CREATE USER MAPPING FOR CURRENT_USER SERVER there OPTIONS (user 'u', password 'hunter2')").await;
    execute(&mut all, "CREATE TABLE accounts (password_hash text, password text NOT NULL)").await;
    let records = records(&database).await;
    assert!(!format!("{records:?}").contains("hunter2"), "{records:?}");
    assert!(records.iter().any(|one| one.statement.as_deref().is_some_and(|text| text.contains("password_hash"))));
    for change in [
        "DELETE FROM roundtrip.ledger_ddl",
        "UPDATE roundtrip.ledger_ddl SET at = now()",
        "TRUNCATE roundtrip.ledger_ddl",
    ] {
        assert!(sqlx::raw_sql(change).execute(&mut all).await.is_err(), "{change}");
    }
}
