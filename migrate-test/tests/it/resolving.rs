//! Resolving an unfinished migration: the user is asked what may have been done, what is not done is not
//! undone, and what is running is left alone.

use std::time::Duration;

use migrate_core::runner::Resolution;
use migrate_core::{CancelHandle, Direction, Error, ErrorKind, Migrator, Options, RunPolicy, Target};
use migrate_test::TestDatabase;
use sqlx::PgConnection;

use crate::support::{ChainFolder, column, connect, events, execute, listening, migrator, quick, version};

const NO: &str = "-- migrate: no-transaction\n";

struct ResolveScene {
    database: TestDatabase,
    chain: ChainFolder,
    db: PgConnection,
}

impl ResolveScene {
    /// A table `log`, and a migration that is not applied.
    async fn new(up: &str, down: &str) -> Self {
        let first = "CREATE TABLE log (n int); CREATE PROCEDURE work() LANGUAGE plpgsql AS \
             $$ BEGIN INSERT INTO log VALUES (2); COMMIT; INSERT INTO log VALUES (3); END $$;";
        let up = format!("{NO}{up}");
        let chain =
            ChainFolder::new(&[(1, "log", first, "DROP PROCEDURE work; DROP TABLE log;"), (2, "work", &up, down)]);
        let database = TestDatabase::create().await.unwrap();
        let db = connect(&database).await;
        let scene = Self { database, chain, db };
        scene.runner().await.run(&Target::Up(1), RunPolicy::default()).await.unwrap();
        scene
    }

    async fn runner(&self) -> Migrator {
        migrator(&self.database, &self.chain, quick()).await
    }

    /// Writes the events of a runner that was killed after this many statements of the second migration.
    async fn kill(&mut self, done: usize) {
        let checksum = self.chain.set().get(&version(2)).unwrap().up_checksum().to_string();
        let row = |id: usize, event: &str, statement: &str| {
            format!(
                "INSERT INTO roundtrip.ledger (id, event, direction, version, name, statement, up_checksum, batch, tool) \
                 VALUES ({id}, '{event}', 'up', '{}', 'work', {statement}, '{checksum}', 2, 'killed');",
                version(2)
            )
        };
        let progress = (1..=done).map(|n| row(n + 2, "progress", &n.to_string()));
        let rows: String = [row(2, "started", "NULL")].into_iter().chain(progress).collect();
        execute(&mut self.db, &rows).await;
    }

    async fn log(&mut self) -> Vec<String> {
        column(&mut self.db, "SELECT n FROM log ORDER BY n").await
    }

    async fn end(self) {
        self.database.drop_now().await.unwrap();
    }
}

async fn resolved(scene: &ResolveScene, resolution: Resolution) -> Result<(), Error> {
    scene.runner().await.resolve(&resolution).await.map(drop)
}

fn code(outcome: Result<(), Error>) -> &'static str {
    outcome.unwrap_err().findings()[0].code.as_str()
}

