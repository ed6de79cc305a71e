//! What a schema is when it is made from nothing, beyond what its facts say.

use migrate_core::schema::Change;
use migrate_core::schema::ddl::Style;
use migrate_test::{TestDatabase, shape};

use super::{describe, leads};
use crate::support::{connect, execute};

#[tokio::test]
async fn the_columns_of_partitions_keep_their_order() {
    let (source, made) = (TestDatabase::create().await.unwrap(), TestDatabase::create().await.unwrap());
    let sql = "CREATE TABLE log (a int NOT NULL, b text DEFAULT 'x', c int) PARTITION BY RANGE (a);
         CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (10);
         CREATE TABLE log_2 (c int, a int NOT NULL, b text DEFAULT 'y') PARTITION BY LIST (c);
         CREATE TABLE log_2_1 (a int NOT NULL, c int, b text);
         ALTER TABLE log_2 ATTACH PARTITION log_2_1 DEFAULT;
         ALTER TABLE log ATTACH PARTITION log_2 FOR VALUES FROM (10) TO (20);
         ALTER TABLE log ADD UNIQUE (a, c), ADD CHECK (c > 0);
         CREATE INDEX ON log (b);";
    execute(&mut connect(&source).await, sql).await;
    let (wanted, nothing) = (describe(&source).await, describe(&made).await);
    assert_eq!(leads(&made, &nothing, &wanted).await, None);
    let notes = Change::between(&wanted.schema, &describe(&made).await.schema).order_notes();
    assert!(notes.is_empty(), "{notes:?}");
    source.drop_now().await.unwrap();
    made.drop_now().await.unwrap();
}

#[tokio::test]
async fn an_order_of_columns_that_no_statement_makes_is_a_note_of_the_baseline() {
    let source = TestDatabase::create().await.unwrap();
    let sql = "CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent);
         ALTER TABLE parent ADD COLUMN c int;";
    execute(&mut connect(&source).await, sql).await;
    let baseline = shape::baseline(describe(&source).await).await.unwrap();
    assert!(baseline.is_whole(), "{:?}", baseline.remaining);
    assert_eq!(baseline.reordered, ["table public.child: its columns are in another order"]);
    source.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_function_goes_before_a_transform_that_is_newer_than_it() {
    let source = TestDatabase::create().await.unwrap();
    let nothing = describe(&source).await;
    let sql = "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
         CREATE TRANSFORM FOR int LANGUAGE sql
             (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal));";
    execute(&mut connect(&source).await, sql).await;
    let there = describe(&source).await;
    let difference = shape::difference(there, nothing, Style::Whole, &mut |_| {}).await.unwrap();
    assert!(difference.is_proven() && difference.gaps() == 0, "{:?}", difference.failed);
    source.drop_now().await.unwrap();
}
