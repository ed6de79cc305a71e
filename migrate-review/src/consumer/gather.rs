//! One consumer, from everything declared about it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use migrate_base::codes;
use migrate_base::finding::{Finding, Place, Severity};

use super::load::FOLDER;
use super::{Consumer, Exported, Query, Source, SourceKind, files, offline, script, uses};
use crate::consumer::{Declared, Said, Style};

/// The declaration of a consumer, next to its files.
pub(super) const DECLARED: &str = "consumer.toml";

/// Whether a file in the folder of a consumer should be read.
pub(super) fn fits(name: &str) -> bool {
    [".sql", ".json", ".toml"].iter().any(|end| name.ends_with(end))
}

fn is_sql(name: &str) -> bool {
    name.ends_with(".sql")
}

fn is_offline(name: &str) -> bool {
    name.starts_with("query-") && name.ends_with(".json")
}

/// A consumer that is being read.
pub(super) struct Gather {
    consumer: Consumer,
    problems: Vec<Finding>,
    /// A file that two places name is read only once.
    seen: BTreeSet<PathBuf>,
    role: Option<Said>,
    /// Where this consumer is declared.
    place: Option<Place>,
}

impl Gather {
    pub(super) fn new(name: &str) -> Self {
        let consumer = Consumer { name: name.to_owned(), ..Consumer::default() };
        Self { consumer, problems: Vec::new(), seen: BTreeSet::new(), role: None, place: None }
    }

    /// Reads a declaration in `migrate.toml`, a `consumer.toml` or a command line.
    pub(super) fn declared(&mut self, base: &Path, declared: &Declared) {
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
    pub(super) fn folder(&mut self, folder: &Path) {
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
                    let finding = Finding::new(
                        codes::CONSUMER_SOURCE,
                        "this file does not belong in the folder of a consumer, so it is ignored",
                    )
                    .with_severity(Severity::Warning);
                    let known = "a consumer can have *.sql, query-*.json, *.consumer.json, and one consumer.toml";
                    self.problems.push(finding.at(Place::file(&path)).help(known));
                }
            }
        }
        let name = folder.display().to_string();
        self.source(SourceKind::Sql, &name, sql, style);
        self.source(SourceKind::Sqlx, &name, sqlx, None);
        self.source(SourceKind::Exported, &name, exported, None);
    }

    /// Reads a `consumer.toml` and returns the style that it names.
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
                    let finding =
                        Finding::new(codes::CONSUMER_FORMAT, format!("this is the consumer {}", exported.name));
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
                // A consumer is as old as its oldest part.
                let oldest = self.consumer.taken.take().into_iter().chain([exported.taken.clone()]).min();
                self.consumer.taken = oldest;
                Ok(exported.queries(path, &text))
            }
        }
    }

    /// Uses the role that was declared first; another role is a problem.
    fn role(&mut self, said: Said) {
        match &self.role {
            None => self.role = Some(said),
            Some(first) if first.text == said.text => {}
            Some(first) => {
                let finding = Finding::new(
                    codes::CONSUMER_ROLE,
                    format!("{} has two roles: {} and {}", self.consumer.name, first.text, said.text),
                );
                self.problems
                    .push(finding.at(said.place).note(format!("{} is used", first.text)).help("declare only one role"));
            }
        }
    }

    pub(super) fn end(mut self, problems: &mut Vec<Finding>) -> Consumer {
        self.consumer.role = self.role.map(|role| role.text);
        if self.consumer.queries.is_empty() && self.consumer.uses.is_empty() && self.problems.is_empty() {
            let finding = Finding::new(
                codes::CONSUMER_EMPTY,
                format!("{} has no queries, and declares no table that it uses", self.consumer.name),
            );
            let help = "name its queries with `sql` or `sqlx`, or its tables with `reads` and `writes`";
            self.problems.push(finding.at(self.place).help(help));
        }
        problems.extend_from_slice(&self.problems);
        self.consumer.problems = self.problems;
        self.consumer
    }
}
