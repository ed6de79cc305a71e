//! What migrations are observed to lock, rewrite, read and leave invalid.
//!
//! The expectation is one line per statement: `access exclusive t +1; rewritten t 5; scanned t`, where `+1`
//! means that the lock is held during one more statement.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use migrate_base::lock_mode::LockMode;
use migrate_core::{BoxFuture, CodeError, CodeMigration, CodeMigrations, Direction, ErrorKind, PgConnection, Version};
use migrate_test::observe::{Lock, Observation, StatementObservation, observe};
use rstest::rstest;

use crate::support::{ChainFolder, version};

/// The base of all cases; every table has five rows.
const BASE: &str = "
    CREATE TABLE p (id int PRIMARY KEY);
    INSERT INTO p SELECT * FROM generate_series(1, 5);
    CREATE TABLE t (id int PRIMARY KEY, p_id int DEFAULT 1, n int, code varchar(10));
    INSERT INTO t (id, n, code) SELECT g, g, g FROM generate_series(1, 5) AS g;
    CREATE INDEX t_n ON t (n);
    ALTER TABLE t ADD CONSTRAINT later FOREIGN KEY (p_id) REFERENCES p NOT VALID;
    CREATE TABLE other (a int, code varchar(10));
    INSERT INTO other SELECT g, g FROM generate_series(1, 5) AS g;
    CREATE TABLE part (id int, day int) PARTITION BY RANGE (day);
    CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
    CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
    INSERT INTO part SELECT g, g * 3 FROM generate_series(1, 5) AS g;
    CREATE MATERIALIZED VIEW mv AS SELECT id, n FROM t;
    CREATE VIEW v AS SELECT id FROM t;
";
const NO: &str = "-- migrate: no-transaction\n";
const NOTHING: &str = "SELECT 1;";

/// A statement as a line.
fn line(statement: &StatementObservation) -> String {
    let lock = |lock: &Lock| {
        let more = if lock.statements > 0 { format!(" +{}", lock.statements) } else { String::new() };
        format!("{} {}{more}", lock.mode, lock.relation.name())
    };
    let mut parts: Vec<String> = statement.locks.iter().map(lock).collect();
    parts.extend(statement.rewritten.iter().map(|one| format!("rewritten {} {}", one.table.name(), one.rows)));
    parts.extend(statement.scanned.iter().map(|one| format!("scanned {}", one.table.name())));
    parts.extend(statement.invalid.iter().map(|index| format!("invalid {}", index.name())));
    parts.extend(statement.unseen.iter().map(|why| format!("unseen: {why}")));
    parts.join("; ")
}

/// An observation as lines.
fn lines(seen: &Observation) -> Vec<String> {
    let failed = seen.failed.iter().map(|error| format!("failed: {}", error.findings()[0].message));
    seen.statements.iter().map(line).chain(failed).collect()
}

/// Observes the last migration of a chain.
async fn last(chain: &ChainFolder, code: &CodeMigrations) -> Vec<Observation> {
    let set = chain.set();
    let versions = BTreeSet::from([set.last().unwrap().version().clone()]);
    observe(&set, code, &versions, 7).await.unwrap()
}

/// Observes a migration on top of [`BASE`].
async fn on_base(up: &str, down: &str) -> Vec<Observation> {
    let chain = ChainFolder::new(&[(1, "base", BASE, NOTHING), (2, "case", up, down)]);
    last(&chain, &CodeMigrations::none()).await
}

