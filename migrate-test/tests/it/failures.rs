//! SQL that fails: which statement, where in the file, why, and what was kept.

use std::fs;
use std::time::Duration;

use migrate_core::{
    CodeMigrations, Database, ErrorKind, MigrationSet, Migrator, Options, RunPolicy, RunReport, Target,
};
use migrate_test::TestDatabase;
use rstest::rstest;

use crate::support::{ChainFolder, connect, events, execute, migrator, quick, version};

/// Runs a chain whose second migration has this up script; returns code, line:column and notes.
async fn failure(up: &str) -> (String, Vec<String>, Vec<String>) {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[
        (1, "good", "CREATE TABLE good (id int PRIMARY KEY);", "DROP TABLE good;"),
        (2, "bad", up, "SELECT 1;"),
        (3, "after", "CREATE TABLE after ();", "DROP TABLE after;"),
    ]);
    let mut runner = migrator(&database, &chain, quick()).await;
    let error = runner.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    let finding = &error.findings()[0];
    let (line, column) = finding.place.as_ref().unwrap().line_column().unwrap();
    let place = finding.place.as_ref().unwrap();
    assert!(place.path().ends_with(format!("{}_bad.up.sql", version(2))), "{place}");
    assert_eq!(error.kind(), ErrorKind::Statement);
    assert_eq!(RunReport::of(&error).unwrap().done.len(), 1, "the good one is kept");
    let mut db = connect(&database).await;
    assert_eq!(events(&mut db).await, ["applied 1"]);
    // Once more: a failure leaves nothing behind that the next attempt fails on.
    let again = runner.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    assert_eq!(again.findings()[0].message, finding.message);
    database.drop_now().await.unwrap();
    (format!("{line}:{column} {}", finding.message), finding.notes.clone(), finding.help.clone())
}

#[tokio::test]
async fn a_syntax_error_in_the_middle_of_a_message_is_pointed_at() {
    let (text, notes, _) = failure("-- ü\nCREATE TABLE x (id int);\nCREATE TABEL y ();\n").await;
    assert_eq!(text, "3:8 syntax error at or near \"TABEL\"");
    assert!(notes.iter().any(|note| note == "SQLSTATE 42601"), "{notes:?}");
}

#[tokio::test]
async fn an_unknown_column_is_pointed_at() {
    let (text, notes, _) = failure("SELECT 1;\n\nSELECT id,\n       nmae FROM good;\n").await;
    assert_eq!(text, "4:8 column \"nmae\" does not exist");
    assert!(notes.iter().any(|note| note.starts_with("statement 2 of 2 of migration")), "{notes:?}");
}

#[tokio::test]
async fn line_seven_of_twelve_is_named_also_where_the_server_has_no_position() {
    let lines: Vec<String> =
        (1..=12).map(|n| if n == 7 { "SELECT 1/0;".into() } else { format!("SELECT {n};") }).collect();
    let (text, notes, _) = failure(&lines.join("\n")).await;
    assert_eq!(text, "7:1 division by zero");
    assert!(notes.iter().any(|note| note.starts_with("statement 7 of 12")), "{notes:?}");
}

#[tokio::test]
async fn an_object_that_is_there_already_is_explained() {
    let (text, notes, help) = failure("SELECT 1;\nCREATE TABLE good ();\n").await;
    assert_eq!(text, "2:1 relation \"good\" already exists");
    assert!(!notes.iter().any(|note| note.contains("outside the migrations")), "the chain made it: {notes:?}");
    assert!(help.iter().any(|help| help.contains("already exists")), "{help:?}");
}

/// A column that the statement itself adds cannot be filled before it.
#[rstest]
#[case("ALTER TABLE good ADD COLUMN e int NOT NULL;", "give it a DEFAULT")]
#[case("ALTER TABLE good ADD x int, ADD IF NOT EXISTS \"e E\" int NOT NULL;", "give it a DEFAULT")]
#[case("ALTER TABLE good ADD e int;\nALTER TABLE good ALTER e SET NOT NULL;", "UPDATE … SET … WHERE … IS NULL")]
#[tokio::test]
async fn a_column_that_requires_values_is_advised_on(#[case] up: &str, #[case] advice: &str) {
    let (_, _, help) = failure(&format!("INSERT INTO good VALUES (1);\n{up}")).await;
    assert!(help.iter().any(|help| help.contains(advice)), "{help:?}");
}

#[tokio::test]
async fn a_deferred_constraint_fails_with_its_migration() {
    let up =
        "CREATE TABLE child (id int REFERENCES good DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO child VALUES (1);\n";
    let (text, notes, _) = failure(up).await;
    assert!(text.contains("violates foreign key constraint"), "{text}");
    assert!(notes.iter().any(|note| note.contains("deferred constraints")), "{notes:?}");
}

#[tokio::test]
async fn an_error_inside_a_function_tells_where_it_was() {
    let (text, notes, _) = failure("SELECT 1;\nDO $$ BEGIN\n  RAISE EXCEPTION 'no';\nEND $$;\n").await;
    assert_eq!(text, "2:1 no");
    assert!(notes.iter().any(|note| note.contains("PL/pgSQL")), "{notes:?}");
}

