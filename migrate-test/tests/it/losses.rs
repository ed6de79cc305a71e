//! Rollbacks that lose rows, and others that do not: with every seed, the law of data is found broken, or to
//! hold.

use migrate_core::CodeMigrations;
use migrate_test::proof::{self, Law, MigrationProof, Proof};
use rstest::rstest;

use crate::support::{ChainFolder, version};

const SEEDS: std::ops::Range<u64> = 0..2;

pub(crate) async fn proven(base: &str, up: &str, down: &str, seed: u64) -> MigrationProof {
    let chain =
        ChainFolder::new(&[(1, "base", &format!("-- migrate: irreversible it is a test\n{base}"), "SELECT 1;")]);
    chain.remove_down(1, "base");
    chain.write(2, "change", up, down);
    let proof = Proof { only: Some([version(2)].into()), keep: false, seed, walks: 0, ..Proof::default() };
    proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap().migrations.remove(0)
}

pub(crate) fn shown(proven: &MigrationProof) -> String {
    format!("{:?}\n{:?}\n{:?}", proven.laws[&Law::Data], proven.rests, proven.notes)
}

pub(crate) async fn is_found(base: &str, up: &str, down: &str) {
    for seed in SEEDS {
        let proven = proven(base, up, down, seed).await;
        assert!(proven.laws[&Law::Data].is_broken(), "seed {seed}: {up}\n{}", shown(&proven));
    }
}

pub(crate) async fn holds(base: &str, up: &str, down: &str) {
    for seed in SEEDS {
        let proven = proven(base, up, down, seed).await;
        assert_eq!(proven.laws[&Law::Data].as_str(), "holds", "seed {seed}: {up}\n{}", shown(&proven));
        assert!(proven.rests.without.is_empty(), "seed {seed}: {up}\n{}", shown(&proven));
    }
}

const ADDED: &str = "ALTER TABLE t ADD x int;";

/// If a column has only a few possible values, each occurs in a row.
#[rstest]
#[case::two("CREATE TABLE t (id int PRIMARY KEY, s text NOT NULL CHECK (s IN ('a', 'b')));", "UPDATE t SET s = 'a';")]
#[case::four(
    "CREATE TABLE t (id int PRIMARY KEY, s text NOT NULL CHECK (s IN ('a', 'b', 'c', 'd')));",
    "DELETE FROM t WHERE s = 'd';"
)]
#[case::numbers("CREATE TABLE t (n int CHECK (n IN (1, 2, 3, 4)));", "DELETE FROM t WHERE n = 4;")]
#[case::a_domain(
    "CREATE DOMAIN d AS text CHECK (VALUE IN ('x', 'y')); CREATE TABLE t (d d);",
    "DELETE FROM t WHERE d <> 'x';"
)]
#[case::an_enum(
    "CREATE TYPE e AS ENUM ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'); CREATE TABLE t (id int PRIMARY KEY, e e NOT NULL);",
    "DELETE FROM t WHERE e > 'i';"
)]
#[case::a_boolean("CREATE TABLE t (id int PRIMARY KEY, b bool NOT NULL);", "DELETE FROM t WHERE NOT b;")]
#[case::sides_of_or(
    "CREATE TABLE t (kind text, n int NOT NULL, CHECK (kind = 'card' AND n > 5 OR kind = 'iban' AND n < 0));",
    "DELETE FROM t WHERE kind = 'iban';"
)]
#[case::one_is_null(
    "CREATE TABLE t (a int, b int, CHECK ((a IS NULL) <> (b IS NULL)));",
    "DELETE FROM t WHERE a IS NOT NULL;"
)]
#[case::the_other_is_null(
    "CREATE TABLE t (a int, b int, CHECK ((a IS NULL) <> (b IS NULL)));",
    "DELETE FROM t WHERE b IS NOT NULL;"
)]
#[tokio::test]
async fn every_alternative_has_a_row(#[case] base: &str, #[case] loses: &str) {
    is_found(base, ADDED, &format!("ALTER TABLE t DROP x; {loses}")).await;
}

