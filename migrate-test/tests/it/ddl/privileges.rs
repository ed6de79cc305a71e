//! Every privilege that the server knows is revoked, granted and granted with grant option; what cannot be
//! created is left out by name.

use std::sync::Arc;

use migrate_core::Migration;
use migrate_schema::ddl::{self, DdlStage, DdlStyle};
use migrate_schema::{Kind, Schema, SchemaChange, SchemaDescription};
use migrate_test::TestDatabase;
use migrate_test::shape;

use super::{describe, leads};
use crate::support::{ChainFolder, column, connect, execute};

/// The letter in the catalogs for each kind, the statement that creates one, and its name in `GRANT`.
const KINDS: [(&str, &str, &str); 8] = [
    ("r", "CREATE TABLE {} (id int)", "TABLE {}"),
    ("r", "CREATE VIEW {} AS SELECT 1 AS id", "TABLE {}"),
    ("s", "CREATE SEQUENCE {}", "SEQUENCE {}"),
    ("f", "CREATE FUNCTION {}() RETURNS int LANGUAGE sql AS 'SELECT 1'", "FUNCTION {}()"),
    ("T", "CREATE TYPE {} AS ENUM ('a')", "TYPE {}"),
    ("n", "CREATE SCHEMA {}", "SCHEMA {}"),
    ("F", "CREATE FOREIGN DATA WRAPPER {}", "FOREIGN DATA WRAPPER {}"),
    ("S", "CREATE SERVER {} FOREIGN DATA WRAPPER wrapper", "FOREIGN SERVER {}"),
];

#[tokio::test]
async fn every_privilege_of_every_kind_is_taken_and_given() {
    let first = TestDatabase::create().await.unwrap();
    let second = TestDatabase::create().await.unwrap();
    let (mut one, mut other) = (connect(&first).await, connect(&second).await);
    let (mut objects, mut grants) = (vec!["CREATE FOREIGN DATA WRAPPER wrapper".to_owned()], Vec::new());
    for (n, (letter, make, on)) in KINDS.iter().enumerate() {
        let query = format!("SELECT privilege_type FROM aclexplode(acldefault('{letter}', 10)) WHERE grantee = 10");
        for word in column(&mut one, &query).await {
            let name = format!("o{n}_{}", word.to_lowercase());
            objects.push(make.replace("{}", &name));
            let on = on.replace("{}", &name);
            grants.push(format!("REVOKE {word} ON {on} FROM CURRENT_USER"));
            grants.push(format!("GRANT {word} ON {on} TO pg_monitor WITH GRANT OPTION"));
            grants.push(format!("GRANT {word} ON {on} TO pg_read_all_data"));
        }
    }
    execute(&mut one, &objects.join(";")).await;
    execute(&mut other, &format!("{};{}", objects.join(";"), grants.join(";"))).await;
    let (plain, granted) = (describe(&first).await, describe(&second).await);
    assert_eq!(leads(&first, &plain, &granted).await, None);
    assert_eq!(leads(&second, &granted, &plain).await, None);
    first.drop_now().await.unwrap();
    second.drop_now().await.unwrap();
}

#[tokio::test]
async fn what_the_server_refuses_is_left_out_by_name_and_the_rest_is_proven() {
    let database = TestDatabase::create().await.unwrap();
    let nothing = describe(&database).await;
    let sql = "CREATE FUNCTION gone() RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE TABLE kept (id int); CREATE VIEW on_kept AS SELECT id FROM kept;
         CREATE TABLE lost (id int DEFAULT gone()); CREATE VIEW on_lost AS SELECT id FROM lost;
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w;
         CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'hunter2-s3cret');";
    execute(&mut connect(&database).await, sql).await;
    let mut source = describe(&database).await;
    // As on a server that lacks what the function needs.
    source.schema = source.schema.as_in(&Schema::default(), |one| one.id.kind == Kind::Function);
    let lost = ["table public.lost", "view public.on_lost", "user mapping far.public"];

    let baseline = shape::baseline(source.clone()).await.unwrap();
    assert!(baseline.is_proven() && !baseline.is_whole(), "{:?}", baseline.remaining);
    let names: Vec<String> = baseline.left_out.iter().flat_map(shape::LeftOut::names).collect();
    assert!(lost.iter().all(|name| names.iter().any(|known| known == name)), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("kept")), "{names:?}");
    let why = baseline.left_out.iter().find(|one| one.to_string() == lost[0]).unwrap();
    assert!(why.why.contains("gone() does not exist"), "{why:?}");
    let script = baseline.up.script(DdlStage::Main);
    assert!(script.contains("public.on_kept") && !script.contains("lost"), "{script}");

    let difference = shape::difference(nothing, source, DdlStyle::Whole, &mut |_| {}).await.unwrap();
    assert!(difference.is_proven() && difference.gaps() > 0, "{:?}", difference.failed);
    let script = difference.ddl.script(DdlStage::Main);
    assert!(lost.iter().all(|name| script.contains(&format!("-- left out: {name}\n"))), "{script}");
    assert!(
        script.contains("CREATE VIEW public.on_kept") && !script.contains("CREATE VIEW public.on_lost"),
        "{script}"
    );
    database.drop_now().await.unwrap();
}