#[test]
fn every_problem_of_a_folder_is_reported_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("20250101000001_a.up.sql", b"BEGIN;\nSELECT 1;\nCOMMIT;");
    write("20250101000001_a.down.sql", b"\\restrict x\nSELECT 'a\n");
    write("20250101000002_b.up.sql", b"SELECT 1;\nCOPY t FROM stdin;\n1\t'x\n\\.\n");
    write("20250101000003_c.up.sql", b"-- migrate: no-transactoin\nVACUUM;");
    write("20250101000003_c.down.sql", b"-- only a comment\n");
    write("20250101000003_d.up.sql", b"SELECT 1;");
    write("20250101000004_e.down.sql", b"SELECT 1;");
    write("20250101000005_f.up.sql", b"SELECT '\xff';");
    write("2025_x.up.sql", b"SELECT 1;");
    write("notes.txt", b"");
    write(".hidden", b"");
    let error = MigrationSet::load(folder.path()).unwrap_err();
    let mut found: Vec<String> = error
        .findings()
        .iter()
        .map(|finding| {
            let place = finding.place.as_ref().unwrap();
            let name = place.path().file_name().unwrap().to_string_lossy().into_owned();
            let at = place.line_column().map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
            assert!(!finding.help.is_empty(), "{finding}");
            format!("{name}{at} {}", finding.code.as_str())
        })
        .collect();
    found.sort();
    let expected = [
        "20250101000001_a.down.sql:1:1 meta-command",
        "20250101000001_a.down.sql:2:8 unterminated-quote",
        "20250101000001_a.up.sql:1:1 transaction-control",
        "20250101000001_a.up.sql:3:1 transaction-control",
        "20250101000002_b.up.sql down-missing",
        "20250101000002_b.up.sql:2:1 copy-client",
        "20250101000003_c.down.sql file-empty",
        "20250101000003_c.up.sql:1:1 directive-unknown",
        "20250101000003_c.up.sql:2:1 needs-no-transaction",
        "20250101000003_d.up.sql version-twice",
        "20250101000004_e.down.sql up-missing",
        "20250101000005_f.up.sql:1:9 file-encoding",
        "2025_x.up.sql file-name",
        "notes.txt file-name",
    ];
    assert_eq!(found, expected);
}

/// A unique violation in the user's script is reported with its file, and never mistaken for another run that
/// was faster.
#[rstest]
#[case::deferred_key(
    "CREATE TABLE u (n int CONSTRAINT u_n UNIQUE DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO u VALUES (1), (1);",
    "at the end of"
)]
#[case::statement("CREATE TABLE u (n int UNIQUE);\nINSERT INTO u VALUES (1), (1);", "statement 2 of 2")]
#[case::constraint_trigger(
    "CREATE TABLE u (n int);\nCREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN RAISE unique_violation USING MESSAGE = 'duplicate key value'; END $$;\n\
     CREATE CONSTRAINT TRIGGER no AFTER INSERT ON u DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no();\n\
     INSERT INTO u VALUES (1);",
    "at the end of"
)]
#[case::apart_at_commit(
    "-- migrate: no-transaction\nCREATE TABLE u (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO u VALUES (1), (1);",
    "statement 2 of 2"
)]
#[case::apart_first("-- migrate: no-transaction\nINSERT INTO good VALUES (1), (1);", "statement 1 of 1")]
#[case::another_ledger(
    "CREATE SCHEMA other;\nCREATE TABLE other.ledger (id int CONSTRAINT ledger_pkey PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);\n\
     INSERT INTO other.ledger VALUES (1), (1);",
    "at the end of"
)]
#[tokio::test]
async fn a_unique_violation_of_the_users_is_the_users(#[case] up: &str, #[case] place: &str) {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[
        (1, "good", "CREATE TABLE good (id int PRIMARY KEY);", "DROP TABLE good;"),
        (2, "bad", up, "SELECT 1;"),
    ]);
    let mut runner = migrator(&database, &chain, quick()).await;
    let run = runner.run(&Target::Latest, RunPolicy::default());
    let error = tokio::time::timeout(std::time::Duration::from_secs(20), run).await.expect("it is tried for ever");
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.sqlstate()), (ErrorKind::Statement, Some("23505")), "{error:?}");
    let finding = &error.findings()[0];
    assert!(finding.notes.iter().any(|note| note.contains(place)), "{place}: {finding:?}");
    let shown = finding.place.as_ref().unwrap();
    assert!(shown.path().ends_with(format!("{}_bad.up.sql", version(2))), "{shown}");
    database.drop_now().await.unwrap();
}

