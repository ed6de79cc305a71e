//! The ledgers of other tools: what they applied is not run again, they are no part of any schema, and `adopt` takes
//! them over.
//!
//! Each ledger has the columns that the tool itself creates, and rows for two migrations.

mod ledgers;
mod real;

use std::fs;

use ledgers::LEDGERS;

use crate::support::{ProgramOutput, Project};

const ACCOUNTS: &str = "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);\n";
const CENTS: &str = "UPDATE accounts SET balance = balance * 100;\n";

/// Everything that was printed.
fn said(output: &ProgramOutput) -> String {
    format!("{}{}", output.out, output.err)
}

fn execute(project: &Project, sql: &str) {
    project.query(sql);
}

fn has_ledger(project: &Project) -> bool {
    !project.query("SELECT nspname::text FROM pg_namespace WHERE nspname = 'roundtrip'").is_empty()
}

/// The SQL that leaves the ledger of a tool.
fn ledger(tool: &str) -> &'static str {
    LEDGERS.iter().find(|(name, _)| *name == tool).unwrap().1
}

/// The tools whose rows match no file by themselves.
const UNMATCHED: [&str; 6] = ["tern", "liquibase", "django", "alembic", "drizzle", "doctrine"];

/// A database in which another tool applied both migrations.
fn left_by(ledger: &str) -> Project {
    let project = Project::new();
    for (version, name, up, down) in [
        ("20240101000000", "accounts", ACCOUNTS, "DROP TABLE accounts;\n"),
        ("20240201000000", "cents", CENTS, "UPDATE accounts SET balance = balance / 100;\n"),
    ] {
        project.write(&format!("migrations/{version}_{name}.up.sql"), up);
        project.write(&format!("migrations/{version}_{name}.down.sql"), down);
    }
    let ledger = ledger.replace("{accounts}", ACCOUNTS).replace("{cents}", CENTS);
    execute(&project, &format!("{ACCOUNTS} INSERT INTO accounts VALUES (1, 1000); {CENTS} {ledger}"));
    project
}

fn balance(project: &Project) -> Vec<String> {
    project.query("SELECT balance::text FROM accounts")
}

/// Every tool that is known has a ledger in these tests, and is named where users look.
#[test]
fn every_tool_is_tested_and_named_in_the_page() {
    let page = Project::new().run(&["explain", "other-ledger"]).ok().out;
    for name in migrate_core::foreign::ForeignTool::names() {
        assert!(LEDGERS.iter().any(|(tool, _)| *tool == name), "{name} has no ledger here");
        let known = name.trim_end_matches("-snake-case");
        assert!(page.contains(known), "{known} is not in the page");
    }
}

/// What every command says about a ledger that was not adopted: nothing runs, and the tool and the next step are named.
fn refused(project: &Project, tool: &str) {
    for command in ["migrate", "status", "doctor"] {
        let output = project.run(&[command]);
        let all = said(&output);
        assert_eq!(output.code, 3, "{tool} {command}: {all}");
        assert!(all.contains("other-ledger") && all.contains(&format!("{tool} applied")), "{tool} {command}: {all}");
        assert!(all.contains(" adopt"), "{tool} {command}: {all}");
    }
    if UNMATCHED.contains(&tool) {
        // Nothing of the ledger is about the files, so the schema has to say what is applied.
        return;
    }
    assert!(!has_ledger(project), "{tool}");
    let marked = project.run(&["baseline", "--mark", "--yes"]);
    assert!(marked.code == 3 && said(&marked).contains("other-ledger"), "{tool}: {}", said(&marked));
    assert!(!has_ledger(project), "{tool}");
}

