//! What one migration sets never reaches the next one, whether they run together or one by one.

use migrate_base::ident;
use migrate_core::{RunPolicy, Target};
use migrate_test::TestDatabase;

use crate::support::{ChainFolder, column, connect, events, execute, migrator, quick};

/// A chain in which every migration tries to disturb the next, which records what it sees.
fn disturbing() -> ChainFolder {
    let disturbances = [
        "SET search_path TO elsewhere;",
        "SET SESSION search_path TO elsewhere; SET LOCAL work_mem TO '1MB';",
        "SET ROLE rt_other;",
        "SET SESSION AUTHORIZATION rt_other;",
        "SET statement_timeout TO '1h'; SET lock_timeout TO '1h';",
        "CREATE TEMPORARY TABLE seen_temporary (); CREATE TEMPORARY TABLE seen (what text, value text);",
        "PREPARE leftover AS SELECT 1; LISTEN channel;",
        "DECLARE leftover CURSOR WITH HOLD FOR SELECT 1;",
        "SELECT set_config('roundtrip.test', 'left', false), set_config('search_path', 'elsewhere', false);",
        "SET standard_conforming_strings TO off; SET client_min_messages TO error; SET TimeZone TO 'Asia/Tokyo';",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem TO %L', current_database(), '7MB'); END $$;",
    ];
    let look = "INSERT INTO public.seen SELECT '{n}', concat_ws('|', current_user, session_user, current_setting('search_path'), \
         current_setting('work_mem'), current_setting('statement_timeout'), current_setting('lock_timeout'), \
         current_setting('roundtrip.test', true), current_setting('standard_conforming_strings'), \
         current_setting('client_min_messages'), current_setting('TimeZone'), to_regclass('seen_temporary'), \
         to_regclass('pg_temp.seen'), 'a\\b', (SELECT count(*) FROM pg_prepared_statements), \
         (SELECT count(*) FROM pg_cursors WHERE name = 'leftover'), (SELECT count(*) FROM pg_listening_channels()));";
    let chain = ChainFolder::new(&[(
        1,
        "seen",
        "CREATE TABLE seen (what text, value text); CREATE SCHEMA elsewhere;",
        "DROP TABLE public.seen; DROP SCHEMA elsewhere;",
    )]);
    for (n, disturbance) in (2u64..).step_by(2).zip(disturbances) {
        let back = "DELETE FROM public.seen WHERE false; RESET ALL;";
        chain.write(n, &format!("disturb_{n}"), disturbance, "SET search_path TO elsewhere; SET ROLE rt_other;");
        chain.write(n + 1, &format!("look_{n}"), &look.replace("{n}", &n.to_string()), back);
    }
    chain
}

async fn prepared() -> TestDatabase {
    let database = TestDatabase::create().await.unwrap();
    let mut db = connect(&database).await;
    let role =
        "DO $$ BEGIN CREATE ROLE rt_other; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";
    execute(&mut db, role).await;
    database
}

#[tokio::test]
async fn together_and_one_by_one_end_in_the_same_place() {
    let chain = disturbing();
    let mut seen = Vec::new();
    for one_by_one in [false, true] {
        let database = prepared().await;
        loop {
            // A separate migrator for each step simulates separate processes.
            let mut runner = migrator(&database, &chain, quick()).await;
            let target = if one_by_one { Target::Up(1) } else { Target::Latest };
            if runner.run(&target, RunPolicy::default()).await.unwrap().done.is_empty() {
                break;
            }
        }
        let mut db = connect(&database).await;
        seen.push(column(&mut db, "SELECT what || ' ' || value FROM public.seen ORDER BY what::int").await);
        let roles = column(&mut db, "SELECT DISTINCT role FROM roundtrip.ledger").await;
        assert_eq!(roles, ["postgres"]);
        migrator(&database, &chain, quick()).await.run(&Target::Zero, RunPolicy::default()).await.unwrap();
        assert_eq!(events(&mut db).await.len(), 2 * chain.set().len());
        database.drop_now().await.unwrap();
    }
    assert_eq!(seen[0].len(), 11);
    assert_eq!(seen[0], seen[1]);
    for (n, row) in (2..).step_by(2).zip(&seen[0]).take(10) {
        let expected = "postgres|postgres|\"$user\", public|4MB|0|300ms";
        assert!(row.starts_with(&format!("{n} {expected}")), "{row}");
        assert!(row.ends_with("|on|notice|UTC|a\\b|0|0|0"), "{row}");
    }
}

