//! Inspecting a database that is in use: counts where that is reliable and fast, estimates otherwise, and never
//! waits.

use std::time::Duration;

use migrate_base::db::ReadOnlySession;
use migrate_base::ident::QualifiedName;
use migrate_core::Database;
use migrate_review::evidence::{self, RowCount, TableLossCount};
use migrate_test::TestDatabase;
use sqlx::Connection;

use crate::proxy::Proxy;
use crate::support::{column, connect, execute};

fn ledger() -> QualifiedName {
    QualifiedName::new("roundtrip", "ledger")
}

/// The rows of each table, by name, with whether they were counted.
async fn counted(database: &Database, exact: u64) -> Vec<(String, u64, bool)> {
    let mut reader = ReadOnlySession::open(database).await.unwrap();
    let seen = evidence::take(&mut reader, &ledger(), exact).await.unwrap();
    let one = |one: &evidence::RelationSize| (one.table.name().to_owned(), one.rows.number(), one.rows.is_exact());
    seen.tables.iter().map(one).collect()
}

#[tokio::test]
async fn rows_are_counted_up_to_a_limit_and_never_where_some_are_hidden_or_locked() {
    let database = TestDatabase::create().await.unwrap();
    let mut own = connect(&database).await;
    let role = format!("reader_of_{}", database.name());
    let tables = "CREATE TABLE few AS SELECT n FROM generate_series(1, 3) n; CREATE TABLE many AS SELECT n FROM generate_series(1, 5000) n;
        CREATE TABLE \"{table}\" AS SELECT 1 AS \"{schema}\"; CREATE TABLE hidden AS SELECT 1; ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
        CREATE SCHEMA roundtrip; CREATE TABLE roundtrip.ledger_kept_1 (); ANALYZE;";
    execute(&mut own, tables).await;
    execute(&mut own, &format!("CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))
        .await;
    let theirs = Database::from(database.options().username(&role));
    let names = |all: &[(&str, u64, bool)]| -> Vec<(String, u64, bool)> {
        all.iter().map(|(name, rows, exact)| ((*name).to_owned(), *rows, *exact)).collect()
    };
    let expected = names(&[("few", 3, true), ("hidden", 1, false), ("many", 5000, false), ("{table}", 1, true)]);
    assert_eq!(counted(&theirs, 1000).await, expected);

    let mut holder = connect(&database).await;
    execute(&mut holder, "BEGIN; LOCK TABLE few").await;
    assert_eq!(counted(&theirs, 1000).await[0], ("few".to_owned(), 3, false), "nobody is waited for");
    let wanted = ["few", "{table}"].map(|name| (QualifiedName::new("public", name), Vec::new()));
    let with_column = (QualifiedName::new("public", "{table}"), vec!["{schema}".to_owned()]);
    let mut reader = ReadOnlySession::open(&theirs).await.unwrap();
    let absent = (QualifiedName::new("public", "absent"), Vec::new());
    let wanted = [&wanted[..], &[with_column, absent]].concat();
    let losses = evidence::losses(&mut reader, &wanted, 1000).await.unwrap();
    assert_eq!(losses[3], None, "what is not there loses nothing");
    let losses: Vec<_> = losses.into_iter().flatten().collect();
    let rows: Vec<RowCount> = losses.iter().map(|loss| loss.rows).collect();
    assert_eq!(rows, [RowCount::Estimated(3), RowCount::Exact(1), RowCount::Exact(1)]);
    assert_eq!(losses[2].columns[0].values, RowCount::Exact(1), "a name in braces is a name");
    drop((reader, holder));
    execute(&mut own, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    database.drop_now().await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_is_open_for_long_is_told_without_its_values() {
    let database = TestDatabase::create().await.unwrap();
    let mut holder = connect(&database).await;
    execute(&mut holder, "SET application_name TO shop; BEGIN; SELECT 'a-secret'").await;
    let pid: u32 = column(&mut holder, "SELECT pg_backend_pid()").await[0].parse().unwrap();
    let mut reader = ReadOnlySession::open(&Database::from(database.options())).await.unwrap();
    let seen = evidence::situation(&mut reader, &ledger(), Duration::ZERO).await.unwrap();
    let [long] = &seen.long[..] else { panic!("{seen:?}") };
    assert_eq!(
        (long.pid, &*long.application, &*long.state, &*long.word),
        (pid, "shop", "idle in transaction", "SELECT")
    );
    assert!(!format!("{seen:?}").contains("a-secret"));
    let seen = evidence::situation(&mut reader, &ledger(), Duration::from_secs(3600)).await.unwrap();
    assert_eq!(seen.long, []);
    drop((reader, holder));
    database.drop_now().await.unwrap();
}

/// An estimate is not lower than what is lost: a table includes its partitions and the tables that inherit from
/// it.
#[tokio::test]
async fn estimates_are_of_all_that_a_table_stands_for() {
    let database = TestDatabase::create().await.unwrap();
    let mut own = connect(&database).await;
    let make = "CREATE TABLE part (id int, v int) PARTITION BY RANGE (id); CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (50); \
        CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (50) TO (100) PARTITION BY RANGE (id); \
        CREATE TABLE part_3 PARTITION OF part_2 FOR VALUES FROM (50) TO (100); CREATE TABLE none_of_them (id int) PARTITION BY RANGE (id); \
        INSERT INTO part SELECT g, nullif(g % 2, 0) FROM generate_series(0, 99) g; \
        CREATE TABLE parent AS SELECT g AS v FROM generate_series(1, 40) g; CREATE TABLE child () INHERITS (parent); \
        INSERT INTO child SELECT g FROM generate_series(1, 60) g; \
        CREATE MATERIALIZED VIEW unfilled AS SELECT * FROM parent WITH NO DATA; ANALYZE;";
    execute(&mut own, make).await;
    let address = Database::from(database.options());
    let mut reader = ReadOnlySession::open(&address).await.unwrap();
    let asked = ["part", "part_2", "none_of_them", "parent", "child"]
        .map(|name| (QualifiedName::new("public", name), Vec::new()));
    let rows =
        |losses: Vec<Option<TableLossCount>>| losses.into_iter().map(|one| one.unwrap().rows).collect::<Vec<_>>();
    let losses = rows(evidence::losses(&mut reader, &asked, 10).await.unwrap());
    assert_eq!(losses, [100, 50, 0, 100, 60].map(|n| if n == 0 { RowCount::Exact(0) } else { RowCount::Estimated(n) }));
    let losses = rows(evidence::losses(&mut reader, &asked, 1000).await.unwrap());
    assert_eq!(losses, [100, 50, 0, 100, 60].map(RowCount::Exact));
    // A materialized view that was never filled cannot be read, and does not prevent the others from being
    // read.
    let unfilled = counted(&address, 1000).await.into_iter().find(|(name, ..)| name == "unfilled");
    assert_eq!(unfilled, Some(("unfilled".to_owned(), 0, false)));
    // A table that is locked and was never analyzed is not considered empty.
    let mut filler = connect(&database).await;
    execute(&mut filler, "CREATE TABLE held AS SELECT g FROM generate_series(1, 50) g").await;
    filler.close().await.unwrap();
    while column(&mut own, "SELECT pg_stat_get_live_tuples('held'::regclass)::text").await != ["50"] {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut holder = connect(&database).await;
    execute(&mut holder, "BEGIN; LOCK TABLE held, part_3").await;
    let asked = ["held", "part"].map(|name| (QualifiedName::new("public", name), Vec::new()));
    let losses = rows(evidence::losses(&mut reader, &asked, 1000).await.unwrap());
    assert_eq!(losses, [50, 100].map(RowCount::Estimated));
    drop((reader, holder));
    database.drop_now().await.unwrap();
}

/// However much a run would drop, the queries before it take few messages.
#[tokio::test]
async fn looks_share_their_messages() {
    let database = TestDatabase::create().await.unwrap();
    let mut own = connect(&database).await;
    let make = "DO $$ BEGIN FOR n IN 1..60 LOOP EXECUTE format('CREATE TABLE t_%s AS SELECT g AS a FROM generate_series(1, %s) g', n, n); END LOOP; END $$; ANALYZE;";
    execute(&mut own, make).await;
    let proxy = Proxy::start(&database);
    let mut reader = ReadOnlySession::open(&Database::from(proxy.options(&database))).await.unwrap();
    let wanted: Vec<_> =
        (1..=60).map(|n| (QualifiedName::new("public", format!("t_{n}")), vec!["a".to_owned()])).collect();
    let before = proxy.messages();
    let losses = evidence::losses(&mut reader, &wanted, 10_000).await.unwrap();
    assert_eq!(proxy.messages() - before, 2, "one for the estimates, one for the counts");
    let values: Vec<RowCount> = losses.iter().flatten().map(|loss| loss.columns[0].values).collect();
    assert_eq!(values, (1..=60).map(RowCount::Exact).collect::<Vec<_>>());
    // If several steps drop something from one table, each gets its answer, and a missing column does not spoil
    // other counts.
    execute(&mut own, "CREATE TABLE wide AS SELECT g AS a, nullif(g % 4, 0) AS b FROM generate_series(1, 100) g").await;
    let wide =
        |columns: &[&str]| (QualifiedName::new("public", "wide"), columns.iter().map(|&one| one.into()).collect());
    let asked = [wide(&["b"]), wide(&[]), wide(&["absent", "a", "b"]), wide(&["absent"])];
    let before = proxy.messages();
    let mut losses = evidence::losses(&mut reader, &asked, 10_000).await.unwrap();
    assert_eq!(proxy.messages() - before, 2);
    assert_eq!(losses.pop(), Some(None), "a loss without columns would be one of rows");
    let losses: Vec<_> = losses.into_iter().flatten().collect();
    let values = |n: usize| losses[n].columns.iter().map(|one| (one.column.as_str(), one.values)).collect::<Vec<_>>();
    let (a, b) = (("a", RowCount::Exact(100)), ("b", RowCount::Exact(75)));
    assert_eq!([0, 1, 2].map(values), [vec![b], vec![], vec![a, b]]);
    assert!(losses.iter().all(|loss| loss.rows == RowCount::Exact(100)));
    let mut holder = connect(&database).await;
    execute(&mut holder, "BEGIN; LOCK TABLE t_7").await;
    // The view on it cannot be queried in the meantime; all others are counted anyway.
    let losses = evidence::losses(&mut reader, &wanted, 10_000).await.unwrap();
    let estimated: Vec<_> =
        losses.iter().flatten().filter(|loss| !loss.rows.is_exact()).map(|loss| loss.table.name()).collect();
    assert_eq!(estimated, ["t_7"]);
    let before = proxy.messages();
    evidence::situation(&mut reader, &ledger(), Duration::ZERO).await.unwrap();
    assert_eq!(proxy.messages() - before, 1);
    drop((reader, holder));
    database.drop_now().await.unwrap();
}
