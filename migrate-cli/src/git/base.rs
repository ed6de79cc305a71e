//! The branch with the released migrations, and the commit where this branch began.

use migrate_base::codes;
use migrate_base::visible;
use std::path::Path;

use super::ask;
use crate::exit::{Failure, Result};

/// The branch with the released migrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseBranch {
    /// Its name: `origin/main`.
    pub(crate) name: String,
    /// Its newest commit.
    pub(crate) tip: String,
    /// The commit where this branch began.
    pub(crate) fork: String,
}

/// The result of looking for the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BaseSearch {
    /// It was found.
    Base(BaseBranch),
    /// There is nothing to compare with, and why.
    Nothing(String),
}

impl BaseBranch {
    /// Its name with its commit, for messages.
    pub(crate) fn title(&self) -> String {
        format!("{} at {}", self.name, &self.tip[..self.tip.len().min(9)])
    }
}

/// The variables in which CI systems give the target branch of a pull request.
const TARGETS: [&str; 4] =
    ["GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "BITBUCKET_PR_DESTINATION_BRANCH", "CHANGE_TARGET"];

/// Finds the base: the named one, that of migrate.toml, the target of the pull request, the default branch of the
/// remote, or `main`.
///
/// # Errors
///
/// A branch that is named or needed is not in this clone, or its history is incomplete; with the command that fixes it.
pub(crate) fn find(folder: &Path, named: Option<&str>, configured: Option<&str>) -> Result<BaseSearch> {
    if ask(folder, &["rev-parse", "--git-dir"]).is_none() {
        return match named {
            Some(_) => Err(Failure::usage(codes::NO_GIT, format!("{} is not in a git repository", folder.display()))
                .help("leave out --base, or run the command in a checkout")),
            None => Ok(BaseSearch::Nothing("not in a git repository".to_owned())),
        };
    }
    if ask(folder, &["rev-parse", "--verify", "--quiet", "HEAD"]).is_none() {
        return Ok(BaseSearch::Nothing("there is no commit yet".to_owned()));
    }
    let target = || TARGETS.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let asked = named.map(|name| (name.to_owned(), "--base".to_owned()));
    let asked = asked.or_else(|| configured.map(|name| (name.to_owned(), "migrate.toml".to_owned())));
    let asked = asked.or_else(|| target().map(|name| (name, "the target of the pull request".to_owned())));
    if let Some((name, why)) = asked {
        let wanted = [format!("origin/{name}"), name.clone()];
        // A name on the command line is first taken as it is, then as a branch of the remote.
        let mut wanted: Vec<&String> = wanted.iter().collect();
        if named.is_some() {
            wanted.reverse();
        }
        let found = wanted.into_iter().find_map(|name| Some((name.clone(), commit(folder, name)?)));
        let Some((name, tip)) = found else { return Err(missing(folder, &name, &why)) };
        return forked(folder, name, tip).map(BaseSearch::Base);
    }
    let default = ask(folder, &["symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"]);
    let default = default.map(|name| name.trim().to_owned());
    let usual = ["origin/main", "origin/master", "main", "master"].map(str::to_owned);
    let found = default.into_iter().chain(usual).find_map(|name| Some((name.clone(), commit(folder, &name)?)));
    match found {
        Some((name, tip)) => forked(folder, name, tip).map(BaseSearch::Base),
        None => Ok(BaseSearch::Nothing("there is no branch to compare with; name one with --base".to_owned())),
    }
}

fn commit(folder: &Path, name: &str) -> Option<String> {
    // A name that begins with a dash would be taken for an option.
    let name = format!("{name}^{{commit}}");
    ask(folder, &["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).map(|id| id.trim().to_owned())
}

/// Finds where this branch began.
fn forked(folder: &Path, name: String, tip: String) -> Result<BaseBranch> {
    if let Some(fork) = ask(folder, &["merge-base", "HEAD", &tip]) {
        return Ok(BaseBranch { name, tip, fork: fork.trim().to_owned() });
    }
    let shallow = ask(folder, &["rev-parse", "--is-shallow-repository"]).is_some_and(|text| text.trim() == "true");
    Err(match shallow {
        true => Failure::usage(
            codes::SHALLOW_CLONE,
            format!("this shallow clone lacks the commit where it branched off {name}"),
        )
        .help("`git fetch --unshallow origin` gets the rest of the history")
        .help("in GitHub Actions: `fetch-depth: 0` for actions/checkout; in GitLab: `GIT_DEPTH: 0`"),
        false => Failure::usage(codes::NO_COMMON_COMMIT, format!("this branch and {name} have no commit in common"))
            .help("name another branch with --base"),
    })
}

/// The failure for a name that `namer` gives and that this clone does not have.
fn missing(folder: &Path, name: &str, namer: &str) -> Failure {
    let branch = name.strip_prefix("origin/").unwrap_or(name);
    let failure = Failure::usage(
        codes::NO_BASE,
        format!("{namer}: this clone has no branch or commit `{}`", visible::line(name)),
    );
    match ask(folder, &["remote", "get-url", "origin"]) {
        Some(_) => failure
            .help(format!("`git fetch origin {branch}:refs/remotes/origin/{branch}` gets it"))
            .help("or name another one with --base REF"),
        None => failure.help("name another one with --base REF"),
    }
}
