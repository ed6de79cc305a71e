//! Which branch has what is released, and where this one began.

use std::path::Path;

use super::ask;
use crate::exit::{Failure, Result};

/// A branch that has what is released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// What it is called: `origin/main`.
    pub(crate) name: String,
    /// Its newest commit.
    pub(crate) tip: String,
    /// The commit at which this branch began.
    pub(crate) fork: String,
}

/// What came of looking for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is there.
    Base(Base),
    /// There is nothing to compare with, and why.
    Nothing(String),
}

impl Base {
    /// Its name with its commit, for people.
    pub(crate) fn title(&self) -> String {
        format!("{} at {}", self.name, &self.tip[..self.tip.len().min(9)])
    }
}

/// Where systems for CI say into which branch a request is to be merged.
const TARGETS: [&str; 4] =
    ["GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "BITBUCKET_PR_DESTINATION_BRANCH", "CHANGE_TARGET"];

/// Finds the base: the one that is named, that of migrate.toml, the target of the pull request, the default branch of the
/// remote, or `main`.
///
/// # Errors
///
/// A branch that is named or asked for is not here, or its history is cut off; with the command that mends it.
pub(crate) fn find(folder: &Path, named: Option<&str>, configured: Option<&str>) -> Result<Found> {
    if ask(folder, &["rev-parse", "--git-dir"]).is_none() {
        return match named {
            Some(_) => Err(Failure::usage("no-git", format!("{} is in no git repository", folder.display()))
                .help("leave --base away, or go into a checkout")),
            None => Ok(Found::Nothing("this is no git repository".to_owned())),
        };
    }
    if ask(folder, &["rev-parse", "--verify", "--quiet", "HEAD"]).is_none() {
        return Ok(Found::Nothing("there is no commit yet".to_owned()));
    }
    let target = || TARGETS.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let asked = named.map(|name| (name.to_owned(), "--base names it".to_owned()));
    let asked = asked.or_else(|| configured.map(|name| (name.to_owned(), "migrate.toml names it".to_owned())));
    let asked = asked.or_else(|| target().map(|name| (name, "the pull request goes into it".to_owned())));
    if let Some((name, why)) = asked {
        let wanted = [format!("origin/{name}"), name.clone()];
        // What was typed is meant as it stands, before the remote's branch of the same name.
        let mut wanted: Vec<&String> = wanted.iter().collect();
        if named.is_some() {
            wanted.reverse();
        }
        let found = wanted.into_iter().find_map(|name| Some((name.clone(), commit(folder, name)?)));
        let Some((name, tip)) = found else { return Err(missing(&name, &why)) };
        return forked(folder, name, tip).map(Found::Base);
    }
    let default = ask(folder, &["symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"]);
    let default = default.map(|name| name.trim().to_owned());
    let usual = ["origin/main", "origin/master", "main", "master"].map(str::to_owned);
    let found = default.into_iter().chain(usual).find_map(|name| Some((name.clone(), commit(folder, &name)?)));
    match found {
        Some((name, tip)) => forked(folder, name, tip).map(Found::Base),
        None => Ok(Found::Nothing("there is no branch to compare with: --base names one".to_owned())),
    }
}

fn commit(folder: &Path, name: &str) -> Option<String> {
    // A name that begins with a dash would be an option.
    let name = format!("{name}^{{commit}}");
    ask(folder, &["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).map(|id| id.trim().to_owned())
}

/// Finds where this branch began.
fn forked(folder: &Path, name: String, tip: String) -> Result<Base> {
    if let Some(fork) = ask(folder, &["merge-base", "HEAD", &tip]) {
        return Ok(Base { name, tip, fork: fork.trim().to_owned() });
    }
    let shallow = ask(folder, &["rev-parse", "--is-shallow-repository"]).is_some_and(|text| text.trim() == "true");
    Err(match shallow {
        true => Failure::usage("shallow-clone", format!("this clone does not reach back to where it left {name}"))
            .help("`git fetch --unshallow origin` brings the rest")
            .help("in GitHub Actions: `fetch-depth: 0` for actions/checkout; in GitLab: `GIT_DEPTH: 0`"),
        false => Failure::usage("no-common-commit", format!("this branch and {name} have no commit in common"))
            .help("name another branch with --base"),
    })
}

fn missing(name: &str, why: &str) -> Failure {
    let branch = name.strip_prefix("origin/").unwrap_or(name);
    Failure::usage("no-base", format!("git knows no {name} here; {why}"))
        .help(format!("`git fetch origin {branch}:refs/remotes/origin/{branch}` brings it"))
        .help("or name another one with --base REF")
}
