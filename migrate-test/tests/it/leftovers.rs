//! What concurrent statements leave behind when they fail or are killed: it is reported, recorded, and
//! completed.

use std::time::Duration;

use migrate_core::runner::Resolution;
use migrate_core::{Error, Migrator, Options, Policy, Target};
use migrate_test::TestDatabase;
use sqlx::PgConnection;

use crate::support::{Chain, column, connect, events, execute, migrator, quick, version};

const NO: &str = "-- migrate: no-transaction\n";

/// Everything unfinished in the catalogs.
const HALF: &str = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid \
    UNION ALL SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhdetachpending ORDER BY 1";

/// A database with tables in which every kind of concurrent statement can fail, a chain with one more
/// migration, and its runner.
struct Scene {
    database: TestDatabase,
    chain: Chain,
    db: PgConnection,
}

const TABLES: &str = "CREATE SCHEMA \"Ünï\"; CREATE TABLE t (i int, b int); INSERT INTO t VALUES (1, 1), (1, 2);
    CREATE TABLE \"Ünï\".\"T b\" (i int); INSERT INTO \"Ünï\".\"T b\" VALUES (1), (1);
    CREATE TABLE k (i int PRIMARY KEY, x int); CREATE INDEX k_x ON k (x); INSERT INTO k VALUES (1, 1);
    CREATE TABLE p (i int) PARTITION BY LIST (i); CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE \"p Ü\" PARTITION OF p FOR VALUES IN (2);";

impl Scene {
    async fn new(up: &str, down: &str) -> Self {
        let database = TestDatabase::create().await.unwrap();
        let mut db = connect(&database).await;
        execute(&mut db, TABLES).await;
        let chain = Chain::new(&[(1, "first", "SELECT 1;", "SELECT 1;"), (2, "work", up, down)]);
        Self { database, chain, db }
    }

    async fn runner(&self, options: Options) -> Migrator {
        migrator(&self.database, &self.chain, options).await
    }

    async fn end(self) {
        self.database.drop_now().await.unwrap();
    }
}

async fn refused(runner: &mut Migrator) -> Error {
    runner.run(&Target::Latest, Policy::default()).await.unwrap_err()
}

/// The failure and the ledger both name what was left, and neither says that nothing was kept.
async fn check_told(scene: &mut Scene, error: &Error, left: &str) {
    let finding = &error.findings()[0];
    let notes = finding.notes.join("\n");
    assert!(notes.contains(left) && !notes.contains("nothing of this migration was kept"), "{left}: {finding:?}");
    let help = finding.help.join("\n");
    assert!(help.contains(&format!("cargo xtask resolve {}", version(2))), "{finding:?}");
    let note = column(&mut scene.db, "SELECT note FROM roundtrip.ledger WHERE event = 'failed'").await;
    assert!(note.last().unwrap().contains(left), "{note:?}");
}

/// Unique indexes over duplicate rows, in every spelling: no leftover goes unnoticed, and no second index is
/// built.
#[tokio::test]
async fn a_half_built_index_is_seen_whatever_it_is_called() {
    for (up, left, good) in [
        ("CREATE UNIQUE INDEX CONCURRENTLY ON t (i);", "t_i_idx", "t_i_idx"),
        ("CREATE UNIQUE INDEX CONCURRENTLY ON \"Ünï\".\"T b\" (i);", "\"T b_i_idx\"", "T b_i_idx"),
        ("SET search_path = \"Ünï\";\nCREATE UNIQUE INDEX CONCURRENTLY ON \"T b\" (i);", "\"T b_i_idx\"", "T b_i_idx"),
        ("SET search_path = \"Ünï\";\nCREATE UNIQUE INDEX CONCURRENTLY \"Ïx 1\" ON \"T b\" (i);", "\"Ïx 1\"", "Ïx 1"),
        ("CREATE UNIQUE INDEX CONCURRENTLY U&\"\\00cfx 1\" ON U&\"\\00dcn\\00ef\".\"T b\" (i);", "\"Ïx 1\"", "Ïx 1"),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (i);", "public.i", "i"),
    ] {
        let mut scene = Scene::new(&format!("{NO}{up}"), "SELECT 1;").await;
        let mut runner = scene.runner(quick()).await;
        let error = refused(&mut runner).await;
        assert_eq!(error.sqlstate(), Some("23505"), "{up}");
        check_told(&mut scene, &error, left).await;
        // It is not run again while the leftover exists.
        assert_eq!(refused(&mut runner).await.findings()[0].code.as_str(), "unfinished", "{up}");
        let seen = runner.unresolved().await.unwrap().unwrap().reality.pop().unwrap().seen.unwrap_or_default();
        assert!(seen.contains("not valid"), "{up}: {seen}");
        execute(&mut scene.db, "TRUNCATE t, \"Ünï\".\"T b\"").await;
        runner.resolve(&Resolution::Continue).await.unwrap();
        let valid = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid \
             WHERE i.indisvalid AND t.relname IN ('t', 'T b')";
        assert_eq!(column(&mut scene.db, valid).await, [good], "{up}");
        assert_eq!(column(&mut scene.db, HALF).await, Vec::<String>::new(), "{up}");
        scene.end().await;
    }
}