#[rstest]
#[case::add_column("ALTER TABLE t ADD x int;", "access exclusive t")]
#[case::volatile_default("ALTER TABLE t ADD x float DEFAULT random();", "access exclusive t; rewritten t 5; scanned t")]
#[case::type_rewritten(
    "ALTER TABLE other ALTER a TYPE bigint;",
    "access exclusive other; rewritten other 5; scanned other"
)]
#[case::type_kept("ALTER TABLE other ALTER code TYPE varchar(20);", "access exclusive other")]
#[case::set_not_null("ALTER TABLE t ALTER n SET NOT NULL;", "access exclusive t; scanned t")]
#[case::index("CREATE INDEX ON t (code);", "share t; scanned t")]
#[case::drop_index("DROP INDEX t_n;", "access exclusive t")]
#[case::rename_index("ALTER INDEX t_n RENAME TO t_m;", "share update exclusive t")]
#[case::foreign_key(
    "ALTER TABLE other ADD FOREIGN KEY (a) REFERENCES p;",
    "share row exclusive other; share row exclusive p; scanned other; scanned p"
)]
#[case::not_valid(
    "ALTER TABLE other ADD FOREIGN KEY (a) REFERENCES p NOT VALID;",
    "share row exclusive other; share row exclusive p"
)]
#[case::validated(
    "ALTER TABLE t VALIDATE CONSTRAINT later;",
    "share update exclusive t; row share p; scanned p; scanned t"
)]
#[case::trigger(
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
     CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();",
    "\nshare row exclusive t"
)]
#[case::update("UPDATE t SET n = 1;", "row exclusive t; scanned t")]
#[case::select("SELECT count(*) FROM t;", "access share t; scanned t")]
#[case::emptied("TRUNCATE other;", "access exclusive other")]
#[case::emptied_twice("TRUNCATE other; TRUNCATE other;", "access exclusive other +1\n")]
#[case::view("CREATE OR REPLACE VIEW v AS SELECT id, 1 AS n FROM t;", "access exclusive v; access share t")]
#[case::materialized("REFRESH MATERIALIZED VIEW mv;", "access exclusive mv; access share t; rewritten mv 5; scanned t")]
#[case::without_data("REFRESH MATERIALIZED VIEW mv WITH NO DATA;", "access exclusive mv")]
#[case::partitioned(
    "ALTER TABLE part ADD x float DEFAULT random();",
    "access exclusive part; access exclusive part_1; access exclusive part_2; \
     rewritten part_1 3; rewritten part_2 2; scanned part_1; scanned part_2"
)]
#[case::invalid_until_attached(
    "CREATE INDEX a ON ONLY part (id); CREATE INDEX b ON part_1 (id); ALTER INDEX a ATTACH PARTITION b;",
    "share part +2; invalid a\nshare part_1 +1; scanned part_1\n"
)]
#[case::valid_when_attached(
    "CREATE INDEX a ON ONLY part (id); CREATE INDEX b ON part_1 (id); CREATE INDEX c ON part_2 (id);
     ALTER INDEX a ATTACH PARTITION b; ALTER INDEX a ATTACH PARTITION c;",
    "share part +4\nshare part_1 +3; scanned part_1\nshare part_2 +2; scanned part_2\n\n"
)]
#[case::made_here(
    "CREATE TABLE made (a int); ALTER TABLE made ADD b float DEFAULT random(); INSERT INTO made VALUES (1); DROP TABLE made;",
    "\n\n\n"
)]
#[case::renamed(
    "ALTER TABLE t RENAME TO u; CREATE TABLE t (); UPDATE u SET n = 1;",
    "access exclusive t +2\n\nscanned t"
)]
#[case::dropped("DROP TABLE other;", "access exclusive other")]
#[case::stronger_later(
    "UPDATE t SET n = 1; ALTER TABLE t ADD x int;",
    "row exclusive t +1; scanned t\naccess exclusive t"
)]
#[case::savepoint(
    "SAVEPOINT a; ALTER TABLE t ADD x int; ROLLBACK TO a; LOCK TABLE t IN SHARE MODE; SELECT 1;",
    "\naccess exclusive t +1\n\nshare t +1\n"
)]
#[case::rewrite_taken_back(
    "SAVEPOINT a; ALTER TABLE other ALTER a TYPE bigint; ROLLBACK TO a; LOCK TABLE other IN SHARE MODE;",
    "\naccess exclusive other +1; rewritten other 5; scanned other\n\nshare other"
)]
#[tokio::test]
async fn what_a_transaction_does_is_seen(#[case] up: &str, #[case] expected: &str) {
    let seen = on_base(up, NOTHING).await;
    assert!(seen.iter().all(|one| one.failed.is_none()), "{:?}", seen[0].failed);
    assert_eq!(lines(&seen[0]), expected.split('\n').collect::<Vec<_>>(), "{up}");
    assert!(seen[0].locks().all(|lock| lock.held > Duration::ZERO && lock.held <= seen[0].elapsed));
    // The way down is observed in the same way.
    assert_eq!((seen.len(), seen[1].direction, lines(&seen[1])), (2, Direction::Down, vec![String::new()]));
}

