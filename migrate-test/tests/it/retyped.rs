//! Columns that change their type, and foreign keys to what the migration itself creates: the requirements on
//! rows are known, and a loss is found even if the rows had to be plainer.

use migrate_test::proof::Law;
use rstest::rstest;

use crate::losses::{holds, is_found, proven, shown};

const TEXT: &str = "CREATE TABLE t (id int PRIMARY KEY, x text);";

/// If what a key references does not exist before, only NULL fits.
#[rstest]
#[case::a_new_table(
    "CREATE TABLE dep (id bigserial PRIMARY KEY, name text NOT NULL, head_id bigint);",
    "CREATE TABLE emp (id bigserial PRIMARY KEY, dep_id bigint REFERENCES dep (id));
     ALTER TABLE dep ADD CONSTRAINT fk_head FOREIGN KEY (head_id) REFERENCES emp (id);",
    "ALTER TABLE dep DROP CONSTRAINT fk_head; DROP TABLE emp;"
)]
#[case::of_two_columns(
    "CREATE TABLE dep (id int PRIMARY KEY, a int NOT NULL, b text);",
    "CREATE TABLE emp (a int, b text, PRIMARY KEY (a, b)); ALTER TABLE dep ADD CONSTRAINT k FOREIGN KEY (a, b) REFERENCES emp;",
    "ALTER TABLE dep DROP CONSTRAINT k; DROP TABLE emp;"
)]
#[case::in_full(
    "CREATE TABLE dep (id int PRIMARY KEY, a int, b text);",
    "CREATE TABLE emp (a int, b text, PRIMARY KEY (a, b));
     ALTER TABLE dep ADD CONSTRAINT k FOREIGN KEY (a, b) REFERENCES emp MATCH FULL;",
    "ALTER TABLE dep DROP CONSTRAINT k; DROP TABLE emp;"
)]
#[case::a_new_column(
    "CREATE TABLE emp (id int PRIMARY KEY); CREATE TABLE dep (id int PRIMARY KEY, head text);",
    "ALTER TABLE emp ADD code text UNIQUE; ALTER TABLE dep ADD CONSTRAINT k FOREIGN KEY (head) REFERENCES emp (code);",
    "ALTER TABLE dep DROP CONSTRAINT k; ALTER TABLE emp DROP code;"
)]
#[tokio::test]
async fn a_key_to_what_is_new_is_tried_on_null(#[case] base: &str, #[case] up: &str, #[case] down: &str) {
    holds(base, up, down).await;
    let proven = proven(base, up, down, 0).await;
    assert!(
        proven.notes.iter().any(|note| note.starts_with("it fails on rows that do not meet")),
        "{}",
        shown(&proven)
    );
}

/// If NULL is not allowed, no row fits, and the migration cannot be applied to any rows.
#[tokio::test]
async fn a_key_to_what_is_new_that_no_row_fits_is_found() {
    let base = "CREATE TABLE dep (id int PRIMARY KEY, head_id int NOT NULL);";
    let up =
        "CREATE TABLE emp (id int PRIMARY KEY); ALTER TABLE dep ADD CONSTRAINT k FOREIGN KEY (head_id) REFERENCES emp;";
    is_found(base, up, "ALTER TABLE dep DROP CONSTRAINT k; DROP TABLE emp;").await;
}

