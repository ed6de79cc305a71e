//! All consumers of a project: those in `migrate.toml`, and those with their own folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};

use super::gather::{Gather, fits};
use super::{Consumer, is_name, misnamed};
use crate::consumer::Declared;

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
pub fn load(project: &Path, declared: &BTreeMap<String, Declared>) -> Consumers {
    let mut problems = Vec::new();
    let folders = folders(project, &mut problems);
    let names: BTreeSet<&String> = declared.keys().chain(folders.keys()).collect();
    let consumers = names.into_iter().map(|name| {
        let mut gather = Gather::new(name);
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
pub fn read(name: &str, base: &Path, declared: &Declared) -> Consumers {
    let mut problems = Vec::new();
    let mut gather = Gather::new(name);
    gather.declared(base, declared);
    Consumers { consumers: vec![gather.end(&mut problems)], problems }
}

/// The folders of consumers, by name.
fn folders(project: &Path, problems: &mut Vec<Finding>) -> BTreeMap<String, PathBuf> {
    let mut folders = BTreeMap::new();
    let all = project.join(FOLDER);
    let Ok(entries) = fs::read_dir(&all) else {
        if fs::symlink_metadata(&all).is_ok() {
            let finding = Finding::new(codes::CONSUMER_FILE, "cannot read the folder of consumers");
            problems.push(finding.at(Place::file(&all)).help("check its permissions and the targets of links"));
        }
        return folders;
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
    use crate::consumer::Said;
    use crate::consumer::gather::DECLARED;

    /// Names and numbers of queries of the only consumer, and the codes of problems.
    fn read_in(folder: &Path, sql: &[&str]) -> (Vec<String>, Vec<&'static str>) {
        let sql = sql.iter().map(|text| Said::from(*text)).collect();
        let loaded = read("billing", folder, &Declared { sql, ..Declared::default() });
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
        let declared = Declared { role: Some("a".into()), ..Declared::default() };
        let loaded = load(folder.path(), &BTreeMap::from([("billing".to_owned(), declared)]));
        let billing = &loaded.consumers[0];
        assert_eq!((billing.role.as_deref(), &*billing.queries[0].text), (Some("a"), "SELECT @a, $1"));
        assert_eq!((billing.uses.len(), loaded.problems[0].code.as_str()), (1, "consumer-role"));
    }
}
