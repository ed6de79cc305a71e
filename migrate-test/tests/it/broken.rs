//! Migrations that are broken on purpose: one folder for each, with the expected findings.
//!
//! A line of `expected` is `name law verdict`, and after a colon a part of the message:
//! `create_orders identity broken: type public.order_status: only after rollback`. `name faults 1` says how
//! many causes are reported, and `name up fails` that the migration does not apply.

use std::fs;
use std::path::{Path, PathBuf};

use migrate_core::{CodeMigrations, MigrationSet};
use migrate_test::proof::{self, Law, Proof, ProofReport, Verdict};
use rstest::rstest;

/// The whole message of a verdict, as one text.
fn told(verdict: &Verdict) -> String {
    let mut text = match verdict {
        Verdict::Declared(reason, _) | Verdict::Skipped(reason) => reason.clone(),
        _ => String::new(),
    };
    if let Some(story) = verdict.story() {
        let losses = story.losses.iter().map(ToString::to_string);
        let findings = story
            .findings
            .iter()
            .map(|finding| format!("{} {:?}", finding.message, finding.place.as_ref().map(|p| p.path())));
        let parts =
            std::iter::once(story.summary.clone()).chain(story.difference.clone()).chain(losses).chain(findings);
        text.extend(parts.map(|part| format!("\n{part}")));
    }
    text
}

fn wrong(report: &ProofReport, line: &str) -> Option<String> {
    let (head, part) = line.split_once(": ").unwrap_or((line, ""));
    let mut words = head.split(' ');
    let mut next = || words.next().unwrap_or_default();
    let (name, law, verdict) = (next(), next(), next());
    let proven = report.migrations.iter().find(|proven| proven.name == name).unwrap_or_else(|| panic!("no {name}"));
    if law == "faults" {
        let count = proven.faults().len().to_string();
        return (count != verdict).then(|| format!("expected {line}\n   found {count}: {:?}", proven.faults()));
    }
    if law == "up" {
        let story =
            proven.failure.as_deref().cloned().map_or(Verdict::Unknown, |story| Verdict::Broken(Box::new(story)));
        return (!told(&story).contains(part) || !story.is_broken()).then(|| format!("expected {line}: {story:?}"));
    }
    let law = Law::ALL.into_iter().find(|one| one.as_str() == law).unwrap_or_else(|| panic!("no law {law}"));
    let found = &proven.laws[&law];
    let right = found.as_str() == verdict && told(found).contains(part);
    (!right).then(|| format!("expected {line}\n   found {name} {law} {}: {}", found.as_str(), told(found)))
}