/// Texts that are parsed, in whole or in part, occur in the rows.
#[rstest]
#[case::a_list("string_to_array(replace(x, ' ', ''), ',')::inet[]")]
#[case::a_list_by_pattern(r"regexp_split_to_array(x, '\s*;\s*')::int[]")]
#[case::a_list_in_braces("('{' || x || '}')::int[]")]
#[case::a_list_by_function("concat('{', x, '}')::uuid[]")]
#[case::an_array("x::int[]")]
#[case::an_item("(string_to_array(x, '-'))[1]::int")]
#[case::a_part("split_part(x, ',', 2)::int")]
#[case::from_a_place("substring(x from 3)::int")]
#[case::from_a_place_for_some("substr(x, 2, 3)::int")]
#[case::what_a_pattern_finds("substring(x from '[0-9]+')::int")]
#[case::the_beginning("left(x, 4)::int")]
#[case::with_a_unit("(x || ' days')::interval")]
#[case::with_the_rest_of_a_date("(x || '-01')::date")]
#[case::an_array_of_one("ARRAY[x]::int[]")]
#[case::a_date("to_date(x, 'YYYY-MM-DD')")]
#[case::a_time("to_timestamp(x, 'YYYY-MM-DD HH24:MI:SS')")]
#[case::seconds("to_timestamp(x::bigint)")]
#[case::a_number("to_number(x, '999D99')")]
#[case::a_document("(x::jsonb)")]
#[case::not_empty("nullif(x, '')::int")]
#[case::one_case("(CASE WHEN x = '' THEN NULL ELSE x END)::int")]
#[case::trimmed("trim(x)::numeric")]
#[case::in_other_brackets("translate(x, '[]', '{}')::int[]")]
#[case::by_two_functions("('(' || replace(x, ' ', ',') || ')')::point")]
#[case::in_hex("decode(x, 'hex')")]
#[case::in_base64("decode(trim(x), 'base64')")]
#[tokio::test]
async fn texts_are_as_they_are_read(#[case] read: &str) {
    let up = format!("CREATE TABLE u AS SELECT id, {read} AS n FROM t;");
    holds(TEXT, &up, "DROP TABLE u;").await;
}

/// A text with several parsed parts has all of them.
#[tokio::test]
async fn texts_have_every_part_that_is_read() {
    let up = "ALTER TABLE t ADD low int, ADD high int; UPDATE t SET low = split_part(x, '-', 1)::int, high = split_part(x, '-', 2)::int;";
    holds(TEXT, up, "ALTER TABLE t DROP low, DROP high;").await;
}

/// If the rows of a table function are parsed, so is the text that it splits.
#[rstest]
#[case::unnested("unnest(string_to_array(x, ',')) s")]
#[case::split("regexp_split_to_table(x, ';') AS s")]
#[case::with_columns("unnest(string_to_array(x, ',')) AS parts (s)")]
#[tokio::test]
async fn items_of_texts_are_as_they_are_read(#[case] from: &str) {
    let up = format!("CREATE TABLE u (t int, n int); INSERT INTO u SELECT id, s::int FROM t, {from};");
    holds(TEXT, &up, "DROP TABLE u;").await;
}

/// Ignored parts of a text are lost if the text itself is not kept.
#[rstest]
#[case::case("lower(x)::mood", "mood")]
#[case::blanks("trim(x)::int", "int")]
#[case::zeros("(x || ' hours')::interval", "interval")]
#[tokio::test]
async fn what_is_left_out_of_account_is_lost(#[case] read: &str, #[case] to: &str) {
    let back = if to == "interval" { "(extract(epoch FROM x) / 3600)::int::text" } else { "x::text" };
    let up = format!("CREATE TYPE mood AS ENUM ('bad', 'good'); ALTER TABLE t ALTER x TYPE {to} USING {read};");
    is_found(TEXT, &up, &format!("ALTER TABLE t ALTER x TYPE text USING {back}; DROP TYPE mood;")).await;
}

/// The same for the labels of an enum, and lists of them.
#[rstest]
#[case::in_lower_case("mood", "lower(x)::mood")]
#[case::a_list("mood[]", "string_to_array(x, ',')::mood[]")]
#[tokio::test]
async fn labels_are_as_they_are_read(#[case] to: &str, #[case] read: &str) {
    let up = format!("CREATE TYPE mood AS ENUM ('bad', 'good'); ALTER TABLE t ADD n {to}; UPDATE t SET n = {read};");
    holds(TEXT, &up, "ALTER TABLE t DROP n; DROP TYPE mood;").await;
}

