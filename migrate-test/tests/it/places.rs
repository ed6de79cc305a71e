//! The location of an error: whatever ran before it and however the script is sent, the file, the line, the
//! column and the number of the statement are correct, and nothing else is blamed.

use migrate_base::finding::Finding;
use migrate_core::runner::{Rehearsal, Resolution};
use migrate_core::{CodeMigrations, Database, Direction, Error, Migrator, RunPolicy, RunReport, Target};
use migrate_test::TestDatabase;

use crate::support::{ChainFolder, migrator, quick, version};

/// A script that fails, the location (line, column), and the number of the statement.
const SCRIPTS: [(&str, (usize, usize), &str); 19] = [
    ("SELECT 1;\nCREATE TABEL x ();\nSELECT 2;\n", (2, 8), "2 of 3"),
    ("CREATE TABEL x ();", (1, 8), "1 of 1"),
    ("SELECT 1 +;\nSELECT 2;", (1, 11), "1 of 2"),
    ("SELECT 1;\nSELECT 2;\nSELECT ${x};\n", (3, 8), "3 of 3"),
    ("SELECT {{x}};", (1, 8), "1 of 1"),
    ("SELECT 1;\nSELECT :x;", (2, 8), "2 of 2"),
    // As an editor counts: the byte order mark is not a column, and a line ends with one or two characters.
    ("\u{feff}SELEC 1;", (1, 1), "1 of 1"),
    ("\u{feff}-- ü\r\nSELECT 'ä€😀', 1;\r\n\r\nSELECT 'ä', 2 FROM;\r\n", (4, 19), "2 of 2"),
    ("SELECT '😀',\r\n  'äöü', nope;\r\n", (2, 10), "1 of 1"),
    ("-- a\n/* b; */ SELECT 1; /* c */ SELECT\n  nope;", (3, 3), "2 of 2"),
    // If the server reports no position, the statement is named.
    ("SELECT 1;\nSELECT 1/0;", (2, 1), "2 of 2"),
    // In a DO block: the position from the server, what can be found from it, or nothing if the query comes
    // from elsewhere.
    ("SELECT 1;\nDO $$ BEGIN\n  SELEC 1;\nEND $$;", (3, 3), "2 of 2"),
    ("SELECT 1;\nDO $x$ BEGIN\n  UPDATE nix SET n = 'ü';\nEND $x$;", (3, 10), "2 of 2"),
    ("SELECT 1;\nDO $$ BEGIN\n  UPDATE nix SET n = 1;\n  UPDATE nix SET n = 1;\nEND $$;", (2, 1), "2 of 2"),
    ("SELECT 1;\nCREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN\n  SELEC 1;\nEND $$;", (3, 3), "2 of 2"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$\n  SELECT 'ü', nope;\n$$;", (2, 15), "1 of 1"),
    ("SELECT 1;\nDO $$ BEGIN\n  RAISE EXCEPTION 'no';\nEND $$;", (2, 1), "2 of 2"),
    ("SELECT 1; -- UPDATE elsewhere SET n = 1\nSELECT broken();", (2, 1), "2 of 2"),
    ("SELECT 1;\nDO $$ BEGIN\n  -- UPDATE elsewhere SET n = 1\n  PERFORM broken();\nEND $$;", (2, 1), "2 of 2"),
];

const GOOD: (&str, &str) = (
    "CREATE FUNCTION broken() RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE elsewhere SET n = 1; END $$;",
    "DROP FUNCTION broken();",
);

/// Checks the location that an error names.
#[track_caller]
fn check(error: &Error, (line, column): (usize, usize), count: &str, file: &str, how: &str) {
    let finding: &Finding = &error.findings()[0];
    let place = finding.place.as_ref().unwrap_or_else(|| panic!("{how}: {finding:?}"));
    assert_eq!(place.line_column(), Some((line, column)), "{how}: {finding:?}");
    assert!(place.path().to_string_lossy().ends_with(file), "{how}: {place}");
    let notes = finding.notes.join("\n");
    assert!(notes.contains(&format!("statement {count} of ")), "{how}: {notes}");
    assert!(!notes.contains("kept data"), "{how}: {notes}");
}

async fn refused(runner: &mut Migrator, target: &Target) -> Error {
    runner.run(target, RunPolicy::default()).await.unwrap_err()
}

/// The script without a transaction, with its location in that form.
fn apart(script: &str, (line, column): (usize, usize)) -> (String, (usize, usize)) {
    let mark = if script.starts_with('\u{feff}') { "\u{feff}" } else { "" };
    let rest = script.trim_start_matches('\u{feff}');
    (format!("{mark}-- migrate: no-transaction\n{rest}"), (line + 1, column))
}

#[tokio::test]
async fn an_error_is_shown_at_its_place_whichever_way_the_script_is_sent() {
    for (script, place, count) in SCRIPTS {
        let (alone, alone_place) = apart(script, place);
        let database = TestDatabase::create().await.unwrap();
        let up = |script: &str| {
            ChainFolder::new(&[
                (1, "good", GOOD.0, GOOD.1),
                (2, "bad", script, "SELECT 1;"),
                (3, "next", "SELECT 1;", "SELECT 1;"),
            ])
        };
        let chain = up(script);
        let how = |what: &str| format!("{what}: {script}");

        // With another migration before it in the message, and as the first pending migration.
        let mut runner = migrator(&database, &chain, quick()).await;
        let file = format!("{}_bad.up.sql", version(2));
        check(&refused(&mut runner, &Target::Latest).await, place, count, &file, &how("after another"));
        check(&refused(&mut runner, &Target::Latest).await, place, count, &file, &how("the first"));
        check(&refused(&mut runner, &Target::Up(1)).await, place, count, &file, &how("the only one"));

        // One by one.
        let stepwise = up(&alone);
        let mut runner = migrator(&database, &stepwise, quick()).await;
        check(&refused(&mut runner, &Target::Latest).await, alone_place, count, &file, &how("without a transaction"));
        if runner.unresolved().await.unwrap().is_some() {
            runner.resolve(&Resolution::RolledBack("nothing was made".into())).await.unwrap();
        }

        // On the way down, with and without keeping data.
        let down = ChainFolder::new(&[(1, "good", GOOD.0, GOOD.1), (2, "bad", "SELECT 1;", script)]);
        let mut runner = migrator(&database, &down, quick()).await;
        runner.run(&Target::Latest, RunPolicy::default()).await.unwrap();
        let file = format!("{}_bad.down.sql", version(2));
        check(&refused(&mut runner, &Target::Down(1)).await, place, count, &file, &how("down"));
        let keeping = migrate_core::Options { keep_data: true, ..quick() };
        let mut runner = migrator(&database, &down, keeping).await;
        check(&refused(&mut runner, &Target::Down(2)).await, place, count, &file, &how("down with kept data"));

        rehearse(&database, &chain, place, count, &how("rehearsed")).await;
        rehearse(&database, &stepwise, alone_place, count, &how("rehearsed apart")).await;
        database.drop_now().await.unwrap();
    }
}

/// The same on a shadow database: one migration after the other, and in a bundle.
async fn rehearse(database: &TestDatabase, chain: &ChainFolder, place: (usize, usize), count: &str, how: &str) {
    let set = chain.set();
    let all: Vec<_> = set.iter().cloned().collect();
    let file = format!("{}_bad.up.sql", version(2));
    let mut rehearsal = Rehearsal::open(Database::from(database.options()), CodeMigrations::none()).await.unwrap();
    check(&rehearsal.run(&all[1], Direction::Up).await.unwrap_err(), place, count, &file, how);
    check(&rehearsal.climb(&all[1..]).await.unwrap_err(), place, count, &file, how);
    rehearsal.close().await;
}

/// A text that the server cannot even parse has no position: the migration is identified anyway, and the
/// migrations before it run.
#[tokio::test]
async fn a_text_that_the_server_cannot_read_is_found_among_others() {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[
        (1, "good", "CREATE TABLE good ();", "DROP TABLE good;"),
        (2, "bad", "SELECT 1;\nSELECT E'\\xff';", "SELECT 1;"),
        (3, "next", "SELECT 1;", "SELECT 1;"),
    ]);
    let mut runner = migrator(&database, &chain, quick()).await;
    let error = refused(&mut runner, &Target::Latest).await;
    let finding = &error.findings()[0];
    assert_eq!(RunReport::of(&error).unwrap().done.len(), 1, "{finding:?}");
    assert!(finding.place.as_ref().unwrap().path().ends_with(format!("{}_bad.up.sql", version(2))), "{finding:?}");
    assert!(!finding.notes.join("\n").contains("kept data"), "{finding:?}");
    database.drop_now().await.unwrap();
}
