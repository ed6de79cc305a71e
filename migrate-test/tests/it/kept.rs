//! A rollback that keeps data, followed by the same migration again, loses no row and no value.

use migrate_core::kept::{self, Purge};
use migrate_core::{Database, Options, RunPolicy, Target, ours};
use migrate_test::TestDatabase;
use rstest::rstest;
use sqlx::PgConnection;

use crate::support::{ChainFolder, column, connect, execute, migrator, quick, version};

/// The contents of every table, as text, with the positions of the sequences.
async fn contents(connection: &mut PgConnection) -> Vec<String> {
    let queries = "SELECT format('SELECT %L || t::text FROM ONLY %s AS t', c.oid::regclass || ': ', c.oid::regclass) FROM pg_class c
        WHERE c.relkind = 'r' AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'roundtrip'::regnamespace)
        UNION ALL SELECT format('SELECT concat_ws('' '', %L, last_value, is_called) FROM %s', c.oid::regclass, c.oid::regclass)
        FROM pg_class c WHERE c.relkind = 'S' AND c.relnamespace <> 'roundtrip'::regnamespace";
    let mut all = Vec::new();
    for query in column(connection, queries).await {
        all.extend(column(connection, &query).await);
    }
    all.sort();
    all
}

fn keeping() -> Options {
    Options { keep_data: true, ..quick() }
}

const NOW: RunPolicy = RunPolicy {
    allow_out_of_order: false,
    down_from: migrate_core::runner::DownFrom::Ledger,
    allow_newer: false,
    allow_empty: false,
};

/// Rolls back the last migration, runs other statements, and applies it again.
async fn there_and_back(database: &TestDatabase, chain: &ChainFolder, meanwhile: &str) {
    migrator(database, chain, keeping()).await.run(&Target::Down(1), NOW).await.unwrap();
    execute(&mut connect(database).await, meanwhile).await;
    migrator(database, chain, quick()).await.run(&Target::Latest, NOW).await.unwrap();
}

/// Applies a migration that creates a schema, and the one that is rolled back later, and inserts rows.
async fn with_rows(schema: &str, up: &str, down: &str, rows: &str) -> (TestDatabase, ChainFolder, PgConnection) {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[(1, "schema", schema, "SELECT 1;"), (2, "change", up, down)]);
    migrator(&database, &chain, quick()).await.run(&Target::Latest, NOW).await.unwrap();
    let mut connection = connect(&database).await;
    execute(&mut connection, rows).await;
    (database, chain, connection)
}