#[rstest]
#[tokio::test]
async fn it_is_caught(#[files("tests/it/broken/*/expected")] expected: PathBuf) {
    let folder = expected.parent().unwrap();
    let set = load(folder);
    let proof = Proof { keep: false, ..Proof::default() };
    let report = proof::prove(&set, &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
    let text = fs::read_to_string(&expected).unwrap();
    let wrong: Vec<String> = text.lines().filter_map(|line| wrong(&report, line)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Migrations that are not checked may have changed rows as well: rows that are drawn for the migration after
/// them must have passed through these changes.
#[rstest]
#[case("rows_pass_what_is_broken", "require_nick", "holds")]
#[case("rows_pass_what_is_broken", "require_adults", "holds")]
#[case("nothing_fills_a_column", "require_nick", "broken")]
#[tokio::test]
async fn rows_pass_what_is_not_looked_at(#[case] folder: &str, #[case] name: &str, #[case] verdict: &str) {
    let set = load(&Path::new("tests/it/broken").join(folder));
    let version = set.iter().find(|one| one.name() == name).unwrap().version().clone();
    let proof = Proof { only: Some([version].into()), keep: false, ..Proof::default() };
    let report = proof::prove(&set, &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
    let found = &report.migrations[0].laws[&Law::Data];
    assert_eq!(found.as_str(), verdict, "{}", told(found));
}

/// Long chains are walked part by part: each migration is included, and the cost is proportional to the length.
#[tokio::test]
async fn walks_meet_every_migration() {
    let folder = tempfile::tempdir().unwrap();
    let write = |number: usize, up: &str, down: Option<&str>| {
        let stem = folder.path().join(format!("202501010000{number:02}_t{number}"));
        fs::write(stem.with_extension("up.sql"), up).unwrap();
        if let Some(down) = down {
            fs::write(stem.with_extension("down.sql"), down).unwrap();
        }
    };
    for number in 1..=55 {
        let (up, down) = (format!("CREATE TABLE t{number} (id int);"), format!("DROP TABLE t{number};"));
        match number {
            7 => write(number, &format!("-- migrate: irreversible it is a test\nDROP TABLE t{};", number - 1), None),
            30 => write(number, &up, Some("SELECT 1;")),
            _ => write(number, &up, Some(&down)),
        }
    }
    let set = MigrationSet::load(folder.path()).unwrap();
    let mut heard = Vec::new();
    let proof = Proof { keep: false, ..Proof::default() };
    let mut hear = |proven: &proof::MigrationProof| heard.push(proven.name.clone());
    let report = proof::prove(&set, &CodeMigrations::none(), &proof, &mut hear).await.unwrap();
    let names: Vec<&str> = report.migrations.iter().map(|proven| proven.name.as_str()).collect();
    assert_eq!(heard, names, "in their order");
    for proven in &report.migrations {
        let is_wall = ["t7", "t30"].contains(&proven.name.as_str());
        assert_eq!(proven.rests.moves == 0, is_wall, "{}", proven.name);
        assert_eq!(proven.laws[&Law::Path].as_str(), if is_wall { "skipped" } else { "holds" }, "{}", proven.name);
    }
    assert!(report.moves < 8 * 55, "{}", report.moves);
}

/// A failure that depends on how often migrations ran, possibly on earlier walks, is reported with a walk that
/// reproduces it by itself.
#[tokio::test]
async fn a_walk_that_is_reported_fails_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let write = |number: usize, up: &str, down: &str| {
        let stem = folder.path().join(format!("2025010100000{number}_t{number}"));
        fs::write(stem.with_extension("up.sql"), up).unwrap();
        fs::write(stem.with_extension("down.sql"), down).unwrap();
    };
    for number in 1..=8 {
        write(number, &format!("CREATE TABLE t{number} (id int);"), &format!("DROP TABLE t{number};"));
    }
    let count = "DO $$ BEGIN INSERT INTO t1 VALUES (1); IF (SELECT count(*) > 6 FROM t1) THEN CREATE TABLE oops (); END IF; END $$;";
    write(6, count, "SELECT 1;");
    let set = MigrationSet::load(folder.path()).unwrap();
    for seed in 0..4 {
        let only = set.iter().skip(5).map(|migration| migration.version().clone()).collect();
        let proof = Proof { only: Some(only), seed, keep: false, ..Proof::default() };
        let report = proof::prove(&set, &CodeMigrations::none(), &proof, &mut |_| {}).await.unwrap();
        let Some(story) = report.migrations[0].laws[&Law::Path].story() else { continue };
        assert!(!story.summary.contains("fresh"), "{story:?}");
        let (mut at, mut times) = (8, 1);
        for (way, goal) in story.walk.iter().map(|step| step.split_once(" to ").unwrap()).chain([("up", "t8")]) {
            let goal = goal.rsplit('t').next().unwrap().parse().unwrap();
            assert_eq!(way, if goal < at { "down" } else { "up" }, "{:?}", story.walk);
            assert!(goal != at || goal == 8, "a step that leads nowhere: {:?}", story.walk);
            times += usize::from(at < 6 && goal >= 6);
            at = goal;
        }
        assert!(times > 6, "{:?}", story.walk);
        return;
    }
    panic!("no walk failed");
}

/// The migrations of a case, without the file with the expected findings.
fn load(folder: &Path) -> MigrationSet {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    MigrationSet::load(copy.path()).unwrap()
}