/// A database on its own server, so that no role remains.
async fn with_roles(sql: &str) -> TestDatabase {
    let chain = ChainFolder::new(&[(1, "a", "CREATE ROLE s;", "DROP ROLE s;")]);
    let all: Vec<Arc<Migration>> = chain.set().iter().cloned().collect();
    let database = TestDatabase::for_chain(&all).await.unwrap();
    execute(&mut connect(&database).await, sql).await;
    database
}

#[tokio::test]
async fn the_name_of_a_role_is_one_name_whatever_is_in_it() {
    const INJECTS: &str = "x in public GRANT ALL ON TABLES TO PUBLIC; --";
    let roles = format!(
        "CREATE ROLE r1; CREATE ROLE r2; CREATE ROLE \"r1, r2\"; CREATE ROLE \"john in sales\"; CREATE ROLE \"{INJECTS}\";
         CREATE TABLE t (a int);"
    );
    let rights = format!(
        "CREATE POLICY p ON t TO \"r1, r2\";
         ALTER DEFAULT PRIVILEGES FOR ROLE \"john in sales\" GRANT SELECT ON TABLES TO r1;
         ALTER DEFAULT PRIVILEGES FOR ROLE \"john in sales\" REVOKE ALL ON FUNCTIONS FROM PUBLIC;
         ALTER DEFAULT PRIVILEGES FOR ROLE \"{INJECTS}\" IN SCHEMA public GRANT SELECT ON TABLES TO \"r1, r2\";"
    );
    let one = with_roles(&format!("{roles}{rights}")).await;
    let two = with_roles(&format!("{roles}CREATE POLICY p ON t TO r1, r2;")).await;
    let (first, second) = (describe(&one).await, describe(&two).await);

    let change = SchemaChange::between(&first.schema, &second.schema).to_string();
    assert!(change.contains("policy public.t.p: roles \"r1, r2\" → r1, r2"), "{change}");
    let named = ddl::roles(&first.schema);
    assert!(["r1", "r1, r2", "john in sales", INJECTS].iter().all(|role| named.contains(*role)), "{named:?}");
    assert!(!named.contains("r2") && !named.contains("x"), "{named:?}");
    assert_eq!(leads(&one, &first, &second).await, None);
    assert_eq!(leads(&two, &second, &first).await, None);
    let baseline = shape::baseline(first).await.unwrap();
    assert!(baseline.is_proven() && baseline.is_whole(), "{:?} {:?}", baseline.remaining, baseline.left_out);
}

/// The owner of each object, by name.
fn owners(described: &SchemaDescription) -> Vec<(String, String)> {
    let all = described.schema.objects();
    all.filter_map(|one| Some((one.id.to_string(), one.fact("owner")?.to_owned()))).collect()
}

