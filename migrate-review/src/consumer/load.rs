//! All consumers of a project: those in `migrate.toml`, and those with their own folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::regular;

use super::gather::{ConsumerBuilder, fits};
use super::{Consumer, is_name, misnamed};
use crate::consumer::ConsumerDeclaration;

/// The folder next to `migrate.toml` in which each consumer has its own folder.
pub const FOLDER: &str = "consumers";

/// The consumers of a project, and what could not be read of them.
#[derive(Debug, Clone, Default)]
pub struct Consumers {
    /// The consumers, by name.
    pub consumers: Vec<Consumer>,
    /// The problems with them, each with its place.
    pub problems: Vec<Finding>,
}

/// Reads the consumers of the project in this folder. What cannot be read is a problem; the rest is returned.
pub fn load(project: &Path, declared: &BTreeMap<String, ConsumerDeclaration>) -> Consumers {
    let mut problems = Vec::new();
    let folders = folders(project, &mut problems);
    let names: BTreeSet<&String> = declared.keys().chain(folders.keys()).collect();
    let consumers = names.into_iter().map(|name| {
        let mut gather = ConsumerBuilder::new(name);
        if let Some(declared) = declared.get(name) {
            gather.declared(project, declared);
        }
        if let Some(folder) = folders.get(name) {
            gather.folder(folder);
        }
        gather.end(&mut problems)
    });
    let consumers = consumers.collect();
    Consumers { consumers, problems }
}

/// Reads one consumer from its declaration; paths are relative to `base`.
pub fn read(name: &str, base: &Path, declared: &ConsumerDeclaration) -> Consumers {
    let mut problems = Vec::new();
    let mut gather = ConsumerBuilder::new(name);
    gather.declared(base, declared);
    Consumers { consumers: vec![gather.end(&mut problems)], problems }
}

/// The folders of consumers, by name.
fn folders(project: &Path, problems: &mut Vec<Finding>) -> BTreeMap<String, PathBuf> {
    let mut folders = BTreeMap::new();
    let all = project.join(FOLDER);
    let entries = match fs::read_dir(&all) {
        Ok(entries) => entries,
        Err(error) => {
            if fs::symlink_metadata(&all).is_ok() {
                let finding =
                    Finding::new(codes::CONSUMER_FILE, format!("cannot read the folder of consumers: {error}"));
                problems.push(finding.at(Place::file(&all)).help(match error.kind() {
                    ErrorKind::NotADirectory => "replace it with a folder, or remove it",
                    _ => regular::help(&error),
                }));
            }
            return folders;
        }
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() && is_name(&name) {
            folders.insert(name, path);
        } else if path.is_dir() && !name.starts_with('.') {
            problems.push(misnamed(&name).at(Place::file(&path)));
        } else if fits(&name) {
            let finding = Finding::new(codes::CONSUMER_SOURCE, "this file belongs to no consumer, so it is ignored");
            problems
                .push(finding.at(Place::file(&path)).help("move it into the folder of its consumer: consumers/NAME/"));
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::PlacedText;
    use crate::consumer::gather::DECLARED;

    /// Names and numbers of queries of the only consumer, and the codes of problems.
    fn read_in(folder: &Path, sql: &[&str]) -> (Vec<String>, Vec<&'static str>) {
        let sql = sql.iter().map(|text| PlacedText::from(*text)).collect();
        let loaded = read("billing", folder, &ConsumerDeclaration { sql, ..ConsumerDeclaration::default() });
        let names = loaded.consumers[0]
            .queries
            .iter()
            .map(|query| query.name.rsplit('/').next().unwrap_or_default().to_owned());
        (names.collect(), loaded.problems.iter().map(|problem| problem.code.as_str()).collect())
    }

    #[test]
    fn files_folders_and_patterns_are_found_and_each_file_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        // Special characters in the folder itself are not a pattern.
        let base = folder.path().join("a[b]*");
        fs::create_dir_all(base.join("queries/deep")).unwrap();
        fs::write(base.join("queries/one.sql"), "SELECT 1").unwrap();
        fs::write(base.join("queries/deep/two.sql"), "SELECT 2").unwrap();
        fs::write(base.join("queries/notes.md"), "no query").unwrap();
        let both = vec!["two.sql:1".to_owned(), "one.sql:1".to_owned()];
        for sql in ["queries", "queries/**/*.sql", "./queries/../queries/**/*.sql"] {
            let (mut names, problems) = read_in(&base, &[sql]);
            names.sort_by_key(|name| std::cmp::Reverse(name.clone()));
            assert_eq!((names, problems), (both.clone(), vec![]), "{sql}");
        }
        let absolute = format!("{}/queries/*.sql", glob::Pattern::escape(base.to_str().unwrap()));
        assert_eq!(read_in(&base, &[&absolute]).0, ["one.sql:1"]);
        assert_eq!(read_in(&base, &["queries/one.sql", "./queries", "queries/**/*.sql"]).0.len(), 2);
        assert_eq!(read_in(&base, &["queries/*.pgsql", "none"]), (vec![], vec!["consumer-source", "consumer-source"]));
    }

    #[test]
    fn the_first_role_is_taken_and_another_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("consumers/billing");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join(DECLARED), "role = \"b\"\nreads = [\"orders\"]\nstyle = \"colon\"\n").unwrap();
        fs::write(own.join("q.sql"), "SELECT @a, :b").unwrap();
        let declared = ConsumerDeclaration { role: Some("a".into()), ..ConsumerDeclaration::default() };
        let loaded = load(folder.path(), &BTreeMap::from([("billing".to_owned(), declared)]));
        let billing = &loaded.consumers[0];
        assert_eq!((billing.role.as_deref(), &*billing.queries[0].text), (Some("a"), "SELECT @a, $1"));
        assert_eq!((billing.uses.len(), loaded.problems[0].code.as_str()), (1, "consumer-role"));
    }
}
