//! What a branch does to released migrations: a small git repository for each scenario, and its exact message.

use crate::repository::Repository;
use crate::support::{ProgramOutput, Project, said};

/// The sentence that CI prints for an edited migration.
const MODIFIED: &str = "Migration file was modified after being applied. Create a new migration instead.";

fn check(repository: &Repository) -> ProgramOutput {
    repository.0.run_bare(&["check"])
}

#[track_caller]
fn says(said: &ProgramOutput, words: &[&str]) {
    for words in words {
        assert!(said.out.contains(words) || said.err.contains(words), "{words}: {said:?}");
    }
}

#[test]
fn an_edited_migration_is_refused_with_since_when_and_the_ways_out() {
    let repository = Repository::branched();
    let up = repository.path(2, "name.up.sql");
    repository.0.write(&up, "ALTER TABLE shops ADD COLUMN name varchar;\n");
    let uncommitted = check(&repository);
    assert_eq!(uncommitted.code, 3, "{uncommitted:?}");
    says(
        &uncommitted,
        &[MODIFIED, "it is on main since", "(Ada, ", "the change is not committed yet", "git checkout "],
    );
    says(&uncommitted, &[&format!("{up}:1:1"), "differs from main", "`cargo xtask new NAME`"]);
    repository.commit("edit it");
    let id = repository.git(&["rev-parse", "--short", "HEAD"]);
    says(&check(&repository), &[MODIFIED, &format!("it was changed in {}", id.trim())]);
    repository.0.end();
}

#[test]
fn an_edited_down_is_told_apart_and_can_be_allowed() {
    let repository = Repository::branched();
    let down = repository.path(2, "name.down.sql");
    repository.0.write(&down, "ALTER TABLE shops DROP COLUMN IF EXISTS name;\n");
    let refused = check(&repository);
    assert_eq!(refused.code, 3, "{refused:?}");
    says(&refused, &["error[down-edited]", MODIFIED, "rollback runs the down script of the ledger"]);
    repository
        .0
        .write(&down, "-- migrate: allow down-edited it failed\nALTER TABLE shops DROP COLUMN IF EXISTS name;\n");
    let allowed = check(&repository).ok();
    says(&allowed, &["note[down-edited]", "allowed: it failed"]);
    repository.0.end();
}

#[test]
fn removed_and_renamed_migrations_are_refused() {
    let repository = Repository::branched();
    for ending in ["up.sql", "down.sql"] {
        let (from, to) =
            (repository.path(2, &format!("name.{ending}")), repository.path(2, &format!("title.{ending}")));
        repository.git(&["mv", &from, &to]);
    }
    let renamed = check(&repository);
    assert_eq!(renamed.code, 3, "{renamed:?}");
    says(&renamed, &["Migration file was renamed after being applied: it is 20250101000002_title.up.sql now."]);
    repository.commit("another name");
    repository.git(&["rm", "--quiet", &repository.path(2, "title.up.sql"), &repository.path(2, "title.down.sql")]);
    let removed = check(&repository);
    assert_eq!(removed.code, 3, "{removed:?}");
    says(&removed, &["Migration file was removed after being applied."]);
    repository.0.end();
}

#[test]
fn other_line_endings_are_no_edit_and_neither_is_what_only_the_proof_reads() {
    let repository = Repository::branched();
    repository.0.write(&repository.path(2, "name.up.sql"), "\u{feff}ALTER TABLE shops ADD COLUMN name text;\r\n");
    repository.0.write(&repository.path(2, "name.verify.sql"), "SELECT * FROM shops WHERE name = '';\n");
    let said = check(&repository).ok();
    assert!(!said.err.contains("warning") && !said.out.contains("warning"), "{said:?}");
    repository.0.end();
}

#[test]
fn a_new_migration_may_be_edited_as_long_as_nobody_has_it() {
    let repository = Repository::branched();
    repository.0.migration(
        3,
        "city",
        "ALTER TABLE shops ADD COLUMN city text;\n",
        "ALTER TABLE shops DROP COLUMN city;\n",
    );
    repository.commit("a city");
    repository.0.write(&repository.path(3, "city.up.sql"), "ALTER TABLE shops ADD COLUMN city varchar;\n");
    says(&check(&repository).ok(), &["3 migrations, 1 new"]);
    repository.0.end();
}