/// Constants that scripts compare columns with, or write into them, occur in some row.
#[rstest]
#[case("s text", "DELETE FROM t WHERE s = 'obsolete';")]
#[case("s text NOT NULL CHECK (length(s) > 2)", "DELETE FROM t WHERE s = 'obsolete';")]
#[case("s varchar(20)", "UPDATE t SET s = 'basic' WHERE s = 'premium';")]
#[case("st int", "UPDATE t SET st = 1 WHERE st = 42;")]
#[case("url text", "UPDATE t SET url = replace(url, 'http:', 'https:') WHERE url LIKE 'http://%';")]
#[case("role text, age int", "DELETE FROM t WHERE role = 'guest' OR age > 150;")]
#[case("role text", "DELETE FROM t WHERE lower(role) IN ('guest', 'ghost');")]
#[case(
    "status text CHECK (status IN ('new', 'sent', 'lost', 'returned'))",
    "UPDATE t SET status = 'sent' WHERE status = 'returned';"
)]
#[case("at date", "DELETE FROM t WHERE at < '2000-01-01';")]
#[case("n int", "UPDATE t SET n = 100 WHERE n BETWEEN 100 AND 200;")]
#[tokio::test]
async fn what_a_script_compares_with_is_in_a_row(#[case] columns: &str, #[case] up: &str) {
    is_found(&format!("CREATE TABLE t (id serial PRIMARY KEY, {columns});"), up, "SELECT 1;").await;
}

/// In a table with many columns, a row has everything that a statement selects, and a value that it changes.
#[rstest]
#[case::an_item("UPDATE t SET tags = array_remove(tags, 'draft');")]
#[case::another_item("UPDATE t SET tags = array_replace(tags, 'a1', 'b1');")]
#[case::one_of_items("UPDATE t SET kind = 'x' WHERE 'draft' = ANY (tags);")]
#[case::contained("DELETE FROM t WHERE tags @> ARRAY['draft'] AND amount = 0;")]
#[case::shared("DELETE FROM t WHERE tags && ARRAY['draft', 'old'];")]
#[case::a_path("UPDATE t SET settings = settings #- '{ui,theme}';")]
#[case::a_key("UPDATE t SET settings = settings - 'theme' WHERE settings ? 'theme';")]
#[case::set("UPDATE t SET settings = jsonb_set(settings, '{a,b}', '1', false);")]
#[case::set_where("UPDATE t SET settings = jsonb_set(settings, '{a,b}', '1') WHERE settings #>> '{a,b}' = 'black';")]
#[case::nested("UPDATE t SET settings = '{}' WHERE settings -> 'ui' ->> 'theme' = 'dark';")]
#[case::lower_in_a_document(
    "UPDATE t SET settings = jsonb_set(settings, '{lang}', to_jsonb(lower(settings ->> 'lang'))) WHERE settings ->> 'lang' IS NOT NULL;"
)]
#[case::a_document("UPDATE t SET settings = settings - 'beta' WHERE settings @> '{\"beta\": true}';")]
#[case::a_prefix("UPDATE t SET url = regexp_replace(url, '^http:', 'https:');")]
#[case::an_escaped_prefix(r"UPDATE t SET url = regexp_replace(url, '^www\.', '');")]
#[case::what_is_no_digit("UPDATE t SET phone = regexp_replace(phone, '[^0-9]', '', 'g');")]
#[case::blanks(r"UPDATE t SET name = regexp_replace(name, '\s+', ' ', 'g');")]
#[case::a_part("UPDATE t SET url = split_part(url, '?', 1);")]
#[case::what_matches("UPDATE t SET name = substring(name FROM '[0-9]+') WHERE name ~ '[0-9]';")]
#[case::the_beginning("UPDATE t SET name = substring(name FOR 3);")]
#[case::several_at_once("UPDATE t SET (kind, name) = ('x', NULL) WHERE phone IS NULL AND kind = 'obsolete';")]
#[case::to_a_default("UPDATE t SET kind = DEFAULT WHERE phone = 'obsolete' AND kind = 'gone';")]
#[case::cut("UPDATE t SET name = left(name, 20);")]
#[case::the_end("UPDATE t SET url = rtrim(url, '/');")]
#[case::the_beginning("UPDATE t SET code = ltrim(code, '0');")]
#[case::replaced("UPDATE t SET url = replace(url, 'http://', 'https://');")]
#[case::translated("UPDATE t SET name = translate(name, 'äöü', 'aou');")]
#[case::two_conditions("DELETE FROM t WHERE kind = 'obsolete' AND amount = 0;")]
#[case::a_time("UPDATE t SET kind = 'expired' WHERE kind = 'pending' AND at < now() - interval '30 days';")]
#[case::a_time_to_come("DELETE FROM t WHERE at > now() + interval '1 year' AND NOT flag;")]
#[case::days("UPDATE t SET flag = true WHERE at BETWEEN '2019-01-01' AND '2019-02-01' AND kind IN ('a', 'b');")]
#[case::many("DELETE FROM t WHERE name LIKE 'test%' AND phone IS NULL AND amount BETWEEN 5 AND 7 AND kind = 'x';")]
#[case::a_stranger("UPDATE t SET amount = NULL WHERE amount NOT IN (SELECT id FROM t);")]
#[case::untidy("UPDATE t SET name = lower(trim(name)) WHERE name <> lower(trim(name));")]
#[case::of_another_table("DELETE FROM t USING u WHERE u.id IS NOT NULL AND t.kind = 'obsolete' AND t.flag;")]
#[case::one_case("UPDATE t SET kind = CASE kind WHEN 'a' THEN 'x' WHEN 'b' THEN 'x' ELSE kind END;")]
#[case::plain("DELETE FROM t WHERE phone = 'obsolete';")]
#[tokio::test]
async fn what_a_statement_takes_is_in_a_row(#[case] up: &str) {
    let base = "CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, url text, name text, \
        phone text, code varchar(20), kind text, city text, street text, amount int, at timestamptz, flag boolean, \
        tags text[], settings jsonb);";
    is_found(base, up, "SELECT 1;").await;
}