#[rstest]
#[case::an_index_outside_of_a_transaction(
    "CREATE TABLE t (a int);",
    "CREATE INDEX t_a ON t (a);",
    "-- migrate: no-transaction\nDROP INDEX CONCURRENTLY t_a; CREATE INDEX t_a ON t (a); DROP INDEX t_a;",
    "INSERT INTO t VALUES (1);"
)]
#[case::a_table(
    "SELECT 1;",
    "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text, twice text GENERATED ALWAYS AS (note || note) STORED);",
    "DROP TABLE t;",
    "INSERT INTO t (note) VALUES ('a'), (NULL), (''), ('it''s \\ \"x\"'); DELETE FROM t WHERE id = 1;"
)]
#[case::a_table_with_rows_of_its_own(
    "SELECT 1;",
    "CREATE TABLE country (code text PRIMARY KEY, name text); INSERT INTO country VALUES ('de', 'Germany'), ('fr', 'France');",
    "DROP TABLE country;",
    "UPDATE country SET name = 'Deutschland' WHERE code = 'de'; INSERT INTO country VALUES ('it', 'Italy');"
)]
#[case::tables_that_point_at_each_other(
    "CREATE TABLE root (id int PRIMARY KEY);",
    "CREATE TABLE z (id int PRIMARY KEY, up int REFERENCES z, root int NOT NULL REFERENCES root);
     CREATE TABLE a (id int PRIMARY KEY, z int NOT NULL REFERENCES z); ALTER TABLE z ADD first_a int REFERENCES a DEFERRABLE;",
    "DROP TABLE a, z CASCADE;",
    "INSERT INTO root VALUES (1); INSERT INTO z VALUES (1, NULL, 1), (2, 1, 1); INSERT INTO a VALUES (1, 1), (2, 2);
     UPDATE z SET first_a = 2 WHERE id = 1;"
)]
#[case::a_circle_that_cannot_be_deferred(
    "SELECT 1;",
    "CREATE TABLE dept (id int PRIMARY KEY, name text NOT NULL, head int); CREATE TABLE worker (id int PRIMARY KEY, dept int NOT NULL REFERENCES dept);
     ALTER TABLE dept ADD FOREIGN KEY (head) REFERENCES worker;",
    "DROP TABLE dept, worker CASCADE;",
    "INSERT INTO dept VALUES (1, 'a'), (2, 'b'); INSERT INTO worker VALUES (1, 1), (2, 2); UPDATE dept SET head = 3 - id;"
)]
#[case::columns(
    "CREATE TABLE t (id uuid PRIMARY KEY);",
    "ALTER TABLE t ADD a int NOT NULL DEFAULT 0, ADD b text, ADD c int GENERATED ALWAYS AS IDENTITY;",
    "ALTER TABLE t DROP a, DROP b, DROP c;",
    "INSERT INTO t (id, a, b) SELECT gen_random_uuid(), n, CASE WHEN n % 3 = 0 THEN n::text END FROM generate_series(1, 50) AS n;"
)]
#[case::columns_of_rows_without_a_key(
    "CREATE TABLE t (a int, b text);",
    "ALTER TABLE t ADD c text DEFAULT 'x';",
    "ALTER TABLE t DROP c;",
    "INSERT INTO t VALUES (1, NULL, 'one'), (1, NULL, 'two'), (NULL, 'b', NULL), (2, 'c', 'y');"
)]
#[case::types_that_go_with_it(
    "CREATE TABLE t (id int PRIMARY KEY);",
    "CREATE TYPE mood AS ENUM ('ok', 'not \"ok\"'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN pos AS int CHECK (VALUE > 0);
     ALTER TABLE t ADD m mood, ADD ms mood[], ADD p pair, ADD d pos;",
    "DROP TYPE mood, pair CASCADE; DROP DOMAIN pos CASCADE;",
    "INSERT INTO t VALUES (1, 'not \"ok\"', '{ok,NULL}', '(1,\"a,b\")', 7), (2, NULL, '{}', ROW(NULL, NULL), NULL);"
)]
#[case::values_of_every_kind(
    "SELECT 1;",
    "CREATE TABLE t (a float8, b numeric, c bytea, d timestamptz, e interval, f jsonb, g json, h char(5), i varchar(3), j bit(3), k varbit,
        l inet, m cidr, n point, o tsvector, p int4range, q nummultirange, s \"char\", t name, u money, v text[], w date, x timetz, y uuid, z bool);",
    "DROP TABLE t;",
    "INSERT INTO t VALUES (0.1::float8 + 0.2, 'NaN', '\\x00ff', '2024-02-29 12:00:00.123456+05', '1 mon -3 days 00:00:01.5', '{\"a\": [1, null]}',
        '{ \"b\" : 1 }', 'ab', 'xyz', '101', '1', '10.0.0.1', '10.0.0.0/8', '(1.5,-2)', 'a:1 b', '[1,5)', '{[1,2]}', 'c', 'n',
        '12.30', '[0:1]={a,NULL}', 'infinity', '12:00+02', gen_random_uuid(), true); INSERT INTO t (a, b, c, d) VALUES ('-Infinity', 1e-20, '', '-infinity');"
)]
#[case::rows_that_the_down_deletes(
    "CREATE TABLE t (id int PRIMARY KEY, kind text, n int);",
    "INSERT INTO t VALUES (1, 'given'), (2, 'given');",
    "DELETE FROM t WHERE kind = 'given';",
    "UPDATE t SET n = 7 WHERE id = 2; INSERT INTO t VALUES (3, 'given'), (4, 'own');"
)]
#[case::a_truncate("CREATE TABLE t (a int);", "SELECT 1;", "TRUNCATE t;", "INSERT INTO t VALUES (1), (1), (NULL);")]
#[case::values_that_the_down_changes(
    "CREATE TABLE t (id int PRIMARY KEY, name text);",
    "UPDATE t SET name = upper(name);",
    "UPDATE t SET name = lower(name);",
    "INSERT INTO t VALUES (1, 'McX'), (2, 'ABC'), (3, NULL);"
)]
#[case::a_type_that_gets_narrower(
    "CREATE TABLE t (id int PRIMARY KEY, name varchar(3));",
    "ALTER TABLE t ALTER name TYPE text;",
    "ALTER TABLE t ALTER name TYPE varchar(3) USING left(name, 3);",
    "INSERT INTO t VALUES (1, 'abcdef'), (2, 'abc');"
)]
#[case::a_do_block(
    "CREATE TABLE t (id int PRIMARY KEY);",
    "DO $$ BEGIN ALTER TABLE t ADD hidden text; CREATE TABLE other (a int); END $$;",
    "DO $$ BEGIN EXECUTE 'ALTER TABLE t DROP hid' || 'den'; DROP TABLE other; END $$;",
    "INSERT INTO t VALUES (1, 'x'); INSERT INTO other VALUES (1);"
)]
#[case::names_that_change_too(
    "CREATE TABLE t (\"Id\" int PRIMARY KEY, v text);",
    "ALTER TABLE t RENAME \"Id\" TO id; ALTER TABLE t RENAME TO \"T 2\"; ALTER TABLE \"T 2\" ADD w text; UPDATE \"T 2\" SET v = v || '!';",
    "UPDATE \"T 2\" SET v = rtrim(v, '!'); ALTER TABLE \"T 2\" DROP w; ALTER TABLE \"T 2\" RENAME TO t; ALTER TABLE t RENAME id TO \"Id\";",
    "INSERT INTO \"T 2\" VALUES (1, 'a!!', 'w'), (2, 'b!', NULL);"
)]
#[case::partitions(
    "SELECT 1;",
    "CREATE TABLE p (at date NOT NULL, n int, PRIMARY KEY (at, n)) PARTITION BY RANGE (at);
     CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM ('2031-01-01') TO ('2031-02-01');",
    "DROP TABLE p;",
    "CREATE TABLE p_2 PARTITION OF p DEFAULT; INSERT INTO p SELECT '2031-01-30'::date + n, n FROM generate_series(0, 1) AS n;
     DELETE FROM p_2; DROP TABLE p_2;"
)]
#[case::triggers_that_would_interfere(
    "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := 'changed'; RETURN NEW; END $$;",
    "CREATE TABLE t (id int PRIMARY KEY, at text); CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp();
     ALTER TABLE t ENABLE ALWAYS TRIGGER stamp;",
    "DROP TABLE t;",
    "ALTER TABLE t DISABLE TRIGGER stamp; INSERT INTO t VALUES (1, 'first'); ALTER TABLE t ENABLE ALWAYS TRIGGER stamp;"
)]
#[case::sequences(
    "SELECT 1;",
    "CREATE SEQUENCE numbers;",
    "DROP SEQUENCE numbers;",
    "SELECT nextval('numbers') FROM generate_series(1, 42);"
)]
#[case::values_that_only_the_up_changes(
    "CREATE TABLE site (id int PRIMARY KEY, name text, signed bool NOT NULL DEFAULT false);",
    "ALTER TABLE site ADD extra text; UPDATE site SET signed = true;",
    "ALTER TABLE site DROP extra;",
    "INSERT INTO site VALUES (1, 'a', false, 'x'), (2, 'b', true, NULL);"
)]
#[case::values_that_both_change(
    "CREATE TABLE t (id int PRIMARY KEY, name text);",
    "UPDATE t SET name = upper(name);",
    "UPDATE t SET name = lower(name);",
    "INSERT INTO t VALUES (1, 'McX'), (2, 'abc'), (3, 'ABC');"
)]
#[case::values_that_a_do_block_changes(
    "CREATE TABLE t (id int PRIMARY KEY, name text, at point);",
    "DO $$ BEGIN EXECUTE 'UPDATE t SET na' || 'me = 1'; END $$;",
    "SELECT 1;",
    "INSERT INTO t VALUES (1, 'a', '(1,2)'), (2, NULL, NULL);"
)]
#[case::values_that_a_function_changes(
    "CREATE TABLE t (id int PRIMARY KEY, name text); CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS 'UPDATE t SET name = ''filled''';",
    "SELECT fill();",
    "SELECT 1;",
    "INSERT INTO t VALUES (1, 'a'), (2, NULL);"
)]
#[case::values_that_a_trigger_changes(
    "CREATE TABLE t (id int PRIMARY KEY, name text, at text); CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := 'stamped'; RETURN NEW; END $$;
     CREATE TRIGGER stamp BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp();",
    "UPDATE t SET name = 'x';",
    "SELECT 1;",
    "INSERT INTO t VALUES (1, 'a', 'first'), (2, NULL, NULL);"
)]
#[case::values_that_a_rewrite_changes(
    "CREATE TABLE t (id int PRIMARY KEY, name text);",
    "ALTER TABLE t ALTER name TYPE text USING upper(name);",
    "SELECT 1;",
    "INSERT INTO t VALUES (1, 'a'), (2, NULL);"
)]
#[case::values_of_rows_without_a_key(
    "CREATE TABLE t (a int, b text, c text);",
    "UPDATE t SET b = 'over' WHERE a = 1; ALTER TABLE t ADD d int;",
    "ALTER TABLE t DROP d;",
    "INSERT INTO t VALUES (1, 'x', 'one', 1), (1, 'y', 'one', 2), (1, 'y', 'one', 2), (NULL, NULL, NULL, 3), (2, 'z', 'two', NULL);"
)]
#[case::all_of_rows_without_a_key(
    "CREATE TABLE t (a int, b text);",
    "DO $$ BEGIN UPDATE t SET b = 'over'; DELETE FROM t WHERE a = 2; END $$;",
    "SELECT 1;",
    "INSERT INTO t VALUES (1, 'x'), (1, 'y'), (1, 'y'), (NULL, NULL), (2, 'z');"
)]
#[case::a_key_that_the_up_changes(
    "CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL UNIQUE);",
    "UPDATE t SET id = id + 100 WHERE id < 100;",
    "SELECT 1;",
    "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (300, 'z');"
)]
#[case::rows_that_only_the_up_deletes(
    "CREATE TABLE t (id int PRIMARY KEY, kind text); CREATE TABLE part (id int PRIMARY KEY, t int NOT NULL REFERENCES t ON DELETE CASCADE);",
    "DELETE FROM t WHERE kind = 'old'; ALTER TABLE t ADD since int NOT NULL DEFAULT 0;",
    "ALTER TABLE t DROP since;",
    "INSERT INTO t VALUES (1, 'old', 5), (2, 'new', 6); INSERT INTO part VALUES (1, 1), (2, 2);"
)]
#[case::rows_that_only_the_up_truncates(
    "CREATE TABLE t (id int PRIMARY KEY, kind text);",
    "TRUNCATE t;",
    "SELECT 1;",
    "INSERT INTO t VALUES (1, 'old'), (2, 'new');"
)]
#[case::rows_that_conflict(
    "CREATE TABLE setting (name text PRIMARY KEY, value text);",
    "INSERT INTO setting VALUES ('mode', 'default'), ('new', '1') ON CONFLICT (name) DO UPDATE SET value = excluded.value;",
    "DELETE FROM setting WHERE name = 'new';",
    "UPDATE setting SET value = 'mine'; INSERT INTO setting VALUES ('other', 'x');"
)]
#[case::values_in_partitions(
    "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (10);
     CREATE TABLE p_2 PARTITION OF p DEFAULT;",
    "UPDATE p SET v = 'over';",
    "SELECT 1;",
    "INSERT INTO p SELECT n, n::text FROM generate_series(5, 15) AS n;"
)]
#[case::an_up_that_sets_a_sequence(
    "CREATE TABLE t (id serial PRIMARY KEY, v text); CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
     CREATE TABLE parts_1 PARTITION OF parts DEFAULT;",
    "UPDATE t SET v = 'over'; UPDATE parts SET v = 'over'; SELECT setval('t_id_seq', greatest((SELECT last_value FROM t_id_seq), 5));",
    "SELECT 1;",
    "INSERT INTO t (v) SELECT n::text FROM generate_series(1, 9) AS n; INSERT INTO parts VALUES (1, 'x');"
)]
#[case::an_up_without_a_transaction(
    "CREATE TABLE t (id int PRIMARY KEY, v text);",
    "-- migrate: no-transaction\nALTER TABLE t ADD w text; UPDATE t SET v = 'over'; CREATE INDEX CONCURRENTLY t_w ON t (w);",
    "DROP INDEX t_w; ALTER TABLE t DROP w;",
    "INSERT INTO t VALUES (1, 'a', 'b'), (2, NULL, NULL);"
)]
#[case::an_up_that_commits_as_it_goes(
    "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (v text);",
    "-- migrate: no-transaction\nDO $x$BEGIN UPDATE t SET v = 'over'; COMMIT; DELETE FROM u; COMMIT; END$x$;",
    "SELECT 1;",
    "INSERT INTO t VALUES (1, 'a'), (2, NULL); INSERT INTO u VALUES ('a'), ('a'), (NULL);"
)]
#[case::both_without_a_transaction(
    "CREATE TABLE t (id int PRIMARY KEY, v text);",
    "-- migrate: no-transaction\nUPDATE t SET v = 'over'; CREATE INDEX CONCURRENTLY t_v ON t (v);",
    "-- migrate: no-transaction\nDROP INDEX CONCURRENTLY t_v;",
    "INSERT INTO t VALUES (1, 'a'), (2, NULL);"
)]
#[case::rows_that_the_up_makes_under_other_numbers(
    "CREATE TABLE c (id int PRIMARY KEY); INSERT INTO c VALUES (1), (2), (3);",
    "CREATE TABLE counts (id serial PRIMARY KEY, c int NOT NULL UNIQUE REFERENCES c ON DELETE CASCADE, n int NOT NULL DEFAULT 0, self int REFERENCES counts);
     INSERT INTO counts (c) SELECT id FROM c ORDER BY id;",
    "DROP TABLE counts;",
    "DELETE FROM counts; INSERT INTO c VALUES (5); INSERT INTO counts VALUES (1, 3, 10, NULL), (2, 2, 20, NULL), (3, 1, 30, NULL), (4, 5, 40, 3); UPDATE counts SET self = 4 WHERE id = 1;
     SELECT setval('counts_id_seq', 7);"
)]
#[case::rows_that_the_up_makes_and_others_point_at(
    "CREATE TABLE post (id int PRIMARY KEY, word text); INSERT INTO post VALUES (1, 'a'), (2, 'b');",
    "CREATE TABLE tag (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, word text UNIQUE); INSERT INTO tag (word) SELECT word FROM post ORDER BY id;
     ALTER TABLE post ADD tag int REFERENCES tag ON DELETE CASCADE; UPDATE post SET tag = (SELECT t.id FROM tag AS t WHERE t.word = post.word);",
    "ALTER TABLE post DROP tag; DROP TABLE tag;",
    "UPDATE tag SET word = 'c' WHERE id = 1; INSERT INTO tag (word) VALUES ('d'); UPDATE post SET tag = 3 WHERE id = 2;"
)]
#[tokio::test]
async fn nothing_is_lost_there_and_back(
    #[case] schema: &str,
    #[case] up: &str,
    #[case] down: &str,
    #[case] rows: &str,
) {
    let (database, chain, mut connection) = with_rows(schema, up, down, rows).await;
    let before = contents(&mut connection).await;
    let shape = migrate_schema::read(&Database::from(database.options())).await.unwrap();
    for _ in 0..2 {
        there_and_back(&database, &chain, "SELECT 1;").await;
        assert_eq!(contents(&mut connection).await, before);
    }
    let again = migrate_schema::read(&Database::from(database.options())).await.unwrap();
    let ledger = quick().ledger;
    let changes = migrate_schema::SchemaChange::between(&ours::without(shape, &ledger), &ours::without(again, &ledger));
    assert!(changes.is_empty(), "{changes:?}: the copies and the restoring leave the schema as it was");
}