/// An index that was unfinished before is not blamed on a statement that fails for another reason.
#[tokio::test]
async fn what_was_half_built_before_is_nobodys_leftover() {
    let mut scene = Scene::new(&format!("{NO}CREATE INDEX CONCURRENTLY ON t (nope);"), "SELECT 1;").await;
    execute(
        &mut scene.db,
        "CREATE INDEX old ON t (b); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'old'::regclass",
    )
    .await;
    let mut runner = scene.runner(quick()).await;
    let error = refused(&mut runner).await;
    let notes = error.findings()[0].notes.join("\n");
    assert!(notes.contains("nothing of this migration was kept") && !notes.contains("old"), "{notes}");
    assert!(runner.unresolved().await.unwrap().is_none());
    scene.end().await;
}

/// With an old transaction open: a DETACH stops halfway, and a REINDEX leaves its copies.
#[tokio::test]
async fn a_partition_half_detached_and_the_copies_of_a_reindex_are_told_and_brought_to_an_end() {
    let attach = "ALTER TABLE p ATTACH PARTITION \"p Ü\" FOR VALUES IN (2);";
    for (up, down, reader, left) in [
        ("ALTER TABLE p DETACH PARTITION \"p Ü\" CONCURRENTLY;", attach, "SELECT FROM p", "\"p Ü\""),
        (
            "SET search_path = public;\nALTER TABLE IF EXISTS ONLY p DETACH PARTITION \"p Ü\" CONCURRENTLY;",
            attach,
            "SELECT FROM p",
            "\"p Ü\"",
        ),
        ("REINDEX TABLE CONCURRENTLY k;", "SELECT 1;", "SELECT FROM k", "_ccnew"),
        ("REINDEX (VERBOSE) INDEX CONCURRENTLY k_x;", "SELECT 1;", "SELECT FROM k", "k_x_ccnew"),
        ("REINDEX SCHEMA CONCURRENTLY public;", "SELECT 1;", "SELECT FROM k", "_ccnew"),
    ] {
        let ways: &[Resolution] = match up.starts_with("REINDEX S") || up.starts_with("SET") {
            true => &[Resolution::Continue],
            false => &[Resolution::Continue, Resolution::Undo],
        };
        for resolution in ways.iter().cloned() {
            let up = format!("{NO}-- migrate: statement-timeout 500ms\n{up}");
            let down = format!("{NO}{down}");
            let mut scene = Scene::new(&up, &down).await;
            let mut old = connect(&scene.database).await;
            execute(&mut old, &format!("BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; {reader}")).await;
            let mut runner = scene.runner(Options { lock_timeout: Duration::from_millis(20), ..quick() }).await;
            let error = refused(&mut runner).await;
            // It waited longer than the lock timeout of the others.
            assert_eq!(error.sqlstate(), Some("57014"), "{up}: {error:?}");
            check_told(&mut scene, &error, left).await;
            assert_eq!(refused(&mut runner).await.findings()[0].code.as_str(), "unfinished", "{up}");
            assert!(!column(&mut scene.db, HALF).await.is_empty(), "{up}");
            execute(&mut old, "ROLLBACK").await;
            if resolution == Resolution::Undo && up.contains("DETACH") {
                // Nothing had been done, so nothing was expected to run. Now it has been done, and the user is
                // told first.
                check_stopped(&mut runner).await;
            }
            runner.resolve(&resolution).await.unwrap_or_else(|error| panic!("{up} {resolution:?}: {error:?}"));
            assert_eq!(column(&mut scene.db, HALF).await, Vec::<String>::new(), "{up} {resolution:?}");
            let is_attached = "SELECT count(*) FROM pg_inherits WHERE inhrelid = '\"p Ü\"'::regclass";
            let is_there = resolution == Resolution::Undo || !up.contains("DETACH");
            assert_eq!(
                column(&mut scene.db, is_attached).await,
                [if is_there { "1" } else { "0" }],
                "{up} {resolution:?}"
            );
            let status = runner.status().await.unwrap();
            assert_eq!(
                (status.problems.len(), status.applied.len()),
                (0, if resolution == Resolution::Undo { 1 } else { 2 })
            );
            scene.end().await;
        }
    }
}