/// If a migration fails on awkward values, it is proven with ordinary ones, including those that it selects.
#[tokio::test]
async fn what_a_statement_takes_is_in_an_ordinary_row() {
    let base = "CREATE TABLE t (id int PRIMARY KEY, email text NOT NULL UNIQUE);";
    is_found(base, "UPDATE t SET email = lower(trim(email)) WHERE email <> lower(trim(email));", "SELECT 1;").await;
}

/// A table that already has rows gets those that a later statement selects, however many were deleted before.
#[tokio::test]
async fn what_a_later_statement_takes_is_in_a_row() {
    let base = "CREATE TABLE t (id int PRIMARY KEY, name text, phone text);";
    for seed in SEEDS {
        let chain = ChainFolder::new(&[
            (1, "base", base, "DROP TABLE t;"),
            (2, "first", "UPDATE t SET name = NULL WHERE name = 'x';", "SELECT 1;"),
            (3, "second", "DELETE FROM t WHERE name IS NULL;", "SELECT 1;"),
            (4, "third", "DELETE FROM t WHERE phone = 'obsolete';", "SELECT 1;"),
        ]);
        let proof = Proof { keep: false, seed, walks: 0, ..Proof::default() };
        let proven = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
        for one in &proven.migrations[1..] {
            assert!(one.laws[&Law::Data].is_broken(), "seed {seed}\n{}", shown(one));
        }
    }
}

/// A row that a table refuses does not prevent others.
#[rstest]
#[case("s text CHECK (s IN ('new', 'old'))", "UPDATE t SET s = 'gone' WHERE s = 'lost' AND n = 1;")]
#[case("s text UNIQUE NOT NULL", "DELETE FROM t WHERE s IS NULL;")]
#[case("s text CHECK (length(s) < 5)", "UPDATE t SET s = left(s, 10);")]
#[tokio::test]
async fn what_cannot_be_aimed_at_does_no_harm(#[case] columns: &str, #[case] up: &str) {
    holds(&format!("CREATE TABLE t (id serial PRIMARY KEY, n int, {columns});"), up, "SELECT 1;").await;
}