#[tokio::test]
async fn what_was_changed_in_the_meantime_stays_changed() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE t (id int PRIMARY KEY, name text);",
        "ALTER TABLE t ADD extra text; UPDATE t SET name = upper(name);",
        "ALTER TABLE t DROP extra; UPDATE t SET name = lower(name);",
        "INSERT INTO t VALUES (1, 'McX', 'a'), (2, 'McY', 'b'), (3, 'McZ', 'c');",
    )
    .await;
    there_and_back(
        &database,
        &chain,
        "UPDATE t SET name = 'new' WHERE id = 2; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (4, 'd');",
    )
    .await;
    let rows = column(&mut connection, "SELECT concat_ws(' ', id, name, extra) FROM t ORDER BY id").await;
    assert_eq!(rows, ["1 McX a", "2 NEW b", "4 D"]);
}

#[tokio::test]
async fn what_was_changed_in_the_meantime_gets_what_the_up_makes_of_it() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE t (id int PRIMARY KEY, name text); CREATE TABLE loose (name text);",
        "UPDATE t SET name = upper(name); DELETE FROM t WHERE name = 'GONE'; UPDATE loose SET name = upper(name);",
        "SELECT 1;",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'gone'); INSERT INTO loose VALUES ('a'), ('b');",
    )
    .await;
    let meanwhile = "UPDATE t SET name = 'new' WHERE id = 2; INSERT INTO t VALUES (4, 'd'), (5, 'gone');
        UPDATE loose SET name = 'c' WHERE name = 'b';";
    there_and_back(&database, &chain, meanwhile).await;
    let rows = column(&mut connection, "SELECT concat_ws(' ', id, name) FROM t ORDER BY id").await;
    assert_eq!(rows, ["1 a", "2 NEW", "3 gone", "4 D"]);
    let loose = column(&mut connection, "SELECT name FROM loose ORDER BY 1").await;
    assert_eq!(loose, ["A", "C"], "no key tells which row is which");
    let kept = kept::list(&Database::from(database.options()), &quick().ledger).await.unwrap();
    let open: Vec<_> = kept.iter().filter(|one| one.restored.is_none()).map(|one| (&*one.relation, one.rows)).collect();
    assert_eq!(open, [("public.loose", 2)], "and so the copy stays");
}

