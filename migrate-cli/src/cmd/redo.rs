//! `redo`: roll back the last migrations and reapply them.

use std::collections::BTreeSet;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_core::{CodeMigrations, Error, ErrorKind, Migrator, PlanStep, RunPolicy, RunReport, Target, Version};

use super::run::{CommandWords, RunOptions, Runner};
use crate::cli::{RedoArgs, RunArgs};
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::DocumentJson;

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &RedoArgs) -> Result<Exit> {
    let wish = RunOptions { keep_data: options.keep_data, ..(&options.change).into() };
    let mut runner = Runner::new(context, code, wish).await?;
    let what = |verb| CommandWords { command: "redo", verb };
    // The purpose is to try an edited file, so its down script is used too.
    let policy = RunPolicy { allow_out_of_order: true, ..context.policy(false) };
    can_come_back(&mut runner.migrator, options.count, policy).await?;
    let down = runner.go(&Target::Down(options.count), policy, &options.change, what("Roll back and reapply")).await?;
    let output = context.output;
    if options.change.dry_run {
        runner.close().await;
        return Ok(Exit::Done);
    }
    let agreed = RunArgs { yes: true, ..options.change.clone() };
    let up = match down.done.iter().filter_map(|done| done.version.parse().ok()).max() {
        Some(newest) => runner.go(&Target::UpTo(newest), policy, &agreed, what("Apply")).await?,
        None => RunReport::default(),
    };
    let mut report = up;
    report.elapsed += down.elapsed;
    let undone = down.done.len();
    report.done.splice(..0, down.done);
    if report.done.is_empty() {
        output.line(format!("nothing to do: nothing is applied on {}", runner.migrator.database()));
    } else {
        let mut reapplied = report.clone();
        reapplied.done.drain(..undone);
        output.line(runner.total(&reapplied, "reapplied"));
    }
    if output.is_json() {
        let version = runner.version().await?;
        output.document(&DocumentJson::new("redo", &context.name, runner.json(Some(&report), None, version)));
    }
    runner.close().await;
    Ok(Exit::Done)
}

/// Checks, before anything is rolled back, whether all of it can be reapplied.
async fn can_come_back(migrator: &mut Migrator, count: usize, policy: RunPolicy) -> Result<()> {
    let down = migrator.plan(&Target::Down(count), policy).await?;
    let state = migrator.state().await?;
    let applied: BTreeSet<Version> = state.applied().map(|applied| applied.version.clone()).collect();
    let missing = down.steps().iter().filter(|step| !is_in_folder(migrator, &applied, &step.version));
    let mut findings: Vec<Finding> = missing.map(|step| missing_file(migrator, step)).collect();
    if findings.is_empty() && !down.is_empty() {
        let undone = down.steps().iter().filter_map(|step| migrator.migrations().get(&step.version));
        let undone: Vec<_> = undone.map(|migration| migration.path().to_path_buf()).collect();
        // A migration that is rolled back may have been edited, because that is what the user wants to try. Any other
        // edit stops the reapply.
        let stays = |finding: &Finding| match finding.code {
            codes::MISSING_FILE | codes::HALF_SQUASHED => true,
            codes::MODIFIED | codes::RENAMED => {
                !finding.place.as_ref().is_some_and(|place| undone.iter().any(|path| path == place.path()))
            }
            _ => false,
        };
        let up = migrator.plan(&Target::Up(0), policy).await;
        findings.extend(up.err().into_iter().flat_map(|error| error.findings().to_vec()).filter(stays));
    }
    if findings.is_empty() { Ok(()) } else { Err(Failure::Core(Error::of(ErrorKind::Plan, findings))) }
}

/// Whether the folder has the migration that was applied, and not a baseline that a squash put in place of several.
fn is_in_folder(migrator: &Migrator, applied: &BTreeSet<Version>, version: &Version) -> bool {
    let Some(migration) = migrator.migrations().get(version) else { return false };
    migration.squashes().is_none_or(|first| applied.range(first.clone()..version.clone()).next().is_none())
}

fn missing_file(migrator: &Migrator, step: &PlanStep) -> Finding {
    let (version, name) = (&step.version, &step.name);
    let file = migrator.migrations().folder().join(format!("{version}_{name}.up.sql"));
    Finding::new(codes::MISSING_FILE, format!("the file of applied migration {version}_{name} is missing"))
        .at(Place::file(file))
        .note("without it, the migration could not be reapplied; nothing was rolled back")
        .help(
            "if this checkout is older than the database, update it; `git log --diff-filter=D -- PATH` finds a deleted \
             file",
        )
        .help(
            "to roll the migration back without reapplying it: `cargo xtask rollback`; the ledger has the down scripts",
        )
}
