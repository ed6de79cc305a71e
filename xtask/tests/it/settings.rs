//! The settings of an environment's sessions, and the ledgers of other services in it: neither is drift.

use std::fs;

use crate::support::{ProgramOutput, Project};

/// A project whose first migration creates a table without naming its schema.
fn unqualified() -> Project {
    let project = Project::new();
    project.migration(
        1,
        "a",
        "CREATE TABLE a (id int); CREATE VIEW v AS SELECT id FROM a;",
        "DROP VIEW v; DROP TABLE a;",
    );
    project
}

/// Sets it for all sessions of the project's database.
fn set(project: &Project, setting: &str) {
    let name = project.database.name();
    project.query(&format!("ALTER DATABASE {name} SET {setting}"));
}

#[track_caller]
fn no_drift(project: &Project, url: &str) {
    for more in [&["drift"][..], &["drift", "--sql"], &["diff", "migrations", url]] {
        let mut arguments = more.to_vec();
        if more[0] == "drift" {
            arguments.extend(["--database", url]);
        }
        let said = project.run_bare(&arguments);
        assert!(said.code == 0 && !said.out.contains("DROP"), "{more:?}: {said:?}");
    }
}

fn migrate(project: &Project, url: &str) {
    project.run_bare(&["migrate", "--database", url]).ok();
}