/// All rows of the tables, without the sequences.
async fn rows_of(connection: &mut PgConnection, tables: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for table in tables {
        all.extend(column(connection, &format!("SELECT t::text FROM {table} AS t ORDER BY 1")).await);
    }
    all
}

#[tokio::test]
async fn what_the_up_makes_anew_for_new_rows_stays_beside_what_comes_back() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE c (id int PRIMARY KEY); INSERT INTO c SELECT generate_series(1, 3);",
        "CREATE TABLE counts (id serial PRIMARY KEY, c int NOT NULL UNIQUE REFERENCES c, n int NOT NULL DEFAULT 0);
         INSERT INTO counts (c) SELECT id FROM c ORDER BY id DESC;",
        "DROP TABLE counts;",
        "UPDATE counts SET n = 10 * c;",
    )
    .await;
    there_and_back(&database, &chain, "INSERT INTO c VALUES (8), (9);").await;
    let counts = column(&mut connection, "SELECT concat_ws(' ', c, n, id = 4 - c) FROM counts ORDER BY c").await;
    assert_eq!(counts, ["1 10 t", "2 20 t", "3 30 t", "8 0 f", "9 0 f"]);
    execute(&mut connection, "INSERT INTO c VALUES (10); INSERT INTO counts (c) VALUES (10);").await;
}

