//! `consumers export`: write the queries of a service to one file, for the repository that has the migrations.

use std::path::Path;

use migrate_base::codes;
use migrate_base::finding::Severity;
use migrate_review::consumer::{self, Consumer, Exported};
use migrate_review::consumer::{Declared, Said};
use serde::Serialize;

use super::{TOOL, find, found, now, project, write};
use crate::cli::Export;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::git;
use crate::invocation::quote;
use crate::output::style::BOLD;
use crate::output::{Document, FindingJson};

#[derive(Serialize)]
struct ExportJson {
    consumer: String,
    file: String,
    queries: usize,
    uses: usize,
    problems: Vec<FindingJson>,
}

pub(crate) fn run(context: &Context<'_>, options: &Export) -> Result<Exit> {
    let mut consumer = read(context, options)?;
    if consumer.problems.iter().any(|problem| problem.severity == Severity::Error) {
        // A file without the unreadable query would claim that the service does not run it.
        return Err(found(consumer.problems));
    }
    if let Some(role) = &options.role {
        consumer.role = Some(role.clone());
    }
    let commit = git::commit(&project(context));
    let exported = Exported::of(&consumer, now(), commit, TOOL.to_owned());
    let output = context.output;
    output.findings(&consumer.problems);
    let Some(file) = &options.output else {
        output.written(exported.text().trim_end());
        return Ok(Exit::Done);
    };
    write(file, &exported.text())?;
    output.line(format!(
        "{BOLD}{}{BOLD:#} of {} written to {}",
        queries(exported.queries.len()),
        exported.name,
        file.display()
    ));
    output.next(format!(
        "in the repository with the migrations, run `cargo xtask consumers add {}`",
        quote(&file.to_string_lossy())
    ));
    let document = ExportJson {
        consumer: exported.name,
        file: file.display().to_string(),
        queries: exported.queries.len(),
        uses: exported.uses.len(),
        problems: consumer.problems.iter().map(FindingJson::from).collect(),
    };
    output.document(&Document::new("consumers export", &context.name, document));
    Ok(Exit::Done)
}

/// The consumer: from the command line, or from the project.
fn read(context: &Context<'_>, options: &Export) -> Result<Consumer> {
    let name = &options.name;
    if !consumer::is_name(name) {
        return Err(Failure::usage(codes::CONSUMER_NAME, format!("`{name}` cannot be the name of a consumer"))
            .help("use letters, digits, `-` and `_`, at most 63 characters, such as billing"));
    }
    let said = |texts: &[String]| texts.iter().map(|text| Said::from(text.as_str())).collect();
    let declared = Declared {
        sql: said(&options.sql),
        sqlx: options.sqlx.as_deref().map(Said::from),
        reads: said(&options.reads),
        writes: said(&options.writes),
        ..Declared::default()
    };
    let is_typed = !declared.sql.is_empty() || declared.sqlx.is_some();
    let consumers = if is_typed || !declared.reads.is_empty() || !declared.writes.is_empty() {
        consumer::read(name, Path::new(""), &declared)
    } else {
        consumer::load(&project(context), &context.config.consumers)
    };
    find(consumers, name)
}

/// `1 query`, `3 queries`.
pub(super) fn queries(count: usize) -> String {
    if count == 1 { "1 query".to_owned() } else { format!("{count} queries") }
}
