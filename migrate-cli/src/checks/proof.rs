//! `proof`: check the five laws for each new migration.

use std::collections::BTreeSet;

use migrate_base::codes::{self, Code};
use migrate_base::finding::{Finding, Place, Severity};
use migrate_core::{Direction, ErrorKind, Layout, Migration, MigrationSet};
use migrate_review::config::RowsWanted;
use migrate_test::proof::{self, Law, MigrationProof, Proof, ProofFault, ProofReport, Story, Verdict};

use super::{CheckInput, Clock};
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::style;
use crate::report::CheckResult;
use crate::shadow;

/// Proves the new migrations; the report has the result for each.
///
/// # Errors
///
/// The connection to the server was lost before anything was proven.
pub(crate) async fn proof(
    ground: &CheckInput<'_>,
    hear: &mut dyn FnMut(&MigrationProof),
) -> Result<(CheckResult, ProofReport)> {
    let clock = Clock::start("proof");
    let Ok(set) = &ground.set else {
        return Ok((clock.skipped("the files cannot be read as migrations"), ProofReport::default()));
    };
    if ground.new.is_empty() {
        return Ok((clock.done("no new migrations", Vec::new()), ProofReport::default()));
    }
    let options = Proof { only: Some(ground.new.clone()), keep: false, ..how_to_prove(ground.context) };
    // What was proven before the server was lost is still reported.
    let mut heard: Vec<MigrationProof> = Vec::new();
    let mut both = |proven: &MigrationProof| {
        hear(proven);
        heard.push(proven.clone());
    };
    let outcome = proof::prove(set, &ground.code, &options, &mut both).await;
    let (report, lost) = match outcome {
        Ok(report) => (report, None),
        Err(proof::ProofError::Core(error)) if matches!(error.kind(), ErrorKind::Statement | ErrorKind::Code) => {
            let findings = error.findings().to_vec();
            return Ok((
                clock.done("the migrations before the new ones do not apply", findings),
                ProofReport::default(),
            ));
        }
        Err(error) => {
            let mut report = ProofReport::default();
            report.migrations = heard;
            (report, Some(Failure::from(error)))
        }
    };
    let (summary, findings) = (summary(ground.new.len(), &report), found(ground.context, set, &report));
    let check = match lost {
        Some(failure) => clock.lost(&summary, findings, &failure.findings()),
        None => clock.done(summary, findings),
    };
    Ok((check, report))
}

/// How thoroughly to prove. Each step of another tool starts a program, so it is walked only once.
pub(crate) fn how_to_prove(context: &Context<'_>) -> Proof {
    let usual = Proof::default();
    Proof { walks: if context.config.engine.is_some() { 1 } else { usual.walks }, ..usual }
}

/// The check if it was interrupted after this much was proven.
pub(crate) fn proof_until(ground: &CheckInput<'_>, report: &ProofReport, why: Finding) -> CheckResult {
    let findings = ground.set.as_ref().map(|set| found(ground.context, set, report)).unwrap_or_default();
    Clock::start("proof").lost(&summary(ground.new.len(), report), findings, &[why])
}

fn summary(new: usize, report: &ProofReport) -> String {
    let holds = report.migrations.iter().filter(|proven| proven.holds()).count();
    let summary = format!("{holds} of {} proven", style::count(new, "new migration"));
    match report.migrations.iter().find_map(|proven| proven.unreached.as_ref()) {
        Some(why) => format!("{summary}; {} not checked: {why}", report.unreached()),
        None => summary,
    }
}

/// All findings of a proof.
fn found(context: &Context<'_>, set: &MigrationSet, report: &ProofReport) -> Vec<Finding> {
    let one = |proven: &MigrationProof| {
        faults(context, set, proven)
            .into_iter()
            .chain(up_only(set, proven))
            .chain(fragile(context, set, proven))
            .map(|finding| match finding.severity {
                Severity::Error => {
                    finding.help(format!("`cargo xtask verify {}` shows it, and keeps the database", proven.version))
                }
                _ => finding,
            })
            .collect::<Vec<_>>()
    };
    let mut findings: Vec<Finding> = report.migrations.iter().flat_map(one).collect();
    findings.extend(without_rows(context, set, report));
    findings
}

/// The tables without rows, each reported once, with the first migration that was proven without rows in it.
pub(crate) fn without_rows(context: &Context<'_>, set: &MigrationSet, report: &ProofReport) -> Vec<Finding> {
    let mut named = BTreeSet::new();
    let mut findings = Vec::new();
    for proven in &report.migrations {
        let new: Vec<_> = proven.rests.without.iter().filter(|one| named.insert(one.table.clone())).collect();
        let Some(migration) = set.get(&proven.version).filter(|_| !new.is_empty()) else { continue };
        let words = proven.rests.words().unwrap_or_default();
        let message = match proven.laws.get(&Law::Data) {
            Some(Verdict::Skipped(_)) => format!("the data law was not checked, and only {words}"),
            _ => format!("the data law was checked, but only {words}"),
        };
        let finding = match context.config.policy.rows {
            RowsWanted::All => Finding::new(codes::TABLES_WITHOUT_ROWS, message),
            RowsWanted::Any => Finding::new(codes::TABLES_WITHOUT_ROWS, message).with_severity(Severity::Warning),
        };
        let finding = new.iter().map(ToString::to_string).fold(finding, Finding::note);
        let finding = finding.at(Place::file(migration.path()));
        findings.push(match fixture(context, migration) {
            Some(file) => {
                finding.help(format!("write rows for them into {file}, which the proof runs before the up script"))
            }
            None => finding,
        });
    }
    findings
}

