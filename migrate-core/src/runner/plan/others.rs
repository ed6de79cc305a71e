//! The findings about the ledgers of other tools: what they applied must not run again.

use std::collections::BTreeSet;

use migrate_base::codes;
use migrate_base::finding::Finding;
use migrate_base::ident::{QualifiedName, plain};

use super::state::{AdoptedLedger, LedgerState};
use crate::foreign::{ForeignLedger, ForeignRow, ForeignTool, UnreadableCause, UnreadableRows};
use crate::ledger::LedgerEvent;
use crate::source::{MigrationSet, Version};

/// How many words one sentence lists.
const SHOWN: usize = 5;

/// The problems with the ledgers of other tools that were found.
pub(in crate::runner) fn problems(set: &MigrationSet, state: &LedgerState) -> Vec<Finding> {
    let of = |ledger: &ForeignLedger| match (&ledger.rows, state.adopted()) {
        // Another ledger is of interest only for what it says about pending migrations.
        (Err(_), None) if state.newest() > 0 => Vec::new(),
        (Err(why), _) => vec![unreadable(ledger, why)],
        (Ok(_), None) if state.newest() > 0 => applied_elsewhere(set, state, ledger).into_iter().collect(),
        (Ok(_), None) => vec![not_adopted(ledger)],
        (Ok(_), Some(adopted)) => moved_on(set, state, ledger, adopted),
    };
    state.others().iter().flat_map(of).collect()
}

/// A migration of another tool, as its ledger names it.
fn named(row: &ForeignRow) -> String {
    match row.name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => format!("{} ({name})", row.key),
        None => row.key.clone(),
    }
}

fn not_adopted(ledger: &ForeignLedger) -> Finding {
    let tool = ledger.tool.name();
    let (applied, failed) = (ledger.applied().count(), ledger.failed().count());
    let message = match (applied, ledger.tool.has_only_newest()) {
        (0, _) => format!("a migration of {tool} failed in this database"),
        (_, true) => format!("{tool} applied migrations to this database, and this ledger has none of them"),
        (1, _) => format!("{tool} applied 1 migration to this database, and this ledger does not have it"),
        (n, _) => format!("{tool} applied {n} migrations to this database, and this ledger has none of them"),
    };
    let place = format!("its ledger is {}", ledger.table.plain());
    let newest = ledger.applied().last().map(|row| format!("; the newest is {}", named(row)));
    let finding = Finding::new(codes::OTHER_LEDGER, message).note(place + &newest.unwrap_or_default());
    let finding = match failed {
        0 => finding,
        _ => finding.note(format!("failed: {}", list(ledger.failed().map(named)))),
    };
    finding
        .note("without it, every migration would run a second time")
        .help("`cargo xtask adopt` compares it with the files and the schema, and takes it over")
        .help(belongs_elsewhere(&ledger.table))
}

/// The other tool ran while its ledger was being compared.
pub(in crate::runner) fn stale(ledger: &ForeignLedger) -> Finding {
    let tool = ledger.tool.name();
    Finding::new(codes::STALE_PLAN, format!("the ledger of {tool} changed while it was being compared"))
        .note("nothing was recorded")
        .help(format!("wait until {tool} has finished, then run this again"))
}

/// What to do if a ledger says nothing about this chain.
fn belongs_elsewhere(name: &QualifiedName) -> String {
    let name = name.plain();
    // A literal string of TOML, if the name itself has quotes.
    let quote = if name.contains('"') { '\'' } else { '"' };
    format!(
        "does it belong to another application? then name it in the environment: \
         `other_ledgers = [{quote}{name}{quote}]`"
    )
}

/// The finding for a ledger whose rows are not known.
pub(in crate::runner) fn unreadable(ledger: &ForeignLedger, rows: &UnreadableRows) -> Finding {
    let (tool, name) = (ledger.tool.name(), ledger.table.plain());
    let finding = Finding::new(
        codes::OTHER_LEDGER_UNREADABLE,
        format!("this database has a ledger of {tool}, {name}, which cannot be read"),
    );
    let finding = finding.note(&rows.why).note("what it applied would run a second time");
    let (schema, role) = (plain(ledger.table.schema()), plain(&rows.role));
    let finding = finding.help(match rows.cause {
        UnreadableCause::Forbidden => {
            format!("let the role read it: GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON {name} TO {role};")
        }
        UnreadableCause::Locked => "wait until the other session has finished, then run this again".to_owned(),
        UnreadableCause::Other => {
            format!("is it really the ledger of {tool}? its columns are not as {tool} makes them")
        }
    });
    finding.help(belongs_elsewhere(&ledger.table))
}

/// What the other tool applied or rolled back after its ledger was adopted. Files do not matter: what was taken over is
/// known by what the tool identifies it by.
fn moved_on(set: &MigrationSet, state: &LedgerState, ledger: &ForeignLedger, adopted: &AdoptedLedger) -> Vec<Finding> {
    let (new, gone) = (newly_applied(set, state, ledger, adopted), reverted(ledger, state, adopted));
    let tool = adopted.tool.name();
    let finding = |what: String| {
        Finding::new(codes::OTHER_LEDGER_MOVED, what)
            .note(format!("its ledger is {}", adopted.table.plain()))
            .help("`cargo xtask adopt` compares the schema again, and takes this over as well")
    };
    let mut findings = Vec::new();
    if !new.is_empty() {
        let what = list(new.into_iter().map(named));
        findings.push(finding(format!("{tool} applied more migrations after its ledger was adopted: {what}")));
    }
    if !gone.is_empty() {
        let what = list(gone.iter().map(|version| version.to_string()));
        findings.push(finding(format!("{tool} rolled back migrations after its ledger was adopted: {what}")));
    }
    findings.extend(ledger.failed().next().map(|row| {
        let finding = Finding::new(codes::OTHER_LEDGER_MOVED, format!("a migration of {tool} failed: {}", named(row)));
        finding
            .note(format!("its ledger is {}", adopted.table.plain()))
            .help(format!("repair it with {}", with_command(adopted.tool)))
    }));
    findings
}

