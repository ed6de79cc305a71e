//! Plans as text: the cases in `cases.txt` give the folder, the ledger and the target, and the expected plan; with the
//! target `status`, the expected status, and with `adopt`, what taking over the ledger of another tool records.
//!
//! `UPDATE_CASES=1` rewrites the outcomes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use migrate_base::db::LockHolder;
use migrate_base::error::{Error, ErrorKind};
use migrate_base::ident::QualifiedName;

use super::adoption::Adoption;
use super::state::tests::entry;
use super::status::{AppliedStatus, Status};
use super::{obstacle, *};
use crate::foreign::{ForeignLedger, ForeignRow, ForeignState, ForeignTool, UnreadableCause, UnreadableRows};
use crate::ledger::{LedgerEntry, LedgerEvent};
use crate::source::{Checksum, MigrationSet};

/// The version that a case calls `7` is this one, ending in 7.
const EPOCH: u64 = 20_250_101_000_000;

#[test]
fn what_is_planned_is_what_the_cases_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/runner/plan/cases.txt");
    let written = std::fs::read_to_string(&path).unwrap();
    let planned: Vec<String> = written.split("\n\n").map(|case| planned(case.trim())).collect();
    let planned = planned.join("\n\n") + "\n";
    if std::env::var_os("UPDATE_CASES").is_some() {
        return std::fs::write(&path, &planned).unwrap();
    }
    for (written, planned) in written.trim_end().split("\n\n").zip(planned.trim_end().split("\n\n")) {
        assert_eq!(written, planned);
    }
}

/// A case with its actual outcome.
fn planned(case: &str) -> String {
    let given: Vec<&str> = case.lines().filter(|line| !line.starts_with('>')).collect();
    let value = |key: &str| given.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).unwrap_or("");
    let list = |key: &str| value(key).split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let files: Vec<String> = list("files");
    let ledger: Vec<String> = list("ledger");
    let set = folder(&files);
    let mut state = state(&ledger, &files, given.contains(&"no ledger"), value("running"));
    let other = other(value("other"), value("locked"));
    state.set_others(other.iter().cloned().collect());
    let stored = stored(&state, value("not stored"));
    let policy = RunPolicy {
        allow_out_of_order: value("policy").contains("out-of-order"),
        allow_newer: value("policy").contains("newer"),
        allow_empty: value("policy").contains("empty"),
        down_from: if value("policy").contains("files") { DownFrom::Files } else { DownFrom::Ledger },
    };
    let has_code = |_: &Version| !given.contains(&"no code");
    let outcome = match value("target") {
        "status" => standing(&Status::of(&set, &state, policy.allow_newer)),
        "adopt" => match Adoption::plan(&other.unwrap(), &set, &state) {
            Ok(adoption) => adopted(&adoption),
            Err(problems) => findings("", &problems),
        },
        words => match plan(&set, &state, &stored, &target(words), policy, &has_code) {
            Ok(plan) => shown(&plan),
            Err(error) => findings("", error.findings()),
        },
    };
    let outcome = if outcome.is_empty() { "> nothing to do".to_owned() } else { shortened(&outcome) };
    [given.join("\n"), outcome].join("\n")
}

