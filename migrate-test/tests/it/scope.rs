//! Tables that seem irrelevant for a migration get only a few rows. If a script affects them nevertheless, by
//! triggers or because of the rows that it finds, that is detected as in every other table.

use migrate_test::proof::Law;
use rstest::rstest;

use crate::losses::{holds, is_found, proven, shown};

const BASE: &str = "
    CREATE TABLE t (id int PRIMARY KEY, kind text NOT NULL);
    CREATE TABLE far (id int PRIMARY KEY, state text NOT NULL CHECK (state IN ('a', 'b', 'c', 'd', 'e')), note text);
    CREATE TABLE farther (id int PRIMARY KEY, far_id int NOT NULL REFERENCES far (id) ON DELETE CASCADE);
    CREATE TABLE apart (id int PRIMARY KEY, note text);
    CREATE FUNCTION reach() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM far WHERE state = 'e'; RETURN old; END $$;
    CREATE TRIGGER reach AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION reach();";

/// A trigger affects a table only if there is a row, or a row of one kind, or rows that reference it.
#[rstest]
#[case::by_a_trigger(
    "CREATE TABLE old AS SELECT * FROM t; DELETE FROM t;",
    "INSERT INTO t SELECT * FROM old; DROP TABLE old;"
)]
#[case::by_a_loop(
    "DO $$ DECLARE one text; BEGIN FOR one IN SELECT 'f' || 'ar' FROM t LIMIT 1 LOOP \
     EXECUTE 'UPDATE ' || one || ' SET note = NULL WHERE state = ''d'''; END LOOP; END $$;",
    "SELECT 1;"
)]
#[tokio::test]
async fn what_is_reached_by_way_of_rows_is_found(#[case] up: &str, #[case] down: &str) {
    is_found(BASE, up, down).await;
    let proven = proven(BASE, up, down, 0).await;
    let told = format!("{:?}", proven.laws[&Law::Data]);
    assert!(told.contains("public.far"), "{}", shown(&proven));
}

/// What the first attempt learned is discarded, and reads in a part that was rolled back count.
#[rstest]
#[case::of_null(
    "CREATE TABLE t (id int PRIMARY KEY, x int NOT NULL DEFAULT 0); CREATE TABLE u (id int PRIMARY KEY, n int);
     CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN EXECUTE 'UPDATE u SET n = 0 WHERE n IS NULL'; RETURN NULL; END $$;
     CREATE TRIGGER tg AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tf();",
    "UPDATE t SET x = x;"
)]
#[case::by_a_peek(
    "CREATE TABLE t (id int PRIMARY KEY, kind text NOT NULL, x int NOT NULL DEFAULT 0);
     CREATE TABLE u (id int PRIMARY KEY, kind text NOT NULL, n int);
     CREATE FUNCTION peek() RETURNS int LANGUAGE plpgsql AS $$ DECLARE n int; BEGIN
         BEGIN EXECUTE 'SELECT count(*) FROM u WHERE n < 0' INTO n; RAISE EXCEPTION 'x%', n;
         EXCEPTION WHEN OTHERS THEN RETURN substr(SQLERRM, 2)::int; END; END $$;",
    "DO $$ BEGIN IF peek() > 0 THEN DELETE FROM t; END IF; END $$;"
)]
#[tokio::test]
async fn what_depends_on_rows_elsewhere_is_found(#[case] base: &str, #[case] up: &str) {
    is_found(base, up, "SELECT 1;").await;
}

/// Whatever tables are relevant for a migration, all tables have rows.
#[tokio::test]
async fn tables_aside_have_rows_as_well() {
    holds(BASE, "ALTER TABLE t ADD x int;", "ALTER TABLE t DROP x;").await;
    let proven = proven(BASE, "ALTER TABLE t ADD x int;", "ALTER TABLE t DROP x;", 0).await;
    assert_eq!((proven.rests.tables, proven.rests.with_rows()), (4, 4), "{}", shown(&proven));
}

/// Rows that are affected through the type of a column: no table is locked.
#[rstest]
#[case::an_attribute("ALTER TYPE addr DROP ATTRIBUTE zip;", "ALTER TYPE addr ADD ATTRIBUTE zip text;")]
#[case::a_label(
    "DELETE FROM pg_enum WHERE enumlabel = 'lost' AND enumtypid = 'state'::regtype;",
    "ALTER TYPE state ADD VALUE 'lost';"
)]
#[case::in_another_type("ALTER TYPE inner_ DROP ATTRIBUTE a;", "ALTER TYPE inner_ ADD ATTRIBUTE a text;")]
#[tokio::test]
async fn what_is_lost_by_way_of_a_type_is_found(#[case] up: &str, #[case] down: &str) {
    let base = "CREATE TYPE addr AS (street text, zip text); CREATE TYPE inner_ AS (a text, b text); CREATE TYPE outer_ AS (i inner_);
        CREATE TYPE state AS ENUM ('new', 'open', 'lost'); CREATE TABLE items (id int PRIMARY KEY, state state NOT NULL);
        CREATE TABLE people (id int PRIMARY KEY, home addr, other addr[]); CREATE TABLE nested (id int PRIMARY KEY, o outer_);";
    is_found(base, up, down).await;
}
