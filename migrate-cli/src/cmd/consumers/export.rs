//! `consumers export`: write the queries of a service to one file, for the repository that has the migrations.

use std::path::Path;

use migrate_base::finding::Severity;
use migrate_review::consumer::{self, Consumer, ExportedConsumer};
use migrate_review::consumer::{ConsumerDeclaration, PlacedText};
use serde::Serialize;

use super::{TOOL, find, found, now, project, write};
use crate::cli::ConsumersExportArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::git;
use crate::invocation::quote;
use crate::output::style::BOLD;
use crate::output::{DocumentJson, FindingJson};

#[derive(Serialize)]
struct ConsumersExportJson {
    consumer: String,
    file: String,
    queries: usize,
    uses: usize,
    problems: Vec<FindingJson>,
}

pub(crate) fn run(context: &Context<'_>, options: &ConsumersExportArgs) -> Result<Exit> {
    let mut consumer = read(context, options)?;
    if consumer.problems.iter().any(|problem| problem.severity == Severity::Error) {
        // A file without the unreadable query would claim that the service does not run it.
        return Err(found(consumer.problems));
    }
    if let Some(role) = &options.role {
        consumer.role = Some(role.clone());
    }
    let commit = git::commit(&project(context));
    let exported = ExportedConsumer::of(&consumer, now(), commit, TOOL.to_owned());
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
    let document = ConsumersExportJson {
        consumer: exported.name,
        file: file.display().to_string(),
        queries: exported.queries.len(),
        uses: exported.uses.len(),
        problems: consumer.problems.iter().map(FindingJson::from).collect(),
    };
    output.document(&DocumentJson::new("consumers export", &context.name, document));
    Ok(Exit::Done)
}

/// The consumer: from the command line, or from the project.
fn read(context: &Context<'_>, options: &ConsumersExportArgs) -> Result<Consumer> {
    let name = &options.name;
    if !consumer::is_name(name) {
        return Err(Failure::Here(Exit::Usage, Box::new(consumer::misnamed(name))));
    }
    let said = |texts: &[String]| texts.iter().map(|text| PlacedText::from(text.as_str())).collect();
    let declared = ConsumerDeclaration {
        sql: said(&options.sql),
        sqlx: options.sqlx.as_deref().map(PlacedText::from),
        reads: said(&options.reads),
        writes: said(&options.writes),
        ..ConsumerDeclaration::default()
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