/// Law: after `adopt`, nothing is pending, nothing ran, and the schema is that of the migrations.
#[test]
fn what_another_tool_applied_is_taken_over_and_never_run_again() {
    for (tool, ledger) in LEDGERS {
        let project = left_by(ledger);
        refused(&project, tool);
        let looked = project.run(&["adopt"]);
        if UNMATCHED.contains(&tool) {
            assert_eq!((looked.code, said(&looked).contains("other-ledger-no-file")), (3, true), "{}", said(&looked));
            // The schema says what is applied; the old ledger is no part of it.
            let marked = project.run(&["baseline", "--mark", "--yes", "--to", "20240201000000"]);
            marked.ok();
        } else {
            let looked = looked.ok().out;
            assert!(looked.contains("2 migrations would be recorded"), "{tool}: {looked}");
            assert!(!has_ledger(&project), "{tool}");
            let adopted = project.run(&["adopt", "--yes"]).ok().out;
            assert!(adopted.contains(&format!("2 migrations from {tool}")), "{adopted}");
        }
        assert!(project.run(&["migrate"]).ok().out.contains("nothing to do"), "{tool}");
        assert!(project.run(&["status"]).ok().out.contains("2 applied, 0 pending, 0 problems"), "{tool}");
        assert!(project.run(&["drift"]).ok().out.contains("no drift"), "{tool}");
        assert_eq!(balance(&project), ["100000"], "{tool}");
        project.write("migrations/20240301000000_notes.up.sql", "ALTER TABLE accounts ADD note text;\n");
        project.write("migrations/20240301000000_notes.down.sql", "ALTER TABLE accounts DROP note;\n");
        project.run(&["migrate"]).ok();
        project.run(&["rollback"]).ok();
        let status = project.run(&["status"]).ok().out;
        assert!(status.contains("2 applied, 1 pending, 0 problems"), "{tool}: {status}");
        project.end();
    }
}

/// A baseline of such a database has nothing of the ledger.
#[test]
fn the_ledger_of_another_tool_is_no_part_of_a_schema() {
    for (tool, ledger) in LEDGERS {
        let project = left_by(ledger);
        fs::remove_dir_all(project.path().join("migrations")).unwrap();
        fs::create_dir(project.path().join("migrations")).unwrap();
        let captured = project.run(&["baseline", "--format", "json"]);
        assert!(captured.code == 0 && captured.out.contains("\"proven\": true"), "{tool}: {}", said(&captured));
        let file = fs::read_dir(project.path().join("migrations")).unwrap().flatten().map(|one| one.path());
        let up = file.filter(|path| path.to_string_lossy().ends_with(".up.sql")).map(fs::read_to_string);
        let up: String = up.map(Result::unwrap).collect();
        assert!(up.matches("CREATE ").count() == 1 && up.contains("accounts"), "{tool}: {up}");
        project.end();
    }
}

/// The other tool goes on: what it runs after the adoption is noticed, and taken over as well.
#[test]
fn what_the_other_tool_runs_later_is_noticed_and_taken_over() {
    let steps = [
        (
            "goose",
            "INSERT INTO goose_db_version (version_id, is_applied) VALUES (20240301000000, true)",
            "DELETE FROM goose_db_version WHERE version_id = 20240301000000",
        ),
        (
            "golang-migrate",
            "UPDATE schema_migrations SET version = 20240301000000",
            "UPDATE schema_migrations SET version = 20240201000000",
        ),
        (
            "knex",
            "INSERT INTO knex_migrations (name, batch, migration_time) VALUES ('20240301000000_notes.js', 2, now())",
            "DELETE FROM knex_migrations WHERE batch = 2",
        ),
    ];
    for (tool, forward, back) in steps {
        let project = left_by(ledger(tool));
        project.run(&["adopt", "--yes"]).ok();
        project.write("migrations/20240301000000_notes.up.sql", "ALTER TABLE accounts ADD note text;\n");
        project.write("migrations/20240301000000_notes.down.sql", "ALTER TABLE accounts DROP note;\n");
        for (sql, schema, verb, count) in [
            (forward, "ALTER TABLE accounts ADD note text", "applied more migrations", "3 applied, 0 pending"),
            (back, "ALTER TABLE accounts DROP note", "rolled back migrations", "2 applied, 1 pending"),
        ] {
            execute(&project, &format!("{sql}; {schema};"));
            for command in ["status", "migrate"] {
                let output = project.run(&[command]);
                let told = format!("{tool} {verb} after its ledger was adopted: 20240301000000");
                assert!(said(&output).contains("other-ledger-moved"), "{tool}: {}", said(&output));
                assert!(output.code == 3 && said(&output).contains(&told), "{tool}: {}", said(&output));
            }
            project.run(&["adopt", "--yes"]).ok();
            let status = project.run(&["status"]).ok().out;
            assert!(status.contains(&format!("{count}, 0 problems")), "{tool}: {status}");
        }
        project.end();
    }
}