/// Values that migrations are known to lose occur in some row.
#[rstest]
#[case::case("email text NOT NULL", "UPDATE t SET email = lower(email);", "SELECT 1;")]
#[case::blanks("a text", "UPDATE t SET a = trim(a);", "SELECT 1;")]
#[case::padding("a varchar(10)", "ALTER TABLE t ALTER a TYPE char(10);", "ALTER TABLE t ALTER a TYPE varchar(10);")]
#[case::empty("a text", "UPDATE t SET a = NULL WHERE a = '';", "UPDATE t SET a = '' WHERE a IS NULL;")]
#[case::a_key("j jsonb NOT NULL", "UPDATE t SET j = j - 'a';", "UPDATE t SET j = j || '{\"a\": null}';")]
#[case::a_value(
    "j jsonb NOT NULL",
    "ALTER TABLE t ADD city text; UPDATE t SET city = j ->> 'city', j = j - 'city';",
    "UPDATE t SET j = jsonb_set(j, '{city}', to_jsonb(city)) WHERE city IS NOT NULL; ALTER TABLE t DROP city;"
)]
#[case::fractions("f float8", "ALTER TABLE t ALTER f TYPE int USING round(f);", "ALTER TABLE t ALTER f TYPE float8;")]
#[case::a_doubled_hour(
    "at timestamptz",
    "ALTER TABLE t ALTER at TYPE timestamp USING at AT TIME ZONE 'Europe/Berlin';",
    "ALTER TABLE t ALTER at TYPE timestamptz USING at AT TIME ZONE 'Europe/Berlin';"
)]
#[case::a_key_of_json(
    "j json",
    "ALTER TABLE t ALTER j TYPE jsonb USING j::jsonb - 'a';",
    "ALTER TABLE t ALTER j TYPE json;"
)]
#[case::an_array("a text[]", "UPDATE t SET a = ARRAY(SELECT DISTINCT unnest(a));", "SELECT 1;")]
#[case::digits(
    "p numeric(10, 4)",
    "ALTER TABLE t ALTER p TYPE bigint USING (p * 100)::bigint;",
    "ALTER TABLE t ALTER p TYPE numeric(10, 4) USING p / 100.0;"
)]
#[case::many_digits(
    "p numeric(30, 10)",
    "ALTER TABLE t ALTER p TYPE float8;",
    "ALTER TABLE t ALTER p TYPE numeric(30, 10);"
)]
#[case::large("n bigint", "ALTER TABLE t ALTER n TYPE float8;", "ALTER TABLE t ALTER n TYPE bigint;")]
#[case::two_places("p numeric", "ALTER TABLE t ALTER p TYPE numeric(8, 2);", "ALTER TABLE t ALTER p TYPE numeric;")]
#[case::rounded("p numeric(8, 3)", "ALTER TABLE t ALTER p TYPE int;", "ALTER TABLE t ALTER p TYPE numeric(8, 3);")]
#[case::zeros("zip text", "ALTER TABLE t ALTER zip TYPE int USING zip::int;", "ALTER TABLE t ALTER zip TYPE text;")]
#[case::zeros_of_a_pattern(
    "zip text CHECK (zip ~ '^[0-9]{5}$')",
    "ALTER TABLE t DROP CONSTRAINT t_zip_check; ALTER TABLE t ALTER zip TYPE int USING zip::int;",
    "ALTER TABLE t ALTER zip TYPE text; ALTER TABLE t ADD CHECK (zip ~ '^[0-9]{5}$');"
)]
#[case::upper_case("u text", "ALTER TABLE t ALTER u TYPE uuid USING u::uuid;", "ALTER TABLE t ALTER u TYPE text;")]
#[case::yes("b text", "ALTER TABLE t ALTER b TYPE bool USING b::bool;", "ALTER TABLE t ALTER b TYPE text;")]
#[case::a_date("d text", "ALTER TABLE t ALTER d TYPE date USING d::date;", "ALTER TABLE t ALTER d TYPE text;")]
#[case::labels(
    "s text NOT NULL",
    "CREATE TYPE e AS ENUM ('new', 'old'); ALTER TABLE t ALTER s TYPE e USING s::e;",
    "ALTER TABLE t ALTER s TYPE text USING 'new'; DROP TYPE e;"
)]
#[case::lines_beside_constants("a text", r"UPDATE t SET a = regexp_replace(a, '\s+', ' ', 'g');", "SELECT 1;")]
#[case::equal_values("a text", "DELETE FROM t x USING t y WHERE x.a = y.a AND x.id > y.id;", "SELECT 1;")]
#[tokio::test]
async fn what_is_typically_lost_is_found(#[case] columns: &str, #[case] up: &str, #[case] down: &str) {
    is_found(&format!("CREATE TABLE t (id serial PRIMARY KEY, {columns});"), up, down).await;
}