/// The file for rows that must exist before a migration; folders of other tools have none.
fn fixture(context: &Context<'_>, migration: &Migration) -> Option<String> {
    let path = migration.path().to_str()?;
    let stem = path.strip_suffix(".up.sql").filter(|_| context.layout == Layout::Roundtrip)?;
    Some(format!("{stem}.fixture.sql"))
}

/// What is wrong with a migration, one finding for each cause.
pub(crate) fn faults(context: &Context<'_>, set: &MigrationSet, proven: &MigrationProof) -> Vec<Finding> {
    let judge = ProofJudge { migration: set.get(&proven.version).map(|migration| &**migration), proven, context };
    proven.faults().iter().map(|fault| judge.finding(fault)).collect()
}

/// A note that a migration without a down script could have one. Nothing declares that it has one, so it is not an
/// error.
fn up_only(set: &MigrationSet, proven: &MigrationProof) -> Option<Finding> {
    let migration = set.get(&proven.version).filter(|migration| migration.is_up_only())?;
    proven.notes.iter().any(|note| note == proof::COULD_HAVE_ONE).then_some(())?;
    let finding = Finding::new(codes::UP_ONLY, format!("{}: {}", title(proven), proof::COULD_HAVE_ONE));
    Some(finding.with_severity(Severity::Note).at(Place::file(migration.path())))
}

/// A warning that a down script fails on values that the up script accepts: with such a value, it cannot be rolled
/// back.
pub(crate) fn fragile(context: &Context<'_>, set: &MigrationSet, proven: &MigrationProof) -> Option<Finding> {
    let story = proven.fragile.as_deref()?;
    let judge = ProofJudge { migration: set.get(&proven.version).map(|migration| &**migration), proven, context };
    let told = judge.script(story, Direction::Down);
    let why = story.findings.first().map(|said| format!(": {}", said.message)).unwrap_or_default();
    let message = format!("the down script of {} fails on values that the up script accepts{why}", title(proven));
    let mut finding = Finding::new(codes::DOWN_FAILS_ON_VALUES, message);
    (finding.place, finding.notes, finding.help) = (told.place, told.notes, told.help);
    Some(finding.note("it runs with other values, and all laws were checked with those"))
}

fn title(proven: &MigrationProof) -> String {
    proven.version.title(&proven.name)
}

/// One migration, and the result of its proof.
struct ProofJudge<'a> {
    migration: Option<&'a Migration>,
    proven: &'a MigrationProof,
    context: &'a Context<'a>,
}