/// A runner that was killed midway left the event `started`, and whatever its statement had done by then.
#[tokio::test]
async fn a_killed_run_is_taken_up_without_a_second_index_or_a_copy() {
    let invalid =
        |index: &str| format!("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{index}'::regclass");
    let unnamed = "CREATE INDEX CONCURRENTLY ON t (b);";
    let detach = "ALTER TABLE p DETACH PARTITION p_1 CONCURRENTLY;";
    let is_detached = "SELECT count(*) FROM pg_inherits WHERE inhrelid = 'p_1'::regclass";
    let indexes = "SELECT string_agg(indexrelid::regclass::text, ' ' ORDER BY 1) FROM pg_index WHERE indrelid IN ('t'::regclass, 'k'::regclass)";
    for (up, done, query, expected) in [
        (unnamed, "SELECT 1".to_owned(), indexes, "k_pkey k_x t_b_idx"),
        (unnamed, format!("CREATE INDEX ON t (b); {}", invalid("t_b_idx")), indexes, "k_pkey k_x t_b_idx"),
        (
            "REINDEX TABLE CONCURRENTLY k;",
            format!("CREATE INDEX k_x_ccnew ON k (x); {}", invalid("k_x_ccnew")),
            indexes,
            "k_pkey k_x",
        ),
        (
            "REINDEX INDEX CONCURRENTLY k_x;",
            format!("CREATE INDEX k_x_ccold1 ON k (x); {}", invalid("k_x_ccold1")),
            indexes,
            "k_pkey k_x",
        ),
        (detach, "SELECT 1".to_owned(), is_detached, "0"),
        (
            detach,
            "UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = 'p_1'::regclass".to_owned(),
            is_detached,
            "0",
        ),
        (detach, "ALTER TABLE p DETACH PARTITION p_1".to_owned(), is_detached, "0"),
    ] {
        let mut scene = Scene::new(&format!("{NO}{up}"), "SELECT 1;").await;
        kill(&mut scene).await;
        execute(&mut scene.db, &done).await;
        let mut runner = scene.runner(quick()).await;
        runner.run(&Target::Latest, Policy::default()).await.unwrap_or_else(|error| panic!("{up} {done}: {error:?}"));
        assert_eq!(column(&mut scene.db, query).await, [expected], "{up} {done}");
        assert_eq!(column(&mut scene.db, HALF).await, Vec::<String>::new(), "{up} {done}");
        assert_eq!(events(&mut scene.db).await[1..], ["started 2", "progress 2 1", "applied 2"], "{up} {done}");
        scene.end().await;
    }
}

/// Only a person can tell whether an index whose name the server chose is the intended one.
#[tokio::test]
async fn an_index_that_is_there_is_not_built_again_beside_without_a_word() {
    let mut scene = Scene::new(&format!("{NO}CREATE INDEX CONCURRENTLY ON t (b);"), "SELECT 1;").await;
    kill(&mut scene).await;
    execute(&mut scene.db, "CREATE INDEX ON t (b)").await;
    let mut runner = scene.runner(quick()).await;
    let error = refused(&mut runner).await;
    assert_eq!(error.findings()[0].code.as_str(), "may-be-done", "{error:?}");
    runner.resolve(&Resolution::ContinueFrom(2)).await.unwrap();
    let indexes = "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass";
    assert_eq!(column(&mut scene.db, indexes).await, ["1"]);
    assert_eq!(runner.status().await.unwrap().problems.len(), 0);
    scene.end().await;
}

