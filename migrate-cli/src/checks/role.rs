//! `role`: apply all migrations to an empty database, roll all of them back and reapply them, as an owner who is not a
//! superuser.

use std::collections::BTreeSet;

use migrate_base::codes::{self, Code};
use migrate_base::finding::{Finding, Severity};
use migrate_core::{Direction, Migration};
use migrate_test::owner::{MigrationRefusal, OwnerReport, as_owner};
use migrate_test::proof::{MigrationProof, ProofReport};

use super::{CheckInput, Clock, could_not_look};
use crate::exit::Result;
use crate::output::style;
use crate::report::CheckResult;

/// Runs the whole chain as the owner of its database.
///
/// # Errors
///
/// The connection to the server is lost.
pub(crate) async fn role(ground: &CheckInput<'_>) -> Result<CheckResult> {
    let clock = Clock::start("role");
    let Ok(set) = &ground.set else { return Ok(clock.skipped("the files cannot be read as migrations")) };
    // The released migrations that have no new one before them.
    let settled = set.iter().take_while(|migration| !ground.new.contains(migration.version())).count();
    let owned = match as_owner(set, settled, &ground.code).await {
        Ok(owned) => owned,
        // Another server need not let us create roles.
        Err(migrate_test::proof::ProofError::Core(error)) if error.sqlstate() == Some("42501") => {
            return Ok(clock.skipped("the connecting role may not create roles"));
        }
        Err(error) => return Err(error.into()),
    };
    let mut findings: Vec<Finding> =
        owned.refused.iter().map(|one| refused(ground, set.get(&one.version).map(|one| &**one), one)).collect();
    findings.extend(owned.failed.iter().map(|one| {
        let why = what_fails(one);
        let why = one.error.findings().first().map_or(why.clone(), |said| format!("{why}: {}", said.message));
        let mut finding = could_not_look("role", &why, &one.error);
        finding.message = format!("role is not completed: {why}");
        // A released migration can no longer be changed, and its down script may never run.
        let is_old = one.direction == Direction::Down && !ground.new.contains(&one.version);
        let severity = if is_old { Severity::Warning } else { finding.severity };
        finding.with_severity(severity)
    }));
    findings.extend(differs(
        codes::LEFT_BEHIND,
        "after all migrations are rolled back, something is left",
        &owned.left,
    ));
    findings.extend(differs(
        codes::REAPPLIED_DIFFERS,
        "after all migrations are reapplied, the schema differs from the first time",
        &owned.different,
    ));
    Ok(clock.done(summary(set.len(), &owned), findings))
}

fn summary(count: usize, owned: &OwnerReport) -> String {
    let rolled = match owned.rolled_back {
        0 => "none can be rolled back".to_owned(),
        back if back == count => "all rolled back and reapplied".to_owned(),
        back => format!("the last {back} rolled back and reapplied"),
    };
    match &owned.failed {
        Some(failed) => {
            format!("not completed: {}", what_fails(failed))
        }
        None => {
            let applied = style::count(owned.applied, "migration");
            let roles = match owned.needs_roles.len() {
                0 => String::new(),
                needing => format!(", who has to create roles or be a member of roles for {needing} of them"),
            };
            let before = match owned.before {
                0 => String::new(),
                before => format!(" ({} of them in an earlier run)", before),
            };
            format!("{applied} applied by an owner who is not a superuser{roles}, {rolled}{before}")
        }
    }
}

/// What an owner could not do, whatever the rights.
fn what_fails(failed: &MigrationRefusal) -> String {
    match failed.again {
        true => format!("{} cannot be reapplied", failed.version),
        false => format!("the {} script of {} fails", failed.direction.as_str(), failed.version),
    }
}

/// Drops findings that come only from a broken down script of a new migration, because the proof already reports them.
pub(crate) fn of_broken_downs(check: &mut CheckResult, report: &ProofReport) {
    let object = |line: &String| line.split(": ").next().unwrap_or_default().to_owned();
    let faults = report.migrations.iter().flat_map(MigrationProof::faults);
    let stories =
        faults.flat_map(|fault| fault.also.iter().map(|(_, story)| *story).chain([fault.story]).collect::<Vec<_>>());
    let known: BTreeSet<String> = stories.flat_map(|story| story.difference.iter().map(object)).collect();
    let is_known = |finding: &Finding| {
        matches!(finding.code, codes::LEFT_BEHIND | codes::REAPPLIED_DIFFERS)
            && finding.notes.iter().all(|note| known.contains(&object(note)))
    };
    let before = check.findings.len();
    check.findings.retain(|finding| !is_known(finding));
    if check.findings.len() < before {
        check.summary += "; what is left is reported by the proof";
    }
    for finding in check.findings.iter_mut().filter(|finding| finding.notes.len() > MOST_LINES) {
        let more = finding.notes.split_off(MOST_LINES).len();
        finding.notes.push(format!("and {more} more"));
    }
}

/// How many differences are shown at most.
const MOST_LINES: usize = 20;

/// The finding for a statement that only a superuser may run. If the file gives a reason, it is a note.
fn refused(ground: &CheckInput<'_>, migration: Option<&Migration>, refusal: &MigrationRefusal) -> Finding {
    let said = refusal.error.findings().first();
    let message = said.map_or_else(String::new, |finding| finding.message.clone());
    let place = said.and_then(|finding| finding.place.clone());
    let script = migration.and_then(|migration| match refusal.direction {
        Direction::Up => migration.up_script(),
        Direction::Down => migration.down_script(),
    });
    let reason = script
        .and_then(|script| script.directives().allow.iter().find(|(rule, _)| codes::NEEDS_SUPERUSER == rule.as_str()));
    let is_old = !ground.new.contains(&refusal.version);
    let severity = match (reason, is_old) {
        (Some(_), _) => Severity::Note,
        // A released migration can no longer be changed.
        (None, true) => Severity::Warning,
        (None, false) => Severity::Error,
    };
    let finding = Finding::new(codes::NEEDS_SUPERUSER, format!("only a superuser may do this: {message}")).at(place);
    let finding = finding.with_severity(severity);
    match reason {
        Some((_, reason)) => finding.note(format!("allowed: {reason}")),
        None => finding
            .note("it was run here by the owner of the database, as it will be in production")
            .help("have a superuser do it beforehand, or use a way that is open to the owner")
            .help("or put `-- migrate: allow needs-superuser REASON` at the head of the file"),
    }
}

fn differs(code: Code, message: &str, difference: &[String]) -> Option<Finding> {
    if difference.is_empty() {
        return None;
    }
    let finding = difference.iter().fold(Finding::new(code, message), |finding, line| finding.note(line));
    Some(finding.help("`cargo xtask verify --all` shows which migration causes it"))
}
