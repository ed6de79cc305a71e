//! Somebody stopped by hand between two statements of a pending migration: names that exist only there are
//! recognized, the remaining statements are offered, and nothing is dropped that has not got its final name
//! yet.

use crate::drift_partly::{THIRD, drift, follow, project};
use crate::support::Project;

/// The first `taken` statements were run by hand: that is reported, the others are offered as they are, and
/// undoing it does not drop `table`, which has the rows at that time.
#[track_caller]
fn check(statements: &[&str], down: &str, taken: usize, table: &str) {
    let up: String = statements.iter().map(|one| format!("{one};\n")).collect();
    let by_hand: String = statements[..taken].iter().map(|one| format!("{one};\n")).collect();
    let project = project(&up, down, &by_hand);
    let said = drift(&project, &[]);
    let first = if taken == 1 { "the first".to_owned() } else { format!("the first {taken}") };
    let told = format!("{first} of {} statements of {THIRD}", statements.len());
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

/// Other changes by hand do not hide an object on the way to its new name.
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

/// Rows are dropped only after the statement that copies them has run.
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
    // Outside of a transaction the next statement would run even after a failure, so it is only named.
    let up = format!("-- migrate: no-transaction\n{};\n{};\n{};\n{};\n", COPY[0], COPY[1], COPY[2], COPY[3]);
    let project = project(&up, "ALTER TABLE orders ALTER id TYPE int;", &by_hand);
    let shown = drift(&project, &["--mark", THIRD, "--sql"]).out;
    assert!(shown.contains("-- decide first: then run DROP TABLE orders_old\n"), "{shown}");
    assert!(!shown.contains("\nDROP TABLE") && !shown.contains("BEGIN;\n"), "{shown}");
    project.end();
}

