//! `verify`: proves that migrations apply, roll back and apply again, with their data.

use std::collections::BTreeSet;

use migrate_core::finding::{Finding, Severity};
use migrate_core::source::{Migration, Version};
use migrate_core::{CodeMigrations, MigrationSet};
use migrate_test::proof::{self, Law, Proof, Proven, Report, Rests, Story, Verdict};
use serde::Serialize;

use crate::checks;
use crate::cli::Verify;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::style::{self, BAD, BOLD, DIM, GOOD, WARN};
use crate::output::{Document, FindingJson, Table, render};
use crate::released::Released;
use crate::shadow;

#[derive(Serialize)]
struct VerifyJson {
    seed: u64,
    holds: bool,
    milliseconds: f64,
    migrations: Vec<ProvenJson>,
    findings: Vec<FindingJson>,
}

#[derive(Serialize)]
struct ProvenJson {
    version: String,
    name: String,
    holds: bool,
    laws: std::collections::BTreeMap<&'static str, LawJson>,
    rests: RestsJson,
    notes: Vec<String>,
    kept: Vec<String>,
    milliseconds: f64,
}

/// What the law of data rests on.
#[derive(Debug, Serialize)]
pub(crate) struct RestsJson {
    tables: usize,
    with_rows: usize,
    without: Vec<WithoutRowsJson>,
}

#[derive(Debug, Serialize)]
struct WithoutRowsJson {
    table: String,
    why: String,
}

#[derive(Serialize)]
struct LawJson {
    verdict: &'static str,
    /// What a verdict rests on, in words: `37 of 41 tables had rows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rests: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    story: Option<StoryJson>,
}

#[derive(Serialize)]
struct StoryJson {
    summary: String,
    walk: Vec<String>,
    difference: Vec<String>,
    losses: Vec<LossJson>,
    rows: Vec<Vec<String>>,
    findings: Vec<FindingJson>,
}

#[derive(Serialize)]
struct LossJson {
    table: String,
    column: Option<String>,
    rows: usize,
    of: usize,
    example: String,
    came: bool,
}

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &Verify) -> Result<Exit> {
    let set = context.chain()?;
    let only = chosen(context, &set, options)?;
    let output = context.output;
    let count = only.as_ref().map_or(set.len(), BTreeSet::len);
    if count == 0 {
        output.line("nothing to prove: every migration is on the base branch already; --all proves the whole chain");
        output.document(&Document::new("verify", &context.name, json(&Report::default(), options.seed, &[])));
        return Ok(Exit::Done);
    }
    options.statement_timeout.into_iter().for_each(migrate_test::limit_statements);
    shadow::server(context, true, options.fresh).await?;
    let proof = Proof { only, seed: options.seed, ..Proof::default() };
    let bar = output.bar(count);
    let mut hear = |proven: &Proven| bar.step(&format!("{}_{}", proven.version, proven.name));
    let report = proof::prove(&set, &code, &proof, &mut hear).await;
    bar.end();
    let report = report?;
    let findings = checks::without_rows(context, &set, &report);
    show(context, &set, &report, &findings);
    output.document(&Document::new("verify", &context.name, json(&report, options.seed, &findings)));
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if report.holds() && !refused { Exit::Done } else { Exit::Found })
}

/// The migrations to look at: those that were named, all, or what the base branch does not have.
fn chosen(context: &Context<'_>, set: &MigrationSet, options: &Verify) -> Result<Option<BTreeSet<Version>>> {
    if options.all {
        return Ok(None);
    }
    if !options.versions.is_empty() {
        if let Some(unknown) = options.versions.iter().find(|version| set.get(version).is_none()) {
            let message = format!("there is no migration {unknown} in {}", context.migrations.display());
            return Err(Failure::usage("no-migration", message).help("`cargo xtask status` lists them"));
        }
        return Ok(Some(options.versions.iter().cloned().collect()));
    }
    let released = Released::find(&context.migrations, options.base.as_deref(), context.config.base.as_deref())?;
    Ok(released.ok().map(|released| released.new_versions(set)))
}

