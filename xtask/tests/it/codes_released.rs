//! The codes of a comparison with the base branch: what changed in it, and why there is nothing to compare with. No
//! file is changed.

use crate::codes::{ProjectState, all_found, failed, found, help, is_at, refused_by};
use crate::repository::Repository;
use crate::support::{ProgramOutput, Project};

fn programs(repository: &Repository, arguments: &[&str]) -> ProgramOutput {
    let before = ProjectState::of(&repository.0);
    let said = repository.0.run_bare(&[arguments, &["--format", "json"]].concat());
    assert_eq!(ProjectState::of(&repository.0), before, "{arguments:?} changed something");
    said
}

/// Whoever has the migration could not run it again, whichever part of the pair is missing or renamed.
#[test]
fn a_released_file_that_is_gone_or_renamed_is_found() {
    for (parts, is_renamed) in
        [(&["up", "down"][..], true), (&["up", "down"], false), (&["up"], false), (&["down"], false)]
    {
        let repository = Repository::branched();
        for part in parts {
            let old = repository.path(2, &format!("name.{part}.sql"));
            match is_renamed {
                true => repository.git(&["mv", &old, &repository.path(2, &format!("title.{part}.sql"))]),
                false => repository.git(&["rm", "--quiet", &old]),
            };
        }
        let said = programs(&repository, &["check"]);
        assert_eq!(said.code, 3, "{said:?}");
        let code = if is_renamed { "migration-renamed" } else { "migration-removed" };
        let findings = all_found(&said, code);
        assert_eq!(findings.len(), parts.len(), "{said:?}");
        let fork = repository.git(&["rev-parse", "--short=9", "main"]);
        // They are in the order of their files.
        for (finding, part) in findings.iter().zip(["down", "up"].iter().filter(|part| parts.contains(part))) {
            let old = repository.path(2, &format!("name.{part}.sql"));
            is_at(finding, &old);
            assert_eq!(finding["severity"], "error", "{finding:#}");
            let restore = ["checkout", fork.trim(), "--", &old];
            assert!(help(finding).contains(&format!("`git {}`", restore.join(" "))), "{finding:#}");
            repository.git(&restore);
        }
        if !is_renamed {
            repository.0.run_bare(&["check"]).ok();
        }
        repository.0.end();
    }
}

/// The new migration is older than a released one, and uses a column that the released one drops: on an empty database
/// it runs before that, on production after it.
#[test]
fn a_migration_that_runs_only_on_an_empty_database_is_found() {
    let repository = Repository::new();
    let (drop, add) = ("ALTER TABLE shops DROP COLUMN name;\n", "ALTER TABLE shops ADD COLUMN name text;\n");
    repository.0.migration(4, "nameless", drop, add);
    repository.commit("without names");
    repository.git(&["checkout", "--quiet", "-b", "topic"]);
    let comment = "COMMENT ON COLUMN shops.name IS 'as on the door';\n";
    repository.0.migration(3, "comment", comment, "COMMENT ON COLUMN shops.name IS NULL;\n");
    let said = programs(&repository, &["ci"]);
    assert_eq!(said.code, 3, "{said:?}");
    let finding = found(&said, "released-fails");
    let notes = finding["notes"].to_string();
    assert!(notes.contains("_comment.up.sql:1:1") && notes.contains("does not exist"), "{finding:#}");
    assert!(help(&finding).contains("rebase"), "{finding:#}");
    repository.0.end();
}

/// The commands that need a base branch, and the base that they are given.
fn refuse(repository: &Repository, base: &[&str], code: &str) {
    for command in ["check", "lint", "ci", "verify", "rebase"] {
        let arguments = [&[command][..], base, &["--format", "json"]].concat();
        let finding = refused_by(&repository.0, (2, code, ""), || repository.0.run_bare(&arguments));
        assert_ne!(help(&finding), "", "{command}: {finding:#}");
    }
}

