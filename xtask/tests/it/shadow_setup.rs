//! `[shadow]`: what exists before the first migration of a chain, and where chains run that change a whole
//! server.

use crate::support::{Project, said};

/// A host with its own schema, a role and a table, as a chain finds it in production.
const HOST: &str = "CREATE SCHEMA host;
CREATE TABLE host.users (id int PRIMARY KEY);
DO $$ BEGIN CREATE ROLE rt_setup_app; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT USAGE ON SCHEMA host TO rt_setup_app;
";

fn hosted() -> Project {
    let project = Project::new();
    let config = "[shadow]\nsetup = \"shadow.sql\"\nsettings = { \"app.region\" = \"north\", \"app.limit\" = 7 }\n";
    project.write("migrate.toml", config);
    project.write("shadow.sql", HOST);
    project.migration(
        1,
        "orders",
        "CREATE TABLE orders (id int PRIMARY KEY, of_user int REFERENCES host.users, region text DEFAULT current_setting('app.region'));
         ALTER TABLE orders ADD CHECK (id > current_setting('app.limit')::int);
         GRANT SELECT ON orders TO rt_setup_app;
         CREATE TRIGGER t BEFORE UPDATE ON host.users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();",
        "DROP TRIGGER t ON host.users; DROP TABLE orders;",
    );
    project
}

#[test]
fn a_chain_that_expects_a_host_is_proven_on_one() {
    let project = hosted();
    project.run_bare(&["verify", "--all"]).ok();
    // A changed script results in other databases.
    project.write("shadow.sql", HOST.replace("rt_setup_app", "rt_setup_other"));
    let missing = project.run_bare(&["verify", "--all"]);
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(missing.out.contains("rt_setup_app") && missing.out.contains("[shadow]"), "{missing:?}");
    project.end();
}

#[test]
fn what_a_host_has_is_no_drift_and_no_part_of_a_baseline() {
    let project = hosted();
    project.query(
        "CREATE SCHEMA host; CREATE TABLE host.users (id int PRIMARY KEY, mail text, CHECK (mail <> '')); \
         DO $$ BEGIN CREATE ROLE rt_setup_app; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         GRANT USAGE ON SCHEMA host TO rt_setup_app; \
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.region = north', current_database()); \
         EXECUTE format('ALTER DATABASE %I SET app.\"limit\" = 7', current_database()); END $$; SELECT 'x'",
    );
    project.run(&["migrate"]).ok();
    let drift = project.run(&["drift"]);
    assert_eq!(drift.code, 0, "{drift:?}");
    let same = project.run(&["diff", "migrations", &project.database.url()]);
    assert_eq!(same.code, 0, "{same:?}");
    std::fs::remove_dir_all(project.path().join("migrations")).unwrap();
    std::fs::create_dir(project.path().join("migrations")).unwrap();
    project.query("DROP SCHEMA roundtrip CASCADE; SELECT 'x'");
    project.run(&["baseline"]).ok();
    let files: Vec<_> = std::fs::read_dir(project.path().join("migrations")).unwrap().flatten().collect();
    let up = files.iter().find(|file| file.file_name().to_string_lossy().ends_with(".up.sql")).unwrap();
    let up = std::fs::read_to_string(up.path()).unwrap();
    assert!(up.contains("CREATE TABLE public.orders") && up.contains("CREATE TRIGGER"), "{up}");
    assert!(!up.contains("CREATE SCHEMA host") && !up.contains("CREATE TABLE host.users"), "{up}");
    project.run_bare(&["verify", "--all"]).ok();
    project.query(
        "DROP OWNED BY rt_setup_app; DO $$ BEGIN DROP ROLE rt_setup_app; EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END $$; SELECT 'x'",
    );
    project.end();
}

#[test]
fn a_mistake_in_a_script_is_pointed_at() {
    let project = hosted();
    project.write("shadow.sql", "CREATE SCHEMA host;\nCREATE TABLE host.users (id nosuchtype);\n");
    let wrong = project.run_bare(&["verify", "--all"]);
    assert_ne!(wrong.code, 0);
    assert!(wrong.err.contains("shadow.sql:2:") || wrong.out.contains("shadow.sql:2:"), "{wrong:?}");
    project.write("migrate.toml", "[shadow]\nsetup = [\"nowhere.sql\"]\n");
    let nowhere = project.run_bare(&["verify", "--all"]);
    assert!(nowhere.err.contains("nowhere.sql"), "{nowhere:?}");
    project.write("migrate.toml", "[shadow]\nsetp = \"a.sql\"\n");
    let misspelt = project.run_bare(&["verify", "--all"]);
    assert!(misspelt.err.contains("did you mean `setup`?"), "{misspelt:?}");
    project.end();
}

#[test]
fn a_server_that_others_use_is_not_given_roles() {
    let project = Project::new();
    project.migration(1, "role", "CREATE ROLE rt_setup_refused;", "DROP ROLE rt_setup_refused;");
    let mut command = project.command(&["verify", "--all"]);
    let refused = said(command.env("ROUNDTRIP_TEST_SERVER", project.url()).output().unwrap());
    assert_ne!(refused.code, 0);
    assert!(
        refused.err.contains("objects of a whole server") && refused.err.contains("ROUNDTRIP_TEST_SERVER"),
        "{refused:?}"
    );
    assert_eq!(project.query("SELECT count(*) FROM pg_roles WHERE rolname = 'rt_setup_refused'"), ["0"]);
    // Two commands side by side, and another one after them, on servers of their own.
    let children: Vec<_> = (0..2).map(|_| project.command(&["verify", "--all"]).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    project.run_bare(&["verify", "--all"]).ok();
    assert_eq!(project.query("SELECT count(*) FROM pg_roles WHERE rolname = 'rt_setup_refused'"), ["0"]);
    project.end();
}

#[test]
fn what_a_chain_misses_is_said_with_where_to_set_it_up() {
    let setup = "`setup` script ([shadow]";
    for (up, advice) in [
        ("CREATE TABLE t (id int REFERENCES users (id));", setup),
        ("CREATE TABLE host.t (id int);", setup),
        ("CREATE TABLE t (id uuid DEFAULT host_id());", setup),
        ("CREATE TABLE t (at host_type);", setup),
        ("GRANT SELECT ON ALL TABLES IN SCHEMA public TO rt_setup_nobody;", setup),
        ("CREATE TABLE t (a text DEFAULT current_setting('app.missing')); INSERT INTO t DEFAULT VALUES;", setup),
        ("CREATE EXTENSION rt_not_installed;", "[environments.shadow]"),
    ] {
        let project = Project::new();
        project.migration(1, "first", up, "DROP TABLE IF EXISTS t;");
        let said = project.run_bare(&["verify", "--all"]);
        assert!(said.code == 3 && said.out.contains(advice), "{up}: {said:?}");
        project.end();
    }
}
