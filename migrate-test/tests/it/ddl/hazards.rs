//! Hazards of a script are noted above the statement, and what it keeps is kept.

use migrate_schema::ddl::{self, DdlStage, DdlStyle};
use migrate_test::TestDatabase;

use super::{apply, describe};
use crate::support::{column, connect, execute};

/// From one schema with rows to another one: the hazards of the statements, and a query with its result
/// afterwards.
struct HazardCase {
    from: &'static str,
    to: &'static str,
    hazards: &'static [&'static str],
    query: &'static str,
    answer: &'static [&'static str],
}

const CASES: [HazardCase; 13] = [
    HazardCase {
        from: "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO t VALUES (3), (4)",
        to: "CREATE TABLE t (a int, b int)",
        hazards: &[],
        query: "SELECT b FROM t ORDER BY a",
        answer: &["6", "8"],
    },
    // The columns that it was computed from are dropped, or change.
    HazardCase {
        from: "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO t VALUES (3), (4)",
        to: "CREATE TABLE t (b int)",
        hazards: &["data is lost: the values of column public.t.a"],
        query: "SELECT b FROM t ORDER BY b",
        answer: &["6", "8"],
    },
    HazardCase {
        from: "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO t VALUES (3), (4)",
        to: "CREATE TABLE t (a bigint, b bigint)",
        hazards: &["rewrite: table public.t is rewritten", "rewrite: table public.t is rewritten"],
        query: "SELECT b FROM t ORDER BY b",
        answer: &["6", "8"],
    },
    HazardCase {
        from: "CREATE TABLE t (a numeric(10,4), b timestamp, c double precision, d bigint);
               INSERT INTO t VALUES (1.2345, '2020-01-02 03:04', 1.5, 7)",
        to: "CREATE TABLE t (a numeric(10,1), b date, c int, d int)",
        hazards: &[
            "rewrite: table public.t is rewritten",
            "data is lost: digits after the decimal point of column public.t.a",
            "rewrite: table public.t is rewritten",
            "data is lost: the time of day of column public.t.b",
            "rewrite: table public.t is rewritten",
            "data is lost: digits after the decimal point of column public.t.c",
            "rewrite: table public.t is rewritten",
        ],
        query: "SELECT concat_ws(' ', a, b, c, d) FROM t",
        answer: &["1.2 2020-01-02 2 7"],
    },
    // A domain over another numeric type, for the domain itself and as the type of a column.
    HazardCase {
        from: "CREATE DOMAIN price AS numeric; CREATE TABLE t (a price, b price); INSERT INTO t VALUES (1.5, 2.5)",
        to: "CREATE DOMAIN price AS numeric; CREATE TABLE t (a int, b price)",
        hazards: &[
            "rewrite: table public.t is rewritten",
            "data is lost: digits after the decimal point of column public.t.a",
        ],
        query: "SELECT concat_ws(' ', a, b) FROM t",
        answer: &["2 2.5"],
    },
    HazardCase {
        from: "CREATE DOMAIN price AS numeric; CREATE TABLE t (a price); INSERT INTO t VALUES (1.5)",
        to: "CREATE DOMAIN price AS int; CREATE TABLE t (a price)",
        hazards: &[
            "rewrite: table public.t is rewritten",
            "data is lost: digits after the decimal point of column public.t.a",
        ],
        query: "SELECT a FROM t",
        answer: &["2"],
    },
    // The column is converted once.
    HazardCase {
        from: "CREATE TYPE e AS ENUM ('a', 'b'); CREATE TABLE t (s e[]); INSERT INTO t VALUES ('{b,a}')",
        to: "CREATE TYPE e AS ENUM ('b'); CREATE TABLE t (s e)",
        hazards: &[
            "rewrite: table public.t is rewritten",
            "data is lost: all but the first element of column public.t.s",
        ],
        query: "SELECT s FROM t",
        answer: &["b"],
    },
    HazardCase {
        from: "CREATE SEQUENCE s; SELECT setval('s', 70)",
        to: "CREATE SEQUENCE s INCREMENT -1",
        hazards: &["data is lost: the current value of sequence public.s"],
        query: "SELECT last_value FROM s",
        answer: &["-1"],
    },
    HazardCase {
        from: "CREATE SEQUENCE s; SELECT setval('s', 70)",
        to: "CREATE SEQUENCE s INCREMENT 5",
        hazards: &[],
        query: "SELECT last_value FROM s",
        answer: &["70"],
    },
    HazardCase {
        from: "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p_rest PARTITION OF p DEFAULT; CREATE TABLE was (a int)",
        to: "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p_rest PARTITION OF p DEFAULT;
             CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE was PARTITION OF p FOR VALUES IN (2)",
        hazards: &[
            "long lock: scans table public.p_rest under a lock that blocks it",
            "long lock: scans table public.was under a lock that blocks it",
            "long lock: scans table public.p_rest under a lock that blocks it",
        ],
        query: "SELECT count(*)::text FROM pg_inherits",
        answer: &["3"],
    },
    HazardCase {
        from: "CREATE TABLE p (a int) PARTITION BY LIST (a)",
        to: "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p_rest PARTITION OF p DEFAULT;
             CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1)",
        hazards: &[],
        query: "SELECT count(*)::text FROM pg_inherits",
        answer: &["2"],
    },
    // The same publication: its oid stays.
    HazardCase {
        from: "CREATE TABLE t (a int, b int); CREATE TABLE u (a int);
               CREATE PUBLICATION p FOR TABLE t (a) WHERE (a > 1) WITH (publish = 'insert');
               COMMENT ON PUBLICATION p IS 'the old one'",
        to: "CREATE TABLE t (a int, b int); CREATE TABLE u (a int);
             CREATE PUBLICATION p FOR TABLE t (b), u WITH (publish = 'insert, delete', publish_via_partition_root);
             COMMENT ON PUBLICATION p IS 'the old one'",
        hazards: &[],
        query: "SELECT pubinsert::text || pubdelete || pubviaroot FROM pg_publication",
        answer: &["truetruetrue"],
    },
    HazardCase {
        from: "CREATE TABLE t (a int); CREATE PUBLICATION p FOR ALL TABLES",
        to: "CREATE TABLE t (a int); CREATE PUBLICATION p FOR TABLE t",
        hazards: &["data is lost: subscribers may miss changes: publication p is dropped and created again"],
        query: "SELECT puballtables::text FROM pg_publication",
        answer: &["false"],
    },
];

