//! Rows for schemas that are hard to fill: the proof must not report any table as empty.

use migrate_core::CodeMigrations;
use migrate_test::proof::{self, Law, Proof, Verdict};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rstest::rstest;

use crate::support::ChainFolder;

#[rstest]
#[case::to_itself("CREATE TABLE a (id int PRIMARY KEY, parent int NOT NULL REFERENCES a (id));")]
#[case::a_cycle(
    "CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL); CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a (id));
     ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b (id);"
)]
#[case::two_columns(
    "CREATE TABLE p (a int, b text, PRIMARY KEY (a, b)); CREATE TABLE c (x int, y text, FOREIGN KEY (x, y) REFERENCES p (a, b));"
)]
#[case::checks(
    "CREATE TABLE t (stars int CHECK (stars BETWEEN 3 AND 5), code char(4) NOT NULL CHECK (code ~ '^[A-Z]{2}[0-9]{2}$'),
     state text CHECK (state IN ('on', 'off')), name text CHECK (length(name) = 7));"
)]
#[case::own_types(
    "CREATE TYPE mood AS ENUM ('it''s', 'fine'); CREATE DOMAIN positive AS int CHECK (VALUE > 100); CREATE TYPE pair AS (a int, b text);
     CREATE TABLE t (m mood NOT NULL, p positive NOT NULL, c pair NOT NULL, ms mood[] NOT NULL);"
)]
#[case::built_in_types(
    "CREATE TABLE t (a int2 NOT NULL, b numeric(6,3) NOT NULL, c float8 NOT NULL, d bytea NOT NULL, e timestamptz NOT NULL,
     f interval NOT NULL, g uuid NOT NULL, h jsonb NOT NULL, i inet NOT NULL, j tsvector NOT NULL, k int4range NOT NULL, l bit(3) NOT NULL,
     m money NOT NULL, n text[] NOT NULL, o point NOT NULL, p macaddr NOT NULL, q varchar(3) NOT NULL, r int8multirange NOT NULL, s xml);"
)]
#[case::partitions(
    "CREATE TABLE t (at date NOT NULL, n int) PARTITION BY RANGE (at); CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2031-01-01') TO ('2031-02-01');"
)]
#[case::exclusion("CREATE TABLE t (during tstzrange NOT NULL, EXCLUDE USING gist (during WITH &&));")]
#[case::patterns(
    "CREATE TABLE t (mail text NOT NULL CHECK (mail ~* '^[A-Z0-9._%+-]+@[A-Z0-9.-]+\\.[A-Z]{2,}$'), phone varchar(20) NOT NULL CHECK (phone ~ '^\\+[1-9]\\d{6,14}$'),
     slug text NOT NULL UNIQUE CHECK (slug ~ '^[[:alpha:]][\\w-]*$' AND slug !~ '\\s'), colour char(7) NOT NULL CHECK (colour SIMILAR TO '#[0-9a-f]{6}'),
     path text NOT NULL CHECK (path LIKE '/api/\\_%' AND length(path) BETWEEN 8 AND 12), secret text NOT NULL CHECK (secret ~ '[A-Z]' AND secret ~ '[0-9]' AND length(secret) >= 10),
     word text NOT NULL CHECK (word ~ '\\m[a-z]+\\M'), tidy text NOT NULL CHECK (tidy = lower(tidy) AND btrim(tidy) = tidy AND tidy <> ''));"
)]
#[case::what_must_not_match(
    "CREATE TABLE t (a bigint NOT NULL CHECK (a % 5 = 3 AND a >= -9223372036854775808), b text NOT NULL CHECK (b !~ '^[0-9]' AND b NOT LIKE '%@%' AND b !~* 'x+'),
     c text NOT NULL CHECK (c ~ '(?x) ^ [A-F]{3} # no blanks
       \\d $'), d numeric NOT NULL CHECK (abs(d) > 7), e text NOT NULL CHECK (e ~ '^(?:[^\\s/]+/){2}[^\\W_]+$'));"
)]
#[case::domains(
    "CREATE EXTENSION citext; CREATE DOMAIN email AS citext NOT NULL CHECK (VALUE ~ '^[a-z0-9]+@[a-z0-9]+[.][a-z]{2,3}$');
     CREATE DOMAIN work_email AS email CHECK (VALUE LIKE '%@work.com'); CREATE DOMAIN percent AS numeric(5,2) CHECK (VALUE >= 0 AND VALUE <= 100);
     CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]{3}$'); CREATE TYPE pair AS (code code, share percent);
     CREATE TABLE people (id int PRIMARY KEY, mail email UNIQUE, codes code[] NOT NULL CHECK (cardinality(codes) >= 2), pair pair NOT NULL);
     CREATE TABLE letters (to_whom int NOT NULL REFERENCES people, share percent NOT NULL CHECK (share > 50));"
)]
#[case::columns_together(
    "CREATE TABLE t (a int NOT NULL, b int NOT NULL, c int NOT NULL, first date NOT NULL, last date NOT NULL, opens timestamptz NOT NULL, closes timestamptz,
     x int, y text, z uuid, net numeric(10,2) NOT NULL, tax numeric(10,2) NOT NULL, total numeric(10,2) NOT NULL, kind text NOT NULL, detail text,
     CHECK (a < b AND b < c), CHECK (last > first), CHECK (first >= '2020-01-01' AND last < '2030-01-01'), CHECK (closes IS NULL OR closes > opens),
     CHECK (num_nonnulls(x, y, z) = 1), CHECK (total = net + tax), CHECK (CASE WHEN kind = 'full' THEN detail IS NOT NULL ELSE detail IS NULL END),
     CHECK (kind = ANY (ARRAY['full', 'empty'])), CHECK ((x IS NULL) = (y IS NOT NULL OR z IS NOT NULL)));"
)]
#[case::one_owner(
    "CREATE TABLE a (id uuid PRIMARY KEY); CREATE TABLE b (id bigserial PRIMARY KEY); CREATE TABLE t (a uuid REFERENCES a, b bigint REFERENCES b, n int,
     CHECK (((a IS NOT NULL)::int + (b IS NOT NULL)::int) = 1));"
)]
#[case::documents(
    "CREATE TABLE t (id int PRIMARY KEY, doc jsonb NOT NULL CHECK (jsonb_typeof(doc) = 'object' AND doc ? 'name' AND (doc ->> 'age')::int >= 18),
     list jsonb NOT NULL CHECK (jsonb_typeof(list) = 'array'), raw jsonb NOT NULL, at text NOT NULL);
     CREATE INDEX ON t (((raw ->> 'n')::int)); CREATE INDEX ON t (((raw #>> '{deep,flag}')::boolean)); CREATE UNIQUE INDEX ON t ((at::bigint)) WHERE id > 0;"
)]
#[case::what_is_generated_overflows(
    "CREATE TABLE t (a int NOT NULL, b smallint GENERATED ALWAYS AS (a * 2) STORED, c int NOT NULL GENERATED ALWAYS AS (100 / a) STORED);"
)]
#[case::kinds_of_partitions(
    "CREATE TABLE l (k text NOT NULL, n int) PARTITION BY LIST (k); CREATE TABLE l_1 PARTITION OF l FOR VALUES IN ('one', 'two'); CREATE TABLE l_2 PARTITION OF l DEFAULT;
     CREATE TABLE h (id uuid PRIMARY KEY) PARTITION BY HASH (id); CREATE TABLE h_0 PARTITION OF h FOR VALUES WITH (modulus 4, remainder 0);
     CREATE TABLE h_1 PARTITION OF h FOR VALUES WITH (modulus 4, remainder 1); CREATE TABLE h_2 PARTITION OF h FOR VALUES WITH (modulus 4, remainder 2);
     CREATE TABLE h_3 PARTITION OF h FOR VALUES WITH (modulus 4, remainder 3);
     CREATE TABLE r (at timestamptz NOT NULL, shop int NOT NULL) PARTITION BY RANGE (at, shop); CREATE TABLE r_1 PARTITION OF r FOR VALUES FROM ('2031-01-01', 5) TO ('2031-02-01', 5);
     CREATE TABLE r_0 PARTITION OF r FOR VALUES FROM (MINVALUE, MINVALUE) TO ('2001-01-01', 1);
     CREATE TABLE base (n int NOT NULL CHECK (n > 5)); CREATE TABLE heir (extra text NOT NULL CHECK (extra IN ('x'))) INHERITS (base);"
)]
#[case::triggers_that_refuse(
    "CREATE TABLE t (id int PRIMARY KEY, state text NOT NULL); CREATE TABLE log (t int NOT NULL REFERENCES t, what text NOT NULL);
     CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not like this'; END $$;
     CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no();
     CREATE TABLE quiet (n int NOT NULL); CREATE RULE quiet AS ON INSERT TO quiet DO INSTEAD NOTHING;"
)]
#[case::subtypes(
    "CREATE TABLE tenant (id int PRIMARY KEY); CREATE TABLE a (tenant int NOT NULL REFERENCES tenant, id int, PRIMARY KEY (tenant, id));
     CREATE TABLE b (tenant int NOT NULL, a int NOT NULL, id int, PRIMARY KEY (tenant, id), FOREIGN KEY (tenant, a) REFERENCES a (tenant, id));
     CREATE TABLE c (tenant int NOT NULL, a int NOT NULL, b int NOT NULL, FOREIGN KEY (tenant, a) REFERENCES a (tenant, id), FOREIGN KEY (tenant, b) REFERENCES b (tenant, id));"
)]
#[case::one_row_alone(
    "CREATE TABLE t (id boolean PRIMARY KEY DEFAULT true CHECK (id), n int NOT NULL CHECK (n % 7 = 3 AND n > 100));"
)]
#[case::row_security(
    "CREATE TABLE t (owner text NOT NULL, r int4range NOT NULL CHECK (NOT isempty(r)), tags text[] NOT NULL CHECK (tags <@ ARRAY['a', 'b'] AND array_length(tags, 1) > 0));
     ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (owner = current_user);"
)]
#[case::to_itself_within_a_tenant(
    "CREATE TABLE us (tenant int, id int, boss int, PRIMARY KEY (tenant, id), FOREIGN KEY (tenant, boss) REFERENCES us (tenant, id));
     CREATE TABLE pets (tenant int NOT NULL, us int NOT NULL, FOREIGN KEY (tenant, us) REFERENCES us (tenant, id));"
)]
#[case::partitions_of_partitions(
    "CREATE TABLE t (at date NOT NULL, k text NOT NULL) PARTITION BY RANGE (at);
     CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2031-01-01') TO ('2031-02-01') PARTITION BY LIST (k);
     CREATE TABLE t_1_a PARTITION OF t_1 FOR VALUES IN ('one', 'two');"
)]
#[case::partitions_by_an_expression(
    "CREATE TABLE t (k text NOT NULL) PARTITION BY LIST (lower(k)); CREATE TABLE t_1 PARTITION OF t FOR VALUES IN ('one', 'two');"
)]
#[case::a_check_of_what_is_generated(
    "CREATE TABLE t (a int NOT NULL, b int NOT NULL, s int GENERATED ALWAYS AS (a + b) STORED, CHECK (s = 100));"
)]
#[case::an_array_of_json(
    "CREATE TABLE t (j jsonb CHECK (jsonb_typeof(j) = 'array'), k jsonb NOT NULL CHECK (jsonb_typeof(k) = 'array'));"
)]
#[case::pairs("CREATE EXTENSION hstore; CREATE TABLE t (h hstore NOT NULL CHECK (h ? 'k'));")]
#[case::different_and_less("CREATE TABLE t (a int NOT NULL, b int NOT NULL, CHECK (a <> b), CHECK (a < b));")]
#[case::a_composite_type_of_domains(
    "CREATE DOMAIN d AS int CHECK (VALUE BETWEEN 5 AND 9); CREATE DOMAIN w AS text CHECK (VALUE IN ('x', 'y')); CREATE TYPE c AS (d d, w w);
     CREATE TABLE t (c c NOT NULL, cs c[] NOT NULL);"
)]
#[case::to_itself_by_uuid("CREATE TABLE a (id uuid PRIMARY KEY, parent uuid NOT NULL REFERENCES a (id));")]
#[case::generated(
    "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, a int NOT NULL, b int GENERATED ALWAYS AS (a) STORED, s serial);"
)]
#[tokio::test]
async fn every_table_gets_rows(#[case] schema: &str) {
    every_one(schema).await;
}