/// A `CALL` or a `DO` that commits is neither run again nor skipped before somebody has said whether it was
/// done.
#[tokio::test]
async fn what_commits_by_itself_is_asked_for() {
    let block = "DO $$ BEGIN INSERT INTO log VALUES (2); COMMIT; INSERT INTO log VALUES (3); END $$;";
    let nested = "DO $$ BEGIN CALL work(); END $$;";
    for statement in ["CALL work();", block, nested] {
        let up = format!("INSERT INTO log VALUES (1);\n{statement}\nINSERT INTO log VALUES (4);");
        for (resolution, expected) in [
            (Resolution::ContinueFrom(2), &["1", "2", "3", "4"][..]),
            (Resolution::ContinueFrom(3), &["1", "4"]),
            (Resolution::ContinueFrom(4), &["1"]),
        ] {
            let mut scene = ResolveScene::new(&up, "DELETE FROM log;").await;
            execute(&mut scene.db, "INSERT INTO log VALUES (1)").await;
            scene.kill(1).await;
            let error = scene.runner().await.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
            assert_eq!(error.findings()[0].code.as_str(), "unfinished", "{statement}");
            let unresolved = scene.runner().await.unresolved().await.unwrap().unwrap();
            assert_eq!(unresolved.uncertain, Some(2), "{statement}");
            let error = scene.runner().await.resolve(&Resolution::Continue).await.unwrap_err();
            let finding = &error.findings()[0];
            assert_eq!(finding.code.as_str(), "may-be-done");
            assert_eq!(finding.place.as_ref().unwrap().line_column(), Some((3, 1)));
            for from in [2, 3] {
                let hint = format!("`cargo xtask resolve {} --continue --from {from}`", version(2));
                assert!(finding.help.iter().any(|help| help.contains(&hint)), "{finding:?}");
            }
            assert_eq!(code(resolved(&scene, Resolution::Undo).await), "may-be-done");
            for from in [0, 1, 5] {
                assert_eq!(code(resolved(&scene, Resolution::ContinueFrom(from)).await), "resolve-from");
            }
            assert_eq!(scene.log().await, ["1"], "{statement}: nothing was run");
            resolved(&scene, resolution).await.unwrap();
            assert_eq!(scene.log().await, expected, "{statement}");
            assert_eq!(scene.runner().await.status().await.unwrap().problems.len(), 0);
            scene.end().await;
        }
    }
}

/// If nothing was done there is nothing to undo: the down script would fail on missing objects.
#[tokio::test]
async fn undoing_nothing_runs_nothing() {
    for down in ["DROP TABLE made;".to_owned(), format!("{NO}DROP TABLE made;")] {
        for (up, resolution) in [
            ("CREATE TABLE made ();\nSELECT 1;", Resolution::Undo),
            ("CALL work();\nCREATE TABLE made ();", Resolution::UndoFrom(1)),
            ("SET search_path = public;\nCREATE TABLE made ();", Resolution::UndoFrom(2)),
        ] {
            let mut scene = ResolveScene::new(up, &down).await;
            scene.kill(usize::from(resolution == Resolution::UndoFrom(2))).await;
            resolved(&scene, resolution).await.unwrap();
            let events = events(&mut scene.db).await;
            assert_eq!((&events[1], events.last().unwrap()), (&"started 2".into(), &"resolved 2".into()), "{up}");
            let status = scene.runner().await.status().await.unwrap();
            assert_eq!((status.applied.len(), status.pending.len(), status.problems.len()), (1, 1, 0));
            scene.end().await;
        }
    }
}