#[rstest]
#[case("CREATE TABLE t (a int, b text);")]
#[case("CREATE TABLE t (a int, b bool);")]
#[case("CREATE TABLE t (a text NOT NULL, at date NOT NULL DEFAULT '2024-01-01');")]
#[tokio::test]
async fn equal_rows_are_found_missing(#[case] base: &str) {
    let up = "CREATE TABLE u AS SELECT DISTINCT * FROM t; TRUNCATE t; INSERT INTO t SELECT * FROM u; DROP TABLE u;";
    is_found(base, up, "SELECT 1;").await;
}

/// Rollbacks that restore everything.
#[rstest]
#[case::other_case("s text", "ALTER TABLE t ADD l text; UPDATE t SET l = lower(s);", "ALTER TABLE t DROP l;")]
#[case::aside(
    "s text",
    "CREATE TABLE gone AS SELECT * FROM t WHERE s = 'obsolete'; DELETE FROM t WHERE s = 'obsolete';",
    "INSERT INTO t SELECT * FROM gone; DROP TABLE gone;"
)]
#[case::wider(
    "n int, v varchar(10)",
    "ALTER TABLE t ALTER n TYPE bigint, ALTER v TYPE text;",
    "ALTER TABLE t ALTER n TYPE int, ALTER v TYPE varchar(10);"
)]
#[case::enum_and_back(
    "s text CHECK (s IN ('new', 'old'))",
    "ALTER TABLE t DROP CONSTRAINT t_s_check; CREATE TYPE e AS ENUM ('new', 'old'); ALTER TABLE t ALTER s TYPE e USING s::e;",
    "ALTER TABLE t ALTER s TYPE text; DROP TYPE e; ALTER TABLE t ADD CHECK (s IN ('new', 'old'));"
)]
#[case::numbers_as_text(
    "n int, u uuid, d date, j jsonb",
    "ALTER TABLE t ALTER n TYPE text, ALTER u TYPE text, ALTER d TYPE text, ALTER j TYPE text;",
    "ALTER TABLE t ALTER n TYPE int USING n::int, ALTER u TYPE uuid USING u::uuid, ALTER d TYPE date USING d::date, ALTER j TYPE jsonb USING j::jsonb;"
)]
#[case::unique("a text", "ALTER TABLE t ADD UNIQUE (a);", "ALTER TABLE t DROP CONSTRAINT t_a_key;")]
#[case::utc(
    "at timestamptz",
    "ALTER TABLE t ALTER at TYPE timestamp USING at AT TIME ZONE 'UTC';",
    "ALTER TABLE t ALTER at TYPE timestamptz USING at AT TIME ZONE 'UTC';"
)]
#[case::split(
    "j jsonb NOT NULL",
    "ALTER TABLE t ADD old jsonb; UPDATE t SET old = j, j = j - 'a';",
    "UPDATE t SET j = old; ALTER TABLE t DROP old;"
)]
#[case::brought(
    "s text",
    "INSERT INTO t (s) SELECT 'ours ' || n FROM generate_series(1, 3) n;",
    "DELETE FROM t WHERE s LIKE 'ours %';"
)]
#[case::brought_and_changed(
    "s text UNIQUE, n int",
    "INSERT INTO t (s, n) VALUES ('admin', 1); UPDATE t SET n = 9 WHERE s = 'admin';",
    "DELETE FROM t WHERE s = 'admin';"
)]
#[case::text_but_for_its_spelling(
    "j text",
    "ALTER TABLE t ALTER j TYPE jsonb USING j::jsonb;",
    "ALTER TABLE t ALTER j TYPE text;"
)]
#[case::json_but_for_its_spelling("j json", "ALTER TABLE t ALTER j TYPE jsonb;", "ALTER TABLE t ALTER j TYPE json;")]
#[case::json_by_a_cast(
    "j json NOT NULL DEFAULT '{}'",
    "ALTER TABLE t ALTER j DROP DEFAULT, ALTER j TYPE jsonb USING j::jsonb, ALTER j SET DEFAULT '{\"a\": 1,  \"A\": 2}'; UPDATE t SET j = j WHERE j = '{\"b\":1,\"a\":2}';",
    "ALTER TABLE t ALTER j DROP DEFAULT, ALTER j TYPE json USING j::json, ALTER j SET DEFAULT '{}';"
)]
#[case::swapped("b bool", "UPDATE t SET b = NOT b;", "UPDATE t SET b = NOT b;")]
#[tokio::test]
async fn what_comes_back_is_not_found_missing(#[case] columns: &str, #[case] up: &str, #[case] down: &str) {
    holds(&format!("CREATE TABLE t (id serial PRIMARY KEY, {columns});"), up, down).await;
}

