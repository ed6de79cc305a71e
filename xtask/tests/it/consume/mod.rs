//! Queries of other services: whose queries a change breaks, from the repository to the message.

mod cases;
mod stories;

use crate::repository::Repository;
use crate::support::ProgramOutput;

/// A repository whose `main` has this schema and these consumers (name and query), with a new branch.
pub(crate) fn repository(before: &str, consumers: &[(&str, &str)]) -> Repository {
    let repository = Repository::new();
    migration(&repository, 3, "before", before);
    for (name, query) in consumers {
        consumer(&repository, name, query);
    }
    repository.commit("consumers");
    repository.git(&["checkout", "--quiet", "-b", "topic"]);
    repository
}

/// Writes the queries of a consumer.
pub(crate) fn consumer(repository: &Repository, name: &str, query: &str) {
    std::fs::create_dir_all(repository.0.path().join("consumers").join(name)).unwrap();
    repository.0.write(&format!("consumers/{name}/queries.sql"), query);
}

/// Writes a migration without a down script: these tests roll nothing back.
pub(crate) fn migration(repository: &Repository, number: u64, name: &str, up: &str) {
    let path = repository.path(number, &format!("{name}.up.sql"));
    repository.0.write(&path, format!("-- migrate: irreversible a test\n{up}"));
}

/// The findings of the check, as text.
pub(crate) fn findings(said: &ProgramOutput) -> String {
    let json = said.json();
    let checks = json["checks"].as_array().unwrap();
    let check = checks.iter().find(|one| one["name"] == "consumers").unwrap();
    assert!(check["skipped"].is_null(), "{said:?}");
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut text = String::new();
    for one in check["findings"].as_array().unwrap() {
        let place = format!("{}:{}:{}", word(&one["file"]), one["line"], one["column"]);
        text += &format!("{}[{}] {place}\n  {}\n", word(&one["severity"]), word(&one["code"]), word(&one["message"]));
        for kind in ["notes", "help"] {
            for line in one[kind].as_array().unwrap() {
                text += &format!("  {}: {}\n", kind.trim_end_matches('s'), word(line).replace('\n', "\n    "));
            }
        }
    }
    text
}
