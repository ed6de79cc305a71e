//! `runbook`: what a run would do as a psql script, a page for the team, and a drill.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use migrate_base::codes;
use migrate_base::finding::Finding;
use migrate_base::visible;
use migrate_core::runner::{self, Runbook};
use migrate_core::{CodeMigrations, Migrator, PlanStep, RunPolicy, Target, Version};
use serde::Serialize;

use super::{migrate, rollback};
use crate::cli::{self, DownFromArg, ScriptedCommand};
use crate::context::{Context, MigratorOptions};
use crate::drill::Exercise;
use crate::exit::{Exit, Failure, Result};
use crate::files;
use crate::invocation::{quote, spoken_page};
use crate::output::DocumentJson;
use crate::output::style::{self, BAD, BOLD, GOOD, paint};
use crate::shadow;

#[derive(Serialize)]
struct RunbookJson {
    database: String,
    #[serde(rename = "for")]
    way: &'static str,
    version_before: Option<String>,
    version_after: Option<String>,
    migrations: Vec<RunbookMigrationJson>,
    parts: usize,
    /// The file that was written.
    file: Option<PathBuf>,
    /// The script, if it was not written to a file.
    script: Option<String>,
}

#[derive(Serialize)]
struct DrillJson {
    #[serde(rename = "for")]
    way: &'static str,
    /// The version of the environment, which the drill started from.
    version: Option<String>,
    parts: usize,
    holds: bool,
    differences: Vec<String>,
    milliseconds_by_hand: f64,
    milliseconds_by_command: f64,
}

#[derive(Serialize)]
struct RunbookPageJson {
    /// The file that was written.
    file: Option<PathBuf>,
    /// The page, if it was not written to a file.
    page: Option<String>,
}

#[derive(Serialize)]
struct RunbookMigrationJson {
    direction: &'static str,
    version: String,
    name: String,
    no_transaction: bool,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &cli::RunbookArgs) -> Result<Exit> {
    if options.page {
        return page(context, options);
    }
    let mut migrator = context.migrator(code.clone(), looking(options)).await?;
    let plan = migrator.plan(&target(options), policy(context, options)).await?;
    context.output.findings(plan.warnings());
    if plan.is_empty() {
        let finding = Finding::new(
            codes::RUNBOOK_EMPTY,
            format!("there is nothing to run in {}, so there is no script", context.title()),
        )
        .help("`cargo xtask status` shows what is applied and what is pending");
        return Err(Failure::Here(Exit::Found, Box::new(finding)));
    }
    context.name_commit(&mut migrator).await;
    let book = migrator.runbook(&plan).await?;
    if options.drill {
        let due = plan.steps().iter().map(|step| step.version.clone()).filter(Version::is_repeatable).collect();
        return drill(context, code, options, migrator, due).await;
    }
    migrator.close().await;
    write(context, options, plan.steps(), &book)?;
    Ok(Exit::Done)
}

/// The options of the migrator, which only reads.
fn looking(options: &cli::RunbookArgs) -> MigratorOptions {
    let (keep_data, leave_kept, reason) = (options.keep_data, options.leave_kept, options.reason.clone());
    MigratorOptions { keep_data, leave_kept, reason, ..MigratorOptions::reading() }
}

/// Rehearses the script on shadow databases.
async fn drill(
    context: &Context<'_>,
    code: CodeMigrations,
    options: &cli::RunbookArgs,
    mut migrator: Migrator,
    due: BTreeSet<Version>,
) -> Result<Exit> {
    let from = migrator.state().await?.version().cloned();
    let (set, run) = (migrator.migrations().clone(), migrator.options().clone());
    let database = migrator.database().clone();
    migrator.close().await;
    shadow::server(context, false, false).await?;
    shadow::replay(&database).await?;
    let exercise = Exercise {
        set,
        code,
        options: run,
        from: from.clone(),
        due,
        target: target(options),
        policy: policy(context, options),
    };
    let drill = exercise.drill().await?;
    let output = context.output;
    let (parts, holds) = (style::count(drill.parts, "part"), drill.differences.is_empty());
    let version = from.map(|version| version.to_string());
    let at = version.clone().unwrap_or_else(|| "an empty database".to_owned());
    output.line(format!("the script of {} from {at}: {parts}, on a shadow database", options.way.as_str()));
    output.line(format!("by hand     {:>9}  with psql", style::time(drill.by_hand)));
    output.line(format!("by command  {:>9}", style::time(drill.by_command)));
    for difference in &drill.differences {
        output.line(format!("{} {difference}", paint(BAD, "different:")));
    }
    if holds {
        output.line(format!("{} schema and ledger are the same, and later migrations apply", paint(GOOD, "holds:")));
        let same = format!("{}{}", context.aim(), as_given(options));
        output.next(format!("`cargo xtask runbook {} -o FILE` writes the script for {}", same, context.title()));
    } else {
        output.next("do not use the script; report the differences as a bug, with the migration");
    }
    let document = DrillJson {
        way: options.way.as_str(),
        version,
        parts: drill.parts,
        holds,
        differences: drill.differences,
        milliseconds_by_hand: style::milliseconds(drill.by_hand),
        milliseconds_by_command: style::milliseconds(drill.by_command),
    };
    output.document(&DocumentJson::new("runbook-drill", &context.name, document));
    Ok(if holds { Exit::Done } else { Exit::Found })
}