const ROLES: &str = "CREATE TABLE role (id serial PRIMARY KEY, name text UNIQUE, note text);
    CREATE TABLE holder (who text, role int REFERENCES role ON DELETE CASCADE); INSERT INTO role (name) VALUES ('base');";

#[tokio::test]
async fn rows_that_the_up_makes_again_in_a_table_that_stayed_are_the_old_ones() {
    let (database, chain, mut connection) = with_rows(
        ROLES,
        "INSERT INTO role (name) VALUES ('read'), ('write');",
        "DELETE FROM role WHERE name IN ('read', 'write');",
        "UPDATE role SET note = 'mine' WHERE name = 'read'; INSERT INTO holder SELECT 'ann', id FROM role;",
    )
    .await;
    let before = rows_of(&mut connection, &["role", "holder"]).await;
    for _ in 0..2 {
        there_and_back(&database, &chain, "SELECT 1;").await;
        assert_eq!(rows_of(&mut connection, &["role", "holder"]).await, before);
    }
}

#[tokio::test]
async fn rows_that_only_a_number_tells_apart_come_back_once() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE word (id serial PRIMARY KEY, word text, note text); INSERT INTO word (word) VALUES ('a'), ('b');",
        "INSERT INTO word (word, note) VALUES ('a', 'given'), ('a', 'given'), ('b', 'given'), ('c', 'given');",
        "DELETE FROM word WHERE note IN ('given', 'taken');",
        "UPDATE word SET note = 'taken' WHERE word = 'c'; INSERT INTO word (word) VALUES ('z'); DELETE FROM word WHERE id = 3;",
    )
    .await;
    let words = "SELECT concat_ws(' ', word, note, id < 8) FROM word ORDER BY word, note, id";
    there_and_back(&database, &chain, "INSERT INTO word (word, note) VALUES ('b', 'mine'), ('a', 'given');").await;
    let expected =
        ["a given t", "a given f", "a given f", "a t", "b given t", "b mine f", "b t", "c given f", "c taken t", "z t"];
    assert_eq!(column(&mut connection, words).await, expected);
}

#[tokio::test]
async fn rows_that_were_all_of_a_table_that_stayed_come_back_once() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE word (id serial PRIMARY KEY, word text);",
        "INSERT INTO word (word) VALUES ('a'), ('a'), ('b');",
        "DELETE FROM word;",
        "SELECT 1;",
    )
    .await;
    let before = rows_of(&mut connection, &["word"]).await;
    there_and_back(&database, &chain, "SELECT 1;").await;
    assert_eq!(rows_of(&mut connection, &["word"]).await, before);
}

#[rstest]
#[case::that_the_up_leaves_alone(
    "INSERT INTO role (name) VALUES ('read'), ('write'), ('admin') ON CONFLICT (name) DO NOTHING;",
    "DELETE FROM role WHERE name IN ('read', 'write', 'admin');",
    "INSERT INTO role (name, note) VALUES ('read', 'theirs');",
    &["admin old", "base old", "read theirs", "write old"]
)]
#[case::that_the_up_changes(
    "UPDATE role SET name = 'write' WHERE name = 'edit'; INSERT INTO role (name) VALUES ('write') ON CONFLICT (name) DO NOTHING;",
    "DELETE FROM role WHERE name = 'write';",
    "INSERT INTO role (name, note) VALUES ('edit', 'theirs');",
    &["base old", "write theirs"]
)]
#[tokio::test]
async fn a_row_of_somebody_is_not_taken_for_the_ups(
    #[case] up: &str,
    #[case] down: &str,
    #[case] meanwhile: &str,
    #[case] expected: &[&str],
) {
    let (database, chain, mut connection) = with_rows(ROLES, up, down, "UPDATE role SET note = 'old';").await;
    there_and_back(&database, &chain, meanwhile).await;
    let roles = column(&mut connection, "SELECT concat_ws(' ', name, note) FROM role ORDER BY name").await;
    assert_eq!(roles, expected);
}

#[tokio::test]
async fn what_points_at_rows_that_somebody_removed_since_stays_in_the_copy() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE c (a int, b text, PRIMARY KEY (a, b)); INSERT INTO c VALUES (1, 'x'), (2, 'x'), (3, 'x');",
        "CREATE TABLE z (id int PRIMARY KEY, a int, b text NOT NULL, up int REFERENCES z, FOREIGN KEY (a, b) REFERENCES c);
         CREATE TABLE a (id int PRIMARY KEY, z int NOT NULL REFERENCES z); ALTER TABLE z ADD first int REFERENCES a;",
        "DROP TABLE a, z CASCADE;",
        "INSERT INTO z VALUES (1, 1, 'x', NULL), (2, 2, 'x', 1), (3, NULL, 'y', NULL); INSERT INTO a VALUES (1, 1), (2, 2), (3, 3); UPDATE z SET first = id;",
    )
    .await;
    there_and_back(&database, &chain, "DELETE FROM c WHERE a = 2; DELETE FROM c WHERE a = 3;").await;
    assert_eq!(rows_of(&mut connection, &["z", "a"]).await, ["(1,1,x,,1)", "(3,,y,,3)", "(1,1)", "(3,3)"]);
    let kept = kept::list(&Database::from(database.options()), &quick().ledger).await.unwrap();
    let back: Vec<_> = kept.iter().map(|one| (one.rows, one.restored.clone().unwrap().1)).collect();
    assert_eq!(back, [(3, 2), (3, 2)]);
    migrator(&database, &chain, quick()).await.purge_kept(&Purge::Restored).await.unwrap();
    assert_eq!(kept::list(&Database::from(database.options()), &quick().ledger).await.unwrap(), kept);
}