#[tokio::test]
async fn the_ledger_is_written_by_the_role_that_logged_in() {
    let database = prepared().await;
    let mut db = connect(&database).await;
    execute(&mut db, "GRANT CREATE ON SCHEMA public TO rt_other").await;
    let chain = ChainFolder::new(&[
        (1, "as_other", "SET ROLE rt_other; CREATE TABLE theirs ();", "SET ROLE rt_other; DROP TABLE theirs;"),
        (
            2,
            "alone",
            "-- migrate: no-transaction\nSET ROLE rt_other;\nCREATE TABLE also_theirs ();\nCREATE INDEX CONCURRENTLY i ON also_theirs ((1));",
            "-- migrate: no-transaction\nDROP TABLE also_theirs;",
        ),
    ]);
    let mut runner = migrator(&database, &chain, quick()).await;
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    let owners = "SELECT relname || ' ' || relowner::regrole FROM pg_class WHERE relname LIKE '%theirs' ORDER BY 1";
    assert_eq!(column(&mut db, owners).await, ["also_theirs rt_other", "theirs rt_other"]);
    assert_eq!(column(&mut db, "SELECT DISTINCT role FROM roundtrip.ledger").await, ["postgres"]);
    runner.run(&Target::Zero, RunPolicy::default()).await.unwrap();
    let name = ident::ident(database.name());
    execute(&mut db, &format!("REVOKE CREATE ON SCHEMA public FROM rt_other; SELECT '{name}'")).await;
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn deferred_triggers_fire_in_the_settings_of_their_migration() {
    let database = prepared().await;
    let chain = ChainFolder::new(&[
        (
            1,
            "trigger",
            "CREATE TABLE t (id int); CREATE TABLE log (path text); \
          CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (current_setting('search_path')); RETURN NULL; END $$; \
          CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();",
            "DROP TABLE t; DROP TABLE log; DROP FUNCTION note();",
        ),
        (2, "fire", "SET search_path TO public, pg_temp; INSERT INTO t VALUES (1);", "DELETE FROM t;"),
    ]);
    migrator(&database, &chain, quick()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    assert_eq!(column(&mut connect(&database).await, "SELECT path FROM log").await, ["public, pg_temp"]);
    database.drop_now().await.unwrap();
}

/// Ways to write a custom setting, with `{name}` and `{quoted}` in place of its name.
const SPELLINGS: [&str; 16] = [
    "SET {gap}{scope} {name} {to} 'left';",
    "DO $$ BEGIN SET{gap}{scope} {name} {to} 'left'; END $$;",
    "DO $$ BEGIN EXECUTE 'SET{gap}{scope} {name} {to} 1'; END $$;",
    "DO $$ BEGIN EXECUTE 'SET {scope} ' || '{name} {to} 1'; END $$;",
    "DO $$ BEGIN EXECUTE format('SET{gap}{scope} %s {to} %L', '{name}', 'left'); END $$;",
    "DO 'BEGIN EXECUTE E''SET{gap}{scope} {name} {to} 1''; END';",
    "CREATE FUNCTION f_{n}() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN SET{gap}{scope} {name} {to} 1; END $f$; SELECT f_{n}();",
    "CREATE FUNCTION f_{n}() RETURNS int LANGUAGE sql SET{gap}{name} {to} 1 AS 'SELECT 1'; SELECT f_{n}();",
    "SELECT{gap}set_config({gap}'{plain}', 'left', false);",
    "SELECT length(pg_catalog . \"set_config\"{gap}('{plain}', 'left', true));",
    "SELECT set_config(E'{plain}', 'left', false);",
    "SELECT set_config('a' || 'pp_{n}.tenant', 'left', false);",
    "SELECT set_config(name, 'left', false) FROM (VALUES ('{plain}')) AS v (name);",
    "DO $$ BEGIN PERFORM{gap}set_config('{plain}', 'left', false); END $$;",
    "CREATE TABLE t_{n} AS SELECT set_config($x${plain}$x$, 'left', false) AS a;",
    "CREATE FUNCTION f_{n}() RETURNS text BEGIN ATOMIC SELECT set_config('{plain}', 'left', false); END; SELECT f_{n}();",
];

#[tokio::test]
async fn a_setting_of_ones_own_stays_with_its_migration_however_it_is_written() {
    let gaps = ["\t", "\n", "\n/* ; */\n", " -- a\n"];
    let names = ["app_{n}.tenant", "\"app_{n}\" . \"tenant\"", "\"app_{n}.tenant\"", "app_{n}\n.\ttenant"];
    let scopes = ["", "LOCAL", "session"];
    let chain = ChainFolder::new(&[(1, "seen", "CREATE TABLE seen (n int, value text);", "DROP TABLE seen;")]);
    let mut n = 2;
    for (at, spelling) in SPELLINGS.iter().cycle().take(3 * SPELLINGS.len()).enumerate() {
        // A name inside of a string has to be on one line, because the string may be anything.
        let name = names[at % names.len()];
        let up = spelling
            .replace("{gap}", gaps[(at + at / SPELLINGS.len()) % gaps.len()])
            .replace("{scope}", scopes[at % scopes.len()])
            .replace("{name}", name)
            .replace("{to}", if at % 2 == 0 { "=" } else { "to" })
            .replace("{plain}", "app_{n}.tenant")
            .replace("{n}", &n.to_string());
        chain.write(n, &format!("set_{n}"), &up, "SELECT 1;");
        let look = format!("INSERT INTO seen VALUES ({n}, current_setting('app_{n}.tenant', true));");
        chain.write(n + 1, &format!("look_{n}"), &look, "SELECT 1;");
        n += 2;
    }
    let database = TestDatabase::create().await.unwrap();
    let mut runner = migrator(&database, &chain, quick()).await;
    runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    let mut db = connect(&database).await;
    let leaked = column(&mut db, "SELECT n FROM seen WHERE value IS NOT NULL ORDER BY n").await;
    let all = column(&mut db, "SELECT count(*) FROM seen").await;
    assert_eq!((leaked, all), (Vec::new(), vec![(3 * SPELLINGS.len()).to_string()]));
    database.drop_now().await.unwrap();
}

/// A migration that only creates tables does not change its session, unless an event trigger runs with it.
#[tokio::test]
async fn an_event_trigger_that_changes_the_session_does_not_reach_the_next_migration() {
    let database = TestDatabase::create().await.unwrap();
    let function = "CREATE FUNCTION disturb() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM set_config('search_path', 'elsewhere', false); END $$;";
    let chain = ChainFolder::new(&[
        (1, "seen", &format!("CREATE TABLE seen (path text); {function}"), "DROP FUNCTION disturb; DROP TABLE seen;"),
        (
            2,
            "trigger",
            "CREATE EVENT TRIGGER disturb ON ddl_command_end EXECUTE FUNCTION disturb();",
            "DROP EVENT TRIGGER disturb;",
        ),
        (3, "plain", "CREATE TABLE plain (a int);", "DROP TABLE public.plain;"),
        (4, "look", "INSERT INTO public.seen VALUES (current_setting('search_path'));", "SELECT 1;"),
        (5, "later", "CREATE TABLE later (a int);", "DROP TABLE public.later;"),
        (6, "look", "INSERT INTO public.seen VALUES (current_setting('search_path'));", "SELECT 1;"),
    ]);
    let mut db = connect(&database).await;
    let before = column(&mut db, "SELECT current_setting('search_path')").await.remove(0);
    for target in [Target::Up(4), Target::Latest] {
        migrator(&database, &chain, quick()).await.run(&target, RunPolicy::default()).await.unwrap();
    }
    assert_eq!(column(&mut db, "SELECT path FROM public.seen").await, [before.clone(), before]);
    execute(&mut db, "DROP EVENT TRIGGER disturb").await;
    database.drop_now().await.unwrap();
}