/// A statement that changed no rows proves nothing, and that is reported.
#[tokio::test]
async fn what_changed_no_row_is_said() {
    let base = "CREATE TABLE t (id serial PRIMARY KEY, a text); CREATE TABLE u (id serial PRIMARY KEY, b int);";
    let up = "DELETE FROM t USING u WHERE t.a = 'x' || u.b::text || 'never';";
    let proven = proven(base, up, "SELECT 1;", 0).await;
    assert_eq!(proven.rests.idle.len(), 1, "{}", shown(&proven));
    assert!(proven.rested(Law::Data).unwrap().contains("changed no row"), "{}", shown(&proven));
    let other = self::proven(base, "UPDATE t SET a = 'x' || a;", "UPDATE t SET a = substr(a, 2);", 0).await;
    assert!(other.rests.idle.is_empty(), "{}", shown(&other));
}

/// A rollback that fails on values which the up script accepted is reported.
#[tokio::test]
async fn a_rollback_that_fails_on_values_is_said() {
    let (base, up) = (
        "CREATE TABLE t (id serial PRIMARY KEY, n int NOT NULL);",
        "ALTER TABLE t ALTER n TYPE bigint USING n::bigint * 2;",
    );
    for seed in SEEDS {
        let proven = proven(base, up, "ALTER TABLE t ALTER n TYPE int USING (n::int / 2);", seed).await;
        assert!(proven.fragile.is_some() && proven.holds(), "seed {seed}: {}", shown(&proven));
    }
}

/// Values that one migration refuses are still used for the next one and in other columns, and columns with
/// plain values are reported.
#[rstest]
#[case::the_column(
    "ALTER TABLE users ALTER name TYPE varchar(50);",
    "ALTER TABLE users ALTER name TYPE text;",
    "UPDATE users SET name = lower(name);",
    &["public.users.name"]
)]
#[case::length(
    "ALTER TABLE users ALTER name TYPE varchar(50);",
    "ALTER TABLE users ALTER name TYPE text;",
    "UPDATE users SET name = left(name, 20);",
    &["public.users.name"]
)]
#[case::another_column(
    "ALTER TABLE users ALTER name TYPE varchar(50);",
    "ALTER TABLE users ALTER name TYPE text;",
    "UPDATE users SET email = lower(email);",
    &["public.users.name"]
)]
#[case::another_table(
    "UPDATE s SET n = n * 1000000;",
    "UPDATE s SET n = n / 1000000;",
    "UPDATE users SET email = lower(email);",
    &["public.s.n"]
)]
#[case::a_renamed_table(
    "ALTER TABLE users ALTER name TYPE varchar(50); ALTER TABLE users RENAME TO people;",
    "ALTER TABLE people RENAME TO users; ALTER TABLE users ALTER name TYPE text;",
    "UPDATE people SET name = NULLIF(name, '');",
    &["public.users.name"]
)]
#[case::a_loss("UPDATE s SET n = 100 / n;", "SELECT 1;", "UPDATE users SET email = lower(email);", &["public.s.n"])]
#[case::refused_for_good(
    "UPDATE users SET id = id WHERE 1 / (id - id) = 1;",
    "SELECT 1;",
    "UPDATE users SET email = lower(email);",
    &["public.s", "public.users"]
)]
#[tokio::test]
async fn what_is_refused_is_not_missing_elsewhere(
    #[case] refuses: &str,
    #[case] back: &str,
    #[case] loses: &str,
    #[case] plain: &[&str],
) {
    let base = "CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, name text); CREATE TABLE s (id int PRIMARY KEY, j jsonb, n int);";
    let chain = ChainFolder::new(&[(1, "base", base, "DROP TABLE users, s;")]);
    chain.write(2, "refuses", refuses, back);
    chain.write(3, "loses", loses, "SELECT 1;");
    for seed in SEEDS {
        for only in [None, Some([version(3)].into())] {
            let proof = Proof { only, keep: false, seed, walks: 0, ..Proof::default() };
            let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
            let loses = report.migrations.last().unwrap();
            assert!(loses.laws[&Law::Data].is_broken(), "seed {seed}: {}", shown(loses));
            let refuses = report.migrations.get(1);
            assert!(refuses.is_none_or(|one| one.rests.narrowed == plain), "seed {seed}: {}", shown(refuses.unwrap()));
        }
    }
}

