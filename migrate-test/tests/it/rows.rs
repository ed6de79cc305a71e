//! Rows for schemas that are hard to fill: what the proof says it could not fill is nothing here.

use migrate_core::CodeMigrations;
use migrate_test::proof::{self, Law, Proof, Verdict};
use rstest::rstest;

use crate::support::Chain;

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
#[case::generated(
    "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, a int NOT NULL, b int GENERATED ALWAYS AS (a) STORED, s serial);"
)]
#[tokio::test]
async fn every_table_gets_rows(#[case] schema: &str) {
    let chain = Chain::new(&[(1, "schema", schema, "SELECT 1;"), (2, "nothing", "SELECT 1;", "SELECT 1;")]);
    let only = Some([crate::support::version(2)].into());
    let proof = Proof { only, keep: false, ..Proof::default() };
    let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
    let proven = &report.migrations[0];
    assert!(proven.notes.is_empty(), "{:?}", proven.notes);
    assert!(matches!(proven.laws[&Law::Data], Verdict::Holds), "{:?}", proven.laws[&Law::Data]);
}

#[tokio::test]
async fn what_cannot_be_filled_is_said() {
    let schema = "CREATE TABLE t (a int CHECK (a IS NOT NULL AND a IS NULL));";
    let chain = Chain::new(&[(1, "schema", schema, "DROP TABLE t;"), (2, "nothing", "SELECT 1;", "SELECT 1;")]);
    let proof = Proof { keep: false, ..Proof::default() };
    let report = proof::prove(&chain.set(), &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
    let notes = &report.migrations[1].notes;
    assert!(notes.iter().any(|note| note.starts_with("public.t got no rows: ")), "{notes:?}");
}
