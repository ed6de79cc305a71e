//! `verify`: prove that migrations apply, roll back and reapply, with their data.

use std::collections::BTreeSet;
use std::time::Instant;

use migrate_base::codes;
use migrate_base::finding::{Finding, Severity};
use migrate_core::{CodeMigrations, MigrationSet, Version};
use migrate_test::engine::{EngineChain, of_project};
use migrate_test::proof::{self, Law, MigrationProof, Proof, ProofReport, Story, Verdict};
use serde::Serialize;

use crate::checks;
use crate::cli::VerifyArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::invocation::quote;
use crate::output::style::{self, BAD, BOLD, DIM, GOOD, WARN};
use crate::output::{DocumentJson, ErrorJson, FindingJson, TextTable, render};
use crate::released::ReleasedBranch;
use crate::shadow;
use crate::shared_json::RestsJson;

#[derive(Serialize)]
struct VerifyJson {
    seed: u64,
    holds: bool,
    milliseconds: f64,
    migrations: Vec<ProvenMigrationJson>,
    findings: Vec<FindingJson>,
    /// Why the proof could not be completed, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorJson>,
}

#[derive(Serialize)]
struct ProvenMigrationJson {
    version: String,
    name: String,
    holds: bool,
    /// Why the migration does not apply, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<StoryJson>,
    /// Why the proof did not reach the migration, if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreached: Option<String>,
    laws: std::collections::BTreeMap<&'static str, LawJson>,
    rests: RestsJson,
    notes: Vec<String>,
    kept: Vec<String>,
    milliseconds: f64,
}