/// A statement that writes to something that does not exist yet has not run, and runs before what it reads is
/// dropped.
#[test]
fn what_cannot_have_run_is_run_before_what_it_reads_is_dropped() {
    let up = "ALTER TABLE orders ADD a text; ALTER TABLE orders ADD b int; UPDATE orders SET a = status; ALTER TABLE orders DROP status;";
    let down = "ALTER TABLE orders ADD status text; ALTER TABLE orders DROP a, DROP b;";
    let column = project(up, down, "ALTER TABLE orders ADD b int");
    follow(&column, THIRD);
    assert_eq!(column.query("SELECT a FROM orders"), ["new"]);
    column.end();
    let up = "CREATE TABLE sales (id int PRIMARY KEY, status text); ALTER TABLE orders ADD b int; \
        INSERT INTO sales SELECT id, status FROM orders; DROP TABLE orders;";
    let down = "CREATE TABLE orders (id int PRIMARY KEY, status text); DROP TABLE sales;";
    let table = project(up, down, "ALTER TABLE orders ADD b int");
    follow(&table, THIRD);
    assert_eq!(table.query("SELECT status FROM sales"), ["new"]);
    table.end();
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

const FOURTH: &str = "20250101000004";

/// Three pending migrations of one table, parts of which were made by hand.
fn three(by_hand: &str) -> Project {
    let up = "ALTER TABLE orders ADD b int; ALTER TABLE orders RENAME status TO state;";
    let down = "ALTER TABLE orders RENAME state TO status; ALTER TABLE orders DROP b;";
    let project = project(up, down, by_hand);
    let up = "ALTER TABLE orders ADD c int; ALTER TABLE orders ADD d int; ALTER TABLE orders RENAME c TO cc;";
    project.migration(4, "fourth", up, "ALTER TABLE orders DROP cc, DROP d;");
    project.migration(5, "fifth", "ALTER TABLE orders ADD e int;", "ALTER TABLE orders DROP e;");
    project
}

#[test]
fn only_the_pending_migration_that_is_begun_is_told() {
    let project = three("ALTER TABLE orders ADD c int");
    let said = drift(&project, &[]);
    assert!(said.out.contains(&format!("partly there {FOURTH}, not")), "{said:?}");
    assert!(said.out.contains(&format!("the first of 3 statements of {FOURTH}: ALTER TABLE orders ADD c int")));
    assert!(said.out.contains(&format!("migrate --env staging --to {THIRD}` first, then")), "{said:?}");
    let is_other = |name: &str| said.out.contains(&format!("column public.orders.{name}\n"));
    assert!(is_other("d") && !is_other("b") && !is_other("e"), "{said:?}");
    project.run_bare(&["migrate", "--env", "staging", "--to", THIRD]).ok();
    let rest = drift(&project, &["--mark", FOURTH, "--sql"]).out;
    assert!(rest.contains("ALTER TABLE orders ADD d int;\nALTER TABLE orders RENAME c TO cc;\n"), "{rest}");
    project.query(&rest);
    drift(&project, &["--mark", FOURTH]).ok();
    project.run_bare(&["migrate", "--env", "staging"]).ok();
    project.end();
}

#[test]
fn a_name_on_its_way_is_not_finished_past_a_migration_that_is_not_there() {
    let project = three("ALTER TABLE orders ADD c int; CREATE TABLE stray (id int)");
    let both = format!("{THIRD},{FOURTH}");
    let shown = drift(&project, &["--mark", &both, "--sql"]);
    assert!(!shown.out.contains("DROP"), "{shown:?}");
    let is_refused = shown.code == 2 && shown.err.contains("error[mark-order]");
    assert!(is_refused && shown.err.contains("has not begun"), "{shown:?}");
    project.end();
}

/// All of a migration is in place: nothing is missing, and it only has to be marked.
#[test]
fn the_whole_of_a_migration_is_only_to_be_marked() {
    let project = three("ALTER TABLE orders ADD b int; ALTER TABLE orders RENAME status TO state");
    let said = drift(&project, &[]);
    assert!(said.out.contains(&format!("\nalready there {THIRD}, not")), "{said:?}");
    assert!(said.out.contains(&format!("--mark {THIRD}` records the migrations as applied")), "{said:?}");
    drift(&project, &["--mark", THIRD]).ok();
    project.run_bare(&["migrate", "--env", "staging"]).ok();
    project.end();
}

/// A migration that changes one column twice, together with other changes: no name is lost on the way.
#[test]
fn a_column_that_has_its_first_name_is_renamed_to_its_last() {
    let up = "ALTER TABLE orders RENAME status TO state; ALTER TABLE orders ADD c int; \
        ALTER TABLE orders RENAME state TO full_state; ALTER TABLE orders RENAME c TO cc;";
    let down = "ALTER TABLE orders RENAME full_state TO status; ALTER TABLE orders DROP cc;";
    let project = project(up, down, "ALTER TABLE orders ADD c int; CREATE TABLE stray (id int)");
    let shown = drift(&project, &["--mark", THIRD, "--sql"]).out;
    assert!(!shown.contains("DROP"), "{shown}");
    project.query(&shown);
    assert_eq!(project.query("SELECT full_state FROM orders"), ["new"]);
    project.query("DROP TABLE stray");
    drift(&project, &["--mark", THIRD]).ok();
    project.end();
}

/// The later of two updates of one column would find the values of the first.
#[test]
fn a_value_that_is_overridden_is_asked_about() {
    let up = "ALTER TABLE orders ADD k text; UPDATE orders SET k = 'x'; UPDATE orders SET k = 'y' WHERE id = 1;
        ALTER TABLE orders ADD z int;";
    let project = project(up, "ALTER TABLE orders DROP k, DROP z;", "ALTER TABLE orders ADD k text;");
    let shown = drift(&project, &["--mark", THIRD, "--sql"]).out;
    assert!(shown.contains("-- decide first: ") && !shown.contains("IS NULL"), "{shown}");
    project.end();
}
