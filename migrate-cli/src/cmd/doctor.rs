//! `doctor`: check the whole setup, and report what is wrong.

use migrate_base::codes;
use migrate_base::finding::{Finding, Severity};
use migrate_core::CodeMigrations;
use migrate_test::provider::{binaries::Binaries, docker};
use serde::Serialize;

use crate::cli::GlobalArgs;
use crate::context::{Context, DEVELOPMENT, MigratorOptions, committed_passwords};
use crate::exit::{Exit, Failure, Result};
use crate::git;
use crate::output::style::{BAD, DIM, GOOD, WARN, paint};
use crate::output::{CliOutput, DocumentJson, FindingJson};

#[derive(Serialize)]
struct DoctorJson {
    checks: Vec<DoctorCheckJson>,
}

#[derive(Serialize)]
struct DoctorCheckJson {
    check: &'static str,
    state: &'static str,
    said: String,
    findings: Vec<FindingJson>,
}

/// One part of the setup that was checked.
struct SetupCheck {
    what: &'static str,
    said: String,
    /// What is wrong. If none of the findings is an error, they are only for information.
    findings: Vec<Finding>,
}

impl SetupCheck {
    fn good(what: &'static str, said: impl Into<String>) -> Self {
        Self { what, said: said.into(), findings: Vec::new() }
    }

    fn bad(what: &'static str, failure: &Failure) -> Self {
        let findings = failure.findings();
        let said = findings.first().map(|finding| finding.message.clone()).unwrap_or_default();
        Self { what, said, findings }
    }

    /// Something optional is missing.
    fn without(what: &'static str, said: impl Into<String>) -> Self {
        let said = said.into();
        let finding = Finding::new(codes::MISSING, said.clone());
        Self { what, said, findings: vec![finding] }
    }

    fn state(&self) -> &'static str {
        match self.findings.iter().map(|finding| finding.severity).max() {
            None => "good",
            // As in `status`, a warning does not fail the command.
            Some(Severity::Note | Severity::Warning) => "without",
            Some(_) => "wrong",
        }
    }
}

pub(crate) async fn run(global: &GlobalArgs, code: CodeMigrations, output: &CliOutput) -> Result<Exit> {
    let mut checks = Vec::new();
    let mut pending = 0;
    let mut name = global.env.clone().unwrap_or_else(|| DEVELOPMENT.to_owned());
    match Context::new(global, output) {
        Ok(context) => {
            name.clone_from(&context.name);
            let path =
                context.config.path.as_ref().map_or("none; defaults are used".to_owned(), |p| p.display().to_string());
            // Those of the chosen environment have already failed.
            let findings = committed_passwords(&context.config);
            checks.push(SetupCheck { findings, ..SetupCheck::good("configuration", path) });
            checks.push(migrations(&context));
            checks.push(binaries());
            checks.push(container());
            let (check, waiting) = database(&context, code).await;
            checks.push(check);
            pending = waiting;
            checks.push(match git::commit(&context.migrations) {
                Some(commit) => SetupCheck::good("git", format!("commit {commit}")),
                None => SetupCheck::without(
                    "git",
                    "no commit: the ledger cannot record the commit that migrations were applied from",
                ),
            });
        }
        Err(failure) => checks.push(SetupCheck::bad("configuration", &failure)),
    }
    show(output, &checks, pending);
    let wrong = checks.iter().any(|check| check.state() == "wrong");
    let checks = checks.iter().map(|check| DoctorCheckJson {
        check: check.what,
        state: check.state(),
        said: check.said.clone(),
        findings: check.findings.iter().map(FindingJson::from).collect(),
    });
    output.document(&DocumentJson::new("doctor", &name, DoctorJson { checks: checks.collect() }));
    Ok(if wrong { Exit::Found } else { Exit::Done })
}

/// `pending` is the number of pending migrations, as far as it is known.
fn show(output: &CliOutput, checks: &[SetupCheck], pending: usize) {
    for check in checks {
        let mark = match check.state() {
            "good" => paint(GOOD, "good   "),
            "without" => paint(WARN, "without"),
            _ => paint(BAD, "wrong  "),
        };
        output.line(format!("{mark}  {:14}{DIM}{}{DIM:#}", check.what, check.said));
    }
    let wrong: Vec<Finding> =
        checks.iter().filter(|check| check.state() == "wrong").flat_map(|check| check.findings.clone()).collect();
    if wrong.is_empty() && pending > 0 {
        output.next("`cargo xtask migrate` applies the pending migrations");
    }
    let is_said = |check: &&SetupCheck| check.findings.iter().any(|finding| finding.severity == Severity::Warning);
    let warned = checks.iter().filter(|check| check.state() == "without").filter(is_said);
    let told: Vec<Finding> = warned.flat_map(|check| check.findings.clone()).chain(wrong).collect();
    output.findings(&told);
}

fn migrations(context: &Context<'_>) -> SetupCheck {
    if let Some(engine) = &context.config.engine {
        return SetupCheck::good("migrations", format!("{} runs them", engine.name()));
    }
    match context.folder().and_then(|folder| Ok(folder.load()?)) {
        Ok(set) if set.is_empty() => SetupCheck::bad("migrations", &context.no_migrations(&set)),
        Ok(set) => SetupCheck::good("migrations", format!("{} in {}", set.len(), context.migrations.display())),
        Err(failure) => SetupCheck::bad("migrations", &failure),
    }
}

fn binaries() -> SetupCheck {
    match Binaries::find(None) {
        Ok(found) => {
            SetupCheck::good("binaries", format!("PostgreSQL {} in {}", found.version, found.folder.display()))
        }
        Err(why) => SetupCheck::without("binaries", why.join("; ")),
    }
}

fn container() -> SetupCheck {
    match docker::available() {
        Ok(()) => SetupCheck::good("docker", "the engine responds"),
        Err(why) => SetupCheck::without("docker", why),
    }
}

/// Also returns the number of pending migrations.
async fn database(context: &Context<'_>, code: CodeMigrations) -> (SetupCheck, usize) {
    if context.config.engine.is_some() {
        return (SetupCheck::without("database", "not asked, because its ledger is that of another tool"), 0);
    }
    let migrator = match context.migrator(code, MigratorOptions::reading()).await {
        Ok(migrator) => Ok(migrator),
        // Problems in the folder were reported above; this check is about the connection to the database.
        Err(Failure::Core(error)) if error.kind() == migrate_core::ErrorKind::Files => {
            let why = "not checked, because the migrations have problems";
            return (SetupCheck::without("database", why), 0);
        }
        Err(failure) => Err(failure),
    };
    let outcome = match migrator {
        Ok(mut migrator) => {
            let status = migrator.status_with(context.policy(false)).await;
            let database = migrator.database().to_string();
            migrator.close().await;
            status.map(|status| (status, database)).map_err(Failure::from)
        }
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok((status, database)) => {
            let said = format!("{database}: {} applied, {} pending", status.applied.len(), status.pending.len());
            (SetupCheck { what: "database", said, findings: status.problems }, status.pending.len())
        }
        Err(failure) => (SetupCheck::bad("database", &failure), 0),
    }
}