#[test]
fn a_migration_that_was_applied_on_staging_alone_is_not_edited_unseen() {
    let repository = Repository::branched();
    repository.0.migration(
        3,
        "city",
        "ALTER TABLE shops ADD COLUMN city text;\n",
        "ALTER TABLE shops DROP COLUMN city;\n",
    );
    repository.staging();
    check(&repository).ok();
    repository.0.write(&repository.path(3, "city.up.sql"), "ALTER TABLE shops ADD COLUMN city varchar;\n");
    let refused = check(&repository);
    assert_eq!(refused.code, 3, "{refused:?}");
    says(&refused, &[MODIFIED, "applied on staging at 2", " UTC by ", "or roll it back there"]);
    repository.0.end();
}

#[test]
fn what_is_merged_and_applied_nowhere_can_still_be_changed() {
    let repository = Repository::branched();
    repository.staging();
    repository.0.run_bare(&["rollback", "--env", "staging"]).ok();
    repository.0.write(&repository.path(2, "name.up.sql"), "ALTER TABLE shops ADD COLUMN name varchar;\n");
    let told = check(&repository).ok();
    says(&told, &["warning[migration-edited]", "it is not in the ledger of staging, so it can still be changed"]);
    let first = repository.path(1, "shops.up.sql");
    repository.0.write(&first, "CREATE TABLE shops (id bigint PRIMARY KEY, a text);\n");
    let refused = check(&repository);
    assert_eq!(refused.code, 3, "{refused:?}");
    says(&refused, &[&format!("{first}:1:1"), "applied on staging at 2"]);
    repository.0.end();
}

#[test]
fn an_environment_that_cannot_be_reached_stops_nothing_and_is_told() {
    let repository = Repository::branched();
    repository.0.write("migrate.toml", "[environments.staging]\ndatabase = \"env:ROUNDTRIP_NO_SUCH_VARIABLE\"\n");
    says(&check(&repository).ok(), &["not checked: staging (ROUNDTRIP_NO_SUCH_VARIABLE is not set)"]);
    repository.0.end();
}

#[test]
fn a_migration_that_comes_too_late_is_renumbered() {
    let repository = Repository::branched();
    let files = [3, 5].map(|number| repository.path(number, "ours.up.sql"));
    repository.0.migration(3, "ours", "ALTER TABLE shops ADD COLUMN a text;\n", "ALTER TABLE shops DROP COLUMN a;\n");
    repository.0.migration(5, "ours", "ALTER TABLE shops ADD COLUMN b text;\n", "ALTER TABLE shops DROP COLUMN b;\n");
    repository.commit("ours");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.0.migration(4, "theirs", "CREATE TABLE theirs (id bigint PRIMARY KEY);\n", "DROP TABLE theirs;\n");
    repository.commit("theirs");
    repository.git(&["checkout", "--quiet", "topic"]);
    let late = check(&repository);
    assert_eq!(late.code, 3, "{late:?}");
    says(
        &late,
        &[
            "error[out-of-order]: this migration is older than the newest one on main",
            &files[0],
            "20250101000004_theirs",
            "`cargo xtask rebase`",
        ],
    );
    assert!(!late.err.contains(&files[1]) && !late.out.contains(&files[1]), "the other one is not late: {late:?}");
    repository.0.run_bare(&["rebase", "--dry-run"]).ok();
    assert!(repository.0.path().join(&files[0]).exists());
    repository.0.run_bare(&["rebase"]).ok();
    let names = std::fs::read_dir(repository.0.path().join("migrations")).unwrap();
    let mut ours: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with("ours.up.sql"))
        .collect();
    ours.sort();
    assert!(ours.iter().all(|name| name.as_str() > "20250101000005"), "both keep their order: {ours:?}");
    let text = |at: usize| std::fs::read_to_string(repository.0.path().join("migrations").join(&ours[at])).unwrap();
    assert!(text(0).contains("COLUMN a") && text(1).contains("COLUMN b"));
    check(&repository).ok();
    says(&repository.0.run_bare(&["rebase"]).ok(), &["the new migrations already follow those of main"]);
    repository.0.end();
}

