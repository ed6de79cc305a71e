//! Somebody stopped by hand between two statements of a pending migration: names that exist only there are known, the rest
//! of the statements is offered, and nothing is dropped that waits for its last name.

use crate::drift_partly::{THIRD, drift, follow, project};
use crate::support::Project;

/// The first `taken` statements were made by hand: that is said, the others are offered as they are, and taking it back
/// does not drop `table`, which has the rows then.
#[track_caller]
fn check(statements: &[&str], down: &str, taken: usize, table: &str) {
    let up: String = statements.iter().map(|one| format!("{one};\n")).collect();
    let by_hand: String = statements[..taken].iter().map(|one| format!("{one};\n")).collect();
    let project = project(&up, down, &by_hand);
    let said = drift(&project, &[]);
    let told = format!("the first {taken} of {} statements of {THIRD}", statements.len());
    assert!(said.code == 3 && said.out.contains(&told), "{said:?}");
    assert!(said.out.contains(&format!("--mark {THIRD} --sql")), "{said:?}");
    let rest = drift(&project, &["--mark", THIRD, "--sql"]).out;
    let mut from = 0;
    for statement in &statements[taken..] {
        from += rest[from..].find(&format!("{statement};\n")).unwrap_or_else(|| panic!("{statement}: {rest}"));
    }
    let back = drift(&project, &["--sql"]).out;
    assert!(!back.contains(&format!("DROP TABLE {table};")), "{back}");
    follow(&project, THIRD);
    project.end();
}

#[test]
fn a_table_that_was_only_moved() {
    check(
        &["CREATE SCHEMA shop", "ALTER TABLE orders SET SCHEMA shop", "ALTER TABLE shop.orders RENAME TO sales"],
        "ALTER TABLE shop.sales RENAME TO orders; ALTER TABLE shop.orders SET SCHEMA public; DROP SCHEMA shop;",
        2,
        "shop.orders",
    );
}

const COPY: [&str; 4] = [
    "ALTER TABLE orders RENAME TO orders_old",
    "CREATE TABLE orders (id bigint PRIMARY KEY, status text)",
    "INSERT INTO orders SELECT id, status FROM orders_old",
    "DROP TABLE orders_old",
];

#[test]
fn a_table_that_is_copied_under_its_name() {
    check(&COPY, "ALTER TABLE orders ALTER id TYPE int;", 1, "public.orders_old");
}

#[test]
fn names_that_change_places() {
    let swap = [
        "CREATE TABLE parcel (id int PRIMARY KEY, note text)",
        "ALTER TABLE orders RENAME TO between",
        "ALTER TABLE parcel RENAME TO orders",
        "ALTER TABLE between RENAME TO sales",
        "INSERT INTO orders VALUES (1)",
    ];
    let down = "ALTER TABLE orders RENAME TO parcel; ALTER TABLE sales RENAME TO orders; DROP TABLE parcel;";
    check(&swap, down, 2, "public.\"between\"");
    check(&swap, down, 3, "public.\"between\"");
    let columns = [
        "ALTER TABLE orders ADD note text",
        "ALTER TABLE orders RENAME note TO x",
        "ALTER TABLE orders RENAME status TO note",
        "ALTER TABLE orders RENAME x TO status",
    ];
    let down = "ALTER TABLE orders DROP status; ALTER TABLE orders RENAME note TO status;";
    check(&columns, down, 2, "public.orders");
    check(&columns, down, 3, "public.orders");
}

#[test]
fn an_enum_that_is_made_again() {
    let statements = [
        "ALTER TABLE orders ADD feeling mood",
        "ALTER TYPE mood RENAME TO mood_old",
        "CREATE TYPE mood AS ENUM ('b')",
        "ALTER TABLE orders ALTER feeling TYPE mood USING feeling::text::mood",
        "DROP TYPE mood_old",
    ];
    let down = "ALTER TABLE orders DROP feeling; DROP TYPE mood; CREATE TYPE mood AS ENUM ('a', 'b');";
    check(&statements, down, 2, "public.orders");
    check(&statements, down, 3, "public.orders");
}

