//! Checks that the files that other systems read are valid for them: workflows, compose file, SARIF, shell.

use std::path::{Path, PathBuf};

use xshell::{Cmd, Shell, cmd};

use super::{Result, tools};

const COMPOSE_FILE: &str = "ci/shadow-db.yml";

pub(super) fn run(sh: &Shell, folder: &Path) -> Result {
    // The tool includes the public schemas of these formats.
    let check = tools::python(
        sh,
        &folder.join(format!("{}check-jsonschema", tools::MADE)),
        "check_jsonschema",
        "check-jsonschema>=0.39,<0.40",
    )?
    .join("check-jsonschema");
    let workflows = &sh.read_dir(".github/workflows")?;
    cmd!(sh, "{check} --builtin-schema vendor.github-workflows {workflows...}").run()?;
    cmd!(sh, "{check} --builtin-schema custom.github-workflows-require-timeout {workflows...}").run()?;
    cmd!(sh, "{check} --builtin-schema vendor.github-actions ci/action/action.yml").run()?;
    cmd!(sh, "{check} --builtin-schema vendor.gitlab-ci ci/gitlab-ci.yml").run()?;
    cmd!(sh, "{check} --builtin-schema vendor.compose-spec {COMPOSE_FILE}").run()?;
    let schema = schema_of_sarif(sh, &folder.join(format!("{}sarif", tools::MADE)))?;
    // One of its patterns is not valid in the JavaScript dialect, which is the default.
    let sample = "migrate-cli/src/report/sample/report.sarif";
    cmd!(sh, "{check} --regex-variant python --schemafile {schema} {sample}").run()?;
    versions(sh)?;
    shell(sh)?;
    compose(sh)
}

/// The official schema of SARIF is a file in a crate. Only the file is read; the crate is not compiled.
fn schema_of_sarif(sh: &Shell, folder: &Path) -> Result<PathBuf> {
    let schema = folder.join("vendor/serde-sarif/src/schema.json");
    if !sh.path_exists(&schema) {
        tools::remove_made(sh, folder)?;
        let init = ["init", "--quiet", "--lib", "--vcs", "none", "--name", "sarif-schema"];
        tools::cargo(sh).args(init).arg(folder).run()?;
        let _there = sh.push_dir(folder);
        tools::cargo(sh).args(["add", "--quiet", "serde-sarif@=0.8.0"]).run()?;
        tools::cargo(sh).args(["vendor", "--quiet"]).ignore_stdout().run()?;
    }
    Ok(schema)
}

/// GitHub reads its list of versions of PostgreSQL from a file; GitLab cannot, so both are compared.
fn versions(sh: &Shell) -> Result {
    let dense = |path: &str| -> Result<String> { Ok(sh.read_file(path)?.split_whitespace().collect()) };
    let named = format!("POSTGRES:{}", dense("ci/postgres-versions.json")?);
    match dense("ci/gitlab-ci.yml")?.contains(&named) {
        true => Ok(()),
        false => Err("ci/gitlab-ci.yml and ci/postgres-versions.json name different versions of PostgreSQL".into()),
    }
}

fn shell(sh: &Shell) -> Result {
    cmd!(sh, "sh -n ci/check.sh").run()?;
    cmd!(sh, "sh -n ci/pre-commit").run()?;
    cmd!(sh, "bash -n .ci/run").run()?;
    if tools::succeeds(cmd!(sh, "shellcheck --version")) {
        cmd!(sh, "shellcheck .ci/run ci/check.sh ci/pre-commit").run()?;
        let inner = ["migrate-test/src/ephemeral/supervise.sh", "migrate-test/src/provider/throwaway.sh"];
        cmd!(sh, "shellcheck --shell sh {inner...}").run()?;
    }
    Ok(())
}

/// The compose tool of this machine, if there is one, must accept the compose file, and refuse it without a password.
fn compose(sh: &Shell) -> Result {
    let candidates: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    let call = |tool: &[&str], arguments: &[&str]| -> Cmd<'_> { sh.cmd(tool[0]).args(&tool[1..]).args(arguments) };
    let Some(tool) = candidates.into_iter().find(|tool| tools::succeeds(call(tool, &["version"]))) else {
        return Ok(());
    };
    let config = || call(tool, &["--file", COMPOSE_FILE, "config", "--quiet"]);
    config().env("SHADOW_PASSWORD", "any").run()?;
    match tools::succeeds(config().env_remove("SHADOW_PASSWORD")) {
        false => Ok(()),
        true => Err(format!("{COMPOSE_FILE} is accepted without a password").into()),
    }
}