/// Versions as cases write them, and checksums without their digits.
fn shortened(text: &str) -> String {
    let text = text.replace("2025010100000", "");
    let mut parts = text.split("sha256:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "sha256:…" + &part[64..])
}

fn version(number: &str) -> Version {
    (EPOCH + number.parse::<u64>().unwrap()).into()
}

/// `up-to 3`, `up 2`, `down 1`, `down-to 1`, `zero`; empty means the newest.
fn target(words: &str) -> Target {
    match words.split_once(' ').unwrap_or((words, "")) {
        ("up-to", to) => Target::UpTo(version(to)),
        ("up", count) => Target::Up(count.parse().unwrap()),
        ("down", count) => Target::Down(count.parse().unwrap()),
        ("down-to", to) => Target::DownTo(version(to)),
        ("zero", _) => Target::Zero,
        ("", _) => Target::Latest,
        other => panic!("{other:?}"),
    }
}

/// The number of a file, and its properties: `3 irreversible`.
fn words(file: &str) -> (&str, Vec<&str>) {
    let (number, words) = file.split_once(' ').unwrap_or((file, ""));
    (number, words.split(' ').collect())
}

/// The files of a migration, as name and text: the present files if `now`, otherwise the files at the time when it was
/// applied.
fn texts(file: &str, now: bool) -> Vec<(String, String)> {
    let (number, words) = words(file);
    let has = |word: &str| words.contains(&word);
    let name = if has("renamed") && now { format!("n{number}") } else { format!("m{number}") };
    let stem = format!("{}_{name}", version(number));
    if has("code") {
        return vec![(format!("{stem}.rs"), "// It is written in Rust.".to_owned())];
    }
    let mut up = String::new();
    if has("stepwise") || has("outside") {
        up += "-- migrate: no-transaction\n";
    }
    if has("irreversible") {
        up += "-- migrate: irreversible it is for good\n";
    }
    if let Some(at) = words.iter().position(|word| *word == "squashes") {
        up += &format!("-- migrate: squashes {}\n", version(words[at + 1]));
    }
    up += &format!("SELECT {number};\n");
    up += if has("outside") { "CREATE DATABASE two;\nSELECT 3;\n" } else { "SELECT 2;\nSELECT 3;\n" };
    if has("edited") && now {
        up += "SELECT 'edited';\n";
    }
    let mut down = if has("stepwise") { "-- migrate: no-transaction\n" } else { "" }.to_owned();
    down += &format!("SELECT -{number};\nSELECT -2;\n");
    if has("down-edited") && now {
        down += "SELECT 'edited';\n";
    }
    let down = (!has("irreversible")).then(|| (format!("{stem}.down.sql"), down));
    std::iter::once((format!("{stem}.up.sql"), up)).chain(down).collect()
}

fn folder(files: &[String]) -> MigrationSet {
    let files: Vec<(String, String)> = files.iter().flat_map(|file| texts(file, true)).collect();
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_bytes()));
    MigrationSet::of_files(Path::new("migrations"), files).unwrap()
}

/// The rows of a ledger: `applied 1`, `adopted 2`, `progress 4 up 2`, `failed 4 up 3`. The checksums are those of the
/// unedited files.
fn state(rows: &[String], files: &[String], is_missing: bool, running: &str) -> LedgerState {
    let entries = rows.iter().zip(1..).map(|(row, id)| {
        let is_adopted = row.starts_with("adopted");
        let plain = entry(&row.replace("adopted", "baselined"), id);
        let number = plain.version.to_string();
        let file = files.iter().find(|file| words(file).0 == number).unwrap_or(&number);
        let texts = texts(file, false);
        let checksum = |at: usize| texts.get(at).map(|(_, text)| Checksum::of(text));
        LedgerEntry {
            version: version(&number),
            up_checksum: checksum(0),
            down_checksum: checksum(1),
            at: "noon".to_owned(),
            by: "ann".to_owned(),
            note: match plain.event {
                LedgerEvent::Failed => Some("division by zero".to_owned()),
                _ => {
                    is_adopted.then(|| format!("adopted from goose \"public\".\"versions\" as '{}'", version(&number)))
                }
            },
            ..plain
        }
    });
    let mut state = LedgerState::derive((!is_missing).then(|| (entries.collect(), rows.len() as i64)));
    if !running.is_empty() {
        let query = Some(running.to_owned());
        state.set_running(LockHolder { pid: 4711, application: None, role: None, client: None, since: None, query });
    }
    state
}

/// The down scripts in the ledger, as they were when the migrations were applied; the script of the number `without` is
/// missing.
fn stored(state: &LedgerState, without: &str) -> BTreeMap<Version, Arc<str>> {
    let known = state.applied().map(|applied| (&applied.version, &applied.down_checksum));
    let known = known.chain(state.unfinished().map(|one| (&one.version, &one.down_checksum)));
    let has_down = known.filter(|(_, down)| down.is_some()).map(|(version, _)| version);
    let of = |version: &Version| {
        let number = version.as_str().trim_start_matches("2025010100000").to_owned();
        // If only the checksum is known, it does not matter which of the texts it was.
        let plain = texts(&number, false).remove(1).1;
        (number != without).then(|| (version.clone(), plain.into()))
    };
    has_down.filter_map(of).collect()
}

