//! The consumers of this branch and of the base branch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use migrate_base::finding::Place;
use migrate_review::config::{Config, FILE_NAME};
use migrate_review::consumer::{self, Consumer, Consumers, Query};
use migrate_test::consume::ConsumerQueries;

use crate::checks::CheckInput;
use crate::context::Context;
use crate::git;

/// The folder of the consumers, unless `migrate.toml` names other places.
const FOLDER: &str = "consumers/";

/// The name of a query, and whether its `*` is expanded when the service is built.
type BaseQuery = (String, bool);

/// The consumers of both branches, and the texts of all their queries.
pub(crate) struct ConsumerSides {
    /// The consumers of this branch.
    pub(crate) here: Consumers,
    /// The texts on the base branch, by consumer; `None` if there is no base branch, or if it has the same files.
    there: Option<BTreeMap<String, BTreeMap<Arc<str>, BaseQuery>>>,
    /// The number of each text.
    numbers: BTreeMap<Arc<str>, usize>,
}

/// The consumers of this branch.
pub(crate) fn here(context: &Context<'_>) -> Consumers {
    consumer::load(&project(context), &context.config.consumers)
}

/// The folder of the project, as people would type it.
fn project(context: &Context<'_>) -> PathBuf {
    let project = &context.config.project;
    let folder = std::env::current_dir().unwrap_or_default();
    project.strip_prefix(folder).map(Path::to_owned).unwrap_or_else(|_| project.clone())
}

impl ConsumerSides {
    pub(crate) fn find(ground: &CheckInput<'_>) -> Self {
        let here = here(ground.context);
        let there = there(ground, &here).map(|there| {
            let texts = |one: Consumer| {
                (
                    one.name,
                    one.queries.into_iter().map(|query| (query.text.clone(), (told(&query), query.expands))).collect(),
                )
            };
            there.consumers.into_iter().map(texts).collect()
        });
        let mut sides = Self { here, there, numbers: BTreeMap::new() };
        let own = sides.here.consumers.iter().flat_map(|one| &one.queries).map(|query| query.text.clone());
        let old = sides.there.iter().flat_map(BTreeMap::values).flat_map(BTreeMap::keys).cloned();
        let all: BTreeSet<Arc<str>> = own.chain(old).collect();
        sides.numbers = all.into_iter().enumerate().map(|(number, text)| (text, number)).collect();
        sides
    }

    /// What to ask the server.
    pub(crate) fn asked(&self) -> ConsumerQueries {
        let roles = self.here.consumers.iter().filter_map(|one| one.role.clone()).collect();
        ConsumerQueries { texts: self.numbers.keys().cloned().collect(), roles }
    }

    /// The number of a text.
    pub(crate) fn number(&self, text: &Arc<str>) -> usize {
        self.numbers.get(text).copied().unwrap_or_default()
    }

    /// Whether the base branch has this text for this consumer, as far as is known.
    pub(crate) fn is_old(&self, consumer: &str, text: &Arc<str>) -> bool {
        self.there.as_ref().is_none_or(|there| there.get(consumer).is_some_and(|texts| texts.contains_key(text)))
    }

    /// The queries on the base branch that this branch no longer has: the consumer, the number of the text, and the
    /// name.
    pub(crate) fn gone(&self) -> Vec<(&str, usize, &BaseQuery)> {
        let mut gone = Vec::new();
        for (name, texts) in self.there.iter().flatten() {
            let own = self.here.consumers.iter().find(|one| one.name == *name);
            let stays = |text: &Arc<str>| own.is_some_and(|own| own.queries.iter().any(|query| query.text == *text));
            let left = texts.iter().filter(|(text, _)| !stays(text));
            gone.extend(left.map(|(text, told)| (name.as_str(), self.number(text), told)));
        }
        gone
    }
}

/// The name of a query, with its place.
pub(crate) fn told(query: &Query) -> String {
    placed(&query.name, &query.place())
}

/// A name with its file and line.
pub(super) fn placed(name: &str, place: &Place) -> String {
    let line = place.line_column().map_or(1, |(line, _)| line);
    match format!("{}:{line}", place.path().display()) {
        place if place == name => format!("`{name}`"),
        place => format!("`{name}` ({place})"),
    }
}

/// The consumers at the commit where this branch began. Their files are expected where those of this branch are.
fn there(ground: &CheckInput<'_>, here: &Consumers) -> Option<Consumers> {
    let base = &ground.released.as_ref().ok()?.base;
    let project = project(ground.context);
    let root = if project.as_os_str().is_empty() { Path::new(".") } else { &project };
    let queries = here.consumers.iter().flat_map(|one| &one.queries);
    let folders: BTreeSet<String> = queries.filter_map(|query| folder(&query.origin.path, &project)).collect();
    let wanted = |path: &str| {
        let of = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        path == FILE_NAME || path.starts_with(FOLDER) || folders.contains(of)
    };
    let files = git::files_like(root, &base.fork, &wanted)?;
    let same = |(name, bytes): (&String, &Vec<u8>)| {
        migrate_base::regular::read(root.join(name)).is_ok_and(|here| here == *bytes)
    };
    let known = |query: &Query| files.contains_key(&inside(&query.origin.path, &project));
    if files.iter().all(same) && here.consumers.iter().flat_map(|one| &one.queries).all(known) {
        return None;
    }
    let folder = tempfile::tempdir().ok()?;
    for (name, bytes) in &files {
        let path = folder.path().join(name);
        path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, bytes)).ok()?;
    }
    let file = folder.path().join(FILE_NAME);
    // An old configuration may not be readable any more; the current places are a good guess.
    let config = file.is_file().then(|| Config::load(Some(&file), folder.path()).ok()).flatten();
    let mut config = config.unwrap_or_else(|| ground.context.config.clone());
    config.project = folder.path().to_owned();
    let mut found = consumer::load(folder.path(), &config.consumers);
    for query in found.consumers.iter_mut().flat_map(|one| &mut one.queries) {
        let Ok(path) = query.origin.path.strip_prefix(folder.path()) else { continue };
        let path = project.join(path);
        // A query without a name is named after its place.
        query.name = query.name.replace(&query.origin.path.display().to_string(), &path.display().to_string());
        query.origin.path = path;
    }
    Some(found)
}

/// The path of a file in the project, with `/`.
fn inside(path: &Path, project: &Path) -> String {
    path.strip_prefix(project).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// The folder of a file in the project, with `/`; that of the project itself is empty.
fn folder(path: &Path, project: &Path) -> Option<String> {
    let inside = inside(path, project);
    (!inside.starts_with('/')).then(|| inside.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned())
}