#[test]
fn two_branches_with_one_version_are_told_apart() {
    let repository = Repository::branched();
    repository.0.migration(3, "ours", "ALTER TABLE shops ADD COLUMN a text;\n", "ALTER TABLE shops DROP COLUMN a;\n");
    repository.commit("ours");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.0.migration(3, "theirs", "CREATE TABLE theirs (id bigint PRIMARY KEY);\n", "DROP TABLE theirs;\n");
    repository.commit("theirs");
    repository.git(&["checkout", "--quiet", "topic"]);
    let taken = check(&repository);
    assert_eq!(taken.code, 3, "{taken:?}");
    says(&taken, &["error[version-taken]: main has another migration with this version", "20250101000003_theirs"]);
    repository.git(&["merge", "--quiet", "--no-edit", "main"]);
    let merged = check(&repository);
    assert_eq!(merged.code, 3, "{merged:?}");
    says(
        &merged,
        &["two migrations have the same version", "yours is 20250101000003_ours; main has 20250101000003_theirs"],
    );
    assert_eq!(format!("{}{}", merged.out, merged.err).matches("[version-twice]").count(), 1, "{merged:?}");
    says(&repository.0.run_bare(&["rebase", "--dry-run"]).ok(), &["would be", "ours"]);
    repository.0.run_bare(&["rebase"]).ok();
    let there = |name: &str| repository.0.path().join(repository.path(3, name)).exists();
    assert!(there("theirs.up.sql") && there("theirs.down.sql") && !there("ours.up.sql") && !there("ours.down.sql"));
    says(&check(&repository).ok(), &["4 migrations, 1 new"]);
    says(&repository.0.run_bare(&["rebase"]).ok(), &["the new migrations already follow those of main"]);
    repository.0.end();
}

#[test]
fn the_newest_migration_is_named_by_its_up() {
    let repository = Repository::branched();
    repository.0.migration(3, "ours", "ALTER TABLE shops ADD COLUMN a text;\n", "ALTER TABLE shops DROP COLUMN a;\n");
    repository.commit("ours");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.0.migration(4, "theirs", "CREATE TABLE theirs (id bigint PRIMARY KEY);\n", "DROP TABLE theirs;\n");
    repository.0.write(&repository.path(4, "theirs.verify.sql"), "SELECT * FROM theirs;\n");
    repository.0.write(&repository.path(4, "theirs.fixture.sql"), "SELECT 1;\n");
    repository.commit("theirs");
    repository.git(&["checkout", "--quiet", "topic"]);
    says(&check(&repository), &["the newest one there is 20250101000004_theirs.up.sql"]);
    repository.0.end();
}