#[tokio::test]
async fn nothing_goes_with_a_row_that_gives_way() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE post (id int PRIMARY KEY, word text); INSERT INTO post VALUES (1, 'a'), (2, 'b');",
        "CREATE TABLE tag (id serial PRIMARY KEY, word text UNIQUE); INSERT INTO tag (word) SELECT word FROM post ORDER BY id;
         ALTER TABLE post ADD tag int REFERENCES tag ON DELETE CASCADE; UPDATE post SET tag = (SELECT t.id FROM tag AS t WHERE t.word = post.word);",
        "ALTER TABLE post DROP tag; DROP TABLE tag;",
        "UPDATE post SET tag = NULL; DELETE FROM tag; INSERT INTO tag VALUES (1, 'b'), (2, 'a'); UPDATE post SET tag = 3 - id;",
    )
    .await;
    migrator(&database, &chain, keeping()).await.run(&Target::Down(1), NOW).await.unwrap();
    let error = migrator(&database, &chain, quick()).await.run(&Target::Latest, NOW).await.unwrap_err();
    assert_eq!(error.findings()[0].code.as_str(), "kept-data", "{error}");
    assert_eq!(column(&mut connection, "SELECT id::text FROM post ORDER BY id").await, ["1", "2"]);
}

#[tokio::test]
async fn only_what_an_up_writes_over_is_copied() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE big (id int PRIMARY KEY, a text, b text); CREATE TABLE done (id int PRIMARY KEY, v text);",
        "ALTER TABLE big ADD c text; UPDATE big SET c = a || b; UPDATE done SET v = 'default' WHERE v IS NULL;",
        "ALTER TABLE big DROP c;",
        "INSERT INTO big SELECT n, 'a', 'b', 'c' FROM generate_series(1, 9) AS n; INSERT INTO done VALUES (1, 'x');",
    )
    .await;
    migrator(&database, &chain, keeping()).await.run(&Target::Down(1), NOW).await.unwrap();
    let kept = kept::list(&Database::from(database.options()), &quick().ledger).await.unwrap();
    let what: Vec<_> = kept.iter().map(|one| (&*one.relation, &*one.what)).collect();
    assert_eq!(what, [("public.big", "values of c")]);
    let columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'roundtrip.ledger_kept_1'::regclass AND attnum > 0
        AND attname !~ '^roundtrip_'";
    assert_eq!(column(&mut connection, columns).await, ["id", "c"], "the key of its row, and what is written over");
}

#[tokio::test]
async fn several_migrations_lose_nothing_there_and_back() {
    let database = TestDatabase::create().await.unwrap();
    let chain = ChainFolder::new(&[
        (1, "schema", "CREATE TABLE t (id int PRIMARY KEY, v text);", "DROP TABLE t;"),
        (
            2,
            "lower",
            "UPDATE t SET v = lower(v); ALTER TABLE t ADD a int;",
            "UPDATE t SET v = upper(v); ALTER TABLE t DROP a;",
        ),
        (
            3,
            "rename",
            "ALTER TABLE t RENAME TO u; ALTER TABLE u ADD b int; UPDATE u SET v = v || '!';",
            "ALTER TABLE u DROP b; ALTER TABLE u RENAME TO t;",
        ),
        (
            4,
            "delete",
            "DELETE FROM u WHERE v = 'x!'; ALTER TABLE u RENAME v TO w;",
            "ALTER TABLE u RENAME w TO v; UPDATE u SET v = 'back';",
        ),
    ]);
    migrator(&database, &chain, quick()).await.run(&Target::Latest, NOW).await.unwrap();
    let mut connection = connect(&database).await;
    let rows = "INSERT INTO u (id, w, a, b) VALUES (1, 'Aa', 1, 2), (2, NULL, NULL, 3), (3, 'x!', 5, NULL);";
    execute(&mut connection, rows).await;
    let before = contents(&mut connection).await;
    for steps in 1..=4 {
        migrator(&database, &chain, keeping()).await.run(&Target::Down(steps), NOW).await.unwrap();
        migrator(&database, &chain, quick()).await.run(&Target::Latest, NOW).await.unwrap();
        assert_eq!(contents(&mut connection).await, before, "{steps} down and up again");
    }
}

#[rstest]
#[case::without_a_file(None, "its file is missing")]
#[case::that_fails(Some("DO $$ BEGIN PERFORM 1 / count(*) FROM t WHERE v IS NULL; END $$;"), "division by zero")]
#[case::that_commits(
    Some("-- migrate: no-transaction\nDO $$ BEGIN UPDATE t SET v = 'x'; COMMIT; END $$;"),
    "it does not run in a transaction"
)]
#[tokio::test]
async fn an_up_that_is_not_understood_is_told(#[case] up: Option<&str>, #[case] why: &str) {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE t (id int PRIMARY KEY, v text);",
        "ALTER TABLE t ADD w text;",
        "ALTER TABLE t DROP w;",
        "INSERT INTO t VALUES (1, 'a', 'b');",
    )
    .await;
    match up {
        Some(up) => chain.write(2, "change", up, "ALTER TABLE t DROP w;"),
        None => chain.remove(2, "change"),
    }
    migrator(&database, &chain, keeping()).await.run(&Target::Down(1), NOW).await.unwrap();
    let kept = kept::list(&Database::from(database.options()), &quick().ledger).await.unwrap();
    let what: Vec<_> = kept.iter().map(|one| &*one.what).collect();
    assert_eq!(what, [&*format!("not known is what its up writes over: {why}"), "values of w"]);
    assert_eq!(column(&mut connection, "SELECT v FROM t").await, ["a"]);
}