async fn every_one(schema: &str) {
    let chain = ChainFolder::new(&[(1, "schema", schema, "SELECT 1;"), (2, "nothing", "SELECT 1;", "SELECT 1;")]);
    let only = Some([crate::support::version(2)].into());
    let proof = Proof { only, keep: false, ..Proof::default() };
    let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
    let proven = &report.migrations[0];
    assert!(proven.rests.without.is_empty() && proven.rests.tables > 0, "{:?}", proven.rests);
    assert!(matches!(proven.laws[&Law::Data], Verdict::Holds), "{:?}", proven.laws[&Law::Data]);
}

#[tokio::test]
async fn what_cannot_be_filled_is_said() {
    let schema = "CREATE TABLE t (a int CHECK (a IS NOT NULL AND a IS NULL));";
    let chain = ChainFolder::new(&[(1, "schema", schema, "DROP TABLE t;"), (2, "nothing", "SELECT 1;", "SELECT 1;")]);
    let proof = Proof { keep: false, ..Proof::default() };
    let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
    let proven = &report.migrations[1];
    assert!(proven.notes.iter().any(|note| note.starts_with("public.t got no rows: ")), "{:?}", proven.notes);
    assert_eq!(proven.rests.words().as_deref(), Some("0 of 1 table had rows"));
    assert!(matches!(&proven.laws[&Law::Data], Verdict::Skipped(why) if why.contains("public.t got no rows")));
}