/// After a rename, a table still has rows for its columns, and so do the columns that are added later.
#[tokio::test]
async fn a_column_that_comes_after_a_rename_has_values() {
    let base = "CREATE TABLE users (id int PRIMARY KEY, a text);";
    let chain = ChainFolder::new(&[(1, "base", base, "DROP TABLE users;")]);
    chain.write(2, "fills", "UPDATE users SET a = a;", "SELECT 1;");
    chain.write(3, "renames", "ALTER TABLE users RENAME TO people;", "ALTER TABLE people RENAME TO users;");
    chain.write(4, "adds", "ALTER TABLE people ADD c text;", "ALTER TABLE people DROP c;");
    chain.write(5, "drops", "ALTER TABLE people DROP c;", "ALTER TABLE people ADD c text;");
    for seed in SEEDS {
        let proof = Proof { keep: false, seed, walks: 0, ..Proof::default() };
        let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
        let drops = report.migrations.last().unwrap();
        assert!(drops.laws[&Law::Data].is_broken(), "seed {seed}: {}", shown(drops));
    }
}

/// If a table has too many rows to get more, the verdict names the columns without drawn values.
#[tokio::test]
async fn a_column_that_comes_to_a_full_table_is_named() {
    let chain = ChainFolder::new(&[(1, "base", "CREATE TABLE t (id int PRIMARY KEY);", "DROP TABLE t;")]);
    let rows = "INSERT INTO t SELECT n FROM generate_series(1000001, 1001000) n;";
    chain.write(2, "fills", rows, "DELETE FROM t WHERE id BETWEEN 1000001 AND 1001000;");
    for n in 3..5 {
        let (up, down) = (format!("ALTER TABLE t ADD c{n} text;"), format!("ALTER TABLE t DROP c{n};"));
        chain.write(n, "adds", &up, &down);
    }
    let proof = Proof { keep: false, walks: 0, ..Proof::default() };
    let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
    let last = report.migrations.last().unwrap();
    assert!(last.rests.narrowed.contains(&"public.t.c3".to_owned()), "{}", shown(last));
    assert!(report.holds());
}

/// Only tables and columns that the failing statement names get plainer values.
#[rstest]
#[case("UPDATE s SET n = n * 2; UPDATE t SET a = lower(a);", "UPDATE s SET n = n / 2;")]
#[case("UPDATE t SET m = 100 / m, a = lower(a);", "SELECT 1;")]
#[tokio::test]
async fn values_are_plain_only_where_they_are_refused(#[case] up: &str, #[case] down: &str) {
    is_found(
        "CREATE TABLE t (id int PRIMARY KEY, a text, m int); CREATE TABLE s (id int PRIMARY KEY, n int);",
        up,
        down,
    )
    .await;
}

const AUDITED: &str = "CREATE TABLE t (id int PRIMARY KEY, a text);
    CREATE TABLE audit (id bigint GENERATED ALWAYS AS IDENTITY, op text, old jsonb, new jsonb);
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO audit (op, old, new) VALUES (TG_OP, to_jsonb(OLD), to_jsonb(NEW)); RETURN NULL; END $$;
    CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION audit();
    CREATE FUNCTION noted(what text, unit text DEFAULT '$') RETURNS void LANGUAGE sql
        AS $$ INSERT INTO audit (op) VALUES (what) $$;
    CREATE VIEW seen AS SELECT op FROM audit;
    CREATE TABLE log (at int, what text) PARTITION BY LIST (at);
    CREATE TABLE log_1 PARTITION OF log FOR VALUES IN (1);";