fn show(context: &Context<'_>, set: &MigrationSet, report: &Report, findings: &[Finding]) {
    let output = context.output;
    let mut table = Table::default();
    let plain = style::PLAIN;
    let mut head = vec![(plain, String::new()), (plain, String::new())];
    head.extend(Law::ALL.map(|law| (DIM, law.as_str().to_owned())));
    table.row(head);
    for proven in &report.migrations {
        let mut row = vec![(BOLD, proven.version.to_string()), (plain, proven.name.clone())];
        row.extend(Law::ALL.map(|law| mark(proven, law)));
        row.push((DIM, style::time(proven.elapsed)));
        table.row(row);
    }
    for line in table.lines() {
        output.item(format!("  {line}"));
    }
    for proven in &report.migrations {
        let title = format!("{}_{}", proven.version, proven.name);
        for law in Law::ALL {
            match proven.laws.get(&law) {
                Some(Verdict::Broken(story)) => {
                    output.line(format!(
                        "\n{}: {}",
                        style::paint(BAD, format!("{law} is broken")),
                        style::paint(BOLD, &title)
                    ));
                    tell(context, set, proven, law, story);
                }
                Some(Verdict::Declared(reason, story)) if output.verbose => {
                    output.line(format!(
                        "\n{}: {title}: {reason}",
                        style::paint(WARN, format!("{law} is declared not to hold"))
                    ));
                    tell(context, set, proven, law, story);
                }
                Some(Verdict::Skipped(why)) if output.verbose => {
                    output.line(format!("{DIM}{title}: {law} was not looked at: {why}{DIM:#}"));
                }
                _ => {}
            }
        }
        for note in proven.notes.iter().filter(|_| output.verbose) {
            output.line(format!("{DIM}{title}: {note}{DIM:#}"));
        }
        for url in &proven.kept {
            output.line(format!("  {DIM}the database was kept for 30 minutes: psql '{url}'{DIM:#}"));
        }
    }
    for finding in findings {
        output.line(format!("\n{}", render(finding)));
    }
    let broken = report.migrations.iter().filter(|proven| !proven.holds()).count();
    let count = style::count(report.migrations.len(), "migration");
    let time = style::time(report.elapsed);
    if broken == 0 {
        output.line(format!("\n{}, in {time}", style::paint(BOLD, format!("{count} proven"))));
        output.next("`cargo xtask migrate` applies them; -v tells what was declared, skipped and noted");
    } else {
        output.line(format!("\n{} of {count} broken, in {time} (seed {})", style::paint(BAD, broken), report.seed));
        output.next("mend the files, then `cargo xtask verify` again with the versions that were broken");
    }
}

/// How a law ended, in a word, and what that rests on.
fn mark(proven: &Proven, law: Law) -> (style::Style, String) {
    let (style, word) = match proven.laws.get(&law) {
        Some(Verdict::Holds) => (GOOD, "holds".to_owned()),
        Some(Verdict::Broken(_)) => (BAD, "BROKEN".to_owned()),
        Some(Verdict::Declared(..)) => (WARN, "declared".to_owned()),
        _ => (DIM, "skipped".to_owned()),
    };
    match proven.rested(law) {
        Some(rests) => (style, format!("{word}, {rests}")),
        None => (style, word),
    }
}

/// The story of a broken law, with the file to blame.
fn tell(context: &Context<'_>, set: &MigrationSet, proven: &Proven, law: Law, story: &Story) {
    let output = context.output;
    output.line(format!("  {}", story.summary));
    for line in story.details() {
        output.line(format!("    {line}"));
    }
    for finding in &story.findings {
        output.line(render(finding));
    }
    if story.findings.is_empty()
        && let Some(migration) = set.get(&proven.version)
    {
        output.line(format!("  {DIM}-->{DIM:#} {}", blame(migration, law).display()));
    }
}

/// The file that has to be mended: nearly always the down.
pub(crate) fn blame(migration: &Migration, law: Law) -> &std::path::Path {
    match (law, migration.down_script()) {
        (Law::Identity | Law::Reapply | Law::Path | Law::Data, Some(down)) => down.path(),
        _ => migration.path(),
    }
}

fn json(report: &Report, seed: u64, findings: &[Finding]) -> VerifyJson {
    let migrations = report.migrations.iter().map(|proven| ProvenJson {
        version: proven.version.to_string(),
        name: proven.name.clone(),
        holds: proven.holds(),
        laws: proven.laws.iter().map(|(law, verdict)| (law.as_str(), law_json(proven, *law, verdict))).collect(),
        rests: RestsJson::from(&proven.rests),
        notes: proven.notes.clone(),
        kept: proven.kept.clone(),
        milliseconds: style::milliseconds(proven.elapsed),
    });
    VerifyJson {
        seed,
        holds: report.holds(),
        milliseconds: style::milliseconds(report.elapsed),
        migrations: migrations.collect(),
        findings: findings.iter().map(FindingJson::from).collect(),
    }
}

impl From<&Rests> for RestsJson {
    fn from(rests: &Rests) -> Self {
        let without = rests.without.iter();
        let without = without.map(|one| WithoutRowsJson { table: one.table.clone(), why: one.why.clone() }).collect();
        Self { tables: rests.tables, with_rows: rests.with_rows(), without }
    }
}

fn law_json(proven: &Proven, law: Law, verdict: &Verdict) -> LawJson {
    let reason = match verdict {
        Verdict::Declared(reason, _) | Verdict::Skipped(reason) => Some(reason.clone()),
        _ => None,
    };
    let story = verdict.story().map(|story| StoryJson {
        summary: story.summary.clone(),
        walk: story.walk.clone(),
        difference: story.difference.clone(),
        losses: story.losses.iter().map(loss_json).collect(),
        rows: story.rows.clone(),
        findings: story.findings.iter().map(|finding: &Finding| FindingJson::from(finding)).collect(),
    });
    LawJson { verdict: verdict.as_str(), rests: proven.rested(law), reason, story }
}

fn loss_json(loss: &migrate_test::Loss) -> LossJson {
    LossJson {
        table: loss.table.clone(),
        column: loss.column.clone(),
        rows: loss.rows,
        of: loss.of,
        example: loss.example.clone(),
        came: loss.came,
    }
}
