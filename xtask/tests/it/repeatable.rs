//! Repeatable migrations of Flyway: they run after all versions, again when they change, and are proven to be able to.

use std::fs;

use crate::repository::Repository;
use crate::support::Project;

const TABLE: &str = "CREATE TABLE orders (id int PRIMARY KEY, total int NOT NULL);\n";
const VIEW: &str = "CREATE OR REPLACE VIEW sums AS SELECT sum(total) AS total FROM orders;\n";
const WIDER: &str = "CREATE OR REPLACE VIEW sums AS SELECT sum(total) AS total, count(*) AS number FROM orders;\n";
/// Every run leaves a row.
const RUNS: &str = "CREATE TABLE IF NOT EXISTS runs (at int);\nINSERT INTO runs SELECT count(*) FROM runs;\n";

fn folder() -> Project {
    let project = Project::new();
    project.write("migrate.toml", "layout = \"flyway\"\n");
    project.write("migrations/V1__orders.sql", TABLE);
    project.write("migrations/R__sums.sql", VIEW);
    project
}

fn runs(project: &Project) -> usize {
    project.query("SELECT at::text FROM runs").len()
}

fn columns(project: &Project) -> Vec<String> {
    project.query("SELECT attname::text FROM pg_attribute WHERE attrelid = 'sums'::regclass AND attnum > 0")
}

