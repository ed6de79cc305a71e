//! `ci`: all checks together, what stops a merge, and the output formats for other systems.

use std::fs;

use crate::repository::Repository;
use crate::support::{ProgramOutput, said};

#[track_caller]
fn says(said: &ProgramOutput, words: &[&str]) {
    for words in words {
        assert!(said.out.contains(words) || said.err.contains(words), "{words}: {said:?}");
    }
}

/// The codes of all findings of an outcome as JSON, by check.
fn codes(said: &ProgramOutput, check: &str) -> Vec<String> {
    let json = said.json();
    let checks = json["checks"].as_array().unwrap();
    let check = checks.iter().find(|one| one["name"] == check).unwrap_or_else(|| panic!("{check}: {json}"));
    check["findings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_good_branch_passes_every_check() {
    let repository = Repository::branched();
    repository.0.migration(
        3,
        "city",
        "ALTER TABLE shops ADD COLUMN city text;\n",
        "ALTER TABLE shops DROP COLUMN city;\n",
    );
    let said = repository.0.run_bare(&["ci", "--format", "json"]).ok();
    let json = said.json();
    let names: Vec<&str> =
        json["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["files", "edited", "lint", "locks", "proof", "released", "role", "consumers"]);
    assert_eq!(
        (
            json["failed"].as_bool(),
            json["checks"].as_array().unwrap().iter().filter(|check| !check["skipped"].is_null()).count()
        ),
        // There are no consumers.
        (Some(false), 1),
        "{json}"
    );
    let migration = &json["migrations"][0];
    assert_eq!(
        (
            migration["applied"].as_str(),
            migration["rolled_back"].as_str(),
            migration["reapplied"].as_str(),
            migration["data"].as_str()
        ),
        (Some("yes"), Some("yes"), Some("yes"), Some("yes")),
        "{json}"
    );
    assert_eq!(json["difference"][0].as_str(), Some("+ column public.shops.city"), "{json}");
    assert_eq!(json["tables"][0]["name"].as_str(), Some("public.shops"), "{json}");
    // Commands that check less also count the migrations.
    for command in [&["lint", "--no-server"][..], &["check"]] {
        says(&repository.0.run_bare(command).ok(), &[" passed, 1 new migration against "]);
    }
    repository.0.end();
}

#[test]
fn what_is_dangerous_unproven_or_for_superusers_alone_stops_a_merge() {
    let repository = Repository::branched();
    let up = "CREATE INDEX shops_name ON shops (name);\nALTER TABLE shops DROP COLUMN name;\n\
              CREATE FUNCTION one(cstring) RETURNS integer LANGUAGE internal AS 'int4in';\n";
    repository.0.migration(3, "bad", up, "ALTER TABLE shops ADD COLUMN name text;\n");
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!(codes(&said, "lint"), ["require-concurrent-index-creation", "ban-drop-column"]);
    // That it cannot be applied again, and that names are lost, has the same cause or another one.
    assert_eq!(codes(&said, "proof"), ["law-identity", "law-data"]);
    assert!(codes(&said, "role").contains(&"needs-superuser".to_owned()), "{said:?}");
    let text = repository.0.run_bare(&["ci"]);
    assert_eq!(text.code, 3, "{text:?}");
    says(
        &text,
        &[
            "failed   lint",
            "failed   proof",
            "passed   released",
            "only a superuser may do this: permission denied for language internal",
        ],
    );
    says(&text, &["cargo xtask explain require-concurrent-index-creation"]);
    repository.0.end();
}

#[test]
fn what_its_owner_did_with_released_migrations_is_known_the_next_time() {
    let repository = Repository::branched();
    let index = ("CREATE TABLE city (id bigint PRIMARY KEY);\n", "DROP TABLE city;\n");
    repository.0.migration(3, "city", index.0, index.1);
    repository.0.run_bare(&["ci"]).ok();
    let again = repository.0.run_bare(&["ci"]).ok();
    says(&again, &["3 migrations applied by an owner", "all rolled back and reapplied (2 of them in an earlier run)"]);
    // What only a superuser may do is found all the same, and so is what stays behind.
    let function = "CREATE FUNCTION one(cstring) RETURNS integer LANGUAGE internal AS 'int4in';\n";
    repository.0.migration(4, "bad", function, "DROP FUNCTION one(cstring);\n");
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    assert_eq!((said.code, codes(&said, "role")), (3, vec!["needs-superuser".to_owned()]), "{said:?}");
    repository.0.migration(4, "bad", "CREATE TABLE stays (id bigint PRIMARY KEY);\n", "SELECT 1;\n");
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    assert_eq!(said.code, 3, "{said:?}");
    let role =
        said.json()["checks"].as_array().unwrap().iter().find(|check| check["name"] == "role").unwrap().to_string();
    assert!(!role.contains("earlier run"), "{role}");
    repository.0.end();
}

/// A script that cannot be parsed is refused together with everything in its message: only its own migration is
/// to blame.
#[test]
fn a_script_that_cannot_be_read_is_told_of_its_own_migration() {
    let repository = Repository::branched();
    for number in 3..6 {
        let table = format!("CREATE TABLE t{number} (id bigint PRIMARY KEY);\n");
        repository.0.migration(number, "good", &table, &format!("DROP TABLE t{number};\n"));
    }
    repository.0.migration(6, "bad", "CREATE TABLE t6 (id bigint PRIMARY KEYS);\n", "DROP TABLE t6;\n");
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(!codes(&said, "role").contains(&"needs-superuser".to_owned()), "{said:?}");
    repository.0.end();
}

#[test]
fn what_is_allowed_passes_and_says_so() {
    let repository = Repository::branched();
    let up = "-- migrate: allow needs-superuser the hosting team runs it\n-- migrate: allow ban-drop-column nobody reads it\n\
              -- migrate: lossy names are gone for good\nALTER TABLE shops DROP COLUMN name;\n\
              CREATE FUNCTION one(cstring) RETURNS integer LANGUAGE internal AS 'int4in';\n";
    repository.0.migration(3, "allowed", up, "DROP FUNCTION one(cstring);\nALTER TABLE shops ADD COLUMN name text;\n");
    let said = repository.0.run_bare(&["ci"]).ok();
    says(&said, &["note[needs-superuser]", "allowed: the hosting team runs it"]);
    repository.0.end();
}

#[test]
fn the_reports_for_other_systems_tell_the_same() {
    let repository = Repository::branched();
    repository.0.migration(
        3,
        "drop",
        "ALTER TABLE shops DROP COLUMN name;\n",
        "ALTER TABLE shops ADD COLUMN name text;\n",
    );
    let summary = repository.0.write("summary.md", "# before\n");
    let files = ["junit.xml", "report.sarif", "report.md"].map(|name| repository.0.path().join(name));
    let [junit, sarif, markdown] = files.each_ref().map(|path| path.to_str().unwrap());
    let mut command = repository.0.command(&["ci", "--junit", junit, "--sarif", sarif, "--markdown", markdown]);
    let said = said(command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary).output().unwrap());
    assert_eq!(said.code, 3, "{said:?}");
    let up = repository.path(3, "drop.up.sql");
    says(&said, &[&format!("::error file={up},line=1"), "title=ban-drop-column"]);
    let read = |path: &str| fs::read_to_string(path).unwrap();
    assert!(read(junit).contains("ban-drop-column") && read(markdown).contains("20250101000003_drop"));
    assert!(
        read(summary.to_str().unwrap()).starts_with("# before\n")
            && read(summary.to_str().unwrap()).contains("ban-drop-column")
    );
    let sarif: serde_json::Value = serde_json::from_str(&read(sarif)).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let place = |result: &serde_json::Value| {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().map(str::to_owned)
    };
    assert!(
        results.iter().any(|one| one["ruleId"] == "ban-drop-column" && place(one).as_deref() == Some(&up)),
        "{sarif}"
    );
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    let titled = |rule: &&serde_json::Value| {
        rule["id"] == "ban-drop-column" && rule["shortDescription"]["text"] != "ban-drop-column"
    };
    assert!(rules.iter().any(|rule| titled(&rule)), "{sarif}");
    repository.0.end();
}

#[test]
fn broken_files_are_told_and_nothing_is_run() {
    let repository = Repository::branched();
    repository.0.write(&repository.path(3, "alone.up.sql"), "SELECT 1;\n");
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!(codes(&said, "files"), ["down-missing"]);
    assert_eq!(said.json()["checks"].as_array().unwrap().len(), 2, "{said:?}");
    repository.0.end();
}

#[test]
fn a_database_that_went_another_way_is_noticed() {
    let repository = Repository::new();
    // `main` gets a migration that this branch does not have and that is older than the one of this branch:
    // applied after it, the index of this branch is built on another column.
    repository.git(&["checkout", "--quiet", "-b", "topic"]);
    repository.0.migration(3, "view", "CREATE VIEW all_shops AS SELECT * FROM shops;\n", "DROP VIEW all_shops;\n");
    repository.commit("a view");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.0.migration(
        4,
        "city",
        "ALTER TABLE shops ADD COLUMN city text;\n",
        "ALTER TABLE shops DROP COLUMN city;\n",
    );
    repository.commit("a city");
    repository.git(&["checkout", "--quiet", "topic"]);
    repository.git(&["merge", "--quiet", "--no-edit", "main"]);
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!(codes(&said, "files"), ["out-of-order"]);
    assert_eq!(codes(&said, "released"), ["released-differs"]);
    repository.0.end();
}

#[test]
fn the_policy_judges_what_was_observed() {
    let repository = Repository::branched();
    let policy = "[policy]\nmax_lock = \"share update exclusive\"\nno_rewrite = 100\nlock_timeout = true\nsizes = \"staging\"\n\
                  [environments.staging]\ndatabase = \"env:TEST_DATABASE_URL\"\n[environments.slow]\ndatabase = \"auto\"\nlock_timeout = \"0s\"\n";
    repository.0.write("migrate.toml", policy);
    let up = "ALTER TABLE shops ALTER COLUMN id TYPE integer;\nCREATE TABLE fresh (id bigint PRIMARY KEY);\nALTER TABLE fresh ADD COLUMN a text;\n";
    repository.0.migration(3, "shrink", up, "DROP TABLE fresh;\nALTER TABLE shops ALTER COLUMN id TYPE bigint;\n");
    let index = "-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY shops_name ON shops (name);\n";
    let drop = "-- migrate: no-transaction\nDROP INDEX CONCURRENTLY shops_name;\n";
    repository.0.migration(4, "index", index, drop);
    let said = repository.0.run_bare(&["ci", "--format", "json"]);
    assert_eq!(said.code, 3, "{said:?}");
    let json = said.json();
    let locks = json["checks"].as_array().unwrap().iter().find(|one| one["name"] == "locks").unwrap().clone();
    let found: Vec<String> = locks["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {} {}", one["severity"].as_str().unwrap(), one["code"].as_str().unwrap(), one["line"]))
        .collect();
    let expected = [
        "error lock-too-strong 1",
        "warning table-rewritten 1",
        "warning lock-too-strong 2",
        "warning table-rewritten 2",
        "error lock-timeout-missing null",
    ];
    assert_eq!(found, expected, "{locks}");
    let migrations = json["migrations"].as_array().unwrap();
    assert_eq!(migrations[0]["lock"]["mode"], "access exclusive", "{json}");
    assert_eq!(migrations[0]["rewritten"][0], "public.shops", "{json}");
    assert_eq!(migrations[1]["lock"]["mode"], "share update exclusive", "{json}");
    // If the environment says that the table is small, it may be rewritten; the lock can be allowed.
    repository.0.run_bare(&["migrate", "--env", "staging", "--to", "20250101000002"]).ok();
    repository.0.query("INSERT INTO shops SELECT generate_series(1, 50); ANALYZE shops");
    repository.0.migration(
        3,
        "shrink",
        &format!("-- migrate: allow lock-too-strong at night\n{up}"),
        "DROP TABLE fresh;\nALTER TABLE shops ALTER COLUMN id TYPE bigint;\n",
    );
    let small = repository.0.run_bare(&["ci", "--format", "json"]);
    assert_eq!(codes(&small, "locks"), ["lock-too-strong", "lock-too-strong", "lock-timeout-missing"], "{small:?}");
    let all = small.json();
    let first =
        all["checks"].as_array().unwrap().iter().find(|one| one["name"] == "locks").unwrap()["findings"][0].clone();
    assert_eq!(first["severity"], "note", "{first}");
    repository.0.query("INSERT INTO shops SELECT generate_series(51, 200); ANALYZE shops");
    let large = repository.0.run_bare(&["ci", "--format", "json"]);
    assert!(codes(&large, "locks").contains(&"table-rewritten".to_owned()), "{large:?}");
    repository.0.end();
}