/// `--undo` that should run nothing stops if the statement turns out to be done.
async fn check_stopped(runner: &mut Migrator) {
    assert!(!runner.unresolved().await.unwrap().unwrap().undoing_runs(None));
    let error = runner.resolve(&Resolution::Undo).await.unwrap_err();
    let finding = &error.findings()[0];
    assert!(finding.code == "may-be-done" && finding.message.contains("turned out to be done"), "{finding:?}");
    assert!(finding.help[0].contains(&format!("`cargo xtask resolve {} --undo`", version(2))), "{finding:?}");
    let unresolved = runner.unresolved().await.unwrap().unwrap();
    assert_eq!((unresolved.unfinished.done, unresolved.undoing_runs(None)), (1, true));
}

/// A statement that the server refused does not count as done because of an object that existed before, and
/// that object is left alone.
#[tokio::test]
async fn a_refused_statement_is_not_done_and_what_was_there_before_stays() {
    let invalid = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'f'::regclass";
    let create = "CREATE INDEX CONCURRENTLY f ON t (i);";
    let there = "SELECT to_regclass('f')";
    for (before, statement, sqlstate) in [
        ("CREATE UNIQUE INDEX f ON t (b)", create, "42P07"),
        ("CREATE UNIQUE INDEX f ON k (x)", create, "42P07"),
        (&format!("CREATE INDEX f ON t (b); {invalid}"), create, "42P07"),
        ("CREATE INDEX f ON t (b)", "DROP INDEX CONCURRENTLY typo;", "42704"),
        ("CREATE INDEX f ON t (b)", "ALTER TABLE p DETACH PARTITION t CONCURRENTLY;", "42P01"),
        ("CREATE INDEX f ON t (b)", "ALTER TABLE p DETACH PARTITION typo CONCURRENTLY;", "42P01"),
    ] {
        let up = format!("{NO}CREATE TABLE x ();\n{statement}");
        let mut scene = Scene::new(&up, "DROP TABLE x;").await;
        execute(&mut scene.db, before).await;
        let mut runner = scene.runner(quick()).await;
        assert_eq!(refused(&mut runner).await.sqlstate(), Some(sqlstate), "{statement}");
        let again = runner.resolve(&Resolution::Continue).await.unwrap_err();
        assert_eq!(again.sqlstate(), Some(sqlstate), "{before} {statement}: {again:?}");
        assert_eq!(runner.unresolved().await.unwrap().unwrap().unfinished.done, 1, "{before} {statement}");
        assert_eq!(column(&mut scene.db, there).await, ["f"], "{before} {statement}");
        runner.resolve(&Resolution::Undo).await.unwrap();
        assert_eq!(column(&mut scene.db, there).await, ["f"], "{before} {statement}");
        assert_eq!(runner.status().await.unwrap().problems.len(), 0);
        scene.end().await;
    }
}

/// A run that was killed before its index was built does not mistake another index of that name for it.
#[tokio::test]
async fn an_index_from_before_is_not_what_a_killed_run_built() {
    let mut scene = Scene::new(&format!("{NO}CREATE INDEX CONCURRENTLY f ON t (i);"), "DROP INDEX f;").await;
    execute(&mut scene.db, "CREATE INDEX f ON t (b)").await;
    kill(&mut scene).await;
    let mut runner = scene.runner(quick()).await;
    runner.resolve(&Resolution::Undo).await.unwrap();
    assert_eq!(column(&mut scene.db, "SELECT to_regclass('f')").await, ["f"]);
    assert_eq!(runner.status().await.unwrap().applied.len(), 1);
    scene.end().await;
}