#[tokio::test]
async fn what_is_kept_is_listed_restored_and_purged() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE t (id int PRIMARY KEY);",
        "ALTER TABLE t ADD a text;",
        "ALTER TABLE t DROP a;",
        "INSERT INTO t SELECT n, n::text FROM generate_series(1, 5) AS n;",
    )
    .await;
    let (address, ledger) = (Database::from(database.options()), quick().ledger);
    assert_eq!(kept::list(&address, &ledger).await.unwrap(), []);
    migrator(&database, &chain, keeping()).await.run(&Target::Down(1), NOW).await.unwrap();
    let listed = kept::list(&address, &ledger).await.unwrap();
    assert_eq!((listed[0].relation.as_str(), listed[0].what.as_str(), listed[0].rows), ("public.t", "values of a", 5));
    assert_eq!(listed[0].restored, None);
    let mut migrator = migrator(&database, &chain, Options { restore_kept: false, ..quick() }).await;
    assert!(migrator.restore_kept(&version(2)).await.is_err(), "it is not applied");
    migrator.run(&Target::Latest, NOW).await.unwrap();
    assert_eq!(column(&mut connection, "SELECT count(a) FROM t").await, ["0"]);
    drop(migrator);
    let mut migrator = crate::support::migrator(&database, &chain, quick()).await;
    migrator.restore_kept(&version(2)).await.unwrap();
    assert_eq!(column(&mut connection, "SELECT string_agg(a, '' ORDER BY id) FROM t").await, ["12345"]);
    assert_eq!(kept::list(&address, &ledger).await.unwrap()[0].restored.as_ref().map(|one| one.1), Some(5));
    assert!(migrator.restore_kept(&version(2)).await.is_err(), "it is back");
    migrator.purge_kept(&Purge::Restored).await.unwrap();
    assert_eq!(kept::list(&address, &ledger).await.unwrap(), []);
    assert_eq!(
        column(&mut connection, "SELECT relname FROM pg_class WHERE relname LIKE 'ledger_kept__%' AND relkind = 'r'")
            .await,
        [""; 0]
    );
}

#[rstest]
#[case::no_transaction("-- migrate: no-transaction\nDROP TABLE t;", "cannot-keep")]
#[case::a_script_that_cannot_be_tried("SAVEPOINT a; DROP TABLE t; RELEASE SAVEPOINT a;", "cannot-keep")]
#[case::a_script_that_fails("DROP TABLE t; DROP TABLE nowhere;", "statement-failed")]
#[tokio::test]
async fn what_cannot_be_kept_is_not_destroyed(#[case] down: &str, #[case] code: &str) {
    let (database, chain, mut connection) =
        with_rows("SELECT 1;", "CREATE TABLE t (a int);", down, "INSERT INTO t VALUES (1);").await;
    let error = migrator(&database, &chain, keeping()).await.run(&Target::Down(1), NOW).await.unwrap_err();
    assert_eq!(error.findings()[0].code.as_str(), code, "{error}");
    assert_eq!(column(&mut connection, "SELECT a FROM t").await, ["1"]);
    assert_eq!(kept::list(&Database::from(database.options()), &quick().ledger).await.unwrap(), []);
}

#[tokio::test]
async fn what_does_not_fit_any_more_stops_the_apply_and_stays_kept() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE t (id int PRIMARY KEY);",
        "ALTER TABLE t ADD a text;",
        "ALTER TABLE t DROP a;",
        "INSERT INTO t VALUES (1, 'words');",
    )
    .await;
    migrator(&database, &chain, keeping()).await.run(&Target::Down(1), NOW).await.unwrap();
    chain.write(2, "change", "ALTER TABLE t ADD a int;", "ALTER TABLE t DROP a;");
    let error = migrator(&database, &chain, quick()).await.run(&Target::Latest, NOW).await.unwrap_err();
    assert_eq!(error.findings()[0].code.as_str(), "kept-data", "{error}");
    let mut leaving = migrator(&database, &chain, Options { restore_kept: false, ..quick() }).await;
    leaving.run(&Target::Latest, NOW).await.unwrap();
    assert_eq!(kept::list(&Database::from(database.options()), &quick().ledger).await.unwrap()[0].rows, 1);
    assert_eq!(column(&mut connection, "SELECT count(a) FROM t").await, ["0"]);
}

/// What a run that applies the last migration again reports about the kept data.
async fn told_again(database: &TestDatabase, chain: &ChainFolder) -> Vec<String> {
    migrator(database, chain, keeping()).await.run(&Target::Down(1), NOW).await.unwrap();
    let (ear, options) = crate::support::listening();
    migrator(database, chain, options).await.run(&Target::Latest, NOW).await.unwrap();
    ear.heard().into_iter().filter(|heard| heard.contains("inserted")).collect()
}