#[rstest]
#[case::index("CREATE INDEX CONCURRENTLY i ON t (code);", "share update exclusive t; scanned t")]
#[case::drop_index("DROP INDEX CONCURRENTLY t_n;", "share update exclusive t")]
#[case::reindex("REINDEX INDEX CONCURRENTLY t_n;", "share update exclusive t; scanned t")]
#[case::reindex_table("REINDEX TABLE CONCURRENTLY t;", "share update exclusive t; scanned t")]
#[case::index_of_view("CREATE INDEX CONCURRENTLY i ON mv (n);", "share update exclusive mv; scanned mv")]
#[case::vacuum(
    "VACUUM t; VACUUM other, p;",
    "share update exclusive t\nshare update exclusive other; share update exclusive p"
)]
#[case::vacuum_full("VACUUM FULL other;", "access exclusive other; rewritten other 5; scanned other")]
#[case::detach(
    "ALTER TABLE part DETACH PARTITION part_1 CONCURRENTLY;",
    "access exclusive part_1; share update exclusive part"
)]
#[case::commits(
    "DO $$ BEGIN UPDATE t SET n = 1; COMMIT; UPDATE other SET a = 2; END $$;",
    "row exclusive other; row exclusive t; scanned other; scanned t"
)]
#[case::stronger_later(
    "DO $$ BEGIN UPDATE other SET a = 1; COMMIT; ALTER TABLE other ADD x int; END $$;",
    "access exclusive other; scanned other"
)]
#[case::made_here("CREATE TABLE made (a int); CREATE INDEX CONCURRENTLY i ON made (a); VACUUM made;", "\n\n")]
#[case::each_its_own(
    "UPDATE t SET n = 1; SET lock_timeout TO 5000; ALTER TABLE t ADD x int;",
    "row exclusive t; scanned t\n\naccess exclusive t"
)]
#[tokio::test]
async fn what_runs_outside_of_a_transaction_is_seen(#[case] up: &str, #[case] expected: &str) {
    let seen = on_base(&format!("{NO}{up}"), NOTHING).await;
    assert!(seen.iter().all(|one| one.failed.is_none()), "{:?}", seen[0].failed);
    assert_eq!(lines(&seen[0]), expected.split('\n').collect::<Vec<_>>(), "{up}");
    assert!(seen[0].locks().all(|lock| lock.statements == 0));
}

#[tokio::test]
async fn a_lock_is_held_to_the_end_of_its_transaction() {
    let seen = on_base("ALTER TABLE t ADD x int; SELECT pg_sleep(0.05); UPDATE p SET id = id;", NOTHING).await;
    assert_eq!(lines(&seen[0]), ["access exclusive t +2", "", "row exclusive p; scanned p"]);
    let [add, sleep, update] = seen[0].statements.as_slice() else { panic!("{:?}", seen[0]) };
    assert!(add.locks[0].held >= add.elapsed + sleep.elapsed + update.elapsed, "{seen:?}");
    assert!(sleep.elapsed >= Duration::from_millis(50) && update.locks[0].held < sleep.elapsed, "{seen:?}");
    assert_eq!(
        seen[0].strongest().map(|lock| (lock.mode, lock.relation.to_string())),
        Some((LockMode::AccessExclusive, "\"public\".\"t\"".to_owned()))
    );
    assert!(seen[1].strongest().is_none());
}