/// An undo that announces to run nothing does not run the down script, whatever the interrupted statement had
/// done.
#[tokio::test]
async fn undoing_does_not_run_the_down_unannounced() {
    let pending = "UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = 'p_1'::regclass";
    for (up, done, down) in [
        ("ALTER TABLE p DETACH PARTITION p_1 CONCURRENTLY;", pending, "DROP TABLE p_1;"),
        ("ALTER TABLE p DETACH PARTITION p_1 CONCURRENTLY;", "ALTER TABLE p DETACH PARTITION p_1", "DROP TABLE p_1;"),
        ("CREATE INDEX CONCURRENTLY f ON t (i);", "CREATE INDEX f ON t (i)", "DROP TABLE p_1; DROP INDEX f;"),
        ("DROP INDEX CONCURRENTLY k_x;", "DROP INDEX k_x", "DROP TABLE p_1;"),
    ] {
        let up = format!("{NO}{up}\nCREATE TABLE z ();");
        let mut scene = Scene::new(&up, &format!("DROP TABLE IF EXISTS z; {down}")).await;
        kill(&mut scene).await;
        execute(&mut scene.db, done).await;
        let mut runner = scene.runner(quick()).await;
        check_stopped(&mut runner).await;
        assert_eq!(column(&mut scene.db, "SELECT to_regclass('p_1')").await, ["p_1"], "{up}");
        assert_eq!(column(&mut scene.db, HALF).await, Vec::<String>::new(), "{up}");
        runner.resolve(&Resolution::Undo).await.unwrap();
        assert_eq!(column(&mut scene.db, "SELECT to_regclass('p_1')").await, ["NULL"], "{up}");
        assert_eq!(runner.status().await.unwrap().problems.len(), 0);
        scene.end().await;
    }
}

/// If the dropping of an index is undone halfway, the index works again.
#[tokio::test]
async fn a_half_dropped_index_is_rebuilt_before_its_dropping_counts_as_undone() {
    let valid = "SELECT indisvalid AND indisready AND indislive FROM pg_index WHERE indexrelid = 'k_x'::regclass";
    for more in
        ["SELECT 1", "UPDATE pg_index SET indisready = false, indislive = false WHERE indexrelid = 'k_x'::regclass"]
    {
        let up = format!("{NO}-- migrate: statement-timeout 500ms\nDROP INDEX CONCURRENTLY k_x;\nCREATE TABLE z ();");
        let mut scene = Scene::new(&up, "CREATE INDEX k_x ON k (x);").await;
        let mut old = connect(&scene.database).await;
        execute(&mut old, "BEGIN; SELECT FROM k").await;
        let mut runner = scene.runner(quick()).await;
        let error = refused(&mut runner).await;
        check_told(&mut scene, &error, "k_x").await;
        assert!(error.findings()[0].notes.join("\n").contains("half dropped"), "{error:?}");
        execute(&mut scene.db, more).await;
        // As long as somebody blocks it, it stays unfinished.
        execute(&mut old, "LOCK TABLE k IN SHARE MODE").await;
        let error = runner.resolve(&Resolution::Undo).await.unwrap_err();
        assert!(error.findings()[0].notes.join("\n").contains("nothing was recorded"), "{error:?}");
        assert!(runner.unresolved().await.unwrap().is_some());
        execute(&mut old, "ROLLBACK").await;
        runner.resolve(&Resolution::Undo).await.unwrap();
        assert_eq!(column(&mut scene.db, valid).await, ["t"], "{more}");
        assert_eq!(column(&mut scene.db, HALF).await, Vec::<String>::new(), "{more}");
        let status = runner.status().await.unwrap();
        assert_eq!((status.problems.len(), status.applied.len()), (0, 1), "{more}");
        scene.end().await;
    }
}

/// Writes the events of a runner that was killed at the first statement of the second migration.
async fn kill(scene: &mut Scene) {
    scene.runner(quick()).await.run(&Target::Up(1), Policy::default()).await.unwrap();
    let checksum = scene.chain.set().get(&version(2)).unwrap().up_checksum().to_string();
    let row = format!(
        "INSERT INTO roundtrip.ledger (id, event, direction, version, name, up_checksum, batch, tool) \
         VALUES (2, 'started', 'up', '{}', 'work', '{checksum}', 2, 'killed')",
        version(2)
    );
    execute(&mut scene.db, &row).await;
}