/// A tool, with its command that shows or repairs a failed state.
pub(in crate::runner) fn with_command(tool: &ForeignTool) -> String {
    match tool.repair() {
        "" => tool.name().to_owned(),
        command => format!("{}: `{command}`", tool.name()),
    }
}

/// The pending migrations that another tool applied, in a database whose ledger was not adopted.
fn applied_elsewhere(set: &MigrationSet, state: &LedgerState, ledger: &ForeignLedger) -> Option<Finding> {
    let matched = ledger.matched(set);
    // A repeatable migration may run a second time.
    let is_pending =
        |version: &Version| !version.is_repeatable() && state.get(version).is_none() && !state.was_rolled_back(version);
    let both: Vec<String> = matched
        .applied
        .iter()
        .filter(|(migration, _)| is_pending(migration.version()))
        .map(|(migration, _)| migration.version().title(migration.name()))
        .collect();
    let tool = ledger.tool.name();
    (!both.is_empty()).then(|| {
        Finding::new(codes::OTHER_LEDGER, format!("{tool} applied what is pending here: {}", list(both.into_iter())))
            .note(format!("its ledger is {}", ledger.table.plain()))
            .note("it would run a second time")
            .help("`cargo xtask adopt` compares it with the files and the schema, and takes it over")
            .help(belongs_elsewhere(&ledger.table))
    })
}

/// The rows that were added after the adoption, except for what was applied here as well.
fn newly_applied<'l>(
    set: &MigrationSet,
    state: &LedgerState,
    ledger: &'l ForeignLedger,
    adopted: &AdoptedLedger,
) -> Vec<&'l ForeignRow> {
    let keys: BTreeSet<&str> = adopted.versions.values().map(String::as_str).collect();
    // A tool that records only its newest version says nothing about older ones.
    let newest = adopted.versions.keys().next_back().filter(|_| adopted.tool.has_only_newest());
    let is_older = |row: &ForeignRow| {
        newest.zip(row.key.parse::<Version>().ok()).is_some_and(|(newest, version)| version <= *newest)
    };
    // A repeatable migration may run here too, whoever ran it last.
    let is_repeatable = |row: &ForeignRow| Version::recorded(&row.key).is_ok_and(|version| version.is_repeatable());
    let is_new = |row: &&ForeignRow| !keys.contains(&*row.key) && !is_older(row) && !is_repeatable(row);
    let added: Vec<&ForeignRow> = ledger.applied().filter(is_new).collect();
    if added.is_empty() {
        return added;
    }
    // Only now: matching may read files.
    let matched = ledger.matched(set);
    let is_known = |version: &Version| state.get(version).is_some() || state.was_rolled_back(version);
    let (known, open): (Vec<_>, Vec<_>) =
        matched.applied.iter().partition(|(migration, _)| is_known(migration.version()));
    let open: BTreeSet<&str> = open.iter().map(|(_, row)| &*row.key).collect();
    let settled: BTreeSet<&str> = known.iter().map(|(_, row)| &*row.key).filter(|key| !open.contains(key)).collect();
    added.into_iter().filter(|row| !settled.contains(&*row.key)).collect()
}

/// The adopted migrations that the other tool no longer has and that are still applied here, the newest first.
pub(in crate::runner) fn reverted(
    ledger: &ForeignLedger,
    state: &LedgerState,
    adopted: &AdoptedLedger,
) -> Vec<Version> {
    let keys: BTreeSet<&str> = ledger.applied().map(|row| &*row.key).collect();
    // One row can stand for several versions.
    let adopted_as =
        |key: &str| adopted.versions.iter().rev().find(|(_, known)| *known == key).map(|(version, _)| version);
    let known = |row: &ForeignRow| adopted_as(&row.key).cloned().or_else(|| row.key.parse().ok());
    // A tool that records only its newest version, which is not known here, says nothing about older ones.
    let newest: Option<Vec<Version>> = ledger.applied().map(known).collect();
    let is_there = |version: &Version, key: &str| match adopted.tool.has_only_newest() {
        true => newest.as_ref().is_none_or(|newest| newest.iter().any(|newest| version <= newest)),
        false => keys.contains(key),
    };
    // What was applied here since is ours.
    let is_still_adopted =
        |version: &Version| state.get(version).is_some_and(|applied| applied.event == LedgerEvent::Baselined);
    let gone = adopted.versions.iter().rev().filter(|(version, key)| !is_there(version, key));
    gone.map(|(version, _)| version).filter(|version| is_still_adopted(version)).cloned().collect()
}

/// The first of these words, and how many more there are.
pub(in crate::runner) fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    let more = words.len().saturating_sub(SHOWN);
    let shown = words.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