/// Roles, settings and names that a migration changes are its own business; observing does not interfere.
#[rstest]
#[case::role(
    "ALTER TABLE other OWNER TO pg_monitor; REVOKE ALL ON other FROM pg_monitor; SET ROLE pg_monitor;
     ALTER TABLE other ADD x float DEFAULT random();",
    "access exclusive other +3\n\n\nrewritten other 5; scanned other"
)]
#[case::role_goes_on(
    "SET LOCAL ROLE pg_monitor; SELECT count(*) FROM pg_settings;
     DO $$ BEGIN ASSERT current_user = 'pg_monitor'; END $$; RESET ROLE; UPDATE t SET n = 1;",
    "\n\n\n\nrow exclusive t; scanned t"
)]
#[case::search_path(
    "CREATE SCHEMA s; CREATE TABLE s.t (a int); CREATE TEMP TABLE pg_class (oid int); CREATE TEMP TABLE pg_locks (pid int);
     SET LOCAL search_path TO pg_temp, s, public; ALTER TABLE t ADD x int; ALTER TABLE public.t ADD x int;",
    "\n\n\n\n\n\naccess exclusive t"
)]
#[case::comes_first(
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET TRANSACTION READ ONLY; SELECT count(*) FROM t;",
    "\n\naccess share t; scanned t"
)]
#[case::short_timeouts(
    "SET LOCAL statement_timeout TO 400; SET LOCAL lock_timeout TO 200; ALTER TABLE t ADD x int;",
    "\n\naccess exclusive t"
)]
#[case::deferred(
    "ALTER TABLE other ADD FOREIGN KEY (a) REFERENCES p DEFERRABLE INITIALLY DEFERRED; SET CONSTRAINTS ALL IMMEDIATE;",
    "share row exclusive other +1; share row exclusive p +1; scanned other; scanned p\n"
)]
#[tokio::test]
async fn a_look_is_in_nobodys_way(#[case] up: &str, #[case] expected: &str) {
    let seen = on_base(up, NOTHING).await;
    assert!(seen[0].failed.is_none(), "{:?}", seen[0].failed);
    assert_eq!(lines(&seen[0]), expected.split('\n').collect::<Vec<_>>(), "{up}");
}

#[tokio::test]
async fn a_statement_that_fails_ends_it() {
    let seen = on_base("UPDATE t SET n = 1;\nSELECT 1 / 0;\nUPDATE p SET id = id;", NOTHING).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(
        lines(&seen[0]),
        [
            "row exclusive t +1; scanned t",
            "unseen: it failed, and its locks were released with its transaction",
            "failed: division by zero"
        ]
    );
    let error = seen[0].failed.as_ref().unwrap();
    assert_eq!((error.kind(), error.sqlstate()), (ErrorKind::Statement, Some("22012")));
    assert_eq!(error.findings()[0].place.as_ref().unwrap().line_column(), Some((2, 1)));
}

#[tokio::test]
async fn what_is_deferred_to_the_end_fails_there() {
    let up = "CREATE TABLE c (a int REFERENCES p DEFERRABLE INITIALLY DEFERRED); INSERT INTO c VALUES (99);";
    let seen = on_base(up, NOTHING).await;
    assert_eq!(seen[0].statements.len(), 2);
    assert_eq!(seen[0].failed.as_ref().unwrap().sqlstate(), Some("23503"));
}

#[tokio::test]
async fn an_index_that_is_left_invalid_is_told() {
    let up = format!("{NO}UPDATE other SET a = 1;\nCREATE UNIQUE INDEX CONCURRENTLY i ON other (a);");
    let seen = on_base(&up, NOTHING).await;
    let expected = [
        "row exclusive other; scanned other",
        "share update exclusive other; invalid i",
        "failed: could not create unique index \"i\"",
    ];
    assert_eq!(lines(&seen[0]), expected);
    assert_eq!(seen[0].failed.as_ref().unwrap().findings()[0].place.as_ref().unwrap().line_column(), Some((3, 1)));
}

#[tokio::test]
async fn a_script_that_does_not_suffer_it_is_not_held_up() {
    let impatient = |sql: &str| format!("{NO}SET lock_timeout TO 1;\n{sql}");
    let up = impatient("CREATE INDEX CONCURRENTLY i ON t (code);");
    let seen = on_base(&up, &impatient("DROP INDEX CONCURRENTLY i;")).await;
    for one in &seen {
        let index = &one.statements[1];
        // If the watcher is fast enough, the locks are seen anyway.
        let is_said = index.unseen.as_ref().is_some_and(|why| why.contains("too short"));
        assert!(one.failed.is_none() && (is_said || !index.locks.is_empty()), "{one:?}");
    }
    assert_eq!((seen.len(), seen[0].statements[1].scanned.len()), (2, 1));
}

#[tokio::test]
async fn the_way_down_is_observed_where_it_fails_too() {
    let seen = on_base("ALTER TABLE t ADD x int;", "ALTER TABLE t DROP x;\nDROP TABLE nobody;").await;
    assert_eq!(lines(&seen[0]), ["access exclusive t"]);
    assert_eq!(seen[1].direction, Direction::Down);
    assert!(lines(&seen[1])[0].starts_with("access exclusive t"));
    assert_eq!(seen[1].failed.as_ref().unwrap().sqlstate(), Some("42P01"));
}

