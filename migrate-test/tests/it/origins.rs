//! Which migration created what. If the end of a chain is known, the chain is not applied again to find out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use migrate_core::{BoxFuture, CodeError, CodeMigration, CodeMigrations, Migration, PgConnection, Version};
use migrate_schema::{Id, Kind};
use migrate_test::shape::{leads_to, origins};

use crate::support::{ChainFolder, version};

static RUNS: AtomicUsize = AtomicUsize::new(0);

/// Counts how often it runs.
struct CountingMigration;

impl CodeMigration for CountingMigration {
    fn version(&self) -> Version {
        version(3)
    }

    fn up<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        RUNS.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { Ok(sqlx::query("CREATE TABLE counted ()").execute(connection).await.map(drop)?) })
    }

    fn down<'a>(&'a self, connection: &'a mut PgConnection) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(async move { Ok(sqlx::query("DROP TABLE counted").execute(connection).await.map(drop)?) })
    }
}

#[tokio::test]
async fn the_last_migration_does_not_run_where_its_end_is_known() {
    let base = format!(
        "CREATE TABLE base (id int); CREATE TABLE gone (id int); {}",
        // The text is new each time; otherwise a template of an earlier run would be found.
        format!("COMMENT ON TABLE base IS 'from the beginning {:?}';", SystemTime::now()).repeat(500)
    );
    let chain = ChainFolder::new(&[
        (1, "base", &base, "DROP TABLE base, gone;"),
        (2, "more", "ALTER TABLE base ADD note text; DROP TABLE gone;", "SELECT 1;"),
    ]);
    std::fs::write(chain.path().join(format!("{}_counted.rs", version(3))), "//! in this file").unwrap();
    let (all, code): (Vec<Arc<Migration>>, _) =
        (chain.set().iter().cloned().collect(), CodeMigrations::none().with(CountingMigration));
    let end = leads_to(&all, &code).await.unwrap();
    assert_eq!(RUNS.load(Ordering::Relaxed), 1);
    let known = origins(&all, &code, Some(&end.schema)).await.unwrap();
    assert_eq!(RUNS.load(Ordering::Relaxed), 1);
    assert_eq!(known, origins(&all, &code, None).await.unwrap());
    assert_eq!(RUNS.load(Ordering::Relaxed), 2);
    let of = |kind, parent: &str, name: &str| {
        known[&Id { parent: parent.into(), ..Id::named(kind, "public", name) }].clone()
    };
    assert_eq!(of(Kind::Table, "", "base").by, [version(1)]);
    assert_eq!(of(Kind::Column, "base", "note").made, Some(version(2)));
    assert_eq!(
        (of(Kind::Table, "", "gone").made, of(Kind::Table, "", "gone").dropped),
        (Some(version(1)), Some(version(2)))
    );
    assert_eq!(of(Kind::Table, "", "counted").made, Some(version(3)));
    let first = leads_to(&all[..1], &code).await.unwrap();
    let alone = origins(&all[..1], &code, Some(&first.schema)).await.unwrap();
    assert_eq!(alone, origins(&all[..1], &code, None).await.unwrap());
    assert!(alone.values().all(|origin| origin.by == [version(1)]));
}
