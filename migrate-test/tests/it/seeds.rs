//! Tables into which the chain itself inserts rows get other rows as well, because an application also inserts
//! some.

use rstest::rstest;

use crate::losses::{holds, is_found, proven, shown};

const SETTINGS: &str = "CREATE TABLE settings (id int PRIMARY KEY CHECK (id = 1), key text, host text NOT NULL);
    INSERT INTO settings VALUES (1, NULL, 'localhost');";
const ROLES: &str = "CREATE TABLE roles (id serial PRIMARY KEY, name text NOT NULL UNIQUE);
    INSERT INTO roles (name) VALUES ('admin'), ('reader');
    CREATE TABLE users (id int PRIMARY KEY, role_id int NOT NULL REFERENCES roles);";

/// A loss of rows that the chain did not insert is a loss.
#[rstest]
#[case::one_row(
    "CREATE TABLE t (id bigserial PRIMARY KEY, key text); INSERT INTO t DEFAULT VALUES;",
    "ALTER TABLE t DROP COLUMN key;",
    "ALTER TABLE t ADD COLUMN key text;"
)]
#[case::keys_of_uuid(
    "CREATE TABLE t (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n int); INSERT INTO t (n) VALUES (1), (1), (1);",
    "ALTER TABLE t DROP COLUMN n;",
    "ALTER TABLE t ADD COLUMN n int NOT NULL DEFAULT 1;"
)]
#[case::no_room_for_another_row(
    SETTINGS,
    "ALTER TABLE settings DROP COLUMN key;",
    "ALTER TABLE settings ADD COLUMN key text;"
)]
#[case::a_boolean_key(
    "CREATE TABLE t (single boolean PRIMARY KEY DEFAULT true CHECK (single), key text); INSERT INTO t DEFAULT VALUES;",
    "ALTER TABLE t DROP COLUMN key;",
    "ALTER TABLE t ADD COLUMN key text;"
)]
#[case::a_referenced_table(ROLES, "ALTER TABLE roles ALTER COLUMN name TYPE text USING lower(name);", "SELECT 1;")]
#[case::a_narrower_type(
    "CREATE TABLE t (id serial PRIMARY KEY, price numeric); INSERT INTO t (price) VALUES (10);",
    "ALTER TABLE t ALTER COLUMN price TYPE numeric(30,0);",
    "ALTER TABLE t ALTER COLUMN price TYPE numeric;"
)]
#[tokio::test]
async fn others_are_added(#[case] base: &str, #[case] up: &str, #[case] down: &str) {
    is_found(base, up, down).await;
}

/// A migration that is written only for the rows of the chain is proven with those, and the verdict says so.
#[rstest]
#[case::each_row_gets_its_value(
    ROLES,
    "ALTER TABLE roles ADD COLUMN rank int;
     UPDATE roles SET rank = 1 WHERE name = 'admin';
     UPDATE roles SET rank = 2 WHERE name = 'reader';
     ALTER TABLE roles ALTER COLUMN rank SET NOT NULL;",
    "ALTER TABLE roles DROP COLUMN rank;"
)]
#[case::a_guard(
    ROLES,
    "DO $$ BEGIN IF (SELECT count(*) FROM roles) <> 2 THEN RAISE 'somebody added a role'; END IF; END $$;
     ALTER TABLE roles ADD COLUMN rank int;",
    "ALTER TABLE roles DROP COLUMN rank;"
)]
#[tokio::test]
async fn they_are_left_out_where_they_are_refused(#[case] base: &str, #[case] up: &str, #[case] down: &str) {
    holds(base, up, down).await;
    let proven = proven(base, up, down, 0).await;
    assert_eq!(proven.rests.own, ["public.roles"], "{}", shown(&proven));
    assert!(proven.rests.words().unwrap().contains("only the chain's own rows in public.roles"), "{}", shown(&proven));
    assert!(
        proven.notes.iter().any(|note| note.contains("other than those that the chain inserts")),
        "{:?}",
        proven.notes
    );
}

/// For a correct migration, nothing else changes.
#[rstest]
#[case::a_column("ALTER TABLE roles ADD COLUMN note text;", "ALTER TABLE roles DROP COLUMN note;")]
#[case::more_rows(
    "INSERT INTO roles (name) VALUES ('guest') ON CONFLICT DO NOTHING;",
    "DELETE FROM roles WHERE name = 'guest' AND NOT EXISTS (SELECT FROM users WHERE role_id = roles.id);"
)]
#[case::by_name(
    "INSERT INTO users SELECT 1000000 + id, id FROM roles WHERE name = 'admin';",
    "DELETE FROM users WHERE id > 1000000 AND role_id = (SELECT id FROM roles WHERE name = 'admin');"
)]
#[tokio::test]
async fn what_is_right_holds(#[case] up: &str, #[case] down: &str) {
    let proven = proven(ROLES, up, down, 0).await;
    assert_eq!(proven.laws[&migrate_test::proof::Law::Data].as_str(), "holds", "{}", shown(&proven));
    assert!(proven.rests.own.is_empty(), "{}", shown(&proven));
}