/// A check with the columns that it is about, in the style of checks that people write.
fn checks() -> impl Strategy<Value = (Vec<(String, &'static str)>, String)> {
    let column = |n: usize, kind: &'static str| (format!("{}{n}", &kind[..1]), kind);
    let atom = (0..16usize, 0..1000usize, 1..40i64, 1..9i64).prop_map(move |(kind, n, number, width)| {
        let (int, text, date, json, array) =
            (column(n, "int"), column(n, "text"), column(n, "date"), column(n, "jsonb"), column(n, "varchar[]"));
        let (i, t, d, j, v) = (&int.0, &text.0, &date.0, &json.0, &array.0);
        let high = number + width;
        match kind {
            0 => (vec![int.clone()], format!("{i} BETWEEN {number} AND {high}")),
            1 => (vec![int.clone()], format!("{i} IN ({number}, {high}) OR {i} < -{number}")),
            2 => (vec![int.clone()], format!("{i} % {width} = 0 AND {i} >= {number}")),
            3 => (vec![text.clone()], format!("{t} ~ '^[A-Z]{{{width}}}-[0-9]+$'")),
            4 => (vec![text.clone()], format!("{t} LIKE 'k{number}\\_%' AND char_length({t}) < 30")),
            5 => (vec![text.clone()], format!("length({t}) = {number}")),
            6 => (vec![text.clone()], format!("lower({t}) = {t} AND {t} <> '' AND octet_length({t}) <= {high}")),
            7 => (vec![text.clone()], format!("{t} NOT IN ('v1', 'v2') AND {t} IN ('v1', 'v{number}x')")),
            8 => (vec![date.clone()], format!("{d} >= '2020-01-0{width}' AND {d} < '2021-01-01'")),
            9 => (vec![json.clone()], format!("jsonb_typeof({j} -> 'a{number}') = 'array' AND {j} ? 'b'")),
            10 => (vec![json.clone()], format!("({j} #>> '{{x,y}}')::int >= {number}")),
            11 => (vec![array.clone()], format!("cardinality({v}) BETWEEN {width} AND {high}")),
            12 => (vec![int.clone(), (format!("j{n}"), "int")], format!("{i} < j{n} AND j{n} <= {i} + {high}")),
            13 => {
                let (a, b) = ((format!("a{n}"), "int null"), (format!("b{n}"), "text null"));
                (vec![a, b], format!("num_nonnulls(a{n}, b{n}) = 1"))
            }
            14 => {
                let (a, b) = ((format!("c{n}"), "int null"), (format!("d{n}"), "int null"));
                (vec![a, b], format!("(c{n} IS NULL) = (d{n} IS NULL) AND (c{n} IS NOT NULL OR {width} > 4)"))
            }
            _ => (
                vec![int.clone(), text.clone()],
                format!("CASE WHEN {i} > {number} THEN {t} = 'many' ELSE {t} ~* 'few|{i}' END"),
            ),
        }
    });
    prop::collection::vec((atom, any::<bool>()), 1..5).prop_map(|atoms| {
        let (mut columns, mut text) = (Vec::new(), String::new());
        for ((own, atom), is_or) in atoms {
            columns.extend(own.into_iter().filter(|one| !columns.contains(one)).collect::<Vec<_>>());
            let word = if is_or { "OR" } else { "AND" };
            text = if text.is_empty() { format!("({atom})") } else { format!("({text} {word} ({atom}))") };
        }
        (columns, text)
    })
}

/// The generator finds rows for any check in this style; each check is tried on its own table.
#[tokio::test]
async fn a_table_with_any_usual_check_gets_rows() {
    let mut runner = TestRunner::deterministic();
    let mut schema = String::new();
    for n in 0..120 {
        let (columns, check) = checks().new_tree(&mut runner).unwrap().current();
        let columns: Vec<String> = columns
            .iter()
            .map(|(name, kind)| match kind.strip_suffix(" null") {
                Some(kind) => format!("{name} {kind}"),
                None => format!("{name} {kind} NOT NULL"),
            })
            .collect();
        schema += &format!("CREATE TABLE t{n} ({}, CHECK ({check}));\n", columns.join(", "));
    }
    let chain = ChainFolder::new(&[(1, "schema", &schema, "SELECT 1;"), (2, "nothing", "SELECT 1;", "SELECT 1;")]);
    let only = Some([crate::support::version(2)].into());
    let proof = Proof { only, keep: false, ..Proof::default() };
    let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
    let without = &report.migrations[0].rests.without;
    assert_eq!(report.migrations[0].rests.tables, 120);
    let table = |name: &str| {
        schema.lines().find(|line| line.starts_with(&format!("CREATE TABLE {name} "))).unwrap_or(name).to_owned()
    };
    let told: Vec<String> = without
        .iter()
        .map(|one| format!("{}\n  {}", table(one.table.trim_start_matches("public.")), one.why))
        .collect();
    assert!(without.is_empty(), "{}", told.join("\n"));
}

/// A migration that casts a text fails on texts in another format, and is proven on those in the right one.
#[rstest]
#[case::json("ALTER TABLE t ADD j jsonb; UPDATE t SET j = doc::jsonb;", "ALTER TABLE t DROP j;", "JSON")]
#[case::number("ALTER TABLE t ADD n int; UPDATE t SET n = trim(doc)::int;", "ALTER TABLE t DROP n;", "a valid int")]
#[case::date("ALTER TABLE t ADD n date; UPDATE t SET n = CAST(doc AS date);", "ALTER TABLE t DROP n;", "a valid date")]
#[case::by_format(
    "ALTER TABLE t ADD n date; UPDATE t SET n = to_date(doc, 'DD.MM.YYYY');",
    "ALTER TABLE t DROP n;",
    "in the format"
)]
#[case::an_index("CREATE INDEX i ON t ((doc::numeric));", "DROP INDEX i;", "a valid numeric")]
#[case::an_enum(
    "CREATE TYPE mood AS ENUM ('bad', 'good'); ALTER TABLE t ALTER doc TYPE mood USING doc::mood;",
    "ALTER TABLE t ALTER doc TYPE text; DROP TYPE mood;",
    "a valid mood"
)]
#[case::in_a_document(
    "ALTER TABLE t ADD n int; UPDATE t SET n = (doc::jsonb ->> 'n')::int;",
    "ALTER TABLE t DROP n;",
    "JSON"
)]
#[case::less_room(
    "ALTER TABLE t ALTER doc TYPE varchar(3);",
    "ALTER TABLE t ALTER doc TYPE text;",
    "a valid varchar(3)"
)]
#[tokio::test]
async fn texts_that_must_be_read_can_be(#[case] up: &str, #[case] down: &str, #[case] what: &str) {
    let proven = cast(up, down).await;
    assert!(matches!(proven.laws[&Law::Data], Verdict::Holds), "{:?}", proven.laws[&Law::Data]);
    let note = proven.notes.iter().find(|note| note.starts_with("it fails on text that is not ")).unwrap();
    assert!(note.contains(what) && note.contains("; proven with"), "{note}");
}