#[derive(Serialize)]
struct LawJson {
    verdict: &'static str,
    /// The evidence behind a verdict, in words: `37 of 41 tables had rows`.
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
    /// The law whose violation has the same cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    follows: Option<&'static str>,
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

pub(crate) async fn run(context: &Context<'_>, code: CodeMigrations, options: &VerifyArgs) -> Result<Exit> {
    let output = context.output;
    let EngineChain { set, code, .. } = super::run::unless_stopped(shadow::provable(context, code)).await?;
    let only = chosen(context, &set, options)?;
    let count = only.as_ref().map_or(set.up_to(None).len(), BTreeSet::len);
    if context.config.engine.is_some() && options.all && count < set.len() {
        let packages = style::count(set.len() - count, "migration");
        output.remark(format!("{packages} of packages, without a file in this project, applied but not checked"));
    }
    if count == 0 {
        output.line("nothing to prove: every migration is already on the base branch");
        output.next("`cargo xtask verify --all` proves the whole chain");
        output.document(&DocumentJson::new("verify", &context.name, json(&ProofReport::default(), options.seed, &[])));
        return Ok(Exit::Done);
    }
    options.statement_timeout.into_iter().for_each(migrate_test::limit_statements);
    shadow::server(context, true, options.fresh).await?;
    let proof = Proof { only, seed: options.seed, ..checks::how_to_prove(context) };
    let bar = output.bar(count);
    let begin = Instant::now();
    let mut heard: Vec<MigrationProof> = Vec::new();
    let mut hear = |proven: &MigrationProof| {
        bar.step(&proven.version.title(&proven.name));
        tell_proven(context, proven);
        heard.push(proven.clone());
    };
    let outcome = tokio::select! {
        outcome = proof::prove(&set, &code, &proof, &mut hear) => outcome.map_err(Failure::from),
        () = super::run::asked_to_stop() => {
            Err(Failure::failed(codes::INTERRUPTED, "interrupted before the proof was complete"))
        }
    };
    bar.end();
    let (report, failure) = match outcome {
        Ok(report) => (report, None),
        Err(failure) if heard.is_empty() => return Err(failure),
        // What was proven until then stays proven.
        Err(failure) => {
            let failure = broke_off(failure, heard.len(), count);
            let mut report = ProofReport::default();
            (report.migrations, report.seed, report.elapsed) = (heard, options.seed, begin.elapsed());
            (report, Some(failure))
        }
    };
    let mut findings: Vec<Finding> =
        report.migrations.iter().flat_map(|proven| checks::faults(context, &set, proven)).collect();
    let without_rows = checks::without_rows(context, &set, &report);
    let refused = without_rows.iter().any(|finding| finding.severity == Severity::Error);
    let mut others: Vec<Finding> =
        report.migrations.iter().filter_map(|proven| checks::fragile(context, &set, proven)).collect();
    others.extend(without_rows);
    show(context, &set, &report, &others);
    close(context, &report, options, SummaryFlags { broke_off: failure.is_some(), refused });
    findings.extend(others);
    let mut document = json(&report, options.seed, &findings);
    document.holds &= !refused;
    if let Some(failure) = &failure {
        document.holds = false;
        document.error = Some(ErrorJson::from(failure));
        if !output.is_json() {
            output.failure(failure);
        }
    }
    output.document(&DocumentJson::new("verify", &context.name, document));
    Ok(match failure {
        Some(failure) => failure.exit(),
        None if report.holds() && !refused => Exit::Done,
        None => Exit::Found,
    })
}

/// Reports the result for a migration as a JSON event, as soon as it is known.
pub(super) fn tell_proven(context: &Context<'_>, proven: &MigrationProof) {
    #[derive(Serialize)]
    struct ProvenEventJson {
        migration: ProvenMigrationJson,
    }
    context.output.event("proven", ProvenEventJson { migration: proven_json(proven) });
}

/// The failure, with what was done before it.
fn broke_off(failure: Failure, proven: usize, of: usize) -> Failure {
    let done =
        format!("{proven} of {} were checked before that; their results are above", style::count(of, "migration"));
    match failure {
        Failure::Core(error) => Failure::Core(error.note(done)),
        other => other.help(format!("run `cargo xtask verify` again; {done}")),
    }
}

/// The migrations to prove: the named ones, all, or those that are not yet on the base branch.
fn chosen(context: &Context<'_>, set: &MigrationSet, options: &VerifyArgs) -> Result<Option<BTreeSet<Version>>> {
    let all = || context.config.engine.is_some().then(|| of_project(&context.config, set));
    if options.all {
        return Ok(all());
    }
    if !options.versions.is_empty() {
        if let Some(unknown) = options.versions.iter().find(|version| set.get(version).is_none()) {
            let message = format!("there is no migration {unknown} in {}", context.migrations.display());
            return Err(Failure::usage(codes::NO_MIGRATION, message).help("`cargo xtask status` lists the migrations"));
        }
        return Ok(Some(options.versions.iter().cloned().collect()));
    }
    let released = ReleasedBranch::of_chain(context, set, options.base.as_deref())?;
    let new = released.ok().map(|released| released.new_versions(set));
    Ok(match (new, all()) {
        (Some(new), Some(own)) => Some(new.intersection(&own).cloned().collect()),
        (new, own) => new.or(own),
    })
}

fn show(context: &Context<'_>, set: &MigrationSet, report: &ProofReport, findings: &[Finding]) {
    let output = context.output;
    let mut table = TextTable::default();
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
        let title = proven.version.title(&proven.name);
        for (fault, finding) in proven.faults().iter().zip(checks::faults(context, set, proven)) {
            let what = fault.title();
            let what = style::paint(BAD, what.split(": ").next().unwrap_or_default());
            output.wrong(format!("\n{what}: {}", style::paint(BOLD, &title)));
            output.wrong(render(&finding));
        }
        for law in Law::ALL {
            match proven.laws.get(&law) {
                Some(Verdict::Declared(reason, story)) if output.verbose => {
                    output.line(format!(
                        "\n{}: {title}: {reason}",
                        style::paint(WARN, format!("{law} is declared not to hold"))
                    ));
                    tell(context, set, proven, law, story);
                }
                Some(Verdict::Skipped(why)) if output.verbose && proven.unreached.is_none() => {
                    output.line(format!("{DIM}{title}: {law} was not checked: {why}{DIM:#}"));
                }
                _ => {}
            }
        }
        for note in proven.notes.iter().filter(|_| output.verbose) {
            output.line(format!("{DIM}{title}: {note}{DIM:#}"));
        }
        for url in &proven.kept {
            output.line(format!("  {DIM}the database is kept for 30 minutes: psql '{url}'{DIM:#}"));
        }
    }
    for finding in findings {
        output.wrong(format!("\n{}", render(finding)));
    }
}

/// What else the last lines depend on: whether the proof is incomplete, and whether `[policy]` refuses tables without
/// rows.
struct SummaryFlags {
    broke_off: bool,
    refused: bool,
}

/// Shows the summary line and the next step.
fn close(
    context: &Context<'_>,
    report: &ProofReport,
    options: &VerifyArgs,
    SummaryFlags { broke_off, refused }: SummaryFlags,
) {
    let output = context.output;
    let unreached = report.unreached();
    if let Some(why) = report.migrations.iter().find_map(|proven| proven.unreached.as_ref()) {
        output.line(format!("\n{} after it not checked: {why}", style::count(unreached, "migration")));
    }
    let broken = report.migrations.iter().filter(|proven| !proven.holds()).count() - unreached;
    let count = style::count(report.migrations.len(), "migration");
    let time = style::time(report.elapsed);
    match broken {
        0 if refused => {
            let what = style::paint(BAD, "not proven with rows in all tables");
            output.line(format!("\n{count} {what}, as [policy] requires, in {time}"));
        }
        0 => output.line(format!("\n{}, in {time}", style::paint(BOLD, format!("{count} proven")))),
        _ => {
            output.line(format!("\n{} of {count} broken, in {time} (seed {})", style::paint(BAD, broken), report.seed));
        }
    }
    match broken {
        _ if broke_off => {}
        0 if refused => output.next("provide rows for the tables above, or change `rows` in [policy]"),
        0 => {
            let them = if report.migrations.len() == 1 { "it" } else { "them" };
            // Those that are named, or all, may be applied already.
            let is_new = options.versions.is_empty() && !options.all && context.config.engine.is_none();
            let applies = is_new.then(|| format!("`cargo xtask migrate` applies {them}"));
            let command = again(options);
            let shows = format!("`{command} -v` also shows declarations, skipped laws and notes");
            let steps: Vec<String> = applies.into_iter().chain((!output.verbose).then_some(shows)).collect();
            if !steps.is_empty() {
                output.next(steps.join("; "));
            }
        }
        _ => output.next(format!("fix the files, then run `{}` again", again(options))),
    }
}