#[test]
fn a_version_of_a_day_that_has_not_come_is_found_before_others_follow_it() {
    let repository = Repository::branched();
    for ending in ["up", "down"] {
        repository.0.write(&format!("migrations/20990101000000_far.{ending}.sql"), "SELECT 1;\n");
    }
    repository.commit("far");
    says(&check(&repository).ok(), &["warning[version-ahead]", "20990101000000", "`cargo xtask rebase`"]);
    let refused = repository.0.run_bare(&["new", "next"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    says(&refused, &["[version-ahead]"]);
    repository.0.run_bare(&["rebase"]).ok();
    assert!(!check(&repository).ok().out.contains("version-ahead"));
    repository.0.run_bare(&["new", "next"]).ok();
    // Released migrations keep their versions, and later ones follow them.
    repository.git(&["checkout", "--quiet", "--force", "main"]);
    repository.git(&["clean", "--quiet", "--force"]);
    repository.git(&["merge", "--quiet", "topic"]);
    repository.git(&["checkout", "--quiet", "-b", "late"]);
    repository.0.run_bare(&["new", "late"]).ok();
    assert!(repository.0.path().join("migrations/20990101000001_late.up.sql").exists());
    repository.0.end();
}

#[test]
fn a_merge_commit_and_a_detached_head_are_compared_with_the_branch_they_go_into() {
    let repository = Repository::branched();
    repository.0.migration(5, "ours", "ALTER TABLE shops ADD COLUMN a text;\n", "ALTER TABLE shops DROP COLUMN a;\n");
    repository.commit("ours");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.0.migration(4, "theirs", "CREATE TABLE theirs (id bigint PRIMARY KEY);\n", "DROP TABLE theirs;\n");
    repository.commit("theirs");
    repository.git(&["checkout", "--quiet", "--detach", "topic"]);
    says(&check(&repository).ok(), &["3 migrations, 1 new"]);
    repository.git(&["merge", "--quiet", "--no-edit", "main"]);
    says(&check(&repository).ok(), &["4 migrations, 1 new"]);
    repository.0.end();
}

#[test]
fn a_base_that_cannot_be_found_is_a_clear_error_with_the_command_that_mends_it() {
    let repository = Repository::branched();
    let unknown = repository.0.run_bare(&["check", "--base", "release"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    says(&unknown, &["--base: this clone has no branch or commit `release`", "name another one with --base REF"]);
    let mut asked = repository.0.command(&["check"]);
    let asked = said(asked.env("GITHUB_BASE_REF", "develop").output().unwrap());
    assert_eq!(asked.code, 2, "{asked:?}");
    says(&asked, &["the target of the pull request: this clone has no branch or commit `develop`"]);
    // Where nothing can be fetched, nothing is fetched.
    assert!(!unknown.err.contains("origin"), "{unknown:?}");
    repository.git(&["remote", "add", "origin", "nowhere"]);
    says(&repository.0.run_bare(&["check", "--base", "release"]), &["git fetch origin release"]);
    repository.git(&["remote", "remove", "origin"]);
    let copy = tempfile::tempdir().unwrap();
    repository.0.migration(3, "ours", "ALTER TABLE shops ADD COLUMN a text;\n", "ALTER TABLE shops DROP COLUMN a;\n");
    repository.commit("ours");
    repository.0.write(&repository.path(3, "ours.up.sql"), "ALTER TABLE shops ADD COLUMN b text;\n");
    repository.commit("ours again");
    let url = format!("file://{}", repository.0.path().display());
    let into = copy.path().to_string_lossy().into_owned();
    repository.git(&["clone", "--quiet", "--depth", "1", "--no-single-branch", "--branch", "topic", &url, &into]);
    let mut shallow = repository.0.command(&["check", "--base", "origin/main"]);
    let shallow = said(shallow.current_dir(copy.path()).output().unwrap());
    assert_eq!(shallow.code, 2, "{shallow:?}");
    says(&shallow, &["this shallow clone lacks the commit", "git fetch --unshallow", "fetch-depth: 0"]);
    repository.0.end();
}

#[test]
fn without_git_the_files_are_looked_at_by_themselves() {
    let project = Project::new();
    project.migration(1, "shops", "CREATE TABLE shops (id bigint PRIMARY KEY);\n", "DROP TABLE shops;\n");
    let said = project.run_bare(&["check"]).ok();
    says(&said, &["not in a git repository"]);
    let named = project.run_bare(&["check", "--base", "main"]);
    assert_eq!(named.code, 2, "{named:?}");
    project.end();
}

#[test]
fn several_problems_are_told_at_once() {
    let repository = Repository::branched();
    repository.0.write(&repository.path(1, "shops.up.sql"), "CREATE TABLE shops (id bigint PRIMARY KEY, a text);\n");
    repository.0.write(&repository.path(3, "alone.up.sql"), "SELECT 1;\n");
    repository.0.write("migrations/notes.txt", "later");
    let said = check(&repository);
    assert_eq!(said.code, 3, "{said:?}");
    says(&said, &["this up script has no down script", "`notes.txt` is not a migration file", MODIFIED]);
    repository.0.end();
}