/// Rows that earlier migrations have seen are replaced as well, in any table.
#[tokio::test]
async fn texts_of_another_table_are_read_too() {
    let chain = ChainFolder::new(&[
        (
            1,
            "base",
            "CREATE TABLE a (id int PRIMARY KEY, doc text NOT NULL); CREATE TABLE b (a int NOT NULL REFERENCES a);",
            "DROP TABLE b, a;",
        ),
        (2, "more", "ALTER TABLE b ADD note text;", "ALTER TABLE b DROP note;"),
        (
            3,
            "cast",
            "ALTER TABLE b ADD n numeric; UPDATE b SET n = a.doc::numeric FROM a WHERE a.id = b.a;",
            "ALTER TABLE b DROP n;",
        ),
    ]);
    let proof = Proof { keep: false, ..Proof::default() };
    let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
    let proven = &report.migrations[2];
    assert!(matches!(proven.laws[&Law::Data], Verdict::Holds), "{:?}", proven.laws[&Law::Data]);
    assert!(proven.notes.iter().any(|note| note.contains("not a valid numeric")), "{:?}", proven.notes);
}

/// It is not known what a function parses; texts in common formats are tried.
#[rstest]
#[case::a_generated_column(
    "CREATE FUNCTION triple(text) RETURNS int[] IMMUTABLE LANGUAGE sql AS $$ SELECT string_to_array($1, '.')::int[] $$;
     CREATE TABLE t (num text NOT NULL, parts int[] GENERATED ALWAYS AS (triple(num)) STORED);"
)]
#[case::a_check("CREATE FUNCTION known(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN $1::inet IS NOT NULL; END $$;
     CREATE TABLE t (place text NOT NULL CHECK (known(place)));")]