/// What else was done by hand does not hide a name that is on its way.
#[test]
fn a_table_on_its_way_is_kept_beside_other_changes() {
    let up = "CREATE SCHEMA shop; ALTER TABLE orders SET SCHEMA shop; ALTER TABLE shop.orders RENAME TO sales; \
        ALTER TABLE shop.sales ADD total int;";
    let down = "ALTER TABLE shop.sales DROP total; ALTER TABLE shop.sales RENAME TO orders; \
        ALTER TABLE shop.orders SET SCHEMA public; DROP SCHEMA shop;";
    let by_hand = "CREATE SCHEMA shop; ALTER TABLE orders SET SCHEMA shop; CREATE TABLE stray (id int)";
    let project = project(up, down, by_hand);
    let back = drift(&project, &["--sql"]).out;
    assert!(back.contains("ALTER TABLE shop.orders SET SCHEMA public") && !back.contains("DROP TABLE shop"), "{back}");
    let shown = drift(&project, &["--mark", THIRD, "--sql"]).out;
    assert!(!shown.contains("DROP"), "{shown}");
    project.query(&shown);
    assert_eq!(project.query("SELECT count(*) FROM shop.sales"), ["1"]);
    project.query("DROP TABLE stray");
    drift(&project, &["--mark", THIRD, "--yes"]).ok();
    project.end();
}

/// Rows are dropped only when what copies them has run.
#[test]
fn what_has_rows_is_not_dropped_before_they_are_copied() {
    let rows = |project: &Project| project.query("SELECT status FROM orders_old");
    let by_hand = format!("{}; {}", COPY[0], COPY[1]);
    let project_of = |more: &str| {
        let up: String = COPY.iter().map(|one| format!("{one}; ")).collect();
        project(&up, "ALTER TABLE orders ALTER id TYPE int;", &format!("{by_hand}{more}"))
    };
    for more in ["", "; CREATE TABLE stray (id int)"] {
        let project = project_of(more);
        let shown = drift(&project, &["--mark", THIRD, "--sql"]).out;
        let stop = shown.find("RAISE EXCEPTION").unwrap_or_else(|| panic!("{shown}"));
        assert!(stop < shown.find("DROP TABLE").unwrap() && shown.starts_with("-- not compared"), "{shown}");
        assert!(shown.contains("-- decide first: ") && shown.contains(": INSERT INTO orders SELECT id"), "{shown}");
        assert!(project.refuses(&shown), "{shown}");
        assert_eq!(rows(&project), ["new"], "{shown}");
        project.end();
    }
    // A column that is still to be added gets its values first.
    let up = "ALTER TABLE orders ADD a text; ALTER TABLE orders ADD b int; UPDATE orders SET a = status; ALTER TABLE orders DROP status;";
    let down = "ALTER TABLE orders ADD status text; ALTER TABLE orders DROP a, DROP b;";
    let project = project(up, down, "ALTER TABLE orders ADD b int");
    follow(&project, THIRD);
    assert_eq!(project.query("SELECT a FROM orders"), ["new"]);
    project.end();
}

#[test]
fn an_index_whose_build_did_not_finish_is_built_again_concurrently() {
    let up = "-- migrate: no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY one ON orders (status);";
    let project = project(up, "DROP INDEX one;", "INSERT INTO orders VALUES (2, 'new')");
    assert!(project.refuses("CREATE UNIQUE INDEX CONCURRENTLY one ON orders (status)"));
    project.query("DELETE FROM orders WHERE id = 2");
    let said = drift(&project, &[]);
    assert!(said.out.contains("index public.orders.one: only in staging, and invalid"), "{said:?}");
    assert!(said.out.contains("index public.orders.one: invalid → valid"), "{said:?}");
    let shown = drift(&project, &["--mark", THIRD, "--sql"]).out;
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "DROP INDEX CONCURRENTLY public.one;", "{shown}");
    assert!(lines[1].starts_with("CREATE UNIQUE INDEX CONCURRENTLY one ON public.orders"), "{shown}");
    follow(&project, THIRD);
    project.end();
}
