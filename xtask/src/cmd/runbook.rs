//! `runbook`: what a run would do as a script for psql, the page for the team, and a drill.

use std::fs;
use std::path::{Path, PathBuf};

use migrate_core::finding::Finding;
use migrate_core::runner::{self, Runbook, Step};
use migrate_core::{CodeMigrations, Policy, Target};
use serde::Serialize;

use crate::cli::{self, Way};
use crate::context::{Context, Run};
use crate::exit::{Exit, Failure, Result};
use crate::files;
use crate::output::Document;
use crate::output::style::{self, BOLD};

#[derive(Serialize)]
struct RunbookJson {
    database: String,
    #[serde(rename = "for")]
    way: &'static str,
    version_before: Option<String>,
    version_after: Option<String>,
    migrations: Vec<MigrationJson>,
    parts: usize,
    /// Where it was written.
    file: Option<PathBuf>,
    /// The script, where it was not written to a file.
    script: Option<String>,
}

#[derive(Serialize)]
struct PageJson {
    /// Where it was written.
    file: Option<PathBuf>,
    /// The page, where it was not written to a file.
    page: Option<String>,
}

#[derive(Serialize)]
struct MigrationJson {
    direction: &'static str,
    version: String,
    name: String,
    no_transaction: bool,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &cli::Runbook) -> Result<Exit> {
    if options.page {
        return page(context, options);
    }
    let reading = Run {
        keep_data: options.keep_data,
        leave_kept: options.leave_kept,
        reason: options.reason.clone(),
        changes: true,
        ..Run::reading()
    };
    let mut migrator = context.migrator(code, reading).await?;
    let plan = migrator.plan(&target(options), policy(options)).await?;
    context.output.findings(plan.warnings());
    if plan.is_empty() {
        let finding =
            Finding::error("runbook-empty", format!("there is nothing to write down for {}", context.title()))
                .help("`cargo xtask status` shows what is applied and what is pending");
        return Err(Failure::Here(Exit::Found, Box::new(finding)));
    }
    let book = migrator.runbook(&plan).await?;
    migrator.close().await;
    write(context, options, plan.steps(), &book)?;
    Ok(Exit::Done)
}

/// Writes the page of an environment, for the team.
fn page(context: &Context<'_>, options: &cli::Runbook) -> Result<Exit> {
    let text = runner::page(&context.name, &context.environment.ledger, &context.config.contacts);
    let output = context.output;
    match &options.output {
        Some(path) => {
            save(path, &text)?;
            output.line(format!("{BOLD}{}{BOLD:#}  the page for {}", path.display(), context.name));
            output.next("read it before you need it; `cargo xtask runbook --drill` practises it");
        }
        None if !output.is_json() => output.answer(text.trim_end()),
        None => {}
    }
    let document = PageJson { file: options.output.clone(), page: options.output.is_none().then_some(text) };
    output.document(&Document::new("runbook-page", &context.name, document));
    Ok(Exit::Done)
}

/// The target of the command that the script stands for.
fn target(options: &cli::Runbook) -> Target {
    match (options.way, &options.to, options.count) {
        (Way::Rollback, Some(version), _) => Target::DownTo(version.clone()),
        (Way::Rollback, None, _) if options.all => Target::Zero,
        (Way::Rollback, None, count) => Target::Down(count.unwrap_or(1)),
        (Way::Migrate, Some(version), _) => Target::UpTo(version.clone()),
        (Way::Migrate, None, Some(count)) => Target::Up(count),
        (Way::Migrate, None, None) => Target::Latest,
    }
}

fn policy(options: &cli::Runbook) -> Policy {
    Policy { allow_out_of_order: options.allow_out_of_order, down_from: options.down_from.into() }
}

/// Writes the script to its file, or to standard output.
fn write(context: &Context<'_>, options: &cli::Runbook, steps: &[Step], book: &Runbook) -> Result<()> {
    let output = context.output;
    let script = book.psql();
    match &options.output {
        Some(path) => {
            save(path, &script)?;
            let (count, parts) = (style::count(steps.len(), "migration"), style::count(book.parts(), "part"));
            output.line(format!("{BOLD}{}{BOLD:#}  {count} in {parts}, for {}", path.display(), book.database()));
            output.next(format!("`psql -X -f {}` with the address of {}", path.display(), book.database()));
        }
        None if !output.is_json() => output.answer(script.trim_end()),
        None => {}
    }
    let version = |version: Option<&migrate_core::Version>| version.map(ToString::to_string);
    let document = RunbookJson {
        database: book.database().to_owned(),
        way: match options.way {
            Way::Rollback => "rollback",
            Way::Migrate => "migrate",
        },
        version_before: version(book.before()),
        version_after: version(book.after()),
        migrations: steps.iter().map(MigrationJson::from).collect(),
        parts: book.parts(),
        file: options.output.clone(),
        script: options.output.is_none().then_some(script),
    };
    output.document(&Document::new("runbook", &context.name, document));
    Ok(())
}

fn save(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| files::cannot(path, &error))
}

impl From<&Step> for MigrationJson {
    fn from(step: &Step) -> Self {
        Self {
            direction: step.direction.as_str(),
            version: step.version.to_string(),
            name: step.name.clone(),
            no_transaction: step.no_transaction(),
        }
    }
}