/// Cases for newer servers.
const OF_18: [HazardCase; 3] = [
    HazardCase {
        from: "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL); INSERT INTO t VALUES (3)",
        to: "CREATE TABLE t (a int, b int)",
        hazards: &["data is lost: the values of column public.t.b"],
        query: "SELECT b FROM t",
        answer: &["NULL"],
    },
    HazardCase {
        from: "CREATE TABLE k (id int PRIMARY KEY); CREATE TABLE t (a int); INSERT INTO t VALUES (-3)",
        to: "CREATE TABLE k (id int PRIMARY KEY);
             CREATE TABLE t (a int CONSTRAINT key REFERENCES k NOT ENFORCED, CONSTRAINT positive CHECK (a > 0) NOT ENFORCED)",
        hazards: &[],
        query: "SELECT a FROM t",
        answer: &["-3"],
    },
    HazardCase {
        from: "CREATE TABLE t (a int CONSTRAINT positive CHECK (a > 0) NOT ENFORCED); INSERT INTO t VALUES (3)",
        to: "CREATE TABLE t (a int CONSTRAINT positive CHECK (a > 0))",
        hazards: &["long lock: scans table public.t under a lock that blocks it"],
        query: "SELECT a FROM t",
        answer: &["3"],
    },
];

async fn check(case: &HazardCase) -> Option<String> {
    let (one, other) = (TestDatabase::create().await.unwrap(), TestDatabase::create().await.unwrap());
    let mut db = connect(&one).await;
    execute(&mut db, case.from).await;
    execute(&mut connect(&other).await, case.to).await;
    let (from, to) = (describe(&one).await, describe(&other).await);
    let ddl = ddl::between(&from, &to, DdlStyle::Whole);
    let hazards: Vec<String> =
        ddl.hazards().map(|hazard| format!("{}: {}", hazard.parts().0, hazard.parts().1)).collect();
    let script = ddl.script(DdlStage::Main);
    let applied = apply(&one, &ddl).await;
    let answer = if applied.is_ok() { column(&mut db, case.query).await } else { Vec::new() };
    drop(db);
    one.drop_now().await.unwrap();
    other.drop_now().await.unwrap();
    let is_right = applied.is_ok() && hazards == case.hazards && answer == case.answer;
    (!is_right).then(|| format!("{}\n{}\n{applied:?}\n{hazards:#?}\n{answer:?}\n{script}", case.from, case.to))
}

#[tokio::test]
async fn what_a_script_endangers_is_said_and_nothing_else() {
    let database = TestDatabase::create().await.unwrap();
    let version = describe(&database).await.schema.version();
    database.drop_now().await.unwrap();
    let mut wrong = Vec::new();
    for case in CASES.iter().chain(OF_18.iter().filter(|_| version >= 18)) {
        wrong.extend(check(case).await);
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[tokio::test]
async fn what_is_not_enforced_is_not_validated_either() {
    let (one, other) = (TestDatabase::create().await.unwrap(), TestDatabase::create().await.unwrap());
    let from = describe(&one).await;
    if from.schema.version() < 18 {
        return;
    }
    execute(&mut connect(&one).await, OF_18[1].from).await;
    execute(&mut connect(&other).await, OF_18[1].to).await;
    let (from, to) = (describe(&one).await, describe(&other).await);
    let ddl = ddl::between(&from, &to, DdlStyle::Online);
    let main = ddl.script(DdlStage::Main);
    assert!(main.matches("NOT ENFORCED").count() == 2 && !main.contains("NOT VALID"), "{main}");
    assert_eq!(ddl.script(DdlStage::Validate), "");
    one.drop_now().await.unwrap();
    other.drop_now().await.unwrap();
}

/// A new label can be used in arrays and domains only if its type is created together with it, and never as a
/// partition bound.
#[tokio::test]
async fn a_partition_of_a_new_label_is_left_out_by_name() {
    let (one, other) = (TestDatabase::create().await.unwrap(), TestDatabase::create().await.unwrap());
    let from = "CREATE TYPE e AS ENUM ('a'); CREATE TABLE p (s e) PARTITION BY LIST (s); CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a')";
    execute(&mut connect(&one).await, from).await;
    let to = format!("{}; CREATE TABLE p_b PARTITION OF p FOR VALUES IN ('b')", from.replace("('a');", "('a', 'b');"));
    execute(&mut connect(&other).await, &to).await;
    let (from, to) = (describe(&one).await, describe(&other).await);
    let difference = migrate_test::shape::difference(from, to, DdlStyle::Whole, &mut |_| {}).await.unwrap();
    assert!(difference.is_proven(), "{:?} {:?}", difference.failed, difference.remaining);
    let script = difference.ddl.script(DdlStage::Main);
    assert!(script.contains("-- left out: table public.p_b\n--   its bound uses an enum label"), "{script}");
    assert!(script.contains("ADD VALUE 'b'") && !script.contains("DROP TABLE"), "{script}");
    one.drop_now().await.unwrap();
    other.drop_now().await.unwrap();
}