#[tokio::test]
async fn texts_that_functions_read_are_found(#[case] schema: &str) {
    every_one(schema).await;
}

#[rstest]
#[case::always("ALTER TABLE t ADD n int; UPDATE t SET n = (doc || 'x')::int;")]
#[case::of_a_part("ALTER TABLE t ADD n int; UPDATE t SET n = CAST(left(doc, 0) AS int);")]
#[tokio::test]
async fn what_fails_on_every_text_stays_broken(#[case] up: &str) {
    let proven = cast(up, "ALTER TABLE t DROP n;").await;
    assert!(proven.laws[&Law::Data].is_broken(), "{:?}", proven.laws[&Law::Data]);
}

async fn cast(up: &str, down: &str) -> proof::MigrationProof {
    let base = "CREATE TABLE t (id int PRIMARY KEY, doc text NOT NULL);";
    let chain = ChainFolder::new(&[(1, "base", base, "DROP TABLE t;"), (2, "cast", up, down)]);
    let only = Some([crate::support::version(2)].into());
    let proof = Proof { only, keep: false, ..Proof::default() };
    let mut report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
    report.migrations.remove(0)
}

/// The up script takes numbers from sequences and the time from the clock: they differ when it is applied
/// again.
#[rstest]
#[case::counted("id serial PRIMARY KEY, name text UNIQUE, at timestamptz DEFAULT clock_timestamp()")]
#[case::by_identity(
    "id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text UNIQUE, at timestamptz DEFAULT clock_timestamp()"
)]
#[tokio::test]
async fn rows_that_an_up_brings_need_not_be_the_same_again(#[case] columns: &str) {
    let make = format!("CREATE TABLE t ({columns});");
    let fill = "INSERT INTO t (name) SELECT 'ours ' || n FROM generate_series(1, 20) n;";
    let chain = ChainFolder::new(&[
        (1, "make", &make, "DROP TABLE t;"),
        (2, "fill", fill, "DELETE FROM t WHERE name LIKE 'ours %';"),
    ]);
    let only = Some([crate::support::version(2)].into());
    let proof = Proof { only, keep: false, ..Proof::default() };
    let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
    let proven = &report.migrations[0];
    assert!(matches!(proven.laws[&Law::Data], Verdict::Holds), "{:?}", proven.laws[&Law::Data]);
}

