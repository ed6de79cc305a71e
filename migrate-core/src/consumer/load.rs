//! All consumers of a project: those of `migrate.toml`, and those with a folder of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{Consumer, Exported, Query, Source, SourceKind, files, is_name, misnamed, offline, script, uses};
use crate::config::{Config, Declared, Said, Style};
use crate::finding::{Finding, Place};

/// The folder beside `migrate.toml` in which each consumer has one of its own.
pub const FOLDER: &str = "consumers";
/// What is said of a consumer beside its files.
const DECLARED: &str = "consumer.toml";

/// The consumers of a project, and what could not be read of them.
#[derive(Debug, Clone, Default)]
pub struct Consumers {
    /// The consumers, by their names.
    pub consumers: Vec<Consumer>,
    /// What is wrong with them, each with its place.
    pub problems: Vec<Finding>,
}

/// Reads the consumers of the project in this folder. Whatever cannot be read is a problem; the rest is there.
pub fn load(project: &Path, config: &Config) -> Consumers {
    let mut problems = Vec::new();
    let folders = folders(project, &mut problems);
    let names: BTreeSet<&String> = config.consumers.keys().chain(folders.keys()).collect();
    let consumers = names.into_iter().map(|name| {
        let mut gather = Gather::new(name);
        if let Some(declared) = config.consumers.get(name) {
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

/// Reads one consumer from what is said of it; paths begin at `base`.
pub fn read(name: &str, base: &Path, declared: &Declared) -> Consumers {
    let mut problems = Vec::new();
    let mut gather = Gather::new(name);
    gather.declared(base, declared);
    Consumers { consumers: vec![gather.end(&mut problems)], problems }
}

/// The folders of consumers, by their names.
fn folders(project: &Path, problems: &mut Vec<Finding>) -> BTreeMap<String, PathBuf> {
    let mut folders = BTreeMap::new();
    let all = project.join(FOLDER);
    let Ok(entries) = fs::read_dir(&all) else {
        if fs::symlink_metadata(&all).is_ok() {
            let finding = Finding::error("consumer-file", "the folder of consumers cannot be read");
            problems.push(finding.at(Place::file(&all)).help("check its permissions, and where links lead"));
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
            let finding = Finding::error("consumer-source", "this file belongs to no consumer, and is not read");
            problems
                .push(finding.at(Place::file(&path)).help("move it into the folder of its consumer: consumers/NAME/"));
        }
    }
    folders
}

/// Whether a file in the folder of a consumer is meant to be read.
fn fits(name: &str) -> bool {
    [".sql", ".json", ".toml"].iter().any(|end| name.ends_with(end))
}

fn is_sql(name: &str) -> bool {
    name.ends_with(".sql")
}

fn is_offline(name: &str) -> bool {
    name.starts_with("query-") && name.ends_with(".json")
}

/// A consumer while it is read.
struct Gather {
    consumer: Consumer,
    problems: Vec<Finding>,
    /// A file that two places name is read once.
    seen: BTreeSet<PathBuf>,
    role: Option<Said>,
    /// Where it is said that there is such a consumer.
    place: Option<Place>,
}

impl Gather {
    fn new(name: &str) -> Self {
        let consumer = Consumer { name: name.to_owned(), ..Consumer::default() };
        Self { consumer, problems: Vec::new(), seen: BTreeSet::new(), role: None, place: None }
    }

    /// Reads what `migrate.toml`, a `consumer.toml` or a command line says.
    fn declared(&mut self, base: &Path, declared: &Declared) {
        self.place = self.place.take().or_else(|| declared.place.clone());
        for said in &declared.sql {
            let files = files::meant(base, said, is_sql, &mut self.problems);
            self.source(SourceKind::Sql, &said.text, files, declared.style);
        }
        if let Some(said) = &declared.sqlx {
            let files = files::meant(base, said, is_offline, &mut self.problems);
            self.source(SourceKind::Sqlx, &said.text, files, None);
        }
        if let Some(role) = &declared.role {
            self.role(role.clone());
        }
        for (list, writes) in [(&declared.reads, false), (&declared.writes, true)] {
            for said in list {
                match uses::read(said, writes) {
                    Ok(used) => self.consumer.uses.push(used),
                    Err(finding) => self.problems.push(*finding),
                }
            }
        }
    }

    /// Reads the folder of a consumer.
    fn folder(&mut self, folder: &Path) {
        self.place.get_or_insert_with(|| Place::file(folder));
        let mut all = BTreeSet::new();
        files::below(folder, fits, &mut all, &mut self.problems);
        let (mut sql, mut sqlx, mut exported) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut style = None;
        for path in all {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            match &*name {
                DECLARED if path.parent() == Some(folder) => style = self.declaration(folder, &path).or(style),
                name if is_sql(name) => drop(sql.insert(path)),
                name if is_offline(name) => drop(sqlx.insert(path)),
                name if name.ends_with(".consumer.json") => drop(exported.insert(path)),
                _ => {
                    let finding =
                        Finding::warning("consumer-source", "this file is none that a consumer has, and is not read");
                    let known = "a consumer has *.sql, query-*.json, *.consumer.json, and one consumer.toml";
                    self.problems.push(finding.at(Place::file(&path)).help(known));
                }
            }
        }
        let name = folder.display().to_string();
        self.source(SourceKind::Sql, &name, sql, style);
        self.source(SourceKind::Sqlx, &name, sqlx, None);
        self.source(SourceKind::Exported, &name, exported, None);
    }

    /// Reads a `consumer.toml`; returns the style that it names.
    fn declaration(&mut self, folder: &Path, path: &Path) -> Option<Style> {
        let declared = files::read(path)
            .map_err(|finding| vec![*finding])
            .and_then(|text| Declared::read(path, &text).map_err(|error| error.findings().to_vec()));
        match declared {
            Ok(declared) => {
                self.declared(folder, &declared);
                declared.style
            }
            Err(findings) => {
                self.problems.extend(findings);
                None
            }
        }
    }

    /// Reads the files of a place.
    fn source(&mut self, kind: SourceKind, name: &str, files: BTreeSet<PathBuf>, style: Option<Style>) {
        let files: Vec<PathBuf> = files
            .into_iter()
            .filter(|path| self.seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())))
            .collect();
        if files.is_empty() {
            return;
        }
        let before = self.consumer.queries.len();
        for path in &files {
            match self.file(kind, path, style) {
                Ok(queries) => self.consumer.queries.extend(queries),
                Err(finding) => self.problems.push(*finding),
            }
        }
        let queries = self.consumer.queries.len() - before;
        self.consumer.sources.push(Source { kind, name: name.to_owned(), files, queries });
    }

    fn file(&mut self, kind: SourceKind, path: &Path, style: Option<Style>) -> Result<Vec<Query>, Box<Finding>> {
        let text = files::read(path)?;
        match kind {
            SourceKind::Sql => {
                let (queries, problems) = script::read(path, &text, style);
                self.problems.extend(problems);
                Ok(queries)
            }
            SourceKind::Sqlx => Ok(vec![offline::read(path, &text)?]),
            SourceKind::Exported => {
                let exported = Exported::read(path, &text)?;
                if exported.name != self.consumer.name {
                    let finding = Finding::error("consumer-format", format!("this is the consumer {}", exported.name));
                    let help = format!(
                        "it belongs to {FOLDER}/{}; `cargo xtask consumers add FILE` puts it there",
                        exported.name
                    );
                    return Err(Box::new(finding.at(Place::file(path)).help(help)));
                }
                if let Some(role) = &exported.role {
                    self.role(Said { text: role.clone(), place: Some(Place::file(path)) });
                }
                self.consumer.uses.extend(exported.uses(path, &text));
                // What is only as new as its oldest part is as old as that.
                let oldest = self.consumer.taken.take().into_iter().chain([exported.taken.clone()]).min();
                self.consumer.taken = oldest;
                Ok(exported.queries(path, &text))
            }
        }
    }

    /// Takes the role that was said first; another one is a problem.
    fn role(&mut self, said: Said) {
        match &self.role {
            None => self.role = Some(said),
            Some(first) if first.text == said.text => {}
            Some(first) => {
                let finding = Finding::warning(
                    "consumer-role",
                    format!("{} has two roles: {} and {}", self.consumer.name, first.text, said.text),
                );
                self.problems
                    .push(finding.at(said.place).note(format!("{} is taken", first.text)).help("say one role"));
            }
        }
    }

    fn end(mut self, problems: &mut Vec<Finding>) -> Consumer {
        self.consumer.role = self.role.map(|role| role.text);
        if self.consumer.queries.is_empty() && self.consumer.uses.is_empty() && self.problems.is_empty() {
            let finding = Finding::warning(
                "consumer-empty",
                format!("{} has no queries, and says no table that it uses", self.consumer.name),
            );
            let help = "name its queries with `sql` or `sqlx`, or its tables with `reads` and `writes`";
            self.problems.push(finding.at(self.place).help(help));
        }
        problems.extend_from_slice(&self.problems);
        self.consumer.problems = self.problems;
        self.consumer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and numbers of queries of the one consumer, and the codes of problems.
    fn read_in(folder: &Path, sql: &[&str]) -> (Vec<String>, Vec<&'static str>) {
        let sql = sql.iter().map(|text| Said::from(*text)).collect();
        let loaded = read("billing", folder, &Declared { sql, ..Declared::default() });
        let names = loaded.consumers[0]
            .queries
            .iter()
            .map(|query| query.name.rsplit('/').next().unwrap_or_default().to_owned());
        (names.collect(), loaded.problems.iter().map(|problem| problem.code).collect())
    }

    #[test]
    fn files_folders_and_patterns_are_found_and_each_file_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        // Signs of a pattern in the folder itself are no pattern.
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
        let mut config = Config::default();
        config.consumers.insert("billing".to_owned(), declared);
        let loaded = load(folder.path(), &config);
        let billing = &loaded.consumers[0];
        assert_eq!((billing.role.as_deref(), &*billing.queries[0].text), (Some("a"), "SELECT @a, $1"));
        assert_eq!((billing.uses.len(), loaded.problems[0].code), (1, "consumer-role"));
    }
}