/// What a type loses is found even if extreme values had to be left out.
#[rstest]
#[case::numeric("numeric", "bigint", "n")]
#[case::numeric_above_zero("numeric CHECK (n >= 0)", "int", "n")]
#[case::numeric_of_some_digits("numeric(30, 4)", "smallint", "n")]
#[case::real("real", "smallint", "n")]
#[case::double("double precision", "bigint", "n")]
#[case::double_to_numeric("double precision", "numeric(12, 1)", "n")]
#[case::money("money", "int", "n::numeric::int")]
#[case::timestamp("timestamp", "timestamp(0)", "n")]
#[case::seconds("timestamptz", "int", "extract(epoch FROM n)::int")]
#[case::time("time", "time(0)", "n")]
#[case::interval("interval", "int", "extract(epoch FROM n)::int")]
#[case::text("text", "char(80)", "n::char(80)")]
#[case::lower("text", "text", "lower(n)")]
#[case::trimmed("text", "varchar(12)", "trim(n)::varchar(12)")]
#[tokio::test]
async fn what_a_type_loses_is_seen(#[case] from: &str, #[case] to: &str, #[case] using: &str) {
    let base = format!("CREATE TABLE t (id int PRIMARY KEY, n {from});");
    let own = from.split(" CHECK").next().unwrap();
    let back = match (own, using.contains("epoch")) {
        ("timestamptz", true) => "to_timestamp(n)".to_owned(),
        ("interval", true) => "make_interval(secs => n)".to_owned(),
        ("money", _) => "n::numeric::money".to_owned(),
        _ => format!("n::{own}"),
    };
    let up = format!("ALTER TABLE t ALTER n TYPE {to} USING {using};");
    is_found(&base, &up, &format!("ALTER TABLE t ALTER n TYPE {own} USING {back};")).await;
}

/// Conversions without a loss hold.
#[rstest]
#[case::int_to_bigint("int", "bigint", "n", "n")]
#[case::int_to_numeric("int", "numeric", "n", "n::int")]
#[case::int_to_text("int", "text", "n::text", "n::int")]
#[case::int_to_double("int", "double precision", "n", "n::int")]
#[case::numeric_to_text("numeric(12, 2)", "text", "n::text", "n::numeric(12, 2)")]
#[case::numeric_to_cents("numeric(12, 2)", "bigint", "(n * 100)::bigint", "n / 100.0")]
#[case::real_to_double("real", "double precision", "n", "n::real")]
#[case::boolean_to_int("boolean", "int", "n::int", "n::boolean")]
#[case::boolean_to_text("boolean", "text", "n::text", "n::boolean")]
#[case::date_to_timestamp("date", "timestamp", "n", "n::date")]
#[case::date_to_text("date", "text", "n::text", "n::date")]
#[case::timestamp_to_zone("timestamp", "timestamptz", "n AT TIME ZONE 'UTC'", "n AT TIME ZONE 'UTC'")]
#[case::uuid_to_text("uuid", "text", "n::text", "n::uuid")]
#[case::json("jsonb", "json", "n::json", "n::jsonb")]
#[case::inet_to_text("inet", "text", "n::text", "n::inet")]
#[case::varchar_to_text("varchar(20)", "text", "n", "n::varchar(20)")]
#[case::an_array("int", "int[]", "ARRAY[n]", "n[1]")]
#[case::arrays("int[]", "bigint[]", "n::bigint[]", "n::int[]")]
#[case::bytea("bytea", "text", "encode(n, 'hex')", "decode(n, 'hex')")]
#[case::interval("interval", "text", "n::text", "n::interval")]
#[tokio::test]
async fn what_loses_nothing_holds(#[case] from: &str, #[case] to: &str, #[case] using: &str, #[case] back: &str) {
    let base = format!("CREATE TABLE t (id int PRIMARY KEY, n {from});");
    let up = format!("ALTER TABLE t ALTER n TYPE {to} USING {using};");
    let down = format!("ALTER TABLE t ALTER n TYPE {from} USING {back};");
    let proven = proven(&base, &up, &down, 0).await;
    assert_eq!(proven.laws[&Law::Data].as_str(), "holds", "{}", shown(&proven));
}