/// Everything that makes an adoption unsafe is refused, and nothing is recorded.
#[test]
fn what_is_not_certain_is_not_adopted() {
    let cases = [
        ("golang-migrate", "UPDATE schema_migrations SET dirty = true", "other-ledger-failed"),
        ("flyway", "UPDATE flyway_schema_history SET success = false WHERE installed_rank = 2", "other-ledger-failed"),
        ("prisma", "UPDATE _prisma_migrations SET finished_at = NULL WHERE id = '2'", "other-ledger-failed"),
        ("atlas", "UPDATE atlas_schema_revisions.atlas_schema_revisions SET error = 'x'", "other-ledger-failed"),
        ("sqlx", "UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 20240201000000", "other-ledger-checksum"),
        ("prisma", "UPDATE _prisma_migrations SET checksum = 'x' WHERE id = '2'", "other-ledger-checksum"),
        ("flyway", "UPDATE flyway_schema_history SET checksum = 1", "other-ledger-checksum"),
        ("dbmate", "DELETE FROM schema_migrations WHERE version = '20240101000000'", "other-ledger-gap"),
        ("goose", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (7, true)", "other-ledger-no-file"),
        ("knex", "UPDATE knex_migrations_lock SET is_locked = 1", "other-ledger-locked"),
        ("liquibase", "UPDATE databasechangeloglock SET locked = true, lockedby = 'ci'", "other-ledger-locked"),
        ("goose", "ALTER TABLE accounts ADD by_hand text", "not adopted, 1 difference"),
        (
            "goose",
            "CREATE TABLE schema_migrations (version bigint, dirty boolean); INSERT INTO schema_migrations VALUES \
          (1, false)",
            "other-ledger-several",
        ),
        ("goose", "DROP TABLE goose_db_version", "other-ledger-none"),
        (
            "sql-migrate",
            "UPDATE gorp_migrations SET id = '20240201000000_other.sql' WHERE id LIKE '%cents%'; INSERT INTO \
          gorp_migrations VALUES ('20240201000000_cents.sql', now())",
            "other-ledger-no-file",
        ),
    ];
    for (tool, sql, told) in cases {
        let project = left_by(ledger(tool));
        execute(&project, sql);
        for options in [&["adopt"][..], &["adopt", "--yes"]] {
            let output = project.run(options);
            assert!(output.code == 3 && said(&output).contains(told), "{tool} {told}: {}", said(&output));
        }
        assert!(!has_ledger(&project), "{tool}");
        project.end();
    }
}

/// A changeset is known by its file, its id and its author.
#[test]
fn the_changesets_of_liquibase_are_adopted() {
    let project = Project::new();
    project.write("migrate.toml", "layout = \"liquibase\"\n");
    project.write(
        "migrations/001_shop.sql",
        format!(
            "--liquibase formatted sql\n\n--changeset ann:accounts\n{ACCOUNTS}--rollback DROP TABLE accounts;\n\n\
             --changeset ann:cents\n{CENTS}--rollback UPDATE accounts SET balance = balance / 100;\n"
        ),
    );
    project.write(
        "migrations/002_notes.sql",
        "--liquibase formatted sql\n\n--changeset bob:notes\nALTER TABLE accounts ADD note text;\n\
         --rollback ALTER TABLE accounts DROP note;\n",
    );
    let ledger = ledger("liquibase").replace("{accounts}", "").replace("{cents}", "");
    let begin = ledger.find("INSERT INTO databasechangelog ").unwrap_or(ledger.len());
    let rows = "INSERT INTO databasechangelog (id, author, filename, dateexecuted, orderexecuted, exectype) VALUES \
                ('accounts', 'ann', 'db/changelog/001_shop.sql', now(), 1, 'EXECUTED'), \
                ('cents', 'ann', 'db/changelog/001_shop.sql', now(), 2, 'EXECUTED')";
    execute(&project, &format!("{ACCOUNTS} INSERT INTO accounts VALUES (1, 1000); {} ; {rows}", &ledger[..begin]));
    let refused = project.run(&["migrate"]);
    assert!(refused.code == 3 && said(&refused).contains("other-ledger"), "{}", said(&refused));
    project.run(&["adopt", "--yes"]).ok();
    let status = project.run(&["status"]).ok().out;
    assert!(status.contains("2 applied, 1 pending, 0 problems"), "{status}");
    assert_eq!(balance(&project), ["1000"]);
    project.run(&["migrate"]).ok();
    project.run(&["rollback"]).ok();
    project.run(&["verify", "--all"]).ok();
    project.run(&["new", "later"]).ok();
    let written = fs::read_dir(project.path().join("migrations")).unwrap().count();
    assert_eq!(written, 3);
    project.end();
}

/// A table with a name of its own is named with its tool; a view is a ledger like a table.
#[test]
fn a_ledger_with_another_name_is_adopted_too() {
    let project = left_by(ledger("dbmate"));
    execute(&project, "ALTER TABLE schema_migrations RENAME TO db_versions");
    let none = project.run(&["adopt"]);
    assert!(none.code == 3 && said(&none).contains("--from TOOL:SCHEMA.TABLE"), "{}", said(&none));
    // Nobody can know that this table is no part of the schema.
    project.write("migrate.toml", "[drift]\nignore = [\"table public.db_versions\"]\n");
    project.run(&["adopt", "--from", "dbmate:public.db_versions", "--yes"]).ok();
    assert!(project.run(&["migrate"]).ok().out.contains("nothing to do"));
    project.end();
    for (tool, sql) in [
        ("golang-migrate", "ALTER TABLE schema_migrations RENAME TO my_migrations"),
        (
            "golang-migrate",
            "ALTER TABLE schema_migrations RENAME TO t; CREATE VIEW schema_migrations AS SELECT * FROM t",
        ),
        ("sqitch", "ALTER SCHEMA sqitch RENAME TO meta"),
    ] {
        let project = left_by(ledger(tool));
        execute(&project, sql);
        let refused = project.run(&["migrate"]);
        assert!(refused.code == 3 && said(&refused).contains("other-ledger"), "{tool}: {}", said(&refused));
        project.end();
    }
}

/// Both tools may have applied a migration; what only the other one has is never run again, and nothing is rolled back
/// from under it.
#[test]
fn both_tools_can_work_side_by_side_for_a_while() {
    let project = left_by(ledger("goose"));
    project.run(&["adopt", "--yes"]).ok();
    let notes = |up: &str| {
        project.write("migrations/20240401000000_notes.up.sql", up);
        project.write("migrations/20240401000000_notes.down.sql", "ALTER TABLE accounts DROP note;\n");
    };
    notes("ALTER TABLE accounts ADD note text;\n");
    project.run(&["migrate"]).ok();
    // The other tool was told of ours.
    execute(&project, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (20240401000000, true)");
    assert!(project.run(&["status"]).ok().out.contains("3 applied, 0 pending, 0 problems"));
    // What is rolled back here is not taken over again.
    project.run(&["rollback"]).ok();
    project.run(&["rollback", "--to", "20240101000000", "--yes"]).ok();
    assert!(project.run(&["adopt", "--yes"]).ok().out.contains("nothing to do"));
    assert!(project.run(&["status"]).ok().out.contains("1 applied, 2 pending, 0 problems"));
    project.run(&["migrate"]).ok();
    execute(&project, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (20240501000000, true)");
    for command in [&["rollback"][..], &["redo", "--yes"]] {
        let refused = project.run(command);
        assert!(refused.code == 3 && said(&refused).contains("other-ledger-moved"), "{}", said(&refused));
    }
    project.end();
}

/// A ledger that was never adopted still says what must not run.
#[test]
fn what_another_tool_applied_is_not_run_in_a_database_with_our_own_ledger() {
    let project = Project::new();
    project.migration(1, "t", "CREATE TABLE t (id int);\n", "DROP TABLE t;\n");
    project.run(&["migrate"]).ok();
    project.migration(2, "fill", "INSERT INTO t VALUES (1);\n", "DELETE FROM t;\n");
    execute(
        &project,
        "CREATE TABLE goose_db_version (id serial, version_id bigint, is_applied boolean, tstamp timestamp);
         INSERT INTO goose_db_version (version_id, is_applied) VALUES (20250101000002, true); INSERT INTO t VALUES (1)",
    );
    let refused = project.run(&["migrate"]);
    assert!(refused.code == 3 && said(&refused).contains("goose applied what is pending here"), "{}", said(&refused));
    assert_eq!(project.query("SELECT count(*)::text FROM t"), ["1"]);
    project.end();
}

/// A ledger that belongs to another application is named, and says nothing any more.
#[test]
fn a_ledger_of_another_application_is_named() {
    let project = left_by(LEDGERS[0].1);
    execute(&project, "CREATE SCHEMA other; ALTER TABLE _sqlx_migrations SET SCHEMA other; DROP TABLE accounts");
    let config =
        "[environments.shared]\ndatabase = \"env:TEST_DATABASE_URL\"\nother_ledgers = [\"other._sqlx_migrations\"]\n";
    project.write("migrate.toml", config);
    assert_eq!(project.run(&["migrate"]).code, 3);
    project.run_bare(&["migrate", "--env", "shared"]).ok();
    assert_eq!(project.query("SELECT count(*)::text FROM roundtrip.ledger WHERE event = 'applied'"), ["2"]);
    project.end();
}

/// Who cannot read the other ledger, or sees no row of it, cannot know that nothing was applied.
#[test]
fn a_ledger_that_cannot_be_read_stops_the_run() {
    let refused = |project: &Project, told: &str| {
        for command in ["migrate", "adopt"] {
            let output = project.run(&[command]);
            assert!(output.code == 3 && said(&output).contains("other-ledger-unreadable"), "{}", said(&output));
            assert!(said(&output).contains(told), "{}", said(&output));
        }
    };
    let project = left_by(LEDGERS[0].1);
    execute(&project, "ALTER TABLE _sqlx_migrations RENAME COLUMN success TO succeeded");
    // It is no longer recognised by its name alone.
    assert!(said(&project.run(&["status"])).contains("0 problems"));
    execute(&project, "ALTER TABLE _sqlx_migrations RENAME COLUMN succeeded TO success");
    execute(&project, "ALTER TABLE _sqlx_migrations ALTER COLUMN checksum TYPE text USING encode(checksum, 'hex')");
    refused(&project, "its columns are not as sqlx makes them");
    project.end();
    for right in
        ["", "GRANT SELECT ON _sqlx_migrations TO {r}; ALTER TABLE _sqlx_migrations ENABLE ROW LEVEL SECURITY;"]
    {
        let project = left_by(LEDGERS[0].1);
        let role = format!("reader_{}", std::process::id());
        execute(&project, &format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN"));
        execute(&project, &right.replace("{r}", &role));
        let url = project.url().replacen("//postgres:", &format!("//{role}:"), 1);
        let output = project.run_bare(&["migrate", "--env", "development", "--database", &url]);
        let all = said(&output);
        assert!(output.code == 3 && all.contains("other-ledger-unreadable"), "{url}: {all}");
        assert!(all.contains(&format!("GRANT SELECT ON public._sqlx_migrations TO {role};")), "{all}");
        execute(&project, &format!("DROP OWNED BY {role}; DROP ROLE {role}"));
        project.end();
    }
}

/// A complete rollback by the other tool is noticed and taken over as well.
#[test]
fn a_complete_rollback_by_the_other_tool_is_taken_over() {
    for (tool, back) in [("goose", "DELETE FROM goose_db_version"), ("golang-migrate", "DELETE FROM schema_migrations")]
    {
        let project = left_by(ledger(tool));
        project.run(&["adopt", "--yes"]).ok();
        execute(&project, &format!("{back}; DROP TABLE accounts"));
        let told = format!("{tool} rolled back migrations after its ledger was adopted");
        let status = project.run(&["status"]);
        assert!(status.code == 3 && said(&status).contains(&told), "{}", said(&status));
        project.run(&["adopt", "--yes"]).ok();
        assert!(project.run(&["status"]).ok().out.contains("0 applied, 2 pending, 0 problems"), "{tool}");
        project.end();
    }
}

/// The line that is suggested for the ledger of another application can be pasted.
#[test]
fn the_line_for_another_application_is_toml() {
    let project = left_by(ledger("sequelize"));
    let all = said(&project.run(&["migrate"]));
    let line = all.split("`other_ledgers = ").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
    let config = format!("[environments.shared]\ndatabase = \"env:TEST_DATABASE_URL\"\nother_ledgers = {line}\n");
    project.write("migrate.toml", config);
    let status = project.run_bare(&["status", "--env", "shared"]).ok().out;
    assert!(status.contains("2 pending, 0 problems"), "{status}");
    project.end();
}

/// The tables of Supabase's own services are not the ledger of an application.
#[test]
fn the_ledgers_of_services_are_passed_over() {
    let project = Project::new();
    project.migration(1, "t", "CREATE TABLE t (id int);\n", "DROP TABLE t;\n");
    let role = format!("supabase_auth_admin_{}", std::process::id());
    execute(
        &project,
        &format!(
            "CREATE ROLE {role}; CREATE SCHEMA auth; CREATE TABLE auth.schema_migrations (version varchar(255)); \
             INSERT INTO auth.schema_migrations VALUES ('00'); ALTER TABLE auth.schema_migrations OWNER TO {role}"
        ),
    );
    project.run(&["migrate"]).ok();
    execute(&project, &format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    project.end();
}

/// A folder that was converted has the same ledger: nothing runs again, and everything still rolls back.
#[test]
fn a_converted_folder_runs_nothing_again() {
    let goose = |up: &str, down: &str| format!("-- +goose Up\n{up}-- +goose Down\n{down}");
    for (layout, files) in [
        (
            "goose",
            vec![
                ("00001_Add Accounts.sql", goose(ACCOUNTS, "DROP TABLE accounts;\n")),
                ("00002_cents.sql", goose(CENTS, "UPDATE accounts SET balance = balance / 100;\n")),
            ],
        ),
        (
            "flyway",
            vec![
                ("V1__accounts.sql", ACCOUNTS.to_owned()),
                ("U1__accounts.sql", "DROP TABLE accounts;\n".to_owned()),
                ("2024/V1.5__cents.sql", CENTS.to_owned()),
                ("2024/U1.5__cents.sql", "UPDATE accounts SET balance = balance / 100;\n".to_owned()),
            ],
        ),
    ] {
        let project = Project::new();
        for (name, text) in &files {
            let path = project.path().join("migrations").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let aim = ["--layout", layout];
        project.run(&[&["migrate", "-n", "1"][..], &aim].concat()).ok();
        execute(&project, "INSERT INTO accounts VALUES (1, 1000)");
        project.run(&[&["migrate"][..], &aim].concat()).ok();
        let looked = project.run(&[&["adopt", "--convert"][..], &aim].concat()).ok().out;
        assert!(
            looked.contains("would convert 2 migrations")
                && project.path().join("migrations").join(files[0].0).exists()
        );
        project.run(&[&["adopt", "--convert", "--yes"][..], &aim].concat()).ok();
        let mut names: Vec<String> = fs::read_dir(project.path().join("migrations"))
            .unwrap()
            .map(|one| one.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert!(names.len() == 4 && names.iter().all(|name| name.len() > 14 && name.ends_with(".sql")), "{names:?}");
        for (command, told) in [
            (&["status"][..], "2 applied, 0 pending, 0 problems"),
            (&["migrate"], "nothing to do"),
            (&["drift"], "no drift"),
            (&["rollback"], "1 migration rolled back"),
            (&["status"], "1 applied, 1 pending, 0 problems"),
            (&["migrate"], "1 migration applied"),
            (&["status"], "2 applied, 0 pending, 0 problems"),
        ] {
            let output = project.run(command).ok().out;
            assert!(output.contains(told), "{layout} {command:?}: {output}");
        }
        assert_eq!(balance(&project), ["100000"], "{layout}");
        assert_eq!(project.run(&[&["adopt", "--convert"][..], &["--layout", "roundtrip"]].concat()).code, 2);
        project.end();
    }
}

/// The commands of docs/ADOPT.md for a folder of SQL files, in the order of the page.
#[test]
fn the_page_leads_from_another_tool_to_the_first_migration() {
    let page = fs::read_to_string(crate::support::root().join("docs/ADOPT.md")).unwrap();
    let (sql, code) = page.split_once("## Migrations in code").unwrap();
    // What drives the tool, and captures it, goes through its own tests with the real tools.
    let (_, code) = code.split_once("### Go on in SQL, from the schema").unwrap();
    let blocks = |of: &str, page: &str| -> Vec<String> {
        let begin = format!("```{of}\n");
        page.split(&begin).skip(1).map(|part| part.split("```").next().unwrap().to_owned()).collect()
    };
    let commands = |page: &str| -> Vec<String> {
        let lines = blocks("sh", page).join("");
        lines
            .lines()
            .map(|line| line.trim().strip_prefix("cargo xtask ").unwrap_or_default().to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    };
    let run = |project: &Project, command: &str| {
        // A terminal would be asked.
        let yes = if command.starts_with("migrate") { " --yes" } else { "" };
        let words: Vec<String> = format!("{command}{yes}").split(' ').map(str::to_owned).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = project.command(&words).env("PRODUCTION_DATABASE_URL", project.url()).output().unwrap();
        crate::support::said(output).ok()
    };
    let project = Project::new();
    let config = blocks("toml", sql).remove(0);
    project.write("migrate.toml", config.replace("db/migrations", "migrations"));
    let orders = "CREATE TABLE orders (id int PRIMARY KEY);\n";
    project.write("migrations/00001_orders.sql", format!("-- +goose Up\n{orders}-- +goose Down\nDROP TABLE orders;\n"));
    let ledger = "CREATE TABLE goose_db_version (id serial, version_id bigint, is_applied boolean, tstamp timestamp); \
                  INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true)";
    execute(&project, &format!("{orders} {ledger}"));
    let all = commands(sql);
    assert_eq!(all.len(), 6, "{all:?}");
    all.iter().for_each(|command| drop(run(&project, command)));
    project.write("migrate.toml", config.replace("db/migrations", "migrations").replace("layout = \"goose\"\n", ""));
    let status = run(&project, "status --env production").out;
    assert!(status.contains("2 applied, 0 pending, 0 problems"), "{status}");
    project.end();

    let project = Project::new();
    project.write("migrate.toml", config.replace("layout = \"goose\"\n", "").replace("db/migrations", "migrations"));
    execute(&project, &format!("{orders} {}", self::ledger("alembic")));
    let all = commands(code);
    assert_eq!(all.len(), 2, "{all:?}");
    run(&project, &all[0]);
    run(&project, &format!("{} --yes", all[1]));
    assert!(run(&project, "status --env production").out.contains("1 applied, 0 pending, 0 problems"));
    project.end();
}
