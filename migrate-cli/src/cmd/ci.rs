//! `ci`: every check that a change has to pass before it is merged.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use migrate_base::codes;
use migrate_base::finding::Severity;
use migrate_core::CodeMigrations;
use migrate_schema::SchemaDescription;
use migrate_test::observe::Observation;
use migrate_test::proof::{Law, MigrationProof, Verdict};

use crate::checks::{self, CheckInput, changed};
use crate::cli::CiArgs;
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::output::{DocumentJson, render};
use crate::report::{self, CheckResult, CiReport, MigrationOrder, MigrationResult, ResultMark};
use crate::{explain, files, git, shadow};

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &CiArgs) -> Result<Exit> {
    let begin = Instant::now();
    options.statement_timeout.into_iter().for_each(migrate_test::limit_statements);
    if let Some(engine) = &context.config.engine {
        let ground = CheckInput::driven(
            context,
            super::run::unless_stopped(shadow::provable(context, code)).await?,
            options.base.as_deref(),
        )?;
        let mut report = ground.report(vec![checks::files(&ground)]);
        driven(&ground, engine.name(), &mut report).await;
        report.elapsed = begin.elapsed();
        write(context, options, &report)?;
        return Ok(conclude(context, "ci", &report));
    }
    let ground = CheckInput::survey(context, code, options.base.as_deref(), false)?;
    let mut report = ground.report(vec![checks::files(&ground)]);
    if ground.set.is_ok() {
        shadow::server(context, true, false).await?;
        all(&ground, &mut report).await;
    } else {
        report.checks.push(checks::edited(&ground).await);
    }
    report.elapsed = begin.elapsed();
    write(context, options, &report)?;
    Ok(conclude(context, "ci", &report))
}

/// All checks except `files`, in the order of the report.
const NAMES: [&str; 7] = ["edited", "lint", "locks", "proof", "released", "role", "consumers"];

/// The results of the checks that are complete. A check that is interrupted later does not discard them.
#[derive(Default)]
struct CiResults {
    checks: BTreeMap<&'static str, CheckResult>,
    proven: migrate_test::proof::ProofReport,
    observed: Vec<Observation>,
    sides: Option<(Arc<SchemaDescription>, Arc<SchemaDescription>)>,
    orders: Vec<MigrationOrder>,
}

impl CiResults {
    /// Stores the result of a check, or that it could not be completed.
    fn take<T>(&mut self, name: &'static str, outcome: Result<(CheckResult, T)>) -> Option<T> {
        match outcome {
            Ok((check, more)) => {
                self.checks.insert(name, check);
                Some(more)
            }
            Err(failure) => {
                self.checks.insert(name, checks::broken_off(name, failure.findings()));
                None
            }
        }
    }
}

impl CiResults {
    /// Ends all checks that are still running; what was proven so far is kept.
    fn break_off(&mut self, ground: &CheckInput<'_>) {
        let why =
            || migrate_base::finding::Finding::new(codes::INTERRUPTED, "interrupted before all checks were complete");
        for name in NAMES {
            let proven = &self.proven;
            self.checks.entry(name).or_insert_with(|| match name {
                "proof" => checks::proof_until(ground, proven, why()),
                _ => checks::broken_off(name, Vec::new()),
            });
        }
    }
}

/// The proof; what it has proven so far is in the results at once.
async fn prove(ground: &CheckInput<'_>, found: &RefCell<CiResults>) {
    let mut hear = |proven: &MigrationProof| {
        super::verify::tell_proven(ground.context, proven);
        found.borrow_mut().proven.migrations.push(proven.clone());
    };
    let proof = checks::proof(ground, &mut hear).await;
    let mut found = found.borrow_mut();
    found.proven = found.take("proof", proof).unwrap_or_default();
}

/// The checks for a chain that another tool runs: the proof, and that nothing else can be looked at.
async fn driven(ground: &CheckInput<'_>, tool: &str, report: &mut CiReport) {
    let found = RefCell::new(CiResults::default());
    let interrupted = tokio::select! {
        () = prove(ground, &found) => false,
        () = super::run::asked_to_stop() => true,
    };
    let mut found = found.into_inner();
    found.checks.insert("edited", checks::edited_files(ground));
    for name in NAMES.into_iter().filter(|name| !["edited", "proof"].contains(name)) {
        found.checks.insert(name, checks::without_sql(name, tool));
    }
    if interrupted {
        found.break_off(ground);
    }
    report.checks.extend(NAMES.into_iter().filter_map(|name| found.checks.remove(name)));
    report.migrations = found.proven.migrations.iter().map(judged).collect();
}

