//! Two stories: a column that another service reads is dropped, and a column is renamed while old servers run.

use super::{consumer, findings, repository};
use crate::repository::Repository;

const SHIPMENTS: &str = "CREATE TABLE shipments (id bigint PRIMARY KEY, carrier text NOT NULL, weight integer);\n";

fn rename(repository: &Repository) {
    let up = "ALTER TABLE shipments RENAME COLUMN carrier TO carrier_code;\n";
    repository.0.migration(4, "rename", up, "ALTER TABLE shipments RENAME COLUMN carrier_code TO carrier;\n");
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word}\n{text}");
    }
}

#[test]
fn a_column_is_dropped_that_another_service_reads() {
    let repository = repository(SHIPMENTS, &[("billing", "SELECT id, carrier FROM shipments;\n")]);
    let up = "-- migrate: lossy nobody reads it\n-- migrate: allow ban-drop-column nobody reads it\nALTER TABLE shipments DROP COLUMN carrier;\n";
    repository.0.migration(4, "drop", up, "ALTER TABLE shipments ADD COLUMN carrier text NOT NULL DEFAULT '';\n");
    let files = ["junit.xml", "report.sarif", "report.md"].map(|name| repository.0.path().join(name));
    let [junit, sarif, markdown] = files.each_ref().map(|path| path.to_str().unwrap());
    let said = repository.0.run_bare(&["ci", "--junit", junit, "--sarif", sarif, "--markdown", markdown]);
    assert_eq!(said.code, 3, "{said:?}");
    says(
        &said.out,
        &[
            "failed  consumers  1 query of 1 consumer, no order is safe",
            "error[consumer-broken]: billing: `consumers/billing/queries.sql:1` can no longer be prepared: column \
             \"carrier\" does not exist",
            "1 | SELECT id, carrier FROM shipments;\n  |            ^^^^^^^",
            "caused by migrations/20250101000004_drop.up.sql:3: ALTER TABLE shipments DROP COLUMN carrier",
            "error[consumer-order]: no order is safe: this breaks billing, whose code does not change",
            "switch: deploy code of every consumer that neither reads nor writes shipments.carrier",
        ],
    );
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    assert!(read(junit).contains("consumer-broken") && read(markdown).contains("consumer-broken"));
    let log: serde_json::Value = serde_json::from_str(&read(sarif)).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let at = |code: &str| {
        let one = results.iter().find(|one| one["ruleId"] == code).unwrap();
        let place = &one["locations"][0]["physicalLocation"];
        (place["artifactLocation"]["uri"].as_str().unwrap().to_owned(), place["region"]["startLine"].as_u64().unwrap())
    };
    assert_eq!(at("consumer-broken"), ("consumers/billing/queries.sql".to_owned(), 1));
    assert_eq!(at("consumer-order"), ("migrations/20250101000004_drop.up.sql".to_owned(), 3));
    repository.0.end();
}

#[test]
fn a_query_that_the_branch_adds_does_not_run_after_the_migration() {
    let repository = repository(SHIPMENTS, &[]);
    rename(&repository);
    consumer(&repository, "shop", "SELECT carrier FROM shipments;\n");
    let said = repository.0.run_bare(&["consumers", "check"]);
    assert_eq!(said.code, 3, "{said:?}");
    says(
        &said.out,
        &[
            "1 query of 1 consumer, no order is safe",
            "error[consumer-broken]: shop: ",
            "error[consumer-order]: no order is safe: the new code of shop does not run on the new schema",
        ],
    );
    repository.0.end();
}

#[test]
fn a_column_gets_another_name_while_old_servers_run() {
    let repository = repository(SHIPMENTS, &[("shop", "SELECT carrier FROM shipments WHERE id = $1;\n")]);
    rename(&repository);
    consumer(&repository, "shop", "SELECT carrier_code FROM shipments WHERE id = $1;\n");
    let check = || repository.0.run_bare(&["consumers", "check", "--format", "json"]);
    let said = check();
    assert_eq!(said.code, 3, "{said:?}");
    let expected = "\
error[consumer-order] migrations/20250101000004_rename.up.sql:1:1
  no order is safe: the released code of shop does not run on the new schema, and the new code of shop does not run on the old one
  note: shop: `consumers/shop/queries.sql:1`, as released, can no longer be prepared: column \"carrier\" does not exist
  note: shop: `consumers/shop/queries.sql:1` needs the new schema: before it, column \"carrier_code\" does not exist
  help: split it: shipments.carrier is renamed to carrier_code
    1. expand: `cargo xtask new add_carrier_code_to_shipments --add-column 'shipments.carrier_code:text:null'`
    2. deploy code that writes carrier and carrier_code (or a trigger that copies), and still reads carrier
    3. backfill, in batches: `UPDATE shipments SET carrier_code = carrier WHERE carrier_code IS NULL AND carrier IS NOT NULL`
    4. switch: deploy code that reads carrier_code, then code that no longer writes carrier
    5. contract: `cargo xtask new drop_carrier_of_shipments --drop-column 'shipments.carrier'`
  help: if it is safe here, put `-- migrate: allow consumer:shop REASON` at the head of the file
";
    assert_eq!(findings(&said), expected);
    // The commands in the steps exist, and can be run instead of the migration.
    for ending in ["up", "down"] {
        std::fs::remove_file(repository.0.path().join(repository.path(4, &format!("rename.{ending}.sql")))).unwrap();
    }
    for step in [
        ["add_carrier_code_to_shipments", "--add-column", "shipments.carrier_code:text:null"],
        ["drop_carrier_of_shipments", "--drop-column", "shipments.carrier"],
    ] {
        repository.0.run(&[&["new"], &step[..], &["--dry-run"]].concat()).ok();
    }
    rename(&repository);
    // Code that reads neither name can be deployed first, and code that only needs more can be deployed second.
    consumer(&repository, "shop", "SELECT id FROM shipments WHERE id = $1;\n");
    says(&findings(&check().ok()), &["warning[consumer-order]", "deploy, then migrate: the released code of shop"]);
    repository.git(&["checkout", "--quiet", "consumers"]);
    repository.0.migration(
        4,
        "rename",
        "ALTER TABLE shipments ADD COLUMN size text;\n",
        "ALTER TABLE shipments DROP COLUMN size;\n",
    );
    consumer(&repository, "shop", "SELECT carrier FROM shipments WHERE id = $1;\nSELECT size FROM shipments;\n");
    says(&findings(&check().ok()), &["note[consumer-order]", "migrate, then deploy: the new code of shop"]);
    repository.git(&["checkout", "--quiet", "consumers"]);
    assert_eq!(findings(&check().ok()), "");
    repository.0.end();
}