/// What a trigger writes in addition is a note, if the scripts cannot have written it themselves.
#[rstest]
#[case("ALTER TABLE t ADD slug text; UPDATE t SET slug = 'a' || id;", "ALTER TABLE t DROP slug;")]
#[case("INSERT INTO t VALUES (-77, 'system');", "DELETE FROM t WHERE id = -77;")]
#[tokio::test]
async fn what_a_trigger_writes_beside_is_no_loss(#[case] up: &str, #[case] down: &str) {
    holds(AUDITED, up, down).await;
    let proven = proven(AUDITED, up, down, 0).await;
    assert!(proven.notes.iter().any(|note| note.starts_with("public.audit: ")), "{}", shown(&proven));
}

#[rstest]
#[case::named("INSERT INTO audit (op) VALUES ('x');", "SELECT 1;")]
#[case::called("SELECT noted('x');", "SELECT 1;")]
#[case::called_by_a_block("DO $$ BEGIN PERFORM noted('x'); END $$;", "SELECT 1;")]
#[case::through_a_view("INSERT INTO seen VALUES ('x');", "SELECT 1;")]
#[case::into_a_part("INSERT INTO log VALUES (1, 'x');", "SELECT 1;")]
#[case::unread("DO $$ BEGIN EXECUTE 'INSERT INTO au' || 'dit (op) VALUES (1)'; END $$;", "SELECT 1;")]
#[case::of_the_table("INSERT INTO t VALUES (-77, 'system');", "SELECT 1;")]
#[tokio::test]
async fn what_the_scripts_write_is_a_loss_where_it_stays(#[case] up: &str, #[case] down: &str) {
    is_found(AUDITED, up, down).await;
}

/// Values that the up script newly allows may be lost by the rollback, although no existing row is.
#[rstest]
#[case::a_label(
    "CREATE TYPE e AS ENUM ('a', 'b'); CREATE TABLE t (id int PRIMARY KEY, e e NOT NULL);",
    "ALTER TYPE e ADD VALUE 'c';",
    "ALTER TYPE e RENAME TO gone; CREATE TYPE e AS ENUM ('a', 'b');
     ALTER TABLE t ALTER e TYPE e USING replace(e::text, 'c', 'a')::e; DROP TYPE gone;",
    "skipped"
)]
#[case::longer(
    "CREATE TABLE t (id int PRIMARY KEY, a varchar(10));",
    "ALTER TABLE t ALTER a TYPE varchar(50);",
    "ALTER TABLE t ALTER a TYPE varchar(10) USING left(a, 10);",
    "skipped"
)]
#[case::nothing(
    "CREATE TABLE t (id int PRIMARY KEY, a varchar(10));",
    "CREATE INDEX i ON t (a);",
    "DROP INDEX i;",
    "broken"
)]
#[case::shorter(
    "CREATE TABLE t (id int PRIMARY KEY, a text, n bigint, p numeric(12, 2), j json);",
    "ALTER TABLE t ALTER a TYPE varchar(50), ALTER n TYPE int USING n::int, ALTER p TYPE numeric(8, 2), ALTER j TYPE jsonb;",
    "ALTER TABLE t ALTER a TYPE text, ALTER n TYPE bigint, ALTER p TYPE numeric(12, 2), ALTER j TYPE json;",
    "broken"
)]
#[case::computed(
    "CREATE FUNCTION same(text) RETURNS text LANGUAGE sql AS 'SELECT $1'; CREATE TABLE t (id int PRIMARY KEY, a text);",
    "ALTER TABLE t ALTER a TYPE varchar(50) USING same(a);",
    "ALTER TABLE t ALTER a TYPE text;",
    "skipped"
)]
#[tokio::test]
async fn a_loss_that_is_declared_for_new_values_is_not_refused(
    #[case] base: &str,
    #[case] up: &str,
    #[case] down: &str,
    #[case] verdict: &str,
) {
    let proven = proven(base, up, &format!("-- migrate: lossy they go\n{down}"), 0).await;
    assert_eq!(proven.laws[&Law::Declared].as_str(), verdict, "{}", shown(&proven));
}
