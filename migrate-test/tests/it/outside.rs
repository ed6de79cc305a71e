//! What a failed run says about others: who interfered with it, if that is certain, and nothing otherwise.

use migrate_base::ident::QualifiedName;
use migrate_core::{Database, Error, Options, Policy, Target, audit};
use migrate_test::TestDatabase;

use crate::support::{Chain, connect, execute, migrator, quick};

const FIRST: (u64, &str, &str, &str) = (
    1,
    "orders",
    "CREATE TABLE orders (id int PRIMARY KEY, note text UNIQUE); CREATE TABLE gone (id int); DROP TABLE gone;
     CREATE INDEX ON orders (note); DO $$ BEGIN EXECUTE format('CREATE TABLE %I (id int)', 'dyn' || 'amic'); END $$;",
    "SELECT 1;",
);

/// Applies the first migration, runs a statement by hand, then applies another migration, which fails.
async fn fails(recorded: bool, by_hand: &str, up: &str) -> Error {
    let database = TestDatabase::create().await.unwrap();
    let chain = Chain::new(&[FIRST]);
    let options = || Options { fingerprint: true, ..quick() };
    let mut first = migrator(&database, &chain, options()).await;
    first.run(&Target::Latest, Policy::default()).await.unwrap();
    first.close().await;
    if recorded {
        audit::install(&Database::from(database.options()), &QualifiedName::new("roundtrip", "ledger"), "t")
            .await
            .unwrap();
    }
    let mut hand = connect(&database).await;
    if !by_hand.is_empty() {
        execute(&mut hand, &format!("SET application_name = 'psql of Ann'; {by_hand}")).await;
    }
    chain.write(2, "next", up, "SELECT 1;");
    let mut second = migrator(&database, &chain, options()).await;
    let error = second.run(&Target::Latest, Policy::default()).await.unwrap_err();
    second.close().await;
    error
}

/// The notes of a failure that are about others.
fn told(error: &Error) -> String {
    let finding = &error.findings()[0];
    assert_eq!(finding.code.as_str(), "statement-failed");
    assert!(finding.notes.iter().any(|note| note.starts_with("SQLSTATE")), "what the server said stays: {finding:?}");
    let begin = finding.notes.iter().position(|note| note.contains("outside the migrations"));
    begin.map(|at| finding.notes[at..].join("\n")).unwrap_or_default()
}

#[tokio::test]
async fn what_was_made_by_hand_is_said_to_be_with_its_time() {
    for (by_hand, up, what) in [
        ("CREATE TABLE stray (id int)", "CREATE TABLE stray (id int);", "table public.stray"),
        ("CREATE INDEX hand ON orders (id, note)", "CREATE INDEX hand ON orders (note);", "index public.orders.hand"),
        ("ALTER TABLE orders ADD total int", "ALTER TABLE orders ADD total bigint;", "column public.orders.total"),
        ("CREATE SCHEMA ops", "CREATE SCHEMA ops;", "schema ops"),
        ("CREATE TYPE mood AS ENUM ('sad')", "CREATE TYPE mood AS ENUM ('sad');", "type public.mood"),
        (
            "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql RETURN 2",
            "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql RETURN 2;",
            "function public.twice(integer)",
        ),
        (
            "ALTER TABLE orders ADD CONSTRAINT fine CHECK (id > 0)",
            "ALTER TABLE orders ADD CONSTRAINT fine CHECK (id > 1);",
            "constraint public.orders.fine",
        ),
    ] {
        let error = fails(false, by_hand, up).await;
        let told = told(&error);
        assert!(
            told.starts_with(&format!("{what} was created outside the migrations: no migration applied here names it")),
            "{up}: {error:?} {:?}",
            error.findings()
        );
        assert!(told.contains("that was after 20") && told.contains("saw the schema without it"), "{told}");
        assert!(error.findings()[0].help.iter().any(|help| help.contains("cargo xtask drift")), "{error:?}");
    }
}

#[tokio::test]
async fn the_record_names_who_did_it() {
    let error = fails(true, "CREATE TABLE stray (id int)", "CREATE TABLE stray (id int);").await;
    let text = told(&error);
    assert!(text.contains("psql of Ann") && text.contains("CREATE TABLE stray (id int)"), "{text}");
    // The chain names the table, so without the record nothing would be certain.
    let error = fails(true, "CREATE TABLE gone (id int)", "CREATE TABLE gone (id int);").await;
    assert!(told(&error).contains("psql of Ann"), "{:?}", error.findings());
    let error = fails(true, "DROP TABLE orders", "ALTER TABLE orders ADD total int;").await;
    let text = told(&error);
    assert!(text.contains("orders was removed outside the migrations") && text.contains("psql of Ann"), "{text}");
    let error = fails(true, "ALTER TABLE orders DROP note", "ALTER TABLE orders ALTER note SET NOT NULL;").await;
    assert!(told(&error).contains("note of orders was removed outside"), "{:?}", error.findings());
}

#[tokio::test]
async fn what_was_removed_by_hand_is_said_to_be_by_the_migration_that_made_it() {
    let error = fails(false, "DROP TABLE orders", "ALTER TABLE orders ADD total int;").await;
    let text = told(&error);
    assert_eq!(text.lines().next(), None, "a dynamic statement behind it may have removed it: {text}");
    let database = TestDatabase::create().await.unwrap();
    let chain = Chain::new(&[(1, "plain", "CREATE TABLE plain (id int);", "DROP TABLE plain;")]);
    let mut first = migrator(&database, &chain, quick()).await;
    first.run(&Target::Latest, Policy::default()).await.unwrap();
    let mut hand = connect(&database).await;
    execute(&mut hand, "DROP TABLE plain").await;
    let error = first.run(&Target::Down(1), Policy::default()).await.unwrap_err();
    assert!(
        told(&error).contains("20250101000001_plain created it, and no later migration removed it"),
        "{:?}",
        error.findings()
    );
    first.close().await;
}

#[tokio::test]
async fn what_the_chain_itself_did_is_blamed_on_nobody() {
    for (by_hand, up) in [
        ("", "CREATE TABLE orders (id int);"),
        ("", "CREATE TABLE own (id int); CREATE TABLE own (id int);"),
        ("", "CREATE TABLE dynamic (id int);"),
        ("", "CREATE INDEX orders_note_idx ON orders (id);"),
        ("", "CREATE INDEX orders_note_key ON orders (id);"),
        ("", "ALTER TABLE orders ADD note text;"),
        ("", "ALTER TABLE gone ADD total int;"),
        ("", "ALTER TABLE ordres ADD total int;"),
        ("CREATE SCHEMA other; ALTER TABLE orders SET SCHEMA other", "ALTER TABLE orders ADD total int;"),
        ("CREATE TABLE stray (id int)", "ALTER TABLE strya ADD total int;"),
        ("ALTER TABLE orders ALTER note SET NOT NULL, ADD CHECK (note <> '')", "ALTER TABLE orders ADD note text;"),
        ("ALTER TABLE orders ADD hand int; COMMENT ON TABLE orders IS 'by hand'", "CREATE TABLE orders (id int);"),
    ] {
        for recorded in [false, true] {
            let error = fails(recorded, by_hand, up).await;
            assert_eq!(told(&error), "", "{up} {recorded}");
        }
    }
}