/// Keys and checks that are added to tables with rows hold for rows that fit; that others would not fit is
/// worth a note.
#[rstest]
#[case::foreign_key("TABLE child", "FOREIGN KEY (parent) REFERENCES parent (id)")]
#[case::unique("TABLE child", "UNIQUE (state)")]
#[case::check("TABLE child", "CHECK (state IN ('on', 'off'))")]
#[case::exclusion("TABLE child", "EXCLUDE (state WITH =)")]
#[case::domain("DOMAIN share", "CHECK (value BETWEEN 0.25 AND 0.5)")]
#[tokio::test]
async fn what_is_required_of_rows_is_tried_on_rows_that_fit(#[case] of: &str, #[case] required: &str) {
    let base = "CREATE DOMAIN share AS numeric; CREATE TABLE parent (id int PRIMARY KEY CHECK (id IN (1, 2)));
        CREATE TABLE child (parent int, state text NOT NULL DEFAULT 'on', part share);
        INSERT INTO parent VALUES (1), (2);";
    let undo = "DROP TABLE child; DROP TABLE parent; DROP DOMAIN share;";
    let (up, down) = (format!("ALTER {of} ADD CONSTRAINT new {required};"), format!("ALTER {of} DROP CONSTRAINT new;"));
    let chain = ChainFolder::new(&[(1, "base", base, undo), (2, "require", &up, &down)]);
    let only = Some([crate::support::version(2)].into());
    let proof = Proof { only, keep: false, ..Proof::default() };
    let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
    let proven = &report.migrations[0];
    assert!(matches!(proven.laws[&Law::Data], Verdict::Holds), "{:?}", proven.laws[&Law::Data]);
    assert!(
        proven.notes.iter().any(|note| note.starts_with("it fails on rows that do not meet")),
        "{:?}",
        proven.notes
    );
}

