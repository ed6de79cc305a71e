//! `consumers list`: all consumers, what is known about each, and how recent it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use humantime::{format_rfc3339_seconds, parse_rfc3339_weak};
use migrate_base::finding::Severity;
use migrate_review::consumer::{self, Consumer, SourceKind};
use serde::Serialize;

use super::export::queries;
use super::project;
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::git;
use crate::output::style::{self, BAD, BOLD, DIM, WARN};
use crate::output::{DocumentJson, FindingJson, TextTable};

#[derive(Serialize)]
struct ConsumersListJson {
    consumers: Vec<ConsumerJson>,
    problems: Vec<FindingJson>,
}

#[derive(Serialize)]
struct ConsumerJson {
    name: String,
    role: Option<String>,
    sources: Vec<SourceJson>,
    queries: usize,
    /// The number of tables and columns that it declares to use.
    uses: usize,
    /// When its queries were exported or captured, or its files were changed.
    fresh: Option<String>,
    /// The source of that time: `taken`, `committed` or `changed`.
    fresh_by: Option<&'static str>,
    problems: usize,
}

#[derive(Serialize)]
struct SourceJson {
    kind: &'static str,
    name: String,
    files: usize,
    queries: usize,
}

/// How recent the data of a consumer is, and the source of that time.
struct ConsumerFreshness {
    at: String,
    by: &'static str,
}

/// Queries exported or captured longer ago than this should be refreshed.
const STALE: Duration = Duration::from_secs(30 * 24 * 3600);

pub(crate) fn run(context: &Context<'_>) -> Result<Exit> {
    let loaded = consumer::load(&project(context), &context.config.consumers);
    let output = context.output;
    let all: Vec<(&Consumer, Option<ConsumerFreshness>)> =
        loaded.consumers.iter().map(|one| (one, fresh(one))).collect();
    output.findings(&loaded.problems);
    if all.is_empty() {
        output.line("there are no consumers");
        output.next(
            "`cargo xtask consumers add FILE` adds a file that another repository exported; for other ways, see \
             docs/FORMATS.md",
        );
    } else {
        output.lines(&table(&all).lines());
        output.next(
            "`cargo xtask consumers export NAME` writes a consumer to a file; `cargo xtask consumers add FILE` \
             refreshes it",
        );
    }
    let document = ConsumersListJson {
        consumers: all.into_iter().map(json).collect(),
        problems: loaded.problems.iter().map(FindingJson::from).collect(),
    };
    output.document(&DocumentJson::new("consumers list", &context.name, document));
    let is_wrong = loaded.problems.iter().any(|problem| problem.severity == Severity::Error);
    Ok(if is_wrong { Exit::Found } else { Exit::Done })
}

fn json((consumer, fresh): (&Consumer, Option<ConsumerFreshness>)) -> ConsumerJson {
    let sources = consumer.sources.iter().map(|source| SourceJson {
        kind: source.kind.as_str(),
        name: source.name.clone(),
        files: source.files.len(),
        queries: source.queries,
    });
    ConsumerJson {
        name: consumer.name.clone(),
        role: consumer.role.clone(),
        sources: sources.collect(),
        queries: consumer.queries.len(),
        uses: consumer.uses.len(),
        fresh_by: fresh.as_ref().map(|fresh| fresh.by),
        fresh: fresh.map(|fresh| fresh.at),
        problems: consumer.problems.len(),
    }
}

fn table(all: &[(&Consumer, Option<ConsumerFreshness>)]) -> TextTable {
    let plain = style::PLAIN;
    let mut table = TextTable::default();
    for (consumer, fresh) in all {
        let files =
            |kind| consumer.sources.iter().filter(|one| one.kind == kind).map(|one| one.files.len()).sum::<usize>();
        let kinds = [SourceKind::Sql, SourceKind::Sqlx, SourceKind::Exported].map(|kind| (kind.as_str(), files(kind)));
        let mut sources: Vec<String> =
            kinds.iter().filter(|(_, files)| *files > 0).map(|(kind, files)| format!("{files} {kind}")).collect();
        if sources.is_empty() {
            sources.push("no files".to_owned());
        }
        let (age, is_stale) = fresh.as_ref().map_or((String::new(), false), ConsumerFreshness::told);
        let worst = consumer.problems.iter().map(|problem| problem.severity).max();
        let mut cells = vec![
            (BOLD, consumer.name.clone()),
            (DIM, consumer.role.clone().map(|role| format!("as {role}")).unwrap_or_default()),
            (plain, sources.join(", ")),
            (plain, queries(consumer.queries.len())),
            (plain, format!("{} declared", consumer.uses.len())),
            (if is_stale { WARN } else { DIM }, age),
        ];
        if let Some(worst) = worst {
            let problems = style::count(consumer.problems.len(), "problem");
            cells.push((if worst == Severity::Error { BAD } else { WARN }, problems));
        }
        table.row(cells);
    }
    table
}

/// The age of the data of a consumer: that of its export, else of the newest commit that touched its files, else of the
/// files.
fn fresh(consumer: &Consumer) -> Option<ConsumerFreshness> {
    if let Some(taken) = &consumer.taken {
        return Some(ConsumerFreshness { at: taken.clone(), by: "taken" });
    }
    let files: Vec<&PathBuf> = consumer.sources.iter().flat_map(|source| &source.files).collect();
    let folders: BTreeSet<PathBuf> =
        files.iter().filter_map(|file| fs::canonicalize(file).ok()?.parent().map(Path::to_owned)).collect();
    let folders: Vec<PathBuf> = folders.into_iter().collect();
    if let Some(seconds) = folders.first().and_then(|first| git::touched(first, &folders)) {
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
        return Some(ConsumerFreshness { at: moment(at)?, by: "committed" });
    }
    let changed = files.iter().filter_map(|file| fs::metadata(file).ok()?.modified().ok()).max()?;
    Some(ConsumerFreshness { at: moment(changed)?, by: "changed" })
}

/// A time as text; `None` for an implausible one, as a broken file system may report.
fn moment(at: SystemTime) -> Option<String> {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    (seconds < 253_402_300_800).then(|| format_rfc3339_seconds(at).to_string())
}

impl ConsumerFreshness {
    /// The day with its age, and whether it is stale.
    fn told(&self) -> (String, bool) {
        let day = self.at.chars().take(10).collect::<String>();
        let Ok(at) = parse_rfc3339_weak(&self.at) else { return (format!("{} {day}", self.by), true) };
        let age = SystemTime::now().duration_since(at).unwrap_or_default();
        let days = age.as_secs() / (24 * 3600);
        let told = match days {
            0 => "today".to_owned(),
            1 => "yesterday".to_owned(),
            days => format!("{days} days ago"),
        };
        (format!("{} {day}, {told}", self.by), self.by == "taken" && age > STALE)
    }
}