/// All checks except `files`, concurrently: each has its own databases and mostly waits for the server.
async fn all(ground: &CheckInput<'_>, report: &mut CiReport) {
    let found = RefCell::new(CiResults::default());
    let plain = |check: Result<CheckResult>| check.map(|check| (check, ()));
    let every = async {
        tokio::join!(
            async {
                let edited = checks::edited(ground).await;
                found.borrow_mut().take("edited", Ok((edited, ())));
            },
            async {
                let lint = checks::lint(ground, true).await;
                found.borrow_mut().take("lint", plain(lint));
            },
            async {
                let locks = checks::locks(ground).await;
                let mut found = found.borrow_mut();
                found.observed = found.take("locks", locks).unwrap_or_default();
            },
            prove(ground, &found),
            async {
                let released = checks::released(ground).await;
                let released = released.map(|released| (released.check, released.before.zip(released.after)));
                let mut found = found.borrow_mut();
                found.sides = found.take("released", released).flatten();
            },
            async {
                let role = checks::role(ground).await;
                found.borrow_mut().take("role", plain(role));
            },
            async {
                let consumers = checks::consumers(ground).await;
                let mut found = found.borrow_mut();
                found.orders = found.take("consumers", consumers).unwrap_or_default();
            }
        )
    };
    let interrupted = tokio::select! {
        _ = every => false,
        () = super::run::asked_to_stop() => true,
    };
    let mut found = found.into_inner();
    if interrupted {
        found.break_off(ground);
    }
    if let Some(role) = found.checks.get_mut("role") {
        checks::of_broken_downs(role, &found.proven);
    }
    report.checks.extend(NAMES.into_iter().filter_map(|name| found.checks.remove(name)));
    checks::told_elsewhere(&mut report.checks);
    report.orders = found.orders;
    report.migrations = found.proven.migrations.iter().map(judged).collect();
    if !report.broke_off()
        && let Err(failure) = checks::fill(ground, &mut report.migrations, &found.observed).await
    {
        report.checks.push(checks::broken_off("locks", failure.findings()));
    }
    if let Some((before, after)) = &found.sides {
        report.difference = changed::difference(before, after);
        report.tables = changed::tables(before, after);
    }
}

fn judged(proven: &MigrationProof) -> MigrationResult {
    let mark = |law: Law| match proven.laws.get(&law) {
        Some(Verdict::Holds) => ResultMark::Yes,
        Some(Verdict::Broken(_)) => ResultMark::No,
        Some(Verdict::Declared(..)) => ResultMark::Declared,
        _ => ResultMark::Unknown,
    };
    // Whether a migration applies is unknown if the proof did not reach it.
    let applied = match (&proven.failure, &proven.unreached) {
        (Some(_), _) => ResultMark::No,
        (None, Some(_)) => ResultMark::Unknown,
        (None, None) => ResultMark::Yes,
    };
    MigrationResult {
        version: proven.version.clone(),
        name: proven.name.clone(),
        applied,
        rolled_back: mark(Law::Identity),
        reapplied: mark(Law::Reapply),
        data: mark(Law::Data),
        rests: proven.rests.clone(),
        lock: None,
        lock_down: None,
        rewritten: Vec::new(),
        elapsed: proven.elapsed,
    }
}

/// Writes the reports for other systems: the requested ones and those for GitHub Actions.
fn write(context: &Context<'_>, options: &CiArgs, report: &CiReport) -> Result<()> {
    let here = std::env::current_dir().unwrap_or_default();
    let top = git::root(&here).unwrap_or_else(|| here.clone());
    let report = report.clone().rooted(&top, &here);
    let cannot =
        |path: &Path, error: &dyn std::fmt::Display| files::cannot(path, &std::io::Error::other(error.to_string()));
    let put = |path: &PathBuf, text: String| std::fs::write(path, text).map_err(|error| files::cannot(path, &error));
    if let Some(path) = &options.junit {
        put(path, report::junit::render(&report).map_err(|error| cannot(path, &error))?)?;
    }
    if let Some(path) = &options.sarif {
        let describe =
            |code: &str| explain::find(code).ok().map(|entry| (entry.title.to_owned(), entry.text.to_owned()));
        let home =
            context.config.path.as_deref().map_or_else(|| "migrate.toml".to_owned(), |path| path.display().to_string());
        put(path, report::sarif::render(&report, &describe, &home).map_err(|error| cannot(path, &error))?)?;
    }
    if let Some(path) = &options.markdown {
        put(path, report::markdown::render(&report))?;
    }
    if std::env::var("GITHUB_ACTIONS").as_deref() == Ok("true") {
        if !context.output.is_json() {
            context.output.commands(&report::github::commands(&report));
        }
        if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) {
            report::github::append(&path, &report::markdown::render(&report))
                .map_err(|error| files::cannot(&path, &error))?;
        }
    }
    Ok(())
}

/// Shows a report, and returns the exit code.
pub(super) fn conclude(context: &Context<'_>, command: &str, report: &CiReport) -> Exit {
    let output = context.output;
    match output.is_quiet() {
        true => report.findings().for_each(|finding| output.wrong(render(finding))),
        false => report::text::render(report).lines().for_each(|line| output.quoted(line)),
    }
    // An error makes the command fail, wherever it is in the report.
    let worst = report.findings().find(|finding| finding.severity == Severity::Error);
    let found = worst.or_else(|| report.findings().next()).map(|finding| finding.code);
    match (report.failed(), found) {
        (true, Some(code)) => {
            output.next(format!("fix the errors above; `cargo xtask explain {code}` explains the first one"))
        }
        _ if report.failed() => output.next(format!("run `cargo xtask {command}` again")),
        _ if command == "ci" => output.next("`git push`"),
        _ => output.next("`cargo xtask ci` runs every check that a change has to pass"),
    }
    output.document(&DocumentJson::new(command, &context.name, report::json::CiJson::from(report)));
    match (report.broke_off(), report.failed()) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Found,
        (false, false) => Exit::Done,
    }
}