/// The steps of a plan, its warnings, and its other facts.
fn shown(plan: &Plan) -> String {
    let step = |step: &PlanStep| {
        let work = match &step.work {
            StepWork::Code => " in Rust".to_owned(),
            StepWork::Sql(script) if script.path().starts_with("migrations") => String::new(),
            StepWork::Sql(script) => format!(" by {}", script.path().display()),
        };
        let edited = step.script().is_some_and(|script| script.text().contains("edited"));
        let edited = if edited { " as edited" } else { "" };
        let resume = step.resume.as_ref().map_or(String::new(), |one| format!(" after {} statements", one.done));
        let file = if step.migration.is_some() { "" } else { ", file missing" };
        format!("> {} {}_{}{work}{edited}{resume}{file}", step.direction, step.version, step.name)
    };
    let steps = plan.steps().iter().map(step);
    let never_run = plan.never_run().iter().map(|version| format!("> never run: {version}"));
    let warnings = (!plan.warnings().is_empty()).then(|| findings("warning ", plan.warnings()));
    steps.chain(never_run).chain(warnings).collect::<Vec<_>>().join("\n")
}

/// The ledger of another tool: `goose 1, 2 failed, 3 reverted`.
fn other(rows: &str, locked: &str) -> Option<ForeignLedger> {
    let (tool, rows) = rows.split_once(' ')?;
    let row = |row: &str| {
        let (number, state) = row.split_once(' ').unwrap_or((row, ""));
        let state = match state {
            "failed" => ForeignState::Failed,
            "baseline" => ForeignState::Baseline,
            "reverted" => ForeignState::Reverted,
            _ => ForeignState::Applied,
        };
        let (at, by) = (Some("noon".to_owned()), None);
        ForeignRow { key: version(number).to_string(), name: None, checksum: None, state, at, by }
    };
    let refused = |why: &str| UnreadableRows {
        why: why.to_owned(),
        cause: match why {
            why if why.contains("denied") => UnreadableCause::Forbidden,
            why if why.contains("lock") => UnreadableCause::Locked,
            _ => UnreadableCause::Other,
        },
        role: "ann".to_owned(),
    };
    let rows = match rows.strip_prefix("error ") {
        Some(why) => Err(refused(why)),
        None => Ok(rows.split(", ").map(row).collect()),
    };
    let (tool, table) = (ForeignTool::named(tool).unwrap(), QualifiedName::new("public", "versions"));
    Some(ForeignLedger { tool, table, rows, locked_by: (!locked.is_empty()).then(|| locked.to_owned()) })
}

/// What an adoption records.
fn adopted(adoption: &Adoption) -> String {
    let taken = adoption
        .taken
        .iter()
        .map(|one| format!("> take {}_{}: {}", one.migration.version(), one.migration.name(), one.note));
    let back = adoption.given_back.iter().map(|version| format!("> give back {version}"));
    let newest = adoption.newest.iter().map(|version| format!("> then at {version}"));
    let nothing = adoption.is_empty().then(|| "> records nothing".to_owned());
    taken.chain(back).chain(newest).chain(nothing).collect::<Vec<_>>().join("\n")
}

/// What `status` says about each migration, and the codes of its problems.
fn standing(status: &Status) -> String {
    let words = |is: &[(bool, &str)]| is.iter().filter(|(is, _)| *is).map(|(_, word)| format!(" {word}")).collect();
    let applied = status.applied.iter().map(|one| {
        let AppliedStatus { version, name, modified, down_modified, missing, newer, never_run, .. } = one;
        let is: [(bool, &str); 5] = [
            (*modified, "modified"),
            (*down_modified, "down-modified"),
            (*missing, "missing"),
            (*newer, "newer"),
            (*never_run, "never-run"),
        ];
        let words: String = words(&is);
        format!("> applied {version}_{name}{words}")
    });
    let pending = status.pending.iter().map(|one| {
        let words: String = words(&[(one.out_of_order, "out-of-order")]);
        format!("> pending {}_{}{words}", one.version, one.name)
    });
    let unfinished = status.unfinished.iter().map(|one| format!("> unfinished {}_{}", one.version, one.name));
    let problems = status.problems.iter().map(|one| format!("> {} {}", one.severity.as_str(), one.code.as_str()));
    applied.chain(pending).chain(unfinished).chain(problems).collect::<Vec<_>>().join("\n")
}

