//! `consumers`: the services that share the database, and their queries.

mod add;
mod capture;
mod check;
mod export;
mod list;
mod uses;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use migrate_base::codes;
use migrate_base::finding::Finding;
use migrate_base::suggest;
use migrate_core::{CodeMigrations, Error, ErrorKind};
use migrate_review::consumer::{Changes, Consumer, Consumers, FOLDER};
use serde::Serialize;

use crate::cli;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::files;

/// The name and version of this tool, recorded in the files that it writes.
const TOOL: &str = concat!("roundtrip ", env!("CARGO_PKG_VERSION"));

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, command: &cli::Consumers) -> Result<Exit> {
    match command {
        cli::Consumers::List => list::run(context),
        cli::Consumers::Export(options) => export::run(context, options),
        cli::Consumers::Add { file } => add::run(context, file),
        cli::Consumers::Capture(options) => capture::run(context, options).await,
        cli::Consumers::Check(options) => check::run(context, code, options).await,
        cli::Consumers::Uses(options) => uses::run(context, code, options).await,
    }
}

/// The folder of the project, as a user would type it.
fn project(context: &Context<'_>) -> PathBuf {
    let folder = std::env::current_dir().unwrap_or_default();
    let project = &context.config.project;
    project.strip_prefix(&folder).map(Path::to_owned).unwrap_or_else(|_| project.clone())
}

/// The consumer with this name.
fn find(consumers: Consumers, name: &str) -> Result<Consumer> {
    let known: Vec<String> = consumers.consumers.iter().map(|one| one.name.clone()).collect();
    consumers.consumers.into_iter().find(|one| one.name == name).ok_or_else(|| {
        let failure = Failure::usage(codes::NO_CONSUMER, format!("there is no consumer {name}"));
        let failure = match suggest::nearest(name, known.iter().map(String::as_str)) {
            Some(near) => failure.help(format!("did you mean `{near}`?")),
            None if known.is_empty() => failure,
            None => failure.help(format!("the consumers are {}", known.join(", "))),
        };
        failure.help(format!(
            "add [consumers.{name}] to migrate.toml, or create the folder {FOLDER}/{name}; `export` also accepts --sql \
             and --sqlx"
        ))
    })
}

/// Findings as a failure.
fn found(findings: Vec<Finding>) -> Failure {
    Failure::Core(Error::of(ErrorKind::Files, findings))
}

fn now() -> String {
    format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Writes a file atomically.
fn write(path: &Path, text: &str) -> Result<()> {
    let cannot = |error| files::cannot(path, &error);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(cannot)?;
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, path)).map_err(cannot)
}

/// The changes in a file, as JSON.
#[derive(Serialize)]
struct ChangesJson {
    new: Vec<String>,
    gone: Vec<String>,
    same: usize,
}

impl From<Changes> for ChangesJson {
    fn from(Changes { new, gone, same }: Changes) -> Self {
        Self { new, gone, same }
    }
}

/// How many new and gone names are shown at most.
const SHOWN: usize = 10;

/// Shows the changes in a file.
fn show(context: &Context<'_>, changes: &Changes) {
    context.output.line(format!("{} new, {} gone, {} same", changes.new.len(), changes.gone.len(), changes.same));
    for (sign, names) in [('+', &changes.new), ('-', &changes.gone)] {
        for name in names.iter().take(SHOWN) {
            context.output.line(format!("  {sign} {name}"));
        }
        if names.len() > SHOWN {
            context.output.line(format!("  {sign} … and {} more", names.len() - SHOWN));
        }
    }
}