#[test]
fn without_what_a_base_needs_nothing_is_compared() {
    let repository = Repository::branched();
    refuse(&repository, &["--base", "nowhere"], "no-base");
    repository.0.write("migrate.toml", "base = \"nowhere\"\n");
    refuse(&repository, &[], "no-base");
    repository.0.write("migrate.toml", "");
    repository.0.run_bare(&["check", "--base", "main"]).ok();
    // A branch without any commit of the other one.
    repository.git(&["checkout", "--quiet", "--orphan", "alone"]);
    repository.commit("alone");
    refuse(&repository, &["--base", "main"], "no-common-commit");
    refuse(&repository, &[], "no-common-commit");
    // A folder that git does not know.
    std::fs::rename(repository.0.path().join(".git"), repository.0.path().join("home")).unwrap();
    refuse(&repository, &["--base", "main"], "no-git");
    // Whoever names no base compares with nothing; only `rebase` needs one.
    repository.0.run_bare(&["check"]).ok();
    let rebase = repository.0.run_bare(&["rebase", "--format", "json"]);
    assert!(help(&failed(&rebase, (2, "no-base", ""))).contains("--base REF"));
    repository.0.end();
}

/// A file of the base branch that git has lost is not a file that this branch has removed.
#[test]
fn a_base_branch_that_git_cannot_read_is_not_compared() {
    let repository = Repository::branched();
    let blob = repository.git(&["rev-parse", &format!("main:{}", repository.path(1, "shops.up.sql"))]);
    let (folder, file) = blob.trim().split_at(2);
    std::fs::remove_file(repository.0.path().join(".git/objects").join(folder).join(file)).unwrap();
    refuse(&repository, &["--base", "main"], "no-base");
    refuse(&repository, &[], "no-base");
    repository.0.end();
}

/// What CI systems fetch: the newest commit of each branch.
#[test]
fn a_clone_without_the_commit_where_the_branch_began_is_told_how_to_get_it() {
    let origin = Repository::branched();
    origin.0.migration(3, "ours", "CREATE TABLE ours (id bigint PRIMARY KEY);\n", "DROP TABLE ours;\n");
    origin.commit("ours");
    origin.git(&["checkout", "--quiet", "main"]);
    origin.0.migration(4, "theirs", "CREATE TABLE theirs (id bigint PRIMARY KEY);\n", "DROP TABLE theirs;\n");
    origin.commit("theirs");
    let clone = Repository(Project::new());
    let url = format!("file://{}", origin.0.path().display());
    clone.git(&["init", "--quiet"]);
    clone.git(&["remote", "add", "origin", &url]);
    clone.git(&["fetch", "--quiet", "--depth", "1", "origin"]);
    clone.git(&["checkout", "--quiet", "topic"]);
    refuse(&clone, &[], "shallow-clone");
    refuse(&clone, &["--base", "main"], "shallow-clone");
    let said = clone.0.run_bare(&["check", "--format", "json"]);
    let ways = help(&failed(&said, (2, "shallow-clone", "")));
    // What the help says, pasted as it stands, is enough.
    let pasted: Vec<&str> = ways.split('`').nth(1).unwrap().split(' ').skip(1).collect();
    clone.git(&pasted);
    let said = clone.0.run_bare(&["check", "--format", "json"]);
    assert_eq!(found(&said, "out-of-order")["severity"], "error", "it is compared now: {said:?}");
    origin.0.end();
    clone.0.end();
}

/// What is applied where nobody answers may have been edited here, so it is no success.
#[test]
fn an_environment_that_does_not_answer_is_no_success() {
    let repository = Repository::branched();
    let address = "[environments.staging]\ndatabase = \"postgres://%2Fnowhere/shop\"\n";
    repository.0.write("migrate.toml", address);
    let said = programs(&repository, &["check"]);
    assert_eq!(said.code, 3, "{said:?}");
    let finding = found(&said, "environment-unreachable");
    assert!(finding["message"].as_str().unwrap().contains("the ledger of staging"), "{finding:#}");
    assert_eq!(finding["severity"], "error", "{finding:#}");
    repository.0.end();
}
