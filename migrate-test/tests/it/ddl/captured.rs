//! The result of creating a schema from nothing, beyond what its facts say.

use migrate_schema::ddl::DdlStyle;
use migrate_schema::{Fact, SchemaChange};
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
    let notes = SchemaChange::between(&wanted.schema, &describe(&made).await.schema).order_notes();
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
    assert_eq!(baseline.notes, ["table public.child: its columns are in another order"]);
    source.drop_now().await.unwrap();
}

#[tokio::test]
async fn an_owner_that_is_left_alone_is_a_note_of_the_baseline() {
    let source = TestDatabase::create().await.unwrap();
    let mut session = connect(&source).await;
    let sql = "CREATE ROLE rt_captured_boss; CREATE TABLE a (id int); CREATE TABLE b (id int);
         CREATE TABLE theirs (id int); ALTER TABLE theirs OWNER TO rt_captured_boss;";
    execute(&mut session, sql).await;
    let baseline = shape::baseline(describe(&source).await).await.unwrap();
    execute(&mut session, "DROP TABLE theirs; DROP ROLE rt_captured_boss;").await;
    assert!(baseline.is_whole(), "{:?}", baseline.remaining);
    assert_eq!(baseline.notes, ["owners are not part of the baseline: rt_captured_boss owns table public.theirs"]);
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
    let difference = shape::difference(there, nothing, DdlStyle::Whole, &mut |_| {}).await.unwrap();
    assert!(difference.is_proven() && difference.gaps() == 0, "{:?}", difference.failed);
    source.drop_now().await.unwrap();
}

#[tokio::test]
async fn what_only_looks_unusual_is_captured_as_a_whole() {
    let (source, nothing) = (TestDatabase::create().await.unwrap(), TestDatabase::create().await.unwrap());
    let sql = "CREATE COLLATION copied FROM \"C\";
         CREATE TABLE parent (a int, note text); CREATE TABLE child () INHERITS (parent);
         CREATE PUBLICATION alone FOR TABLE ONLY parent (a) WHERE (a > 1);
         CREATE TABLE labels (note text PRIMARY KEY);
         CREATE PUBLICATION quoted FOR TABLE labels WHERE (note <> 'a where b, c');
         DO $$ BEGIN CREATE ROLE shape_mapped; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w;
         CREATE USER MAPPING FOR shape_mapped SERVER far;
         GRANT SELECT (ctid, a) ON parent TO pg_monitor;
         CREATE SCHEMA apart; CREATE FUNCTION apart.usual() RETURNS int LANGUAGE sql RETURN 1; SET search_path TO apart, public;
         CREATE DOMAIN with_default AS int DEFAULT usual(); RESET search_path;
         CREATE FUNCTION says() RETURNS text LANGUAGE sql RETURN 'what runs CONCURRENTLY here';";
    execute(&mut connect(&source).await, sql).await;
    let there = describe(&source).await;
    let baseline = shape::baseline(there.clone()).await.unwrap();
    assert!(baseline.is_whole(), "{:?} {:?}", baseline.left_out, baseline.remaining);
    assert!(baseline.roles.contains("shape_mapped"));
    let ours = |word: &str| baseline.up.statements.iter().any(|one| one.text.contains(word));
    assert!(ours("GRANT SELECT (ctid) ON TABLE public.parent") && ours("FOR TABLE ONLY public.parent (a)"));
    let empty = describe(&nothing).await;
    let difference = shape::difference(there, empty, DdlStyle::Whole, &mut |_| {}).await.unwrap();
    assert!(difference.is_proven() && difference.gaps() == 0, "{:?}", difference.failed);
    execute(&mut connect(&source).await, "DROP USER MAPPING FOR shape_mapped SERVER far; DROP ROLE shape_mapped").await;
    source.drop_now().await.unwrap();
    nothing.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_fact_that_is_made_in_another_way_is_left_out_and_its_object_stays() {
    let source = TestDatabase::create().await.unwrap();
    let sql = "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1);
         CREATE VIEW v AS SELECT a FROM t; CREATE INDEX halfway ON t (a);
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'halfway'::regclass;";
    execute(&mut connect(&source).await, sql).await;
    let mut there = describe(&source).await;
    // As on a server on which a new table has something that was not requested.
    there.schema = there.schema.clone().with(there.schema.objects().filter(|one| &*one.id.name == "t").map(|table| {
        let mut table = (**table).clone();
        table.facts.push(Fact { name: "zone".into(), value: "north".into() });
        table.into()
    }));
    let baseline = shape::baseline(there).await.unwrap();
    assert!(baseline.is_proven(), "{:?}", baseline.remaining);
    let mut left_out: Vec<String> = baseline.left_out.iter().map(ToString::to_string).collect();
    left_out.sort();
    assert_eq!(left_out, ["index public.t.halfway: valid", "table public.t: zone"]);
    assert!(baseline.up.statements.iter().any(|one| one.text.starts_with("CREATE VIEW public.v")));
    source.drop_now().await.unwrap();
}

#[tokio::test]
async fn an_order_that_only_the_server_knows_is_found_on_the_shadow_server() {
    let source = TestDatabase::create().await.unwrap();
    let nothing = describe(&source).await;
    let sql = "CREATE MATERIALIZED VIEW z_last AS SELECT 1 AS n;
         CREATE FUNCTION hidden() RETURNS bigint LANGUAGE plpgsql AS $$
             DECLARE n bigint;
             BEGIN EXECUTE 'SELECT count(*) FROM public.z' || '_last' INTO n; RETURN n; END $$;
         CREATE MATERIALIZED VIEW a_first AS SELECT hidden() AS n;";
    execute(&mut connect(&source).await, sql).await;
    let there = describe(&source).await;
    let baseline = shape::baseline(there.clone()).await.unwrap();
    assert!(baseline.is_whole(), "{:?} {:?}", baseline.left_out, baseline.left_behind);
    let difference = shape::difference(nothing, there, DdlStyle::Whole, &mut |_| {}).await.unwrap();
    assert!(difference.is_proven() && difference.gaps() == 0, "{:?} {:?}", difference.failed, difference.ddl.uncovered);
    source.drop_now().await.unwrap();
}

#[tokio::test]
async fn what_a_table_keeps_as_its_own_when_it_joins_a_parent_is_named_and_the_table_stays() {
    let (before, after) = (TestDatabase::create().await.unwrap(), TestDatabase::create().await.unwrap());
    let parent = "CREATE TABLE p (a int NOT NULL, b int, CONSTRAINT c CHECK (a > 0));";
    execute(&mut connect(&before).await, &format!("{parent} CREATE TABLE t (a int NOT NULL, b int, x int);")).await;
    execute(&mut connect(&after).await, &format!("{parent} CREATE TABLE t () INHERITS (p);")).await;
    let (from, to) = (describe(&before).await, describe(&after).await);
    let difference = shape::difference(from, to, DdlStyle::Whole, &mut |_| {}).await.unwrap();
    assert!(difference.is_proven(), "{:?} {:?}", difference.failed, difference.remaining);
    let all = &difference.ddl.uncovered;
    assert!(!all.is_empty() && all.iter().all(|gap| gap.to_string().ends_with("inherited")), "{all:?}");
    let texts: Vec<&str> = difference.ddl.statements.iter().map(|one| &*one.text).collect();
    assert!(texts.contains(&"ALTER TABLE public.t INHERIT public.p"), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("DROP TABLE")), "{texts:?}");
    before.drop_now().await.unwrap();
    after.drop_now().await.unwrap();
}
