//! The down of a migration that is derived: how much work that may be.

use migrate_core::{CodeMigrations, MigrationSet};
use migrate_test::shape;
use rstest::rstest;

use crate::support::{Chain, version};

/// What an up may be that takes another way through the proof.
#[rstest]
#[case::nothing_is_lost("ALTER TABLE t1 ADD COLUMN a int; CREATE INDEX t2_b ON t2 (b);")]
#[case::something_is_lost("ALTER TABLE t1 DROP COLUMN b; DROP TABLE t0;")]
#[case::rows_are_refused("ALTER TABLE t1 ALTER COLUMN b TYPE date USING b::date;")]
#[tokio::test]
async fn walks_lead_over_the_new_migration_only(#[case] up: &str) {
    let mut steps = Vec::new();
    for below in [2, 6] {
        let tables: Vec<(String, String)> = (0..=below)
            .map(|at| (format!("CREATE TABLE t{at} (id int PRIMARY KEY, b text);"), format!("DROP TABLE t{at};")))
            .collect();
        let mut chain: Vec<(u64, &str, &str, &str)> =
            (1..).zip(&tables).map(|(number, (up, down))| (number, "table", up.as_str(), down.as_str())).collect();
        chain.push((100, "change", up, ""));
        let chain = Chain::new(&chain);
        let down = format!("{}_change.down.sql", version(100));
        let load = |text: &str| MigrationSet::load_with(chain.path(), &[(down.clone(), text.to_owned())]);
        let mut phases = 0;
        let hear = &mut |_: &str| phases += 1;
        let derived = shape::derive(&load, &CodeMigrations::none(), &version(100), hear).await.unwrap();
        assert!(derived.is_proven(), "{:?}", derived.proven.laws);
        // All steps are over this one.
        assert_eq!(derived.steps, derived.proven.rests.moves);
        assert!((2..=20).contains(&derived.steps), "{} steps", derived.steps);
        assert!((2..=3).contains(&phases), "{phases} phases");
        steps.push(derived.steps);
    }
    assert_eq!(steps[0], steps[1], "the length of the chain below is of no matter");
}

#[tokio::test]
async fn what_only_the_server_knows_of_the_order_is_found_out() {
    let chain = Chain::new(&[
        (
            1,
            "views",
            "CREATE MATERIALIZED VIEW z_last AS SELECT 1 AS n;
             CREATE FUNCTION hidden() RETURNS bigint LANGUAGE plpgsql AS $$
                 DECLARE n bigint;
                 BEGIN EXECUTE 'SELECT count(*) FROM public.z' || '_last' INTO n; RETURN n; END $$;
             CREATE MATERIALIZED VIEW a_first AS SELECT hidden() AS n;",
            "DROP MATERIALIZED VIEW a_first; DROP FUNCTION hidden; DROP MATERIALIZED VIEW z_last;",
        ),
        (2, "no_views", "DROP MATERIALIZED VIEW a_first; DROP MATERIALIZED VIEW z_last;", ""),
    ]);
    let down = format!("{}_no_views.down.sql", version(2));
    let load = |text: &str| MigrationSet::load_with(chain.path(), &[(down.clone(), text.to_owned())]);
    let derived = shape::derive(&load, &CodeMigrations::none(), &version(2), &mut |_| {}).await.unwrap();
    assert!(derived.is_proven(), "{:?}", derived.proven.laws);
}