fn findings(kind: &str, findings: &[Finding]) -> String {
    let one = |finding: &Finding| {
        let place = finding.place.as_ref().map_or(String::new(), |place| format!(" {}", place.path().display()));
        let first = format!("> {kind}{}{place}: {}", finding.code.as_str(), finding.message);
        let notes = finding.notes.iter().map(|note| format!(">   {note}"));
        let help = finding.help.iter().map(|help| format!(">   → {help}"));
        std::iter::once(first).chain(notes).chain(help).collect::<Vec<_>>().join("\n")
    };
    findings.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// A plan has the state it was made for, and its steps say how they run.
#[test]
fn a_plan_says_what_it_was_made_for() {
    let texts = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
    let planned = |files: &[&str], rows: &[&str], is_missing: bool| {
        let files = texts(files);
        let state = state(&texts(rows), &files, is_missing, "");
        let none = BTreeMap::new();
        plan(&folder(&files), &state, &none, &Target::Latest, RunPolicy::default(), &|_| true).unwrap()
    };
    let facts = |plan: &Plan| (plan.is_empty(), plan.newest(), plan.version().cloned(), plan.has_ledger());
    assert_eq!(facts(&planned(&["1", "2"], &["applied 1", "applied 2"], false)), (true, 2, Some(version("2")), true));
    let plan = planned(&["1", "2 stepwise", "3 code"], &[], true);
    assert_eq!(facts(&plan), (false, 0, None, false));
    assert_eq!(plan.steps().iter().map(PlanStep::no_transaction).collect::<Vec<_>>(), [false, true, false]);
}

/// The statements of a file are not parsed again if the ledger has the file in its present form.
#[test]
fn a_file_is_known_if_both_of_its_scripts_are_as_recorded() {
    let files = ["1", "2 edited", "3 down-edited", "4 irreversible", "5 code", "6"].map(str::to_owned);
    let rows: Vec<String> = (1..6).map(|number| format!("applied {number}")).collect();
    let state = state(&rows, &files, false, "");
    let known: Vec<bool> = folder(&files).iter().map(|one| state.knows(one)).collect();
    assert_eq!(known, [true, false, false, true, true, false]);
}

/// An application starts only on a database that has its version; the error says what the database has instead.
#[test]
fn a_version_that_is_needed_is_applied() {
    let ledger = migrate_base::ident::QualifiedName::new("roundtrip", "ledger");
    let notes = |rows: &[&str], is_missing: bool| {
        let rows: Vec<String> = rows.iter().map(|row| (*row).to_owned()).collect();
        let ensured = newer::ensure(&state(&rows, &[], is_missing, ""), &version("2"), &ledger);
        ensured.map_err(|finding| shortened(&finding.notes.join("; "))).err().unwrap_or_default()
    };
    assert_eq!(notes(&["applied 1", "applied 2", "applied 3"], false), "");
    assert_eq!(notes(&[], true), "this database has no ledger roundtrip.ledger");
    assert_eq!(notes(&[], false), "the ledger roundtrip.ledger has no applied migration");
    let behind = "the newest applied migration in the ledger roundtrip.ledger is 1";
    assert_eq!(notes(&["applied 1", "applied 2", "rolled_back 2"], false), behind);
}

/// A stale plan is made again as long as another run makes progress, but not if no run does or if something was already
/// done.
#[test]
fn a_plan_is_made_again_while_the_ledger_goes_on() {
    use super::super::{CommittedStep, RunReport, StaleRetry};
    let at = |newest| Plan { newest, ..Plan::of(Vec::new(), &LedgerState::default()) };
    let error = |kind| Error::new(kind, obstacle::stale());
    let mut again = StaleRetry::default();
    assert!((0..99).all(|newest| again.may(&at(newest), &error(ErrorKind::Stale))));
    assert!(!again.may(&at(99), &error(ErrorKind::Stale)), "a hundred times is enough");
    let mut again = StaleRetry::default();
    let tries: Vec<bool> = (0..4).map(|_| again.may(&at(7), &error(ErrorKind::Stale))).collect();
    assert_eq!(tries, [true, true, false, false], "nobody was faster");
    assert!(!StaleRetry::default().may(&at(1), &error(ErrorKind::Lock)));
    let (version, name, elapsed) = ("1".to_owned(), "m1".to_owned(), std::time::Duration::ZERO);
    let done = vec![CommittedStep { direction: Direction::Up, version, name, elapsed }];
    let done = RunReport { done, ..RunReport::default() };
    assert!(!StaleRetry::default().may(&at(1), &error(ErrorKind::Stale).carrying(done)));
}
