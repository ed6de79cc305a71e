//! `ci`: every check that a change has to pass before it is merged.

use std::path::{Path, PathBuf};
use std::time::Instant;

use migrate_core::CodeMigrations;
use migrate_core::finding::Severity;
use migrate_test::proof::{Law, Proven, Verdict};

use crate::checks::{self, Ground, changed};
use crate::cli::Ci;
use crate::context::Context;
use crate::exit::{Exit, Result};
use crate::output::Document;
use crate::report::{self, Judged, Mark, Report};
use crate::{explain, files, git, shadow};

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &Ci) -> Result<Exit> {
    let begin = Instant::now();
    options.statement_timeout.into_iter().for_each(migrate_test::limit_statements);
    let ground = Ground::survey(context, code, options.base.as_deref(), false)?;
    let mut report = Report { base: ground.base(), checks: vec![checks::files(&ground)], ..Report::default() };
    if ground.set.is_ok() {
        shadow::server(context, true, false).await?;
        all(&ground, &mut report).await?;
    } else {
        report.checks.push(checks::edited(&ground).await);
    }
    report.elapsed = begin.elapsed();
    write(context, options, &report)?;
    Ok(conclude(context, "ci", &report))
}

/// All checks but that of the files, side by side: each has databases of its own, and mostly waits for the server.
async fn all(ground: &Ground<'_>, report: &mut Report) -> Result<()> {
    let (edited, lint, locks, proof, released, role, consumers) = tokio::join!(
        checks::edited(ground),
        checks::lint(ground, true),
        checks::locks(ground),
        checks::proof(ground),
        checks::released(ground),
        checks::role(ground),
        checks::consumers(ground)
    );
    let ((locks, observed), (proof, proven), released, (consumers, orders)) = (locks?, proof?, released?, consumers?);
    report.checks.extend([edited, lint?, locks, proof, released.check, role?, consumers]);
    checks::told_elsewhere(&mut report.checks);
    report.orders = orders;
    report.migrations = proven.migrations.iter().map(judged).collect();
    checks::fill(ground, &mut report.migrations, &observed).await?;
    if let (Some(before), Some(after)) = (&released.before, &released.after) {
        report.difference = changed::difference(before, after);
        report.tables = changed::tables(before, after);
    }
    Ok(())
}

fn judged(proven: &Proven) -> Judged {
    let mark = |law: Law| match proven.laws.get(&law) {
        Some(Verdict::Holds) => Mark::Yes,
        Some(Verdict::Broken(_)) => Mark::No,
        Some(Verdict::Declared(..)) => Mark::Declared,
        _ => Mark::Unknown,
    };
    // A migration that does not apply breaks the first law, and nothing else is looked at.
    let applies = !matches!((mark(Law::Identity), mark(Law::Declared)), (Mark::No, Mark::Unknown));
    Judged {
        version: proven.version.clone(),
        name: proven.name.clone(),
        applied: if applies { Mark::Yes } else { Mark::No },
        rolled_back: if applies { mark(Law::Identity) } else { Mark::Unknown },
        reapplied: mark(Law::Reapply),
        data: mark(Law::Data),
        rests: proven.rests.clone(),
        lock: None,
        lock_down: None,
        rewritten: Vec::new(),
        elapsed: proven.elapsed,
    }
}

/// Writes the forms for other systems, those that were asked for and those of GitHub Actions.
fn write(context: &Context<'_>, options: &Ci, report: &Report) -> Result<()> {
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

/// Shows a report, and says how the command ends.
pub(super) fn conclude(context: &Context<'_>, command: &str, report: &Report) -> Exit {
    let output = context.output;
    report::text::render(report).lines().for_each(|line| output.line(line));
    // An error makes it fail, wherever it stands.
    let worst = report.findings().find(|finding| finding.severity == Severity::Error);
    let found = worst.or_else(|| report.findings().next()).map(|finding| finding.code);
    match (report.failed(), found) {
        (true, Some(code)) => {
            output.next(format!("mend what is above; `cargo xtask explain {code}` tells more about the first one"))
        }
        _ if command == "ci" => output.next("push it"),
        _ => output.next("`cargo xtask ci` makes every check that a change has to pass"),
    }
    output.document(&Document::new(command, &context.name, report::json::CiJson::from(report)));
    if report.failed() { Exit::Found } else { Exit::Done }
}