/// The command that proves the same migrations again.
fn again(options: &VerifyArgs) -> String {
    let mut command = "cargo xtask verify".to_owned();
    command.extend(options.versions.iter().map(|version| format!(" {version}")));
    command.extend(options.all.then_some(" --all".to_owned()));
    command.extend(options.base.iter().map(|base| format!(" --base {}", quote(base))));
    command
}

/// The verdict of a law in one word, with its evidence.
fn mark(proven: &MigrationProof, law: Law) -> (style::MarkedStyle, String) {
    let (style, word) = match proven.laws.get(&law) {
        Some(Verdict::Holds) => (GOOD, "holds".to_owned()),
        Some(Verdict::Broken(_)) => (BAD, "BROKEN".to_owned()),
        Some(Verdict::Declared(..)) => (WARN, "declared".to_owned()),
        _ if proven.failure.is_some() && law == Law::Identity => (BAD, "UP FAILS".to_owned()),
        _ => (DIM, "skipped".to_owned()),
    };
    match proven.rested(law) {
        Some(rests) => (style, format!("{word}, {rests}")),
        None => (style, word),
    }
}

/// Explains a broken law, and names the file that is at fault.
fn tell(context: &Context<'_>, set: &MigrationSet, proven: &MigrationProof, law: Law, story: &Story) {
    let output = context.output;
    output.quoted(format!("  {}", story.summary));
    for line in story.details() {
        output.quoted(format!("    {line}"));
    }
    for finding in &story.findings {
        output.quoted(render(finding));
    }
    if story.findings.is_empty()
        && let Some(migration) = set.get(&proven.version)
    {
        output.line(format!("  {DIM}-->{DIM:#} {}", checks::blame(migration, law).display()));
    }
}

fn json(report: &ProofReport, seed: u64, findings: &[Finding]) -> VerifyJson {
    VerifyJson {
        seed,
        holds: report.holds(),
        milliseconds: style::milliseconds(report.elapsed),
        migrations: report.migrations.iter().map(proven_json).collect(),
        findings: findings.iter().map(FindingJson::from).collect(),
        error: None,
    }
}

fn proven_json(proven: &MigrationProof) -> ProvenMigrationJson {
    ProvenMigrationJson {
        version: proven.version.to_string(),
        name: proven.name.clone(),
        holds: proven.holds(),
        failure: proven.failure.as_deref().map(story_json),
        unreached: proven.unreached.clone(),
        laws: proven.laws.iter().map(|(law, verdict)| (law.as_str(), law_json(proven, *law, verdict))).collect(),
        rests: RestsJson::from(&proven.rests),
        notes: proven.notes.clone(),
        kept: proven.kept.clone(),
        milliseconds: style::milliseconds(proven.elapsed),
    }
}

fn law_json(proven: &MigrationProof, law: Law, verdict: &Verdict) -> LawJson {
    let reason = match verdict {
        Verdict::Declared(reason, _) | Verdict::Skipped(reason) => Some(reason.clone()),
        _ => None,
    };
    let story = verdict.story().map(story_json);
    LawJson { verdict: verdict.as_str(), rests: proven.rested(law), reason, story }
}

fn story_json(story: &Story) -> StoryJson {
    StoryJson {
        summary: story.summary.clone(),
        follows: story.follows.map(Law::as_str),
        walk: story.walk.clone(),
        difference: story.difference.clone(),
        losses: story.losses.iter().map(loss_json).collect(),
        rows: story.rows.clone(),
        findings: story.findings.iter().map(|finding: &Finding| FindingJson::from(finding)).collect(),
    }
}

fn loss_json(loss: &migrate_test::RowLoss) -> LossJson {
    LossJson {
        table: loss.table.clone(),
        column: loss.column.clone(),
        rows: loss.rows,
        of: loss.of,
        example: loss.example.clone(),
        came: loss.came,
    }
}
