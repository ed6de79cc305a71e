//! A part of a pending migration was made by hand: whatever part it is, what `drift` offers next leads to the
//! end.

use serde_json::Value;

use crate::support::{ProgramOutput, Project};

pub(crate) const THIRD: &str = "20250101000003";

/// An environment `staging` with one migration applied, and a third one pending.
pub(crate) fn project(up: &str, down: &str, by_hand: &str) -> Project {
    let project = Project::new();
    let base = "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE orders (id int PRIMARY KEY, status text);";
    project.migration(1, "orders", base, "DROP TABLE orders; DROP TYPE mood;");
    project.write("migrate.toml", "[environments.staging]\ndatabase = \"env:TEST_DATABASE_URL\"\n");
    project.run_bare(&["migrate", "--env", "staging"]).ok();
    project.query("INSERT INTO orders VALUES (1, 'new')");
    project.migration(3, "more", up, down);
    project.query(by_hand);
    project
}

pub(crate) fn drift(project: &Project, more: &[&str]) -> ProgramOutput {
    project.run_bare(&[&["drift", "--env", "staging"], more].concat())
}

fn words(pending: &Value, key: &str) -> Vec<String> {
    pending[key].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// Runs the missing statements, marks the migrations, and checks that all is well.
#[track_caller]
pub(crate) fn follow(project: &Project, versions: &str) {
    let ledger = "SELECT count(*) FROM roundtrip.ledger";
    let before = project.query(ledger);
    let shown = drift(project, &["--mark", versions, "--sql", "--format", "json"]);
    assert_eq!(project.query(ledger), before, "to show is not to mark");
    let shown = shown.json();
    assert_eq!(shown["sql"]["proven"], true, "{shown:#}");
    for statement in shown["sql"]["statements"].as_array().unwrap() {
        project.query(statement["sql"].as_str().unwrap());
    }
    drift(project, &["--mark", versions, "--yes"]).ok();
    let clean = drift(project, &[]).ok();
    assert!(clean.out.contains("no drift"), "{clean:?}");
    project.run_bare(&["status", "--env", "staging", "--exit-code"]).ok();
    project.run_bare(&["migrate", "--env", "staging"]).ok();
    let same = project.run_bare(&["diff", "migrations", "env:staging"]).ok();
    assert!(same.out.contains("no difference"), "what files alone make is the same: {same:?}");
    let table = project.query("SELECT oid::regclass FROM pg_class WHERE relname IN ('orders', 'sales')").remove(0);
    assert_eq!(project.query(&format!("SELECT count(*) FROM {table}")), ["1"], "no row went");
}

/// Whatever part is in place, the offered statements lead to the end.
#[track_caller]
fn check(up: &str, down: &str, by_hand: &str, [there, missing, differs]: [&[&str]; 3]) {
    let project = project(up, down, by_hand);
    let tables = "SELECT count(*) FROM pg_attribute";
    let before = project.query(tables);
    let said = drift(&project, &["--format", "json"]).json();
    let pending = &said["pending"];
    assert_eq!((words(pending, "there"), words(pending, "missing")), (owned(there), owned(missing)), "{said:#}");
    let shown = words(pending, "differs");
    assert!(
        shown.len() == differs.len() && differs.iter().zip(&shown).all(|(object, told)| told.starts_with(object)),
        "{said:#}"
    );
    let offer = format!("drift --env staging --mark {THIRD} --sql");
    for more in [&[][..], &["--mark", THIRD], &["--adopt", "hotfix"]] {
        let said = drift(&project, more);
        assert!(said.code == 3 && said.out.contains(&offer) && said.out.contains("partly there"), "{more:?}: {said:?}");
        assert!(there.iter().chain(missing).chain(differs).all(|part| said.out.contains(part)), "{more:?}: {said:?}");
    }
    assert_eq!(project.query(tables), before, "nothing was run there");
    let files = std::fs::read_dir(project.path().join("migrations")).unwrap().count();
    assert_eq!(files, 4, "no migration makes again what a pending one makes");
    follow(&project, THIRD);
    project.end();
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn one_of_two_columns() {
    check(
        "ALTER TABLE orders ADD a int; ALTER TABLE orders ADD b text;",
        "ALTER TABLE orders DROP b; ALTER TABLE orders DROP a;",
        "ALTER TABLE orders ADD a int",
        [&["column public.orders.a"], &["column public.orders.b"], &[]],
    );
}

#[test]
fn a_column_without_its_index() {
    check(
        "ALTER TABLE orders ADD a int; CREATE INDEX orders_a ON orders (a);",
        "DROP INDEX orders_a; ALTER TABLE orders DROP a;",
        "ALTER TABLE orders ADD a int",
        [&["column public.orders.a"], &["index public.orders.orders_a"], &[]],
    );
}

#[test]
fn a_table_without_its_grant() {
    check(
        "CREATE TABLE parcel (id int); GRANT SELECT ON parcel TO PUBLIC;",
        "DROP TABLE parcel;",
        "CREATE TABLE parcel (id int)",
        [&["column public.parcel.id"], &[], &["table public.parcel"]],
    );
}

#[test]
fn a_part_of_another_type_and_default() {
    check(
        "ALTER TABLE orders ADD a bigint NOT NULL DEFAULT 0, ADD b int; ALTER TABLE orders ALTER status SET DEFAULT 'new';",
        "ALTER TABLE orders ALTER status DROP DEFAULT; ALTER TABLE orders DROP b, DROP a;",
        "ALTER TABLE orders ADD a int NOT NULL DEFAULT 1; ALTER TABLE orders ALTER status SET DEFAULT 'old'",
        [
            &[],
            &["column public.orders.b"],
            &["column public.orders.a", "column public.orders.a", "column public.orders.status"],
        ],
    );
}

#[test]
fn one_of_two_things_that_go() {
    check(
        "ALTER TABLE orders DROP status; ALTER TABLE orders DROP CONSTRAINT orders_pkey;",
        "ALTER TABLE orders ADD PRIMARY KEY (id); ALTER TABLE orders ADD status text;",
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey",
        [&["constraint public.orders.orders_pkey: dropped"], &["column public.orders.status: to be dropped"], &[]],
    );
}

#[test]
fn parts_of_a_table_are_named_apart_from_it() {
    check(
        "COMMENT ON TABLE orders IS 'x'; ALTER TABLE orders ADD a int, ADD b int; ALTER TABLE orders ALTER status SET DEFAULT 'new';
         ALTER TABLE orders ADD CHECK (a > 0);",
        "ALTER TABLE orders DROP b, DROP a; ALTER TABLE orders ALTER status DROP DEFAULT; COMMENT ON TABLE orders IS NULL;",
        "ALTER TABLE orders ADD a int",
        [
            &["column public.orders.a"],
            &[
                "table public.orders: comment none → x",
                "column public.orders.b",
                "column public.orders.status: default none → 'new'::text",
                "constraint public.orders.orders_a_check",
            ],
            &[],
        ],
    );
}

const RENAMES: &str = "ALTER TABLE orders RENAME COLUMN status TO state; ALTER TABLE orders RENAME TO sales; \
    ALTER TABLE sales RENAME CONSTRAINT orders_pkey TO sales_pkey; ALTER TABLE sales ADD total int;";
const NAMES_BACK: &str = "ALTER TABLE sales DROP total; ALTER TABLE sales RENAME TO orders; \
    ALTER TABLE orders RENAME CONSTRAINT sales_pkey TO orders_pkey; ALTER TABLE orders RENAME COLUMN state TO status;";

/// Names are changed where they are still the old ones, whichever of them somebody changed.
#[test]
fn some_of_the_names() {
    let [table, column, key] = [
        "table public.orders: to be renamed to sales",
        "column public.orders.status: to be renamed to state",
        "constraint public.orders.orders_pkey: to be renamed to sales_pkey",
    ];
    check(
        RENAMES,
        NAMES_BACK,
        "ALTER TABLE orders RENAME COLUMN status TO state",
        [&["column public.orders.state: renamed from status"], &[table, key, "column public.orders.total"], &[]],
    );
    check(
        RENAMES,
        NAMES_BACK,
        "ALTER TABLE orders RENAME TO sales; ALTER TABLE sales ADD total int",
        [
            &["table public.sales: renamed from orders", "column public.sales.total"],
            &[
                "column public.sales.status: to be renamed to state",
                "constraint public.sales.orders_pkey: to be renamed to sales_pkey",
            ],
            &[],
        ],
    );
    check(
        RENAMES,
        NAMES_BACK,
        "ALTER TABLE orders ADD total int",
        [&["column public.orders.total"], &[table, column, key], &[]],
    );
}

#[test]
fn a_name_that_is_given_again() {
    check(
        "ALTER TABLE orders RENAME COLUMN status TO state; ALTER TABLE orders ADD status int, ADD b int;",
        "ALTER TABLE orders DROP b, DROP status; ALTER TABLE orders RENAME COLUMN state TO status;",
        "ALTER TABLE orders RENAME COLUMN status TO state; ALTER TABLE orders ADD status int",
        [
            &["column public.orders.state: renamed from status", "column public.orders.status"],
            &["column public.orders.b"],
            &[],
        ],
    );
}

#[test]
fn a_label_and_a_schema() {
    let up = "ALTER TYPE mood RENAME VALUE 'a' TO 'x'; ALTER TYPE mood RENAME VALUE 'b' TO 'y'; \
        CREATE SCHEMA shop; ALTER TABLE orders SET SCHEMA shop;";
    let down = "ALTER TABLE shop.orders SET SCHEMA public; DROP SCHEMA shop; \
        ALTER TYPE mood RENAME VALUE 'y' TO 'b'; ALTER TYPE mood RENAME VALUE 'x' TO 'a';";
    check(
        up,
        down,
        "ALTER TYPE mood RENAME VALUE 'a' TO 'x'",
        [
            &["type public.mood: label 'x' renamed from 'a'"],
            &[
                "table public.orders: to be moved to schema shop",
                "type public.mood: label 'b' to be renamed to 'y'",
                "schema shop",
            ],
            &[],
        ],
    );
    check(
        up,
        down,
        "CREATE SCHEMA shop; ALTER TABLE orders SET SCHEMA shop",
        [
            &["table shop.orders: moved from schema public"],
            &["type public.mood: label 'a' to be renamed to 'x'", "type public.mood: label 'b' to be renamed to 'y'"],
            &[],
        ],
    );
}

#[test]
fn a_name_that_was_changed_as_a_pending_migration_does_is_changed_back() {
    let project = project(RENAMES, NAMES_BACK, "ALTER TABLE orders RENAME TO sales; CREATE TABLE stray (id int)");
    let said = drift(&project, &["--sql"]);
    assert!(said.code == 3 && said.out.contains("RENAME TO orders"), "{said:?}");
    project.query(&said.out);
    drift(&project, &[]).ok();
    assert_eq!(project.query("SELECT count(*) FROM orders"), ["1"]);
    // A statement that is not a part of it waits until the table has its final name.
    project.query("ALTER TABLE orders RENAME TO sales; CREATE INDEX hand ON sales (status)");
    let said = drift(&project, &["--adopt", "hotfix"]);
    assert!(said.code == 3 && said.err.contains("rename objects in it, and have to be finished first"), "{said:?}");
    assert!(said.out.contains(&format!("--mark {THIRD} --sql")), "{said:?}");
    project.query(&drift(&project, &["--mark", THIRD, "--sql"]).out);
    let said = drift(&project, &["--mark", THIRD]);
    assert!(said.code == 3 && said.out.contains("--adopt NAME"), "{said:?}");
    project.end();
}

/// Existing rows get a value before the column becomes NOT NULL.
#[test]
fn a_column_that_was_made_without_its_not_null() {
    let by_hand = "ALTER TABLE orders ADD a int; INSERT INTO orders (id) VALUES (2)";
    let fill = |up: &str, expected: &[&str]| {
        let project = project(up, "ALTER TABLE orders DROP a;", by_hand);
        project.query("DELETE FROM orders WHERE id = 1");
        follow(&project, THIRD);
        assert_eq!(project.query("SELECT a FROM orders"), expected);
        project.end();
    };
    fill("ALTER TABLE orders ADD a int NOT NULL DEFAULT 7;", &["7"]);
    fill(
        "ALTER TABLE orders ADD a int; UPDATE orders SET a = id * 10; ALTER TABLE orders ALTER a SET NOT NULL;",
        &["20"],
    );
    let up = "ALTER TABLE orders ADD b int; UPDATE public.orders SET b = 3; ALTER TABLE orders ALTER b SET NOT NULL; ALTER TABLE orders ADD a int;";
    fill(up, &["NULL"]);
    // PostgreSQL 18 keeps the name of the constraint, and the name of the column contains these words.
    let rest = "ALTER TABLE orders ADD a int CONSTRAINT given NOT NULL, ADD \"x NOT NULL\" int NOT NULL, ADD b int; \
        UPDATE orders SET (a, \"x NOT NULL\") = (4, 5);";
    let only = "ALTER TABLE orders ADD b int; INSERT INTO orders (id) VALUES (2)";
    let project_of = |up: &str| project(up, "ALTER TABLE orders DROP b, DROP \"x NOT NULL\", DROP a;", only);
    let other = project_of(rest);
    other.query("DELETE FROM orders WHERE id = 1");
    follow(&other, THIRD);
    assert_eq!(other.query("SELECT a + \"x NOT NULL\" FROM orders"), ["9"]);
    other.end();
    let project = project("ALTER TABLE orders ADD a int NOT NULL;", "ALTER TABLE orders DROP a;", by_hand);
    let said = drift(&project, &["--mark", THIRD, "--sql"]);
    assert!(said.out.contains("-- fails on: rows of public.orders: they have no a,"), "{said:?}");
    project.end();
}

/// What the migrations fill a column from is dropped afterwards, with its dependents.
#[test]
fn rows_are_read_before_what_they_are_read_from_is_dropped() {
    let read = "UPDATE orders SET a = status || feeling;";
    let add = "ALTER TABLE orders ADD a text; ALTER TABLE orders ADD b int;";
    let drop = "ALTER TABLE orders ALTER a SET NOT NULL; ALTER TABLE orders DROP status, DROP feeling; DROP TYPE mind;";
    for by_hand in ["ALTER TABLE orders ADD a text", "ALTER TABLE orders ADD b int"] {
        let down = "CREATE TYPE mind AS ENUM ('x'); ALTER TABLE orders ADD status text, ADD feeling mind; \
            ALTER TABLE orders DROP a, DROP b;";
        let project = project(&format!("{add} {read} {drop}"), down, "SELECT 1");
        let up = "CREATE TYPE mind AS ENUM ('x'); ALTER TABLE orders ADD feeling mind;";
        project.migration(2, "feeling", up, "ALTER TABLE orders DROP feeling; DROP TYPE mind;");
        project.run_bare(&["migrate", "--env", "staging", "--to", "20250101000002"]).ok();
        project.query("UPDATE orders SET feeling = 'x'");
        project.query(by_hand);
        follow(&project, THIRD);
        assert_eq!(project.query("SELECT a FROM orders"), ["newx"], "{by_hand}");
        project.end();
    }
}

/// An `UPDATE` that may have run already does not touch existing values; if it changes other values, it is only
/// named.
#[test]
fn rows_are_not_changed_twice() {
    let migration =
        |update: &str| format!("ALTER TABLE orders ADD a int; {update}; ALTER TABLE orders ALTER a SET NOT NULL;");
    let by_hand = "ALTER TABLE orders ADD a int; UPDATE orders SET a = 99; INSERT INTO orders VALUES (2, 'x')";
    for update in [
        "UPDATE orders SET a = id * 10",
        "UPDATE ONLY public.orders AS o SET a = o.id * 10 WHERE id > 0 OR id < 0",
        "UPDATE orders SET a = id * 10 WHERE a IS NULL RETURNING a",
    ] {
        let project = project(&migration(update), "ALTER TABLE orders DROP a;", by_hand);
        let shown = drift(&project, &["--mark", THIRD, "--sql"]).out;
        project.query(&shown);
        assert_eq!(project.query("SELECT a FROM orders ORDER BY id"), ["99", "20"], "{shown}");
        project.end();
    }
    let both = migration("UPDATE orders SET a = 1, status = status || '!'");
    let project = project(&both, "ALTER TABLE orders DROP a;", by_hand);
    let shown = drift(&project, &["--mark", THIRD, "--sql"]).out;
    let is_named =
        |line: &str| line.starts_with("-- decide first: ") && line.contains("UPDATE orders SET a = 1, status");
    assert!(shown.lines().any(is_named) && !shown.lines().any(|line| line.starts_with("UPDATE")), "{shown}");
    project.end();
}

/// A sequence that moves belongs to its column there.
#[test]
fn a_sequence_that_moves_to_its_column() {
    let up = "ALTER SEQUENCE s SET SCHEMA app; ALTER SEQUENCE app.s OWNED BY app.t.id; ALTER TABLE orders ADD x int;";
    let down = "ALTER TABLE orders DROP x; ALTER SEQUENCE app.s OWNED BY NONE; ALTER SEQUENCE app.s SET SCHEMA public;";
    let project = project(up, down, "SELECT 1");
    let base = "CREATE SCHEMA app; CREATE TABLE app.t (id int); CREATE SEQUENCE s;";
    project.migration(2, "app", base, "DROP SEQUENCE s; DROP TABLE app.t; DROP SCHEMA app;");
    project.run_bare(&["migrate", "--env", "staging", "--to", "20250101000002"]).ok();
    project.query("ALTER TABLE orders ADD x int");
    follow(&project, THIRD);
    project.end();
}

#[test]
fn what_is_shown_runs_as_it_is_pasted() {
    let project = project(
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT g()'; ALTER TABLE orders ADD a int;",
        "ALTER TABLE orders DROP a; DROP FUNCTION f();",
        "ALTER TABLE orders ADD a int",
    );
    let up = "CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1';";
    project.migration(2, "g", up, "DROP FUNCTION g();");
    let both = format!("20250101000002,{THIRD}");
    let said = drift(&project, &["--mark", &both, "--sql"]);
    let (begin, end) = (said.out.find("BEGIN;\nSET LOCAL "), said.out.find("COMMIT;\n"));
    assert!(begin.is_some() && begin < end, "{said:?}");
    project.query(&said.out);
    drift(&project, &["--mark", &both]).ok();
    project.end();
}

#[test]
fn what_is_no_part_of_it_becomes_a_migration_after_it() {
    let project = project(
        "ALTER TABLE orders ADD a int; ALTER TABLE orders ADD b text;",
        "ALTER TABLE orders DROP b; ALTER TABLE orders DROP a;",
        "ALTER TABLE orders ADD a int; CREATE TABLE stray (id int); CREATE VIEW shown AS SELECT id FROM stray",
    );
    for more in [&[][..], &["--mark", THIRD]] {
        let said = drift(&project, more);
        assert!(said.code == 3 && said.out.contains("drift --env staging --adopt NAME"), "{said:?}");
    }
    let said = drift(&project, &["--adopt", "hotfix", "--format", "json"]).ok().json();
    let files = said["files"].as_array().unwrap();
    let up = files.iter().find_map(|path| path.as_str().filter(|path| path.ends_with(".up.sql"))).unwrap();
    let text = std::fs::read_to_string(project.path().join(up)).unwrap();
    assert!(text.contains("stray") && text.contains("shown") && !text.contains("orders"), "{text}");
    let version = up.rsplit('/').next().unwrap().split('_').next().unwrap();
    follow(&project, &format!("{THIRD},{version}"));
    project.end();
}

#[test]
fn what_comes_before_is_applied_first() {
    let project = project("CREATE TABLE first (id int);", "DROP TABLE first;", "ALTER TABLE orders ADD a int");
    let (up, down) = ("ALTER TABLE orders ADD a int, ADD b int;", "ALTER TABLE orders DROP b, DROP a;");
    project.migration(4, "next", up, down);
    let said = drift(&project, &[]);
    assert!(said.out.contains(&format!("migrate --env staging --to {THIRD}")), "{said:?}");
    assert!(said.out.contains("--mark 20250101000004 --sql"), "{said:?}");
    project.run_bare(&["migrate", "--env", "staging", "--to", THIRD]).ok();
    follow(&project, "20250101000004");
    project.end();
}

#[test]
fn what_was_changed_by_hand_elsewhere_is_no_part_of_it() {
    let project = project(
        "COMMENT ON COLUMN orders.status IS 'how far';",
        "COMMENT ON COLUMN orders.status IS NULL;",
        "ALTER TABLE orders ALTER status SET DEFAULT 'new'",
    );
    let said = drift(&project, &["--format", "json"]);
    assert!(said.code == 3 && said.json()["pending"].is_null(), "{said:?}");
    project.end();
}

#[test]
fn statements_that_change_rows_are_named_for_no_comparison_sees_them() {
    let project = project(
        "ALTER TABLE orders ADD a int; UPDATE orders\nSET a = 1; ALTER TABLE orders ALTER a SET NOT NULL;",
        "ALTER TABLE orders DROP a;",
        "ALTER TABLE orders ADD a int",
    );
    let said = drift(&project, &["--mark", THIRD, "--sql"]);
    assert!(said.out.contains("-- not compared") && said.out.contains("UPDATE orders SET a = 1"), "{said:?}");
    assert!(said.out.contains("SET NOT NULL"), "{said:?}");
    project.end();
}

#[test]
fn a_migration_whose_changes_of_rows_nobody_saw_is_not_marked_without_a_word() {
    let deep = format!("UPDATE orders SET a = 1 WHERE {};", vec!["id = 1"; 6000].join(" OR "));
    let nothing = "";
    for (change, by_hand) in [
        ("WITH old AS (UPDATE orders SET a = 1 RETURNING a) SELECT 1;", nothing),
        (&deep, nothing),
        (
            "ALTER TABLE orders ALTER status TYPE varchar(9) USING left('UPDATE orders SET a = 1', 9);",
            "; ALTER TABLE orders ALTER status TYPE varchar(9)",
        ),
        (
            "CREATE TABLE copied AS SELECT id, 'UPDATE orders SET a = 1'::text AS t FROM orders;",
            "; CREATE TABLE copied (id int, t text)",
        ),
    ] {
        let up = format!("ALTER TABLE orders ADD a int; {change}");
        let by_hand = format!("ALTER TABLE orders ADD a int{by_hand}");
        let project = project(&up, "ALTER TABLE orders DROP a;", &by_hand);
        let ledger = "SELECT count(*) FROM roundtrip.ledger";
        let before = project.query(ledger);
        let refused = drift(&project, &["--mark", THIRD]);
        assert!(refused.code == 2 && refused.err.contains("1 statement cannot be compared"), "{refused:?}");
        assert!(refused.out.contains("UPDATE orders SET a = 1"), "{refused:?}");
        assert_eq!(project.query(ledger), before);
        let marked = drift(&project, &["--mark", THIRD, "--yes", "--format", "json"]).ok().json();
        assert_eq!(marked["not_compared"].as_array().unwrap().len(), 1, "{marked:#}");
        project.end();
    }
}

#[test]
fn what_was_added_to_a_table_that_goes_goes_with_it() {
    let project = project(
        "DROP TABLE a; ALTER TABLE orders ADD x int, ADD y int;",
        "ALTER TABLE orders DROP x, DROP y; CREATE TABLE a (id int);",
        "SELECT 1",
    );
    project.migration(2, "a", "CREATE TABLE a (id int);", "DROP TABLE a;");
    project.run_bare(&["migrate", "--env", "staging", "--to", "20250101000002"]).ok();
    project.query("ALTER TABLE a ADD c int; CREATE INDEX hand ON a (c); ALTER TABLE orders ADD x int; SELECT 1");
    let said = drift(&project, &["--adopt", "hotfix"]);
    assert!(said.code == 3 && said.err.contains("nothing was written"), "{said:?}");
    follow(&project, THIRD);
    project.end();
}