#[test]
fn a_path_of_the_database_of_the_role_or_of_the_url_is_that_of_the_shadow() {
    // Set on the database; the schema was created by hand, and has grants.
    let project = unqualified();
    project.query("CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO PUBLIC");
    set(&project, "search_path = app, public");
    migrate(&project, &project.url());
    no_drift(&project, &project.url());
    // Drift is found, and becomes a migration that is proven.
    project.query("CREATE TABLE by_hand (id int)");
    let found = project.run(&["drift"]);
    assert!(found.code == 3 && found.out.contains("table app.by_hand"), "{found:?}");
    project.run(&["drift", "--adopt", "by_hand"]).ok();
    project.end();

    // Set in the URL, with a name that has to be quoted.
    let project = unqualified();
    project.query("CREATE SCHEMA \"My \"\"Schema\"");
    let url = format!("{}?options=-csearch_path%3D%22My%5C%20%22%22Schema%22", project.url());
    migrate(&project, &url);
    assert_eq!(
        project.query("SELECT relnamespace::regnamespace FROM pg_class WHERE relname = 'a'"),
        ["\"My \"\"Schema\""]
    );
    no_drift(&project, &url);
    project.end();

    // Set on the role, by its name.
    let project = unqualified();
    let role = format!("role_{}", project.database.name());
    project.query(&format!("CREATE ROLE {role} LOGIN SUPERUSER; CREATE SCHEMA {role}"));
    let url = project.url().replacen("//postgres:", &format!("//{role}:"), 1);
    migrate(&project, &url);
    no_drift(&project, &url);
    project.query(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    project.end();
}

#[test]
fn a_ledger_in_an_empty_public_schema_takes_nothing_with_it() {
    let project = unqualified();
    project.query("CREATE SCHEMA app");
    set(&project, "search_path = app");
    project
        .write("migrate.toml", "[environments.e]\ndatabase = \"env:TEST_DATABASE_URL\"\nledger = \"public.ledger\"\n");
    project.run_bare(&["--env", "e", "migrate"]).ok();
    project.run_bare(&["--env", "e", "drift"]).ok();
    project.end();
}

#[test]
fn a_schema_of_the_path_that_the_chain_makes_is_left_to_it() {
    let project = Project::new();
    project.migration(1, "s", "DO $$ BEGIN EXECUTE 'CREATE SCHEMA app'; END $$;", "DROP SCHEMA app;");
    project.migration(2, "a", "CREATE TABLE a (id int);", "DROP TABLE a;");
    set(&project, "search_path = app, public");
    migrate(&project, &project.url());
    no_drift(&project, &project.url());
    project.end();
}

#[test]
fn a_database_with_a_path_of_its_own_is_marked() {
    let project = unqualified();
    project.query("CREATE SCHEMA app");
    set(&project, "search_path = app");
    project.query("CREATE TABLE a (id int); CREATE VIEW v AS SELECT id FROM a");
    project.run(&["baseline", "--mark", "--yes"]).ok();
    project.end();
}

#[test]
fn settings_that_word_a_definition_are_no_difference() {
    let project = Project::new();
    let up = "CREATE TABLE a (id int, i interval DEFAULT '1 day 2 hours', b bytea DEFAULT '\\x00', f float8 DEFAULT 0.1);\n\
              CREATE VIEW v AS SELECT id FROM a WHERE id = NULL;";
    project.migration(1, "a", up, "DROP VIEW v; DROP TABLE a;");
    for setting in [
        "quote_all_identifiers = on",
        "intervalstyle = sql_standard",
        "bytea_output = escape",
        "transform_null_equals = on",
    ] {
        set(&project, setting);
    }
    migrate(&project, &project.url());
    no_drift(&project, &project.url());
    project.end();
}

#[test]
fn a_tablespace_that_is_the_usual_one_is_no_difference() {
    let project = unqualified();
    let name = format!("space_{}", project.database.name());
    // Created inside of the data folder, as the tests of PostgreSQL do.
    let mut connection = project.hold("SET allow_in_place_tablespaces = on");
    project.wait(async {
        use sqlx::{AssertSqlSafe, Executor};
        connection.execute(AssertSqlSafe(format!("CREATE TABLESPACE {name} LOCATION ''"))).await.unwrap();
    });
    set(&project, &format!("default_tablespace = {name}"));
    migrate(&project, &project.url());
    assert_eq!(project.query("SELECT reltablespace <> 0 FROM pg_class WHERE relname = 'a'"), ["t"]);
    no_drift(&project, &project.url());
    project.run(&["rollback", "--all", "--yes"]).ok();
    set(&project, "default_tablespace = ''");
    project.query("DROP SCHEMA roundtrip CASCADE");
    project.query(&format!("DROP TABLESPACE {name}"));
    drop(connection);
    project.end();
}

/// A service with its own ledger and folder, on the database of the project.
fn service(project: &Project, name: &str, arguments: &[&str]) -> ProgramOutput {
    project.run_bare(&[&["--env", name, "--migrations", &format!("of_{name}")], arguments].concat())
}

#[test]
fn the_ledger_of_another_service_is_no_drift() {
    let project = Project::new();
    let ledgers = [("a", "svc_a.ledger"), ("b", "svc_b.ledger"), ("c", "public.\"Journal\"")];
    let mut file = String::new();
    for (name, ledger) in ledgers {
        file += &format!("[environments.{name}]\ndatabase = \"env:TEST_DATABASE_URL\"\nledger = '{ledger}'\n");
        fs::create_dir(project.path().join(format!("of_{name}"))).unwrap();
        // They share what they create, so that only the ledgers could differ.
        project.write(&format!("of_{name}/20250101000001_t.up.sql"), "CREATE TABLE IF NOT EXISTS t (id int);");
        project.write(&format!("of_{name}/20250101000001_t.down.sql"), "DROP TABLE IF EXISTS t;");
    }
    project.write("migrate.toml", file);
    service(&project, "b", &["migrate"]).ok();
    let alone =
        project.query("SELECT fingerprint FROM svc_b.ledger WHERE fingerprint IS NOT NULL ORDER BY id DESC LIMIT 1");
    for name in ["a", "c"] {
        service(&project, name, &["migrate"]).ok();
    }
    service(&project, "a", &["audit", "install"]).ok();
    for (name, _) in ledgers {
        service(&project, name, &["drift"]).ok();
        service(&project, name, &["drift", "--sql"]).ok();
        service(&project, name, &["diff", "migrations", &format!("env:{name}")]).ok();
    }
    // A run of one service, with the other ledgers present, leaves the same fingerprint as it would alone.
    project.query("DROP TABLE t");
    project.run_bare(&["--env", "b", "--migrations", "of_b", "rollback", "--yes"]).ok();
    service(&project, "b", &["migrate"]).ok();
    let beside =
        project.query("SELECT fingerprint FROM svc_b.ledger WHERE fingerprint IS NOT NULL ORDER BY id DESC LIMIT 1");
    assert_eq!(alone, beside);
    let baseline = project.run_bare(&["--env", "b", "--migrations", "fresh", "baseline", "--dry-run"]).ok();
    assert!(
        baseline.out.contains("public.t") && !baseline.out.contains("ournal") && !baseline.out.contains("svc_"),
        "{baseline:?}"
    );
    project.end();
}

#[test]
fn a_table_that_is_only_called_ledger_is_a_difference() {
    let project = unqualified();
    project.run(&["migrate"]).ok();
    project.query("CREATE TABLE ledger (id bigint, event text, version text); COMMENT ON TABLE ledger IS 'of our shop (Roundtrip)'");
    let found = project.run(&["drift"]);
    assert!(found.code == 3 && found.out.contains("table public.ledger"), "{found:?}");
    project.end();
}
