//! The table of cases, one folder each: the schema before, a migration, a query that it harms, the exact message, and
//! the harmless twin of the query, of which nothing is found.

use std::fs;
use std::path::{Path, PathBuf};

use super::{findings, migration, repository};

/// Runs the check with this query, and returns what it found.
fn check(case: &Path, query: &str) -> String {
    let read = |name: &str| fs::read_to_string(case.join(name)).unwrap();
    let repository = repository(&read("before.sql"), &[("app", &read(query))]);
    if let Ok(declared) = fs::read(case.join("consumer.toml")) {
        repository.0.write("consumers/app/consumer.toml", declared);
    }
    migration(&repository, 4, "change", &read("up.sql"));
    let found = findings(&repository.0.run_bare(&["consumers", "check", "--format", "json"]));
    repository.0.end();
    found
}

fn folders() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/consume/cases");
    let mut folders: Vec<PathBuf> = fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// `UPDATE_CASES=1` rewrites the messages.
#[test]
fn every_case_has_its_message_and_its_twin_has_none() {
    let mut wrong = Vec::new();
    for case in folders() {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let (found, twin) = (check(&case, "query.sql"), check(&case, "twin.sql"));
        if std::env::var_os("UPDATE_CASES").is_some() {
            fs::write(case.join("expected.txt"), &found).unwrap();
        }
        let expected = fs::read_to_string(case.join("expected.txt")).unwrap_or_default();
        let code = format!("consumer-{}", name.split('-').next().unwrap());
        if found != expected || !found.contains(&format!("[{code}]")) {
            wrong.push(format!("{name}: expected\n{expected}\nand found\n{found}"));
        }
        if !twin.is_empty() {
            wrong.push(format!("{name}: its twin is harmless, and yet\n{twin}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