#[test]
fn what_a_migration_allows_is_let_through_and_told() {
    let repository = repository(
        SHIPMENTS,
        &[("billing", "SELECT carrier FROM shipments;\n"), ("shop", "SELECT id FROM shipments;\n")],
    );
    let check = |name: &str| {
        let up = format!(
            "-- migrate: allow consumer:{name} it is switched off\nALTER TABLE shipments DROP COLUMN carrier;\n"
        );
        repository.0.migration(4, "drop", &up, "ALTER TABLE shipments ADD COLUMN carrier text NOT NULL DEFAULT '';\n");
        repository.0.run_bare(&["consumers", "check", "--format", "json"])
    };
    let allowed = findings(&check("billing").ok());
    says(
        &allowed,
        &[
            "note[consumer-broken]",
            "note[consumer-order]",
            "no order is safe: this breaks billing",
            "note: allowed: it is switched off",
        ],
    );
    let unknown = check("biling");
    assert_eq!(unknown.code, 3, "{unknown:?}");
    says(&findings(&unknown), &["error[consumer-unknown]", "did you mean consumer:billing?", "error[consumer-broken]"]);
    says(&findings(&check("shop")), &["warning[allow-unused]", "nothing here breaks a query of shop"]);
    repository.0.end();
}

#[test]
fn who_uses_a_column_is_told_also_through_views_and_functions() {
    let before = format!(
        "{SHIPMENTS}CREATE VIEW heavy AS SELECT id, weight FROM shipments;\nCREATE VIEW heaviest AS SELECT id FROM heavy;\n\
         CREATE FUNCTION weigh(bigint) RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT weight FROM shipments WHERE id = $1); END';\n"
    );
    let queries = "SELECT id FROM shipments;\nSELECT weight FROM shipments;\nUPDATE shipments SET weight = $1;\nSELECT * FROM heaviest;\n\
                   SELECT weigh(1);\nSELECT nothing;\n";
    let repository = repository(&before, &[("billing", queries)]);
    let said = repository.0.run_bare(&["consumers", "uses", "shipments.weight", "--format", "json"]).ok();
    let json = said.json();
    let told = |one: &serde_json::Value| {
        let through: Vec<&str> = one["through"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        format!("{} {} {} {}", one["line"], one["reads"], one["writes"], through.join(", ")).trim().to_owned()
    };
    let uses: Vec<String> = json["uses"].as_array().unwrap().iter().map(told).collect();
    let expected =
        ["2 true false", "3 false true", "4 true false view public.heaviest", "5 true false function public.weigh"];
    assert_eq!(uses, expected, "{said:?}");
    assert_eq!(json["unread"].as_array().unwrap().len(), 1, "{said:?}");
    let text = repository.0.run_bare(&["consumers", "uses", "heavy"]).ok();
    says(
        &text.out,
        &[
            "billing  reads  consumers/billing/queries.sql:4  consumers/billing/queries.sql:4  through view public.heaviest",
        ],
    );
    for (name, near) in
        [("shipmnts", "did you mean `shipments`?"), ("shipments.wieght", "did you mean `shipments.weight`?")]
    {
        let unknown = repository.0.run_bare(&["consumers", "uses", name]);
        assert_eq!(unknown.code, 2, "{unknown:?}");
        says(&unknown.err, &[near]);
    }
    repository.0.end();
}

/// The baseline is newer than `main`, but the migrations after it are not.
#[test]
fn a_baseline_in_the_place_of_released_migrations_breaks_nobody() {
    let repository =
        repository("ALTER TABLE shops ADD COLUMN city text;\n", &[("billing", "SELECT name, city FROM shops;\n")]);
    repository.0.run_bare(&["squash", "--to", "20250101000002"]).ok();
    let said = repository.0.run_bare(&["consumers", "check"]).ok();
    says(&said.out, &["passed  consumers  1 query of 1 consumer"]);
    repository.0.end();
}

#[test]
fn without_consumers_the_check_is_skipped() {
    let repository = Repository::branched();
    let said = repository.0.run_bare(&["consumers", "check"]).ok();
    says(&said.out, &["skipped  consumers", "there are no consumers"]);
    repository.0.end();
}