/// Law: it runs after the newest version, once for each text that it has, and again if a rollback may have removed what
/// it made.
#[test]
fn it_runs_when_nothing_else_is_pending_and_its_text_is_new() {
    let project = folder();
    fs::create_dir(project.path().join("migrations/late")).unwrap();
    project.write("migrations/late/R__a run.sql", RUNS);
    project.write("migrations/V2__note.sql", "ALTER TABLE orders ADD note text;\n");
    project.write("migrations/U2__note.sql", "DROP VIEW IF EXISTS sums;\nALTER TABLE orders DROP note;\n");
    let first = project.run(&["migrate", "-n", "1"]).ok().out;
    assert!(!first.contains("R__"), "{first}");
    let status = project.run(&["status"]).ok().out;
    assert!(status.contains("1 applied, 3 pending, 0 problems") && status.contains("R__sums"), "{status}");
    let all = project.run(&["migrate"]).ok().out;
    let at = |what: &str| all.find(what).unwrap_or_else(|| panic!("{what}: {all}"));
    assert!(at("note") < at("R__a_run") && at("R__a_run") < at("R__sums"), "{all}");
    assert!(project.run(&["migrate"]).ok().out.contains("nothing to do"));
    assert_eq!((runs(&project), columns(&project)), (1, vec!["total".to_owned()]));
    assert!(project.run(&["drift"]).ok().out.contains("no drift"));

    project.write("migrations/R__sums.sql", WIDER);
    let looked = project.run(&["migrate", "--dry-run"]).ok().out;
    assert!(looked.contains("R__sums, up") && looked.contains("1 migration would run"), "{looked}");
    let drill = project.run(&["runbook", "--for", "migrate", "--drill"]).ok().out;
    assert!(drill.contains("schema and ledger are the same"), "{drill}");
    let again = project.run(&["migrate"]).ok().out;
    assert!(again.contains("R__sums") && !again.contains("R__a_run"), "{again}");
    assert_eq!((runs(&project), columns(&project).len()), (1, 2));

    project.run(&["rollback"]).ok();
    let status = project.run(&["status", "--format", "json"]).ok().json();
    let pending: Vec<&str> =
        status["pending"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!((status["version"].as_str(), pending), (Some("1"), vec!["note", "a_run", "sums"]));
    project.run(&["migrate"]).ok();
    assert_eq!((runs(&project), columns(&project).len()), (2, 2));
    assert!(project.run(&["drift"]).ok().out.contains("no drift"));

    fs::remove_file(project.path().join("migrations/R__sums.sql")).unwrap();
    let status = project.run(&["status"]).ok();
    assert!(status.out.contains("0 pending, 1 problem") && status.err.contains("missing-file"), "{status:?}");
    let history = project.run(&["history"]).ok().out;
    assert_eq!(history.matches("repeated").count(), 5, "{history}");
    project.end();
}

/// A failed run leaves nothing, is not recorded, and is tried again.
#[test]
fn one_that_fails_leaves_nothing_and_stays_pending() {
    let project = folder();
    project.write("migrations/R__sums.sql", format!("{RUNS}SELECT 1 / count(*) FROM orders;\n"));
    let failed = project.run(&["migrate"]);
    assert!(failed.code == 1 && failed.err.contains("migrations/R__sums.sql:3:"), "{failed:?}");
    assert!(project.query("SELECT relname::text FROM pg_class WHERE relname = 'runs'").is_empty());
    let status = project.run(&["status"]).ok().out;
    assert!(status.contains("1 applied, 1 pending, 0 problems"), "{status}");
    project.query("INSERT INTO orders VALUES (1, 2)");
    project.run(&["migrate"]).ok();
    assert_eq!(runs(&project), 1);
    project.write("migrations/R__sums.sql", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON orders (total);\n");
    let refused = project.run(&["migrate"]);
    assert!(refused.code == 3 && refused.err.contains("needs-no-transaction"), "{refused:?}");
    project.end();
}

/// Law: a second run changes neither the schema nor the rows, and does not fail.
#[test]
fn one_that_cannot_run_again_is_found_by_the_proof() {
    for (text, law, verdict) in [
        (VIEW, "reapply", "holds"),
        (VIEW, "data", "holds"),
        ("CREATE VIEW sums AS SELECT 1 AS one;\n", "reapply", "broken"),
        ("ALTER TABLE orders ADD CHECK (total > 0);\n", "reapply", "broken"),
        ("UPDATE orders SET total = total / 2 + 7;\n", "data", "broken"),
        (RUNS, "data", "broken"),
        ("DELETE FROM orders;\n", "data", "broken"),
        ("DROP TABLE IF EXISTS c;\nCREATE TABLE c (id int PRIMARY KEY);\n", "data", "broken"),
        ("-- migrate: lossy it is only a cache\nTRUNCATE orders;\n", "data", "declared"),
        ("INSERT INTO orders VALUES (-1, 0) ON CONFLICT DO NOTHING;\n", "data", "holds"),
    ] {
        let project = folder();
        project.write("migrations/R__sums.sql", text);
        let said = project.run(&["verify", "--all", "--format", "json"]);
        let document = said.json();
        let proven = document["migrations"].as_array().unwrap();
        let last = proven.last().unwrap();
        assert_eq!((proven.len(), last["version"].as_str()), (2, Some("R__sums")), "{said:?}");
        assert_eq!(last["laws"][law]["verdict"], verdict, "{text} {last:#}");
        let is_broken = verdict == "broken";
        assert_eq!((said.code, last["holds"] == false), (3 * i32::from(is_broken), is_broken), "{text} {said:?}");
        let named = project.run(&["verify", "R__sums.sql"]);
        assert_eq!(named.code, said.code, "{named:?}");
        project.end();
    }
}

/// A version is rolled back and applied again while the views are there, and the views after it.
#[test]
fn a_version_is_rolled_back_with_them_in_place() {
    let (note, whole) =
        ("ALTER TABLE orders DROP note;\n", "DROP VIEW IF EXISTS sums;\nALTER TABLE orders DROP note;\n");
    for (down, view, found) in [
        (note, "CREATE OR REPLACE VIEW sums AS SELECT note FROM orders;\n", &["down-fails V2__note.sql"][..]),
        (whole, "CREATE OR REPLACE VIEW sums AS SELECT note FROM orders;\n", &[]),
        (note, VIEW, &[]),
        (note, "CREATE TABLE IF NOT EXISTS n AS SELECT 1 AS id;\n", &[]),
    ] {
        let project = folder();
        project.write("migrations/V2__note.sql", "ALTER TABLE orders ADD note text;\n");
        project.write("migrations/U2__note.sql", down);
        project.write("migrations/R__sums.sql", view);
        let said = project.run(&["verify", "--all", "--format", "json"]);
        let document = said.json();
        let findings = document["findings"].as_array().unwrap().iter();
        let told: Vec<String> = findings
            .map(|one| format!("{} {}", one["code"].as_str().unwrap(), one["file"].as_str().unwrap()))
            .map(|told| told.replace("migrations/", "").replace("U2", "V2"))
            .collect();
        assert_eq!(
            (told, said.code),
            (found.iter().map(|one| (*one).to_owned()).collect(), 3 * i32::from(!found.is_empty())),
            "{said:?}"
        );
        // As the server has it.
        project.run(&["migrate"]).ok();
        assert_eq!(project.run(&["rollback"]).code, i32::from(!found.is_empty()), "{view}");
        project.end();
    }
}

/// One that is in the way of a version is reported, although only the version was asked for.
#[test]
fn one_that_cannot_run_after_a_rollback_is_told_of_with_the_version() {
    let project = folder();
    project.write("migrations/V2__note.sql", "ALTER TABLE orders ADD note text;\n");
    project.write("migrations/U2__note.sql", "ALTER TABLE orders DROP note;\n");
    project.run(&["verify", "2"]).ok();
    project.write("migrations/R__sums.sql", "CREATE TABLE sums (a int);\n");
    let refused = project.run(&["verify", "2"]);
    assert!(refused.code == 3 && refused.out.contains("it cannot run again after a rollback"), "{refused:?}");
    project.end();
}

/// Flyway sorts descriptions, in which an underscore is a space, and fills placeholders before it compares.
#[test]
fn they_run_in_the_order_of_flyway_and_again_with_other_values() {
    let project = Project::new();
    let config = |value: u32| format!("layout = \"flyway\"\n[placeholders]\nvalue = \"{value}\"\n");
    project.write("migrate.toml", config(3));
    // Without a version, too.
    project.write("migrations/R__1_base.sql", "CREATE OR REPLACE VIEW one AS SELECT ${value} AS value;\n");
    project.write("migrations/R__10_report.sql", "CREATE OR REPLACE VIEW ten AS SELECT value FROM one;\n");
    project.run(&["verify", "--all"]).ok();
    project.run(&["migrate"]).ok();
    assert_eq!(project.query("SELECT value::text FROM ten"), ["3"]);
    project.write("migrate.toml", config(4));
    let again = project.run(&["migrate"]).ok().out;
    assert!(again.contains("R__1_base") && !again.contains("R__10_report"), "{again}");
    assert_eq!(project.query("SELECT value::text FROM ten"), ["4"]);
    project.write("migrations/R__code.java", "class Code {}");
    let refused = project.run(&["migrate"]);
    assert!(refused.code == 3 && refused.err.contains("foreign-input"), "{refused:?}");
    project.end();
}

/// An older program does not put back what a newer one made, and nothing runs on the way to an older version.
#[test]
fn an_older_folder_leaves_them_alone() {
    let project = folder();
    project.write("migrations/V2__note.sql", "ALTER TABLE orders ADD note text;\n");
    project.write("migrations/R__sums.sql", WIDER);
    project.run(&["migrate"]).ok();
    project.write("migrations/R__sums.sql", VIEW);
    let beyond = project.run(&["migrate", "--to", "1"]);
    assert!(beyond.code == 3 && columns(&project).len() == 2, "{beyond:?}");
    fs::remove_file(project.path().join("migrations/V2__note.sql")).unwrap();
    let older = project.run(&["migrate", "--allow-newer"]).ok().out;
    assert!(older.contains("nothing to do") && columns(&project).len() == 2, "{older}");
    project.end();
}

/// What one that has to run again made is neither drift nor in the way of an adoption.
#[test]
fn what_a_changed_one_makes_is_not_compared() {
    let project = folder();
    project.run(&["migrate"]).ok();
    project.write("migrations/R__sums.sql", WIDER);
    let drift = project.run(&["drift"]).ok().out;
    assert!(drift.contains("no drift") && drift.contains("R__sums has to run again"), "{drift}");
    project.query("CREATE TABLE by_hand (a int)");
    let drift = project.run(&["drift", "--sql"]);
    assert!(drift.code == 3 && drift.out.contains("by_hand") && !drift.out.contains("DROP VIEW"), "{drift:?}");
    project.end();
}

/// On a branch, a changed one is new, not edited: it is proven, and run on top of what the base branch has.
#[test]
fn a_changed_one_is_checked_on_top_of_the_base_branch() {
    let repository = Repository::new();
    fs::create_dir(repository.0.path().join("db")).unwrap();
    repository.0.write("migrate.toml", "migrations = \"db\"\nlayout = \"flyway\"\n");
    repository.0.write("db/V1__orders.sql", TABLE);
    repository.0.write("db/R__sums.sql", VIEW);
    repository.commit("flyway");
    repository.git(&["checkout", "--quiet", "-b", "topic"]);
    let errors = |text: &str| {
        repository.0.write("db/R__sums.sql", text);
        let said = repository.0.run_bare(&["ci", "--base", "main", "--format", "json"]);
        let document = said.json();
        assert_eq!(document["migrations"].as_array().map(Vec::len), Some(1), "{document:#}");
        let checks = document["checks"].as_array().unwrap();
        let findings = checks.iter().flat_map(|check| check["findings"].as_array().unwrap());
        let errors = findings.filter(|finding| finding["severity"] == "error");
        errors.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(errors(WIDER), [""; 0]);
    // The view of the base branch has another type there, and would stay under its old name.
    assert_eq!(errors("CREATE OR REPLACE VIEW sums AS SELECT 'a'::text AS total FROM orders;\n"), ["released-fails"]);
    assert_eq!(errors("CREATE OR REPLACE VIEW totals AS SELECT total FROM orders;\n"), ["released-differs"]);
    repository.0.end();
}

/// The ledger of Flyway: a row without a version for each run.
const LEDGER: &str = "CREATE TABLE flyway_schema_history (installed_rank int PRIMARY KEY, version varchar(50), \
    description varchar(200) NOT NULL, type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum int, \
    installed_by varchar(100) NOT NULL, installed_on timestamp NOT NULL DEFAULT now(), execution_time int NOT NULL, \
    success boolean NOT NULL);
    INSERT INTO flyway_schema_history VALUES (0, NULL, '<< Flyway Schema Creation >>', 'SCHEMA', 'public', NULL, \
    'ann', now(), 0, true), (1, '1', 'orders', 'SQL', 'V1__orders.sql', NULL, 'ann', now(), 1, true), (2, NULL, \
    'sums', 'SQL', 'R__sums.sql', 7, 'ann', now(), 1, true), (3, NULL, 'sums', 'SQL', 'R__sums.sql', {crc}, 'ann', \
    now(), 1, true);";

/// What Flyway ran is taken over with its last run of each, and nothing runs; also after the folder was converted.
#[test]
fn what_flyway_ran_is_taken_over_and_converted() {
    let project = folder();
    // The CRC-32 of the line without its end.
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(VIEW.trim_end().as_bytes()).cast_signed();
    project.query(&format!("{TABLE}{VIEW}{}", LEDGER.replace("{crc}", &crc.to_string())));
    // A version that is pending does not matter, nor does another text, which is pending then.
    project.write("migrations/V3__later.sql", "CREATE TABLE later (a int);\n");
    project.write("migrations/R__sums.sql", VIEW.replace("sum(total)", "max(total)"));
    let looked = project.run(&["adopt"]).ok().out;
    assert!(looked.contains("1 migration would be recorded") && looked.contains("R__sums was changed"), "{looked}");
    project.write("migrations/R__sums.sql", VIEW);
    let adopted = project.run(&["adopt", "--yes"]).ok().out;
    assert!(adopted.contains("2 migrations from flyway"), "{adopted}");
    fs::remove_file(project.path().join("migrations/V3__later.sql")).unwrap();
    assert!(project.run(&["migrate"]).ok().out.contains("nothing to do"));
    assert!(project.run(&["drift"]).ok().out.contains("no drift"));
    assert!(project.run(&["adopt"]).ok().out.contains("nothing to do"));

    project.run(&["adopt", "--convert", "--yes"]).ok();
    project.write("migrate.toml", "");
    let status = project.run(&["status"]).ok().out;
    assert!(status.contains("2 applied, 0 pending, 0 problems"), "{status}");
    assert!(project.run(&["migrate"]).ok().out.contains("nothing to do"));
    assert!(project.run(&["drift"]).ok().out.contains("no drift"));
    project.run(&["verify", "--all"]).ok();
    project.end();
}

/// If a database is behind when its folder is converted, it runs the former repeatable migration once more, last.
#[test]
fn a_database_that_is_behind_a_converted_folder_goes_on() {
    let project = folder();
    project.run(&["migrate"]).ok();
    project.write("migrations/V2__note.sql", "ALTER TABLE orders ADD note text;\n");
    project.run(&["adopt", "--convert", "--yes"]).ok();
    project.write("migrate.toml", "");
    let all = project.run(&["migrate"]).ok().out;
    assert!(all.contains("2 migrations applied"), "{all}");
    assert!(project.run(&["migrate"]).ok().out.contains("nothing to do"));
    assert!(project.run(&["status"]).ok().out.contains("3 applied, 0 pending, 0 problems"));
    project.end();
}