/// A rollback that fails leaves a single state: as unfinished as before if nothing of it was kept, and
/// otherwise a rollback that can only be continued.
#[tokio::test]
async fn a_way_back_that_fails_leaves_one_state() {
    let up = "CREATE TABLE a ();\nCREATE TABLE b ();\nSELECT 1/0;\nCREATE TABLE c ();";
    for down in [
        "DROP TABLE c;\nDROP TABLE b;\nDROP TABLE a;".to_owned(),
        format!("{NO}DROP TABLE c;\nDROP TABLE b;\nDROP TABLE a;"),
    ] {
        let mut scene = ResolveScene::new(up, &down).await;
        assert!(scene.runner().await.run(&Target::Latest, RunPolicy::default()).await.is_err());
        let before = scene.runner().await.unresolved().await.unwrap().unwrap().unfinished;
        for _ in 0..2 {
            let error = scene.runner().await.resolve(&Resolution::Undo).await.unwrap_err();
            assert_eq!(error.sqlstate(), Some("42P01"), "{error:?}");
            let after = scene.runner().await.unresolved().await.unwrap().unwrap().unfinished;
            assert_eq!(
                (after.direction, after.done, after.failed),
                (Direction::Up, 2, before.failed.clone()),
                "{down}"
            );
            assert_eq!(after.up_checksum, before.up_checksum, "{down}");
        }
        assert_eq!(scene.runner().await.state().await.unwrap().applied().count(), 1, "{down}");
        // The cause is removed, and the same command completes it.
        execute(&mut scene.db, "CREATE TABLE c ()").await;
        resolved(&scene, Resolution::Undo).await.unwrap();
        let status = scene.runner().await.status().await.unwrap();
        assert_eq!((status.applied.len(), status.problems.len()), (1, 0), "{down}");
        scene.end().await;
    }
    let mut scene = ResolveScene::new(up, &format!("{NO}DROP TABLE b;\nDROP TABLE c;\nDROP TABLE a;")).await;
    assert!(scene.runner().await.run(&Target::Latest, RunPolicy::default()).await.is_err());
    assert!(resolved(&scene, Resolution::Undo).await.is_err());
    let undo = scene.runner().await.unresolved().await.unwrap().unwrap().unfinished;
    assert_eq!((undo.direction, undo.done, undo.undoes), (Direction::Down, 1, Some(2)));
    assert_eq!(code(resolved(&scene, Resolution::Undo).await), "no-way-back", "the whole up would run on half of it");
    execute(&mut scene.db, "CREATE TABLE c ()").await;
    resolved(&scene, Resolution::Continue).await.unwrap();
    assert_eq!(column(&mut scene.db, "SELECT to_regclass('a')").await, ["NULL"]);
    assert_eq!(scene.runner().await.status().await.unwrap().problems.len(), 0);
    scene.end().await;
}

/// A file that is corrected after some of its statements are done is not the file that was started: the advice
/// says what works.
#[tokio::test]
async fn a_statement_to_correct_is_corrected_after_an_undo() {
    for (wrong, says) in [("SELEC 1;", "undo what is done"), ("SELECT 1 FROM typo;", "create what it depends on")] {
        let scene = ResolveScene::new(&format!("CREATE TABLE a ();\n{wrong}"), "DROP TABLE a;").await;
        let error = scene.runner().await.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
        let help = error.findings()[0].help.join("\n");
        let undo = format!("`cargo xtask resolve {} --undo`", version(2));
        assert!(help.contains(&undo) && help.contains(says) && !help.contains("run the command again"), "{help}");
        // A run does not continue with a corrected file, and the advice is not the command that was just tried.
        scene.chain.write(2, "work", &format!("{NO}CREATE TABLE a ();\nSELECT 1;"), "DROP TABLE a;");
        let error = resolved(&scene, Resolution::Continue).await.unwrap_err();
        let finding = &error.findings()[0];
        assert_eq!(finding.code.as_str(), "changed-since");
        assert!(finding.help[0].contains("restore the file") && !finding.help.join("").contains("--continue"));
        resolved(&scene, Resolution::Undo).await.unwrap();
        scene.runner().await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
        scene.end().await;
    }
}

