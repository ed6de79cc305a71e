//! `proof`: the five laws, for each new migration.

use std::collections::BTreeSet;

use migrate_core::MigrationSet;
use migrate_core::config::RowsWanted;
use migrate_core::finding::{Finding, Place};
use migrate_core::source::{Layout, Migration};
use migrate_test::proof::{self, Law, Proof, Proven, Report, Story, Verdict};

use super::{Clock, Ground};
use crate::cmd::blame;
use crate::context::Context;
use crate::exit::Result;
use crate::output::style;
use crate::report::Check;

/// Proves the new migrations; the report has what became of each.
///
/// # Errors
///
/// The server is gone.
pub(crate) async fn proof(ground: &Ground<'_>) -> Result<(Check, Report)> {
    let clock = Clock::start("proof");
    let Ok(set) = &ground.set else {
        return Ok((clock.skipped("the files cannot be read as migrations"), Report::default()));
    };
    if ground.new.is_empty() {
        return Ok((clock.done("nothing is new", Vec::new()), Report::default()));
    }
    let options = Proof { only: Some(ground.new.clone()), keep: false, ..Proof::default() };
    let outcome = proof::prove(set, &ground.code, &options, &mut |_| {}).await;
    let report = match outcome {
        Ok(report) => report,
        Err(proof::ProofError::Core(error)) if error.kind() == migrate_core::ErrorKind::Statement => {
            let findings = error.findings().to_vec();
            return Ok((clock.done("what stands before the new ones does not apply", findings), Report::default()));
        }
        Err(error) => return Err(error.into()),
    };
    let mut findings: Vec<Finding> = report.migrations.iter().flat_map(|proven| broken(set, proven)).collect();
    findings.extend(without_rows(ground.context, set, &report));
    let holds = report.migrations.iter().filter(|proven| proven.holds()).count();
    let summary = format!("{holds} of {} proven", style::count(report.migrations.len(), "new migration"));
    Ok((clock.done(summary, findings), report))
}

/// The tables without rows, each named once: with the first migration that was proven without a row in it.
pub(crate) fn without_rows(context: &Context<'_>, set: &MigrationSet, report: &Report) -> Vec<Finding> {
    let mut named = BTreeSet::new();
    let mut findings = Vec::new();
    for proven in &report.migrations {
        let new: Vec<_> = proven.rests.without.iter().filter(|one| named.insert(one.table.clone())).collect();
        let Some(migration) = set.get(&proven.version).filter(|_| !new.is_empty()) else { continue };
        let message = format!("data was proven on less than all tables: {}", proven.rests.words().unwrap_or_default());
        let finding = match context.config.policy.rows {
            RowsWanted::All => Finding::error("tables-without-rows", message),
            RowsWanted::Any => Finding::warning("tables-without-rows", message),
        };
        let finding = new.iter().map(ToString::to_string).fold(finding, Finding::note);
        let finding = finding.at(Place::file(migration.path()));
        findings.push(match fixture(context, migration) {
            Some(file) => finding.help(format!("write rows for them into {file}, which the proof runs before the up")),
            None => finding,
        });
    }
    findings
}

/// The file for rows that must be there before a migration; other tools' folders have none.
fn fixture(context: &Context<'_>, migration: &Migration) -> Option<String> {
    let path = migration.path().to_str()?;
    let stem = path.strip_suffix(".up.sql").filter(|_| context.layout == Layout::Roundtrip)?;
    Some(format!("{stem}.fixture.sql"))
}

/// The laws that a migration breaks, a finding each.
fn broken(set: &MigrationSet, proven: &Proven) -> Vec<Finding> {
    // A statement that does not end breaks every law that it stands in the way of; it is one fault.
    let overdue =
        Law::ALL.into_iter().filter_map(|law| proven.laws.get(&law)?.story()).flat_map(|story| &story.findings);
    if let Some(finding) = overdue.into_iter().find(|finding| finding.code == "rehearsal-timeout") {
        return vec![finding.clone()];
    }
    let broken = Law::ALL.into_iter().filter_map(|law| match proven.laws.get(&law) {
        Some(Verdict::Broken(story)) => Some((law, story)),
        _ => None,
    });
    broken.map(|(law, story)| finding(set, proven, law, story)).collect()
}

fn finding(set: &MigrationSet, proven: &Proven, law: Law, story: &Story) -> Finding {
    let title = format!("{}_{}", proven.version, proven.name);
    let finding = Finding::error(code(law), story.summary.clone()).note(format!("the law of {title}: {}", law.claim()));
    // What the server refused has a place of its own; the file to mend is said all the same.
    let place = story.findings.iter().find_map(|finding| finding.place.clone());
    let file = set.get(&proven.version).map(|migration| Place::file(blame(migration, law)));
    let finding = finding.at(place.or(file));
    let finding = story.details().into_iter().take(12).fold(finding, Finding::note);
    let finding = story.findings.iter().map(|finding| finding.message.clone()).fold(finding, Finding::note);
    let finding = finding.help(format!("`cargo xtask verify {}` shows it, and keeps the database", proven.version));
    match law {
        Law::Identity | Law::Reapply => {
            finding.help(format!("`cargo xtask derive {} --dry-run` shows a down that is proven", proven.version))
        }
        Law::Data => finding.help("if the data may go, say so at the head of the up: `-- migrate: lossy REASON`"),
        Law::Path | Law::Declared => finding,
    }
}

fn code(law: Law) -> &'static str {
    match law {
        Law::Identity => "law-identity",
        Law::Reapply => "law-reapply",
        Law::Path => "law-path",
        Law::Data => "law-data",
        Law::Declared => "law-declared",
    }
}