/// The given options that determine the script, each with a space before it.
fn as_given(options: &cli::RunbookArgs) -> String {
    let way = (options.way == ScriptedCommand::Migrate).then(|| "--for migrate".to_owned());
    let to = options.to.as_ref().map(|version| format!("--to {}", quote(version.as_str())));
    let count = options.count.map(|count| format!("-n {count}"));
    let files = (options.down_from == DownFromArg::Files).then(|| "--down-from files".to_owned());
    let flags = [
        ("--all", options.all),
        ("--keep-data", options.keep_data),
        ("--leave-kept", options.leave_kept),
        ("--allow-out-of-order", options.allow_out_of_order),
        ("--allow-newer", options.allow_newer),
    ];
    let flags = flags.into_iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| flag.to_owned());
    let reason = options.reason.as_ref().map(|reason| format!("--reason={}", quote(reason)));
    let all = way.into_iter().chain(to).chain(count).chain(files).chain(flags).chain(reason);
    all.map(|option| format!(" {option}")).collect()
}

/// Writes the page of an environment for the team.
fn page(context: &Context<'_>, options: &cli::RunbookArgs) -> Result<Exit> {
    let text = runner::page(&context.name, &context.environment.ledger, &context.config.contacts);
    // In commands, the name is already quoted.
    let text = match visible::line(&context.name) {
        Cow::Owned(shown) => text.replace(&*context.name, &shown),
        Cow::Borrowed(_) => text,
    };
    let text = spoken_page(&text).into_owned();
    let output = context.output;
    match &options.output {
        Some(path) => {
            save(path, &text)?;
            output.line(format!("{BOLD}{}{BOLD:#}  the page for {}", path.display(), context.name));
            output.next("read it before you need it; `cargo xtask runbook --drill` rehearses it");
        }
        None if !output.is_json() => output.verbatim(&text),
        None => {}
    }
    let document = RunbookPageJson { file: options.output.clone(), page: options.output.is_none().then_some(text) };
    output.document(&DocumentJson::new("runbook-page", &context.name, document));
    Ok(Exit::Done)
}

/// The target of the command that the script replaces.
fn target(options: &cli::RunbookArgs) -> Target {
    match options.way {
        ScriptedCommand::Rollback => rollback::target(options.to.as_ref(), options.count, options.all),
        ScriptedCommand::Migrate => migrate::target(options.to.as_ref(), options.count),
    }
}

fn policy(context: &Context<'_>, options: &cli::RunbookArgs) -> RunPolicy {
    let (allow_out_of_order, down_from) = (options.allow_out_of_order, options.down_from.into());
    RunPolicy { allow_out_of_order, down_from, ..context.policy(options.allow_newer) }
}

/// Writes the script to its file, or to standard output.
fn write(context: &Context<'_>, options: &cli::RunbookArgs, steps: &[PlanStep], book: &Runbook) -> Result<()> {
    let output = context.output;
    let script = book.psql();
    match &options.output {
        Some(path) => {
            save(path, &script)?;
            let (count, parts) = (style::count(steps.len(), "migration"), style::count(book.parts(), "part"));
            output.line(format!("{BOLD}{}{BOLD:#}  {count} in {parts}, for {}", path.display(), book.database()));
            let file = quote(&path.to_string_lossy());
            output.next(format!("run `psql -X -f {file}` with the connection string of {}", book.database()));
        }
        None if !output.is_json() => output.verbatim(&script),
        None => {}
    }
    let version = |version: Option<&migrate_core::Version>| version.map(ToString::to_string);
    let document = RunbookJson {
        database: book.database().to_owned(),
        way: options.way.as_str(),
        version_before: version(book.before()),
        version_after: version(book.after()),
        migrations: steps.iter().map(RunbookMigrationJson::from).collect(),
        parts: book.parts(),
        file: options.output.clone(),
        script: options.output.is_none().then_some(script),
    };
    output.document(&DocumentJson::new("runbook", &context.name, document));
    Ok(())
}

fn save(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| files::cannot(path, &error))
}

impl From<&PlanStep> for RunbookMigrationJson {
    fn from(step: &PlanStep) -> Self {
        Self {
            direction: step.direction.as_str(),
            version: step.version.to_string(),
            name: step.name.clone(),
            no_transaction: step.no_transaction(),
        }
    }
}