/// With every seed, some row is blank, empty or as long as possible, and some row has what the up script
/// compares with.
#[rstest]
#[case::empty("b = ''")]
#[case::blank("b = ' '")]
#[case::long("length(b) = 20")]
#[case::compared("b = 'legacy'")]
#[case::in_a_list("kind IN ('old', 'older') AND n = 17")]
#[case::counted("n = 17")]
#[tokio::test]
async fn what_is_rare_has_its_turn(#[case] condition: &str) {
    let base =
        "CREATE TABLE t (id serial PRIMARY KEY, a text NOT NULL, b varchar(20) NOT NULL DEFAULT 'new' CHECK (b <> 'q'),
                kind text NOT NULL, n int NOT NULL);";
    let up = format!("UPDATE t SET b = 'none', n = 0 WHERE {condition};");
    let chain = ChainFolder::new(&[
        (1, "base", base, "DROP TABLE t;"),
        (2, "more", "SELECT 1;", "SELECT 1;"),
        (3, "up", &up, "SELECT 1;"),
    ]);
    for seed in 0..3 {
        let proof = Proof { seed, keep: false, ..Proof::default() };
        let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
        let verdict = &report.migrations[2].laws[&Law::Data];
        assert!(verdict.is_broken(), "seed {seed}: {verdict:?}");
    }
}