/// Somebody deleted rows that the up script had inserted: the same up script inserts them again, and that is
/// reported.
#[rstest]
#[case::a_table_of_its_own(
    "SELECT 1;",
    "CREATE TABLE country (code text PRIMARY KEY, name text); INSERT INTO country VALUES ('de', 'a'), ('fr', 'b'), ('it', 'c');",
    "DROP TABLE country;"
)]
#[case::a_table_without_a_key(
    "SELECT 1;",
    "CREATE TABLE country (code text, name text); INSERT INTO country VALUES ('de', 'a'), ('fr', 'b'), ('it', 'c');",
    "DROP TABLE country;"
)]
#[case::a_table_that_stays(
    "CREATE TABLE country (code text PRIMARY KEY, name text); INSERT INTO country VALUES ('es', 'x');",
    "INSERT INTO country VALUES ('de', 'a'), ('fr', 'b'), ('it', 'c');",
    "DELETE FROM country WHERE code IN ('de', 'fr', 'it');"
)]
#[tokio::test]
async fn rows_that_were_removed_and_that_the_up_inserts_again_are_told(
    #[case] schema: &str,
    #[case] up: &str,
    #[case] down: &str,
) {
    let (database, chain, mut connection) = with_rows(schema, up, down, "SELECT 1;").await;
    assert_eq!(told_again(&database, &chain).await, Vec::<String>::new(), "nobody has removed any");
    execute(
        &mut connection,
        "DELETE FROM country WHERE code IN ('fr', 'it'); INSERT INTO country VALUES ('pt', 'mine');",
    )
    .await;
    let told = told_again(&database, &chain).await;
    assert!(told.len() == 1 && told[0].contains("inserted 2 rows of public.country again"), "{told:?}");
    database.drop_now().await.unwrap();
}

/// Data kept by an earlier version of this library, in the tables of that version.
#[tokio::test]
async fn what_was_kept_in_an_earlier_form_comes_back() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE t (id int PRIMARY KEY, name text, n numeric(6,2)); CREATE TABLE loose (a int, b text);",
        "ALTER TABLE t ADD note text; CREATE TABLE other (id int PRIMARY KEY, at date); ALTER TABLE loose ADD c bool;
         INSERT INTO t VALUES (3, 'given', 3);",
        "ALTER TABLE loose DROP c; DROP TABLE other; DELETE FROM t WHERE id = 3; UPDATE t SET name = lower(name); ALTER TABLE t DROP note;",
        "INSERT INTO t VALUES (1, 'McX', 1.50, 'one'), (2, 'abc', NULL, NULL); UPDATE t SET note = 'mine' WHERE id = 3;
         INSERT INTO other VALUES (7, '2024-02-29'); INSERT INTO loose VALUES (1, 'x', true), (1, 'x', false), (NULL, NULL, true);",
    )
    .await;
    let before = contents(&mut connection).await;
    migrator(&database, &chain, quick()).await.run(&Target::Down(1), NOW).await.unwrap();
    execute(&mut connection, include_str!("kept/before_forms.sql")).await;
    migrator(&database, &chain, quick()).await.run(&Target::Latest, NOW).await.unwrap();
    assert_eq!(contents(&mut connection).await, before);
}

#[tokio::test]
async fn values_keep_their_types_where_those_cannot_go() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN pos AS int; CREATE COLLATION own (LOCALE = 'C');",
        "CREATE TABLE t (id bigint PRIMARY KEY, n numeric(6,2), l text[], c text COLLATE own, r regclass, m mood, d pos, ms mood[]);",
        "DROP TABLE t;",
        "INSERT INTO t VALUES (1, 1.50, '{a}', 'x', 't'::regclass, 'ok', 1, '{ok}');",
    )
    .await;
    let before = contents(&mut connection).await;
    migrator(&database, &chain, keeping()).await.run(&Target::Down(1), NOW).await.unwrap();
    let types = "SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod), attcollation::regcollation) FROM pg_attribute
        WHERE attrelid = 'roundtrip.ledger_kept_1'::regclass AND attnum > 0 AND attname !~ '^roundtrip_' ORDER BY attnum";
    let expected = [
        "id bigint -",
        "n numeric(6,2) -",
        "l text[] \"default\"",
        "c text \"default\"",
        "r text \"default\"",
        "m text \"default\"",
        "d text \"default\"",
        "ms text \"default\"",
    ];
    assert_eq!(column(&mut connection, types).await, expected);
    // Kept data depends on none of these objects.
    execute(&mut connection, "DROP TYPE mood; DROP DOMAIN pos; DROP COLLATION own;").await;
    execute(
        &mut connection,
        "CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN pos AS int; CREATE COLLATION own (LOCALE = 'C');",
    )
    .await;
    migrator(&database, &chain, quick()).await.run(&Target::Latest, NOW).await.unwrap();
    assert_eq!(contents(&mut connection).await, before);
}

#[tokio::test]
async fn what_has_another_type_since_comes_back() {
    let (database, chain, mut connection) = with_rows(
        "CREATE TABLE t (id int PRIMARY KEY, n int);",
        "ALTER TABLE t ADD note int; CREATE TABLE u (id int PRIMARY KEY, at timestamptz);",
        "DROP TABLE u; ALTER TABLE t DROP note;",
        "INSERT INTO t VALUES (1, 100, 7), (2, 200, NULL); INSERT INTO u VALUES (1, '2024-02-29 12:00+00'), (2, NULL);",
    )
    .await;
    migrator(&database, &chain, keeping()).await.run(&Target::Down(1), NOW).await.unwrap();
    execute(&mut connection, "ALTER TABLE t ALTER id TYPE text;").await;
    let up = "ALTER TABLE t ADD note text; CREATE TABLE u (id text PRIMARY KEY, at text);";
    chain.write(2, "change", up, "DROP TABLE u; ALTER TABLE t DROP note;");
    migrator(&database, &chain, quick()).await.run(&Target::Latest, NOW).await.unwrap();
    let rows = rows_of(&mut connection, &["t", "u"]).await;
    assert_eq!(rows, ["(1,100,7)", "(2,200,)", "(1,\"2024-02-29 12:00:00+00\")", "(2,)"]);
}