/// Somebody writes to the ledger without the lock, so a run finds that its row already exists: the run reports
/// a stale plan, and it ends too.
#[tokio::test]
async fn a_row_of_the_ledger_that_is_taken_makes_a_plan_stale_and_is_not_tried_for_ever() {
    let database = TestDatabase::create().await.unwrap();
    let insert = "INSERT INTO roundtrip.ledger (id, event, batch, tool) SELECT max(id) + 1, 'observed', 1, 'x' FROM roundtrip.ledger;";
    let chain =
        ChainFolder::new(&[(1, "good", "CREATE TABLE good ();", "DROP TABLE good;"), (2, "bad", insert, "SELECT 1;")]);
    let mut runner = migrator(&database, &chain, quick()).await;
    let run = runner.run(&Target::Latest, RunPolicy::default());
    let error = tokio::time::timeout(std::time::Duration::from_secs(20), run).await.expect("it is tried for ever");
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Stale);
    let error = runner.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stale, "the next one finds it taken too");
    database.drop_now().await.unwrap();
}

/// A role for this test, and the address with which it logs in.
async fn role(database: &TestDatabase, rights: &str) -> (String, Database) {
    let name = format!("role_of_{}", database.name());
    let mut db = connect(database).await;
    execute(&mut db, &format!("CREATE ROLE {name} LOGIN PASSWORD 'x'; {}", rights.replace("ROLE", &name))).await;
    let options = database.options().username(&name).password("x");
    (name, Database::from(options))
}

/// What a role is refused, as the finding of a run.
async fn refused_to(database: Database, chain: &ChainFolder) -> migrate_base::finding::Finding {
    let opened = Migrator::open(database, chain.set(), CodeMigrations::none(), quick()).await;
    let error = match opened {
        Ok(mut runner) => runner.run(&Target::Latest, RunPolicy::default()).await.unwrap_err(),
        Err(error) => error,
    };
    error.findings()[0].clone()
}

#[tokio::test]
async fn every_right_that_a_role_lacks_is_named_with_the_statement_that_grants_it() {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[(1, "a", "CREATE TABLE a (id int);", "DROP TABLE a;")]);
    migrator(&database, &chain, quick()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    chain.write(2, "b", "CREATE TABLE private.b (id int);", "DROP TABLE private.b;");
    let (name, address) = role(&database, "CREATE SCHEMA private;").await;
    let mut db = connect(&database).await;
    let both = refused_to(address.clone(), &chain).await;
    let grant = format!("GRANT USAGE ON SCHEMA roundtrip TO {name}; GRANT SELECT ON roundtrip.ledger TO {name};");
    assert!(both.help.iter().any(|help| help.ends_with(&grant)), "{both:?}");
    execute(&mut db, &grant).await;
    let write = refused_to(address.clone(), &chain).await;
    let grant = format!("GRANT INSERT ON roundtrip.ledger TO {name};");
    assert!(write.code == "ledger-unwritable" && write.help.iter().any(|help| help.ends_with(&grant)), "{write:?}");
    execute(&mut db, &grant).await;
    let schema = refused_to(address, &chain).await;
    let grant = format!("GRANT USAGE, CREATE ON SCHEMA private TO {name};");
    assert!(schema.help.iter().any(|help| help.ends_with(&grant)), "{schema:?}");
    assert!(schema.notes.iter().any(|note| note.contains(&name)), "{schema:?}");
    execute(&mut db, &format!("DROP OWNED BY {name}; DROP ROLE {name};")).await;
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_told_before_anything_is_taken() {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[(1, "a", "CREATE TABLE a (id int);", "DROP TABLE a;")]);
    let mut db = connect(&database).await;
    execute(&mut db, &format!("ALTER DATABASE {} SET default_transaction_read_only TO on", database.name())).await;
    let refused = refused_to(Database::from(database.options()), &chain).await;
    assert_eq!(refused.code, "read-only", "{refused:?}");
    assert!(refused.notes[0].contains("default_transaction_read_only"), "{refused:?}");
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_statement_timeout_that_ends_the_wait_for_a_lock_says_so() {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[(1, "a", "CREATE TABLE a (id int);", "DROP TABLE a;")]);
    migrator(&database, &chain, quick()).await.run(&Target::Latest, RunPolicy::default()).await.unwrap();
    chain.write(2, "b", "ALTER TABLE a ADD COLUMN b int;", "ALTER TABLE a DROP COLUMN b;");
    let mut holder = connect(&database).await;
    execute(&mut holder, "BEGIN; LOCK TABLE a IN ACCESS SHARE MODE").await;
    let options = Options {
        lock_timeout: Duration::from_secs(60),
        statement_timeout: Duration::from_millis(1500),
        lock_retries: 0,
        ..quick()
    };
    let error =
        migrator(&database, &chain, options).await.run(&Target::Latest, RunPolicy::default()).await.unwrap_err();
    let finding = &error.findings()[0];
    let told = format!("{:?} {:?}", finding.notes, finding.help);
    assert_eq!(error.sqlstate(), Some("57014"));
    for part in ["blocked by pid", "it was waiting for a lock", "1500 ms", "60000 ms", "longer than its lock timeout"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    drop(holder);
    database.drop_now().await.unwrap();
}