/// While a run is active, other runs report who it is, and nobody may resolve its migration.
#[tokio::test]
async fn what_is_running_is_not_called_interrupted() {
    let up = "INSERT INTO log VALUES (1);\nCALL wait();\nINSERT INTO log VALUES (2);";
    let mut scene = ResolveScene::new(up, "DELETE FROM log;").await;
    // It waits until this session releases the lock.
    let gate = "CREATE TABLE gate (); CREATE PROCEDURE wait() LANGUAGE plpgsql SET lock_timeout = 0 AS \
        $$ BEGIN LOCK TABLE gate; END $$;";
    execute(&mut scene.db, gate).await;
    execute(&mut scene.db, "BEGIN; LOCK TABLE gate;").await;
    let mut eyes = connect(&scene.database).await;
    let mut runner = scene.runner().await;
    let work = tokio::spawn(async move { runner.run(&Target::Latest, RunPolicy::default()).await });
    let waits = "SELECT 1 FROM pg_locks WHERE relation = 'gate'::regclass AND NOT granted";
    while column(&mut eyes, waits).await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let status = scene.runner().await.status().await.unwrap();
    let problem = &status.problems[0];
    assert_eq!((problem.code.as_str(), status.problems.len()), ("running", 1));
    let notes = problem.notes.join("\n");
    assert!(notes.contains("statement 2 of 3") && notes.contains("pid ") && notes.contains("role postgres"), "{notes}");
    // Nobody is advised to use `resolve`, which refuses, before the run is stopped.
    assert!(problem.help[0].starts_with("wait until it has finished"), "{problem:?}");
    let early = problem.help.iter().find(|help| help.contains("resolve") && !help.contains("pg_cancel_backend"));
    assert_eq!(early, None);
    let error = scene.runner().await.run(&Target::Down(1), RunPolicy::default()).await.unwrap_err();
    assert_eq!(error.findings()[0].code.as_str(), "running", "{error:?}");
    // Another run in the same direction waits, and finds nothing left to do.
    let (ear, options) = listening();
    let mut other = migrator(&scene.database, &scene.chain, options).await;
    let waiting = tokio::spawn(async move { other.run(&Target::Latest, RunPolicy::default()).await });
    while !ear.heard().iter().any(|heard| heard.starts_with("waiting for")) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for resolution in
        [Resolution::Continue, Resolution::Undo, Resolution::ContinueFrom(2), Resolution::Applied("x".into())]
    {
        assert_eq!(code(resolved(&scene, resolution).await), "running");
    }
    execute(&mut scene.db, "COMMIT").await;
    work.await.unwrap().unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().done, []);
    assert_eq!(scene.log().await, ["1", "2"]);
    assert_eq!(scene.runner().await.status().await.unwrap().problems.len(), 0);
    scene.end().await;
}

/// If there is no rollback, that is reported before anything unfinished is removed.
#[tokio::test]
async fn without_a_way_back_nothing_is_touched() {
    let scene = ResolveScene::new("SELECT 1;", "SELECT 1;").await;
    let up = "INSERT INTO log VALUES (1), (1);\nCREATE UNIQUE INDEX CONCURRENTLY half ON log (n);";
    scene.chain.write(2, "work", &format!("-- migrate: irreversible it is not\n{NO}{up}"), "");
    std::fs::remove_file(scene.chain.path().join(format!("{}_work.down.sql", version(2)))).unwrap();
    scene.runner().await.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    assert_eq!(code(resolved(&scene, Resolution::Undo).await), "no-way-back");
    let mut db = connect(&scene.database).await;
    assert_eq!(column(&mut db, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'half'::regclass").await, ["f"]);
    scene.end().await;
}

/// Removing an unfinished index waits for all users of the table, and this wait can be interrupted.
#[tokio::test]
async fn bringing_something_to_an_end_can_be_interrupted() {
    let up = "INSERT INTO log VALUES (1), (1);\nCREATE UNIQUE INDEX CONCURRENTLY half ON log (n);";
    let mut scene = ResolveScene::new(up, "DROP INDEX half;").await;
    scene.runner().await.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    let mut user = connect(&scene.database).await;
    execute(&mut user, "BEGIN; SELECT FROM log").await;
    let cancel = CancelHandle::new();
    let options = Options { cancel: cancel.clone(), ..quick() };
    let mut runner = migrator(&scene.database, &scene.chain, options).await;
    let press = async {
        let waits = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'DROP INDEX CONCURRENTLY%' \
                     AND wait_event_type = 'Lock' AND datname = current_database()";
        while column(&mut scene.db, waits).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cancel.cancel();
    };
    let both = async { tokio::join!(runner.resolve(&Resolution::Continue), press).0 };
    let outcome = tokio::time::timeout(Duration::from_secs(20), both).await.expect("it cannot be interrupted");
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
    execute(&mut user, "COMMIT").await;
    scene.end().await;
}