#[tokio::test]
async fn several_are_observed_one_after_the_other() {
    let chain = ChainFolder::new(&[
        (1, "base", BASE, NOTHING),
        (2, "add", "ALTER TABLE t ADD x int;", "ALTER TABLE t DROP x;"),
        (3, "not_looked_at", "CREATE TABLE filled (a int);", "DROP TABLE filled;"),
        (4, "fails", "DO $$ BEGIN IF EXISTS (SELECT FROM filled) THEN RAISE 'no'; END IF; END $$;", NOTHING),
        (5, "rewrite", "ALTER TABLE filled ALTER a TYPE bigint;", "ALTER TABLE filled ALTER a TYPE int;"),
    ]);
    fs::write(
        chain.path().join(format!("{}_forget.up.sql", version(6))),
        "-- migrate: irreversible it is gone\nDROP TABLE other;",
    )
    .unwrap();
    let versions = [2, 4, 5, 6, 99].map(version).into_iter().collect();
    let seen = observe(&chain.set(), &CodeMigrations::none(), &versions, 7).await.unwrap();
    let ways: Vec<(&str, Direction, bool)> =
        seen.iter().map(|one| (&*one.name, one.direction, one.failed.is_none())).collect();
    let (up, down) = (Direction::Up, Direction::Down);
    let expected = [
        ("add", up, true),
        ("add", down, true),
        ("fails", up, false),
        ("rewrite", up, true),
        ("rewrite", down, true),
        ("forget", up, true),
    ];
    assert_eq!(ways, expected);
    // The rows were drawn, in both databases.
    assert!(seen[3].statements[0].rewritten[0].rows >= 4 && seen[4].statements[0].rewritten[0].rows >= 4, "{seen:?}");
}

#[tokio::test]
async fn rows_come_from_the_fixture_and_fit_what_is_required() {
    let chain = ChainFolder::new(&[
        (1, "base", "CREATE TABLE t (id int, n int); CREATE TABLE u (n int);", NOTHING),
        (2, "case", "ALTER TABLE u ADD CHECK (n = 7); ALTER TABLE t ALTER n TYPE bigint;", NOTHING),
    ]);
    let fixture = chain.path().join(format!("{}_case.fixture.sql", version(2)));
    fs::write(fixture, "INSERT INTO t SELECT g, g FROM generate_series(1, 3) AS g;").unwrap();
    let seen = last(&chain, &CodeMigrations::none()).await;
    assert!(seen[0].failed.is_none(), "{seen:?}");
    assert!(lines(&seen[0])[1].contains("rewritten t 3"), "{seen:?}");
    assert!(seen[0].notes[0].contains("rows that do not meet"), "{:?}", seen[0].notes);
    assert!(seen[0].statements[0].scanned[0].rows > 0);
}

/// A migration in Rust that uses existing objects.
struct TouchingMigration(&'static str);

impl CodeMigration for TouchingMigration {
    fn version(&self) -> Version {
        version(2)
    }

    fn up<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async move {
            sqlx::query("SET search_path TO nowhere").execute(&mut *connection).await?;
            sqlx::query("ALTER TABLE public.other ALTER a TYPE bigint").execute(&mut *connection).await?;
            Ok(sqlx::query(self.0).execute(&mut *connection).await.map(drop)?)
        })
    }

    fn down<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async move { Ok(sqlx::query("UPDATE p SET id = id").execute(&mut *connection).await.map(drop)?) })
    }
}

#[tokio::test]
async fn a_migration_in_rust_is_one_statement() {
    let chain = ChainFolder::new(&[(1, "base", BASE, NOTHING)]);
    fs::write(chain.path().join(format!("{}_touches.rs", version(2))), "//! in this file").unwrap();
    let seen = last(&chain, &CodeMigrations::none().with(TouchingMigration("SELECT count(*) FROM public.t"))).await;
    assert_eq!(
        lines(&seen[0]),
        ["access exclusive other; access share t; rewritten other 5; scanned other; scanned t"]
    );
    assert_eq!(seen[0].statements[0].span, 0..0);
    assert_eq!(lines(&seen[1]), ["row exclusive p; scanned p"]);
    let seen = last(&chain, &CodeMigrations::none().with(TouchingMigration("SELECT 1 / 0"))).await;
    assert_eq!((seen.len(), seen[0].failed.as_ref().unwrap().kind()), (1, ErrorKind::Code));
    assert!(seen[0].statements[0].unseen.is_some());
}