impl ProofJudge<'_> {
    fn finding(&self, fault: &ProofFault<'_>) -> Finding {
        let overdue = fault.story.findings.iter().find(|finding| finding.code == codes::REHEARSAL_TIMEOUT);
        if let Some(finding) = overdue {
            return finding.clone();
        }
        let finding = match fault.story.fails {
            Some(direction) => self.script(fault.story, direction),
            None => self.law(fault),
        };
        let also = fault.also.iter().map(|(law, story)| {
            let said = story.findings.first().map(|finding| format!(": {}", finding.message)).unwrap_or_default();
            format!("the {law} law is broken for the same reason: {}{said}", story.summary)
        });
        let finding = also.fold(finding, Finding::note);
        match self.can_be_derived(fault) {
            true => {
                let version = &self.proven.version;
                finding.help(format!("`cargo xtask derive {version} --dry-run` derives a down script and proves it"))
            }
            false => finding,
        }
    }

    /// A script that the server refused, with its message and the place.
    fn script(&self, story: &Story, direction: Direction) -> Finding {
        let title = title(self.proven);
        let said = story.findings.first();
        let why = said.map_or_else(|| story.summary.clone(), |said| said.message.clone());
        let (code, what) = match (direction, self.is_code()) {
            (Direction::Up, false) => (codes::UP_FAILS, format!("the up script of {title} fails")),
            (Direction::Up, true) => (codes::UP_FAILS, format!("{title} cannot be applied")),
            (Direction::Down, false) => (codes::DOWN_FAILS, format!("the down script of {title} fails")),
            (Direction::Down, true) => (codes::DOWN_FAILS, format!("{title} cannot be rolled back")),
        };
        let finding = Finding::new(code, format!("{what}: {why}"));
        let finding = match (direction, self.is_code()) {
            (Direction::Down, true) => {
                let declaration = self.declaration("irreversible");
                finding.help(format!("if it is not meant to be rolled back, put `{declaration}` into its file"))
            }
            _ => finding,
        };
        let Some(said) = said else { return finding.at(self.file(None)) };
        let finding = finding.at(said.place.clone().or_else(|| self.file(None))).note(story.summary.clone());
        // Notes about what a run would have kept do not apply to a proof.
        let notes = said.notes.iter().filter(|note| !shadow::is_about_kept(note));
        let finding = notes.fold(finding, Finding::note);
        said.help.iter().fold(finding, Finding::help)
    }

    /// Whether the migration is not written in SQL.
    fn is_code(&self) -> bool {
        self.migration.is_some_and(|migration| migration.language().is_some())
    }

    /// The comment that declares a limit of the migration, in its language.
    fn declaration(&self, limit: &str) -> String {
        let is_sql =
            self.migration.is_some_and(|one| one.path().extension().is_none_or(|end| end == "sql" || end == "up"));
        let mark = match self.migration.and_then(Migration::language) {
            _ if is_sql => "--",
            None => "--",
            Some("Python" | "Ruby" | "Elixir") => "#",
            Some(_) => "//",
        };
        format!("{mark} migrate: {limit} REASON")
    }

    fn law(&self, fault: &ProofFault<'_>) -> Finding {
        let (story, law) = (fault.story, fault.law.unwrap_or(Law::Identity));
        let finding = Finding::new(code(law), story.summary.clone());
        let claim = match law {
            Law::Reapply if self.proven.version.is_repeatable() => "a second run must give the same schema",
            Law::Data if self.proven.version.is_repeatable() => "a second run must not lose or change rows",
            _ => law.claim(),
        };
        let finding = finding.note(format!("the law that {} breaks: {claim}", title(self.proven)));
        // A statement that the server refused has its own place.
        let place = story.findings.iter().find_map(|finding| finding.place.clone());
        let finding = finding.at(place.or_else(|| self.file(fault.law)));
        let details = story.details();
        let finding = details.iter().take(MOST_DETAILS).fold(finding, Finding::note);
        let finding = match details.len().saturating_sub(MOST_DETAILS) {
            0 => finding,
            more => finding.note(format!("and {more} more; `cargo xtask verify --format json` shows all")),
        };
        let finding = story.findings.iter().map(|finding| finding.message.clone()).fold(finding, Finding::note);
        let is_lost = story.losses.iter().any(|loss| !loss.came);
        match law {
            Law::Data if self.proven.version.is_repeatable() => finding
                .note("a repeatable migration runs again whenever it changes, with the rows that are there then")
                .help("write it so that it can: `INSERT … ON CONFLICT`, `WHERE` without rows that were changed already")
                .help("if these rows may be lost or changed, put `-- migrate: lossy REASON` at its head"),
            _ if self.proven.version.is_repeatable() => finding
                .note("a repeatable migration runs again whenever it changes")
                .help("write it so that it can: `CREATE OR REPLACE`, `DROP … IF EXISTS`, `INSERT … ON CONFLICT`"),
            Law::Data if is_lost => {
                let declaration = self.declaration("lossy");
                let place = if self.is_code() { "into its file" } else { "at the head of the up script" };
                finding.help(format!("if this data may be lost, put `{declaration}` {place}"))
            }
            Law::Data if !story.losses.is_empty() => {
                finding.help("make the down script remove the rows that the up script adds")
            }
            _ => finding,
        }
    }

    /// Whether a derived down script can be the solution: the fault is in the schema, and only in the down script.
    fn can_be_derived(&self, fault: &ProofFault<'_>) -> bool {
        let story = fault.story;
        let is_of_schema = story.is_of_schema || story.fails == Some(Direction::Down);
        let is_ours = self.context.layout == Layout::Roundtrip;
        let is_sql = self.migration.is_some_and(|migration| migration.up_script().is_some());
        fault.law == Some(Law::Identity) && is_of_schema && is_ours && is_sql
    }

    fn file(&self, law: Option<Law>) -> Option<Place> {
        let path = |migration: &Migration| law.map_or(migration.path(), |law| blame(migration, law)).to_owned();
        self.migration.map(|migration| Place::file(path(migration)))
    }
}

/// How many lines of a story are shown at most.
const MOST_DETAILS: usize = 20;

fn code(law: Law) -> Code {
    match law {
        Law::Identity => codes::LAW_IDENTITY,
        Law::Reapply => codes::LAW_REAPPLY,
        Law::Path => codes::LAW_PATH,
        Law::Data => codes::LAW_DATA,
        Law::Declared => codes::LAW_DECLARED,
    }
}

/// The file to fix: nearly always the down script; if a declaration is wrong, the file with the directive.
pub(crate) fn blame(migration: &Migration, law: Law) -> &std::path::Path {
    match (law, migration.down_script()) {
        (Law::Declared, Some(down)) if down.directives().lossy.is_some() => down.path(),
        (Law::Identity | Law::Reapply | Law::Path | Law::Data, Some(down)) => down.path(),
        _ => migration.path(),
    }
}
