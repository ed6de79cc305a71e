//! The table of cases, one folder each: the schema before, a migration, a query that it harms, the exact
//! message, and a harmless variant of the query, for which nothing is found.

use std::fs;
use std::path::PathBuf;

use rstest::rstest;

use super::{findings, migration, repository};

/// `UPDATE_CASES=1` rewrites the messages.
#[rstest]
fn a_case_has_its_message_and_its_twin_has_none(#[files("tests/it/consume/cases/*/up.sql")] up: PathBuf) {
    let case = up.parent().unwrap();
    let read = |name: &str| fs::read_to_string(case.join(name)).unwrap();
    let repository = repository(&read("before.sql"), &[("app", &read("query.sql")), ("twin", &read("twin.sql"))]);
    if let Ok(declared) = fs::read(case.join("consumer.toml")) {
        for consumer in ["app", "twin"] {
            repository.0.write(&format!("consumers/{consumer}/consumer.toml"), &declared);
        }
    }
    migration(&repository, 4, "change", &read("up.sql"));
    let found = findings(&repository.0.run_bare(&["consumers", "check", "--format", "json"]));
    repository.0.end();
    if std::env::var_os("UPDATE_CASES").is_some() {
        fs::write(case.join("expected.txt"), &found).unwrap();
    }
    assert!(!found.contains("twin"), "its twin is harmless, and yet\n{found}");
    assert_eq!(found, read("expected.txt"));
    let kind = case.file_name().unwrap().to_str().unwrap().split('-').next().unwrap();
    assert!(found.contains(&format!("[consumer-{kind}]")), "{found}");
}