#[test]
fn tables_that_are_locked_together_are_told() {
    let repository = Repository::new();
    repository.0.migration(3, "people", "CREATE TABLE people (id bigint PRIMARY KEY);\n", "DROP TABLE people;\n");
    repository.commit("people");
    repository.git(&["checkout", "--quiet", "-b", "topic"]);
    let up = "ALTER TABLE shops ADD COLUMN a text;\nALTER TABLE people ADD COLUMN a text;\n";
    repository.0.migration(4, "both", up, "ALTER TABLE people DROP COLUMN a;\nALTER TABLE shops DROP COLUMN a;\n");
    let said = repository.0.run_bare(&["ci", "--format", "json"]).ok();
    assert_eq!(codes(&said, "locks"), ["tables-locked-together", "tables-locked-together"], "both ways: {said:?}");
    repository.0.end();
}

#[test]
fn what_cannot_be_reapplied_is_told_so_and_only_what_ran_is_counted() {
    let repository = Repository::branched();
    let up = "CREATE TYPE mood AS ENUM ('good');\nCREATE TABLE moods (mood mood NOT NULL);\n";
    repository.0.migration(3, "moods", up, "DROP TABLE moods;\n");
    let said = repository.0.run_bare(&["ci"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.out.contains("not completed: 20250101000003 cannot be reapplied"), "{said:?}");
    let all = repository.0.run_bare(&["lint", "--all", "--no-server"]).ok();
    assert!(all.out.contains("1 warning, 1 check run, 3 migrations, in"), "{all:?}");
    repository.0.write("migrations/typo.sql", "SELECT 1;");
    let unread = repository.0.run_bare(&["check"]);
    assert!(unread.out.contains("1 error, 2 checks run, in") && !unread.out.contains("new migration"), "{unread:?}");
    repository.0.end();
}
