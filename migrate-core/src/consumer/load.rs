//! Reading the queries of consumers from the folder that git keeps.

use std::path::Path;
use std::sync::Arc;

use super::{Consumer, Origin, Query};
use crate::config::Config;
use crate::finding::Finding;
use crate::sql;

/// The consumers of a project, and what could not be read of them.
#[derive(Debug, Clone, Default)]
pub struct Consumers {
    /// The consumers, by name.
    pub consumers: Vec<Consumer>,
    /// What could not be read, each with its place.
    pub problems: Vec<Finding>,
}

/// Reads `consumers/<name>/*.sql`: a statement is a query, with `$1`, `$2`, … for its parameters.
pub fn load(project: &Path, _config: &Config) -> Consumers {
    let mut found = Consumers::default();
    for folder in entries(&project.join("consumers")).into_iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut consumer = Consumer { name, ..Consumer::default() };
        for file in entries(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "sql")) {
            if let Ok(text) = std::fs::read_to_string(&file) {
                consumer.queries.extend(queries(&file, &text.into()));
            }
        }
        found.consumers.push(consumer);
    }
    found
}

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    all.sort();
    all
}

fn queries(path: &Path, text: &Arc<str>) -> Vec<Query> {
    let statements = sql::split(text).0.into_iter();
    let query = |statement: sql::Statement| {
        let span = statement.span;
        let line = crate::finding::line_column(text, span.start).0;
        Query {
            name: format!("{}:{line}", path.display()),
            text: text[span.clone()].into(),
            origin: Origin { path: path.into(), text: text.clone(), span: span.clone(), pieces: vec![(0, span.start)] },
            calls: None,
        }
    };
    statements.map(query).collect()
}