#[tokio::test]
async fn what_is_made_again_belongs_to_whom_it_belonged() {
    const BEFORE: &str = "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE DOMAIN code AS text;
         CREATE TABLE t (a int, m mood, c code);
         CREATE FUNCTION f() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1';
         CREATE VIEW v AS SELECT a, f() AS f FROM t; CREATE MATERIALIZED VIEW mv AS SELECT a FROM t;
         CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int); CREATE VIEW mine AS SELECT a FROM t;
         CREATE TABLE counted (id int);";
    const GIVEN: &str = "ALTER TYPE mood OWNER TO pg_monitor; ALTER DOMAIN code OWNER TO pg_monitor;
         ALTER FUNCTION f() OWNER TO pg_monitor; ALTER VIEW v OWNER TO pg_monitor;
         GRANT SELECT ON v TO pg_read_all_data; ALTER AGGREGATE total(int) OWNER TO pg_monitor;
         ALTER MATERIALIZED VIEW mv OWNER TO pg_monitor; ALTER TABLE counted OWNER TO pg_monitor;";
    const AFTER: &str = "CREATE TYPE mood AS ENUM ('b', 'c'); CREATE DOMAIN code AS varchar(9);
         CREATE TABLE t (a bigint, m mood, c code);
         CREATE FUNCTION f() RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT 1::text';
         CREATE VIEW v AS SELECT a, f() AS f FROM t; GRANT SELECT ON v TO pg_read_all_data;
         CREATE MATERIALIZED VIEW mv AS SELECT a FROM t;
         CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int, initcond = '0'); CREATE VIEW mine AS SELECT a FROM t;
         CREATE TABLE counted (id serial);";
    let first = TestDatabase::create().await.unwrap();
    let second = TestDatabase::create().await.unwrap();
    execute(&mut connect(&first).await, &format!("{BEFORE}{GIVEN}")).await;
    execute(&mut connect(&second).await, AFTER).await;
    let (from, to) = (describe(&first).await, describe(&second).await);

    let script = ddl::between(&from, &to, DdlStyle::Whole).script(DdlStage::Main);
    assert!(script.contains("ALTER FUNCTION public.f() OWNER TO pg_monitor"), "{script}");
    // Objects of the role that migrates are not given to anybody.
    assert!(!script.contains("mine OWNER TO") && !script.contains("TABLE public.t OWNER TO"), "{script}");
    assert_eq!(leads(&first, &from, &to).await, None);
    let made = owners(&describe(&first).await);
    let given = made.iter().filter(|(name, _)| !name.starts_with("sequence ")).cloned();
    assert_eq!(given.collect::<Vec<_>>(), owners(&from));
    // The sequence of a new column belongs to the owner of its table.
    assert!(made.contains(&("sequence public.counted_id_seq".to_owned(), "pg_monitor".to_owned())), "{made:?}");
    assert!(!ddl::between(&to, &from, DdlStyle::Whole).script(DdlStage::Main).contains("OWNER TO"));

    let difference = shape::difference(from, to, DdlStyle::Whole, &mut |_| {}).await.unwrap();
    assert!(difference.is_proven() && difference.gaps() == 0, "{:?} {:?}", difference.failed, difference.remaining);
    first.drop_now().await.unwrap();
    second.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_script_that_gives_for_another_role_goes_on_as_who_it_was() {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    execute(&mut db, "CREATE TABLE t (a int); ALTER TABLE t OWNER TO pg_monitor").await;
    let before = describe(&database).await;
    let given = "SET ROLE pg_monitor; GRANT SELECT ON t TO pg_read_all_data WITH GRANT OPTION;
         SET ROLE pg_read_all_data; GRANT SELECT ON t TO pg_read_all_settings; RESET ROLE;";
    execute(&mut db, given).await;
    let after = describe(&database).await;
    for (from, to) in [(&after, &before), (&before, &after)] {
        let script = ddl::between(from, to, DdlStyle::Whole).script(DdlStage::Main);
        assert!(script.contains("ROLE pg_read_all_data"), "{script}");
        execute(&mut db, &format!("BEGIN; SET LOCAL ROLE pg_monitor; {script}")).await;
        assert_eq!(column(&mut db, "SELECT current_user").await, ["pg_monitor"]);
        execute(&mut db, "COMMIT").await;
        assert_eq!(column(&mut db, "SELECT (current_user = session_user)::text").await, ["true"]);
        assert_eq!(SchemaChange::between(&describe(&database).await.schema, &to.schema).to_string(), "");
    }
    drop(db);
    database.drop_now().await.unwrap();
}
